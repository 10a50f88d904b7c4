import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.maps.pixels.fit import fit_pixels, make_solver, solve_non_negative


def gaussians(centres, channels=200, sigma=4.0):
    columns = np.exp(-0.5 * ((np.arange(channels) - np.array(centres)[:, None]) / sigma) ** 2)
    columns = np.concatenate([columns, np.ones((1, channels))])
    return columns / columns.sum(axis=1, keepdims=True)


COLUMNS = gaussians([40, 47, 100, 150])


def drawn(mean, pixels, seed=0):
    generator = np.random.default_rng(seed)
    truth = np.broadcast_to(np.array(mean, dtype=float), (pixels, len(mean)))
    return truth, generator.poisson(truth @ COLUMNS)


def test_pulls_are_honest_at_low_and_high_counts():
    for level in (20, 500):
        truth, counts = drawn([5 * level, 3 * level, 2 * level, 4 * level, 6 * level], 4000)
        solver = make_solver(COLUMNS, truth.mean(axis=0) @ COLUMNS)
        found, errors = fit_pixels(solver, counts)
        pulls = (found - truth) / errors
        assert (np.abs(pulls.std(axis=0) - 1) < 0.08).all()
        assert (np.abs(pulls.mean(axis=0)) < 0.08).all()


def test_the_bounded_solution_is_that_of_nnls():
    _, counts = drawn([30, 0, 0, 5, 20], 50, seed=2)
    pooled = counts.mean(axis=0) + 0.01
    found, _ = fit_pixels(make_solver(COLUMNS, pooled), counts)
    weight = 1 / np.sqrt(pooled)
    for row, spectrum in zip(found, counts, strict=True):
        expected, _ = nnls((COLUMNS * weight).T, spectrum * weight)
        np.testing.assert_allclose(row, expected, atol=0.15)
    assert (found >= 0).all()
    assert (found == 0).any()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32", "int16", "float32", "float64", ">u2"])
def test_every_type_of_counts_gives_the_same_maps(kind):
    _, counts = drawn([30, 20, 10, 5, 20], 20)
    solver = make_solver(COLUMNS, counts.mean(axis=0) + 0.01)
    expected, _ = fit_pixels(solver, counts)
    found, _ = fit_pixels(solver, counts.astype(kind))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_an_empty_pixel_is_zero_with_an_error_above_zero():
    _, counts = drawn([30, 20, 10, 5, 20], 20)
    found, errors = fit_pixels(
        make_solver(COLUMNS, counts.mean(axis=0) + 0.01), np.zeros((3, 200), np.uint16)
    )
    assert not found.any()
    assert (errors > 0).all()


def test_strided_counts_are_read_right():
    _, counts = drawn([30, 20, 10, 5, 20], 64)
    solver = make_solver(COLUMNS, counts.mean(axis=0) + 0.01)
    channel_first = np.asfortranarray(counts)
    np.testing.assert_array_equal(fit_pixels(solver, channel_first)[0], fit_pixels(solver, counts)[0])


def test_columns_that_are_alike_do_not_break_the_fit():
    twins = np.concatenate([COLUMNS, COLUMNS[:1]])
    _, counts = drawn([30, 20, 10, 5, 20], 20)
    found, errors = fit_pixels(make_solver(twins, counts.mean(axis=0) + 0.01), counts)
    assert np.isfinite(found).all()
    assert np.isfinite(errors).all()


def test_a_cancel_stops_the_fit():
    def cancel():
        raise Cancelled

    _, counts = drawn([30, 20, 10, 5, 20], 20)
    with pytest.raises(Cancelled):
        fit_pixels(make_solver(COLUMNS, counts.mean(axis=0) + 0.01), counts, cancel)


@pytest.mark.parametrize("bad", [np.full(200, np.nan), np.full(200, -1.0), np.ones(10)])
def test_a_senseless_pooled_spectrum_is_refused(bad):
    with pytest.raises(InvalidInput):
        make_solver(COLUMNS, bad)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_solutions_meet_the_optimality_conditions(seed, size):
    generator = np.random.default_rng(seed)
    design = generator.random((40, size))
    target = generator.normal(size=40)
    normal, projected = design.T @ design, design.T @ target
    solution, errors = solve_non_negative(normal, projected)
    gradient = normal @ solution - projected
    assert (solution >= 0).all()
    assert (errors > 0).all()
    assert (gradient > -1e-5).all()
    np.testing.assert_allclose(gradient[solution > 1e-9], 0, atol=1e-5)
