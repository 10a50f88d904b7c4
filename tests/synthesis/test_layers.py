import json
from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.synthesis.layers import LayersParameters, synthesize_layers
from napari_xrf.synthesis.line_basis import (
    BASIS_AXIS,
    BASIS_ELEMENTS,
    line_basis,
    line_cross_sections,
    line_elements,
)

RNG = np.random.default_rng
PLAIN = LayersParameters(
    tube_changes=0, escape_chance=0, distorted_axis=0, jitter_kev=0, counts=0, background=False
)


def test_the_basis_has_556_lines_of_41_elements():
    lines = line_basis()
    assert len(lines) == 556
    assert len(BASIS_ELEMENTS) == len(set(BASIS_ELEMENTS)) == 41
    energies = [line.energy for line in lines]
    assert energies == sorted(energies)
    assert energies[-1] <= 29.9
    assert sum(energy < 1 for energy in energies) == 109
    assert len({line.label for line in lines}) == 556
    iron = next(line for line in lines if line.label == "Fe ka1")
    assert iron.energy == pytest.approx(6.404, abs=2e-3)


def test_labels_are_joined_by_element_not_by_prefix():
    made = synthesize_layers(300, generator=RNG(1))
    for name in ("S", "P", "F", "Si", "Sn", "Pb", "Fe"):
        columns = [index for index, line in enumerate(made.lines) if line.split()[0] == name]
        there = made.fractions[:, made.elements.index(name)] > 0
        assert columns
        assert (made.present[:, columns] == there[:, np.newaxis]).all()


def test_truth_fits_together():
    made = synthesize_layers(500, generator=RNG(2))
    number = (made.fractions > 0).sum(axis=1)
    assert number.min() == 3
    assert number.max() == 13
    assert np.allclose(made.fractions.sum(axis=1), 1, atol=1e-5)
    assert not (made.visible & ~made.present).any()
    assert 0.05 < made.visible.sum() / made.present.sum() < 0.6
    light = [index for index, line in enumerate(line_basis()) if line.energy < 0.6]
    physical = synthesize_layers(500, generator=RNG(2), parameters=LayersParameters(intensities="physical"))
    assert not physical.visible[:, light].any()
    assert made.spectra.max(axis=1).tolist() == [1.0] * 500
    assert (made.spectra >= 0).all()
    json.dumps(made.parameters)


def test_equal_areas_give_each_element_its_weight_fraction():
    parameters = LayersParameters(
        elements=(2, 2),
        counts=0,
        background=False,
        escape_chance=0.0,
        distorted_axis=0.0,
        sigma_kev=(0.05, 0.05),
    )
    made = synthesize_layers(400, generator=RNG(5), parameters=parameters)
    iron, zirconium = BASIS_ELEMENTS.index("Fe"), BASIS_ELEMENTS.index("Zr")
    both = (made.fractions[:, iron] > 0) & (made.fractions[:, zirconium] > 0)
    spectrum, share = made.spectra[both].astype(float), made.fractions[both][:, iron]
    measured = spectrum[:, 50:80].sum(axis=1) / (
        spectrum[:, 50:80].sum(axis=1) + spectrum[:, 140:190].sum(axis=1)
    )
    # What lies between is the detector's efficiency, which favours iron by up to a third of all.
    assert both.any()
    assert np.abs(measured - share).max() < 0.35


def test_escape_by_height_moves_counts_to_lower_energies():
    options = {"counts": 0, "background": False, "escape_chance": 0.0, "sigma_kev": (0.1, 0.1)}
    plain = synthesize_layers(50, generator=RNG(3), parameters=LayersParameters(**options))
    escaped = synthesize_layers(
        50, generator=RNG(3), parameters=LayersParameters(**options, escape_by_height=1.0)
    )
    assert np.array_equal(plain.present, escaped.present)
    assert (np.abs(plain.spectra - escaped.spectra).max(axis=1) > 0).mean() > 0.5
    assert (escaped.spectra >= 0).all()


def test_a_visible_line_is_a_peak():
    made = synthesize_layers(
        400, generator=RNG(3), parameters=replace(PLAIN, sigma_kev=(0.05, 0.05), elements=(1, 1))
    )
    for row in range(400):
        seen = np.flatnonzero(made.visible[row])
        if seen.size:
            highest = made.spectra[row].argmax() * 0.1
            assert min(abs(line_basis()[line].energy - highest) for line in seen) < 0.15


def test_heights_follow_the_cross_sections():
    one = replace(PLAIN, elements=(1, 1), sigma_kev=(0.03, 0.03), areal_density=(1e-6, 1e-6))
    made = synthesize_layers(300, generator=RNG(4), parameters=one)
    element = BASIS_ELEMENTS.index("Pb")
    sections = line_cross_sections()[line_elements() == element].sum(axis=1)
    energies = np.array([line.energy for line in line_basis() if line.element == "Pb"])
    strong = energies[(sections > 0.3 * sections.max()) & (energies > 8)]
    rows = np.flatnonzero(made.fractions[:, element])
    assert rows.size
    for row in rows:
        assert np.abs(strong - made.spectra[row].argmax() * 0.1).min() < 0.11


def test_a_peak_keeps_its_height_whatever_its_width():
    narrow, wide = (
        synthesize_layers(
            200, generator=RNG(5), parameters=replace(PLAIN, elements=(1, 1), sigma_kev=(sigma, sigma))
        )
        for sigma in (0.1, 0.2)
    )
    assert np.array_equal(narrow.fractions, wide.fractions)
    area = (wide.spectra.sum(axis=1) / narrow.spectra.sum(axis=1))[narrow.visible.any(axis=1)]
    assert 1.3 < np.median(area) < 2.1


def test_the_counts_are_multinomial():
    drawn = synthesize_layers(300, generator=RNG(6), parameters=replace(PLAIN, counts=30_000))
    expected = synthesize_layers(300, generator=RNG(6), parameters=PLAIN)
    share = expected.spectra / expected.spectra.sum(axis=1, keepdims=True)
    # The highest channel is 1: its count follows from all channels being whole numbers of the same unit.
    counts = drawn.spectra / drawn.spectra.sum(axis=1, keepdims=True) * 30_000
    assert np.abs(counts - np.rint(counts)).max() < 0.02
    variance = 30_000 * share * (1 - share)
    inside = variance > 20
    pulls = (counts - 30_000 * share)[inside] / np.sqrt(variance[inside])
    assert pulls.mean() == pytest.approx(0, abs=0.05)
    assert pulls.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "change",
    [
        {"escape_chance": 1.0},
        {"distorted_axis": 1.0},
        {"counts": 1000},
        {"background": True},
        {"jitter_kev": 0.1},
    ],
)
def test_each_step_changes_the_spectrum_and_not_the_sample(change):
    plain = synthesize_layers(20, generator=RNG(7), parameters=PLAIN)
    changed = synthesize_layers(20, generator=RNG(7), parameters=replace(PLAIN, **change))
    assert np.array_equal(plain.fractions, changed.fractions)
    assert np.array_equal(plain.present, changed.present)
    assert not np.allclose(plain.spectra, changed.spectra, atol=1e-3)


def test_iron_escapes_at_4_66_and_adds_up_at_12_8_kev():
    plain = synthesize_layers(100, generator=RNG(8), parameters=replace(PLAIN, sigma_kev=(0.1, 0.1)))
    moved = synthesize_layers(
        100, generator=RNG(8), parameters=replace(PLAIN, sigma_kev=(0.1, 0.1), escape_chance=1.0)
    )
    row = 0
    added = moved.spectra[row] / moved.spectra[row].sum() - plain.spectra[row] / plain.spectra[row].sum()
    assert (added > 1e-4).any()
    assert (added < -1e-4).any()


def test_same_seed_same_spectra_and_a_longer_set_begins_alike():
    first = synthesize_layers(50, generator=RNG(9))
    assert np.array_equal(first.spectra, synthesize_layers(50, generator=RNG(9)).spectra)
    assert not np.array_equal(first.spectra, synthesize_layers(50, generator=RNG(10)).spectra)


def test_files(tmp_path):
    from napari_xrf.io import read
    from napari_xrf.io.own.cube_files import read_truth, write_cube

    made = synthesize_layers(40, generator=RNG(11))
    write_cube(tmp_path / "layers.h5", made.as_cube(), truth=made.truth_entries())
    back, truth = read(tmp_path / "layers.h5"), read_truth(tmp_path / "layers.h5")
    assert back.energy == BASIS_AXIS
    counts = np.asarray(back.counts[:])[:, 0].astype(float)
    assert (counts.sum(axis=1) == 30_000).all()
    expected = made.spectra / made.spectra.sum(axis=1, keepdims=True) * 30_000
    assert np.abs(counts - expected).max() <= 1
    assert np.array_equal(truth["spectra"], made.spectra)
    assert np.array_equal(truth["visible"], made.visible)
    assert truth["lines"][0] == made.lines[0]


def test_cancel():
    def cancel(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        synthesize_layers(10, generator=RNG(0), progress=cancel)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"elements": (0, 3)}, "elements must lie"),
        ({"elements": (5, 3)}, "Swap the ends"),
        ({"sigma_kev": (0.2, 0.1)}, "Swap the ends"),
        ({"areal_density": (-1.0, 1.0)}, "areal density must lie"),
        ({"counts": -1}, "counts must lie"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(InvalidInput, match=message):
        LayersParameters(**parameters)


def test_no_spectrum():
    with pytest.raises(InvalidInput, match="at least one"):
        synthesize_layers(0, generator=RNG(0))
