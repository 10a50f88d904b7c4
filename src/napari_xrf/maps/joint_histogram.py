"""Maps against each other: how many pixels have which values, and which lie inside a loop."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress

_FULL_PERCENT = 99.8
_PIXELS_AT_ONCE = 20_000


@dataclass(frozen=True, eq=False)
class JointHistogram:
    """Numbers of pixels by the values of two maps."""

    pixels: NDArray[np.float64]  # (B, B) numbers, by x first
    # x, y: (low, high) of the bins' outer edges
    x: tuple[float, float]
    y: tuple[float, float]


def joint_histogram(first: ArrayLike, second: ArrayLike, bins: int = 200) -> JointHistogram:
    """Count the pixels of two maps by both values; a few extreme ones lie outside.

    Raises InvalidInput when the maps differ in shape or hold no number.
    """
    x, y, shown = _pairs(first, second)
    if not shown.any():
        raise InvalidInput("these maps hold no numbers")
    ranges = [_range(values[shown]) for values in (x, y)]
    pixels, _, _ = np.histogram2d(x[shown], y[shown], bins=bins, range=ranges)
    return JointHistogram(pixels, *ranges)


def pixels_inside(
    first: ArrayLike, second: ArrayLike, loop: ArrayLike, *, progress: Progress = ignore_progress
) -> NDArray[np.bool_]:
    """Return the mask (Y, X) of the pixels whose pair of values lies inside a loop (N, 2) of (x, y).

    Raises InvalidInput when the maps differ in shape, or the loop has no three corners.
    """
    from matplotlib.path import Path

    corners = np.asarray(loop, dtype=np.float64)
    if corners.ndim != 2 or len(corners) < 3:
        raise InvalidInput("a loop has three corners at least")
    x, y, shown = _pairs(first, second)
    (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
    near = shown & (x >= left) & (x <= right) & (y >= low) & (y <= high)
    outline, places = Path(corners), np.column_stack([x[near], y[near]])
    found = np.zeros(len(places), dtype=bool)
    for start in range(0, len(places), _PIXELS_AT_ONCE):  # between which other threads have their turn
        progress(start, len(places), "pixels in the loop")
        part = slice(start, start + _PIXELS_AT_ONCE)
        found[part] = outline.contains_points(places[part])
    inside = np.zeros(x.shape, dtype=bool)
    inside[near] = found
    return inside


def ternary_places(
    first: ArrayLike, second: ArrayLike, third: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y (Y, X) of each pixel in a triangle of side 1, by the shares of three maps.

    The first map's corner is at (0, 0), the second's at (1, 0), the third's on top. Each map counts in parts
    of what all but 0.2 % of its pixels stay below; pixels that hold nothing of the three are NaN. Raises
    InvalidInput when the maps differ in shape.
    """
    maps = [np.asarray(each, dtype=np.float64) for each in (first, second, third)]
    if len({each.shape for each in maps}) > 1:
        raise InvalidInput("the maps have different shapes", "Choose maps of one measurement")
    parts = [np.maximum(np.nan_to_num(each), 0.0) for each in maps]
    parts = [each / (float(np.percentile(each, _FULL_PERCENT)) or 1.0) for each in parts]
    total = np.sum(parts, axis=0)
    shares = [np.where(total > 0, each, np.nan) / np.where(total > 0, total, 1.0) for each in parts]
    return shares[1] + 0.5 * shares[2], 0.5 * np.sqrt(3.0) * shares[2]


def correlations(maps: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return the correlation coefficients (N, N) of maps over their pixels; NaN for one without variation."""
    values = np.stack([np.asarray(each, dtype=np.float64).ravel() for each in maps])
    known = np.isfinite(values).all(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(values[:, known]))


def _pairs(
    first: ArrayLike, second: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape:
        raise InvalidInput("the maps have different shapes", "Choose maps of one measurement")
    return x, y, np.isfinite(x) & np.isfinite(y)


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(values, (0.02, 99.98)))
    margin = 0.02 * (high - low) or 0.5
    return low - margin, high + margin
