"""The base of the docks: what listens to the viewer ends with the dock, however that goes."""

import subprocess
import sys
import threading
import time
import weakref
from functools import partial

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QWidget

from napari_xrf.core.errors import InvalidInput
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.page import TabsOverPlot
from napari_xrf.plugin.forms.parts import row
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.jobs.job import Job
from napari_xrf.plugin.layers.cubes import cube_layers
from two_phase_maps import two_phase_cube

pytestmark = pytest.mark.gui


@pytest.fixture
def cube():
    return two_phase_cube()[0]


class Listener(Dock):
    def __init__(self, viewer):
        super().__init__(viewer)
        self.heard, self.colors = [], []
        self.maps = MapChoice(self)
        self.labels = LabelsChoice(self)
        self.follow(viewer.dims.events.point, self._hear)
        self.follow_theme(lambda *colors: self.colors.append(colors))

    def _hear(self, event):
        self.heard.append(event)


def listeners(viewer):
    layers, dims = viewer.layers.events, viewer.dims.events
    own = [layer.events.name for layer in viewer.layers] + [layer.events.data for layer in viewer.layers]
    emitters = (layers.inserted, layers.removed, dims.point, viewer.events.theme, *own)
    return sum(len(emitter.callbacks) for emitter in emitters)


@pytest.mark.parametrize("way", ["closed", "deleted in its dock", "deleted on its own"])
def test_nothing_listens_on_when_a_dock_has_gone(viewer, qtbot, way):
    before = listeners(viewer)
    dock = Listener(viewer)
    wrapped = None if way == "deleted on its own" else viewer.window.add_dock_widget(dock, name="listener")
    assert listeners(viewer) > before
    viewer.dims.set_point(0, 3.0)
    assert dock.heard
    heard, colors = dock.heard, dock.colors
    gone = []
    dock.destroyed.connect(lambda: gone.append(True))
    if way == "closed":
        wrapped.destroyOnClose()
        assert listeners(viewer) == before
    else:
        dock.deleteLater()
    del dock
    qtbot.waitUntil(lambda: bool(gone))
    assert listeners(viewer) == before
    counts = len(heard), len(colors)
    viewer.dims.set_point(0, 5.0)
    viewer.theme = "light"
    viewer.layers[0].name = "renamed"
    viewer.layers.clear()
    assert (len(heard), len(colors)) == counts


def test_a_file_that_cannot_be_written_is_one_notification(viewer, monkeypatch):
    from napari.utils.notifications import notification_manager
    from qtpy.QtWidgets import QFileDialog

    def fail(path):
        raise InvalidInput(f"{path.name} is full", "Empty it")

    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("disk.h5", ""))
    before = len(notification_manager.records)
    Listener(viewer).save_as("Save", "disk.h5", "HDF5 (*.h5)", fail)
    assert [note.message for note in notification_manager.records[before:]] == ["disk.h5 is full. Empty it"]


def test_one_end_that_fails_keeps_no_other_from_ending(viewer, qtbot):
    dock = Listener(viewer)
    ended = []

    def fail():
        raise RuntimeError("Internal C++ object already deleted.")

    dock.when_closed(lambda: ended.append("first"))
    dock.when_closed(fail)
    gone = []
    dock.destroyed.connect(lambda: gone.append(True))
    dock.deleteLater()
    del dock
    qtbot.waitUntil(lambda: bool(gone))
    assert ended == ["first"]


def test_what_the_user_chooses_is_there_again_in_a_new_dock(viewer, qtbot):
    from napari.settings import get_plugin_settings
    from qtpy.QtCore import Qt

    from napari_xrf.plugin.docks.spectrum import SpectrumDock

    kept = get_plugin_settings("napari-xrf")
    first = SpectrumDock(viewer)
    first.scale.setCurrentText("√")  # a program's choice is not the user's
    assert kept.spectrum.scale == "linear"
    first.scale.setFocus()
    qtbot.keyClick(first.scale, Qt.Key.Key_Down)
    first.smooth.click()
    second = SpectrumDock(viewer)
    assert (second.scale.currentText(), second.smooth.isChecked()) == ("log", True)
    assert second.plot._scale == "log"


def test_the_menu_brings_a_dock_behind_another_to_the_front_and_hides_one_that_is_seen(viewer, qtbot):
    from napari._qt._qplugins._qnpe2 import _toggle_or_get_widget

    docks = [viewer.window.add_plugin_dock_widget("napari-xrf", name)[0] for name in ("Regions", "Scatter")]
    viewer.window._qt_window.show()
    behind, front = docks

    def seen(dock):
        return dock.isVisible() and not dock.visibleRegion().isEmpty()

    def choose(dock):
        _toggle_or_get_widget("napari-xrf", dock.name.partition(" (")[0], dock.name)

    qtbot.waitUntil(lambda: seen(front) and not seen(behind))
    choose(behind)
    qtbot.waitUntil(lambda: seen(behind) and not seen(front))
    choose(behind)
    qtbot.wait(100)
    assert behind.isHidden()
    choose(behind)
    qtbot.waitUntil(lambda: seen(behind))
    for dock in docks:
        dock.hide()
    qtbot.wait(100)
    assert behind.isHidden()
    assert front.isHidden()


def test_settings_offer_what_the_docks_do(viewer):
    from napari.settings import get_plugin_settings

    from napari_xrf.plugin.docks.element_maps import ElementMapsDock
    from napari_xrf.plugin.docks.spectrum import SpectrumDock

    kept = get_plugin_settings("napari-xrf")
    maps, spectrum = ElementMapsDock(viewer), SpectrumDock(viewer)
    for section, name, box in (
        (kept.element_maps, "method", maps.method),
        (kept.spectrum, "scale", spectrum.scale),
        (kept.spectrum, "unit", spectrum.unit),
    ):
        offered = type(section).model_json_schema()["properties"][name]["enum"]
        assert offered == [box.itemText(index) for index in range(box.count())]


def test_keys_open_docks_and_draw(viewer, qtbot):
    from qtpy.QtWidgets import QShortcut

    from napari_xrf.plugin.window import KEYS

    for name in ("Element maps", "Minerals"):
        viewer.window.add_plugin_dock_widget("napari-xrf", name)
    window = viewer.window._qt_window
    qtbot.waitUntil(lambda: "Alt+R" in [each.key().toString() for each in window.findChildren(QShortcut)])
    bound = {each.key().toString(): each for each in window.findChildren(QShortcut)}
    assert {f"Alt+{key}" for key in KEYS} <= set(bound)
    bound["Alt+2"].activated.emit()
    bound["Alt+2"].activated.emit()
    assert [name for name in viewer.window.dock_widgets if "Preparation" in name] == [
        "Preparation (X-ray fluorescence)"
    ]
    bound["Alt+R"].activated.emit()
    assert viewer.layers[-1].mode == "add_rectangle"


def test_a_job_and_the_dock_it_answers_die_in_the_windows_thread(qtbot):
    # The thread ends last: Qt's objects that only it held were destroyed there, which aborts at times.
    class Answered(QWidget):
        def take(self, result):
            pass

    died = []

    def watch(each):
        weakref.finalize(each, lambda: died.append(threading.current_thread()))
        return each

    for _number in range(40):
        widget = watch(Answered())
        job = watch(Job("Counting", lambda progress: time.sleep(0.001), on_done=widget.take))
        ended = []
        job.ended.connect(partial(ended.append, True))
        watch(job.start()._worker)
        del widget, job
        qtbot.waitUntil(partial(bool, ended))
    assert len(died) >= 80
    assert set(died) == {threading.main_thread()}


def test_a_script_ends_quietly_while_a_job_runs():
    code = (
        "import time; from qtpy.QtWidgets import QApplication; app = QApplication([])\n"
        "from napari_xrf.plugin.jobs.job import Job\n"
        "def work(progress): time.sleep(1.5)\n"
        "job = Job('work', work).start(); time.sleep(0.2)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_dock_is_there_before_napari_reads_all_manifests(viewer, qtbot, monkeypatch):
    from napari.settings import get_plugin_settings

    from napari_xrf.plugin.docks.spectrum import SpectrumDock

    get_plugin_settings("napari-xrf").spectrum.scale = "log"
    monkeypatch.setattr("napari_xrf.plugin.docks.dock.are_settings_read", lambda: False)
    first, second = SpectrumDock(viewer), SpectrumDock(viewer)
    second.scale.setCurrentText("√")
    assert first.scale.currentText() == "linear"
    qtbot.waitUntil(lambda: first.scale.currentText() == "log")
    assert second.scale.currentText() == "√"


def test_a_plot_that_appears_below_the_fold_is_scrolled_to(viewer, qtbot):
    dock, plot = Listener(viewer), QWidget()
    plot.setMinimumHeight(150)
    parts = TabsOverPlot([("Form", QWidget())], plot, 200)
    dock.lay_out((parts, 1), QLabel("Seed"), foot=row())
    dock.resize(300, 300)
    dock.show()
    qtbot.waitExposed(dock)
    qtbot.wait(50)
    parts.show_plot()
    dock.see(plot)
    qtbot.waitUntil(lambda: plot.visibleRegion().boundingRect().height() >= 150)
    dock.hide()


def test_a_dock_widens_with_parts_that_come_and_stays_as_narrow_as_it_is_made(make_napari_viewer, qtbot):
    class Wide(Dock):
        title = "Wide"

        def __init__(self, viewer):
            super().__init__(viewer)
            self.part = QLabel("x")
            self.part.setFixedWidth(380)
            self.part.hide()
            self.lay_out(self.part, foot=row(None))

    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    widget = Wide(viewer)
    docked = viewer.window.add_dock_widget(widget, name="Wide")
    qtbot.waitUntil(lambda: widget._needed > 0)
    assert docked.width() < 380
    widget.part.show()
    qtbot.waitUntil(lambda: docked.width() >= 380)
    docked.parent().resizeDocks([docked], [300], Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: docked.width() < 380)
    widget.part.setText("another")
    qtbot.wait(100)
    assert docked.width() < 380


def test_long_messages_scroll(viewer):
    dock = Listener(viewer)
    dock.lay_out(None, foot=row())
    dock.resize(300, 400)
    dock.warn("short")
    low = dock.said.height()
    dock.warn("a long message " * 60)
    assert low < dock.said.height() < 120
    assert dock.said.text().startswith("a long")


def test_what_was_said_of_a_layer_goes_with_it(viewer):
    listener = Listener(viewer)
    viewer.window.add_dock_widget(listener)
    first, other, last = (viewer.add_labels(np.ones((4, 4), int), name=name) for name in ("rock", "K", "Ca"))
    listener.tell("12 pixels of 'rock' are Ka")
    viewer.layers.remove(other)
    assert "rock" in listener.said.text()
    viewer.layers.remove(first)
    assert listener.said.text() == ""
    listener.tell("measured")
    viewer.layers.remove(last)
    viewer.layers.clear()
    assert listener.said.text() == ""


def test_what_starts_a_docks_job_is_seen_in_a_small_window(make_napari_viewer, cube, npe2pm, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    starts = {"Scatter": "matrix", "Spectrum": "new_regions"}
    titles = [each.display_name for each in npe2pm.get_manifest("napari-xrf").contributions.widgets]
    assert len(titles) >= 14
    for title in titles:
        dock, widget = viewer.window.add_plugin_dock_widget("napari-xrf", title)
        qtbot.waitUntil(widget.isVisible)
        start = getattr(widget, starts.get(title, "run"))
        qtbot.waitUntil(lambda start=start: start.visibleRegion().boundingRect() == start.rect())
        assert viewer.window._qt_window.height() <= 768, title
        dock.destroyOnClose()


def test_results_stay_in_sight_when_a_dock_is_squeezed(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    widget = Dock(viewer)
    results = Table(("result",))
    results.setFixedHeight(100)
    results.show_rows([("quartz",), ("calcite",)])
    results.selectRow(0)  # Qt would scroll to this row alone
    above = QLabel("fields")
    above.setFixedHeight(300)
    widget.lay_out(above, results, foot=row())
    widget.setParent(None)
    widget.resize(300, 600)
    widget.show()
    widget.see(results)
    qtbot.waitUntil(lambda: results.visibleRegion().boundingRect().height() == 100)
    widget.resize(300, 200)
    qtbot.waitUntil(lambda: results.visibleRegion().boundingRect().height() == 100)
    widget.close()


def test_a_dock_hears_nothing_amiss_when_its_window_goes_first(make_napari_viewer, qtbot):
    widget = Dock(make_napari_viewer())
    outer = QDockWidget()  # in no main window any more
    qtbot.addWidget(outer)
    outer.setWidget(widget)
    widget._follow_sight(False)
    outer.show()  # tells the dock, too
    assert widget.isVisible()
