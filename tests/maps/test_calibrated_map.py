"""One calibration and one identification for all that follows, and both travel to worker processes."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from mineral_cubes import mineral_cube
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.maps import calibrated_map
from napari_xrf.maps.calibrated_map import calibrate_map, cube_of, find_elements, unseen_families
from napari_xrf.maps.pixels.element_mapping import map_elements
from napari_xrf.minerals.classification import classify_minerals
from napari_xrf.reference.minerals import load_library, select_minerals


@pytest.fixture(scope="module")
def cube():
    minerals = select_minerals(load_library(), ("quartz", "calcite", "pyrite"))
    return mineral_cube(minerals, 2000, shape=(8, 8))[0]


@pytest.fixture
def counted(monkeypatch):
    """How often each of the two slow steps was taken."""
    calls = {"calibrate": 0, "identify": 0}

    def count(name):
        real = getattr(calibrated_map, name)

        def counting(*arguments, **options):
            calls[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(calibrated_map, name, counting)

    for name in calls:
        count(name)
    return calls


def test_one_pass_from_elements_to_minerals_calibrates_and_identifies_once(cube, counted):
    measured = calibrate_map(cube)
    elements = find_elements(measured)
    maps = map_elements(measured)
    found = classify_minerals(measured)
    assert {family.split()[0] for family in maps.families} == {one.element for one in elements}
    assert {"Si", "Ca", "Fe"} <= {one.element for one in elements}
    assert "calcite" in found.minerals
    assert measured.elements is elements
    assert counted == {"calibrate": 1, "identify": 1}


def test_a_map_and_a_calibrated_map_give_the_same(cube):
    measured = calibrate_map(cube)
    assert calibrate_map(measured) is measured
    assert cube_of(measured) is cube is cube_of(cube)
    assert find_elements(cube) == find_elements(measured)
    wanted = ["Ca", "Fe"]
    assert np.array_equal(map_elements(cube, wanted).counts, map_elements(measured, wanted).counts)


def test_it_travels_to_other_processes_with_what_was_found(cube, counted):
    measured = calibrate_map(cube)
    found = find_elements(measured)
    there = pickle.loads(pickle.dumps(measured))
    assert find_elements(there) == found
    assert there.setting == measured.setting
    assert there.instrument == measured.instrument
    assert counted == {"calibrate": 1, "identify": 1}
    assert np.array_equal(map_elements(there, ["Ca"]).counts, map_elements(measured, ["Ca"]).counts)


def test_what_a_calibration_judged_is_not_judged_again(cube, monkeypatch):
    counts, at = cube.sum_spectrum().astype(np.float64), cube.energy.energies
    steps = 0.2 * counts.max() * ((at > 8) & (at < 16)) * (1.3 * at % 1)  # that nothing explains
    odd = replace(cube, counts=np.round(counts + steps)[None, None])
    known = calibrate_map(odd)
    anew = calibrate_map(odd, calibration=known.calibration)
    assert find_elements(anew)  # of what others calibrated, nothing is known
    monkeypatch.setattr(calibrated_map, "explain", None)
    assert find_elements(known) == find_elements(anew)


def test_a_sum_is_explained_once_for_all_that_ask(cube, monkeypatch):
    explained, explain = [], calibrated_map.explain
    monkeypatch.setattr(
        calibrated_map, "explain", lambda *a, **k: explained.append(explain(*a, **k)) or explained[-1]
    )
    known = calibrate_map(cube)
    assert unseen_families(known, ("Ca K", "Au L")) == ("Au L",)
    assert "Ca" in {one.element for one in known.evidence}
    assert unseen_families(known, ("Ca K", "Au L")) == ("Au L",), known.elements
    assert len(explained) == 1
    brighter = replace(known, sum_spectrum=2 * known.sum_spectrum)  # nothing of it is known yet
    assert brighter.evidence != known.evidence
    assert len(explained) == 2


def test_it_knows_what_measured_it(cube):
    measured = calibrate_map(cube)
    assert measured.energy != cube.energy
    assert measured.instrument.energy == measured.energy == measured.on_refined_axis.energy
    assert measured.setting.anode == "Rh"
    assert measured.max_spectrum.max() == cube.counts.max()
    assert "peaks" in measured.message


def test_an_empty_map_is_calibrated_to_nothing(cube):
    empty = calibrate_map(replace(cube, counts=np.zeros_like(cube.counts)))
    assert empty.elements == ()
    assert empty.energy == cube.energy
    with pytest.raises(InvalidInput, match="no counts"):
        empty.checked()


def test_an_assumed_axis_that_fits_loosely_is_doubted():
    counts = np.zeros(1024)
    for energy, height in ((3.69, 4000), (4.01, 600), (6.40, 9000), (7.06, 1500)):  # Ca and Fe
        counts += height * np.exp(-0.5 * ((np.arange(1024) * 0.02 - energy) / 0.06) ** 2)
    drawn = np.random.default_rng(1).poisson(counts + 5)[None, None].astype(np.uint32)
    assumed = Provenance(warnings=("No energy calibration in the file: 0.02 keV per channel is assumed.",))
    for provenance, doubted in ((assumed, True), (Provenance(), False)):
        known = calibrate_map(SpectralCube(drawn, EnergyAxis(0.0, 0.02, 1024), provenance=provenance))
        loose = replace(known, calibration=replace(known.calibration, quality=16.0))
        assert ("may be wrong" in loose.doubt) == doubted
        found = {one.element: one.probability for one in find_elements(loose)}
        assert {"Ca", "Fe"} <= found.keys()
        assert (max(found.values()) <= 0.5) == doubted


@pytest.mark.parametrize("channels", [1, 2, 5, 25])
def test_too_few_channels_for_a_spectrum_are_told(channels):
    few = SpectralCube(np.full((2, 3, channels), 30, np.uint16), EnergyAxis(0.0, 0.01, channels), "few")
    with pytest.raises(InvalidInput, match="too few for a spectrum"):
        calibrate_map(few)


@pytest.mark.parametrize("kind", [None, "tube", "electron", "monochromatic"])
def test_a_range_without_lines_shows_nothing(kind):
    soft = np.random.default_rng(0).poisson(3.0, (2, 3, 70)).astype(np.uint16)
    map_below = SpectralCube(soft, EnergyAxis(0.0, 0.01, 70), "soft", excitation=Excitation(kind=kind))
    assert find_elements(map_below) == ()
