"""Between nouns and napari layers, there and back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils._proxies import PublicOnlyProxy

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.plugin.layers.cubes import (
    PEAK_KEY,
    Turned,
    brightest_channel,
    cube_from,
    cube_layers,
    energy_first,
    energy_last,
    holds_cube,
)
from napari_xrf.plugin.layers.element_maps import element_map_layers, element_maps_from
from napari_xrf.plugin.layers.labels import label_layer, label_map_from, label_map_of_layer
from napari_xrf.plugin.layers.layer_data import kind_of, pixel_size_from
from two_phase_maps import two_phase_cube, two_phase_labels


class Packed:
    """Counts that are read by slicing only, as from a file."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, 3

    def __getitem__(self, key):
        return self.array[key]


def test_a_cube_is_shown_without_a_copy_energy_first():
    cube, iron = two_phase_cube()
    data, keywords, kind = cube_layers(cube)[-1]
    assert kind == "image"
    assert data.shape == (512, 24, 30)
    assert np.shares_memory(data, cube.counts)
    layer = Layer.create(data, keywords, kind)
    assert layer.axis_labels == ("energy (keV)", "y", "x")
    assert [str(unit) for unit in layer.units] == ["kiloelectron_volt", "micrometer", "micrometer"]
    assert np.allclose(layer.scale, (0.02, 10, 12.5))
    assert np.allclose(layer.translate, (-0.2, 0, 0))
    channel = int(cube.energy.channel(6.404))
    assert layer.world_to_data((6.404, 0, 0))[0] == pytest.approx(channel, abs=0.5)
    assert data[channel][iron].mean() > 10 * data[channel][~iron].mean()


def test_contrast_is_set_where_the_counts_are():
    cube, _ = two_phase_cube()
    keywords = cube_layers(cube)[-1][1]
    low, high = keywords["contrast_limits"]
    assert (keywords["metadata"][PEAK_KEY], high) == brightest_channel(cube)
    assert low == 0
    assert 30 < high <= cube.counts.max()  # a guess from first, middle and last channel would be about 1


@pytest.mark.parametrize(
    ("excitation", "scattered", "shown"),
    [
        (Excitation("monochromatic", 17.0), 16.06, 8.64),
        (Excitation("tube", 50.0, "Rh"), 19.0, 8.64),
        (Excitation(), 19.0, 8.64),  # hardly rhodium in the sample
        (Excitation("tube", 50.0, "Mo"), 20.2, 20.2),  # rhodium
        (Excitation("electron", 30.0), 19.0, 19.0),
    ],
)
def test_a_map_is_first_seen_at_an_elements_line(excitation, scattered, shown):
    axis = EnergyAxis(0.0, 0.02, 1200)

    def peak(energy, fwhm, counts):
        shape = np.exp(-0.5 * ((axis.energies - energy) / (fwhm / 2.355)) ** 2)
        return counts * shape / shape.sum()

    spectrum = peak(scattered, 0.3, 4e5) + peak(8.64, 0.2, 1e5) + peak(0.02, 0.1, 1e7) + 50
    counts = np.random.default_rng(0).poisson(spectrum, (4, 2, axis.size)).astype(np.uint32)
    channel, limit = brightest_channel(SpectralCube(counts, axis, "map", excitation=excitation))
    assert axis.energies[channel] == pytest.approx(shown, abs=0.1)
    assert limit == pytest.approx(np.percentile(counts[:, :, channel], 99.8))


def test_neither_a_continuum_nor_an_empty_map_has_a_line():
    axis = EnergyAxis(0.0, 0.02, 1000)
    hump = 900 * np.exp(-0.5 * ((axis.energies - 10) / 3) ** 2)
    hump[axis.window(3.6, 3.8)] += 300  # calcium, lower than the continuum
    cube = SpectralCube(np.broadcast_to(hump.astype(np.uint16), (3, 3, 1000)), axis, "map")
    assert axis.energies[brightest_channel(cube)[0]] == pytest.approx(3.7, abs=0.1)
    empty = SpectralCube(np.zeros((2, 2, 1000), np.uint8), axis, "map")
    assert brightest_channel(empty) == (500, 1.0)


def test_layers_of_one_file_agree_on_units():
    viewer = ViewerModel()
    cube, _ = two_phase_cube()
    maps = ElementMaps(
        ("Fe K",), np.ones((1, 24, 30), np.float32), np.ones((1, 24, 30), np.float32), "fit", (10, 12.5)
    )
    for data in [*cube_layers(cube), *element_map_layers(maps), label_layer(two_phase_labels())]:
        viewer.add_layer(Layer.create(*data))
    assert viewer.layers.units is not None
    assert len(viewer.layers) == 4


def test_images_lie_in_register():
    cube, _ = two_phase_cube()
    data, keywords, _ = cube_layers(cube)[0]
    layer = Layer.create(data, keywords, "image")
    assert np.allclose(layer.scale, (5, 5))
    assert np.allclose(layer.translate, (1, 2))


def test_a_map_without_pixel_size_is_in_pixels():
    cube, _ = two_phase_cube()
    flat = SpectralCube(cube.counts, cube.energy, "unsized")
    layer = Layer.create(*cube_layers(flat)[-1])
    assert str(layer.units[1]) == "pixel"
    assert cube_from(layer).pixel_size is None


@pytest.mark.parametrize(
    "key",
    [
        3,
        (3,),
        (slice(None), 2, 4),
        (3, slice(None), slice(1, 9)),
        (Ellipsis, 5),
        (slice(2, 7), Ellipsis),
        np.int64(4),
    ],
)
def test_a_lazy_view_slices_as_numpy_does(key):
    counts = np.arange(4 * 6 * 9).reshape(4, 6, 9)
    lazy = Turned(Packed(counts), (2, 0, 1))
    assert np.array_equal(lazy[key], np.moveaxis(counts, -1, 0)[key])
    assert np.array_equal(energy_last(energy_first(Packed(counts)))[1:3], counts[1:3])
    assert np.array_equal(np.asarray(lazy), np.moveaxis(counts, -1, 0))


def test_a_lazy_cube_is_read_slice_by_slice():
    cube, _ = two_phase_cube()
    lazy = SpectralCube(Packed(cube.counts), cube.energy, "lazy", cube.pixel_size)
    viewer = ViewerModel()
    layer = viewer.add_layer(Layer.create(*cube_layers(lazy)[-1]))
    viewer.dims.set_point(0, 6.404)
    channel = int(cube.energy.channel(6.404))
    assert np.array_equal(np.asarray(layer._slice.image.raw), cube.counts[:, :, channel])
    assert cube_from(layer) is lazy


def test_a_cube_layer_gives_its_cube_back_and_follows_new_data():
    cube, _ = two_phase_cube()
    layer = Layer.create(*cube_layers(cube)[-1])
    assert cube_from(layer) is cube
    layer.data = layer.data[:, :10, :]
    cropped = cube_from(layer)
    assert cropped.shape == (10, 30, 512)
    assert cropped.energy == cube.energy
    assert cropped.excitation == cube.excitation
    assert cube_from(layer) is cropped
    layer.data = layer.data * 2
    assert cube_from(layer).counts.max() == 2 * cropped.counts.max()
    assert cropped.pixel_size == pytest.approx(cube.pixel_size)


def test_a_layer_of_another_program_counts_by_its_units():
    data = np.ones((20, 4, 5), np.uint16)
    ours = Image(data, scale=(10, 0.5, 0.25), translate=(100, 0, 0), units=("eV", "mm", "mm"))
    assert holds_cube(ours)
    cube = cube_from(ours)
    assert cube.energy.width == pytest.approx(0.01)
    assert cube.energy.offset == pytest.approx(0.1)
    assert cube.pixel_size == pytest.approx((500, 250))
    assert cube_from(ours) is cube
    stack = Image(data)
    assert not holds_cube(stack)
    with pytest.raises(InvalidInput, match="no energy axis"):
        cube_from(stack)


def test_other_layers_hold_no_cube():
    assert not holds_cube(Image(np.ones((4, 4))))
    assert not holds_cube(Image(np.ones((4, 4, 3)), rgb=True))
    assert not holds_cube(Labels(np.ones((4, 4, 4), int)))


def test_element_maps_there_and_back():
    values = np.random.default_rng(0).random((3, 5, 7)).astype(np.float32)
    maps = ElementMaps(("Fe K", "Ca K", "Pb L"), values, values / 10, "window", (2.0, 3.0), "rock")
    layers = [Layer.create(*data) for data in element_map_layers(maps)]
    assert [layer.name for layer in layers] == ["Fe K", "Ca K", "Pb L"]
    layers[0].name = "iron"  # a new name of the layer does not change what it is
    back = element_maps_from([layer.as_layer_data_tuple() for layer in layers])
    assert back.families == maps.families
    assert np.array_equal(back.counts, maps.counts)
    assert np.array_equal(back.standard_errors, maps.standard_errors)
    assert (back.method, back.pixel_size, back.source) == ("window", (2.0, 3.0), "rock")


def test_other_images_are_no_element_maps():
    with pytest.raises(InvalidInput, match="is no element map"):
        element_maps_from([Image(np.ones((3, 3)), name="photo").as_layer_data_tuple()])
    with pytest.raises(InvalidInput, match="no element map is selected"):
        element_maps_from([])


def test_a_label_map_keeps_names_colours_and_size():
    labels = two_phase_labels()
    layer = Layer.create(*label_layer(labels))
    assert layer.name == "Minerals of two phases"
    assert "calcite" in layer.get_status((10.0, 300.0), world=True)["value"]
    assert np.allclose(layer.get_color(2), np.array([0xA0, 0x30, 0x10, 255]) / 255, atol=0.01)
    assert layer.get_color(0) is None or np.allclose(layer.get_color(0)[3], 0)
    back = label_map_of_layer(layer)
    assert back.classes == labels.classes
    assert np.array_equal(back.labels, labels.labels)
    assert np.array_equal(back.confidence, labels.confidence)
    assert (back.pixel_size, back.source) == (labels.pixel_size, labels.source)


def test_painting_does_not_change_the_label_map_behind():
    labels = two_phase_labels()
    layer = Layer.create(*label_layer(labels))
    layer.paint((10, 10), 3)
    layer.data_setitem((np.array([5]), np.array([5])), 7)
    assert (labels.labels[10, 10], labels.labels[5, 5]) == (2, 2)
    back = label_map_of_layer(layer)
    assert back.labels[10, 10] == 3
    assert back.confidence[10, 10] == 1
    assert back.confidence[20, 20] == labels.confidence[20, 20]
    assert back.class_named("label 7").label == 7


def test_the_kind_of_a_layer_is_told_as_a_dock_sees_it():
    class Own(Labels):
        pass

    labels = np.zeros((2, 2), dtype=np.uint8)
    for layer, kind in ((Image(labels), "image"), (Labels(labels), "labels"), (Own(labels), "labels")):
        assert kind_of(layer) == kind_of(PublicOnlyProxy(layer)) == kind
    assert kind_of(object()) == ""


def test_no_new_class_looks_like_another():
    labels = np.array([[1, 2]], dtype=np.uint8)
    known = (
        LabelClass(1, "calcite", "CaCO3", "#009e73", 2.7),
        LabelClass(2, "quartz", "SiO2", "#f0e442", 2.65),
    )
    layer = Layer.create(*label_layer(LabelMap(labels, known)))
    colors = [tuple(layer.get_color(label)) for label in range(1, 40)]
    assert len(set(colors)) == 39


def test_a_hand_drawn_layer_gets_names_and_its_colours():
    drawn = np.zeros((6, 6), int)
    drawn[:3] = 4
    drawn[4:] = 70_000
    layer = Labels(drawn, scale=(0.1, 0.1), units=("mm", "mm"))
    label_map = label_map_of_layer(layer)
    assert [(entry.label, entry.name) for entry in label_map.classes] == [
        (4, "label 4"),
        (70_000, "label 70000"),
    ]
    red, green, blue = (int(label_map.classes[0].color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    assert np.allclose(layer.get_color(4)[:3], (red, green, blue), atol=0.01)
    assert label_map.pixel_size == pytest.approx((100, 100))
    assert np.array_equal(label_map.labels, drawn)
    assert label_map.labels.dtype == np.uint32


def test_names_are_taken_from_a_users_own_features():
    layer = Labels(np.array([[1, 2]]), features=pd.DataFrame({"index": [1, 2], "Mineral": ["quartz", None]}))
    assert [entry.name for entry in label_map_of_layer(layer).classes] == ["quartz", "label 2"]


@pytest.mark.parametrize(
    ("data", "message"), [(np.ones((2, 3, 4), int), "3 dimensions"), (np.full((2, 2), -1), "negative labels")]
)
def test_what_cannot_be_a_label_map_says_why(data, message):
    with pytest.raises(InvalidInput, match=message):
        label_map_of_layer(Labels(data))


@pytest.mark.parametrize(
    ("scale", "units", "size"),
    [
        ((2, 3), ("um", "um"), (2, 3)),
        ((1, 1), ("pixel", "pixel"), None),
        ((2, 2), ("mm", "nm"), (2000, 0.002)),
    ],
)
def test_pixel_sizes_in_any_unit_of_length(scale, units, size):
    found = pixel_size_from({"scale": np.array(scale), "units": units})
    assert found == (None if size is None else pytest.approx(size))
    assert pixel_size_from({}) is None


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_label_map_survives_the_way_through_a_layer(data):
    numbers = sorted(data.draw(st.sets(st.integers(1, 300), min_size=1, max_size=6)))
    colors = st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}")
    names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)
    classes = tuple(
        LabelClass(
            number,
            data.draw(names.filter(lambda name: name.strip() == name and name.lower() != "nan")),
            data.draw(st.sampled_from(["", "SiO2"])),
            data.draw(colors),
            data.draw(st.sampled_from([None, 2.65])),
        )
        for number in numbers
    )
    picks = data.draw(st.lists(st.sampled_from([0, *numbers]), min_size=6, max_size=6))
    label_map = LabelMap(np.array(picks, np.uint16).reshape(2, 3), classes, None, (3.5, 2.0), "a map")
    layer_data, keywords, _ = Layer.create(*label_layer(label_map)).as_layer_data_tuple()
    back = label_map_from(layer_data, keywords)
    assert back.classes == classes
    assert np.array_equal(back.labels, label_map.labels)
    assert back.pixel_size == label_map.pixel_size
