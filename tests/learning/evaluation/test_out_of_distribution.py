from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.out_of_distribution import (
    out_of_distribution_spectra,
    score_out_of_distribution,
)
from untrained_models import untrained_model


@pytest.fixture(scope="module")
def mineral_model():
    return untrained_model("mineral-cnn", held_out=["galena", "barite"])


def test_a_mineral_model_is_asked_about_every_kind(mineral_model) -> None:
    found = score_out_of_distribution(mineral_model, size=60)
    assert set(found) == {
        "unseen minerals",
        "unseen elements",
        "instrument sem-eds",
        "instrument pixl",
        "instrument synchrotron",
        "empty pixels",
    }
    for each in found.values():
        assert 0 <= each["auroc"] <= 1
        assert 0 <= each["called unknown"] <= 1
        assert each["spectra"] == 60


def test_unseen_minerals_are_those_that_were_kept_back(mineral_model) -> None:
    familiar, kinds = out_of_distribution_spectra(mineral_model.description, 30, 0)
    axis = mineral_model.description.axis
    lead = axis.window(10.4, 10.7)
    barium = axis.window(4.3, 4.9)
    unseen = kinds["unseen minerals"]
    share = (unseen[:, lead].sum(axis=1) + unseen[:, barium].sum(axis=1)) / unseen.sum(axis=1)
    usual = (familiar[:, lead].sum(axis=1) + familiar[:, barium].sum(axis=1)) / familiar.sum(axis=1)
    assert np.median(share) > 3 * np.median(usual)
    assert kinds["empty pixels"].sum(axis=1).max() < 80


@pytest.mark.parametrize("name", ["line-mlp", "maxrf-cnn-gem", "maxrf-cnn"])
def test_models_of_lines_and_elements_are_asked_too(name: str) -> None:
    model = untrained_model(name, network={"hidden": 16} if name == "line-mlp" else None)
    found = score_out_of_distribution(model, size=12)
    assert {"unseen elements", "empty pixels"} <= set(found)
    assert all(np.isnan(each["called unknown"]) for each in found.values())


def test_a_model_of_unknown_origin_is_refused(mineral_model) -> None:
    with pytest.raises(InvalidInput, match="nothing known"):
        out_of_distribution_spectra(replace(mineral_model.description, training={}), 10, 0)
