"""Ends of a fine-grained map, purified: what the mixtures in all of its pixels tell of its phases.

Where grains are hardly wider than the beam, the pixels that seem to lie inside are mixtures, too, and so are
their means. Here ends and areas are found together, as those that make the counts of all pixels most probable
(Poisson non-negative matrix factorisation, Lee and Seung 2001, with few ends in a pixel), and an end that
others explain as well is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.likelihood.binned_map import BinnedMap
from napari_xrf.minerals.mixing.ends import End, explaining_parts, spread_over, told_of_grains
from napari_xrf.minerals.mixing.unmixing import FASTER, unmix

_MOST_PIXELS = 8_000  # that teach
_OF_AN_END = 60  # of its own pixels, that teach in any case
_CANDIDATES = 8
_FIRST, _AGAIN, _WITHOUT, _SHARPER = 120, 30, 40, 8  # rounds: at first, of changed ends, without one; of ends
_ROUNDS = 2, 4  # before and after ends are left out
_AREA = 100.0  # areas of a pixel add up to one, within a tenth
_WORTH = 0.6  # of log-likelihood in each bin that an end must be worth: chance is worth a half
_FEWEST = 2  # ends
_MAINLY = 0.5  # of a pixel's area: it lies in a grain
# Where fewer than that part of the pixels are nearly one phase, names are less sure by what is lacking. In
# grains of six beams of rocks of other code half of all are, of four three to four in ten, of two one to
# three: down to four the leads of classes tell how sure names are, below it ends are mixtures still.
_NEARLY_ONE, _OFTEN = 0.75, 0.37
_TOLD = 1 / 3  # of what pixels tell: the areas are found, too; as rocks of other code show
_TINY = 1e-6


def purify_ends(
    binned: BinnedMap, ends: Sequence[End], places: NDArray[np.int16], progress: Progress = ignore_progress
) -> tuple[tuple[End, ...], NDArray[np.int16], float, str]:
    """Return purer ends, the largest first, and of which of them pixels (Y, X) mainly are; -1 of none.

    Behind them stand how far their names can be believed, at most 1, and a note on that.

    ``ends`` and ``places`` are those of :func:`~napari_xrf.minerals.mixing.ends.learn_ends`. The size of a
    purer end is that of pixels which would tell as much of it if they held nothing else.
    """
    where, counts = _teaching(binned, places, progress)
    # Scaling an end up and its areas down changes nothing but the sum of areas.
    counts = np.column_stack([counts, np.full(len(counts), _AREA, dtype=np.float32)])
    spectra = np.array([np.append(end.mean, _AREA) for end in ends], dtype=np.float32).clip(_TINY)
    fit = _Fit.of(counts, spectra)
    fit = _without_explained(counts, fit.sharpened(counts, _ROUNDS[0])).sharpened(counts, _ROUNDS[1])
    fit = _without_mixtures(counts, fit).sharpened(counts, _ROUNDS[1])
    order = np.argsort(-fit.areas.sum(axis=0), kind="stable")
    found = fit.ends()
    # What is parted from what lies in the same pixels may differ from its like: no sign of another phase.
    purer = [replace(found[each], column=ends[fit.kept[each]].column, explained=True) for each in order]
    of = np.full(len(ends) + 1, -1, dtype=np.int16)
    of[fit.kept[order]] = np.arange(order.size)
    lying = of[places]
    areas = fit.areas[:, order] / np.maximum(fit.areas.sum(axis=1, keepdims=True), _TINY)
    most = areas.max(axis=1)
    lying.flat[where] = np.where(most > _MAINLY, areas.argmax(axis=1), -1)
    nearly = float((most > _NEARLY_ONE).mean())
    told = told_of_grains(nearly, "are nearly one phase")
    return tuple(purer), lying, 1 - max(_OFTEN - nearly, 0.0), told


@dataclass(frozen=True, eq=False)
class _Fit:
    """Ends of mixing and what pixels hold of them."""

    kept: NDArray[np.intp]  # (K,) numbers of the ends
    spectra: NDArray[np.float32]  # (K, B) counts of a pixel that is wholly of an end
    dense: NDArray[np.float32]  # (n, K) most probable areas, of as many ends as that takes
    areas: NDArray[np.float32]  # (n, K) those of the few ends that are worth it
    deviance: NDArray[np.float32]  # (n,) of these

    @classmethod
    def of(cls, counts: NDArray[np.float32], spectra: NDArray[np.float32]) -> _Fit:
        """Fit ends to pixels (n, B)."""
        number = len(spectra)
        even = np.full((len(counts), number), 1 / number, dtype=np.float32)
        dense = _most_probable(counts, spectra, even, _FIRST)
        return cls(np.arange(number), spectra, dense, *_few(counts, spectra, dense))

    def ends(self) -> list[End]:
        """Return the ends, as large as pixels would be that told as much of each and held nothing else."""
        # Where two ends lie in the same pixels, what one lacks the other may have: both are known less well.
        together = self.areas.T.astype(np.float64) @ self.areas + np.eye(len(self.kept))
        sizes = np.maximum(_TOLD / np.diag(np.linalg.inv(together)), 1).round().astype(int).tolist()
        spectra = self.spectra[:, :-1].astype(np.float64)
        return [End(-1, size, own * size) for size, own in zip(sizes, spectra, strict=True)]

    def without(self, left: NDArray[np.bool_], counts: NDArray[np.float32]) -> _Fit:
        """Return the fit of those ends that are left."""
        start = self.dense[:, left] + np.float32(_TINY)
        dense = _most_probable(counts, self.spectra[left], start, _WITHOUT)
        return _Fit(self.kept[left], self.spectra[left], dense, *_few(counts, self.spectra[left], dense))

    def sharpened(self, counts: NDArray[np.float32], rounds: int) -> _Fit:
        """Return ends that make the counts more probable, and the areas of those."""
        fit = self
        for _ in range(rounds):
            spectra, areas = fit.spectra.copy(), fit.areas
            total = areas.sum(axis=0)[:, None]
            held = total[:, 0] > 0
            for _ in range(_SHARPER):
                ratio = counts / np.maximum(areas @ spectra, _TINY)
                spectra[held] *= (areas.T @ ratio)[held] / total[held]
                spectra[:, -1] = _AREA
            spectra = spectra.clip(_TINY)
            dense = _most_probable(counts, spectra, np.maximum(fit.dense, _TINY), _AGAIN)
            fit = _Fit(fit.kept, spectra, dense, *_few(counts, spectra, dense))
        return fit


def _without_explained(counts: NDArray[np.float32], fit: _Fit) -> _Fit:
    """Leave out one end after another, the smallest first, that the others explain about as well."""
    dense, areas, deviance = fit.dense.copy(), fit.areas.copy(), fit.deviance.copy()
    left = np.ones(len(fit.spectra), dtype=bool)
    for end in np.argsort(areas.sum(axis=0), kind="stable").tolist():
        if np.count_nonzero(left) <= _FEWEST:
            break
        left[end] = False
        own = np.flatnonzero(areas[:, end] > 0)
        others = np.flatnonzero(left)
        start = dense[np.ix_(own, others)] + np.float32(_TINY)
        tried = _most_probable(counts[own], fit.spectra[others], start, _WITHOUT)
        few, worse = _few(counts[own], fit.spectra[others], tried)
        if (worse - deviance[own]).sum(dtype=np.float64) / 2 > _WORTH * counts.shape[1]:
            left[end] = True
            continue
        areas[own], dense[own] = 0, 0
        areas[np.ix_(own, others)], dense[np.ix_(own, others)] = few, tried
        deviance[own] = worse
    return _Fit(fit.kept[left], fit.spectra[left], dense[:, left], areas[:, left], deviance)


def _without_mixtures(counts: NDArray[np.float32], fit: _Fit) -> _Fit:
    """Leave out one end after another, the least known first, that others are within errors of spectra."""
    ends = fit.ends()
    left = np.ones(len(ends), dtype=bool)
    for each in np.argsort([end.size for end in ends], kind="stable").tolist():
        left[each] = False
        others = [ends[other] for other in np.flatnonzero(left)]
        left[each] = len(others) < _FEWEST or not explaining_parts(ends[each], others).any()
    return fit.without(left, counts)


def _most_probable(
    counts: NDArray[np.float32], spectra: NDArray[np.float32], areas: NDArray[np.float32], rounds: int
) -> NDArray[np.float32]:
    """Return areas (n, K) nearer to the most probable ones, by expectation maximisation."""
    sums = spectra.sum(axis=1)
    for _ in range(rounds):
        ratio = counts / np.maximum(areas @ spectra, _TINY)
        areas = areas * (ratio @ spectra.T / sums) ** FASTER
    return areas


def _few(
    counts: NDArray[np.float32], spectra: NDArray[np.float32], dense: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return areas (n, K) of the few ends that are worth it in each pixel, and deviances (n,)."""
    number = min(_CANDIDATES, len(spectra))
    candidates = np.argsort(-dense, axis=1)[:, :number].astype(np.int32)
    one_kind = np.zeros(len(spectra), dtype=np.int32)  # no lead is asked for
    amounts, deviance, _ = unmix(counts, spectra, one_kind, candidates, threads=True)
    areas = np.zeros_like(dense)
    np.put_along_axis(areas, candidates.astype(np.intp), amounts, axis=1)
    return areas, deviance


def _teaching(
    binned: BinnedMap, places: NDArray[np.int16], progress: Progress
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return pixels spread over the map and some of each end, by place, and their counts (n, B)."""
    rows, columns = binned.shape
    held = np.flatnonzero(binned.held(slice(binned.first_row, binned.first_row + rows)))
    of_ends = (np.flatnonzero(places == end) for end in np.unique(places[places >= 0]))
    chosen = [spread_over(held, _MOST_PIXELS), *(spread_over(own, _OF_AN_END) for own in of_ends)]
    where = np.unique(np.concatenate(chosen))
    counts = []
    for band, block in binned.bands("purifying phases", progress):
        inside = where[(where >= band.start * columns) & (where < band.stop * columns)]
        counts.append(block.reshape(-1, block.shape[-1])[inside - band.start * columns])
    return where, np.concatenate(counts).astype(np.float32)
