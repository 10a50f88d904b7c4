"""What napari shows of synthetic data: the map, and its truth as label and element layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.plugin.layers.cubes import TRUTH_KEY, cube_layer, cube_layers
from napari_xrf.plugin.layers.element_maps import element_map_layers
from napari_xrf.plugin.layers.labels import label_layer
from napari_xrf.plugin.layers.layer_data import LayerData, map_layer, with_keywords
from napari_xrf.synthesis.recipes import Synthetic

MOST_SHARES = 20  # layers; all shares are in the truth and in the file

_LABEL_NAMES = {"painting": "True colours"}


def synthetic_layers(made: Synthetic, *, shares: bool = True, line_counts: bool = False) -> list[LayerData]:
    """Return the layers of what a recipe made, from bottom to top; all but the map are hidden.

    ``made``: the map and its truth, which goes into the metadata of its layers. ``shares``: whether the
    shares of minerals or pigments are layers: of the 20 that there is most of. ``line_counts``: whether the
    expected counts of each line family are layers.
    """
    *images, cube = cube_layers(made.cube)
    companions = [with_keywords(cube_layer(each), visible=False) for each in made.companions.values()]
    layers = [*images, *truth_layers(made.truth, made.cube, shares=shares, line_counts=line_counts)]
    # The labels lie above the map, so that switching them on shows them.
    labels = [layer for layer in layers if layer[2] == "labels"]
    below = [layer for layer in layers if layer[2] != "labels"]
    for _, keywords, _ in (*companions, cube):
        keywords["metadata"] |= {TRUTH_KEY: dict(made.truth)}
    return [*below, *companions, cube, *labels]


def truth_layers(
    truth: Mapping[str, Any], cube: SpectralCube, *, shares: bool = True, line_counts: bool = True
) -> list[LayerData]:
    """Return the hidden layers of a truth, from a recipe or from :func:`napari_xrf.io.read_truth`.

    ``truth``: ``"labels"``, ``"abundances"`` and ``"line_counts"`` have layers; what is missing has none.
    ``cube``: the map that it belongs to.
    """
    recipe = str((truth.get("parameters") or {}).get("recipe", ""))
    layers: list[LayerData] = []
    counts = truth.get("line_counts")
    if line_counts and isinstance(counts, ElementMaps):
        layers += [
            with_keywords(layer, name=f"{layer[1]['name']} (true)") for layer in element_map_layers(counts)
        ]
    if shares:
        layers += _share_layers(truth, cube)
    labels = truth.get("labels")
    if isinstance(labels, LabelMap):
        layers.append(label_layer(labels, _LABEL_NAMES.get(recipe, "True minerals")))
    return [with_keywords(layer, visible=False) for layer in layers]


def share_names(truth: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the K materials or pigments of the ``"abundances"`` (Y, X, K) of a truth."""
    parameters = truth.get("parameters") or {}
    if "pigments" in parameters:
        return tuple(str(name) for name in parameters["pigments"])
    return tuple(str(material["name"]) for material in parameters.get("materials", ()))


def _share_layers(truth: Mapping[str, Any], cube: SpectralCube) -> list[LayerData]:
    abundances, names = truth.get("abundances"), share_names(truth)
    if abundances is None or abundances.shape != (*cube.map_shape, len(names)):
        return []
    amounts = abundances.mean(axis=(0, 1))
    shown = [int(index) for index in np.argsort(amounts, kind="stable")[-MOST_SHARES:] if amounts[index] > 0]
    return [
        map_layer(np.ascontiguousarray(abundances[..., index]), f"{names[index]} (share)", cube.pixel_size)
        for index in shown
    ]
