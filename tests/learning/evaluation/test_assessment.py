from __future__ import annotations

import json

import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.learning.evaluation import element_fit, line_fit
from napari_xrf.learning.evaluation.assessment import evaluate
from napari_xrf.learning.evaluation.results import write_evaluation
from napari_xrf.learning.sources.sets import read_set
from napari_xrf.learning.training import train
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.recipes import make_layers, make_minerals, make_mixtures
from small_models import FEW_MINERALS, small_recipe
from untrained_models import untrained_model


@pytest.fixture(scope="module")
def mineral_model():
    return untrained_model("mineral-cnn")


@pytest.fixture(scope="module")
def line_model():
    return untrained_model("line-mlp", network={"hidden": 16, "depth": 1})


@pytest.fixture(scope="module")
def element_model():
    return untrained_model("maxrf-cnn-gem")


def test_a_mineral_map_is_judged_beside_the_likelihood_classifier(mineral_model, tmp_path):
    rock = make_minerals(
        FEW_MINERALS, seed=3, parameters=MapParameters(shape=(12, 14), counts_per_pixel=3000)
    )
    write_cube(tmp_path / "rock.h5", rock.cube, truth=rock.truth)
    found = evaluate(mineral_model, read_set(tmp_path / "rock.h5"))
    rows = found.tables[0].rows
    assert rows["likelihood"]["accuracy of decided"] > 0.9
    assert 0 <= rows["mineral-cnn"]["accuracy"] <= 1
    assert found.confusion is not None
    assert found.confusion.sum() == 12 * 14
    titles = [table.title for table in found.tables]
    assert "Pixels of the map" in titles
    stored = json.loads(json.dumps(found.as_json()))
    assert stored["tables"]["Minerals"]["likelihood"]["accuracy"] == rows["likelihood"]["accuracy"]
    assert "| likelihood |" in found.as_markdown()


def test_lines_of_a_file_are_judged_beside_a_fit_and_what_is_attainable(line_model, tmp_path, monkeypatch):
    monkeypatch.setattr(line_fit, "FIT_VALIDATION", 30)
    made = make_layers(12, seed=5)
    write_cube(tmp_path / "layers.h5", made.cube, truth=made.truth)
    found = evaluate(line_model, read_set(tmp_path / "layers.h5"))
    rows = found.tables[0].rows
    assert list(rows) == ["line-mlp", "plain fit", "attainable (estimate)"]
    assert 0.4 < rows["plain fit"]["pearson"] < rows["attainable (estimate)"]["pearson"] <= 1
    assert found.reliability is not None


def test_elements_are_judged_beside_a_fit(element_model, tmp_path, monkeypatch):
    monkeypatch.setattr(element_fit, "FIT_VALIDATION", 100)
    made = make_mixtures(80, seed=5)
    write_cube(tmp_path / "mixtures.h5", made.cube, truth=made.truth)
    found = evaluate(element_model, read_set(tmp_path / "mixtures.h5"))
    tables = {table.title: table.rows for table in found.tables}
    assert tables["Shares of the counts"]["plain fit"]["r2"] > 0.5
    assert tables["Presence of elements"]["plain fit"]["auroc"] > 0.8
    assert found.tables[0].title == "Shares of the counts"
    assert set(tables["Each element"]) <= set(element_model.description.names)


def test_elements_learnt_from_drawn_instruments_are_judged_without_a_fit(element_model, tmp_path):
    drawn = element_model.description.with_training(
        source={"kind": "instruments", "options": {"instruments": 5}}
    )
    made = make_mixtures(20, seed=5)
    write_cube(tmp_path / "mixtures.h5", made.cube, truth=made.truth)
    found = evaluate(element_model.with_description(drawn), read_set(tmp_path / "mixtures.h5"))
    assert any("no plain fit: the model learnt from drawn instruments" in note for note in found.notes)


def test_a_models_own_held_out_spectra_are_the_same_for_a_seed(element_model):
    first, second = (evaluate(element_model, size=40, seed=2, baselines=False) for _ in range(2))
    assert first.tables[0].rows == second.tables[0].rows
    assert first.spectra == 40


def test_an_evaluation_is_written_with_its_pictures(mineral_model, tmp_path):
    found = evaluate(mineral_model, size=60, baselines=False)
    written = {path.name for path in write_evaluation(tmp_path / "out", found)}
    assert written == {"evaluation.json", "evaluation.md", "confusion.png", "reliability.png"}
    assert all((tmp_path / "out" / name).stat().st_size > 100 for name in written)


def test_features_are_judged_by_the_spectra_they_give_back(tmp_path):
    model = train(small_recipe("pca", network={"components": 8}))
    found = evaluate(model, size=64)
    assert found.tables[0].title == "Reconstructed spectra"
    assert found.tables[0].rows["pca"]["r2"] > 0.5


def test_data_of_another_task_are_refused(line_model, tmp_path):
    made = make_mixtures(10, seed=1)
    write_cube(tmp_path / "mixtures.h5", made.cube, truth=made.truth)
    with pytest.raises(InvalidInput, match="judged on lines"):
        evaluate(line_model, read_set(tmp_path / "mixtures.h5"))


def test_a_model_of_unknown_origin_needs_a_file(line_model):
    from dataclasses import replace

    from napari_xrf.learning.model import Model

    foreign = Model(replace(line_model.description, training={}), line_model.network)
    with pytest.raises(InvalidInput, match="does not say what it was trained on"):
        evaluate(foreign)


def test_cancelling_stops_an_evaluation(element_model):
    from napari_xrf.core.errors import Cancelled

    def cancel(done: int, total: int, what: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        evaluate(element_model, size=40, progress=cancel)
