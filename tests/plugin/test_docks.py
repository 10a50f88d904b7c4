"""The docks in a real window: what a user does, and does wrong."""

import re
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QTabWidget, QWidget

from docks import finish
from napari_xrf import io
from napari_xrf.core import compiled_code
from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.calibration import assumed_axis
from napari_xrf.io.own.region_files import OutlinedRegion, RegionSet
from napari_xrf.learning.weights import shipped_models
from napari_xrf.plugin.docks.dock import _Offer
from napari_xrf.plugin.docks.preparation import PreparationDock
from napari_xrf.plugin.forms.model_choice import shelf_of
from napari_xrf.plugin.forms.parts import column
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.jobs.job import Job, running_on
from napari_xrf.plugin.layers.cubes import CUBE_KEY, cube_from, cube_layers
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY
from napari_xrf.plugin.layers.labels import CLASSIFICATION_KEY, label_layer
from napari_xrf.plugin.layers.layer_data import with_keywords
from napari_xrf.plugin.layers.regions import region_layer
from napari_xrf.plugin.layers.script import script_of
from two_phase_maps import two_phase_cube, two_phase_labels

pytestmark = pytest.mark.gui


@pytest.fixture
def cube():
    return two_phase_cube()[0]


def dock(viewer, name):
    return viewer.window.add_plugin_dock_widget("napari-xrf", name)[1]


def spectrum_dock(viewer, qtbot):
    widget = dock(viewer, "Spectrum")
    qtbot.waitUntil(lambda: widget._summary is not None, timeout=20_000)
    return widget


def curve(widget, name):
    return next(curve for curve in widget.plot.curves() if curve.name == name)


def left_half(cube):
    rows, columns = cube.map_shape
    corners = [[-0.4, -0.4], [-0.4, columns / 2 - 0.6], [rows - 0.6, columns / 2 - 0.6], [rows - 0.6, -0.4]]
    return np.array(corners)


class SlowCounts:
    """Counts that take their time, as a packed file does."""

    def __init__(self, array, seconds=0.0):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, 3
        self.seconds, self.rows_read = seconds, 0

    def __getitem__(self, key):
        time.sleep(self.seconds)
        return self.array[key]

    def load(self, memory_budget, progress):
        for row in range(self.shape[0]):
            time.sleep(self.seconds)
            self.rows_read = row + 1
            progress(row + 1, self.shape[0], "reading")
        return self.array.copy()


class Slow:
    """Work that goes on until it is cancelled."""

    def __init__(self):
        self.steps, self.stopped = 0, False

    def __call__(self, *_, progress, **__):
        try:
            for step in range(2000):
                time.sleep(0.01)
                self.steps = step
                progress(step, 2000, "working")
        except Cancelled:
            self.stopped = True
            raise


def test_the_sum_and_the_highest_pixels_are_shown(viewer, qtbot, cube):
    widget = spectrum_dock(viewer, qtbot)
    pixels = 24 * 30
    assert np.allclose(curve(widget, "Mean").counts, cube.sum_spectrum() / pixels)
    widget.unit.setCurrentText("counts")
    widget.show_max.setChecked(True)
    assert np.array_equal(curve(widget, "Sum").counts, cube.sum_spectrum())
    assert np.array_equal(curve(widget, "Max pixel").counts, cube.max_spectrum())
    widget.plot.plot.setXRange(3, 7, padding=0)
    widget.scale.setCurrentText("log")
    assert np.allclose(widget.plot.plot.getViewBox().viewRange()[0], (3, 7))  # the zoom stays
    widget.scale.setCurrentText("√")
    assert np.allclose(widget.plot._heights(widget.plot.curves()[0]) ** 2, widget.plot.curves()[0].counts)
    widget.show_sum.setChecked(False)
    assert [shown.name for shown in widget.plot.curves()] == ["Max pixel"]


def test_a_region_has_its_spectrum_in_its_colour_and_is_followed(viewer, qtbot, cube):
    widget = spectrum_dock(viewer, qtbot)
    widget.unit.setCurrentText("counts")
    widget.new_regions.click()
    layer = viewer.layers.selection.active
    layer.add_rectangles(left_half(cube))
    qtbot.waitUntil(lambda: "Region 1" in [shown.name for shown in widget.plot.curves()])
    assert widget.plot.plot.viewRange()[1][1] > max(each.counts.max() for each in widget.plot.curves())
    iron = np.zeros(cube.map_shape, bool)
    iron[:, :15] = True
    assert np.array_equal(curve(widget, "Region 1").counts, cube.region_spectrum(iron))
    assert curve(widget, "Region 1").color == "#56b4e9"
    # A drag changes the data and says `set_data` at each step.
    layer._data_view.shift(0, np.array([0.0, 15.0]))
    layer.events.set_data()
    moved = cube.region_spectrum(~iron)
    qtbot.waitUntil(lambda: np.array_equal(curve(widget, "Region 1").counts, moved))
    layer.edge_color = [[1, 0, 0, 1]]
    qtbot.waitUntil(lambda: curve(widget, "Region 1").color == "#ff0000")
    layer.visible = False
    qtbot.waitUntil(lambda: [shown.name for shown in widget.plot.curves()] == ["Sum"])
    layer.visible = True
    qtbot.waitUntil(lambda: len(widget.plot.curves()) == 2)
    viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: [shown.name for shown in widget.plot.curves()] == ["Sum"])


def test_regions_of_a_file_get_colours_of_their_own_too(viewer, qtbot, cube):
    found = RegionSet((OutlinedRegion("rim", "rectangle", np.array([[1, 1], [1, 5], [4, 5], [4, 1]]), ""),))
    layer = viewer.add_layer(Layer.create(*region_layer(found, "mine")))
    widget = spectrum_dock(viewer, qtbot)
    layer.add_rectangles(np.array([[6, 6], [9, 9]]))
    qtbot.waitUntil(lambda: len(widget.plot.curves()) == 3)
    assert [curve.name for curve in widget.plot.curves()[1:]] == ["rim", "mine 2"]
    assert len({curve.color for curve in widget.plot.curves()}) == 3


def test_layers_may_go_while_the_dock_watches(viewer, qtbot, cube):
    widget = spectrum_dock(viewer, qtbot)
    widget.window.click()
    widget.new_regions.click()
    viewer.layers.selection.active.add_rectangles(left_half(cube))
    viewer.layers.clear()
    qtbot.wait(200)
    assert widget.maps.cube() is None
    assert widget.plot.curves() == ()
    assert not widget.find.isEnabled()
    widget.plot.set_window(3, 4)
    qtbot.wait(150)
    assert len(viewer.layers) == 0
    viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    qtbot.waitUntil(lambda: len(widget.plot.curves()) == 1, timeout=20_000)


def test_an_energy_window_becomes_a_map_that_follows(viewer, qtbot, cube):
    widget = spectrum_dock(viewer, qtbot)
    widget.window.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    low, high = widget.plot.window()
    assert low < 6.404 < high or low < 3.692 < high  # it starts on the highest peak
    layer = viewer.layers[-1]
    widget.plot.set_window(6.2, 6.6)
    qtbot.waitUntil(lambda: "6.20–6.60" in layer.name)
    assert np.array_equal(layer.data, cube.window_map(6.2, 6.6))
    assert layer.units == viewer.layers[0].units[1:]
    widget.keep.click()
    widget.plot.set_window(3.5, 3.9)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)
    assert "3.50" in viewer.layers[-1].name  # the live map lies above the kept one
    widget.bounds[0].setValue(3.6)
    widget.bounds[0].editingFinished.emit()
    assert widget.plot.window() == pytest.approx((3.6, 3.9))
    widget.bounds[0].setValue(5.0)
    widget.bounds[0].editingFinished.emit()
    assert widget.plot.window() == pytest.approx((5.0, 5.3))  # the other bound goes along
    widget.bounds[1].setValue(900.0)
    widget.bounds[0].setValue(900.0)
    widget.bounds[0].editingFinished.emit()
    assert [field.value() for field in widget.bounds] == pytest.approx((5.0, 5.3))
    widget.plot.set_window(-50, 3.9)
    assert widget.plot.window()[0] >= cube.energy.energies[0]
    assert np.array_equal(layer.data, cube.window_map(6.2, 6.6))
    widget.window.click()
    widget.plot.set_window(5, 6)
    qtbot.wait(150)
    assert len(viewer.layers) == 3


@pytest.mark.parametrize("ending", [".csv", ".msa"])
def test_a_spectrum_is_saved_as_counts(viewer, qtbot, cube, tmp_path, ending):
    widget = spectrum_dock(viewer, qtbot)
    path = tmp_path / f"mean{ending}"
    widget.save_curve("Mean", path)
    again = io.read_spectrum(path)
    assert np.array_equal(again.counts, cube.sum_spectrum())
    assert again.energy.width == pytest.approx(cube.energy.width)
    assert again.energy.offset == pytest.approx(cube.energy.offset)
    with pytest.raises(InvalidInput, match="no curve"):
        widget.save_curve("Nothing", path)


def test_lines_are_marked_and_wrong_names_are_told(viewer, qtbot):
    from napari.utils.notifications import notification_manager

    widget = spectrum_dock(viewer, qtbot)
    widget.set_elements("Fe, Ca")
    assert set(widget.plot.markers.names()) == {"Fe", "Ca"}
    assert "Fe Kα1" in widget.plot.describe(6.41)
    before = len(notification_manager.records)
    widget.set_elements("Fe, Qq")
    assert len(notification_manager.records) == before + 1
    assert "Qq" in notification_manager.records[-1].message
    assert widget.plot.markers.names() == ()  # those of what was written before would mislead


def test_the_slider_and_the_plot_move_each_other(viewer, qtbot):
    widget = spectrum_dock(viewer, qtbot)
    viewer.dims.set_point(0, 3.7)
    assert widget.plot.slice.value() == pytest.approx(3.7, abs=0.02)
    widget.plot.sliceMoved.emit(6.4)
    assert viewer.dims.point[0] == pytest.approx(6.4, abs=0.02)


def test_the_pixel_under_the_cursor_is_shown(viewer, qtbot, cube):
    widget = spectrum_dock(viewer, qtbot)
    widget.show_pixel.setChecked(True)
    viewer.cursor.position = (6.4, 40.0, 25.0)
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, None)
    qtbot.waitUntil(lambda: "Pixel 4, 2" in [shown.name for shown in widget.plot.curves()])
    assert np.array_equal(curve(widget, "Pixel 4, 2").counts, cube.spectrum_at(4, 2))


def test_a_formulas_expected_spectrum_is_laid_over(viewer, qtbot):
    widget = spectrum_dock(viewer, qtbot)
    widget.formula.setText("CaCO3")
    widget.formula.editingFinished.emit()
    qtbot.waitUntil(lambda: "CaCO3" in [shown.name for shown in widget.plot.curves()], timeout=60_000)
    expected = curve(widget, "CaCO3")
    peak = expected.energy.energies[int(np.argmax(expected.counts[100:]) + 100)]
    assert peak == pytest.approx(3.692, abs=0.05)
    widget.formula.setText("")
    widget.formula.editingFinished.emit()
    assert [shown.name for shown in widget.plot.curves()] == ["Mean"]


def test_element_maps_become_layers(viewer, qtbot):
    widget = dock(viewer, "Element maps")
    widget.tick(["Fe", "Ca"])
    assert widget.elements() == ("Fe", "Ca")
    widget.method.setCurrentIndex(1)
    widget.run.click()
    finish(widget, qtbot, 120)
    maps = {layer.metadata[FAMILY_KEY]: layer for layer in viewer.layers if FAMILY_KEY in layer.metadata}
    assert {"Fe K", "Ca K"} <= set(maps)
    iron = maps["Fe K"].data
    assert iron[:, :15].mean() > 5 * abs(iron[:, 15:].mean())
    # Of what was found, only the families that were seen: others are empty, or another element's.
    widget.find.click()
    finish(widget, qtbot, 120)
    iron = next(item for item in widget.list.items() if item.text().startswith("Fe "))
    assert re.fullmatch(r"Fe   K   [\d,]+ ± [\d,]+ counts   p [01]\.\d{3}", iron.text())
    before = len(viewer.layers)
    widget.tick(["Fe"])
    widget.run.click()
    finish(widget, qtbot, 120)
    assert [layer.metadata[FAMILY_KEY] for layer in viewer.layers[before:]] == ["Fe K"]
    # What was found without a tick is listed then, and in each dock that is opened later.
    widget.list.clear()
    widget.run.click()
    finish(widget, qtbot, 120)
    assert "Fe" in widget.elements()
    assert dock(viewer, "Quantities").list.names() == widget.list.names()
    widget.grid.setChecked(True)
    assert viewer.canvas.grid.enabled
    assert not viewer.layers["two phases"].visible
    widget.grid.setChecked(False)
    assert viewer.layers["two phases"].visible
    assert not viewer.canvas.grid.enabled


def test_minerals_are_named_and_tabled(viewer, qtbot, tmp_path):
    widget = dock(viewer, "Minerals")
    assert not widget.save_table.isEnabled()
    viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    qtbot.waitUntil(lambda: widget.table.rowCount() == 3)
    assert widget.table.item(0, 1).text() == "calcite"
    widget.write_table(tmp_path / "classes.csv")
    assert (tmp_path / "classes.csv").read_text().startswith("label,name,formula,color,pixels,area_mm2")
    labels = viewer.layers[-1]
    labels.data_setitem((np.arange(20), np.full(20, 29)), 2)
    labels.events.paint(value=[])
    qtbot.waitUntil(lambda: widget.table.item(0, 1).text().startswith("hematite"))
    viewer.layers.remove(labels)
    qtbot.waitUntil(lambda: widget.table.rowCount() == 0)


def test_own_minerals_are_added_and_a_bad_table_is_told(viewer, tmp_path):
    from napari_xrf.core.errors import FileError

    widget = dock(viewer, "Minerals")
    count = widget.list.count()
    path = tmp_path / "mine.csv"
    path.write_text("name,formula,density\nunobtainium,FePb3,9.5\n")
    widget.use_library(path)
    assert widget.list.count() == count + 1
    assert widget.ticked() == ("unobtainium",)
    path.write_text("name,formula,density\nbroken,Xx2,9.5\n")
    with pytest.raises(FileError, match="line 2, column formula"):
        widget.use_library(path)
    assert widget.list.count() == count + 1
    widget.filter.setText("unobt")
    assert sum(not widget.list.item(row).isHidden() for row in range(widget.list.count())) == 1


def test_methods_of_minerals_are_offered_with_a_users_own(viewer, qtbot, tmp_path):
    widget = dock(viewer, "Minerals")
    offered = [widget.methods.itemData(place) for place in range(widget.methods.count())]
    assert offered[0] == widget.methods.method() == "likelihood"
    assert {"mineral-mlp", "best"} <= set(offered)
    widget.methods.setCurrentIndex(offered.index("best"))
    assert widget.methods.method() == "best"
    for name, shipped in (("mine", "mineral-cnn"), ("lines", "line-mlp")):
        copied = tmp_path / f"{name}.safetensors"
        copied.write_bytes(shipped_models()[shipped].read_bytes())
        shelf_of(viewer).add(copied)
    own = str((tmp_path / "mine.safetensors").resolve())
    assert widget.methods.count() == len(offered) + 1  # what names no minerals is not offered
    assert widget.methods.method() == f"likelihood,mineral-mlp,{own}"


def test_two_label_maps_are_compared(viewer, qtbot):
    widget = dock(viewer, "Minerals")
    labels = two_phase_labels()
    first = viewer.add_layer(Layer.create(*label_layer(labels, "one")))
    assert not widget.agree.isEnabled()
    other = replace(labels, labels=np.where(labels.labels == 2, 3, labels.labels).astype(np.uint8))
    second = viewer.add_layer(Layer.create(*label_layer(other, "another")))
    widget.labels.choose(first)
    widget.other.choose(second)
    widget.agree.click()
    agreement, differences = viewer.layers["Agreement of one and another"], viewer.layers[-1]
    assert not agreement.visible
    assert "hematite / magnetite ≠ calcite" in set(differences.features["name"])
    assert (widget.labels.layer(), widget.other.layer()) == (first, second)


def test_a_mineral_map_is_made_and_reported(viewer, qtbot, tmp_path):
    widget = dock(viewer, "Minerals")
    widget.tick(("hematite", "calcite"))
    widget.run.click()
    finish(widget, qtbot, 120)
    layer = widget.labels.layer()
    assert layer is not None
    assert layer.name == "Minerals of two phases"
    assert (
        sum(int(widget.table.item(row, 5).text().replace(",", "")) for row in range(widget.table.rowCount()))
        == 720
    )
    widget.write_report(tmp_path / "report.html")
    assert "<html" in (tmp_path / "report.html").read_text()[:200].lower()
    widget.table.selectRow(0)
    widget.why.click()
    finish(widget, qtbot, 120)
    assert widget.evidence.plot.readout.text().startswith(widget.table.item(0, 1).text())
    widget.why_pixel.click()
    for callback in viewer.mouse_drag_callbacks:
        callback(viewer, SimpleNamespace(position=(6.4, *layer.data_to_world((3, 4)))))
    finish(widget, qtbot, 120)
    assert "pixel 3, 4" in widget.evidence.plot.readout.text()
    assert not widget.why_pixel.isChecked()
    for text in ("#000000", "#ffffff"):  # what was measured is seen in any theme
        widget.evidence.plot.set_colors("#888888", text)
        measured = widget.evidence.plot.plot.getPlotItem().listDataItems()[0]
        assert measured.opts["pen"].color().name() == text
    widget.evidence.close()
    widget.write_everything(tmp_path / "all")
    finish(widget, qtbot, 180)
    assert "calcite" in (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "all" / "maps.h5").exists()


def test_clean_up_makes_a_new_layer(viewer, qtbot):
    widget = dock(viewer, "Clean up labels")
    assert not widget.run.isEnabled()
    labels = viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    before = labels.data.copy()
    assert [str(step) for step in widget.steps()] == ["majority:3", "min-size:5"]
    # The first preview compiles, where no earlier run has kept what it compiled.
    qtbot.waitUntil(lambda: widget.changes.text().startswith("1 of 720 pixels"), timeout=120_000)
    widget.form.only.value = "calcite"
    qtbot.waitUntil(lambda: widget.changes.text().startswith("0 of 720 pixels"))
    widget.form.only.value = "all classes"
    widget.run.click()
    finish(widget, qtbot)
    assert np.array_equal(labels.data, before)
    cleaned = viewer.layers[-1]
    assert cleaned.name == "Minerals of two phases (cleaned)"
    assert cleaned.data[1, 1] == 2
    assert cleaned.data[0, 0] == 0
    assert np.array_equal(cleaned.scale, labels.scale)
    widget.undo.click()
    assert cleaned not in viewer.layers
    assert labels in viewer.layers
    assert not widget.undo.isEnabled()


def test_what_is_cleaned_lies_where_its_labels_lie(viewer, qtbot):
    data, keywords, kind = label_layer(two_phase_labels())
    labels = viewer.add_layer(Layer.create(data, keywords | {"translate": (0.0, 500.0)}, kind))
    widget = dock(viewer, "Clean up labels")
    widget.shown.setChecked(True)
    qtbot.waitUntil(lambda: "Clean-up preview" in viewer.layers, timeout=120_000)
    assert np.array_equal(viewer.layers["Clean-up preview"].translate, labels.translate)
    qtbot.wait(500)
    shown = viewer.layers["Clean-up preview"]
    qtbot.wait(500)  # the preview is a layer that comes, too: it was made again and again
    assert shown in viewer.layers
    widget.run.click()
    finish(widget, qtbot)
    assert np.array_equal(viewer.layers[-1].translate, labels.translate)


def test_what_was_said_of_a_file_goes_when_the_next_is_not_written(viewer, qtbot, tmp_path, monkeypatch):
    widget = dock(viewer, "Minerals")
    viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    name = [tmp_path / "classes.csv"]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(name[0]), "Table (*.csv)"))
    widget.save_table.click()
    assert widget.said.text() == f"{name[0]} is written"
    name[0] = tmp_path / "missing" / "classes.csv"
    widget.save_table.click()
    assert widget.said.text() == ""


def test_clean_up_is_previewed_on_the_view_in_a_worker(viewer, qtbot):
    viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    widget = dock(viewer, "Clean up labels")
    widget.shown.setChecked(True)
    qtbot.waitUntil(lambda: "Clean-up preview" in viewer.layers, timeout=120_000)
    assert "calcite: " in widget.changes.text()
    assert " → " in widget.changes.text()
    widget.form.potts.value = 1.0
    assert widget.order.text() == "majority:3,min-size:5,potts:1"
    widget.order.setText("potts:1,majority:5")  # an order of one's own
    assert [str(step) for step in widget.steps()] == ["potts:1", "majority:5"]
    widget.order.setText("median:3")
    widget._preview()
    qtbot.waitUntil(lambda: "no clean-up step" in widget.changes.text())
    widget.shown.setChecked(False)
    widget.order.setText("majority:3")
    widget._preview()
    qtbot.waitUntil(lambda: "Clean-up preview" not in viewer.layers, timeout=10_000)


def test_only_fitting_layers_are_offered(viewer, qtbot):
    viewer.add_image(np.ones((5, 5)), name="flat")
    viewer.add_image(np.ones((5, 5, 3)), rgb=True, name="photo")
    viewer.add_labels(np.ones((3, 5, 5), int), name="volume")
    viewer.add_points(np.ones((2, 2)), name="points")
    names = ("Spectrum", "Element maps", "Minerals")
    for name in names:
        maps = dock(viewer, name).maps
        assert [maps.itemText(index) for index in range(maps.count())] == ["two phases"], name
    cleaning = dock(viewer, "Clean up labels")
    assert cleaning.labels.count() == 0
    qtbot.waitUntil(lambda: cleaning.offered.text.text().startswith("'volume' is painted"))
    viewer.layers["two phases"].name = "renamed"
    assert dock(viewer, "Spectrum").maps.currentText() == "renamed"


def test_what_docks_side_by_side_offer_is_offered_once(qtbot):
    window, tabs = QWidget(), QTabWidget()
    qtbot.addWidget(window)
    offers = [_Offer() for _ in range(3)]  # one beside two in tabs
    window.setLayout(column(offers[0], tabs))
    for offer in offers[1:]:
        page = QWidget()
        page.setLayout(column(offer))
        tabs.addTab(page, "")
    window.show()

    def seen():
        return [offer.isVisible() for offer in offers]

    for offer in offers:
        offer.show_offer("It counts when it is flat", "Flatten it", tuple)
    assert seen() == [False, True, False]
    tabs.setCurrentIndex(1)
    assert seen() == [False, False, True]
    tabs.hide()
    assert seen() == [True, False, False]
    tabs.show()
    assert sum(seen()) == 1
    for offer in offers:
        offer.show_offer("", "", tuple)
    assert not any(seen())


def test_two_viewers_share_nothing(make_napari_viewer, viewer, qtbot):
    first = spectrum_dock(viewer, qtbot)
    other = make_napari_viewer()
    second = dock(other, "Spectrum")
    assert second.maps.cube() is None
    first.new_regions.click()
    viewer.layers.selection.active.add_rectangles(np.array([[2, 2], [8, 8]]))
    qtbot.waitUntil(lambda: len(first.plot.curves()) == 2)
    assert second.plot.curves() == ()
    assert len(other.layers) == 0
    assert second.maps.count() == 0


def test_a_job_reports_and_stops_soon(viewer, qtbot):
    widget = dock(viewer, "Element maps")
    work = Slow()
    widget.job_bar.run("Working", work, on_done=pytest.fail)
    qtbot.waitUntil(lambda: work.steps > 10)
    assert not widget.job_bar.isHidden()
    assert not widget.run.isEnabled()
    widget.job_bar.cancel_button.click()
    assert widget.job_bar.job is None  # at once, whenever the work reports next
    assert widget.run.isEnabled()
    qtbot.waitUntil(lambda: work.stopped, timeout=10_000)
    assert work.steps < 1500  # at the next report, not at the end


def test_an_error_in_a_job_is_one_notification(viewer, qtbot):
    from napari.utils.notifications import notification_manager

    def fail(*, progress):
        raise InvalidInput("the map is empty", "Choose another")

    before = len(notification_manager.records)
    widget = dock(viewer, "Element maps")
    widget.job_bar.run("Failing", fail, on_done=pytest.fail)
    qtbot.waitUntil(lambda: widget.job_bar.job is None)
    assert [note.message for note in notification_manager.records[before:]] == [
        "the map is empty. Choose another"
    ]


@pytest.mark.parametrize("close", ["dock", "viewer"])
def test_closing_stops_the_work(viewer, qtbot, close):
    wrapped, widget = viewer.window.add_plugin_dock_widget("napari-xrf", "Element maps")
    work = Slow()
    widget.job_bar.run("Working", work, on_done=pytest.fail)
    qtbot.waitUntil(lambda: work.steps > 5)
    if close == "dock":
        wrapped.destroyOnClose()
    else:
        viewer.close()
    qtbot.waitUntil(lambda: work.stopped, timeout=2000)


def test_a_closed_dock_hears_no_more(viewer, qtbot, cube):
    wrapped, widget = viewer.window.add_plugin_dock_widget("napari-xrf", "Spectrum")
    qtbot.waitUntil(lambda: widget._summary is not None, timeout=20_000)
    widget.new_regions.click()
    layer = viewer.layers.selection.active
    callbacks = len(viewer.mouse_move_callbacks)
    wrapped.destroyOnClose()
    qtbot.wait(100)
    assert len(viewer.mouse_move_callbacks) == callbacks - 1
    layer.add_rectangles(left_half(cube))
    viewer.dims.set_point(0, 3.0)
    viewer.layers.remove(layer)
    viewer.theme = "light"
    qtbot.wait(150)
    again = spectrum_dock(viewer, qtbot)
    assert again is not widget
    assert len(again.plot.curves()) == 1


def test_a_packed_map_is_decoded_behind_the_window(make_napari_viewer, qtbot, cube):
    from napari_xrf.plugin.layers.loading import follow_opening

    viewer = make_napari_viewer()
    packed = SlowCounts(cube.counts, 0.01)
    lazy = SpectralCube(packed, cube.energy, "packed", cube.pixel_size)
    layer = viewer.add_layer(Layer.create(*cube_layers(lazy)[-1]))
    follow_opening(lazy)
    widget = dock(viewer, "Spectrum")
    assert not isinstance(layer.data, np.ndarray)
    qtbot.waitUntil(lambda: isinstance(layer.data, np.ndarray), timeout=20_000)
    assert np.array_equal(layer.data, np.moveaxis(cube.counts, -1, 0))
    assert packed.rows_read == 24
    assert cube_from(layer).is_loaded
    assert viewer.dims.point[0] == pytest.approx(6.4, abs=0.3) or viewer.dims.point[0] == pytest.approx(
        3.7, abs=0.3
    )
    qtbot.waitUntil(lambda: len(widget.plot.curves()) == 1, timeout=20_000)
    assert np.allclose(widget.plot.curves()[0].counts * 720, cube.sum_spectrum())


def test_decoding_can_be_cancelled_in_naparis_activity(make_napari_viewer, qtbot, cube):
    from napari.utils import progress as bars

    from napari_xrf.plugin.layers.loading import load_in_background

    viewer = make_napari_viewer()
    packed = SlowCounts(cube.counts, 0.1)
    lazy = SpectralCube(packed, cube.energy, "packed")
    layer = viewer.add_layer(Layer.create(*cube_layers(lazy)[-1]))
    load_in_background(lazy)
    load_in_background(lazy)  # a second call while it runs does nothing
    qtbot.waitUntil(lambda: packed.rows_read > 1 and bool(bars._all_instances))
    (bar,) = bars._all_instances
    bar.cancel()
    qtbot.waitUntil(lambda: not running_on(lazy), timeout=2000)
    assert packed.rows_read < 24
    assert layer.metadata[CUBE_KEY] is lazy
    viewer.dims.set_point(0, 3.7)  # slices are still read from the file


def test_napari_makes_no_bar_for_a_job_that_is_soon_done(viewer, qtbot, monkeypatch):
    made = []
    monkeypatch.setattr("napari.utils.cancelable_progress", lambda **options: made.append(options))
    job = Job("Soon done", lambda progress: None)
    with qtbot.waitSignal(job.ended):
        job.start()
    qtbot.wait(500)
    assert not made


def test_a_bad_file_is_one_notification(make_napari_viewer, qtbot, tmp_path):
    from napari.utils.notifications import notification_manager
    from qtpy.QtCore import QTimer

    viewer = make_napari_viewer()
    path = tmp_path / "broken.bcf"
    path.write_bytes(b"AAMVHFSS" + bytes(2000))
    before = len(notification_manager.records)
    opened = []
    # As from the menu: inside the event loop.
    QTimer.singleShot(0, lambda: opened.append(viewer.window._qt_viewer._qt_open([str(path)], stack=False)))
    qtbot.waitUntil(lambda: len(notification_manager.records) > before, timeout=60_000)
    qtbot.waitUntil(lambda: not viewer.layers)
    (note,) = [note.message for note in notification_manager.records[before:]]
    assert "broken.bcf" in note
    assert len(viewer.layers) == 0
    viewer.add_image(np.ones((3, 3)))


def test_an_unknown_hdf5_layout_is_asked_about(make_napari_viewer, qtbot, tmp_path):
    import h5py
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    from napari_xrf.plugin.forms.dialogs import DatasetDialog

    counts = np.random.default_rng(0).poisson(3, (200, 6, 7)).astype(np.uint16)
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        file["strange/place"] = counts
    viewer = make_napari_viewer()
    done = []

    def answer():
        shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, DatasetDialog) and w.isVisible()]
        if not shown:  # a busy machine takes its time
            QTimer.singleShot(100, answer)
            return
        (dialog,) = shown
        assert "strange/place" in dialog.datasets.currentText()
        dialog.axes.setCurrentIndex(0)
        dialog.energies.setText("0.1: 0.02")
        dialog.accept()

    def open_it():
        QTimer.singleShot(200, answer)
        viewer.open(str(path), plugin="napari-xrf")
        done.append(True)

    QTimer.singleShot(0, open_it)
    qtbot.waitUntil(lambda: bool(done), timeout=10_000)
    qtbot.waitUntil(lambda: any(CUBE_KEY in layer.metadata for layer in viewer.layers), timeout=10_000)
    (layer,) = (layer for layer in viewer.layers if CUBE_KEY in layer.metadata)
    assert np.array_equal(np.asarray(layer.data), counts)
    assert cube_from(layer).energy.energies[:2] == pytest.approx([0.1, 0.12])
    made = {}
    exec(script_of([layer]), made)
    assert made["cube"].energy == cube_from(layer).energy


def test_a_map_without_energies_is_offered_to_be_given_some(make_napari_viewer, qtbot, cube, tmp_path):
    viewer = make_napari_viewer()
    _, notes = assumed_axis(cube.energy.size)
    unsure = replace(cube, provenance=replace(cube.provenance, warnings=notes))
    viewer.add_layer(Layer.create(*cube_layers(unsure)[-1]))
    widget = spectrum_dock(viewer, qtbot)
    assert widget.offered.button.text() == "Preparation"
    widget.offered.button.click()
    prepare = next(each for each in viewer.window.dock_widgets.values() if isinstance(each, PreparationDock))
    prepare.axis.setText("-0.1 : 0.02")
    prepare.axis.editingFinished.emit()
    assert prepare.order.text() == "energy:-0.1:0.02"
    prepare.run.click()
    finish(prepare, qtbot)
    assert cube_from(viewer.layers.selection.active).energy.offset == -0.1
    assert (prepare.axis.text(), prepare.order.text()) == ("", "")  # once is enough
    qtbot.waitUntil(lambda: widget._summary is not None and not widget.offered.isVisible())


def test_a_job_is_over_when_its_result_is_there(viewer, qtbot, monkeypatch):
    run = Job._run
    monkeypatch.setattr(Job, "_run", lambda job: (run(job), time.sleep(0.3)))  # a thread that ends late
    results = []
    job = Job("Counting", lambda progress: progress(1, 1, "one") or 42, on_done=results.append).start()
    qtbot.waitUntil(lambda: results == [42])
    assert not job.running


def test_a_job_tells_when_loops_are_compiled(viewer, qtbot):
    shown = []

    def work(progress):
        for tell in compiled_code._hearers:
            tell(compiled_code.COMPILING)

    job = Job("Counting", work)
    job.progressed.connect(lambda done, total, what: shown.append(what))
    job.start()
    qtbot.waitUntil(lambda: not job.running)
    assert shown == [compiled_code.COMPILING]


def test_a_job_is_not_over_before_its_result_is_told(viewer, qtbot):
    seen = []

    def tell(result):
        qtbot.wait(300)  # as napari handles events while it adds a layer
        seen.append(job.running)

    job = Job("Counting", lambda progress: 42, on_done=tell).start()
    qtbot.waitUntil(lambda: seen == [True])
    qtbot.waitUntil(lambda: not job.running)


def test_no_job_waits_for_others(viewer, qtbot):
    from qtpy.QtCore import QThreadPool

    long, results = [], []
    for _ in range(QThreadPool.globalInstance().maxThreadCount()):
        work = Slow()
        long.append(Job("Long", work).start())
        qtbot.waitUntil(lambda work=work: work.steps > 1)
    Job("Short", lambda progress: 42, on_done=results.append).start()
    qtbot.waitUntil(lambda: results == [42])
    for job in long:
        job.cancel()
    qtbot.waitUntil(lambda: not any(job.running for job in long))


def test_spectra_are_read_from_the_file_when_decoding_is_cancelled(make_napari_viewer, qtbot, cube):
    viewer = make_napari_viewer()
    packed = SlowCounts(cube.counts, 0.05)
    lazy = SpectralCube(packed, cube.energy, "packed")
    layer = viewer.add_layer(Layer.create(*cube_layers(lazy)[-1]))
    widget = dock(viewer, "Spectrum")
    qtbot.waitUntil(lambda: packed.rows_read > 1)
    assert widget.plot.curves() == ()
    running_on(lazy).cancel()
    qtbot.waitUntil(lambda: len(widget.plot.curves()) == 1, timeout=20_000)
    assert layer.metadata[CUBE_KEY] is lazy
    assert np.allclose(widget.plot.curves()[0].counts * 720, cube.sum_spectrum())


def test_a_table_on_a_small_screen_shows_more_than_three_rows(viewer, qtbot):
    widget = dock(viewer, "Model inference")
    table = widget.table
    table.show_rows([("quartz", "99.9%", "")] * 9)
    table.resize(300, table.minimumHeight())  # as a dock leaves it that has to scroll
    assert table.rowHeight(0) > table.fontMetrics().height()
    shown = table.viewport().height() // table.rowHeight(0)
    assert shown >= 5


def test_names_that_begin_alike_are_told_apart_in_a_narrow_table(viewer, qtbot):
    table = Table(("", "Mineral"), stretched=1)
    qtbot.addWidget(table)
    names = ["columbite-(Fe) / columbite-(Mn)", "columbite-(Fe) / columbite-(Mn) / tantalite-(Mn)", "quartz"]
    names.append(f"{names[1]} / tantalite-(Fe) / tapiolite-(Fe)")
    table.show_rows([("", name) for name in names])
    table.resize(170, 300)
    table.show()
    letters = table.fontMetrics().height()
    qtbot.waitUntil(lambda: table.rowHeight(0) > 2 * letters)
    assert table.rowHeight(1) > 3 * letters
    assert table.rowHeight(2) < 2 * letters
    assert table.rowHeight(3) > 5 * letters  # its last alternatives were cut
    table.resize(900, 300)
    qtbot.waitUntil(lambda: table.rowHeight(1) == table.rowHeight(2))


def test_class_rows_select_rename_recolour_merge_and_sort(viewer, qtbot):
    widget = dock(viewer, "Minerals")
    layer = viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    table = widget.table
    qtbot.waitUntil(lambda: table.rowCount() == 3)
    names = [row[1] for row in table.rows()]
    table.selectRow(names.index("calcite"))
    label = table.selected()[0]
    assert layer.selected_label == label
    table.rename(label, "dolomite")
    table.recolor(label, "#123456")
    qtbot.waitUntil(lambda: "dolomite" in [row[1] for row in table.rows()])
    assert np.allclose(layer.get_color(label)[:3], np.array([0x12, 0x34, 0x56]) / 255, atol=0.01)
    assert "dolomite" in layer.features["name"].tolist()
    table.horizontalHeader().sectionClicked.emit(1)
    sorted_names = [row[1] for row in table.rows()]
    assert sorted_names == sorted(sorted_names, key=str.casefold)
    before = layer.data.copy()
    table.selectAll()
    table.merge(table.selected())
    qtbot.waitUntil(lambda: table.rowCount() == 1)
    layer.undo()
    qtbot.waitUntil(lambda: table.rowCount() == 3)  # undo reaches the table
    assert np.array_equal(layer.data, before)


def test_undecided_pixels_stand_in_table_and_legend(viewer, qtbot):
    widget = dock(viewer, "Minerals")
    labels = two_phase_labels(confidence=False)
    labels.labels[2:4, 2:7] = 1
    undecided = np.zeros(labels.labels.shape, dtype=bool)
    undecided[2:4, 2:6] = True
    found = SimpleNamespace(undecided=undecided, abundances_of=lambda _: None)
    data = with_keywords(label_layer(labels), metadata={CLASSIFICATION_KEY: (None, found)})
    layer = viewer.add_layer(Layer.create(*data))
    table = widget.table
    qtbot.waitUntil(lambda: table.rowCount() == 4)
    assert [row[1] for row in table.rows()][2:] == ["unknown", "of it undecided"]
    assert table.rows()[3][5] == "8"
    table.selectAll()
    assert sorted(table.selected()) == [1, 2, 3]  # it is no class
    table.horizontalHeader().sectionClicked.emit(1)
    names = [row[1] for row in table.rows()]
    assert names.index("of it undecided") == names.index("unknown") + 1
    assert table.rows()[names.index("of it undecided")][2] == ""  # areas are of what pixels hold
    widget.legend.setChecked(True)
    assert "unknown (73% undecided)" in {text.strip() for text in viewer.layers["Legend"].text.values}
    layer.data_setitem((np.full(4, 2), np.arange(2, 6)), 3)  # decided by hand
    qtbot.waitUntil(lambda: "4" in [row[5] for row in table.rows() if row[1] == "of it undecided"])
    layer.data_setitem((np.full(4, 3), np.arange(2, 6)), 3)
    qtbot.waitUntil(lambda: table.rowCount() == 3)


def test_a_new_class_has_one_colour_in_layer_and_table(viewer, qtbot):
    widget = dock(viewer, "Minerals")
    layer = viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    layer.data_setitem((np.arange(9), np.arange(9)), 7)
    qtbot.waitUntil(lambda: "label 7" in [row[1] for row in widget.table.rows()])
    row = [row[1] for row in widget.table.rows()].index("label 7")
    shown = widget.table.item(row, 0).data(Qt.ItemDataRole.DecorationRole)
    assert layer.get_color(7)[3] == 1
    assert np.allclose((shown.redF(), shown.greenF(), shown.blueF()), layer.get_color(7)[:3], atol=0.01)


def test_classes_of_a_label_map_have_curves(viewer, qtbot, cube):
    widget = spectrum_dock(viewer, qtbot)
    labels = two_phase_labels()
    viewer.add_layer(Layer.create(*label_layer(labels)))
    widget.unit.setCurrentText("counts")
    widget.show_classes.setChecked(True)
    qtbot.waitUntil(lambda: len(widget.plot.curves()) == 4, timeout=20_000)
    calcite = next(entry for entry in labels.classes if entry.name == "calcite")
    assert np.array_equal(
        curve(widget, "calcite").counts, cube.region_spectrum(labels.labels == calcite.label)
    )
    assert curve(widget, "calcite").color == calcite.color


def test_a_clicked_peak_is_named_and_mapped(viewer, qtbot):
    widget = spectrum_dock(viewer, qtbot)
    best, *_ = widget.peak_candidates(6.41)
    assert best.family == "Fe K"
    widget.map_family(best.family)
    qtbot.waitUntil(lambda: "Fe K" in viewer.layers, timeout=60_000)


def test_all_spectra_go_into_one_table(viewer, qtbot, cube, tmp_path):
    widget = spectrum_dock(viewer, qtbot)
    widget.show_max.setChecked(True)
    widget.save_curves(tmp_path / "all.csv")
    head, *rows = (tmp_path / "all.csv").read_text().splitlines()
    assert head == "energy_keV,Mean,Max pixel"
    assert sum(int(row.split(",")[1]) for row in rows) == int(cube.sum_spectrum().sum())


def test_wrong_formulas_leave_no_curve_and_are_told_once(viewer, qtbot):
    from napari.utils.notifications import notification_manager

    widget = spectrum_dock(viewer, qtbot)
    widget.formula.setText("CaCO3")
    widget.formula.editingFinished.emit()
    qtbot.waitUntil(lambda: "CaCO3" in [shown.name for shown in widget.plot.curves()], timeout=60_000)
    before = len(notification_manager.records)
    widget.formula.setText("Xx9")
    widget.formula.editingFinished.emit()
    assert [shown.name for shown in widget.plot.curves()] == ["Mean"]
    qtbot.waitUntil(lambda: len(notification_manager.records) > before, timeout=20_000)
    widget.elements.setText("Qq")
    for field in (widget.formula, widget.formula, widget.elements, widget.elements):
        field.editingFinished.emit()  # as at Enter, and when the field is left
    qtbot.wait(500)
    assert len(notification_manager.records) == before + 2


def test_removing_the_map_stops_the_work_on_it(viewer, qtbot):
    widget = dock(viewer, "Element maps")
    work = Slow()
    widget.maps.run("Working", work, on_done=pytest.fail)
    qtbot.waitUntil(lambda: work.steps > 5, timeout=30_000)
    viewer.layers.clear()
    qtbot.waitUntil(lambda: work.stopped, timeout=10_000)


def test_counts_per_second_are_those_of_live_time(make_napari_viewer, qtbot, cube):
    timed = replace(cube, live_time=np.full(cube.map_shape, 0.5))
    viewer = make_napari_viewer()
    viewer.add_layer(Layer.create(*cube_layers(timed)[-1]))
    widget = spectrum_dock(viewer, qtbot)
    widget.unit.setCurrentText("counts per second")
    assert np.allclose(curve(widget, "Sum").counts, cube.sum_spectrum() / (0.5 * 24 * 30))
    viewer.layers.clear()
    viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    qtbot.waitUntil(lambda: bool(widget.plot.curves()), timeout=20_000)
    assert widget.unit.currentText() == "counts per pixel"  # this one holds no times


def test_names_of_lines_lie_not_over_each_other_in_a_low_plot(viewer, qtbot):
    widget = spectrum_dock(viewer, qtbot)
    widget.plot.plot.resize(460, 400)
    widget.set_elements("K, Ca, Mn, Fe, Rb, Ta L")
    widget.plot.plot.resize(460, 200)
    markers = widget.plot.markers
    assert len(markers.written.shown()) > 6
    lowest = min(text.pos().y() for text in markers.written.shown())
    assert max(stem.yData.max() for stem, _ in markers.stems) < lowest  # no name is crossed out
    widget.show_artefacts.setChecked(True)
    widget.show_max.setChecked(True)  # the legend grows
    for height in (120, 160, 200):
        widget.plot.plot.resize(460, height)
        shown = markers.written.shown()
        assert shown
        boxes = [text.mapRectToScene(text.boundingRect()).adjusted(0.5, 0.5, -0.5, -0.5) for text in shown]
        boxes.append(widget.plot.legend.mapRectToScene(widget.plot.legend.rect()))
        whole = widget.plot.plot.getViewBox().sceneBoundingRect().adjusted(-1, -1, 1, 1)
        for number, one in enumerate(boxes):
            assert whole.left() <= one.left()
            assert one.right() <= whole.right()
            assert not any(one.intersects(other) for other in boxes[:number])


def test_marks_are_darker_on_a_light_background(viewer, qtbot):
    widget = spectrum_dock(viewer, qtbot)
    widget.set_elements("Fe, Ca, K, Si")  # the fourth is yellow

    def lightness():
        return [stem.opts["pen"].color().lightness() for stem, _ in widget.plot.markers.stems]

    dark = lightness()
    widget.plot.set_colors("#ffffff", "#000000")
    assert all(light < before for light, before in zip(lightness(), dark, strict=True))
    widget.plot.set_colors("#262930", "#ffffff")
    assert lightness() == dark
