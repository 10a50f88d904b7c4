from __future__ import annotations

import math

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.class_scores import score_segmentation

TRUTH = np.repeat([[0, 0, 0, 1, 1, 1]], 4, axis=0)


def test_boundaries_are_judged_apart() -> None:
    given = TRUTH.copy()
    given[:, 3] = 0
    scores = score_segmentation(given, TRUTH)
    assert scores["inside grains"] == 1.0
    assert scores["on boundaries"] == 0.5
    assert scores["boundary pixels"] == pytest.approx(1 / 3)
    assert scores["pixel accuracy"] == pytest.approx(5 / 6)
    assert scores["mean IoU"] == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_abundances_say_where_grains_mix() -> None:
    abundances = np.stack([TRUTH == 0, TRUTH == 1], axis=2).astype(float)
    abundances[0, 0] = 0.6, 0.4
    scores = score_segmentation(TRUTH, TRUTH, abundances)
    assert scores["boundary pixels"] == pytest.approx(1 / 24)


def test_pixels_without_counts_are_left_out() -> None:
    given = TRUTH.copy()
    given[0] = -1
    assert score_segmentation(given, TRUTH)["pixel accuracy"] == 1.0
    assert math.isnan(score_segmentation(np.full_like(TRUTH, -1), TRUTH)["pixel accuracy"])


def test_maps_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput):
        score_segmentation(TRUTH[:2], TRUTH)
    with pytest.raises(InvalidInput):
        score_segmentation(TRUTH, TRUTH, np.zeros((2, 2, 2)))
