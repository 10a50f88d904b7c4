"""Columns for what lies under the peaks: a smooth continuum, and pile-up of two pulses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.families import normalised


def continuum_columns(
    shape: NDArray[np.float64], energy: EnergyAxis, low: float, high: float, spacing: float
) -> NDArray[np.float64]:
    """Return overlapping pieces of a continuum whose amplitudes the fit may choose.

    Parameters
    ----------
    shape
        (E,) the continuum of the pooled spectrum, from
        :func:`~napari_xrf.maps.background.estimate_background`.
    energy, low, high
        The axis, and the range in keV that the pieces cover.
    spacing
        Distance of the pieces' centres at 5 keV in keV; it grows as the square root of energy.

    Returns
    -------
    (K, E) the shape times linear hats that add up to 1, each scaled to a sum of 1. With equal
    weights before scaling they give the shape back.
    """
    at = np.sqrt(np.clip(energy.energies, 1e-3, None))
    step = spacing / (2 * np.sqrt(5.0))
    pieces = max(2, round((np.sqrt(high) - np.sqrt(low)) / step) + 1)
    knots = np.linspace(np.sqrt(low), np.sqrt(high), pieces)
    inside = np.zeros(energy.size)
    inside[energy.window(low, high)] = 1.0
    # A continuum that touches 0 keeps a little of its height, so that no channel is impossible.
    base = np.maximum(shape, 1e-3 * max(float(np.max(shape, initial=0.0)), 1e-12)) * inside
    hats = np.array([np.interp(at, knots, unit) for unit in np.eye(pieces)])
    columns = [normalised(hat * base) for hat in hats]
    return np.array([column for column in columns if column.any()])


def pile_up_column(
    spectrum: NDArray[np.float64], energy: EnergyAxis, floor: float = 0.5
) -> NDArray[np.float64]:
    """Return the spectrum that two pulses taken as one would make, (E,), scaled to a sum of 1.

    The spectrum's convolution with itself above ``floor`` keV: the energy of two pulses is the sum of theirs.
    All 0 when there are no counts.
    """
    counts = np.where(energy.energies > floor, np.clip(spectrum, 0, None), 0.0)
    if not counts.any():
        return np.zeros(energy.size)
    size = 2 * energy.size
    transformed = np.fft.rfft(counts, size)
    sums = np.fft.irfft(transformed**2, size).clip(0, None)
    at = 2 * energy.offset + energy.width * np.arange(size)
    column = np.interp(energy.energies, at, sums, left=0.0, right=0.0)
    column[energy.energies <= 2 * floor] = 0.0
    return normalised(column)
