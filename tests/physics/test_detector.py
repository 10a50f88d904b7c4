from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.detector.detector import (
    Detector,
    respond,
    response_matrix,
    with_resolution,
)
from napari_xrf.physics.detector.losses import electron_range, near_entrance
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.reference.materials import Material

RNG = np.random.default_rng
SILICON = Material("silicon", {"Si": 1.0}, 2.33)
SDD = Detector(
    "sdd",
    SILICON,
    450.0,
    noise_fwhm_ev=75.0,
    fano=0.12,
    tail_fraction=0.02,
    tail_width_kev=0.1,
    long_tail_fraction=0.01,
    long_tail_depth_um=0.01,
    long_tail_width_kev=0.6,
    shelf_fraction=0.01,
    shelf_depth_um=0.02,
    electron_part=0.2,
)
WIDE = EnergyAxis(-8.0, 0.01, 6000)  # holds every tail
ENERGIES = st.lists(st.floats(0.5, 40.0), min_size=1, max_size=6, unique=True)


@settings(max_examples=25, deadline=None)
@given(energies=ENERGIES, width=st.floats(0.003, 0.08))
def test_response_conserves_the_photons_that_are_detected(energies, width):
    axis = EnergyAxis(-8.0, width, int(60 / width))
    spectrum = respond(SDD, axis, energies, np.ones(len(energies)))
    assert spectrum.min() >= 0
    assert spectrum.sum() == pytest.approx(SDD.efficiency(energies).sum(), rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(energies=ENERGIES, scale=st.floats(0, 1e6))
def test_response_is_linear(energies, scale):
    rising = np.arange(1.0, len(energies) + 1)
    matrix = response_matrix(SDD, WIDE, energies)
    both = matrix.fold(np.stack([rising, scale * rising, np.zeros(rising.size)]))
    np.testing.assert_allclose(both[1], scale * both[0], rtol=1e-9, atol=1e-12)
    assert not both[2].any()
    one_by_one = sum(
        respond(SDD, WIDE, [energy], [weight]) for energy, weight in zip(energies, rising, strict=True)
    )
    np.testing.assert_allclose(both[0], one_by_one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("channels", [600, 1999, 20])
def test_families_of_few_lines_are_folded_as_full_rows(channels):
    axis, lines = EnergyAxis(-0.5, 0.02, channels), np.linspace(0.4, 13.0, 90)
    matrix, photons = response_matrix(SDD, axis, lines), np.repeat(np.eye(45), 2, axis=1)
    together = matrix.fold(np.concatenate([photons, RNG(4).random((20, 90))]))
    np.testing.assert_allclose(together[:45], matrix.fold(photons), rtol=1e-9, atol=1e-14)


def test_shape_is_that_of_a_photon_by_photon_simulation():
    generator = np.random.default_rng(3)
    count, energy = 1_000_000, 6.4
    kind = generator.random(count)
    detector = replace(SDD, escape_part=0.0, long_tail_depth_um=0.0, shelf_depth_um=0.0)
    charge = np.full(count, energy)
    short, long, shelf = kind < 0.02, (kind >= 0.02) & (kind < 0.03), (kind >= 0.03) & (kind < 0.04)
    charge[short] -= generator.exponential(0.1, short.sum())
    charge[long] -= generator.exponential(0.6, long.sum())
    charge[shelf] = generator.uniform(0, energy, shelf.sum())
    electron = (kind >= 0.04) & (kind < 0.04 + 0.2 * float(near_entrance(SILICON, energy)))
    charge[electron] = generator.uniform(1.839, energy, electron.sum())
    read = charge + detector.sigma([energy])[0] * generator.standard_normal(count)
    axis = EnergyAxis(0.125, 0.25, 32)
    drawn = np.histogram(read, axis.edges)[0]
    expected = respond(detector, axis, [energy], [count / detector.efficiency([energy])[0]])
    apart = (drawn - expected) / np.sqrt(expected + 1)
    assert np.abs(apart[1:]).max() < 4.5  # the first channel holds the Compton recoil too


def test_a_fine_axis_rebinned_is_the_coarse_axis():
    fine = EnergyAxis(0.005, 0.01, 3000)
    coarse = EnergyAxis(0.05, 0.1, 300)
    energies, photons = [1.25, 2.3, 6.4, 17.4], [3.0, 2.0, 5.0, 1.0]
    rebinned = respond(SDD, fine, energies, photons).reshape(300, 10).sum(axis=1)
    np.testing.assert_allclose(respond(SDD, coarse, energies, photons), rebinned, atol=5e-4)


def test_resolution_grows_with_energy_and_is_what_was_asked_for():
    energies = np.linspace(0.1, 40, 200)
    for name in instrument_names():
        assert np.all(np.diff(load_instrument(name).detector.fwhm(energies)) > 0)
    for wanted in (60.0, 125.0, 180.0):
        assert with_resolution(SDD, wanted).fwhm(MN_KA_KEV) == pytest.approx(wanted * 1e-3)


def test_gas_electron_multiplier_has_20_percent_falling_as_the_root():
    detector = load_instrument("gem").detector
    assert detector.fwhm(5.9) / 5.9 == pytest.approx(0.20, abs=0.005)
    assert detector.fwhm(23.6) / 23.6 == pytest.approx(0.10, abs=0.005)
    # Published for 1 cm of gas: 67 % absorbed at 3.7 keV and 13 % at 8 keV, before the window.
    bare = replace(detector, window=())
    np.testing.assert_allclose(bare.efficiency([3.7, 8.0]), [0.67, 0.13], atol=0.02)


def test_thin_windows_and_thin_crystals_bound_the_efficiency():
    efficiency = load_instrument("m4").detector.efficiency([0.3, 1.04, 1.74, 6.4, 20.0, 40.0])
    assert np.all((efficiency >= 0) & (efficiency <= 1))
    assert efficiency[3] > 0.97  # Fe Kα is absorbed wholly
    assert efficiency[0] < 1e-3  # nothing passes the beryllium
    assert 0.3 < efficiency[4] < 0.4  # 450 µm of silicon let most of Rh Kα through


def test_escape_stands_1_74_kev_below_and_takes_its_counts_from_the_peak():
    with_escape = respond(SDD, WIDE, [6.4], [1e6])
    without = respond(replace(SDD, escape_part=0.0), WIDE, [6.4], [1e6])
    moved = with_escape - without
    near = WIDE.window(6.4 - 1.74 - 0.2, 6.4 - 1.74 + 0.2)
    assert WIDE.energies[near][np.argmax(moved[near])] == pytest.approx(6.4 - 1.740, abs=0.011)
    assert moved.sum() == pytest.approx(0.0, abs=2.0)
    assert moved[WIDE.window(6, 7)].sum() < 0


def test_compton_recoil_lies_below_its_highest_energy():
    detector = Detector("sdd", SILICON, 450.0, noise_fwhm_ev=75.0)
    spectrum = respond(detector, WIDE, [20.0], [1e6])
    recoil = spectrum[WIDE.window(0.05, 1.4)].sum()
    assert 0.005 < recoil / spectrum.sum() < 0.05
    assert spectrum[WIDE.window(1.6, 17)].sum() < 1e-3 * recoil


def test_threshold_cuts_and_nothing_else():
    cut = respond(replace(SDD, threshold_kev=1.0), WIDE, [2.3], [100.0])
    whole = respond(SDD, WIDE, [2.3], [100.0])
    above = WIDE.energies >= 1.0
    np.testing.assert_array_equal(cut[above], whole[above])
    assert not cut[~above].any()


def test_lines_beyond_the_axis_leave_only_what_reaches_into_it():
    axis = EnergyAxis(0.0, 0.01, 500)
    whole = respond(SDD, WIDE, [12.0], [1e6])
    inside = respond(SDD, axis, [12.0], [1e6])
    assert inside.sum() == pytest.approx(whole[WIDE.window(-0.005, 4.994)].sum(), rel=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "ccd"},
        {"thickness_um": 0.0},
        {"fano": -0.1},
        {"noise_fwhm_ev": float("nan")},
        {"tail_fraction": 0.6},
        {"tail_width_kev": 0.0},
        {"open_fraction": 1.5},
    ],
)
def test_impossible_detectors_are_refused(wrong):
    with pytest.raises(InvalidInput):
        replace(SDD, **wrong)


@pytest.mark.parametrize("energies", [[0.0], [-1.0], [float("nan")], [[1.0, 2.0]]])
def test_impossible_photons_are_refused(energies):
    with pytest.raises(InvalidInput, match="above 0 keV"):
        respond(SDD, WIDE, energies, np.ones(np.shape(energies)))


def test_intensities_must_fit_the_energies():
    with pytest.raises(InvalidInput, match="do not fit"):
        respond(SDD, WIDE, [1.0, 2.0], [1.0])


def test_photoelectrons_leave_a_shelf_from_the_binding_energy_to_the_line():
    plain = Detector("sdd", SILICON, 450.0, noise_fwhm_ev=75.0, fano=0.12, escape_part=0.0)
    axis = EnergyAxis(0.0, 0.01, 1000)
    with_shelf = respond(replace(plain, electron_part=0.2), axis, [8.0], [1.0])
    below, above = axis.window(0.5, 1.6), axis.window(2.2, 7.0)
    without = respond(plain, axis, [8.0], [1.0])
    np.testing.assert_allclose(with_shelf[below], without[below], rtol=0.01, atol=1e-12)
    shelf = (with_shelf - without)[above]
    np.testing.assert_allclose(shelf, shelf.mean(), rtol=0.01)
    held = 0.2 * near_entrance(SILICON, 8.0) * plain.efficiency(8.0)
    assert shelf.mean() / axis.width * (8.0 - 1.839) == pytest.approx(held, rel=0.02)


def test_no_photoelectron_of_the_k_shell_below_its_edge():
    assert near_entrance(SILICON, 1.8) == 0
    assert electron_range(SILICON, 5.0) / 2.33 * 1e4 == pytest.approx(0.47, rel=0.1)  # µm
