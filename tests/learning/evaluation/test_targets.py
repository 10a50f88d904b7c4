from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.sampling import align_targets, class_positions, draw_sample, source_of
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
