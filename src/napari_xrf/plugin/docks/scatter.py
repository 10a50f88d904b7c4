"""The Scatter dock: two maps against each other; a loop drawn there is a class of a label map here."""

from __future__ import annotations

from typing import Any

import napari.viewer
import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QLabel

from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.maps.joint_histogram import (
    JointHistogram,
    correlations,
    joint_histogram,
    pixels_inside,
    ternary_places,
)
from napari_xrf.plugin.docks.composite import is_map
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LabelsChoice, LayerChoice
from napari_xrf.plugin.forms.parts import button, row, tick_box, wrapped
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY
from napari_xrf.plugin.layers.labels import (
    class_features,
    label_colormap,
    label_layer,
    label_map_of_layer,
    spare_color,
)
from napari_xrf.plugin.layers.layer_data import add_layers, pixel_size_of_layer
from napari_xrf.plugin.notices import errors_told
from napari_xrf.plugin.plots.density_plot import DensityPlot

LASSO_KEY = "xrf_lasso"
_MOST_POINTS = 4000
_MOST_MAPS = 12


class ScatterDock(Dock):
    """Plots two maps against each other, and links loops drawn there with a Labels layer."""

    title = "Scatter"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._histogram: JointHistogram | None = None
        self.x, self.y, self.z = (
            LayerChoice(self, is_map, "open or make maps", ("data",), follows=False) for _ in range(3)
        )
        self.ternary = tick_box("Ternary, with", False, "The shares of three maps in a triangle", self._plot)
        self.labels = LabelsChoice(self, watched=("data", "paint", "set_data", "selected_label"))
        self.plot = DensityPlot()
        self.table = Table((), "Correlation coefficients of the element maps, over all pixels", height=60)
        self.table.hide()
        self.matrix = button("Correlations", "Table how the element maps go together", self._correlate)
        self.lay_out(
            row(QLabel("x"), self.x),
            row(QLabel("y"), self.y),
            row(self.ternary, self.z),
            wrapped("Draw a loop with the left button: its pixels become a class. The wheel zooms."),
            (self.plot, 1),
            row(QLabel("Show the selected class of"), self.labels),
            row(self.matrix, None),
            self.table,
        )
        for choice in (self.x, self.y, self.z):
            choice.chosen.connect(lambda _: self._plot())
            choice.edited.connect(self.throttled(self._plot, 200))
        self.labels.chosen.connect(lambda _: self._show_class())
        self.labels.edited.connect(self.throttled(self._show_class, 200))
        self.plot.lassoed.connect(self._lasso)
        self.follow_theme(self.plot.set_colors)
        self._choose_two()

    def _choose_two(self) -> None:
        maps = [layer for layer in self.viewer.layers if is_map(layer)]
        if len(maps) > 1:
            self.y.choose(maps[-2])
        if len(maps) > 2:
            self.z.choose(maps[-3])
        self._plot()

    def _maps(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Return the two values (Y, X) of each pixel that are drawn against each other."""
        layers = [choice.layer() for choice in self._choices()]
        if None in layers or len({layer.data.shape for layer in layers}) > 1:
            return None
        values = [layer.data for layer in layers]
        return ternary_places(*values) if self.ternary.isChecked() else (values[0], values[1])

    def _choices(self) -> tuple[LayerChoice, ...]:
        return (self.x, self.y, self.z) if self.ternary.isChecked() else (self.x, self.y)

    def _names(self) -> list[str]:
        return [choice.layer().name for choice in self._choices()]

    def _plot(self) -> None:
        chosen = self._maps()
        if chosen is None:
            return
        with errors_told():
            names = self._names()
            self.plot.show_density(joint_histogram(*chosen), *(names[:2] if len(names) == 2 else ("", "")))
            self.plot.show_triangle(names if len(names) == 3 else ())
            self._show_class()

    def _lasso(self, loop: NDArray[np.float64]) -> None:
        chosen = self._maps()
        if chosen is None:
            return
        with errors_told():
            inside = pixels_inside(*chosen, loop)
            name = ", ".join(self._names())
            layer = self._add_class(inside, name)
            self.labels.choose(layer)
            self.tell(f"{int(inside.sum()):,} pixels of {inside.size:,} are the class {name!r}")

    def _add_class(self, inside: NDArray[np.bool_], name: str) -> Any:
        """Give pixels to a new class of the layer that holds the loops; returns the layer."""
        known = [layer for layer in self.viewer.layers if LASSO_KEY in layer.metadata]
        known = [layer for layer in known if layer.data.shape == inside.shape]
        if not known:
            labels = np.where(inside, 1, 0).astype(np.uint8)
            size = pixel_size_of_layer(self.x.layer())
            label_map = LabelMap(labels, (LabelClass(1, name, "", spare_color(1), None),), None, size)
            data = label_layer(label_map, "Loops")
            data[1]["metadata"][LASSO_KEY] = True
            data[1]["opacity"] = 0.7
            return add_layers(self.viewer, [data], over=self.x.layer())[0]
        layer = known[-1]
        label_map = label_map_of_layer(layer)
        label = max((entry.label for entry in label_map.classes), default=0) + 1
        classes = (*label_map.classes, LabelClass(label, name, "", spare_color(label), None))
        wider = LabelMap(label_map.labels, classes, None, label_map.pixel_size)
        layer.features, layer.colormap = class_features(wider), label_colormap(wider)
        layer.data_setitem(np.nonzero(inside), label)
        layer.selected_label = label
        return layer

    def _show_class(self) -> None:
        """Show the pixels of the selected class, or some thousands of them, over the density."""
        chosen, layer = self._maps(), self.labels.layer()
        if chosen is None or layer is None or layer.data.shape != chosen[0].shape:
            self.plot.points.clear()
            return
        of_class = np.flatnonzero(np.asarray(layer.data).ravel() == layer.selected_label)
        some = of_class[:: max(1, len(of_class) // _MOST_POINTS)]
        label_map = self.labels.label_map()
        colors = {} if label_map is None else {entry.label: entry.color for entry in label_map.classes}
        x, y = (np.asarray(each).ravel()[some] for each in chosen)
        self.plot.show_points(x, y, colors.get(layer.selected_label, "#ffffff"))

    def _correlate(self) -> None:
        layers = [layer for layer in self.viewer.layers if FAMILY_KEY in layer.metadata]
        layers = [layer for layer in layers if layer.data.shape == layers[-1].data.shape][-_MOST_MAPS:]
        if len(layers) < 2:
            self.warn("Correlations need two element maps: make them with Element maps")
            return
        names = [layer.name for layer in layers]
        matrix = correlations([layer.data for layer in layers])
        self.table.set_heads(("", *names))
        lines = zip(names, matrix, strict=True)
        self.table.show_rows([(name, *(f"{value:.2f}" for value in line)) for name, line in lines])
        self.table.setMinimumHeight(min(30 * (len(names) + 1), 240))
        self.table.show()
