"""Coherent scattering by crystals."""

import math

import numpy as np
import pytest
import xraylib

from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import STRUCTURES, Layer
from napari_xrf.physics.crystal import diffuse_part, powder_factor, reflections
from napari_xrf.physics.forward import expect_spectra, expect_spectrum
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.crystals import lattices
from napari_xrf.reference.materials import Material

COPPER = Material.from_formula("Cu", 8.96)
CALCITE = Material.from_formula("CaCO3", 2.71)


@pytest.mark.parametrize("element", lattices())
def test_lattices_have_the_density_of_the_element(element):
    lattice = lattices()[element]
    atoms = {"bcc": 2, "fcc": 4, "diamond": 8, "hcp": 2}[lattice.kind]
    density = atoms * xraylib.AtomicWeight(xraylib.SymbolToAtomicNumber(element)) / lattice.volume / 0.602214
    assert density == pytest.approx(xraylib.ElementDensity(xraylib.SymbolToAtomicNumber(element)), rel=0.05)


@pytest.mark.parametrize(
    ("element", "squares"), [("Cu", [3, 4, 8, 11, 12]), ("Fe", [2, 4, 6, 8, 10]), ("Si", [3, 8, 11, 16, 19])]
)
def test_reflections_are_those_that_the_lattice_allows(element, squares):
    at, strengths = reflections(element)
    np.testing.assert_allclose(at[:5], np.sqrt(squares) / (2 * lattices()[element].a), rtol=1e-5)
    assert np.all(strengths > 0)


def test_a_reflection_has_the_strength_of_multiplicity_and_structure_factor():
    at, strengths = reflections("Cu")  # 111: eight planes, four atoms in step
    volume = lattices()["Cu"].volume
    assert strengths[0] == pytest.approx(8 * 4**2 / (32 * math.pi * 4 * volume * at[0] ** 2))


def test_titanium_has_its_first_reflections_where_xraylib_has_them():
    crystal = xraylib.Crystal_GetCrystal("Titanium")
    spacings = [xraylib.Crystal_dSpacing(crystal, *plane) for plane in ((1, 0, 0), (0, 0, 2), (1, 0, 1))]
    np.testing.assert_allclose(reflections("Ti")[0][:3], 0.5 / np.array(spacings), rtol=1e-3)


@pytest.mark.parametrize("element", lattices())
def test_at_high_transfers_a_crystal_scatters_like_single_atoms(element):
    transfers = np.linspace(1.2, 2.0, 400)
    factor = powder_factor(Material(element, {element: 1.0}), transfers, 0.02)
    assert factor.mean() == pytest.approx(1.0, abs=0.02)
    assert powder_factor(Material(element, {element: 1.0}), np.array([3.6]), 0.02)[0] == pytest.approx(1.0)


def test_the_spread_of_angles_moves_no_intensity():
    transfers = np.linspace(0.15, 1.0, 20001)
    sums = [powder_factor(COPPER, transfers, spread).mean() for spread in (0.005, 0.02)]
    assert sums[0] == pytest.approx(sums[1], rel=0.01)


def test_thermal_motion_alone_scatters_below_the_first_reflection():
    below = np.array([0.1, 0.19])
    np.testing.assert_allclose(powder_factor(COPPER, below, 0.02), diffuse_part(COPPER, below), rtol=1e-6)
    assert diffuse_part(COPPER, below)[1] == pytest.approx(1 - math.exp(-2 * 0.56 * 0.19**2))


def test_compounds_have_a_diffuse_part_between_none_and_all():
    part = diffuse_part(CALCITE, np.array([[0.0, 0.2], [1.0, 3.0]]))
    assert part.shape == (2, 2)
    assert part[0, 0] == 0
    assert np.all(np.diff(part.ravel()) > 0)
    assert part[1, 1] < 1


def test_a_crystal_changes_the_coherent_scatter_alone():
    instrument = load_instrument("m4")
    structures = [structure for structure in STRUCTURES if structure != "oxide"]
    found = {s: expect_spectrum(COPPER, instrument, structure=s) for s in structures}
    rhodium = instrument.energy.window(2.65, 2.75)
    for structure in structures[1:]:
        assert found[structure].families == found["amorphous"].families
        assert found[structure].scatter[rhodium].sum() < 0.2 * found["amorphous"].scatter[rhodium].sum()
    first = instrument.energy.window(3.2, 3.5)  # 111 at 3.33 keV
    assert found["polycrystal"].scatter[first].sum() > 2 * found["amorphous"].scatter[first].sum()
    compton = instrument.energy.window(18.5, 19.5)
    assert found["polycrystal"].counts[compton].sum() == pytest.approx(
        found["amorphous"].counts[compton].sum(), rel=0.02
    )
    layered = expect_spectra([[Layer(COPPER, math.inf, "polycrystal")]], instrument)[0]
    np.testing.assert_allclose(layered, found["polycrystal"].counts, rtol=1e-9, atol=1e-12 * layered.max())


@pytest.mark.parametrize(
    ("formula", "usual"), [("CaCO3", "oxide"), ("FeS2", "amorphous"), ("H2O", "amorphous")]
)
def test_what_nobody_says_of_the_structure_follows_from_the_elements(formula, usual):
    material, instrument = Material.from_formula(formula, 2.0), load_instrument("m4")
    found = [expect_spectrum(material, instrument, structure=structure).counts for structure in (None, usual)]
    np.testing.assert_array_equal(*found)


def test_what_cannot_be_is_refused():
    instrument = load_instrument("m4")
    with pytest.raises(InvalidInput, match="CaCO3"):
        expect_spectrum(CALCITE, instrument, structure="polycrystal")
    with pytest.raises(InvalidInput, match="glass"):
        expect_spectrum(CALCITE, instrument, structure="glass")
    with pytest.raises(InvalidInput, match="own structure"):
        expect_spectrum([Layer(COPPER, 5.0)], instrument, structure="amorphous")


def test_what_holds_no_oxygen_does_not_scatter_as_an_oxide():
    copper = Material.from_formula("Cu", 8.96)
    with pytest.raises(InvalidInput, match="holds no oxygen"):
        expect_spectrum(copper, load_instrument("m4-tornado"), structure="oxide")
