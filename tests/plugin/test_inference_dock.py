"""The Model inference dock: what a model's answers become, without a window and in one."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Layer

import napari_xrf
from docks import finish
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.prediction.files import read_prediction
from napari_xrf.learning.prediction.views import element_groups
from napari_xrf.learning.weights import load_model, read_description, save_model
from napari_xrf.plugin.docks.spectrum import spectrum_docks
from napari_xrf.plugin.forms.inference import ONE_THRESHOLD
from napari_xrf.plugin.jobs.model_answers import Request, answer_region, loaded_model, predict_map
from napari_xrf.plugin.layers.calibration import calibrate_layer, kept_map
from napari_xrf.plugin.layers.cubes import cube_from, cube_layers
from napari_xrf.plugin.layers.layer_data import kind_of
from napari_xrf.plugin.layers.predictions import MOST_MAPS, prediction_layers
from napari_xrf.plugin.plots.line_markers import evidence_lines
from napari_xrf.plugin.writers import write_images, write_labels
from tiny_models import tiny_model
from two_phase_maps import two_phase_cube

KINDS = ("lines", "code", "elements", "minerals", "spectra")


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Weights files of tiny models by kind, trained when asked for."""
    folder = tmp_path_factory.mktemp("models")
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = tiny_model(kind, folder / f"tiny-{kind}")
        return made[kind]

    return get


@pytest.fixture
def cube():
    return two_phase_cube()[0]


@pytest.fixture
def iron(cube):
    return two_phase_cube()[1]


def layers_of(path, cube, **asked):
    model = load_model(path)
    request = Request(**{"outputs": model.description.outputs, "threshold": 0.5, "refined": False, **asked})
    layers, notes = prediction_layers(
        predict(model, cube, outputs=request.outputs, calibrate=False), request, cube
    )
    return {keywords["name"]: (data, keywords, kind) for data, keywords, kind in layers}, notes


def empty(cube):
    return replace(cube, counts=np.zeros_like(cube.counts))


# Without a window


def test_a_region_is_answered_with_a_ranked_list(weights, cube, iron):
    answer = answer_region(str(weights("elements")), cube, "left", iron, Request(threshold=0.5))
    assert [row.name for row in answer.ranked] == ["Fe", "Ca"]
    assert [row.present for row in answer.ranked] == [True, False]
    assert answer.ranked[0].counts == pytest.approx(cube.region_spectrum(iron).sum(), rel=0.5)
    assert answer.pixels == iron.sum()
    assert answer.counts == cube.region_spectrum(iron).sum()


def test_minerals_and_the_unknown_are_ranked(weights, cube, iron):
    answer = answer_region(str(weights("minerals")), cube, "right", ~iron, Request())
    assert answer.ranked[0].name == "calcite"
    assert {row.name for row in answer.ranked} == {"calcite", "hematite", "unknown"}
    assert [row.present for row in answer.ranked] == [True, False, False]


def test_a_region_without_counts_and_a_model_without_names_say_so(weights, cube):
    with pytest.raises(InvalidInput, match="left holds no counts"):
        answer_region(str(weights("elements")), empty(cube), "left", None, Request())
    with pytest.raises(InvalidInput, match="names nothing"):
        answer_region(str(weights("spectra")), cube, "left", None, Request())
    with pytest.raises(InvalidInput, match="no counts"):
        predict_map(empty(cube), str(weights("elements")), Request(("presence",), refined=False))
    with pytest.raises(InvalidInput, match="no output"):
        predict_map(cube, str(weights("elements")), Request(()))


def test_a_model_is_loaded_once_and_again_when_its_file_changed(weights, tmp_path):
    model = load_model(weights("lines"))
    path = save_model(tmp_path / "own.safetensors", model)
    first = loaded_model(str(path))
    assert loaded_model(str(path)) is first
    save_model(path, model.with_description(replace(model.description, name="renamed")))
    assert loaded_model(str(path)).description.name == "renamed"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileError, match=r"own\.safetensors"):
        loaded_model(str(path))


def test_a_map_is_calibrated_once_for_its_layer(cube):
    layer = SimpleNamespace(metadata={}, name="two phases")
    assert kept_map(layer, cube) is cube
    measured = calibrate_layer(layer, cube, progress=ignore_progress)
    assert kept_map(layer, cube) is measured
    assert calibrate_layer(layer, cube, progress=ignore_progress) is measured
    other = empty(cube)
    assert kept_map(layer, other) is other
    assert calibrate_layer(layer, other, progress=ignore_progress).energy == cube.energy


def test_evidence_is_a_line_an_element_or_a_formula(weights):
    lines, elements, minerals = (
        read_description(weights(kind)) for kind in ("lines", "elements", "minerals")
    )
    (alpha,) = evidence_lines("Fe ka1", lines)
    assert alpha.energy == pytest.approx(6.404, abs=0.001)
    assert {line.siegbahn for line in evidence_lines("Fe", elements)} >= {"Kα1", "Kβ1"}
    assert {line.element for line in evidence_lines("calcite", minerals)} == {"Ca", "C", "O"}
    for name in ("unknown", "", "nothing"):
        assert (
            evidence_lines(name, lines)
            == evidence_lines(name, elements)
            == evidence_lines(name, minerals)
            == ()
        )
    narrow = replace(elements, axis=EnergyAxis(0.0, 0.1, 65))
    assert all(line.energy < 6.5 for line in evidence_lines("Fe", narrow))


def test_every_line_of_the_basis_has_its_evidence():
    from napari_xrf.learning.description import ModelDescription
    from napari_xrf.synthesis.line_basis import BASIS_AXIS, line_basis

    names = tuple(line.label for line in line_basis())
    description = ModelDescription("all", "line-mlp", "lines", names, BASIS_AXIS, ("presence",))
    for line in line_basis()[::7]:
        for found in evidence_lines(line.label, description):
            assert found.energy == pytest.approx(line.energy, abs=1e-6)


def test_elements_become_maps_that_the_writers_save(weights, cube, iron, tmp_path):
    layers, _ = layers_of(weights("elements"), cube)
    assert set(layers) == {"Ca (probability)", "Fe (probability)", "Ca K", "Fe K"}
    assert layers["Fe K"][0][iron].mean() > 20 * layers["Fe K"][0][~iron].mean()
    assert layers["Ca (probability)"][0][~iron].mean() > 0.9
    (path,) = write_images(str(tmp_path / "all.maps.ome.tif"), list(layers.values()))
    again = io.read_element_maps(path)
    assert set(again.families) == set(layers)
    assert np.allclose(again["Fe K"], layers["Fe K"][0])
    visible = [name for name, (_, keywords, _) in layers.items() if keywords["visible"]]
    assert len(visible) == 1


def test_decisions_are_one_and_nothing(weights, cube, iron):
    layers, _ = layers_of(weights("elements"), cube, outputs=("presence",), decided=True)
    assert set(layers) == {"Ca (present)", "Fe (present)"}
    assert np.array_equal(np.unique(layers["Fe (present)"][0]), [0, 1])
    assert layers["Fe (present)"][0][iron].mean() > 0.95


def test_only_what_is_above_the_threshold_has_a_map(weights, cube, iron):
    pure = replace(cube, counts=cube.counts[:, :15])
    layers, _ = layers_of(weights("elements"), pure)
    assert set(layers) == {"Fe (probability)", "Fe K"}


def test_lines_share_the_map_of_their_element(weights, cube):
    assert element_groups(("Fe ka1", "Fe kb1", "Pb la1")) == {"Fe": ["Fe ka1", "Fe kb1"], "Pb": ["Pb la1"]}
    assert set(layers_of(weights("lines"), cube)[0]) == {"Ca (probability)", "Fe (probability)"}
    assert set(layers_of(weights("lines"), cube, by_element=False)[0]) == {
        "Ca ka1 (probability)",
        "Fe ka1 (probability)",
    }


def test_minerals_become_labels_with_names_and_colours(weights, cube, iron, tmp_path):
    layers, _ = layers_of(weights("minerals"), cube)
    data, keywords, kind = layers["Minerals of two phases (tiny-minerals)"]
    assert kind == "labels"
    assert keywords["visible"]
    features = keywords["features"].set_index("name")
    assert np.mean(data[iron] == features.loc["hematite", "index"]) > 0.95
    assert np.mean(data[~iron] == features.loc["calcite", "index"]) > 0.95
    assert {"unknown (tiny-minerals)", "confidence (tiny-minerals)"} < set(layers)
    assert layers["confidence (tiny-minerals)"][0].min() > 0.5
    (path,) = write_labels(str(tmp_path / "rock.labels.tif"), [(data, keywords, kind)])
    again = io.read_labels(path)
    assert again.class_named("hematite").color == "#a03010"
    write_images(
        str(tmp_path / "sure.h5"), [layers["confidence (tiny-minerals)"], layers["unknown (tiny-minerals)"]]
    )


def test_spectra_become_a_cube_with_its_own_energies(weights, cube, tmp_path):
    layers, _ = layers_of(weights("code"), cube)
    assert {"Ca ka1 (code)", "Fe ka1 (code)"} < set(layers)
    data, keywords, _ = layers["two phases (denoised by tiny-code)"]
    denoised = cube_from(Layer.create(data, keywords, "image"))
    assert denoised.energy == read_description(weights("code")).axis
    assert denoised.counts.sum() == pytest.approx(cube.counts.sum(), rel=0.3)
    (path,) = write_images(str(tmp_path / "clean.h5"), [(data, keywords, "image")])
    # Read as whole counts: what is summed over channels stays within one count.
    again = np.asarray(napari_xrf.read(path).counts).cumsum(axis=2, dtype=float)
    assert np.abs(again - denoised.counts.cumsum(axis=2, dtype=float)).max() < 1.01


def test_more_maps_than_anyone_looks_at_are_told(weights, cube):
    model = load_model(weights("lines"))
    shape = (4, 5)
    names = tuple(f"name {number}" for number in range(MOST_MAPS + 6))
    prediction = predict(model, cube, calibrate=False)
    many = replace(
        prediction,
        description=replace(model.description, names=names),
        probability=np.ones((*shape, len(names)), np.float32),
        counts=np.ones(shape, np.float32),
    )
    request = Request(("presence",), threshold=0.5, by_element=False)
    layers, notes = prediction_layers(many, request, cube)
    assert len(layers) == MOST_MAPS
    assert any(f"{MOST_MAPS} of {len(names)}" in note for note in notes)
    nothing, notes = prediction_layers(
        replace(many, probability=np.zeros_like(many.probability)), request, cube
    )
    assert nothing == []
    assert "nothing above the threshold" in notes[-1]


# In a window


@pytest.fixture
def wrapped(viewer):
    return viewer.window.add_plugin_dock_widget("napari-xrf", "Model inference")


@pytest.fixture
def dock(wrapped):
    return wrapped[1]


def draw(dock, viewer, columns):
    """Draw a rectangle over all rows and some columns."""
    if not any(kind_of(layer) == "shapes" for layer in viewer.layers):
        dock.new_regions.click()
    layer = next(layer for layer in viewer.layers if kind_of(layer) == "shapes")
    first, last = columns
    layer.add_rectangles(np.array([[1, first], [1, last], [20, last], [20, first]]))
    return layer


def messages_since(before):
    from napari.utils.notifications import notification_manager

    return [note.message for note in notification_manager.records[before:]]


def messages():
    from napari.utils.notifications import notification_manager

    return len(notification_manager.records)


@pytest.mark.gui
def test_a_drawn_region_is_answered_and_followed(dock, viewer, qtbot, weights):
    dock.models.open_file(weights("elements"))
    layer = draw(dock, viewer, (1, 10))
    qtbot.waitUntil(lambda: dock.answer is not None, timeout=60_000)
    assert dock.region.currentText() == "Region 1"
    assert dock.table.names()[0] == "Fe"
    draw(dock, viewer, (18, 28))
    qtbot.waitUntil(lambda: dock.answer.region == "Region 2", timeout=20_000)
    assert dock.table.names()[0] == "Ca"
    # Dragging the second region over the iron.
    layer._data_view.shift(1, np.array([0.0, -17.0]))
    layer.events.set_data()
    qtbot.waitUntil(lambda: dock.table.names()[0] == "Fe", timeout=20_000)
    viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: dock.answer is None and dock.table.rowCount() == 0)


@pytest.mark.gui
def test_the_whole_map_is_asked_about_without_a_region(dock, qtbot, weights):
    dock.models.open_file(weights("minerals"))
    dock.ask.click()
    qtbot.waitUntil(lambda: dock.answer is not None, timeout=60_000)
    assert dock.answer.pixels == 720
    assert "720 pixels" in dock.status.text()


@pytest.mark.gui
def test_the_selected_row_shows_its_lines_and_opens_the_spectrum_dock(dock, viewer, qtbot, weights, wrapped):
    dock.models.open_file(weights("elements"))
    draw(dock, viewer, (1, 10))
    qtbot.waitUntil(lambda: dock.answer is not None, timeout=60_000)
    assert spectrum_docks(viewer) == ()  # an answer alone opens nothing
    dock.table.selectRow(1)
    (spectrum,) = spectrum_docks(viewer)
    assert {line.element for line in spectrum.plot.markers.evidence()} == {"Ca"}
    spectrum.set_elements("Rb")
    dock.table.selectRow(0)
    assert {line.element for line in spectrum.plot.markers.evidence()} == {"Fe"}
    assert set(spectrum.plot.markers.names()) == {"Fe", "Rb"}  # the user's own marks stay
    assert spectrum_docks(viewer) == (spectrum,)
    dock.models.open_file(weights("lines"))
    assert spectrum.plot.markers.evidence() == ()


@pytest.mark.gui
def test_a_whole_map_becomes_layers_and_a_file(dock, viewer, qtbot, weights, tmp_path):
    dock.models.open_file(weights("minerals"))
    dock.run.click()
    finish(dock, qtbot)
    names = [layer.name for layer in viewer.layers]
    assert names[-1] == "Minerals of two phases (tiny-minerals)"
    assert str(viewer.layers[-1].units[0]) == str(viewer.layers[0].units[1])
    dock.write(tmp_path / "said.h5")
    finish(dock, qtbot)
    assert read_prediction(tmp_path / "said.h5").probability.shape == (24, 30, 2)


@pytest.mark.gui
def test_only_the_outputs_of_the_model_are_offered(dock, weights):
    shown = {
        "lines": {"presence"},
        "code": {"presence", "code", "spectrum"},
        "elements": {"presence", "intensity"},
        "minerals": {"minerals"},
        "spectra": {"code", "spectrum"},
    }
    for kind, outputs in shown.items():
        dock.models.open_file(weights(kind))
        names = ("presence", "intensity", "minerals", "code", "spectrum")
        assert {name for name in names if not dock.form.form[name].native.isHidden()} == outputs
    assert dock.form.request().outputs == ("spectrum",)  # of what it gives, what is not asked by default
    dock.form.form.spectrum.value = False
    assert not dock.run.isEnabled()
    dock.models.open_file(weights("elements"))
    assert dock.form.request() == Request(("presence", "intensity"))
    dock.form.form.decision.value = ONE_THRESHOLD
    dock.form.form.threshold.value = 0.8
    assert dock.form.request().threshold == pytest.approx(0.8)
    assert "pearson" in dock.models.box.toolTip()


@pytest.mark.gui
def test_a_new_threshold_judges_the_region_anew(dock, qtbot, weights):
    dock.models.open_file(weights("code"))
    dock.form.form.decision.value = ONE_THRESHOLD
    dock.ask.click()
    qtbot.waitUntil(lambda: dock.answer is not None, timeout=60_000)
    least = min(row.probability for row in dock.answer.ranked)
    dock.form.form.threshold.value = max(least - 0.02, 0.01)
    qtbot.waitUntil(lambda: all(row.present for row in dock.answer.ranked), timeout=20_000)


@pytest.mark.gui
def test_what_goes_wrong_is_told_once(dock, viewer, qtbot, weights, tmp_path, cube):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(weights("lines").read_bytes())
    dock.models.open_file(damaged)
    damaged.write_bytes(weights("lines").read_bytes()[:-50])
    before = messages()
    dock.run.click()
    finish(dock, qtbot)
    assert any("damaged.safetensors" in message for message in messages_since(before))
    nonsense = tmp_path / "nonsense.safetensors"
    nonsense.write_bytes(b"no weights at all")
    with pytest.raises(FileError, match="nonsense"):
        dock.models.open_file(nonsense)
    assert dock.models.model() == str(damaged)

    dark = viewer.add_layer(Layer.create(*cube_layers(replace(empty(cube), name="dark"))[-1]))
    dock.maps.choose(dark)
    dock.models.choose(str(dock.models._shelf.add(weights("elements"))))
    before = messages()
    dock.ask.click()
    qtbot.waitUntil(lambda: "no counts" in dock.status.text(), timeout=20_000)
    dock.ask.click()
    qtbot.waitUntil(lambda: dock._answering is None, timeout=20_000)
    assert sum("holds no counts" in message for message in messages_since(before)) == 1
    dock.run.click()
    finish(dock, qtbot)
    assert "no counts" in messages_since(before)[-1]

    far = SpectralCube(cube.counts, EnergyAxis(60.0, 0.1, 512), "far")
    dock.maps.choose(viewer.add_layer(Layer.create(*cube_layers(far)[-1])))
    before = messages()
    dock.form.form.refined.value = False
    dock.run.click()
    finish(dock, qtbot)
    assert "needs" in messages_since(before)[-1]


@pytest.mark.gui
def test_without_a_map_or_a_model_nothing_can_be_asked(make_napari_viewer, qtbot, weights):
    viewer = make_napari_viewer()
    viewer.add_image(np.ones((6, 5, 4)), name="no energies")
    dock = viewer.window.add_plugin_dock_widget("napari-xrf", "Model inference")[1]
    dock.models.open_file(weights("elements"))
    assert dock.maps.count() == 0
    assert not dock.run.isEnabled()
    assert not dock.ask.isEnabled()
    with pytest.raises(InvalidInput, match="no map was read"):
        dock.write(None)


@pytest.mark.gui
def test_a_cancelled_map_adds_no_layer(dock, viewer, qtbot, weights):
    counts = np.tile(two_phase_cube()[0].counts, (20, 20, 1))
    large = SpectralCube(counts, two_phase_cube()[0].energy, "large")
    dock.maps.choose(viewer.add_layer(Layer.create(*cube_layers(large)[-1])))
    dock.models.open_file(weights("minerals"))
    dock.form.form.refined.value = False
    layers = len(viewer.layers)
    dock.run.click()
    dock.job_bar.cancel_button.click()
    finish(dock, qtbot)
    qtbot.wait(100)
    assert len(viewer.layers) == layers
    assert dock.prediction is None


@pytest.mark.gui
def test_a_closed_dock_hears_no_more(wrapped, dock, viewer, qtbot, weights):
    dock.models.open_file(weights("elements"))
    layer = draw(dock, viewer, (1, 10))
    qtbot.waitUntil(lambda: dock.answer is not None, timeout=60_000)
    shelf = dock.models._shelf
    dock.table.selectRow(1)
    (spectrum,) = spectrum_docks(viewer)
    wrapped[0].destroyOnClose()
    qtbot.wait(100)
    assert spectrum.plot.markers.evidence() == ()
    layer.add_rectangles(np.array([[1, 18], [1, 28], [20, 28], [20, 18]]))
    viewer.layers.remove(layer)
    shelf.add(weights("minerals"))
    qtbot.wait(200)
    again = viewer.window.add_plugin_dock_widget("napari-xrf", "Model inference")[1]
    assert again is not dock
    assert again.models.box.findData(str(weights("minerals").resolve())) >= 0


@pytest.mark.gui
def test_a_viewer_closes_with_both_docks_open(dock, viewer, qtbot, weights):
    dock.models.open_file(weights("elements"))
    draw(dock, viewer, (1, 10))
    qtbot.waitUntil(lambda: dock.answer is not None, timeout=60_000)
    dock.table.selectRow(1)
    assert len(spectrum_docks(viewer)) == 1
    viewer.close()
    qtbot.wait(100)


def test_a_dock_opens_without_torch():
    import subprocess
    import sys

    code = (
        "import sys\n"
        "import napari_xrf.plugin.docks.inference, napari_xrf.plugin.docks.train\n"
        "assert 'torch' not in sys.modules and 'optuna' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
