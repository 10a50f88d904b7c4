"""The fit of many pixels in compiled loops; loading them takes longer than a thousand pixels without."""

import math

import numpy as np

from napari_xrf.core.compiled_code import compiled

_SWEEPS = 400


@compiled(fastmath={"reassoc", "contract", "nsz"})
def project(counts, projection, target):  # type: ignore[no-untyped-def]
    """Add counts (P, E) times a projection (E, K) to the target (P, K)."""
    # Most channels of a map pixel are empty: skipping them beats a dense product.
    pixels, channels = counts.shape
    size = projection.shape[1]
    for pixel in range(pixels):
        for channel in range(channels):
            count = counts[pixel, channel]
            if count != 0:
                value = np.float32(count)
                for k in range(size):
                    target[pixel, k] += value * projection[channel, k]


@compiled()
def _descend(normal, projected, solution, sweeps, tolerance):  # type: ignore[no-untyped-def]
    """Coordinate descent with x >= 0 (Franc et al., CAIP 2005, LNCS 3691, 407), in place."""
    size = solution.size
    gradient = -projected.copy()
    for k in range(size):
        if solution[k] != 0:
            for j in range(size):
                gradient[j] += normal[j, k] * solution[k]
    for _ in range(sweeps):
        largest = 0.0
        for k in range(size):
            diagonal = normal[k, k]
            if diagonal <= 0:
                continue
            wanted = max(0.0, solution[k] - gradient[k] / diagonal)
            step = wanted - solution[k]
            if step != 0:
                solution[k] = wanted
                for j in range(size):
                    gradient[j] += normal[k, j] * step
                # In units of the coordinate's own standard error.
                largest = max(largest, step * step * diagonal)
        if largest < tolerance:
            break


@compiled()
def solve(projected, normal, inverse, spread, floor, amplitudes, errors):  # type: ignore[no-untyped-def]
    """Fit projected counts (P, K); the rest as in :class:`.PixelSolver`, results in place."""
    pixels, size = projected.shape
    solution = np.empty(size)
    right = np.empty(size)
    for pixel in range(pixels):
        bounded = False
        for k in range(size):
            right[k] = projected[pixel, k]
        for k in range(size):
            total = 0.0
            for j in range(size):
                total += inverse[k, j] * right[j]
            solution[k] = max(total, 0.0)
            bounded = bounded or total < 0
        if bounded:
            _descend(normal, right, solution, _SWEEPS, 1e-4)
        for k in range(size):
            variance = floor[k]
            for j in range(size):
                variance += spread[k, j] * solution[j]
            amplitudes[pixel, k] = solution[k]
            errors[pixel, k] = math.sqrt(variance)
