"""Non-negative weighted least squares of all pixels on one set of spectral columns.

For columns A (K, E), counts y (E) of a pixel and weights W = diag(w) that all pixels share, the fit
minimises (y - Aᵀx)ᵀ W (y - Aᵀx) over x ≥ 0. Only b = A W y (K) depends on the pixel; the normal matrix
N = A W Aᵀ (K, K) and everything made of it are computed once. Weights are one over the *pooled*
expectation, never over the pixel's own counts, which would bias low counts downwards.

Standard errors come from the Poisson covariance of the unbounded estimate x = N⁻¹ A W y:

    var(x_k) = Σ_e G_ke² μ_e,   G = N⁻¹ A W,   μ = Aᵀ x̂ (the pixel's own fitted expectation)
             = Σ_j S_kj x̂_j,    S_kj = Σ_e G_ke² A_je

so that all errors of a pixel are one product of a fixed non-negative (K, K) matrix with its fit. Half a
count of the pooled spectrum is added to μ, so that an empty pixel has an error too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.spectra.non_negative import solve_bounded

_PIXELS_PER_TASK = 512
_FEW_PIXELS = 1000
_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class PixelSolver:
    """What the fits of all pixels share."""

    projection: NDArray[np.float32]  # (E, K) float32: the columns times the weights, energy first
    normal: NDArray[np.float64]  # (K, K) normal matrix N
    inverse: NDArray[np.float64]  # (K, K) its inverse, by pseudo-inverse where columns depend on each other
    spread: NDArray[np.float64]  # (K, K) S, fitted counts → variances
    floor: NDArray[np.float64]  # (K,) variance of an empty pixel
    few: bool = False  # whether the map has so few pixels that compiled code is not worth loading


def make_solver(
    columns: NDArray[np.float64], pooled: NDArray[np.float64], pixels: int = _FEW_PIXELS
) -> PixelSolver:
    """Prepare the fit of many pixels.

    Raises InvalidInput when shapes do not fit or a value is negative or not finite.

    ``columns``: (K, E) non-negative expected spectra, one count each. ``pooled``: (E,) expected counts of a
    mean pixel; channels with 0 are left out. ``pixels``: how many the map has.
    """
    if columns.ndim != 2 or pooled.shape != columns.shape[1:]:
        raise InvalidInput(f"columns {columns.shape} do not fit a pooled spectrum {pooled.shape}")
    if not (np.isfinite(columns).all() and np.isfinite(pooled).all()) or pooled.min(initial=0) < 0:
        raise InvalidInput("columns and pooled spectrum must be finite, the latter from 0")
    weights = np.divide(1.0, pooled, out=np.zeros_like(pooled), where=pooled > 0)
    weighted = columns * weights
    normal = weighted @ columns.T
    inverse = np.linalg.pinv(normal, rcond=1e-10, hermitian=True)
    gain_squared = (inverse @ weighted) ** 2
    mean = np.where(weights > 0, pooled, 0)
    floor = gain_squared @ (0.5 * mean / max(mean.sum(), 1e-300))
    return PixelSolver(
        np.ascontiguousarray(weighted.T, dtype=np.float32),
        np.asarray(normal, dtype=np.float64),
        np.asarray(inverse, dtype=np.float64),
        np.asarray(gain_squared @ columns.T, dtype=np.float64),
        np.asarray(floor, dtype=np.float64),
        pixels < _FEW_PIXELS,
    )


def fit_pixels(
    solver: PixelSolver, counts: NDArray[np.generic], check: Callable[[], None] = lambda: None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit every spectrum of a block.

    ``solver``: from :func:`make_solver`. ``counts``: (P, E) counts of P pixels, of any real type. ``check``:
    called between groups of pixels; what it raises stops the work.

    Returns
    -------
    amplitudes, standard_errors : (P, K) float32 each
    """
    if counts.ndim != 2 or counts.shape[1] != solver.projection.shape[0]:
        raise InvalidInput(f"counts {counts.shape} do not fit {solver.projection.shape[0]} channels")
    if solver.few:
        check()
        return _fit_few(solver, counts)
    from napari_xrf.maps.pixels.fit_kernels import project, solve

    pixels, size = counts.shape[0], solver.normal.shape[0]
    amplitudes = np.empty((pixels, size), dtype=np.float32)
    errors = np.empty((pixels, size), dtype=np.float32)

    def work(start: int) -> None:
        part = slice(start, min(start + _PIXELS_PER_TASK, pixels))
        block = np.ascontiguousarray(counts[part])
        if block.dtype.byteorder not in "=|":
            block = block.astype(block.dtype.newbyteorder("="))
        projected = np.zeros((block.shape[0], size), dtype=np.float32)
        project(block, solver.projection, projected)
        solve(
            projected, solver.normal, solver.inverse, solver.spread, solver.floor,
            amplitudes[part], errors[part],
        )  # fmt: skip

    for _ in in_threads(work, range(0, pixels, _PIXELS_PER_TASK)):
        check()
    return amplitudes, errors


def solve_non_negative(
    normal: NDArray[np.float64], projected: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimise xᵀNx - 2bᵀx over x ≥ 0.

    ``normal``, ``projected``: N (K, K), symmetric and positive semidefinite, and b (K,).

    Returns
    -------
    solution, standard_errors : (K,)
        The errors are those of the unbounded problem, sqrt(diag(N⁻¹)), when N is in units of variances.
    """
    # Columns of very different height: a unit diagonal first; a little ridge where columns are nearly alike.
    scale = 1 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled = normal * scale * scale[:, None] + _RIDGE * np.eye(scale.size)
    solution = solve_bounded(scaled, projected * scale)
    return solution * scale, np.sqrt(np.diag(np.linalg.inv(scaled))) * scale


def _fit_few(
    solver: PixelSolver, counts: NDArray[np.generic]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    right = counts.astype(np.float64) @ solver.projection
    free = right @ solver.inverse
    solution = np.maximum(free, 0)
    for pixel in np.flatnonzero((free < 0).any(axis=1)):
        solution[pixel] = solve_non_negative(solver.normal, right[pixel])[0]
    errors = np.sqrt(solver.floor + solution @ solver.spread.T)
    return solution.astype(np.float32), errors.astype(np.float32)
