"""Spectra of all drawn regions of a viewer, followed while they are dragged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_xrf.core.cube_spectra import CubeSpectra
from napari_xrf.io.own.region_files import shape_mask
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.layers.colors import region_color
from napari_xrf.plugin.layers.layer_data import kind_of
from napari_xrf.plugin.layers.regions import color_new_shapes, region_name, region_outline

_WATCHED = (
    "set_data", "data", "edge_color", "face_color", "visible", "name", "scale", "translate", "features",
)  # fmt: skip
_THROTTLE_MS = 50


@dataclass(frozen=True, eq=False)
class Region:
    """A drawn region."""

    # name, color: of its shape
    name: str
    color: str
    mask: NDArray[np.bool_]  # (Y, X) true in its pixels, at least one
    # its shape, and its corners (C, 2) in pixels of the map, of which the mask came
    kind: str
    outline: NDArray[np.float64]
    place: tuple[Any, int]  # its layer, and its number there


class RegionSpectra(QObject):  # type: ignore[misc]
    """Watches the Shapes layers of a viewer and computes the spectra of their shapes.

    ``dock``: the dock whose viewer is watched.
    """

    changed = Signal()

    def __init__(self, dock: Dock) -> None:
        super().__init__(dock)
        self._viewer = dock.viewer
        self._layers: list[Any] = []
        self._known: dict[bytes, NDArray[np.uint64]] = {}
        self._announce = dock.throttled(self.changed.emit, _THROTTLE_MS)
        dock.follow_layers(_holds_shapes, _WATCHED, self._take, self._hear)

    def spectra(self, summary: CubeSpectra, map_layer: Any) -> list[tuple[Region, NDArray[np.uint64]]]:
        """Return the summed spectra (E,) of all visible shapes that touch the map.

        Those of shapes that did not move since the last call are not computed again.
        """
        found = []
        fresh: dict[bytes, NDArray[np.uint64]] = {}
        for region in self.masks(map_layer, summary.cube.map_shape):
            key = id(summary).to_bytes(8, "little") + np.packbits(region.mask).tobytes()
            known = self._known.get(key, fresh.get(key))
            fresh[key] = summary.of_region(region.mask) if known is None else known
            found.append((region, fresh[key]))
        self._known = fresh
        return found

    def masks(self, map_layer: Any, map_shape: tuple[int, int]) -> list[Region]:
        """Return the pixels (Y, X) of all visible shapes that touch the map."""
        found = []
        for layer in self._layers:
            for index in range(len(layer.data) if layer.visible else 0):
                outline, kind = region_outline(layer, index, map_layer), str(layer.shape_type[index])
                mask = shape_mask(outline, kind, map_shape)
                if mask.any():
                    name = region_name(layer.name, layer.features, index)
                    color = region_color(layer, index)
                    found.append(Region(name, color, mask, kind, outline, (layer, index)))
        return found

    def _take(self, layers: list[Any]) -> None:
        self._layers = layers
        self._announce()

    def _hear(self, event: Any) -> None:
        if event.type == "data":  # of a layer of a file, or of napari's own, too
            color_new_shapes(self._viewer.layers, event)
        self._announce()


def _holds_shapes(layer: Any) -> bool:
    return kind_of(layer) == "shapes"
