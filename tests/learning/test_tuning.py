import json
import sys
from dataclasses import replace

import pytest

from napari_xrf.core.errors import Cancelled, FileError, InvalidInput
from napari_xrf.learning.registry import ARCHITECTURES, network_options
from napari_xrf.learning.sources.region_pixels import gather_pixels
from napari_xrf.learning.sources.regions import RegionOptions, RegionSource
from napari_xrf.learning.sources.source import SourceSpec
from napari_xrf.learning.training import train
from napari_xrf.learning.training_recipes import RECIPES, TrainingOptions, TrainingRecipe
from napari_xrf.learning.tuning.search import tune
from napari_xrf.learning.tuning.search_space import search_space, with_values
from two_phase_maps import AXIS, two_phase_cube

pytest.importorskip("optuna")

RECIPE = TrainingRecipe(
    "two phases",
    "mineral-cnn",
    SourceSpec("regions", {}),
    network={"widths": [4, 8], "hidden": 16, "squeeze": 4},
    options=TrainingOptions(
        epochs=2, steps_per_epoch=4, batch_size=16, learning_rate=3e-3, validation_size=64, average=0.0
    ),
)
CHOICES = {"network.hidden": (8, 16, 32), "options.learning_rate": (1e-5, 3e-3, 3e-2)}


@pytest.fixture(scope="module")
def source():
    cube, iron = two_phase_cube()
    pixels = gather_pixels(cube, iron.astype(int) + 1, ("calcium", "iron"))
    return RegionSource(pixels, AXIS, RegionOptions(counts=(30, 100)))


def search(folder, source, trials=4, recipe=RECIPE, **options):
    return tune(recipe, folder, **{"trials": trials, "source": source, "choices": CHOICES, **options})


def test_the_best_values_are_kept_and_train_as_they_did(tmp_path, source):
    reports = []
    result = search(tmp_path, source, on_trial=reports.append)
    assert [each.number for each in reports] == [0, 1, 2, 3]
    assert result.value == min(each.value for each in reports)
    assert reports[0].values["network"]["hidden"] == 16  # the recipe's own
    assert result.default == reports[0].value
    assert result.value <= result.default
    content = json.loads((tmp_path / "best.json").read_text())
    stored = {part: content[part] for part in ("network", "options")}
    assert stored == result.values
    assert result.recipe == with_values(RECIPE, stored)
    losses = []
    train(result.recipe, source=source, on_epoch=lambda epoch: losses.append(epoch.validation_loss))
    assert min(losses) == pytest.approx(result.value, rel=1e-6)
    assert sum(result.importance.values()) == pytest.approx(1)
    assert result.table(2)[0]["loss"] == result.value
    assert (tmp_path / "trials.csv").read_text().splitlines()[0].startswith("trial,state,loss,network.")


def test_a_search_goes_on_where_it_was_cancelled(tmp_path, source):
    class Stop:
        trials = 0

        def __call__(self, done, total, what):
            if what.startswith("trial 3"):
                raise Cancelled

    with pytest.raises(Cancelled):
        search(tmp_path / "a", source, progress=Stop())
    reports = []
    resumed = search(tmp_path / "a", source, on_trial=reports.append)
    straight = search(tmp_path / "b", source)
    assert len(reports) == 2
    assert [each.values for each in resumed.trials] == [each.values for each in straight.trials]
    assert [each.value for each in resumed.trials] == [each.value for each in straight.trials]
    # All is done: the same call returns at once.
    assert search(tmp_path / "a", source, on_trial=pytest.fail).value == resumed.value


def test_what_a_kill_left_running_is_repeated(tmp_path, source):
    import optuna

    search(tmp_path, source, trials=1)
    storage = f"sqlite:///{tmp_path / 'study.sqlite3'}"
    study = optuna.load_study(study_name="two phases", storage=storage)
    killed = study.ask()
    hidden = killed.suggest_categorical("network.hidden", list(CHOICES["network.hidden"]))
    result = search(tmp_path, source, trials=2)
    assert result.trials[1].values["network"]["hidden"] == hidden
    assert [each.state for each in result.trials] == ["complete", "complete"]


def test_time_runs_out_between_trials(tmp_path, source):
    search(tmp_path, source, trials=1)
    assert len(search(tmp_path, source, trials=50, timeout=0).trials) == 1
    with pytest.raises(InvalidInput, match="no trial of two phases was completed"):
        search(tmp_path / "new", source, timeout=0)


def test_a_validation_figure_is_maximised(tmp_path, source):
    result = search(tmp_path, source, trials=3, figure="accuracy")
    assert result.figure == "accuracy"
    assert result.value == max(each.value for each in result.trials)
    with pytest.raises(InvalidInput, match=r"no validation figure .beauty.+loss, accuracy"):
        search(tmp_path / "b", source, figure="beauty")


def test_values_that_cannot_be_are_given_up(tmp_path, source):
    result = search(tmp_path, source, trials=6, choices={"network.first_kernel": (4, 9)})
    states = {each.values["network"]["first_kernel"]: each.state for each in result.trials}
    assert states[9] == "complete"
    assert states.get(4, "failed") == "failed"
    assert result.values["network"]["first_kernel"] == 9


@pytest.mark.parametrize("change", [{"seed": 1}, {"figure": "accuracy"}, {"choices": None}])
def test_a_folder_holds_one_search(tmp_path, source, change):
    search(tmp_path, source, trials=1)
    with pytest.raises(InvalidInput, match="holds another search"):
        search(tmp_path, source, trials=2, **change)


def test_a_folder_with_another_file_is_refused(tmp_path, source):
    (tmp_path / "study.sqlite3").write_text("no data base")
    with pytest.raises(FileError, match="holds no search"):
        search(tmp_path, source)


def test_a_missing_optuna_says_how_to_get_it(tmp_path, source, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InvalidInput, match=r'pip install "\.\[tune\]"'):
        search(tmp_path, source)


def test_what_cannot_be_tuned_is_named(tmp_path, source):
    with pytest.raises(InvalidInput, match="at least 1 trial"):
        search(tmp_path, source, trials=0)
    with pytest.raises(InvalidInput, match="pca has nothing to tune"):
        tune(RECIPES["pca"], tmp_path)
    with pytest.raises(InvalidInput, match="hidden"):
        with_values(RECIPE, {"network": {"hidden": -1}})
    with pytest.raises(InvalidInput, match="speed"):
        with_values(RECIPE, {"options": {"speed": 1}})


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "pca"])
def test_every_recipe_has_a_space_around_its_own_values(name):
    recipe = RECIPES[name]
    network = network_options(recipe.architecture, dict(recipe.network))
    space = {each.name: each for each in search_space(network, recipe.options)}
    assert {"options.learning_rate", "options.batch_size", "options.optimizer"} <= set(space)
    for each in space.values():
        assert each.choices or each.low < each.high
        json.dumps(each.as_json())
    for place, options in (("network", network), ("options", recipe.options)):
        for each in space.values():
            if each.name.startswith(place) and not each.choices:
                assert each.low <= getattr(options, each.name.partition(".")[2]) <= each.high
    if "network.heads" in space and "network.width" in space:
        width = space["network.width"]
        for heads in space["network.heads"].choices:
            assert width.low % heads == width.step % heads == 0


def test_the_papers_hyper_parameters_are_searched():
    def names(architecture):
        return {each.name for each in search_space(network_options(architecture), TrainingOptions())}

    assert {"network.hidden", "network.dropout", "network.activation"} <= names("line-mlp")
    assert {"network.patch", "network.width", "network.depth", "network.heads"} <= names("lt-vit")
    assert "network.widths" in names("mineral-cnn")
    assert "network.width" in names("maxrf-cnn")
    assert set(ARCHITECTURES) - {"pca"} == {name for name in ARCHITECTURES if len(names(name)) > 4}


def test_larger_batches_take_fewer_steps(tmp_path, source):
    recipe = replace(RECIPE, name="batches")
    result = search(tmp_path, source, trials=3, recipe=recipe, choices={"options.batch_size": (8, 32)})
    for each in result.trials:
        assert each.values["options"]["steps_per_epoch"] * each.values["options"]["batch_size"] == 64
