from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_xrf.core import cores
from napari_xrf.io.hdf5 import chunks as hdf5_chunks
from napari_xrf.io.own.cube_files import FILTERS, compress, write_block


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<u4", "i4", "f4", "f8", "?"])
@pytest.mark.parametrize("shape", [(16, 16, 512), (5, 7, 40), (37, 18, 700), (1, 1, 1)])
def test_hdf5_reads_what_was_written_block_by_block(tmp_path, shape, dtype):
    values = np.random.default_rng(1).poisson(0.7, shape).astype(dtype)
    chunks = tuple(min(size, most) for size, most in zip(shape, (16, 16, 512), strict=True))
    with h5py.File(tmp_path / "file.h5", "w") as file:
        dataset = file.create_dataset("counts", shape, dtype=dtype, chunks=chunks, **FILTERS)
        for start in range(0, shape[0], 16):
            write_block(dataset, (start, 0, 0), values[start : start + 16])
    with h5py.File(tmp_path / "file.h5") as file:
        assert file["counts"].dtype == np.dtype(dtype)
        assert np.array_equal(file["counts"][()], values)


def test_a_chunk_is_no_larger_than_hdf5_makes_it(tmp_path):
    counts = np.random.default_rng(1).poisson(0.2, (16, 16, 512)).astype(np.uint16)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        dataset = file.create_dataset("counts", data=counts, chunks=counts.shape, **FILTERS)
        assert len(compress(counts, counts.shape)) <= dataset.id.get_storage_size()


def test_values_of_another_type_are_converted(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        dataset = file.create_dataset("counts", (2, 3, 4), dtype="u4", chunks=(2, 3, 4), **FILTERS)
        write_block(dataset, (0, 0, 0), np.arange(24, dtype=np.uint16).reshape(2, 3, 4))
        assert np.array_equal(dataset[()].ravel(), np.arange(24))


@pytest.fixture
def unpacked(monkeypatch):
    """Which chunks were unpacked beside HDF5, where there are two cores."""
    taken = []
    monkeypatch.setattr(cores, "core_count", lambda: 2)
    monkeypatch.setattr(hdf5_chunks, "core_count", lambda: 2)
    inflate = hdf5_chunks.zlib.decompressobj
    monkeypatch.setattr(hdf5_chunks.zlib, "decompressobj", lambda: taken.append(1) or inflate())
    return taken


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u4", "i8", "f8"])
def test_chunks_unpacked_side_by_side_hold_what_hdf5_reads(tmp_path, unpacked, dtype, shuffle):
    values = np.random.default_rng(1).poisson(3, (7, 9, 50)).astype(dtype)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        stored = file.create_dataset(
            "counts", data=values, chunks=(3, 4, 20), compression="gzip", shuffle=shuffle
        )
        for box in (
            (slice(None), slice(None), slice(None)),
            (slice(2, 7), slice(3, 8), slice(19, 41)),
            (4, slice(0, 9), slice(0, 50)),
        ):
            found = hdf5_chunks.box_of(stored, box)
            assert found.dtype == stored.dtype
            assert np.array_equal(found, values[box])
    assert len(unpacked) == 27 + 18 + 9


def test_what_cannot_be_unpacked_side_by_side_is_hdf5s_own(tmp_path, unpacked):
    values = np.arange(7 * 9 * 50, dtype=np.uint16).reshape(7, 9, 50)
    whole = (slice(None),) * 3
    with h5py.File(tmp_path / "file.h5", "w") as file:
        for name, how in {
            "plain": {},
            "lzf": {"compression": "lzf"},
            "checked": {"fletcher32": True},
        }.items():
            stored = file.create_dataset(name, data=values, chunks=(3, 4, 20), **how)
            assert np.array_equal(hdf5_chunks.box_of(stored, whole), values)
        assert not unpacked
        some = file.create_dataset(
            "some", values.shape, "u2", chunks=(3, 4, 20), compression="gzip", fillvalue=5
        )
        some[:3] = values[:3]
        assert np.array_equal(hdf5_chunks.box_of(some, whole), some[()])
        some.id.write_direct_chunk((0, 0, 0), b"no chunk at all")
        with pytest.raises(OSError, match="filter"):
            hdf5_chunks.box_of(some, whole)
