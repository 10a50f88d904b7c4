"""The Compare maps dock: nine measures of two maps, their curves, pictures, files and script."""

import json

import pytest
from napari.layers import Layer

from docks import finish
from napari_xrf import io
from napari_xrf.maps.map_comparison import compare_cubes
from napari_xrf.plugin.layers.cubes import cube_layers
from napari_xrf.plugin.layers.script import script_of
from two_phase_maps import two_phase_cube

pytestmark = pytest.mark.gui


@pytest.fixture
def cube():
    return two_phase_cube((12, 12))[0]


def test_two_maps_are_measured_drawn_and_written(viewer, qtbot, cube, tmp_path):
    widget = viewer.window.add_plugin_dock_widget("napari-xrf", "Compare maps")[1]
    assert not widget.run.isEnabled()  # a map is not compared with itself
    other = two_phase_cube((12, 12), name="the other", seed=2)[0]
    viewer.add_layer(Layer.create(*cube_layers(other)[-1]))
    assert [choice.layer().name for choice in widget.maps] == ["two phases", "the other"]
    widget.maps[1].layer().name = "measured"
    widget.run.click()
    finish(widget, qtbot)
    expected = compare_cubes(cube, other)
    assert [curve.name for curve in widget.plot.curves()] == ["two phases", "measured"]
    assert sum(curve.counts.sum() for curve in widget.plot.curves()) == pytest.approx(2)
    shown = {line[0]: line[1:] for line in widget.table.rows()}
    assert [float(line[0]) for line in shown.values() if line[0] != "–"] == pytest.approx(
        [value for value in expected.measures.values() if value == value], abs=1e-4
    )
    assert len(shown) == 9
    last = widget.table.visualItemRect(widget.table.item(8, 0))
    assert last.bottom() <= widget.table.viewport().height()  # all nine are seen
    assert shown["cosine distance"] == (f"{expected.measures['cosine']:.4f}", "0")
    assert shown["multi-scale SSIM"] == ("–", "1")
    assert "no multi-scale SSIM" in widget.notes.text()
    widget.write(tmp_path / "measures.json")
    finish(widget, qtbot)
    widget.write(tmp_path / "pictures.png")
    finish(widget, qtbot)
    written = json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))
    assert written["measures"]["multiscale-ssim"] is None
    assert (written["first"], written["second"]) == ("two phases", "measured")
    assert (tmp_path / "pictures.png").read_bytes().startswith(b"\x89PNG")
    widget.show_pictures.click()
    finish(widget, qtbot)
    assert widget.pictures.isVisible()
    assert widget.pictures.height() < widget.screen().availableSize().height()  # whole on a small screen
    widget.pictures.close()
    viewer.layers.remove(widget.maps[0].layer())
    assert widget.table.rowCount() == 0
    assert not widget.save.isEnabled()


def test_what_was_compared_is_a_script(make_napari_viewer, qtbot, cube, tmp_path):
    viewer = make_napari_viewer()
    for name, seed in (("one", 1), ("two", 2)):
        io.write(tmp_path / f"{name}.h5", two_phase_cube((12, 12), name=name, seed=seed)[0])
        viewer.open(tmp_path / f"{name}.h5", plugin="napari-xrf")
    widget = viewer.window.add_plugin_dock_widget("napari-xrf", "Compare maps")[1]
    widget.run.click()
    finish(widget, qtbot)
    values = {}
    exec(script_of([widget.maps[0].layer()]), values)
    assert values["comparison"].as_json() == widget.found.as_json()
