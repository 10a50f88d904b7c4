"""Maps made ready by steps: nothing is lost or moved without a word."""

from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.io.calibration import GIVE_AXIS, assumed_axis
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.preparation import parse_preparation, peak_residuals, prepare_map
from simulated_maps import simulate_map
from two_phase_maps import two_phase_cube


@pytest.fixture
def cube():
    return two_phase_cube()[0]


def test_bins_keep_all_counts_and_places(cube):
    timed = replace(cube, live_time=np.full(cube.map_shape, 0.25))
    made = prepare_map(timed, "bin-space:2,bin-energy:4")
    assert made.shape == (12, 15, 128)
    assert made.sum_spectrum().sum() == cube.sum_spectrum().sum()
    assert made.counts[3, 4].sum() == cube.counts[6:8, 8:10].sum()
    assert made.pixel_size == (20.0, 25.0)
    assert (made.live_time == 1.0).all()
    iron = int(made.sum_spectrum()[made.energy.window(5, 8)].argmax()) + made.energy.window(5, 8).start
    assert made.energy.energies[iron] == pytest.approx(6.404, abs=made.energy.width)
    assert made.images[0].origin == (1.0 - 5.0, 2.0 - 6.25)  # the photograph stays where it was


def test_edges_go_and_dead_pixels_are_emptied(cube):
    counts = cube.counts.copy()
    counts[5, 6] = 0
    counts[5, 6, 100] = 1
    made = prepare_map(replace(cube, counts=counts), "empty-dead,crop-edges:3")
    assert made.map_shape == (18, 24)
    assert made.counts[2, 3].sum() == 0
    assert (made.counts.sum(axis=2) == 0).sum() == 1
    assert cube.counts[5, 6].sum() > 1  # the map given stays as it is


def test_times_become_equal(cube):
    times = np.where(np.arange(30) < 15, 1.0, 3.0) * np.ones((24, 1))
    made = prepare_map(replace(cube, live_time=times), "equal-times")
    assert (made.live_time == 2.0).all()
    assert made.counts[:, :15].sum() == pytest.approx(2.0 * cube.counts[:, :15].sum(), rel=1e-5)
    with pytest.raises(InvalidInput, match="no live times"):
        prepare_map(cube, "equal-times")


def test_a_recalibrated_axis_brings_peaks_to_their_lines():
    made = simulate_map((12, 12), 20_000, np.random.default_rng(0)).cube
    shifted = replace(made, energy=replace(made.energy, offset=made.energy.offset + 0.02))
    prepared = prepare_map(shifted, "recalibrate")
    assert abs(prepared.energy.offset - made.energy.offset) < 0.008
    assert np.array_equal(prepared.counts, made.counts)
    residuals = peak_residuals(calibrate_map(shifted))
    assert len(residuals) > 4
    assert np.median([abs(each.above_ev) for each in residuals]) < 10


def test_an_axis_that_is_told_replaces_one_that_was_assumed(cube):
    _, notes = assumed_axis(cube.energy.size)
    unsure = replace(cube, provenance=replace(cube.provenance, warnings=notes))
    made = prepare_map(unsure, "energy:-0.05:0.02")
    assert (made.energy.offset, made.energy.width, made.energy.size) == (-0.05, 0.02, cube.energy.size)
    assert made.counts is cube.counts
    assert not any(GIVE_AXIS in note for note in made.provenance.warnings)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("dry", "no step"),
        ("bin-space", "takes 2"),
        ("bin-space:40", "fit"),
        ("crop-edges:12", "left"),
        ("energy", "does not say which"),
        ("energy:0:-1", "no energy axis"),
        ("energy:0:nan", "no energy axis"),
    ],
)
def test_what_cannot_be_done_is_told(cube, steps, told):
    with pytest.raises(InvalidInput, match=told):
        prepare_map(cube, steps)


def test_steps_are_written_as_they_are_read():
    text = "energy:-0.05:0.0101,recalibrate,equal-intensity:/a/i0,bin-space:2,crop-edges:1"
    assert ",".join(map(str, parse_preparation(text))) == text
