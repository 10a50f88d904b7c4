"""Ends of mixing, learnt from the map: mean spectra of pixels that lie well inside grains of one kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads, one_thread_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.spectra.non_negative import fit_bounded
from napari_xrf.minerals.likelihood.binned_map import BinnedMap
from napari_xrf.minerals.likelihood.shares import neighbour_mean

UNEVEN = 0.01  # variation of an end that is hardly one grain
_LEAST_UNEVEN, _SURELY = 0.003, 3.0  # of one that larger ends explain, by standard deviations more than it
# Least share of like neighbours, where the one before leaves fewer pixels than that.
_INSIDE = ((0.85, 5), (0.6, 5), (0.35, 3), (0.2, 3))
_LEAST_PIXELS = 5
_FEWEST_PIXELS = 2
_TAUGHT = 4_000  # pixels that are enough to look for directions
_MOST_TAUGHT = 60_000  # of a map, that show in which parts classes fall: in equal parts where there are more
_DEPTH = 30  # small parts leave a class one after another
_DIRECTIONS = 4  # in which pixels may fall in two parts; the first is often that of a boundary
_EDGE = 1.6  # times the largest eigenvalue of noise
_APART = 3.0  # standard deviations within
_LEAST_MEAN = 0.05  # counts
_DIM = 0.25  # of the mean counts: holes and shadows teach nothing
_SMALL_SHARE = 0.003  # of the map: a smaller end may be a boundary
_MAIN_PART = 0.75  # of an end that is only blurred
_GOOD_PART, _TINY_PART = 0.1, 0.02
_EXPLAINED = 1.5  # chi-square per bin
_TOLERANCE = 0.03
# Part of the pixels that lie well inside grains: from a third on names are as good as their ends are; below,
# ends are mixtures, too, and confidence falls as names of grains of six, four and two beams do. Where classes
# are hard to tell few pixels seem inside, but their ends are even: 0.01 in grains of twelve beams, from 0.03
# on in those of four and less.
_WELL_INSIDE, _LOST, _DOUBTED = 0.3, 1.5, 0.02
_MOSTLY_INSIDE = 0.4  # from here on ends of rocks of other code were pure


@dataclass(frozen=True, eq=False)
class End:
    """What some pixels of a map have in common."""

    column: int  # the class that these pixels seemed to be
    size: int  # how many they are
    counts: NDArray[np.float64]  # (B,) their counts together
    # Of the shapes of their spectra beyond counting: the sum over bins of a share's variance over the share;
    # 0.002 where the areas of two minerals differ by 3 % from pixel to pixel. NaN where it is not known.
    variation: float = math.nan
    # Of an uneven end that other, larger ones explain: their places, and what parts of its area they are
    held: tuple[tuple[int, float], ...] = ()
    explained: bool = False  # whether larger ones together explain it
    shows: frozenset[str] = frozenset()  # elements, one of which it holds beyond doubt where there are any
    speck: bool = False  # whether its pixels are grains of a few

    @property
    def mean(self) -> NDArray[np.float64]:
        """(B,) counts of one pixel that is wholly of it."""
        return self.counts / self.size


@dataclass(frozen=True, eq=False)
class _Cut:
    """Where pixels fall in two parts: counts (B,) times weights are above a limit, or not."""

    weights: NDArray[np.float32]
    limit: float
    upper: _Cut | None
    lower: _Cut | None

    def parts(self, around: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the parts (n,) that pixels (n, B) fall in, the upper ones first."""
        above = around @ self.weights > np.float64(self.limit)
        part = np.zeros(above.size, dtype=np.intp)
        for cut, own, first in ((self.upper, above, 0), (self.lower, ~above, _number(self.upper))):
            part[own] = first + (cut.parts(around[own]) if cut else 0)
        return part


def _number(cut: _Cut | None) -> int:
    return 1 if cut is None else _number(cut.upper) + _number(cut.lower)


def learn_ends(
    binned: BinnedMap, winner: NDArray[np.integer], progress: Progress = ignore_progress
) -> tuple[tuple[End, ...], NDArray[np.int16]]:
    """Return the ends of a map, the largest first, and of which end each pixel (Y, X) is; -1 of none.

    ``winner`` (Y, X) is the class of each pixel, -1 where nothing was measured.
    """
    totals = np.zeros(winner.shape, dtype=np.float32)
    for band, counts in binned.bands("summing counts", progress):
        totals[band] = counts.sum(axis=2)
    inner = _inner(winner, totals)
    classes = np.unique(inner[inner >= 0])
    number = np.bincount(inner[inner >= 0], minlength=int(classes.max(initial=0)) + 1)
    most = number.max(initial=0) if number.sum() <= _MOST_TAUGHT else _MOST_TAUGHT // classes.size
    teaching = np.full(inner.shape, -1, dtype=np.intp)
    for column in classes:
        teaching.flat[spread_over(np.flatnonzero(inner == column), most)] = column
    lessons: dict[int, list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = {}
    for column, counts, around, _ in _class_pixels(binned, winner, teaching, progress):
        lessons.setdefault(column, []).append((counts, around))
    with one_thread_of("blas"):
        cuts = dict(zip(lessons, in_threads(_first_cut, lessons.values()), strict=True))
    first = np.cumsum([0, *(_number(cuts[column]) for column in classes.tolist())])
    start = dict(zip(classes.tolist(), first.tolist(), strict=False))
    sums = np.zeros((int(first[-1]), binned.bins.size))
    squares = np.zeros_like(sums)
    places = np.full(winner.shape, -1, dtype=np.int16)
    for column, counts, around, rows in _class_pixels(binned, winner, inner, progress):
        cut = cuts[column]
        part = start[column] + (cut.parts(around) if cut else np.zeros(len(counts), dtype=np.intp))
        places[rows][inner[rows] == column] = part
        for each in np.unique(part):
            own = counts[part == each].astype(np.float64)
            sums[each] += own.sum(axis=0)
            squares[each] += (own**2 / np.maximum(own.sum(axis=1, keepdims=True), 1)).sum(axis=0)
    sizes = np.bincount(places[places >= 0], minlength=sums.shape[0])
    columns = np.repeat(classes, np.diff(first))
    order = [each for each in np.argsort(-sizes, kind="stable").tolist() if sizes[each]]
    ends = [
        End(
            int(columns[each]),
            int(sizes[each]),
            sums[each],
            _variation(sums[each], squares[each], sizes[each]),
        )
        for each in order
    ]
    kept = _without_boundaries(ends, int((winner >= 0).sum()))
    number_of = np.full(sums.shape[0] + 1, -1, dtype=np.int16)
    number_of[[order[each] for each in kept]] = np.arange(len(kept))
    return tuple(kept.values()), number_of[places]


def belief_in_ends(
    ends: Sequence[End], places: NDArray[np.integer], winner: NDArray[np.integer]
) -> tuple[float, tuple[str, ...]]:
    """Return how far names of ends can be believed for the size of grains, at most 1, and a note where less.

    ``places``, ``winner``: (Y, X) as :func:`learn_ends` returns and takes them.
    """
    inside, uneven = _inside(places, winner), min(_usual_variation(ends) / _DOUBTED - 1, 1.0)
    if inside >= _WELL_INSIDE or uneven <= 0:
        return 1.0, ()
    return 1 - _LOST * (_WELL_INSIDE - inside) * uneven, (told_of_grains(inside, "lie well inside a grain"),)


def told_of_grains(pixels: float, what: str) -> str:
    """Return a note on fine grains: only that part of the pixels are, or do, ``what`` makes names sure."""
    return (
        f"only {pixels:.0%} of the pixels {what}: where grains are hardly wider than the beam, names are of"
        " what mixtures tell, and less sure"
    )


def may_be_mixtures(ends: Sequence[End], places: NDArray[np.integer], winner: NDArray[np.integer]) -> bool:
    """Tell whether ends may be of grains hardly wider than the beam, and so hold what lies beside these.

    ``places``, ``winner``: (Y, X) as :func:`learn_ends` returns and takes them.
    """
    # Of two ends neither can be what others explain.
    few_inside = _inside(places, winner) < _MOSTLY_INSIDE
    return len(ends) > 2 and few_inside and _usual_variation(ends) > _LEAST_UNEVEN


def explaining_parts(end: End, larger: Sequence[End]) -> NDArray[np.float64]:
    """Return what parts of an end larger ones are, without tiny ones; zeros where they explain it not."""
    deviation = np.sqrt(end.counts + (_TOLERANCE * end.counts) ** 2 + 1)
    columns = np.array([other.mean for other in larger]).T * end.size
    amounts = fit_bounded(columns / deviation[:, None], end.counts / deviation)
    residual = (end.counts - columns @ amounts) / deviation
    if float((residual**2).mean()) >= _EXPLAINED:
        return np.zeros(len(larger))
    amounts[amounts < _TINY_PART * amounts.sum()] = 0
    return np.asarray(amounts / amounts.sum())


def spread_over(values: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return so many of some values at most, from the first to the last."""
    return values[np.linspace(0, values.size - 1, min(values.size, most)).astype(np.intp)]


def _inside(places: NDArray[np.integer], winner: NDArray[np.integer]) -> float:
    """Return the part of the measured pixels that lie well inside grains."""
    return float((places[winner >= 0] >= 0).mean())


def _usual_variation(ends: Sequence[End]) -> float:
    """Return how much more than counts the pixels of ends vary, on average; 0 where it is not known."""
    known = [end for end in ends if np.isfinite(end.variation)]
    sizes = [end.size for end in known]
    return float(np.average([end.variation for end in known], weights=sizes)) if known else 0.0


def _variation(sums: NDArray[np.float64], squares: NDArray[np.float64], pixels: int) -> float:
    """Return what shapes vary more than counts do; ``squares`` (B,) are of their counts over their totals."""
    total = float(sums.sum())
    seen = sums > _LEAST_MEAN * pixels
    if pixels < _LEAST_PIXELS or np.count_nonzero(seen) < 2:
        return math.nan
    shares = sums[seen] / total
    # Counting alone gives each of the pixels but one the variance share × (1 - share).
    excess = (squares[seen] / shares).sum() - total * shares.sum() - (pixels - 1) * (1 - shares).sum()
    return float(excess / (total * (pixels - 1) / pixels))


def _inner(winner: NDArray[np.integer], totals: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the class (Y, X) of pixels that lie well inside a grain, -1 of others."""
    held = winner >= 0
    inner = np.full(winner.shape, -1, dtype=np.intp)
    for column in np.unique(winner[held]).tolist():
        like = winner == column
        near = neighbour_mean(like[held].astype(np.float32)[:, None], held)[:, 0]
        own = np.zeros(held.shape, dtype=bool)
        for share, least in _INSIDE:
            if np.count_nonzero(own) < least:
                own[held] = like[held] & (near >= share)
        own[own] = totals[own] * np.count_nonzero(own) >= _DIM * totals[own].sum()
        if np.count_nonzero(own) >= _FEWEST_PIXELS:
            inner[own] = column
    return inner


def _class_pixels(
    binned: BinnedMap, winner: NDArray[np.integer], wanted: NDArray[np.intp], progress: Progress
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32], slice]]:
    """Yield, band by band, each class's wanted pixels in row order: their counts (n, B) and the band.

    Between them stand mean counts of a pixel and of those of its neighbours that are alike: less noise.
    """

    def of_band(
        band: tuple[slice, slice, slice],
    ) -> list[tuple[int, NDArray[np.float32], NDArray[np.float32], slice]]:
        rows, wide, inner = band
        counts = binned.counts(wide)
        found = []
        for column in np.unique(wanted[rows][wanted[rows] >= 0]).tolist():
            down, right = np.nonzero(wanted[rows] == column)
            like = np.pad(winner[wide] == column, 1)
            total = np.zeros((down.size, counts.shape[2]), dtype=np.float32)
            number = np.zeros(down.size, dtype=np.float32)
            for below in range(3):
                for beside in range(3):
                    y, x = inner.start + down + below, right + beside
                    valid = like[y, x]
                    total[valid] += counts[y[valid] - 1, x[valid] - 1]
                    number += valid
            found.append((column, counts[inner.start + down, right], total / number[:, None], rows))
        return found

    for found in in_threads(of_band, binned.wide_bands(1, "looking for parts of classes", progress)):
        yield from found


def _first_cut(lessons: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> _Cut | None:
    """Return how the pixels of a class fall in parts: counts and means around them, of each band."""
    counts, around = (np.concatenate(each) for each in zip(*lessons, strict=True))
    return _cut(counts, around, _DEPTH)


def _cut(counts: NDArray[np.float32], around: NDArray[np.float32], depth: int) -> _Cut | None:
    """Return how pixels (n, B) fall in two parts, again and again, while they differ by more than noise."""
    if depth == 0 or len(counts) < 2 * _LEAST_PIXELS:
        return None
    chosen = np.linspace(0, len(counts) - 1, min(len(counts), _TAUGHT)).astype(np.intp)
    mean = np.maximum(counts.mean(axis=0, dtype=np.float64), _LEAST_MEAN)
    # Nine pixels' mean has a ninth of the variance, and is shared by neighbours.
    deviation = np.sqrt(mean / 9)
    few = (around[chosen] - mean) / deviation
    values, vectors = np.linalg.eigh(few.T @ few / few.shape[0])
    noise = (1 + np.sqrt(9 * mean.size / few.shape[0])) ** 2
    best, weights, limit = 0.0, np.zeros(0, dtype=np.float32), 0.0
    for place in range(1, min(_DIRECTIONS, values.size) + 1):
        if values[-place] > _EDGE * noise:
            tried = (vectors[:, -place] / deviation).astype(np.float32)
            between, gain = _two_parts(around @ tried)
            if gain > best:
                best, weights, limit = gain, tried, between
    if best == 0:
        return None
    upper = around @ weights > np.float64(limit)
    parts = [_cut(counts[side], around[side], depth - 1) for side in (upper, ~upper)]
    return _Cut(weights, limit, *parts)


def _two_parts(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return what parts values in two clear parts, and how much that explains, or 0."""
    ordered = np.sort(values.astype(np.float64))
    number = np.arange(1, ordered.size)
    first, both = np.cumsum(ordered)[:-1], ordered.sum()
    apart = (both - first) / (ordered.size - number) - first / number
    between = number * (ordered.size - number) / ordered.size * apart**2
    within = np.maximum(((ordered - ordered.mean()) ** 2).sum() - between, 1e-12)
    clear = (apart > _APART * np.sqrt(within / ordered.size)) & (number >= _LEAST_PIXELS)
    clear &= (ordered.size - number >= _LEAST_PIXELS) & (np.diff(ordered) > 0)
    gain = np.where(clear, between, 0.0)
    best = int(gain.argmax())
    return float(ordered[best : best + 2].mean()), float(gain[best])


def _without_boundaries(ends: list[End], pixels: int) -> dict[int, End]:
    """Return the ends by their places, without small ones that are mixtures of larger ones.

    Uneven ones that are mixtures, too, hold others of those that are kept.
    """
    kept: dict[int, End] = {}
    pure: list[int] = []  # which of these are no mixtures
    larger: list[End] = []  # those themselves
    for place, end in enumerate(ends):
        small = end.size < max(_SMALL_SHARE * pixels, 2 * _LEAST_PIXELS)
        amounts = np.zeros(0) if len(kept) < 2 else explaining_parts(end, larger)
        if amounts.any():
            main = int(amounts.argmax())
            several = np.count_nonzero(amounts > _GOOD_PART) > 1
            if (larger[main].column == end.column and amounts[main] > _MAIN_PART) or (small and several):
                continue
            if several and _is_uneven(end):
                held = tuple((pure[each], float(amounts[each])) for each in np.flatnonzero(amounts))
                kept[place] = replace(end, held=held, explained=True)
                continue
        pure.append(len(kept))
        larger.append(end)
        kept[place] = replace(end, explained=bool(amounts.any()))
    return kept


def _is_uneven(end: End) -> bool:
    """Tell whether an end that larger ones explain varies more than one phase does, beyond chance."""
    error = math.sqrt(2 * end.counts.size * end.size) / float(end.counts.sum())
    return end.variation > min(UNEVEN, _LEAST_UNEVEN + _SURELY * error)
