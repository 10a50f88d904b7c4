"""Plans and shards: parts of a map, merged, are the whole, bit for bit."""

from dataclasses import fields, replace

import numpy as np
import pytest

from mineral_cubes import known_map, mineral_cube
from napari_xrf.core.counts import RowBand
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.pixels.element_mapping import ElementPlan, plan_elements
from napari_xrf.maps.quantification.per_pixel import plan_quantities
from napari_xrf.minerals.classification import ClassificationOptions, MineralPlan, joined_rows, plan_minerals
from napari_xrf.minerals.likelihood import binned_map
from napari_xrf.minerals.mixing.mixtures import Mixing
from napari_xrf.reference.minerals import load_library, select_minerals
from napari_xrf.scale.packing import read_packed, write_packed
from napari_xrf.scale.plans import Plan, plan_of, read_plan
from napari_xrf.scale.shards import Shard, rows_of_shard, write_shard
from reflecting_maps import sand
from simulated_maps import simulate_map
from verbs import answer, run

MAPS = ("maps.ome.tif", "maps.h5", "maps.csv")
LABELS = ("labels.tif", "labels.h5", "classes.csv", "abundances.h5", "map.png")
WEIGHTS = ("quantities.csv", "weight_percent.h5", "weight_percent.ome.tif")


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def cube():
    return simulate_map((70, 8), 2000, np.random.default_rng(4)).cube


@pytest.fixture(scope="module")
def file(cube, tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "map.h5"
    write_cube(path, cube)
    return path


def same_bytes(one, other, names):
    return {name for name in names if (one / name).read_bytes() != (other / name).read_bytes()} == set()


@pytest.mark.parametrize(
    ("verb", "options", "names"),
    [
        (["maps"], ["--elements", "Fe,Ca,K", "--method", "fit"], MAPS),
        slow(["maps"], ["--elements", "Fe,Ca,K", "--method", "window"], MAPS),
        slow(["quantify"], ["--elements", "Fe,Ca,K", "--pixels"], WEIGHTS),
        slow(["minerals"], ["--minerals", "quartz,albite,biotite,calcite", "--clean", "default"], LABELS),
        (["predict", "maxrf-cnn"], [], ("predictions.h5", "maps.h5")),
        slow(["predict", "mineral-cnn"], [], ("predictions.h5", "labels.tif", "classes.csv")),
    ],
    ids=["fit", "window", "quantify", "likelihood", "elements by network", "minerals by network"],
)
def test_shards_merged_are_the_whole(capsys, monkeypatch, file, tmp_path, verb, options, names):
    monkeypatch.setattr(binned_map, "_PIXELS_AT_ONCE", 64)
    plan, whole, parts = tmp_path / "plan.npz", tmp_path / "whole", tmp_path / "parts"
    answer(capsys, *verb, file, *options, "-o", whole)
    answer(capsys, *verb, file, *options, "--make-plan", plan)
    for number in (3, 1, 2):
        answer(capsys, *verb, file, "--plan", plan, "--shard", f"{number}/3", "-o", parts)
    answer(capsys, "merge", parts)
    assert same_bytes(whole, parts, names)


def test_a_plan_locks_calibration_and_elements_over_a_series(capsys, cube, file, tmp_path):
    plan, other = tmp_path / "plan.npz", tmp_path / "other.h5"
    answer(capsys, "maps", file, "--elements", "Fe,Ca", "--make-plan", plan)
    shifted = replace(cube, counts=np.roll(np.asarray(cube.counts)[:20], 2, axis=2))
    write_cube(other, shifted)
    maps = answer(capsys, "maps", other, "--plan", plan, "-o", tmp_path / "out")
    assert list(maps["net_counts"]) == ["Fe K", "Ca K"]
    refined = answer(capsys, "maps", other, "--elements", "Fe,Ca", "-o", tmp_path / "free")
    assert maps["net_counts"]["Fe K"] < 0.99 * refined["net_counts"]["Fe K"]  # the plan's axis, not its own


def test_what_does_not_go_together_is_told(capsys, cube, file, tmp_path):
    plan, other, out = tmp_path / "plan.npz", tmp_path / "other.h5", tmp_path / "out"
    answer(capsys, "maps", file, "--elements", "Fe", "--method", "window", "--make-plan", plan)
    axis = EnergyAxis(cube.energy.offset, 1.5 * cube.energy.width, cube.energy.size)
    write_cube(other, replace(cube, energy=axis))
    for words, told in (
        (["maps", file, "--shard", "1/2", "-o", out], "needs a plan"),
        (["maps", file, "--plan", plan, "--shard", "1/2"], "no folder"),
        (["maps", file], "no folder"),
        (["maps", other, "--plan", plan, "-o", out], "the plan was made for"),
        (["maps", other, "--plan", plan, "--shard", "1/2", "-o", out], "map"),
        (["quantify", file, "--plan", plan], "is a plan of maps"),
        (["merge", tmp_path], "no shards"),
        (["maps", file, "--plan", file, "-o", out], "map.h5"),
    ):
        code, _, err = run(capsys, *words)
        assert code == 1
        assert told in err, (words, err)
    answer(capsys, "maps", file, "--plan", plan, "--shard", "2/3", "-o", out)
    code, _, err = run(capsys, "merge", out)
    assert code == 1
    assert "lacks shard 1, 3 of 3" in err


def test_shards_of_other_counts_than_the_plan_has_are_found(capsys, file, tmp_path):
    plan, out = tmp_path / "plan.npz", tmp_path / "out"
    options = ["--plan", plan, "-o", out, "--shard"]
    answer(capsys, "maps", file, "--elements", "Fe", "--method", "window", "--make-plan", plan)
    answer(capsys, "maps", file, *options, "1/2")
    write_shard(out, replace(read_packed(out / "shard-1-of-2.npz", Shard), number=2, first_row=35))
    code, _, err = run(capsys, "merge", out)
    assert code == 1
    assert "do not add up" in err


def test_plans_survive_their_files_exactly(cube, file, tmp_path):
    known = calibrate_map(cube)
    path = tmp_path / "plan.npz"
    write_packed(path, plan_of("quantify", known, file, plan_quantities(known, ("Fe", "Ca"))))
    plan = read_plan(path, "quantify")
    assert plan.calibration.detector == known.detector
    assert plan.setting == known.setting
    back = plan.learned.map(cube)
    assert np.array_equal(back.counts, plan_quantities(known, ("Fe", "Ca")).map(cube).counts, equal_nan=True)


def test_rows_of_a_map_give_the_same_bits_wherever_it_is_cut(cube):
    known = calibrate_map(cube)
    for learned in (plan_elements(known, ("Fe", "Ca")), plan_quantities(known, ("Fe", "Ca"))):
        whole = learned.map(cube)
        for rows in (slice(0, 1), slice(1, 14), slice(69, 70)):
            part = learned.map(cube.band(rows))
            assert np.array_equal(part.counts, whole.counts[:, rows], equal_nan=True)
            assert np.array_equal(part.standard_errors, whole.standard_errors[:, rows], equal_nan=True)


@pytest.mark.parametrize("grains", [True, False, "reflecting"])
def test_minerals_of_rows_are_those_of_the_whole_map(monkeypatch, tmp_path, grains):
    monkeypatch.setattr(binned_map, "_PIXELS_AT_ONCE", 64)
    minerals = select_minerals(load_library(), ("quartz", "calcite", "hematite"))
    cube, truth = mineral_cube(minerals, 400, shape=(24, 16))
    if grains == "reflecting":
        cube = sand(1)
    elif grains:
        sorted_by_mineral = cube.counts.reshape(24 * 16, -1)[np.argsort(truth, axis=None)]
        cube = replace(cube, counts=sorted_by_mineral.reshape(cube.shape))
    known = known_map(cube)
    learned, binned = plan_minerals(known, minerals, ClassificationOptions(library=minerals))
    if grains == "reflecting":
        assert learned.outline.reflections.peaks
    else:
        assert isinstance(learned.found.pixels, Mixing) is grains
    write_packed(tmp_path / "plan.npz", learned)
    read = read_packed(tmp_path / "plan.npz", MineralPlan)
    bands = (slice(0, 4), slice(4, 12), slice(12, cube.shape[0]))
    parts = [read.map(read.rows_of(cube, rows), rows) for rows in bands]
    whole, merged = learned.map(binned), joined_rows(parts)
    for name in (each.name for each in fields(whole)):
        assert np.array_equal(getattr(merged, name), getattr(whole, name), equal_nan=True), name
    assert (
        read.outline.conclude(merged).label_map.classes == learned.outline.conclude(whole).label_map.classes
    )


def test_shards_cover_all_rows_once():
    for rows, of, multiple in ((7, 3, 1), (70, 3, 64), (2, 5, 1), (100, 4, 7)):
        parts = [rows_of_shard(number, of, rows, multiple) for number in range(1, of + 1)]
        assert [row for part in parts for row in range(rows)[part]] == list(range(rows))
        assert all(part.start % multiple == 0 or part.start == rows for part in parts)


def test_a_packed_file_makes_values_of_ours_only(tmp_path):
    path = tmp_path / "x.npz"
    write_packed(path, ElementPlan(("Fe K",)))
    assert read_packed(path, ElementPlan).families == ("Fe K",)
    with pytest.raises(FileError, match="holds no plan"):
        read_packed(path, Plan)
    np.savez(path, json=np.array('{"class": "subprocess:Popen", "fields": {"args": "true"}}'))
    with pytest.raises(FileError, match="is damaged"):
        read_packed(path, Plan)
    np.savez(path, json=np.array([object()], dtype=object))
    with pytest.raises(FileError, match="is damaged"):
        read_packed(path, Plan)


def test_a_band_of_rows_reads_as_an_array_does():
    counts = np.arange(5 * 3 * 4).reshape(5, 3, 4)
    band = RowBand(counts, slice(1, 4))
    for key in (0, -1, slice(None), slice(1, 3), (slice(0, 2), 1), (Ellipsis, slice(1, 3)), (2, 1, 0)):
        assert np.array_equal(band[key], counts[1:4][key])
    with pytest.raises(IndexError):
        band[3]
