"""Columns for what lies under the peaks: a smooth continuum, and pile-up of two pulses."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.spectra.families import normalised

_SOFT_KEV, _SOFT_PART = 1.0, 0.02
_GROUPS, _GROUP_PART = 5, 0.01  # strongest peaks, seen above this part of the highest channel


def continuum_columns(
    shape: NDArray[np.float64], energy: EnergyAxis, low: float, high: float, spacing: float
) -> NDArray[np.float64]:
    """Return overlapping pieces of a continuum whose amplitudes the fit may choose.

    ``shape``: (E,) the continuum of the pooled spectrum, from
    :func:`~napari_xrf.maps.spectra.background.estimate_background`. ``energy``, ``low``, ``high``: the axis,
    and the range in keV that the pieces cover. ``spacing``: distance of the pieces' centres at 5 keV in keV;
    it grows as the square root of energy.

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


def pile_up_columns(
    spectrum: NDArray[np.float64], energy: EnergyAxis, low: float
) -> dict[str, NDArray[np.float64]]:
    """Return the spectra that two pulses taken as one make, (E,) each with a sum of 1.

    The energy of two pulses is the sum of theirs: the spectrum's convolution with itself. Pulses below 1 keV
    escape the fast channel that rejects coinciding pulses, so that their sums have a column, and
    an amplitude, of their own.

    ``spectrum``: (E,) net counts of the peaks. ``energy``: the axis. ``low``: pulses below this energy in keV
    are left out. Returns ``"pile-up"`` and ``"pile-up soft"``, as far as there are counts for them.
    """
    hard, soft = _hard_and_soft(spectrum, energy, low)
    columns = {"pile-up": _sums(hard, hard, energy), "pile-up soft": _sums(soft, hard + soft, energy)}
    return {name: normalised(column) for name, column in columns.items() if column.any()}


def pile_up_pairs(
    spectrum: NDArray[np.float64], energy: EnergyAxis, low: float
) -> dict[str, NDArray[np.float64]]:
    """Return what each pair of the strongest peaks adds to :func:`pile_up_columns`, (P, E) each."""
    hard, soft = _hard_and_soft(spectrum, energy, low)
    strong, weak = _peaks(hard, 2 * energy.size), []
    if soft.sum() > _SOFT_PART * (hard + soft).sum():  # otherwise noise
        weak = _peaks(soft, 2 * energy.size)
    both = [
        (1 if k == other else 2) * strong[k] * strong[other]
        for k in range(len(strong))
        for other in range(k, len(strong))
    ]
    with_soft = [one * other for one in weak for other in (*weak, *strong)]
    wholes = {"pile-up": hard.sum() ** 2, "pile-up soft": soft.sum() * (hard + soft).sum()}
    found = {}
    for (name, whole), products in zip(wholes.items(), (both, with_soft), strict=True):
        pairs = [_summed(product, energy) / whole for product in products]
        found[name] = np.array(pairs).reshape(-1, energy.size)
    return found


def _hard_and_soft(
    spectrum: NDArray[np.float64], energy: EnergyAxis, low: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    counts = np.clip(spectrum, 0, None)
    soft = (energy.energies >= low) & (energy.energies < _SOFT_KEV)
    return np.where(energy.energies >= _SOFT_KEV, counts, 0.0), np.where(soft, counts, 0.0)


def _peaks(counts: NDArray[np.float64], size: int) -> list[NDArray[np.complex128]]:
    """Return the transforms of the strongest peaks of a spectrum, each alone."""
    counted = np.flatnonzero(counts > _GROUP_PART * counts.max(initial=0))
    runs = np.split(counted, np.flatnonzero(np.diff(counted) > 1) + 1) if counted.size else []
    found = []
    for run in sorted(runs, key=lambda run: -float(counts[run].sum()))[:_GROUPS]:
        alone = np.zeros(counts.size)
        alone[run] = counts[run]
        found.append(np.fft.rfft(alone, size))
    return found


def _sums(first: NDArray[np.float64], second: NDArray[np.float64], energy: EnergyAxis) -> NDArray[np.float64]:
    size = 2 * energy.size
    return _summed(np.fft.rfft(first, size) * np.fft.rfft(second, size), energy)


def _summed(product: NDArray[np.complex128], energy: EnergyAxis) -> NDArray[np.float64]:
    size = 2 * energy.size
    sums = np.fft.irfft(product, size)
    at = 2 * energy.offset + energy.width * np.arange(size)
    # What is tiny against the highest sum is rounding of the transform.
    sums[sums < 1e-9 * sums.max()] = 0.0
    return np.interp(energy.energies, at, sums, left=0.0, right=0.0)
