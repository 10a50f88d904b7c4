"""Arrays that live in memory or, when they are too large for it, in a scratch file.

Files are read and written by position, not memory-mapped: a mapped file that shrinks, or that finds its disk
full, kills the process, and its pages count as the process's memory. A failed read is an error.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_xrf.core.counts import Counts, indices_of
from napari_xrf.core.errors import XrfError

_AT_ONCE = 32 * 2**20  # bytes read to take a few channels from
SLAB = 128  # channels of a cube of spectra: an image of one is read without the others, and so is a spectrum
_ROOM = "Free some space, name a roomier folder in TMPDIR, or allow more memory (--memory)"


class ReadsBytes(Protocol):
    """A file that is read by position."""

    def read_into(self, at: int, target: memoryview) -> None:
        """Fill ``target`` with the bytes from ``at`` on; raises XrfError when they are not there."""
        ...


class ScratchFile:
    """Bytes in a file without a name, whose space is reserved; it is gone when nobody holds it any more.

    Raises XrfError when the disk has no room for as many bytes. Safe to use from several threads.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._lock = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(prefix="napari-xrf-", buffering=0)  # noqa: SIM115
            self._reserve()
        except OSError as error:
            folder = tempfile.gettempdir()
            raise XrfError(
                f"a scratch file of {size / 1e6:.0f} MB has no room in {folder} ({error.strerror})", _ROOM
            ) from error

    def write(self, at: int, data: Any) -> None:
        """Store bytes, or a contiguous array of them, at a position."""
        rest = memoryview(data).cast("B") if len(data) else memoryview(b"")
        try:
            with self._lock:
                self._file.seek(at)
                while rest:
                    rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise XrfError(f"the scratch file cannot be written ({error.strerror})", _ROOM) from error

    def read_into(self, at: int, target: memoryview) -> None:
        """Fill ``target`` with the bytes from ``at`` on."""
        try:
            with self._lock:
                self._file.seek(at)
                while target:
                    got = self._file.readinto(target)
                    if not got:
                        raise XrfError("the scratch file is cut short", "Read the map again")
                    target = target[got:]
        except OSError as error:
            raise XrfError(f"the scratch file cannot be read ({error.strerror})") from error

    def _reserve(self) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._file.fileno(), 0, self.size)
        elif shutil.disk_usage(tempfile.gettempdir()).free < self.size:
            raise OSError(28, "No space left on device")


@dataclass(frozen=True, eq=False)
class StoredCounts:
    """Counts (Y, X, E) that stand as plain numbers in a file, read by slicing.

    They stand in slabs of some channels each, (Y, X, channels): one slab of all is a file of spectra, slabs
    of one channel are a file of images.
    """

    source: ReadsBytes
    shape: tuple[int, int, int]  # (Y, X, E)
    stored_dtype: np.dtype[Any]
    slab: int  # channels of each slab but perhaps the last
    offset: int = 0  # where the first number stands, in bytes
    ndim: int = 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers as they are read: in this machine's byte order."""
        return self.stored_dtype.newbyteorder("=")

    def __getitem__(self, key: Any, /) -> Any:
        (rows, y), (columns, x), (channels, e) = indices_of(key, self.shape)
        out = np.empty((len(rows), len(columns), len(channels)), dtype=self.dtype)
        if out.size:
            low, high = min(columns), max(columns) + 1
            across = slice(None) if columns.step == 1 else np.asarray(columns) - low
            wanted = np.asarray(channels)
            for taken in np.split(np.arange(wanted.size), np.flatnonzero(np.diff(wanted // self.slab)) + 1):
                first = int(wanted[taken[0]]) // self.slab * self.slab
                width = min(self.slab, self.shape[2] - first)
                self._take(out, rows, (low, high), across, (first, width), (taken, wanted[taken] - first))
        return out[:, :, e][:, x][y]

    def __setitem__(self, key: Any, values: Any) -> None:
        """Store a box of counts, its steps 1."""
        (rows, _), (columns, _), (channels, _) = indices_of(key, self.shape)
        box = (len(rows), len(columns), len(channels))
        block = np.broadcast_to(np.asarray(values, dtype=self.stored_dtype), box)
        for first, width in self._slabs():
            low, high = max(channels.start, first), min(channels.stop, first + width)
            if low >= high:
                continue
            part = block[:, :, low - channels.start : high - channels.start]
            if high - low == width and len(columns) == self.shape[1]:
                self._write(self._place(rows.start, 0, first, width), part)
                continue
            for row, line in zip(rows, part, strict=True):
                if high - low == width:
                    self._write(self._place(row, columns.start, first, width), line)
                    continue
                for column, few in zip(columns, line, strict=True):
                    shift = (low - first) * self.stored_dtype.itemsize
                    self._write(self._place(row, column, first, width) + shift, few)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        # A file without a name cannot be opened elsewhere: its counts travel.
        if isinstance(self.source, ScratchFile):
            return np.asarray, (self[:],)
        return StoredCounts, (self.source, self.shape, self.stored_dtype, self.slab, self.offset)

    def _slabs(self) -> Iterator[tuple[int, int]]:
        """Yield each slab's first channel and how many it has."""
        for first in range(0, self.shape[2], self.slab):
            yield first, min(self.slab, self.shape[2] - first)

    def _place(self, row: int, column: int, first: int, width: int) -> int:
        """Return where a pixel's counts stand in a slab."""
        before = first * self.shape[0] * self.shape[1] + (row * self.shape[1] + column) * width
        return self.offset + before * self.stored_dtype.itemsize

    def _take(
        self,
        out: NDArray[Any],
        rows: range,
        span: tuple[int, int],
        across: Any,
        slab: tuple[int, int],
        channels: tuple[NDArray[np.intp], NDArray[Any]],
    ) -> None:
        """Fill ``out`` with what one slab holds of it: rows that follow each other are read together."""
        (low, high), (first, width) = span, slab
        size = (high - low) * width
        together = high - low == self.shape[1] and abs(rows.step) == 1
        step = max(1, _AT_ONCE // max(size * self.stored_dtype.itemsize, 1)) if together else 1
        taken, inner = channels
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            block = np.empty((len(some), high - low, width), dtype=self.stored_dtype)
            self.source.read_into(
                self._place(min(some), low, first, width), block.reshape(-1).view(np.uint8).data
            )
            ordered = block[::-1] if rows.step < 0 else block
            picked = ordered if len(inner) == width and inner[0] == 0 else ordered[:, :, inner]
            out[start : start + step, :, taken[0] : taken[-1] + 1] = picked[:, across]

    def _write(self, at: int, values: NDArray[Any]) -> None:
        self.source.write(at, np.ascontiguousarray(values).reshape(-1).view(np.uint8))  # type: ignore[attr-defined]


def scratch_array(
    shape: tuple[int, ...], dtype: DTypeLike, memory_budget: int, slab: int | None = None
) -> Any:
    """Return counts (Y, X, E) to be filled box by box: zeros in memory up to the budget in bytes, or on disk.

    ``slab`` is how many channels stand together on disk, for those that are filled channel by channel. The
    scratch file is gone when the counts are no longer used or the program ends, however it ends.

    Raises XrfError when the disk has no room for them.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= memory_budget:
        return np.zeros(shape, dtype=dtype)
    rows, columns, channels = shape
    return StoredCounts(ScratchFile(size), (rows, columns, channels), np.dtype(dtype), slab or channels)


def changed(values: Any, change: Callable[[NDArray[Any], slice], NDArray[Any]]) -> Any:
    """Return what a function makes of an array (Y, X, E), called with a block and its rows.

    The result has the array's shape and type; where the array lies on disk so does it, made band by band.
    """
    if isinstance(values, np.ndarray):
        return change(values, slice(0, len(values)))
    target = scratch_array(values.shape, values.dtype, 0)
    rows, columns, size = target.shape
    step = max(1, _AT_ONCE // max(columns * size * target.dtype.itemsize, 1))
    for start in range(0, rows, step):
        band = slice(start, min(start + step, rows))
        target[band] = change(values[band], band)
    return target


def filled(target: Any, counts: Counts, progress: Any, what: str, at_once: int = _AT_ONCE) -> Any:
    """Copy counts into a target of their shape, a band of rows at a time; return the target."""
    rows, columns, channels = target.shape
    step = max(1, at_once // max(columns * channels * target.dtype.itemsize, 1))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        target[start:stop] = np.asarray(counts[start:stop])
        progress(stop, rows, what)
    return target
