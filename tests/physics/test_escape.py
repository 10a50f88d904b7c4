import numpy as np
import pytest
import xraylib

from napari_xrf.physics.detector.losses import escape_fractions
from napari_xrf.reference.materials import Material

SILICON = Material("silicon", {"Si": 1.0}, 2.33)
ARGON = Material.from_mixture({"Ar": 67.8, "CO2": 32.2}, density=1.716e-3)


def test_thick_silicon_follows_the_formula_of_reed_and_ware():
    energies = np.array([2.0, 3.0, 5.0, 8.0])
    found = sum(escape_fractions(SILICON, 1e5, energies).values())
    for energy, fraction in zip(energies, found, strict=True):
        incoming, outgoing = xraylib.CS_Total(14, energy), xraylib.CS_Total(14, 1.740)
        shell = xraylib.CS_Photo_Partial(14, xraylib.K_SHELL, energy) / incoming
        leaves = 0.5 * (1 - outgoing / incoming * np.log(1 + incoming / outgoing))
        assert fraction == pytest.approx(xraylib.FluorYield(14, 0) * shell * leaves, rel=0.03)


def test_nothing_escapes_below_the_edge():
    for fractions in escape_fractions(SILICON, 450.0, [0.5, 1.7, 1.8388]).values():
        assert not fractions.any()


def test_silicon_escape_falls_with_energy():
    kalpha = max(escape_fractions(SILICON, 450.0, np.linspace(2, 30, 50)).items())[1]
    assert np.all(np.diff(kalpha) < 0)


def test_argon_escape_peak_is_of_the_published_size():
    """7.5 to 10 % of the photopeak for 1 to 0.3 cm of gas, 2.96 keV below it."""
    ratios = []
    for centimetres in (1.0, 0.3):
        found = escape_fractions(ARGON, 1e4 * centimetres, [5.9])
        assert min(found) == pytest.approx(2.957, abs=0.002)
        escaped = sum(found.values())[0]
        ratios.append(escaped / (1 - escaped))
    assert ratios[0] == pytest.approx(0.075, abs=0.01)
    assert ratios[1] == pytest.approx(0.10, abs=0.015)
