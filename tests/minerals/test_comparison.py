import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.labels.comparison import compare_labels
from verbs import answer

FIRST = (LabelClass(1, "unknown"), LabelClass(2, "quartz"), LabelClass(3, "calcite"))
SECOND = (LabelClass(1, "unknown"), LabelClass(5, "Calcite"), LabelClass(7, "quartz / opal"))


def maps():
    one = LabelMap(np.array([[2, 2, 3, 3], [2, 1, 3, 0]], dtype=np.uint8), FIRST)
    other = LabelMap(np.array([[7, 7, 5, 5], [5, 5, 1, 5]], dtype=np.uint8), SECOND)
    return one, other


def test_classes_are_matched_by_name():
    found = compare_labels(*maps())
    assert found.pixels == 7
    assert found.agreement == pytest.approx(2 / 7)
    assert found.allowed == pytest.approx(4 / 7)
    assert found.map.labels.tolist() == [[2, 2, 1, 1], [4, 3, 3, 0]]
    assert found.confusion.sum() == 7
    calcite = next(entry for entry in found.classes if entry.name == "calcite")
    assert (calcite.both, calcite.overlap) == (pytest.approx(200 / 7), 0.4)


def test_differences_have_both_names():
    pairs = compare_labels(*maps()).pairs
    names = {0: "", **{entry.label: entry.name for entry in pairs.classes}}
    same, opal = "the same name", "quartz ≠ quartz / opal"
    assert [[names[label] for label in row] for row in pairs.labels.tolist()] == [
        [opal, opal, same, same],
        ["quartz ≠ Calcite", "unknown ≠ Calcite", "calcite ≠ unknown", ""],
    ]
    assert [entry.name for entry in pairs.classes][:2] == [same, opal]  # the largest first


def test_kappa_is_cohens():
    rng = np.random.default_rng(0)
    one = rng.integers(1, 4, (30, 30)).astype(np.uint8)
    other = np.where(rng.random(one.shape) < 0.7, one, rng.integers(1, 4, one.shape)).astype(np.uint8)
    found = compare_labels(LabelMap(one, FIRST), LabelMap(other, FIRST))
    share = [np.bincount(each.ravel(), minlength=4)[1:] / 900 for each in (one, other)]
    chance = (share[0] * share[1]).sum()
    assert found.kappa == pytest.approx(((one == other).mean() - chance) / (1 - chance))
    assert compare_labels(LabelMap(one, FIRST), LabelMap(one, FIRST)).kappa == pytest.approx(1)


def test_what_cannot_be_compared():
    one, _ = maps()
    with pytest.raises(InvalidInput, match="cannot be compared"):
        compare_labels(one, LabelMap(one.labels.T.copy(), FIRST))
    with pytest.raises(InvalidInput, match="no pixel"):
        compare_labels(one, LabelMap(np.zeros_like(one.labels), FIRST))


def test_the_verb(tmp_path, capsys):
    for name, labels in zip(("a.tif", "b.h5"), maps(), strict=True):
        io.write(tmp_path / name, labels)
    data = answer(capsys, "compare", tmp_path / "a.tif", tmp_path / "b.h5", "-o", tmp_path / "out")
    names = {"confusion.csv", "agreement.csv", "agreement.tif", "agreement.png", "differences.tif"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == names
    assert data["agreement"] == pytest.approx(2 / 7)
    assert (tmp_path / "out" / "confusion.csv").read_text().splitlines()[0].endswith("Calcite,quartz / opal")
