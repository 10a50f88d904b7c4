from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.results import write_curve_comparison
from napari_xrf.learning.evaluation.robustness import robustness_curves
from napari_xrf.learning.model import Model
from napari_xrf.learning.training import train
from small_models import small_recipe
from untrained_models import untrained_model


@pytest.fixture(scope="module")
def components():
    return train(small_recipe("pca", network={"components": 2}))


@pytest.mark.parametrize("name", ["line-mlp", "maxrf-cnn-gem", "mineral-cnn"])
def test_a_model_has_curves_against_all_that_its_paper_distorts(name: str, tmp_path) -> None:
    model = untrained_model(name, network={"hidden": 16} if name == "line-mlp" else None)
    curves = robustness_curves(
        model, names=["counts", "calibration shift", "resolution", "Bragg peaks"], size=12
    )
    assert [curve.name for curve in curves] == ["counts", "calibration shift", "resolution", "Bragg peaks"]
    for curve in curves:
        assert len(curve.values) == len(curve.scores) >= 5
        assert np.isfinite(curve.scores).all()
    written = write_curve_comparison(tmp_path, {"one": curves, "other": curves})
    assert len(written) == 4


@pytest.mark.parametrize("name", ["line-mlp", "mineral-cnn"])
def test_missing_energies_cost_what_they_hold_and_the_rest_is_refused(name: str) -> None:
    model = untrained_model(name, network={"hidden": 16} if name == "line-mlp" else None)
    names = ["end of the spectrum", "dead window from 5 keV"]
    ends, windows = robustness_curves(model, names=names, size=12)
    assert ends.values[0] == 30.0
    assert np.isfinite(ends.scores[0])
    refused = np.isnan(ends.scores)  # less than half of the model's energies
    assert refused.tolist() == sorted(refused)
    assert refused[-1]
    assert windows.values[0] == 0.0
    assert windows.figure == "accuracy" or len(set(windows.scores)) > 1  # untrained, none is right


def test_curves_are_the_same_for_a_seed() -> None:
    model = untrained_model("line-mlp", network={"hidden": 16})
    first, second = (robustness_curves(model, names=["resolution"], size=8, seed=3) for _ in range(2))
    assert first == second


def test_models_of_other_training_are_shown_the_same_spectra() -> None:
    model = untrained_model("maxrf-cnn-gem")
    training = model.description.training
    recipe = training["source"]["options"]
    ideal = {**training["source"], "options": {**recipe, "distortions": None}}
    other = model.with_description(model.description.with_training(source=ideal))
    own, changed, same = (
        robustness_curves(each, names=["counts"], size=40, options=options)
        for each, options in ((model, None), (other, None), (other, recipe))
    )
    assert own == same
    assert own != changed


def test_unknown_properties_and_models_without_figures_are_refused(components) -> None:
    model = untrained_model("line-mlp", network={"hidden": 16})
    with pytest.raises(InvalidInput, match="no curve against 'weather'"):
        robustness_curves(model, names=["weather"])
    with pytest.raises(InvalidInput, match="no figure"):
        robustness_curves(components, names=["counts"], size=4)
    with pytest.raises(InvalidInput, match="nothing known"):
        robustness_curves(Model(replace(model.description, training={}), model.network))
