from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.io import write_cube
from napari_xrf.io.own.label_files import write_labels
from napari_xrf.learning.sources.region_pixels import gather_pixels, read_pixels, write_pixels
from napari_xrf.learning.sources.region_split import LEFT_OUT, split_regions
from napari_xrf.learning.sources.regions import RegionOptions, RegionSource, draw_outliers, outlier_shapes
from napari_xrf.learning.sources.shares import SharedSource
from napari_xrf.learning.sources.source import SourceSpec, make_source
from two_phase_maps import AXIS, two_phase_cube, two_phase_labels

NAMES = ("iron", "calcium")
STILL = {"offset_ev": 0.0, "gain": 0.0}


def halves(shape=(24, 30)):
    labels = np.full(shape, 2)
    labels[:, : shape[1] // 2] = 1
    return labels


def pixels_of(cube, labels=None, names=NAMES, **options):
    return gather_pixels(cube, halves(cube.map_shape) if labels is None else labels, names, **options)


@pytest.fixture(scope="module")
def cube():
    return two_phase_cube()[0]


@pytest.fixture(scope="module")
def pixels(cube):
    return pixels_of(cube)


# The split ------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 16),
    st.sampled_from([(0.15, 0.15), (0.1, 0.4), (0.3, 0.1)]),
    st.integers(1, 4),
)
def test_each_class_is_in_each_part_and_nothing_twice(seed, block, shares, kinds):
    labels = np.random.default_rng(seed).integers(0, kinds + 1, size=(40, 50))
    names = tuple(f"class {number}" for number in range(kinds))
    split = split_regions(
        labels, names, validation_share=shares[0], test_share=shares[1], block=block, seed=seed
    )
    assert (split.parts[labels == 0] == LEFT_OUT).all()
    for number in range(1, kinds + 1):
        counts = np.bincount(split.parts[labels == number], minlength=4)
        assert (counts[:3] > 0).all()
        held = counts[1:3].sum() / counts.sum()
        # Blocks are dealt whole: the last one may overshoot.
        assert held == pytest.approx(sum(shares), abs=0.15)


def test_the_split_is_fixed_by_the_seed():
    options = {"validation_share": 0.15, "test_share": 0.15, "block": 6}
    first, same, other = (split_regions(halves(), NAMES, seed=seed, **options).parts for seed in (1, 1, 2))
    assert (first == same).all()
    assert (first != other).any()


def test_no_training_pixel_touches_a_held_out_one_of_its_class():
    labels = halves((64, 64))
    split = split_regions(labels, NAMES, validation_share=0.15, test_share=0.15, block=8, seed=0)
    assert not split.notes
    for number in (1, 2):
        held = np.isin(split.parts, (1, 2)) & (labels == number)
        beside = ndimage.binary_dilation(held, np.ones((3, 3)))
        assert not (beside & (split.parts == 0) & (labels == number)).any()


def test_a_class_in_few_places_gets_smaller_blocks_and_a_note():
    labels = np.zeros((30, 30), dtype=int)
    labels[:4, :4] = 1
    labels[10:] = 2
    split = split_regions(labels, ("spot", "rest"), validation_share=0.2, test_share=0.2, block=8, seed=0)
    assert set(np.unique(split.parts[labels == 1])) == {0, 1, 2}
    (note,) = split.notes
    assert note.startswith("spot")


def test_every_pixel_is_the_test_of_one_fold():
    labels = np.random.default_rng(4).integers(0, 3, size=(40, 50))
    options = {"validation_share": 0.15, "test_share": 0.15, "block": 4, "seed": 1, "folds": 4}
    parts = np.stack([split_regions(labels, NAMES, fold=fold, **options).parts for fold in range(4)])
    assert ((parts == 2).sum(axis=0) == (labels > 0)).all()
    assert ((parts == 1) == np.roll(parts == 2, -1, axis=0)).all()  # chosen by the part that is judged next
    for number in (1, 2):
        sizes = (parts[:, labels == number] == 2).sum(axis=1)
        assert sizes.min() > 0.8 * sizes.max()


# Gathering ------------------------------------------------------------------------------------------------


def test_pixels_carry_their_own_spectra(cube, pixels):
    assert pixels.names == NAMES
    iron, calcium = (pixels.counts[pixels.label == number].sum(axis=0) for number in (0, 1))
    assert AXIS.energies[iron.argmax()] == pytest.approx(6.4, abs=0.1)
    assert AXIS.energies[calcium.argmax()] == pytest.approx(3.7, abs=0.1)
    table = {row["name"]: row for row in pixels.table()}
    assert table["iron"]["training"] > table["iron"]["test"] > 0
    assert [each.label for each in pixels.classes] == [2, 3]


def test_a_label_map_brings_its_names_and_its_unknown_pixels(cube):
    labels = two_phase_labels().labels.copy()
    labels[12:, :5] = 1
    found = gather_pixels(cube, LabelMap(labels, two_phase_labels().classes))
    assert found.names == ("hematite / magnetite", "calcite")
    assert found.classes[0].formula == "Fe2O3"
    assert (found.label == 2).any()
    assert found.table()[-1]["name"] == "unknown"


def test_more_pixels_than_wanted_are_thinned_in_all_parts(cube):
    found = pixels_of(cube, most_pixels=60)
    for number in (0, 1):
        counts = np.bincount(found.part[found.label == number], minlength=3)
        assert counts.sum() == pytest.approx(60, abs=2)
        assert (counts > 0).all()
    assert any("60 of the" in note for note in found.notes)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (np.zeros((24, 30), int), NAMES, "no pixel is labelled"),
        (np.ones((3, 3), int), ("iron",), r"3 × 3 pixels do not fit the map of 24 × 30"),
        (np.eye(24, 30, dtype=int) * (np.arange(24) < 9)[:, None], ("iron",), "'iron' has 9 labelled pixels"),
        (halves(), ("iron",), "label 2 has no name"),
        (halves(), ("iron", "iron"), "iron stands twice"),
        (halves() - 5, NAMES, "must not be negative"),
        (halves().astype(float), NAMES, "whole numbers"),
        (np.ones((24, 30), int), ("unknown",), "only unknown is labelled"),
    ],
)
def test_what_cannot_be_learned_from_is_named(cube, labels, names, message):
    with pytest.raises(InvalidInput, match=message):
        gather_pixels(cube, labels, names)


def test_names_beside_a_label_map_are_refused(cube):
    with pytest.raises(InvalidInput, match="names its classes itself"):
        gather_pixels(cube, two_phase_labels(), NAMES)


def test_regions_without_counts_are_refused(cube):
    counts = np.asarray(cube.counts).copy()
    counts[:, :15] = 0
    with pytest.raises(InvalidInput, match="'iron' hold no counts"):
        RegionSource(pixels_of(replace(cube, counts=counts)), AXIS)


def test_a_file_of_pixels_gives_the_same_ones(pixels, tmp_path):
    write_pixels(tmp_path / "regions.h5", pixels)
    again = read_pixels(tmp_path / "regions.h5")
    assert (again.counts == pixels.counts).all()
    assert (again.label == pixels.label).all()
    assert (again.part == pixels.part).all()
    assert again.classes == pixels.classes
    assert again.axis == pixels.axis


def test_another_file_is_no_file_of_pixels(cube, tmp_path):
    write_cube(tmp_path / "map.h5", cube, truth={"parameters": {}})
    with pytest.raises(FileError, match="no labelled pixels"):
        read_pixels(tmp_path / "map.h5")


# Drawing --------------------------------------------------------------------------------------------------


def test_draws_are_of_the_class_and_of_the_dose(pixels):
    source = RegionSource(pixels, AXIS, RegionOptions(counts=(50, 2000), unknown_share=0.0, **STILL))
    batch = source.draw(300, np.random.default_rng(1))
    again = source.draw(300, np.random.default_rng(1))
    assert (batch.counts == again.counts).all()
    total = batch.counts.sum(axis=1)
    # A thinned spectrum scatters about its dose, a sum of whole pixels may end a little below.
    assert total.min() < 80
    assert 1500 < total.max() < 2300
    iron = batch.counts[:, AXIS.window(6.2, 6.6)].sum(axis=1)
    calcium = batch.counts[:, AXIS.window(3.5, 3.9)].sum(axis=1)
    assert ((iron > calcium) == (batch.targets["label"] == 0)).all()


def test_thinned_counts_keep_poisson_noise():
    # A pixel of Poisson counts thinned to a part of its dose scatters as a Poisson count does.
    cube, _ = two_phase_cube((60, 60), counts=4000)
    source = RegionSource(
        pixels_of(cube), AXIS, RegionOptions(counts=(500, 500), largest_sum=1, unknown_share=0, **STILL)
    )
    batch = source.draw(1500, np.random.default_rng(2))
    iron = batch.counts[batch.targets["label"] == 0]
    mean, variance = iron.mean(axis=0), iron.var(axis=0)
    filled = mean > 2
    assert (variance[filled] / mean[filled]).mean() == pytest.approx(1, abs=0.15)


def test_calibration_moves_within_its_limits(pixels):
    source = RegionSource(
        pixels, AXIS, RegionOptions(counts=(2000, 2000), offset_ev=200, gain=0, unknown_share=0)
    )
    batch = source.draw(320, np.random.default_rng(3))
    iron = batch.counts[batch.targets["label"] == 0][:, AXIS.window(5.8, 7.0)]
    centres = iron @ AXIS.energies[AXIS.window(5.8, 7.0)] / iron.sum(axis=1)
    assert centres.min() > 6.404 - 0.23
    assert centres.max() < 6.404 + 0.23
    assert np.ptp(centres) > 0.2


def test_counts_are_rebinned_to_the_network_s_axis(pixels):
    coarse = EnergyAxis(0.0, 0.1, 100)
    batch = RegionSource(pixels, coarse, RegionOptions(unknown_share=0, **STILL)).draw(
        50, np.random.default_rng(4)
    )
    iron = batch.counts[batch.targets["label"] == 0].sum(axis=0)
    assert batch.counts.shape == (50, 100)
    assert coarse.energies[iron.argmax()] == pytest.approx(6.4, abs=0.1)


def test_held_out_pixels_are_drawn_only_for_judging(pixels):
    marked = pixels.counts.copy()
    marked[pixels.part != 0, -1] = 7  # a count that no peak of the map has
    source = RegionSource(
        replace(pixels, counts=marked), AXIS, RegionOptions(counts=(1e4, 1e4), unknown_share=0, **STILL)
    )
    generator = np.random.default_rng(5)
    assert source.draw(100, generator).counts[:, -1].max() < 7
    assert source.validation.draw(100, generator).counts[:, -1].min() >= 7
    assert source.test.draw(100, generator).counts[:, -1].min() >= 7


def test_unknown_spectra_are_background_where_it_is_labelled(cube):
    labels = halves()
    labels[:, 25:] = 3
    source = RegionSource(
        pixels_of(cube, labels, ("iron", "calcium", "unknown")), AXIS, RegionOptions(unknown_share=0.3)
    )
    batch = source.draw(400, np.random.default_rng(6))
    unknown = batch.counts[batch.targets["label"] == 2].sum(axis=0)
    assert (batch.targets["label"] == 2).mean() == pytest.approx(0.3, abs=0.08)
    assert AXIS.energies[unknown.argmax()] == pytest.approx(3.7, abs=0.1)


def test_unknown_spectra_are_outliers_where_no_background_is_labelled(pixels):
    source = RegionSource(pixels, AXIS, RegionOptions(counts=(3000, 3000), unknown_share=0.5))
    batch = source.draw(200, np.random.default_rng(7))
    known = np.array([pixels.counts[pixels.label == number].sum(axis=0) for number in (0, 1)], dtype=float)
    roots = np.sqrt(known / known.sum(axis=1, keepdims=True))
    shares = batch.counts / batch.counts.sum(axis=1, keepdims=True)
    alike = (np.sqrt(shares) @ roots.T).max(axis=1)
    label = batch.targets["label"]
    assert np.median(alike[label == 2]) < np.median(alike[label < 2]) - 0.2
    none = RegionSource(pixels, AXIS, RegionOptions(unknown_share=0.5, outliers=False))
    assert none.draw(100, np.random.default_rng(7)).targets["label"].max() < 2


def test_outliers_sum_to_one_and_resemble_no_class(pixels):
    sums = np.array([pixels.counts[pixels.label == number].sum(axis=0) for number in (0, 1)], dtype=float)
    spectra, likeness = draw_outliers(outlier_shapes(sums, AXIS), 50, np.random.default_rng(8))
    assert spectra.sum(axis=1) == pytest.approx(np.ones(50))
    assert (spectra >= 0).all()
    assert (likeness < 0.96).mean() > 0.95


# As a source by name, and mixed ---------------------------------------------------------------------------


def test_a_source_is_made_again_from_its_specification(pixels, cube, tmp_path):
    write_pixels(tmp_path / "regions.h5", pixels)
    source = make_source(SourceSpec("regions", {"file": str(tmp_path / "regions.h5"), "counts": [100, 1000]}))
    assert source.task == "minerals"
    assert source.counts_range == (100, 1000)
    assert source.axis == AXIS
    write_cube(tmp_path / "map.h5", cube)
    classes = tuple(LabelClass(number, name) for number, name in enumerate(NAMES, start=1))
    write_labels(tmp_path / "labels.tif", LabelMap(halves().astype(np.uint8), classes))
    files = {"cube": str(tmp_path / "map.h5"), "labels": str(tmp_path / "labels.tif")}
    other = make_source(SourceSpec("regions", {**files, "counts": [100, 1000]}))
    first, second = (each.draw(20, np.random.default_rng(9)) for each in (source, other))
    assert (first.counts == second.counts).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "a file of labelled pixels, or a map and its labels"),
        ({"cube": "map.h5"}, "a file of labelled pixels, or a map and its labels"),
        ({"file": "x.h5", "part": "all"}, "no part 'all'"),
        ({"file": "x.h5", "unknown_share": 2}, "unknown share"),
        ({"file": "x.h5", "colour": 2}, "colour"),
    ],
)
def test_wrong_specifications_are_named(options, message):
    with pytest.raises(InvalidInput, match=message):
        make_source(SourceSpec("regions", options))


def test_names_are_matched_by_name_when_sources_are_mixed(cube, pixels):
    labels = halves()
    other = pixels_of(cube, np.where(labels == 1, 2, 1), ("calcium", "hematite"))
    first = RegionSource(pixels, AXIS, RegionOptions(unknown_share=0, **STILL))
    second = RegionSource(other, AXIS, RegionOptions(unknown_share=0.2, **STILL))
    mixed = SharedSource(first, second, 0.3)
    assert mixed.names == ("iron", "calcium", "hematite")
    assert [each.label for each in mixed.classes] == [2, 3, 4]
    batch = mixed.draw(600, np.random.default_rng(10))
    label = batch.targets["label"]
    assert (label == 0).mean() == pytest.approx(0.15, abs=0.05)
    assert (label == 3).mean() == pytest.approx(0.14, abs=0.05)
    calcium = batch.counts[label == 1].sum(axis=0)
    assert AXIS.energies[calcium.argmax()] == pytest.approx(3.7, abs=0.1)
    for number in (0, 2):
        assert AXIS.energies[batch.counts[label == number].sum(axis=0).argmax()] == pytest.approx(
            6.4, abs=0.1
        )


def test_sources_that_do_not_fit_are_not_mixed(pixels):
    first = RegionSource(pixels, AXIS)
    with pytest.raises(InvalidInput, match="different energy axes"):
        SharedSource(first, RegionSource(pixels, EnergyAxis(0, 0.1, 100)))
    with pytest.raises(InvalidInput, match="do not mix"):
        SharedSource(first, replace(first, task="elements"))
    with pytest.raises(InvalidInput, match="share"):
        SharedSource(first, first, 1.5)


def test_a_mixture_is_made_from_its_specification(pixels, tmp_path):
    write_pixels(tmp_path / "regions.h5", pixels)
    regions = SourceSpec("regions", {"file": str(tmp_path / "regions.h5")})
    entry = {"kind": "regions", "options": dict(regions.options)}
    other = {"kind": "regions", "options": {**regions.options, "axis": [0.0, 0.1, 100]}}
    mixed = make_source(SourceSpec("shares", {"first": entry, "second": other, "share": 0.5}))
    assert mixed.axis == EnergyAxis(0.0, 0.1, 100)
    assert mixed.validation.first.part == "validation"
    with pytest.raises(InvalidInput, match="kind"):
        make_source(SourceSpec("shares", {"first": {}, "second": other}))
