"""Pixels as mixtures of the ends of their map: candidates, areas of classes, and what nothing explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from napari_xrf.minerals.likelihood.binned_map import BinnedMap
from napari_xrf.minerals.likelihood.scan import FEW
from napari_xrf.minerals.mixing.ends import End
from napari_xrf.minerals.mixing.unmixing import MOST_CANDIDATES, unmix

MOST_MISFIT = 8.0  # standard deviations, above which nothing explains a pixel, of one known in a thousand
EVERYWHERE = 32  # ends that are tried where those around do not fit
FROM_ELSEWHERE = 16.0  # by how much deviance these have to explain more
_REACH = 9  # pixels: candidates have grains within this square
_PLAIN_MISFIT = 1.0  # robust standard deviations: more is tried as a mixture, and with ends from elsewhere
_AROUND = 0.5  # pixels of an end around
_OF_A_KIND, _OFTEN = 2, 20.0  # ends of a kind, and by how much its second one counts less
_LEAST_FREE = 0.1  # parts of area
_SUREST_MIXTURE = 2.0  # standard deviations
_TINY = 1e-9
_STRATA = 12
_LEAST_IN_STRATUM = 60
_MAD = 1.4826
_NEAR_STRATA, _FAR_FROM_THEM = 5, (1.5, 3.0)  # middles and spreads of a stratum, beside those around it
_TAUGHT = 30_000  # pixels that show which misfits are usual


@dataclass(frozen=True, eq=False)
class Mixtures:
    """What n pixels hold."""

    areas: NDArray[np.float32]  # (n, K) of K classes, of sum 1; what nothing explains is left out
    # (n,) deviance against pixels of similar counts, in robust standard deviations
    misfit: NDArray[np.float32]
    lead: NDArray[np.float32]  # (n,) of the largest class, in standard deviations
    sure: NDArray[np.float32]  # (n,) how probable it is that what it holds of it is what it is named


@dataclass(frozen=True, eq=False)
class Peers:
    """What values are usual in pixels of similar counts."""

    edges: NDArray[np.float64]  # (S - 1,) counts between S strata
    # middles, spreads: (S,) median, and robust standard deviation
    middles: NDArray[np.float64]
    spreads: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.floating], totals: NDArray[np.floating]) -> Peers:
        """Learn from pixels with these values and counts."""
        from scipy.ndimage import median_filter

        strata = int(np.clip(values.size // _LEAST_IN_STRATUM, 1, _STRATA))
        edges = np.quantile(totals, np.linspace(0, 1, strata + 1)[1:-1]) if values.size else np.zeros(0)
        stratum = np.searchsorted(edges, totals)
        middles, spreads = np.zeros(edges.size + 1), np.full(edges.size + 1, np.inf)
        for each in np.unique(stratum).tolist():
            own = values[stratum == each]
            middles[each] = np.median(own)
            spread = _MAD * float(np.median(np.abs(own - middles[each])))
            spreads[each] = max(spread, _TINY, 0.02 * abs(middles[each]))
        # Between the counts of dark and of bright phases most pixels are boundaries: were they all tried with
        # the wrong ends, that would be usual.
        usual = (median_filter(each, _NEAR_STRATA, mode="nearest") for each in (middles, spreads))
        limits = [most * each for most, each in zip(_FAR_FROM_THEM, usual, strict=True)]
        return cls(edges, np.minimum(middles, limits[0]), np.minimum(spreads, limits[1]))

    def misfit(self, values: NDArray[np.floating], totals: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return by how many standard deviations values exceed the usual ones."""
        stratum = np.searchsorted(self.edges, totals)
        return ((values - self.middles[stratum]) / self.spreads[stratum]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Mixing:
    """Ends of a map and where they lie: what the mixtures in its pixels are found with.

    Ends of the same classes are of one kind: the zones of a mineral, or of a fine-grained mixture.
    """

    spectra: NDArray[np.float32]  # (M, B) counts of a pixel that is wholly of an end
    parts: NDArray[np.float32]  # (M, K) which parts of K classes each end is
    places: NDArray[np.int16]  # (Y, X) of which end a pixel is for sure; -1 of none
    sure: NDArray[np.float32]  # (M,) how probable it is that each end is what it is named
    named: NDArray[np.bool_]  # (M,) whether it has a name
    # What misfits are usual: as pixels were tried first, doubtful ones again, and everywhere
    peers: tuple[Peers, ...] = ()
    free: float = 1.0  # standard deviation of a candidate's part of the area, before anything is measured
    # (M,) which ends are of specks: they are tried in pixels around though few pixels are theirs
    specks: NDArray[np.bool_] | None = None

    @cached_property
    def kinds(self) -> NDArray[np.int32]:
        """(M,) of which kind each end is."""
        return np.unique(self.parts > 0, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)

    @cached_property
    def zones(self) -> NDArray[np.int32]:
        """(M,) the same, where each end without a name is a kind of its own: they may be different things."""
        alone = np.where(self.named, 0, 1 + np.arange(self.named.size))
        return np.unique([self.kinds, alone], axis=1, return_inverse=True)[1].reshape(-1).astype(np.int32)

    @classmethod
    def learned(
        cls,
        binned: BinnedMap,
        ends: Sequence[End],
        parts: NDArray[np.float32],
        places: NDArray[np.int16],
        sure: NDArray[np.float32],
        named: NDArray[np.bool_],
    ) -> Mixing:
        """Learn what misfits are usual from a map, or from some of its rows where it is large."""
        # An end of few counts that lacks a line may have it: half a count in each bin.
        spectra = np.array([(end.counts + 0.5) / end.size for end in ends], dtype=np.float32)
        specks = np.array([end.speck for end in ends])
        mixing = cls(spectra, parts, places, sure, named, specks=specks)
        rows, columns = binned.shape
        chosen = np.linspace(0, rows - 1, min(rows, -(-_TAUGHT // columns))).astype(int)
        pixels = [mixing._prepare(binned, slice(row, row + 1)) for row in np.unique(chosen).tolist()]
        together = _Pixels(*(np.concatenate([getattr(each, name.name) for each in pixels])
                             for name in fields(_Pixels)))  # fmt: skip
        # Where most pixels are of one phase, one that seems to be is hardly a mixture of two others.
        free = max(float(np.mean(~together.plain)) ** 2, _LEAST_FREE)
        return replace(mixing, peers=mixing._unmix(together)[1], free=free)

    def unmix(self, binned: BinnedMap, rows: slice) -> Mixtures:
        """Return what the measured pixels of some rows hold."""
        return self._unmix(self._prepare(binned, rows))[0]

    def _prepare(self, binned: BinnedMap, rows: slice) -> _Pixels:
        """Return what is compared of the measured pixels of some rows."""
        ((_, wide, inner),) = binned.wide_bands(1, "unmixing pixels", rows=rows)
        counts, held = binned.counts(wide), binned.held(wide)
        shapes = self.spectra / self.spectra.sum(axis=1, keepdims=True)
        likelihood = counts[held] @ np.log(np.maximum(shapes, _TINY)).T
        best = likelihood.argmax(axis=1)
        own = np.zeros_like(held)
        own[inner] = held[inner]
        core = own[held]
        nearby = pixels_around(self.places, len(self.spectra), rows)[held[inner]]
        if self.specks is not None:
            nearby[:, self.specks] *= _REACH**2
        return _Pixels(
            counts[own],
            likelihood[core],
            nearby,
            best[core],
            _plain(self.kinds[best], held)[core],
        )

    def _unmix(self, pixels: _Pixels) -> tuple[Mixtures, tuple[Peers, ...]]:
        """Return what pixels hold; learn what misfits are usual where that is not known."""
        counts, kinds, best, plain = pixels.counts, self.kinds, pixels.best, pixels.plain
        totals = counts.sum(axis=1)
        candidates = nearest_candidates(best, pixels.likelihood, pixels.nearby, self.zones)
        used = np.full((counts.shape[0], EVERYWHERE), -1, dtype=np.int32)
        used[:, 0] = best
        used[~plain, : candidates.shape[1]] = candidates[~plain]
        learning = not self.peers  # all pixels at once; later each thread has a band of rows
        amounts, deviance, lead = unmix(counts, self.spectra, kinds, used, free=self.free, threads=learning)
        lead[plain] = np.minimum(lead[plain], _lead_alone(pixels.likelihood[plain], kinds, totals[plain]))
        peers = self.peers or (Peers.of(deviance, totals),)
        misfit = peers[0].misfit(deviance, totals)
        # What does not fit may be mixed after all, or with a phase whose grains lie elsewhere in the map.
        for stage, doubtful in enumerate((plain, np.ones_like(plain)), 1):
            again = np.flatnonzero(doubtful & (misfit > _PLAIN_MISFIT))
            if again.size:
                tried = candidates[again]
                if stage == 2:
                    near = np.ones_like(pixels.nearby[again])
                    tried = nearest_candidates(
                        best[again], pixels.likelihood[again], near, self.zones, EVERYWHERE
                    )
                wide = np.full((again.size, EVERYWHERE), -1, dtype=np.int32)
                wide[:, : tried.shape[1]] = tried
                found = unmix(counts[again], self.spectra, kinds, wide, free=self.free, threads=learning)
                better = deviance[again] - found[1] > (FROM_ELSEWHERE if stage == 2 else 0)
                again = again[better]
                used[again] = wide[better]
                amounts[again], deviance[again], lead[again] = (each[better] for each in found)
            if learning:
                peers = (*peers, Peers.of(deviance, totals))
            misfit = peers[stage].misfit(deviance, totals)
        # Where pixels may be mixtures one in forty is named wrongly however far the first leads: an end is
        # lacking, or stands for a zone.
        lead = np.where(used[:, 1] >= 0, np.minimum(lead, _SUREST_MIXTURE), lead)
        lead = np.minimum(lead, np.sqrt(totals) / 2)  # minerals overlap: a few photons never tell for sure
        areas = np.zeros((counts.shape[0], self.parts.shape[1]), dtype=np.float32)
        believed = np.zeros_like(areas)
        for place in range(used.shape[1]):
            held = np.where(used[:, place] >= 0, amounts[:, place], 0)[:, None] * self.parts[used[:, place]]
            areas += held
            believed += held * self.sure[used[:, place], None]
        largest = np.arange(counts.shape[0]), areas.argmax(axis=1)
        sure = (believed[largest] / np.maximum(areas[largest], _TINY)).astype(np.float32)
        areas /= np.maximum(areas.sum(axis=1, keepdims=True), _TINY)
        return Mixtures(areas, misfit, lead, sure), peers


@dataclass(frozen=True, eq=False)
class _Pixels:
    """n pixels: counts (n, B), how likely each end is and how many of its pixels lie around, (n, M) each.

    Behind them the most likely end (n,), and whether it and all neighbours are of one kind (n,).
    """

    counts: NDArray[np.float32]
    likelihood: NDArray[np.float32]
    nearby: NDArray[np.float32]
    best: NDArray[np.intp]
    plain: NDArray[np.bool_]


def pixels_around(places: NDArray[np.int16], number: int, rows: slice) -> NDArray[np.float32]:
    """Return how many pixels of each of so many ends lie around those of some rows, (rows, X, M).

    ``places``: (Y, X) of which end pixels are for sure; -1 of none.
    """
    from scipy.ndimage import uniform_filter

    first = max(rows.start - _REACH // 2, 0)
    near = places[first : rows.stop + _REACH // 2]
    nearby = np.zeros((rows.stop - rows.start, near.shape[1], number), dtype=np.float32)
    for end in np.unique(near[near >= 0]).tolist():
        around = uniform_filter((near == end).astype(np.float32), _REACH, mode="constant")
        nearby[..., end] = around[rows.start - first : rows.stop - first] * _REACH**2
    return nearby


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


def nearest_candidates(
    best: NDArray[np.intp],
    likelihood: NDArray[np.float32],
    nearby: NDArray[np.float32],
    kinds: NDArray[np.int32],
    most: int = MOST_CANDIDATES,
) -> NDArray[np.int32]:
    """Return (n, 6) the best single end, and two ends at most of the kinds with most pixels around.

    Of the ends of a kind, the zones of a mineral, those come first that the pixel resembles. The best single
    end only where it lies around, or nothing does: a boundary of quartz and magnetite looks like riebeckite.
    """
    weights: NDArray[np.float32] = np.zeros_like(nearby)
    rows = np.arange(best.size)
    for kind in np.unique(kinds):
        own = np.flatnonzero(kinds == kind)
        around = nearby[:, own]
        total = around.sum(axis=1)
        like = np.where(around > _AROUND, likelihood[:, own], -np.inf)
        for rank in range(min(_OF_A_KIND, own.size)):
            first = like.argmax(axis=1)
            held = np.isfinite(like[rows, first])
            weights[rows[held], own[first[held]]] = total[held] / _OFTEN**rank
            like[rows, first] = -np.inf
    near = nearby > _AROUND
    first = near[rows, best] | ~near.any(axis=1)
    weights[rows[first], best[first]] = np.inf
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
