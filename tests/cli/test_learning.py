"""The verbs of models, run as a user's script runs them: arguments in, exit code, files and JSON out."""

import csv
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
import torch

import napari_xrf
from napari_xrf.cli import main
from napari_xrf.cli.console import Console
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.io import read_element_maps, read_labels, write
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.learning.description import ModelDescription, ProbabilityCalibration
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.prediction.files import read_prediction
from napari_xrf.learning.registry import build_network
from napari_xrf.learning.weights import load_model, read_description, save_model
from verbs import answer, run

AXIS = EnergyAxis(0.0, 0.02, 512)
SHAPE = (16, 14)
LINES = {
    "quartz": ((1.74,), 8.0),
    "pyrite": ((2.31, 6.40), 20.0),
}  # keV of peaks, and their counts over noise
QUICK = (
    "--epochs",
    "2",
    "--steps",
    "12",
    "--batch-size",
    "32",
    "--validation-size",
    "64",
    "--precision",
    "full",
)


@pytest.fixture(scope="module")
def labels():
    """Two minerals, side by side, and a corner without label."""
    values = np.full(SHAPE, 2, np.uint16)
    values[:, 7:] = 3
    values[:2, :2] = 0
    classes = (
        LabelClass(2, "quartz", "SiO2", "#d0d0d0", 2.65),
        LabelClass(3, "pyrite", "FeS2", "#c0a000", 5.0),
    )
    return LabelMap(values, classes, pixel_size=(20.0, 20.0), source="rock")


@pytest.fixture(scope="module")
def cube(labels):
    """A map whose left half shows silicon, and its right half iron and sulphur; one pixel is empty."""
    expected = np.full((*SHAPE, AXIS.size), 0.3)
    for entry in labels.classes:
        peaks, height = LINES[entry.name]
        shape = sum(np.exp(-0.5 * ((AXIS.energies - peak) / 0.06) ** 2) for peak in peaks)
        expected[labels.labels == entry.label] += height * shape
    expected[labels.labels == 0] = expected[4, 4]
    expected[0, 0] = 0
    counts = np.random.default_rng(8).poisson(expected).astype(np.uint16)
    tube = Excitation("tube", 50.0, "Rh")
    return SpectralCube(counts, AXIS, name="rock", pixel_size=(20.0, 20.0), excitation=tube)


@pytest.fixture(scope="module")
def files(cube, labels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rock")
    write_cube(folder / "rock.h5", cube)
    write(folder / "labels.tif", labels)
    return folder


@pytest.fixture(scope="module")
def mineral_training(files):
    """A mineral network that learned from the labelled regions, from the command line."""
    folder = files / "minerals"
    regions = ("--regions", files / "labels.tif", "--map", files / "rock.h5")
    arguments = ("train", "mineral-cnn", "-o", folder, *regions, *QUICK, "--learning-rate", "0.01", "--quiet")
    assert main([str(argument) for argument in arguments]) == 0
    return folder


def untrained(architecture, task, names, outputs, network=None):
    """Return a network that says something, but nothing that it has learned."""
    description = ModelDescription(
        name=f"small-{architecture}",
        architecture=architecture,
        task=task,
        names=names,
        axis=AXIS,
        outputs=outputs,
        network=network or {},
        calibration=ProbabilityCalibration(1.0, (0.3,)),
        counts_range=(1.0, 1e5),
        training={"validation": {"share_error": 0.01}},
    )
    torch.manual_seed(1)
    return Model(description, build_network(description).eval())


@pytest.fixture(scope="module")
def element_weights(files):
    model = untrained("maxrf-cnn", "elements", ("Si", "S", "Fe"), ("presence", "intensity"))
    return save_model(files / "elements.safetensors", model)


@pytest.fixture(scope="module")
def line_weights(files):
    model = untrained("line-mlp", "lines", ("Si ka1", "Fe ka1"), ("presence",), {"hidden": 16})
    return save_model(files / "lines.safetensors", model)


def test_train_writes_weights_card_and_metrics(capsys, tmp_path):
    folder = tmp_path / "new" / "model"
    arguments = ("train", "line-mlp", "-o", folder, *QUICK, "--set", "hidden=24", "--set", "depth=1")
    code, out, err = run(capsys, *arguments, "--preprocessing", "baseline,log", "--seed", "7", "--json")
    assert code == 0, err
    data = json.loads(out)
    assert {path.name for path in folder.iterdir()} == {path.rsplit("/", 1)[-1] for path in data["files"]}
    assert {"model.safetensors", "metrics.json", "model-card.md"} <= {path.name for path in folder.iterdir()}
    description = read_description(folder)
    assert description.training["seed"] == data["seed"] == 7
    assert description.network["hidden"] == 24
    assert description.preprocessing.baseline
    assert description.preprocessing.transform == "log"
    assert data["names"] == len(description.names) == 556
    assert data["validation"].keys() == description.training["validation"].keys()
    assert err.count("epoch") >= 2
    assert "loss" in err
    assert "left" in err


def test_each_part_of_the_pixels_is_judged_by_a_network_that_has_not_seen_it(capsys, files, tmp_path):
    regions = ("--regions", files / "labels.tif", "--map", files / "rock.h5")
    common = ("train", "mineral-cnn", "-o", tmp_path, *regions, *QUICK, "--learning-rate", "0.01")
    code, out, err = run(capsys, *common, "--folds", "3", "--set", "excitation=8", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert sum(found["pixels"]) == (read_labels(files / "labels.tif").labels > 0).sum()
    assert len(found["accuracy"]) == 3
    assert min(found["accuracy"]) > 0.9
    assert [read_description(tmp_path / f"part-{part}").network["excitation"] for part in (1, 2, 3)] == [
        8
    ] * 3
    code, _, err = run(capsys, *common, "--folds", "2")
    assert code == 1
    assert "three parts" in err


def test_an_interrupted_training_goes_on(capsys, files, mineral_training, tmp_path, monkeypatch):
    """The fixture's training without a break is what one that was stopped after an epoch must come to."""
    regions = ("--regions", files / "labels.tif", "--map", files / "rock.h5")
    common = ("train", "mineral-cnn", "-o", tmp_path, *regions, *QUICK, "--learning-rate", "0.01")

    def interrupt(self, message):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Console, "say", interrupt)
        assert run(capsys, *common)[0] == 130
    assert not (tmp_path / "model.safetensors").exists()
    code, _, err = run(capsys, *common, "--resume")
    assert code == 0, err
    assert "epoch 1 of 2" not in err
    whole = load_model(mineral_training).network.state_dict()
    for name, tensor in load_model(tmp_path).network.state_dict().items():
        assert torch.equal(tensor, whole[name])
    code, _, err = run(capsys, *common, "--seed", "3", "--resume")
    assert code == 1
    assert "another recipe, seed or options" in err


def test_regions_become_a_model_that_finds_them(capsys, cube, files, labels, mineral_training, tmp_path):
    data = answer(capsys, "predict", mineral_training, files / "rock.h5", "-o", tmp_path / "out")
    names = {
        "predictions.h5",
        "labels.tif",
        "labels.h5",
        "classes.csv",
        "map.png",
        "grains.csv",
        "association.csv",
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert len(data["files"]) == len(names)
    found = read_labels(tmp_path / "out" / "labels.h5")
    named = {entry.label: entry.name for entry in found.classes}
    truth = {entry.label: entry.name for entry in labels.classes}
    pairs = zip(found.labels.ravel(), labels.labels.ravel(), strict=True)
    right = [named.get(int(here)) == truth[int(there)] for here, there in pairs if there]
    assert np.mean(right) > 0.9
    assert found.labels[0, 0] == 0  # no counts, not measured
    assert found.pixel_size == (20.0, 20.0)
    assert sum(row["pixels"] for row in data["classes"]) == cube.counts.shape[0] * cube.counts.shape[1] - 1
    assert tifffile.imread(tmp_path / "out" / "labels.tif").dtype.kind == "u"
    header = next(csv.reader((tmp_path / "out" / "classes.csv").open(encoding="utf-8")))
    assert header[:4] == ["label", "name", "formula", "color"]


def test_predictions_follow_the_contract(capsys, cube, files, element_weights, tmp_path):
    data = answer(capsys, "predict", element_weights, files / "rock.h5", "-o", tmp_path, "--no-calibrate")
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert [name.decode() for name in file["names"][()]] == ["Si", "S", "Fe"]
        for name in ("probability", "intensity"):
            assert file[name].shape == (*SHAPE, 3)
            assert file[name].dtype == np.float32
    expected = predict(load_model(element_weights), cube, calibrate=False)
    written = read_prediction(tmp_path / "predictions.h5")
    assert np.allclose(written.probability, expected.probability, atol=1e-6)
    assert np.allclose(written.intensity, expected.intensity, rtol=1e-4, atol=1e-3)
    assert data["shape"] == list(SHAPE)
    assert data["model"] == "small-maxrf-cnn"
    for row in data["found"]:
        chance = expected.probability[..., written.names.index(row["name"])]
        assert row["pixels"] == (chance >= 0.3).sum()
        assert row["share"] == pytest.approx(row["pixels"] / (expected.counts > 0).sum())


def test_lines_are_listed_by_element(capsys, files, line_weights, tmp_path):
    asked = ("predict", line_weights, files / "rock.h5", "-o", tmp_path, "--threshold", "0")
    data = answer(capsys, *asked)
    assert [row["name"] for row in data["found"]] == ["Si", "Fe"]
    assert not any("lines" in row for row in data["found"])
    data = answer(capsys, *asked, "--lines")
    assert [(row["name"], row["lines"]) for row in data["found"]] == [("Si", ["ka1"]), ("Fe", ["ka1"])]
    assert all(row["share"] == 1 for row in data["found"])


@pytest.mark.parametrize(("threshold", "number"), [("0", 3), ("1", 0)])
def test_a_threshold_decides_what_is_found(capsys, files, element_weights, tmp_path, threshold, number):
    arguments = ("predict", element_weights, files / "rock.h5", "-o", tmp_path, "--threshold", threshold)
    data = answer(capsys, *arguments)
    assert len(data["found"]) == number
    assert len(read_element_maps(tmp_path / "maps.h5")) == number


def test_a_threshold_of_one_leaves_minerals_unknown(capsys, files, mineral_training, tmp_path):
    arguments = ("predict", mineral_training, files / "rock.h5", "-o", tmp_path, "--threshold", "1")
    data = answer(capsys, *arguments)
    sure = sum(row["pixels"] for row in data["classes"] if row["name"] != "unknown")
    below = answer(capsys, "predict", mineral_training, files / "rock.h5", "-o", tmp_path)
    assert sure < sum(row["pixels"] for row in below["classes"] if row["name"] != "unknown")


def test_outputs_can_be_chosen(capsys, files, element_weights, tmp_path):
    arguments = ("predict", element_weights, files / "rock.h5", "-o", tmp_path, "--outputs", "presence")
    data = answer(capsys, *arguments)
    assert data["outputs"] == ["presence"]
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.h5"}
    assert read_prediction(tmp_path / "predictions.h5").intensity is None


def test_a_spectrum_file_is_a_map_of_one_pixel(capsys, cube, files, line_weights, tmp_path):
    out = tmp_path / "sum.csv"
    assert run(capsys, "spectrum", files / "rock.h5", "-o", out)[0] == 0
    data = answer(capsys, "predict", line_weights, out, "-o", tmp_path / "out")
    assert data["shape"] == [1, 1]
    assert read_prediction(tmp_path / "out" / "predictions.h5").probability.shape == (1, 1, 2)


def test_minerals_by_a_network(capsys, files, mineral_training, tmp_path):
    arguments = ("minerals", files / "rock.h5", "-o", tmp_path, "--method", mineral_training)
    data = answer(capsys, *arguments, "--clean", "majority:3")
    names = {
        "labels.tif",
        "labels.h5",
        "classes.csv",
        "map.png",
        "grains.csv",
        "association.csv",
        "report.html",
    }
    assert {path.name for path in tmp_path.iterdir()} == names
    area = {row["name"]: row["area_percent"] for row in data["classes"]}
    assert area["quartz"] == pytest.approx(50, abs=10)
    assert area["pyrite"] == pytest.approx(50, abs=10)
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "network mineral-cnn" in report


def test_minerals_by_a_network_of_another_excitation_warn(capsys, tmp_path):
    counts = np.random.default_rng(0).poisson(2.0, (1, 1, 1000)).astype(np.uint16)
    excitation = Excitation("electron", 20.0)
    write(tmp_path / "sem.h5", SpectralCube(counts, EnergyAxis(0.0, 0.02, 1000), excitation=excitation))
    arguments = ("minerals", tmp_path / "sem.h5", "-o", tmp_path / "o", "--method", "mineral-cnn")
    code, _, told = run(capsys, *arguments)
    assert code == 0
    assert "warning: " in told
    assert "electrons: do not trust its answers" in told


def test_minerals_that_cannot_be_there_are_not_named(capsys, files, mineral_training, tmp_path):
    arguments = ("minerals", files / "rock.h5", "-o", tmp_path, "--method", mineral_training)
    data = answer(capsys, *arguments, "--minerals", "Pyrite")
    assert {row["name"] for row in data["classes"]} <= {"unknown", "pyrite"}


def test_element_maps_by_a_network(capsys, cube, files, element_weights, tmp_path):
    common = ("maps", files / "rock.h5", "-o", tmp_path, "--method", "network", "--model", element_weights)
    data = answer(capsys, *common, "--elements", "Fe,Si K")
    assert list(data["net_counts"]) == ["Fe K", "Si K"]
    assert data["method"] == "small-maxrf-cnn"
    maps = read_element_maps(tmp_path / "maps.h5")
    iron = maps["Fe K"]
    errors = maps.standard_errors[maps.families.index("Fe K")]
    # At least the Poisson noise of what was counted and of what lies beside it in the line's window.
    window = cube.window_map(6.4 - 0.06, 6.4 + 0.06)
    assert np.all(errors**2 >= np.maximum(iron, window) * 0.999)
    assert float(errors.max()) < 100


def test_evaluate_a_map_with_its_truth(capsys, cube, files, labels, mineral_training, tmp_path):
    truth = tmp_path / "truth.h5"
    write_cube(truth, cube, truth={"labels": labels, "parameters": {}})
    data = answer(capsys, "evaluate", mineral_training, truth, "--no-baselines", "-o", tmp_path / "out")
    assert data["task"] == "minerals"
    assert data["spectra"] == SHAPE[0] * SHAPE[1]
    first = next(iter(data["tables"].values()))
    assert first["mineral-cnn"]["accuracy"] > 0.9
    assert {"evaluation.json", "evaluation.md"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert sorted(data["files"]) == sorted(str(path) for path in (tmp_path / "out").iterdir())


def test_evaluate_on_held_out_spectra(capsys, mineral_training):
    code, out, err = run(capsys, "evaluate", mineral_training, "held-out", "--no-baselines", "--size", "60")
    assert code == 0, err
    assert "accuracy" in out


def test_tune_keeps_its_study(capsys, files, tmp_path):
    regions = ("--regions", files / "labels.tif", "--map", files / "rock.h5")
    common = ("tune", "mineral-cnn", "-o", tmp_path, *regions, *QUICK)
    data = answer(capsys, *common, "--trials", "1")
    assert data["trials"] == 1
    assert {"study.sqlite3", "best.json", "trials.csv"} <= {path.name for path in tmp_path.iterdir()}
    assert all((tmp_path / name.rsplit("/", 1)[-1]).is_file() for name in data["files"])
    assert answer(capsys, *common, "--trials", "2")["trials"] == 2


def test_adapt_says_whether_it_helped(capsys, files, mineral_training, tmp_path):
    quick = ("--steps", "4", "--batch-size", "16", "--pool", "256", "--held-out", "100")
    data = answer(capsys, "adapt", mineral_training, files / "rock.h5", "-o", tmp_path, *quick)
    assert isinstance(data["kept"], bool)
    assert "accuracy" in data["held_out"]
    assert data["map"].keys() == {"before", "after"}
    adapted = read_description(tmp_path / "model.safetensors")
    assert adapted.names == read_description(mineral_training).names


def test_models_lists_what_there_is(capsys):
    data = answer(capsys, "models")
    recipes = {entry["name"] for entry in data["recipes"]}
    assert {"line-mlp", "lt-vit", "mineral-cnn", "painting-generator"} <= recipes
    assert all(entry["summary"] for entry in data["recipes"] + data["architectures"])
    for entry in data["models"]:
        assert read_description(entry["name"]).task == entry["task"]
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert all(name in out for name in recipes)


WRONG = [
    (("train", "lenet", "-o", "{tmp}/o"), "lenet"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--set", "hiden=3"), "hiden"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--set", "hidden=3"), "hidden"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--set", "hidden=many"), "hidden"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--set", "activation=sine"), "relu"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--set", "hidden"), "OPTION=VALUE"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--epochs", "0"), "epochs"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--seed", "-1"), "seed"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--optimizer", "magic"), "magic"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--preprocessing", "smooth"), "smooth"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--preprocessing", "sum,max"), "sum,max"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--instrument", "gem"), "instrument"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--minerals", "quartz,calcite"), "minerals"),
    (("train", "line-mlp", "-o", "{tmp}/o", "--distortions", "none"), "distortions"),
    (("train", "mineral-cnn", "-o", "{tmp}/o", "--instrument", "abacus"), "abacus"),
    (("train", "mineral-cnn", "-o", "{tmp}/o", "--minerals", "quarz,calcite"), "quarz"),
    (("train", "mineral-cnn", "-o", "{tmp}/o", "--minerals", "quartz"), "two"),
    (("train", "mineral-cnn", "-o", "{tmp}/o", "--regions", "{map}"), "--map"),
    (("train", "mineral-cnn", "-o", "{tmp}/o", "--mix", "0.5"), "--regions"),
    (("train", "mineral-cnn", "-o", "{tmp}/o", "--regions", "{tmp}/no.tif", "--map", "{map}"), "no.tif"),
    (("train", "lt-vit", "-o", "{tmp}/o", "--regions", "{labels}", "--map", "{map}"), "lt-vit"),
    (
        ("train", "mineral-cnn", "-o", "{tmp}/o", "--regions", "{labels}", "--map", "{map}", "--mix", "2"),
        "share",
    ),
    (("train", "line-mlp", "-o", "{text}/o"), "notes.h5"),
    (("tune", "line-mlp", "-o", "{tmp}/o", "--trials", "0"), "trial"),
    (("tune", "line-mlp", "-o", "{tmp}/o", "--timeout", "-2"), "timeout"),
    (("predict", "no-model", "{map}", "-o", "{tmp}/o"), "no-model"),
    (("predict", "{text}", "{map}", "-o", "{tmp}/o"), "notes.h5"),
    (("predict", "{map}", "{map}", "-o", "{tmp}/o"), "rock.h5"),
    (("predict", "{damaged}", "{map}", "-o", "{tmp}/o"), "damaged.safetensors"),
    (("predict", "{other}", "{map}", "-o", "{tmp}/o"), "other.safetensors"),
    (("predict", "{lines}", "{tmp}/missing.h5", "-o", "{tmp}/o"), "missing.h5"),
    (("predict", "{lines}", "{text}", "-o", "{tmp}/o"), "notes.h5"),
    (("predict", "{lines}", "{map}", "-o", "{text}"), "notes.h5"),
    (("predict", "{lines}", "{map}", "-o", "{tmp}/o", "--outputs", "minerals"), "minerals"),
    (("predict", "{lines}", "{map}", "-o", "{tmp}/o", "--threshold", "2"), "threshold"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--method", "{lines}"), "lines"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--method", "magic"), "likelihood"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--method", "{text}"), "notes.h5"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--method", "{minerals}", "--tolerance", "0.2"), "tolerance"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--method", "{minerals}", "--ignore", "Cu"), "ignored"),
    (("minerals", "{map}", "-o", "{tmp}/o", "--method", "{minerals}", "--minerals", "calcite"), "calcite"),
    (("maps", "{map}", "-o", "{tmp}/o", "--model", "{elements}"), "--method network"),
    (("maps", "{map}", "-o", "{tmp}/o", "--method", "network", "--model", "{lines}"), "counts of elements"),
    (
        (
            "maps",
            "{map}",
            "-o",
            "{tmp}/o",
            "--method",
            "network",
            "--model",
            "{elements}",
            "--elements",
            "Xx",
        ),
        "Xx",
    ),
    (("evaluate", "{lines}", "{tmp}/missing.h5"), "missing.h5"),
    (("evaluate", "{lines}", "{map}"), "truth"),
    (("evaluate", "{lines}", "held-out"), "small-line-mlp"),
    (("evaluate", "{minerals}", "held-out", "--size", "2"), "2 spectra"),
    (("adapt", "{lines}", "{map}", "-o", "{tmp}/o"), "small-line-mlp"),
    (("adapt", "{minerals}", "{map}", "-o", "{tmp}/o", "--method", "hope"), "hope"),
    (("adapt", "no-model", "{map}", "-o", "{tmp}/o"), "no-model"),
]


@pytest.fixture(scope="module")
def places(files, element_weights, line_weights, mineral_training, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    text = folder / "notes.h5"
    text.write_text("not a map")
    damaged = folder / "damaged.safetensors"
    damaged.write_bytes(line_weights.read_bytes()[:-100])
    # A description that promises another network than the weights are of.
    model = load_model(line_weights)
    larger = replace(model.description, network={"hidden": 64})
    other = save_model(folder / "other.safetensors", model.with_description(larger))
    return {
        "text": text,
        "damaged": damaged,
        "other": other,
        "lines": line_weights,
        "elements": element_weights,
        "minerals": mineral_training,
        "map": files / "rock.h5",
        "labels": files / "labels.tif",
    }


@pytest.mark.parametrize(("arguments", "named"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_a_mistake_is_one_line_that_names_it(capsys, places, tmp_path, arguments, named):
    given = [argument.format(tmp=tmp_path, **places) for argument in arguments]
    code, out, err = run(capsys, *given)
    assert code == 1
    assert out == ""
    assert err.startswith("napari-xrf: error: ")
    assert err.count("\n") == 1
    assert named in err
    assert "unexpected" not in err
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_the_front_door_reads_what_was_denoised(capsys, files, tmp_path):
    model = untrained("vae", "spectra", (), ("code", "spectrum"))
    weights = save_model(tmp_path / "vae.safetensors", model)
    data = answer(capsys, "predict", weights, files / "rock.h5", "-o", tmp_path / "out", "--no-calibrate")
    assert data["outputs"] == ["code", "spectrum"]
    denoised = napari_xrf.read(tmp_path / "out" / "predictions.h5")
    assert denoised.shape == (*SHAPE, AXIS.size)
    assert denoised.energy.width == pytest.approx(AXIS.width)
