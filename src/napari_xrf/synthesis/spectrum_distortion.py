"""Compiled steps that turn an expected spectrum into a distorted one, on batches (N, E) of float32."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.synthesis.sampling import over_threads

FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))
_REACH = 4.5  # of a Gaussian, in standard deviations; 7e-6 of it lies outside
_SAME_WIDTH = 0.04  # a kernel is used along channels whose widths differ by less
_FFT_ROWS = 32
_SMALLEST_SIGMA = 0.05  # in channels; narrower broadening moves nothing


def add_photons(
    spectra: NDArray[np.float32],
    axis: EnergyAxis,
    *,
    peak_energy: NDArray[np.float64],
    peak_counts: NDArray[np.float64],
    peak_sigma: NDArray[np.float64],
    continuum: NDArray[np.float64],
    onset: NDArray[np.float64],
    end: NDArray[np.float64],
    shelf: NDArray[np.float64],
    tail: NDArray[np.float64],
    tail_width: NDArray[np.float64],
) -> None:
    """Add peaks (N, P) and a continuum (N,) in place, then move shares of the counts to shelf and tail.

    Peaks are integrated over the channels; what lies outside the axis is lost.
    """

    def work(part: slice) -> None:
        for row in range(*part.indices(len(spectra))):
            _add_peaks(
                spectra[row], axis.offset, axis.width, peak_energy[row], peak_counts[row], peak_sigma[row]
            )
        if continuum.any():
            _add_continua(spectra[part], axis.offset, axis.width, continuum[part], onset[part], end[part])
        if shelf.any() or tail.any():
            zero = int(np.clip(axis.channel(0.0), 0, axis.size - 1))
            keep = np.exp(-axis.width / tail_width[part])
            _lose_charge(spectra[part], zero, shelf[part], tail[part], keep)

    over_threads(len(spectra), work)


def pile_up(
    spectra: NDArray[np.float32], axis: EnergyAxis, chance: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Let two pulses add up to one in a share ``chance`` (N,) of the recorded pulses.

    The sum spectrum is the spectrum's convolution with itself; three and more pulses are left out.
    Each spectrum keeps its number of counts, but for sums beyond the axis.
    """
    length = fft.next_fast_len(2 * axis.size, real=True)
    piled = np.empty_like(spectra)

    def work(part: slice) -> None:
        # Small blocks stay in the cache through both transforms.
        for start in range(part.start, part.stop, _FFT_ROWS):
            block = slice(start, min(start + _FFT_ROWS, part.stop))
            _add_sums(spectra[block], chance[block], length, axis.offset / axis.width, piled[block])

    over_threads(len(spectra), work)
    return piled


def move_counts(
    spectra: NDArray[np.float32],
    axis: EnergyAxis,
    *,
    noise: NDArray[np.float64],
    width_factor: NDArray[np.float64],
    own_width: NDArray[np.float64],
    offset: NDArray[np.float64],
    gain: NDArray[np.float64],
    alive: NDArray[np.float64],
) -> None:
    """Broaden, recalibrate and thin out spectra in place.

    Parameters
    ----------
    noise, width_factor
        (N,) FWHM in keV added in quadrature, and multiple of the detector's own width.
    own_width
        (E,) FWHM of the detector, keV.
    offset, gain
        (N,) energies E move to ``(1 + gain) E + offset``.
    alive
        (N,) share of the counts that is recorded.
    """
    sigma = own_width / (FWHM_PER_SIGMA * axis.width)
    added = noise / (FWHM_PER_SIGMA * axis.width)
    extra = width_factor**2 - 1

    def work(part: slice) -> None:
        if added[part].any() or extra[part].any():
            _broaden(spectra[part], sigma, added[part], extra[part])
        if offset[part].any() or gain[part].any():
            _recalibrate(spectra[part], axis.offset, axis.width, offset[part], gain[part])
        spectra[part] *= alive[part].astype(np.float32)[:, np.newaxis]

    over_threads(len(spectra), work)


def _add_sums(
    spectra: NDArray[np.float32],
    chance: NDArray[np.float64],
    length: int,
    shift: float,
    piled: NDArray[np.float32],
) -> None:
    transformed = fft.rfft(spectra, length, axis=1)
    transformed *= transformed
    sums = fft.irfft(transformed, length, axis=1, overwrite_x=True)
    _mix_sums(spectra, sums, chance, shift, piled)


@numba.njit(nogil=True, cache=True, fastmath=True)
def _mix_sums(spectra, sums, chance, shift, piled):  # type: ignore[no-untyped-def]  # compiled
    # Energies add up, channel numbers do not: E_i + E_j lies at channel i + j + offset / width.
    channels, length = spectra.shape[1], sums.shape[1]
    whole = math.floor(shift)
    part = np.float32(shift - whole)
    for row in range(spectra.shape[0]):
        total = max(spectra[row].sum(), np.float32(1e-30))
        alone, paired = np.float32(1.0 - chance[row]), np.float32(chance[row] / total)
        for channel in range(channels):
            left = channel - whole
            moved = np.float32(0.0)
            if 0 <= left < length:
                moved += (np.float32(1.0) - part) * sums[row, left]
            if 1 <= left < length + 1:
                moved += part * sums[row, left - 1]
            piled[row, channel] = alone * spectra[row, channel] + paired * max(moved, np.float32(0.0))


@numba.njit(nogil=True, cache=True)
def _add_peaks(spectrum, zero, width, energies, counts, sigmas):  # type: ignore[no-untyped-def]  # compiled
    channels = spectrum.shape[0]
    for peak in range(energies.shape[0]):
        if counts[peak] <= 0.0:
            continue
        sigma = max(sigmas[peak] / width, 1e-3)
        centre = (energies[peak] - zero) / width
        first = max(math.floor(centre - _REACH * sigma), 0)
        last = min(math.ceil(centre + _REACH * sigma), channels - 1)
        scale = 1.0 / (sigma * math.sqrt(2.0))
        below = math.erf((first - 0.5 - centre) * scale)
        for channel in range(first, last + 1):
            above = math.erf((channel + 0.5 - centre) * scale)
            spectrum[channel] += 0.5 * counts[peak] * (above - below)
            below = above


@numba.njit(nogil=True, cache=True)
def _add_continua(spectra, zero, width, counts, onset, end):  # type: ignore[no-untyped-def]  # compiled
    size, channels = spectra.shape
    shape = np.empty(channels, np.float32)
    for row in range(size):
        if counts[row] <= 0.0:
            continue
        total = 0.0
        for channel in range(channels):
            energy = zero + width * channel
            shape[channel] = 0.0
            if width <= energy < end[row]:
                ratio = (onset[row] / energy) ** 2
                shape[channel] = (end[row] / energy - 1.0) / (1.0 + ratio * ratio)
                total += shape[channel]
        if total > 0.0:
            scale = counts[row] / total
            for channel in range(channels):
                spectra[row, channel] += scale * shape[channel]


@numba.njit(nogil=True, cache=True)
def _lose_charge(spectra, zero, shelf, tail, keep):  # type: ignore[no-untyped-def]  # compiled
    size, channels = spectra.shape
    for row in range(size):
        flat = 0.0
        slope = 0.0
        for channel in range(channels - 1, -1, -1):
            counts = spectra[row, channel]
            slope = keep[row] * slope + (1.0 - keep[row]) * counts
            if channel < zero:
                continue
            flat += counts / (channel - zero + 1)
            spectra[row, channel] = (
                (1.0 - shelf[row] - tail[row]) * counts + shelf[row] * flat + tail[row] * slope
            )


@numba.njit(nogil=True, cache=True, fastmath=True)
def _broaden(spectra, sigma, added, extra):  # type: ignore[no-untyped-def]  # compiled
    size, channels = spectra.shape
    spread = np.empty(channels, np.float32)
    for row in range(size):
        if added[row] == 0.0 and extra[row] == 0.0:
            continue
        spread[:] = 0.0
        start = 0
        while start < channels:
            first = math.sqrt(added[row] ** 2 + extra[row] * sigma[start] ** 2)
            limit = max(first * (1.0 + _SAME_WIDTH), _SMALLEST_SIGMA) ** 2
            stop = start + 1
            while stop < channels and added[row] ** 2 + extra[row] * sigma[stop] ** 2 <= limit:
                stop += 1
            if limit == _SMALLEST_SIGMA**2:
                spread[start:stop] += spectra[row, start:stop]
            else:
                _spread_run(spectra[row], spread, start, stop, _gaussian(first * (1.0 + _SAME_WIDTH / 2)))
            start = stop
        spectra[row, :] = spread


@numba.njit(nogil=True, cache=True, fastmath=True)
def _spread_run(spectrum, spread, start, stop, kernel):  # type: ignore[no-untyped-def]  # compiled
    channels = spectrum.shape[0]
    reach = kernel.shape[0] // 2
    for tap in range(kernel.shape[0]):
        shift = tap - reach
        weight = kernel[tap]
        low, high = max(start, -shift), min(stop, channels - shift)
        if low >= high:
            continue
        source = spectrum[low:high]
        target = spread[low + shift : high + shift]
        for index in range(source.shape[0]):
            target[index] += weight * source[index]


@numba.njit(nogil=True, cache=True)
def _gaussian(sigma):  # type: ignore[no-untyped-def]  # compiled
    """Gaussian integrated over channels, less a channel's own variance, summing to 1."""
    reach = math.ceil(_REACH * sigma)
    weights = np.empty(2 * reach + 1, np.float32)
    scale = 1.0 / (sigma * math.sqrt(2.0))
    total = 0.0
    for step in range(-reach, reach + 1):
        weight = 0.5 * (math.erf((step + 0.5) * scale) - math.erf((step - 0.5) * scale))
        weights[step + reach] = weight
        total += weight
    return weights / np.float32(total)


@numba.njit(nogil=True, cache=True)
def _recalibrate(spectra, zero, width, offset, gain):  # type: ignore[no-untyped-def]  # compiled
    size, channels = spectra.shape
    cumulative = np.zeros(channels + 1, np.float64)
    for row in range(size):
        if offset[row] == 0.0 and gain[row] == 0.0:
            continue
        for channel in range(channels):
            cumulative[channel + 1] = cumulative[channel] + spectra[row, channel]
        # Edge i of the axis holds what truly lies at energy (E_i - offset) / (1 + gain).
        step = 1.0 / (1.0 + gain[row])
        start = ((zero - 0.5 * width - offset[row]) * step - (zero - 0.5 * width)) / width
        below = _interpolate(cumulative, start)
        for channel in range(channels):
            above = _interpolate(cumulative, start + (channel + 1) * step)
            spectra[row, channel] = max(above - below, 0.0)
            below = above


@numba.njit(nogil=True, cache=True)
def _interpolate(cumulative, position):  # type: ignore[no-untyped-def]  # compiled
    last = cumulative.shape[0] - 1
    if position <= 0.0:
        return 0.0
    if position >= last:
        return cumulative[last]
    left = int(position)
    part = position - left
    return cumulative[left] * (1.0 - part) + cumulative[left + 1] * part
