"""Boxes of HDF5 datasets, whose chunks are unpacked on all cores: HDF5 itself unpacks in one thread."""

import itertools
import zlib
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import core_count, in_threads

_SHUFFLE, _DEFLATE = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE
_FEWEST, _LARGEST = 4, 2**24  # chunks that are worth waking threads, and bytes of one that each may hold


def box_of(dataset: Any, box: Sequence[slice | int]) -> NDArray[Any]:
    """Return a box of a dataset, as slicing it with these integers and slices of step 1 does.

    What is not deflated, or cannot be read in this way, HDF5 reads, or says what is wrong with it.
    """
    spans = [(one, one + 1) if isinstance(one, int) else one.indices(size)[:2]
             for one, size in zip(box, dataset.shape, strict=True)]  # fmt: skip
    if core_count() > 1 and _is_deflated(dataset):
        places = list(_places(spans, dataset.chunks))
        if len(places) >= _FEWEST:
            try:
                whole = _unpacked(dataset, spans, places)
            except (OSError, RuntimeError, ValueError, KeyError, zlib.error):
                return np.asarray(dataset[tuple(box)])
            return whole[tuple(0 if isinstance(one, int) else slice(None) for one in box)]
    return np.asarray(dataset[tuple(box)])


def _is_deflated(dataset: Any) -> bool:
    """Tell whether the chunks of a dataset are deflated, and at most shuffled before."""
    if not isinstance(dataset, h5py.Dataset) or not dataset.chunks or dataset.is_virtual:
        return False
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    small = prod(dataset.chunks) * dataset.dtype.itemsize <= _LARGEST
    return small and dataset.dtype.kind in "uif" and filters in ([_DEFLATE], [_SHUFFLE, _DEFLATE])


def _places(spans: Sequence[tuple[int, int]], chunks: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield where the chunks begin that hold something of a box."""
    return itertools.product(
        *(range(low // size * size, high, size) for (low, high), size in zip(spans, chunks, strict=True))
    )


def _unpacked(
    dataset: Any, spans: Sequence[tuple[int, int]], places: Sequence[tuple[int, ...]]
) -> NDArray[Any]:
    chunks, kind = dataset.chunks, dataset.dtype
    size, shuffled = prod(chunks) * kind.itemsize, bool(dataset.shuffle)
    # Bytes of each number along the last axis: shuffled, those of a chunk stand one plane after another.
    whole = np.empty((*(high - low for low, high in spans), kind.itemsize), dtype=np.uint8)

    def unpack(one: tuple[tuple[int, ...], int, bytes]) -> None:
        at, skipped, stored = one
        unpacker = zlib.decompressobj()
        plain = np.frombuffer(unpacker.decompress(stored, size + 1), dtype=np.uint8)  # whatever it claims
        if skipped or not unpacker.eof:
            raise ValueError("a filter was left out, or the end is missing")
        planes = plain.reshape(kind.itemsize, *chunks) if shuffled else plain.reshape(*chunks, kind.itemsize)
        edges = [(max(low, start), min(high, start + length))
                 for (low, high), start, length in zip(spans, at, chunks, strict=True)]  # fmt: skip
        inside = tuple(slice(low - start, high - start) for (low, high), start in zip(edges, at, strict=True))
        target = whole[tuple(slice(low - first, high - first)
                             for (low, high), (first, _) in zip(edges, spans, strict=True))]  # fmt: skip
        if not shuffled:
            target[...] = planes[inside]
            return
        for byte in range(kind.itemsize):
            target[..., byte] = planes[byte][inside]

    def chunk_at(at: tuple[int, ...]) -> tuple[tuple[int, ...], int, bytes]:
        if dataset.id.get_chunk_info_by_coord(at).byte_offset is None:
            raise KeyError("never written: HDF5 knows what fills it")
        return at, *dataset.id.read_direct_chunk(at)

    stored = map(chunk_at, places)
    for _ in in_threads(unpack, stored):
        pass
    return np.asarray(whole.view(kind)[..., 0])
