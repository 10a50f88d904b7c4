"""When a pixel fits no mineral: thresholds of misfit, calibrated by simulation at every count level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.likelihood import Likelihood, model_error
from napari_xrf.minerals.templates import Templates

SEED = 20260701  # thresholds are the same in every run
COUNT_LEVELS = (30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
SPECTRA_PER_LEVEL = 1_500
# Relative errors of expected spectra: from a well-modelled tube to a standardless electron probe.
TOLERANCES = (0.1, 0.2, 0.3, 0.4)
_FITS = 3.0  # standard deviations of misfit
_PART_THAT_FITS = 2 / 3
_SAMPLED_ROWS, _SAMPLED_COLUMNS = 24, 24


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


def estimate_tolerance(
    cube: SpectralCube, templates: Templates, progress: Progress = ignore_progress
) -> float:
    """Return the smallest of :data:`TOLERANCES` under which two thirds of the map fit some mineral.

    Judged on pixels spread evenly over the map. Where even the largest leaves more unexplained,
    it is returned: then most of the map is something else, or the model of the instrument is wrong.
    """
    from napari_xrf.minerals.likelihood_kernels import binned_counts

    counts = binned_counts(_spread_pixels(cube), templates.bins)
    counts = counts[counts.any(axis=1)]
    ordered, class_of = templates.by_class([(index,) for index in np.unique(templates.owner).tolist()])
    likelihood = Likelihood.of(ordered, class_of, model_error(templates.bins, TOLERANCES[0]))
    first, second = likelihood.best(counts, 3)
    for done, tolerance in enumerate(TOLERANCES):
        likelihood = replace(likelihood, errors=model_error(templates.bins, tolerance))
        evidence, misfit = likelihood.fit(counts, first, second)
        best = misfit[np.arange(counts.shape[0]), evidence.argmax(axis=1)]
        progress(done + 1, len(TOLERANCES), "estimating the model's error")
        if np.mean(best < _FITS) >= _PART_THAT_FITS:
            return tolerance
    return TOLERANCES[-1]


def _spread_pixels(cube: SpectralCube) -> NDArray[np.generic]:
    """Spectra, (n, E), of some hundred pixels spread evenly over the map."""
    rows, columns, _ = cube.shape
    y = np.unique(np.linspace(0, rows - 1, _SAMPLED_ROWS).round().astype(int))
    x = np.unique(np.linspace(0, columns - 1, _SAMPLED_COLUMNS).round().astype(int))
    return np.concatenate([np.asarray(cube.counts[int(row)])[x] for row in y])


def misfit_threshold(
    likelihood: Likelihood,
    level: float,
    most_counts: float,
    progress: Progress = ignore_progress,
) -> MisfitThreshold:
    """Simulate spectra of all compositions, classify them as pixels are, and return the quantile of misfit.

    Each simulated spectrum is a composition with continuum between half and twice the expected one, each
    bin off by a random factor as in its errors, and Poisson noise.
    """
    generator = np.random.default_rng(SEED)
    counts = [each for each in COUNT_LEVELS if each < 3.2 * most_counts] or [COUNT_LEVELS[0]]
    thresholds = []
    for done, each in enumerate(counts):
        spectra = _simulate(likelihood, each, generator)
        _, misfit = likelihood.fit(spectra, *likelihood.best(spectra, 1))
        thresholds.append(_upper_quantile(misfit[:, 0], level))
        progress(done + 1, len(counts), "simulating spectra")
    return MisfitThreshold(np.array(counts, dtype=np.float64), np.array(thresholds), level)


def _simulate(likelihood: Likelihood, counts: float, generator: np.random.Generator) -> NDArray[np.float32]:
    templates = likelihood.templates
    chosen = generator.integers(templates.size, size=SPECTRA_PER_LEVEL)
    factor = np.exp(generator.uniform(-np.log(2), np.log(2), size=(chosen.size, 1)))
    expected = templates.lines[chosen] + factor * templates.continuum[chosen]
    expected *= counts / expected.sum(axis=1, keepdims=True)
    shape = 1 / likelihood.errors.tolerance**2
    expected *= generator.gamma(shape, 1 / shape, size=expected.shape)
    return generator.poisson(expected).astype(np.float32)


def _upper_quantile(values: NDArray[np.floating], level: float) -> float:
    """Quantile of the upper tail; beyond what the sample reaches, as of a normal tail."""
    from scipy.special import ndtri

    reached = max(level, 10 / values.size)
    middle, upper = (float(each) for each in np.quantile(values, (0.5, 1 - reached)))
    return middle + (upper - middle) * float(ndtri(1 - level) / ndtri(1 - reached))
