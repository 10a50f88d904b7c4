"""Drawn distortions, in the form that compiled steps take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.synthesis.distortions import MOST_BRAGG_PEAKS, DistortionValues, FwhmOfEnergy
from napari_xrf.synthesis.spectrum_distortion import (
    DetectorTables,
    DistortionSteps,
    make_detector_tables,
)


def detector_tables(axis: EnergyAxis, fwhm: FwhmOfEnergy | None) -> DetectorTables:
    """Return what all spectra of an axis and a detector share, to be used for any number of batches."""
    own = np.zeros(axis.size) if fwhm is None else fwhm(np.maximum(axis.energies, 0.0))
    return make_detector_tables(axis, np.asarray(own, dtype=np.float64))


def distortion_steps(
    tables: DetectorTables, values: DistortionValues, fwhm: FwhmOfEnergy | None, size: int
) -> DistortionSteps:
    """Return the values of N spectra as compiled functions take them.

    Raises
    ------
    InvalidInput
        When the detector's width is needed and missing.
    """
    needs_width = (values.bragg_strength, values.width_factor, values.zero_peak)
    if fwhm is None and any(part is not None for part in needs_width):
        raise InvalidInput("these distortions need the width of the detector's peaks", "Give fwhm")
    energy = np.zeros((size, MOST_BRAGG_PEAKS + 1))
    strength, width = np.zeros_like(energy), np.zeros_like(energy)
    if values.bragg_strength is not None and values.bragg_energy is not None:
        energy[:, :-1], strength[:, :-1] = values.bragg_energy, values.bragg_strength
        width[:, :-1] = 0.0 if values.bragg_width is None else values.bragg_width
    if values.zero_peak is not None:
        strength[:, -1] = values.zero_peak
    if fwhm is not None:
        width = np.hypot(width, fwhm(energy.ravel()).reshape(energy.shape))
    dwell = _column(values.dwell, size, 1.0)
    added = (_column(values.noise, size) / (FWHM_PER_SIGMA * tables.width)) ** 2
    extra = _column(values.width_factor, size, 1.0) ** 2 - 1
    # Channel 0 holds what truly lies from (E - offset) / (1 + gain) on, E its lower edge.
    step = 1.0 / (1.0 + _column(values.gain, size))
    edge = tables.offset - 0.5 * tables.width
    start = ((edge - _column(values.offset, size)) * step - edge) / tables.width
    return DistortionSteps(
        peak_energy=energy,
        peak_share=strength,
        peak_sigma=width / FWHM_PER_SIGMA,
        continuum=_column(values.continuum_level, size),
        onset=_column(values.continuum_onset, size, 1.0),
        end=_column(values.continuum_end, size, 1.0),
        shelf=_column(values.shelf, size),
        tail=_column(values.tail, size),
        tail_width=_column(values.tail_width, size, 1.0),
        pulse_pair=_column(values.pulse_pair, size) / dwell,
        dead_time=_column(values.dead_time, size) / dwell,
        added=added,
        extra=extra,
        start=start,
        step=step,
        widest=float((added + extra * tables.variance.max()).max(initial=0.0)),
    )


def _column(values: NDArray[np.float64] | None, size: int, default: float = 0.0) -> NDArray[np.float64]:
    return np.full(size, default) if values is None else np.asarray(values, dtype=np.float64)
