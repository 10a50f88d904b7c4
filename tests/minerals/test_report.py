import re
from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError
from napari_xrf.core.label_map import LabelClass, LabelMap, distinct_colors
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.minerals.class_spectra import ClassSpectrum
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.labels.modal_table import held_rows, modal_table
from napari_xrf.minerals.labels.picture import draw_label_map, round_length, write_label_picture
from napari_xrf.minerals.likelihood.templates import EnergyBins
from napari_xrf.minerals.report.page import write_report

EVIL = "<script>alert('x')</script> & \"more\""
CLASSES = (
    LabelClass(1, "unknown"),
    LabelClass(2, "quartz / opal", "SiO2 / SiO2·0.5H2O", "#ff0000", 2.4),
    LabelClass(3, EVIL, "no formula <b>", "#00ff00", 3.0),
)


@pytest.fixture
def label_map():
    labels = np.array([[0, 1, 2, 2], [2, 2, 3, 3]], dtype=np.uint16)
    return LabelMap(labels, CLASSES, np.full((2, 4), 0.9, dtype=np.float32), (5.0, 10.0), "a map")


@pytest.fixture
def classification(label_map):
    axis = EnergyAxis(1.0, 0.4, 50)
    bins = EnergyBins(axis, np.arange(0, 50, 2), np.arange(2, 51, 2))
    counts = 100 * np.exp(-axis.energies)
    known = {1: None, 2: bins.sum(counts), 3: bins.sum(counts)}
    spectra = tuple(
        ClassSpectrum(entry.label, entry.name, 2, axis, counts, bins, known[entry.label]) for entry in CLASSES
    )
    return Classification(
        label_map, (("quartz", "opal"),), ("quartz", "opal"), spectra, np.zeros((2, 4), np.float32), 50.0,
        (1.0, 20.0), "likelihood", (EVIL,),
    )  # fmt: skip


@pytest.fixture
def cube():
    return SpectralCube(
        np.ones((2, 4, 10), dtype=np.uint8),
        EnergyAxis(0, 0.1, 10),
        name=EVIL,
        pixel_size=(5.0, 10.0),
        provenance=Provenance(EVIL, EVIL, (EVIL,), (EVIL,)),
    )


def pixels_of(label_map):
    return np.asarray(Image.open(BytesIO(draw_label_map(label_map))).convert("RGB"))


def test_picture_is_large_true_to_shape_and_colored(label_map):
    red = (pixels_of(label_map) == (255, 0, 0)).all(axis=2)
    rows, columns = np.nonzero(red[:, :730])
    assert columns.max() - columns.min() >= 690
    # Pixels are twice as wide as high: 2 × 4 pixels make a picture of 1 : 4.
    assert (rows.max() - rows.min() + 1) / (columns.max() - columns.min() + 1) == pytest.approx(
        0.25, abs=0.02
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (3000, 2)])
def test_any_shape_can_be_drawn(shape):
    picture = pixels_of(LabelMap(np.ones(shape, dtype=np.uint8), CLASSES))
    assert 700 <= max(picture.shape) < 4000


def test_scale_bar_has_a_round_length():
    assert round_length(333) == 200
    assert round_length(5) == 5
    assert round_length(0.3) == pytest.approx(0.2)


def test_picture_file(tmp_path, label_map):
    write_label_picture(tmp_path / "map.png", label_map)
    assert (tmp_path / "map.png").read_bytes() == draw_label_map(label_map)


def test_report_escapes_everything_and_needs_nothing_else(tmp_path, cube, classification):
    write_report(tmp_path / "report.html", cube, classification)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for told in ("57.14", "quartz / opal", "likely", "5 × 10 µm"):
        assert told in page


def test_charts_are_well_formed(tmp_path, cube, classification):
    write_report(tmp_path / "report.html", cube, classification)
    charts = re.findall(r"<svg.*?</svg>", (tmp_path / "report.html").read_text(encoding="utf-8"), re.DOTALL)
    assert len(charts) == 3
    assert all(ElementTree.fromstring(chart).tag.endswith("svg") for chart in charts)
    assert [chart.count('id="expected-') for chart in charts] == [0, 1, 1]


def test_what_is_the_largest_part_nowhere_is_told_too(tmp_path, cube, classification, label_map):
    """A mixture's smaller parts were hidden, and the picture's percentages were not those of the table."""
    classes = (*CLASSES, LabelClass(4, "halite", "NaCl", "#0000ff", 2.2))
    parts = np.zeros((2, 4, 4), dtype=np.float32)
    for entry in CLASSES:
        parts[..., entry.label - 1] = label_map.labels == entry.label
    parts[..., 1] *= 0.75
    parts[..., 3] = parts[..., 1] / 3
    labels = replace(label_map, classes=classes)
    mixed = replace(
        classification,
        label_map=labels,
        abundances=Abundances(parts, classes, label_map.pixel_size, "a map"),
    )
    rows = modal_table(labels, mixed.abundances)
    assert {row.name: round(row.area_percent, 1) for row in held_rows(rows)} == {
        "quartz / opal": 42.9, EVIL: 28.6, "unknown": 14.3, "halite": 14.3,
    }  # fmt: skip
    write_report(tmp_path / "report.html", cube, mixed)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "halite" in page
    assert "57.14" not in page
    assert draw_label_map(labels, rows) != draw_label_map(labels)


def test_numbers_have_no_powers_of_ten(tmp_path, cube, classification):
    large = replace(classification.label_map, pixel_size=(5e4, 1e5))
    write_report(tmp_path / "report.html", cube, replace(classification, label_map=large))
    assert not re.search(r">\s*[\d.]+e[+-]\d+<", (tmp_path / "report.html").read_text(encoding="utf-8"))


def test_no_two_classes_have_nearly_one_color():
    """A group has the colour of its first mineral, which may stand in the map too."""
    table = [
        LabelClass(1, "unknown"),
        LabelClass(2, "albite / beryl", "", "#70b5e8"),
        LabelClass(3, "albite", "", "#70b5e8"),
        LabelClass(4, "albite / glass", "", "#72b5e8"),
        LabelClass(5, "black", "", "#000000"),
        LabelClass(6, "white", "", "#ffffff"),
    ]
    told = distinct_colors(table)
    assert [each.name for each in told] == [each.name for each in table]
    colors = np.array([list(bytes.fromhex(each.color[1:])) for each in told], dtype=float)
    distances = np.linalg.norm(colors[:, None] - colors, axis=2)
    assert distances[np.triu_indices(6, 1)].min() >= 48
    assert told[2].color == "#70b5e8"  # a single name keeps its own
    many = distinct_colors([LabelClass(n, f"m{n}", "", "#70b5e8") for n in range(1, 60)])
    assert len({each.color for each in many[:20]}) == 20


def test_report_tells_of_clean_up(tmp_path, cube, classification, label_map):
    cleaned = replace(label_map, labels=np.where(label_map.labels == 1, 2, label_map.labels))
    write_report(tmp_path / "report.html", cube, classification, cleaned)
    assert "changed 1 pixels" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_folder_that_is_not_there(tmp_path, cube, classification):
    with pytest.raises(FileError):
        write_report(tmp_path / "none" / "report.html", cube, classification)
