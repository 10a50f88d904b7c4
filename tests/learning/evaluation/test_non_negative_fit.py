from __future__ import annotations

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.plain_fit import (
    FitColumns,
    FittedAmounts,
    fit_presence_scale,
    fit_spectra,
)

CHANNELS = np.arange(120)


def peaks(width: float) -> FitColumns:
    shapes = np.exp(-0.5 * ((CHANNELS - np.array([[25], [40], [80]])) / width) ** 2)
    columns = np.vstack([shapes, np.ones(CHANNELS.size)])
    return FitColumns(columns / columns.sum(axis=1, keepdims=True), np.array([0, 1, 2, -1]))


def counted(amounts: np.ndarray, columns: FitColumns, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(amounts @ columns.columns).astype(np.float32)


def test_amounts_are_found_within_their_errors() -> None:
    columns = peaks(4)
    truth = np.tile([2000.0, 500.0, 0.0, 1000.0], (60, 1))
    found = fit_spectra(counted(truth, columns), [columns], 3)
    pulls = (found.counts[:, :2] - truth[:, :2]) / found.errors[:, :2]
    assert np.abs(pulls.mean(axis=0)).max() < 0.6
    assert 0.3 < pulls.std() < 1.5
    assert np.median(found.significance[:, 2]) < 2
    assert (found.significance[:, :2] > 4).all()


def test_the_right_resolution_is_chosen() -> None:
    narrow, wide = peaks(3), peaks(6)
    truth = np.tile([3000.0, 1000.0, 800.0, 500.0], (20, 1))
    found = fit_spectra(counted(truth, wide), [narrow, wide], 3)
    assert (found.chosen == 1).all()


def test_columns_of_one_element_add_up() -> None:
    columns = peaks(3)
    joined = FitColumns(columns.columns, np.array([0, 0, 1, -1]))
    truth = np.tile([1500.0, 700.0, 0.0, 200.0], (20, 1))
    found = fit_spectra(counted(truth, columns), [joined], 2)
    assert found.counts[:, 0].mean() == pytest.approx(2200, rel=0.03)


def test_probabilities_rise_with_amounts_and_fit_the_truth() -> None:
    generator = np.random.default_rng(1)
    present = generator.random((400, 4)) < 0.3
    counts = np.where(
        present, generator.exponential(300, present.shape), generator.exponential(8, present.shape)
    )
    amounts = FittedAmounts(counts, np.full(counts.shape, 10.0), np.zeros(400, dtype=np.intp))
    scale = fit_presence_scale(amounts, present)
    probability = scale.probability(amounts)
    assert probability[present].mean() > 0.7
    assert probability.mean() == pytest.approx(present.mean(), abs=0.02)
    named = probability >= scale.threshold
    assert (named == present).mean() > 0.9


def test_nothing_to_fit_is_refused() -> None:
    with pytest.raises(InvalidInput):
        fit_spectra(np.zeros((0, 120)), [peaks(3)], 3)
    with pytest.raises(InvalidInput):
        fit_spectra(np.ones((2, 120)), [], 3)
    amounts = FittedAmounts(np.ones((2, 3)), np.ones((2, 3)), np.zeros(2, dtype=np.intp))
    with pytest.raises(InvalidInput):
        fit_presence_scale(amounts, np.ones((2, 2)))
