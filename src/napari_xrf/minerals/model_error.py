"""How far expected spectra are off, and what misfit that leaves to expect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.energy_bins import EnergyBins

# Below 1 keV attenuation and yields are known to some ten per cent only, and windows and coatings matter:
# the tolerance grows as 1 + (SOFT_KEV / E)².
SOFT_KEV = 0.7
_STEPS_PER_DOUBLING = 3


@dataclass(frozen=True, eq=False)
class ModelError:
    """Relative errors of the expected spectra, and the deviances that follow from them.

    A bin's expectation is taken to be off by a gamma-distributed factor of mean 1 and standard deviation
    ``tolerance``; counts are then negative-binomial, of variance ``µ + (tolerance·µ)²``.

    Attributes
    ----------
    tolerance
        (B,) per bin.
    level
        (B,) row of the tables for each bin.
    log_means
        (G,) natural logarithms of expected counts, evenly spaced.
    means, variances
        (L, G) of a bin's deviance when it expects that many counts.
    """

    tolerance: NDArray[np.float64]
    level: NDArray[np.intp]
    log_means: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]


def model_error(bins: EnergyBins, tolerance: float) -> ModelError:
    """Return the errors of expected spectra in bins.

    Parameters
    ----------
    bins
        The energy bins.
    tolerance
        Relative standard deviation per bin at high energies; it rises towards low ones.
    """
    raised = 1 + (SOFT_KEV / np.maximum(bins.energies, 0.1)) ** 2
    # A few levels serve all bins: the tables of each take time.
    steps = np.rint(np.log2(raised) * _STEPS_PER_DOUBLING)
    levels, index = np.unique(steps, return_inverse=True)
    values = [tolerance * 2 ** (float(step) / _STEPS_PER_DOUBLING) for step in levels]
    tables = [deviance_moments(value) for value in values]
    return ModelError(
        np.array(values)[index],
        index.astype(np.intp),
        tables[0][0],
        np.array([table[1] for table in tables]),
        np.array([table[2] for table in tables]),
    )


@lru_cache(maxsize=128)
def deviance_moments(
    tolerance: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and variance of a bin's deviance as a function of its expectation.

    At few counts a deviance is far from chi-squared; the moments are summed over the distribution itself.

    Returns
    -------
    log_means : (G,) natural logarithms of the expectation, evenly spaced
    means, variances : (G,)
    """
    from scipy.stats import nbinom

    shape = 1 / tolerance**2
    grid = np.linspace(math.log(1e-4), math.log(1e3), 80)
    means, variances = np.empty(grid.size), np.empty(grid.size)
    for index, level in enumerate(np.exp(grid)):
        deviation = math.sqrt(level + level**2 / shape)
        values = np.arange(math.ceil(level + 12 * deviation) + 12, dtype=np.float64)
        chance = nbinom.pmf(values, shape, shape / (shape + level))
        deviance = -(values + shape) * np.log((values + shape) / (level + shape))
        deviance[1:] += values[1:] * np.log(values[1:] / level)
        deviance *= 2
        means[index] = chance @ deviance
        variances[index] = chance @ (deviance - means[index]) ** 2
    return grid, means, variances
