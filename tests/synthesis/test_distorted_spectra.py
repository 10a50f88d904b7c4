import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.synthesis import sampling
from napari_xrf.synthesis.distorted_spectra import Mixture, distort, draw_spectra, expect_spectra
from napari_xrf.synthesis.distortion_values import detector_tables
from napari_xrf.synthesis.distortions import distortion_steps, draw_values, typical_distortions
from napari_xrf.synthesis.sampling import draw_poisson
from pure_spectra import AXIS, pure_spectra, width

RNG = np.random.default_rng


def mixture(size=40, dose=3000.0):
    shares = RNG(5).dirichlet(np.ones(3), size) * dose
    return Mixture(shares.astype(np.float32), pure_spectra().spectra.astype(np.float32))


def steps_of(size=40):
    tables = detector_tables(AXIS, width)
    return tables, distortion_steps(tables, draw_values(typical_distortions(), size, RNG(3)), width, size)


def test_counts_are_those_of_the_expected_spectra():
    mixed, (tables, steps) = mixture(), steps_of()
    rows = np.array([3, 0, 39, 17])
    for given_steps in ((), (tables, steps)):
        counts = np.empty((4, AXIS.size), dtype=np.uint16)
        draw_spectra(mixed, rows, 9, counts, *given_steps)
        expected = expect_spectra(mixed, rows, *given_steps)
        total = float(expected.sum())
        assert np.array_equal(counts, draw_poisson(expected, 9, rows, np.uint16))
        assert counts.sum() == pytest.approx(total, abs=5 * total**0.5)


def test_mixed_and_distorted_in_one_pass_or_in_two():
    mixed, (tables, steps) = mixture(), steps_of()
    apart = distort(mixed.shares @ mixed.spectra, AXIS, draw_values(typical_distortions(), 40, RNG(3)), width)
    np.testing.assert_allclose(
        expect_spectra(mixed, np.arange(40), tables, steps), apart, rtol=1e-3, atol=1e-3
    )


@settings(max_examples=10, deadline=None)
@given(cores=st.integers(1, 5), low=st.integers(0, 20), size=st.integers(1, 20))
def test_counts_do_not_depend_on_cores_or_blocks(cores, low, size):
    mixed, (tables, steps) = mixture(), steps_of()
    whole, part = np.empty((40, AXIS.size), np.uint16), np.empty((size, AXIS.size), np.uint16)
    draw_spectra(mixed, np.arange(40), 2, whole, tables, steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "core_count", lambda: cores)
        draw_spectra(mixed, np.arange(low, low + size), 2, part, tables, steps)
    assert np.array_equal(part, whole[low : low + size])


def test_the_mean_of_many_draws_is_the_distorted_expectation():
    tables, steps = steps_of(1)
    mixed = mixture(1, 300.0)
    expected = expect_spectra(mixed, np.zeros(1, dtype=np.intp), tables, steps)[0].astype(float)
    total, counts = np.zeros(AXIS.size), np.empty((1, AXIS.size), dtype=np.uint16)
    for seed in range(2000):
        draw_spectra(mixed, np.zeros(1, dtype=np.intp), seed, counts, tables, steps)
        total += counts[0]
    chi2 = (total - 2000 * expected) ** 2 / np.maximum(2000 * expected, 1e-9)
    assert chi2[2000 * expected > 5].mean() == pytest.approx(1.0, abs=0.25)
