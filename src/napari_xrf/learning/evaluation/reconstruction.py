"""How well a network gives back the spectra that it sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_xrf.core.errors import InvalidInput

_LEAST_COUNTS = 1e-3  # expected in a channel: a network's zero is no proof that nothing comes


def score_reconstruction(spectrum: ArrayLike, counts: ArrayLike) -> dict[str, float]:
    """Compare reconstructed with counted spectra, (N, E) each.

    Returns
    -------
    ``"r2"``: part of the variance of all channels that is explained; ``"deviance"``: Poisson deviance per
    channel with counts or expectation, about 1 where noise alone is left and counts are many.

    Raises
    ------
    InvalidInput
        When shapes differ or there is nothing to compare.
    """
    expected, seen = np.asarray(spectrum, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if expected.shape != seen.shape or seen.ndim != 2 or not seen.size:
        raise InvalidInput(f"spectra {expected.shape} and counts {seen.shape} cannot be compared")
    mean = seen.mean(axis=0)
    spread = float(((seen - mean) ** 2).sum())
    left = float(((seen - expected) ** 2).sum())
    model = np.maximum(expected, _LEAST_COUNTS)
    ratio = np.log(np.where(seen > 0, seen, 1) / model)
    deviance = 2 * (np.where(seen > 0, seen * ratio, 0) - seen + model)
    used = (seen > 0) | (expected > _LEAST_COUNTS)
    return {
        "r2": 1 - left / spread if spread > 0 else float("nan"),
        "deviance": float(deviance[used].mean()) if used.any() else float("nan"),
    }
