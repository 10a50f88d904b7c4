from __future__ import annotations

import h5py
import numpy as np
import pytest

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
