import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from napari_xrf.core.errors import InvalidInput
from napari_xrf.synthesis.sampling import count_dtype, draw_poisson


@pytest.mark.parametrize("mean", [0.01, 0.4, 3.0, 11.9, 12.1, 80.0, 900.0])
def test_counts_follow_poisson(mean):
    counts = draw_poisson(np.full((400, 500), mean), seed=5).ravel()
    values = np.arange(int(stats.poisson.ppf(1e-3, mean)), int(stats.poisson.ppf(0.999, mean)) + 1)
    edges = np.unique(np.linspace(values[0], values[-1], 25).astype(int))
    observed = np.histogram(counts, [-np.inf, *(edges + 0.5), np.inf])[0]
    chances = np.diff([0.0, *stats.poisson.cdf(edges, mean), 1.0])
    keep = chances * counts.size > 5
    expected = chances[keep] * counts.size
    chi2 = float(((observed[keep] - expected) ** 2 / expected).sum())
    assert stats.chi2.sf(chi2, max(keep.sum() - 1, 1)) > 1e-4


def test_channels_and_spectra_are_independent():
    counts = draw_poisson(np.full((20_000, 6), 2.0), seed=3).astype(float)
    correlation = np.corrcoef(counts.T) - np.eye(6)
    assert np.abs(correlation).max() < 0.04
    follows = np.corrcoef(counts[:-1, 0], counts[1:, 0])[0, 1]
    assert abs(follows) < 0.04


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), mean=st.floats(0, 200), chosen=st.sets(st.integers(0, 29), min_size=1))
def test_a_spectrum_does_not_depend_on_what_is_drawn_beside_it(seed, mean, chosen):
    expected = np.linspace(0, mean, 40) * np.ones((30, 1))
    rows = sorted(chosen)
    assert np.array_equal(draw_poisson(expected, seed)[rows], draw_poisson(expected[rows], seed, rows))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), changed=st.integers(0, 39), mean=st.floats(0.1, 100))
def test_channels_of_equal_expectation_have_equal_counts(seed, changed, mean):
    expected = np.full((4, 40), mean)
    other = expected.copy()
    other[:, changed] *= 2
    same = draw_poisson(expected, seed) == draw_poisson(other, seed)
    assert np.delete(same, changed, axis=1).all()


def test_zero_dose_gives_zero_counts():
    assert not draw_poisson(np.zeros((5, 100)), seed=1).any()


def test_empty_set():
    assert draw_poisson(np.zeros((0, 100)), seed=1).shape == (0, 100)


@pytest.mark.parametrize("bad", [-1e-3, np.nan, np.inf])
def test_impossible_expectations_are_refused(bad):
    expected = np.ones((2, 3))
    expected[1, 1] = bad
    with pytest.raises(InvalidInput, match="finite and not negative"):
        draw_poisson(expected, seed=1)


def test_dtype_holds_the_counts():
    assert count_dtype(60_000) == np.uint16
    assert count_dtype(65_500) == np.uint32
    with pytest.raises(InvalidInput, match="too many"):
        count_dtype(1e10)
    assert draw_poisson(np.full((50, 50), 70_000.0), seed=1).max() > 2**16
