"""Grains of a label map: each one's size and shape, what touches what, how free minerals are, and pores.

A grain is a connected part (8 neighbours) of one class; touching grains of one class are one. What is
unknown, mostly halos along boundaries, and pores (resin, holes) make no grains. All is counted in whole
arrays: a map of noise has as many grains as pixels.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import NOT_MEASURED, UNKNOWN_NAME, LabelClass, LabelMap
from napari_xrf.io.own.tables import write_rows

# Edges of squares overstate the length of a boundary in any direction by 4/π (Cauchy–Crofton).
_EDGES = math.pi / 4
_PORES = re.compile(r"\b(resin|epoxy|pores?|voids?|holes?|porosity|embedding|mounting)\b", re.IGNORECASE)
LIBERATION_STEPS = (90, 50, 10)  # percent of a particle's area


@dataclass(frozen=True, eq=False)
class Grains:
    """The n grains of a map, one value each; lengths in ``unit``."""

    label: NDArray[np.intp]  # (n,) place of the class in the table of classes
    pixels: NDArray[np.intp]  # size of the grain
    # y, x: its centre, from the map's upper left corner.
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    area: NDArray[np.float64]  # in square unit
    diameter: NDArray[np.float64]  # of the circle of equal area
    # length, width: axes of the ellipse of equal second moments.
    length: NDArray[np.float64]
    width: NDArray[np.float64]
    # Of the length, degrees counter-clockwise from the row, −90 to 90; of a round grain it means nothing.
    orientation: NDArray[np.float64]
    # 4π area / perimeter², 1 for a circle; of grains of few pixels it means little.
    circularity: NDArray[np.float64]
    # Whether the map's edge or a pixel not measured cuts it, so that it is larger than it seems.
    at_edge: NDArray[np.bool_]
    unit: str  # "µm", or "pixels" where the pixel size is unknown
    classes: tuple[LabelClass, ...]  # the map's class table

    def __len__(self) -> int:
        return int(self.label.size)

    def __repr__(self) -> str:
        number = np.bincount(self.label, minlength=len(self.classes))
        told = [f"{each} of {entry.name}" for each, entry in zip(number, self.classes, strict=True) if each]
        return f"<Grains: {', '.join(told) or 'none'}>"


def find_grains(label_map: LabelMap, pores: Sequence[str] | None = None) -> Grains:
    """Return the grains of all classes but the unknown and pores; see :func:`napari_xrf.find_grains`."""
    from skimage.measure import label as connected

    places = class_places(label_map)
    solid = np.append(~_without_grains(label_map.classes, pores), False)
    parts = connected(np.where(solid[places], places, -1), background=-1, connectivity=2)
    number = int(parts.max()) + 1 if parts.size else 1
    dy, dx = label_map.pixel_size or (1.0, 1.0)
    at = np.flatnonzero(parts)
    part = parts.ravel()[at]
    y, x = (at // parts.shape[1] + 0.5) * dy, (at % parts.shape[1] + 0.5) * dx
    pixels = np.bincount(part, minlength=number)[1:]
    owner = np.zeros(number, dtype=np.intp)
    owner[part] = places.ravel()[at]

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(part, values, minlength=number)[1:] / pixels)

    mean_y, mean_x = mean(y), mean(x)
    # A pixel is no point: its own second moment is added.
    yy, xx = mean(y * y) - mean_y**2 + dy * dy / 12, mean(x * x) - mean_x**2 + dx * dx / 12
    xy = mean_x * mean_y - mean(x * y)  # rows run down, angles up
    spread = np.hypot((xx - yy) / 2, xy)
    area = pixels.astype(np.float64) * (dy * dx)
    perimeter = np.maximum(_perimeters(parts, number, dy, dx), 1e-12)
    shape = np.sqrt((xx + yy) / 2 + spread), np.sqrt(np.maximum((xx + yy) / 2 - spread, 0))
    cut = np.zeros(number, dtype=bool)
    cut[parts[_outermost(label_map.labels)]] = True
    return Grains(
        label=owner[1:],
        pixels=pixels,
        y=mean_y,
        x=mean_x,
        area=area,
        diameter=np.sqrt(4 * area / math.pi),
        length=4 * shape[0],
        width=4 * shape[1],
        orientation=np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)),
        circularity=np.minimum(4 * math.pi * area / perimeter**2, 1),
        at_edge=cut[1:],
        unit="pixels" if label_map.pixel_size is None else "µm",
        classes=label_map.classes,
    )


@dataclass(frozen=True)
class GrainRow:
    """The grains of one class; diameters are those of a circle of equal area, in ``unit``."""

    # label, name: the class
    label: int
    name: str
    grains: int  # number of connected parts (8 neighbours); touching grains of one class count as one
    # median_diameter, largest_diameter: over the grains; None without grains
    median_diameter: float | None
    # Mean weighted by area: in what size of grain a random point of the class lies
    weighted_diameter: float | None
    largest_diameter: float | None
    aspect: float | None  # median of length over width, of grains of at least ten pixels
    edge_grains: int  # how many are cut by the map's edge or by pixels not measured, so larger than they seem
    unit: str  # "µm", or "pixels" where the pixel size is unknown


def grain_statistics(grains: Grains | LabelMap) -> tuple[GrainRow, ...]:
    """Return one row per class of the table, in its order; the unknown and pores have no grains."""
    found = find_grains(grains) if isinstance(grains, LabelMap) else grains
    rows = []
    for place, entry in enumerate(found.classes):
        own = found.label == place
        sizes, shaped = found.diameter[own], own & (found.pixels >= 10)
        rows.append(
            GrainRow(
                entry.label,
                entry.name,
                int(own.sum()),
                float(np.median(sizes)) if sizes.size else None,
                float(np.average(sizes, weights=found.area[own])) if sizes.size else None,
                float(sizes.max()) if sizes.size else None,
                float(np.median(found.length[shaped] / found.width[shaped])) if shaped.any() else None,
                int(found.at_edge[own].sum()),
                found.unit,
            )
        )
    return tuple(rows)


@dataclass(frozen=True, eq=False)
class Association:
    """How much boundary classes share."""

    names: tuple[str, ...]  # the K classes that occur
    # (K, K) length of the boundary between two classes, symmetric, zero on the diagonal
    lengths: NDArray[np.float64]
    unit: str  # of the lengths

    @property
    def percent(self) -> NDArray[np.float64]:
        """(K, K) share of a row's boundary that the column has; a row sums to 100, or to 0 without any."""
        whole = self.lengths.sum(axis=1, keepdims=True)
        return np.asarray(100 * self.lengths / np.where(whole > 0, whole, 1))


def association(label_map: LabelMap) -> Association:
    """Return the boundaries between classes, the unknown and pores among them; edges of the map are none."""
    places, number = class_places(label_map), len(label_map.classes)
    dy, dx = label_map.pixel_size or (1.0, 1.0)
    lengths = np.zeros((number, number))
    for one, other, side in ((places[:, 1:], places[:, :-1], dy), (places[1:], places[:-1], dx)):
        touch = (one != other) & (one >= 0) & (other >= 0)
        pairs = np.bincount(one[touch].astype(np.int64) * number + other[touch], minlength=number * number)
        lengths += _EDGES * side * pairs.reshape(number, number)
    lengths = lengths + lengths.T
    present = np.flatnonzero(np.bincount(places[places >= 0], minlength=number))
    return Association(
        tuple(label_map.classes[place].name for place in present),
        lengths[np.ix_(present, present)],
        "pixels" if label_map.pixel_size is None else "µm",
    )


@dataclass(frozen=True)
class LiberationRow:
    """How free one class is; particles are what pores and gaps part, percentages are of the class's area."""

    name: str  # the class
    liberated: float  # in particles that hold at least 90 % of it
    middling: float  # in particles that hold 50 to 90 % of it
    sublocked: float  # 10 to 50 %
    locked: float  # less than 10 %
    free_surface: float  # percent of its boundary that faces pores or gaps


def liberation(label_map: LabelMap, pores: Sequence[str] | None = None) -> tuple[LiberationRow, ...]:
    """Return how free each class is; empty where pores and gaps part no two particles."""
    from scipy.ndimage import label as connected

    places, number = class_places(label_map), len(label_map.classes)
    hollow = np.append(pore_classes(label_map.classes, pores), True)
    particles, count = connected(~hollow[places], structure=np.ones((3, 3)))
    if count < 2:
        return ()
    code = particles.ravel().astype(np.int64) * number + np.maximum(places.ravel(), 0)
    areas = np.bincount(code, minlength=(count + 1) * number).reshape(count + 1, number)[1:]
    share = 100 * areas / np.maximum(areas.sum(axis=1, keepdims=True), 1)
    free, whole = _faces(places, hollow, number)
    rows = []
    for place, entry in enumerate(label_map.classes):
        own = areas[:, place]
        if own.sum() == 0 or hollow[place] or entry.name == UNKNOWN_NAME:
            continue
        kind = sum((share[:, place] < step).astype(int) for step in LIBERATION_STEPS)
        parts = 100 * np.bincount(kind, own, minlength=4) / own.sum()
        surface = 100 * free[place] / whole[place] if whole[place] else 0.0
        whole_area, half, tenth, less = (float(part) for part in parts)
        rows.append(LiberationRow(entry.name, whole_area, half, tenth, less, float(surface)))
    return tuple(rows)


def porosity(label_map: LabelMap, pores: Sequence[str] | None = None) -> float | None:
    """Return the percent of the measured pixels that are pores; None where no class is one."""
    hollow = pore_classes(label_map.classes, pores)
    if not hollow.any():
        return None
    places = class_places(label_map)
    measured = int((places >= 0).sum())
    return 100 * float(np.append(hollow, False)[places].sum()) / measured if measured else None


def pore_classes(classes: Sequence[LabelClass], pores: Sequence[str] | None = None) -> NDArray[np.bool_]:
    """Return which classes are pores: those of these names, or with none given those that are called so."""
    if pores is None:
        return np.array([bool(_PORES.search(entry.name)) for entry in classes], dtype=bool)
    names = [entry.name.casefold() for entry in classes]
    for name in pores:
        if name.casefold() not in names:
            raise InvalidInput(f"the map has no class {name!r}", f"It has {', '.join(names)}")
    return np.isin(np.array(names, dtype=object), [name.casefold() for name in pores])


def write_grain_tables(folder: Path, label_map: LabelMap) -> list[Path]:
    """Write grains.csv, association.csv and, where particles are parted, liberation.csv.

    Raises FileError when a file cannot be written.
    """
    grains = find_grains(label_map)
    files = [folder / "grains.csv", folder / "association.csv"]
    names = [entry.name for entry in grains.classes]
    told = [entry.name for entry in fields(Grains) if entry.name not in ("label", "unit", "classes")]
    columns = [getattr(grains, name).tolist() for name in told]
    owners = [names[place] for place in grains.label.tolist()]
    rows = zip(range(1, len(grains) + 1), owners, *columns, [grains.unit] * len(grains), strict=True)
    write_rows(files[0], ("grain", "class", *told, "unit"), rows)
    shared = association(label_map)
    write_rows(
        files[1],
        ("class", "beside", f"length_{'um' if shared.unit == 'µm' else shared.unit}", "percent"),
        (
            (name, other, shared.lengths[i, j], shared.percent[i, j])
            for i, name in enumerate(shared.names)
            for j, other in enumerate(shared.names)
            if shared.lengths[i, j]
        ),
    )
    freed = liberation(label_map)
    if freed:
        files.append(folder / "liberation.csv")
        header = [entry.name for entry in fields(LiberationRow)]
        write_rows(files[-1], header, ([getattr(row, name) for name in header] for row in freed))
    return files


def class_places(label_map: LabelMap) -> NDArray[np.int32]:
    """Return the place of each pixel's class in the table, -1 where nothing was measured."""
    table = np.array([entry.label for entry in label_map.classes], dtype=np.uint64)
    labels = label_map.labels
    if table.size and int(table[-1]) < 1 << 20:  # larger labels are searched for
        place = np.full(int(table[-1]) + 1, -1, dtype=np.int32)
        place[table.astype(np.intp)] = np.arange(table.size)
        return np.asarray(place[labels])
    places = np.searchsorted(table, labels).astype(np.int32)
    return np.where(labels == NOT_MEASURED, np.int32(-1), places)


def _without_grains(classes: Sequence[LabelClass], pores: Sequence[str] | None) -> NDArray[np.bool_]:
    unknown = np.array([entry.name == UNKNOWN_NAME for entry in classes], dtype=bool)
    return unknown | pore_classes(classes, pores)


def _perimeters(parts: NDArray[np.integer[Any]], number: int, dy: float, dx: float) -> NDArray[np.float64]:
    """Return the length of each part's boundary, the map's edge included."""
    wide = np.pad(parts, 1)
    total = np.zeros(number)
    for one, other, side in ((wide[:, 1:], wide[:, :-1], dy), (wide[1:], wide[:-1], dx)):
        touch = one != other
        for face in (one[touch], other[touch]):
            total += _EDGES * side * np.bincount(face, minlength=number)
    return total[1:]


def _outermost(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which pixels lie at the map's edge or beside one not measured."""
    from scipy.ndimage import maximum_filter

    gaps = np.pad(labels == NOT_MEASURED, 1, constant_values=True)
    return np.asarray(maximum_filter(gaps, 3)[1:-1, 1:-1])


def _faces(
    places: NDArray[np.int32], hollow: NDArray[np.bool_], number: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the faces of each class that meet a pore or gap, and those that meet any other class."""
    free, whole = np.zeros(number), np.zeros(number)
    for one, other in ((places[:, 1:], places[:, :-1]), (places[1:], places[:-1])):
        for own, near in ((one, other), (other, one)):
            meet = (own != near) & (own >= 0)
            whole += np.bincount(own[meet], minlength=number)
            meet &= hollow[near]
            free += np.bincount(own[meet], minlength=number)
    return free, whole
