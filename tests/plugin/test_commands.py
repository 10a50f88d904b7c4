"""Menu commands and sample data."""

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager

from napari_xrf import io
from napari_xrf.plugin.commands import add_file, flatten_labels, new_roi_layer, open_another_map
from napari_xrf.plugin.docks.clean_up import CleanUpDock
from napari_xrf.plugin.layers.cubes import cube_from, cube_layers, holds_cube
from two_phase_maps import two_phase_cube, two_phase_labels

SAMPLE_MINERALS = {"quartz", "albite", "spodumene"}


@pytest.mark.gui
def test_a_region_layer_lies_on_the_selected_map(make_napari_viewer):
    viewer = make_napari_viewer()
    before = len(notification_manager.records)
    new_roi_layer(viewer)
    assert "Open a map first" in notification_manager.records[before].message
    assert len(viewer.layers) == 0
    cube, _ = two_phase_cube()
    viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    viewer.add_points(np.ones((2, 2)))
    new_roi_layer(viewer)
    regions = viewer.layers[-1]
    assert regions.ndim == 2
    assert np.allclose(regions.scale, (10, 12.5))
    assert regions.mode == "add_rectangle"


@pytest.mark.gui
def test_the_menus_hold_our_commands(make_napari_viewer, plugins):
    from napari._app_model import get_app_model
    from napari._app_model.constants import MenuId

    viewer = make_napari_viewer()
    viewer.add_layer(Layer.create(*cube_layers(two_phase_cube()[0])[-1]))
    app = get_app_model()
    app.commands.execute_command("napari-xrf.new_roi_layer").result()
    assert viewer.layers[-1].name == "Region"
    ours = [
        item.submenu
        for item in app.menus.get_menu(MenuId.LAYERS_VISUALIZE)
        if hasattr(item, "submenu") and item.title == "X-ray fluorescence"
    ]
    listed = {item.command.id for menu in ours for item in app.menus.get_menu(menu)}
    assert {"napari-xrf.spectrum", "napari-xrf.composite", "napari-xrf.scatter"} <= listed


@pytest.mark.gui
def test_another_map_of_a_file_is_opened_beside_the_first(make_napari_viewer, tmp_path, monkeypatch):
    """The window named an option of the command line and had no way to say it."""
    from qtpy.QtWidgets import QInputDialog

    viewer = make_napari_viewer()
    before = len(notification_manager.records)
    open_another_map(viewer)
    assert "Open a file first" in notification_manager.records[before].message
    scans = [
        [f"#S {n} ct", "#D Mon", "#@MCA %16C", f"@A {' '.join(str(n * k) for k in range(64))}"]
        for n in (1, 2)
    ]
    path = tmp_path / "two.spec"
    path.write_text("\n".join(["#F two.spec", *(line for scan in scans for line in (*scan, ""))]))
    add_file(viewer, path)
    assert "Open another map of a file" in " ".join(cube_from(viewer.layers[-1]).provenance.warnings)
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_: (1, True))
    open_another_map(viewer)
    first, second = (np.sum(cube_from(layer).counts) for layer in viewer.layers)
    assert second == 2 * first
    assert viewer.layers[-1].name == "two (1)"
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_: (7, True))
    open_another_map(viewer)
    assert "there is no" in notification_manager.records[-1].message
    assert len(viewer.layers) == 2


@pytest.mark.gui
def test_a_file_of_any_name_is_opened(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    path = tmp_path / "whatever.tif"
    io.write(path, two_phase_labels())
    add_file(viewer, path)
    assert viewer.layers[0].name == "whatever"
    assert viewer.layers[0].features["name"].tolist()[1] == "hematite / magnetite"
    before = len(notification_manager.records)
    add_file(viewer, tmp_path / "missing.h5")
    assert "missing.h5" in notification_manager.records[before].message
    assert len(viewer.layers) == 1


def test_the_sample_is_a_rock_with_its_truth():
    from napari.components import ViewerModel

    viewer = ViewerModel()
    viewer.open_sample("napari-xrf", "pegmatite")
    map_layer, truth = viewer.layers
    assert holds_cube(map_layer)
    cube = cube_from(map_layer)
    assert cube.shape[:2] == truth.data.shape
    assert set(truth.features["name"]) >= SAMPLE_MINERALS
    assert not truth.visible
    assert viewer.layers.units is not None
    quartz = int(truth.features.set_index("name").loc["quartz", "index"])
    silicon, iron = cube.window_map(1.68, 1.80), cube.window_map(6.3, 6.5)
    inside = truth.data == quartz
    assert silicon[inside].mean() > 1.5 * silicon[~inside].mean()
    assert iron[inside].mean() < iron[~inside].mean()


def test_labels_with_an_energy_axis_are_flattened():
    from napari.components import ViewerModel

    viewer = ViewerModel()
    cube_layer = viewer.add_layer(Layer.create(*cube_layers(two_phase_cube()[0])[-1]))
    data = np.zeros(cube_layer.data.shape, dtype=np.uint8)
    data[100, 3:5, 4:6], data[300, 4:6, 4:6] = 1, 2
    painted = viewer.add_labels(data, scale=cube_layer.scale, units=cube_layer.units)
    viewer.layers.selection.active = painted
    flatten_labels(viewer)
    flat = viewer.layers[-1]
    assert (flat.ndim, painted in viewer.layers) == (2, False)
    assert (flat.data[3, 4], flat.data[4, 4], flat.data[5, 4], flat.data[0, 0]) == (1, 2, 2, 0)
    assert np.allclose(flat.scale, cube_layer.scale[1:])


@pytest.mark.gui
def test_labels_of_naparis_own_button_are_offered_to_be_flattened(make_napari_viewer):
    viewer = make_napari_viewer()
    cube_layer = viewer.add_layer(Layer.create(*cube_layers(two_phase_cube()[0])[-1]))
    dock = CleanUpDock(viewer)
    assert "Minerals" in dock.offered.text.text()  # no label map yet: what makes one is offered
    data = np.zeros(cube_layer.data.shape, dtype=np.uint8)
    data[100, 3:5, 4:6] = 1
    viewer.add_labels(data, name="mine", scale=cube_layer.scale, units=cube_layer.units)
    assert not dock.offered.isHidden()
    assert "mine" in dock.offered.text.text()
    dock.offered.button.click()
    assert dock.labels.layer().ndim == 2
    assert dock.labels.layer().data.sum() == 4
    assert dock.offered.isHidden()
    dock.deleteLater()
