"""Pile-up and incomplete charge collection, worked out on bins as wide as the detector's resolution allows.

Sum peaks, shelves and tails are as smooth as the detector's peaks, so they are computed on bins of a few
channels and given back to the channels by polynomials whose sums over the bins are the bins' own
(:func:`restoring_weights`). Where no width of the detector is known, a bin is one channel, and nothing is
approximated.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.synthesis.spectrum_kernels import FAST, TAPS, add_shifted, total

BINS_PER_FWHM = 1.8
MARGIN = TAPS // 2
_LOSS_TAPS = 7  # odd: all channels of a bin come from one polynomial, so that each bin keeps its counts


class CoarseBins(NamedTuple):
    """How the channels of an axis and bins of ``ratio`` channels go over into each other."""

    # ratio, size: channels per bin, and number of bins
    ratio: int
    size: int
    zero: int  # the bin from which shelf and tail begin, at 0 keV
    pairs: int  # number of sums of two bins that can reach the axis
    # loss_weights, sum_weights: (ratio, TAPS) what the bins around it give to each channel of a bin
    loss_weights: NDArray[np.float32]
    sum_weights: NDArray[np.float32]
    sum_first: NDArray[np.int64]  # (ratio,) first sum of two bins that gives to that channel of bin 0
    # (size,) part of a count in each bin above zero that a flat shelf puts into every bin below
    shares: NDArray[np.float32]


def make_coarse_bins(axis: EnergyAxis, narrowest_fwhm: float) -> CoarseBins:
    """Choose the bins of an axis for peaks no narrower than a FWHM in keV; 0 where that is unknown."""
    ratio = max(1, math.floor(narrowest_fwhm / (BINS_PER_FWHM * axis.width) + 1e-6))
    size = -(-axis.size // ratio)
    channels = np.arange(ratio)
    loss = np.zeros((ratio, TAPS))
    for channel in range(ratio):
        loss[channel, :_LOSS_TAPS] = restoring_weights(ratio, 1, channel, -(_LOSS_TAPS // 2), _LOSS_TAPS)
    # Energies add up, channel numbers do not: E_i + E_j lies at channel i + j + offset / width.
    at = channels - axis.offset / axis.width
    first = np.floor((at - (ratio - 1)) / ratio).astype(np.int64) - (TAPS // 2 - 1)
    sums = [restoring_weights(ratio, 2, where, int(low), TAPS) for where, low in zip(at, first, strict=True)]
    return CoarseBins(
        ratio,
        size,
        -(-int(np.clip(axis.channel(0.0), 0, axis.size - 1)) // ratio),
        int(np.clip(size + first.max() + TAPS, 1, 2 * size - 1)),
        loss.astype(np.float32),
        np.array(sums, dtype=np.float32),
        first,
        (1 / (np.arange(size) + (ratio + 1) / (2 * ratio))).astype(np.float32),
    )


def restoring_weights(ratio: int, boxes: int, channel: float, first: int, taps: int) -> NDArray[np.float64]:
    """Return the weights of bins that give a channel's value, exact for polynomials of degree ``taps - 1``.

    ``ratio``: channels per bin. ``boxes``: 1 for sums over bins, 2 for sums over pairs of bins (those of a
    self-convolution). ``channel``: where the value is wanted, in channels from the first of bin 0 or from the
    sum of channel 0 with itself. ``first``, ``taps``: number of the first of the bins, and how many there
    are.
    """
    box = np.ones(ratio)
    for _ in range(boxes - 1):
        # Of the channels with one sum, only those fall into a sum of bins whose places in their bins fit.
        box = np.convolve(box, np.ones(ratio) / ratio)
    bins = first + np.arange(taps)
    positions = (ratio * bins[:, np.newaxis] + np.arange(box.size) - channel) / ratio
    powers = positions[np.newaxis] ** np.arange(taps)[:, np.newaxis, np.newaxis]
    wanted = np.zeros(taps)
    wanted[0] = 1.0
    return np.asarray(np.linalg.solve(powers @ box, wanted))


@compiled()
def lose_and_pile_up(spectrum, bins, shelf, tail, keep, pair, work):  # type: ignore[no-untyped-def]  # compiled
    """Move shares of the counts to shelf and tail, and pile pairs of pulses up, in place.

    ``keep`` is what is left of the tail one channel further down, ``pair`` the time in which two pulses pile
    up as a share of the spectrum's, ``work`` a :class:`~napari_xrf.synthesis.distorted_spectra.Workspace`.
    """
    inner = work.bins[TAPS : TAPS + bins.size]
    work.bins[:] = np.float32(0.0)
    fill_bins(spectrum, bins.ratio, inner)
    own, lost, sums = np.float32(1.0 - shelf - tail), work.lost[:0], work.sums[:0]
    if shelf > 0.0 or tail > 0.0:
        lost = work.lost
        lose_charge(inner, bins, shelf, tail, keep, lost)
    alone = np.float32(1.0)
    counts = total(inner)
    if pair > 0.0 and counts > 0.0:
        chance = -math.expm1(-counts * pair)
        alone = np.float32(1.0 - chance)
        lowest = bins.sum_first.min()
        begin = max(-lowest, 0)
        inner *= np.float32(math.sqrt(2.0 * chance / counts))
        convolve_with_itself(work.bins, bins.size, work.sums[begin : begin + bins.pairs])
        sums = work.sums[begin + lowest :]
        lost *= alone
    restore(spectrum, bins, alone, alone * own, lost, sums, work.restored)


@compiled(fastmath=FAST)
def fill_bins(spectrum, ratio, bins):  # type: ignore[no-untyped-def]  # compiled
    """Sum the channels of each bin."""
    channels = spectrum.shape[0]
    if ratio == 1:
        bins[:channels] = spectrum
        return
    whole = channels // ratio
    for number in range(whole):
        counts = np.float32(0.0)
        for channel in range(number * ratio, (number + 1) * ratio):
            counts += spectrum[channel]
        bins[number] = counts
    if whole * ratio < channels:
        bins[whole] = spectrum[whole * ratio :].sum()


@compiled(fastmath=FAST)
def lose_charge(bins, tables, shelf, tail, keep, lost):  # type: ignore[no-untyped-def]  # compiled
    """Move counts of the bins to shelf and tail, and set ``lost[b + MARGIN]`` to what bin b got.

    ``keep`` is what is left of the tail one channel further down. A bin's counts are taken as even over its
    channels.
    """
    lost[:] = np.float32(0.0)
    ratio = tables.ratio
    decay = keep**ratio
    leaving = keep * (1.0 - decay) / ((1.0 - keep) * ratio) if keep < 1.0 else 1.0
    stay, own = np.float32(1.0 - shelf - tail), np.float32(tail * (1.0 - leaving))
    give, take, pass_on = np.float32(leaving), np.float32(tail * (1.0 - decay)), np.float32(decay)
    level, level_own = np.float32(shelf), np.float32(shelf * (ratio + 1) / (2 * ratio))
    flat, slope = np.float32(0.0), np.float32(0.0)
    for number in range(tables.size - 1, tables.zero - 1, -1):
        counts = bins[number]
        share = tables.shares[number - tables.zero] * counts
        moved = level * flat + level_own * share + own * counts + take * slope
        flat += share
        slope = pass_on * slope + give * counts
        lost[number + MARGIN] = moved
        bins[number] = stay * counts + moved
    # The polynomials of the first bins need to see shelf and tail go on below zero.
    for number in range(tables.zero - 1, max(tables.zero - MARGIN, 0) - 1 - MARGIN, -1):
        if number + MARGIN >= 0:
            lost[number + MARGIN] = level * flat + take * slope
            slope *= pass_on


@compiled(fastmath=FAST)
def convolve_with_itself(bins, size, sums):  # type: ignore[no-untyped-def]  # compiled
    """Set ``sums[k]`` to half the sum over all pairs of bins i + j = k.

    ``bins`` holds the bins between TAPS zeros on either side, and is used up: each block of bins meets the
    bins from itself on, with half its own, and is then cleared, so that no pair is met twice.
    """
    sums[:] = np.float32(0.0)
    block = np.empty(TAPS, np.float32)
    for start in range(0, size, TAPS):
        stop = min(sums.shape[0], start + size + TAPS - 1)
        if stop <= 2 * start:
            break
        for tap in range(TAPS):
            block[TAPS - 1 - tap] = bins[TAPS + start + tap]
            bins[TAPS + start + tap] *= np.float32(0.5)
        add_shifted(sums[2 * start : stop], bins, start + 1, block)
        for tap in range(TAPS):
            bins[TAPS + start + tap] = np.float32(0.0)


@compiled(fastmath=FAST)
def restore(spectrum, tables, own_below, own_above, lost, sums, restored):  # type: ignore[no-untyped-def]  # compiled
    """Replace each channel by shares of itself, different below and above 0 keV, of ``lost`` and of ``sums``.

    ``sums`` begins at the sum of bins ``sum_first.min()``; an empty array leaves its part out.
    """
    ratio = tables.ratio
    lowest = tables.sum_first.min()
    for channel in range(ratio):
        part = restored[channel]
        part[:] = np.float32(0.0)
        if lost.shape[0]:
            add_shifted(
                part[tables.zero :], lost, tables.zero + MARGIN - TAPS // 2 + 1, tables.loss_weights[channel]
            )
        if sums.shape[0]:
            add_shifted(part, sums, tables.sum_first[channel] - lowest, tables.sum_weights[channel])
    border = min(tables.zero * ratio, spectrum.shape[0])
    for start, end, own in ((0, border, own_below), (border, spectrum.shape[0], own_above)):
        if ratio == 1:
            for channel in range(start, end):
                spectrum[channel] = max(own * spectrum[channel] + restored[0, channel], np.float32(0.0))
            continue
        for number in range(-(-start // ratio), -(-end // ratio)):
            for channel in range(min(ratio, end - number * ratio)):
                at = number * ratio + channel
                spectrum[at] = max(own * spectrum[at] + restored[channel, number], np.float32(0.0))
