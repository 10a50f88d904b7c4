"""Specks: grains of a few pixels of which none is pure, told by lines that the ends of their map have not.

Means of what lies well inside grains do not show them, and single pixels have too few counts to: a speck of
jordanite is galena with a little arsenic. So squares of a few pixels are explained by the ends around them,
and where a line surely is left over, what rises with it in the pixels around is an end of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.likelihood.binned_map import BinnedMap
from napari_xrf.minerals.likelihood.traces import Families
from napari_xrf.minerals.mixing.ends import UNEVEN, End
from napari_xrf.minerals.mixing.mixtures import (
    EVERYWHERE,
    FROM_ELSEWHERE,
    Peers,
    nearest_candidates,
    pixels_around,
)
from napari_xrf.minerals.mixing.unmixing import MOST_CANDIDATES, unmix

_PIXELS, _STEP = 9, 2  # of a square; between those that are looked at first
_MISFIT = 2.0  # robust standard deviations, from which a square is asked for lines
_HINT, _SURELY = 3.5, 6.0  # standard deviations of a line
_LEAST_PERCENT, _OF_A_SPECK = 1.0, 2.0  # by weight, of its element in a square, and in a speck: no traces
_UNLIKE = 0.25  # of a spectrum that ends leave over: then no single line is what it has more
_END_ERROR = 0.02  # of a bin: the grains that an end stands for differ
_OWN_SHAPE = 0.1  # of a line's shape is of no end
_AROUND = 4  # pixels around a speck in which its line's rise is followed
_CORE = 0.7  # of the most that a speck's squares show of its line
_LEAST_AREA = 0.2  # of a core, that is not of ends beside it
_HELD = 0.1  # of an end's counts
_MORE = 0.5  # of what ends hold of a line: less is one of their compositions
_AS_GOOD = 0.8  # of the best line's standard deviations: it may be either
_MOSTLY = 0.5  # of the pixels of an end
_MOST = 12  # ends more
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class _Speck:
    """A speck: its area, in pixels, and counts (B,) without what lies beside it."""

    area: float
    counts: NDArray[np.float64]
    where: NDArray[np.intp]  # pixels of the flat map


@dataclass(frozen=True, eq=False)
class _Squares:
    """n squares of three by three pixels, and the line that each shows most beyond its ends."""

    rows: NDArray[np.intp]  # (n,) of their middles
    columns: NDArray[np.intp]  # (n,)
    counts: NDArray[np.float32]  # (n, B)
    areas: NDArray[np.float32]  # (n, M) pixels that each end would fill
    # (n, F) standard deviations, and counts, of each line beyond the ends
    beyond: NDArray[np.float32]
    amounts: NDArray[np.float32]
    percent: NDArray[np.float32]  # (n, F) by weight, about, of its element

    @property
    def hints(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of squares that may show a line, or lie beside one that does."""
        some = ((self.beyond > _HINT) & (self.percent > _LEAST_PERCENT / 2)).any(axis=1)
        return self.rows[some], self.columns[some]


def with_specks(
    binned: BinnedMap,
    ends: Sequence[End],
    places: NDArray[np.int16],
    families: Families,
    lines: tuple[NDArray[np.float64], NDArray[np.float64]],
    progress: Progress = ignore_progress,
) -> tuple[tuple[End, ...], NDArray[np.int16]]:
    """Return the ends of a map and, behind them, those of specks, and of which end pixels (Y, X) are.

    ``ends``, ``places``: as :func:`~napari_xrf.minerals.mixing.ends.learn_ends` returns them. ``lines``:
    (M, F) what share of each end's counts each family is, about, and how many per cent by weight of its
    element that would be were it all of them.
    """
    search = _Search(binned, tuple(ends), places, families, *lines)
    every = search.ends_that_show()
    seeds = search.lines_of(search.near(search.lines_of(search.misfitting(progress)).hints, 1))
    # Of lines that lie together any may be it, and traces of one are no wonder.
    either = seeds.beyond > _AS_GOOD * seeds.beyond.max(axis=1, keepdims=True, initial=0)
    traces = (either & (seeds.percent < _LEAST_PERCENT)).any(axis=1, keepdims=True)
    shown = np.where(either & ~traces & (seeds.beyond > _SURELY), seeds.beyond, 0.0)
    kept, taken = places.copy(), np.zeros(places.shape, dtype=bool)
    while len(every) < len(ends) + _MOST and shown.any():
        # The line that is shown best stands for all that rises with it.
        family = int(shown.max(axis=0).argmax())
        own = shown[:, family] > 0
        around = search.near((seeds.rows[own], seeds.columns[own]), _AROUND)
        for end, where in search.specks_of(family, around):
            taken.flat[where] = True
            # What teaches of the speck alone, or mostly, is of it.
            for other in np.unique(kept.flat[where][kept.flat[where] >= 0]).tolist():
                lying = kept == other
                if (lying & search.near(np.nonzero(taken), 1)).sum() > _MOSTLY * lying.sum():
                    kept[lying] = len(every)
                    every[other] = replace(end, column=every[other].column)
            kept.flat[where] = len(every)
            every.append(end)
        told = search.near(np.nonzero(taken), 1)[seeds.rows, seeds.columns]
        shown[own | told] = 0
    return tuple(every), kept


def ends_that_show(
    binned: BinnedMap,
    ends: Sequence[End],
    places: NDArray[np.int16],
    families: Families,
    lines: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[End, ...]:
    """Return ends with the elements that they surely show and larger ones lack, as of :func:`with_specks`.

    Where purer ends are mixtures still, what a few pixels show beyond them is one of their parts.
    """
    return tuple(_Search(binned, tuple(ends), places, families, *lines).ends_that_show())


class _Search:
    """Looks for what the ends of a map do not explain."""

    def __init__(
        self,
        binned: BinnedMap,
        ends: Sequence[End],
        places: NDArray[np.int16],
        families: Families,
        shares: NDArray[np.float64],
        percent: NDArray[np.float64],
    ) -> None:
        self._showing = ends  # with what they show, once that is known
        self._ends, self._sizes = ends, np.array([end.size for end in ends])
        self._binned, self._places, self._shares, self._percent = binned, places, shares, percent
        self._lines, self._elements = families.shapes, np.array(families.elements)
        self._known, kinds = np.unique([end.column for end in ends], return_inverse=True)
        self._kinds = kinds.astype(np.int32)
        self._spectra = np.array([(end.counts + 0.5) / end.size for end in ends], dtype=np.float32)
        self._held = binned.held(slice(0, binned.shape[0]))

    def ends_that_show(self) -> list[End]:
        """Return the ends, with the elements that larger ones lack where these explain all else."""
        known: list[int] = []
        every = []
        for place, end in enumerate(self._ends):
            # Uneven ends are mixtures: what they show may lie beside them.
            even = not end.held and not end.variation > UNEVEN
            shows = self.shown(end.counts, known) if known and even else None
            every.append(replace(end, shows=shows or end.shows))
            if even and not shows:
                known.append(place)
        self._showing = tuple(every)
        return every

    def shown(self, counts: NDArray[np.float64], among: Sequence[int]) -> frozenset[str] | None:
        """Return elements, one of which a spectrum (B,) surely shows beyond some ends, if any.

        None where these leave more of it than a line.
        """
        few = np.array(among[:EVERYWHERE], dtype=np.int32)[None]
        alone = np.arange(len(self._spectra), dtype=np.int32)
        amounts = unmix(counts[None].astype(np.float32), self._spectra, alone, few)[0]
        areas = _of_ends(amounts, few, len(self._spectra))
        left = np.maximum(counts - areas[0] @ self._spectra, 0.0).sum()
        beyond, excess = self._lines_left(counts, areas[0])
        percent = self._percent_of(excess[None], areas)[0]
        best = beyond > _AS_GOOD * beyond.max()
        if left > _UNLIKE * counts.sum():
            return None
        surely = beyond.max() > _SURELY and percent[best].min() > _OF_A_SPECK
        return frozenset(self._elements[best].tolist()) if surely else frozenset()

    def misfitting(self, progress: Progress) -> NDArray[np.bool_]:
        """Return the middles (Y, X) of squares that the ends around explain worse than others."""
        grid = np.zeros_like(self._held)
        grid[::_STEP, ::_STEP] = self._held[::_STEP, ::_STEP]
        deviances, totals = [], []
        for _, _, counts, nearby in self._squares(grid, progress):
            candidates = self._candidates(counts, nearby)
            deviances.append(unmix(counts, self._spectra, self._kinds, candidates, threads=True)[1])
            totals.append(counts.sum(axis=1))
        deviance, total = np.concatenate(deviances), np.concatenate(totals)
        grid[grid] = Peers.of(deviance, total).misfit(deviance, total) > _MISFIT
        return grid

    def lines_of(self, middles: NDArray[np.bool_]) -> _Squares:
        """Return what squares around some pixels (Y, X) show beyond the ends of their map."""
        found = [self._beyond(*each) for each in self._squares(middles)]
        if not found:
            none = np.zeros(0, dtype=np.intp)
            lines = np.zeros((0, len(self._lines)), dtype=np.float32)
            counts, areas = self._spectra[:0], np.zeros((0, len(self._spectra)), np.float32)
            return _Squares(none, none, counts, areas, lines, lines, lines)
        every = ([getattr(each, field.name) for each in found] for field in fields(_Squares))
        return _Squares(*map(np.concatenate, every))

    def near(self, where: tuple[NDArray[np.intp], ...], reach: int) -> NDArray[np.bool_]:
        """Return the measured pixels (Y, X) that lie so near some rows and columns."""
        from scipy.ndimage import maximum_filter

        chosen = np.zeros(self._held.shape, dtype=np.uint8)
        chosen[where] = 1
        return (maximum_filter(chosen, 2 * reach + 1, mode="constant") > 0) & self._held

    def specks_of(self, family: int, around: NDArray[np.bool_]) -> list[tuple[End, NDArray[np.intp]]]:
        """Return the ends of specks, and their pixels in the flat map; ``around``: (Y, X) where a line shows.

        Specks whose line rises with one kind of ends are of one mineral.
        """
        from scipy.ndimage import label

        squares = self.lines_of(around)
        region = label(around, np.ones((3, 3)))[0][squares.rows, squares.columns]
        parts: dict[int, list[_Speck]] = {}
        for number in np.unique(region).tolist():
            own = np.flatnonzero(region == number)
            amounts = squares.amounts[own, family]
            core = own[amounts > _CORE * amounts.max()]
            # The kind that rises most with the line is what the speck was taken for; all else lies beside it.
            rise = (amounts - amounts.mean()) @ squares.areas[own] * self._spectra.sum(axis=1)
            kind = int(np.bincount(self._kinds, rise).argmax())
            held = squares.areas[core].sum(axis=0, dtype=np.float64) / _PIXELS
            beside = np.where(self._kinds == kind, 0.0, held)
            area = core.size - float(beside.sum())
            if area > _LEAST_AREA * core.size:
                counts = squares.counts[core].sum(axis=0, dtype=np.float64) / _PIXELS
                where = squares.rows[core] * self._held.shape[1] + squares.columns[core]
                left = np.maximum(counts - beside @ self._spectra, 0.0)
                parts.setdefault(kind, []).append(_Speck(area, left, where))
        found = [_end_of(int(self._known[kind]), own) for kind, own in parts.items()]
        shown = [self.shown(end.counts, self._others(end)) for end, _ in found]
        return [
            (replace(end, shows=shows or frozenset()), where)
            for (end, where), shows in zip(found, shown, strict=True)
            if shows is None or shows
        ]

    def _others(self, speck: End) -> list[int]:
        """Return the ends that are not what a speck was taken for and may be of it, too."""
        flagged = ((end.shows, end.column) for end in self._showing)
        return [place for place, (shows, kind) in enumerate(flagged) if not shows or kind != speck.column]

    def _beyond(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        counts: NDArray[np.float32],
        nearby: NDArray[np.float32],
    ) -> _Squares:
        """Return the lines that squares show beyond the ends around, or everywhere where these fit better."""
        near = self._candidates(counts, nearby)
        amounts, deviance, _ = unmix(counts, self._spectra, self._kinds, near, threads=True)
        far = self._candidates(counts, np.ones_like(nearby), EVERYWHERE)
        others, less, _ = unmix(counts, self._spectra, self._kinds, far, threads=True)
        areas = np.where(
            (deviance - less > FROM_ELSEWHERE)[:, None],
            _of_ends(others, far, len(self._spectra)),
            _of_ends(amounts, near, len(self._spectra)),
        )
        shown = [self._lines_left(*each) for each in zip(counts, areas, strict=True)]
        beyond, excess = (np.array(each, dtype=np.float32) for each in zip(*shown, strict=True))
        percent = self._percent_of(excess, areas)
        # What others surely hold is of a mixture with these, or of a composition.
        known = [not end.shows for end in self._showing]
        percent[:, self._shares[known].max(axis=0) > _HELD] = 0
        return _Squares(rows, columns, counts, areas, beyond, excess, percent)

    def _percent_of(self, excess: NDArray[np.floating], areas: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, F) per cent by weight, about, of lines of so many counts (n, F) beyond ends (n, M).

        More of what the ends have anyway is one of their compositions: 0.
        """
        seen = areas * self._spectra.sum(axis=1)
        share = excess / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        percent = share * self._percent[seen.argmax(axis=1)]
        percent[excess < _MORE * (seen @ self._shares)] = 0
        return np.asarray(percent, dtype=np.float32)

    def _lines_left(
        self, counts: NDArray[np.floating], areas: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (F,) standard deviations and counts of each line that counts (B,) show beyond ends."""
        held = self._spectra[areas > 0]
        expected = areas[areas > 0] @ held
        counting = expected + (areas[areas > 0] ** 2 / self._sizes[areas > 0]) @ held
        deviation = np.sqrt(counting + (_END_ERROR * expected) ** 2 + 0.5)
        basis = np.linalg.qr((held / deviation).T)[0]
        left, lines = (counts - expected) / deviation, self._lines / deviation
        own = lines - (lines @ basis) @ basis.T
        sizes, whole = np.linalg.norm(own, axis=1), np.linalg.norm(lines, axis=1)
        sizes[sizes < _OWN_SHAPE * whole] = np.inf  # nearly a sum of the ends: nothing of its own
        beyond = own @ left / np.maximum(sizes, _TINY)
        return beyond, beyond / np.maximum(sizes, _TINY)

    def _candidates(
        self, counts: NDArray[np.float32], nearby: NDArray[np.float32], most: int = MOST_CANDIDATES
    ) -> NDArray[np.int32]:
        """Return (n, K) the ends that squares may hold."""
        shapes = self._spectra / self._spectra.sum(axis=1, keepdims=True)
        likelihood = counts @ np.log(shapes).T
        return nearest_candidates(likelihood.argmax(axis=1), likelihood, nearby, self._kinds, most)

    def _squares(
        self, middles: NDArray[np.bool_], progress: Progress = ignore_progress
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]]:
        """Yield, band by band, the middles of squares, their counts and how much of each end lies around."""
        for rows, wide, inner in self._binned.wide_bands(1, "looking for specks", progress):
            down, right = np.nonzero(middles[rows])
            if down.size:
                held = np.where(self._held[wide][..., None], self._binned.counts(wide), 0)
                every = np.pad(held, ((1, 1), (1, 1), (0, 0)))
                beside = [(y, x) for y in range(3) for x in range(3)]
                counts = np.sum([every[inner.start + down + y, right + x] for y, x in beside], axis=0)
                nearby = pixels_around(self._places, len(self._spectra), rows)[down, right]
                yield rows.start + down, right, counts, nearby


def _of_ends(amounts: NDArray[np.float32], candidates: NDArray[np.int32], number: int) -> NDArray[np.float32]:
    """Return areas (n, M) of all ends from those of candidates (n, K)."""
    areas = np.zeros((len(amounts), number + 1), dtype=np.float32)
    np.put_along_axis(areas, np.where(candidates < 0, number, candidates).astype(np.intp), amounts, axis=1)
    return areas[:, :number]


def _end_of(column: int, specks: Sequence[_Speck]) -> tuple[End, NDArray[np.intp]]:
    """Return the end of some specks of one mineral, and their pixels."""
    area = sum(speck.area for speck in specks)
    counts = np.sum([speck.counts for speck in specks], axis=0)
    where = np.concatenate([speck.where for speck in specks])
    # What was taken away has left its noise: so many pixels tell as much that hold nothing else.
    size = max(round(area**2 / where.size), 1)
    return End(column, size, counts * size / area, speck=True), where
