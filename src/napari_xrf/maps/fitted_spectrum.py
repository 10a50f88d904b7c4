"""A summed spectrum with the fit of its elements, the continuum under them, and what is left over."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import Measured, calibrate_map
from napari_xrf.maps.pixels.element_mapping import families_in, fit_to_sum, sum_columns
from napari_xrf.maps.spectra.candidates import columns_of


@dataclass(frozen=True, eq=False)
class FittedSpectrum:
    """What the fit of a map's sum spectrum says."""

    families: tuple[str, ...]  # what was fitted, "Fe K"
    energy: EnergyAxis  # the refined axis
    # model, continuum: (E,) counts that the fit explains, and those of them that are continuum; NaN outside
    # the fitted range
    model: NDArray[np.float64]
    continuum: NDArray[np.float64]
    # (E,) measured less fitted counts, in standard deviations of counting; NaN outside
    residual: NDArray[np.float64]


def fit_sum(
    measured: Measured, elements: Sequence[str] | None = None, *, progress: Progress = ignore_progress
) -> FittedSpectrum:
    """Fit the sum spectrum of a map with the lines of elements, by default those that are found in it.

    Raises InvalidInput when the map holds no counts, or an element is none.
    """
    known = calibrate_map(measured, progress=progress).checked()
    families = families_in(known, elements, progress)
    setting, spectrum = known.setting, known.sum_spectrum
    columns, smooth = sum_columns(columns_of(families, setting), spectrum, setting)
    amplitudes = fit_to_sum(columns[:, setting.fitted], spectrum[setting.fitted])
    outside = np.ones(spectrum.size, dtype=bool)
    outside[setting.fitted] = False
    model, continuum = amplitudes @ columns, (amplitudes * smooth) @ columns
    residual = (spectrum - model) / np.sqrt(np.maximum(model, 1.0))
    for part in (model, continuum, residual):
        part[outside] = np.nan
    return FittedSpectrum(families, known.energy, model, continuum, residual)
