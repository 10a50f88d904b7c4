from __future__ import annotations

import math

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.probability_calibration import reliability_curve


def test_honest_probabilities_have_a_small_error_and_boasts_a_large_one() -> None:
    generator = np.random.default_rng(0)
    probability = generator.random(20_000)
    true = generator.random(20_000) < probability
    assert reliability_curve(probability, true).expected_error < 0.02
    assert reliability_curve(np.where(probability > 0.5, 0.99, 0.01), true).expected_error > 0.2


def test_bins_hold_all_statements() -> None:
    curve = reliability_curve([[0.0, 1.0], [0.55, 0.52]], [[0, 1], [1, 0]], bins=10)
    assert curve.number.tolist() == [1, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert curve.frequency[5] == 0.5
    assert math.isnan(curve.frequency[1])


def test_no_statements_have_no_error() -> None:
    assert math.isnan(reliability_curve([], []).expected_error)


@pytest.mark.parametrize(("probability", "true"), [([0.5], [0, 1]), ([1.5], [1]), ([np.nan], [1])])
def test_what_is_no_probability_is_refused(probability: list[float], true: list[int]) -> None:
    with pytest.raises(InvalidInput):
        reliability_curve(probability, true)
