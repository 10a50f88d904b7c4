"""The Compare maps dock: how alike two maps of spectra are, in nine measures, curves and pictures."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import napari.viewer
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QComboBox, QDialog, QLabel

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.map_comparison import (
    MEASURES,
    MapComparison,
    compare_cubes,
    draw_comparison,
    write_measures,
)
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LayerChoice
from napari_xrf.plugin.forms.parameter_form import form_label
from napari_xrf.plugin.forms.parts import button, column, row, wrapped
from napari_xrf.plugin.forms.tables import Table, number_text
from napari_xrf.plugin.layers.cubes import cube_from, holds_cube
from napari_xrf.plugin.layers.script import keep_result, step_from, step_of
from napari_xrf.plugin.notices import errors_told
from napari_xrf.plugin.plots.spectrum_plot import LOG, SCALES, Curve, SpectrumPlot

_HEADS = ("Measure", "Value", "Of equal maps")
_COLORS = ("#56b4e9", "#e69f00")
_PLOT_HEIGHT = 150
_OF_SCREEN = 0.9  # that the window of pictures may take
_FILES = "Pictures (*.png);;Measures (*.json)"


class ComparisonDock(Dock):
    """Compares a map with another, as a synthetic painting with the measured one."""

    title = "Compare maps"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.found: MapComparison | None = None
        self.maps = [LayerChoice(self, holds_cube, "open two maps", ("data",), follows=False) for _ in "AB"]
        self.scale = QComboBox()
        self.scale.addItems(SCALES)
        self.scale.setToolTip("Scale of the shares")
        self.plot = SpectrumPlot()
        self.plot.plot.setMinimumHeight(_PLOT_HEIGHT)
        self.plot.readout.setMinimumHeight(0)
        self.table = Table(_HEADS, "Of the sum spectra, and of the maps pixel by pixel", stretched=0, rows=9,
                           empty="Compare two maps: nine measures stand here")  # fmt: skip
        self.notes = wrapped()
        self.run = button("Compare", "Measures and sum spectra", self._compare)
        hint = "Sum spectra, maps of peaks, and both maps flattened"
        self.show_pictures = button("Pictures", hint, self._draw)
        self.save = button("Save…", "Pictures (.png) or measures (.json)", self._ask_file)
        self.lay_out(
            row(form_label("First map"), self.maps[0]),
            row(form_label("Second map"), self.maps[1]),
            (self.plot, 1),
            row(form_label("Share of the counts"), self.scale, None),
            (self.table, 1),
            self.notes,
            foot=row(self.run, self.show_pictures, self.save, None),
        )
        self.setMinimumWidth(400)
        self.scale.currentTextChanged.connect(self.plot.set_scale)
        self.scale.setCurrentText(LOG)
        for choice in self.maps:
            choice.chosen.connect(lambda _: self._forget_comparison())
            choice.edited.connect(self._forget_comparison)
        self.follow(viewer.layers.events.inserted, lambda _: self._choose_two())
        self.follow_theme(self.plot.set_colors)
        self._choose_two()
        self._forget_comparison()

    def write(self, path: Path) -> None:
        """Write the last comparison, as the command line does: pictures, or the measures (.json)."""
        if self.found is not None:
            self.write_in_background(path, _write, self.found)

    def _choose_two(self) -> None:
        """Choose the last two maps where one stands beside itself."""
        layers = [layer for layer in self.viewer.layers if holds_cube(layer)]
        if len(layers) > 1 and self.maps[0].layer() is self.maps[1].layer():
            for choice, layer in zip(self.maps, layers[-2:], strict=True):
                choice.choose(layer)

    def _forget_comparison(self) -> None:
        self.found = None
        self.table.show_rows(())
        self.plot.set_curves(())
        self.notes.setText("")
        self._set_enabled()

    def _set_enabled(self) -> None:
        first, second = (choice.layer() for choice in self.maps)
        free = self.job_bar.job is None
        self.run.setEnabled(free and first is not None and first is not second)
        for made in (self.show_pictures, self.save):
            made.setEnabled(free and self.found is not None)

    def _compare(self) -> None:
        layers = [choice.layer() for choice in self.maps]
        with errors_told():
            cubes = [replace(cube_from(layer), name=layer.name) for layer in layers]  # as the user calls them
            self.job_bar.run("Comparing maps", compare_cubes, *cubes, on_done=partial(self._show, layers))

    def _show(self, layers: list[Any], found: MapComparison) -> None:
        if layers != [choice.layer() for choice in self.maps]:
            return
        self.found = found
        totals = [float(counts.sum()) for counts in found.sums]
        self.plot.set_curves(
            [
                Curve(name, counts / total, found.first.energy, color, divisor=total, expected=True)
                for name, counts, total, color in zip(found.names, found.sums, totals, _COLORS, strict=True)
            ],
            "share of the counts",
        )
        self.table.show_rows(
            [
                (MEASURES[name][0], number_text(value, ".4f"), str(MEASURES[name][1]))
                for name, value in found.as_json()["measures"].items()
            ]
        )
        self.notes.setText("\n".join(found.notes))
        steps = [step_of(layer) for layer in layers]
        keep_result(layers[0], step_from("comparison", "nx.compare_maps({0}, {1})", *steps))
        self._set_enabled()
        self.see(self.table)

    def _draw(self) -> None:
        self.job_bar.run("Drawing", _drawn, self.found, on_done=self._show_pictures)

    def _show_pictures(self, png: bytes) -> None:
        """Open the pictures, which are larger than a dock, in a window of their own; whole on any screen."""
        picture, shown, ratio = QPixmap(), QLabel(), self.devicePixelRatioF()
        picture.loadFromData(png)
        room = (self.screen().availableSize() * _OF_SCREEN).boundedTo(picture.size())
        ways = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        picture = picture.scaled(room * ratio, *ways)
        picture.setDevicePixelRatio(ratio)
        shown.setPixmap(picture)
        self.pictures = QDialog(self)
        self.pictures.setWindowTitle("Compare maps")
        self.pictures.setLayout(column(shown, flush=True))
        self.pictures.show()

    def _ask_file(self) -> None:
        self.save_as("Save the comparison", "comparison.png", _FILES, self.write)


def _write(path: Path, found: MapComparison, *, progress: Progress = ignore_progress) -> None:
    (write_measures if path.suffix == ".json" else draw_comparison)(path, found)


def _drawn(found: MapComparison, *, progress: Progress = ignore_progress) -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "comparison.png"
        draw_comparison(file, found)
        return file.read_bytes()
