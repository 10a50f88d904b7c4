"""The Train dock: forms, trainings, searches and adaptations of tiny networks, and what a user does wrong."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import docks
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.painting.options import PaintingTraining
from napari_xrf.learning.training_recipes import RECIPES, TrainingOptions
from napari_xrf.learning.weights import load_model, read_description
from napari_xrf.plugin.forms.train_tabs import adaptation_rows, trial_rows, values_text
from napari_xrf.plugin.jobs.training import (
    LossPoint,
    OwnRegions,
    SearchParameters,
    TrainingPlan,
    figures_text,
    folder_problem,
    run_search,
    run_training,
    time_text,
)
from two_phase_maps import two_phase_cube

TINY = TrainingOptions(
    epochs=2, steps_per_epoch=3, batch_size=16, validation_size=32, learning_rate=5e-3, average=0.5
)
NETWORK = {"widths": [8, 8], "hidden": 16, "squeeze": 4}


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # batches this small only wait for each other
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def cube():
    return two_phase_cube()[0]


def labels_of(cube):
    """Label both halves of the map, with a gap between them."""
    labels = np.zeros(cube.map_shape, np.uint8)
    labels[:, :13], labels[:, 17:] = 1, 2
    classes = (LabelClass(1, "iron", "Fe", "#a03010"), LabelClass(2, "calcium", "CaCO3", "#e0e0ff"))
    return LabelMap(labels, classes, pixel_size=cube.pixel_size, source=cube.name)


def tiny_recipe(**options):
    return replace(RECIPES["mineral-cnn"], network=NETWORK, options=replace(TINY, **options))


def plan_of(cube, folder, *, resume=False, share=1.0, **options):
    regions = OwnRegions(cube, labels_of(cube), share)
    return TrainingPlan(tiny_recipe(**options), folder, 1, "cpu", resume, regions)


class Told:
    """What the worker said, by kind."""

    def __init__(self):
        self.said = []

    def __call__(self, kind, content):
        self.said.append((kind, content))

    def of(self, kind):
        return [content for said, content in self.said if said == kind]


# Without a window


def test_own_regions_are_learned_resumed_and_kept_in_the_folder(cube, tmp_path):
    told = Told()
    weights = run_training(plan_of(cube, tmp_path, epochs=2), told)
    assert [point.epoch for point in told.of("loss")] == [1, 2]
    assert all(math.isfinite(point.training) and point.validation > 0 for point in told.of("loss"))
    assert told.of("text")[-1].startswith("Epoch 2 of 2; 0 s left; accuracy")
    assert read_description(weights).names == ("iron", "calcium")
    assert (tmp_path / "regions.h5").is_file()
    assert load_model(weights).description.training["source"]["kind"] == "regions"

    again = Told()
    run_training(plan_of(cube, tmp_path, resume=True, epochs=2), again)
    assert [[point.epoch for point in points] for points in again.of("losses")] == [[1, 2]]
    assert again.of("loss") == []


def test_labels_of_another_map_or_for_another_network_are_refused(cube, tmp_path):
    other = SpectralCube(cube.counts[:10], cube.energy, "other")
    plan = plan_of(cube, tmp_path)
    with pytest.raises(InvalidInput, match="do not fit the map"):
        run_training(replace(plan, regions=OwnRegions(other, labels_of(cube))), Told())
    with pytest.raises(InvalidInput, match="no classes of pixels"):
        run_training(replace(plan, recipe=replace(RECIPES["line-mlp"], options=TINY)), Told())
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    with pytest.raises(InvalidInput, match="cannot be made"):
        run_training(replace(plan, folder=nowhere / "folder"), Told())


def test_a_search_tells_its_trials(cube, tmp_path):
    pytest.importorskip("optuna")
    told = Told()
    search = SearchParameters(trials=2, epochs=1)
    result = run_search(plan_of(cube, tmp_path, resume=True), search, told)
    assert [report.number for report in told.of("trial")] == [0, 1]
    rows, best = trial_rows(result.trials, search.figure)
    assert [row[0] for row in rows] == ["1", "2"]
    assert float(rows[best][2]) == pytest.approx(result.value, rel=1e-3)
    assert "learning rate" in rows[0][3]
    more = Told()
    run_search(plan_of(cube, tmp_path, resume=True), replace(search, trials=3), more)
    assert [report.number for report in more.of("trial")] == [2]  # the others are done already


@pytest.mark.parametrize(
    ("kept", "resume", "problem"),
    [
        ((), False, ""),
        ((), True, "nothing|no training to resume"),
        (("checkpoint.safetensors",), False, "holds a training already"),
        (("model.safetensors",), False, "holds a training already"),
        (("checkpoint.safetensors", "model.safetensors"), True, ""),
    ],
)
def test_no_training_is_overwritten(tmp_path, kept, resume, problem):
    import re

    for name in kept:
        (tmp_path / name).write_bytes(b"")
    told = folder_problem(str(tmp_path), resume)
    assert re.search(problem, told) if problem else told == ""


def test_a_folder_is_needed_and_may_not_be_a_file(tmp_path):
    assert "Choose" in folder_problem("  ", False)
    (tmp_path / "file").write_text("")
    assert "is a file" in folder_problem(str(tmp_path / "file"), False)
    assert folder_problem(str(tmp_path / "new" / "folder"), False) == ""


def test_times_and_figures_are_said_as_people_do():
    assert [time_text(seconds) for seconds in (None, math.nan, 12.3, 600.0, 7200.0)] == [
        "", "", "12 s left", "10 min left", "2.0 h left",
    ]  # fmt: skip
    assert figures_text({"accuracy": 0.98765, "unknown_found": 1.0}) == "accuracy 0.9877, unknown found 1"
    assert values_text({"network": {"hidden": 9}, "options": {"learning_rate": 0.00123}}) == (
        "hidden 9, learning rate 0.00123"
    )


# In a window


@pytest.fixture
def wrapped(viewer):
    return viewer.window.add_plugin_dock_widget("napari-xrf", "Train")


@pytest.fixture
def dock(wrapped):
    return wrapped[1]


@pytest.fixture
def labelled(viewer, cube):
    layer = viewer.add_labels(labels_of(cube).labels, name="mine", scale=cube.pixel_size)
    layer.features = {"index": [1, 2], "name": ["iron", "calcium"]}
    return layer


finish = partial(docks.finish, seconds=120)


def set_value(form, **values):
    for name, value in values.items():
        form.rows[name].editors[0].value = str(value)


def learn_regions(dock, monkeypatch, folder, **options):
    """Set the dock up for a training that takes a second."""
    monkeypatch.setitem(RECIPES, "mineral-cnn", tiny_recipe(**options))
    dock.training.recipe.setCurrentText("pca")
    dock.training.recipe.setCurrentText("mineral-cnn")
    dock.training.regions.mode.setCurrentIndex(2)
    set_value(dock.common, seed=1, device="cpu")
    dock.set_folder(folder)


@pytest.mark.gui
def test_pages_carry_what_they_share_and_are_not_cut(dock):
    for place, page in enumerate(dock.pages):
        dock.tabs.setCurrentIndex(place)
        assert page.isAncestorOf(dock.common)
        assert page.minimumSizeHint().width() > page.widget().minimumSizeHint().width()


def test_every_recipe_is_offered_with_its_options(dock):
    for index in range(dock.training.recipe.count()):
        dock.training.recipe.setCurrentIndex(index)
        name = dock.training.recipe.currentText()
        assert dock.training.chosen() == RECIPES[name], name
        assert RECIPES[name].summary[1:] in dock.training.summary.text()
    assert dock.training.recipe.count() == len(RECIPES)


@pytest.mark.gui
def test_options_of_the_network_are_written_in_a_line(dock, qtbot, monkeypatch, labelled, tmp_path):
    dock.training.recipe.setCurrentText("lt-vit")
    assert dock.training.network.text.text() == "patch=30 depth=2 aligned=true"
    dock.training.network.text.setText("patch=15 depth")
    assert "'depth' sets nothing" in dock.problem.text()
    assert not dock.run.isEnabled()
    dock.training.network.text.setText("patch=15 depth=1")
    assert dock.training.chosen().network == {"patch": 15, "depth": 1}
    dock.training.recipe.setCurrentText("vit")
    assert dock.training.network.text.text() == "patch=30 depth=4 aligned=true"
    # What the network does not know is told when it is to be made.
    from napari.utils.notifications import notification_manager

    learn_regions(dock, monkeypatch, tmp_path / "mine")
    dock.training.network.text.setText("heads=many")
    before = len(notification_manager.records)
    dock.run.click()
    finish(dock, qtbot)
    (note,) = notification_manager.records[before:]
    assert "has no option 'heads'" in note.message


@pytest.mark.gui
def test_instrument_minerals_and_distortions_are_the_recipes_where_it_has_them(dock):
    synthetic = dock.training.synthetic
    dock.training.recipe.setCurrentText("mineral-cnn")
    synthetic.instrument.set_text("synchrotron")
    synthetic.minerals.tick(("quartz",))
    assert "at least two" in dock.problem.text()
    synthetic.minerals.tick(("quartz", "calcite"))
    synthetic.distortions.setCurrentText("none")
    made = dock.training.chosen().source.options
    assert made["instrument"] == "synchrotron"
    assert made["minerals"] == ["quartz", "calcite"]
    assert made["distortions"] is None
    dock.training.recipe.setCurrentText("maxrf-cnn")
    assert dock.training.chosen().source.options["instruments"] == ["synchrotron"]
    dock.training.recipe.setCurrentText("line-mlp")
    assert dock.training.chosen() == RECIPES["line-mlp"]
    dock.training.recipe.setCurrentText("mineral-cnn")
    synthetic.instrument.set_text("abacus")
    assert "abacus" in dock.problem.text()
    assert not dock.run.isEnabled()


@pytest.mark.gui
def test_a_training_shows_its_losses_and_offers_its_model(
    dock, viewer, qtbot, labelled, tmp_path, monkeypatch
):
    inference = viewer.window.add_plugin_dock_widget("napari-xrf", "Model inference")[1]
    learn_regions(dock, monkeypatch, tmp_path / "mine", epochs=3)
    dock.run.click()
    assert not dock.run.isEnabled()
    finish(dock, qtbot)
    qtbot.waitUntil(lambda: len(dock.plot.points()) == 3)
    assert dock.plot.logarithmic
    assert "Epoch 3 of 3" in dock.plot.readout.text()
    assert read_description(tmp_path / "mine" / "model.safetensors").names == ("iron", "calcium")
    assert inference.models.box.findText("mine (yours)") >= 0
    assert "holds a training already" in dock.problem.text()
    assert not dock.run.isEnabled()


@pytest.mark.gui
def test_a_stopped_training_is_resumed(dock, qtbot, labelled, tmp_path, monkeypatch):
    learn_regions(dock, monkeypatch, tmp_path / "mine", epochs=400, patience=1000)
    dock.run.click()
    qtbot.waitUntil(lambda: len(dock.plot.points()) >= 2, timeout=60_000)
    dock.job_bar.cancel_button.click()
    finish(dock, qtbot)
    stopped = len(dock.plot.points())
    assert stopped < 400
    assert not (tmp_path / "mine" / "model.safetensors").exists()
    dock.resume.setChecked(True)
    assert dock.run.isEnabled()
    dock.run.click()
    qtbot.waitUntil(lambda: len(dock.plot.points()) > stopped + 1, timeout=60_000)
    dock.job_bar.cancel_button.click()
    finish(dock, qtbot)
    assert [point.epoch for point in dock.plot.points()] == list(range(1, len(dock.plot.points()) + 1))


@pytest.mark.gui
def test_regions_are_mixed_with_synthetic_spectra_in_a_share(dock, labelled):
    regions = dock.training.regions
    regions.mode.setCurrentIndex(1)
    regions.share.setValue(30)
    assert regions.percent.text() == "30 %"
    assert regions.value().share == pytest.approx(0.3)
    assert [entry.name for entry in regions.value().labels.classes] == ["iron", "calcium"]
    dock.training.recipe.setCurrentText("line-mlp")
    assert regions.value() is None
    assert not regions.unfit.isHidden()


@pytest.mark.gui
def test_missing_labels_are_asked_for(dock):
    dock.training.regions.mode.setCurrentIndex(2)
    assert "Labels layer" in dock.problem.text()
    assert not dock.run.isEnabled()


@pytest.mark.gui
def test_a_training_that_fails_is_one_notification(dock, qtbot, labelled, tmp_path, monkeypatch):
    from napari.utils.notifications import notification_manager

    labelled.data = np.zeros_like(labelled.data)
    learn_regions(dock, monkeypatch, tmp_path / "mine")
    before = len(notification_manager.records)
    dock.run.click()
    finish(dock, qtbot)
    (note,) = notification_manager.records[before:]
    assert "no pixel is labelled" in note.message
    assert not (tmp_path / "mine" / "model.safetensors").exists()


@pytest.mark.gui
def test_a_search_is_tabled_and_its_values_taken(dock, qtbot, labelled, tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    learn_regions(dock, monkeypatch, tmp_path / "search")
    dock.tabs.setCurrentIndex(1)
    set_value(dock.tuning.search, trials=2, epochs=1)
    assert not dock.tuning.take.isEnabled()
    dock.run.click()
    finish(dock, qtbot)
    assert len(dock.tuning.table.rows()) == 2
    assert (tmp_path / "search" / "best.json").is_file()
    dock.tuning.take.click()
    found = dock.tuning.result.recipe
    assert dict(dock.training.chosen().network) == dict(found.network)
    assert dock.training.chosen().options == replace(found.options, epochs=TINY.epochs)
    assert "Tuned" in dock.training.summary.text()


@pytest.mark.gui
def test_an_adaptation_shows_figures_before_and_after(dock, qtbot, labelled, cube, tmp_path):
    model = run_training(plan_of(cube, tmp_path / "mine", epochs=4, steps_per_epoch=20), Told())
    dock.tabs.setCurrentIndex(2)
    assert "model" in dock.problem.text() or dock.adaptation.models.model()
    dock.adaptation.models.open_file(model)
    set_value(dock.common, device="cpu")
    set_value(dock.adaptation.options, steps=4, batch_size=16, pixels=200, pool=256, held_out=100)
    dock.set_folder(tmp_path / "adapted")
    dock.run.click()
    finish(dock, qtbot)
    rows = dock.adaptation.table.rows()
    assert any("accuracy" in row[0] for row in rows)
    assert any("the map" in row[0] for row in rows)
    assert (tmp_path / "adapted" / "adaptation.json").is_file()
    assert dock.plot.points()[-1].epoch == 4
    assert "holds a model already" in dock.problem.text()


@pytest.mark.gui
def test_a_painting_generator_is_trained_and_can_be_loaded(dock, qtbot, tmp_path):
    from napari_xrf.learning.painting.generator import load_painting_generator

    dock.tabs.setCurrentIndex(dock.pages.index(dock.paintings))
    assert dock.folder.text().endswith("painting-generator")
    dock.set_folder(tmp_path / "mine")
    quick = PaintingTraining(
        paints=10, supports=(("m4-tornado", "chalk", "wood"),), recipes=60, batch_size=8, emission_steps=3,
        recipe_steps=6,
    )  # fmt: skip
    dock.paintings.options._base = quick  # one support, which has no field
    dock.paintings.options.show_value(quick)
    set_value(dock.common, seed=3, device="cuda")
    dock.run.click()
    assert dock.job_bar.job is None  # told: it is trained on the CPU
    set_value(dock.common, device="cpu")
    dock.run.click()
    finish(dock, qtbot)
    weights = tmp_path / "mine" / "model.safetensors"
    trained = load_painting_generator(weights).training
    assert (trained["seed"], trained["options"]["recipe_steps"]) == (3, 6)
    assert [point.epoch for point in dock.plot.points()] == list(range(1, 7))  # of the second network
    assert "recipe network, step 6 of 6" in dock.plot.readout.text()
    assert "Painting, as Generator" in dock.said.text()
    assert "holds a model already" in dock.problem.text()


@pytest.mark.gui
def test_the_curve_is_linear_where_a_loss_is_not_above_nothing(dock):
    dock.plot.set_points([LossPoint(1, 1.0, 2.0), LossPoint(2, 0.5, math.nan)])
    assert dock.plot.logarithmic
    dock.plot.add_point(LossPoint(3, -0.1, 0.2))
    assert not dock.plot.logarithmic
    dock.plot.add_point(LossPoint(2, 0.4, 0.3))
    assert [point.epoch for point in dock.plot.points()] == [1, 2]


@pytest.mark.gui
def test_closing_stops_the_training(wrapped, dock, viewer, qtbot, labelled, tmp_path, monkeypatch):
    learn_regions(dock, monkeypatch, tmp_path / "mine", epochs=4000, patience=5000)
    dock.run.click()
    job = dock.job_bar.job
    qtbot.waitUntil(lambda: len(dock.plot.points()) >= 1, timeout=60_000)
    wrapped[0].destroyOnClose()
    qtbot.waitUntil(lambda: not job.running, timeout=20_000)
    viewer.theme = "light"


def test_figures_without_numbers_make_no_row():
    from types import SimpleNamespace as Thing

    change = Thing(before=0.9, after=0.95, standard_error=0.01)
    result = Thing(
        figures={"accuracy": change}, before=Thing(entropy=0.5, name="a"), after=Thing(entropy=0.4, name="b")
    )
    assert adaptation_rows(result) == [
        ("accuracy, held-out spectra", "0.9000", "0.9500", "0.0100"),
        ("entropy, the map", "0.5000", "0.4000", ""),
    ]
