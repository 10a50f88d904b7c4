import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.materials import Material, mass_fractions


@pytest.mark.parametrize(
    ("formula", "element", "fraction"),
    [
        ("SiO2", "Si", 0.4674),
        ("CaCO3", "Ca", 0.4004),
        ("CaSO4·2H2O", "Ca", 0.2328),
        ("CaSO4.2H2O".replace(".", "·"), "H", 0.0234),
        ("(Zn0.9Fe0.1)S", "Fe", 0.0579),
        ("Fe₂O₃", "Fe", 0.6994),
    ],
)
def test_weight_fractions(formula, element, fraction):
    assert mass_fractions(formula)[element] == pytest.approx(fraction, abs=2e-4)


@pytest.mark.parametrize("formula", ["", "Xx2", "Si(O2", "quartz", "SiO2·", "2", "Si-1"])
def test_refuses_what_is_no_formula(formula):
    with pytest.raises(InvalidInput, match="formula"):
        mass_fractions(formula)


@given(st.dictionaries(st.sampled_from(["SiO2", "Fe", "CaCO3", "PbS"]), st.floats(0.01, 100), min_size=1))
def test_mixtures_sum_to_one(parts):
    material = Material.from_mixture(parts)
    assert sum(material.mass_fractions.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("fractions", "density"),
    [
        ({}, 1),
        ({"Fe": 1.0}, -1),
        ({"Fe": 1.0}, 0),
        ({"Fe": 0.5}, 1),
        ({"Fe": 1.5, "Cu": -0.5}, 1),
        ({"Qq": 1.0}, 1),
    ],
)
def test_refuses_impossible_materials(fractions, density):
    with pytest.raises(InvalidInput):
        Material("x", fractions, density)


def test_refuses_impossible_mixtures():
    with pytest.raises(InvalidInput):
        Material.from_mixture({"Fe": 0.0})
    with pytest.raises(InvalidInput):
        Material.from_mixture({"Fe": -1.0, "Cu": 2.0})
