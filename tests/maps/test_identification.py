from dataclasses import replace

import numpy as np
import pytest

from measured import measured_file
from napari_xrf import read, simulate
from napari_xrf.core.constants import HC_KEV_ANGSTROM
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map, find_elements
from napari_xrf.maps.identification.explanation import explain
from napari_xrf.maps.identification.judgement import ElementEvidence, judge, probability_of, weigh
from napari_xrf.maps.identification.reflections import expected_reflections
from napari_xrf.maps.spectra.candidates import candidates
from napari_xrf.maps.spectra.families import family_columns
from napari_xrf.maps.spectra.scatter import scatter_columns
from napari_xrf.maps.spectra.spectrum_fit import SpectrumFit
from napari_xrf.maps.spectra.spectrum_model import Stray
from napari_xrf.physics.crystal import reflections
from napari_xrf.physics.detector.detector import respond
from napari_xrf.physics.instrument import load_instrument
from simulated_maps import TUBE, simulate_map

AXIS = EnergyAxis(-0.955, 0.01, 2400)


def found_in(families, shares, counts=3000, shape=(12, 12), seed=0):
    simulated = simulate_map(
        shape,
        counts,
        np.random.default_rng(seed),
        families=families,
        shares=np.array(shares, float),
        axis=AXIS,
    )
    return simulated, {one.element: one for one in find_elements(simulated.cube)}


def test_a_rock_shows_its_elements_and_no_others():
    simulated, found = found_in(
        ("Al K", "Si K", "K K", "Ca K", "Ti K", "Mn K", "Fe K"), (3, 10, 6, 8, 1, 0.6, 20)
    )
    assert set(found) == {"Al", "Si", "K", "Ca", "Ti", "Mn", "Fe"}
    assert all(one.probability > 0.95 for element, one in found.items() if element not in ("Ti", "Mn"))
    assert min(found["Ti"].probability, found["Mn"].probability) > 0.4  # small peaks are never sure
    iron = found["Fe"]
    truth = simulated.truth[simulated.families.index("Fe K")].sum()
    assert abs(iron.net_counts - truth) < 0.03 * truth
    assert 0 < iron.standard_error < 0.05 * truth


@pytest.mark.parametrize(
    ("families", "shares", "there", "absent"),
    [
        (("Ca K", "Fe K", "Pb L", "Pb M"), (5, 10, 6, 3), {"Pb"}, {"As", "S", "Mo"}),
        (("Ca K", "Fe K", "As K"), (5, 10, 6), {"As"}, {"Pb", "Bi"}),
        (("Ca K", "Fe K", "Ba L"), (5, 10, 6), {"Ba"}, {"Ti"}),
        (("Ca K", "Fe K", "Ti K"), (5, 10, 6), {"Ti"}, {"Ba"}),
    ],
)
def test_overlapping_lines_go_to_the_right_element(families, shares, there, absent):
    _, found = found_in(families, shares, seed=3)
    assert there <= set(found)
    assert not absent & set(found)


def test_a_small_peak_of_a_rock_is_an_element_rather_than_a_reflection():
    families = ("Al K", "Si K", "K K", "Ca K", "Ti K", "Mn K", "Fe K", "Sr K", "Cu K")
    shares = np.array([3, 10, 6, 8, 1, 0.6, 20, 0.5, 0.1])
    simulated = simulate_map(
        (1, 1), 4e5, np.random.default_rng(1), families=families, shares=shares, axis=AXIS, patchy=False
    )
    assert {one.element for one in find_elements(simulated.cube)} == {
        family.split()[0] for family in families
    }


def test_a_second_line_under_a_far_stronger_one_tells_nothing():
    families = ("Si K", "Ca K", "Mn K", "Fe K")
    spectra = {
        iron: simulate_map(
            (1, 1), 1e6, np.random.default_rng(1), families=families,
            shares=np.array([10.0, 8.0, 0.6, iron]), axis=AXIS, patchy=False,
        ).cube
        for iron in (0.0, 200.0)
    }  # fmt: skip
    setting = calibrate_map(spectra[0.0]).setting
    beside = {}
    for iron, cube in spectra.items():
        told = explain(cube.sum_spectrum(), setting, certain=("Si", "Ca", "Mn", "Fe"), thorough=False)
        seen = weigh(told.spectrum, told.best, [], {})
        beside[iron] = next(one.siblings for one in seen.values() if one.element == "Mn")
    assert beside[0.0] > 4
    assert beside[200.0] is None


def test_an_element_in_a_single_pixel_is_found():
    simulated = simulate_map(
        (30, 30), 3000, np.random.default_rng(5), families=("Si K", "Ca K", "Fe K"),
        shares=np.array([3.0, 6, 8]), axis=AXIS,
    )  # fmt: skip
    gold = simulate_map(
        (1, 1), 600, np.random.default_rng(6), families=("Au L", "Au M"), shares=np.array([3.0, 1]),
        axis=AXIS, continuum=0.0, patchy=False,
    )  # fmt: skip
    counts = np.array(simulated.cube.counts)
    counts[11, 17] += np.asarray(gold.cube.counts)[0, 0]
    cube = SpectralCube(counts, AXIS, excitation=TUBE)
    found = {one.element: one for one in find_elements(cube)}
    assert found["Au"].pixels > 0
    assert set(found) == {"Si", "Ca", "Fe", "Au"}


def test_a_bad_channel_in_a_pixel_is_no_element():
    simulated = simulate_map(
        (20, 20), 3000, np.random.default_rng(7), families=("Si K", "Ca K", "Fe K"),
        shares=np.array([3.0, 6, 8]), axis=AXIS,
    )  # fmt: skip
    counts = np.array(simulated.cube.counts)
    before = {one.element for one in find_elements(simulated.cube)}
    counts[4, 5, int(AXIS.channel(8.4))] += 3000
    assert {one.element for one in find_elements(SpectralCube(counts, AXIS, excitation=TUBE))} == before


def test_pile_up_is_no_element():
    simulated, _ = found_in(("Si K", "Ca K", "Fe K"), (3, 6, 8), counts=20)
    one = simulated.expected @ simulated.columns
    one = one / one.sum()
    channels = np.arange(AXIS.size) * AXIS.width + AXIS.offset
    both = np.convolve(one, one)
    at = 2 * AXIS.offset + AXIS.width * np.arange(both.size)
    piled = np.interp(channels, at, both)
    spectrum = np.random.default_rng(8).poisson(2e6 * (0.7 * one + 0.3 * piled / piled.sum()))
    found = find_elements(SpectralCube(spectrum[None, None], AXIS, excitation=TUBE))
    assert {one.element for one in found} == {"Si", "Ca", "Fe"}


def test_net_counts_are_those_of_all_families():
    simulated, found = found_in(("Fe K", "Pb L", "Pb M"), (5, 6, 3))
    truth = sum(simulated.truth[simulated.families.index(family)].sum() for family in ("Pb L", "Pb M"))
    assert set(found["Pb"].families) == {"Pb L", "Pb M"}
    assert abs(found["Pb"].net_counts - truth) < 0.1 * truth


@pytest.mark.parametrize(
    ("name", "there", "absent"),
    [
        ("K412_glass_SEM_15kV.msa", {"O", "Mg", "Al", "Si", "Ca", "Fe"}, {"Na", "Zr", "Br"}),
        ("SiO2_SEM.msa", {"O", "Si"}, {"Na", "Sr"}),
        ("Zn_metal_SEM.msa", {"Zn"}, {"Na", "Ti"}),
        ("LKSD-1_sediment_Horiba_Rh50kV.txt", {"Ca", "Fe", "Sr", "Zr"}, {"Rh", "Pd", "Nb"}),
    ],
)
def test_standards(name, there, absent):
    found = {one.element for one in find_elements(read(measured_file(f"standards/{name}")))}
    assert there <= found
    assert not absent & found


def test_rhodium_of_the_tube_is_no_element_though_a_file_lists_it():
    simulated = simulate_map(
        (1, 1), 1e6, np.random.default_rng(2), families=("Fe K", "Rh L", "Rh K"),
        shares=np.array([30.0, 0.5, 1.0]), axis=AXIS, patchy=False,
    )  # fmt: skip
    cube = SpectralCube(simulated.cube.counts, AXIS, elements=("Fe", "Rh"))
    assert {one.element for one in find_elements(cube)} == {"Fe"}


@pytest.mark.parametrize("name", ["acrylic_Rh50kV_f1.spx", "Acrylic_50kv_50_ma_Rh_vac_D1_600s.msa"])
def test_scatter_alone_is_no_element_and_no_reason_for_doubt(name):
    known = calibrate_map(read(measured_file(f"spectra/nist_microxrf/{name}")))
    assert known.doubt == ""
    assert find_elements(known) == ()


def test_a_probability_follows_its_evidence():
    seen = ElementEvidence("Fe", 60.0, 60.0, -1.0, 0.01, 9.0, False, -5.0, 1.0, False, 30.0, False, company=2)
    likely = probability_of(seen)
    assert 0.5 < likely < 1
    assert probability_of(replace(seen, odds=600.0, presence=600.0)) > likely
    # What has a rival of the same line is surely something, and this by the odds against the rival.
    assert probability_of(replace(seen, odds=5.0)) == likely > probability_of(replace(seen, presence=5.0))
    assert probability_of(replace(seen, odds=3.0, part=0.1)) == 1 / (1 + np.exp(-3.0))
    assert probability_of(replace(seen, part=0.001)) < likely
    assert probability_of(replace(seen, prior=-7.0)) < likely
    assert probability_of(replace(seen, siblings=None)) < likely
    unsure = replace(seen, siblings=2.0)  # a rock holds traces, a sheet of metal seldom
    assert probability_of(replace(unsure, company=4)) > probability_of(unsure)
    faint = {"contrast": 0.01, "siblings": 2.0}
    unsound = ({"hidden": True}, {"anode": True}, {"significance": 2.0}, faint, {"odds": 2.0})
    assert [probability_of(replace(seen, **one)) for one in unsound] == [0.0] * 5
    assert 0.5 < probability_of(replace(seen, contrast=0.01)) < likely  # its other lines are seen
    scattered = replace(seen, element="W", odds=700.0, part=0.04, anode=True)
    assert probability_of(scattered) == 0.5  # of a tube that nobody stated, as likely as of the sample
    assert probability_of(replace(scattered, part=0.4)) > 0.9
    assert probability_of(replace(seen, odds=39.0, disagree=True, siblings=1.0)) == 0
    alone = replace(seen, siblings=None, reflections=0.0)  # a reflection is likelier to lie there
    assert probability_of(alone) == 0
    trace = replace(seen, part=0.001, company=0)
    assert probability_of(trace) > 0.9  # a reflection brings no second line
    assert (
        probability_of(replace(trace, reflections=0.0)) == probability_of(replace(trace, siblings=2.0)) == 0
    )
    assert probability_of(replace(trace, siblings=None, reflections=-np.inf)) > 0.5  # of electrons, none does


def test_more_counts_of_a_pure_metal_bring_no_other_element():
    pytest.importorskip("fisx")
    from benchmarks.independent.element_set import make_case

    assert {one.element for one in find_elements(make_case(16, 2e7, "Mo").cube)} == {"Mo"}


# A rare element 45 eV off, sums of pulses among the peaks, two starts that come to one axis.
@pytest.mark.parametrize(("formula", "dose"), [("In", 1e6), ("Ti", 2e7), ("Cu", 1e6)])
def test_a_pure_metal_is_found_and_its_axis_not_doubted(formula, dose):
    pytest.importorskip("fisx")
    from benchmarks.elements_of_pure_substances import SUBSTANCES
    from benchmarks.independent.element_set import make_case

    known = calibrate_map(make_case(SUBSTANCES.index(formula), dose, formula).cube)
    assert not known.doubt
    assert {one.element for one in find_elements(known)} == {formula}


def test_noise_alone_shows_nothing():
    counts = np.random.default_rng(0).poisson(0.3, (10, 10, AXIS.size)).astype(np.uint16)
    assert find_elements(SpectralCube(counts, AXIS, excitation=TUBE)) == ()


def test_an_empty_map_shows_nothing():
    assert find_elements(SpectralCube(np.zeros((4, 4, AXIS.size), np.uint16), AXIS)) == ()


def test_a_cancel_stops_the_search():
    simulated = simulate_map((4, 4), 3000, np.random.default_rng(0), axis=AXIS)
    calls = []

    def cancel(done, total, what):
        calls.append(what)
        if what == "explaining a spectrum":
            raise Cancelled

    with pytest.raises(Cancelled):
        find_elements(simulated.cube, progress=cancel)
    assert calls


def test_a_dacite_holds_rock_forming_elements_and_nothing_absurd():
    cube = read(measured_file("bcf/P45_12bit_packed_8bit.bcf"))
    found = {one.element for one in find_elements(cube)}
    assert {"Al", "Si", "K", "Ca", "Ti", "Fe"} <= found
    assert found <= {"C", "O", "Na", "Mg", "Al", "Si", "P", "Cl", "K", "Ca", "Ti", "Mn", "Fe"}


def test_iron_with_reflections_holds_iron_alone():
    cube = read(measured_file("spectra/nist_microxrf/Fe_50kv_50_ma_Rh_vac_D1.msa"))
    found = {one.element for one in find_elements(cube)}
    assert "Fe" in found
    assert found <= {"Fe", "Mn", "Cr", "Cu", "Si"}


def reflecting(metal, shares):
    """Return a tube's spectrum of a metal, and of others, that its lattice reflects towards 157°."""
    axis, detector = EnergyAxis(-0.955, 0.01, 2400), load_instrument("m4-tornado").detector
    generator, energies = np.random.default_rng(0), np.maximum(axis.energies, 0.01)
    counts = np.array(list(shares.values())) @ family_columns(tuple(shares), detector, axis, 30.0)
    counts += np.where(axis.energies > 0.9, 15 * np.exp(-(((energies - 14) / 7) ** 2)) + 5, 0)
    transfers, _ = reflections(metal)
    # Of grains of any size and direction.
    for kev in HC_KEV_ANGSTROM * transfers / np.sin(np.radians(157.0 / 2)):
        if 1.5 < kev < 10:
            sigma = 1.05 * float(detector.sigma(kev))
            peak = np.exp(-0.5 * ((axis.energies - kev) / sigma) ** 2)
            counts += generator.uniform(300, 3000) * peak / peak.sum()
    tube = {"Rh K elastic": 600, "Rh K Compton": 3000, "Rh L elastic": 800}
    for name, column in scatter_columns("tube", 30.0, "Rh", 150.0, detector, axis).items():
        counts += tube.get(name, 0) * column
    excitation = Excitation(kind="tube", energy_kev=30.0, anode="Rh")
    return SpectralCube(generator.poisson(counts)[None, None], axis, excitation=excitation)


@pytest.mark.parametrize("metal", ["Al", "Mg"])
def test_reflections_of_a_metal_are_no_elements(metal):
    known = calibrate_map(reflecting(metal, {f"{metal} K": 6e5}))
    assert not known.doubt
    assert {one.element for one in known.elements} == {metal}


def test_the_iron_of_a_rock_reflects_nothing():
    """Potassium, beside calcium, was lost for a reflection of metallic iron."""
    rock = {"Al K": 3e4, "Si K": 1e5, "K K": 8e4, "Ca K": 1e5, "Ti K": 8e4, "Mn K": 5e4}
    known = calibrate_map(reflecting("Fe", {"Fe K": 1e6}))
    for others, part in (({}, 0), (rock, 1)):
        spectrum = reflecting("Fe", {"Fe K": 1e6, **others}).sum_spectrum()
        explained = explain(spectrum, known.setting, certain=("Fe",), thorough=False)
        assert explained.spectrum.rocks_part(explained.best) == part
        assert bool(expected_reflections(explained.spectrum, explained.best)) == (not part)


def test_a_wide_reflection_of_a_rock_is_an_element_whose_line_it_covers():
    simulated = simulate_map(
        (1, 1), 1e4, np.random.default_rng(0), families=("Si K", "Ca K", "Fe K"),
        shares=np.array([3.0, 6, 8]), axis=AXIS, patchy=False,
    )  # fmt: skip
    setting = calibrate_map(simulated.cube).setting
    places = tuple(Stray(8.046 + 0.8 * float(setting.detector.fwhm(8.046)), width) for width in (1.3, 2.0))
    narrow, wide = SpectrumFit(np.ones(AXIS.size), setting, candidates(setting), places).stray_cost
    assert narrow == 0 < wide


def test_a_reflection_at_a_second_line_is_no_gold():
    pytest.importorskip("fisx")
    from benchmarks.rare_earths_beside_strong_lines import draw_case

    found = {one.element for one in find_elements(draw_case(1075, "MnO", "Eu", 3.0).cube)}
    assert found - {"Eu"} == {"Mn"}  # 3 % of europium are there


def test_few_k_lines_far_from_others_show_zirconium_whose_l_lines_are_drowned():
    axis, detector = EnergyAxis(-0.955, 0.01, 2900), load_instrument("m4-tornado").detector
    families = ("Al K", "Si K", "K K", "Ca K", "Ti K", "Mn K", "Fe K", "Zr K", "Zr L")
    shares = np.array([3e4, 2e5, 6e4, 8e5, 2e5, 3e4, 1.5e6, 1200, 60])
    counts = shares @ family_columns(families, detector, axis, 28.0)
    inside = (axis.energies > 0.9) & (axis.energies < 28)
    counts[inside] += 60 * np.exp(-(((axis.energies[inside] - 11) / 6) ** 2)) + 3
    excitation = Excitation(kind="tube", energy_kev=28.0, anode="Rh")
    counts = np.random.default_rng(2).poisson(counts)
    found = find_elements(SpectralCube(counts[None, None], axis, excitation=excitation))
    assert {one.element for one in found} == {"Al", "Si", "K", "Ca", "Ti", "Mn", "Fe", "Zr"}


def test_a_sputtered_film_holds_argon_and_no_silver():
    axis, detector = EnergyAxis(-0.1, 0.01, 1024), load_instrument("sem-eds").detector
    families = ("Al K", "Mn K", "Mn L", "Cu L", "Cu K", "Ar K")
    shares = np.array([6.6e4, 5.4e4, 1e5, 8.8e4, 1.5e3, 5e3])
    counts = shares @ family_columns(families, detector, axis, 10.0)
    counts[axis.positive] += 1200 * np.exp(-axis.energies[axis.positive] / 3)
    excitation = Excitation(kind="electron", energy_kev=10.0)
    counts = np.random.default_rng(4).poisson(counts)
    found = {
        one.element for one in find_elements(SpectralCube(counts[None, None], axis, excitation=excitation))
    }
    assert found == {"Al", "Ar", "Mn", "Cu"}


def test_carbon_shows_beside_potassium_and_calcium_under_electrons():
    pytest.importorskip("fisx")
    from benchmarks.independent.element_set import make_case

    assert "C" in {one.element for one in find_elements(make_case(5023).cube)}


def test_the_soft_line_of_titanium_is_no_nitrogen():
    axis, counts = EnergyAxis(0.0, 0.01, 1500), np.zeros(1500)
    detector = load_instrument("sem-eds").detector
    low = respond(detector, axis, np.array([0.395]), np.ones(1))
    # As in the metal, of which the higher peak is Ll.
    high_and_low = 0.4 * family_columns(("Ti L",), detector, axis, 15.0)[0] + 0.6 * low / low.sum()
    counts += 6e5 * family_columns(("Ti K",), detector, axis, 15.0)[0] + 2e5 * high_and_low
    counts[axis.positive] += 300 * np.exp(-axis.energies[axis.positive] / 5)
    counts = np.random.default_rng(3).poisson(counts)
    excitation = Excitation(kind="electron", energy_kev=15.0)
    known = calibrate_map(SpectralCube(counts[None, None], axis, excitation=excitation))
    assert not known.doubt
    assert {one.element for one in known.elements} == {"Ti"}


@pytest.mark.parametrize(("formula", "seed"), [("Cd", 7), ("In", 7), ("SnO2", 6)])
def test_the_soft_lines_of_a_metal_are_no_nitrogen(formula, seed):
    pytest.importorskip("fisx")
    from benchmarks.elements_of_pure_substances import draw_case

    found = {one.element for one in find_elements(draw_case(formula, 1e6, None, seed, electrons=True).cube)}
    assert {"N", "F"}.isdisjoint(found)
    assert formula[:2] in found


@pytest.mark.parametrize(("part", "there"), [(1.5e-3, False), (3e-2, True)])
def test_a_little_of_a_soft_line_alone_is_no_metal(part, there):
    # The axis ends below Ni K: sums of C and O, and what a detector loses of harder lines, lie at Ni L.
    spectrum = simulate("NaAlSi3O8", "sem-eds", counts=3e6)
    axis = EnergyAxis(spectrum.energy.offset, spectrum.energy.width, int(6.8 / spectrum.energy.width))
    detector = load_instrument("sem-eds").detector
    nickel = family_columns(("Ni L",), detector, axis, 15.0)[0]
    expected = spectrum.counts[: axis.size]
    counts = np.random.default_rng(0).poisson(expected + part * expected.sum() * nickel)
    cube = SpectralCube(counts[None, None].astype(np.uint32), axis, excitation=Excitation("electron", 15.0))
    found = {one.element for one in find_elements(cube)}
    assert {"O", "Na", "Al", "Si"} <= found
    assert ("Ni" in found) == there


def test_an_element_is_told_by_a_family_that_its_maps_show():
    """What stands under the flank of a strong line only by grace of deviations has an empty map."""
    excitation = replace(TUBE, energy_kev=20.0)  # too low for Y K to count as well excited
    cube = simulate_map(
        (1, 1), 1e6, np.random.default_rng(4), families=("Si K", "Ca K", "Fe K", "Y K"),
        shares=np.array([30.0, 20, 10, 0.5]), axis=AXIS, patchy=False, excitation=excitation,
    ).cube  # fmt: skip
    known = calibrate_map(cube)
    explained = explain(known.sum_spectrum, known.setting, certain=("Y",), thorough=False)
    spectrum, best = explained.spectrum, explained.best
    seen = ElementEvidence("", 60.0, 60.0, -3.5, 0.01, 9.0, False, -5.0, 1.0, False, 30.0, False, company=4)
    position = next(k for k, one in enumerate(spectrum.pool) if one.element == "Y")
    soft, hard = (int(np.flatnonzero(best.index == k)[0]) for k in spectrum.own[position])
    assert [spectrum.names[best.index[k]] for k in (soft, hard)] == ["Y L", "Y K"]

    def families_told(under_silicon, beyond_noise):
        amplitudes = best.fit.amplitudes.copy()
        amplitudes[[soft, hard]] = under_silicon, beyond_noise
        made = replace(best, fit=replace(best.fit, amplitudes=amplitudes))
        found = judge(spectrum, made, dict.fromkeys(best.content.elements, seen))
        return [one.families for one in found if one.element == "Y"]

    high = float(best.fit.amplitudes.max())
    assert families_told(high, 1.0) == []
    assert families_told(high, float(best.fit.amplitudes[hard])) == [("Y K",)]
