"""Predictions as layers: maps, labels, codes and denoised cubes, all of which the existing writers save."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.learning.description import ModelDescription
from napari_xrf.plugin.inference_form import Request, thresholds_of
from napari_xrf.plugin.label_layers import label_layer
from napari_xrf.plugin.layers import (
    ELEMENT_MAP_KEY,
    FAMILY_KEY,
    LayerData,
    cube_layer,
    map_layer,
)

MOST_MAPS = 24  # layers of one output; more would bury the list
_PROBABILITY_COLORMAP = "magma"
_CONFIDENCE_COLORMAP = "gray"


def prediction_layers(
    prediction: Any, request: Request, cube: SpectralCube
) -> tuple[list[LayerData], tuple[str, ...]]:
    """Return the layers of a prediction, from bottom to top, and what the user should know of them.

    Parameters
    ----------
    prediction
        A :class:`~napari_xrf.learning.prediction.Prediction` of the cube.
    request
        Which outputs, and from which probability something is present. An element has a map when it is
        present in a pixel at least; of more than 24, the ones in most pixels do.
    cube
        The map, for names and pixel sizes.

    Notes
    -----
    Labels are visible, else the map of what is in most pixels; all other layers are hidden.
    """
    layers: list[LayerData] = []
    notes: list[str] = [*prediction.notes]
    model = prediction.description.name
    if "spectrum" in request.outputs and prediction.spectrum is not None:
        layers.append(_hidden(cube_layer(denoised_cube(prediction, cube))))
    if "code" in request.outputs and prediction.code is not None:
        layers += _code_layers(prediction, cube, notes)
    for kind, values in (("presence", prediction.probability), ("intensity", prediction.intensity)):
        if kind in request.outputs and values is not None:
            layers += _name_layers(prediction, kind, request, cube, notes)
    if "minerals" in request.outputs and prediction.description.task == "minerals":
        layers += _mineral_layers(prediction, request, cube)
    if not layers:
        notes.append(f"{model} finds nothing above the threshold in {cube.name}")
        return [], tuple(notes)
    data, keywords, form = layers[-1]
    return [*layers[:-1], (data, keywords | {"visible": True}, form)], tuple(notes)


def denoised_cube(prediction: Any, cube: SpectralCube) -> SpectralCube:
    """Return the spectra that a model reconstructs as a map of their own."""
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


def element_groups(names: tuple[str, ...]) -> dict[str, list[int]]:
    """Return element → positions of its lines, of names such as ``"Fe ka1"``, in their order."""
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        groups.setdefault(name.partition(" ")[0], []).append(position)
    return groups


def _name_layers(
    prediction: Any, kind: str, request: Request, cube: SpectralCube, notes: list[str]
) -> list[LayerData]:
    description: ModelDescription = prediction.description
    groups: dict[str, list[int]] = {name: [index] for index, name in enumerate(description.names)}
    if description.task == "lines" and request.by_element:
        groups = element_groups(description.names)
    pixels = {name: _pixels_with(prediction, where, request) for name, where in groups.items()}
    chosen = _most_frequent(pixels, notes, _WHAT[kind])
    suffix, method = _MAKING[kind]
    made = []
    for name in chosen:
        where = groups[name]
        if kind == "presence":
            values = _probability(prediction, where, request)
            look = {"contrast_limits": (0.0, 1.0), "colormap": _PROBABILITY_COLORMAP}
        else:
            values, look = np.ascontiguousarray(prediction.intensity[..., where].sum(axis=-1)), {}
        layer = _saved_map(values, f"{name} ({suffix})", f"{description.name}, {method}", cube)
        made.append(_looking(_hidden(layer), look))
    return made


_WHAT = {"presence": "probability maps", "intensity": "maps of net counts", "code": "code maps"}
_MAKING = {"presence": ("probability", "probability"), "intensity": ("counts", "net counts")}


def _pixels_with(prediction: Any, where: list[int], request: Request) -> int:
    """Return in how many pixels one of some names is present."""
    if prediction.probability is None:
        return int(np.count_nonzero((prediction.intensity[..., where] > 0).any(axis=-1)))
    limits = thresholds_of(request, prediction.description)[where]
    present = prediction.probability[..., where] >= limits
    return int(np.count_nonzero(present.any(axis=-1) & (prediction.counts > 0)))


def _probability(prediction: Any, where: list[int], request: Request) -> NDArray[np.float32]:
    values = prediction.probability[..., where]
    if request.blank:
        values = np.where(values >= thresholds_of(request, prediction.description)[where], values, 0)
    return np.ascontiguousarray(values.max(axis=-1), dtype=np.float32)


def _most_frequent(pixels: dict[str, int], notes: list[str], what: str) -> list[str]:
    """Return the names to map, the one in most pixels last, on top."""
    found = sorted((name for name, count in pixels.items() if count), key=lambda name: pixels[name])
    if len(found) > MOST_MAPS:
        notes.append(
            f"The {what} of the {MOST_MAPS} of {len(found)} that are in most pixels are layers: "
            "raise the threshold for fewer, save the prediction for all"
        )
    return found[-MOST_MAPS:]


def _mineral_layers(prediction: Any, request: Request, cube: SpectralCube) -> list[LayerData]:
    from dataclasses import replace

    from napari_xrf.learning.prediction import label_map_of

    model = prediction.description.name
    options = {} if request.threshold is None else {"least_probability": request.threshold}
    labels = replace(label_map_of(prediction, **options), pixel_size=cube.pixel_size, source=cube.name)
    made = []
    for name, values in (("unknown", prediction.unknown), ("confidence", labels.confidence)):
        if values is not None:
            layer = _saved_map(
                np.asarray(values, dtype=np.float32), f"{name} ({model})", f"{model}, {name}", cube
            )
            look = {"contrast_limits": (0.0, 1.0), "colormap": _CONFIDENCE_COLORMAP}
            made.append(_looking(_hidden(layer), look))
    return [*made, label_layer(labels, f"Minerals of {cube.name} ({model})")]


def _code_layers(prediction: Any, cube: SpectralCube, notes: list[str]) -> list[LayerData]:
    code, model = prediction.code, prediction.description.name
    names = prediction.description.code_names or [f"unit {number + 1}" for number in range(code.shape[-1])]
    spread = code.reshape(-1, code.shape[-1]).astype(np.float64).std(axis=0)
    active = [int(index) for index in np.argsort(spread, kind="stable") if spread[index] > 0]
    if len(active) > MOST_MAPS:
        notes.append(f"The {MOST_MAPS} units of the code that vary most, of {len(active)}, are layers")
    return [
        _hidden(
            _saved_map(
                np.ascontiguousarray(code[..., index], dtype=np.float32), f"{names[index]} (code)",
                f"{model}, code", cube,
            )
        )
        for index in active[-MOST_MAPS:]
    ]  # fmt: skip


def _saved_map(values: NDArray[Any], name: str, method: str, cube: SpectralCube) -> LayerData:
    """Return a map's layer that the writer of element maps takes; a network states no standard errors."""
    data, keywords, form = map_layer(values, name, cube)
    unknown = np.broadcast_to(np.float32(np.nan), values.shape)
    facts = {"standard_errors": unknown, "method": method, "source": cube.name}
    return data, keywords | {"metadata": {FAMILY_KEY: name, ELEMENT_MAP_KEY: facts}}, form


def _looking(layer: LayerData, look: dict[str, Any]) -> LayerData:
    data, keywords, form = layer
    return data, keywords | look, form


def _hidden(layer: LayerData) -> LayerData:
    return _looking(layer, {"visible": False})
