import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput

AXES = st.builds(
    EnergyAxis,
    offset=st.floats(-1.0, 1.0),
    width=st.floats(0.004, 0.2),
    size=st.integers(1, 300),
)


@pytest.mark.parametrize(
    "values", [(0, 0, 10), (0, -0.01, 10), (0, 0.01, 0), (np.nan, 0.01, 5), (0, np.inf, 5)]
)
def test_refuses_impossible_axes(values):
    with pytest.raises(InvalidInput):
        EnergyAxis(*values)


@given(AXES)
@settings(max_examples=30)
def test_channel_of_its_own_centre(axis):
    channels = np.arange(axis.size)
    assert np.array_equal(axis.channel(axis.energy(channels)), channels)
    assert np.array_equal(axis.energy(channels), axis.energies)
    assert np.all(np.diff(axis.edges) > 0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.3, slice(1, 4)),
        (-5, 0.05, slice(0, 1)),
        (0.95, 99, slice(10, 10)),
        (0.3, 0.1, slice(3, 3)),
        (-np.inf, np.inf, slice(0, 10)),
    ],
)
def test_window_takes_the_centres_between(low, high, expected):
    assert EnergyAxis(0.0, 0.1, 10).window(low, high) == expected


def test_positive_leaves_the_zero_peak_out():
    axis = EnergyAxis(-0.955, 0.01, 4096)
    assert axis.energies[axis.positive][0] > 0
    assert axis.energies[axis.positive.start - 1] <= 0
    assert EnergyAxis(0.5, 0.1, 10).positive == slice(0, 10)
    assert EnergyAxis(0.0, 0.1, 10).positive == slice(1, 10)


@given(AXES, AXES, st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_rebinning_conserves_counts_where_the_axes_overlap(source, target, seed):
    generator = np.random.default_rng(seed)
    counts = generator.poisson(4.0, (2, source.size))
    expected = source.rebin(counts, target)
    assert np.all(expected >= -1e-9)
    overlap = np.clip(
        (np.minimum(source.edges[1:], target.edges[-1]) - np.maximum(source.edges[:-1], target.edges[0]))
        / source.width,
        0,
        1,
    )
    assert np.allclose(expected.sum(axis=1), counts @ overlap)


def test_rebinning_to_itself_and_wrong_length():
    axis = EnergyAxis(0, 0.1, 5)
    assert np.array_equal(axis.rebin([1, 2, 3, 4, 5], axis), [1, 2, 3, 4, 5])
    with pytest.raises(InvalidInput, match="4 channels"):
        axis.rebin([1, 2, 3, 4], axis)
