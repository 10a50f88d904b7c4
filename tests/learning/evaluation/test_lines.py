from __future__ import annotations

import math

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.line_scores import line_subsets, score_line_sets, score_lines
from napari_xrf.synthesis.line_basis import line_basis

NAMES = tuple(line.label for line in line_basis())


def test_pearson_is_numpys() -> None:
    generator = np.random.default_rng(0)
    present = generator.random((50, 20)) < 0.2
    probability = np.clip(present * 0.5 + generator.random((50, 20)) * 0.5, 0, 1)
    expected = np.corrcoef(probability.ravel(), present.ravel())[0, 1]
    assert score_lines(probability, probability > 0.5, present)["pearson"] == pytest.approx(expected)


def test_a_perfect_answer_has_ones_everywhere() -> None:
    present = np.random.default_rng(1).random((30, len(NAMES))) < 0.1
    for scores in score_line_sets(NAMES, present, present, present, present).values():
        assert all(value == pytest.approx(1.0) for value in scores.values())


def test_lines_that_cannot_be_seen_are_not_held_against_a_network() -> None:
    present = np.array([[True, True, False]])
    visible = np.array([[True, False, False]])
    named = np.array([[True, False, False]])
    scores = score_line_sets(("a", "b", "c"), named.astype(float), named, present, visible)
    assert scores["all lines"]["sensitivity"] == 0.5
    assert scores["visible lines"]["sensitivity"] == 1.0
    assert scores["visible lines"]["guess ratio"] == 1.0


def test_subsets_of_the_basis() -> None:
    subsets = line_subsets(NAMES)
    assert subsets["from 1 keV"].sum() == 556 - 109
    # No photon up to 30 keV reaches the K edge of Te, at 31.8 keV.
    assert not subsets["excitable"][NAMES.index("Te ka1")]
    assert subsets["excitable"][NAMES.index("Sn ka1")]
    assert line_subsets(("my line",)) == {}


def test_a_constant_answer_has_no_correlation() -> None:
    assert math.isnan(score_lines(np.full((4, 2), 0.5), np.zeros((4, 2)), np.eye(4)[:, :2])["pearson"])


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput):
        score_lines(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((3, 2)))
