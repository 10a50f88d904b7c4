"""Make the pictures of the plugin in docs/images from the sample map, in a real window.

    xvfb-run -a -s "-screen 0 1366x768x24" python -m docs.screenshots

needs napari with a Qt binding; without a screen, Xvfb. It takes a few minutes: everything is really computed.
``--themes dark light --out build/docks`` shows each dock in both themes, to be looked at; with
``QT_SCALE_FACTOR=2`` and a screen of twice the size as on a fine display.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np
from benchmarks.window_hand import finish, let_pass, save_picture, until

from napari_xrf.plugin.window import open_dock

PLUGIN = "napari-xrf"


def main() -> None:
    """Walk through the docks, or those named on the command line, and save a picture of each."""
    stages = {
        "spectrum": show_spectra,
        "preparation": prepare,
        "alignment": align,
        "element_maps": map_elements,
        "composite": compose_maps,
        "scatter": plot_maps,
        "regions": table_regions,
        "quantities": quantify,
        "comparison": compare_maps,
        "minerals": map_minerals,
        "clean_up": clean_up,
        "phases": find_phases,
        "inference": ask_model,
        "decoding": edit_code,
        "train": train_model,
        "synthesis": synthesize,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="DOCK", help=", ".join(stages))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--themes", nargs="+", default=["dark"], choices=("dark", "light"))
    given = parser.parse_args()
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    viewer.open_sample(PLUGIN, "pegmatite")
    let_pass(1)
    for name in given.stages or stages:
        stages[name](viewer, partial(picture, viewer, given.out, given.themes, name))
    viewer.close()


def picture(viewer: Any, folder: Path, themes: list[str], name: str, ending: str = "") -> None:
    """Save the window in each theme; where there are several, the name tells which."""
    for theme in themes:
        viewer.theme = theme
        let_pass(0.5)
        told = f"_{theme}" if len(themes) > 1 else ""
        save_picture(viewer, folder / f"{name}{ending}{told}.png")
    viewer.theme = themes[0]


def save_and_close(viewer: Any, save: Any, dock: Any) -> None:
    """Save the window with the whole map in view, and close the dock."""
    viewer.reset_view()
    save()
    dock.destroyOnClose()


def show_spectra(viewer: Any, save: Any) -> None:
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
    save()
    viewer.layers.remove(next(layer for layer in viewer.layers if " keV (" in layer.name))
    dock.destroyOnClose()


def map_elements(viewer: Any, save: Any) -> None:
    """Find elements and map them side by side."""
    remove_maps(viewer)  # of other docks
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Element maps")
    widget.find.click()
    finish(widget)
    widget.run.click()
    finish(widget)
    widget.grid.setChecked(True)
    let_pass(1)
    save()
    widget.grid.setChecked(False)
    dock.destroyOnClose()
    remove_maps(viewer)


def prepare(viewer: Any, save: Any) -> None:
    """Recalibrate and bin, and check the axis."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Preparation")
    widget.ticks["recalibrate"].setChecked(True)
    widget.sizes["bin-space"].setValue(2)
    widget.run.click()
    finish(widget)
    made = viewer.layers.selection.active
    widget.check.click()
    finish(widget)
    save()
    viewer.layers.remove(made)
    dock.destroyOnClose()


def align(viewer: Any, save: Any) -> None:
    """Lay a turned photograph on the map by four places."""
    from scipy.ndimage import rotate

    make_maps(viewer)
    seen = viewer.layers["Fe K"].data
    photo = viewer.add_image(
        rotate(np.sqrt(np.maximum(seen, 0)), 15), name="photograph", colormap="gray", units=("um", "um")
    )
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Align pictures")
    widget.picture.choose(photo)
    height, width = seen.shape
    places = np.array([[0.2, 0.2], [0.2, 0.8], [0.8, 0.2], [0.8, 0.8]]) * (height, width)
    turn = np.deg2rad(15)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = (np.array(photo.data.shape) - 1) / 2
    widget.mark_picture.click()
    viewer.layers.selection.active.add((places - np.array(seen.shape) / 2) @ spin.T + middle)
    widget.mark_map.click()
    viewer.layers.selection.active.add(places)
    let_pass(0.5)  # a dock that is not seen yet would tell by a notification
    widget.run.click()
    finish(widget)
    viewer.layers["Fe K"].visible = False
    save_and_close(viewer, save, dock)
    for layer in [layer for layer in viewer.layers if layer is photo or layer._type_string == "points"]:
        viewer.layers.remove(layer)


def remove_maps(viewer: Any) -> None:
    """Remove all element maps."""
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


def compose_maps(viewer: Any, save: Any) -> None:
    """Show three elements in one picture."""
    make_maps(viewer)
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Compose maps")
    for choice, name in zip(widget.maps, ("K K", "Ca K", "Fe K"), strict=False):
        choice.choose(viewer.layers[name])
    for place, used in enumerate(widget.used):
        used.setChecked(place < 3)
    let_pass(0.5)  # the view is fitted to the room that the dock leaves
    widget.run.click()
    save()
    dock.destroyOnClose()


def plot_maps(viewer: Any, save: Any) -> None:
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
    save_and_close(viewer, save, dock)


def table_regions(viewer: Any, save: Any) -> None:
    """Count elements in the true minerals."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Regions")
    widget.labels.choose(viewer.layers["True minerals"])
    widget.elements.setText("K, Ca, Mn, Fe, Rb")
    widget.run.click()
    finish(widget)
    save_and_close(viewer, save, dock)


def quantify(viewer: Any, save: Any) -> None:
    """Weight percent of the true minerals."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Quantities")
    widget.tick(("Si", "Al", "K", "Ca", "Mn", "Fe"))
    widget.where.setCurrentText("Classes of labels")
    widget.labels.choose(viewer.layers["True minerals"])
    widget.run.click()
    finish(widget)
    save_and_close(viewer, save, dock)


def map_minerals(viewer: Any, save: Any) -> None:
    """Map minerals and table them."""
    for layer in viewer.layers:
        layer.visible = False
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Minerals")
    widget.run.click()
    finish(widget)
    let_pass(1)
    viewer.reset_view()
    save()
    widget.table.selectRow(0)
    widget.why.click()
    finish(widget)
    save(ending="_why")
    dock.destroyOnClose()


def clean_up(viewer: Any, save: Any) -> None:
    """Clean the same map up."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Clean up labels")
    widget.labels.choose(viewer.layers[-1])
    let_pass(1)
    widget.run.click()
    finish(widget)
    let_pass(1)
    save_and_close(viewer, save, dock)


def find_phases(viewer: Any, save: Any) -> None:
    """Find phases without a library."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Phases")
    widget.run.click()
    finish(widget)
    save_and_close(viewer, save, dock)


def ask_model(viewer: Any, save: Any) -> None:
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
    save()
    viewer.layers.remove(regions)
    spectrum.parent().destroyOnClose()
    dock.destroyOnClose()


def edit_code(viewer: Any, save: Any) -> None:
    """Take the iron out of the map's code, and double its manganese."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Edit code")
    widget.maps.choose(viewer.layers["synthetic pegmatite"])
    widget.read.click()
    finish(widget)
    for element, factor in (("Fe", 0), ("Mn", 2)):
        widget.table.item([line[0] for line in widget.table.rows()].index(element), 2).setText(str(factor))
    until(lambda: len(widget.plot.curves()) == 3)
    let_pass(1)
    save_and_close(viewer, save, dock)


def compare_maps(viewer: Any, save: Any) -> None:
    """Compare the map with one of another seed."""
    from napari_xrf.plugin.layers.cubes import cube_layer
    from napari_xrf.synthesis.recipes import make_minerals

    other = cube_layer(make_minerals(None, seed=1).cube)
    made = viewer.add_image(other[0], **other[1] | {"name": "another pegmatite", "visible": False})
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Compare maps")
    widget.maps[0].choose(viewer.layers["synthetic pegmatite"])
    widget.maps[1].choose(made)
    widget.run.click()
    finish(widget)
    let_pass(1)
    save_and_close(viewer, save, dock)
    viewer.layers.remove(made)


def train_model(viewer: Any, save: Any) -> None:
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
        save()
    dock.destroyOnClose()


def synthesize(viewer: Any, save: Any) -> None:
    """Preview a spectrum of three minerals and make their map."""
    viewer.layers.clear()
    let_pass(1)  # the slider that goes is not drawn over by the one that comes
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Generate synthetic data")
    tab = widget.minerals
    tab.scene.setCurrentIndex(1)
    tab.minerals.tick(("quartz", "pyrite", "calcite"))
    tab.distortions.choose("typical")
    widget.preview.click()
    finish(widget)
    widget.run.click()
    finish(widget)
    until(lambda: "Spectrum" in "".join(viewer.window.dock_widgets))  # the first map opens it
    open_dock(viewer, "Spectrum").parent().destroyOnClose()
    let_pass(1)
    save_and_close(viewer, save, dock)


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
