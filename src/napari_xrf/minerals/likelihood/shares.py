"""Probabilities of minerals from likelihoods, their shares in the map and what lies around a pixel."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads

ROUNDS = 20
SMOOTHINGS = 2


Band = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]


class Bands(Protocol):
    """Scores of a map, band by band."""

    def __call__(self, margin: int) -> Iterable[Band]:
        """Yield scores of measured pixels (n, M) of a band and of rows around it.

        With them come which pixels of these rows were measured, and which of the n stand in the band.
        """
        ...


@dataclass(frozen=True, eq=False)
class Prior:
    """What a map tells of its classes beside each pixel's own counts."""

    # first, shares: (M,) shares of the classes in the map, of the last two rounds
    first: NDArray[np.float32]
    shares: NDArray[np.float32]
    coherences: tuple[float, ...] = ()  # weight of the neighbours in each smoothing, 0 to 1

    def probability(self, scores: NDArray[np.float32], held: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the probabilities of classes in the measured pixels (n, M) of some rows.

        Those of the outer rows lack neighbours: as many on each side as there are smoothings.
        """
        likelihood = relative_likelihood(scores)
        probability = likelihood * self.first
        probability /= probability.sum(axis=1, keepdims=True)
        for coherence in self.coherences:
            near = neighbour_mean(probability, held)
            probability = likelihood * ((1 - coherence) * self.shares + coherence * near)
            probability /= np.maximum(probability.sum(axis=1, keepdims=True), 1e-30)
        return probability


def learn_prior(bands: Bands, classes: int) -> Prior:
    """Return the prior of so many classes of a map.

    The prior of a pixel is a mixture of the classes' shares in the map and of the mean probabilities of its
    eight neighbours; shares and the weight of the neighbours are those that make the map most probable
    (expectation maximisation), so that a map without grains is not smoothed.
    """
    shares = first = np.full(classes, 1 / classes, dtype=np.float32)
    for _ in range(ROUNDS):
        total, number = np.zeros(classes), 0
        for part, pixels in in_threads(partial(_sum_of, shares), bands(0)):
            total += part
            number += pixels
        first, shares = shares, _shares_of(total, number)
    prior = Prior(first, shares)
    coherence = 0.5
    for done in range(SMOOTHINGS):
        both = in_threads(partial(_alone_and_together, prior), bands(done + 1))
        alone, together = (np.concatenate(each) for each in zip(*both, strict=True))
        coherence = _weight(alone, together, coherence)
        prior = replace(prior, coherences=(*prior.coherences, coherence))
    return prior


def _sum_of(shares: NDArray[np.float32], band: Band) -> tuple[NDArray[np.float64], int]:
    """Return the sum of the probabilities (M,) of classes under their shares in a band, and its pixels."""
    scores, _, inner = band
    probability = relative_likelihood(scores[inner]) * shares
    probability /= probability.sum(axis=1, keepdims=True)
    return probability.sum(axis=0, dtype=np.float64), probability.shape[0]


def _alone_and_together(prior: Prior, band: Band) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return likelihoods (n,) of the pixels of a band, under the shares and under what lies around."""
    scores, held, inner = band
    likelihood = relative_likelihood(scores[inner])
    near = neighbour_mean(prior.probability(scores, held), held)[inner]
    return likelihood @ prior.shares, np.einsum("nm,nm->n", likelihood, near)


def class_shares(scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the probabilities of classes in pixels, (n, M), and the shares (M,) under which these arise."""
    likelihood = relative_likelihood(scores)
    shares = np.full(scores.shape[1], 1 / scores.shape[1], dtype=np.float32)
    for _ in range(ROUNDS):
        probability = likelihood * shares
        probability /= probability.sum(axis=1, keepdims=True)
        shares = _shares_of(probability.sum(axis=0), probability.shape[0])
    return probability, shares


def _shares_of(total: NDArray[np.floating], pixels: int) -> NDArray[np.float32]:
    # One pixel's worth over all classes keeps every class possible.
    return np.asarray((total + 1 / total.size) / (pixels + 1), dtype=np.float32)


def relative_likelihood(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return likelihoods (n, M) over that of the best class."""
    return np.asarray(np.exp(-0.5 * (scores - scores.min(axis=1, keepdims=True))))


def neighbour_mean(values: NDArray[np.float32], held: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the mean over the measured ones of each pixel's eight neighbours, (n, M); zero without any."""
    from scipy.ndimage import correlate

    ring = np.ones((3, 3), dtype=np.float32)
    ring[1, 1] = 0
    number = correlate(held.astype(np.float32), ring, mode="constant")[held]
    whole = np.zeros(held.shape, dtype=np.float32)
    mean = np.empty_like(values)
    for column in range(values.shape[1]):
        whole[held] = values[:, column]
        mean[:, column] = correlate(whole, ring, mode="constant")[held]
    return np.asarray(mean / np.maximum(number, 1)[:, None])


def _weight(alone: NDArray[np.float32], together: NDArray[np.float32], start: float) -> float:
    """Return the weight of the neighbours under which the pixels are most probable.

    (n,) likelihoods under the shares, and under what lies around.
    """
    weight = start
    for _ in range(ROUNDS):
        part = weight * together / np.maximum(weight * together + (1 - weight) * alone, 1e-30)
        weight = float(np.clip(part.mean(), 1e-3, 0.98))
    return weight
