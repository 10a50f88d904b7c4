"""Layers of regions whose spectra are shown: two-dimensional shapes, each in a colour of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_xrf.plugin.layers.conversion import spatial_keywords

REGION_KEY = "xrf_regions"

# Well apart from each other and bright enough for a dark window.
REGION_COLORS = (
    "#56b4e9", "#e69f00", "#3ddc97", "#ff6b6b", "#f0e442", "#cc79a7", "#8da0ff", "#ffa07a",
    "#00d5d5", "#b3de69",
)  # fmt: skip


def add_region_layer(viewer: Any, map_layer: Any) -> Any:
    """Add an empty Shapes layer (y, x) in register with a map, ready to draw rectangles.

    Each new shape gets the next free colour; its spectrum is drawn in it.
    """
    scale, translate = tuple(map_layer.scale[-2:]), tuple(map_layer.translate[-2:])
    keywords = spatial_keywords((1.0, 1.0)) | {
        "scale": scale,
        "translate": translate,
        "units": tuple(str(unit) for unit in map_layer.units[-2:]),
    }
    rows, columns = map_layer.data.shape[-2:]
    layer = viewer.add_shapes(
        ndim=2,
        name="Region",
        edge_color=REGION_COLORS[0],
        face_color="#ffffff22",
        edge_width=max(min(rows, columns) / 120, 0.08),
        opacity=0.9,
        metadata={REGION_KEY: True},
        **keywords,
    )
    layer.current_face_color = "#ffffff22"
    layer.events.data.connect(_color_new_shapes)
    viewer.layers.selection.active = layer
    layer.mode = "add_rectangle"
    return layer


def region_color(layer: Any, index: int) -> str:
    """Return the colour of a shape's edge, or of its face where the edge is clear, as ``"#rrggbb"``."""
    rgba = np.asarray(layer.edge_color[index], dtype=float)
    if rgba[3] == 0:
        rgba = np.asarray(layer.face_color[index], dtype=float)
    red, green, blue = (round(255 * float(part)) for part in rgba[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


def region_name(layer: Any, index: int) -> str:
    """Return a shape's name: its ``name`` in the features table, or its number."""
    features = getattr(layer, "features", None)
    if features is not None and "name" in features.columns and index < len(features):
        given = str(features["name"].iloc[index])
        if given and given.lower() not in ("nan", "none"):
            return given
    return f"{layer.name} {index + 1}"


def _color_new_shapes(event: Any) -> None:
    if "add" not in str(getattr(event, "action", "")).lower():
        return
    layer = event.source
    used: set[str] = set()
    colors = np.array(layer.edge_color, dtype=float)
    changed = False
    for index in range(len(layer.data)):
        color = region_color(layer, index)
        if color in used:
            color = next((name for name in REGION_COLORS if name not in used), REGION_COLORS[index % 10])
            colors[index, :3] = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
            changed = True
        used.add(color)
    if changed:
        layer.edge_color = colors
