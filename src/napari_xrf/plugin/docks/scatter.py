"""The Scatter dock: two maps against each other; a loop drawn there is a class of a label map here."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import napari.viewer
import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel

from napari_xrf.core.label_map import with_region
from napari_xrf.core.progress import Progress
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
from napari_xrf.plugin.jobs.job import Job
from napari_xrf.plugin.layers.colors import REGION_COLORS, free_color
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY
from napari_xrf.plugin.layers.labels import (
    LABEL_MAP_KEY,
    class_features,
    color_of,
    label_colormap,
    label_layer,
    label_map_of_layer,
)
from napari_xrf.plugin.layers.layer_data import add_layers, call_in_turns, pixel_size_of_layer, with_keywords
from napari_xrf.plugin.layers.script import (
    Step,
    map_written,
    remember,
    remembering,
    step_from,
    step_of,
    written,
)
from napari_xrf.plugin.plots.density_plot import DensityPlot

LASSO_KEY = "xrf_lasso"
_MOST_POINTS = 4000
_MOST_MAPS = 12
_SETTLED_MS = 150  # after which no further map is being added
_NEEDS = (
    "from napari_xrf.core.label_map import with_region",
    "from napari_xrf.maps.joint_histogram import pixels_inside, ternary_places",
)

Places = tuple[NDArray[Any], NDArray[Any]]


class ScatterDock(Dock):
    """Plots two maps against each other, and links loops drawn there with a Labels layer."""

    title = "Scatter"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._places: Places | None = None  # of the pixels in the plot
        self._plotting: Job | None = None
        self.x, self.y, self.z = (
            LayerChoice(self, is_map, "open or make maps", ("data",), follows=False) for _ in range(3)
        )
        self._all = (self.x, self.y, self.z)
        self._chosen_by_hand = False
        self.ternary = tick_box("Ternary, with", False, "The shares of three maps in a triangle", self._plot)
        self.labels = LabelsChoice(self, watched=("data", "paint", "set_data", "selected_label"))
        self.plot = DensityPlot()
        self.table = Table((), "Correlation coefficients of the element maps, over all pixels")
        self.table.hide()
        self.matrix = button("Correlations", "Table how the element maps go together", self._correlate)
        self.lay_out(
            row(QLabel("x"), self.x),
            row(QLabel("y"), self.y),
            row(self.ternary, self.z),
            wrapped("Draw a loop with the left button: its pixels become a class. The wheel zooms."),
            (self.plot, 1),
            row(QLabel("Show the selected class of"), self.labels),
            self.table,
            foot=row(self.matrix, None),
        )
        self._later = QTimer(self, singleShot=True, interval=_SETTLED_MS)
        self._later.timeout.connect(self._choose_two)
        self.follow(viewer.layers.events.inserted, self._inserted)
        for choice in self._all:
            choice.activated.connect(self._take_choice)
            choice.chosen.connect(lambda _: self._plot())
            choice.edited.connect(self.throttled(self._plot, 200))
        self.labels.chosen.connect(lambda _: self._show_class())
        # Not while they are edited: points take as long.
        self._soon = QTimer(self, singleShot=True, interval=_SETTLED_MS)
        self._soon.timeout.connect(self._show_class)
        self.labels.edited.connect(lambda: self._soon.isActive() or self._soon.start())
        self.plot.lassoed.connect(self._lasso)
        self.follow_theme(self.plot.set_colors)
        self.when_closed(self._stop)
        self._choose_two()

    def _inserted(self, event: Any) -> None:
        if is_map(event.value):
            self._later.start()  # once after the last of many

    def _take_choice(self, index: int) -> None:
        self._chosen_by_hand = True

    def _choose_two(self) -> None:
        """Choose three maps, the last ones, until the user has chosen one."""
        maps = [layer for layer in self.viewer.layers if is_map(layer)]
        for choice, layer in zip(self._all, reversed(maps), strict=False):
            if not self._chosen_by_hand:
                choice.choose(layer, quietly=True)  # plotted once
        if len(maps) > 1:
            self.offer("")
        else:
            self.offer_dock("Two maps are plotted against each other.", "Element maps")
        self._plot()

    def _choices(self) -> tuple[LayerChoice, ...]:
        return self._all if self.ternary.isChecked() else self._all[:2]

    def _names(self) -> list[str]:
        return [choice.currentText() for choice in self._choices()]

    def _plot(self) -> None:
        """Count the chosen maps' pixels in a worker; a million take their time."""
        self._stop()
        self._places = None
        layers = [choice.layer() for choice in self._choices()]
        sizes = {layer.data.shape for layer in layers if layer is not None}
        self._say(f"{', '.join(self._names())}: maps of different sizes" if len(sizes) > 1 else "")
        if None in layers or len(sizes) > 1:
            self.plot.clear()
            return
        show = partial(self._show, self._names())
        maps = [layer.data for layer in layers]
        self._plotting = Job("Scatter plot", _count_places, maps, on_done=show).start()

    def _stop(self) -> None:
        if self._plotting is not None:
            self._plotting.cancel()

    def _show(self, names: list[str], counted: tuple[Places, JointHistogram]) -> None:
        self._places, histogram = counted
        self.plot.show_density(histogram, *(names[:2] if len(names) == 2 else ("", "")))
        self.plot.show_triangle(names if len(names) == 3 else ())
        self._show_class()

    def _lasso(self, loop: NDArray[np.float64]) -> None:
        if self._places is not None:
            maps = [choice.layer() for choice in self._choices()]

            def add(inside: NDArray[np.bool_]) -> None:  # a layer takes its time
                call_in_turns([self.while_open(lambda: self._add_looped(maps, loop, inside))])

            self.job_bar.run("Looking into the loop", pixels_inside, *self._places, loop, on_done=add)

    def _add_looped(self, maps: list[Any], loop: NDArray[np.float64], inside: NDArray[np.bool_]) -> None:
        name = ", ".join(each.name for each in maps)
        layer = self._add_class(inside, name, maps, loop)
        self.labels.choose(layer)
        self.tell(f"{int(inside.sum()):,} pixels of {inside.size:,} are the class {name!r}")

    def _add_class(
        self, inside: NDArray[np.bool_], name: str, maps: list[Any], loop: NDArray[np.float64]
    ) -> Any:
        """Give pixels to a new class of the layer that holds the loops; returns the layer."""
        known = [layer for layer in self.viewer.layers if LASSO_KEY in layer.metadata]
        layer = next((layer for layer in reversed(known) if layer.data.shape == inside.shape), None)
        before = None if layer is None else label_map_of_layer(layer)
        label = 1 if before is None else max((entry.label for entry in before.classes), default=0) + 1
        color, size = free_color(REGION_COLORS, self.viewer.layers), pixel_size_of_layer(maps[0])
        loops = with_region(before, name, inside, color, size)
        step = _step(layer, maps, loop, name, color, size)
        if layer is None:
            data = with_keywords(label_layer(loops, "Loops"), opacity=0.7, metadata={LASSO_KEY: True})
            return add_layers(self.viewer, [remembering(data, step)], over=maps[0])[0]
        layer.features, layer.colormap = class_features(loops), label_colormap(loops)
        layer.data_setitem(np.nonzero(inside), label)
        layer.metadata[LABEL_MAP_KEY] = loops
        layer.selected_label = label
        remember(layer, step)
        return layer

    def _show_class(self) -> None:
        """Show the pixels of the selected class, or some thousands of them, over the density."""
        chosen, layer = self._places, self.labels.layer()
        if chosen is None or layer is None or layer.data.shape != chosen[0].shape:
            self.plot.points.clear()
            return
        of_class = np.flatnonzero(np.asarray(layer.data).ravel() == layer.selected_label)
        some = of_class[:: max(1, len(of_class) // _MOST_POINTS)]
        x, y = (np.asarray(each).ravel()[some] for each in chosen)
        self.plot.show_points(x, y, color_of(layer.selected_label, layer.colormap))

    def _correlate(self) -> None:
        layers = [layer for layer in self.viewer.layers if FAMILY_KEY in layer.metadata]
        layers = [layer for layer in layers if layer.data.shape == layers[-1].data.shape][-_MOST_MAPS:]
        if len(layers) < 2:
            self.warn("Correlations need two element maps: make them with Element maps")
            return
        show = partial(self._table, [layer.name for layer in layers])
        self.job_bar.run("Correlating", _correlate, [layer.data for layer in layers], on_done=show)

    def _table(self, names: list[str], matrix: NDArray[np.float64]) -> None:
        self.table.set_heads(("", *names))
        lines = zip(names, matrix, strict=True)
        self.table.show_rows([(name, *(f"{value:.2f}" for value in line)) for name, line in lines])
        self.table.setMinimumHeight(min(30 * (len(names) + 1), 240))
        self.table.show()
        self.see(self.table)


def _step(
    layer: Any, maps: list[Any], loop: NDArray[np.float64], name: str, color: str, size: Any
) -> Step | None:
    """Return what adds a loop to a layer of loops, or makes the first."""
    before = () if layer is None else (step_of(layer),)
    places = ", ".join(map_written(each, at) for at, each in enumerate(maps, len(before)))
    places = f"*ternary_places({places})" if len(maps) == 3 else places
    region = f"pixels_inside({places}, {loop.tolist()})"
    call = f"with_region({'{0}' if before else None}, {written(name)}, {region}, {color!r}, {size})"
    return step_from("loops", call, *before, *map(step_of, maps), needs=_NEEDS)


def _count_places(maps: Sequence[NDArray[Any]], *, progress: Progress) -> tuple[Places, JointHistogram]:
    """Return the two values (Y, X) of each pixel that two or three maps are drawn by, and their histogram."""
    places = ternary_places(*maps) if len(maps) == 3 else (maps[0], maps[1])
    return places, joint_histogram(*places)


def _correlate(maps: Sequence[NDArray[Any]], *, progress: Progress) -> NDArray[np.float64]:
    return correlations(maps)
