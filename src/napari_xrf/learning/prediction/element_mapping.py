"""Element maps by a network: from a cube to the noun that the fit gives too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.core.errors import InvalidInput, nearest_of
from napari_xrf.core.extras import check_networks
from napari_xrf.core.named_files import is_file, is_folder
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.prediction.suitability import default_element_model
from napari_xrf.learning.weights import models_giving, read_description, shipped_models
from napari_xrf.maps.calibrated_map import Measured, cube_of
from napari_xrf.physics.excitation import instrument_of

_BLOCK_BYTES = 16 * 2**20

if TYPE_CHECKING:
    from napari_xrf.learning.prediction.prediction import Prediction
    from napari_xrf.physics.detector.detector import Detector


def map_elements_by(
    model: str | None,
    measured: Measured,
    elements: Sequence[str] | None = None,
    *,
    tell: Callable[[str], object] | None = None,
    progress: Progress = ignore_progress,
) -> ElementMaps:
    """Map elements by a network: a shipped model's name, a weights file, or None for the detector's own.

    ``tell`` is given what the user should know of the answer, one sentence each. Without it, what speaks
    against the answer becomes a warning.

    Raises InvalidInput when there is no such model, it gives no net counts, or it does not know one of the
    elements.
    """
    if model is not None and model not in shipped_models() and not (is_file(model) or is_folder(model)):
        remedy = nearest_of(model, ["fit", "window", *models_giving("intensity")], "a model's weights file")
        raise InvalidInput(f"there is no method {model!r}", remedy)
    model = model or default_element_model(instrument_of(cube_of(measured)))
    wanted = asked_elements(model, elements)

    from napari_xrf.learning.prediction.answers import predict
    from napari_xrf.learning.weights import load_model

    prediction = predict(load_model(model), measured, progress=progress)
    for note in prediction.doubts if tell is None else prediction.notes:
        (tell or warnings.warn)(note)
    return element_maps_with_errors(prediction, cube_of(measured), wanted, progress)


def element_maps_with_errors(
    prediction: Prediction,
    cube: SpectralCube,
    elements: Sequence[str] | None = None,
    progress: Progress = ignore_progress,
) -> ElementMaps:
    """Return the element maps of a prediction, with errors that know what lies under the peaks.

    The variance has three parts. The predicted net counts themselves and the counts beside them in the
    window of the main line, ±1 FWHM, on the file's axis: the Poisson noise of a perfect reader of that
    window. And the model's own error, as a share of all counts, on held-out spectra of its training. A
    network is no unbiased fit: what it gets wrong on spectra unlike its training is in none of them.

    ``prediction``: of a model for elements. ``cube``: what it was made from. ``elements``: of the model's
    names; None: those that it finds.
    """
    from napari_xrf.learning.prediction.views import element_maps_of

    maps = element_maps_of(prediction, elements)
    detector = instrument_of(cube).detector
    errors = maps.standard_errors
    windows = [_window(family, cube, detector) for family in maps.families]
    for band, block in cube.blocks(_BLOCK_BYTES):
        for number, window in enumerate(windows):
            if window is not None:
                seen = block[:, :, window].sum(axis=2, dtype=np.float64)
                variance = errors[number, band].astype(np.float64) ** 2
                errors[number, band] = np.sqrt(variance + np.maximum(seen - maps.counts[number, band], 0))
        progress(band.stop, cube.shape[0], "estimating errors")
    return replace(maps, standard_errors=errors)


def asked_elements(model: str, elements: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the elements of symbols or families (``"Fe"``, ``"Fe K"``); None: those that the model finds.

    Raises FileError when the model, a name or a file, is no weights file. Raises InvalidInput when there is
    no such model, it gives no counts of elements, or does not know one of them; or where PyTorch is missing.
    """
    description = read_description(model)
    if "intensity" not in description.outputs:
        there = ", ".join(models_giving("intensity")) or "a model of your own"
        raise InvalidInput(f"the model {model} gives no counts of elements", f"Use {there}")
    check_networks()
    if elements is None:
        return None
    symbols = tuple(dict.fromkeys(entry.split()[0] if entry.split() else entry for entry in elements))
    missing = [symbol for symbol in symbols if symbol not in description.names]
    if missing or not symbols:
        raise InvalidInput(
            f"the model {description.name} does not know {', '.join(missing) or 'an element without name'}",
            f"It knows {', '.join(description.names)}",
        )
    return symbols


def _window(family: str, cube: SpectralCube, detector: Detector) -> slice | None:
    """Return the channels within ±1 FWHM of a family's main line, None where the map does not hold it."""
    line = main_line(*split_family(family))
    if line is None or not cube.energy.energies[0] < line.energy < cube.energy.energies[-1]:
        return None
    half = float(detector.fwhm(line.energy))
    return cube.energy.window(line.energy - half, line.energy + half)
