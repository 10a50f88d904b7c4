"""Phases without a library: their number, their mixtures, what is told of them, and maps that hold none."""

import csv
from dataclasses import replace

import numpy as np
import pytest

import napari_xrf as nx
from mineral_cubes import known_map, mineral_cube
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.likelihood.binned_map import BinnedMap, merged_bins
from napari_xrf.minerals.likelihood.templates import EnergyBins
from napari_xrf.minerals.phases.discovery import find_phases
from napari_xrf.minerals.phases.ends import find_ends, mixture
from napari_xrf.minerals.phases.files import phase_rows, write_phase_spectra, write_phase_table
from napari_xrf.minerals.phases.mixtures import misfitting, near_ends, sure_pixels, unmix
from napari_xrf.minerals.report.page import write_report
from napari_xrf.reference.minerals import load_library, select_minerals
from verbs import run

NAMES = ("quartz", "calcite", "pyrite")


def peaks_map(areas, brightness=(300.0, 900.0, 600.0), seed=0):
    """Return a binned map of phases with one broad peak each, of given areas (Y, X, K)."""
    channels = np.arange(120)
    shapes = np.exp(-0.5 * ((channels - np.array([[25], [60], [95]])) / 6) ** 2) + 0.02
    shapes *= np.array(brightness)[:, None] / shapes.sum(axis=1, keepdims=True)
    counts = np.random.default_rng(seed).poisson(areas @ shapes)
    cube = SpectralCube(counts.astype(np.uint16), EnergyAxis(0.5, 0.05, 120))
    starts = np.arange(0, 120, 2)
    return BinnedMap(cube, EnergyBins(cube.energy, starts, starts + 2)), shapes


def stripes(mixed=True):
    """Return areas of three stripes; two columns at each border are mixtures."""
    areas = np.zeros((24, 24, 3))
    for phase in range(3):
        areas[:, 8 * phase : 8 * phase + 8, phase] = 1
    if mixed:
        for border in (8, 16):
            left, right = areas[:, border - 1].copy(), areas[:, border].copy()
            areas[:, border - 1], areas[:, border] = 0.65 * left + 0.35 * right, 0.35 * left + 0.65 * right
    return areas


def test_borders_between_phases_are_no_phases():
    binned, shapes = peaks_map(stripes())
    ends = find_ends(binned)
    assert len(ends.spectra) == 3
    assert ends.reason(3, None).startswith("3 phases: whatever else")
    order = np.argsort(ends.spectra.argmax(axis=1))
    assert ends.spectra[order].sum(axis=1) == pytest.approx(shapes.sum(axis=1), rel=0.1)


def test_an_asked_number_of_phases_is_kept():
    ends = find_ends(peaks_map(stripes())[0], 2)
    assert len(ends.spectra) == 2
    assert "the next would differ by" in ends.reason(2, 2)


def test_one_phase_is_one_phase():
    areas = np.zeros((20, 20, 3))
    areas[..., 1] = 1
    assert len(find_ends(peaks_map(areas)[0]).spectra) == 1


@pytest.mark.parametrize("counts", [10.0, 100.0])
def test_noise_of_a_dim_map_is_no_phase(counts):
    areas = np.zeros((60, 80, 3))
    areas[..., 0] = 1
    assert len(find_ends(peaks_map(areas, brightness=(counts, 1.0, 1.0))[0]).spectra) == 1


def test_dim_phases_are_told_apart_all_the_same():
    areas = np.repeat(np.repeat(stripes(mixed=False), 3, axis=0), 3, axis=1)
    assert len(find_ends(peaks_map(areas, brightness=(20.0, 20.0, 20.0))[0]).spectra) == 3


def test_mixed_pixels_have_their_areas():
    areas = stripes()
    binned, shapes = peaks_map(areas)
    ends = shapes.reshape(3, 60, 2).sum(axis=2)
    sure = sure_pixels(binned, ends)
    assert (sure[:, 2] == 0).mean() > 0.8
    parts = unmix(binned, ends, near_ends(sure, 3))
    assert np.abs(parts.areas - areas).mean() < 0.05
    assert parts.areas[:, 7, 1].mean() == pytest.approx(0.35, abs=0.1)
    assert parts.areas[:, 7, 2].max() == 0


def test_a_pixel_that_no_mixture_explains_misfits():
    areas = stripes(mixed=False)
    binned, shapes = peaks_map(areas)
    counts = np.asarray(binned.cube.counts).copy()
    counts[5, 4] = 0
    counts[5, 4, 42:46] = 100  # a peak that no phase has
    strange = BinnedMap(replace(binned.cube, counts=counts), binned.bins)
    ends = shapes.reshape(3, 60, 2).sum(axis=2)
    parts = unmix(strange, ends, near_ends(sure_pixels(strange, ends), 3))
    found = misfitting(parts.deviance, counts.sum(axis=2).astype(np.float32), 60)
    assert found[5, 4]
    assert found.sum() == 1


def test_mixture_of_itself_is_itself():
    ends = np.array([[5.0, 1.0, 1.0], [1.0, 4.0, 2.0]])
    assert mixture(np.array([2.0, 3.0]) @ ends[None], ends)[0] == pytest.approx([2, 3], rel=0.01)


def test_bins_are_merged_until_they_hold_counts():
    axis = EnergyAxis(0.0, 0.01, 40)
    starts = np.arange(0, 40, 2)
    bins = EnergyBins(axis, starts, starts + 2).without([(0.195, 0.205)])
    spectrum = np.where(np.arange(40) < 20, 100.0, 10.0)
    merged = merged_bins(bins, spectrum, 20)
    assert merged.sum(spectrum).sum() == bins.sum(spectrum).sum()
    assert (np.diff(merged.starts) > 0).all()
    assert merged.size < bins.size
    assert not ((merged.starts < 20) & (merged.stops > 20)).any()  # what was left out parts them


@pytest.fixture(scope="module")
def found():
    minerals = select_minerals(load_library(), NAMES)
    cube, drawn = mineral_cube(minerals, 2000, shape=(3, 400), compositions=1)
    pools = [np.asarray(cube.counts)[drawn == number] for number in range(3)]
    labels = np.tile(np.repeat(np.arange(3), 6), (18, 1))
    counts = np.zeros((18, 18, cube.shape[2]), np.uint16)
    for number, pool in enumerate(pools):
        counts[labels == number] = pool[:108]
    known = known_map(replace(cube, counts=counts))
    library = select_minerals(load_library(), [*NAMES, "fluorite", "galena", "magnetite"])
    return find_phases(known, library=library), labels, known


def test_phases_are_the_minerals_and_told_what_they_are(found):
    phases, labels, _ = found
    assert [phase.name for phase in phases.phases] == ["phase 1", "phase 2", "phase 3"]
    mapped = phases.label_map.labels
    for phase in phases.phases:
        own = mapped == phase.label
        (number,) = np.unique(labels[own])
        assert phase.nearest[0].name == NAMES[number]
        assert repr(phase.nearest[0]).startswith(f"<Nearest: {NAMES[number]}, off by ")
        assert phase.nearest[0].misfit < 0.2 < phase.nearest[1].misfit + 0.2
        assert {0: "Si", 1: "Ca", 2: "Fe"}[number] in phase.elements
    abundances = phases.classification.abundances
    assert abundances.values.shape == (18, 18, 4)
    assert abundances.values.sum(axis=2) == pytest.approx(1, abs=1e-5)
    assert abundances["phase 1"][mapped == 2].mean() > 0.9
    iron = next(phase for phase in phases.phases if phase.nearest[0].name == "pyrite")
    assert 0.3 < iron.quantities["Fe"].weight_fraction < 0.6


def test_files_of_phases(found, tmp_path):
    phases, _, known = found
    write_phase_table(tmp_path / "phases.csv", phases)
    write_phase_spectra(tmp_path / "spectra.csv", phases)
    rows = list(csv.DictReader((tmp_path / "phases.csv").open(encoding="utf-8")))
    assert [row["name"] for row in rows] == [row["name"] for row in phase_rows(phases)]
    assert float(rows[0]["misfit_percent"]) < 20
    spectra = np.loadtxt(tmp_path / "spectra.csv", delimiter=",", skiprows=1)
    assert spectra.shape == (known.cube.shape[2], 4)
    assert spectra[:, 1] == pytest.approx(phases.phases[0].spectrum, rel=1e-4)
    write_report(tmp_path / "report.html", known.cube, phases.classification)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "phase 2" in text
    assert "without a library" in text
    nx.write(tmp_path / "labels.tif", phases)
    assert (nx.read(tmp_path / "labels.tif").labels == phases.label_map.labels).all()


@pytest.mark.parametrize("count", [0, 61])
def test_a_number_that_cannot_be_is_refused(count, found):
    with pytest.raises(InvalidInput, match="1 to 60"):
        find_phases(found[2], count)


def test_a_map_without_counts_is_refused(found):
    cube = found[2].cube
    with pytest.raises(InvalidInput, match="no counts"):
        find_phases(replace(cube, counts=np.zeros((2, 2, cube.shape[2]), np.uint16)))


def test_one_pixel_is_one_phase(found):
    cube = found[2].cube
    one = known_map(replace(cube, counts=np.asarray(cube.counts)[:1, :1]))
    phases = find_phases(one, library=select_minerals(load_library(), NAMES))
    assert phases.label_map.labels.tolist() == [[2]]


def test_the_verb_refuses_a_wrong_count(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(capsys, "phases", tmp_path / "none.h5", "--count", "few", "-o", tmp_path)
    assert "auto, or 1 to 60" in capsys.readouterr().err
