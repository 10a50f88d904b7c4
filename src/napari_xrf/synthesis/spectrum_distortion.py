"""Compiled steps that turn one expected spectrum, float32, into a distorted one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.synthesis.broadening import BLOCK, REACH, broaden, reach_of
from napari_xrf.synthesis.coarse_bins import (
    MARGIN,
    CoarseBins,
    convolve_with_itself,
    fill_bins,
    lose_charge,
    make_coarse_bins,
    restore,
)
from napari_xrf.synthesis.recalibration import recalibrate
from napari_xrf.synthesis.shifted_sums import FAST, TAPS, total


class DetectorTables(NamedTuple):
    """What the distortion of all spectra of an axis and a detector needs.

    Attributes
    ----------
    offset, width
        Of the axis, keV.
    variance
        Of the detector's peaks, channels², for each BLOCK of channels.
    bins
        For pile-up and incomplete charge collection.
    """

    offset: float
    width: float
    variance: NDArray[np.float64]
    bins: CoarseBins


class DistortionSteps(NamedTuple):
    """What is done to each of N spectra, as compiled functions take it: zeros where nothing is.

    Attributes
    ----------
    peak_energy, peak_share, peak_sigma
        (N, P) added peaks: keV, counts as a share of the spectrum's, standard deviation in keV.
    continuum, onset, end
        (N,) counts of the added continuum as a share of the spectrum's, and its shape, keV.
    shelf, tail, tail_width
        (N,) shares of the counts, and the tail's mean loss in keV.
    pulse_pair, dead_time
        (N,) both as a share of the time that a spectrum takes.
    added, extra
        (N,) variance of added noise in channels², and multiple of the detector's own variance added to it.
    start, step
        (N,) position and length in channels of what channel 0 then holds.
    widest
        Variance of the widest kernel, channels².
    """

    peak_energy: NDArray[np.float64]
    peak_share: NDArray[np.float64]
    peak_sigma: NDArray[np.float64]
    continuum: NDArray[np.float64]
    onset: NDArray[np.float64]
    end: NDArray[np.float64]
    shelf: NDArray[np.float64]
    tail: NDArray[np.float64]
    tail_width: NDArray[np.float64]
    pulse_pair: NDArray[np.float64]
    dead_time: NDArray[np.float64]
    added: NDArray[np.float64]
    extra: NDArray[np.float64]
    start: NDArray[np.float64]
    step: NDArray[np.float64]
    widest: float


def make_detector_tables(axis: EnergyAxis, fwhm: NDArray[np.float64]) -> DetectorTables:
    """Return the tables of an axis for a detector of FWHM (E,) in keV, zeros where it is unknown."""
    sigma = fwhm / (FWHM_PER_SIGMA * axis.width)
    variance = np.add.reduceat(sigma**2, np.arange(0, axis.size, BLOCK))
    sizes = np.minimum(BLOCK, axis.size - np.arange(0, axis.size, BLOCK))
    return DetectorTables(
        float(axis.offset), float(axis.width), variance / sizes, make_coarse_bins(axis, float(fwhm.min()))
    )


def add_peaks(
    spectrum: NDArray[np.float32],
    axis: EnergyAxis,
    energies: NDArray[np.float64],
    counts: NDArray[np.float64],
    sigmas: NDArray[np.float64],
) -> None:
    """Add Gaussian peaks (P,) to a spectrum (E,) in place, integrated over the channels; energies in keV.

    What lies outside the axis is lost.
    """
    _add_peaks(spectrum, axis.offset, axis.width, energies, counts, sigmas)


class Workspace(NamedTuple):
    """Arrays that :func:`distort_one` uses again for each spectrum."""

    bins: NDArray[np.float32]
    lost: NDArray[np.float32]
    sums: NDArray[np.float32]
    restored: NDArray[np.float32]
    kernel: NDArray[np.float32]
    run: NDArray[np.float32]
    spread: NDArray[np.float32]


@numba.njit(nogil=True, cache=True)
def make_workspace(channels, tables, widest):  # type: ignore[no-untyped-def]  # compiled
    """Return the arrays that one thread needs."""
    bins = tables.bins
    below = max(-bins.sum_first.min(), 0)
    above = max(bins.pairs, bins.size + bins.sum_first.max() + TAPS)
    margin = reach_of(widest) + 2 * TAPS
    return Workspace(
        np.zeros(bins.size + 3 * TAPS, np.float32),
        np.zeros(bins.size + 2 * MARGIN, np.float32),
        np.zeros(below + above, np.float32),
        np.zeros((bins.ratio, bins.size), np.float32),
        np.zeros(2 * margin, np.float32),
        np.zeros(channels + 2 * TAPS, np.float32),
        np.zeros(channels + 2 * margin, np.float32),
    )


@numba.njit(nogil=True, cache=True, fastmath=FAST)
def distort_one(spectrum, tables, steps, row, work):  # type: ignore[no-untyped-def]  # compiled
    """Distort a spectrum (E,) in place with the values of a row of the steps."""
    counts = total(spectrum)
    if counts <= 0.0:
        return
    width = tables.width
    _add_peaks(
        spectrum,
        tables.offset,
        width,
        steps.peak_energy[row],
        counts * steps.peak_share[row],
        steps.peak_sigma[row],
    )
    if steps.continuum[row] > 0.0:
        _add_continuum(
            spectrum,
            tables.offset,
            width,
            counts * steps.continuum[row],
            steps.onset[row],
            steps.end[row],
            work.run,
        )
    shelf, tail, pair = steps.shelf[row], steps.tail[row], steps.pulse_pair[row]
    if shelf > 0.0 or tail > 0.0 or pair > 0.0:
        keep = math.exp(-width / steps.tail_width[row])
        _lose_and_pile_up(spectrum, tables.bins, shelf, tail, keep, pair, work)
    alive = 1.0
    if steps.dead_time[row] > 0.0:
        alive = 1.0 / (1.0 + total(spectrum) * steps.dead_time[row])
    added, extra, start, step = steps.added[row], steps.extra[row], steps.start[row], steps.step[row]
    margin = (work.spread.shape[0] - spectrum.shape[0]) // 2
    moved = start != 0.0 or step != 1.0
    source = work.spread[margin : margin + spectrum.shape[0]]
    if added > 0.0 or extra > 0.0:
        broaden(spectrum, tables.variance, added, extra, margin, work.kernel, work.run, work.spread)
    elif moved:
        source[:] = spectrum
    else:
        if alive != 1.0:
            spectrum *= np.float32(alive)
        return
    if moved:
        recalibrate(source, start, step, alive, spectrum)
    else:
        spectrum[:] = source * np.float32(alive)


@numba.njit(nogil=True, cache=True)
def _lose_and_pile_up(spectrum, bins, shelf, tail, keep, pair, work):  # type: ignore[no-untyped-def]  # compiled
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


@numba.njit(nogil=True, cache=True)
def _add_peaks(spectrum, zero, width, energies, counts, sigmas):  # type: ignore[no-untyped-def]  # compiled
    channels = spectrum.shape[0]
    for peak in range(energies.shape[0]):
        if counts[peak] <= 0.0:
            continue
        sigma = max(sigmas[peak] / width, 1e-3)
        centre = (energies[peak] - zero) / width
        first = max(math.floor(centre - REACH * sigma), 0)
        last = min(math.ceil(centre + REACH * sigma), channels - 1)
        if sigma >= 1.0:
            # A Gaussian averaged over a channel is one of a larger variance, to 2e-4 of its height.
            inverse = 1.0 / (sigma * sigma + 1.0 / 12.0)
            weight = counts[peak] * math.sqrt(inverse / (2.0 * math.pi))
            weight *= math.exp(-0.5 * inverse * (first - centre) ** 2)
            # Each ratio of neighbours is the last one times exp(-1 / variance).
            ratio, step = math.exp(-inverse * (first - centre + 0.5)), math.exp(-inverse)
            for channel in range(first, last + 1):
                spectrum[channel] += weight
                weight *= ratio
                ratio *= step
            continue
        scale = 1.0 / (sigma * math.sqrt(2.0))
        below = math.erf((first - 0.5 - centre) * scale)
        for channel in range(first, last + 1):
            above = math.erf((channel + 0.5 - centre) * scale)
            spectrum[channel] += 0.5 * counts[peak] * (above - below)
            below = above


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _add_continuum(spectrum, zero, width, counts, onset, end, shape):  # type: ignore[no-untyped-def]  # compiled
    channels = spectrum.shape[0]
    first = max(math.ceil((width - zero) / width), 0)
    last = min(math.ceil((end - zero) / width), channels)
    fourth = np.float32(onset**4)
    zero_32, width_32, end_32 = np.float32(zero), np.float32(width), np.float32(end)
    for channel in range(first, last):
        energy = zero_32 + width_32 * np.float32(channel)
        square = energy * energy
        shape[channel] = (end_32 - energy) * energy * square / (square * square + fourth)
    if first < last:
        whole = total(shape[first:last])
        scale = np.float32(counts / whole) if whole > 0.0 else np.float32(0.0)
        for channel in range(first, last):
            spectrum[channel] += scale * shape[channel]
