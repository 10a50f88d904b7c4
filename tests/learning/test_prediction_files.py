"""Predictions in HDF5: the contract of their datasets, what viewers see, and files that are none."""

import h5py
import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled, FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.prediction.files import read_prediction, write_prediction
from napari_xrf.learning.prediction.prediction import Prediction

AXIS = EnergyAxis(0.02, 0.04, 16)
SHAPE = (4, 3)
OUTPUTS = ("probability", "intensity", "unknown", "code", "spectrum")


def prediction(task="elements", *, outputs=OUTPUTS, pixel_size=(20.0, 10.0), shape=SHAPE):
    names = ("Si", "Fe", "µ-phase")
    description = ModelDescription(
        name="mine",
        architecture="maxrf-cnn",
        task=task,
        names=names,
        axis=AXIS,
        outputs=("presence", "intensity"),
        classes=tuple(LabelClass(2 + index, name) for index, name in enumerate(names)),
        code_names=("a", "b"),
        training={"seed": 3},
    )
    generator = np.random.default_rng(4)
    sizes = {"probability": (3,), "intensity": (3,), "unknown": (), "code": (2,), "spectrum": (16,)}
    values = {
        name: generator.random((*shape, *size)).astype(np.float32) if name in outputs else None
        for name, size in sizes.items()
    }
    counts = generator.random(shape).astype(np.float32)
    return Prediction(description, counts, **values, notes=("a note",), pixel_size=pixel_size, source="rock")


def test_the_contract_of_the_datasets(tmp_path):
    made = prediction()
    write_prediction(tmp_path / "predictions.h5", made)
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert [name.decode() for name in file["names"][()]] == ["Si", "Fe", "µ-phase"]
        for name in ("probability", "intensity"):
            assert file[name].dtype == np.float32
            assert file[name].shape == (*SHAPE, 3)
            assert np.array_equal(file[name][()], getattr(made, name))


@pytest.mark.parametrize("outputs", [OUTPUTS, ("probability", "unknown"), ("intensity",), ("code",), ()])
@pytest.mark.parametrize("pixel_size", [(20.0, 10.0), None])
def test_a_prediction_survives_a_round_trip(tmp_path, outputs, pixel_size):
    made = prediction(outputs=outputs, pixel_size=pixel_size)
    write_prediction(tmp_path / "p.h5", made)
    again = read_prediction(tmp_path / "p.h5")
    for name in (*OUTPUTS, "counts"):
        before, after = getattr(made, name), getattr(again, name)
        assert (before is None) == (after is None)
        assert before is None or np.array_equal(before, after)
    for name in ("map_shape", "notes", "pixel_size", "source", "names"):
        assert getattr(again, name) == getattr(made, name)
    assert again.description.axis == AXIS
    assert again.description.training == {"seed": 3}


def test_a_viewer_finds_each_output_with_its_axes(tmp_path):
    write_prediction(tmp_path / "p.h5", prediction())
    with h5py.File(tmp_path / "p.h5") as file:
        entry = file[file.attrs["default"]]
        assert entry.attrs["NX_class"] == "NXentry"
        assert entry.attrs["default"] == "probability"
        for name in (*OUTPUTS, "counts"):
            group = entry[name]
            assert group.attrs["NX_class"] == "NXdata"
            # The same data, not a copy of them.
            assert group[group.attrs["signal"]] == file[name]
            axes = list(group.attrs["axes"])
            assert len(axes) == file[name].ndim
            for axis, length in zip(axes, file[name].shape, strict=True):
                assert axis == "." or group[axis].shape == (length,)
        assert np.allclose(entry["spectrum/energy"][()], AXIS.energies)
        assert np.allclose(entry["counts/y"][()], 20.0 * np.arange(4))


def test_denoised_spectra_open_as_a_map(tmp_path):
    made = prediction()
    made.spectrum[:] *= 1000
    write_prediction(tmp_path / "p.h5", made)
    cube = io.read(tmp_path / "p.h5")
    assert cube.energy.offset == pytest.approx(AXIS.offset)
    assert cube.energy.width == pytest.approx(AXIS.width)
    assert cube.pixel_size == (20.0, 10.0)
    assert np.abs(np.asarray(cube.counts) - made.spectrum).max() <= 1


def test_a_prediction_without_spectra_is_no_map(tmp_path):
    write_prediction(tmp_path / "p.h5", prediction(outputs=("probability", "intensity")))
    with pytest.raises(FileError, match=r"p\.h5"):
        io.read(tmp_path / "p.h5")
    assert not io.recognizes(tmp_path / "p.h5")


def test_an_empty_map_is_written(tmp_path):
    write_prediction(tmp_path / "p.h5", prediction(shape=(0, 3)))
    assert read_prediction(tmp_path / "p.h5").map_shape == (0, 3)


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="csv"):
        write_prediction(tmp_path / "p.csv", prediction())


def test_a_cancelled_writing_leaves_nothing(tmp_path):
    def stop(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        write_prediction(tmp_path / "p.h5", prediction(), progress=stop)
    assert list(tmp_path.iterdir()) == []


def damage(file, how):
    if how == "no mark":
        del file.attrs["napari_xrf"]
    elif how in ("counts", "model", "names"):
        del file[how]
    elif how == "shape":
        del file["probability"]
        file["probability"] = np.zeros((2, 2, 3), np.float32)
    elif how == "number of names":
        del file["probability"]
        file["probability"] = np.zeros((*SHAPE, 5), np.float32)
    elif how == "model is no JSON":
        del file["model"]
        file["model"] = "{"


@pytest.mark.parametrize(
    "how", ["no mark", "counts", "model", "shape", "number of names", "model is no JSON"]
)
def test_a_damaged_file_is_told(tmp_path, how):
    path = tmp_path / "p.h5"
    write_prediction(path, prediction())
    with h5py.File(path, "a") as file:
        damage(file, how)
    with pytest.raises(FileError, match=r"p\.h5"):
        read_prediction(path)


@pytest.mark.parametrize("content", [b"", b"no file of HDF5", b"\x89HDF\r\n\x1a\n and no more"])
def test_other_files_are_told(tmp_path, content):
    path = tmp_path / "p.h5"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"p\.h5"):
        read_prediction(path)
