"""Pixels as mixtures of the ends of their map: candidates, areas of classes, and what nothing explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from napari_xrf.minerals.ends import End
from napari_xrf.minerals.scan import FEW
from napari_xrf.minerals.unmixing import MOST_CANDIDATES, unmix

_REACH = 9  # pixels: candidates have grains within this square
_PLAIN_MISFIT = 3.0  # robust standard deviations: more is tried as a mixture
_EVERYWHERE = 16  # ends that are tried where those around do not fit
_OF_A_KIND, _OFTEN = 2, 20.0  # ends of a kind, and by how much its second one counts less
_TINY = 1e-9
_STRATA = 12
_LEAST_IN_STRATUM = 60
_MAD = 1.4826


@dataclass(frozen=True, eq=False)
class Mixtures:
    """What n pixels hold.

    Attributes
    ----------
    areas
        (n, K) of K classes, of sum 1; what nothing explains is left out.
    misfit
        (n,) deviance against pixels of similar counts, in robust standard deviations.
    lead
        (n,) of the largest class, in standard deviations.
    """

    areas: NDArray[np.float32]
    misfit: NDArray[np.float32]
    lead: NDArray[np.float32]


def unmix_map(
    counts: NDArray[np.float32],
    held: NDArray[np.bool_],
    ends: list[End],
    parts: NDArray[np.float32],
) -> Mixtures:
    """Unmix the measured pixels (n, B) of a map into ends that are parts (M, K) of K classes.

    Ends of the same classes are of one kind: the zones of a mineral, or of a fine-grained mixture.
    """
    kinds = np.unique(parts > 0, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)
    # An end of few counts that lacks a line may have it: half a count in each bin.
    spectra = np.array([(end.counts + 0.5) / end.pixels.size for end in ends], dtype=np.float32)
    likelihood, nearby = _near_ends(counts, held, ends, spectra)
    best = likelihood.argmax(axis=1)
    candidates = _candidates(best, likelihood, nearby, kinds)
    totals = counts.sum(axis=1)
    plain = _plain(kinds[best], held)
    used = np.full((counts.shape[0], _EVERYWHERE), -1, dtype=np.int32)
    used[:, 0] = best
    used[~plain, : candidates.shape[1]] = candidates[~plain]
    amounts, deviance, lead = unmix(counts, spectra, kinds, used)
    lead[plain] = np.minimum(lead[plain], _lead_alone(likelihood[plain], kinds, totals[plain]))
    misfit = against_peers(deviance, totals)
    # What does not fit may be mixed after all, or with a phase whose grains lie elsewhere in the map.
    anywhere = _candidates(best, likelihood, np.ones_like(nearby), kinds, _EVERYWHERE)
    for doubtful, tried in ((plain, candidates), (np.ones_like(plain), anywhere)):
        again = np.flatnonzero(doubtful & (misfit > _PLAIN_MISFIT))
        if again.size:
            used[again] = -1
            used[again, : tried.shape[1]] = tried[again]
            amounts[again], deviance[again], lead[again] = unmix(counts[again], spectra, kinds, used[again])
            misfit = against_peers(deviance, totals)
    lead = np.minimum(lead, np.sqrt(totals) / 2)  # minerals overlap: a few photons never tell for sure
    areas = np.zeros((counts.shape[0], parts.shape[1]), dtype=np.float32)
    for place in range(used.shape[1]):
        areas += np.where(used[:, place] >= 0, amounts[:, place], 0)[:, None] * parts[used[:, place]]
    areas /= np.maximum(areas.sum(axis=1, keepdims=True), _TINY)
    return Mixtures(areas, misfit, lead)


def against_peers(values: NDArray[np.floating], totals: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return by how many robust standard deviations values exceed the median of pixels of similar counts."""
    strata = int(np.clip(values.size // _LEAST_IN_STRATUM, 1, _STRATA))
    edges = np.quantile(totals, np.linspace(0, 1, strata + 1)[1:-1])
    stratum = np.searchsorted(edges, totals)
    result = np.zeros(values.size, dtype=np.float32)
    for each in range(strata):
        own = stratum == each
        if own.any():
            middle = np.median(values[own])
            spread = _MAD * np.median(np.abs(values[own] - middle))
            result[own] = (values[own] - middle) / max(float(spread), _TINY, 0.02 * abs(float(middle)))
    return result


def _lead_alone(
    likelihood: NDArray[np.float32], kinds: NDArray[np.int32], totals: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return by how many standard deviations pixels (n, M) are of one kind rather than any other, (n,).

    That is the quantile of their probability; without counts it is that of a guess.
    """
    starts = np.unique(kinds)
    if starts.size < 2:
        return np.full(likelihood.shape[0], np.inf, dtype=np.float32)
    best = np.stack([likelihood[:, kinds == kind].max(axis=1) for kind in starts], axis=1).astype(float)
    best = np.sort(best - best.max(axis=1, keepdims=True), axis=1)
    others = np.exp(best[:, :-1] * (totals / (totals + FEW))[:, None]).sum(axis=1)
    return np.asarray(-ndtri(np.maximum(others / (1 + others), _TINY)), dtype=np.float32)


def _near_ends(
    counts: NDArray[np.float32], held: NDArray[np.bool_], ends: list[End], spectra: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how likely each pixel is of each end, and how many pixels of it lie around, (n, M) each."""
    from scipy.ndimage import uniform_filter

    shapes = spectra / spectra.sum(axis=1, keepdims=True)
    likelihood = counts @ np.log(np.maximum(shapes, _TINY)).T
    nearby = np.zeros(likelihood.shape, dtype=np.float32)
    place = np.zeros(held.shape, dtype=np.float32)
    for column, end in enumerate(ends):
        flags = np.zeros(counts.shape[0], dtype=np.float32)
        flags[end.pixels] = 1
        place[held] = flags
        nearby[:, column] = uniform_filter(place, _REACH, mode="constant")[held] * _REACH**2
    return likelihood, nearby


def _candidates(
    best: NDArray[np.intp],
    likelihood: NDArray[np.float32],
    nearby: NDArray[np.float32],
    kinds: NDArray[np.int32],
    most: int = MOST_CANDIDATES,
) -> NDArray[np.int32]:
    """Return (n, 6) the best single end, and two ends at most of the kinds with most pixels around.

    Of the ends of a kind, the zones of a mineral, those come first that the pixel resembles.
    """
    weights: NDArray[np.float32] = np.zeros_like(nearby)
    rows = np.arange(best.size)
    for kind in np.unique(kinds):
        own = np.flatnonzero(kinds == kind)
        around = nearby[:, own]
        total = around.sum(axis=1)
        like = np.where(around > 0.5, likelihood[:, own], -np.inf)
        for rank in range(min(_OF_A_KIND, own.size)):
            first = like.argmax(axis=1)
            held = np.isfinite(like[rows, first])
            weights[rows[held], own[first[held]]] = total[held] / _OFTEN**rank
            like[rows, first] = -np.inf
    weights[rows, best] = np.inf
    number = min(most, nearby.shape[1])
    order = np.argsort(-weights, axis=1)[:, :number]
    held = np.take_along_axis(weights, order, axis=1) > 0
    return np.where(held, order, -1).astype(np.int32)


def _plain(kind: NDArray[np.int32], held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which pixels and all of their neighbours are of one kind, (n,)."""
    from scipy.ndimage import maximum_filter, minimum_filter

    whole = np.full(held.shape, -2, dtype=np.int32)
    whole[held] = kind
    low, high = (each(whole, 3, mode="nearest") for each in (minimum_filter, maximum_filter))
    return np.asarray((low == high)[held])
