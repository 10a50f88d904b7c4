"""Commands of napari's menus that are no docks."""

from pathlib import Path
from typing import Any

import napari.viewer

from napari_xrf.io.atomic_write import write_text
from napari_xrf.plugin.layers.cubes import TRUTH_KEY, cube_from, holds_cube
from napari_xrf.plugin.layers.labels import flatten, is_deep
from napari_xrf.plugin.layers.layer_data import add_layers, kind_of
from napari_xrf.plugin.layers.regions import add_region_layer
from napari_xrf.plugin.layers.script import recipe_of, script_of
from napari_xrf.plugin.notices import errors_told, tell, warn


def new_roi_layer(viewer: napari.viewer.Viewer) -> None:
    """Add a layer of regions in register with the map that is selected, or the topmost one."""
    selected = viewer.layers.selection.active
    maps = [layer for layer in viewer.layers if holds_cube(layer)]
    images = [layer for layer in viewer.layers if kind_of(layer) in ("image", "labels")]
    if selected in maps:
        add_region_layer(viewer, selected)
    elif maps or images:
        add_region_layer(viewer, (maps or images)[-1])
    else:
        warn("Open a map first: regions lie on a map")


def flatten_labels(viewer: napari.viewer.Viewer) -> None:
    """Make a label map (Y, X) of the selected Labels layer with an energy axis."""
    layer = viewer.layers.selection.active
    if layer is None or not is_deep(layer):
        warn("Select a Labels layer that has an energy axis: napari's own button makes one on a map")
        return
    flatten(viewer, layer)


def show_truth(viewer: napari.viewer.Viewer) -> None:
    """Add what is known of the synthetic map that is selected, or of the topmost one, as hidden layers."""
    from napari_xrf.plugin.layers.synthesis import truth_layers

    known = [layer for layer in viewer.layers if layer.metadata.get(TRUTH_KEY)]
    if not known:
        warn("No map here has a known truth: only synthetic ones have")
        return
    selected = viewer.layers.selection.active
    layer = selected if selected in known else known[-1]
    layers = truth_layers(layer.metadata[TRUTH_KEY], cube_from(layer))
    add_layers(viewer, [data for data in layers if data[1]["name"] not in viewer.layers], over=layer)


def open_file(viewer: napari.viewer.Viewer) -> None:
    """Ask for a file and open it with napari-xrf, whatever its name."""
    from qtpy.QtWidgets import QFileDialog

    name, _ = QFileDialog.getOpenFileName(None, "Open an X-ray fluorescence file")
    if name:
        add_file(viewer, Path(name))


def open_another_map(viewer: napari.viewer.Viewer) -> None:
    """Ask which map of the file of the selected map, or of the topmost one, to open beside it."""
    from qtpy.QtWidgets import QInputDialog

    selected = viewer.layers.selection.active
    maps = [layer for layer in viewer.layers if holds_cube(layer) and cube_from(layer).provenance.path]
    if not maps:
        warn("Open a file first: one that holds several maps, scans or spectra says so when it opens")
        return
    path = Path(cube_from(selected if selected in maps else maps[-1]).provenance.path)
    question = f"Which map of {path.name}? They count from 0"
    number, told = QInputDialog.getInt(None, "Open another map of a file", question, 1, 0)
    if told:
        add_file(viewer, path, map=number)


def add_file(viewer: napari.viewer.Viewer, path: Path, **options: Any) -> None:
    """Add the layers of a file to a viewer; an error becomes one notification.

    ``options``: as :func:`napari_xrf.plugin.readers.read_layers` takes them.
    """
    from napari_xrf.plugin.layers.opening import NOTHING_TO_ADD
    from napari_xrf.plugin.readers import read_paths

    with errors_told():
        layers = read_paths(str(path), **options)
        add_layers(viewer, [] if layers is NOTHING_TO_ADD else layers)


def copy_python(viewer: napari.viewer.Viewer) -> None:
    """Copy a script that makes the selected layers, or all that know how, without a window."""
    from qtpy.QtWidgets import QApplication

    selected = [layer for layer in viewer.layers if layer in viewer.layers.selection]
    script = script_of(selected) or script_of(viewer.layers)
    if not script:
        warn("No layer here was made by napari-xrf from a file: there is nothing to copy")
        return
    QApplication.clipboard().setText(script)
    tell(f"Python of {len(script.splitlines())} lines is on the clipboard")


def save_recipe(viewer: napari.viewer.Viewer) -> None:
    """Save what made the selected layers, or all that know how, for ``napari-xrf batch``."""
    from qtpy.QtWidgets import QFileDialog

    with errors_told():
        selected = [layer for layer in viewer.layers if layer in viewer.layers.selection]
        recipe = recipe_of(selected) or recipe_of(viewer.layers)
        if not recipe:
            warn(
                "No layer here was made by a step that the command line knows: map elements or minerals first"
            )
            return
        name, _ = QFileDialog.getSaveFileName(None, "Save the recipe", "recipe.toml", "Recipe (*.toml)")
        if name:
            path = Path(name).with_suffix(".toml")
            write_text(path, recipe)
            verbs = ", ".join(line.strip("[]") for line in recipe.splitlines() if line.startswith("["))
            tell(f"{path} is written, for napari-xrf batch with {verbs}")
