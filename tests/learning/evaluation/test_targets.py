from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.sampling import align_targets, class_positions, draw_sample, source_of
from napari_xrf.learning.sources import instrument_bank
from napari_xrf.learning.sources.source import SourceSpec, make_source
from napari_xrf.learning.weights import read_description
from untrained_models import untrained_model


def description(*names: str) -> ModelDescription:
    return ModelDescription("mine", "maxrf-cnn", "elements", names, EnergyAxis(0, 0.1, 10), ("presence",))


def test_columns_follow_the_model() -> None:
    targets = {"presence": np.array([[1.0, 0.0, 1.0]])}
    aligned, notes = align_targets(targets, ("Ca", "Fe", "U"), description("Fe", "Ca", "Zn"))
    assert aligned["presence"].tolist() == [[0.0, 1.0, 0.0]]
    assert "U" in notes[0]
    assert "1 of the model's names" in notes[1]


def test_groups_are_matched_by_their_members() -> None:
    classes = ("quartz / opal", "calcite", "pyrite / marcasite")
    assert class_positions(("opal", "marcasite", "gold", "calcite / aragonite"), classes).tolist() == [
        0,
        2,
        3,
        1,
    ]


def test_minerals_that_the_model_does_not_know_are_unknown() -> None:
    targets = {"label": np.array([0, 1, -1])}
    aligned, notes = align_targets(targets, ("gold", "opal"), description("calcite", "quartz / opal"))
    assert aligned["label"].tolist() == [2, 1, -1]
    assert "gold" in notes[0]


@pytest.mark.parametrize("targets", [{"presence": np.ones((1, 1))}, {"label": np.zeros(1, dtype=int)}])
def test_data_without_a_common_name_are_refused(targets: dict) -> None:
    with pytest.raises(InvalidInput, match="stands in the data"):
        align_targets(targets, ("Xe",), description("Fe"))


def test_many_foreign_names_are_not_all_listed() -> None:
    names = tuple(f"X{number}" for number in range(20))
    targets = {"presence": np.ones((1, 21))}
    _, notes = align_targets(targets, ("Fe", *names), description("Fe"))
    assert "12 more" in notes[0]


def test_a_model_is_judged_with_the_classes_that_it_learnt() -> None:
    """Ranges of the library grew, hornblende went to olivine's group, and `adapt mineral-cnn` was refused."""
    known = untrained_model("mineral-cnn").description
    first, second, *others = known.names
    group = replace(known.classes[0], name=f"{first} / {second}")
    learnt = replace(known, names=(group.name, *others), classes=(group, *known.classes[2:]))
    source = source_of(learnt, stranger_share=0.0)
    assert source.names == learnt.names
    assert set(draw_sample(source, 60, 0).targets["label"].tolist()) == set(range(len(learnt.names)))


@pytest.mark.parametrize("name", ["mineral-mlp", "element-mlp"])
def test_held_out_spectra_are_of_the_names_that_a_model_learnt(name) -> None:
    """Omphacite came into the library, and every label behind it was judged as its neighbour."""
    known = read_description(name)
    assert source_of(known).names == known.names


def test_who_judges_a_model_waits_for_no_instruments_of_its_training(monkeypatch, tmp_path) -> None:
    """`evaluate mineral-mlp held-out` first made the spectra of 240 instruments, and of 20 without a word."""
    monkeypatch.setattr(instrument_bank, "users_cache", lambda: tmp_path)
    told: list[tuple[int, int]] = []
    spec = SourceSpec("instruments", {"instruments": 20, "samples": 2})
    source = make_source(spec, lambda done, total, what: told.append((done, total)))
    draw_sample(source, 5, 0)
    assert told  # those that these spectra are of, of the two that judge
    assert told == [(made, 2) for made in range(1, len(told) + 1)]
