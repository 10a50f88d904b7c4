"""Probabilities of minerals from likelihoods, their shares in the map and what lies around a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 20
_SMOOTHINGS = 2


def class_probabilities(
    scores: NDArray[np.float32], held: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], float]:
    """Return the probabilities of classes in pixels, and how much the neighbours tell.

    The prior of a pixel is a mixture of the classes' shares in the map and of the mean probabilities of its
    eight neighbours; shares and the weight of the neighbours are those that make the map most probable
    (expectation maximisation), so that a map without grains is not smoothed.

    Parameters
    ----------
    scores
        (n, M) minus twice the log-likelihoods of the measured pixels in row order.
    held
        (Y, X) which pixels were measured.

    Returns
    -------
    probabilities : (n, M)
    coherence : weight of the neighbours, 0 to 1
    """
    likelihood = relative_likelihood(scores)
    probability, shares = class_shares(scores)
    coherence = 0.5
    for _ in range(_SMOOTHINGS):
        near = neighbour_mean(probability, held)
        coherence = _weight(likelihood, shares, near, coherence)
        probability = likelihood * ((1 - coherence) * shares + coherence * near)
        probability /= np.maximum(probability.sum(axis=1, keepdims=True), 1e-30)
    return probability, coherence


def class_shares(scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the probabilities of classes in pixels, (n, M), and the shares (M,) under which these arise."""
    likelihood = relative_likelihood(scores)
    shares = np.full(scores.shape[1], 1 / scores.shape[1], dtype=np.float32)
    for _ in range(ROUNDS):
        probability = likelihood * shares
        probability /= probability.sum(axis=1, keepdims=True)
        # One pixel's worth over all classes keeps every class possible.
        shares = (probability.sum(axis=0) + 1 / shares.size) / (probability.shape[0] + 1)
    return probability, shares


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


def _weight(
    likelihood: NDArray[np.float32],
    shares: NDArray[np.float32],
    near: NDArray[np.float32],
    start: float,
) -> float:
    """Return the weight of the neighbours under which the pixels are most probable."""
    alone = likelihood @ shares
    together = np.einsum("nm,nm->n", likelihood, near)
    weight = start
    for _ in range(ROUNDS):
        part = weight * together / np.maximum(weight * together + (1 - weight) * alone, 1e-30)
        weight = float(np.clip(part.mean(), 1e-3, 0.98))
    return weight
