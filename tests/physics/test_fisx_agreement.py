"""A reduced comparison with fisx; the whole one is benchmarks/fisx_comparison.py."""

import math

import numpy as np
import pytest

pytest.importorskip("fisx")

from fisx_reference import fisx_families, material
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.fluorescence import Beam, fluoresce
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.materials import Material

# A coarse tube: what both codes get is the same, and fisx takes seconds per sample with a fine one.
TUBE = Beam(
    np.array([3.0, 6.0, 9.0, 12.0, 16.0, 21.0, 28.0, 36.0]),
    np.array([3.0, 5.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]),
)
SAMPLES = [
    "orthoclase",
    "apatite",
    "chromite",
    "chalcopyrite",
    "galena",
    "baryte",
    "monazite",
    "steel",
    "gold alloy",
]


def ratios(layers, at: Beam) -> dict[str, float]:
    efficiency = load_instrument("m4").detector.efficiency
    found = fluoresce(layers, at, 50.0, 50.0)
    ours = found.lines.family_sums(found.intensities * efficiency(found.lines.energies))
    theirs = fisx_families(layers, at, 50.0, 50.0, efficiency)
    total = sum(theirs.values())
    return {family: ours[family] / value for family, value in theirs.items() if value > 0.01 * total}


def test_families_agree_with_fisx():
    differences = []
    for name in SAMPLES:
        for thickness in (math.inf, 5.0):
            for family, ratio in ratios([Layer(material(name), thickness)], TUBE).items():
                assert ratio == pytest.approx(1, abs=0.05), (name, thickness, family)
                differences.append(abs(ratio - 1))
    assert np.median(differences) < 0.02


def test_a_coated_sheet_agrees_with_fisx():
    coated = [Layer(Material.from_formula("Zn", 7.13), 10.0), Layer(material("steel"), math.inf)]
    found = ratios(coated, TUBE)
    assert {"Zn K", "Fe K", "Cr K"} <= found.keys()
    for family, ratio in found.items():
        assert ratio == pytest.approx(1, abs=0.05), family
