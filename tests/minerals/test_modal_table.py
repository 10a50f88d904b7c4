import numpy as np
import pytest

from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.modal_table import grain_statistics, modal_table, write_modal_table

CLASSES = (
    LabelClass(1, "unknown"),
    LabelClass(2, "quartz", "SiO2", "#ff0000", 2.65),
    LabelClass(3, "galena", "PbS", "#00ff00", 7.58),
)
LABELS = np.array([[0, 1, 2], [2, 2, 3]], dtype=np.uint16)


def test_percentages_are_of_measured_pixels_and_weight_leaves_unknown_out():
    confidence = np.array([[0, 0.5, 0.8], [0.9, 1.0, 0.6]], dtype=np.float32)
    unknown, quartz, galena = modal_table(LabelMap(LABELS, CLASSES, confidence, (10.0, 20.0)))
    assert [row.pixels for row in (unknown, quartz, galena)] == [1, 3, 1]
    assert quartz.area_percent == pytest.approx(60)
    assert quartz.area_mm2 == pytest.approx(3 * 200e-6)
    assert unknown.weight_percent is None
    assert quartz.weight_percent == pytest.approx(100 * 3 * 2.65 / (3 * 2.65 + 7.58))
    assert quartz.weight_percent + galena.weight_percent == pytest.approx(100)
    assert quartz.mean_confidence == pytest.approx(0.9)


def test_what_is_not_known_is_none():
    rows = modal_table(LabelMap(np.zeros((2, 2), dtype=np.uint8), CLASSES))
    assert all(
        row.area_mm2 is row.area_percent is row.weight_percent is row.mean_confidence is None for row in rows
    )


def test_file_has_the_columns_of_the_contract(tmp_path):
    path = tmp_path / "classes.csv"
    rows = modal_table(LabelMap(LABELS, CLASSES, None, (10.0, 20.0)))
    write_modal_table(path, rows)
    lines = path.read_text().splitlines()
    assert lines[0] == "label,name,formula,color,pixels,area_mm2,area_percent,weight_percent,mean_confidence"
    assert lines[1] == "1,unknown,,#808080,1,0.0002,20,,"
    assert lines[2].startswith("2,quartz,SiO2,#ff0000,3,0.0006,60,51.")


def test_grains_are_counted_and_sized():
    labels = np.full((9, 9), 2, dtype=np.uint8)
    labels[1:3, 1:3] = 3
    labels[6, 6] = 3
    labels[0, 8] = 3
    unknown, quartz, galena = grain_statistics(LabelMap(labels, CLASSES, None, (2.0, 2.0)))
    assert (unknown.grains, quartz.grains, galena.grains) == (0, 1, 3)
    assert unknown.median_diameter is None
    assert galena.largest_diameter == pytest.approx(2 * np.sqrt(16 / np.pi))
    assert galena.unit == "µm"
    assert galena.edge_grains == 1
    assert galena.median_diameter < galena.weighted_diameter < galena.largest_diameter
