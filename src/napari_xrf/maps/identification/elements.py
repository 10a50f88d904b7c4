"""Which elements a calibrated spectrum and the pixels of its map hold."""

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.identification.explanation import Explanation
from napari_xrf.maps.identification.hot_spots import find_in_hot_spots
from napari_xrf.maps.identification.judgement import FoundElement
from napari_xrf.maps.spectra.setting import Setting

__all__ = ["FoundElement", "by_atomic_number", "identify"]


def identify(
    cube: SpectralCube, setting: Setting, explained: Explanation, progress: Progress = ignore_progress
) -> tuple[FoundElement, ...]:
    """Find the elements of a map whose sum spectrum is explained in a setting already."""
    progress(1, 2, "finding elements")
    rare = find_in_hot_spots(cube, setting, explained, progress)
    common = tuple(one for one in explained.found if one.element not in {two.element for two in rare})
    return by_atomic_number((*common, *rare))


def by_atomic_number(found: tuple[FoundElement, ...]) -> tuple[FoundElement, ...]:
    """Return found elements by rising atomic number."""
    return tuple(sorted(found, key=lambda one: atomic_number(one.element)))
