"""The independent check of quantities makes what it says."""

import numpy as np
import pytest
from benchmarks.independent.scattering import widen_compton
from benchmarks.quantities_of_random_compositions import (
    BASALT,
    as_in_nature,
    as_oxides,
    measured,
    other_instrument,
    random_composition,
    random_glass,
    read_preset,
)

from napari_xrf.maps.quantification.weight_percent import quantify


def test_compositions_sum_to_one():
    generator = np.random.default_rng(0)
    for _ in range(20):
        fractions, oxides = random_composition(generator)
        assert sum(fractions.values()) == pytest.approx(1)
        assert ("O" in fractions) == oxides
        assert set(random_glass(generator)) == {*BASALT, "O"}


def test_light_matter_is_drawn_as_asked():
    generator, oxides = np.random.default_rng(1), as_oxides(BASALT)
    parts = {}
    for kind in ("even", "tailed"):
        drawn = [as_in_nature(oxides, generator, kind) for _ in range(60)]
        assert all(sum(one.values()) == pytest.approx(1) for one in drawn)
        parts[kind] = np.array([one["C"] for one in drawn]) / 0.4445  # of cellulose
    assert 0.1 < parts["even"].max() < 0.151
    assert np.mean(parts["tailed"] < 1e-4) > 0.15
    assert parts["tailed"].max() > 0.15


def test_a_basalt_by_other_code_lies_within_its_errors():
    generator, preset = np.random.default_rng(3), read_preset("m4-tornado")
    basalt = as_oxides(BASALT)
    found = quantify(measured(other_instrument(preset, generator), basalt, 1e6, generator), list(BASALT))[0]
    assert found.oxygen == "stoichiometry"
    for element in ("Al", "Si", "Ca", "Fe"):
        assert abs(found[element].weight_fraction - basalt[element]) < 3 * found[element].standard_error


def test_other_code_spreads_compton_peaks_by_the_profiles_of_atoms():
    energies = np.arange(0.005, 30.0, 0.01)
    counts = np.zeros(energies.size)
    counts[np.searchsorted(energies, 18.9)] = 1e6
    light, heavy = (widen_compton(counts, energies, {e: 1.0}, 126.0, 20.2) for e in ("C", "Fe"))
    for one in (light, heavy):
        assert one.sum() == pytest.approx(1e6)
        assert one[energies > 20.25].sum() == 0
        assert energies[one.argmax()] == pytest.approx(18.9, abs=0.05)
    assert heavy.max() < 0.8 * light.max()  # electrons of heavy atoms are faster
