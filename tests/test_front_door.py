"""The front door as a new user finds it: names, a notebook of a dozen lines, errors with a remedy."""

import ast
import inspect
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import napari_xrf as nx
from napari_xrf.core.label_map import LabelClass
from napari_xrf.io.formats import with_energy

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first-map.ipynb"
DOORS = (
    "align",
    "calibrate",
    "decode",
    "denoise",
    "explain_mineral",
    "clean_labels",
    "find_elements",
    "find_phases",
    "map_elements",
    "map_minerals",
    "predict",
    "prepare",
    "quantify",
    "read",
    "simulate",
    "synthesize",
    "train",
    "write",
)


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, object]) -> object:
    """Run a cell and return the value of its last expression, as a notebook shows it."""
    tree = ast.parse(source)
    shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if shown is None else eval(compile(ast.Expression(shown.value), "cell", "eval"), names)


def test_every_door_is_there_and_listed():
    for name in DOORS:
        assert callable(getattr(nx, name))
        assert name in dir(nx)
        assert getattr(nx, name).__doc__


def test_nouns_and_errors_are_offered_too():
    assert {"SpectralCube", "ElementMaps", "LabelMap", "Spectrum", "CalibratedMap", "XrfError"} <= {*dir(nx)}
    assert issubclass(nx.XrfError, Exception)


def test_listing_the_doors_loads_nothing_heavy():
    code = "import sys, napari_xrf; dir(napari_xrf); print({'numpy', 'torch', 'napari'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_notebook_takes_a_dozen_lines_and_imports_nothing_deeper():
    lines = [line for cell in code_cells() for line in cell.splitlines()]
    assert len(lines) <= 15
    assert [line for line in lines if "import" in line] == ["import napari_xrf as nx"]


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    shown = [value for cell in code_cells() if (value := run_cell(cell, names)) is not None]
    assert {"Si", "Fe", "S"} <= {entry.element for entry in shown[0]}
    assert "<img" in shown[1]._repr_html_()
    labels = shown[-1]
    truth = nx.read("labels.tif")
    assert labels.shares().keys() == truth.shares().keys()
    assert set(labels.shares()) >= {"quartz", "albite", "pyrite"}


def test_every_noun_that_is_written_is_read_back(tmp_path):
    rock = nx.synthesize("minerals", ["quartz", "pyrite"], shape=(8, 9), seed=3)
    nx.write(tmp_path / "rock.h5", rock)
    cube = nx.read(tmp_path / "rock.h5")
    np.testing.assert_array_equal(cube.counts[:], rock.cube.counts)
    maps = nx.map_elements(tmp_path / "rock.h5", ["Fe"], method="window")
    nx.write(tmp_path / "maps.h5", maps)
    np.testing.assert_array_equal(nx.read(tmp_path / "maps.h5")["Fe"], maps["Fe"])
    found = nx.predict("mineral-cnn", cube)
    nx.write(tmp_path / "found.h5", found)
    np.testing.assert_array_equal(nx.read(tmp_path / "found.h5").probability, found.probability)
    spectrum = nx.simulate("FeS2", counts=1000)
    nx.write(tmp_path / "pyrite.msa", spectrum)
    assert nx.read(tmp_path / "pyrite.msa").sum_spectrum().sum() == pytest.approx(1000, abs=5)


def test_a_network_names_minerals_and_elements_by_name(tmp_path):
    rock = nx.synthesize("minerals", ["quartz", "pyrite"], shape=(8, 9), seed=3).cube
    assert nx.decode(rock, {"Fe": 0}).cube.counts.sum() < 0.9 * nx.decode(rock).cube.counts.sum()
    named = nx.map_minerals(rock, ["quartz", "pyrite"], method="mineral-cnn")
    assert named.method == "mineral-cnn"
    assert "Fe" in nx.map_elements(rock, "Fe", method="maxrf-cnn")


def test_weight_percent_of_the_classes_of_a_label_map():
    rock = nx.synthesize("minerals", ["quartz", "pyrite"], shape=(8, 9), counts_per_pixel=20000, seed=3)
    found = nx.quantify(rock.cube, ["Si", "S", "Fe"], regions=rock.truth["labels"], oxygen="none")
    assert {each.region for each in found} == {"quartz", "pyrite"}
    pyrite = next(each for each in found if each.region == "pyrite")
    assert pyrite["Fe"].weight_fraction == pytest.approx(0.4655, rel=0.08)


def test_labels_are_taken_in_whatever_form(tmp_path):
    rock = nx.synthesize("minerals", ["quartz", "pyrite"], shape=(8, 9), counts_per_pixel=20000, seed=3)
    found = nx.map_minerals(rock.cube, ["quartz", "pyrite"])
    nx.write(tmp_path / "labels.tif", found.label_map)
    for labels in (found, found.label_map, tmp_path / "labels.tif"):
        assert nx.compare_labels(labels, found).agreement == 1
        assert len(nx.find_grains(labels)) == len(nx.find_grains(found))
        assert nx.clean_labels(labels, "majority:3").labels.shape == (8, 9)
        parts = nx.quantify(rock.cube, ["Si", "Fe"], regions=labels, oxygen="none")
        assert {each.region for each in parts} == {"quartz", "pyrite"}


def test_a_name_stands_for_a_composition():
    named = nx.simulate("albite", counts=1000)
    assert named.counts.sum() == pytest.approx(1000)
    assert nx.simulate("gold", thickness_um=0.1).counts.sum() > 0  # its density is known


def test_what_is_found_shows_itself_in_a_line(tmp_path):
    rock = nx.synthesize("minerals", ["quartz", "pyrite"], shape=(8, 9), counts_per_pixel=20000, seed=3).cube
    found = nx.map_minerals(rock, ["quartz", "pyrite"])
    phases = nx.find_phases(rock, 2)
    shown = [rock, found, phases, phases.phases[0], nx.find_grains(found), nx.compare_labels(found, found)]
    shown += [nx.explain_mineral(rock, found, "pyrite"), nx.predict("mineral-cnn", rock), nx.denoise(rock)]
    for one in [*shown, nx.report(rock, tmp_path / "report", minerals=["quartz", "pyrite"])]:
        assert len(repr(one)) < 500, type(one)
        assert "\n" not in repr(one)
    assert "pyrite" in repr(found)
    assert "<img" in found._repr_html_()
    assert "<img" in phases._repr_html_()


def test_training_by_name(tmp_path):
    model = nx.train(
        "mineral-cnn", tmp_path, minerals=["quartz", "pyrite"], epochs=1, steps_per_epoch=2, seed=5
    )
    assert model.description.names
    assert (tmp_path / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: nx.read("nowhere.h5"), "nowhere.h5"),
        (lambda: nx.map_minerals(tiny(), ["quarz"]), "quartz"),
        (lambda: nx.map_elements(tiny(), ["Xx"]), "Xx"),
        (lambda: nx.map_elements(tiny(), ["Fe"], method="magic"), "magic"),
        (lambda: nx.predict("no-such-model", tiny()), "no-such-model"),
        (lambda: nx.decode(tiny(), model="no-such-model"), "no-such-model"),
        (lambda: nx.decode(tiny(), {"Fe": -1}), "Fe"),
        (lambda: nx.simulate("NaCl$"), "NaCl"),
        (lambda: nx.simulate("NaCl", counts=-1), "above 0"),
        (lambda: nx.simulate("qurtz"), "Did you mean quartz"),
        (lambda: nx.simulate("chlorite"), "Name one of clinochlore"),
        (lambda: nx.synthesize("minrals"), "minerals, layers, mixtures"),
        (lambda: nx.synthesize("minerals", colour="red"), "colour"),
        (lambda: nx.train("mineral-cnn", epoch=3), "epoch"),
        (lambda: nx.clean_labels(labels_of_nothing(), "majorty:3"), "majorty"),
        (lambda: nx.write("x.doc", labels_of_nothing()), "Choose .tif"),
        (lambda: nx.write("x.tif", 7), "int"),
    ],
)
def test_what_goes_wrong_is_a_sentence_with_a_remedy(wrong, says):
    with pytest.raises(nx.XrfError, match=says):
        wrong()


def tiny() -> nx.SpectralCube:
    counts = np.random.default_rng(0).poisson(2.0, (2, 2, 1024)).astype(np.uint16)
    return nx.SpectralCube(counts, nx.EnergyAxis(0.0, 0.02, 1024))


def labels_of_nothing() -> nx.LabelMap:
    return nx.LabelMap(np.zeros((2, 2), dtype=np.uint8), ())


@pytest.fixture(scope="module")
def cube() -> nx.SpectralCube:
    counts = np.random.default_rng(1).poisson(2.0, (3, 4, 200)).astype(np.uint16)
    return nx.SpectralCube(counts, nx.EnergyAxis(0.0, 0.05, 200), "noise")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda cube: nx.read(None), "path cannot be None. Give the name of a file"),
        (lambda cube: nx.read("map.h5", detectr=0), "Did you mean detector?"),
        (lambda cube: nx.read(), "missing a required argument"),
        (lambda cube: nx.write(cube, "map.h5"), "path cannot be a SpectralCube"),
        (lambda cube: nx.find_elements(np.zeros((2, 2, 100))), "source cannot be a ndarray. Give a map"),
        (lambda cube: nx.map_elements(cube, 26), "elements cannot be 26. Give symbols"),
        (lambda cube: nx.map_elements(cube, [26]), "elements cannot hold 26"),
        (lambda cube: nx.map_elements(cube, []), "elements names nothing"),
        (lambda cube: nx.quantify(cube, ""), "elements names nothing"),
        (lambda cube: nx.SpectralCube.from_hyperspy(3), "a int is no HyperSpy signal"),
        (lambda cube: nx.map_elements(cube, ["Fe"], method=None), "method cannot be None"),
        (lambda cube: nx.map_elements(cube, ["Fe"], metod="fit"), "Did you mean method?"),
        (lambda cube: nx.quantify(cube, ["Fe"], regions=[1, 2]), "regions cannot be a list"),
        (lambda cube: nx.map_minerals(cube, [3]), "minerals cannot hold 3"),
        (lambda cube: nx.compare_classifiers(cube, [3]), "methods cannot hold 3"),
        (lambda cube: nx.compare_classifiers(cube, ["likelihood", "guess"]), "no method 'guess'"),
        (lambda cube: nx.map_minerals(cube, ["quartz"], tolerance="a"), "tolerance cannot be 'a'"),
        (lambda cube: nx.find_phases(cube, 2.5), "count cannot be 2.5. Give a whole number"),
        (lambda cube: nx.find_phases(cube, True), "count cannot be True"),
        (lambda cube: nx.clean_labels(cube), "labels cannot be a SpectralCube"),
        (lambda cube: nx.report(cube, "out", minrals=["quartz"]), "no option 'minrals'"),
        (lambda cube: nx.compare_labels(np.zeros(3), "b.tif"), "first cannot be a ndarray"),
        (lambda cube: nx.explain_mineral(cube, None, "quartz"), "classification cannot be None"),
        (lambda cube: nx.simulate(None), "formula cannot be None"),
        (lambda cube: nx.simulate("SiO2", counts="many"), "counts cannot be 'many'"),
        (lambda cube: nx.synthesize("layers", "ten"), "Give how many spectra"),
        (lambda cube: nx.synthesize("painting"), "needs its picture"),
        (lambda cube: nx.synthesize("minerals", seed="a"), "seed cannot be 'a'"),
        (lambda cube: nx.read(cube), "path cannot be a SpectralCube"),
        (lambda cube: nx.train(3), "model cannot be 3"),
        (lambda cube: nx.train("pca", seed=-1), "no seed -1. Give a whole number from 0 to 4294967295"),
        (lambda cube: nx.denoise(cube, seed=2**32), "no seed 4294967296. Give a whole number"),
        (lambda cube: nx.train("pca", epocs=2), "no option 'epocs'. Did you mean epochs? Use epochs, "),
        (lambda cube: nx.train("pcs"), "no training recipe 'pcs'. Did you mean pca? Use "),
        (
            lambda cube: nx.map_elements(cube, method="fitt"),
            "no method 'fitt'. Did you mean fit? Use fit, window",
        ),
        (
            lambda cube: nx.map_minerals(cube, method="Likelyhood"),
            "Did you mean likelihood? Use likelihood, best",
        ),
        (lambda cube: nx.predict("mineral_cnn", cube), "Did you mean mineral-cnn? Use "),
        (lambda cube: nx.quantify(cube, oxygen="stoichiometric"), "Did you mean stoichiometry? Use "),
        (lambda cube: nx.map_minerals(cube, named_set="granit"), "Did you mean granite? Use "),
        (lambda cube: nx.prepare(cube, "bin-spase:2"), "Did you mean bin-space? Use "),
        (lambda cube: nx.simulate("SiO2", instrument="m4-tornato"), "Did you mean m4-tornado? Use "),
        (lambda cube: nx.read("map.h5", map="first"), "map cannot be 'first'. Give a whole number"),
        (lambda cube: nx.read("map.h5", memory_budget="2GB"), "Give a number of bytes"),
        (lambda cube: nx.read("map.h5", dataset=4), "dataset cannot be 4. Give a text"),
        (lambda cube: with_energy(cube, 0.01), "0.01 is no energy axis. Give (offset, width) in keV"),
        (lambda cube: with_energy(cube, ("a", "b")), "('a', 'b') is no energy axis. Give (offset, width)"),
        (lambda cube: nx.map_minerals(cube, named_set=["granite"]), "named_set cannot be a list"),
        (lambda cube: nx.clean_labels(labels_of_nothing(), 5), "steps cannot be 5. Give steps, as"),
        (lambda cube: nx.clean_labels(labels_of_nothing(), [3]), "steps cannot hold 3"),
        (lambda cube: nx.report(cube, "out", clean=[3]), "clean cannot hold 3"),
        (lambda cube: nx.report(cube, "out", phases="no"), "phases cannot be 'no'. Give True or False"),
        (lambda cube: nx.synthesize("minerals", 5), "minerals cannot be made of 5. Give names"),
        (lambda cube: nx.synthesize("minerals", shape="big"), "shape must be several values, not 'big'"),
        (lambda cube: nx.train("pca", epochs="many"), "epochs must be a whole number, not 'many'"),
        (lambda cube: nx.batch("maps", [], "out"), "no file to work on. Name at least one"),
        (lambda cube: nx.batch("maps", None, "out"), "files cannot be None. Give names of files"),
        (lambda cube: cube.region_spectrum(None), "Give a flag for each pixel"),
        (lambda cube: nx.SpectralCube(None, cube.energy), "counts must be an array (Y, X, E)"),
        (lambda cube: nx.SpectralCube(cube.counts, None), "None is no energy axis. Give EnergyAxis("),
        (lambda cube: nx.Spectrum(None, cube.energy), "counts of shape () do not fit"),
        (lambda cube: nx.LabelMap(None, ()), "labels must be (Y, X) unsigned integers"),
        (lambda cube: nx.ElementMaps(("Fe K",), None, None, "fit"), "do not fit maps of shape ()"),
        (lambda cube: nx.EnergyAxis("0", 0.1, 10), "Give offset, width and size"),
        (lambda cube: nx.EnergyAxis(0, 0.1, 10.5), "a whole number of channels above 0, not 10.5"),
    ],
)
def test_whatever_is_wrong_is_told_in_a_sentence_with_a_remedy(cube, call, told):
    with pytest.raises(nx.XrfError, match=re.escape(told)):
        call(cube)


def test_steps_stand_in_a_list_too():
    labels = nx.LabelMap(np.ones((3, 3), dtype=np.uint8), (LabelClass(1, "quartz"),))
    cleaned = nx.clean_labels(labels, ["majority:3", "min-size:2"])
    assert cleaned.shares() == nx.clean_labels(labels, "majority:3,min-size:2").shares() == {"quartz": 1.0}
    assert nx.clean_labels(labels).shares() == nx.clean_labels(labels, "default").shares()


def test_a_spectrum_and_what_was_made_stand_for_a_map():
    spectrum = nx.simulate("Fe2O3", counts=100_000)
    assert nx.map_elements(spectrum, "Fe")["Fe"].shape == (1, 1)
    made = nx.synthesize("minerals", "quartz", shape=(1, 2))
    assert nx.map_elements(made, ["Si"]).counts.shape[-2:] == (1, 2)


def test_what_may_be_stated_of_a_sample_is_asked_everywhere():
    """One class says it: the verb, the front door and the dock's recipe take each of its fields."""
    from napari_xrf.cli import build_parser
    from napari_xrf.maps.quantification.named import StatedSample

    stated = {entry.name for entry in fields(StatedSample)}
    assert stated <= set(inspect.signature(nx.quantify).parameters)
    verbs = next(action for action in build_parser(["quantify"])._actions if action.dest == "verb")
    assert stated <= {action.dest for action in verbs.choices["quantify"]._actions}
