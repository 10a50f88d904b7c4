"""How much of each end a pixel holds: the amounts of a few candidates that make its counts most probable."""

import numba
import numpy as np
from numpy.typing import NDArray

MOST_CANDIDATES = 6
_STEPS, _OVER = 120, 1.7  # an exponent below 2 keeps the ascent and nearly halves the steps
_CONVERGED = 1e-4  # of area
_WORTH = 4.0  # units of log-likelihood that an end must be worth
_AREA_ERROR = 0.125  # rocks of other code: 0.1 is surer than pixels are right
_TINY = 1e-9


def unmix(
    counts: NDArray[np.float32],
    ends: NDArray[np.float32],
    kinds: NDArray[np.int32],
    candidates: NDArray[np.int32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return what ends (M, B) pixels (n, B) hold.

    ``kinds``: (M,) of which class each end is. ``candidates``: (n, K) the ends that a pixel may hold, the
    most probable first; -1 where there are fewer. Returns ``amounts``: (n, K), ``deviance``: (n,), ``lead``:
    (n,) standard deviations, of counting and an eighth of area, by which the largest class leads.
    """
    amounts = np.zeros(candidates.shape, dtype=np.float32)
    deviance, lead = (np.zeros(counts.shape[0], dtype=np.float32) for _ in range(2))
    _unmix(counts, np.ascontiguousarray(ends), kinds, candidates, amounts, deviance, lead)
    return amounts, deviance, lead


@numba.njit(parallel=True, nogil=True, cache=True, fastmath=True)
def _unmix(counts, ends, kinds, candidates, amounts, deviance, lead):  # type: ignore[no-untyped-def]
    for pixel in numba.prange(counts.shape[0]):
        own = counts[pixel]
        number = 0
        for place in range(candidates.shape[1]):
            if candidates[pixel, place] >= 0:
                number += 1
        if number == 0:
            continue
        used = candidates[pixel, :number].copy()
        shares = np.full(number, 1.0 / number)
        level = _fit(own, ends, used, shares)
        while number > 1:
            # Without the smallest: worse by less than it is worth?
            weakest = 0
            for place in range(1, number):
                if shares[place] < shares[weakest]:
                    weakest = place
            fewer, rest = np.empty(number - 1, dtype=np.int32), np.empty(number - 1)
            for place in range(number):
                if place != weakest:
                    fewer[place - (place > weakest)] = used[place]
                    rest[place - (place > weakest)] = shares[place] + _TINY
            lower = _fit(own, ends, fewer, rest)
            if level - lower > _WORTH:
                break
            used, shares, level, number = fewer, rest, lower, number - 1
        for place in range(number):
            for column in range(candidates.shape[1]):
                if candidates[pixel, column] == used[place]:
                    amounts[pixel, column] = shares[place]
        deviance[pixel] = 2 * (_most(own) - level)
        lead[pixel] = _lead(own, ends, kinds, candidates[pixel], amounts[pixel])


@numba.njit(nogil=True, cache=True, fastmath=True)
def _fit(own, ends, used, shares):  # type: ignore[no-untyped-def]
    """Poisson expectation maximisation of the shares, in place; return the log-likelihood."""
    number, size = used.size, own.size
    sums = np.zeros(number)
    for place in range(number):
        for index in range(size):
            sums[place] += ends[used[place], index]
    total = own.sum()
    if number == 1:
        shares[0] = total / max(sums[0], _TINY)
    gains = np.empty(number)
    for _ in range(_STEPS if number > 1 else 0):
        gains[:] = 0.0
        for index in range(size):
            if own[index] > 0:
                mean = _TINY
                for place in range(number):
                    mean += shares[place] * ends[used[place], index]
                ratio = own[index] / mean
                for place in range(number):
                    gains[place] += ratio * ends[used[place], index]
        change = 0.0
        for place in range(number):
            new = shares[place] * (gains[place] / max(sums[place], _TINY)) ** _OVER
            change = max(change, abs(new - shares[place]))
            shares[place] = new
        if change < _CONVERGED:
            break
    level = 0.0
    for index in range(size):
        mean = _TINY
        for place in range(number):
            mean += shares[place] * ends[used[place], index]
        level -= mean
        if own[index] > 0:
            level += own[index] * np.log(mean)
    return level


@numba.njit(nogil=True, cache=True, fastmath=True)
def _lead(own, ends, kinds, candidates, amounts):  # type: ignore[no-untyped-def]
    """Return the lead of the largest class over each other candidate's, the least of them."""
    size, total = own.size, max(amounts.sum(), _TINY)
    shares = np.zeros(candidates.size)
    for place in range(candidates.size):
        if candidates[place] >= 0:
            for other in range(candidates.size):
                if candidates[other] >= 0 and kinds[candidates[other]] == kinds[candidates[place]]:
                    shares[place] += amounts[other] / total
    first = int(shares.argmax())
    # Of its class the end that the pixel holds most of.
    for place in range(candidates.size):
        alike = candidates[place] >= 0 and kinds[candidates[place]] == kinds[candidates[first]]
        if alike and amounts[place] > amounts[first]:
            first = place
    least = 10.0
    for place in range(candidates.size):
        if candidates[place] < 0 or kinds[candidates[place]] == kinds[candidates[first]]:
            continue
        information = 0.0
        for index in range(size):
            change = ends[candidates[first], index] - ends[candidates[place], index]
            information += change * change / max(own[index], 0.5)
        spread = _AREA_ERROR**2 + 1.0 / max(information * total * total, _TINY)  # of shares
        least = min(least, (shares[first] - shares[place]) / np.sqrt(spread))
    return least


@numba.njit(nogil=True, cache=True, fastmath=True)
def _most(own):  # type: ignore[no-untyped-def]
    """Return the log-likelihood of counts that are as expected."""
    level = 0.0
    for index in range(own.size):
        if own[index] > 0:
            level += own[index] * (np.log(own[index]) - 1)
    return level
