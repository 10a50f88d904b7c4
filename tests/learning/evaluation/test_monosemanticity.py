from __future__ import annotations

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.monosemanticity import measure_monosemanticity

GENERATOR = np.random.default_rng(0)
PRESENT = GENERATOR.random((600, 6)) < 0.25


def test_a_code_that_is_the_labels_is_monosemantic() -> None:
    found = measure_monosemanticity(PRESENT * GENERATOR.uniform(1, 3, PRESENT.shape), PRESENT, named=True)
    assert found.purity == pytest.approx(1.0)
    assert found.coverage == pytest.approx(1.0)
    assert found.as_row()["purity >= 0.95"] == 1.0
    assert found.base_rate == pytest.approx(0.25, abs=0.06)


def test_a_rotated_code_is_not_even_with_each_units_best_line() -> None:
    rotation = np.linalg.qr(GENERATOR.normal(size=(6, 6)))[0]
    found = measure_monosemanticity(PRESENT @ rotation, PRESENT, named=False)
    assert found.purity.mean() < 0.9


def test_units_without_names_find_theirs_whatever_their_order_and_sign() -> None:
    code = -PRESENT[:, ::-1].astype(float)
    found = measure_monosemanticity(code, PRESENT, named=False)
    assert found.names.tolist() == [5, 4, 3, 2, 1, 0]
    assert found.purity == pytest.approx(1.0)


def test_lines_that_cannot_be_seen_are_not_held_against_a_unit() -> None:
    visible = PRESENT & (GENERATOR.random(PRESENT.shape) < 0.6)
    found = measure_monosemanticity(visible.astype(float), PRESENT, visible, named=True)
    assert found.coverage == pytest.approx(1.0)
    assert measure_monosemanticity(visible.astype(float), PRESENT, named=True).coverage.mean() < 0.7


def test_a_unit_stands_for_a_line_that_can_be_seen() -> None:
    # Two lines of each element, the first of which no detector sees.
    present = np.repeat(PRESENT, 2, axis=1)
    visible = present & (np.arange(12) % 2 == 1)
    found = measure_monosemanticity(PRESENT.astype(float), present, visible, named=False)
    assert found.names.tolist() == [1, 3, 5, 7, 9, 11]
    assert found.purity == pytest.approx(1.0)


def test_silent_units_and_rare_lines_are_not_judged() -> None:
    code = PRESENT.astype(float)
    code[:, 0] = 0
    rare = PRESENT.copy()
    rare[:, 1] = False
    found = measure_monosemanticity(code, rare, named=True)
    assert found.silent == pytest.approx(1 / 6)
    assert found.names.tolist() == [2, 3, 4, 5]


def test_codes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput):
        measure_monosemanticity(np.ones((10, 3)), PRESENT, named=False)
    with pytest.raises(InvalidInput, match="no unit for each"):
        measure_monosemanticity(np.ones((600, 3)), PRESENT, named=True)
