from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mineral_cubes import known_calibration, known_map, mineral_cube
from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.core.label_map import UNKNOWN_LABEL, members_of
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.minerals.classification import ClassificationOptions, classify_minerals
from napari_xrf.minerals.labels.modal_table import modal_table
from napari_xrf.minerals.search import plausible_minerals, search_minerals, visible_elements
from napari_xrf.physics.forward import expect_samples
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import load_library, select_minerals

ROCK = (
    "quartz", "opal", "plagioclase", "K-feldspar", "biotite", "calcite", "hematite", "magnetite", "pyrite",
    "marcasite",
)  # fmt: skip


def rock(*names):
    return select_minerals(load_library(), names or ROCK)


def right(classification, minerals, truth):
    """(Y, X) whether the class of each pixel names its true mineral."""
    names = {entry.label: set(entry.name.split(" / ")) for entry in classification.label_map.classes}
    labels = classification.label_map.labels
    return np.array(
        [minerals[index].name in names[label] for index, label in zip(truth.flat, labels.flat, strict=True)]
    ).reshape(truth.shape)


@pytest.fixture(scope="module")
def tube_map():
    minerals = rock()
    cube, truth = mineral_cube(minerals, 1000)
    return cube, truth, minerals, classify_minerals(cube, minerals)


def test_pixels_get_their_minerals(tube_map):
    _, truth, minerals, found = tube_map
    assert right(found, minerals, truth).mean() > 0.95


def test_polymorphs_are_one_class(tube_map):
    _, _, _, found = tube_map
    groups = [set(group) for group in found.groups]
    assert {"pyrite", "marcasite"} in groups
    assert {"hematite", "magnetite"} in groups
    assert any(entry.name == "pyrite / marcasite" for entry in found.label_map.classes)
    assert not any({"calcite", "quartz"} <= group for group in groups)


def test_map_carries_what_the_cube_knows(tube_map):
    cube, _, _, found = tube_map
    label_map = found.label_map
    assert label_map.pixel_size == cube.pixel_size
    assert label_map.classes[0].name == "unknown"
    assert label_map.classes[0].label == UNKNOWN_LABEL
    assert 0 <= label_map.confidence.min() <= label_map.confidence.max() <= 1
    pixels = [row.pixels for row in modal_table(label_map)][1:]
    assert pixels == sorted(pixels, reverse=True)
    assert min(pixels) > 0


def test_mean_spectra_are_explained(tube_map):
    _, _, _, found = tube_map
    for spectrum in found.spectra:
        if spectrum.name == "unknown" or spectrum.pixels < 20:
            continue
        measured = spectrum.bins.sum(spectrum.counts)
        assert np.abs(measured - spectrum.expected).sum() < 0.25 * measured.sum()


def test_same_result_every_time(tube_map):
    cube, _, minerals, _ = tube_map
    calibrated = known_map(cube)
    found = classify_minerals(calibrated, minerals)
    again = classify_minerals(calibrated, minerals)
    assert np.array_equal(again.label_map.labels, found.label_map.labels)


def test_mineral_that_is_not_looked_for_is_unknown():
    there = rock("quartz", "plagioclase", "calcite", "sphalerite")
    cube, truth = mineral_cube(there, 3000, shape=(20, 20))
    found = classify_minerals(known_map(cube), there[:3])
    unknown = found.label_map.labels == UNKNOWN_LABEL
    assert unknown[truth == 3].mean() > 0.95
    assert unknown[truth != 3].mean() < 0.05
    assert found.misfit[truth == 3].min() > np.median(found.misfit[truth != 3])


def test_electron_map():
    minerals = rock("quartz", "plagioclase", "biotite", "ilmenite", "fluorapatite")
    cube, truth = mineral_cube(minerals, 300, instrument="sem-eds", shape=(20, 20))
    found = classify_minerals(known_map(cube, "sem-eds"), minerals)
    assert right(found, minerals, truth).mean() > 0.95


def test_many_counts_of_one_electron_spectrum_tell_its_ratios_whatever_its_soft_lines_are():
    """A measured albite was analcime: its oxygen was strong and lay low, and traces were those of resin."""
    (albite,) = rock("albite")
    cube, _ = mineral_cube((albite,), 5e5, instrument="sem-eds", shape=(1, 1), shift_kev=0, gain=1)
    energies = cube.energy.energies
    soft = 1.8 * np.interp(energies + 0.004, energies, cube.counts[0, 0])
    counts = np.where(energies < 0.8, soft, cube.counts[0, 0])[None, None].astype(np.uint32)
    calibration = known_calibration("sem-eds", 0, 1)
    measured = calibrate_map(
        replace(cube, counts=counts, elements=("Na", "Al", "Si")), calibration=calibration
    )
    found = classify_minerals(measured)
    (name,) = [name for name, share in found.label_map.shares().items() if share > 0]
    assert "albite" in members_of(name)


def test_pixels_without_counts_are_not_measured_and_of_few_counts_not_guessed():
    minerals = rock("quartz", "calcite", "plagioclase")
    cube, _ = mineral_cube(minerals, 1000, shape=(12, 12))
    counts = cube.counts.copy()
    counts[0] = 0
    counts[1] = 0
    counts[1, :, 2000] = 1
    found = classify_minerals(known_map(replace(cube, counts=counts)), minerals)
    assert np.all(found.label_map.labels[0] == 0)
    assert np.all(found.label_map.labels[1:] > 0)
    assert np.all(np.isnan(found.misfit[0]))
    sure = found.label_map.confidence[1][found.label_map.labels[1] != UNKNOWN_LABEL]
    assert not sure.size or sure.max() < 0.9


def test_one_mineral_and_one_pixel():
    minerals = rock("calcite")
    cube, _ = mineral_cube(minerals, 1000, shape=(1, 1))
    assert classify_minerals(known_map(cube), minerals).label_map.classes[-1].name == "calcite"


@pytest.mark.parametrize(
    "options",
    [
        {"unknown_level": 0}, {"unknown_level": 0.9}, {"tolerance": 0}, {"ignored": ("Xx",)},
    ],
)  # fmt: skip
def test_nonsense_is_refused(tube_map, options):
    with pytest.raises(InvalidInput):
        ClassificationOptions(**options)
    with pytest.raises(InvalidInput):
        classify_minerals(tube_map[0], [])


def test_map_without_counts_is_refused(tube_map):
    cube, *_ = tube_map
    empty = SpectralCube(np.zeros((2, 2, cube.energy.size), dtype=np.uint16), cube.energy)
    with pytest.raises(InvalidInput, match="no counts"):
        classify_minerals(empty, rock("quartz"))


def test_cancel_stops_it(tube_map):
    cube, *_ = tube_map

    def cancel(done, total, what):
        if "comparing pixels" in what:
            raise Cancelled

    with pytest.raises(Cancelled):
        classify_minerals(known_map(cube), rock("quartz", "calcite"), progress=cancel)


def test_plausible_minerals_show_only_found_elements():
    chosen = plausible_minerals(load_library(), {"Si", "Ca", "Al", "Na"}, 0.9, 40.0, 50.0)
    names = {mineral.name for mineral in chosen}
    assert {"quartz", "plagioclase", "calcite", "corundum", "spodumene", "graphite"} <= names
    assert not names & {"K-feldspar", "hematite", "pyrite", "zircon"}


def test_a_tube_hardly_sees_sodium_so_that_its_absence_excludes_nothing():
    cube, _ = mineral_cube(rock("quartz", "K-feldspar"), 300)
    searched = search_minerals(known_map(cube), None)
    assert "Na" not in searched.notes[-1]
    names = {mineral.name for mineral in searched.minerals}
    assert {"albite", "quartz"} <= names
    assert not names & {"zircon", "pyrite"}


def test_what_belongs_to_one_kind_of_sample_is_looked_for_beside_the_whole_library():
    """Alite and belite of a clinker were wollastonite at 0.99."""
    cube, _ = mineral_cube(select_minerals((), ["alite", "belite"]), 300)
    measured, shipped = known_map(cube), load_library()
    for library, held in ((None, True), (shipped, True), (rock("quartz", "calcite"), False)):
        names = {mineral.name for mineral in search_minerals(measured, None, library).minerals}
        assert {"calcite", "quartz"} <= names
        assert ({"alite", "belite", "portlandite"} <= names) == held
        assert not names & {"silicon", "titanium", "tricalcium aluminate"}


def test_one_lanthanide_stands_for_all():
    monazite = rock("monazite")
    assert plausible_minerals(monazite, {"P", "Nd"}, 0.4, 20.0, 20.0) == monazite
    assert not plausible_minerals(monazite, {"P", "Ca"}, 0.4, 20.0, 20.0)


def test_visible_elements_depend_on_excitation():
    (zircon,) = rock("zircon")
    assert visible_elements(zircon, 0.9, 40.0, 50.0) == {"Si", "Zr"}
    assert visible_elements(zircon, 3.0, 40.0, 10.0) == frozenset()


def test_a_rare_mineral_shares_its_name_with_a_common_one_of_the_same_lines():
    """Only scatter parts silicon carbide from quartz: a measured silica was silicon carbide at .98."""
    minerals = rock("silicon carbide", "pyrite")
    cube, truth = mineral_cube(minerals, 20_000, shape=(16, 16))
    order = np.argsort(truth, axis=None, kind="stable")
    grains = replace(cube, counts=cube.counts.reshape(256, -1)[order].reshape(cube.counts.shape))
    labels = classify_minerals(known_map(grains)).label_map
    names = {entry.label: entry.name for entry in labels.classes}
    assert "quartz" in members_of(names[int(np.bincount(labels.labels[:6].ravel()).argmax())])


def test_mixture_finer_than_the_pixels_is_told_with_its_smaller_parts():
    minerals = rock("calcite", "quartz", "gypsum", "K-feldspar", "pyrite")
    cube, _ = mineral_cube(minerals, 10, shape=(10, 10))
    used = replace(load_instrument("m4-tornado"), energy=known_calibration().energy)
    expected = expect_samples([mineral.compositions()[0] for mineral in minerals], used)
    mixed = np.array([0.6, 0.2, 0.2, 0, 0]) @ (expected.lines + expected.rest)
    counts = np.random.default_rng(1).poisson(np.broadcast_to(5000 * mixed / mixed.sum(), cube.shape))
    found = classify_minerals(known_map(replace(cube, counts=counts.astype(np.uint16))), minerals)
    held = {entry.name: area for entry, area in zip(
        found.abundances.classes, found.abundances.values.mean(axis=(0, 1)), strict=True)}  # fmt: skip
    assert held["unknown"] < 0.05
    assert held["calcite"] == pytest.approx(0.6, abs=0.12)
    assert sum(area for name, area in held.items() if "gypsum" in name) == pytest.approx(0.2, abs=0.1)
    rows = {row.name: row for row in modal_table(found.label_map, found.abundances)}
    assert rows["calcite"].pixels == 100
    assert any(row.pixels == 0 and row.area_percent > 5 for row in rows.values())


@pytest.mark.parametrize("grain", [2, 8])
def test_grains_as_fine_as_the_beam_are_told_and_hardly_surer_than_right(grain):
    minerals = rock("quartz", "calcite", "albite", "pyrite")
    cube, _ = mineral_cube(minerals, 10, shape=(24, 24))
    used = replace(load_instrument("m4-tornado"), energy=known_calibration().energy)
    expected = expect_samples([mineral.compositions()[0] for mineral in minerals], used)
    spectra = expected.lines + expected.rest
    generator = np.random.default_rng(1)
    truth = np.kron(generator.integers(4, size=(24 // grain, 24 // grain)), np.ones((grain, grain), int))
    seen = np.stack([gaussian_filter((truth == mineral) * 1.0, 0.8) for mineral in range(4)], axis=-1)
    counts = generator.poisson(3000 / spectra.sum(axis=1).mean() * seen @ spectra).astype(np.uint16)
    found = classify_minerals(known_map(replace(cube, counts=counts)), minerals)
    told = any("hardly wider than the beam" in note for note in found.notes)
    assert told == (grain == 2)
    names = np.array(["", *(entry.name for entry in found.label_map.classes)])
    true = np.array([mineral.name for mineral in minerals])[seen.argmax(axis=2)]
    right = np.char.find(names[found.label_map.labels].astype(str), true) >= 0
    sure = found.label_map.confidence > 0.9
    assert right.mean() > 0.93  # 0.6 where ends are the means of pixels that seem to lie inside
    assert (sure & ~right).mean() < 0.01
    assert -0.25 < found.label_map.confidence.mean() - right.mean() < 0.03
