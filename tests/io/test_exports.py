"""Files for other programs, opened by those programs where they are installed."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.io import atomic_write
from two_phase_maps import two_phase_labels


@pytest.fixture
def cube():
    counts = np.random.default_rng(1).poisson(2.0, (70, 67, 300)).astype(np.uint16)
    excitation = Excitation("electron", 20.0, instrument="SEM")
    times = np.full((70, 67), 0.25)
    return SpectralCube(counts, EnergyAxis(-0.1, 0.02, 300), "rock", (5.0, 2.5), times, excitation)


def decoded(folder):
    """Return the array of a Zarr folder, by the specification of version 2."""
    told = json.loads((folder / ".zarray").read_text())
    shape, chunks = told["shape"], told["chunks"]
    values = np.zeros(
        [-(-size // step) * step for size, step in zip(shape, chunks, strict=True)], told["dtype"]
    )
    for place in np.ndindex(*(-(-size // step) for size, step in zip(shape, chunks, strict=True))):
        part = zlib.decompress(folder.joinpath(*map(str, place)).read_bytes())
        at = tuple(slice(n * step, (n + 1) * step) for n, step in zip(place, chunks, strict=True))
        values[at] = np.frombuffer(part, told["dtype"]).reshape(chunks)
    return values[tuple(slice(size) for size in shape)]


def test_a_map_as_ome_zarr(tmp_path, cube):
    path = tmp_path / "rock.zarr"
    io.write(path, cube)
    assert np.array_equal(decoded(path / "0"), np.moveaxis(cube.counts, -1, 0))
    (image,) = json.loads((path / ".zattrs").read_text())["multiscales"]
    assert [axis.get("unit") for axis in image["axes"]] == ["keV", "micrometer", "micrometer"]
    scale, start = image["datasets"][0]["coordinateTransformations"]
    assert (scale["scale"], start["translation"]) == ([0.02, 5.0, 2.5], [-0.1, 0.0, 0.0])
    assert [one.name for one in tmp_path.iterdir()] == ["rock.zarr"]


def test_element_maps_and_labels_as_ome_zarr(tmp_path):
    stack = np.random.default_rng(0).random((2, 65, 70)).astype(np.float32)
    maps = ElementMaps(("Fe K", "Ca K"), stack, stack / 9, "fit", (5.0, 2.5))
    io.write(tmp_path / "maps.zarr", maps)
    io.write(tmp_path / "maps.zarr", maps)  # again, over it
    assert np.array_equal(decoded(tmp_path / "maps.zarr" / "0"), stack)
    assert np.array_equal(decoded(tmp_path / "maps.zarr" / "standard_errors" / "0"), stack / 9)
    told = json.loads((tmp_path / "maps.zarr" / ".zattrs").read_text())
    assert [channel["label"] for channel in told["omero"]["channels"]] == ["Fe K", "Ca K"]
    labels = two_phase_labels()
    io.write(tmp_path / "labels.zarr", labels)
    assert np.array_equal(decoded(tmp_path / "labels.zarr" / "0"), labels.labels)
    classes = json.loads((tmp_path / "labels.zarr" / ".zattrs").read_text())["image-label"]["properties"]
    assert [entry["name"] for entry in classes] == [entry.name for entry in labels.classes]


def test_only_a_zarr_is_replaced_by_one(tmp_path, cube):
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInput, match="no Zarr"):
        io.write(tmp_path / "mine.zarr", cube)
    assert [one.name for one in tmp_path.iterdir()] == ["mine.zarr"]


def test_truth_is_not_lost_in_other_formats(tmp_path, cube):
    for suffix in (".zarr", ".hspy"):
        with pytest.raises(InvalidInput, match="no truth"):
            io.write_cube(tmp_path / f"rock{suffix}", cube, truth={"seed": 1})


def test_hyperspy_opens_a_map(tmp_path, cube):
    io.write(tmp_path / "rock.hspy", cube)
    back = io.read(tmp_path / "rock.hspy")
    assert np.array_equal(back.counts, cube.counts)
    assert (back.energy, back.pixel_size) == (cube.energy, cube.pixel_size)
    hyperspy = pytest.importorskip("hyperspy.api")
    signal = hyperspy.load(tmp_path / "rock.hspy")
    assert np.array_equal(signal.data, cube.counts)
    assert signal.metadata.Acquisition_instrument.SEM.beam_energy == 20
    assert [axis.units for axis in signal.axes_manager.navigation_axes] == ["µm", "µm"]


def test_pymca_opens_our_own_file_with_its_calibration(tmp_path, cube):
    stacks = pytest.importorskip("PyMca5.PyMcaIO.HDF5Stack1D")
    io.write(tmp_path / "rock.h5", cube)
    stack = stacks.HDF5Stack1D([str(tmp_path / "rock.h5")], {"y": "/data/counts", "x": None, "m": None})
    assert np.array_equal(stack.data, cube.counts)
    assert stack.info["McaCalib"].tolist() == pytest.approx([-0.1, 0.02, 0.0])
    assert np.allclose(stack.info["McaLiveTime"], 0.25)


@pytest.mark.parametrize(
    ("excitation", "path", "value"),
    [
        (Excitation("tube", 50.0, "Rh"), "source/voltage", 50.0),
        (Excitation("monochromatic", 12.4), "monochromator/energy", 12.4),
    ],
)
def test_source_and_detector_stand_where_nexus_has_them(tmp_path, cube, excitation, path, value):
    io.write(tmp_path / "rock.h5", replace(cube, excitation=excitation))
    with h5py.File(tmp_path / "rock.h5") as file:
        instrument = file["map/instrument"]
        assert instrument[path][()] == value
        assert instrument["source/probe"].asstr()[()] == "x-ray"
        assert instrument["fluorescence/data"] == file["map/data/counts"]
    assert io.read(tmp_path / "rock.h5").excitation == excitation


def test_a_zarr_that_is_replaced_keeps_link_and_permissions_and_is_never_lost(tmp_path, cube):
    (tmp_path / "elsewhere").mkdir()
    path, real = tmp_path / "rock.zarr", tmp_path / "elsewhere" / "rock.zarr"
    path.symlink_to(real)
    io.write(path, cube)
    real.chmod(0o750)
    io.write(path, cube)
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o750
    assert [one.name for one in real.parent.iterdir()] == ["rock.zarr"]
    # Killed between the two renames, and while another was written.
    host = atomic_write._HOST
    real.rename(real.parent / f".napari-xrf~{host}~999999999~0123abcd~rock.zarr~old")
    (real.parent / f".napari-xrf~{host}~999999999~0123abce~rock.zarr").mkdir()
    atomic_write._swept.clear()
    atomic_write.sweep(real.parent)
    assert [one.name for one in real.parent.iterdir()] == ["rock.zarr"]
    assert (real / ".zgroup").is_file()
    with pytest.raises(FileError), atomic_write.replacing_folder(path, ".zgroup") as folder:
        folder.rmdir()  # the second rename fails
    assert [one.name for one in real.parent.iterdir()] == ["rock.zarr"]


def test_a_replaced_folder_whose_name_cannot_be_given_back_is_kept(tmp_path, cube, monkeypatch):
    path = tmp_path / "rock.zarr"
    io.write(path, cube)
    rename = Path.replace

    def refused(old, target):
        if Path(target) == path:
            raise PermissionError("the disk has become read-only")
        return rename(old, target)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(FileError, match="read-only"):
        io.write(path, cube)
    (kept,) = tmp_path.iterdir()
    assert (kept / ".zgroup").is_file()
