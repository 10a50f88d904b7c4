import math
import re
from dataclasses import replace

import numpy as np
import pytest

import napari_xrf as nx
from measured import measured_file
from napari_xrf import read
from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.io.formats import with_energy
from napari_xrf.maps.calibrated_map import calibrate_map, find_elements
from napari_xrf.maps.calibration.axis_judgement import Calibration
from napari_xrf.maps.calibration.axis_search import Axis, likely_axes
from napari_xrf.maps.calibration.refinement import calibrate
from napari_xrf.maps.spectra.peaks import find_peaks
from napari_xrf.maps.spectra.resolution import seen_detector
from napari_xrf.maps.spectra.setting import setting_of
from napari_xrf.physics.detector.detector import with_resolution
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.materials import Material
from simulated_maps import TUBE, simulate_map

AXIS = EnergyAxis(-0.955, 0.01, 2400)


def calibrated(spectrum, energy, excitation, **options) -> Calibration:
    return calibrate(spectrum, energy, excitation, **options)[0]


def shift_ev(found, before, at):
    """Return how far a refined axis puts a channel above where it was, in eV."""
    return 1e3 * float(found.energy.energy((at - before.offset) / before.width) - at)


def measured_spectrum(seed, fwhm_ev=138.0):
    detector = with_resolution(load_instrument("m4-tornado").detector, fwhm_ev)
    simulated = simulate_map((10, 10), 5000, np.random.default_rng(seed), axis=AXIS, detector=detector)
    return simulated.cube.sum_spectrum()


@pytest.mark.parametrize(("shift", "gain"), [(0.035, 0.0), (-0.025, 0.001), (0.0, -0.002)])
def test_a_wrong_axis_and_resolution_are_put_right(shift, gain):
    spectrum = measured_spectrum(0)
    # The file says the axis lies lower than it does.
    told = EnergyAxis(AXIS.offset - shift, AXIS.width * (1 - gain), AXIS.size)
    found = calibrated(spectrum, told, excitation=TUBE)
    assert found.refined
    for energy in (1.74, 3.69, 6.4, 10.5):
        channel = (energy - AXIS.offset) / AXIS.width
        assert abs(float(found.energy.energy(channel)) - energy) < 0.004
    assert abs(1e3 * float(found.detector.fwhm(MN_KA_KEV)) - 138) < 4
    assert found.quality < 10
    assert found.peaks >= 5


@pytest.mark.parametrize(("shift", "gain"), [(0.0, 0.02), (0.05, -0.02), (0.0, 0.035)])
def test_an_axis_far_off_is_found_again(shift, gain):
    spectrum = measured_spectrum(0)
    told = EnergyAxis(AXIS.offset * (1 + gain) + shift, AXIS.width * (1 + gain), AXIS.size)
    found = calibrated(spectrum, told, excitation=TUBE)
    assert found.refined
    assert "eV off" in found.message
    for energy in (1.74, 3.69, 6.4, 10.5):
        channel = (energy - AXIS.offset) / AXIS.width
        assert abs(float(found.energy.energy(channel)) - energy) < 0.006


def test_an_axis_hopelessly_worse_than_another_is_not_refined():
    spectrum = measured_spectrum(0)
    setting = setting_of(spectrum, AXIS, TUBE)
    peaks = find_peaks(spectrum, AXIS, fwhm=setting.detector.fwhm)
    best, *others = likely_axes(spectrum, setting, peaks)
    assert not best.apart(Axis(0.0, 0.0), 0.02)
    assert all(axis.score > best.score - 30 for axis in others)


@pytest.mark.parametrize(("factor", "offset"), [(0.5, None), (1.19, None), (2.0, None), (2.0, 0.0)])
def test_a_wrong_scale_is_found_or_told(factor, offset):
    spectrum = measured_spectrum(0)
    told = EnergyAxis(AXIS.offset * factor if offset is None else offset, AXIS.width * factor, AXIS.size)
    found = calibrated(spectrum, told, excitation=TUBE)
    assert found.doubtful or found.energy.width == pytest.approx(AXIS.width, rel=0.001)


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 0.2), (0.5, 0.0)])
def test_a_plate_of_one_element_on_a_wrong_axis_is_found_or_told(factor, offset):
    plate = simulate_map(
        (1, 1), 1e6, np.random.default_rng(3), families=("Zn K",), shares=np.ones(1), axis=AXIS, patchy=False,
    )  # fmt: skip
    told = EnergyAxis(AXIS.offset * factor + offset, AXIS.width * factor, AXIS.size)
    found = calibrated(plate.cube.sum_spectrum(), told, excitation=Excitation())
    assert found.doubtful or abs(float(found.energy.energy((8.64 - AXIS.offset) / AXIS.width)) - 8.64) < 0.02


def test_noise_on_a_high_continuum_makes_no_peaks():
    height = 15_000 * np.exp(-0.5 * ((AXIS.energies - 11) / 4) ** 2)
    assert find_peaks(np.random.default_rng(0).poisson(height), AXIS) == ()


def test_escape_of_sulphur_is_no_sign_of_electrons():
    spectrum = np.zeros(AXIS.size)
    for energy, counts in ((2.31, 5e5), (0.57, 9e3), (6.4, 3e5)):
        spectrum += counts * 0.01 / 0.15 * np.exp(-0.5 * ((AXIS.energies - energy) / 0.06) ** 2)
    assert setting_of(spectrum, AXIS, Excitation()).kind is None
    spectrum += 0.05 * spectrum.sum() * (np.abs(AXIS.energies - 0.525) < 0.04) / 8
    assert setting_of(spectrum, AXIS, Excitation()).kind == "electron"


@pytest.mark.parametrize(
    "counts", [np.zeros(2400), np.ones(2400), np.random.default_rng(0).poisson(0.1, 2400)]
)
def test_without_peaks_the_axis_is_kept_and_said_so(counts):
    found = calibrated(counts, AXIS, excitation=Excitation())
    assert not found.refined
    assert found.energy == AXIS
    assert "too few" in found.message
    assert math.isnan(found.quality)


def test_the_zero_peak_is_no_line():
    spectrum = measured_spectrum(1).astype(float)
    zero = 0.3 * spectrum.sum() * np.exp(-0.5 * (AXIS.energies / 0.03) ** 2)
    zero /= (zero / (0.3 * spectrum.sum())).sum()
    found = calibrated(spectrum + np.round(zero), AXIS, excitation=TUBE)
    assert found.refined
    assert abs(shift_ev(found, AXIS, 6.4)) < 4


def test_a_sem_map_some_electronvolts_off():
    cube = read(measured_file("bcf/P45_12bit_packed_8bit.bcf"))
    found = calibrated(cube.sum_spectrum(), cube.energy, excitation=cube.excitation, elements=cube.elements)
    assert found.refined
    # Its peaks, Si to Fe, stand 5 eV above their lines on the file's axis.
    assert -20 < shift_ev(found, cube.energy, 6.4) < -2


def test_a_beam_scatters_where_it_is_stated():
    """On an axis 0.1 keV higher all peaks were reflections, which fit anything: no element was found."""
    cube = read(measured_file("hdf5/mm.nxs"))
    known = calibrate_map(cube)
    assert abs(shift_ev(known, cube.energy, 17.0)) < 20
    assert {"Cu", "Zn"} <= {one.element for one in find_elements(known)}


def test_the_only_strong_peak_of_a_metal_lies_on_its_line():
    pytest.importorskip("fisx")
    from benchmarks.elements_of_pure_substances import draw_case

    case = draw_case("Al", 2e7, None, 7, electrons=True)
    found = calibrated(case.counts, case.energy, excitation=case.excitation)
    channel = case.right.channel(1.487)
    assert abs(float(found.energy.energy(channel) - case.right.energy(channel))) < 0.006


def test_a_spectrum_that_ends_below_every_anode_has_none():
    kept = AXIS.window(1.0, 9.0)
    axis = EnergyAxis(float(AXIS.energies[kept][0]), AXIS.width, len(AXIS.energies[kept]))
    hump = 4e4 * np.exp(-0.5 * ((axis.energies - 5.0) / 0.25) ** 2)  # of no element
    found = calibrated(measured_spectrum(0)[kept] + hump, axis, excitation=Excitation())
    assert found.setting.anode is None


def test_tin_on_its_own_axis_is_not_silently_antimony_on_another():
    pytest.importorskip("fisx")
    from benchmarks.elements_of_pure_substances import draw_case

    case = draw_case("Sn", 1e6, None, 5, electrons=True)
    found = calibrated(case.counts, case.energy, excitation=case.excitation)
    channel = case.right.channel(3.444)
    assert found.doubtful or abs(float(found.energy.energy(channel)) - 3.444) < 0.02


def test_an_anode_is_told_by_an_axis_that_ends_below_its_edge():
    kept = AXIS.window(0.3, 20.48)
    axis = EnergyAxis(float(AXIS.energies[kept][0]), AXIS.width, len(AXIS.energies[kept]))
    at = axis.energies
    # Rh Kα, elastic and Compton, on a hump that the axis cuts off; K and L lines of the sample below it.
    scattered = sum(
        height * np.exp(-0.5 * ((at - energy) / sigma) ** 2)
        for height, energy, sigma in (
            (2500, 19.1, 0.22),
            (900, 20.17, 0.09),
            (300, 14.0, 5.0),
            (900, 2.7, 0.045),
        )
    )
    counts = measured_spectrum(0)[kept] + np.random.default_rng(1).poisson(scattered)
    assert calibrated(counts, axis, excitation=Excitation()).setting.anode == "Rh"


@pytest.mark.parametrize("formula", ["NaAlSi3O8", "Mg2SiO4", "MgAl2O4C0.4"])
def test_soft_lines_that_a_detector_puts_lower_do_not_turn_the_axis(formula):
    """Charge lost near the entrance shifts lines below 1 keV: an axis was 170 eV off at 6 keV for it."""
    spectrum = nx.simulate(formula, "sem-eds", counts=3e6)
    edges = spectrum.energy.edges
    seen = edges + 0.004 - 0.02 * np.exp(-np.maximum(edges, 0) / 0.4)
    axis = EnergyAxis(0.0, 0.01, 700)
    summed = np.concatenate([[0.0], np.cumsum(spectrum.counts)])
    counts = np.random.default_rng(0).poisson(np.diff(np.interp(axis.edges, seen, summed)))
    found = calibrated(counts, axis, excitation=Excitation(kind="electron", energy_kev=15.0))
    assert not found.doubtful
    assert float(found.energy.energy(600)) == pytest.approx(6.0, abs=0.015)


@pytest.mark.parametrize("fwhm_ev", [300.0, 430.0, 600.0])
def test_wide_peaks_are_peaks(fwhm_ev):
    axis, families = EnergyAxis(-0.2, 0.05, 512), ("K K", "Ti K", "Fe K", "Zn K", "Sr K")
    usual = load_instrument("m4-tornado").detector
    wide = simulate_map(
        (1, 1), 60_000, np.random.default_rng(1), families=families, shares=np.array([3, 3, 8, 4, 3]),
        axis=axis, detector=with_resolution(usual, fwhm_ev), excitation=Excitation("tube", 40.0),
        patchy=False,
    )  # fmt: skip
    found = calibrate_map(wide.cube)
    assert not found.doubt
    assert 1e3 * float(found.detector.fwhm(MN_KA_KEV)) == pytest.approx(fwhm_ev, rel=0.08)
    assert {"K", "Ti", "Fe", "Zn", "Sr"} == {one.element for one in find_elements(found)}


def test_usual_peaks_are_not_wide_on_few_counts_or_many():
    usual = load_instrument("m4-tornado").detector
    for counts in (500, 5000, 10**7):
        many = np.random.default_rng(2).poisson(measured_spectrum(0) * (counts / 500_000))
        assert seen_detector(many.astype(float), AXIS, usual) is usual


def test_an_axis_that_the_user_states_is_moved_by_little_and_the_message_says_whose_it_is():
    spectrum = measured_spectrum(0)
    cube = SpectralCube(spectrum[None, None], AXIS, excitation=TUBE)
    near = calibrate_map(with_energy(cube, (AXIS.offset + 0.02, AXIS.width)))
    assert not near.doubt
    assert float(near.energy.energy((6.4 - AXIS.offset) / AXIS.width)) == pytest.approx(6.4, abs=0.005)
    wrong = EnergyAxis(AXIS.offset, AXIS.width * 1.035, AXIS.size)
    of_file = calibrate_map(replace(cube, energy=wrong))
    assert of_file.energy.width == pytest.approx(AXIS.width, rel=0.001)
    assert "file's energy axis" in of_file.message
    stated = calibrate_map(with_energy(cube, wrong))
    assert stated.doubt
    assert abs(float(stated.energy.energy(1235) - wrong.energy(1235))) < 0.12
    assert "you stated" in stated.message
    assert "file" not in stated.message


def test_peaks_that_are_cut_off_are_told():
    spectrum = measured_spectrum(0)
    cut = calibrated(np.minimum(spectrum, spectrum.max() // 8), AXIS, excitation=TUBE)
    assert cut.doubtful
    assert "cut off" in cut.message
    assert "cut off" not in calibrated(spectrum, AXIS, excitation=TUBE).message


def test_much_pile_up_is_named_where_it_is_the_cause():
    spectrum = nx.simulate("Fe", "m4-tornado", counts=3e6)
    axis, single = spectrum.energy, np.where(spectrum.energy.energies > 0, spectrum.counts, 0.0)
    sums = np.convolve(single, single / single.sum())[round(-axis.offset / axis.width) :][: axis.size]
    counts = np.random.default_rng(0).poisson(0.4 * single + 0.3 * sums)
    found = calibrated(counts, axis, excitation=TUBE)
    assert found.doubtful
    assert re.search(r"much pile-up: the peak at 12\.(8|79)", found.message)


def test_quartz_on_twice_its_axis_is_not_silently_sodium_and_tin():
    cube = read(measured_file("standards/SiO2_SEM.msa"))
    right = calibrate_map(cube)
    assert not right.doubt
    twice = EnergyAxis(2 * right.energy.offset, 2 * right.energy.width, right.energy.size)
    wrong = calibrate_map(replace(cube, energy=twice))
    assert wrong.doubt or wrong.energy.width == pytest.approx(right.energy.width, rel=0.01)


def test_zinc_whose_gain_is_a_hundredth_off_is_not_silently_sodium():
    cube = read(measured_file("standards/Zn_metal_SEM.msa"))
    right = calibrate_map(cube).energy
    wrong = EnergyAxis(1.01 * right.offset, 1.01 * right.width, right.size)
    found = calibrate_map(replace(cube, energy=wrong))
    assert found.doubt or found.energy.width == pytest.approx(right.width, rel=0.002)


@pytest.mark.parametrize(("factor", "shift", "seed"), [(1.0, 0.2, 3), (1.1, 0.0, 2)])
def test_what_a_tube_scatters_tells_a_light_metal_from_its_neighbour(factor, shift, seed):
    """Magnesium 200 eV too high was aluminium, and rhodium a tenth too high silver.

    One draw in two to four comes back; that it is unsure is told of all.
    """
    spectrum = nx.simulate("Mg", "m4-tornado", counts=1e5)
    right, counts = spectrum.energy, np.random.default_rng(seed).poisson(spectrum.counts)
    wrong = EnergyAxis(right.offset * factor + shift, right.width * factor, right.size)
    found = calibrated(counts, wrong, excitation=Excitation(energy_kev=50.0))
    assert found.setting.anode == "Rh"
    assert found.doubtful  # so large a change rests on few peaks
    for energy in (1.254, 2.7, 20.2):
        channel = (energy - right.offset) / right.width
        assert float(found.energy.energy(channel)) == pytest.approx(energy, abs=0.02)


def test_a_peak_beyond_the_stated_energy_that_is_no_sum_is_told():
    spectrum = nx.simulate("Mg", "m4-tornado", counts=1e5)
    counts = np.random.default_rng(0).poisson(spectrum.counts)
    for stated, told in ((50.0, False), (15.0, True)):
        found = calibrated(counts, spectrum.energy, excitation=Excitation(energy_kev=stated))
        assert found.doubtful == told
        assert ("above the stated 15 keV" in found.message) == told


def electron_counts(formula):
    spectrum = nx.simulate(formula, "sem-eds", counts=3e5)
    return np.random.default_rng(0).poisson(spectrum.counts), spectrum.energy


@pytest.mark.parametrize(
    ("formula", "factor"),
    [("Al2O3", 2.0), ("Na2O", 0.5), ("Al", 2.0), ("Al", 0.8), ("Si", 0.5), ("Si", 1.05)],
)
def test_one_or_two_peaks_that_lie_on_lines_of_another_axis_are_told(formula, factor):
    """On twice their axis O and Al are 10 eV from Na and Ar; on half of it Na2O is C and O, Si is Ni."""
    counts, right = electron_counts(formula)
    wrong = EnergyAxis(factor * right.offset, factor * right.width, right.size)
    found = calibrated(counts, wrong, excitation=Excitation())
    assert found.doubtful


@pytest.mark.parametrize(
    ("formula", "line", "shift"),
    [
        ("C", 0.277, 0.0),
        ("Al", 1.487, 0.025),
        ("Si", 1.74, -0.025),
        ("Na2O", 1.041, 0.0),
        ("Al2O3", 1.487, 0.0),
    ],
)
def test_a_spectrum_of_one_or_two_peaks_is_put_on_its_line_and_not_doubted(formula, line, shift):
    counts, right = electron_counts(formula)
    told = EnergyAxis(right.offset + shift, right.width, right.size)
    found = calibrated(counts, told, excitation=Excitation())
    assert not found.doubtful
    assert float(found.energy.energy((line - right.offset) / right.width)) == pytest.approx(line, abs=0.005)


def test_graphite_under_electrons_is_carbon():
    """Its peak lies below where widths were looked at; the continuum's hump was taken for a wide line."""
    counts, axis = electron_counts("C")
    found = find_elements(SpectralCube(counts[None, None].astype(np.uint32), axis))
    assert [one.element for one in found] == ["C"]
    assert found[0].probability > 0.9


@pytest.mark.parametrize("gain", [0.0, 0.02])
def test_a_gas_detector_keeps_its_axis_and_names_are_told_to_be_unsure(gain):
    """Another axis makes other elements of lines that run together: zinc was hafnium, silently."""
    gem = load_instrument("gem")
    parts = {"Ca": 0.16, "Fe": 0.06, "Cu": 0.06, "Zn": 0.05, "Pb": 0.08, "C": 0.35, "O": 0.24}
    expected = expect_spectrum(Material("paint", parts, 2.5), gem).counts
    counts = np.random.default_rng(0).poisson(expected / expected.sum() * 2e6)[None, None]
    axis = EnergyAxis(gem.energy.offset, gem.energy.width * (1 + gain), gem.energy.size)
    found = calibrate_map(SpectralCube(counts.astype(np.uint32), axis, excitation=excitation_of(gem)))
    assert found.energy == axis
    assert "neighbours' lines are one peak" in found.doubt
    assert "Another axis does not help" in found.remedy
    named = find_elements(found)
    assert all(one.probability <= 0.5 for one in named)
    assert gain or {one.element for one in named} == {"Ca", "Fe", "Cu", "Zn", "Pb"}


@pytest.mark.parametrize("seed", [7, 20, 22])
def test_peaks_that_stand_on_lines_keep_the_axis_though_their_shapes_fit_none(seed):
    # As scripts make spectra: one width at all energies, and no Kβ but that of iron.
    generator, axis = np.random.default_rng(seed), EnergyAxis(-0.2, 41.16 / 4096, 4096)
    lines = np.array([1.74, 3.69, 6.404, 7.058, 8.046])
    peaks = np.exp(-(((axis.energies - lines[:, None]) / 0.09) ** 2))
    shape = (generator.random(5) * [120, 300, 400, 60, 100]) @ peaks
    counts = 10 ** generator.uniform(5, 9.3)
    shape += generator.choice([0.03, 0.3, 3.0])
    found = calibrated(generator.poisson(counts * shape / shape.sum()), axis, Excitation())
    assert all(abs(shift_ev(found, axis, energy)) < 40 for energy in lines)
