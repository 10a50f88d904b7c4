"""The Element maps dock: find elements, choose some, map them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import napari.viewer
import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QLabel

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.element_list import ElementList
from napari_xrf.plugin.forms.map_choice import MapChoice, element_buttons
from napari_xrf.plugin.forms.parts import button, row, tick_box
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY, element_map_layers
from napari_xrf.plugin.layers.layer_data import add_in_turns
from napari_xrf.plugin.layers.script import made_by

_METHODS = (("Fit of the whole spectrum", "fit"), ("Energy windows", "window"))


class ElementMapsDock(Dock):
    """Makes one layer of net counts per line family of the chosen map."""

    title = "Element maps"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._hidden: list[Any] = []
        self.maps = MapChoice(self)
        self.list = ElementList("Ticked elements are mapped; with none ticked, those that are found")
        self.elements, self.tick = self.list.ticked, self.list.tick
        self.method = QComboBox()
        for text, name in _METHODS:
            self.method.addItem(text, name)
        self.find, self.from_file, self.table = element_buttons(
            self.maps, "Find elements", self._show_found, self.tick, self.elements
        )
        self.clear = button("None", "Untick all", lambda: self.tick(()))
        self.grid = tick_box("Side by side", False, "Show the maps in a grid", self._arrange)
        self.per_second = tick_box(
            "Per second", False, "Counts over the live or dwell time of each pixel", tuple
        )
        self.run = button("Map elements", "Make the maps as layers", self._map)
        self.lay_out(
            row(QLabel("Map"), self.maps),
            row(self.find, self.from_file, self.table, self.clear),
            (self.list, 1),
            row(QLabel("Method"), self.method, self.per_second),
            foot=row(self.run, self.grid, None),
        )
        self.remember("element_maps", method=self.method)
        self.maps.chosen.connect(self._choose)
        self._choose(self.maps.layer())

    def _choose(self, layer: Any) -> None:
        self.list.show_found(self.maps.found())
        self._set_enabled()

    def _set_enabled(self) -> None:
        cube = self.maps.cube()
        self.per_second.setEnabled(cube is not None and cube.live_time is not None)
        for widget in (self.find, self.run):
            widget.setEnabled(self.job_bar.job is None and self.maps.layer() is not None)

    def _show_found(self, found: Sequence[Any]) -> None:
        self.list.show_found(found)
        if not found:
            self.warn("No element stands out of this map: choose some from the table")

    def _map(self) -> None:
        from napari_xrf.maps.pixels.element_mapping import map_elements

        layer, cube = self.maps.layer(), self.maps.cube()
        per_second = self.per_second.isEnabled() and self.per_second.isChecked()
        times = cube.live_time if cube is not None and per_second else None
        # Of what was found, the families that were seen: others are empty, or another element's.
        seen = {entry.element: entry.families for entry in self.maps.found()}
        ticked = [family for each in self.elements() for family in seen.get(each, (each,))]
        elements, method = ticked or None, self.method.currentData()
        call = f"nx.map_elements({{0}}, {elements!r}, method={method!r})"
        call += ".per_second({0}.live_time)" if times is not None else ""
        recipe: dict[str, Any] = {"elements": elements} if elements else {}
        recipe |= {"method": method} | ({"per-second": True} if times is not None else {})
        done = partial(self._show_maps, layer, times, call, recipe)
        self.maps.run("Mapping elements", map_elements, elements, method=method, on_done=done)

    def _show_maps(
        self,
        layer: Any,
        times: NDArray[np.floating] | None,
        call: str,
        recipe: dict[str, Any],
        maps: ElementMaps,
    ) -> None:
        if len(maps) == 0:
            self.warn("None of the elements has lines in this map's energies")
            return
        if times is not None:
            maps = maps.per_second(times)
        shown = element_map_layers(maps, by_strength=True)
        layers = made_by(shown, "maps", call, layer, recipe={"maps": recipe})
        if self.maps.layer() is layer and not self.list.count():
            self.list.show_found(self.maps.found())
        add_in_turns(self.viewer, layers, self.while_open(partial(self._tell_maps, maps)), over=layer)

    def _tell_maps(self, maps: ElementMaps, added: list[Any]) -> None:
        shown = "all are shown" if self.grid.isChecked() else f"{added[-1].name} is shown"
        if self.grid.isChecked():
            self._arrange()
        told = f"{len(maps)} element maps of {maps.source or 'the map'}; {shown}"
        beside = f"; fitted beside them, since it shows: {', '.join(maps.beside)}" if maps.beside else ""
        self.tell(told + beside)

    def _arrange(self) -> None:
        """Show all element maps side by side and hide what would stand between them, or go back."""
        grid = self.grid.isChecked()
        for layer in self.viewer.layers:
            if FAMILY_KEY in layer.metadata:
                layer.name_overlay.visible = grid
                layer.visible = layer.visible or grid
            elif grid and layer.visible:
                layer.visible = False
                self._hidden.append(layer)
        if not grid:
            for layer in self._hidden:
                layer.visible = True
            self._hidden = []
        self.viewer.canvas.grid.stride = -1 if grid else 1  # the strongest comes first
        self.viewer.canvas.grid.enabled = grid
        QTimer.singleShot(100, self.viewer.reset_view)  # the panes get their sizes first
