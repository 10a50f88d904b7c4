from __future__ import annotations

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.line_scores import attainable_scores
from napari_xrf.synthesis.layers import synthesize_layers


def test_one_visible_line_names_all_of_its_element() -> None:
    names = ("Fe ka1", "Fe kb1", "O ka1")
    present = np.array([[1, 1, 1], [1, 1, 0]])
    visible = np.array([[1, 0, 0], [0, 0, 0]])
    scores = attainable_scores(names, present, visible)["all lines"]
    assert scores["sensitivity"] == pytest.approx(2 / 5)
    assert scores["precision"] == 1.0


def test_the_published_figures_are_below_what_can_be_attained() -> None:
    made = synthesize_layers(800, generator=np.random.default_rng(0))
    scores = attainable_scores(made.lines, made.present, made.visible)
    assert 0.9 < scores["all lines"]["pearson"] < 1.0
    assert 0.85 < scores["all lines"]["sensitivity"] < 1.0
    assert scores["visible lines"]["sensitivity"] == 1.0


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput):
        attainable_scores(("Fe ka1",), np.zeros((2, 2)), np.zeros((2, 2)))
