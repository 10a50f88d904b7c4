"""``synthesize``: files that ``read`` opens, with their truth, the same for the same seed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_xrf
from napari_xrf.cli import build_parser
from napari_xrf.io.own.cube_files import read_truth
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.recipes import make_minerals
from verbs import answer, run

SMALL = ("--shape", "12:9", "--counts-per-pixel", "300")


def synthesize(capsys, *arguments):
    return answer(capsys, "synthesize", *arguments)


@pytest.fixture
def picture(tmp_path):
    pixels = np.zeros((10, 12, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:8], pixels[:, 8:] = (200, 40, 30), (40, 60, 150), (240, 235, 220)
    path = tmp_path / "painting.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("recipe", ["minerals", "layers", "mixtures", "painting"])
def test_help_explains_every_option(recipe):
    synthesize = build_parser(["synthesize"])._subparsers._group_actions[0].choices["synthesize"]
    actions = synthesize._subparsers._group_actions[0].choices[recipe]._actions
    assert [action.dest for action in actions if not action.help] == []


def test_a_mineral_map_with_its_twins(capsys, tmp_path):
    out = tmp_path / "rock.h5"
    data = synthesize(
        capsys, "minerals", "--minerals", "quartz,calcite,pyrite", *SMALL, "--seed", "7", "-o", out,
        "--distortions", "typical", "--with-ideal", "--with-twin",
    )  # fmt: skip
    assert data["shape"][:2] == [12, 9]
    assert [file.rsplit("/", 1)[-1] for file in data["files"]] == [
        "rock.h5", "rock-ideal.h5", "rock-twin.h5",
    ]  # fmt: skip
    truth = read_truth(out)
    assert truth["labels"].labels.shape == (12, 9)
    assert {entry.name for entry in truth["labels"].classes} == {"quartz", "calcite", "pyrite"}
    assert np.allclose(truth["abundances"].sum(axis=2), 1, atol=1e-5)
    assert truth["parameters"]["user_seed"] == 7
    distorted, ideal = (np.asarray(napari_xrf.read(file).counts) for file in data["files"][:2])
    assert distorted.shape == ideal.shape
    assert not np.array_equal(distorted, ideal)


def test_the_same_seed_gives_the_same_counts_from_python_and_the_command_line(capsys, tmp_path):
    files = [tmp_path / f"{name}.h5" for name in "abc"]
    for file, seed in zip(files, ("3", "3", "4"), strict=True):
        synthesize(capsys, "minerals", *SMALL, "--seed", seed, "-o", file)
    first, same, other = (np.asarray(napari_xrf.read(file).counts) for file in files)
    made = make_minerals(None, seed=3, parameters=MapParameters(shape=(12, 9), counts_per_pixel=300.0))
    assert np.array_equal(first, same)
    assert np.array_equal(first, np.asarray(made.cube.counts))
    assert not np.array_equal(first, other)


def test_layers_carry_556_lines(capsys, tmp_path):
    out = tmp_path / "layers.h5"
    assert synthesize(capsys, "layers", "--size", "6", "-o", out)["shape"] == [6, 1, 300]
    truth = read_truth(out)
    assert truth["present"].shape == truth["visible"].shape == (6, 556)
    assert not np.any(truth["visible"] & ~truth["present"].astype(bool))


def test_mixtures_of_chosen_elements(capsys, tmp_path):
    out = tmp_path / "gem.h5"
    synthesize(capsys, "mixtures", "--size", "5", "--elements", "Fe,Cu,Pb", "--counts", "500:600", "-o", out)
    assert read_truth(out)["net_counts"].shape == (5, 3)
    assert napari_xrf.read(out).shape[:2] == (5, 1)


def test_a_painting_gets_the_counts_asked_for(capsys, picture, tmp_path):
    out = tmp_path / "painting.h5"
    pigments = "vermilion,azurite,lead white"
    synthesize(
        capsys, "painting", picture, "--pigments", pigments, "--counts-per-pixel", "50", "-o", out,
        "--clusters-start", "3", "--clusters-spread", "1",
    )  # fmt: skip
    cube = napari_xrf.read(out)
    assert cube.map_shape == (10, 12)
    assert np.all(np.asarray(cube.counts).sum(axis=2) == 50)
    assert read_truth(out)["abundances"].shape == (10, 12, 3)


def test_several_pictures_are_painted_each_into_its_own_file(capsys, picture, tmp_path):
    other = tmp_path / "other.png"
    Image.fromarray(np.full((4, 5, 3), (40, 60, 150), np.uint8)).save(other)
    made = synthesize(
        capsys, "painting", picture, other, "--pigments", "vermilion,azurite", "--instrument", "gem",
        "--totals", "poisson", "--distortions", "typical",
        "--counts-per-pixel", "30", "-o", tmp_path / "maps.h5", "--clusters-start", "2",
        "--clusters-spread", "1",
    )  # fmt: skip
    assert [Path(file).name for file in made["files"]] == ["maps-painting.h5", "maps-other.h5"]
    assert [napari_xrf.read(file).map_shape for file in made["files"]] == [(10, 12), (4, 5)]


WRONG = [
    (("painting", "{picture}", "{picture}"), "names that differ"),
    (("minerals", "--minerals", "quarz"), "quarz"),
    (("minerals", "--shape", "0:5"), "0"),
    (("minerals", "--grain-size", "0.1"), "grain size"),
    (("minerals", "--offset-ev=30:-30"), "offset ev"),
    (("minerals", "--seed", "-1"), "seed"),
    (("minerals", "--instrument", "abacus"), "abacus"),
    (("layers", "--size", "0"), "at least one"),
    (("mixtures", "--elements", "Fe,Xx"), "Xx"),
    (("painting", "{tmp}/none.png"), "none.png"),
    (("painting", "{gray}"), "colour"),
    (("painting", "{picture}", "--pigments", "moon dust"), "moon dust"),
    (("painting", "{picture}", "--pigment-file", "{empty}"), "empty.csv"),
    (("painting", "{picture}", "--threshold", "2"), "threshold"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_a_mistake_is_one_line_that_names_it(capsys, tmp_path, picture, arguments, named):
    (tmp_path / "empty.csv").write_text("")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "gray.png")
    places = {
        "tmp": tmp_path, "picture": picture, "empty": tmp_path / "empty.csv", "gray": tmp_path / "gray.png",
    }  # fmt: skip
    out = tmp_path / "out.h5"
    code, _, err = run(capsys, "synthesize", *(text.format(**places) for text in arguments), "-o", out)
    assert code == 1
    assert err.startswith("napari-xrf: error: ")
    assert err.count("\n") == 1
    assert named in err
    assert "unexpected" not in err
    assert not out.exists()


@pytest.mark.parametrize("output", ["map.csv", "no/such/folder/map.h5"])
def test_the_output_is_checked_before_the_work(capsys, tmp_path, output):
    code, _, err = run(capsys, "synthesize", "layers", "-o", tmp_path / output)
    assert code == 1
    assert output.rsplit("/", 1)[-1] in err or "csv" in err
