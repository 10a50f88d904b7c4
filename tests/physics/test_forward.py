"""Expected spectra of whole instruments."""

import dataclasses

import numpy as np
import pytest

from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.forward import expect_spectra, expect_spectrum
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.physics.source import GivenSource, MonochromaticSource, TubeSource
from napari_xrf.reference.materials import Material

CALCITE = Material.from_formula("CaCO3", 2.71)
HEMATITE = Material.from_formula("Fe2O3", 5.26)
GALENA = Material.from_formula("PbS", 7.6)


@pytest.mark.parametrize("name", instrument_names())
@pytest.mark.parametrize("material", [CALCITE, HEMATITE, GALENA], ids=lambda material: material.name)
def test_every_preset_gives_a_spectrum_with_its_peaks(name, material):
    instrument = load_instrument(name)
    found = expect_spectrum(material, instrument)
    assert found.counts.shape == (instrument.energy.size,)
    assert np.all(np.isfinite(found.counts))
    assert np.all(found.counts >= 0)
    assert np.all(found.counts >= found.scatter + found.continuum - 1e-9 * found.counts.max())
    strongest = max(found.families, key=found.families.get)
    assert strongest in {"Ca K", "Fe K", "Pb L", "Pb M"}
    assert sum(found.families.values()) == pytest.approx(found.lines[1].sum(), rel=1e-6)
    # The lines' counts are what remains above scatter and continuum, but for what falls off the axis.
    lines = found.counts.sum() - found.scatter.sum() - found.continuum.sum()
    assert lines == pytest.approx(found.lines[1].sum(), rel=0.05)


@pytest.mark.parametrize("name", ["m4-tornado", "sem-eds", "synchrotron"])
def test_many_at_once_are_the_same_as_one_by_one(name):
    instrument = load_instrument(name)
    materials = [CALCITE, HEMATITE, GALENA]
    together = expect_spectra(materials, instrument)
    for row, material in zip(together, materials, strict=True):
        assert row == pytest.approx(
            expect_spectrum(material, instrument, structure="amorphous").counts,
            rel=1e-9,
            abs=1e-9 * row.max(),
        )
    assert expect_spectra([], instrument).shape == (0, instrument.energy.size)


def test_many_at_once_can_be_cancelled():
    def stop(done: int, total: int, what: str) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        expect_spectra([CALCITE, HEMATITE, GALENA], load_instrument("m4"), progress=stop)


def test_a_given_line_is_a_monochromatic_source():
    instrument = load_instrument("synchrotron")
    one = dataclasses.replace(instrument, source=MonochromaticSource(15.0))
    other = dataclasses.replace(instrument, source=GivenSource((), (), (15.0,), (1.0,)))
    first, second = expect_spectrum(HEMATITE, one), expect_spectrum(HEMATITE, other)
    assert first.families == pytest.approx(second.families)
    assert first.counts == pytest.approx(second.counts, abs=1e-6 * first.counts.max())


def test_a_tube_given_as_a_table_is_the_tube():
    instrument = dataclasses.replace(load_instrument("m4"), optic=None)
    from napari_xrf.physics.source import source_spectrum

    bins = np.arange(0.5, 50, 0.02)
    spectrum = source_spectrum(instrument.source, bins)
    table = GivenSource(
        tuple(bins),
        tuple(spectrum.continuum_photons * 0.02),
        tuple(spectrum.line_energies),
        tuple(spectrum.line_photons),
    )
    tube = expect_spectrum(HEMATITE, instrument).families
    given = expect_spectrum(HEMATITE, dataclasses.replace(instrument, source=table)).families
    assert given["Fe K"] == pytest.approx(tube["Fe K"], rel=3e-3)


def test_thickness_and_layers():
    instrument = load_instrument("m4")
    thick = expect_spectrum(CALCITE, instrument).families["Ca K"]
    thin = expect_spectrum(CALCITE, instrument, thickness_um=1.0).families["Ca K"]
    double = expect_spectrum(CALCITE, instrument, thickness_um=2.0).families["Ca K"]
    assert thin < double < thick
    paint = [
        Layer(Material.from_mixture({"Pb3C2O8H2": 70, "C18H32O2": 30}, 3.0), 30.0),
        Layer(CALCITE, np.inf),
    ]
    covered = expect_spectrum(paint, instrument).families
    assert covered["Pb L"] > 0
    assert covered["Ca K"] < 0.05 * thick


def test_air_takes_the_soft_lines():
    vacuum = load_instrument("m4")
    air = dataclasses.replace(vacuum, atmosphere="air")
    helium = dataclasses.replace(vacuum, atmosphere="helium")
    quartz = Material.from_formula("SiO2", 2.65)
    silicon = [expect_spectrum(quartz, i).families["Si K"] for i in (vacuum, helium, air)]
    assert silicon[0] >= silicon[1] > 0.95 * silicon[0]
    assert silicon[2] < 0.6 * silicon[0]


@pytest.mark.parametrize(
    ("source", "material"), [(TubeSource("Rh", 5.0), "Fe"), (MonochromaticSource(2.0), "CaF2")]
)
def test_a_source_below_every_edge_is_refused(source, material):
    gem = dataclasses.replace(load_instrument("gem"), source=source, atmosphere="vacuum")
    sample = Material.from_formula(material, 3.0)
    with pytest.raises(InvalidInput, match="below every absorption edge"):
        expect_spectrum(sample, gem)
    assert np.all(expect_spectra([sample], gem) >= 0)


def test_bad_input_is_refused():
    instrument = load_instrument("m4")
    with pytest.raises(InvalidInput):
        expect_spectrum(CALCITE, instrument, thickness_um=-5.0)
    with pytest.raises(InvalidInput):
        Material.from_formula("Xy2O3")
    with pytest.raises(InvalidInput):
        Material.from_formula("CaCO3", -1.0)
    with pytest.raises(InvalidInput):
        expect_spectrum(CALCITE, load_instrument("sem"), thickness_um=5.0)


@pytest.mark.parametrize("name", ["m4", "sem"])
def test_hydrogen_has_no_lines(name):
    found = expect_spectrum(Material.from_formula("H2", 0.07), load_instrument(name))
    assert found.families == {}
    assert found.counts.sum() > 0


def test_light_matter_shows_the_scattered_tube():
    found = expect_spectrum(Material.from_formula("C5H8O2", 1.19), load_instrument("m4"))
    assert found.scatter.sum() > 0.99 * found.counts.sum()
    energies = found.energy.energies
    compton = found.counts[(energies > 18.7) & (energies < 19.5)].sum()
    rayleigh = found.counts[(energies > 20.0) & (energies < 20.4)].sum()
    assert compton > rayleigh
