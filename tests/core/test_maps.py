import numpy as np
import pytest

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap


def test_element_maps_answer_by_family():
    counts = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    maps = ElementMaps(("Fe K", "Pb L"), counts, np.ones_like(counts), "fit")
    assert np.array_equal(maps["Pb L"], counts[1])
    assert list(maps) == ["Fe K", "Pb L"]
    with pytest.raises(KeyError):
        maps["Cu K"]


@pytest.mark.parametrize("families", [("Fe K",), ("Fe K", "Fe K")])
def test_element_maps_refuse_wrong_names(families):
    counts = np.zeros((2, 3, 4), np.float32)
    with pytest.raises(InvalidInput):
        ElementMaps(families, counts, counts, "fit")


def test_element_maps_per_second():
    maps = ElementMaps(("Fe K",), np.full((1, 1, 3), 10, np.float32), np.ones((1, 1, 3), np.float32), "fit")
    each = maps.per_second(np.array([[2.0, 5.0, 0.0]]))
    np.testing.assert_allclose(each["Fe"], [[5.0, 2.0, np.nan]])
    np.testing.assert_allclose(each.standard_error("Fe"), [[0.5, 0.2, np.nan]])
    assert (maps.unit, each.unit) == ("counts", "counts/s")
    with pytest.raises(InvalidInput, match="no live or dwell times"):
        maps.per_second(None)


def test_labels_must_stand_in_the_table():
    labels = np.array([[0, 1], [2, 2]], np.uint8)
    table = (LabelClass(1, "unknown"), LabelClass(2, "quartz", "SiO2", "#aabbcc", 2.65))
    assert LabelMap(labels, table).class_named("quartz").label == 2
    with pytest.raises(InvalidInput, match=r"\[2\]"):
        LabelMap(labels, table[:1])
    with pytest.raises(InvalidInput):
        LabelMap(labels.astype(np.int64), table)
    with pytest.raises(InvalidInput):
        LabelMap(labels, table[::-1])


@pytest.mark.parametrize("values", [(0, "x"), (1, "x", "", "red"), (1, "x", "", "#AABBCC")])
def test_classes_refuse_wrong_labels_and_colours(values):
    with pytest.raises(InvalidInput):
        LabelClass(*values)
