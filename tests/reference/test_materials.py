import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.materials import Material


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
