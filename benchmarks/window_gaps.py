"""How long the window stands still while a large map is opened, stepped through, drawn on and mapped.

    xvfb-run -a -s "-screen 0 1366x768x24" python -m benchmarks.window_gaps

A timer beats every 5 ms in napari's event loop; a gap is the time between two beats. Beside the clock stands
the processor time of the window's thread alone: what others on the machine, and the worker threads, take is
not in it. Where the graphics are computed by the processor, drawing the canvas is the largest part of a gap
and is told apart. Before it, in a process of its own, napari without the plugin is given the same layers by
the same steps: what it takes for them is its own.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from benchmarks.window_hand import in_event_loop, let_pass, until
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

# The plugin is loaded where it is used: for a user the first file does.
if TYPE_CHECKING:
    from napari_xrf.core.spectral_cube import SpectralCube

_BEAT_MS = 5
_HAND = 0.1  # seconds between what a hand does
_PEAKS = ((1.74, 120.0), (3.69, 300.0), (6.404, 400.0), (7.058, 60.0), (8.046, 100.0))


class Heart:
    """Beats in the event loop; :meth:`read` tells of the gaps since the last reading."""

    def __init__(self, canvas: Any) -> None:
        self.gaps: list[tuple[float, float, float]] = []
        self._drawn = 0.0
        self._last = (time.perf_counter(), time.thread_time(), 0.0)
        draw = canvas._draw_scene

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return draw(*arguments, **options)
            finally:
                self._drawn += time.thread_time() - began

        canvas._draw_scene = timed
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(_BEAT_MS)

    def read(self) -> dict[str, float]:
        """Return the longest gaps in ms, by the clock, by the processor, and by it without drawing."""
        gaps = np.array(self.gaps or [(0.0, 0.0, 0.0)]) * 1000
        self.gaps.clear()
        return dict(zip(("clock", "processor", "without drawing"), gaps.max(axis=0), strict=True))

    def _beat(self) -> None:
        now = (time.perf_counter(), time.thread_time(), self._drawn)
        clock, processor, drawn = (new - old for new, old in zip(now, self._last, strict=True))
        self.gaps.append((clock, processor, processor - drawn))
        self._last = now


def main() -> None:
    """Do what a user does, and print the gaps of each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, help="a map to open instead of a synthetic one")
    parser.add_argument("--side", type=int, default=500, help="pixels of a side of the synthetic map")
    parser.add_argument("--channels", type=int, default=4096)
    parser.add_argument("--write", type=Path, help="only write the synthetic map")
    parser.add_argument("--scatter", action="store_true", help="only scatter plots of a million pixels")
    parser.add_argument("--plain", action="store_true", help="only napari, without the plugin")
    given = parser.parse_args()
    if given.write:
        write_map(given.write, given.side, given.channels)
        return
    if given.scatter:
        walk(SCATTER)
        return
    if given.plain:
        walk(plain_stages(synthetic_map(given.side, given.channels)))
        return
    again = (sys.executable, "-m", "benchmarks.window_gaps")
    size = ("--side", str(given.side), "--channels", str(given.channels))
    print("napari without the plugin", flush=True)
    subprocess.run((*again, "--plain", *size), check=True)
    compile_plugin()
    print("with the plugin", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = given.file or Path(folder) / "large.h5"
        if given.file is None:
            subprocess.run((*again, "--write", str(path), *size), check=True)
        walk({**stages_of(path), **SCATTER})


def compile_plugin() -> None:
    """Compile the plugin, as an installation does: a clone may be run where no compiled modules are kept."""
    for folder in importlib.util.find_spec("napari_xrf").submodule_search_locations:
        compileall.compile_dir(folder, quiet=2)


def write_map(path: Path, side: int, channels: int) -> None:
    """Write a synthetic map."""
    from napari_xrf import io

    io.write_cube(path, synthetic_map(side, channels))


def synthetic_map(side: int, channels: int) -> SpectralCube:
    """Return a map of four phases with peaks of five elements."""
    from napari_xrf.core.energy_axis import EnergyAxis
    from napari_xrf.core.spectral_cube import SpectralCube

    generator = np.random.default_rng(0)
    axis = EnergyAxis(-0.2, 41.16 / channels, channels)
    energies = axis.energies
    peaks = np.array([size * np.exp(-(((energies - at) / 0.09) ** 2)) for at, size in _PEAKS])
    phases = 0.3 + generator.random((4, len(_PEAKS))) @ peaks
    counts = np.empty((side, side, channels), dtype=np.uint16)
    for row in range(side):
        bank = generator.poisson(phases[row * 4 // side], (64, channels))
        counts[row] = bank[generator.integers(0, len(bank), side)]
    return SpectralCube(counts, axis, "large", (10.0, 10.0))


def walk(stages: Mapping[str, Callable[[Any], None]]) -> None:
    """Do stages in a window."""
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    heart = Heart(viewer.window._qt_viewer.canvas._scene_canvas)
    let_pass(2)
    heart.read()
    for name, stage in stages.items():
        began, processor = time.perf_counter(), time.process_time()
        in_event_loop(partial(stage, viewer))
        used = time.process_time() - processor
        taken = f"{time.perf_counter() - began:6.1f} s ({used:5.1f} s of processor)"
        gaps = ", ".join(f"{what} {value:.0f} ms" for what, value in heart.read().items())
        print(f"{name:18s} {taken}; longest gap: {gaps}", flush=True)
    viewer.close()


def stages_of(path: Path) -> dict[str, Callable[[Any], None]]:
    """Return the stages of opening a map and working on it, in their order."""
    return {
        "napari's own image": show_image,
        "opening": lambda viewer: open_map(viewer, path),
        "stepping": step,
        "drawing a region": drag_region,
        "an energy window": drag_window,
        "mapping elements": map_elements,
    }


def show_image(viewer: Any) -> None:
    """Show a small image, for what napari itself takes for its first layer."""
    viewer.add_image(np.zeros((9, 9)), units=("um", "um"))
    let_pass(1)


def open_map(viewer: Any, path: Path) -> None:
    """Open as the menu does, until the map is there and summed, and the dock that it opens has its place."""
    viewer.window._qt_viewer._qt_open([str(path)], stack=False, plugin="napari-xrf")
    until(lambda: any(name.startswith("Spectrum") for name in viewer.window.dock_widgets))
    dock = spectrum_dock(viewer)
    until(lambda: dock.plot.curves() and isinstance(getattr(dock.maps.cube(), "counts", None), np.ndarray))
    from napari_xrf.plugin.layers.layer_data import is_adding

    until(lambda: not is_adding())
    let_pass(0.5)


def step(viewer: Any) -> None:
    """Step through the energies with the slider."""
    taken = []
    for _ in range(40):
        began = time.thread_time()
        viewer.dims._increment_dims_right(0)
        taken.append(time.thread_time() - began)
        QApplication.processEvents()
    print(f"{'':18s} a step: {1000 * np.median(taken):.0f} ms of processor (median), drawing apart")


def drag_region(viewer: Any) -> None:
    """Draw a region of a tenth of the map and drag it; its spectrum follows."""
    dock = spectrum_dock(viewer)
    dock.new_regions.click()
    let_pass(_HAND)
    layer = viewer.layers.selection.active
    side = dock.maps.cube().map_shape[0]
    layer.add_rectangles(np.array([[0.1, 0.1], [0.4, 0.4]]) * side)
    until(lambda: len(dock.plot.curves()) > 1)
    behind = []
    for _ in range(20):
        before = dock.plot.curves()[-1].counts
        began = time.perf_counter(), time.thread_time()
        layer._data_view.shift(0, np.array([0.02 * side, 0.02 * side]))
        layer.events.set_data()
        until(lambda shown=before: dock.plot.curves()[-1].counts is not shown)
        behind.append((time.perf_counter() - began[0], time.thread_time() - began[1]))
        let_pass(0.06)
    clock, processor = 1000 * np.median(behind, axis=0)
    print(f"{'':18s} its spectrum follows after {clock:.0f} ms, {processor:.0f} of processor (medians)")


def drag_window(viewer: Any) -> None:
    """Drag the energy window, whose map follows."""
    dock = spectrum_dock(viewer)
    dock.window.click()
    let_pass(_HAND)
    for place in range(20):
        dock.plot.set_window(6.2 + 0.02 * place, 6.6 + 0.02 * place)
        let_pass(0.08)
    dock.window.click()


def map_elements(viewer: Any) -> None:
    """Map the elements by energy windows."""
    dock = viewer.window.add_plugin_dock_widget("napari-xrf", "Element maps")[1]
    dock.tick(("Si", "Ca", "Fe", "Cu"))
    dock.run.click()
    until(lambda: dock.job_bar.job is None)
    let_pass(1)


def plain_stages(cube: SpectralCube) -> dict[str, Callable[[Any], None]]:
    """Return stages in which napari alone gets the layers that the plugin adds for a map."""
    return {
        "napari's own image": show_image,
        "opening": partial(add_plain, cube=cube),
        "stepping": step,
        "drawing a region": drag_plain_region,
        "an energy window": add_plain_window,
        "mapping elements": partial(add_plain_maps, count=4),
    }


def add_plain(viewer: Any, cube: SpectralCube) -> None:
    """Add a map's counts, show some energies of them, and what is written on the canvas."""
    from napari_xrf.plugin.layers.cubes import cube_layer

    data, keywords, _ = cube_layer(cube)
    overlays = viewer.canvas.overlays
    for do in (
        lambda: viewer.add_image(data, **keywords),
        lambda: setattr(viewer.dims, "margin_left", (0.08, 0.0, 0.0)),
        lambda: setattr(viewer.dims, "margin_right", (0.08, 0.0, 0.0)),
        lambda: viewer.dims.set_point(0, 6.4),
        lambda: viewer.fit_to_view(),
        lambda: setattr(overlays.scale_bar, "visible", True),
        lambda: setattr(overlays.current_slice, "visible", True),
    ):
        do()
        let_pass(_HAND)


def drag_plain_region(viewer: Any) -> None:
    """Draw a rectangle and drag it."""
    side = viewer.layers[-1].data.shape[-1]
    map_layer = viewer.layers[-1]
    layer = viewer.add_shapes(ndim=2, scale=map_layer.scale[-2:], units=map_layer.units[-2:])
    let_pass(_HAND)
    layer.add_rectangles(np.array([[0.1, 0.1], [0.4, 0.4]]) * side)
    for _ in range(20):
        let_pass(_HAND)
        layer._data_view.shift(0, np.array([0.02 * side, 0.02 * side]))
        layer.events.set_data()


def add_plain_window(viewer: Any) -> None:
    """Add a map and change it."""
    add_plain_maps(viewer, count=1)
    layer = viewer.layers[-1]
    for _ in range(20):
        layer.data = layer.data + 1
        layer.contrast_limits_range = layer.contrast_limits = (0.0, float(layer.data.max()))
        let_pass(0.08)


def add_plain_maps(viewer: Any, count: int) -> None:
    """Add maps of the size of the first layer that has energies."""
    over = next(layer for layer in viewer.layers if layer.ndim == 3)
    for _ in range(count):
        values = np.random.default_rng(0).gamma(2.0, 50.0, over.data.shape[-2:])
        viewer.add_image(values, colormap="viridis", scale=over.scale[-2:], units=over.units[-2:])
        let_pass(_HAND)


def add_million(viewer: Any) -> None:
    """Add two maps of a million pixels, and napari's first labels, for which it takes a second."""
    generator = np.random.default_rng(0)
    for name in ("Fe K", "Ca K"):
        values = generator.gamma(2.0, 50.0, (1000, 1000))
        viewer.add_image(values, name=name, metadata={"xrf_family": name}, units=("um", "um"))
        let_pass(_HAND)
    labels = np.ones((1000, 1000), dtype=np.uint8)
    viewer.add_labels(labels, colormap={1: "red", None: "black"}, units=("um", "um"))
    let_pass(1)


def plot_million(viewer: Any) -> None:
    """Plot them against each other."""
    dock = viewer.window.add_plugin_dock_widget("napari-xrf", "Scatter")[1]
    until(lambda: dock.plot.plot.getAxis("left").labelText)
    let_pass(0.5)


def loop_million(viewer: Any) -> None:
    """Draw two loops of a hundred corners, each around a third of the pixels."""
    dock = viewer.window.add_plugin_dock_widget("napari-xrf", "Scatter")[1]
    angle = np.linspace(0, 2 * np.pi, 100)
    for center in (80.0, 120.0):
        dock.plot.lassoed.emit(center + 60.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1))
        until(lambda: dock.job_bar.job is None)
        let_pass(0.5)


def correlate_million(viewer: Any) -> None:
    """Correlate the maps."""
    dock = viewer.window.add_plugin_dock_widget("napari-xrf", "Scatter")[1]
    dock.matrix.click()
    until(lambda: dock.job_bar.job is None)
    let_pass(0.5)


SCATTER: dict[str, Callable[[Any], None]] = {
    "maps of 10⁶ pixels": add_million,
    "a scatter plot": plot_million,
    "loops in it": loop_million,
    "correlations": correlate_million,
}


def spectrum_dock(viewer: Any) -> Any:
    from napari_xrf.plugin.window import open_dock

    return open_dock(viewer, "Spectrum")


if __name__ == "__main__":
    main()
