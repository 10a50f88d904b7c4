import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from pile_up import pile_up  # a script's neighbour, no package

AXIS = EnergyAxis(-0.955, 0.01, 8192)


def line(at: float, counts: float) -> np.ndarray:
    spectrum = np.zeros(AXIS.size)
    spectrum[AXIS.channel(at)] = counts
    return spectrum


@settings(max_examples=20, deadline=None)
@given(
    at=st.lists(st.floats(0.1, 9.0), min_size=1, max_size=5),
    piled=st.floats(0, 0.5, allow_subnormal=False),
    seed=st.integers(0, 9),
)
def test_pulses_and_energy_are_conserved(at, piled, seed):
    spectrum = sum(line(energy, 10.0 + seed) for energy in at)
    found = pile_up(spectrum, AXIS, rate_cps=1e6, resolving_time_us=piled)
    assert found.min() >= 0
    # Each count is one pulse and the mean number that came within the resolving time of it.
    assert found.sum() * (1 + piled) == pytest.approx(spectrum.sum(), rel=1e-4)
    assert found @ AXIS.energies == pytest.approx(spectrum @ AXIS.energies, rel=1e-4)


def test_sums_stand_at_the_sums_with_their_poisson_weights():
    spectrum = line(6.4, 9e5) + line(7.06, 1e5)
    found = pile_up(spectrum, AXIS, 50_000, 1.0)
    mean = 0.05

    def around(energy):
        return found[AXIS.window(energy - 0.06, energy + 0.06)].sum()

    pairs = 1e6 / (1 + mean) * np.exp(-mean) * mean
    assert around(12.8) == pytest.approx(0.81 * pairs, rel=1e-6)
    assert around(13.46) == pytest.approx(0.18 * pairs, rel=1e-6)
    assert around(19.2) == pytest.approx(0.729 * pairs * mean / 2, rel=1e-6)


def test_no_rate_no_pile_up_and_the_zero_peak_stays():
    spectrum = line(5.0, 100.0) + line(-0.02, 7.0) + line(-0.5, 3.0)
    np.testing.assert_array_equal(pile_up(spectrum, AXIS, 0.0, 1.0), spectrum)
    found = pile_up(spectrum, AXIS, 1e5, 1.0)
    below = AXIS.energies <= 0
    np.testing.assert_array_equal(found[below], spectrum[below])


def test_many_spectra_at_once_are_each_alone():
    batch = np.stack([line(3.0, 50.0), line(6.4, 1000.0), np.zeros(AXIS.size)])
    together = pile_up(batch, AXIS, 1e5, 0.5)
    for one, expected in zip(batch, together, strict=True):
        np.testing.assert_allclose(pile_up(one, AXIS, 1e5, 0.5), expected, atol=1e-9)


def test_an_axis_that_begins_above_zero_piles_up_the_same():
    late = EnergyAxis(1.003, 0.01, 3000)
    spectrum = np.zeros(late.size)
    spectrum[late.channel(6.4)] = 1e4
    found = pile_up(spectrum, late, 1e5, 1.0)
    sums = late.window(12.7, 12.9)
    assert found[sums] @ late.energies[sums] / found[sums].sum() == pytest.approx(12.8, abs=0.01)


@pytest.mark.parametrize(("rate", "time"), [(-1.0, 1.0), (1.0, -1.0), (float("nan"), 1.0)])
def test_impossible_rates_are_refused(rate, time):
    with pytest.raises(InvalidInput):
        pile_up(line(5, 1.0), AXIS, rate, time)


def test_counts_must_fit_the_axis():
    with pytest.raises(InvalidInput, match="do not fit"):
        pile_up(np.zeros(10), AXIS, 1.0, 1.0)
