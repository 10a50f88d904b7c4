"""Opening and saving through napari's own functions, without a window."""

import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import h5py
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Shapes

from measured import measured_file
from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.plugin.commands import show_truth
from napari_xrf.plugin.layers.cubes import TRUTH_KEY, cube_from, cube_layers
from napari_xrf.plugin.layers.element_maps import element_map_layers
from napari_xrf.plugin.layers.labels import label_layer, label_map_of_layer
from napari_xrf.plugin.layers.regions import region_name
from napari_xrf.plugin.readers import get_reader, layer_name
from napari_xrf.plugin.writers import write_images
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.recipes import make_minerals
from two_phase_maps import two_phase_cube, two_phase_labels

PLUGIN = "napari-xrf"


def open_with_us(path):
    viewer = ViewerModel()
    viewer.open(path, plugin=PLUGIN)
    return viewer


def element_maps():
    values = np.random.default_rng(2).random((2, 8, 9)).astype(np.float32) * 100
    return ElementMaps(("Fe K", "Pb L"), values, np.sqrt(values), "fit", (10.0, 12.5), "two phases")


def test_a_warning_in_a_script_needs_no_application():
    code = (
        "import napari._qt.dialogs.qt_notification\n"
        "from napari_xrf.plugin.notices import warn\n"
        "warn('a.rpl: the file says no pixel size')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ending", [".labels.tif", ".labels.csv", ".h5"])
def test_a_saved_label_layer_opens_as_the_same_layer(tmp_path, ending):
    layer = Layer.create(*label_layer(two_phase_labels(), "my rock"))
    path = tmp_path / f"my rock{ending}"
    assert layer.save(str(path), plugin=PLUGIN) == [str(path)]
    (again,) = open_with_us(path).layers
    assert isinstance(again, Labels)
    assert again.name == "my rock"
    assert np.array_equal(again.data, layer.data)
    assert again.units == layer.units
    assert np.allclose(again.scale, layer.scale)
    assert np.allclose(again.colormap.color_dict[2], layer.colormap.color_dict[2])
    assert again.features["name"].tolist() == layer.features["name"].tolist()
    assert label_map_of_layer(again).classes == label_map_of_layer(layer).classes
    confidence = label_map_of_layer(again).confidence
    assert np.allclose(confidence, two_phase_labels().confidence, atol=1e-3)


@pytest.mark.parametrize("ending", [".labels.tif", ".labels.csv", ".h5"])
def test_a_hand_drawn_layer_is_saved_with_names_and_colours(tmp_path, ending):
    drawn = np.zeros((5, 7), np.int64)
    drawn[1:3] = 9
    layer = Labels(drawn, scale=(4, 4), units=("um", "um"))
    path = tmp_path / f"drawn{ending}"
    layer.save(str(path), plugin=PLUGIN)
    (again,) = open_with_us(path).layers
    assert np.array_equal(again.data, drawn)
    assert again.features["name"].tolist() == ["label 9"]
    assert np.allclose(again.get_color(9)[:3], layer.get_color(9)[:3], atol=0.01)
    assert np.allclose(again.scale, 4)


@pytest.mark.parametrize("ending", [".h5", ".maps.ome.tif", ".maps.csv"])
def test_saved_element_maps_open_as_the_same_layers(tmp_path, ending):
    viewer = ViewerModel()
    for data in element_map_layers(element_maps()):
        viewer.add_layer(Layer.create(*data))
    path = tmp_path / f"rock{ending}"
    assert viewer.layers.save(str(path), plugin=PLUGIN) == [str(path)]
    again = open_with_us(path)
    assert [layer.name for layer in again.layers] == ["Fe K", "Pb L"]
    for old, new in zip(viewer.layers, again.layers, strict=True):
        assert np.allclose(old.data, new.data, rtol=1e-5)
        assert np.allclose(old.scale, new.scale)
        assert old.units == new.units
        assert old.colormap.name == new.colormap.name
        assert np.allclose(old.contrast_limits, new.contrast_limits, rtol=1e-4)


def test_a_map_of_spectra_is_saved_and_opens_again(tmp_path):
    cube, _ = two_phase_cube()
    layer = Layer.create(*cube_layers(cube)[-1])
    path = tmp_path / "rock.h5"
    layer.save(str(path), plugin=PLUGIN)
    again = open_with_us(path).layers[-1]
    back = cube_from(again)
    assert np.array_equal(np.asarray(back.counts), cube.counts)
    assert (back.energy, back.pixel_size, back.excitation) == (cube.energy, cube.pixel_size, cube.excitation)


@pytest.fixture
def said(monkeypatch):
    messages = []
    monkeypatch.setattr("napari_xrf.plugin.writers.tell", messages.append)
    return messages


def test_a_map_of_spectra_is_saved_as_it_is_seen(tmp_path, said):
    cube, _ = two_phase_cube()
    cube = replace(cube, live_time=np.ones(cube.map_shape))
    layer = Layer.create(*cube_layers(cube)[-1])
    layer.metadata[TRUTH_KEY] = {"labels": np.zeros(cube.map_shape)}
    path = tmp_path / "rock.h5"
    layer.data = layer.data[:, 2:5, 1:4]
    layer.save(str(path), plugin=PLUGIN)
    back = io.read(path)
    assert np.array_equal(back.counts, cube.counts[2:5, 1:4])
    assert (back.energy, back.pixel_size, back.live_time) == (cube.energy, cube.pixel_size, None)
    assert said == ["Saved as the layer is now, without live times, images, the synthetic truth"]
    with pytest.raises(FileError, match="no truth"):
        io.read_truth(path)
    layer.data = layer.data * 2
    layer.scale = (layer.scale[0], 3.0, 4.0)
    layer.save(str(path), plugin=PLUGIN)
    back = io.read(path)
    assert np.array_equal(back.counts, 2 * cube.counts[2:5, 1:4])
    assert back.pixel_size == (3.0, 4.0)
    layer.data = layer.data - 100.0
    with pytest.raises(InvalidInput, match="negative"):
        write_images(str(tmp_path / "other.h5"), [layer.as_layer_data_tuple()])


def test_a_copy_of_a_map_keeps_what_is_known_of_it(tmp_path, said):
    cube, _ = two_phase_cube()
    layer = Layer.create(*deepcopy(cube_layers(replace(cube, live_time=np.ones(cube.map_shape)))[-1]))
    layer.save(str(tmp_path / "copy.h5"), plugin=PLUGIN)
    assert io.read(tmp_path / "copy.h5").live_time is not None
    assert said == []


def test_changed_element_maps_are_saved_without_their_errors(tmp_path, said):
    viewer = ViewerModel()
    for data in element_map_layers(element_maps()):
        viewer.add_layer(Layer.create(*data))
    viewer.layers[0].data = viewer.layers[0].data + 5
    viewer.layers.save(str(tmp_path / "rock.h5"), plugin=PLUGIN)
    back = io.read_element_maps(tmp_path / "rock.h5")
    assert np.isnan(back.standard_error("Fe K")).all()
    assert np.array_equal(back.standard_error("Pb L"), element_maps().standard_error("Pb L"))
    assert said == ["Saved without the standard errors of Fe K: these maps were changed"]


def test_element_maps_of_two_maps_are_not_saved_as_one(tmp_path):
    maps = element_maps()
    other = replace(maps.chosen(["Pb L"]), pixel_size=(20.0, 20.0))
    layers = [element_map_layers(one)[0] for one in (maps.chosen(["Fe K"]), other)]
    with pytest.raises(InvalidInput, match="different maps"):
        write_images(str(tmp_path / "rock.h5"), layers)


def test_napari_keeps_its_own_default_for_labels_and_images(tmp_path):
    labels = Layer.create(*label_layer(two_phase_labels()))
    assert labels.save(str(tmp_path / "plain.tif")) == [str(tmp_path / "plain.tif")]
    assert labels.save(str(tmp_path / "no_ending")) == [str(tmp_path / "no_ending.tif")]
    assert not io.is_label_file(tmp_path / "plain.tif")
    Image(np.ones((4, 4), np.float32)).save(str(tmp_path / "photo.tif"))
    assert (tmp_path / "photo.tif").exists()


def test_tables_and_pictures_of_others_are_not_ours(tmp_path):
    import npe2

    for name in ("photo.tif", "scan.TIF", "points.csv", "shapes.csv", "stack.raw", "notes.txt"):
        claims = npe2.PluginManager.instance().iter_compatible_readers(str(tmp_path / name))
        assert PLUGIN not in {reader.plugin_name for reader in claims}, name
    # A name like ours is looked into, and left alone when the content is not ours.
    path = tmp_path / "cell_labels.tif"
    Labels(np.ones((4, 4), np.uint8)).save(str(path))
    assert get_reader(str(path)) is None


def test_an_hdf5_file_that_is_no_map_is_left_to_others(tmp_path):
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        file["table"] = np.ones((5, 2))
    assert get_reader(str(path)) is None
    assert get_reader([str(path)]) is None
    with pytest.raises(ValueError, match="refused"):
        open_with_us(path)


def test_several_files_as_a_stack_are_refused(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.bcf", "b.bcf")]
    assert get_reader(paths) is None
    assert get_reader([]) is None
    assert get_reader(str(tmp_path / "missing.h5")) is None


@pytest.mark.parametrize("content", [b"", b"not a map", b"AAMVHFSS" + bytes(600)])
def test_a_damaged_bruker_file_is_a_clear_error(tmp_path, content):
    path = tmp_path / "broken.bcf"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"broken\.bcf"):
        open_with_us(path)


def test_true_labels_of_a_synthetic_map_come_along(tmp_path):
    cube, _ = two_phase_cube()
    path = tmp_path / "synthetic.h5"
    io.write_cube(path, cube, truth={"labels": two_phase_labels()})
    layers = open_with_us(path).layers
    assert [layer.name for layer in layers][-2:] == ["two phases", "True minerals"]
    assert not layers["True minerals"].visible


def test_a_measured_bruker_map_opens():
    layers = open_with_us(measured_file("bcf/P45_12bit_packed_8bit.bcf")).layers
    cube = cube_from(layers[-1])
    assert layers[-1].data.shape == (2048, 75, 100)
    assert int(cube.sum_spectrum().sum()) == 915_942
    assert np.allclose(layers[-1].scale[1:], 8.737, atol=1e-3)
    assert layers.units is not None
    assert len(layers) >= 3  # with its electron images


@pytest.mark.parametrize(
    "name",
    ["hdf5/GeoPIXE_ts2_10x20x4096.h5", "hdf5/SiO2_EDS_SI.hspy", "bcf/4on3_full.rpl", "hdf5/fluo_p1_pymca.h5"],
)
def test_measured_files_of_other_formats_open(name):
    assert len(open_with_us(measured_file(name)).layers) >= 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rock.labels.tif", "rock"),
        ("labels.tif", ""),
        ("rock.h5", "rock"),
        ("a.b.labels.csv", "a.b"),
        ("x.TIF", "x"),
    ],
)
def test_layers_are_named_after_their_files(tmp_path, name, expected):
    assert layer_name(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("rock", "rock.labels.tif"),
        ("rock.tif", "rock.labels.tif"),
        ("rock.TIFF", "rock.labels.tif"),
        ("rock.csv", "rock.labels.csv"),
        ("rock v1.2", "rock v1.2.labels.tif"),
        ("labels.tif", "labels.tif"),
        ("rock.H5", "rock.H5"),
        ("rock.labels.csv", "rock.labels.csv"),
    ],
)
def test_names_from_the_dialog_get_an_ending_that_opens_again(tmp_path, given, expected):
    from napari_xrf.plugin.writers import write_labels

    layer = Layer.create(*label_layer(two_phase_labels()))
    (written,) = write_labels(str(tmp_path / given), [layer.as_layer_data_tuple()])
    assert written == str(tmp_path / expected)
    (again,) = open_with_us(written).layers
    assert np.array_equal(again.data, layer.data)


def test_a_changed_name_replaces_no_file(tmp_path):
    from napari_xrf.plugin.writers import write_images, write_labels

    (tmp_path / "rock.labels.tif").write_text("precious")
    layer = Layer.create(*label_layer(two_phase_labels()))
    with pytest.raises(FileError, match="exists already"):
        write_labels(str(tmp_path / "rock"), [layer.as_layer_data_tuple()])
    assert (tmp_path / "rock.labels.tif").read_text() == "precious"
    maps = [Layer.create(*data).as_layer_data_tuple() for data in element_map_layers(element_maps())]
    assert write_images(str(tmp_path / "rock.ome.tif"), maps) == [str(tmp_path / "rock.maps.ome.tif")]


def test_the_truth_of_a_recipe_opens_as_label_and_element_layers(tmp_path):
    made = make_minerals(
        ["quartz", "pyrite"], seed=2, parameters=MapParameters(shape=(8, 9), counts_per_pixel=100.0)
    )
    path, again = tmp_path / "rock.h5", tmp_path / "again.h5"
    io.write_cube(path, made.cube, truth=made.truth)
    layers = open_with_us(path).layers
    assert isinstance(layers["True minerals"], Labels)
    assert [layer.name for layer in layers] == [made.cube.name, "True minerals"]
    assert layers[made.cube.name].save(str(again), plugin=PLUGIN) == [str(again)]
    assert np.array_equal(io.read_truth(again)["abundances"], made.truth["abundances"])
    viewer = open_with_us(path)
    show_truth(viewer)
    assert isinstance(viewer.layers["Fe K (true)"], Image)
    assert not any(layer.visible for layer in viewer.layers if layer.name != made.cube.name)


def test_regions_are_saved_and_open_as_the_same_layer(tmp_path):
    shapes = Shapes(
        [np.array([[1, 1], [1, 5], [4, 5], [4, 1]]), np.array([[2, 2], [6, 3], [5, 8]])],
        shape_type=["ellipse", "polygon"],
        edge_color=["#ff0000", "#00ff00"],
        features={"name": ["core", "rim"]},
        scale=(5.0, 2.5),
        units=("um", "um"),
        name="mine",
    )
    path = tmp_path / "mine.geojson"
    assert shapes.save(str(path), plugin=PLUGIN) == [str(path)]
    (again,) = open_with_us(path).layers
    assert isinstance(again, Shapes)
    assert again.name == "mine"
    assert again.shape_type == ["ellipse", "polygon"]
    assert all(np.allclose(old, new) for old, new in zip(shapes.data, again.data, strict=True))
    assert again.features["name"].tolist() == ["core", "rim"]
    assert np.allclose(again.edge_color, shapes.edge_color)
    assert np.allclose(again.scale, shapes.scale)
    assert again.units == shapes.units
    again.add_rectangles(np.array([[6, 6], [9, 9]]))
    assert region_name(again.name, again.features, 2) == "mine 3"
