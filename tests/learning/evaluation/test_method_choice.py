from dataclasses import replace

import numpy as np
import pytest

import napari_xrf as nx
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.learning.evaluation import method_choice
from napari_xrf.learning.evaluation.method_choice import check_methods, compare_methods, methods_of
from napari_xrf.minerals.classification import Classification, ClassificationOptions
from napari_xrf.reference.minerals import load_library, select_minerals
from napari_xrf.synthesis import map_twin
from striped_rocks import FORMULAS, striped_map
from verbs import answer

LISTED = select_minerals(load_library(), FORMULAS)
OWN_NAMES = {"quartz": "light part", "calcite": "grey part", "pyrite": "dark part"}


def answer_of(labels):
    nothing = np.zeros(labels.labels.shape, dtype=np.float32)
    return Classification(labels, (), tuple(FORMULAS), (), nothing, 1000.0, (1.0, 20.0), "made up", ())


class MadeUp:
    """Methods that are right in a part of the pixels, by the truth of maps and twins."""

    def __init__(self, monkeypatch, labels, parts, names=None, confidence=0.95):
        self.labels, self.parts, self.names, self.twins = labels, parts, names or {}, {}
        self.confidence, self.generator = confidence, np.random.default_rng(0)
        monkeypatch.setattr(method_choice, "classify_by", self.classify)
        monkeypatch.setattr(method_choice, "unsuited_to", lambda *_: ())
        monkeypatch.setattr(method_choice, "read_mineral_model", lambda _: NoModel())
        made = map_twin.make_twin

        def kept(*given, **options):
            twin = made(*given, **options)
            self.twins[id(twin.cube)] = twin
            return twin

        monkeypatch.setattr(map_twin, "make_twin", kept)

    def classify(self, method, of, minerals, options, **budget):
        if method not in self.parts:
            raise InvalidInput(f"{method} knows nothing of this")
        names = self.names.get(method, {})
        twin = self.twins.get(id(of))
        truth = self.labels.labels if twin is None else self.of_twin(twin)
        right = self.generator.random(truth.shape) < self.parts[method]
        given = np.where(right, truth, 2 + truth % 3).astype(np.uint8)
        classes = tuple(replace(each, name=names.get(each.name, each.name)) for each in self.labels.classes)
        sure = np.full(given.shape, self.confidence, dtype=np.float32)
        return answer_of(LabelMap(given, classes, sure, None, "made up"))

    def of_twin(self, twin):
        label = {name: 2 + place for place, name in enumerate(FORMULAS)}
        return np.array([label.get(name, 1) for name in twin.names])[twin.main]


class NoModel:
    source_kind, conditions = "regions", ("all of them",)


@pytest.fixture(scope="module")
def rock():
    return striped_map()


def compare(rock, methods, **options):
    return compare_methods(methods, rock[0], LISTED, **{"twins": 1, **options})


def test_another_method_must_win_beyond_its_error(rock, monkeypatch):
    MadeUp(monkeypatch, rock[1], {"first": 0.80, "better": 0.95, "same": 0.80})
    found = compare(rock, ["first", "better"], twins=2)
    assert found.choice.chosen == "better"
    assert found.best.choice is found.choice
    assert "leads first by" in found.choice.reason
    first, better = found.choice.rows
    assert (first.lead, first.lead_error) == (0, 0)
    assert better.lead > 2 * better.lead_error > 0
    assert better.pure > first.pure
    assert first.all == pytest.approx(0.8, abs=0.05)
    assert first.strangers == pytest.approx(0.8, abs=0.2)
    assert compare(rock, ["first", "same"]).choice.chosen == "first"


def test_a_wrong_name_costs_more_where_it_is_sure(rock, monkeypatch):
    scores = []
    for confidence in (0.95, 0.6):
        MadeUp(monkeypatch, rock[1], {"first": 0.8, "other": 0.8}, confidence=confidence)
        row = compare(rock, ["first", "other"]).choice.rows[0]
        assert row.calibration == pytest.approx(abs(0.8 - confidence), abs=0.06)
        scores.append(row.score - row.all)
    assert scores[0] < -0.1
    assert scores[1] == 0


def test_names_of_a_users_own_mean_what_another_map_says_there(rock, monkeypatch):
    MadeUp(monkeypatch, rock[1], {"first": 0.9, "own": 0.99}, {"own": OWN_NAMES})
    found = compare(rock, ["first", "own"])
    assert found.choice.chosen == "own"
    assert any("light part for quartz" in note for note in found.choice.notes)


def test_what_cannot_be_asked_is_left_out_and_told(rock, monkeypatch):
    MadeUp(monkeypatch, rock[1], {"first": 0.9})
    found = compare(rock, ["first", "other"])
    assert found.choice.chosen == "first"
    assert "nothing else could be asked" in found.choice.reason
    assert any("other is left out" in note for note in found.choice.notes)
    assert np.isnan(found.choice.rows[0].all)
    assert found.choice.as_json()["rows"][0]["all"] is None
    with pytest.raises(InvalidInput, match="none of 1 methods"):
        compare(rock, ["other"])
    with pytest.raises(InvalidInput, match="0 twins"):
        compare(rock, ["first"], twins=0)


def test_a_map_too_small_for_twins_keeps_the_first(rock, monkeypatch):
    known, labels = striped_map(shape=(6, 12))
    MadeUp(monkeypatch, labels, {"first": 0.5, "other": 1.0})
    found = compare((known, labels), ["first", "other"])
    assert found.choice.chosen == "first"
    assert any("too small" in note for note in found.choice.notes)


def test_methods_by_name():
    assert methods_of("likelihood") == ("likelihood",)
    assert methods_of("best") == ("likelihood", "mineral-mlp")
    assert methods_of("likelihood, mine.safetensors") == ("likelihood", "mine.safetensors")
    check_methods("likelihood,mineral-mlp", LISTED, ClassificationOptions(tolerance=0.2))
    with pytest.raises(InvalidInput, match="no method 'guess'"):
        check_methods("likelihood,guess", LISTED, ClassificationOptions())


def test_the_verb_tells_which_method_and_why(rock, monkeypatch, tmp_path, capsys):
    write_cube(tmp_path / "map.h5", rock[0].cube)
    MadeUp(monkeypatch, rock[1], {"likelihood": 0.8, "mineral-mlp": 0.95})
    common = ("minerals", tmp_path / "map.h5", "-o", tmp_path / "out", "--minerals", ",".join(FORMULAS))
    data = answer(capsys, *common, "--method", "best")
    assert data["methods"]["chosen"] == "mineral-mlp"
    assert [row["method"] for row in data["methods"]["rows"]] == ["likelihood", "mineral-mlp"]
    rows = (tmp_path / "out" / "methods.csv").read_text().splitlines()
    assert rows[0].startswith("method,pure,strict,all")
    assert len(rows) == 3
    page = (tmp_path / "out" / "report.html").read_text()
    assert data["methods"]["reason"] in page
    assert "mineral-mlp" in page


@pytest.mark.slow
def test_likelihood_and_network_on_a_twin(rock):
    found = nx.compare_classifiers(rock[0], ["likelihood", "mineral-mlp"], list(FORMULAS), twins=1)
    first, network = found.choice.rows
    assert first.pure > 0.95
    assert first.all > 0.7
    assert network.pure > 0.5
    assert set(found.answers) == {"likelihood", "mineral-mlp"}
    # Where they differ, by name.
    differ = nx.compare_labels(*(each.label_map for each in found.answers.values()))
    assert differ.pairs.labels.shape == rock[1].labels.shape


def test_classes_for_which_no_label_is_given_are_no_minerals(rock):
    labels = rock[1]
    twin = map_twin.make_twin(
        rock[0], labels, load_library(), listed=LISTED, generator=np.random.default_rng(1)
    )
    empty = LabelMap(np.ones(twin.main.shape, dtype=np.uint8), (LabelClass(1, "unknown"),))
    told = method_choice.score_labels(twin, empty, {"unknown": ()})
    assert told.figures["pure"] == 0
    assert told.figures["strangers"] == 1
    assert told.figures["sure_wrong"] == 0
