"""How likely the counts of pixels are if they come from given minerals.

A pixel's expectation is ``a·lines + b·continuum`` of a composition with both amounts free, the continuum
tied loosely to its expected share. Models of spectra are not exact (:mod:`.model_error`): averaged over
their errors the Poisson likelihood becomes the negative-binomial one, which is Poisson at few counts and
forgives strong peaks their small errors at many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.model_error import ModelError
from napari_xrf.minerals.templates import FLOOR, Templates

CONTINUUM_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
CONTINUA = 4  # shapes in a mixture of compositions: edges of their elements show in the scattered continuum
CONTINUUM_SPREAD = 0.7  # a factor of two either way: roughness, coating, errors of scatter models

Evidence = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scan:
    """The first look at pixels: every composition at a few levels of continuum.

    Attributes
    ----------
    logarithms
        (B, T·H) float32 log probability per count.
    penalties
        (T·H,) float32 subtracted for a continuum that is not as expected.
    class_of
        (T,) class of each composition.
    starts
        First composition of each class; compositions are sorted by class.
    """

    logarithms: NDArray[np.float32]
    penalties: NDArray[np.float32]
    class_of: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, templates: Templates, class_of: NDArray[np.intp]) -> Scan:
        """Prepare templates whose compositions belong to classes 0, 1, …, rising."""
        spectra = templates.spectra(CONTINUUM_FACTORS)
        logarithms = np.log(spectra).reshape(-1, templates.bins.size).T
        penalty = 0.5 * (np.log(CONTINUUM_FACTORS) / CONTINUUM_SPREAD) ** 2
        starts = np.flatnonzero(np.diff(class_of, prepend=-1))
        return cls(
            np.ascontiguousarray(logarithms, dtype=np.float32),
            np.tile(penalty, templates.size).astype(np.float32),
            class_of,
            starts,
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


def fit_candidates(
    counts: NDArray[np.float32],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    templates: Templates,
    errors: ModelError,
) -> tuple[Evidence, Evidence, Evidence]:
    """Fit each pixel by a mixture of the lines of two compositions of a mineral and its continuum.

    Parameters
    ----------
    counts
        (n, B) counts per bin.
    first, second
        (n, K) compositions to mix, per candidate.
    templates
        The expected spectra.
    errors
        How far these may be off.

    Returns
    -------
    evidence : (n, K) log-likelihood, up to a constant per pixel, less the penalty of the continuum
    misfit : (n, K) deviance less its expectation, in standard deviations
    factors : (n, K) how many times the expected continuum was found
    """
    from napari_xrf.minerals import likelihood_kernels

    evidence, misfit, factors = (np.empty(first.shape, dtype=np.float32) for _ in range(3))
    likelihood_kernels.fit_candidates(
        counts, first, second, templates.lines, templates.continuum, FLOOR, CONTINUUM_SPREAD,
        errors.tolerance, errors.level, errors.log_means, errors.means, errors.variances,
        evidence, misfit, factors,
    )  # fmt: skip
    return evidence, misfit, factors


def fit_mixtures(
    counts: NDArray[np.float32], members: NDArray[np.intp], templates: Templates, errors: ModelError
) -> tuple[Evidence, Evidence]:
    """Fit each pixel by a mixture of all compositions of a class and of their most different continua.

    For the few pixels that two compositions do not explain: ranges of several elements at once.

    Parameters
    ----------
    counts
        (n, B) counts per bin.
    members
        Indices of the compositions.
    templates, errors
        The expected spectra, and how far these may be off.

    Returns
    -------
    evidence, misfit : (n,) as of :func:`fit_candidates`
    """
    from napari_xrf.minerals import likelihood_kernels

    rest = _most_different(templates.continuum[members], CONTINUA)
    columns = np.vstack([templates.lines[members], rest])
    deviance, misfit = (np.empty(counts.shape[0], dtype=np.float32) for _ in range(2))
    amounts = np.empty((counts.shape[0], columns.shape[0]))
    likelihood_kernels.fit_mixtures(
        counts.astype(np.float64), columns, FLOOR, errors.tolerance, errors.level, errors.log_means,
        errors.means, errors.variances, deviance, misfit, amounts,
    )  # fmt: skip
    expected = amounts[:, : members.size] @ templates.continuum[members].sum(axis=1)
    found = amounts[:, members.size :] @ rest.sum(axis=1)
    factor = np.clip(found / np.maximum(expected, 1e-9), 1 / 30, 30)
    telling = 0.01 < rest.sum(axis=1).mean() < 0.99
    penalty = (np.log(factor) / CONTINUUM_SPREAD) ** 2 if telling else np.zeros(factor.size)
    return (-0.5 * (deviance + penalty)).astype(np.float32), misfit


def _most_different(spectra: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return the first of the spectra and those whose shapes lie farthest from all chosen before."""
    shapes = spectra / np.maximum(spectra.sum(axis=1, keepdims=True), 1e-12)
    chosen = [0]
    distance = np.abs(shapes - shapes[0]).sum(axis=1)
    while len(chosen) < min(number, shapes.shape[0]) and distance.max() > 1e-6:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(shapes - shapes[chosen[-1]]).sum(axis=1))
    return spectra[chosen]
