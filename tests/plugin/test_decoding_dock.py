"""The Edit code dock: elements of a code turned down, up and in, the spectrum of it, the map, the script."""

import numpy as np
import pytest

from docks import finish
from napari_xrf import io
from napari_xrf.cli import main
from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.prediction.decoding import decode
from napari_xrf.learning.weights import load_model
from napari_xrf.plugin.layers.cubes import cube_from
from napari_xrf.plugin.layers.script import recipe_of, script_of
from tiny_models import tiny_model
from two_phase_maps import two_phase_cube

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_model("code", tmp_path_factory.mktemp("models") / "tiny-code")


@pytest.fixture
def cube():
    return two_phase_cube((4, 6))[0]


def opened(viewer, weights, qtbot):
    widget = viewer.window.add_plugin_dock_widget("napari-xrf", "Edit code")[1]
    assert widget.models.model() == "line-autoencoder"  # no other shipped one has names to edit
    widget.models.open_file(weights)
    widget.read.click()
    finish(widget, qtbot)
    return widget


def place_of(widget, name):
    return [line[0] for line in widget.table.rows()].index(name)


def type_in(widget, qtbot, name, column, text):
    widget.table.item(place_of(widget, name), column).setText(text)
    qtbot.waitUntil(lambda: widget._seeing is None)


def counts_at(widget, energy):
    curve = {each.name: each for each in widget.plot.curves()}["edited"]
    return curve.counts[np.abs(curve.energy.energies - energy) < 0.3].sum()


def test_elements_are_turned_down_and_up_in_sight(viewer, qtbot, weights):
    widget = opened(viewer, weights, qtbot)
    assert "variance of the sum spectrum" in widget.said.text()
    assert [curve.name for curve in widget.plot.curves()] == ["measured", "its code"]
    plain = {each.name: each.counts for each in widget.plot.curves()}
    assert plain["measured"].sum() == pytest.approx(plain["its code"].sum(), rel=0.02)
    type_in(widget, qtbot, "Fe", 2, "0")
    without = counts_at(widget, 6.4)
    type_in(widget, qtbot, "Fe", 2, "2")
    assert counts_at(widget, 6.4) > 3 * without
    assert widget.table.item(place_of(widget, "Fe"), 0).font().bold()
    assert not widget.table.item(place_of(widget, "Ca"), 0).font().bold()
    widget.reset.click()
    assert widget.table.rows()[place_of(widget, "Fe")][2] == "1"
    assert len(widget.plot.curves()) == 2


def test_a_line_is_listed_and_what_is_wrong_is_told(viewer, qtbot, weights, monkeypatch):
    from napari.utils.notifications import notification_manager

    widget = opened(viewer, weights, qtbot)
    before = len(notification_manager.records)
    type_in(widget, qtbot, "Fe", 2, "much")
    assert widget.table.rows()[place_of(widget, "Fe")][2] == "1"
    for name in ("Fe ka1", "Xx"):
        widget.name.setText(name)
        widget.name.returnPressed.emit()
    assert widget.table.rows()[place_of(widget, "Fe ka1")][1] == "–"
    told = [note.message for note in notification_manager.records[before:]]
    assert "'much' is no number" in told[0]
    assert "no unit 'Xx'" in told[1]
    assert len(told) == 2
    type_in(widget, qtbot, "Fe ka1", 3, "5")
    assert widget.added == {"Fe ka1": 0.05}


def test_the_changed_map_is_a_layer_a_script_and_a_recipe(make_napari_viewer, qtbot, weights, cube, tmp_path):
    io.write(tmp_path / "two.h5", cube)
    viewer = make_napari_viewer()
    layer = viewer.open(tmp_path / "two.h5", plugin="napari-xrf")[-1]
    widget = opened(viewer, weights, qtbot)
    type_in(widget, qtbot, "Fe", 2, "0.5")
    type_in(widget, qtbot, "Ca", 3, "10")
    widget.run.click()
    finish(widget, qtbot)
    made = next(each for each in viewer.layers if "decoded" in each.name)
    assert widget.maps.layer() is layer
    assert widget.factors == {"Fe": 0.5}  # go on from there
    qtbot.waitUntil(lambda: len(widget.plot.curves()) == 3)
    changes = {"factors": {"Fe": 0.5}, "added": {"Ca": 0.1}}
    expected = decode(load_model(weights), cube, **changes).cube.counts
    np.testing.assert_allclose(np.asarray(cube_from(made).counts), expected, rtol=1e-5)
    values = {}
    exec(script_of([made]), values)
    np.testing.assert_array_equal(values["decoded"].counts, np.asarray(cube_from(made).counts))
    (tmp_path / "recipe.toml").write_text(recipe_of([made]))
    words = ["batch", "decode", str(tmp_path / "two.h5"), "-o", str(tmp_path / "out")]
    assert main([*words, "--jobs", "1", "--recipe", str(tmp_path / "recipe.toml")]) == 0
    (file,) = (tmp_path / "out").glob("*/decoded.h5")
    assert io.read(file).counts.sum() == pytest.approx(expected.sum(), rel=0.01)  # whole counts


def test_another_kind_of_network_is_refused(viewer, qtbot, tmp_path):
    widget = viewer.window.add_plugin_dock_widget("napari-xrf", "Edit code")[1]
    other = tiny_model("spectra", tmp_path / "tiny-spectra")
    with pytest.raises(InvalidInput, match="another kind of network"):
        widget.models.open_file(other)
    assert widget.models.model() == "line-autoencoder"


def test_another_map_is_another_code_and_a_closed_dock_hears_no_more(viewer, qtbot, weights, cube):
    widget = opened(viewer, weights, qtbot)
    type_in(widget, qtbot, "Fe", 2, "0")
    viewer.layers.clear()
    assert widget.table.rowCount() == 0
    assert widget.factors == {}
    assert not widget.run.isEnabled()
