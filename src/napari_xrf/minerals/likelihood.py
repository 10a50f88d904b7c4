"""How likely the counts of pixels are if they come from given minerals.

A pixel's expectation is ``a·lines + b·continuum`` of a composition with both amounts free, the continuum
tied loosely to its expected share. Models of spectra are not exact (:class:`ModelError`): averaged over
their errors the Poisson likelihood becomes the negative-binomial one, which is Poisson at few counts and
forgives strong peaks their small errors at many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.templates import FLOOR, EnergyBins, Templates

CONTINUUM_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
CONTINUA = 4  # shapes in a mixture of compositions: edges of their elements show in the scattered continuum
CONTINUUM_SPREAD = 0.7  # a factor of two either way: roughness, coating, errors of scatter models
# Below 1 keV attenuation and yields are known to some ten per cent only, and windows and coatings matter:
# the tolerance grows as 1 + (SOFT_KEV / E)².
SOFT_KEV = 0.7
_STEPS_PER_DOUBLING = 3

Evidence = NDArray[np.float32]


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

    @property
    def tables(self) -> tuple[NDArray[np.float64] | NDArray[np.intp], ...]:
        """All of them, as compiled code takes them."""
        return self.tolerance, self.level, self.log_means, self.means, self.variances


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


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Classes that pixels are compared with.

    Attributes
    ----------
    templates
        Expected spectra of T compositions, sorted by class.
    errors
        How far these may be off.
    class_of
        (T,) class of each composition, 0, 1, …, rising.
    starts
        First composition of each class.
    logarithms
        (B, T·H) float32 log probability per count of every composition at H levels of continuum.
    penalties
        (T·H,) float32 subtracted for a continuum that is not as expected.
    """

    templates: Templates
    errors: ModelError
    class_of: NDArray[np.intp]
    starts: NDArray[np.intp]
    logarithms: NDArray[np.float32]
    penalties: NDArray[np.float32]

    @classmethod
    def of(cls, templates: Templates, class_of: NDArray[np.intp], errors: ModelError) -> Likelihood:
        """Prepare templates whose compositions belong to classes 0, 1, …, rising."""
        spectra = templates.spectra(CONTINUUM_FACTORS)
        logarithms = np.log(spectra).reshape(-1, templates.bins.size).T
        penalty = 0.5 * (np.log(CONTINUUM_FACTORS) / CONTINUUM_SPREAD) ** 2
        return cls(
            templates,
            errors,
            class_of,
            np.flatnonzero(np.diff(class_of, prepend=-1)),
            np.ascontiguousarray(logarithms, dtype=np.float32),
            np.tile(penalty, templates.size).astype(np.float32),
        )

    def best(self, counts: NDArray[np.float32], keep: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return for pixels (n, B) the best compositions of the ``keep`` best classes, and the runners-up.

        Returns
        -------
        first, second : (n, K)
            Indices of the best and of the second-best composition of each of these classes (the same one
            where a class has only one); the best class first.
        """
        each = (counts @ self.logarithms - self.penalties).reshape(counts.shape[0], self.class_of.size, -1)
        per_template = each.max(axis=2)
        per_class = np.maximum.reduceat(per_template, self.starts, axis=1)
        keep = min(keep, self.starts.size)
        order = np.argpartition(-per_class, keep - 1, axis=1)[:, :keep]
        order = np.take_along_axis(
            order, np.argsort(-np.take_along_axis(per_class, order, axis=1), axis=1), axis=1
        )
        return self._best_of_classes(per_template, order)

    def _best_of_classes(
        self, per_template: NDArray[np.float32], order: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        first, second = np.empty_like(order), np.empty_like(order)
        stops = np.append(self.starts[1:], self.class_of.size)
        for which in np.unique(order):
            pixel, rank = np.nonzero(order == which)
            start, stop = self.starts[which], stops[which]
            own = per_template[pixel, start:stop]
            first[pixel, rank] = start + own.argmax(axis=1)
            if stop - start > 1:
                both = np.argpartition(-own, 1, axis=1)[:, :2]
                best = own.argmax(axis=1)[:, None]
                second[pixel, rank] = start + np.where(both[:, :1] == best, both[:, 1:], both[:, :1])[:, 0]
            else:
                second[pixel, rank] = start
        return first, second

    def fit(
        self, counts: NDArray[np.float32], first: NDArray[np.intp], second: NDArray[np.intp]
    ) -> tuple[Evidence, Evidence]:
        """Fit each pixel by a mixture of the lines of two compositions of a mineral and its continuum.

        Parameters
        ----------
        counts
            (n, B) counts per bin.
        first, second
            (n, K) compositions to mix, per candidate.

        Returns
        -------
        evidence : (n, K) log-likelihood, up to a constant per pixel, less the penalty of the continuum
        misfit : (n, K) deviance less its expectation, in standard deviations
        """
        from napari_xrf.minerals import likelihood_kernels

        evidence, misfit = (np.empty(first.shape, dtype=np.float32) for _ in range(2))
        likelihood_kernels.fit_candidates(
            counts, first, second, self.templates.lines, self.templates.continuum, FLOOR, CONTINUUM_SPREAD,
            *self.errors.tables, evidence, misfit,
        )  # fmt: skip
        return evidence, misfit

    def fit_class(self, counts: NDArray[np.float32], which: int) -> tuple[Evidence, Evidence]:
        """Fit each pixel by a mixture of all compositions of a class and of their most different continua.

        For the few pixels that two compositions do not explain: ranges of several elements at once.

        Returns
        -------
        evidence, misfit : (n,) as of :meth:`fit`
        """
        from napari_xrf.minerals import likelihood_kernels

        members, templates = np.flatnonzero(self.class_of == which), self.templates
        rest = _most_different(templates.continuum[members], CONTINUA)
        columns = np.vstack([templates.lines[members], rest])
        deviance, misfit = (np.empty(counts.shape[0], dtype=np.float32) for _ in range(2))
        amounts = np.empty((counts.shape[0], columns.shape[0]))
        likelihood_kernels.fit_mixtures(
            counts.astype(np.float64), columns, FLOOR, *self.errors.tables, deviance, misfit, amounts
        )
        expected = amounts[:, : members.size] @ templates.continuum[members].sum(axis=1)
        found = amounts[:, members.size :] @ rest.sum(axis=1)
        factor = np.clip(found / np.maximum(expected, 1e-9), 1 / 30, 30)
        telling = 0.01 < rest.sum(axis=1).mean() < 0.99
        penalty = (np.log(factor) / CONTINUUM_SPREAD) ** 2 if telling else np.zeros(factor.size)
        return (-0.5 * (deviance + penalty)).astype(np.float32), misfit


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


def _most_different(spectra: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return the first of the spectra and those whose shapes lie farthest from all chosen before."""
    shapes = spectra / np.maximum(spectra.sum(axis=1, keepdims=True), 1e-12)
    chosen = [0]
    distance = np.abs(shapes - shapes[0]).sum(axis=1)
    while len(chosen) < min(number, shapes.shape[0]) and distance.max() > 1e-6:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(shapes - shapes[chosen[-1]]).sum(axis=1))
    return spectra[chosen]
