"""The Phases dock: phases of a map, their table, names that the user gives them, files."""

import csv

import pytest

from docks import finish
from napari_xrf.plugin.layers.labels import label_map_of_layer
from two_phase_maps import two_phase_cube

pytestmark = pytest.mark.gui


@pytest.fixture
def cube():
    return two_phase_cube()[0]


def test_phases_are_found_named_and_saved(viewer, qtbot, tmp_path):
    widget = viewer.window.add_plugin_dock_widget("napari-xrf", "Phases")[1]
    assert not widget.save_table.isEnabled()
    assert not widget.name.isEnabled()
    widget.run.click()
    finish(widget, qtbot, 120)
    layer = widget.layers.layer()
    assert layer.name == "Phases of two phases"
    assert "2 phases" in widget.said.text()
    assert widget.said.window() is widget.window()  # what it says is part of it
    assert "2 phases" in widget.reason.text()
    rows = widget.table.rows()
    assert [row[:2] for row in rows] == [("phase 1", "50.0"), ("phase 2", "50.0")]
    widget.table.selectRow(1)
    assert widget.name.text() == "phase 2"
    assert layer.selected_label == widget.phases().phases[1].label
    widget.name.setText("my iron ore")
    widget.name.returnPressed.emit()
    qtbot.waitUntil(lambda: widget.table.rows()[1][0] == "my iron ore")
    assert [entry.name for entry in label_map_of_layer(layer).classes][1:] == ["phase 1", "my iron ore"]
    widget.write_table(tmp_path / "phases.csv")
    assert len(list(csv.DictReader((tmp_path / "phases.csv").open(encoding="utf-8")))) == 2
    widget.write_spectra(tmp_path / "spectra.csv")
    assert (tmp_path / "spectra.csv").read_text(encoding="utf-8").startswith("energy_kev,phase 1,phase 2\n")
    widget.write_report(tmp_path / "report.html")
    assert "my iron ore" in (tmp_path / "report.html").read_text(encoding="utf-8")
    viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: widget.table.rowCount() == 0)
    assert not widget.save_report.isEnabled()
