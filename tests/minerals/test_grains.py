import csv

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.labels.grains import (
    association,
    find_grains,
    grain_statistics,
    liberation,
    porosity,
    write_grain_tables,
)

CLASSES = (
    LabelClass(1, "unknown"),
    LabelClass(2, "quartz", "SiO2", "#ff0000", 2.65),
    LabelClass(3, "galena", "PbS", "#00ff00", 7.58),
    LabelClass(4_000_000_000, "epoxy resin"),
)
RESIN = 4_000_000_000


def label_map(labels, pixel_size=None):
    return LabelMap(np.asarray(labels, dtype=np.uint32), CLASSES, None, pixel_size)


def test_grains_are_counted_and_sized():
    labels = np.full((9, 9), 2)
    labels[1:3, 1:3] = 3
    labels[6, 6] = 3
    labels[0, 8] = 3
    labels[8, 0] = 1
    unknown, quartz, galena, _ = grain_statistics(label_map(labels, (2.0, 2.0)))
    assert (unknown.grains, quartz.grains, galena.grains) == (0, 1, 3)  # halos are no grains
    assert unknown.median_diameter is None
    assert galena.largest_diameter == pytest.approx(2 * np.sqrt(16 / np.pi))
    assert galena.unit == "µm"
    assert galena.edge_grains == 1
    assert galena.median_diameter < galena.weighted_diameter < galena.largest_diameter


def test_shapes_are_those_of_scikit_image():
    from scipy.ndimage import gaussian_filter
    from skimage.measure import label, regionprops_table

    rng = np.random.default_rng(0)
    labels = np.where(gaussian_filter(rng.normal(size=(80, 90)), (2, 5)) > 0, 2, 3)
    found = find_grains(label_map(labels))
    wanted = (
        "area",
        "centroid",
        "major_axis_length",
        "minor_axis_length",
        "orientation",
        "perimeter_crofton",
    )
    table = regionprops_table(label(labels, background=0, connectivity=2), properties=wanted)
    assert found.pixels.tolist() == table["area"].astype(int).tolist()
    assert np.allclose(found.y, table["centroid-0"] + 0.5)
    # scikit-image takes pixels for points: ours have a second moment of 1/12.
    for own, theirs in ((found.length, "major_axis_length"), (found.width, "minor_axis_length")):
        assert np.allclose(own**2 - 16 / 12, table[theirs] ** 2, atol=1e-4)
    long = found.length > 1.2 * found.width
    turned = np.degrees(table["orientation"]) - 90 - found.orientation
    assert np.allclose((turned[long] + 90) % 180 - 90, 0, atol=1e-5)
    large = found.pixels > 50
    perimeter = np.sqrt(4 * np.pi * found.area / found.circularity)[large]
    assert np.allclose(perimeter, table["perimeter_crofton"][large], rtol=0.2)


def test_association_is_boundary_shared():
    labels = [[2, 2, 3, 3], [2, 2, 3, 3], [1, 1, 1, 1]]
    shared = association(label_map(labels, (1.0, 10.0)))
    assert shared.names == ("unknown", "quartz", "galena")
    quarter = np.pi / 4
    expected = [[0, 20, 20], [20, 0, 2], [20, 2, 0]]
    assert np.allclose(shared.lengths, quarter * np.array(expected))
    assert np.allclose(shared.percent.sum(axis=1), 100)
    assert np.allclose(association(label_map([[2, 2]])).percent, 0)


def test_liberation_needs_particles():
    assert liberation(label_map([[2, 3], [2, 2]])) == ()
    labels = np.full((5, 12), RESIN)
    labels[1:4, 1:4] = 3  # free galena
    labels[1:4, 5:11] = 2
    labels[2, 5] = 3  # locked in quartz, one face free
    quartz, galena = liberation(label_map(labels))
    assert galena.liberated == pytest.approx(90)
    assert galena.locked == pytest.approx(10)
    assert galena.free_surface == pytest.approx(100 * 13 / 16)
    assert quartz.liberated == 100
    assert porosity(label_map(labels)) == pytest.approx(100 * 33 / 60)
    assert porosity(label_map(labels), ["quartz"]) == pytest.approx(100 * 17 / 60)
    with pytest.raises(InvalidInput, match="gold"):
        porosity(label_map(labels), ["gold"])


def test_tables(tmp_path):
    labels = np.full((5, 6), 2)
    labels[2, 2:4] = 3
    files = write_grain_tables(tmp_path, label_map(labels, (2.0, 2.0)))
    assert [file.name for file in files] == ["grains.csv", "association.csv"]
    with files[0].open(encoding="utf-8") as stream:
        quartz, galena = csv.DictReader(stream)
    assert (galena["class"], galena["pixels"], galena["unit"], galena["at_edge"]) == (
        "galena",
        "2",
        "µm",
        "0",
    )
    assert (galena["orientation"], quartz["at_edge"]) == ("0", "1")
    with files[1].open(encoding="utf-8") as stream:
        assert next(csv.DictReader(stream))["beside"] == "galena"
    labels[:, 1] = 0
    assert write_grain_tables(tmp_path, label_map(labels))[-1].name == "liberation.csv"


@pytest.mark.parametrize("labels", [[[0]], [[1]], [[2]], [[RESIN]]])
def test_one_pixel(tmp_path, labels):
    write_grain_tables(tmp_path, label_map(labels))
    assert len(find_grains(label_map(labels))) == (labels == [[2]])
