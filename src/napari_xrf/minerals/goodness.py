"""When a pixel fits no mineral: thresholds of misfit, calibrated by simulation at every count level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.likelihood import Scan, fit_candidates
from napari_xrf.minerals.templates import Templates

SEED = 20260701  # thresholds are the same in every run
COUNT_LEVELS = (30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
SPECTRA_PER_LEVEL = 1_500


@dataclass(frozen=True, eq=False)
class MisfitThreshold:
    """The misfit that only a share ``level`` of pixels of known minerals exceeds.

    Attributes
    ----------
    counts
        (L,) counts per pixel.
    misfit
        (L,) threshold at each.
    level
        The share of good pixels that is called unknown by mistake.
    """

    counts: NDArray[np.float64]
    misfit: NDArray[np.float64]
    level: float

    def at(self, counts: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the threshold for pixels of the given counts."""
        return np.asarray(np.interp(np.log(np.maximum(counts, 1)), np.log(self.counts), self.misfit))


def misfit_threshold(
    templates: Templates,
    scan: Scan,
    tolerance: float,
    level: float,
    most_counts: float,
    progress: Progress = ignore_progress,
) -> MisfitThreshold:
    """Simulate spectra of all compositions, classify them as pixels are, and return the quantile of misfit.

    Each simulated spectrum is a composition with continuum between half and twice the expected one, each
    bin off by a gamma-distributed factor of the tolerance, and Poisson noise.
    """
    generator = np.random.default_rng(SEED)
    counts = [each for each in COUNT_LEVELS if each < 3.2 * most_counts] or [COUNT_LEVELS[0]]
    thresholds = []
    for done, each in enumerate(counts):
        spectra = _simulate(templates, each, tolerance, generator)
        first, second = scan.best(spectra, 1)
        _, misfit, _ = fit_candidates(spectra, first, second, templates, tolerance)
        thresholds.append(_upper_quantile(misfit[:, 0], level))
        progress(done + 1, len(counts), "simulating spectra")
    return MisfitThreshold(np.array(counts, dtype=np.float64), np.array(thresholds), level)


def _simulate(
    templates: Templates, counts: float, tolerance: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    chosen = generator.integers(templates.size, size=SPECTRA_PER_LEVEL)
    factor = np.exp(generator.uniform(-np.log(2), np.log(2), size=(chosen.size, 1)))
    expected = templates.lines[chosen] + factor * templates.continuum[chosen]
    expected *= counts / expected.sum(axis=1, keepdims=True)
    shape = 1 / tolerance**2
    expected *= generator.gamma(shape, 1 / shape, size=expected.shape)
    return generator.poisson(expected).astype(np.float32)


def _upper_quantile(values: NDArray[np.floating], level: float) -> float:
    """Quantile of the upper tail; beyond what the sample reaches, as of a normal tail."""
    from scipy.special import ndtri

    reached = max(level, 10 / values.size)
    middle, upper = (float(each) for each in np.quantile(values, (0.5, 1 - reached)))
    return middle + (upper - middle) * float(ndtri(1 - level) / ndtri(1 - reached))
