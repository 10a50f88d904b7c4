"""The calibration of a layer's map: made once, in the worker that needs it first, for all docks."""

from collections.abc import Callable
from typing import Any

from napari_xrf.core.progress import Progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map
from napari_xrf.maps.identification.judgement import FoundElement
from napari_xrf.plugin.notices import warn

_KEY = "xrf_calibrated_map"


def kept_map(layer: Any, cube: SpectralCube) -> Measured:
    """Return the calibrated map of a layer's cube where it was made already, else the cube."""
    kept = layer.metadata.get(_KEY)
    return kept if isinstance(kept, CalibratedMap) and kept.cube is cube else cube


def found_elements(layer: Any, cube: SpectralCube) -> tuple[FoundElement, ...]:
    """Return the elements that were found of a layer's cube already; nothing is sought."""
    kept = kept_map(layer, cube)
    return kept.found if isinstance(kept, CalibratedMap) else ()


def calibrate_layer(layer: Any, cube: SpectralCube, *, progress: Progress) -> CalibratedMap:
    """Return the calibrated map of a layer's cube, made at the first call."""
    kept = kept_map(layer, cube)
    measured = calibrate_map(kept, progress=progress)
    if measured is not kept:
        for note in (
            *([f"{measured.doubt}. {measured.remedy}"] if measured.doubt else ()),
            *measured.blind_windows,
        ):
            warn(f"{layer.name}: {note}")
    layer.metadata[_KEY] = measured
    return measured


def on_calibrated(work: Callable[..., Any], layer: Any, cube: SpectralCube) -> Callable[..., Any]:
    """Return a job's work that is given the calibrated map of a layer first, and tells its unnamed peaks."""

    def work_on_it(*arguments: Any, progress: Progress, **options: Any) -> Any:
        measured = calibrate_layer(layer, cube, progress=progress)
        told = measured.unnamed_peaks
        made = work(measured, *arguments, progress=progress, **options)
        for peak in () if told else measured.unnamed_peaks:  # of elements that this work has sought
            warn(f"{layer.name}: {peak}")
        return made

    return work_on_it
