"""Why this mineral: candidates, the lines that decide, and what cannot be asked."""

import numpy as np
import pytest

import napari_xrf as nx
from mineral_cubes import known_map, mineral_cube
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.evidence import draw_evidence
from napari_xrf.reference.minerals import load_library, select_minerals

NAMES = ("calcite", "dolomite", "pyrite")


@pytest.fixture(scope="module")
def classified():
    cube, truth = mineral_cube(select_minerals(load_library(), NAMES), 3000, shape=(9, 9), compositions=1)
    classes = (LabelClass(1, "unknown"), *(LabelClass(k + 2, name) for k, name in enumerate(NAMES)))
    labels = LabelMap((truth + 2).astype(np.uint8), classes)
    misfit = np.zeros(truth.shape, np.float32)
    found = Classification(labels, (), NAMES, (), misfit, 3000.0, (0.9, 40.0), "likelihood", ())
    return known_map(cube), found, truth


def test_a_class_is_explained_by_the_lines_that_decide(classified):
    known, found, _ = classified
    evidence = nx.explain_mineral(known, found, "pyrite")
    assert evidence.best.name == "pyrite"
    assert evidence.second.name in ("calcite", "dolomite")
    assert evidence.best.misfit < evidence.second.misfit
    assert {"Fe K", "S K"} & {line.family for line in evidence.lines}
    assert all(line.weight > 0 for line in evidence.lines[:2])
    assert "decided by" in str(evidence)
    assert evidence.residual.shape == evidence.energies.shape
    assert draw_evidence(evidence).startswith(b"\x89PNG")


def test_the_second_of_two_carbonates_is_the_other(classified):
    known, found, truth = classified
    row, column = np.argwhere(truth == 0)[0]
    evidence = nx.explain_mineral(known, found, (int(row), int(column)))
    assert (evidence.best.name, evidence.second.name) == ("calcite", "dolomite")
    assert evidence.measured.sum() < 4000
    assert f"pixel {row}, {column} (calcite)" in str(evidence)


@pytest.mark.parametrize(
    ("where", "told"), [("gold", "no class"), ("unknown", "no pixel"), ((9, 0), "outside")]
)
def test_what_is_not_there_is_told(classified, where, told):
    known, found, _ = classified
    with pytest.raises(InvalidInput, match=told):
        nx.explain_mineral(known, found, where)
