"""What is seen of layers that lie on one another, for what is written beside them on the canvas."""

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_xrf.plugin.layers.layer_data import kind_of, unit_factors

_CHANGES = frozenset(("inserted", "removed", "reordered", "visible", "opacity", "blending", "enabled"))
_LETS_THROUGH = ("additive", "minimum", "multiplicative")


def is_seen(viewer: Any, layer: Any) -> bool:
    """Whether a layer is shown and no opaque map or picture above covers the whole of it."""
    if layer not in viewer.layers or not layer.visible:
        return False
    above = list(viewer.layers)[viewer.layers.index(layer) + 1 :]
    return bool(viewer.canvas.grid.enabled) or not any(_covers(other, layer) for other in above)


def follow_sight(viewer: Any, layer: Any, tell: Callable[[bool], object]) -> None:
    """Call ``tell(seen)`` when a layer comes to be seen or not any more, until it is removed.

    In between, whatever was told may be changed by the user.
    """
    last = [True]
    sources = (viewer.layers.events, viewer.canvas.grid.events)

    def look(event: Any) -> None:
        if event.type not in _CHANGES:
            return
        seen = is_seen(viewer, layer)
        if layer not in viewer.layers:
            for source in sources:
                source.disconnect(look)
        if seen != last[0]:
            last[0] = seen
            tell(seen)

    for source in sources:
        source.connect(look)


def _covers(other: Any, layer: Any) -> bool:
    flat = kind_of(other) in ("image", "labels") and other.visible and other.opacity == 1.0
    if not flat or other.blending in _LETS_THROUGH:
        return False
    low, high = other.extent.world[:, -2:] * unit_factors(other.units, layer.units)
    first, last = layer.extent.world[:, -2:]
    slack = 0.5 * np.abs(layer.scale[-2:])
    return bool((low <= first + slack).all() and (high >= last - slack).all())
