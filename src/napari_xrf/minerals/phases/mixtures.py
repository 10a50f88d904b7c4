"""How much of each phase a pixel holds, when it is a mixture of the phases around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.likelihood.binned_map import BinnedMap
from napari_xrf.minerals.mixing.mixtures import Peers
from napari_xrf.minerals.phases.ends import APART, LEAST_PIXELS

_NEAR = 9  # pixels, side of the square in which a phase must lie to be mixed in
_ROUNDS, _LAST_ROUNDS = 40, 20
_COST = 8.0  # of deviance, that a mixture has to explain beyond one phase
_TRACE = 0.05  # of the largest part: less is noise
_MISFITS = 8.0  # robust standard deviations
_AREA_ERROR = 0.1  # of parts, beside that of the counts


@dataclass(frozen=True, eq=False)
class Parts:
    """What pixels are made of: areas (Y, X, K), and the deviance (Y, X) of the fit per bin."""

    areas: NDArray[np.float32]
    deviance: NDArray[np.float32]


def sure_pixels(
    binned: BinnedMap, ends: NDArray[np.float64], slack: float = 1.0, progress: Progress = ignore_progress
) -> NDArray[np.intp]:
    """Return which end (Y, X) explains a pixel by itself; -1 where none does.

    ``slack`` is a factor of what a phase may vary.
    """
    sure = np.full(binned.shape, -1, dtype=np.intp)
    shapes = ends.astype(np.float32)
    for band, counts in binned.bands("comparing pixels with phases", progress):
        flat = counts.reshape(-1, counts.shape[2])
        single = _best_single(flat, shapes)
        enough = (_deviance(flat, single @ shapes) < _simple(flat, slack)) & flat.any(axis=1)
        sure[band] = np.where(enough, single.argmax(axis=1), -1).reshape(counts.shape[:2])
    return sure


def refined(binned: BinnedMap, ends: NDArray[np.float64], sure: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean spectra of the pixels that are one end; an end of few such pixels stays as it is."""
    sums, pixels = np.zeros_like(ends), np.zeros(len(ends))
    for band, counts in binned.bands("averaging phases"):
        own = sure[band].ravel()
        flat = counts.reshape(-1, counts.shape[2])
        for end in np.unique(own[own >= 0]):
            sums[end] += flat[own == end].sum(axis=0, dtype=np.float64)
            pixels[end] += (own == end).sum()
    enough = pixels >= LEAST_PIXELS
    return np.where(enough[:, np.newaxis], sums / np.maximum(pixels, 1)[:, np.newaxis], ends)


def near_ends(sure: NDArray[np.intp], number: int) -> NDArray[np.bool_]:
    """Return which ends (Y, X, K) a pixel may hold: those that five of nine pixels near it are for sure."""
    from scipy import ndimage

    near = np.zeros((*sure.shape, number), bool)
    for end in range(number):
        share = ndimage.uniform_filter((sure == end).astype(np.float32), 3, mode="nearest")
        near[..., end] = ndimage.maximum_filter(share, _NEAR) >= (LEAST_PIXELS - 0.5) / 9
    return near


def unmix(
    binned: BinnedMap,
    ends: NDArray[np.float64],
    near: NDArray[np.bool_],
    progress: Progress = ignore_progress,
) -> Parts:
    """Return the areas of ends (K, B) in each pixel.

    A pixel is one end where that explains it; else a mixture of those ``near`` it (Y, X, K) and of the
    likeliest one; and of all where these do not suffice.
    """
    areas = np.zeros((*binned.shape, len(ends)), np.float32)
    deviance = np.zeros(binned.shape, np.float32)
    shapes = ends.astype(np.float32)
    for band, counts in binned.bands("unmixing pixels", progress):
        flat = counts.reshape(-1, counts.shape[2])
        found = _best_single(flat, shapes)
        misfit = _deviance(flat, found @ shapes)
        allowed = near[band].reshape(-1, len(ends)) | (found > 0)
        for candidates in (allowed, np.ones_like(allowed)):
            rest = np.flatnonzero(misfit >= _simple(flat))
            mixed = _amounts(flat[rest], shapes, candidates[rest])
            closer = _deviance(flat[rest], mixed @ shapes)
            # Simplicity first: parts have to explain more than noise, and more than a phase varies.
            better = misfit[rest] - closer > _COST + APART / 2 * flat[rest].sum(axis=1)
            found[rest[better]], misfit[rest[better]] = mixed[better], closer[better]
        areas[band] = found.reshape(*counts.shape[:2], -1)
        deviance[band] = (misfit / flat.shape[1]).reshape(counts.shape[:2])
    return Parts(areas, deviance)


def misfitting(deviance: NDArray[np.float32], totals: NDArray[np.float32], bins: int) -> NDArray[np.bool_]:
    """Return the pixels that no mixture explains.

    They misfit as no other pixels of about their counts do, and by more than what parts two phases.
    """
    found = totals > 0
    measured, counts = deviance[found], totals[found]
    apart = Peers.of(measured, counts).misfit(measured, counts) > _MISFITS
    found[found] = apart & (measured > 1 + APART * counts / bins)
    return found


def confidence(
    areas: NDArray[np.float32], totals: NDArray[np.float32], ends: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return how probable (Y, X) it is that the largest part is the largest indeed."""
    from scipy.special import ndtr

    if areas.shape[2] == 1:
        return np.where(totals > 0, 1.0, 0.0).astype(np.float32)
    order = np.argsort(-areas, axis=2)[..., :2]
    shares = np.take_along_axis(areas, order, axis=2) / np.maximum(areas.sum(axis=2, keepdims=True), 1e-12)
    shapes = ends / np.maximum(ends.sum(axis=1, keepdims=True), 1e-12)
    mean = np.maximum(shapes.mean(axis=0), 1e-6)
    between = ((shapes[:, np.newaxis] - shapes[np.newaxis]) ** 2 / mean).sum(axis=2)
    told = between[order[..., 0], order[..., 1]] * np.maximum(totals, 1)
    error = np.sqrt(4 / np.maximum(told, 1e-9) + _AREA_ERROR**2)
    return np.where(totals > 0, ndtr((shares[..., 0] - shares[..., 1]) / error), 0).astype(np.float32)


def _simple(counts: NDArray[np.float32], slack: float = 1.0) -> NDArray[np.float32]:
    """Return the deviance of noise and of a phase's variation: below it nothing is left to explain."""
    bins = counts.shape[1]
    return np.asarray(bins + np.sqrt(2 * bins) + _COST + slack * APART / 2 * counts.sum(axis=1))


def _best_single(counts: NDArray[np.float32], ends: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the amounts (n, K) of the one end under which each pixel is most likely."""
    sums = np.maximum(ends.sum(axis=1), 1e-12)
    best = (counts @ np.log(np.maximum(ends / sums[:, np.newaxis], 1e-7)).T).argmax(axis=1)
    amounts = np.zeros((len(counts), len(ends)), np.float32)
    amounts[np.arange(len(counts)), best] = counts.sum(axis=1) / sums[best]
    return amounts


def _deviance(counts: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    floor = np.maximum(expected, 1e-6)
    terms = counts * np.log(np.maximum(counts, 1e-6) / floor) - counts + floor
    return np.asarray(2 * terms.sum(axis=1))


def _amounts(
    counts: NDArray[np.float32], ends: NDArray[np.float32], allowed: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the amounts (n, K) by Poisson expectation maximisation; parts that are noise are left out."""
    sums = np.maximum(ends.sum(axis=1), 1e-12)
    start = allowed.astype(np.float32)
    amounts = start * (counts.sum(axis=1, keepdims=True) / sums / start.sum(axis=1, keepdims=True))
    for rounds in (_ROUNDS, _LAST_ROUNDS):
        for _ in range(rounds):
            amounts *= (counts / np.maximum(amounts @ ends, 1e-9)) @ ends.T / sums
        amounts[amounts < _TRACE * amounts.max(axis=1, keepdims=True)] = 0
    return amounts
