"""Maps along a drawn line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.io.own.tables import write_rows


@dataclass(frozen=True, eq=False)
class LineProfile:
    """Values of maps along a line."""

    distance: NDArray[np.float64]  # (N,) from its start, in unit
    unit: str  # "µm", or "pixels" where a pixel's size is not known
    # Name of each map → (N,) its values, between pixels those of a straight line; NaN outside the map
    values: Mapping[str, NDArray[np.float64]]


def profile_along(
    maps: Mapping[str, ArrayLike], corners: ArrayLike, pixel_size: tuple[float, float] | None = None
) -> LineProfile:
    """Return the values of maps along a line, at steps of half a pixel or less.

    Raises InvalidInput when there is no map, or the line has no length.

    ``maps``: name → (Y, X), all of one shape. ``corners``: (C, 2) places (y, x) in pixels that the line
    connects; pixel centres lie at whole numbers. ``pixel_size``: (dy, dx) in µm.
    """
    from scipy.ndimage import map_coordinates

    points = np.asarray(corners, dtype=np.float64)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if not maps:
        raise InvalidInput("there is no map to follow along the line", "Make element maps first")
    if not steps.sum() > 0:
        raise InvalidInput("the line has no length", "Draw one with the line tool")
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0.0, along[-1], max(int(np.ceil(2 * along[-1])) + 1, 2))
    places = np.array([np.interp(at, along, points[:, axis]) for axis in range(2)])
    length = np.hypot(*(np.diff(places, axis=1) * np.reshape(pixel_size or (1.0, 1.0), (2, 1))))
    values = {
        name: map_coordinates(np.asarray(each, dtype=np.float64), places, order=1, cval=np.nan)
        for name, each in maps.items()
    }
    return LineProfile(np.concatenate([[0.0], np.cumsum(length)]), "µm" if pixel_size else "pixels", values)


def write_profile(path: str | Path, profile: LineProfile) -> None:
    """Write a profile as a table (.csv): the distance, and a column for each map."""
    head = [f"distance ({profile.unit})", *profile.values]
    write_rows(path, head, zip(profile.distance.tolist(), *profile.values.values(), strict=True))
