"""Counts moved to another energy axis one by one, so that Poisson counts stay Poisson counts."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.synthesis.sampling import GOLDEN, mix, over_threads, stream_key, unit

_MANY = 64  # counts of a channel from which a normal number stands for a binomial one


def rebin_counts(
    counts: NDArray[np.generic], axis: EnergyAxis, other: EnergyAxis, *, seed: int = 0, first: int = 0
) -> NDArray[np.float32]:
    """Return the counts (N, other.size) of spectra (N, E) on another axis, each count whole in one channel.

    A channel that straddles a border shares its counts at random in proportion to the overlap; channels of
    the other axis that are narrower get theirs in turn. The same seed and number of a spectrum give the same
    counts, whatever the blocks. Spectra with fractions of counts are shared by overlap, without chance.

    ``counts``: (N, E) on ``axis``, non-negative. ``seed``: of the random numbers. ``first``: number of the
    first of the spectra within its map. Raises InvalidInput when the last axis of ``counts`` is not as long
    as ``axis``.
    """
    if counts.ndim != 2 or counts.shape[1] != axis.size:
        raise InvalidInput(f"spectra of shape {counts.shape} do not fit an axis of {axis.size} channels")
    if counts.dtype.kind == "f" and not np.array_equal(counts[:1], np.rint(counts[:1])):
        return np.asarray(axis.rebin(counts, other), dtype=np.float32)
    if axis == other:
        return np.ascontiguousarray(counts, dtype=np.float32)
    lowest, shares = _plan(axis, other)
    return share_counts(counts, lowest, shares, other.size, seed=seed, first=first)


def share_counts(
    counts: NDArray[np.generic],
    lowest: NDArray[np.int64],
    shares: NDArray[np.float64],
    size: int,
    *,
    seed: int = 0,
    first: int = 0,
) -> NDArray[np.float32]:
    """Return counts (N, size) after each count of a channel went to one of M targets at random.

    ``counts``: (N, E) whole counts. ``lowest``, ``shares``: (E,) first target of each channel, and (E, M)
    probabilities of it and of those that follow, summing to 1. What lies beyond 0 … size - 1 is lost.
    ``seed``, ``first``: as for :func:`rebin_counts`.
    """
    moved = np.zeros((len(counts), size), dtype=np.float32)
    start = np.uint64(seed)

    def work(part: slice) -> None:
        _move(counts[part], lowest, shares, start, np.uint64(first + part.start), moved[part])

    over_threads(len(counts), work)
    return moved


@lru_cache(maxsize=16)
def _plan(axis: EnergyAxis, other: EnergyAxis) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return per channel its lowest target and (E, M) the shares of it and of those that follow."""
    low = (axis.edges[:-1] - other.edges[0]) / other.width
    span = axis.width / other.width
    lowest = np.floor(low + 1e-9).astype(np.int64)
    number = int(np.ceil(span)) + 1
    bins = lowest[:, None] + np.arange(number)
    overlap = np.minimum(low[:, None] + span, bins + 1) - np.maximum(low[:, None], bins)
    shares = np.clip(overlap / span, 0, 1)
    shares[shares < 1e-6] = 0
    return lowest, shares / shares.sum(axis=1, keepdims=True)


@compiled()
def _move(counts: Any, lowest: Any, shares: Any, seed: Any, first: Any, moved: Any) -> None:  # compiled
    size, number = shares.shape
    top = moved.shape[1]
    apart = max(8, number + 1)  # random numbers kept for a channel
    for row in range(counts.shape[0]):
        state = stream_key(seed, first + np.uint64(row))
        for channel in range(size):
            left = np.int64(counts[row, channel])
            if left <= 0:
                continue
            rest = 1.0
            for step in range(number):
                share = shares[channel, step]
                if share == 0.0:
                    continue
                target = lowest[channel] + step
                here = left
                if share < rest - 1e-9:
                    here = _binomial(
                        left, share / rest, mix(state + GOLDEN * np.uint64(channel * apart + step + 1))
                    )
                if 0 <= target < top:
                    moved[row, target] += here
                left -= here
                rest -= share
                if left == 0:
                    break


@compiled()
def _binomial(number: Any, chance: Any, state: Any) -> Any:  # compiled
    if number > _MANY:
        # Irwin-Hall: twelve uniform numbers make a normal one.
        total = -6.0
        for _ in range(12):
            state += GOLDEN
            total += unit(state)
        drawn = np.int64(np.rint(number * chance + total * np.sqrt(number * chance * (1.0 - chance))))
        return min(max(drawn, np.int64(0)), number)
    found = np.int64(0)
    for _ in range(number):
        state += GOLDEN
        if unit(state) < chance:
            found += 1
    return found
