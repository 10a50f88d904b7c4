"""Regions and outlines as GeoJSON."""

import json

import numpy as np
import pytest
import tifffile

from napari_xrf import io
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.io.own.region_files import OutlinedRegion, RegionSet, polygons_of, read_regions, write_regions
from two_phase_maps import two_phase_labels

BOX = np.array([[1.0, 2.0], [1.0, 6.0], [4.0, 6.0], [4.0, 2.0]])


def area(ring):
    x, y = np.array(ring, dtype=float).T
    return abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


@pytest.mark.parametrize("seed", range(4))
def test_outlines_enclose_exactly_the_pixels(seed):
    from matplotlib.path import Path

    mask = np.random.default_rng(seed).random((9, 11)) < 0.6
    polygons = polygons_of(mask)
    filled = sum(area(outer) - sum(map(area, holes)) for outer, *holes in polygons)
    assert filled == mask.sum()
    centres = np.argwhere(np.ones_like(mask))[:, ::-1] + 0.5
    inside = np.zeros(mask.size, dtype=bool)
    for outer, *holes in polygons:
        part = Path(outer).contains_points(centres)
        for hole in holes:
            part &= ~Path(hole).contains_points(centres)
        assert not (inside & part).any()
        inside |= part
    assert np.array_equal(inside.reshape(mask.shape), mask)
    assert all(ring[0] == ring[-1] and len(ring) > 4 for polygon in polygons for ring in polygon)


def test_regions_come_back_as_they_were_drawn(tmp_path):
    regions = RegionSet(
        (
            OutlinedRegion("core", "rectangle", BOX, "#ff8000"),
            OutlinedRegion("rim", "ellipse", BOX + 3, "#0080ff"),
            OutlinedRegion("scan", "line", BOX[:2]),
        ),
        (5.0, 2.5),
    )
    path = tmp_path / "mine.geojson"
    write_regions(path, regions)
    back = read_regions(path)
    assert back.pixel_size == (5.0, 2.5)
    for old, new in zip(regions.regions, back.regions, strict=True):
        assert (old.name, old.kind, old.color) == (new.name, new.kind, new.color)
        assert np.array_equal(old.vertices, new.vertices)
    first, second, third = json.loads(path.read_text())["features"]
    assert first["geometry"]["coordinates"][0][0] == [2.5, 1.5]  # x, y from the corner of the first pixel
    assert first["properties"]["classification"] == {"name": "core", "color": [255, 128, 0]}
    assert len(second["geometry"]["coordinates"][0]) > 40
    assert third["geometry"]["type"] == "LineString"


def test_annotations_of_qupath_are_regions(tmp_path):
    path = tmp_path / "qupath.geojson"
    square = [[[0, 0], [4, 0], [4, 3], [0, 3], [0, 0]]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": square}}
    named = {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}}
    path.write_text(json.dumps([feature | {"properties": named}]))
    (region,) = read_regions(path).regions
    assert (region.name, region.kind, region.color) == ("Tumor", "polygon", "#c80000")
    assert region.vertices.tolist() == [[-0.5, -0.5], [-0.5, 3.5], [2.5, 3.5], [2.5, -0.5]]


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"features": [{"geometry": {"type": "Circle", "coordinates": []}}]}', '{"features": [7]}',
     '{"features": [{"geometry": {"type": "Polygon", "coordinates": [[["a", 1], [0, 0]]]}}]}', "[" * 9000],
)  # fmt: skip
def test_what_holds_no_regions_is_told(tmp_path, text):
    (tmp_path / "x.geojson").write_text(text)
    with pytest.raises(FileError, match=r"holds no regions|is empty"):
        read_regions(tmp_path / "x.geojson")


def test_labels_have_outlines_in_pixels_and_in_micrometres(tmp_path):
    labels = two_phase_labels()
    io.write(tmp_path / "l.geojson", labels)
    io.write(tmp_path / "l.um.geojson", labels)
    pixels, um = (
        json.loads((tmp_path / name).read_text())["features"] for name in ("l.geojson", "l.um.geojson")
    )
    assert [one["properties"]["name"] for one in pixels] == [
        entry.name for entry in labels.classes if (labels.labels == entry.label).any()
    ]
    x, y = pixels[0]["geometry"]["coordinates"][0][0][1]
    dy, dx = labels.pixel_size
    assert um[0]["geometry"]["coordinates"][0][0][1] == [x * dx, -y * dy]
    with pytest.raises(InvalidInput, match="no µm"):
        io.write(tmp_path / "m.um.geojson", type(labels)(labels.labels, labels.classes))


def test_label_tiffs_lie_in_micrometres_for_gis(tmp_path):
    labels = two_phase_labels()
    io.write(tmp_path / "l.tif", labels)
    dy, dx = labels.pixel_size
    with tifffile.TiffFile(tmp_path / "l.tif") as tiff:
        tags = tiff.pages[0].tags
        assert tags["ModelPixelScaleTag"].value == (dx, dy, 0.0)
        assert tags["ModelTiepointTag"].value == (0.0,) * 6
    assert io.read_labels(tmp_path / "l.tif").pixel_size == labels.pixel_size
