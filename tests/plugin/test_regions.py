"""Regions: which pixels shapes cover, and their spectra."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Layer, Shapes
from skimage.draw import polygon2mask

from napari_xrf.core.colors import are_alike
from napari_xrf.core.cube_spectra import TILE, summarize
from napari_xrf.core.emission_lines import parse_elements
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.io.own.region_files import shape_mask
from napari_xrf.plugin.layers.colors import CURVE_COLORS, region_color
from napari_xrf.plugin.layers.cubes import cube_layers
from napari_xrf.plugin.layers.labels import label_layer
from napari_xrf.plugin.layers.layer_data import fit_view
from napari_xrf.plugin.layers.regions import (
    add_region_layer,
    pixel_under,
    region_name,
    region_outline,
)
from napari_xrf.plugin.plots.curves import ClassSums, draw_curves
from napari_xrf.plugin.plots.line_markers import marked_lines
from two_phase_maps import two_phase_cube

SHAPE = (24, 30)


def test_regions_are_filled_as_scikit_image_fills_them():
    generator = np.random.default_rng(0)
    for step in (0.5, 1.0, 1e-9):  # corners and edges on pixels, and none
        for number in (2, 3, 5, 40):
            corners = np.round(generator.uniform(-5, 75, (number, 2)) / step) * step
            # In the box, and whole: what is less than a pixel covers the one that it lies in.
            expected = polygon2mask((64, 70), corners)
            assert np.array_equal(shape_mask(corners, "polygon", (64, 70)), expected) or not expected.any()


@pytest.mark.parametrize("kind", ["rectangle", "polygon"])
def test_masks_are_those_of_napari(kind):
    corners = np.array([[2.3, 4.1], [2.3, 19.8], [17.2, 19.8], [17.2, 4.1]])
    layer = Shapes([corners], shape_type=kind)
    assert np.array_equal(shape_mask(corners, kind, SHAPE), layer.to_masks(mask_shape=SHAPE)[0])


def test_an_ellipse_is_napari_s_but_for_its_edge():
    corners = np.array([[2, 4], [2, 24], [18, 24], [18, 4]], float)
    ours = shape_mask(corners, "ellipse", SHAPE)
    theirs = Shapes([corners], shape_type="ellipse").to_masks(mask_shape=SHAPE)[0]
    assert (ours != theirs).sum() <= 12  # theirs is a polygon of other corners
    assert ours.sum() == pytest.approx(np.pi * 8 * 10, rel=0.05)


def test_lines_cover_what_they_pass():
    mask = shape_mask(np.array([[0, 0], [5, 5], [5, 9]]), "path", SHAPE)
    assert mask[3, 3]
    assert mask[5, 7]
    assert mask.sum() == 10


def test_shapes_outside_cover_nothing_and_tiny_ones_a_pixel():
    far = np.array([[100, 100], [100, 110], [110, 110]])
    assert not shape_mask(far, "polygon", SHAPE).any()
    tiny = np.array([[3.2, 4.2], [3.2, 4.3], [3.3, 4.3]])
    assert np.argwhere(shape_mask(tiny, "polygon", SHAPE)).tolist() == [[3, 4]]
    beyond = np.array([[-50, -50], [-50, 90], [90, 90], [90, -50]])
    assert shape_mask(beyond, "rectangle", SHAPE).all()


def test_a_region_lies_in_register_whatever_its_layers_scale():
    cube, iron = two_phase_cube()
    map_layer = Layer.create(*cube_layers(cube)[-1])
    in_um = np.array([[-5, -6.25], [-5, 181.24], [235, 181.24], [235, -6.25]])  # the left half, in µm
    unscaled = Shapes([in_um], shape_type="rectangle")
    scaled = Shapes([in_um / (2, 4) - 3], shape_type="rectangle", scale=(2, 4), translate=(6, 12))
    in_three = Shapes([np.insert(in_um, 0, 7, axis=1)], shape_type="rectangle")
    for layer in (unscaled, scaled, in_three):
        outline = region_outline(layer, 0, map_layer)
        assert np.array_equal(shape_mask(outline, "rectangle", cube.map_shape), iron)


def test_the_pixel_under_the_cursor():
    cube, _ = two_phase_cube()
    layer = Layer.create(*cube_layers(cube)[-1])
    viewer = ViewerModel()
    viewer.add_layer(layer)
    assert pixel_under(viewer, (6.4, 21.0, 37.0), layer, cube.map_shape) == (2, 3)
    assert pixel_under(viewer, (6.4, -21.0, 37.0), layer, cube.map_shape) is None
    viewer.add_image(np.zeros((9, 9)), units=("nm", "nm"))  # the units of the viewer's world, from now on
    assert pixel_under(viewer, (6.4, 21e3, 37e3), layer, cube.map_shape) == (2, 3)


def test_regions_in_other_units_lie_where_they_are_seen():
    cube, _ = two_phase_cube()
    viewer = ViewerModel()
    layer = viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    size = np.array(layer.scale[-2:]) / 1000
    drawn = Shapes([[[1, 2], [5, 9]]], shape_type="line", scale=size, units=("mm", "mm"))
    assert np.allclose(region_outline(drawn, 0, layer), [[1, 2], [5, 9]])
    fit_view(viewer, [layer])
    seen = viewer.scene.camera.center, viewer.scene.camera.zoom
    viewer.add_image(np.zeros((9, 9)), units=("nm", "nm"), visible=False)
    fit_view(viewer, [layer])
    assert np.allclose(viewer.scene.camera.center, 1000 * np.array(seen[0]))
    assert np.isclose(viewer.scene.camera.zoom, seen[1] / 1000)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 25), st.integers(1, 25)),
    dtype=st.sampled_from([np.uint8, np.uint16, np.uint32]),
    seed=st.integers(0, 9999),
    share=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
)
def test_tile_sums_are_exact(shape, dtype, seed, share):
    from napari_xrf.core.energy_axis import EnergyAxis
    from napari_xrf.core.spectral_cube import SpectralCube

    generator = np.random.default_rng(seed)
    counts = generator.integers(0, np.iinfo(dtype).max, (*shape, 3), dtype=dtype, endpoint=True)
    mask = generator.random(shape) < share
    mask[: TILE + 1, : TILE + 1] |= share > 0
    summary = summarize(SpectralCube(counts, EnergyAxis(0, 1, 3)))
    assert np.array_equal(summary.of_region(mask), counts[mask].sum(axis=0, dtype=np.uint64))
    assert np.array_equal(summary.total, counts.sum(axis=(0, 1), dtype=np.uint64))
    assert np.array_equal(summary.highest, counts.max(axis=(0, 1)))


def test_new_regions_get_colours_of_their_own():
    viewer = ViewerModel()
    cube, _ = two_phase_cube()
    map_layer = viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    layer = add_region_layer(viewer, map_layer)
    assert layer.ndim == 2
    assert np.allclose(layer.scale, map_layer.scale[1:])
    assert viewer.layers.units is not None
    for offset in range(4):
        layer.add_rectangles(np.array([[0, offset], [5, offset + 3]]))
    colors = [region_color(layer, index) for index in range(4)]
    assert len(set(colors)) == 4
    layer.selected_data = {1}
    layer.remove_selected()
    layer.add_rectangles(np.array([[9, 9], [12, 12]]))
    again = [region_color(layer, index) for index in range(4)]
    assert again[:3] == [colors[0], colors[2], colors[3]]
    assert len(set(again)) == 4
    assert region_name(layer.name, layer.features, 0) == "Region 1"


def test_a_region_has_no_colour_of_a_class_and_no_other_curve():
    viewer = ViewerModel()
    cube, _ = two_phase_cube()
    map_layer = viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    labels = np.ones(cube.map_shape, dtype=np.uint8)
    classes = (LabelClass(1, "plagioclase", color="#6fb7e9"), LabelClass(2, "gold", color="#ffd700"))
    viewer.add_layer(Layer.create(*label_layer(LabelMap(labels, classes))))
    layer = add_region_layer(viewer, map_layer)
    for offset in range(12):  # more than there are of the first choice
        layer.add_rectangles(np.array([[0, offset], [5, offset + 3]]))
    colors = [region_color(layer, index) for index in range(12)]
    drawn = [*colors, *(entry.color for entry in classes), *CURVE_COLORS]
    assert not any(are_alike(one, other) for one, other in combinations(drawn, 2))


def test_curves_of_one_colour_are_told_apart_by_their_lines():
    cube, _ = two_phase_cube()
    labels = np.ones(cube.map_shape, dtype=np.uint8)
    labels[:, 3:] = 2
    labels[:, 9:] = 3
    colors = ("#6fb7e9", "#6fb8e9", "#ffd700")
    classes = tuple(LabelClass(at, f"class {at}", color=color) for at, color in enumerate(colors, 1))
    sums = {at: cube.counts[labels == at].sum(axis=0) for at in (1, 2, 3)}
    curves = draw_curves(summarize(cube), classes=ClassSums(LabelMap(labels, classes), sums))
    dotted = {curve.name: curve.dotted for curve in curves}
    assert dotted["class 1"] != dotted["class 2"]
    assert not dotted["class 3"]
    assert not dotted["Mean"]


def test_elements_are_read_from_text():
    assert parse_elements("fe, Ca; pb l, K") == ("Fe", "Ca", "Pb L", "K")
    assert parse_elements("Fe Ca Fe") == ("Fe", "Ca")
    assert parse_elements("FeK, Fe-Ka; Pb Lα, CL, pb la") == ("Fe K", "Pb L", "Cl", "Pb", "La")
    assert parse_elements(" ,; ") == ()
    with pytest.raises(InvalidInput, match="no element"):
        parse_elements("Fe, Xx")


def test_marked_lines_are_those_of_the_family():
    assert {line.shell for line in marked_lines("Pb L")} == {"L"}
    assert "Kα1" in [line.siegbahn for line in marked_lines("Fe")]
    assert all(line.energy > 0.5 for line in marked_lines("Pb L"))
