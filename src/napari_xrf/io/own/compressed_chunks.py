"""Chunks of an HDF5 dataset compressed in several threads, as HDF5's own shuffle and gzip filters would.

HDF5 runs its filters in one thread under one lock. Here the chunks of a block are shuffled and compressed
side by side and handed over as they are to be stored, so that any program with the standard filters reads
them.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILTERS: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
_WINDOW_BITS, _MEMORY = 15, 9  # zlib's largest


def write_block(dataset: Any, start: tuple[int, ...], block: NDArray[Any], threads: Executor) -> None:
    """Write a block of values that begins at ``start``, whole chunks but for those at the dataset's end.

    Parameters
    ----------
    dataset
        An open h5py dataset, chunked, created with :data:`FILTERS`.
    start
        Multiples of the chunk's shape.
    block
        Values of the dataset's type.
    threads
        Compress the chunks.
    """
    values, chunks = np.asarray(block, dtype=dataset.dtype), dataset.chunks
    places = list(_places(values.shape, chunks))
    parts = (
        values[tuple(slice(low, low + size) for low, size in zip(at, chunks, strict=True))] for at in places
    )
    # HDF5 itself is left to this thread.
    for at, data in zip(places, threads.map(lambda part: compress(part, chunks), parts), strict=True):
        dataset.id.write_direct_chunk(tuple(map(sum, zip(start, at, strict=True))), data)


def compress(values: NDArray[Any], shape: tuple[int, ...]) -> bytes:
    """Return what HDF5 stores for a chunk: values, padded with zeros to its shape, shuffled, deflated.

    Counts are mostly small, so that their upper bytes are runs of zeros: run lengths alone are found faster
    than all repetitions, and take less space in the end.
    """
    padded = values
    if values.shape != shape:
        padded = np.zeros(shape, dtype=values.dtype)
        padded[tuple(slice(size) for size in values.shape)] = values
    strategy = zlib.Z_RLE if values.dtype.kind in "biu" else zlib.Z_DEFAULT_STRATEGY
    stream = zlib.compressobj(FILTERS["compression_opts"], zlib.DEFLATED, _WINDOW_BITS, _MEMORY, strategy)
    raw = np.ascontiguousarray(padded).reshape(-1).view(np.uint8)
    shuffled = np.ascontiguousarray(raw.reshape(-1, values.dtype.itemsize).T)
    return stream.compress(shuffled.data) + stream.flush()


def _places(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(0, size, chunk) for size, chunk in zip(shape, chunks, strict=True)))
