"""Tube spectra and other sources."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import Layer, mass_attenuation, transmission
from napari_xrf.physics.source import (
    ANODES,
    ElectronBeam,
    GivenSource,
    MonochromaticSource,
    TubeSource,
    source_spectrum,
)
from napari_xrf.physics.source_tube import BERYLLIUM
from napari_xrf.reference.materials import Material


@pytest.mark.parametrize(("anode", "density"), [("Rh", 12.4), ("Mo", 10.2), ("Cr", 7.19), ("Cu", 8.96)])
def test_continuum_agrees_with_pymca(anode, density):
    ebel = pytest.importorskip("PyMca5.PyMcaPhysics.xrf.XRayTubeEbel")
    energies = np.array([3.0, 5.0, 8.0, 12.0, 18.0, 25.0, 34.0])
    source = TubeSource(anode, 40.0, incidence_deg=70.0, takeoff_deg=20.0, window_be_um=125.0)
    theirs = ebel.continuumEbel(
        [anode, density, 0.1], 40.0, energies, window=["Be", 1.848, 0.0125], alphae=70.0, alphax=20.0
    )
    assert source_spectrum(source, energies).continuum_photons == pytest.approx(theirs, rel=0.01)


@pytest.mark.parametrize("anode", ANODES)
@pytest.mark.parametrize("voltage", [5.0, 10.0, 30.0, 60.0])
def test_every_anode_gives_photons_below_its_voltage_only(anode, voltage):
    spectrum = source_spectrum(TubeSource(anode, voltage), np.linspace(0.1, 70, 700))
    assert np.all(spectrum.continuum_photons >= 0)
    assert spectrum.continuum_photons.sum() > 0
    assert np.all(spectrum.continuum_photons[spectrum.continuum_energies >= voltage] == 0)
    assert np.all(spectrum.line_energies < voltage)


def test_rhodium_lines_are_where_they_belong():
    spectrum = source_spectrum(TubeSource("Rh", 50.0))
    strongest = spectrum.line_energies[np.argsort(-spectrum.line_photons)]
    assert strongest[0] == pytest.approx(2.697, abs=0.003)
    above = spectrum.line_energies > 15
    assert spectrum.line_energies[above][spectrum.line_photons[above].argmax()] == pytest.approx(
        20.216, abs=0.005
    )


def test_no_k_lines_below_the_k_edge():
    assert source_spectrum(TubeSource("Rh", 23.0)).line_energies.max() < 4
    assert source_spectrum(TubeSource("Rh", 24.0)).line_energies.max() > 20


def test_window_and_filters_attenuate_as_sheets():
    filters = (Layer(Material.from_formula("Al", 2.7), 100.0),)
    bare = source_spectrum(TubeSource("W", 40.0, window_be_um=0.0))
    filtered = source_spectrum(TubeSource("W", 40.0, window_be_um=200.0, filters=filters))
    sheets = (*filters, Layer(BERYLLIUM, 200.0))
    expected = bare.line_photons * transmission(sheets, bare.line_energies)
    assert filtered.line_photons == pytest.approx(expected)
    at = np.array([10.0])
    mu = (
        mass_attenuation(filters[0].material, at)[0] * 2.7e-2
        + mass_attenuation(BERYLLIUM, at)[0] * 1.848 * 0.02
    )
    thick = TubeSource("W", 40.0, window_be_um=200.0, filters=filters)
    thin = TubeSource("W", 40.0, window_be_um=0.0)
    ratio = source_spectrum(thick, at).continuum_photons / source_spectrum(thin, at).continuum_photons
    assert ratio[0] == pytest.approx(np.exp(-mu))


@settings(max_examples=20, deadline=None)
@given(st.floats(6, 60), st.floats(0.3, 0.95))
def test_more_voltage_gives_more_hard_photons(voltage, fraction):
    # Soft photons may become fewer: electrons go deeper, and the anode absorbs more.
    lower = max(0.9 * voltage, 5.0)
    energy = [fraction * lower]
    fewer = source_spectrum(TubeSource("Mo", lower), energy).continuum_photons
    assert source_spectrum(TubeSource("Mo", voltage), energy).continuum_photons[0] >= fewer[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"voltage_kv": 4.0},
        {"voltage_kv": 61.0},
        {"voltage_kv": float("nan")},
        {"anode": "Xx"},
        {"takeoff_deg": 0.0},
        {"incidence_deg": 91.0},
        {"window_be_um": -1.0},
    ],
)
def test_a_tube_out_of_range_is_refused(wrong):
    with pytest.raises(InvalidInput):
        TubeSource(**{"anode": "Rh", "voltage_kv": 50.0, **wrong})


def test_other_sources_out_of_range_are_refused():
    with pytest.raises(InvalidInput):
        ElectronBeam(0.5)
    with pytest.raises(InvalidInput):
        MonochromaticSource(0.1)
    with pytest.raises(InvalidInput):
        GivenSource((1.0, 2.0), (1.0,))
    with pytest.raises(InvalidInput):
        GivenSource((2.0, 1.0), (1.0, 1.0))
    with pytest.raises(InvalidInput):
        GivenSource((1.0, 2.0), (0.0, 0.0))
    with pytest.raises(InvalidInput):
        source_spectrum(ElectronBeam(20.0))


def test_a_given_spectrum_keeps_its_photons():
    source = GivenSource((1.0, 2.0, 3.0), (10.0, 30.0, 20.0), (17.5,), (5.0,))
    spectrum = source_spectrum(source)
    assert spectrum.continuum_photons == pytest.approx([10, 30, 20])
    assert spectrum.line_photons.tolist() == [5.0]
    assert source.highest_kev == 17.5
    assert source_spectrum(source, [0.5, 3.5]).continuum_photons.tolist() == [0, 0]


def test_sources_can_be_keys_of_caches():
    filters = (Layer(Material.from_formula("Al", 2.7), 10.0),)
    assert hash(TubeSource("Rh", 50.0, filters=filters)) == hash(TubeSource("Rh", 50.0, filters=filters))
