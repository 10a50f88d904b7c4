"""Peaks that single grains reflect, told from lines of elements."""

from dataclasses import replace

import numpy as np
import pytest

import napari_xrf as nx
from measured import measured_file
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.maps import crystal_reflections
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.crystal_reflections import calibrated_without, find_reflections, without_reflections
from napari_xrf.maps.spectra.candidates import columns_of
from napari_xrf.minerals.search import search_minerals
from napari_xrf.reference.minerals import load_library, select_minerals
from reflecting_maps import GRAIN, NICKEL, sand


@pytest.fixture(scope="module")
def cube():
    return sand(1)


def test_a_grain_that_reflects_is_found_and_one_of_an_element_is_none(cube):
    found = find_reflections(cube)
    (peak,) = found.peaks
    assert peak.energy_kev == pytest.approx(5.2, abs=0.02)
    assert peak.is_sure
    assert peak.net_counts == pytest.approx(25 * 80, abs=4 * peak.standard_error)
    inside = np.zeros(cube.map_shape, bool)
    inside[GRAIN] = True
    assert (found.grains > 0)[inside].mean() > 0.9
    assert (found.grains > 0)[~inside].mean() < 0.05
    assert found.counts[inside].sum() == pytest.approx(peak.net_counts, rel=0.1)
    assert [entry.name for entry in found.label_map.classes] == [f"1: {peak.energy_kev:.2f} keV"]


def test_two_lines_that_run_together_are_no_reflection():
    # Th Mα and Mβ: the peak between them is neither's, and the L lines of another family cannot tell it.
    cube = sand(1, reflects=False)
    setting = calibrate_map(cube).setting
    lines = columns_of(("Th L", "Th M"), setting)
    thorium = 60 * np.sum([column / column.sum() for column in lines], axis=0)
    counts = np.array(cube.counts[:, :, :])
    drawn = np.random.default_rng(5).poisson(thorium, counts[GRAIN].shape)
    counts[GRAIN] += drawn.astype(counts.dtype)
    (peak,) = find_reflections(replace(cube, counts=counts)).peaks
    assert peak.may_be == ("Th",)
    assert not peak.is_sure


def test_a_map_whose_sums_do_not_fit_into_memory_shows_the_same(cube, monkeypatch):
    found = find_reflections(cube)
    monkeypatch.setattr(crystal_reflections, "_KEPT_BYTES", 1000)
    again = find_reflections(cube)
    assert again.peaks == found.peaks
    assert np.array_equal(again.grains, found.grains)


def test_a_second_detector_tells_lines_from_reflections(cube):
    (peak,) = find_reflections(cube, beside=sand(2, reflects=False)).peaks
    assert abs(peak.other_detector) < 0.3
    # What both see is a line, whatever it is.
    assert not find_reflections(cube, beside=sand(3)).peaks
    with pytest.raises(InvalidInput, match="two detectors"):
        nx.find_reflections(cube, beside=cube.band(slice(0, 10)))


def test_without_reflections_the_rest_of_the_map_stays(cube):
    made = nx.prepare(cube, "without-reflections")
    told = made.provenance.warnings[-1]
    assert told.startswith("Taken out of 2")
    assert told.endswith("pixels: 1 reflection of single grains (5.20 keV), which no element explains.")
    near = cube.energy.window(5.0, 5.4)
    outside = np.ones(cube.shape[2], bool)
    outside[near] = False
    assert np.array_equal(made.counts[:, :, outside], cube.counts[:, :, outside])
    assert np.array_equal(made.counts[NICKEL], cube.counts[NICKEL])
    before, after = (each.counts[GRAIN][..., near].sum() for each in (cube, made))
    elsewhere = cube.counts[:, 15:, near].sum() / 100 * 25
    assert before > 6 * elsewhere
    assert 0.7 * elsewhere < after < 1.8 * elsewhere
    assert made.counts.dtype == cube.counts.dtype
    assert not find_reflections(made).peaks


def test_minerals_and_phases_are_of_a_map_without_its_sure_reflections(cube):
    known = calibrate_map(cube)
    clean, found = calibrated_without(known)
    assert calibrated_without(known)[0] is clean
    assert clean.sum_spectrum.sum() == pytest.approx(known.sum_spectrum.sum() - found.counts.sum(), rel=1e-4)
    near = cube.energy.window(5.1, 5.3)
    chosen = select_minerals(load_library(), ("quartz", "albite", "calcite"))
    for keep in (False, True):
        search = search_minerals(known, chosen, keep_reflections=keep)
        assert (search.measured is known) is keep
        assert (search.reflections is None) is keep
        own = search.measured.cube.counts[GRAIN][..., near].sum() / known.cube.counts[GRAIN][..., near].sum()
        assert (own < 0.3) is not keep
        assert any("5.20 keV" in note for note in search.notes) is not keep
    # What a plan has locked stays as it was.
    locked = calibrated_without(known.having(()))[0]
    assert locked.calibration is known.calibration
    assert locked.elements == ()


def test_a_map_without_peaks_is_read_as_an_array_is(cube):
    lazily = without_reflections(cube).counts
    every = np.asarray(lazily[:])
    rows = (np.array([3, 5, 19]), slice(None), slice(400, 800))
    for key in (4, -1, np.s_[2:9:3], np.s_[..., 5], np.s_[7:2:-2, 4:9], np.s_[6, 5, 3], rows, np.s_[0:0]):
        assert np.array_equal(lazily[key], every[key])


def test_what_a_line_leaves_beside_it_in_its_grain_is_no_reflection(cube):
    # Ni Kα less Si Kα: strong in this grain, and not in the map.
    escape = np.exp(-0.5 * ((cube.energy.energies - (7.47 - 1.74)) / 0.06) ** 2)
    counts = np.array(cube.counts[:, :, :])
    chance = np.random.default_rng(5)
    counts[NICKEL] += chance.poisson(40 * escape / escape.sum(), counts[NICKEL].shape).astype(counts.dtype)
    made = replace(cube, counts=counts)
    assert [peak.grain for peak in find_reflections(made).peaks] == [1]
    plain = sand(1, reflects=False)
    counts = np.array(plain.counts[:, :, :])
    counts[GRAIN] += chance.poisson(40 * escape / escape.sum(), counts[GRAIN].shape).astype(counts.dtype)
    (peak,) = find_reflections(replace(plain, counts=counts)).peaks
    assert peak.energy_kev == pytest.approx(5.73, abs=0.03)


def test_nothing_is_reflected_where_no_tube_shines(cube):
    beam = replace(cube, excitation=Excitation("electron", 20.0))
    found = find_reflections(beam)
    assert not found.peaks
    assert "no reflections were looked for" in found.reason
    assert without_reflections(beam) is beam
    plain = sand(4, reflects=False)
    assert not find_reflections(plain).peaks


def test_grains_of_quartz_reflect_in_one_detector_of_a_measured_map():
    path = measured_file("hdf5/GeoPIXE_ts2_10x20x4096.h5")
    found = nx.find_reflections(nx.read(path, detector=1), beside=nx.read(path, detector=0))
    (peak,) = [peak for peak in found.peaks if peak.is_sure]
    assert peak.energy_kev == pytest.approx(5.55, abs=0.03)
    assert abs(peak.other_detector) < 0.3
