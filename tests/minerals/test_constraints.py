import numpy as np
import pytest

from napari_xrf.minerals.likelihood.templates import bins_at_resolution, expect_templates
from napari_xrf.minerals.likelihood.traces import Expected, line_families
from napari_xrf.minerals.naming.constraints import contradictions
from napari_xrf.physics.forward import expect_samples
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.materials import Material
from napari_xrf.reference.minerals import load_library, select_minerals


@pytest.fixture(scope="module")
def compared():
    """What lines say against library minerals that another substance is called: families, by instrument."""
    known = {}

    def against(instrument, formula, mineral, elements):
        used = load_instrument(instrument)
        if instrument not in known:
            low = 0.45 if instrument == "sem-eds" else 0.9
            bins = bins_at_resolution(used.energy, used.detector, low, 20.0)
            minerals = select_minerals(load_library(), ("quartz", "zincite", "calcite", "galena"))
            templates = expect_templates(minerals, used, bins)
            known[instrument] = bins, Expected.of(templates, line_families(used, bins))
        bins, expected = known[instrument]
        seen = expect_samples([Material.from_formula(formula, 3.0)], used)
        spectrum = bins.sum(seen.lines[0] + seen.rest[0])
        counts = np.random.default_rng(1).poisson(spectrum * 5e4 / spectrum.sum()).astype(float)
        names = [each.name for each in expected.templates.minerals]
        point = np.flatnonzero(expected.templates.owner == names.index(mineral))[0]
        found = contradictions(counts, counts.sum(), expected, [point], np.ones(1), elements)
        return {each.family: each for each in found}

    return against


def test_strong_line_that_a_mineral_cannot_make_speaks_against_it(compared):
    found = compared("m4-tornado", "BaSi2O5", "quartz", {"Ba", "Si"})
    assert found["Ba L"].percent > 10


def test_weights_of_what_is_foreign_are_those_in_the_mineral_not_in_silica(compared):
    """Bournonite was galena at 1.00: a quarter of its counts are copper, of which lead leaves little."""
    found = compared("m4-tornado", "PbCuSbS3", "galena", {"Pb", "S", "Cu"})
    assert 8 < found["Cu K"].percent < 40  # it holds 13 %
    assert not compared("m4-tornado", "PbSCu0.04", "galena", {"Pb", "S", "Cu"})


@pytest.mark.parametrize("formula", ["SiO2", "Si40O80Ca0.1", "Si60O120Ti0.2Fe0.1"])
def test_traces_and_what_is_right_speak_against_nothing(compared, formula):
    assert not compared("m4-tornado", formula, "quartz", {"Si", "Ca", "Ti", "Fe"})


def test_line_that_a_mineral_must_show_and_does_not_speaks_against_it(compared):
    assert set(compared("sem-eds", "Zn", "zincite", {"Zn", "O"})) == {"O K"}
    assert not compared("sem-eds", "ZnO", "zincite", {"Zn", "O"})


def test_an_element_that_only_an_end_shows_speaks_against_a_name_where_it_is_beyond_doubt(compared):
    """Altaite was galena at 0.91: a tenth of its counts are tellurium, which the sum of all did not show."""
    assert compared("m4-tornado", "PbTe", "galena", {"Pb", "S", "Ca"})["Te L"].percent > 10
    assert "Ba L" in compared("m4-tornado", "BaSi2O5", "quartz", {"Si"})
    assert not compared("m4-tornado", "PbSTe0.03", "galena", {"Pb", "S", "Ca"})
    assert not compared("m4-tornado", "PbS", "galena", {"Pb", "S", "Ca"})


@pytest.mark.parametrize(
    ("family", "low", "high"), [("Si K", 1.6, 2.0), ("P K", 1.85, 2.3), ("F K", 0.54, 0.8)]
)
def test_families_hold_no_lines_of_the_matrix_they_were_added_to(family, low, high):
    used = load_instrument("sem-eds")
    bins = bins_at_resolution(used.energy, used.detector, 0.45, 20.0)
    families = line_families(used, bins)
    shape = families.shapes[families.names.index(family)]
    assert shape[(bins.energies < low) | (bins.energies > high)].sum() < 0.05


@pytest.mark.parametrize(("silicon", "foreign"), [(0.0, False), (0.4, True)])
def test_silicon_between_m_lines_that_lack_as_much_speaks_against_nothing(silicon, foreign):
    """Scheelite was unknown: what its tungsten's M lines lacked of their ratios was silicon between them."""
    used = load_instrument("m4-tornado")
    bins = bins_at_resolution(used.energy, used.detector, 0.9, 20.0)
    minerals = select_minerals(load_library(), ("scheelite", "quartz"))
    expected = Expected.of(expect_templates(minerals, used, bins), line_families(used, bins))
    point = int(np.flatnonzero(expected.templates.owner == 0)[0])
    tungsten, added = (expected.families.names.index(name) for name in ("W M", "Si K"))
    spectrum = expected.templates.lines[point] + expected.templates.continuum[point]
    spectrum = spectrum + silicon * expected.parts[point, tungsten] * expected.families.shapes[added]
    counts = np.random.default_rng(1).poisson(1e5 * spectrum / spectrum.sum()).astype(float)
    found = contradictions(counts, counts.sum(), expected, [point], np.ones(1), {"Ca", "W", "Si"})
    assert ("Si K" in {each.family for each in found}) == foreign


def test_soft_lines_are_not_lacking_where_harder_ones_show_the_element():
    """A SEM's chalcopyrite was unknown at 1.00: of its iron L a fifth was there, its iron K as expected."""
    used = load_instrument("sem-eds")
    bins = bins_at_resolution(used.energy, used.detector, 0.45, 20.0)
    templates = expect_templates(select_minerals(load_library(), ("chalcopyrite", "quartz")), used, bins)
    expected = Expected.of(templates, line_families(used, bins))
    point = np.flatnonzero(templates.owner == 0)[0]

    def lacking(*energies):
        spectrum = templates.lines[point] + templates.continuum[point]
        for low, high in energies:
            cut = (bins.energies > low) & (bins.energies < high)
            spectrum = np.where(cut, 0.05 * spectrum, spectrum)
        counts = np.random.default_rng(1).poisson(1e5 * spectrum).astype(float)
        found = contradictions(counts, counts.sum(), expected, [point], np.ones(1), {"Cu", "Fe", "S"})
        return {each.family for each in found if each.measured < each.expected}

    soft, hard = (0.6, 0.8), (6.2, 6.6)
    assert lacking(soft) == set()
    assert "Fe K" in lacking(soft, hard)
