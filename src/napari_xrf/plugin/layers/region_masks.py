"""Which pixels a drawn shape covers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ELLIPSE_POINTS = 96


def shape_mask(vertices: NDArray[Any], kind: str, map_shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask (Y, X) of a shape in pixel coordinates.

    Parameters
    ----------
    vertices
        (N, 2) corner points (y, x); pixel centres lie at whole numbers. An ellipse is given by the four
        corners of its box, as napari does.
    kind
        ``"rectangle"``, ``"ellipse"``, ``"polygon"``, ``"line"`` or ``"path"``.
    map_shape
        (Y, X) of the map.

    Returns
    -------
    (Y, X) true where a pixel's centre lies inside, or where a line passes; a shape inside the map that is
    smaller than a pixel covers the pixel it lies in.
    """
    from skimage.draw import polygon2mask

    points = np.asarray(vertices, dtype=float)[:, -2:]
    if kind in ("line", "path"):
        return _line_mask(points, map_shape)
    if kind == "ellipse":
        points = _ellipse_points(points)
    low = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, map_shape)
    mask = np.zeros(map_shape, dtype=bool)
    if (low < high).all():
        # Only the shape's box is rasterised: a drag redraws this many times a second.
        box = tuple(int(size) for size in high - low)
        mask[low[0] : high[0], low[1] : high[1]] = polygon2mask(box, points - low)
    return mask if mask.any() else _nearest_pixel(points.mean(axis=0), map_shape)


def region_pixels(layer: Any, index: int, map_layer: Any, map_shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask (Y, X) of one shape of a napari Shapes layer on the map of another layer.

    The two layers may differ in scale, translation and rotation.
    """
    vertices = np.asarray(layer.data[index], dtype=float)[:, -2:]
    matrix, shift = _map_between(layer, map_layer)
    return shape_mask(vertices @ matrix.T + shift, str(layer.shape_type[index]), map_shape)


def pixel_under(position: tuple[float, ...], map_layer: Any, map_shape: tuple[int, int]) -> Any:
    """Return (y, x) of the pixel at a world position, or None outside the map."""
    lead = (0.0,) * (map_layer.ndim - 2)
    y, x = (round(float(part)) for part in map_layer.world_to_data((*lead, *position[-2:]))[-2:])
    return (y, x) if 0 <= y < map_shape[0] and 0 <= x < map_shape[1] else None


def _map_between(layer: Any, map_layer: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrix (2, 2) and shift (2,) from a layer's (y, x) to a map's pixels.

    Both transforms are affine: three points give them, however many corners the shapes have.
    """
    points = []
    for corner in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
        world = layer.data_to_world((*(0.0,) * (layer.ndim - 2), *corner))[-2:]
        points.append(map_layer.world_to_data((*(0.0,) * (map_layer.ndim - 2), *world))[-2:])
    origin, down, right = np.array(points, dtype=float)
    return np.stack([down - origin, right - origin], axis=1), origin


def _ellipse_points(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    center = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, None]
    return np.asarray(center + np.cos(angle) * first + np.sin(angle) * second)


def _line_mask(points: NDArray[np.float64], map_shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(map_shape, dtype=bool)
    for start, stop in pairwise(points):
        steps = int(np.ceil(np.abs(stop - start).max())) + 1
        along = np.rint(np.linspace(start, stop, steps)).astype(int)
        inside = ((along >= 0) & (along < map_shape)).all(axis=1)
        mask[along[inside, 0], along[inside, 1]] = True
    return mask


def _nearest_pixel(center: NDArray[np.float64], map_shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(map_shape, dtype=bool)
    y, x = (round(float(part)) for part in center)
    if 0 <= y < map_shape[0] and 0 <= x < map_shape[1]:
        mask[y, x] = True
    return mask
