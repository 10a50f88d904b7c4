"""How counts become the numbers that a network takes. No torch here."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.parameters import Choices, Limits, parameters

_LOG_STEEPNESS = 100.0  # log(1 + 100 x) / log(101): a peak of a hundredth of the highest stands at 0.15


@parameters
class Preprocessing:
    """From counts to inputs; "raw" and "preprocessed" of a comparison are two of these.

    Attributes
    ----------
    scale
        ``"sum"``: counts per channel over the mean channel; ``"max"``: over the highest; ``"none"``: as they
        are.
    transform
        Of the scaled counts: ``"sqrt"`` makes Poisson noise even, ``"log"`` lifts weak peaks.
    baseline
        Whether a smooth baseline is taken off first.
    baseline_kev
        Half the width of what counts as a peak and not as baseline, keV.
    """

    scale: Annotated[str, Choices(("none", "sum", "max"))] = "sum"
    transform: Annotated[str, Choices(("none", "sqrt", "log"))] = "sqrt"
    baseline: bool = False
    baseline_kev: Annotated[float, Limits(0.05, 10, "keV")] = 0.6


def prepare(
    counts: NDArray[np.generic], preprocessing: Preprocessing, channel_kev: float
) -> NDArray[np.float32]:
    """Return the inputs (N, E) of N spectra of counts (N, E); empty spectra give zeros.

    ``channel_kev``: width of a channel, keV.
    """
    values = np.asarray(counts, dtype=np.float32)
    if preprocessing.baseline:
        reach = max(1, round(preprocessing.baseline_kev / channel_kev))
        values = np.asarray(np.maximum(values - _baselines(values, reach), 0), dtype=np.float32)
    if preprocessing.scale != "none":
        top = (values.mean if preprocessing.scale == "sum" else values.max)(axis=1, keepdims=True)
        values = np.asarray(values / np.where(top > 0, top, 1), dtype=np.float32)
    if preprocessing.transform == "sqrt":
        values = np.sqrt(values, dtype=np.float32)
    elif preprocessing.transform == "log":
        values = np.log1p(_LOG_STEEPNESS * values).astype(np.float32) / np.float32(np.log1p(_LOG_STEEPNESS))
    return np.ascontiguousarray(values, dtype=np.float32)


def dose_of(counts: NDArray[np.generic], counts_range: tuple[float, float]) -> NDArray[np.float32]:
    """Return log10 of the counts of each spectrum (N,), kept within what a model was trained on."""
    total = np.asarray(counts).sum(axis=1, dtype=np.float64)
    return np.log10(np.clip(total, max(counts_range[0], 1.0), counts_range[1])).astype(np.float32)


def _baselines(spectra: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Return baselines (N, E) by peak clipping of square roots (SNIP; Ryan et al., NIM B 34 (1988) 396)."""
    work = np.sqrt(spectra)
    for width in range(reach, 0, -1):
        if 2 * width >= work.shape[1]:
            continue
        beside = 0.5 * (work[:, 2 * width :] + work[:, : -2 * width])
        work[:, width:-width] = np.minimum(work[:, width:-width], beside)
    return np.asarray(work * work, dtype=np.float32)
