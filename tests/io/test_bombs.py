"""Files that claim far more than they hold: an error before memory, disk or minutes are spent on them."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest

from bruker_files import header_xml, pack_map, write_bcf, write_container
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import XrfError
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io import formats
from napari_xrf.io.hdf5 import file as hdf5_file

MOST = 2**28  # bytes that a refusal may take


def read_map(path):
    return io.read(path, memory_budget=10**8)


def zeros(count: int) -> bytes:
    """Return so many zeros, deflated, without ever holding them."""
    packer = zlib.compressobj(9)
    block = bytes(2**22)
    parts = [packer.compress(block) for _ in range(count // 2**22)]
    return b"".join([*parts, packer.compress(bytes(count % 2**22)), packer.flush()])


def labels_h5(path, *, rows=60_000, names=1) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("labels")
        group.attrs["napari_xrf"] = "labels"
        stored = group.create_dataset(
            "labels", (rows, 60_000), "u1", chunks=(2000, 60_000), compression="gzip"
        )
        packed = zeros(2000 * 60_000)
        for row in range(0, rows, 2000):  # every chunk is there, and nearly nothing in it
            stored.id.write_direct_chunk((row, 0), packed)
        table = group.create_group("classes")
        for column in ("name", "formula", "color"):
            table.create_dataset(column, (names,), h5py.string_dtype(), chunks=True)
        table.create_dataset("label", (names,), "u8", chunks=True)
        table.create_dataset("density", (names,), "f8", chunks=True)


def classes_h5(path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("labels")
        group["labels"] = np.ones((3, 4), np.uint8)
        table = group.create_group("classes")
        for column in ("name", "formula", "color"):
            table.create_dataset(column, data=["a"], dtype=h5py.string_dtype())
        table.create_dataset("label", (10**8,), "u8", chunks=(10**6,), compression="gzip")
        table.create_dataset("density", (10**8,), "f8", chunks=(10**6,), compression="gzip")


def long_texts_h5(path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("labels")
        group["labels"] = np.ones((3, 4), np.uint8)
        table = group.create_group("classes")
        for column in ("name", "formula", "color"):
            table.create_dataset(column, (1,), "S2000000000", chunks=True, compression="gzip")
        table["label"], table["density"] = [1], [1.0]


def one_chunk_h5(path) -> None:
    with h5py.File(path, "w") as file:
        shape = (500, 500, 4096)
        file.create_dataset("xrfmap/detsum/counts", shape, "u2", chunks=shape, compression="gzip")


def nested_h5(path) -> None:
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(3000):
            group = group.create_group("g")
        group["counts"] = np.zeros((3, 4, 512), np.uint16)


def tiff(path, width, height, rows_per_strip, data: bytes, strips=1, compression=8) -> None:
    """Write a TIFF of one image whose strips all are the same bytes."""
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression),
               (262, 3, 1, 1), (273, 4, strips, 8), (277, 3, 1, 1), (278, 4, 1, rows_per_strip),
               (279, 4, strips, len(data))]  # fmt: skip
    at = 8 + len(data)
    if strips > 1:  # tables of places and sizes behind the data, all zero
        entries[5] = (273, 4, strips, at)
        entries[8] = (279, 4, strips, at)
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries)
    with path.open("wb") as handle:
        handle.write(struct.pack("<2sHI", b"II", 42, at + (4 * strips if strips > 1 else 0)) + data)
        handle.seek(4 * strips if strips > 1 else 0, 1)
        handle.write(directory + b"\0\0\0\0")


def labels_tif(path) -> None:
    tiff(path, 60_000, 60_000, 60_000, zeros(60_000**2 // 250) * 250)


def strips_tif(path) -> None:
    tiff(path, 1, 33_000_000, 1, b"\0", 33_000_000, 1)


def lying_strips_tif(path) -> None:
    tiff(path, 1, 33_000_000, 1, b"\0" * 100, 1, 1)


def header_bcf(path) -> None:
    counts = np.ones((3, 4, 64), dtype=int)
    write_bcf(path, counts)
    blocks = 900 * 2**20 // 2**22
    one = zlib.compress(b" " * 2**22, 9)
    packed = struct.pack("<4sIII", b"AACS", 2**22, 0, blocks).ljust(0x80, b"\0")
    packed += (struct.pack("<IIII", len(one), 2**22, 0, len(one) + 16) + one) * blocks
    payload = pack_map(counts, "zero-run", np.ones((3, 4), bool))
    write_container(path, packed, [payload])


def spectra_bcf(path) -> None:
    counts = np.ones((3, 4, 64), dtype=int)
    header = header_xml((3, 4), EnergyAxis(0.0, 0.01, 64), [counts.sum(axis=(0, 1))], pixel_size=(1.0, 1.0))
    blocks = 4000
    one = zlib.compress(bytes(2**22), 9)
    packed = struct.pack("<4sIII", b"AACS", 2**22, 0, blocks).ljust(0x80, b"\0")
    packed += (struct.pack("<IIII", len(one), 2**22, 0, len(one) + 16) + one) * blocks
    write_container(path, header, [np.frombuffer(packed, np.uint8)])


def mesh_h5(path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["creator"] = "Bliss"
        scan = file.create_group("1.1")
        scan["title"] = "amesh sy 0 1 99999999 sz 0 1 99999999 0.1"
        scan["measurement/fx_det0"] = np.ones((24, 1024), np.uint32)
        scan["instrument/fx_det0/data"] = np.ones((24, 1024), np.uint32)
        scan["instrument/fx_det0/type"] = "mca"


def rows_edf(path) -> None:
    head = b"{\nDataType = UnsignedLong ;\nDim_1 = 64 ;\nDim_2 = 4 ;\nMCA a = 0 ;\nMCA b = 0.01 ;\n}\n"
    path.write_bytes(head + bytes(4 * 64 * 4))


def maps_csv(path) -> None:
    path.write_text("y,x,y_um,x_um,Fe K,Fe K_se\n999999999,999999999,,,1,1\n")


BOMBS = {
    "labels.h5": (labels_h5, io.read_labels),
    "classes.h5": (classes_h5, io.read_labels),
    "texts.h5": (long_texts_h5, io.read_labels),
    "chunk.h5": (one_chunk_h5, read_map),
    "nested.h5": (nested_h5, read_map),
    "labels.tif": (labels_tif, io.read_labels),
    "strips.tif": (strips_tif, io.read_labels),
    "lies.tif": (lying_strips_tif, io.read_labels),
    "header.bcf": (header_bcf, read_map),
    "spectra.bcf": (spectra_bcf, read_map),
    "map_xia00_0001_0000_4000000000.edf": (rows_edf, read_map),
    "maps.csv": (maps_csv, io.read_element_maps),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_claims_too_much_is_refused_before_it_is_made(tmp_path, name):
    write, read = BOMBS[name]
    write(tmp_path / name)
    io.recognizes(tmp_path / name)
    tracemalloc.start()
    try:
        with pytest.raises(XrfError):
            read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def test_a_scan_command_of_endless_points_is_not_believed(tmp_path):
    mesh_h5(tmp_path / "mesh.h5")
    cube = io.read(tmp_path / "mesh.h5")
    assert cube.map_shape == (1, 24)
    assert "tells no map shape" in " ".join(cube.provenance.warnings)


def test_a_stopped_spec_mesh_takes_the_memory_of_its_points(tmp_path):
    spectrum = "@A " + " ".join("1" * 1024) + "\n1 1\n"
    (tmp_path / "a.mca").write_text("#S 1 mesh x 0 1 299 y 0 1 299 1\n#@CALIB 0 0.01 0\n" + spectrum * 100)
    cube = io.read(tmp_path / "a.mca")
    assert cube.shape == (300, 300, 1024)
    assert cube.counts.dtype.itemsize == 2
    (tmp_path / "a.mca").write_text("#S 1 mesh x 0 1 9999 y 0 1 9999 1\n#@CALIB 0 0.01 0\n" + spectrum * 100)
    assert io.read(tmp_path / "a.mca").shape == (1, 100, 1024)


def test_rows_longer_than_what_is_looked_at_are_left_alone(tmp_path, monkeypatch):
    counts = np.zeros((4, 6, 64), np.uint16)
    counts[0] = 1
    io.write(tmp_path / "a.h5", SpectralCube(counts, EnergyAxis(0.0, 0.01, 64)))
    assert "last 3 of 4 rows" in io.read(tmp_path / "a.h5").provenance.warnings[-1]
    monkeypatch.setattr(formats, "_LOOKED_AT", 2 * counts[0].nbytes)
    assert "last 2 of 4 rows" in io.read(tmp_path / "a.h5").provenance.warnings[-1]


@pytest.mark.parametrize(
    "path", ["xrfmap/det{}/counts", "1.1/measurement/det{}", "entry{}/measurement/xspress3/data"]
)
def test_detectors_and_scans_are_never_cut_to_a_number(tmp_path, monkeypatch, path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(5):
            shape = (3, 2, 256) if path.startswith("x") else (6, 256)
            file[path.format(number)] = np.ones(shape if "entry" not in path else (6, 1, 256), np.uint16)
    assert io.read(tmp_path / "a.h5").shape[2] == 256
    monkeypatch.setattr(hdf5_file, "MOST_CHILDREN", 4)
    with pytest.raises(XrfError, match=r"scans or detectors"):
        io.read(tmp_path / "a.h5")


def test_only_so_many_objects_of_an_unknown_layout_are_looked_at(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(9):
            file[f"a{number}"] = [1.0]
        file["b/c/data"] = np.ones((3, 4, 300), np.uint16)
        file["b/c"].attrs["signal"] = "data"
        file["b/c/energy"] = np.arange(300) * 0.01
        file["b/c/up"] = file["b"]  # back to where it came from
    assert io.read(tmp_path / "a.h5").shape == (3, 4, 300)
    monkeypatch.setattr(hdf5_file, "MOST_NODES", 8)
    with pytest.raises(XrfError, match=r"among the 8 objects nearest its root"):
        io.read(tmp_path / "a.h5")
    monkeypatch.setattr(hdf5_file, "_MOST_NAMES", 8)
    with pytest.raises(XrfError, match=r"holds 10 objects"):
        io.read(tmp_path / "a.h5")
