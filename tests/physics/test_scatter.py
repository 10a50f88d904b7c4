"""Rayleigh and Compton scattering."""

import math

import numpy as np
import pytest
import xraylib
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.physics.attenuation import Layer, mass_attenuation, mass_scattering
from napari_xrf.physics.scatter import (
    ScatterSource,
    energy_after_compton,
    energy_before_compton,
    multiple_scattering,
    scatter,
)
from napari_xrf.reference.materials import Material

ACRYLIC = Material.from_formula("C5H8O2", 1.19)
IRON = Material.from_formula("Fe", 7.87)


def rayleigh_of(number: int, energy: float, angle: float) -> float:
    """By |f + f' + if''|², written out with xraylib's single values."""
    form = xraylib.FF_Rayl(number, xraylib.MomentTransf(energy, math.radians(angle)))
    amplitude = complex(form + xraylib.Fi(number, energy), xraylib.Fii(number, energy))
    return xraylib.DCS_Rayl(number, energy, math.radians(angle)) * abs(amplitude) ** 2 / form**2


def line_source(energy: float, angle: float = 90.0) -> ScatterSource:
    grid = np.arange(0.1, energy + 1, 0.01)
    nothing = np.zeros(grid.size)
    return ScatterSource(angle, grid, nothing, grid, nothing, np.array([energy]), np.ones(1))


@settings(max_examples=50, deadline=None)
@given(st.floats(1, 60), st.floats(1, 179))
def test_compton_energies_invert_each_other(energy, angle):
    after = energy_after_compton(np.array([energy]), angle)
    assert energy_before_compton(after, angle)[0] == pytest.approx(energy)
    assert after[0] == pytest.approx(xraylib.ComptonEnergy(energy, math.radians(angle)), rel=1e-6)


def test_a_thin_sheet_scatters_its_cross_section():
    thickness, angle = 0.1, 90.0
    found = scatter([Layer(ACRYLIC, thickness)], line_source(17.5, angle), 45.0, 45.0)
    mass = 1.19 * thickness * 1e-4 / math.sin(math.pi / 4)
    numbers = {6: "C", 1: "H", 8: "O"}
    rayleigh = sum(
        ACRYLIC.mass_fractions[symbol] * rayleigh_of(z, 17.5, angle) for z, symbol in numbers.items()
    )
    compton = sum(
        ACRYLIC.mass_fractions[symbol] * xraylib.DCS_Compt(z, 17.5, math.radians(angle))
        for z, symbol in numbers.items()
    )
    assert found.line_photons[0] == pytest.approx(rayleigh * mass, rel=2e-3)
    assert found.photons.sum() == pytest.approx(compton * mass, rel=2e-3)


def test_the_compton_peak_is_broad_and_shifted():
    source = line_source(20.2, 126.0)
    found, energies = scatter([Layer(ACRYLIC, math.inf)], source, 50.0, 50.0), source.energies
    peak = energies[found.photons.argmax()]
    assert peak == pytest.approx(energy_after_compton(np.array([20.2]), 126.0)[0], abs=0.06)
    half = energies[found.photons > found.photons.max() / 2]
    assert 0.25 < half[-1] - half[0] < 0.7  # C 1s and 2s, 2p electrons at this momentum transfer
    assert np.all(found.photons[energies > 20.2] == 0)


def test_light_matter_scatters_more_than_heavy():
    light = scatter([Layer(ACRYLIC, math.inf)], line_source(20.2), 45.0, 45.0)
    heavy = scatter([Layer(IRON, math.inf)], line_source(20.2), 45.0, 45.0)
    assert light.photons.sum() > 10 * heavy.photons.sum()
    ratio = light.photons.sum() / light.line_photons[0]
    assert ratio > 3 * heavy.photons.sum() / heavy.line_photons[0]


def test_the_continuum_is_scattered_at_its_cross_section():
    grid = np.arange(5.0, 30.0, 0.01)
    flat = np.ones(grid.size)
    none = np.zeros(0)
    source = ScatterSource(90.0, grid, flat, grid, np.zeros(grid.size), none, none)
    found = scatter([Layer(IRON, math.inf)], source, 45.0, 45.0)
    at = int(np.searchsorted(grid, 15.0))
    mu = mass_attenuation(IRON, 15.0)
    single = rayleigh_of(26, 15.0, 90.0) / (2 * mu) * 0.01
    part = np.array([1.6 * xraylib.CS_Rayl(26, 15.0) / mu])
    repeated = multiple_scattering(part, (math.sqrt(0.5),) * 2)[0]
    assert found.photons[at] == pytest.approx(single * repeated, rel=5e-3)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([ACRYLIC, IRON]), st.floats(5, 45), st.floats(0.1, 1e4))
def test_scatter_grows_with_thickness_to_its_limit(material, energy, thickness):
    source = line_source(energy)
    thin = scatter([Layer(material, thickness)], source, 45.0, 45.0)
    thick = scatter([Layer(material, math.inf)], source, 45.0, 45.0)
    assert np.all(thin.photons >= 0)
    assert thin.photons.sum() <= thick.photons.sum() * (1 + 1e-9)
    assert thin.line_photons[0] <= thick.line_photons[0] * (1 + 1e-9)


@pytest.mark.parametrize(
    ("formula", "rayleigh", "compton", "peak"),
    [("SiO2", 1.074, 1.108, 1.076), ("C6H10O5", 1.140, 1.372, 1.219)],
)
def test_what_is_scattered_again_is_as_by_monte_carlo(formula, rayleigh, compton, peak):
    """Of 20.17 keV at 126°, ``python -m benchmarks.repeated_scattering``: the last by ± 0.36 keV."""
    material, source = Material.from_formula(formula, 1.5), line_source(20.17, 126.0)
    thin = scatter([Layer(material, 1e-3)], source, 50.0, 50.0)
    thick = scatter([Layer(material, math.inf)], source, 50.0, 50.0)
    mass = 1.5e-7 / math.sin(math.radians(50))
    ways = [mass_attenuation(material, at) / math.sin(math.radians(50)) for at in (20.17, 18.97)]
    once = [thin.line_photons[0] / (2 * mass * ways[0]), thin.photons.sum() / (mass * sum(ways))]
    once = [each / math.sin(math.radians(50)) for each in once]
    assert thick.line_photons[0] / once[0] == pytest.approx(rayleigh, abs=0.01)
    assert thick.photons.sum() / once[1] == pytest.approx(compton, abs=0.1)
    near = np.abs(source.energies - 18.97) < 0.36
    part = thin.photons[near].sum() / thin.photons.sum()
    assert thick.photons[near].sum() / (part * once[1]) == pytest.approx(peak, abs=0.05)


def test_multiple_scattering_adds_5_to_35_percent_in_light_matter():
    sines = (math.sin(math.radians(50)),) * 2
    at = np.array([10.0, 15.0, 20.0])
    acrylic = multiple_scattering(mass_scattering(ACRYLIC, at) / mass_attenuation(ACRYLIC, at), sines)
    assert np.all(np.diff(acrylic) > 0)
    assert 1.05 < acrylic[0] < acrylic[-1] < 1.45
    iron = multiple_scattering(mass_scattering(IRON, at) / mass_attenuation(IRON, at), sines)
    assert iron[0] < 1.02
