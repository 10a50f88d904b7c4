import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from napari_xrf.core.errors import InvalidInput
from napari_xrf.synthesis.drawn_counts import draw_counts, make_alias_tables


def draw(distribution, total, size=1, seed=1):
    tables = make_alias_tables(np.asarray(distribution, dtype=float))
    return draw_counts(
        tables, np.zeros(size, dtype=int), np.full(size, total), seed, np.arange(size), np.uint32
    )


@settings(max_examples=30, deadline=None)
@given(
    shares=st.lists(st.floats(0, 1e6), min_size=1, max_size=50).filter(lambda shares: sum(shares) > 0),
    total=st.integers(0, 500),
)
@example(shares=[5e-324], total=3)
def test_totals_are_exact_and_empty_channels_stay_empty(shares, total):
    counts = draw(shares, total, size=3)
    assert (counts.sum(axis=1) == total).all()
    assert not counts[:, np.asarray(shares) == 0].any()


@pytest.mark.parametrize("channels", [7, 64, 1000])
def test_counts_follow_the_distribution(channels):
    distribution = np.random.default_rng(2).exponential(size=channels) ** 3 + 1e-3
    counts = draw(distribution, 2000, size=500).sum(axis=0)
    expected = distribution / distribution.sum() * 1_000_000
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert 1e-4 < stats.chi2.sf(chi2, channels - 1) < 1 - 1e-4


def test_pixels_are_independent_of_what_is_drawn_beside_them():
    tables = make_alias_tables(np.array([[1.0, 2.0, 3.0], [3.0, 0.0, 1.0]]))
    chosen, totals = np.array([0, 1] * 10), np.arange(20)
    whole = draw_counts(tables, chosen, totals, 9, np.arange(20))
    part = draw_counts(tables, chosen[5:9], totals[5:9], 9, np.arange(5, 9))
    assert np.array_equal(whole[5:9], part)
    assert not np.array_equal(whole, draw_counts(tables, chosen, totals, 8, np.arange(20)))


@pytest.mark.parametrize("bad", [[0.0, 0.0], [1.0, -1.0], [np.nan, 1.0]])
def test_no_distribution(bad):
    with pytest.raises(InvalidInput, match="distribution"):
        make_alias_tables(np.array([bad]))
