"""A picture laid on a map by points."""

import numpy as np
import pytest
from napari.layers import Layer

from two_phase_maps import two_phase_cube

pytestmark = pytest.mark.gui


@pytest.fixture
def cube():
    return two_phase_cube()[0]


def test_a_picture_is_laid_on_the_map_and_resampled(viewer, qtbot):
    from napari_xrf.plugin.docks.alignment import AlignmentDock

    target = viewer.layers[0]
    rows, columns = target.data.shape[-2:]
    # The map's left half, four times as fine and turned by a right angle.
    photograph = np.zeros((4 * columns, 4 * rows, 3), dtype=np.uint8)
    photograph[: 2 * columns] = 200
    picture = viewer.add_image(photograph, rgb=True, name="photograph")
    dock = AlignmentDock(viewer)
    assert picture.units == target.units[1:]  # before the first mark: napari warns of others at each layer
    assert [dock.picture.itemText(index) for index in range(dock.picture.count())] == ["photograph"]
    assert not dock.run.isEnabled()
    places = np.array([[2.0, 3.0], [20.0, 5.0], [4.0, 25.0], [15.0, 20.0]])
    turned = np.stack([4 * places[:, 1] + 1.5, 4 * (rows - 1 - places[:, 0]) + 1.5], axis=1)
    dock.mark_picture.click()
    viewer.layers.selection.active.add(turned)
    assert not target.visible
    dock.mark_map.click()
    viewer.layers.selection.active.add(places)
    assert list(viewer.layers.selection.active.features["number"]) == [1, 2, 3, 4]
    assert len(dock.table.rows()) == 4
    assert dock.table.horizontalHeaderItem(3).text() == "missed by, µm"
    dock.run.click()
    assert "missed by" in dock.said.text()
    assert picture.visible
    assert np.allclose(picture.data_to_world(turned[0]), target.data_to_world((0, *places[0]))[1:])
    assert picture.units == target.units[1:]
    dock.resample.click()
    made = viewer.layers["photograph on two phases"]
    assert made.data.shape == (rows, columns, 3)
    assert (made.data[3:-3, 2 : columns // 2 - 2] == 200).all()
    assert (made.data[3:-3, columns // 2 + 2 : -3] == 0).all()
    dock.undo.click()
    assert np.allclose(picture.affine.affine_matrix, np.eye(3))


def test_what_is_laid_on_a_map_is_copied_as_python(make_napari_viewer, qtbot, tmp_path):
    from PIL import Image

    from napari_xrf import io
    from napari_xrf.plugin.docks.alignment import AlignmentDock
    from napari_xrf.plugin.layers.cubes import cube_layers
    from napari_xrf.plugin.layers.script import script_of

    io.write(tmp_path / "map.h5", two_phase_cube()[0])
    drawn = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(drawn).save(tmp_path / "photograph.png")
    viewer = make_napari_viewer()
    viewer.add_layer(Layer.create(*cube_layers(io.read(tmp_path / "map.h5"))[-1]))
    (picture,) = viewer.open(tmp_path / "photograph.png", plugin="napari")
    dock = AlignmentDock(viewer)
    for mark, places in (
        (dock.mark_picture, [[5, 6], [50, 10], [30, 70]]),
        (dock.mark_map, [[2, 3], [20, 4], [11, 25]]),
    ):
        mark.click()
        viewer.layers.selection.active.add(np.array(places, dtype=float))
    dock.run.click()
    dock.resample.click()
    made = viewer.layers[f"{picture.name} on {viewer.layers[0].name}"]
    names: dict[str, object] = {}
    exec(script_of([made]), names)  # it is ours
    assert np.array_equal(names["picture"], made.data)
    assert len(np.unique(made.data)) > 50
    dock.undo.click()  # where the picture lies now, no points tell
    dock.resample.click()
    assert not script_of([viewer.layers[f"{made.name} [1]"]])


def test_a_picture_in_other_units_is_laid_there_in_the_map_s(make_napari_viewer, cube):
    from napari_xrf.plugin.docks.alignment import AlignmentDock
    from napari_xrf.plugin.layers.cubes import cube_layers

    viewer = make_napari_viewer()
    target = viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    drawn = np.random.default_rng(0).random((60, 80))
    # Twice as fine as the map, and of its size: it lies on it as it is, and in its place in nm.
    size = np.array(target.scale[-2:]) / 2
    picture = viewer.add_image(
        drawn, name="picture", scale=1e3 * size, translate=(1e3, 2e3), units=("nm", "nm"),
        affine=[[1, 0, 5e3], [0, 1, 6e3], [0, 0, 1]],
    )  # fmt: skip
    dock = AlignmentDock(viewer)
    dock.picture.choose(picture)
    assert str(picture.units[0]) == "nanometer"
    dock.mark_picture.click()
    assert picture.units[-2:] == target.units[-2:]
    assert np.allclose(picture.scale, size)
    assert np.allclose(picture.translate, (1, 2))
    assert np.allclose(np.asarray(picture.affine.affine_matrix)[:2, 2], (5, 6))
    viewer.layers.selection.active.add(np.array([[0, 0], [20, 10], [40, 44]], dtype=float))
    dock.mark_map.click()
    viewer.layers.selection.active.add(np.array([[0, 0], [10, 5], [20, 22]], dtype=float))
    dock.run.click()
    corner = np.asarray(picture.affine.affine_matrix) @ [1, 2, 1]
    assert np.allclose(corner[:2], target.translate[-2:])
    assert viewer.layers.extent.units is not None
    dock.close()
