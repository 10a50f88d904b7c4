"""A photograph or electron image brought onto a map by points that are seen in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube

_FLAT = 1e-3  # the breadth of points over their length, below which they lie on a line


@dataclass(frozen=True)
class Alignment:
    """How a picture lies on a map."""

    matrix: NDArray[np.float64]  # (3, 3): turns (y, x, 1) of the picture into those of the map
    # (N,) how far off each point would be, in the map's unit, had it not been used; NaN where too few are
    # left to tell
    missed: NDArray[np.float64]


def align_points(picture: NDArray[np.floating], target: NDArray[np.floating]) -> Alignment:
    """Return what brings points (N, 2) of a picture onto the same points (N, 2) of a map, by least squares.

    Two pairs tell a shift, a turn and one scale; three and more any affine map: two scales and a shear too.
    Raises InvalidInput when there are fewer than two pairs, or they do not tell the turn and scales apart.
    """
    picture, target = (np.asarray(points, dtype=np.float64).reshape(-1, 2) for points in (picture, target))
    if len(picture) != len(target):
        raise InvalidInput(f"there are {len(picture)} points on the picture, {len(target)} on the map")
    if len(picture) < 2:
        raise InvalidInput("fewer than two pairs of points tell no turn", "Mark the same places in both")
    matrix = _fit(picture, target)
    missed = np.full(len(picture), np.nan)
    for place in range(len(picture)) if len(picture) > 3 else ():
        others = np.arange(len(picture)) != place
        try:
            moved = transformed(_fit(picture[others], target[others]), picture[place])
        except InvalidInput:  # the others lie on a line
            continue
        missed[place] = np.hypot(*(moved - target[place]))
    return Alignment(matrix, missed)


def lay_on_map(
    picture: NDArray[np.generic],
    cube: SpectralCube,
    picture_points: Sequence[Sequence[float]],
    map_points: Sequence[Sequence[float]],
) -> NDArray[Any]:
    """Return a picture at the pixels of a map, by the same places (row, column) in both, in pixels of each.

    Errors as :func:`align_points`.
    """
    sizes = np.array(cube.pixel_size or (1.0, 1.0))
    matrix = align_points(np.array(picture_points), np.array(map_points) * sizes).matrix
    from_map = np.asarray(np.linalg.inv(matrix) @ np.diag([*sizes, 1.0]), dtype=np.float64)
    return as_colors(resample(picture, from_map, cube.map_shape), picture)


def as_colors(values: NDArray[np.float32], picture: NDArray[np.generic]) -> NDArray[Any]:
    """Return a picture in colours that was resampled as colours again, black where there are none."""
    if values.ndim == 2:
        return values
    highest = 255 if picture.dtype.kind in "ui" else 1
    return np.clip(np.nan_to_num(values), 0, highest).astype(picture.dtype)


def transformed(matrix: NDArray[np.float64], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return points (…, 2) moved by a matrix (3, 3)."""
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2])


def resample(
    picture: NDArray[np.generic], from_map: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return a picture (Y, X) or (Y, X, 3) at the pixels of a map, NaN beyond it.

    ``from_map``: (3, 3): turns (row, column, 1) of the map into those of the picture. A pixel of the map that
    covers many of the picture takes their mean. ``shape``: rows and columns of the map.
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    if picture.ndim == 3:
        bands = [resample(picture[..., band], from_map, shape) for band in range(picture.shape[2])]
        return np.stack(bands, axis=2)
    steps = np.hypot(*from_map[:2, :2].T)  # pixels of the picture in one of the map
    blurred = gaussian_filter(picture.astype(np.float32), 0.4 * np.sqrt(np.maximum(steps**2 - 1.0, 0.0)))
    return np.asarray(
        affine_transform(blurred, from_map[:2, :2], from_map[:2, 2], shape, order=1, cval=np.nan)
    )


def _fit(picture: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    center, middle = picture.mean(axis=0), target.mean(axis=0)
    around, aim = picture - center, target - middle
    if len(picture) == 2:
        (y, x), (v, u) = around[0], aim[0]
        if not y * y + x * x > 0 or not v * v + u * u > 0:
            raise InvalidInput("both points of a pair lie on one place", "Take them from each other")
        turn = complex(u, v) / complex(x, y)
        linear = np.array([[turn.real, turn.imag], [-turn.imag, turn.real]])
    else:
        for points in (around, aim):
            length, breadth = np.linalg.svd(points, compute_uv=False)
            if breadth <= _FLAT * length:
                raise InvalidInput("all points lie on a line", "Mark one beside it")
        linear = np.linalg.lstsq(around, aim, rcond=None)[0].T
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, middle - linear @ center
    return matrix
