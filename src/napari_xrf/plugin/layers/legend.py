"""A legend on the canvas: names beside points in their colours, above a map."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from napari_xrf.plugin.layers.layer_data import (
    LayerData,
    add_layers,
    fit_view,
    pixel_size_of_layer,
    spatial_keywords,
)
from napari_xrf.plugin.layers.sight import follow_sight

_LEGEND_KEY = "xrf_legend"
_RISE_PIXELS = 14  # by which napari draws a name above its point
_MARGIN = 0.12  # of the canvas: names are drawn beyond the extent of their points
_GREY = 3 * 128  # of red, green and blue
_STEP = 0.08  # of the longer side of the map
_BESIDE = 3  # columns that names stand in, where they have room: below each other they make the map small
_LETTER_PIXELS, _POINT_PIXELS = 9, 30  # of a name, and of the point before it
_MOST_LETTERS = 28


def show_legend(viewer: Any, entries: Sequence[tuple[str, str]], over: Any) -> None:
    """Show names and their colours above a map's layer, in place of any other legend; none take it away."""
    layers, selected = viewer.layers, set(viewer.layers.selection)
    for layer in [layer for layer in layers if _LEGEND_KEY in layer.metadata]:
        layers.remove(layer)
    if entries:
        shape = over.data.shape[:2] if getattr(over, "rgb", False) else over.data.shape[-2:]
        size = pixel_size_of_layer(over)
        entries = [
            (name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…", c)
            for name, c in entries
        ]
        across = _columns([name for name, _ in entries], shape, size or (1.0, 1.0), viewer.canvas.size)
        made = _legend(entries, shape, size, across, _text_color(viewer))
        (legend,) = add_layers(viewer, [made], over=over)
        fit_view(viewer, [layer for layer in layers if layer.visible], _MARGIN)
        down = _RISE_PIXELS / (viewer.scene.camera.zoom * float(legend.scale[-2]))
        legend.text.translation = np.array([down, 0.0])
        follow_sight(viewer, over, partial(_show_or_hide, viewer, legend))
        viewer.events.theme.connect(_take_theme)
    layers.selection = {layer for layer in selected if layer in layers}


def _show_or_hide(viewer: Any, legend: Any, seen: bool) -> None:
    if legend in viewer.layers:
        legend.visible = seen


def _take_theme(event: Any) -> None:
    for layer in event.source.layers:
        if _LEGEND_KEY in layer.metadata:
            layer.text.color = _text_color(event.source)


def _text_color(viewer: Any) -> str:
    """Return black or white, whichever is read on the window's canvas."""
    from napari.utils.theme import get_theme

    return "black" if sum(get_theme(viewer.theme).canvas.as_rgb_tuple()[:3]) > _GREY else "white"


def _columns(
    names: Sequence[str], shape: tuple[int, ...], size: tuple[float, float], canvas: Sequence[float]
) -> int:
    """Return in how many columns names stand above a map without lying on one another."""
    needed = _POINT_PIXELS + _LETTER_PIXELS * max(map(len, names))
    for across in range(min(len(names), _BESIDE), 1, -1):
        rows = -(-len(names) // across)
        high, wide = size[0] * (shape[0] + _STEP * max(shape) * rows), size[1] * shape[1]
        zoom = (1 - _MARGIN) * min(canvas[0] / high, canvas[1] / wide)
        if zoom * wide >= across * needed:
            return across
    return 1


def _legend(
    entries: Sequence[tuple[str, str]], shape: tuple[int, ...], size: Any, across: int, color: str
) -> LayerData:
    step = _STEP * max(shape)
    rows = -(-len(entries) // across)
    places = [
        (-0.5 - step * (rows - place % rows), place // rows * shape[1] / across)
        for place in range(len(entries))
    ]
    text = {
        "string": [f"   {name}" for name, _ in entries],
        "color": color,
        "anchor": "upper_left",
        "size": 11,
    }
    keywords = {
        "name": "Legend",
        "text": text,
        "face_color": [own for _, own in entries],
        "size": 0.5 * step,
        "metadata": {_LEGEND_KEY: True},
        **spatial_keywords(size),
    }
    return np.array(places), keywords, "points"
