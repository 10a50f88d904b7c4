from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import napari_xrf
from measured import measured_file
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube


def test_importing_io_is_light():
    heavy = ("h5py", "rsciio", "dask", "tifffile", "numba", "napari", "pandas", "torch", "qtpy")
    code = f"import sys, napari_xrf.io; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_package_offers_read_and_write(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("energy_keV,counts\n" + "\n".join(f"{0.01 * at},1" for at in range(20)))
    cube = napari_xrf.read(path)
    napari_xrf.write(tmp_path / "s.h5", cube)
    np.testing.assert_array_equal(io.read(tmp_path / "s.h5").counts, cube.counts)


@pytest.mark.parametrize(
    "name", ["a.bcf", "a.h5", "a.hspy", "a.rpl", "a.spx", "a.msa", "a.mca", "a.spe", "a.csv", "a.tif"]
)
def test_files_that_cannot_be_read(tmp_path, name):
    path = tmp_path / name
    for read in (io.read, io.read_labels, io.read_element_maps, io.read_spectrum, io.read_truth):
        with pytest.raises(FileError, match="does not exist"):
            read(path)
    path.write_bytes(b"")
    with pytest.raises(FileError, match="is empty"):
        io.read(path)
    path.write_bytes(b"\x00some binary \xff rubbish" * 50)
    for read in (io.read, io.read_labels, io.read_element_maps, io.read_spectrum, io.read_truth):
        with pytest.raises(FileError):
            read(path)
    assert not io.recognizes(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FileError, match="folder"):
        io.read(path)
    assert not io.recognizes(path)


@pytest.mark.parametrize(
    ("name", "told"),
    [("a.si", "Thermo.*rpl"), ("a.oipx", "AZtec.*h5oina"), ("a.csv.gz", "Unpack"), ("a.xlsx", "as .csv"),
     ("a.npy", "dataset=NAME")],
)  # fmt: skip
def test_files_of_other_programs_are_named(tmp_path, name, told):
    (tmp_path / name).write_bytes(b"\x00other")
    with pytest.raises(FileError, match=told):
        io.read(tmp_path / name)


def test_a_stack_of_images_is_named_as_what_it_can_be(tmp_path):
    path = tmp_path / "stack.tif"
    path.write_bytes(b"II*\0")
    with pytest.raises(FileError, match="are read as element maps"):
        io.read(path)


def test_names_that_are_no_files(tmp_path):
    for name in ("", "x" * 5000 + ".h5", "a\0b.h5"):
        with pytest.raises(FileError):
            io.read(name)
        assert not io.recognizes(name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(FileError, match="cannot be opened"):
        io.read(path)


def test_unknown_endings_list_the_known(tmp_path):
    path = tmp_path / "a.docx"
    path.write_text("x")
    with pytest.raises(FileError, match=r"'\.docx'.*\.bcf.*\.h5"):
        io.read(path)


def test_renamed_files_are_told_apart(tmp_path):
    path = tmp_path / "a.bcf"
    path.write_text("just text")
    with pytest.raises(FileError, match="Bruker"):
        io.read(path)


def test_endings_in_capitals(tmp_path):
    path = tmp_path / "S.CSV"
    path.write_text("energy_keV,counts\n" + "\n".join(f"{0.01 * at},1" for at in range(20)))
    assert io.recognizes(path)
    assert io.read(path).shape == (1, 1, 20)


def test_what_has_no_writer(tmp_path):
    with pytest.raises(InvalidInput, match="ndarray"):
        io.write(tmp_path / "a.h5", np.zeros(3))


def test_bcf_is_read_through_the_same_door():
    path = measured_file("bcf/4on3_full.bcf")
    assert io.recognizes(path)
    cube = io.read(path)
    np.testing.assert_array_equal(np.asarray(cube.counts[:, :, :]), io.read(path.with_suffix(".raw")).counts)
    with pytest.raises(InvalidInput, match="dataset"):
        io.read(path, dataset="/x")
    assert not io.recognizes(measured_file("bcf/Nope.bcf"))


def test_an_axis_that_a_user_gives_in_ev_is_no_axis_of_mev(tmp_path):
    path = tmp_path / "map.h5"
    io.write(path, SpectralCube(np.ones((2, 3, 64), dtype=np.uint16), EnergyAxis(0, 0.02, 64)))
    cube = io.read(path, energy=(-50, 10))
    assert cube.energy == EnergyAxis(-0.05, 0.01, 64)
    assert "makes sense in eV, not in keV" in cube.provenance.warnings[0]
    for wrong in ((0, 1), (0, -0.01), (0, float("nan")), (600, 0.01)):
        with pytest.raises(InvalidInput, match=r"Give \(offset, width\) in keV"):
            io.read(path, energy=wrong)
