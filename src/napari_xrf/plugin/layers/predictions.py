"""Predictions as layers: maps, labels, codes and denoised cubes, all of which the existing writers save."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.plugin.jobs.model_answers import Request, decided_by
from napari_xrf.plugin.layers.cubes import cube_layer
from napari_xrf.plugin.layers.element_maps import element_map_layer, element_map_layers
from napari_xrf.plugin.layers.labels import label_layer
from napari_xrf.plugin.layers.layer_data import LayerData, with_keywords

if TYPE_CHECKING:
    from napari_xrf.learning.prediction.prediction import Prediction

MOST_MAPS = 24  # layers of one output; more would bury the list
_LOOK: dict[str, Any] = {"contrast_limits": (0.0, 1.0), "colormap": "magma"}


def prediction_layers(
    prediction: Prediction, request: Request, cube: SpectralCube
) -> tuple[list[LayerData], tuple[str, ...]]:
    """Return the layers of a prediction, from bottom to top, and what the user should know of them.

    ``prediction``: of the cube. ``request``: which outputs, and from which probability something is present.
    A name has a map when it is present in a pixel of a thousand; of more than 24, those in most pixels have
    one. ``cube``: the map, for names and pixel sizes.

    Notes
    -----
    Labels are visible, else the map of what is in most pixels; all other layers are hidden.
    """
    decided = replace(prediction, description=decided_by(request, prediction.description))
    layers: list[LayerData] = []
    notes: list[str] = [*prediction.notes]
    if "spectrum" in request.outputs and prediction.spectrum is not None:
        layers.append(cube_layer(denoised_cube(prediction, cube)))
    if "code" in request.outputs and prediction.code is not None:
        layers += _code_layers(prediction, cube, notes)
    if "presence" in request.outputs and prediction.probability is not None:
        layers += _presence_layers(decided, request, cube, notes)
    if "intensity" in request.outputs and prediction.intensity is not None:
        layers += _count_layers(decided, notes)
    if "minerals" in request.outputs and prediction.probability is not None:
        layers += _mineral_layers(prediction, request, cube)
    if not layers:
        notes.append(f"{prediction.description.name} finds nothing above the threshold in {cube.name}")
    top = len(layers) - 1
    return [with_keywords(layer, visible=place == top) for place, layer in enumerate(layers)], tuple(notes)


def denoised_cube(prediction: Prediction, cube: SpectralCube) -> SpectralCube:
    """Return the spectra that a model reconstructs as a map of their own, on the model's axis."""
    model = prediction.description.name
    return SpectralCube(
        np.ascontiguousarray(prediction.spectrum, dtype=np.float32),
        prediction.description.axis,
        f"{cube.name} (denoised by {model})",
        cube.pixel_size,
        excitation=cube.excitation,
        elements=cube.elements,
        provenance=Provenance(cube.provenance.path, f"reconstruction by {model}", cube.provenance.detectors),
    )


def _presence_layers(
    decided: Prediction, request: Request, cube: SpectralCube, notes: list[str]
) -> list[LayerData]:
    from napari_xrf.learning.prediction.views import element_groups, found_names

    description, probability = decided.description, decided.probability
    assert probability is not None
    place = {name: index for index, name in enumerate(description.names)}
    found = found_names(decided)
    by_element = description.task == "lines" and request.by_element
    groups = element_groups(found) if by_element else {name: [name] for name in found}
    limits = description.thresholds
    pixels, maps = {}, {}
    for name, members in groups.items():
        rows = [place[each] for each in members]
        passed = probability[..., rows] >= limits[rows]
        pixels[name] = int(passed.any(axis=-1).sum())
        shown = passed if request.decided else probability[..., rows]
        maps[name] = np.ascontiguousarray(shown.max(axis=-1), dtype=np.float32)
    what = "present" if request.decided else "probability"
    method = f"{description.name}, {what}"
    return [
        _map(maps[name], f"{name} ({what})", method, cube, **_LOOK)
        for name in _most_frequent(pixels, notes, "maps of presence")
    ]


def _count_layers(decided: Prediction, notes: list[str]) -> list[LayerData]:
    from napari_xrf.learning.prediction.views import element_maps_of

    by_name = {str(layer[1]["name"]): layer for layer in element_map_layers(element_maps_of(decided))}
    sums = {name: float(np.sum(layer[0], dtype=np.float64)) for name, layer in by_name.items()}
    return [by_name[name] for name in _most_frequent(sums, notes, "maps of net counts")]


def _most_frequent(amounts: dict[str, Any], notes: list[str], what: str) -> list[str]:
    """Return the names to map, the most frequent one last, on top."""
    order = sorted((name for name, amount in amounts.items() if amount > 0), key=lambda name: amounts[name])
    if len(order) > MOST_MAPS:
        notes.append(
            f"{MOST_MAPS} of {len(order)} {what} are layers, of what there is most: "
            "raise the threshold for fewer, save the prediction for all"
        )
    return order[-MOST_MAPS:]


def _mineral_layers(prediction: Prediction, request: Request, cube: SpectralCube) -> list[LayerData]:
    from napari_xrf.learning.prediction.views import label_map_of

    model = prediction.description.name
    options = {} if request.threshold is None else {"least_probability": request.threshold}
    labels = label_map_of(prediction, **options)
    maps = {"unknown": prediction.unknown, "confidence": labels.confidence}
    return [
        *(
            _map(values, f"{name} ({model})", f"{model}, {name}", cube, **_LOOK)
            for name, values in maps.items()
            if values is not None
        ),
        label_layer(labels, f"Minerals of {cube.name} ({model})"),
    ]


def _code_layers(prediction: Prediction, cube: SpectralCube, notes: list[str]) -> list[LayerData]:
    code, model = prediction.code, prediction.description.name
    assert code is not None
    names = prediction.description.code_names or tuple(
        f"unit {number + 1}" for number in range(code.shape[2])
    )
    spread = code.reshape(-1, code.shape[2]).std(axis=0, dtype=np.float64)
    active = [int(index) for index in np.argsort(spread, kind="stable") if spread[index] > 0]
    if len(active) > MOST_MAPS:
        notes.append(f"The {MOST_MAPS} units of the code that vary most, of {len(active)}, are layers")
    return [
        _map(np.ascontiguousarray(code[..., index]), f"{names[index]} (code)", f"{model}, code", cube)
        for index in active[-MOST_MAPS:]
    ]


def _map(values: NDArray[Any], name: str, method: str, cube: SpectralCube, **look: Any) -> LayerData:
    # Saved as element maps are; a network states no standard errors.
    return element_map_layer(values, name, cube.pixel_size, method=method, source=cube.name, **look)
