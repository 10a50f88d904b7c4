import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_xrf.core.errors import Cancelled, FileError, InvalidInput
from napari_xrf.io.atomic_write import held_folder
from napari_xrf.learning.sources.source import SourceSpec, make_source
from napari_xrf.learning.training import TEST, TRAINING, VALIDATION, generator_of, train
from napari_xrf.learning.training_recipes import RECIPES, TrainingOptions, training_recipe
from napari_xrf.learning.weights import load_model
from small_models import FEW_MINERALS, small_recipe


def weights(model):
    return {name: tensor.clone() for name, tensor in model.network.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_seed_gives_the_same_weights_and_another_others():
    recipe = small_recipe("vit", network={"depth": 1, "width": 16})
    first, second, other = (weights(train(recipe, seed=seed)) for seed in (1, 1, 2))
    assert same(first, second)
    assert not same(first, other)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path):
    recipe = small_recipe("line-mlp", epochs=3, network={"hidden": 32, "depth": 1, "dropout": 0.2})
    straight = weights(train(recipe, folder=tmp_path / "straight"))
    seen = []

    def stop(done, total, what):
        if what == "training" and len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(recipe, folder=tmp_path / "stopped", progress=stop, on_epoch=seen.append)
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    resumed = train(recipe, folder=tmp_path / "stopped", resume=True, on_epoch=seen.append)
    assert [epoch.number for epoch in seen] == [1, 2, 3]
    assert same(straight, weights(resumed))


def test_a_folder_gets_weights_card_and_metrics(tmp_path):
    model = train(small_recipe("mineral-cnn"), seed=5, folder=tmp_path)
    again = load_model(tmp_path)
    assert same(weights(model), weights(again))
    assert again.description.names == tuple(each.name for each in again.description.classes)
    assert set(again.description.names) == set(FEW_MINERALS)
    card = (tmp_path / "model-card.md").read_text()
    assert "--seed 5" in card
    assert "Known failures" in card
    history = json.loads((tmp_path / "metrics.json").read_text())["history"]
    assert [row["epoch"] for row in history] == [1, 2]


def test_training_learns(tmp_path):
    recipe = small_recipe("mineral-cnn", epochs=6, steps=12)
    model = train(recipe)
    assert model.description.training["validation"]["accuracy"] > 0.8


def test_a_classifier_learns_from_principal_components_and_leaves_them_as_they_are():
    recipe = small_recipe("mineral-pca", epochs=4, steps=12)
    model = train(recipe)
    components = load_model("pca").network.components
    assert torch.equal(model.network.encoder.components, components.half().float())
    assert model.description.training["validation"]["accuracy"] > 0.7
    with pytest.raises(InvalidInput, match="fit this network"):
        train(replace(recipe, network={"encoder": "vae", "size": 32}))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_trains_a_step(name, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipe = small_recipe(name, epochs=1, steps=1)
    model = train(recipe)
    assert model.description.outputs
    assert json.dumps(dict(model.description.training))


def test_training_ends_when_nothing_gets_better():
    # The mean of no weights at all stays where it is: the first epoch is the best.
    recipe = small_recipe("pca", epochs=9)
    constant = small_recipe("line-mlp", epochs=9, steps=1, network={"hidden": 8, "depth": 1})
    worse = replace(constant.options, optimizer="sgd", learning_rate=0.9, patience=2, warmup=0.0, clip=0.0)
    seen = []
    train(replace(constant, options=worse), on_epoch=seen.append)
    best = max(epoch.number for epoch in seen if epoch.best)
    assert len(seen) == min(best + 2, 9)
    assert train(recipe).description.training["epochs"] == 0


def test_a_checkpoint_of_another_training_is_not_taken(tmp_path):
    recipe = small_recipe("line-mlp", epochs=1, network={"hidden": 8, "depth": 1})
    train(recipe, seed=1, folder=tmp_path)
    with pytest.raises(InvalidInput, match="another recipe, seed or options"):
        train(recipe, seed=2, folder=tmp_path, resume=True)


def test_a_damaged_checkpoint_is_an_error(tmp_path):
    recipe = small_recipe("line-mlp", epochs=1, network={"hidden": 8, "depth": 1})
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FileError, match="damaged"):
        train(recipe, folder=tmp_path, resume=True)


def test_streams_of_random_numbers_never_meet():
    first = {
        tuple(generator_of(3, stream).integers(2**31, size=4)) for stream in (TRAINING, VALIDATION, TEST)
    }
    assert len(first) == 3
    with pytest.raises(InvalidInput, match="seed"):
        generator_of(-1, TRAINING)


def test_unknown_names_are_errors():
    with pytest.raises(InvalidInput, match="no training recipe 'lines'"):
        training_recipe("lines")
    with pytest.raises(InvalidInput, match="no source 'paint'"):
        make_source(SourceSpec("paint"))
    with pytest.raises(InvalidInput, match="source lines"):
        make_source(SourceSpec("lines", {"colour": 1}))
    with pytest.raises(InvalidInput, match="no optimizer"):
        TrainingOptions(optimizer="lion")
    with pytest.raises(InvalidInput, match="epochs"):
        TrainingOptions(epochs=0)


def test_a_rate_too_high_is_told():
    recipe = small_recipe("maxrf-cnn-gem", epochs=4, steps=20)
    options = TrainingOptions(
        **{**vars(recipe.options), "learning_rate": 1.0, "optimizer": "sgd", "clip": 0.0, "warmup": 0.0}
    )
    try:
        model = train(replace(recipe, options=options))
    except InvalidInput as error:
        assert "learning rate" in str(error)  # noqa: PT017
    else:
        assert all(np.isfinite(value) for value in model.description.training["validation"].values())


@pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")
def test_two_trainings_in_one_folder_are_refused(tmp_path):
    with held_folder(tmp_path, "training"), pytest.raises(InvalidInput, match="another training"):
        train(small_recipe("line-mlp", epochs=1), folder=tmp_path)
