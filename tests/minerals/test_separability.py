import numpy as np
import pytest

from mineral_cubes import known_calibration
from napari_xrf.core.errors import InvalidInput
from napari_xrf.minerals.likelihood.templates import bin_errors, bins_at_resolution, expect_templates
from napari_xrf.minerals.separability import confusion, inseparable_groups
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import load_library, select_minerals

NAMES = (
    "quartz", "opal", "calcite", "aragonite", "hematite", "magnetite", "pyrite", "marcasite", "galena",
    "anglesite",
)  # fmt: skip


@pytest.fixture(scope="module")
def templates():
    instrument = load_instrument("m4-tornado")
    bins = bins_at_resolution(instrument.energy, instrument.detector, 0.9, 40.0)
    return expect_templates(select_minerals(load_library(), NAMES), instrument, bins)


def groups_at(templates, counts, tolerance=0.05):
    groups = inseparable_groups(confusion(templates, counts, bin_errors(templates.bins, tolerance)))
    return {frozenset(NAMES[index] for index in group) for group in groups}


def test_more_counts_never_join_what_was_apart(templates):
    sizes = [len(groups_at(templates, counts)) for counts in (10, 100, 1_000, 10_000, 100_000)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


def test_known_groups_at_a_thousand_counts(templates):
    groups = groups_at(templates, 1_000)
    assert frozenset({"quartz", "opal"}) in groups
    assert frozenset({"pyrite", "marcasite"}) in groups
    assert frozenset({"hematite", "magnetite"}) in groups
    assert frozenset({"galena", "anglesite"}) in groups


def test_polymorphs_never_split(templates):
    assert frozenset({"pyrite", "marcasite"}) in groups_at(templates, 1e8)


def test_worse_models_separate_less(templates):
    assert len(groups_at(templates, 1e5, 0.4)) <= len(groups_at(templates, 1e5, 0.02))


def test_confusion_is_a_chance(templates):
    errors = bin_errors(templates.bins, 0.1)
    wrong = confusion(templates, 1_000, errors)
    assert np.nanmin(wrong) >= 0
    assert np.nanmax(wrong) <= 0.5 + 1e-9
    assert np.allclose(np.diagonal(wrong), 0.5)
    with pytest.raises(InvalidInput):
        confusion(templates, 0, errors)


def test_templates_are_normalised_and_shared_by_polymorphs(templates):
    assert np.allclose(templates.lines.sum(axis=1) + templates.continuum.sum(axis=1), 1)
    assert np.allclose(templates.spectra([1.0]).sum(axis=2), 1)
    pyrite, marcasite = (templates.lines[templates.owner == number] for number in (6, 7))
    assert (pyrite == marcasite).all(axis=1).any()


def test_bins_conserve_counts_and_leave_windows_out():
    calibration = known_calibration()
    bins = bins_at_resolution(calibration.energy, calibration.detector, 0.9, 40.0)
    counts = np.random.default_rng(0).poisson(3, size=(2, calibration.energy.size))
    assert np.array_equal(
        bins.sum(counts).sum(axis=1), counts[:, bins.starts[0] : bins.stops[-1]].sum(axis=1)
    )
    fewer = bins.without([(2.9, 3.1)])
    assert fewer.size < bins.size
    assert not np.any(np.abs(fewer.energies - 3.0) < 0.1)
    with pytest.raises(InvalidInput):
        bins_at_resolution(calibration.energy, calibration.detector, 50.0, 60.0)
