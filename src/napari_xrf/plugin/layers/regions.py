"""Regions: shapes drawn on a map, each in a colour of its own, and the pixels that they cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.colors import distinct_color
from napari_xrf.core.errors import InvalidInput
from napari_xrf.plugin.layers.colors import CURVE_COLORS, REGION_COLORS, free_color, region_colors
from napari_xrf.plugin.layers.layer_data import (
    REGION_KEY,
    LayerData,
    add_layers,
    call_in_turns,
    event_loop_runs,
    hex_color,
    kind_of,
    pixel_size_from,
    spatial_keywords,
    unit_factors,
)

if TYPE_CHECKING:
    from napari_xrf.io.own.region_files import RegionSet


def add_region_layer(viewer: Any, map_layer: Any) -> Any:
    """Add an empty Shapes layer (y, x) in register with a map, ready to draw rectangles.

    Each new shape gets the next free colour; its spectrum is drawn in it.
    """
    keywords = spatial_keywords((1.0, 1.0)) | {
        "scale": tuple(map_layer.scale[-2:]),
        "translate": tuple(map_layer.translate[-2:]),
        "units": tuple(str(unit) for unit in map_layer.units[-2:]),
    }
    rows, columns = map_layer.data.shape[-2:]
    keywords |= {
        "ndim": 2,
        "name": "Region",
        "edge_color": free_color(REGION_COLORS, viewer.layers),
        "face_color": "#ffffff22",
        "edge_width": max(min(rows, columns) / 120, 0.08),
        "opacity": 0.9,
        "visible": not event_loop_runs(),  # to draw the first takes as long as to add it: each has its turn
        "metadata": {REGION_KEY: True},
    }
    (layer,) = add_layers(viewer, [(None, keywords, "shapes")])
    layer.current_face_color = "#ffffff22"
    layer.events.data.connect(partial(color_new_shapes, viewer.layers))
    viewer.layers.selection.active = layer
    if layer.visible:
        _show_and_draw(layer)
    else:
        call_in_turns([partial(_show_and_draw, layer)])
    return layer


def _show_and_draw(layer: Any) -> None:
    layer.visible = True
    layer.mode = "add_rectangle"


def region_layer(found: RegionSet, name: str) -> LayerData:
    """Return the Shapes layer of regions: their names in the features table, their colours on the edges."""
    import pandas as pd

    regions = found.regions
    colors: list[str] = []
    for one in regions:
        colors.append(one.color or distinct_color(REGION_COLORS, (*CURVE_COLORS, *colors)))
    extent = max((float(np.ptp(one.vertices, axis=0).max()) for one in regions), default=1.0)
    keywords = {
        "name": name,
        "shape_type": [one.kind for one in regions],
        "edge_color": colors,
        "face_color": "#ffffff22",
        "edge_width": max(extent / 60, 0.08),
        "opacity": 0.9,
        "features": pd.DataFrame({"name": [one.name for one in regions]}),
        "feature_defaults": {"name": ""},  # of shapes drawn later
        "metadata": {REGION_KEY: True},
        **spatial_keywords(found.pixel_size),
    }
    return [one.vertices for one in regions], keywords, "shapes"


def regions_from(data: Any, keywords: Mapping[str, Any]) -> RegionSet:
    """Return the regions that a Shapes layer's data and keywords hold, in pixels of its map.

    Raises InvalidInput when it holds none.
    """
    from napari_xrf.io.own.region_files import KINDS, OutlinedRegion, RegionSet

    if not len(data):
        raise InvalidInput(f"layer {keywords['name']!r} holds no region", "Draw one first")
    features, kinds = keywords.get("features"), keywords["shape_type"]
    kinds = [kinds] * len(data) if isinstance(kinds, str) else kinds
    names = [region_name(keywords["name"], features, index) for index in range(len(data))]
    regions = tuple(
        OutlinedRegion(
            name,
            kind if kind in KINDS else "polygon",
            np.asarray(points, dtype=np.float64)[:, -2:],
            hex_color(np.asarray(color, dtype=float)),
        )
        for name, kind, points, color in zip(names, kinds, data, keywords["edge_color"], strict=True)
    )
    return RegionSet(regions, pixel_size_from(keywords))


def region_name(layer_name: str, features: Any, index: int) -> str:
    """Return a shape's name: its ``name`` in the layer's features table, or its number."""
    if features is not None and "name" in features.columns and index < len(features):
        given = str(features["name"].iloc[index])
        if given and given.lower() not in ("nan", "none"):
            return given
    return f"{layer_name} {index + 1}"


def name_region(layer: Any, index: int, name: str) -> None:
    """Give a shape a name, in the layer's features table; shapes drawn later have none yet."""
    features = layer.features.copy()
    names = list(features["name"]) if "name" in features.columns else [""] * len(layer.data)
    names[index] = name
    features["name"] = names
    layer.features = features
    layer.feature_defaults = {**layer.feature_defaults.iloc[0].to_dict(), "name": ""}


def single_names(names: Iterable[str]) -> list[str]:
    """Return names of which no two are the same: equal ones get numbers, ``"rim (2)"``."""
    taken: list[str] = []
    for name in names:
        free, number = name, 2
        while free in taken:
            free, number = f"{name} ({number})", number + 1
        taken.append(free)
    return taken


def region_outline(layer: Any, index: int, map_layer: Any) -> NDArray[np.float64]:
    """Return the corners (C, 2), in pixels of the map of another layer, of one shape of a Shapes layer.

    The two layers may differ in scale, translation, rotation and units.
    """
    matrix, shift = _map_between(layer, map_layer)
    return np.asarray(layer.data[index], dtype=float)[:, -2:] @ matrix.T + shift


def last_line(layers: Iterable[Any], map_layer: Any) -> NDArray[np.float64] | None:
    """Return the corners (C, 2), in a map's pixels, of the last line drawn in visible layers, or None."""
    for layer in reversed(list(layers)):
        if kind_of(layer) != "shapes" or not layer.visible:
            continue
        for index in reversed(range(len(layer.data))):
            if str(layer.shape_type[index]) in ("line", "path"):
                return region_outline(layer, index, map_layer)
    return None


def pixel_under(viewer: Any, position: tuple[float, ...], map_layer: Any, map_shape: tuple[int, int]) -> Any:
    """Return (y, x) of the pixel at a place in a viewer's world, or None outside the map."""
    lead = (0.0,) * (map_layer.ndim - 2)
    place = np.array(position[-2:]) * unit_factors(viewer.layers.extent.units, map_layer.units)
    y, x = (round(float(part)) for part in map_layer.world_to_data((*lead, *place))[-2:])
    return (y, x) if 0 <= y < map_shape[0] and 0 <= x < map_shape[1] else None


def color_new_shapes(layers: Iterable[Any], event: Any) -> None:
    """Give a shape that was added to one of a viewer's layers a colour that nothing else there has."""
    if "add" not in str(getattr(event, "action", "")).lower():
        return
    layer = event.source
    others = [other for other in layers if other is not layer]
    elsewhere = [color for other in others for color in region_colors(other)]
    used: list[str] = []
    colors = np.array(layer.edge_color, dtype=float)
    for index, color in enumerate(region_colors(layer)):
        if color in used or (index == len(colors) - 1 and color in elsewhere):
            color = free_color(REGION_COLORS, others, used)
            colors[index, :3] = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        used.append(color)
    if not np.array_equal(colors, layer.edge_color):
        layer.edge_color = colors


def _map_between(layer: Any, map_layer: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrix (2, 2) and shift (2,) from a layer's (y, x) to a map's pixels.

    Both transforms are affine: three points give them, however many corners the shapes have.
    """
    points, factors = [], unit_factors(layer.units, map_layer.units)
    for corner in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
        world = factors * layer.data_to_world((*(0.0,) * (layer.ndim - 2), *corner))[-2:]
        points.append(map_layer.world_to_data((*(0.0,) * (map_layer.ndim - 2), *world))[-2:])
    origin, down, right = np.array(points, dtype=float)
    return np.stack([down - origin, right - origin], axis=1), origin
