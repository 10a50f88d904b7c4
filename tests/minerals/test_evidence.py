"""Why this mineral: candidates, the lines that decide, and what cannot be asked."""

import numpy as np
import pytest

import napari_xrf as nx
from mineral_cubes import known_map, mineral_cube
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.evidence import draw_evidence
from napari_xrf.minerals.likelihood.templates import bins_at_resolution, expect_templates
from napari_xrf.minerals.phases.nearest import nearest_minerals
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


def test_the_nearest_mineral_makes_the_highest_peaks_whatever_small_lines_there_are():
    """A sediment of many counts was nearest to cobaltite, whose continuum is like its own."""
    names = ("calcite", "iron", "cobaltite", "gypsum", "halite", "rutile")
    minerals = select_minerals(load_library(), names)
    known = known_map(mineral_cube(minerals, 3000, shape=(2, 2), compositions=1)[0])
    bins = bins_at_resolution(known.energy, known.detector, 1.0, 15.0)
    templates = expect_templates(minerals, known.instrument, bins)
    shapes = {each.name: templates.lines[templates.owner == place][0] for place, each in enumerate(minerals)}
    strength = {"calcite": 1.0, "gypsum": 0.03, "iron": 0.06, "halite": 0.02, "rutile": 0.01}
    lines = sum(part * shapes[name] / shapes[name].sum() for name, part in strength.items())
    # A continuum that calcite does not make, as dust, air and geometry do.
    nearest = nearest_minerals(1e8 * lines + 3e5 * np.exp(-bins.energies / 3), templates)[0]
    assert nearest.name == "calcite"
    assert nearest.misfit < 0.15
