"""Files in a running napari: read behind the window, and what is seen of them first."""

import gc
import weakref
from functools import partial

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget

from docks import finish
from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.own.element_map_files import write_element_maps
from napari_xrf.plugin import sample_data
from napari_xrf.plugin.layers import opening
from napari_xrf.plugin.layers.cubes import CUBE_KEY, cube_from
from napari_xrf.plugin.layers.layer_data import call_in_turns, is_adding
from napari_xrf.plugin.layers.opening import NOTHING_TO_ADD, Opening, open_behind
from two_phase_maps import two_phase_cube

pytestmark = pytest.mark.gui


def from_the_menu(viewer, *paths):
    """Open as napari's menu does: inside the event loop."""
    names = [str(path) for path in paths]
    QTimer.singleShot(0, lambda: viewer.window._qt_viewer._qt_open(names, stack=False, plugin="napari-xrf"))


def maps(viewer):
    return [layer for layer in viewer.layers if CUBE_KEY in layer.metadata]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rock.h5"
    io.write_cube(path, two_phase_cube()[0])
    return path


def test_a_sample_of_the_menu_opens_without_an_error(make_napari_viewer, qtbot, monkeypatch):
    monkeypatch.setattr(sample_data, "_ROCK", (12, 14))
    viewer, errors = make_napari_viewer(), []

    def from_the_menu() -> None:
        try:
            viewer.open_sample("napari-xrf", "pegmatite")
        except ValueError as error:  # napari's, where a sample adds no layer at once
            errors.append(error)

    QTimer.singleShot(0, from_the_menu)
    names = ["True minerals", "synthetic pegmatite"]
    qtbot.waitUntil(lambda: errors or sorted(layer.name for layer in viewer.layers) == names, timeout=120_000)
    assert not errors


def test_a_map_opens_at_its_strongest_peak_with_its_spectrum_below(make_napari_viewer, qtbot, file):
    viewer = make_napari_viewer()
    came = {}
    viewer.layers.events.inserted.connect(lambda event: came.update({event.value: event.value.visible}))
    from_the_menu(viewer, file)
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["Opening rock.h5…"], timeout=60_000)
    qtbot.waitUntil(lambda: len(maps(viewer)) == 1, timeout=60_000)
    (layer,) = maps(viewer)
    qtbot.waitUntil(lambda: viewer.dims.point[0] > 1 and viewer.layers[-1] is layer, timeout=60_000)
    assert not came[layer]  # napari would read and draw its first channel
    qtbot.waitUntil(lambda: layer.visible)
    cube = cube_from(layer)
    assert cube.is_loaded
    energy = viewer.dims.point[0]
    assert min(abs(energy - 6.404), abs(energy - 3.692)) < 0.05
    assert layer.contrast_limits[1] > np.percentile(cube.counts.max(axis=2), 50)
    assert viewer.dims.margin_left[0] == pytest.approx(0.08)
    qtbot.waitUntil(lambda: viewer.canvas.overlays.scale_bar.visible)
    qtbot.waitUntil(lambda: viewer.canvas.overlays.current_slice.visible)
    window = viewer.window._qt_window

    def places():
        docks = (each for each in window.findChildren(QDockWidget) if "Spectrum" in each.name)
        return [window.dockWidgetArea(each).name for each in docks]

    qtbot.waitUntil(lambda: places() == ["BottomDockWidgetArea"])


def test_what_was_open_before_is_freed_when_it_is_removed(make_napari_viewer, qtbot, file, monkeypatch):
    monkeypatch.setattr(opening, "_settled", [])  # as in a new session
    viewer = make_napari_viewer()
    photograph = weakref.ref(viewer.add_image(np.zeros((9, 9)), name="photograph"))
    from_the_menu(viewer, file)
    qtbot.waitUntil(lambda: len(maps(viewer)) == 1 and not is_adding(), timeout=60_000)
    qtbot.wait(500)
    viewer.layers.remove("photograph")
    qtbot.wait(100)
    gc.collect()
    assert photograph() is None


def test_several_maps_stand_side_by_side_and_results_lie_on_theirs(make_napari_viewer, qtbot, file, tmp_path):
    viewer = make_napari_viewer()
    second = tmp_path / "other.h5"
    io.write_cube(second, two_phase_cube()[0])
    from_the_menu(viewer, file)
    qtbot.waitUntil(lambda: len(maps(viewer)) == 1, timeout=60_000)
    from_the_menu(viewer, second)
    qtbot.waitUntil(lambda: len(maps(viewer)) == 2, timeout=60_000)
    left, right = maps(viewer)
    assert right.extent.world[0, -1] > left.extent.world[1, -1]
    widget = viewer.window.add_plugin_dock_widget("napari-xrf", "Element maps")[1]
    viewer.layers.selection.active = left
    assert widget.maps.layer() is left
    viewer.layers.selection.active = right
    assert widget.maps.layer() is right
    widget.tick(["Fe"])
    widget.method.setCurrentIndex(1)
    widget.run.click()
    finish(widget, qtbot, 120)
    assert np.allclose(viewer.layers["Fe K"].translate, right.translate[-2:])


def test_steps_wait_for_those_that_were_given_before_and_an_error_stops_only_its_own(qtbot):
    called = []

    def fail():
        raise ValueError("of this step")

    call_in_turns([partial(called.append, 1), partial(call_in_turns, [partial(called.append, 5)])])
    call_in_turns([partial(called.append, 2), fail, partial(called.append, "left out")])
    call_in_turns([partial(called.append, 3), partial(called.append, 4)])
    with qtbot.captureExceptions() as errors:
        qtbot.waitUntil(lambda: not is_adding())
    assert called == [1, 2, 3, 4, 5]
    assert [kind for kind, *_ in errors] == [ValueError]


def test_docks_of_one_side_are_tabs(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    window = viewer.window._qt_window
    first, second = (
        viewer.window.add_plugin_dock_widget("napari-xrf", name)[0] for name in ("Element maps", "Minerals")
    )
    qtbot.waitUntil(lambda: window.tabifiedDockWidgets(first) == [second])


def test_removing_what_stands_for_a_file_stops_reading_it(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    steps = []

    def read(progress):
        for step in range(2000):
            qtbot_pause.wait(0.01)
            steps.append(step)
            progress(step, 2000, "reading")
        return []

    from threading import Event

    qtbot_pause = Event()
    assert open_behind([Opening("Opening", read)]) is NOTHING_TO_ADD  # it comes in a turn of its own
    assert len(viewer.layers) == 0
    qtbot.waitUntil(lambda: len(steps) > 5, timeout=10_000)
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not viewer.canvas.overlays.text.visible, timeout=10_000)
    assert len(steps) < 2000
    assert len(viewer.layers) == 0


def test_of_two_windows_the_one_that_asked_gets_the_file(make_napari_viewer, qtbot, file):
    asking, other = make_napari_viewer(), make_napari_viewer()
    from_the_menu(asking, file)
    qtbot.waitUntil(lambda: len(maps(asking)) == 1, timeout=60_000)
    qtbot.waitUntil(lambda: not is_adding(), timeout=60_000)
    assert len(other.layers) == 0


def test_a_single_spectrum_opens_as_a_plot(make_napari_viewer, qtbot, tmp_path):
    cube, _ = two_phase_cube()
    path = tmp_path / "point.h5"
    io.write_cube(path, SpectralCube(cube.counts[:1, :1].copy(), cube.energy, "point"))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    from_the_menu(viewer, path)
    qtbot.waitUntil(lambda: any("Spectrum" in name for name in viewer.window.dock_widgets), timeout=60_000)
    # Its one pixel is in the middle, and whole.
    camera, (layer,) = viewer.scene.camera, viewer.layers
    qtbot.waitUntil(lambda: 1 < camera.zoom * layer.scale[-1] < min(viewer.canvas.size))
    assert camera.center[-2:] == pytest.approx((0.0, 0.0))
    window = viewer.window._qt_window
    (outer,) = (each for each in window.findChildren(QDockWidget) if "Spectrum" in each.name)
    qtbot.waitUntil(lambda: outer.height() > 0.6 * window.height())  # a single pixel is no picture
    qtbot.waitUntil(lambda: bool(outer.widget().plot.curves()))
    (curve,) = outer.widget().plot.curves()
    assert curve.name == "Spectrum"
    assert outer.widget().plot.plot.getAxis("left").labelText == "counts"


def test_element_maps_alone_open_whole_at_the_strongest(make_napari_viewer, qtbot, tmp_path):
    counts = np.stack([np.full((24, 30), level, np.float32) for level in (9.0, 1.0)])
    path = tmp_path / "rock.maps.ome.tif"
    write_element_maps(path, ElementMaps(("Ca K", "Fe K"), counts, counts, "fit", (10.0, 10.0), "rock"))
    viewer = make_napari_viewer()
    from_the_menu(viewer, path)
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["Ca K", "Fe K"], timeout=60_000)
    assert [layer.visible for layer in viewer.layers] == [True, False]
    # napari had fitted the pixel that stood for the file
    qtbot.waitUntil(lambda: viewer.scene.camera.zoom * 300 < max(viewer.canvas.size))
    assert viewer.canvas.overlays.scale_bar.visible
