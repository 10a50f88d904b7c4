from __future__ import annotations

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.regression import score_reconstruction


def test_the_expectation_itself_leaves_noise_alone() -> None:
    generator = np.random.default_rng(0)
    expected = generator.gamma(2, 30, size=(50, 80)) + 20
    scores = score_reconstruction(expected, generator.poisson(expected))
    assert scores["deviance"] == pytest.approx(1.0, abs=0.06)
    assert scores["r2"] > 0.9
    worse = score_reconstruction(expected.mean(axis=0) * np.ones((50, 1)), generator.poisson(expected))
    assert worse["deviance"] > 5
    assert worse["r2"] < 0.1


def test_spectra_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput):
        score_reconstruction(np.ones((2, 3)), np.ones((2, 4)))
