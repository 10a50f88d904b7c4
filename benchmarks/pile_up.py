"""What a high count rate does to a spectrum: pile-up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput

_SMALLEST = 1e-12  # of the largest count: below it the transform's rounding


def pile_up(
    counts: ArrayLike, axis: EnergyAxis, rate_cps: float, resolving_time_us: float
) -> NDArray[np.float64]:
    """Return the spectrum when pulses that follow within the resolving time are counted as one.

    Pulses come at random; the energies of all that fall within the resolving time of one add up, to any
    number of them. Every pulse is conserved inside a count: the counts that are left, times their mean
    number of pulses 1 + rate·time, are the pulses, and the energy of all counts is that of all pulses,
    but for sums beyond the axis.

    Parameters
    ----------
    counts
        (..., E) pulses without pile-up, not negative. Those at or below 0 keV do not pile up.
    axis
        Their energy axis.
    rate_cps
        Pulses per second that reach the detector.
    resolving_time_us
        µs within which two pulses are not told apart: about 1 µs with a pile-up rejector, the shaping
        time without.

    Returns
    -------
    (..., E) expected counts.

    Raises
    ------
    InvalidInput
        When rate or time are negative or the counts do not fit the axis.
    """
    spectra = np.asarray(counts, dtype=np.float64)
    if spectra.shape[-1:] != (axis.size,):
        raise InvalidInput(f"counts of shape {spectra.shape} do not fit an axis of {axis.size} channels")
    _require_from_zero("count rate", rate_cps)
    _require_from_zero("resolving time", resolving_time_us)
    mean = rate_cps * resolving_time_us * 1e-6
    above = np.where(axis.energies > 0, spectra, 0.0)
    pulses = above.sum(axis=-1, keepdims=True)
    single = above * (math.exp(-mean) / (1 + mean))
    if mean == 0 or not np.any(pulses > 0):
        return spectra
    shape = above / np.where(pulses > 0, pulses, 1.0)
    return (spectra - above) + single + _sums(shape, axis, mean) * (pulses / (1 + mean))


def _sums(shape: NDArray[np.float64], axis: EnergyAxis, mean: float) -> NDArray[np.float64]:
    """Spectrum of counts of two pulses and more, per opening pulse; (..., E) summing to 1 - exp(-mean)."""
    # Energies add when channel 0 stands at a multiple of the width: move there, add, move back.
    first = math.floor(axis.offset / axis.width)
    aligned = EnergyAxis(max(first, 0) * axis.width, axis.width, max(axis.size + 1 + min(first, 0), 1))
    positive = axis.rebin(shape, aligned)
    shift = max(first, 0)
    length = next_fast_len(2 * (aligned.size + shift), real=True)
    padded = np.concatenate([np.zeros((*shape.shape[:-1], shift)), positive], axis=-1)
    transformed = rfft(padded, length, axis=-1)
    # All numbers n of further pulses at once: sum of exp(-mean) meanⁿ/n! shape^(n+1), less n = 0.
    piled = transformed * (np.exp(mean * (transformed - 1)) - math.exp(-mean))
    sums = irfft(piled, length, axis=-1)
    sums[np.abs(sums) < _SMALLEST * np.abs(sums).max()] = 0.0
    whole = EnergyAxis(0.0, axis.width, length)
    return np.asarray(whole.rebin(np.maximum(sums, 0.0), axis), dtype=np.float64)


def _require_from_zero(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise InvalidInput(f"the {name} must be a number from 0, not {value}")
