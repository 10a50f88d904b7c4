from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.presence_scores import rank_area


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_the_chance_of_ranking_a_pair_right(pairs: list[tuple[int, bool]]) -> None:
    score, positive = np.array([s for s, _ in pairs]), np.array([p for _, p in pairs])
    above, below = score[positive], score[~positive]
    area = rank_area(score, positive)
    if not above.size or not below.size:
        assert math.isnan(area)
        return
    wins = (above[:, None] > below).mean() + 0.5 * (above[:, None] == below).mean()
    assert area == pytest.approx(wins)


def test_scores_that_cannot_be_ranked_are_refused() -> None:
    with pytest.raises(InvalidInput):
        rank_area([0.1, np.nan], [0, 1])
    with pytest.raises(InvalidInput):
        rank_area([0.1, 0.2], [0, 1, 1])
