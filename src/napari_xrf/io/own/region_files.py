"""Regions and outlines of labels as GeoJSON, which QuPath and QGIS open.

Coordinates are pixels, x then y, (0, 0) the outer corner of the first pixel, as in QuPath; in files named
``.um.geojson`` they are µm with y upwards, as QGIS needs them over our GeoTIFF. Names and colours stand where
QuPath looks for them. A region keeps its kind of shape, and the map's pixel size, for us.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import NOT_MEASURED, LabelMap
from napari_xrf.core.named_files import content_of
from napari_xrf.io.atomic_write import write_text
from napari_xrf.io.own.files import MARK, as_pair

SUFFIX = ".geojson"
_IN_UM = ".um.geojson"
_HALF = 0.5  # a pixel's centre lies here from its corner
_ELLIPSE_POINTS = 96
_BAND = 16  # rows that are looked at together
_MOST_BYTES = 2**28
_LINES = ("line", "path")
KINDS = ("rectangle", "ellipse", "polygon", *_LINES)
Ring: TypeAlias = list[tuple[int, int]]
"""Corners (x, y) of pixels, (0, 0) the outer corner of the first; closed, the first stands last again."""


@dataclass(frozen=True, eq=False)
class OutlinedRegion:
    """A region as it was drawn."""

    # name, color: the colour as "#rrggbb", or empty
    name: str
    kind: str  # "rectangle", "ellipse", "polygon", "line" or "path"
    # (N, 2) corners (y, x) in pixels, whose centres lie at whole numbers; of an ellipse those of its box
    vertices: NDArray[np.float64]
    color: str = ""


@dataclass(frozen=True, eq=False)
class RegionSet:
    """Regions of one map, and its pixel size (dy, dx) in µm, or None."""

    regions: tuple[OutlinedRegion, ...]
    pixel_size: tuple[float, float] | None = None


def write_regions(path: str | Path, regions: RegionSet) -> None:
    """Write regions as GeoJSON."""
    target = Path(path)
    features = []
    for region in regions.regions:
        points = ellipse_points(region.vertices) if region.kind == "ellipse" else region.vertices
        corners = (points[:, ::-1] + _HALF).tolist()
        line = region.kind in _LINES
        geometry = {
            "type": "LineString" if line else "Polygon",
            "coordinates": corners if line else [[*corners, corners[0]]],
        }
        ours = {"shape": region.kind, "vertices": region.vertices.tolist()}
        features.append(_feature(geometry, region.name, region.color, {MARK: ours}))
    _write(target, features, regions.pixel_size, "regions")


def write_label_outlines(path: str | Path, labels: LabelMap) -> None:
    """Write the outlines of a label map's classes as GeoJSON, a feature each."""
    features = []
    for entry in labels.classes:
        shapes = polygons_of(labels.labels == entry.label) if entry.label != NOT_MEASURED else []
        if shapes:
            geometry = {"type": "MultiPolygon", "coordinates": shapes}
            told = {"label": entry.label, "formula": entry.formula}
            features.append(_feature(geometry, entry.name, entry.color, told))
    _write(Path(path), features, labels.pixel_size, "labels")


def read_regions(path: str | Path) -> RegionSet:
    """Read regions from GeoJSON: ours, or polygons, lines and points of other programs in pixels.

    Raises FileError when the file holds none, or is damaged.
    """
    target = Path(path)
    if target.name.lower().endswith(_IN_UM):
        raise FileError(target, "is in µm, for QGIS", "Open the one in pixels")
    try:
        content = json.loads(content_of(target, _MOST_BYTES).decode("utf-8-sig"))
        if isinstance(content, list):  # as QuPath writes them, too
            content = {"features": content}
        features = content.get("features", [content])
        regions = [region for number, one in enumerate(features) for region in _regions_of(one, number)]
        return RegionSet(tuple(regions), as_pair(content.get("pixel_size_um")))
    except FileError:
        raise
    except Exception as error:  # whatever its JSON makes of it
        raise FileError(target, f"holds no regions in GeoJSON ({error})") from error


def shape_mask(vertices: NDArray[Any], kind: str, map_shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask (Y, X) of a shape in pixel coordinates.

    ``vertices``: (N, 2) corner points (y, x); pixel centres lie at whole numbers. An ellipse is given by the
    four corners of its box, as napari does. ``kind``: ``"rectangle"``, ``"ellipse"``, ``"polygon"``,
    ``"line"`` or ``"path"``. ``map_shape``: (Y, X) of the map.

    Returns
    -------
    (Y, X) true where a pixel's centre lies inside, or where a line passes; a shape inside the map that is
    smaller than a pixel covers the pixel it lies in.
    """
    points = np.asarray(vertices, dtype=float)[:, -2:]
    if kind in ("line", "path"):
        return _pixels_at(_along(points), map_shape)
    if kind == "ellipse":
        points = ellipse_points(points)
    low = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, map_shape)
    mask = np.zeros(map_shape, dtype=bool)
    if (low < high).all():
        # Only the shape's box is rasterised: a drag redraws this many times a second.
        box = tuple(int(size) for size in high - low)
        mask[low[0] : high[0], low[1] : high[1]] = _inside(points - low, box)
    return mask if mask.any() else _pixels_at(points.mean(axis=0)[None], map_shape)


def polygons_of(mask: NDArray[np.bool_]) -> list[list[Ring]]:
    """Return the polygons of a mask (Y, X): for each piece its outer ring, then its holes.

    Pixels that share an edge are one piece; those that share a corner only are two.
    """
    from scipy import ndimage

    pieces, _ = ndimage.label(mask)
    found = []
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        rings = _rings(pieces[box] == number)
        rings.sort(key=lambda ring: -abs(_area(ring)))
        down, right = box[0].start, box[1].start
        found.append([[(x + right, y + down) for x, y in ring] for ring in rings])
    return found


def _inside(corners: NDArray[np.float64], box: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels of a box (Y, X) lie in or on a polygon, as ``skimage.draw.polygon2mask`` does.

    In bands of rows: corners between two that are also above a band, or below it, change nothing within it,
    and the time goes with pixels times corners.
    """
    from skimage.measure import points_in_poly

    mask = np.zeros(box, dtype=bool)
    rows = corners[:, 0]
    for first in range(0, box[0], _BAND):
        y, x = np.mgrid[first : min(first + _BAND, box[0]), : box[1]]
        side = np.sign(rows - np.clip(rows, first, y[-1, 0]))
        kept = (side == 0) | (side != np.roll(side, 1)) | (side != np.roll(side, -1))
        places = np.stack([x.ravel(), y.ravel()], axis=1)
        if kept.any():
            mask[first : first + _BAND] = points_in_poly(places, corners[kept, ::-1]).reshape(y.shape)
    return mask


def _regions_of(feature: Any, number: int) -> list[OutlinedRegion]:
    told = feature.get("properties") or {}
    name = str(told.get("name") or (told.get("classification") or {}).get("name") or f"region {number + 1}")
    parts = told.get("color") or (told.get("classification") or {}).get("color") or ()
    color = "#{:02x}{:02x}{:02x}".format(*(int(part) & 255 for part in parts[:3])) if len(parts) >= 3 else ""
    ours = told.get(MARK)
    if isinstance(ours, dict) and ours.get("shape") in KINDS:
        return [OutlinedRegion(name, ours["shape"], _points(ours["vertices"]), color)]
    kind, places = feature["geometry"]["type"], feature["geometry"]["coordinates"]
    rings = {
        "Polygon": lambda: [places[0][:-1]],
        "MultiPolygon": lambda: [polygon[0][:-1] for polygon in places],
        "LineString": lambda: [places],
        "Point": lambda: [[places]],
    }
    if kind not in rings:
        raise ValueError(f"{kind} is no region")
    shape = "path" if kind == "LineString" else "polygon"
    return [OutlinedRegion(name, shape, _points(ring)[:, ::-1] - _HALF, color) for ring in rings[kind]()]


def _points(values: Any) -> NDArray[np.float64]:
    points = np.array([[float(part) for part in point[:2]] for point in values], dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError("a corner is no pair of numbers")
    return points


def _feature(geometry: Any, name: str, color: str, more: dict[str, Any]) -> dict[str, Any]:
    rgb = [int(color[at : at + 2], 16) for at in (1, 3, 5)] if color else None
    told: dict[str, Any] = {"objectType": "annotation", "name": name}
    if rgb is not None:
        told |= {"color": rgb, "classification": {"name": name, "color": rgb}}
    return {"type": "Feature", "geometry": geometry, "properties": told | more}


def _write(
    target: Path, features: Sequence[dict[str, Any]], size: tuple[float, float] | None, what: str
) -> None:
    in_um = target.name.lower().endswith(_IN_UM)
    if in_um and size is None:
        raise InvalidInput("the pixel size is not known, so there are no µm", f"Write a plain {SUFFIX}")
    if in_um and size is not None:
        for feature in features:
            geometry = feature["geometry"]
            geometry["coordinates"] = _scaled(geometry["coordinates"], size)
            feature["properties"].pop(MARK, None)
    content = {"type": "FeatureCollection", MARK: what, "pixel_size_um": size, "features": list(features)}
    write_text(target, json.dumps(content, ensure_ascii=False))


def _scaled(places: Any, size: tuple[float, float]) -> Any:
    if isinstance(places[0], int | float):
        return [places[0] * size[1], -places[1] * size[0]]
    return [_scaled(one, size) for one in places]


def ellipse_points(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points (N, 2) on the ellipse in a box of four corners (4, 2)."""
    center = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, None]
    return np.asarray(center + np.cos(angle) * first + np.sin(angle) * second)


def _along(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points (N, 2) along a path, no further apart than pixels are."""
    return np.concatenate(
        [
            np.linspace(start, stop, int(np.ceil(np.abs(stop - start).max())) + 1)
            for start, stop in pairwise(points)
        ]
    )


def _pixels_at(points: NDArray[np.float64], map_shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(map_shape, dtype=bool)
    nearest = np.rint(points).astype(int)
    y, x = nearest[((nearest >= 0) & (nearest < map_shape)).all(axis=1)].T
    mask[y, x] = True
    return mask


def _rings(mask: NDArray[np.bool_]) -> list[Ring]:
    """Return the closed rings along the edges of one piece, its pixels to the right of the way."""
    after = _edges(mask)
    rings = []
    while after:
        start = next(iter(after))
        ring, at, heading = [start], start, (0, 0)
        while True:
            ahead = after[at]
            # Where two pixels touch in a corner, a turn to the right stays with the same one.
            turn = (-heading[1], heading[0])
            step = turn if turn in ahead else next(iter(ahead))
            ahead.discard(step)
            if not ahead:
                del after[at]
            if step == heading:
                ring.pop()
            at, heading = (at[0] + step[0], at[1] + step[1]), step
            ring.append(at)
            if at == start:
                break
        rings.append(ring)
    return rings


def _edges(mask: NDArray[np.bool_]) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """Return corner → steps (dx, dy) along the edges of pixels that begin there."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    sides = (
        (inside & ~padded[:-2, 1:-1], (0, 0), (1, 0)),
        (inside & ~padded[1:-1, 2:], (1, 0), (0, 1)),
        (inside & ~padded[2:, 1:-1], (1, 1), (-1, 0)),
        (inside & ~padded[1:-1, :-2], (0, 1), (0, -1)),
    )
    after: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for open_side, (right, down), step in sides:
        for y, x in np.argwhere(open_side).tolist():
            after.setdefault((x + right, y + down), set()).add(step)
    return after


def _area(ring: Ring) -> float:
    x, y = np.array(ring, dtype=np.float64).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)
