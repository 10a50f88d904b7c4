import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.abundances import Abundances
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass

CLASSES = (LabelClass(1, "unknown"), LabelClass(2, "quartz"), LabelClass(3, "pyrite / marcasite"))


def abundances():
    values = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 5)).astype(np.float32)
    return Abundances(values, CLASSES, (10.0, 20.0), "map")


def test_abundances_come_back(tmp_path):
    io.write(tmp_path / "abundances.h5", abundances())
    again = io.read_abundances(tmp_path / "abundances.h5")
    assert np.array_equal(again.values, abundances().values)
    assert [entry.name for entry in again.classes] == [entry.name for entry in CLASSES]
    assert again.pixel_size == (10.0, 20.0)
    assert sum(again.shares().values()) == pytest.approx(1)


def test_other_files_and_shapes_are_refused(tmp_path):
    with pytest.raises(InvalidInput):
        io.write(tmp_path / "abundances.csv", abundances())
    with pytest.raises(InvalidInput):
        Abundances(np.zeros((2, 2, 2), np.float32), CLASSES)
    (tmp_path / "none.h5").write_bytes(b"no HDF5")
    with pytest.raises(FileError):
        io.read_abundances(tmp_path / "none.h5")
