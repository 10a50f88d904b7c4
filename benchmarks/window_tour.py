"""A walk through the window with real mouse and key events, from a map to the same numbers by a script.

    xvfb-run -a -s "-screen 0 1366x768x24" python -m benchmarks.window_tour --out build/tour --theme light

``QT_SCALE_FACTOR=2`` with a screen of twice the size shows the same on a fine display. With each picture it
prints the clicks and drags since the one before (some choices are made without the mouse) and the processor
time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from benchmarks.window_hand import (
    choose,
    click,
    click_row,
    drag,
    finish,
    in_event_loop,
    let_pass,
    popup,
    save_picture,
    type_text,
    until,
)
from qtpy.QtCore import QEvent, QObject, QPointF
from qtpy.QtGui import QWindow
from qtpy.QtWidgets import QApplication

from napari_xrf import io
from napari_xrf.plugin.docks.spectrum import spectrum_docks
from napari_xrf.plugin.layers.layer_data import is_adding

MINERALS = ("quartz", "albite", "lepidolite", "schorl", "calcite")
_MENU = ("Plugins", "X-ray fluorescence")


class Tour:
    """The stations of the walk, in their order; each asserts what the window shows.

    Parameters
    ----------
    viewer
        An empty viewer.
    path
        A map of minerals of :data:`MINERALS`, with Fe, Ca and K.
    folder
        For what is saved.
    picture
        Called with the name of each station.
    """

    def __init__(self, viewer: Any, path: Path, folder: Path, picture: Callable[[str], None] = str) -> None:
        self.viewer, self.path, self.folder, self.picture = viewer, path, folder, picture
        self.spectrum: Any = None
        self.minerals: Any = None
        self.cleaned: Any = None

    def walk(self, *, minerals: bool = True) -> None:
        """Go through all stations, or all but those that quantify and name minerals, which take longest."""
        look = [
            self.open,
            self.look,
            self.click_peak,
            self.draw_region,
            self.table_regions,
            self.map_elements,
        ]
        compare = [self.fit, self.compose, self.lasso]
        name = [self.quantify, self.map_minerals, self.why, self.clean] if minerals else []
        for station in (*look, *compare, *name, self.save_and_reopen, self.copy_as_python):
            station()
            self.picture(station.__name__)

    def open(self) -> None:
        """Open the map as the menu does; the Spectrum dock comes with it."""
        self.viewer.window._qt_viewer._qt_open([str(self.path)], stack=False, plugin="napari-xrf")
        until(lambda: spectrum_docks(self.viewer) and spectrum_docks(self.viewer)[0].plot.curves())
        (self.spectrum,) = spectrum_docks(self.viewer)
        let_pass(0.5)
        (self.map,) = self.viewer.layers
        assert self.map.data.shape[1:] == self.spectrum.maps.cube().map_shape

    def look(self) -> None:
        """Point at the map, type the energy of iron, and draw logarithms."""
        click(self.spectrum.show_pixel)
        y, x = (size // 2 for size in self.map.data.shape[1:])
        click(self.canvas, self.on_canvas(y, x))
        until(lambda: any(curve.name == f"Pixel {y}, {x}" for curve in self.spectrum.plot.curves()))
        click(self.spectrum.show_pixel)
        type_text(self.spectrum.elements, "Fe, Ca")
        assert self.spectrum.plot.markers.names() == ("Fe", "Ca")

    def click_peak(self) -> None:
        """Click the peak of iron, and take the first thing that it may be."""
        plot = self.spectrum.plot.plot
        curve = self.spectrum.plot.curves()[0]
        scene = plot.getViewBox().mapViewToScene(
            QPointF(6.4, curve.counts[int(curve.energy.channel(6.4))] / 2)
        )
        click(plot.viewport(), plot.mapFromScene(scene))
        menu = popup()
        self.picture("click_peak_menu")
        first = menu.actions()[0].text()
        assert first.startswith("Fe"), first
        choose(menu, first, "Map it")
        finish(self.spectrum)
        assert "Fe K" in self.viewer.layers

    def draw_region(self) -> None:
        """Draw a rectangle; its spectrum follows."""
        click(self.spectrum.new_regions)
        rows, columns = self.map.data.shape[1:]
        corners = [(0.2 * rows, 0.2 * columns), (0.3 * rows, 0.3 * columns), (0.6 * rows, 0.5 * columns)]
        drag(self.canvas, [self.on_canvas(*corner) for corner in corners])
        until(lambda: len(self.spectrum.plot.curves()) == 2)
        (mask,) = [region.mask for region in self.spectrum.regions.masks(self.map, (rows, columns))]
        region = self.spectrum.plot.curves()[1]
        assert np.allclose(region.counts * region.divisor, self.map.data[:, mask].sum(axis=1))

    def table_regions(self) -> None:
        """Count two elements in the region."""
        dock = self.dock("Regions")
        type_text(dock.elements, "Fe, Ca")
        click(dock.run)
        finish(dock)
        assert [row[0] for row in dock.table.rows()] == ["Region 1"]
        assert len(dock.table.rows()[0]) == 4

    def map_elements(self) -> None:
        """Map four elements by the fit."""
        dock = self.dock("Element maps")
        dock.tick(("Fe", "Ca", "K", "Si"))
        click(dock.run)
        finish(dock)
        assert {"Ca K", "K K", "Si K"} <= {layer.name for layer in self.viewer.layers}

    def fit(self) -> None:
        """Lay the fit over the sum, with what it leaves over, and mark what the detector makes."""
        click(self.spectrum.show_fit)
        finish(self.spectrum)
        click(self.spectrum.show_artefacts)
        names = [curve.name for curve in self.spectrum.plot.curves()]
        assert names[-2:] == ["Fit", "Continuum of the fit"]
        assert self.spectrum.plot.residual.isVisible()
        assert self.spectrum.plot.markers.artefacts()
        self.picture("fit_drawn")
        click(self.spectrum.show_fit)
        click(self.spectrum.show_artefacts)

    def compose(self) -> None:
        """Show the three strongest in one picture."""
        dock = self.dock("Compose maps")
        click(dock.strongest)
        click(dock.run)
        picture = self.viewer.layers.selection.active
        assert picture.rgb
        let_pass(0.2)

    def lasso(self) -> None:
        """Loop the pixels of most calcium in a scatter plot; they are a class."""
        dock = self.dock("Scatter")
        dock.x.choose(self.viewer.layers["Ca K"])
        dock.y.choose(self.viewer.layers["Si K"])
        box, plot = dock.plot.plot.getViewBox(), dock.plot.plot
        until(lambda: [plot.getAxis(side).labelText for side in ("bottom", "left")] == ["Ca K", "Si K"])
        (left, right), (low, high) = box.viewRange()
        middle, right = left + 0.4 * (right - left), right - 0.02 * (right - left)
        low, high = low + 0.02 * (high - low), high - 0.02 * (high - low)
        loop = [(middle, low), (middle, high), (right, high), (right, low), (middle, low)]
        drag(plot.viewport(), [plot.mapFromScene(box.mapViewToScene(QPointF(*place))) for place in loop])
        finish(dock)
        loops = self.viewer.layers["Loops"]
        looped = self.viewer.layers["Ca K"].data[loops.data == 1]
        assert looped.size
        assert looped.min() >= middle - 0.03 * (right - left)
        assert looped.size < loops.data.size

    def quantify(self) -> None:
        """Weight percents of the whole map."""
        dock = self.dock("Quantities")
        dock.tick(("Fe", "Ca", "K", "Si"))
        click(dock.run)
        finish(dock)
        assert {"Fe", "Ca", "K", "Si"} <= {row[1] for row in dock.table.rows()}

    def map_minerals(self) -> None:
        """Map the ticked minerals, and choose the most frequent of them in the table."""
        dock = self.dock("Minerals")
        dock.tick(MINERALS)
        click(dock.run)
        finish(dock)
        self.minerals = dock.labels.layer()
        # The map has more minerals than are asked for, which may be most of it as "unknown".
        names = [dock.table.item(row, 1).text() for row in range(dock.table.rowCount())]
        click_row(dock.table, next(row for row, name in enumerate(names) if name in MINERALS))
        assert self.minerals.selected_label == dock.table.selected()[0]

    def why(self) -> None:
        """Ask why a pixel of the map has its mineral."""
        dock = self.dock("Minerals")
        click(dock.why_pixel)
        label = self.minerals.selected_label
        y, x = np.argwhere(self.minerals.data == label)[0]
        click(self.canvas, self.on_canvas(y, x))
        finish(dock)
        assert f"pixel {y}, {x}" in dock.evidence.plot.readout.text()
        self.picture("why_drawn")
        dock.evidence.close()

    def clean(self) -> None:
        """Clean the mineral map up into a new layer."""
        dock = self.dock("Clean up labels")
        dock.labels.choose(self.minerals)
        until(lambda: "would change" in dock.changes.text())
        click(dock.run)
        finish(dock)
        self.cleaned = self.viewer.layers[f"{self.minerals.name} (cleaned)"]
        assert (self.cleaned.data != self.minerals.data).mean() < 0.2

    def save_and_reopen(self) -> None:
        """Save minerals and an element map; what is opened again is the same."""
        labels = self.cleaned or self.viewer.layers["Loops"]
        for layer, ending in ((labels, ".labels.tif"), (self.viewer.layers["Ca K"], ".maps.ome.tif")):
            path = self.folder / f"tour{ending}"
            layer.save(str(path), plugin="napari-xrf")
            before = set(self.viewer.layers)
            self.viewer.window._qt_viewer._qt_open([str(path)], stack=False, plugin="napari-xrf")
            until(lambda before=before: self._opened(before))
            (again,) = self._opened(before)
            assert np.array_equal(again.data, layer.data), ending
            assert tuple(again.scale) == tuple(layer.scale), ending
            self.viewer.layers.remove(again)

    def copy_as_python(self) -> None:
        """Copy the script of maps and minerals, and run it: the same numbers."""
        maps = self.viewer.layers["Ca K"]
        self.viewer.layers.selection = {maps} if self.minerals is None else {maps, self.minerals}
        choose(self.viewer.window._qt_window.menuBar(), "File", "IO Utilities", "Copy as Python")
        script = QApplication.clipboard().text()
        made: dict[str, Any] = {}
        exec(script, made)  # it is ours
        assert np.array_equal(made["maps"].counts[made["maps"].families.index("Ca K")], maps.data)
        assert self.minerals is None or np.array_equal(made["labels"].labels, self.minerals.data)

    def _opened(self, before: set[Any]) -> list[Any]:
        """Return the layers of a file, once none stands for them any more."""
        fresh = set(self.viewer.layers) - before
        return [] if is_adding() or any("…" in layer.name for layer in fresh) else list(fresh)

    @property
    def canvas(self) -> Any:
        """The widget that the map is drawn on."""
        return self.viewer.window._qt_viewer.canvas.native

    def on_canvas(self, y: float, x: float) -> tuple[float, float]:
        """Return where (x, y) a pixel of the map stands on the canvas."""
        world = self.map.data_to_world((0.0, y, x))[-2:]
        camera = self.viewer.scene.camera
        center, size = np.array(camera.center[-2:]), self.canvas.size()
        down, right = (np.array(world) - center) * camera.zoom
        return size.width() / 2 + right, size.height() / 2 + down

    def dock(self, title: str) -> Any:
        """Open a dock by the menu, which would close one that is open."""
        name = f"{title} (X-ray fluorescence)"
        if name not in self.viewer.window.dock_widgets:
            choose(self.viewer.window._qt_window.menuBar(), *_MENU, title)
        until(lambda: name in self.viewer.window.dock_widgets)
        let_pass(0.3)
        return self.viewer.window.dock_widgets[name]


def write_map(path: Path, *, shape: tuple[int, int] = (40, 48)) -> Path:
    """Write a small pegmatite for the walk."""
    from napari_xrf.synthesis.pegmatite import synthesize_pegmatite

    io.write_cube(path, synthesize_pegmatite(shape=shape, generator=np.random.default_rng(7)).cube)
    return path


class Cost(QObject):
    """Counts clicks and drags, and the processor time of all threads and processes."""

    def __init__(self) -> None:
        super().__init__()
        self._clicks, self._processor = 0, 0.0
        QApplication.instance().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Count what the hand lets go of."""
        self._clicks += isinstance(watched, QWindow) and event.type() == QEvent.Type.MouseButtonRelease
        return False

    def read(self) -> str:
        """Return what was spent since :meth:`start`."""
        return f"{self._clicks} clicks, {sum(os.times()[:4]) - self._processor:.1f} s of processor"

    def start(self) -> None:
        """Begin to count again."""
        self._clicks, self._processor = 0, sum(os.times()[:4])


def main() -> None:
    """Walk, and save a picture of each station."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/tour"))
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    parser.add_argument("--size", type=int, nargs=2, default=(1366, 768), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--shape", type=int, nargs=2, default=(40, 48), metavar=("ROWS", "COLUMNS"))
    given = parser.parse_args()
    viewer = napari.Viewer()
    viewer.theme = given.theme
    viewer.window.resize(*given.size)
    folder = Path(tempfile.mkdtemp())
    numbers = iter(range(1, 99))
    cost = Cost()

    def picture(name: str) -> None:
        print(f"{name:20s} {cost.read()}", flush=True)
        save_picture(viewer, given.out / f"{next(numbers):02d}_{name}.png")
        cost.start()

    try:
        tour = Tour(viewer, write_map(folder / "pegmatite.h5", shape=given.shape), folder, picture)
        cost.start()
        in_event_loop(tour.walk)
    finally:
        viewer.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
