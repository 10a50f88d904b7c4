"""The docks that work on maps: composites, scatter plots, tables of regions, and what is copied as Python."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QFileDialog, QInputDialog

from docks import finish
from napari_xrf import io
from napari_xrf.cli import main
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.maps.joint_histogram import ternary_places
from napari_xrf.maps.pixels.element_mapping import map_elements
from napari_xrf.plugin import sample_data
from napari_xrf.plugin.commands import copy_python, save_recipe
from napari_xrf.plugin.docks.quantities import keep_quantities
from napari_xrf.plugin.layers.cubes import cube_from, cube_layers
from napari_xrf.plugin.layers.element_maps import element_map_layers
from napari_xrf.plugin.layers.labels import label_layer
from napari_xrf.plugin.layers.layer_data import is_adding
from napari_xrf.plugin.layers.legend import show_legend
from napari_xrf.plugin.layers.loading import show_first_view
from napari_xrf.plugin.layers.script import made_by, recipe_of, script_of
from reflecting_maps import sand
from two_phase_maps import two_phase_cube, two_phase_labels

pytestmark = pytest.mark.gui


@pytest.fixture
def cube():
    return two_phase_cube()[0]


def dock(viewer, name):
    return viewer.window.add_plugin_dock_widget("napari-xrf", name)[1]


@pytest.fixture
def with_maps(viewer, cube):
    values = np.stack([cube.window_map(6.2, 6.6), cube.window_map(3.5, 3.9)]).astype(np.float32)
    maps = ElementMaps(("Fe K", "Ca K"), values, np.sqrt(values), "window", cube.pixel_size, cube.name)
    for data in element_map_layers(maps):
        viewer.add_layer(Layer.create(*data))
    return viewer


def test_three_maps_become_one_picture_with_a_legend(with_maps, qtbot):
    viewer = with_maps
    widget = dock(viewer, "Compose maps")
    widget.strongest.click()
    widget.run.click()
    picture = viewer.layers.selection.active
    assert picture.rgb
    iron = viewer.layers["Fe K"]
    strongest = max((viewer.layers["Fe K"], viewer.layers["Ca K"]), key=lambda layer: layer.data.sum())
    red = picture.data[..., 0]
    assert np.corrcoef(red.ravel(), strongest.data.ravel())[0, 1] > 0.9
    assert not iron.visible
    assert [text.strip() for text in viewer.layers["Legend"].text.string.array] == [
        strongest.name, *(name for name in ("Fe K", "Ca K") if name != strongest.name)
    ]  # fmt: skip
    widget.expression.setText("Fe / (Fe + Ca)")
    widget.compute.click()
    share = viewer.layers["Fe / (Fe + Ca)"]
    assert share.units == iron.units
    assert np.nanmean(share.data[:, :15]) > 0.8 > 0.3 > np.nanmean(share.data[:, 15:])


def test_a_loop_is_a_class_and_a_curve(with_maps, qtbot, cube):
    viewer = with_maps
    widget = dock(viewer, "Scatter")
    widget.x.choose(viewer.layers["Fe K"])
    widget.y.choose(viewer.layers["Ca K"])
    high = float(viewer.layers["Fe K"].data.max()) + 1
    split = high / 4
    qtbot.waitUntil(lambda: widget._places is not None)
    widget.plot.lassoed.emit(np.array([[split, -1], [high, -1], [high, 1e6], [split, 1e6]]))
    finish(widget, qtbot)
    loops = viewer.layers["Loops"]
    assert np.array_equal(loops.data == 1, viewer.layers["Fe K"].data > split)
    assert widget.labels.layer() is loops
    widget.plot.lassoed.emit(np.array([[-1, -1], [split, -1], [split, 1e6], [-1, 1e6]]))
    finish(widget, qtbot)
    assert set(np.unique(loops.data)) == {1, 2}
    assert loops.selected_label == 2
    spectrum = dock(viewer, "Spectrum")
    spectrum.labels.choose(loops)
    spectrum.unit.setCurrentText("counts")
    spectrum.show_classes.setChecked(True)
    qtbot.waitUntil(lambda: len(spectrum.plot.curves()) == 3, timeout=20_000)
    sums = [curve.counts for curve in spectrum.plot.curves()]
    assert np.array_equal(sums[0], sums[1] + sums[2])
    widget.matrix.click()
    finish(widget, qtbot)
    assert float(widget.table.item(0, 2).text()) < 0


def test_docks_that_came_before_the_maps_choose_them_until_the_user_does(viewer, qtbot):
    scatter, composing = dock(viewer, "Scatter"), dock(viewer, "Compose maps")
    assert scatter.offered.button.text() == composing.offered.button.text() == "Element maps"
    shape, scale, units = (
        viewer.layers[0].data.shape[1:],
        viewer.layers[0].scale[1:],
        viewer.layers[0].units[1:],
    )
    for number, family in enumerate(("Ca K", "Fe K", "K K")):
        values = np.full(shape, number + 1.0) + np.arange(shape[1])
        viewer.add_image(values, name=family, scale=scale, units=units, metadata={"xrf_family": family})
    qtbot.waitUntil(lambda: scatter.y.currentText() == "Fe K")
    assert [each.currentText() for each in (scatter.x, scatter.y, scatter.z)] == ["K K", "Fe K", "Ca K"]
    assert [each.currentText() for each in composing.maps[:3]] == ["K K", "Fe K", "Ca K"]
    assert scatter.offered.isHidden()
    assert composing.offered.isHidden()
    scatter.x.setCurrentIndex(0)
    scatter.x.activated.emit(0)
    viewer.add_image(np.eye(*shape), name="other", scale=scale, units=units)
    qtbot.wait(20)
    assert scatter.x.currentText() == "Ca K"


def test_maps_of_different_sizes_are_not_plotted(with_maps, qtbot):
    with_maps.add_image(np.ones((3, 4)), name="another")
    widget = dock(with_maps, "Scatter")
    for choice, name in ((widget.x, "Fe K"), (widget.y, "Ca K")):
        choice.choose(with_maps.layers[name])
    qtbot.waitUntil(lambda: widget.plot.plot.getAxis("left").labelText == "Ca K")
    widget.y.choose(with_maps.layers["another"])
    assert widget.plot.image.image is None
    assert widget.said.text() == "Fe K, another: maps of different sizes"
    widget.y.choose(with_maps.layers["Ca K"])
    qtbot.waitUntil(lambda: widget.plot.image.image is not None)
    assert widget.said.text() == ""


@pytest.mark.parametrize("name", ["Regions", "Quantities", "Spectrum"])
def test_labels_of_another_size_are_named(viewer, qtbot, name):
    widget = dock(viewer, name)
    viewer.add_labels(np.ones((3, 4), int), name="another")
    before = len(notification_manager.records)
    if name == "Quantities":
        widget.where.setCurrentText("Classes of labels")
    if name == "Spectrum":
        qtbot.waitUntil(lambda: bool(widget.plot.curves()), timeout=20_000)
        widget.show_classes.click()
    else:
        widget.run.click()
    told = [record.message for record in notification_manager.records[before:]]
    assert any("'another' has 3 × 4 pixels, the map 24 × 30" in message for message in told), told


def test_a_loop_in_a_triangle_is_a_class(with_maps, qtbot, cube):
    iron = with_maps.layers["Fe K"]
    with_maps.add_image(np.ones_like(iron.data), name="one", scale=iron.scale, units=iron.units)
    widget = dock(with_maps, "Scatter")
    for choice, name in ((widget.x, "Fe K"), (widget.y, "Ca K"), (widget.z, "one")):
        choice.choose(with_maps.layers[name])
    widget.ternary.click()
    qtbot.waitUntil(lambda: bool(widget.plot._corners))
    x = ternary_places(*(with_maps.layers[name].data for name in ("Fe K", "Ca K", "one")))[0]
    assert x[:, :15].mean() < 0.4 < x[:, 15:].mean()  # iron's corner is on the left
    widget.plot.lassoed.emit(np.array([[-0.1, -0.1], [0.45, -0.1], [0.45, 1], [-0.1, 1]]))
    finish(widget, qtbot)
    assert np.array_equal(with_maps.layers["Loops"].data == 1, x < 0.45)
    widget.ternary.click()
    qtbot.waitUntil(lambda: not widget.plot._corners)


def test_regions_and_classes_are_tabled(viewer, qtbot, tmp_path):
    widget = dock(viewer, "Regions")
    viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    widget.labels.choose(viewer.layers[-1])
    widget.elements.setText("Fe, Ca")
    widget.run.click()
    finish(widget, qtbot, 120)
    assert {row[0] for row in widget.table.rows()} == set(widget.masks())
    for unit in ("net counts", "counts per pixel"):  # no more digits of a value than its error allows
        widget.unit.setCurrentText(unit)
        for cell in (cell for row in widget.table.rows() for cell in row[2:] if "±" in cell):
            value, error = (part.replace(",", "").partition(".")[2] for part in cell.split(" ± "))
            assert len(value) == len(error), cell
        iron = {row[0]: row for row in widget.table.rows()}["hematite / magnetite"]
        (absent,) = (cell for cell in iron[2:] if "±" not in cell)
        net = next(each for each in widget.rows if each.region == iron[0]).families["Ca K"]
        divisor = 1 if unit == "net counts" else 12 * 30 - 2
        assert float(absent.removeprefix("< ").replace(",", "")) == pytest.approx(
            net.limit / divisor, rel=0.05
        )
    widget.write(tmp_path / "regions.csv")
    assert (tmp_path / "regions.csv").read_text().startswith("region,pixels,live_time_s,")
    widget.unit.setCurrentText("weight percent")
    widget.offered.button.click()  # for the classes, as nothing is drawn
    assert (
        viewer.window.dock_widgets["Quantities (X-ray fluorescence)"].where.currentText()
        == "Classes of labels"
    )
    rows = [
        {
            "region": name,
            "element": "Ca",
            "weight_percent": 40.0,
            "standard_error": 0.5,
            "detection_limit": 1.0,
        }
        for name in "ab"
    ]
    masks = widget.masks()  # under other names; the second has other pixels
    quantified = {"a": masks["calcite"], "b": ~masks["unknown"]}
    keep_quantities(widget.maps.layer(), SimpleNamespace(rows=rows), quantified)
    widget.unit.setCurrentText("net counts")
    widget.unit.setCurrentText("weight percent")
    shown = {row[0]: row[2:] for row in widget.table.rows()}
    assert "40.00 ± 0.50" in shown["calcite"]
    assert set(shown["unknown"]) == {"–"}


def test_a_drawn_region_is_named_in_the_table(viewer, qtbot, monkeypatch):
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("rim", True))
    widget = dock(viewer, "Regions")
    shapes = [[[2, 2], [2, 9], [12, 9], [12, 2]], [[2, 15], [2, 25], [12, 25], [12, 15]]]
    layer = viewer.add_shapes(shapes, scale=viewer.layers[0].scale[1:], name="Region")
    widget.elements.setText("Fe, Ca")
    widget.run.click()
    finish(widget, qtbot, 120)
    before = [row[1:] for row in widget.table.rows()]
    widget.table.cellDoubleClicked.emit(1, 0)
    assert [row[0] for row in widget.table.rows()] == ["Region 1", "rim"] == list(widget.masks())
    assert [row[1:] for row in widget.table.rows()] == before
    layer.add_rectangles([[15, 2], [15, 9], [20, 9], [20, 2]])
    assert list(widget.masks()) == ["Region 1", "rim", "Region 3"]


def test_maps_are_followed_along_a_drawn_line(with_maps, qtbot, cube, tmp_path):
    widget = dock(with_maps, "Regions")
    widget.along.click()
    assert "Draw a line" in widget.said.text()
    dock(with_maps, "Regions").maps.region_button("").click()
    regions = with_maps.layers.selection.active
    regions.add_lines(np.array([[10.0, 2.0], [10.0, 27.0]]))
    widget.along.click()
    profile = widget.profile.profile
    iron = with_maps.layers["Fe K"].data
    assert profile.distance[-1] == pytest.approx(25 * 12.5)
    assert profile.values["Fe K"][0] == iron[10, 2]
    assert profile.values["Fe K"][-1] == iron[10, 27]
    widget.write_profile(tmp_path / "profile.csv")
    lines = (tmp_path / "profile.csv").read_text().splitlines()
    assert lines[0] == "distance (µm),Fe K,Ca K"
    assert len(lines) == 1 + profile.distance.size


@pytest.mark.parametrize("name", ["pegmatite", "sulphide", "painting", "gem_phantom"])
def test_a_sample_is_a_map_with_its_truth(monkeypatch, name):
    monkeypatch.setattr(sample_data, "_ROCK", (8, 10))
    monkeypatch.setattr(sample_data, "_CANVAS", (8, 10))
    *below, (counts, _, kind), (labels, keywords, _) = getattr(sample_data, name)()
    assert kind == "image"
    assert counts.shape[1:] == labels.shape == (8, 10)
    assert not keywords["visible"]
    assert len(below) == (name in ("painting", "gem_phantom"))  # the photograph


def test_copied_python_makes_the_same_maps(make_napari_viewer, qtbot, cube, tmp_path):
    from qtpy.QtWidgets import QApplication

    path = tmp_path / "rock.h5"
    io.write_cube(path, cube)
    viewer = make_napari_viewer()
    viewer.open(path, plugin="napari-xrf")
    widget = dock(viewer, "Element maps")
    widget.tick(["Fe", "Ca"])
    widget.run.click()
    finish(widget, qtbot, 120)
    copy_python(viewer)
    script = QApplication.clipboard().text()
    made = {}
    exec(script, made)
    maps = made["maps"]
    for family, counts in zip(maps.families, maps.counts, strict=True):
        assert np.array_equal(viewer.layers[family].data, counts)


def test_copied_python_composes_loops_and_counts(make_napari_viewer, qtbot, cube, tmp_path):
    from qtpy.QtWidgets import QApplication

    path = tmp_path / "rock {2}.h5"
    io.write_cube(path, cube)
    viewer = make_napari_viewer()
    viewer.open(path, plugin="napari-xrf")
    source = viewer.layers[-1]
    maps = map_elements(cube_from(source), ["Fe", "Ca"], method="window")
    call = "nx.map_elements({0}, ['Fe', 'Ca'], method='window')"
    for data in made_by(element_map_layers(maps), "maps", call, source):
        viewer.add_layer(Layer.create(*data))
    composing = dock(viewer, "Compose maps")
    composing.run.click()
    picture = viewer.layers.selection.active
    composing.expression.setText("sqrt(Fe) / (Fe_K + Ca)")
    composing.compute.click()
    ratio = viewer.layers["sqrt(Fe) / (Fe_K + Ca)"]
    scatter = dock(viewer, "Scatter")
    scatter.x.choose(viewer.layers["Fe K"])
    scatter.y.choose(viewer.layers["Ca K"])
    split = float(viewer.layers["Fe K"].data.max()) / 4
    for low, high in ((split, 1e9), (-1, split / 2)):
        qtbot.waitUntil(lambda: scatter._places is not None)
        scatter.plot.lassoed.emit(np.array([[low, -1], [high, -1], [high, 1e9], [low, 1e9]]))
        finish(scatter, qtbot)
    regions = dock(viewer, "Regions")
    viewer.add_shapes(
        [[2, 2], [2, 9.5], [12, 9.5], [12, 2]], shape_type="ellipse", scale=source.scale[-2:], name="{1}"
    )
    regions.labels.choose(viewer.layers["Loops"])
    regions.elements.setText("Fe")
    regions.run.click()
    finish(regions, qtbot)
    regions.copy.click()
    made = {}
    exec(script_of([picture, ratio, viewer.layers["Loops"]]), made)
    assert np.array_equal(made["picture"], picture.data)
    assert np.array_equal(made["computed"], ratio.data, equal_nan=True)
    assert np.array_equal(made["loops_2"].labels, viewer.layers["Loops"].data)
    script = QApplication.clipboard().text().replace("regions.csv", str(tmp_path / "regions.csv"))
    exec(script, made)
    assert [(row.region, row.pixels) for row in made["regions"]] == [
        (r.region, r.pixels) for r in regions.rows
    ]
    regions.write(tmp_path / "shown.csv")
    assert (tmp_path / "shown.csv").read_text() == (tmp_path / "regions.csv").read_text()


def test_a_saved_recipe_makes_the_same_maps_in_a_batch(
    make_napari_viewer, qtbot, cube, tmp_path, monkeypatch
):
    path = tmp_path / "rock.h5"
    io.write_cube(path, cube)
    viewer = make_napari_viewer()
    viewer.open(path, plugin="napari-xrf")
    widget = dock(viewer, "Element maps")
    widget.tick(["Fe", "Ca"])
    widget.method.setCurrentIndex(1)
    widget.run.click()
    finish(widget, qtbot, 120)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "mine"), ""))
    save_recipe(viewer)
    recipe = tmp_path / "mine.toml"
    words = ["batch", "maps", str(path), "--recipe", str(recipe), "--jobs", "1", "-o", str(tmp_path / "out")]
    assert main(words) == 0
    (made,) = (tmp_path / "out").rglob("*.ome.tif")
    maps = io.read_element_maps(made)
    for family, counts in zip(maps.families, maps.counts, strict=True):
        assert np.array_equal(viewer.layers[family].data, counts)
    assert set(maps.families) == {"Fe K", "Ca K"}


def test_cleaned_minerals_know_their_recipe_until_they_are_painted(viewer, qtbot):
    (data,) = made_by(
        [label_layer(two_phase_labels())], "labels", "nx.map_minerals('a.h5').label_map",
        recipe={"minerals": {"minerals": ["calcite"]}},
    )  # fmt: skip
    viewer.add_layer(Layer.create(*data))
    widget = dock(viewer, "Clean up labels")
    widget.order.setText("min-size:5")
    widget.run.click()
    finish(widget, qtbot)
    cleaned = viewer.layers[-1]
    assert recipe_of([cleaned]) == '[minerals]\nminerals = ["calcite"]\nclean = "min-size:5"\n'
    assert "nx.clean_labels(labels, 'min-size:5')" in script_of([cleaned])
    cleaned.data_setitem((np.array([3]), np.array([3])), 1)
    assert recipe_of([cleaned]) == script_of([cleaned]) == ""


def test_a_changed_map_has_no_script(viewer, cube):
    from napari_xrf.plugin.layers.cubes import cube_from

    layer = viewer.layers[0]
    layer.data = layer.data[:, :10]
    cube_from(layer)
    assert script_of([layer]) == ""
    (data,) = made_by(cube_layers(cube)[-1:], "maps", "nx.map_elements({0})", layer)
    assert script_of([Layer.create(*data)]) == ""  # its source is not known


def test_a_prepared_map_remembers_its_steps(make_napari_viewer, qtbot, cube, tmp_path):
    path = tmp_path / "rock.h5"
    io.write_cube(path, cube)
    viewer = make_napari_viewer()
    viewer.open(path, plugin="napari-xrf")
    widget = dock(viewer, "Preparation")
    widget.sizes["crop-edges"].setValue(1)
    widget.sizes["bin-space"].setValue(2)
    assert widget.order.text() == "crop-edges:1,bin-space:2"
    viewer.dims.margin_left = viewer.dims.margin_right = (1.0, 0.0, 0.0)  # as opening a map sets it
    viewer.dims.set_point(0, 6.4)
    widget.run.click()
    finish(widget, qtbot)
    made = viewer.layers.selection.active
    assert made.data.shape == (512, 11, 14)
    assert made.metadata["xrf_preparation"] == "crop-edges:1,bin-space:2"
    assert widget.maps.layer() is made
    # The first of its pixels lies on the four that it is made of.
    assert np.allclose(made.translate[1:], 1.5 * np.array(cube.pixel_size))
    seen = made.data[cube_from(made).energy.window(5.4, 7.4)].sum(axis=0)
    assert made.contrast_limits[1] > np.percentile(seen, 99)
    assert viewer.canvas.overlays.current_slice.visible  # spectra are seen again, above what covered them
    values = {}
    exec(script_of([made]), values)
    assert np.array_equal(np.moveaxis(values["cube_2"].counts, 2, 0), made.data)
    widget.order.setText("bin-space:99")
    widget.run.click()
    assert len([layer for layer in viewer.layers if layer.ndim == 3]) == 2


def test_a_map_stays_whole_when_the_canvas_becomes_smaller_until_the_view_is_moved(with_maps, qtbot):
    viewer = with_maps
    camera, cube_layer = viewer.scene.camera, viewer.layers[0]
    show_first_view(viewer, cube_layer, cube_layer.metadata["xrf_cube"])
    qtbot.waitUntil(lambda: not is_adding())
    before, (high, wide) = camera.zoom, viewer.canvas.size
    viewer.canvas.size = (high // 2, wide // 2)
    assert camera.zoom == pytest.approx(before / 2, rel=0.02)
    viewer.canvas.size = (high, wide)
    assert camera.zoom == pytest.approx(before)
    camera.zoom = own = 3 * before
    viewer.canvas.size = (high // 2, wide // 2)
    assert camera.zoom == own, "a view that the user chose"


def test_what_is_written_on_the_canvas_belongs_to_what_is_seen_there(with_maps, qtbot):
    viewer = with_maps
    cube_layer, overlay = viewer.layers[0], viewer.canvas.overlays.current_slice
    show_first_view(viewer, cube_layer, cube_layer.metadata["xrf_cube"])
    qtbot.waitUntil(lambda: not is_adding())
    for layer in viewer.layers[1:]:
        layer.visible = False
    assert overlay.visible
    viewer.layers["Fe K"].visible = True
    assert not overlay.visible, "the energy of covered spectra would be taken for that of the map"
    viewer.layers["Fe K"].opacity = 0.5
    assert overlay.visible
    viewer.layers["Fe K"].opacity = 1.0
    show_legend(viewer, [("iron", "#ff0000")], viewer.layers["Fe K"])
    legend = viewer.layers["Legend"]
    top = viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    top.scale, top.translate = viewer.layers["Fe K"].scale, viewer.layers["Fe K"].translate
    top.visible = False
    assert legend.visible
    top.visible = True
    assert not legend.visible, "colours of a covered map"
    viewer.canvas.grid.enabled = True
    assert legend.visible
    assert overlay.visible
    viewer.canvas.grid.enabled = False
    viewer.theme = "light"
    assert np.allclose(legend.text.color.constant[:3], 0)
    viewer.layers.remove(top)
    assert legend.visible
    viewer.layers.remove("Fe K")
    assert overlay.visible


def test_a_legend_stands_above_the_mineral_map(viewer, qtbot):
    widget = dock(viewer, "Minerals")
    layer = viewer.add_layer(Layer.create(*label_layer(two_phase_labels())))
    widget.labels.choose(layer)
    viewer.layers.selection.active = layer
    viewer.layers[0].visible = False  # napari's own fitting fails for flat layers alone
    widget.legend.setChecked(True)
    legend = viewer.layers["Legend"]
    assert {text.strip() for text in legend.text.values} >= {"calcite", "hematite / magnetite"}
    assert viewer.layers.selection.active is layer
    viewer.canvas.size = (400, 600)
    alike = "columbite-(Fe) / columbite-(Mn)"
    names = [alike, f"{alike} / tantalite-(Mn)", *(["rhyolitic glass", "phlogopite / biotite"] * 5)]
    show_legend(viewer, [(name, "#ff0000") for name in names], layer)
    legend, zoom = viewer.layers["Legend"], viewer.scene.camera.zoom
    shown = [text.strip() for text in legend.text.values]
    assert shown[0] != shown[1], "cut where they differ"
    y, x = (np.unique(places) * zoom for places in legend.data.T)
    assert len(x) > 1
    assert np.diff(x).min() > 10 * max(map(len, shown)), "columns lie on one another"
    assert np.diff(y).min() > 20, "rows lie on one another"
    assert np.ptp(layer.extent.world[:, 0]) * zoom > 0.45 * viewer.canvas.size[0], (
        "a small map under a long legend"
    )
    show_legend(viewer, [(name, "#ff0000") for name in ("Fe K", "Ca K", "Si K")], layer)
    legend = viewer.layers["Legend"]
    assert len(np.unique(legend.data[:, 0])) == 1
    assert np.ptp(legend.data[:, 1]) < np.ptp(layer.extent.world[:, 1]), "short names are no wider than a map"
    layer.data = np.zeros_like(layer.data)
    qtbot.waitUntil(lambda: "Legend" not in viewer.layers)  # nothing is left to name
    widget.legend.setChecked(False)


def test_grains_that_reflect_become_labels(make_napari_viewer, qtbot, tmp_path):
    path = tmp_path / "sand.h5"
    io.write_cube(path, sand(1))
    viewer = make_napari_viewer()
    viewer.open(path, plugin="napari-xrf")
    widget = dock(viewer, "Preparation")
    widget.show_reflections.click()
    finish(widget, qtbot)
    (grains,) = [layer for layer in viewer.layers if layer.name.startswith("Reflections of")]
    assert 20 <= np.count_nonzero(grains.data) <= 30
    assert " keV" in widget.said.text().splitlines()[1]
    widget.ticks["without-reflections"].click()
    widget.run.click()
    finish(widget, qtbot)
    assert viewer.layers.selection.active.metadata["xrf_preparation"] == "without-reflections"


def test_a_large_peak_that_no_element_explains_is_told_once(viewer):
    from napari_xrf.core.energy_axis import EnergyAxis
    from napari_xrf.core.progress import ignore_progress
    from napari_xrf.core.spectral_cube import SpectralCube
    from napari_xrf.maps.calibrated_map import find_elements
    from napari_xrf.plugin.layers.calibration import on_calibrated

    axis = EnergyAxis(-0.2, 0.01, 2048)
    peaks = ((1.74, 120.0), (3.69, 300.0), (6.404, 400.0), (7.058, 60.0), (8.046, 100.0))  # Ca without Kβ
    mean = 0.3 + sum(size * np.exp(-(((axis.energies - at) / 0.09) ** 2)) for at, size in peaks)
    counts = np.random.default_rng(0).poisson(1e6 * mean / mean.sum())
    cube = SpectralCube(counts[None, None], axis, "made")
    layer = viewer.add_image(np.zeros((2, 2)), name="made")
    before = len(notification_manager.records)
    work = on_calibrated(find_elements, layer, cube)
    for _ in range(2):
        work(progress=ignore_progress)
    told = [str(note.message) for note in notification_manager.records[before:]]
    assert len([note for note in told if "may be Ca" in note]) == 1
