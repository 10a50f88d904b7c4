"""Spectra of minerals on random instruments, and answers of several names where one is not warranted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import napari_xrf.learning.prediction.prediction
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.scratch import StoredCounts, scratch_array
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.learning.conditions import CONDITIONS, recorded
from napari_xrf.learning.description import (
    ModelDescription,
    ProbabilityCalibration,
    description_as_json,
    description_from_json,
)
from napari_xrf.learning.evaluation.sampling import predict_sample, sample_of
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answer_sets import answer_sets, fit_set_level, grouped, restricted
from napari_xrf.learning.prediction.one_element import shared_out
from napari_xrf.learning.prediction.prediction import Prediction
from napari_xrf.learning.prediction.views import label_map_of
from napari_xrf.learning.registry import build_network
from napari_xrf.learning.sources.instrument_bank import AXIS
from napari_xrf.learning.sources.mineral_instruments import make
from napari_xrf.learning.training import describe
from napari_xrf.learning.training_recipes import training_recipe
from napari_xrf.learning.weights import load_model
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.reference.minerals import load_library

NAMES = ("quartz", "opal", "pyrite", "halite")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield make(minerals=NAMES, instruments=1, compositions=1, strangers=3)


def answers(probability, level=0.9, names=NAMES):
    """A prediction of probabilities (N, K + 1), "unknown" last."""
    classes = tuple(LabelClass(number, name, density=2.0) for number, name in enumerate(names, 2))
    description = ModelDescription(
        "m", "mineral-mlp", "minerals", names, EnergyAxis(0.02, 0.02, 2048), ("minerals",), classes=classes,
        conditions=CONDITIONS, calibration=ProbabilityCalibration(set_level=level),
    )  # fmt: skip
    values = np.asarray(probability, dtype=np.float32)[:, None, :]
    return Prediction(
        description,
        np.full(values.shape[:2], 1000, np.float32),
        probability=values[..., :-1],
        unknown=values[..., -1],
    )


def test_spectra_of_minerals_and_strangers(source):
    drawn = source.draw(96, np.random.default_rng(1))
    again = source.draw(96, np.random.default_rng(1))
    assert np.array_equal(drawn.counts, again.counts)
    label = drawn.targets["label"]
    assert set(label) == {0, 1, 2, 3, 4}
    assert 0.05 < (label == 4).mean() < 0.4
    assert not drawn.counts[~recorded(drawn.conditions, AXIS)].any()
    sulphur = AXIS.window(2.25, 2.37)
    share = drawn.counts[:, sulphur].sum(axis=1) / drawn.counts.sum(axis=1)
    assert np.median(share[label == 2]) > 3 * np.median(share[label < 2])


def test_a_network_of_all_minerals_has_a_name_for_each(source):
    description = describe(training_recipe("mineral-mlp"), source, 0)
    assert description.names == NAMES
    model = Model(description, build_network(description))
    sample = sample_of(source.draw(6, np.random.default_rng(2)), source.axis)
    told, untold = (
        predict_sample(model, sample.cube, conditions=each).probability for each in (sample.conditions, None)
    )
    assert not np.allclose(told, untold, atol=1e-6)
    level = ProbabilityCalibration(1.2, set_level=0.9)
    kept = description_from_json(description_as_json(description.with_calibration(level)))
    assert kept.calibration == level


def test_names_that_no_pixel_tells_apart_are_one_class():
    rows = (
        [(0.5, 0.45, 0, 0, 0.05)] * 30 + [(0.01, 0.01, 0.97, 0, 0.01)] * 30 + [(0.02, 0, 0, 0.03, 0.95)] * 5
    )
    labels = label_map_of(answers(rows))
    assert labels.class_named("quartz / opal")
    assert (labels["quartz / opal"][:30]).all()
    assert (labels["pyrite"][30:60]).all()
    assert (labels["unknown"][60:]).all()
    assert labels.confidence[:30].min() > 0.94


def test_answers_that_do_not_fit_in_memory_are_joined_alike(monkeypatch):
    rows = [(0.5, 0.45, 0, 0, 0.05)] * 30 + [(0.01, 0.01, 0.97, 0, 0.01)] * 30 + [(0.2, 0, 0, 0.3, 0.5)] * 5
    held = answers(rows)
    stored = scratch_array(held.probability.shape, np.float32, 0)
    stored[:] = held.probability
    one = label_map_of(held)
    monkeypatch.setattr(napari_xrf.learning.prediction.prediction, "_BAND_BYTES", 1)
    told = grouped(replace(held, probability=stored))
    assert isinstance(told.probability, StoredCounts)
    other = label_map_of(replace(held, probability=stored))
    assert np.array_equal(one.labels, other.labels)
    assert np.allclose(one.confidence, other.confidence, atol=1e-6)


def test_minerals_of_one_composition_are_answered_together():
    rows = [(0.9, 0.01, 0.04, 0, 0.05)]
    (said,) = label_map_of(answers(rows, names=("marcasite", "halite", "pyrite", "quartz"))).shares()
    assert said == "marcasite / pyrite"


def test_one_sure_spectrum_has_one_name_and_an_unsure_one_several():
    (sure,) = label_map_of(answers([(0.97, 0.01, 0.01, 0.01, 0)])).shares()
    (unsure,) = label_map_of(answers([(0.4, 0.35, 0.2, 0.01, 0.04)])).shares()
    assert (sure, unsure) == ("quartz", "quartz / opal / pyrite")


@pytest.mark.parametrize(
    ("peaks", "source", "joined"),
    [(("Fe",), "tube", True), (("Fe", "Cu"), "tube", False), (("Fe",), "electron", False)],
)
def test_a_metal_and_its_oxides_share_an_answer_where_only_scatter_tells_them_apart(peaks, source, joined):
    said = answers([(0.95, 0.0, 0.03, 0.0, 0.02)], names=("goethite", "iron", "pyrite", "hematite"))
    lines = {"Fe": ((6.40, 1.0), (7.06, 0.13)), "Cu": ((8.05, 1.0), (8.90, 0.14))}
    expected = np.full(1024, 0.5)
    for element in peaks:
        for energy, height in lines[element]:
            expected += 4000 * height * np.exp(-0.5 * ((AXIS.energies[:1024] - energy) / 0.06) ** 2)
    counts = np.random.default_rng(0).poisson(expected).astype(np.uint32)
    cube = SpectralCube(counts[None, None], EnergyAxis(0.02, 0.02, 1024), excitation=Excitation(source, 20.0))
    shared = replace(said, probability=shared_out(said.probability, said.names, calibrate_map(cube)))
    assert (shared.probability[0, 0, 1] > 0.1) == joined
    assert shared.probability.sum() == pytest.approx(said.probability.sum(), abs=1e-5)
    (name,) = label_map_of(shared).shares()
    assert ("iron" in name) == joined


def test_networks_know_metals_that_the_library_lacks():
    description = load_model("mineral-mlp").description
    assert {"titanium", "zinc", "silicon"} < set(description.names)
    assert not {"titanium", "zinc", "silicon"} & {mineral.name for mineral in load_library()}


def test_what_was_not_asked_for_becomes_unknown_unless_it_looks_like_what_was():
    kept = np.array([True, False, False, True])
    said = restricted(answers([(0.3, 0.6, 0, 0, 0.1), (0.005, 0, 0.985, 0, 0.01)]), kept)
    assert np.allclose(said.probability.sum(axis=-1) + said.unknown, 1, atol=1e-5)
    assert not said.probability[..., 1:3].any()
    assert said.probability[0, 0, 0] > 0.5
    assert said.unknown[1, 0] > 0.8
    one_instrument = replace(said.description, conditions=())
    plain = restricted(replace(answers([(0.3, 0.6, 0, 0, 0.1)]), description=one_instrument), kept)
    assert plain.probability[0, 0, 0] == pytest.approx(0.75)


def test_a_mineral_with_the_composition_of_one_that_was_asked_for_is_no_sign_of_a_stranger():
    names = ("calcite", "aragonite", "dolomite", "quartz")
    said = answers([(0.01, 0.93, 0.01, 0, 0.05), (0, 0.02, 0, 0.93, 0.05)], names=names)
    calcite, of_aragonite = (
        restricted(said, np.array(kept, dtype=bool)) for kept in ([1, 0, 1, 0], [0, 1, 1, 0])
    )
    assert calcite.probability[0, 0, 0] > 0.9
    assert of_aragonite.probability[0, 0, 1] == pytest.approx(calcite.probability[0, 0, 0])
    assert calcite.unknown[1, 0] > 0.7  # quartz was not asked for, and looks like neither
    for told in (calcite, of_aragonite):
        assert np.allclose(told.probability.sum(axis=-1) + told.unknown, 1, atol=1e-5)
    both = restricted(said, np.array([1, 1, 1, 0], dtype=bool))
    assert both.probability[0, 0, 1] > both.probability[0, 0, 0]


def test_classes_of_a_model_of_one_instrument_stay_as_they_are():
    said = answers([(0.5, 0.5, 0, 0, 0)])
    said = replace(said, description=replace(said.description, conditions=()))
    assert grouped(said) is said


def test_sets_hold_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(0)
    probability = generator.dirichlet(np.full(6, 0.4), size=4000)
    label = np.array([generator.choice(6, p=row) for row in probability])
    level = fit_set_level(probability[:2000], label[:2000])
    inside = answer_sets(probability[2000:], level)[np.arange(2000), label[2000:]]
    assert inside.mean() == pytest.approx(0.95, abs=0.02)


def test_a_map_tells_how_often_a_mineral_is_there_and_one_pixel_does_not():
    row = (0.6, 0.1, 0.1, 0.05, 0.15)
    one, many = (grouped(answers([row] * number)) for number in (1, 5000))
    group = one.names.index("quartz / opal / pyrite")
    assert one.names == many.names
    assert one.probability[0, 0, group] == pytest.approx(0.8, abs=0.02)
    assert many.probability[0, 0, group] > 0.9
