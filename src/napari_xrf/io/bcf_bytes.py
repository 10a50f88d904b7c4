"""Bytes of a file inside a .bcf, read by position: scattered over chunks, or inflated from zlib blocks.

Files are read, not memory-mapped: a mapped file that shrinks or sits on a lost network drive kills the
process, a failed read is an error.
"""

from __future__ import annotations

import os
import struct
import tempfile
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.bcf_threads import in_threads

_DAMAGED = "Copy it again from the instrument or export it anew"
_BLOCK_HEADER = 16
_ZLIB_GREATEST_RATIO = 1032  # of deflate, so a block that claims more lies


class Bytes(Protocol):
    """Bytes that are read by position."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return the bytes from ``start`` to ``stop``."""
        ...


@dataclass(frozen=True)
class FileStamp:
    """A file as it was when it was opened; reads fail when it has changed since."""

    path: Path
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: str | Path) -> FileStamp:
        """Take a file's stamp.

        Raises
        ------
        FileError
            When there is no such file.
        """
        try:
            status = Path(path).stat()
        except OSError as error:
            raise FileError(path, f"cannot be opened ({error.strerror})") from error
        return cls(Path(path), status.st_size, status.st_mtime_ns)

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes of the file.

        Raises
        ------
        FileError
            When the file has changed or cannot be read.
        """
        buffer = bytearray(stop - start)
        self.read_into(start, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, start: int, target: memoryview) -> None:
        """Fill ``target`` with the bytes from ``start`` on; raises as :meth:`read` does."""
        try:
            with self.path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if (status.st_size, status.st_mtime_ns) != (self.size, self.modified_ns):
                    raise FileError(self.path, "was changed after it was opened", "Open it again")
                file.seek(start)
                done = 0
                while done < len(target):
                    got = file.readinto(target[done:])
                    if not got:
                        raise FileError(self.path, "is cut short", _DAMAGED)
                    done += got
        except OSError as error:
            raise FileError(self.path, f"cannot be read ({error.strerror})") from error


@dataclass(frozen=True, eq=False)
class ChunkedBytes:
    """Bytes in pieces of equal size; piece ``k`` starts at ``starts[k]`` in the file.

    Pieces that follow each other in the file at the distance ``stride`` are read in one go.
    """

    stamp: FileStamp
    starts: NDArray[np.int64]
    stride: int
    usable: int
    size: int

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return the bytes from ``start`` to ``stop``."""
        if not 0 <= start <= stop <= self.size:
            raise IndexError(f"bytes {start}:{stop} of {self.size}")
        out = np.empty(stop - start, dtype=np.uint8)
        done = 0
        while done < out.size:
            done += self._read_run(start + done, out[done:])
        return out

    def _read_run(self, at: int, out: NDArray[np.uint8]) -> int:
        first, within = divmod(at, self.usable)
        last = (at + out.size - 1) // self.usable
        jumps = np.flatnonzero(np.diff(self.starts[first : last + 1]) != self.stride)
        count = int(jumps[0]) + 1 if jumps.size else last - first + 1
        wanted = min(out.size, count * self.usable - within)
        place = int(self.starts[first]) + within
        if count == 1:
            self.stamp.read_into(place, out[:wanted].data)
            return wanted
        raw = np.empty(count * self.stride, dtype=np.uint8)
        end = within + wanted + (count - 1) * (self.stride - self.usable)
        self.stamp.read_into(place, raw[within:end].data)
        out[:wanted] = raw.reshape(count, self.stride)[:, : self.usable].reshape(-1)[within : within + wanted]
        return wanted


class ScratchBytes:
    """Bytes written once by position and read back: in memory, or in a scratch file above a limit."""

    def __init__(self, size: int, memory_limit: int) -> None:
        self.size = size
        self._array = np.empty(size if size <= memory_limit else 0, dtype=np.uint8)
        self._path: Path | None = None
        if size > memory_limit:
            descriptor, name = tempfile.mkstemp(prefix="napari-xrf-", suffix=".bytes")
            os.close(descriptor)
            self._path = Path(name)
            weakref.finalize(self, self._path.unlink, missing_ok=True)

    def write(self, at: int, data: bytes | NDArray[np.uint8]) -> None:
        """Store bytes at a position."""
        if self._path is None:
            self._array[at : at + len(data)] = np.frombuffer(data, dtype=np.uint8)
            return
        try:
            with self._path.open("r+b") as file:
                file.seek(at)
                file.write(memoryview(data))
        except OSError as error:
            raise FileError(self._path, f"scratch file cannot be written ({error.strerror})") from error

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return the bytes from ``start`` to ``stop``."""
        if not 0 <= start <= stop <= self.size:
            raise IndexError(f"bytes {start}:{stop} of {self.size}")
        if self._path is None:
            return self._array[start:stop]
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return np.fromfile(file, dtype=np.uint8, count=stop - start)
        except OSError as error:
            raise FileError(self._path, f"scratch file cannot be read ({error.strerror})") from error


def inflated(stored: ChunkedBytes, memory_limit: int, progress: Progress = ignore_progress) -> Bytes:
    """Return a contained file as it was before compression; one that is not compressed as it is.

    Parameters
    ----------
    stored
        The file in the container. One that begins with ``AACS`` is a row of zlib blocks.
    memory_limit
        Bytes up to which the result is held in memory rather than in a scratch file.
    progress
        Told after each block.

    Raises
    ------
    FileError
        When the blocks are damaged.
    """
    if stored.size < 0x80 or bytes(stored.read(0, 4)) != b"AACS":
        return stored
    blocks, size = _blocks(stored)
    whole = ScratchBytes(size, memory_limit)

    def inflate(block: tuple[int, int, int, int]) -> None:
        start, packed, at, length = block
        whole.write(at, _inflate(stored, start, packed, length))

    in_threads(inflate, blocks, progress, "inflating")
    return whole


def _blocks(stored: ChunkedBytes) -> tuple[list[tuple[int, int, int, int]], int]:
    """Return (start, packed size, position when inflated, inflated size) of each block, and the sum."""
    path = stored.stamp.path
    greatest, _, count = struct.unpack("<III", stored.read(4, 16).tobytes())
    blocks = []
    at, position = 0x80, 0
    for number in range(count):
        if at + _BLOCK_HEADER > stored.size:
            raise FileError(path, f"is damaged: compressed block {number} of {count} is missing", _DAMAGED)
        packed, length = struct.unpack("<II", stored.read(at, at + 8).tobytes())
        at += _BLOCK_HEADER
        if at + packed > stored.size or length > min(greatest, packed * _ZLIB_GREATEST_RATIO):
            raise FileError(path, f"is damaged: the size of compressed block {number} is wrong", _DAMAGED)
        blocks.append((at, packed, position, length))
        at += packed
        position += length
    if position == 0:
        raise FileError(path, "is damaged: its compressed blocks are empty", _DAMAGED)
    return blocks, position


def _inflate(stored: ChunkedBytes, start: int, packed: int, length: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(stored.read(start, start + packed).tobytes(), length + 1)
    except zlib.error as error:
        raise FileError(stored.stamp.path, f"is damaged: a compressed block cannot be inflated ({error})",
                        _DAMAGED) from error  # fmt: skip
    if len(data) != length or not unpacker.eof:
        raise FileError(stored.stamp.path, "is damaged: a compressed block has another size", _DAMAGED)
    return data
