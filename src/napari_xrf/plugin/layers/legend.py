"""A legend on the canvas: names beside points in their colours, above a map."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.plugin.layers.layer_data import LayerData, add_layers, extent_of, show_extent, unit_factors
from napari_xrf.plugin.layers.sight import follow_sight

_LEGEND_KEY = "xrf_legend"
_RISE_PIXELS = 14  # by which napari draws a name above its point
_ROW_PIXELS, _LETTER_PIXELS = 22, 11  # of a name
_POINT_PIXELS, _DOT_PIXELS = 30, 12  # what the point before it takes, and its size
_MARGIN = 0.04  # of the canvas
_GREY = 3 * 128  # of red, green and blue
_LEAST_LETTERS, _MOST_LETTERS = 18, 28  # that are left of a longer name


def show_legend(viewer: Any, entries: Sequence[tuple[str, str]], over: Any) -> None:
    """Show names and their colours above a map's layer, in place of any other legend; none take it away."""
    layers, selected = viewer.layers, set(viewer.layers.selection)
    for layer in [layer for layer in layers if _LEGEND_KEY in layer.metadata]:
        layers.remove(layer)
    if entries:
        low, high = extent_of([layer for layer in layers if layer.visible] or [over], over.units)
        across, letters, zoom = _columns([name for name, _ in entries], high - low, viewer.canvas.size)
        named = [(_shortened(name, letters), color) for name, color in entries]
        (top, left), (_, right) = extent_of([over], over.units)
        rows, row, column = -(-len(named) // across), _ROW_PIXELS / zoom, _width(letters) / zoom
        # Names that are wider than the map stand above its middle.
        left = min(left, 0.5 * (left + right - across * column))
        at = np.arange(len(named))
        places = np.array([top - row * (rows - 0.5 - at % rows), left + column * (at // rows)]).T
        places[:, 1] += _DOT_PIXELS / zoom
        (legend,) = add_layers(viewer, [_legend(named, over, zoom, places, _text_color(viewer))])
        low = np.minimum(low, (top - row * rows, left))
        high = np.maximum(high, (top, left + across * column))
        seen = unit_factors(over.units, layers.extent.units)
        show_extent(viewer, low * seen, high * seen, _MARGIN)
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


def _shortened(name: str, letters: int) -> str:
    """Return a name with its beginning and its end: alternatives that begin alike end differently."""
    half = letters // 2
    return name if len(name) <= letters else f"{name[:half]}…{name[half + 1 - letters :]}"


def _width(letters: int) -> int:
    """Return the pixels of a column of names."""
    return _POINT_PIXELS + _LETTER_PIXELS * letters


def _columns(
    names: Sequence[str], extent: NDArray[np.float64], canvas: Sequence[float]
) -> tuple[int, int, float]:
    """Return in how many columns, and of how many letters, names leave a map largest, and its zoom then.

    ``extent``: of the map, (y, x). ``canvas``: its (height, width) in pixels.
    """
    high, wide = (1 - _MARGIN) * np.array(canvas, dtype=float)
    most = max(map(len, names))
    found = []
    for across in range(1, len(names) + 1):
        letters = min(int(wide / across - _POINT_PIXELS) // _LETTER_PIXELS, most, _MOST_LETTERS)
        least = min(most, _LEAST_LETTERS)
        if across > 1 and letters < least:
            break
        left = max(high - _ROW_PIXELS * -(-len(names) // across), high / 4)
        found.append((float(min(left / extent[0], wide / extent[1])), -across, max(letters, least)))
    zoom, across, letters = max(found)
    return -across, letters, zoom


def _legend(
    entries: Sequence[tuple[str, str]], over: Any, zoom: float, places: NDArray[np.float64], color: str
) -> LayerData:
    """Return points at places (y, x), in the units of a layer's last two axes, with their names."""
    text = {
        "string": [f"   {name}" for name, _ in entries],
        "color": color,
        "anchor": "upper_left",
        "size": 11,
        "translation": np.array([_RISE_PIXELS / zoom, 0.0]),
    }
    keywords = {
        "name": "Legend",
        "text": text,
        "face_color": [own for _, own in entries],
        "size": _DOT_PIXELS / zoom,
        "metadata": {_LEGEND_KEY: True},
        "units": tuple(str(unit) for unit in over.units[-2:]),
        "axis_labels": ("y", "x"),
    }
    return places, keywords, "points"
