"""Make the pictures of the plugin in docs/images from the sample map, in a real window.

    xvfb-run -a -s "-screen 0 1366x768x24" python -m docs.screenshots

needs napari with a Qt binding; without a screen, Xvfb. It takes a few minutes: everything is really computed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import napari
import numpy as np
from benchmarks.window_hand import finish, let_pass, save_picture, until

from napari_xrf.plugin.window import open_dock

FOLDER = Path(__file__).parent / "images"
PLUGIN = "napari-xrf"


def main() -> None:
    """Walk through the docks, or those named on the command line, and save a picture of each."""
    stages = {
        "spectrum": show_spectra,
        "element_maps": map_elements,
        "composite": compose_maps,
        "scatter": plot_maps,
        "regions": table_regions,
        "minerals": map_minerals,
        "clean_up": clean_up,
        "inference": ask_model,
        "train": train_model,
        "synthesis": synthesize,
    }
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    viewer.open_sample(PLUGIN, "pegmatite")
    let_pass(1)
    for name in sys.argv[1:] or stages:
        stages[name](viewer)
    viewer.close()


def show_spectra(viewer: Any) -> None:
    """Draw three regions, mark lines, and show the map of rubidium."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Spectrum")
    until(lambda: widget.plot.curves())
    widget.new_regions.click()
    regions = viewer.layers.selection.active
    for center in largest_grains(viewer.layers["True minerals"], 3):
        regions.add_ellipses(np.array([center, [4, 5]]))
    widget.set_elements("K, Ca, Mn, Fe, Rb, Ta L")
    widget.scale.setCurrentText("log")
    widget.window.click()
    widget.plot.set_window(13.2, 13.6)
    let_pass(1)
    viewer.reset_view()
    save_picture(viewer, FOLDER / "spectrum.png")
    dock.destroyOnClose()


def map_elements(viewer: Any) -> None:
    """Find elements and map them side by side."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Element maps")
    widget.find.click()
    finish(widget)
    widget.run.click()
    finish(widget)
    widget.grid.setChecked(True)
    let_pass(1)
    save_picture(viewer, FOLDER / "element_maps.png")
    widget.grid.setChecked(False)
    dock.destroyOnClose()
    for layer in [layer for layer in viewer.layers if "xrf_family" in layer.metadata]:
        viewer.layers.remove(layer)


def make_maps(viewer: Any) -> None:
    """Make element maps by windows, without a dock that stays open."""
    if "Fe K" in viewer.layers:
        return
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Element maps")
    widget.tick(("K", "Ca", "Mn", "Fe"))
    widget.method.setCurrentIndex(1)
    widget.run.click()
    finish(widget)
    dock.destroyOnClose()


def compose_maps(viewer: Any) -> None:
    """Show three elements in one picture."""
    make_maps(viewer)
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Compose maps")
    for choice, name in zip(widget.maps, ("K K", "Ca K", "Fe K"), strict=False):
        choice.choose(viewer.layers[name])
    for place, used in enumerate(widget.used):
        used.setChecked(place < 3)
    widget.run.click()
    save_picture(viewer, FOLDER / "composite.png")
    dock.destroyOnClose()


def plot_maps(viewer: Any) -> None:
    """Draw a loop around the pixels of most manganese."""
    make_maps(viewer)
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Scatter")
    widget.x.choose(viewer.layers["Fe K"])
    widget.y.choose(viewer.layers["Mn K"])
    until(lambda: widget.plot.plot.getAxis("left").labelText == "Mn K")
    high, split = (float(np.quantile(viewer.layers["Mn K"].data, share)) for share in (1.0, 0.98))
    right = float(viewer.layers["Fe K"].data.max())
    angles = np.linspace(0, 2 * np.pi, 40)
    center, radius = np.array([right / 2, (high + split) / 2]), np.array([right / 1.8, (high - split) / 2])
    loop = center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    widget.plot.loop.setData(*np.vstack([loop, loop[:1]]).T)
    widget.plot.lassoed.emit(loop)
    finish(widget)
    widget.matrix.click()
    finish(widget)
    viewer.reset_view()
    save_picture(viewer, FOLDER / "scatter.png")
    dock.destroyOnClose()


def table_regions(viewer: Any) -> None:
    """Count elements in the true minerals."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Regions")
    widget.labels.choose(viewer.layers["True minerals"])
    widget.elements.setText("K, Ca, Mn, Fe, Rb")
    widget.run.click()
    finish(widget)
    viewer.reset_view()
    save_picture(viewer, FOLDER / "regions.png")
    dock.destroyOnClose()


def map_minerals(viewer: Any) -> None:
    """Map minerals and table them."""
    for layer in viewer.layers:
        layer.visible = False
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Minerals")
    widget.run.click()
    finish(widget)
    let_pass(1)
    viewer.reset_view()
    save_picture(viewer, FOLDER / "minerals.png")
    dock.destroyOnClose()


def clean_up(viewer: Any) -> None:
    """Clean the same map up."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Clean up labels")
    widget.labels.choose(viewer.layers[-1])
    let_pass(1)
    widget.run.click()
    finish(widget)
    let_pass(1)
    viewer.reset_view()
    save_picture(viewer, FOLDER / "clean_up.png")
    dock.destroyOnClose()


def ask_model(viewer: Any) -> None:
    """Ask the mineral network about two regions and the whole map."""
    for layer in viewer.layers:
        layer.visible = False
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Model inference")
    widget.models.choose("mineral-cnn")
    widget.run.click()
    finish(widget)
    widget.new_regions.click()
    regions = viewer.layers.selection.active
    for center in largest_grains(viewer.layers["True minerals"], 2):
        regions.add_ellipses(np.array([center, [4, 5]]))
    until(lambda: widget.answer is not None and widget.answer.region == "Region 2")
    widget.table.picked.emit(widget.table.name())
    let_pass(1)
    spectrum = open_dock(viewer, "Spectrum")  # the selected row has opened it
    until(lambda: spectrum.plot.curves())
    let_pass(1)
    viewer.reset_view()
    save_picture(viewer, FOLDER / "inference.png")
    viewer.layers.remove(regions)
    spectrum.parent().destroyOnClose()
    dock.destroyOnClose()


def train_model(viewer: Any) -> None:
    """Train a network for a few epochs on the pixels of a mineral map."""
    from tempfile import TemporaryDirectory

    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
    training = widget.training
    training.regions.mode.setCurrentIndex(2)
    training.regions.labels.choose(viewer.layers["True minerals"])
    viewer.layers["True minerals"].visible = True
    for name, value in {
        "epochs": 12,
        "steps_per_epoch": 10,
        "batch_size": 64,
        "validation_size": 512,
    }.items():
        training.options.rows[name].editors[0].value = str(value)
    with TemporaryDirectory() as folder:
        widget.set_folder(Path(folder) / "my minerals")
        widget.run.click()
        finish(widget)
        widget.set_folder(Path("~/napari-xrf models/my minerals"))
        viewer.reset_view()
        save_picture(viewer, FOLDER / "train.png")
    dock.destroyOnClose()


def synthesize(viewer: Any) -> None:
    """Preview a spectrum of three minerals and make their map."""
    viewer.layers.clear()
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Generate synthetic data")
    tab = widget.minerals
    tab.scene.setCurrentIndex(1)
    tab.minerals.tick(("quartz", "pyrite", "calcite"))
    tab.distortions.choose("typical")
    widget.preview.click()
    finish(widget)
    widget.run.click()
    finish(widget)
    viewer.reset_view()
    save_picture(viewer, FOLDER / "synthesis.png")
    dock.destroyOnClose()


def largest_grains(labels: Any, count: int) -> list[list[float]]:
    """Return the middle (y, x) of the widest place of the most frequent minerals."""
    from scipy.ndimage import distance_transform_edt

    sizes = np.bincount(labels.data.ravel())
    centers = []
    for label in np.argsort(-sizes)[:count]:
        depth = distance_transform_edt(np.pad(labels.data == label, 1))[1:-1, 1:-1]
        centers.append([float(at) for at in np.unravel_index(int(depth.argmax()), depth.shape)])
    return centers


if __name__ == "__main__":
    main()
