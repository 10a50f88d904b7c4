"""Compiled broadening of one spectrum by a Gaussian whose width follows the energy."""

from __future__ import annotations

import math

import numba
import numpy as np

from napari_xrf.synthesis.shifted_sums import FAST, TAPS, add_shifted

BLOCK = 16  # channels that share one width of the detector
REACH = 4.5  # of a Gaussian, in standard deviations; 7e-6 of it lies outside
_SAME_VARIANCE = 0.08  # a kernel is used along channels where the peaks' variance differs by less
_SMALLEST_VARIANCE = 0.0025  # in channels²; narrower broadening moves nothing


@numba.njit(nogil=True, cache=True)
def reach_of(variance):  # type: ignore[no-untyped-def]  # compiled
    """Return how many channels to either side :func:`fill_kernel` fills for a variance in channels²."""
    return 2 if variance < 1.0 else math.ceil(REACH * math.sqrt(variance))


@numba.njit(nogil=True, cache=True)
def fill_kernel(variance, kernel):  # type: ignore[no-untyped-def]  # compiled
    """Set the first values of ``kernel`` to a Gaussian that sums to 1, and the others to 0.

    Below a standard deviation of one channel, where samples of a Gaussian lose their variance, weights of
    five channels keep second and fourth moment (the fourth as far as no weight is negative).
    """
    reach = reach_of(variance)
    kernel[:] = np.float32(0.0)
    if variance < 1.0:
        far = max((3.0 * variance - 1.0) * variance / 24.0, 0.0)
        near = 0.5 * variance - 4.0 * far
        kernel[0] = kernel[4] = far
        kernel[1] = kernel[3] = near
        kernel[2] = 1.0 - 2.0 * (near + far)
        return reach
    # exp(-d² / 2v) from the middle outwards: each ratio of neighbours is the last one times exp(-1 / v).
    ratio, step = math.exp(-0.5 / variance), math.exp(-1.0 / variance)
    weight = 1.0
    total = 1.0
    for _ in range(reach):
        weight *= ratio
        ratio *= step
        total += 2.0 * weight
    weight, ratio = 1.0 / total, math.exp(-0.5 / variance)
    kernel[reach] = weight
    for distance in range(1, reach + 1):
        weight *= ratio
        ratio *= step
        kernel[reach - distance] = kernel[reach + distance] = weight
    return reach


@numba.njit(nogil=True, cache=True, fastmath=FAST)
def broaden(spectrum, own, added, extra, margin, kernel, run, spread):  # type: ignore[no-untyped-def]  # compiled
    """Set ``spread[margin + c]`` to the broadened spectrum.

    Parameters
    ----------
    own
        Variance of the detector's peaks, channels², for each BLOCK of channels.
    added, extra
        The variance added is ``added + extra * own``.
    margin
        At least the reach of the widest kernel, and 2 TAPS.
    kernel, run
        Room for 2 ``margin`` and for the spectrum and 2 TAPS values.
    """
    channels = spectrum.shape[0]
    spread[:] = np.float32(0.0)
    block = 0
    while block < own.shape[0]:
        first = added + extra * own[block]
        slack = _SAME_VARIANCE * (first + own[block])
        stop = block + 1
        while stop < own.shape[0] and abs(extra * (own[stop] - own[block])) <= slack:
            stop += 1
        variance = 0.5 * (first + added + extra * own[stop - 1])
        low, high = block * BLOCK, min(stop * BLOCK, channels)
        if variance < _SMALLEST_VARIANCE:
            spread[margin + low : margin + high] += spectrum[low:high]
        else:
            reach = fill_kernel(variance, kernel)
            size = high - low
            run[: TAPS - 1] = np.float32(0.0)
            run[TAPS - 1 : TAPS - 1 + size] = spectrum[low:high]
            run[TAPS - 1 + size : 2 * TAPS - 2 + size] = np.float32(0.0)
            for tap in range(0, 2 * reach + 1, TAPS):
                # The kernel is the same from either end, so its order does not matter.
                at = margin + low + reach - tap - TAPS + 1
                add_shifted(spread[at : at + size + TAPS - 1], run, 0, kernel[tap : tap + TAPS])
        block = stop
