"""Colours of regions, classes and curves: what is drawn into one plot is told apart there."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from napari_xrf.core.colors import distinct_color
from napari_xrf.plugin.layers.layer_data import hex_color, kind_of

# Well apart from each other and bright enough for a dark window.
REGION_COLORS = (
    "#56b4e9", "#e69f00", "#3ddc97", "#f0e442", "#cc79a7", "#8da0ff", "#ffa07a", "#b3de69",
)  # fmt: skip
MAX_COLOR, CURSOR_COLOR, EXPECTED_COLOR, FIT_COLOR = CURVE_COLORS = (
    "#e07b39", "#00d5d5", "#ff4d9d", "#ff6b6b",
)  # fmt: skip


def region_color(layer: Any, index: int) -> str:
    """Return the colour of a shape's edge, or of its face where the edge is clear, as ``"#rrggbb"``."""
    rgba = np.asarray(layer.edge_color[index], dtype=float)
    if rgba[3] == 0:
        rgba = np.asarray(layer.face_color[index], dtype=float)
    return hex_color(rgba)


def region_colors(layer: Any) -> list[str]:
    """Return the colours of the shapes of a layer, which holds none when it is of another kind."""
    return [
        region_color(layer, index) for index in range(len(layer.data) if kind_of(layer) == "shapes" else 0)
    ]


def free_color(wanted: Sequence[str], layers: Iterable[Any], taken: Sequence[str] = ()) -> str:
    """Return a colour, a wanted one where it can be, that no region, class or other curve of layers has.

    ``taken``: further ones that it differs from.
    """
    used = [*CURVE_COLORS, *taken]
    for layer in layers:
        used += region_colors(layer)
        if kind_of(layer) == "labels" and "index" in layer.features:
            used += [hex_color(np.ravel(layer.colormap.map(label))) for label in layer.features["index"]]
    return distinct_color(wanted, used)
