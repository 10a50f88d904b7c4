from __future__ import annotations

import math

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.regression import score_regression


def test_the_mean_explains_nothing_and_the_truth_all() -> None:
    truth = np.random.default_rng(0).gamma(2, size=(200, 3)) * [1, 10, 100]
    assert score_regression(np.broadcast_to(truth.mean(axis=0), truth.shape), truth).r2 == pytest.approx(0)
    assert score_regression(truth, truth).as_row() == pytest.approx(
        {"r2": 1, "r2 weighted": 1, "rmse": 0, "mae": 0}
    )


def test_uniform_and_weighted_averages_differ_as_they_should() -> None:
    generator = np.random.default_rng(1)
    truth = generator.normal(size=(5000, 2)) * [1, 10]
    predicted = truth + generator.normal(size=truth.shape) * [0.5, 1]
    scores = score_regression(predicted, truth)
    assert scores.r2_uniform == pytest.approx((0.75 + 0.99) / 2, abs=0.01)
    assert scores.r2_weighted == pytest.approx(1 - 1.25 / 101, abs=0.002)
    assert scores.rmse == pytest.approx([0.5, 1], rel=0.05)


def test_an_amount_that_never_changes_is_left_out_of_the_average() -> None:
    truth = np.array([[1.0, 0.0], [2.0, 0.0]])
    scores = score_regression(truth + 0.01, truth)
    assert math.isnan(scores.r2[1])
    assert scores.r2_uniform == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("predicted", [np.zeros((2, 3)), np.full((2, 2), np.nan)])
def test_what_cannot_be_compared_is_refused(predicted: np.ndarray) -> None:
    with pytest.raises(InvalidInput):
        score_regression(predicted, np.ones((2, 2)))
