import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xrf import io as files
from napari_xrf.core.csv_cells import neutral, original, rows_text
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.labels.modal_table import modal_table, write_modal_table

RUN = ("=", "+", "-", "@", "\t", "\r")


@given(st.text(alphabet="'=+-@\t\rab1. ", max_size=8))
def test_any_text_comes_back_and_none_is_run(text):
    cell = neutral(text)
    if cell != text or not cell.startswith(RUN):
        assert not cell.startswith(RUN)
        assert original(cell) == text
    else:
        float(cell)  # a number may begin with its sign


@pytest.mark.parametrize("text", ["-1.5", "+2e-3", "quartz", "'quoted'", "", "-inf"])
def test_numbers_and_plain_texts_stay(text):
    assert neutral(text) == text


def test_a_table_keeps_its_numbers():
    text = rows_text(("=1+1", "b"), [("@SUM(A1)", np.int64(-2))])
    assert list(csv.reader(text.splitlines())) == [["'=1+1", "b"], ["'@SUM(A1)", "-2"]]


def test_names_of_classes_come_back_from_tables(tmp_path):
    name = '=HYPERLINK("http://example.org")'
    labels = LabelMap(np.ones((2, 2), np.uint8), (LabelClass(1, name),))
    write_modal_table(tmp_path / "classes.csv", modal_table(labels))
    files.write(tmp_path / "labels.csv", labels)
    for file in ("classes.csv", "labels.csv"):
        rows = csv.reader(line for line in (tmp_path / file).read_text().splitlines() if line[:1] != "#")
        assert not any(cell.startswith("=") for row in rows for cell in row)
    assert files.read_labels(tmp_path / "labels.csv").classes[0].name == name
