"""Which elements a map holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.anode import with_likely_anode
from napari_xrf.maps.calibration import Calibration, calibrate
from napari_xrf.maps.explanation import FoundElement, explain
from napari_xrf.maps.hot_spots import find_in_hot_spots
from napari_xrf.maps.setting import Setting, setting_of

__all__ = ["FoundElement", "by_atomic_number", "find_elements", "find_in_setting"]


def find_elements(
    cube: SpectralCube, *, calibration: Calibration | None = None, progress: Progress = ignore_progress
) -> tuple[FoundElement, ...]:
    """Find the elements of a map from its sum spectrum and from the pixels that stand out.

    The sum spectrum is calibrated, then explained by the elements that lower chi-square most, one after the
    other, with all their line families; stray peaks, scatter, escape and pile-up compete with them. An
    element is found when the model without it is improbable, given how common it is (the file's own
    list counts for it, but proves nothing). Then the same is done for the pixels in which a line
    stands out that the sum spectrum does not show.

    Parameters
    ----------
    cube
        The map.
    calibration
        Of the map, where it is known already; otherwise it is found on the sum spectrum.

    Returns
    -------
    The elements by rising atomic number; empty for a map without counts.
    """
    spectrum = cube.sum_spectrum(progress).astype(np.float64)
    if not spectrum[cube.energy.positive].any():
        return ()
    if calibration is None:
        progress(0, 2, "calibrating")
        calibration = calibrate(
            spectrum, cube.energy, excitation=cube.excitation, elements=cube.elements, progress=progress
        )
    setting = setting_of(spectrum, cube.energy, cube.excitation)
    setting = setting.refined(calibration.energy, calibration.detector)
    setting = with_likely_anode(spectrum, setting, cube.elements, progress)
    return find_in_setting(cube, spectrum, setting, progress)


def find_in_setting(
    cube: SpectralCube, spectrum: NDArray[np.float64], setting: Setting, progress: Progress = ignore_progress
) -> tuple[FoundElement, ...]:
    """Find the elements of a map whose sum spectrum (E,) is calibrated already."""
    progress(1, 2, "finding elements")
    explanation = explain(spectrum, setting, cube.elements, progress=progress)
    rare = find_in_hot_spots(cube, setting, explanation, progress)
    if rare:
        # What the sum spectrum seemed to need may have stood in for them.
        certain = tuple(one.element for one in rare)
        explanation = explain(spectrum, setting, cube.elements, certain=certain, progress=progress)
    common = tuple(one for one in explanation.found if one.element not in {two.element for two in rare})
    return by_atomic_number((*common, *rare))


def by_atomic_number(found: tuple[FoundElement, ...]) -> tuple[FoundElement, ...]:
    """Return found elements by rising atomic number."""
    return tuple(sorted(found, key=lambda one: atomic_number(one.element)))
