"""How much of each end a pixel holds: the amounts of a few candidates that make its counts most probable."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.cores import in_threads

MOST_CANDIDATES = 6
FASTER = 1.7  # exponent of steps of expectation maximisation: below 2 it keeps the ascent
_AT_ONCE = 2_048  # pixels of a thread
_FIRST, _STEPS, _CUTS, _SWEEPS = 3, 40, 8, 100
_OVER = 0.8  # of the slope before a step, behind it: less is no detour
_CONVERGED = 1e-3  # of log-likelihood, that a step promised
_SETTLED = 1e-6  # of area
_WORTH = 4.0  # units of log-likelihood that an end must be worth
_AREA_ERROR = 0.1  # as rocks of other code show
_TINY = 1e-9


def unmix(
    counts: NDArray[np.float32],
    ends: NDArray[np.float32],
    kinds: NDArray[np.int32],
    candidates: NDArray[np.int32],
    *,
    free: float = 1.0,
    threads: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return what ends (M, B) pixels (n, B) hold; on all cores if asked for.

    ``kinds``: (M,) of which class each end is; of one class nothing leads. ``candidates``: (n, K) the ends
    that a pixel may hold, the most probable first; -1 where there are fewer. ``free``: the standard deviation
    of a candidate's part of the area before anything is measured. Returns ``amounts``: (n, K),
    ``deviance``: (n,), ``lead``: (n,) standard deviations, of counting and a tenth of area, by which the
    largest class leads.
    """
    amounts = np.zeros(candidates.shape, dtype=np.float32)
    deviance, lead = (np.zeros(counts.shape[0], dtype=np.float32) for _ in range(2))
    ends = np.ascontiguousarray(ends)
    at_once = _AT_ONCE if threads else max(len(counts), 1)

    def unmix_some(start: int) -> None:
        some = slice(start, start + at_once)
        _unmix(counts[some], ends, kinds, candidates[some], amounts[some], deviance[some], lead[some], free)

    starts = range(0, len(counts), at_once)
    for _ in in_threads(unmix_some, starts) if threads else map(unmix_some, starts):
        pass
    return amounts, deviance, lead


@compiled(fastmath=True)
def _unmix(counts, ends, kinds, candidates, amounts, deviance, lead, free):  # type: ignore[no-untyped-def]
    for pixel in range(counts.shape[0]):
        own = counts[pixel]
        level = _unmix_one(own, ends, candidates[pixel], amounts[pixel])
        deviance[pixel] = 2 * (_most(own) - level)
        lead[pixel] = _lead(own, ends, kinds, candidates[pixel], amounts[pixel], free)


@compiled(fastmath=True)
def _unmix_one(own, ends, candidates, amounts):  # type: ignore[no-untyped-def]
    """Put the amounts of a pixel in place; return its log-likelihood."""
    columns, number = np.empty(candidates.size, dtype=np.int64), 0
    for column in range(candidates.size):
        if candidates[column] >= 0:
            columns[number] = column
            number += 1
    shapes = np.empty((number, own.size), dtype=np.float32)
    shares = np.empty(number)
    for place in range(number):
        for index in range(own.size):
            shapes[place, index] = ends[candidates[columns[place]], index]
    alike = own.sum() / max(shapes.sum(), _TINY)
    for place in range(number):
        shares[place] = alike
    level = _fit(own, shapes, shares)
    while number > 1:
        # Without the smallest: worse by less than it is worth?
        weakest = 0
        for place in range(number):
            if shares[place] < shares[weakest]:
                weakest = place
        fewer = np.empty((number - 1, own.size), dtype=np.float32)
        rest, others = np.empty(number - 1), np.empty(number - 1, dtype=np.int64)
        for place in range(number - 1):
            kept = place + (place >= weakest)
            rest[place], others[place] = shares[kept], columns[kept]
            for index in range(own.size):
                fewer[place, index] = shapes[kept, index]
        lower = level if shares[weakest] == 0 else _fit(own, fewer, rest)
        if level - lower > _WORTH:
            break
        shapes, shares, columns, level, number = fewer, rest, others, lower, number - 1
    for place in range(number):
        amounts[columns[place]] = shares[place]
    return level


@compiled(fastmath=True)
def _fit(own, shapes, shares):  # type: ignore[no-untyped-def]
    """Make counts most probable under shares, in place; return the log-likelihood.

    It is concave in the shares. Newton's steps, cut where they lead far beyond the highest point along them.
    """
    number, size = shapes.shape
    sums = np.empty(number)
    for place in range(number):
        sums[place] = shapes[place].sum()
    if number == 1:
        shares[0] = own.sum() / max(sums[0], _TINY)
    mean, ratio = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    tried, step = np.empty(number), np.empty(number)
    slope, ahead = np.empty(number), np.empty(number)
    _copy(shares, tried)
    bend = np.empty((number, number))
    _slopes(own, shapes, tried, mean, ratio, slope)
    for _ in range(_FIRST if number > 1 else 0):
        # Expectation maximisation comes near from anywhere.
        for place in range(number):
            tried[place] *= max(1 + slope[place] / max(sums[place], _TINY), 0.0) ** FASTER
        _slopes(own, shapes, tried, mean, ratio, slope)
    _copy(tried, shares)
    for _ in range(_STEPS if number > 1 else 0):
        for index in range(size):
            ratio[index] /= mean[index]
        for first in range(number):
            for second in range(first + 1):
                total = np.float32(0)
                for index in range(size):
                    total += shapes[first, index] * shapes[second, index] * ratio[index]
                bend[first, second] = bend[second, first] = total
        _bounded_step(slope, bend, shares, step)
        low, part, high, rise = 0.0, 1.0, 1.0, _dot(slope, step)
        if rise <= 0:
            break
        for _ in range(_CUTS):
            for place in range(number):
                tried[place] = shares[place] + part * step[place]
            _slopes(own, shapes, tried, mean, ratio, ahead)
            still = _dot(ahead, step) / rise
            if still < -_OVER:
                high = part
            elif still > _OVER and part < high:
                low = part
            else:
                break
            part = (low + high) / 2
        _copy(tried, shares)
        _copy(ahead, slope)
        if part == 1 and rise < _CONVERGED:
            break
    level = 0.0
    for index in range(size):
        level -= mean[index]
        if own[index] > 0:
            level += own[index] * np.log(mean[index])
    return level


@compiled(fastmath=True)
def _slopes(own, shapes, shares, mean, ratio, slope):  # type: ignore[no-untyped-def]
    """Put in place what is expected, counts over it, and how the log-likelihood rises with each share."""
    number, size = shapes.shape
    for index in range(size):
        mean[index] = _TINY
    for place in range(number):
        share = np.float32(shares[place])
        for index in range(size):
            mean[index] += share * shapes[place, index]
    for index in range(size):
        ratio[index] = own[index] / mean[index]
    for place in range(number):
        total = np.float32(0)
        for index in range(size):
            total += shapes[place, index] * (ratio[index] - np.float32(1))
        slope[place] = total


@compiled(fastmath=True)
def _bounded_step(slope, bend, shares, step):  # type: ignore[no-untyped-def]
    """Put in place the step to the top of a parabola over shares that are not negative, one after another."""
    number = slope.size
    left = np.empty(number)
    for place in range(number):
        step[place], left[place] = 0.0, slope[place]
    for _ in range(_SWEEPS):
        change = 0.0
        for place in range(number):
            wanted = step[place] + left[place] / max(bend[place, place], _TINY)
            moved = max(wanted, -shares[place]) - step[place]
            if moved != 0:
                step[place] += moved
                change = max(change, abs(moved))
                for other in range(number):
                    left[other] -= moved * bend[place, other]
        if change < _SETTLED:
            break


@compiled(fastmath=True)
def _lead(own, ends, kinds, candidates, amounts, free):  # type: ignore[no-untyped-def]
    """Return the lead of the largest class over each other candidate's, the least of them."""
    least, used = 10.0, np.flatnonzero(candidates >= 0)
    if used.size < 2:
        return least
    own_kinds, total = kinds[candidates[used]], max(amounts.sum(), _TINY)
    if own_kinds.min() == own_kinds.max():
        return least
    shares = np.zeros(used.size)
    for one in range(used.size):
        for other in range(used.size):
            if own_kinds[other] == own_kinds[one]:
                shares[one] += amounts[used[other]] / total
    first = int(shares.argmax())
    spread = _spread(own, ends, candidates[used], total, free)
    for rival in range(used.size):
        if own_kinds[rival] == own_kinds[first]:
            continue
        # Of what the ends of the first class hold, 1, less what those of the other do, -1.
        sides = np.zeros(used.size)
        sides[own_kinds == own_kinds[first]] = 1.0
        sides[own_kinds == own_kinds[rival]] = -1.0
        error = _AREA_ERROR**2
        for one in range(used.size):
            for other in range(used.size):
                error += sides[one] * spread[one, other] * sides[other]
        least = min(least, (shares[first] - shares[rival]) / np.sqrt(error))
    return least


@compiled(fastmath=True)
def _spread(own, ends, used, total, free):  # type: ignore[no-untyped-def]
    """Return the covariances of shares: what one seems to hold may be of two others together."""
    bend = np.zeros((used.size, used.size))
    for one in range(used.size):
        for other in range(one + 1):
            information = 0.0
            for index in range(own.size):
                information += ends[used[one], index] * ends[used[other], index] / max(own[index], 0.5)
            bend[one, other] = bend[other, one] = information * total * total
        bend[one, one] += 1.0 / free**2
    return np.linalg.inv(bend)


@compiled(fastmath=True)
def _most(own):  # type: ignore[no-untyped-def]
    """Return the log-likelihood of counts that are as expected."""
    level = 0.0
    for index in range(own.size):
        if own[index] > 0:
            level += own[index] * (np.log(own[index]) - 1)
    return level


@compiled(fastmath=True)
def _dot(first, second):  # type: ignore[no-untyped-def]
    total = 0.0
    for index in range(first.size):
        total += first[index] * second[index]
    return total


@compiled(fastmath=True)
def _copy(values, onto):  # type: ignore[no-untyped-def]
    for index in range(values.size):
        onto[index] = values[index]
