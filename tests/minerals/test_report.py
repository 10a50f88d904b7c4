import re
from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.minerals.class_spectra import ClassSpectrum
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.labels.picture import draw_label_map, round_length, write_label_picture
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
    energies = np.linspace(1, 20, 50)
    counts = 100 * np.exp(-energies)
    spectra = tuple(
        ClassSpectrum(entry.label, entry.name, 2, energies, counts, counts if entry.label > 1 else None)
        for entry in CLASSES
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


def test_report_tells_of_clean_up(tmp_path, cube, classification, label_map):
    cleaned = replace(label_map, labels=np.where(label_map.labels == 1, 2, label_map.labels))
    write_report(tmp_path / "report.html", cube, classification, cleaned)
    assert "changed 1 pixels" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_folder_that_is_not_there(tmp_path, cube, classification):
    with pytest.raises(FileError):
        write_report(tmp_path / "none" / "report.html", cube, classification)
