"""Cross-sections of elements and materials."""

import numpy as np
import pytest
import xraylib
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import (
    ATMOSPHERES,
    Layer,
    absorption_edges,
    fluorescence_production,
    mass_attenuation,
    transmission,
)
from napari_xrf.physics.vacancies import SUBSHELLS, fluorescence_yield, photons_per_vacancy
from napari_xrf.reference.materials import Material

IRON = Material.from_formula("Fe", 7.87)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["C", "O", "Na", "Ca", "Fe", "Zn", "Sr", "Ag"]), st.floats(1.2, 80))
def test_interpolation_follows_xraylib(element, energy):
    number = xraylib.SymbolToAtomicNumber(element)
    near = [abs(energy / edge - 1) < 0.02 for edge in absorption_edges([element], 0.1, 100)]
    if any(near):
        return
    found = mass_attenuation(Material(element, {element: 1.0}), energy)
    assert found == pytest.approx(xraylib.CS_Total(number, energy), rel=2e-3)


@pytest.mark.parametrize(
    ("element", "energy", "xcom"), [("Cr", 6.8, 377.3), ("Ti", 5.46, 547.7), ("Si", 2.3, 1937.0)]
)
def test_the_swings_of_xraylibs_splines_are_mended(element, energy, xcom):
    # XCOM, interpolated on logarithms between its tabulated energies; xraylib is 5 to 14 % off here.
    assert mass_attenuation(Material(element, {element: 1.0}), energy) == pytest.approx(xcom, rel=0.02)


def test_the_edge_jump_lies_at_the_edge():
    below, above = mass_attenuation(IRON, np.array([7.112 * 0.9999, 7.112 * 1.0001]))
    assert above / below == pytest.approx(7.6, rel=0.1)


def test_a_mixture_is_the_sum_by_weight():
    quartz = Material.from_formula("SiO2", 2.65)
    at = np.array([1.5, 5.0, 20.0])
    parts = sum(
        fraction * mass_attenuation(Material(element, {element: 1.0}), at)
        for element, fraction in quartz.mass_fractions.items()
    )
    assert mass_attenuation(quartz, at) == pytest.approx(parts)


@settings(max_examples=30, deadline=None)
@given(st.floats(1, 40), st.floats(0.1, 500), st.floats(0.1, 500))
def test_transmission_of_sheets_multiplies(energy, first, second):
    both = transmission([Layer(IRON, first), Layer(IRON, second)], energy)
    assert both == pytest.approx(transmission([Layer(IRON, first + second)], energy))
    assert 0 <= both <= 1


def test_production_is_ionisation_times_yield_for_k():
    found = fluorescence_production("Fe", np.array([7.0, 10.0]))
    assert found[0, 0] == 0
    expected = xraylib.CS_Photo_Partial(26, xraylib.K_SHELL, 10.0) * xraylib.FluorYield(26, xraylib.K_SHELL)
    assert found[0, 1] == pytest.approx(expected, rel=5e-3)


def test_light_elements_fluoresce_at_high_energies():
    # xraylib's Kissel tables of light elements vanish there; photo-ionisation falls about as E^-3.
    at = fluorescence_production("O", np.array([10.0, 20.0, 40.0]))[0]
    assert at[0] / at[1] == pytest.approx(9, rel=0.15)
    assert at[1] / at[2] == pytest.approx(9.5, rel=0.15)


def test_vacancies_pass_outward_and_radiate():
    photons = photons_per_vacancy("Pb")
    k, l3, m5 = SUBSHELLS.index("K"), SUBSHELLS.index("L3"), SUBSHELLS.index("M5")
    assert photons[k, k] == pytest.approx(fluorescence_yield("Pb", "K"))
    assert photons[l3, k] > 0.5 * photons[l3, l3]  # Kα1 leaves an L3 vacancy
    assert photons[m5, l3] > photons[m5, m5] * 0.5
    assert np.all(np.triu(photons, 1) == 0)
    assert np.all((photons >= 0) & (photons <= 2))
    # Measured by PTB with synchrotron radiation: 0.0459(20) for Ru L3 (J. Anal. At. Spectrom. 38, 1301).
    assert fluorescence_yield("Ru", "L3") == pytest.approx(0.0459, abs=0.002)


def test_bad_layers_and_atmospheres_are_refused():
    for thickness in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidInput):
            Layer(IRON, thickness)
    with pytest.raises(InvalidInput):
        Material.from_formula("Fe", -7.0)
    with pytest.raises(InvalidInput):
        Material("x", {"Xx": 1.0})
    assert ATMOSPHERES["vacuum"] is None
    assert ATMOSPHERES["helium"].density < ATMOSPHERES["air"].density
