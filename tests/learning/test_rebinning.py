import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.rebinning import rebin_counts

AXIS = EnergyAxis(0.03, 0.01, 64)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.004, 0.05),
    st.floats(-0.2, 0.03),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 200), min_size=64, max_size=64),
)
def test_every_count_arrives_once(width, offset, seed, channels):
    counts = np.array([channels], dtype=np.uint16)
    size = int(np.ceil((AXIS.edges[-1] - offset) / width)) + 3
    other = EnergyAxis(offset, width, size)
    moved = rebin_counts(counts, AXIS, other, seed=seed)
    low = AXIS.edges[0] >= other.edges[0] - 1e-9
    if low:
        assert moved.sum() == counts.sum()
    assert (moved >= 0).all()
    assert (moved == np.rint(moved)).all()


def test_the_mean_is_the_share_by_overlap():
    counts = np.full((4000, 64), 7, dtype=np.uint16)
    other = EnergyAxis(0.037, 0.013, 40)
    moved = rebin_counts(counts, AXIS, other, seed=1).mean(axis=0)
    assert np.allclose(moved, AXIS.rebin(counts[0], other), atol=0.15)


def test_large_counts_are_shared_evenly_too():
    counts = np.full((400, 64), 100_000, dtype=np.uint32)
    other = EnergyAxis(0.037, 0.013, 40)
    moved = rebin_counts(counts, AXIS, other)
    expected = AXIS.rebin(counts[0], other)
    inside = expected > 0
    assert np.allclose(moved.mean(axis=0)[inside], expected[inside], rtol=2e-3)
    assert 0.5 < moved[:, 10].var() / (expected[10] * 0.5) < 1.5 or moved[:, 10].var() < expected[10]


def test_blocks_change_nothing():
    counts = np.random.default_rng(0).poisson(5, size=(50, 64)).astype(np.uint16)
    other = EnergyAxis(0.0, 0.017, 45)
    whole = rebin_counts(counts, AXIS, other, seed=4)
    parts = [
        rebin_counts(counts[start : start + 7], AXIS, other, seed=4, first=start) for start in range(0, 50, 7)
    ]
    assert np.array_equal(whole, np.concatenate(parts))


def test_a_whole_number_of_channels_needs_no_chance():
    counts = np.arange(128, dtype=np.uint16).reshape(2, 64)
    moved = rebin_counts(counts, AXIS, EnergyAxis(0.035, 0.02, 32))
    assert np.array_equal(moved, counts.reshape(2, 32, 2).sum(axis=2))


def test_another_length_is_an_error():
    with pytest.raises(InvalidInput, match="64 channels"):
        rebin_counts(np.zeros((2, 63), np.uint16), AXIS, AXIS)
