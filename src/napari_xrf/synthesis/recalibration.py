"""Compiled move of one spectrum's counts to channels of another calibration."""

from __future__ import annotations

import math

import numba
import numpy as np

from napari_xrf.synthesis.shifted_sums import FAST


@numba.njit(nogil=True, cache=True, fastmath=FAST)
def recalibrate(source, start, step, scale, target):  # type: ignore[no-untyped-def]  # compiled
    """Set ``target[i]`` to ``scale`` times the source's counts between ``start + i step`` and one step on.

    Positions are in channels, counts even over each; beyond the source there are none.
    """
    channels = source.shape[0]
    stretch = step - 1.0
    channel = 0
    while channel < channels:
        # As long as source and target stay in step, each target channel meets the same two neighbours.
        shift = math.floor(start + channel * stretch)
        stop = channels
        if stretch > 0.0:
            stop = min(stop, math.ceil(min((shift + 1 - start) / stretch, channels + 1.0)) - 1)
        elif stretch < 0.0:
            stop = min(stop, math.floor(min((shift - start) / stretch, channels + 1.0)))
        low, high = max(channel, -shift), min(stop, channels - 1 - shift)
        if low < high:
            for edge in range(channel, low):
                target[edge] = scale * _between(source, start + edge * step, start + (edge + 1) * step)
            first = np.float32(start + low * stretch - shift)
            slope, factor, one = np.float32(stretch), np.float32(scale), np.float32(1.0)
            left, right = source[low + shift : high + shift], source[low + shift + 1 : high + shift + 1]
            moved = target[low:high]
            for k in range(high - low):
                part = first + slope * np.float32(k)
                value = left[k] * (one - part) + right[k] * (part + slope)
                moved[k] = factor * max(value, np.float32(0.0))
            channel = high
            if channel == channels:
                break
        target[channel] = scale * _between(source, start + channel * step, start + (channel + 1) * step)
        channel += 1


@numba.njit(nogil=True, cache=True)
def _between(source, low, high):  # type: ignore[no-untyped-def]  # compiled
    channels = source.shape[0]
    low, high = max(low, 0.0), min(high, float(channels))
    if high <= low:
        return 0.0
    first, last = int(low), int(high)
    if first == last:
        return source[first] * (high - low)
    counts = source[first] * (first + 1 - low)
    for channel in range(first + 1, last):
        counts += source[channel]
    if last < channels:
        counts += source[last] * (high - last)
    return counts
