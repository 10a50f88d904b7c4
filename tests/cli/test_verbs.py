"""The verbs, run as a user's script runs them: arguments in, exit code, files and JSON out."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile

import napari_xrf
from measured import measured_file
from napari_xrf.cli import main
from napari_xrf.cli.demonstration import agreement_with_truth
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.reference.minerals import minerals_of_set
from napari_xrf.synthesis.pegmatite import synthesize_pegmatite
from reflecting_maps import sand
from verbs import answer, run


@pytest.fixture(scope="module")
def rock():
    return synthesize_pegmatite(shape=(16, 14), counts_per_pixel=2000.0, generator=np.random.default_rng(5))


@pytest.fixture(scope="module")
def map_file(rock, tmp_path_factory):
    path = tmp_path_factory.mktemp("maps") / "rock.h5"
    write_cube(path, rock.cube, truth=rock.truth_entries())
    return path


def test_info_follows_the_contract(capsys, map_file, rock):
    data = answer(capsys, "info", map_file)
    assert data["shape"] == list(rock.cube.shape)
    assert data["total_counts"] == int(np.asarray(rock.cube.counts).sum())
    assert data["pixel_size_um"] == list(rock.cube.pixel_size)
    assert data["energy"] == {
        "offset_keV": pytest.approx(rock.cube.energy.offset),
        "width_keV": pytest.approx(rock.cube.energy.width),
    }
    assert {"name", "layout", "detectors", "warnings"} <= data.keys()


def test_info_in_words(capsys, map_file, rock):
    code, out, _ = run(capsys, "info", map_file, "--excitation", "tube:50:Rh")
    height, width = rock.cube.pixel_size
    assert code == 0
    assert f"map: 16 × 14 pixels of {height:g} × {width:g} µm\n" in out
    assert "excitation: tube, Rh, 50 keV" in out
    assert not {"_", "None", "[", "{"} & set(out)


def test_spectrum_of_a_region(capsys, map_file, rock, tmp_path):
    out = tmp_path / "region.csv"
    data = answer(capsys, "spectrum", map_file, "--roi", "2:5,3:9", "-o", out)
    expected = np.asarray(rock.cube.counts)[2:5, 3:9].sum(axis=(0, 1))
    assert data["pixels"] == 18
    assert data["counts"] == expected.sum()
    assert np.array_equal(np.asarray(napari_xrf.read(out).counts)[0, 0], expected)


def test_maps_per_second(capsys, rock, tmp_path):
    timed = replace(rock.cube, live_time=np.full(rock.cube.map_shape, 0.5))
    write_cube(tmp_path / "timed.h5", timed)
    data = answer(
        capsys, "maps", tmp_path / "timed.h5", "-o", tmp_path, "--elements", "Fe", "--method", "window",
        "--per-second",
    )  # fmt: skip
    for name in ("maps.h5", "maps.ome.tif"):
        maps = napari_xrf.read(tmp_path / name)
        assert maps.unit == "counts/s"
        assert maps["Fe"].sum() == pytest.approx(2 * data["net_counts"]["Fe K"], rel=1e-4)


def test_maps_over_the_intensity_of_a_file(capsys, rock, tmp_path):
    path = tmp_path / "beam.h5"
    write_cube(path, rock.cube)
    with h5py.File(path, "a") as file:
        file["i0"] = np.full(rock.cube.map_shape, 4.0)
    asked = ("maps", path, "-o", tmp_path, "--elements", "Fe", "--method", "window", "--intensity")
    data = answer(capsys, *asked, "/i0")
    maps = napari_xrf.read(tmp_path / "maps.h5")
    assert maps.unit == "counts/I0"
    assert 4 * maps["Fe"].sum() == pytest.approx(data["net_counts"]["Fe K"], rel=1e-4)
    assert "no-such" in run(capsys, *asked, "no-such")[2]
    assert "--per-second or --intensity" in run(capsys, *asked, "/i0", "--per-second")[2]


@pytest.mark.parametrize("suffix", [".msa", ".png"])
def test_spectrum_in_other_files(capsys, map_file, tmp_path, suffix):
    out = tmp_path / f"sum{suffix}"
    marks = ["--mark", "Fe,K"] if suffix == ".png" else []
    answer(capsys, "spectrum", map_file, "-o", out, *marks)
    assert out.stat().st_size > 1000


def test_elements_of_a_pegmatite(capsys, map_file):
    data = answer(capsys, "elements", map_file)
    found = {entry["element"]: entry for entry in data}
    assert {"Al", "Si", "K", "Fe"} <= found.keys()
    assert all(0 <= entry["probability"] <= 1 for entry in data)
    assert "Si K" in found["Si"]["lines"]


def test_maps_are_files_that_others_open(capsys, map_file, rock, tmp_path):
    chosen = ("--elements", "Si,K,Fe,Ag", "--json")
    code, out, err = run(capsys, "maps", map_file, "-o", tmp_path / "out", *chosen)
    assert code == 0, err
    mapped = json.loads(out)["net_counts"]
    assert {family.split()[0] for family in mapped} == {"Si", "K", "Fe", "Ag"}
    told = next(line for line in err.splitlines() if "noise" in line)  # there is no silver
    assert {family for family in mapped if family in told} == {"Ag K", "Ag L"} & mapped.keys()
    image = tifffile.imread(tmp_path / "out" / "maps.ome.tif")
    assert image.shape[-2:] == rock.cube.map_shape
    with h5py.File(tmp_path / "out" / "maps.h5") as file:
        assert file.attrs["NX_class"] == "NXroot"
    rows = list(csv.DictReader((tmp_path / "out" / "maps.csv").open(encoding="utf-8")))
    assert len(rows) == 16 * 14


def test_minerals_write_the_five_files(capsys, map_file, rock, tmp_path):
    folder = tmp_path / "out"
    chosen = "quartz,albite,spodumene,muscovite,schorl,calcite,cassiterite"
    data = answer(capsys, "minerals", map_file, "-o", folder, "--minerals", chosen, "--clean", "majority:3")
    names = {
        "labels.tif",
        "labels.h5",
        "classes.csv",
        "map.png",
        "grains.csv",
        "association.csv",
        "report.html",
    }
    assert {path.name for path in folder.iterdir()} >= names
    labels = tifffile.imread(folder / "labels.tif")
    assert labels.shape == rock.cube.map_shape
    assert labels.dtype.kind == "u"
    with (folder / "classes.csv").open(encoding="utf-8") as file:
        header = file.readline().strip()
    assert header.startswith(
        "label,name,formula,color,pixels,area_mm2,area_percent,weight_percent,mean_confidence"
    )
    assert sum(row["pixels"] for row in data["classes"]) == labels.size
    assert sum(row["area_percent"] for row in data["classes"]) == pytest.approx(100)


def test_simulate_lists_families_and_scales_counts(capsys, tmp_path):
    out = tmp_path / "calcite.csv"
    data = answer(capsys, "simulate", "CaCO3", "--counts", "10000", "-o", out)
    assert data["families"]["Ca K"] == 1.0
    assert data["counts"] == pytest.approx(10000)
    assert out.exists()


def test_simulate_takes_the_structure_of_the_sample(capsys, tmp_path):
    totals = {}
    for structure in ("amorphous", "polycrystal", "single-crystal"):
        out = tmp_path / f"{structure}.csv"
        totals[structure] = answer(capsys, "simulate", "Cu", "--structure", structure, "-o", out)["counts"]
    assert len(set(totals.values())) == 3
    assert totals["single-crystal"] < totals["amorphous"]


def test_the_demo_leaves_its_files(capsys, tmp_path, monkeypatch):
    from napari_xrf.synthesis import pegmatite

    original = pegmatite.synthesize_pegmatite
    monkeypatch.setattr(
        pegmatite, "synthesize_pegmatite", lambda **options: original(shape=(40, 44), **options)
    )
    data = answer(capsys, "demo", "--headless", "-o", tmp_path / "demo")
    assert data["agreement"]["one_mineral"] > 0.85
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert {"maps.ome.tif", "labels.tif", "classes.csv", "report.html", "map.png", "pegmatite.h5"} <= names


def test_agreement_counts_groups_as_right():
    truth = LabelMap(np.array([[1, 2, 2]], np.uint8), (LabelClass(1, "Quartz"), LabelClass(2, "opal")))
    found = LabelMap(
        np.array([[3, 3, 4]], np.uint8), (LabelClass(3, "quartz / opal"), LabelClass(4, "calcite"))
    )
    assert agreement_with_truth(found, truth) == pytest.approx(2 / 3)


WRONG = [
    (("info", "{tmp}/missing.bcf"), "missing.bcf"),
    (("info", "{tmp}"), ""),
    (("info", "{text}"), "notes.h5"),
    (("spectrum", "{map}", "--roi", "5:2,0:3", "-o", "{tmp}/a.csv"), "region"),
    (("spectrum", "{map}", "--roi", "0:99,0:3", "-o", "{tmp}/a.csv"), "outside"),
    (("spectrum", "{map}", "--roi", "all", "-o", "{tmp}/a.csv"), "region"),
    (("spectrum", "{map}", "-o", "{tmp}/a.docx"), "docx"),
    (("spectrum", "{map}", "-o", "{tmp}/no/folder/a.csv"), "a.csv"),
    (("spectrum", "{map}", "--mark", "Fe", "-o", "{tmp}/a.csv"), "--mark"),
    (("maps", "{map}", "-o", "{tmp}/o", "--elements", "Xx"), "Xx"),
    (("maps", "{map}", "-o", "{tmp}/o", "--per-second"), "no live or dwell times"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--minerals", "quarz"), "quarz"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--clean", "polish"), "polish"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--library", "{tmp}/none.csv"), "none.csv"),
    (("demo", "--headless", "--seed", "-3", "-o", "{tmp}/o"), "seed"),
    (("simulate", "Xx2", "-o", "{tmp}/a.csv"), "Xx2"),
    (("simulate", "CaCO3", "--structure", "polycrystal", "-o", "{tmp}/a.csv"), "CaCO3"),
    (("simulate", "CaCO3", "--thickness", "5", "-o", "{tmp}/a.csv"), "density"),
    (("simulate", "CaCO3", "--counts", "-5", "-o", "{tmp}/a.csv"), "counts must be above 0"),
    (("simulate", "CaCO3", "--instrument", "abacus", "-o", "{tmp}/a.csv"), "abacus"),
    (("info", "{map}", "--memory", "lots"), "lots"),
    (("info", "{map}", "--detector", "7"), "detector"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_a_mistake_is_one_line_that_names_it(capsys, map_file, tmp_path, arguments, named):
    text = tmp_path / "notes.h5"
    text.write_text("not a map")
    places = {"tmp": tmp_path, "map": map_file, "text": text}
    code, out, err = run(capsys, *(argument.format(**places) for argument in arguments))
    assert code == 1
    assert out == ""
    assert err.startswith("napari-xrf: error: ")
    assert err.count("\n") == 1
    assert named in err
    assert "unexpected" not in err
    assert not (tmp_path / "a.csv").exists()


def test_the_command_is_installed_and_refuses_unknown_verbs():
    done = subprocess.run([sys.executable, "-m", "napari_xrf", "dance"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "invalid choice" in done.stderr


def test_info_on_the_measured_dacite(capsys):
    data = answer(capsys, "info", measured_file("bcf/P45_12bit_packed_8bit.bcf"))
    assert data["total_counts"] == 915_942
    assert data["shape"] == [75, 100, 2048]
    assert data["pixel_size_um"] == pytest.approx([8.737, 8.737], abs=0.001)


def test_elements_of_the_measured_dacite(capsys):
    data = answer(capsys, "elements", measured_file("bcf/P45_12bit_packed_8bit.bcf"))
    found = {entry["element"] for entry in data}
    listed = {"Al", "Ca", "Cl", "Fe", "K", "Mg", "Na", "O", "P", "Si", "Ti", "C"}  # coated with carbon
    assert {"Al", "Si", "K", "Ca", "Ti", "Fe"} <= found
    assert found <= listed


def test_a_user_library_joins_the_shipped_one(capsys, map_file, tmp_path):
    library = tmp_path / "mine.csv"
    library.write_text("name,formula,density\nmy spar,CaCO3,2.71\n", encoding="utf-8")
    chosen = ("--library", library, "--minerals", "my spar,K-feldspar")
    data = answer(capsys, "minerals", map_file, "-o", tmp_path / "out", *chosen)
    names = {row["name"] for row in data["classes"]}
    assert {"my spar", "K-feldspar"} <= names <= {"unknown", "my spar", "K-feldspar"}


def test_a_stated_excitation_replaces_the_files_own(capsys, map_file):
    data = answer(capsys, "info", map_file, "--excitation", "tube:35:Mo")
    assert data["excitation"]["energy_kev"] == 35
    assert data["excitation"]["anode"] == "Mo"
    assert data["excitation"]["atmosphere"] == "vacuum"


@pytest.mark.parametrize("text", ["tube:50", "tube:50:Xx", "electron:20:Rh", "laser:3", "tube:-1:Rh", "x"])
def test_an_impossible_excitation_is_refused(capsys, map_file, text):
    with pytest.raises(SystemExit):
        main(["info", str(map_file), "--excitation", text])
    assert "excitation" in capsys.readouterr().err


def test_a_set_of_minerals_with_own_ones(capsys, map_file, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("name;formula;density\nmy glass;Si0.7Na0.3O1.55;2,4\n")
    arguments = ("minerals", map_file, "-o", tmp_path, "--set", "Pegmatite", "--library", own)
    data = answer(capsys, *arguments, "--tolerance", "0.1")
    members = {name for entry in data["classes"] for name in entry["name"].split(" / ")}
    assert "K-feldspar" in members
    assert members <= {*minerals_of_set("pegmatite"), "my glass", "unknown"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--set", "granit"), "Did you mean granite"),
        (("--set", "granite", "--minerals", "quartz"), "a set both say"),
    ],
)
def test_sets_that_cannot_be(capsys, map_file, tmp_path, options, told):
    code, _, message = run(capsys, "minerals", map_file, "-o", tmp_path, *options)
    assert code == 1
    assert told in message


@pytest.mark.parametrize(
    "words",
    [
        ("spectrum", "-o", "missing/s.csv"),
        ("spectrum", "-o", "s.docx"),
        ("spectrum", "-o", "s.csv", "--mark", "Fe"),
        ("spectrum", "-o", "s.png", "--mark", "Xx"),
        ("maps", "-o", "out", "--elements", "Fe,Xx"),
        ("minerals", "-o", "out", "--minerals", "kryptonite"),
        ("predict", "-o", "out"),
        ("quantify", "-o", "out", "--elements", "Xx"),
        ("denoise", "-o", "missing/d.h5"),
        ("reflections", "-o", "out", "--without", "missing/r.h5"),
    ],
)
def test_what_cannot_be_is_told_before_the_map_is_read(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "no such map.h5"
    files = ("none", file) if words[0] == "predict" else (file,)
    code, _, err = run(capsys, words[0], *files, *words[1:])
    assert code == 1
    assert "no such map" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_failing_verb_leaves_none_of_its_files(capsys, map_file, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise FileError("report.html", "cannot be written (No space left on device)")

    monkeypatch.setattr("napari_xrf.minerals.report.page.write_report", full)
    code, _, err = run(capsys, "minerals", map_file, "-o", tmp_path / "out", "--minerals", "quartz,albite")
    assert code == 1
    assert "No space left" in err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_why_no_element_was_found_is_told(tmp_path, capsys):
    noise = np.random.default_rng(0).poisson(5, 500)
    napari_xrf.write(tmp_path / "noise.csv", Spectrum(noise, EnergyAxis(0.0, 0.02, 500)))
    code, out, err = run(capsys, "elements", tmp_path / "noise.csv")
    assert (code, out.strip()) == (0, "no element found")
    assert "No element was found (too few peaks (0)" in err


def test_reflections_are_listed_mapped_and_taken_out(capsys, tmp_path):
    path, without = tmp_path / "sand.h5", tmp_path / "plain.h5"
    write_cube(path, sand(1))
    code, out, _ = run(capsys, "reflections", path, "-o", tmp_path / "out", "--without", without, "--json")
    assert code == 0
    (found,) = json.loads(out)["reflections"]
    assert found["energy_kev"] == pytest.approx(5.2, abs=0.02)
    assert found["sure"] is True
    assert found["may_be"] == ""
    first, row = (tmp_path / "out" / "reflections.csv").read_text(encoding="utf-8").splitlines()
    assert first == "grain,pixels,energy_kev,net_counts,standard_error,sure,may_be,other_detector"
    assert row.split(",")[0] == "1"
    assert napari_xrf.read(tmp_path / "out" / "labels.tif").labels.max() == 1
    assert without.exists()
    code, out, _ = run(capsys, "reflections", without, "-o", tmp_path / "again", "--json")
    assert code == 0
    assert json.loads(out)["reflections"] == []
    for words in (["minerals", "--minerals", "quartz,calcite"], ["phases", "--count", "2"]):
        verb, *options = words
        code, out, err = run(capsys, verb, path, *options, "-o", tmp_path / verb, "--json")
        assert code == 0
        assert json.loads(out)["reflections"] == [found]
        assert "1 reflection of single grains (5.20 keV), which no element explains" in err
        code, out, err = run(
            capsys, verb, path, *options, "--keep-reflections", "-o", tmp_path / verb, "--json"
        )
        assert code == 0
        assert "reflections" not in json.loads(out)
        assert "reflection" not in err
