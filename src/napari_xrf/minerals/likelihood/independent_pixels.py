"""Which pixels of a map were counted by themselves: others repeat them, or lie between them.

Counts of two pixels that are alike, n together in a bin, differ by n in the mean square whatever n is; where
pixels differ they differ by more, and less only where they share counts. A map that was resampled, or put
together from parts that recur, is full of such pixels: what chance made of one of them looks like a phase.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.likelihood.binned_map import BinnedMap

_FARTHEST = 8  # pixels, of what is looked for
_ROWS = 24  # of a map, that show it
_LEAST_BINS = 8  # with counts, of two pixels together
_LOW = 0.25  # quantile of pairs: most of them lie within a grain
_ALIKE, _CHANCE = 0.7, 1.5  # of a mean square, and its standard deviations below 1
_SETTLED = 0.85  # of what pixels far from each other differ by
_LEAST_COUNTS = 100.0  # of two pixels that are no chance repeats
_REPEATED = (0.05, 0.95)  # distinct spectra of a map that repeats itself; with fewer it has no counting noise
_SEED = 20260702


@dataclass(frozen=True, eq=False)
class IndependentPixels:
    """The pixels that a map is learnt from."""

    binned: BinnedMap  # every ``steps``-th pixel of every so many rows; of spectra that recur the first only
    steps: tuple[int, int]  # down and across
    first: NDArray[np.intp]  # (n,) flat places, in that map, of what each of its pixels repeats
    notes: tuple[str, ...]  # one sentence each

    def spread(self, places: NDArray[np.int16], shape: tuple[int, int]) -> NDArray[np.int16]:
        """Return what was found of these pixels, for all pixels of the map."""
        whole = places.reshape(-1)[self.first].reshape(places.shape)
        for axis, step in enumerate(self.steps):
            whole = np.repeat(whole, step, axis=axis)
        return np.asarray(whole[: shape[0], : shape[1]])


def independent_pixels(binned: BinnedMap) -> IndependentPixels:
    """Return the pixels of a map that share no counts, so far as its counts tell."""
    steps, told = [], []
    for axis, word in enumerate(("row", "column")):
        step, level = _step(binned, axis)
        steps.append(step)
        if step > 1:
            told.append(f"every {_ordinal(step)} {word}")
        elif level < 1:
            told.append("")
    down, across = steps
    notes = []
    if any(told):
        notes.append(
            "neighbouring pixels differ less than counts do, as in a map that was resampled or smoothed:"
            f" phases are learnt from {' and '.join(each for each in told if each)}, and probabilities are"
            " too sure; better map the counts as measured"
        )
    elif told:
        notes.append(
            "pixels differ less than counts do wherever they lie: these are no counts, or smoothed ones, and"
            " probabilities are wrong; better map the counts as measured"
        )
    thin = binned.every(down, across) if down > 1 or across > 1 else binned
    first, distinct = _repeats(thin)
    if first is None:
        return IndependentPixels(thin, (down, across), np.arange(np.prod(thin.shape)), tuple(notes))
    notes.append(
        f"only {distinct:.0%} of the pixels' spectra occur once, the others repeat them to the count: each"
        " is learnt from once; better map the counts as measured"
    )
    fresh = (first == np.arange(first.size)).reshape(thin.shape)
    return IndependentPixels(thin.only(fresh), (down, across), first, tuple(notes))


def _step(binned: BinnedMap, axis: int) -> tuple[int, float]:
    """Return how far apart along an axis pixels share no counts, and 1.0 where neighbours are counts."""
    level, bins = _difference(binned, axis, 1)
    if bins < _LEAST_BINS or level >= min(_ALIKE, 1 - _CHANCE * np.sqrt(2 / bins)):
        return 1, 1.0
    levels = [level]
    while len(levels) < min(_FARTHEST, binned.shape[axis] // 2):
        levels.append(_difference(binned, axis, len(levels) + 1)[0])
    settled = _SETTLED * min(1.0, max(levels))
    return next(place for place, each in enumerate(levels, 1) if each >= settled), level


def _difference(binned: BinnedMap, axis: int, apart: int) -> tuple[float, float]:
    """Return by how much alike pixels so far apart differ, 1.0 of counts, and in how many bins."""
    rows, columns = binned.shape
    last = rows - (apart if axis == 0 else 0)
    if last < 1 or columns <= (apart if axis else 0):
        return 1.0, 0.0
    squares, numbers = [], []
    for row in np.unique(np.linspace(0, last - 1, _ROWS).astype(int)).tolist():
        start = binned.first_row + row
        one = binned.counts(slice(start, start + 1))[0]
        other = binned.counts(slice(start + apart, start + apart + 1))[0] if axis == 0 else one[apart:]
        one = one[: len(other)]
        both = one + other
        held = both > 0
        number = np.count_nonzero(held, axis=1)
        square = ((one - other) ** 2 / np.where(held, both, 1)).sum(axis=1, dtype=np.float64)
        known = (number >= _LEAST_BINS) & (one.sum(axis=1) > 0) & (other.sum(axis=1) > 0)
        squares.append(square[known] / number[known])
        numbers.append(number[known])
    every = np.concatenate(squares)
    if not every.size:
        return 1.0, 0.0
    return float(np.quantile(every, _LOW)), float(np.median(np.concatenate(numbers)))


def _repeats(binned: BinnedMap) -> tuple[NDArray[np.intp] | None, float]:
    """Return the first pixel (n,) of each pixel's spectrum, or None where few recur, and how many differ."""
    # Spectra are told apart by sums of their bits with random weights, modulo 2^64.
    weights = np.random.default_rng(_SEED).integers(1, 2**64, binned.bins.size, dtype=np.uint64)
    keys, counted = [], []
    for _, counts in binned.bands("looking for pixels that recur"):
        flat = np.ascontiguousarray(counts.reshape(-1, binned.bins.size))
        keys.append(flat.view(np.uint32).astype(np.uint64) @ weights)
        counted.append(flat.sum(axis=1) >= _LEAST_COUNTS)
    inside = np.flatnonzero(np.concatenate(counted))
    _, found, same = np.unique(np.concatenate(keys)[inside], return_index=True, return_inverse=True)
    distinct = found.size / max(inside.size, 1)
    if binned.bins.size < _LEAST_BINS or not _REPEATED[0] <= distinct <= _REPEATED[1]:
        return None, distinct
    first = np.arange(binned.shape[0] * binned.shape[1])
    first[inside] = inside[found[same.reshape(-1)]]
    return first, distinct


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
