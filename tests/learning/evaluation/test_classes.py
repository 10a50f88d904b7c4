from __future__ import annotations

import math

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.class_scores import score_classes


def test_accuracy_with_and_without_unknown() -> None:
    truth = [0, 0, 0, 1, 1, 2, 2]  # 2 is unknown
    given = [0, 0, 2, 1, 0, 2, 1]
    scores = score_classes(given, truth, 2)
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.as_row()["accuracy with unknown"] == pytest.approx(4 / 7)
    assert scores.as_row()["accuracy of decided"] == pytest.approx(3 / 4)
    assert scores.precision == pytest.approx([2 / 3, 1 / 2, 1 / 2])
    assert scores.recall == pytest.approx([2 / 3, 1 / 2, 1 / 2])
    assert scores.as_row()["called unknown"] == pytest.approx(1 / 5)
    assert scores.worst_pairs(("a", "b"), 2) == (("a", "unknown", 1), ("b", "a", 1))


def test_classes_that_never_occur_do_not_spoil_the_mean() -> None:
    scores = score_classes([0, 0], [0, 0], 3)
    assert scores.as_row()["macro f1"] == 1.0
    assert math.isnan(scores.f1[1])


def test_all_confusions_add_up() -> None:
    generator = np.random.default_rng(0)
    given, truth = generator.integers(0, 5, size=(2, 300))
    assert score_classes(given, truth, 4).confusion.sum() == 300


@pytest.mark.parametrize("given", [[0, 3], [-1, 0], [0]])
def test_what_is_no_class_is_refused(given: list[int]) -> None:
    with pytest.raises(InvalidInput):
        score_classes(given, [0, 1], 2)
