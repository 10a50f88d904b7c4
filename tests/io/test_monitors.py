"""What a file holds for each pixel beside the spectra is read in the order of the map's pixels."""

import h5py
import numpy as np
import pytest

import hdf5_files
import napari_xrf as nx
from napari_xrf import io
from napari_xrf.core.errors import InvalidInput

I0 = np.array([[50.0, 60.0, 70.0, 80.0], [90.0, 100.0, 110.0, 120.0], [75.0, 85.0, 95.0, 105.0]])
SNAKE = np.stack([I0[0], I0[1, ::-1], I0[2]])
CASES = {
    "pyxrf": (
        "/xrfmap/scalers/val[i0]",
        {"xrfmap/scalers/val": np.stack([I0 * 0 + 1, I0], axis=-1), "xrfmap/scalers/name": [b"time", b"i0"]},
    ),
    "maps_v10": (
        "/MAPS/Scalers/Values[1]",
        {"MAPS/Scalers/Values": np.stack([I0 * 0 + 1, I0]), "MAPS/Scalers/more": [b"of other length"]},
    ),
    "gse": ("/xrmmap/scalars/I0", {"xrmmap/scalars/I0": I0}),  # whose last row was never measured
    "bliss_snake": ("/rock_0001_1.1/measurement/iodet", {"rock_0001_1.1/measurement/iodet": SNAKE.ravel()}),
    "nexus_x_first": ("/entry/monitor", {"entry/monitor": I0.T}),
}


@pytest.mark.parametrize("layout", CASES)
def test_the_beam_of_each_pixel(tmp_path, layout):
    name, written = CASES[layout]
    expected = getattr(hdf5_files, layout)(tmp_path / "map.h5")
    with h5py.File(tmp_path / "map.h5", "a") as file:
        for path, values in written.items():
            file[path] = values
    rows = expected.counts.shape[0]
    assert name in io.list_monitors(tmp_path / "map.h5")
    if "0" in name.rpartition("/")[2] or "mon" in name:
        assert io.list_monitors(tmp_path / "map.h5")[0] == name
    assert np.array_equal(io.read_monitor(tmp_path / "map.h5", name), I0[:rows])

    made = nx.prepare(tmp_path / "map.h5", f"equal-intensity:{name}")
    assert np.allclose(made.counts, expected.counts * (I0[:rows].mean() / I0[:rows])[:, :, None], rtol=1e-5)


def test_what_is_not_there_is_told_with_what_is(tmp_path):
    hdf5_files.bliss_snake(tmp_path / "map.h5")
    with pytest.raises(InvalidInput, match=r"nothing for each pixel at '/i0'.*measurement/sy"):
        io.read_monitor(tmp_path / "map.h5", "/i0")
    with pytest.raises(InvalidInput, match="before cropping"):
        nx.prepare(tmp_path / "map.h5", "bin-space:2,equal-intensity:/rock_0001_1.1/measurement/sy")


def test_pixels_without_beam_are_emptied_and_told(tmp_path):
    hdf5_files.gse(tmp_path / "map.h5")
    with h5py.File(tmp_path / "map.h5", "a") as file:
        file["i0"] = np.where(I0 == 60, 0, I0)
    made = nx.prepare(tmp_path / "map.h5", "equal-intensity:/i0")
    assert not made.counts[0, 1].any()
    assert any("1 pixels have no /i0" in warning for warning in made.provenance.warnings)
