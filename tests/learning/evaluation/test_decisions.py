from __future__ import annotations

import math

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.presence_scores import decision_rates


def test_rates_of_a_small_table() -> None:
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    named = np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    found = decision_rates(named, truth)
    assert (found["sensitivity"], found["specificity"]) == (pytest.approx(2 / 3), 0.8)
    assert (found["precision"], found["accuracy"], found["f1"]) == (
        pytest.approx(2 / 3),
        0.75,
        pytest.approx(2 / 3),
    )


def test_what_is_not_judged_does_not_count() -> None:
    truth = np.array([True, False])
    found = decision_rates(np.array([True, True]), truth, np.array([True, False]))
    assert (found["total"], found["precision"]) == (1, 1.0)


def test_rates_of_nothing_are_nan() -> None:
    found = decision_rates(np.zeros(3, dtype=bool), np.zeros(3, dtype=bool))
    assert math.isnan(found["sensitivity"])
    assert math.isnan(found["precision"])
    assert found["specificity"] == 1.0


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="differ in shape"):
        decision_rates(np.zeros(3, dtype=bool), np.zeros(4, dtype=bool))
