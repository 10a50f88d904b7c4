import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.detector.gain import apply_gain, gain_field

AXIS = EnergyAxis(0.05, 0.1, 300)


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.8, 1.25), at=st.floats(3.0, 20.0))
def test_gain_moves_a_peak_and_keeps_its_counts(gain, at):
    spectrum = np.exp(-0.5 * ((AXIS.energies - at) / 0.5) ** 2)
    moved = apply_gain(spectrum[None], AXIS, [gain])[0]
    assert moved.sum() == pytest.approx(spectrum.sum(), rel=1e-3)
    assert moved @ AXIS.energies / moved.sum() == pytest.approx(gain * at, rel=1e-3)


def test_gain_of_one_changes_nothing():
    counts = np.random.default_rng(0).random((4, 5, AXIS.size))
    np.testing.assert_allclose(apply_gain(counts, AXIS, np.ones((4, 5))), counts, atol=1e-9)


def test_field_is_smooth_of_mean_one_and_of_the_variation_asked_for():
    field = gain_field((64, 48), 0.08, 10.0, np.random.default_rng(1))
    assert field.shape == (64, 48)
    assert field.mean() == pytest.approx(1.0)
    assert field.std() == pytest.approx(0.08)
    assert np.abs(np.diff(field, axis=0)).max() < 0.05
    np.testing.assert_array_equal(gain_field((8, 8), 0.0, 3.0, np.random.default_rng(1)), 1.0)
    again = gain_field((64, 48), 0.08, 10.0, np.random.default_rng(1))
    np.testing.assert_array_equal(field, again)


def test_impossible_gains_are_refused():
    with pytest.raises(InvalidInput, match="above 0"):
        apply_gain(np.ones((1, AXIS.size)), AXIS, [0.0])
    with pytest.raises(InvalidInput, match="do not fit"):
        apply_gain(np.ones((2, AXIS.size)), AXIS, [1.0])
    with pytest.raises(InvalidInput, match="variation"):
        gain_field((4, 4), 0.9, 2.0, np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="alike"):
        gain_field((4, 4), 0.1, 0.0, np.random.default_rng(0))
