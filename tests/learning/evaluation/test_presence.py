from __future__ import annotations

import math

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.presence_scores import score_presence


def test_each_element_is_judged_for_itself() -> None:
    present = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]])
    probability = np.array([[0.9, 0.2, 0.1], [0.8, 0.3, 0.6], [0.1, 0.7, 0.2], [0.2, 0.4, 0.1]])
    scores = score_presence(probability, probability > 0.5, present)
    assert scores.f1[:2] == pytest.approx([1, 2 / 3])
    assert scores.area[:2] == pytest.approx([1, 0.75])
    assert math.isnan(scores.f1[2])
    assert math.isnan(scores.area[2])
    assert scores.occurrences.tolist() == [2, 2, 0]
    assert scores.overall["precision"] == 0.75
    assert scores.as_row()["auroc"] == pytest.approx(0.875)


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput):
        score_presence(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 2)))
