import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.spectra.background import estimate_background
from napari_xrf.maps.spectra.continuum import pile_up_columns, pile_up_pairs

AXIS = EnergyAxis(-0.5, 0.01, 2048)


def hump_and_peaks():
    at = AXIS.energies
    hump = np.where(at > 0, 2000 * np.exp(-(((at - 7) / 6) ** 2)), 0)
    peaks = sum(8000 * np.exp(-0.5 * ((at - line) / 0.055) ** 2) for line in (1.74, 3.69, 4.01, 6.4, 7.06))
    return hump, peaks


def test_the_continuum_under_peaks_is_found_within_six_per_cent():
    hump, peaks = hump_and_peaks()
    counts = np.random.default_rng(0).poisson(hump + peaks)
    background = estimate_background(counts, AXIS)
    inside = AXIS.window(1.0, 18.0)
    assert np.abs(background[inside] / hump[inside] - 1).max() < 0.25
    assert np.abs(background[inside].sum() / hump[inside].sum() - 1) < 0.06


def test_leading_axes_are_worked_on_alike():
    hump, peaks = hump_and_peaks()
    cube = np.random.default_rng(1).poisson(np.broadcast_to(hump + peaks, (2, 3, AXIS.size)))
    together = estimate_background(cube, AXIS)
    assert together.shape == cube.shape
    np.testing.assert_allclose(together[1, 2], estimate_background(cube[1, 2], AXIS))


def test_nothing_below_zero_kev():
    counts = np.full(AXIS.size, 100)
    background = estimate_background(counts, AXIS)
    assert not background[: AXIS.positive.start].any()
    np.testing.assert_allclose(background[AXIS.positive], 100, rtol=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1e5))
@settings(max_examples=20, deadline=None)
def test_never_negative_and_never_above_the_largest_count(seed, level):
    counts = np.random.default_rng(seed).poisson(level, AXIS.size)
    background = estimate_background(counts, AXIS)
    assert background.min() >= 0
    assert background.max() <= counts.max() * (1 + 1e-6) + 1e-9


def test_a_spectrum_of_another_length_is_refused():
    with pytest.raises(InvalidInput):
        estimate_background(np.ones(100), AXIS)


def test_sums_with_soft_pulses_have_shares_of_their_own():
    """Oxygen's with silicon lies where phosphorus and mercury have lines."""
    axis = EnergyAxis(0.0, 0.01, 500)
    net = sum(
        height * np.exp(-0.5 * ((axis.energies - kev) / 0.03) ** 2)
        for height, kev in ((1000.0, 0.525), (500.0, 1.74))
    )
    columns, pairs = pile_up_columns(net, axis, 0.2), pile_up_pairs(net, axis, 0.2)
    tops = [axis.energies[int(pair.argmax())] for pair in pairs["pile-up soft"]]
    assert tops == pytest.approx([1.05, 2.265], abs=0.011)
    for name, column in columns.items():
        assert pairs[name].sum(axis=0) == pytest.approx(column, abs=0.02 * column.max())
