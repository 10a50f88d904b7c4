"""Compiled loops over pixels of :mod:`.cleanup`, and its morphology by runs; classes are numbers from 0.

Pixels that were not measured hold -1. Kernels work on rows ``first`` to ``last`` of a map, so that a caller
can stop between bands.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled

Classes = NDArray[np.int32]
Mask = NDArray[np.bool_]
Told = Callable[[], None]  # between bands; may raise Cancelled

_FAR = 32000
_BAND = 128  # rows between two calls that may stop


def bands(rows: int, told: Told) -> Iterator[tuple[int, int]]:
    """Yield first and last row of bands; the caller may be stopped before each."""
    for first in range(0, rows, _BAND):
        told()
        yield first, min(rows, first + _BAND)


def narrow_parts(classes: Classes, radius: int, told: Told) -> Mask:
    """Return the pixels of any class that its opening by a disk of this radius takes away.

    One erosion and one dilation serve all classes: what is left of one is further from others than the disk
    is wide. A class that runs over the map's edge is not narrow there.
    """
    wide = np.pad(classes, radius, mode="edge")
    left = wide >= 0
    alike = np.empty(wide.shape, dtype=np.int16)
    _fill_run_lengths(wide, alike)
    for part, shift, half in _disk(wide.shape[0], radius, told):
        left[part] &= (wide[part] == wide[shift]) & (alike[shift] > half)
    kept = dilated(left, radius, told)
    inside = (slice(radius, wide.shape[0] - radius), slice(radius, wide.shape[1] - radius))
    return (classes >= 0) & ~kept[inside]


def closed(mask: Mask, radius: int, told: Told) -> Mask:
    """Return the closing of a mask by a disk; beyond the map there is nothing of it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return mask
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    grown = dilated(np.pad(mask[box], 2 * radius), radius, told)
    filled = mask.copy()
    inside = (slice(2 * radius, -2 * radius),) * 2
    filled[box] |= ~dilated(~grown, radius, told)[inside]
    return filled


def dilated(mask: Mask, radius: int, told: Told) -> Mask:
    """Return the dilation of a mask by a disk, a row of the disk at a time."""
    away = np.empty(mask.shape, dtype=np.int16)
    _fill_gaps(mask, away)
    grown = mask.copy()
    for part, shift, half in _disk(mask.shape[0], radius, told):
        grown[part] |= away[shift] <= half
    return grown


def _disk(rows: int, radius: int, told: Told) -> Iterator[tuple[slice, slice, int]]:
    """Yield for each row of a disk: rows of the map, the rows they look at, and half the disk's width."""
    for step in range(-radius, radius + 1):
        told()
        if abs(step) < rows:
            part = slice(max(0, -step), rows - max(0, step))
            shift = slice(max(0, step), rows - max(0, -step))
            yield part, shift, math.isqrt(radius * radius - step * step)


@compiled()
def _fill_gaps(mask: Any, away: Any) -> None:
    """Fill in how far each pixel is from the mask along its row, 0 within it."""
    rows, columns = mask.shape
    for y in range(rows):
        far = _FAR
        for x in range(columns):
            far = 0 if mask[y, x] else min(far + 1, _FAR)
            away[y, x] = far
        far = _FAR
        for x in range(columns - 1, -1, -1):
            far = 0 if mask[y, x] else min(far + 1, _FAR)
            away[y, x] = min(away[y, x], far)


@compiled()
def _fill_run_lengths(classes: Any, away: Any) -> None:
    """Fill in how far each pixel is from one of another class along its row."""
    rows, columns = classes.shape
    for y in range(rows):
        far = _FAR
        for x in range(columns):
            far = 1 if x > 0 and classes[y, x] != classes[y, x - 1] else min(far + 1, _FAR)
            away[y, x] = far
        far = _FAR
        for x in range(columns - 1, -1, -1):
            far = 1 if x < columns - 1 and classes[y, x] != classes[y, x + 1] else min(far + 1, _FAR)
            away[y, x] = min(away[y, x], far)


def smoothed(classes: Classes, size: int, told: Told) -> Classes:
    """Return the class that weighs most around each pixel; a tie keeps its own.

    Weights are a bell whose standard deviation is a quarter of ``size``.
    """
    half = size // 2
    bell = np.exp(-0.5 * ((np.arange(size) - half) / (size / 4)) ** 2).astype(np.float32)
    winner = classes.copy()
    for first, last in bands(classes.shape[0], told):
        low = max(0, first - half)
        near = classes[low : last + half]
        own = classes[first:last]
        most = np.zeros(own.shape, dtype=np.float32)
        had = np.zeros(own.shape, dtype=np.float32)
        for which in np.unique(near[near >= 0]):
            weight = _blurred(near == which, bell)[first - low : last - low]
            np.copyto(had, weight, where=own == which)
            better = weight > most
            most[better], winner[first:last][better] = weight[better], which
        keeps = (had >= most * (1 - 1e-5)) | (own < 0)
        winner[first:last][keeps] = own[keeps]
    return winner


def _blurred(mask: Mask, bell: NDArray[np.float32]) -> NDArray[np.float32]:
    half = bell.size // 2
    wide = np.pad(mask.astype(np.float32), half)
    rows, columns = mask.shape
    along = sum(weight * wide[:, step : step + columns] for step, weight in enumerate(bell))
    return np.asarray(sum(weight * along[step : step + rows] for step, weight in enumerate(bell)))


@compiled()
def vote(classes: Any, number: int, half: int, first: int, last: int, winner: Any) -> None:
    """Fill rows of ``winner`` with the most frequent class of a square around; a tie keeps the pixel's own.

    The counts of a square move along the row: a column in, a column out.
    """
    rows, columns = classes.shape
    for y in range(first, last):
        low, high = max(0, y - half), min(rows, y + half + 1)
        votes = np.zeros(number, dtype=np.int32)
        for x in range(min(half, columns)):
            for j in range(low, high):
                if classes[j, x] >= 0:
                    votes[classes[j, x]] += 1
        for x in range(columns):
            if x + half < columns:
                for j in range(low, high):
                    if classes[j, x + half] >= 0:
                        votes[classes[j, x + half]] += 1
            if x - half > 0:
                for j in range(low, high):
                    if classes[j, x - half - 1] >= 0:
                        votes[classes[j, x - half - 1]] -= 1
            own = classes[y, x]
            winner[y, x] = own
            if own < 0:
                continue
            best = own
            # Few neighbours are looked through by themselves, so that thousands of classes cost no more.
            if (2 * half + 1) ** 2 < number:
                for j in range(low, high):
                    for i in range(max(0, x - half), min(columns, x + half + 1)):
                        other = classes[j, i]
                        if other >= 0 and (
                            votes[other] > votes[best]
                            or (votes[other] == votes[best] and best != own and other < best)
                        ):
                            best = other
            else:
                for other in range(number):
                    if votes[other] > votes[best]:
                        best = other
            winner[y, x] = best


@compiled()
def settle(
    classes: Any, began: Any, sure: Any, probability: Any, free: Any, strength: float, first: int, last: int
) -> int:
    """Move pixels of some rows to the class of least energy among their own and their neighbours'.

    Energy is minus the logarithm of a class's probability, plus ``strength`` for each of eight neighbours of
    another class, diagonal ones by 1/√2. Classes change in place (iterated conditional modes).

    ``began``, ``sure``: (Y, X) the class that a pixel had at first, and how probable it was; the other
    classes share the rest. ``probability``: (Y, X, K) of all classes, in their place; (0, 0, 0) where it is
    not known. ``free``: (K,) whether pixels of a class may move. Returns how many pixels moved.
    """
    rows, columns = classes.shape
    known = probability.shape[2] > 0
    rest = max(free.size - 1, 1)
    moved = 0
    ties = np.zeros(free.size)
    for y in range(first, last):
        for x in range(columns):
            own = classes[y, x]
            if own < 0 or not free[own]:
                continue
            top, bottom, left, right = max(0, y - 1), min(rows, y + 2), max(0, x - 1), min(columns, x + 2)
            alone = True
            for j in range(top, bottom):
                for i in range(left, right):
                    if classes[j, i] >= 0:
                        ties[classes[j, i]] = 0.0
                        alone &= classes[j, i] == own
            if alone:
                continue
            for j in range(top, bottom):
                for i in range(left, right):
                    if classes[j, i] >= 0 and not (j == y and i == x):
                        ties[classes[j, i]] += 1.0 if j == y or i == x else 0.7071067811865476
            best, most = own, -np.inf
            for step in range(-1, (bottom - top) * (right - left)):
                other = (
                    own if step < 0 else classes[top + step // (right - left), left + step % (right - left)]
                )
                if other < 0 or (step >= 0 and other == best):
                    continue
                if known:
                    chance = probability[y, x, other]
                else:
                    chance = sure[y, x] if other == began[y, x] else (1.0 - sure[y, x]) / rest
                gain = strength * ties[other] + np.log(max(chance, 1e-6))
                if gain > most + 1e-9:
                    best, most = other, gain
            if best != own:
                classes[y, x] = best
                moved += 1
    return moved
