import numpy as np
import pytest

from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.labels.modal_table import modal_table, write_modal_table

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
    columns = "label,name,formula,color,pixels,area_mm2,area_percent,weight_percent,mean_confidence"
    assert lines[0] == f"{columns},naming_error,sampling_error"
    assert lines[1] == "1,unknown,,#808080,1,0.0002,20,,,,"
    assert lines[2].startswith("2,quartz,SiO2,#ff0000,3,0.0006,60,51.")


def test_naming_error_is_that_of_draws():
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.6, 1, (20, 30)).astype(np.float32)
    labels = np.where(np.arange(30) < 15, 2, 3)[None].repeat(20, 0).astype(np.uint8)
    _, quartz, galena = modal_table(LabelMap(labels, CLASSES, confidence))
    right = rng.random((4000, 20, 30)) < confidence
    drawn = np.where(right, labels, 5 - labels) == 2
    assert quartz.naming_error == pytest.approx(100 * drawn.mean(axis=(1, 2)).std(), rel=0.1)
    assert quartz.naming_error == pytest.approx(galena.naming_error, rel=0.01)


def test_sampling_error_covers_what_other_pieces_of_the_rock_hold():
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(3)
    rock = gaussian_filter(rng.normal(size=(600, 600)), 3) > 0.03
    pieces = [rock[y : y + 60, x : x + 60] for y in range(0, 600, 60) for x in range(0, 600, 60)]
    rows = [modal_table(LabelMap((2 + piece).astype(np.uint8), CLASSES)) for piece in pieces]
    spread = np.std([row[1].area_percent for row in rows])
    told = np.mean([row[1].sampling_error for row in rows])
    assert 0.75 * spread < told < 1.4 * spread
    assert modal_table(LabelMap(LABELS, CLASSES))[1].sampling_error is None  # five pixels tell no spread


def test_labels_of_four_billion_take_no_memory():
    labels = np.full((2, 2), 4_000_000_000, dtype=np.uint32)
    (row,) = modal_table(LabelMap(labels, (LabelClass(4_000_000_000, "high"),)))
    assert (row.pixels, row.area_percent) == (4, 100)
