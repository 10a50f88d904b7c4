"""Bytes of a file inside a .bcf, read by position: scattered over chunks, or inflated from zlib blocks.

Files are read, not memory-mapped: a mapped file that shrinks or sits on a lost network drive kills the
process, a failed read is an error.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import do_in_threads
from napari_xrf.core.errors import FileError
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import ScratchFile

_BLOCK_HEADER = 16
_LARGE, _USUAL_RATIO = 2**26, 2**8  # bytes, and what they claim at most to be, of maps and mosaics
_ZLIB_GREATEST_RATIO = 1032  # of deflate, so a block that claims more lies


def damaged(path: Path, what: str) -> FileError:
    """Return the error that tells of damage and what to do."""
    return FileError(path, f"is damaged: {what}", "Copy it again from the instrument or export it anew")


@dataclass(frozen=True)
class FileStamp:
    """A file as it was when it was opened; reads fail when it has changed since."""

    path: Path
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: str | Path) -> FileStamp:
        """Take a file's stamp; raises FileError when there is no such file."""
        try:
            status = Path(path).stat()
        except OSError as error:
            raise FileError(path, f"cannot be opened ({error.strerror})") from error
        return cls(Path(path), status.st_size, status.st_mtime_ns)

    @contextmanager
    def opened(self) -> Iterator[io.FileIO]:
        """Open the file for a few reads.

        Raises FileError when the file has changed since, or cannot be read.
        """
        try:
            with self.path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if (status.st_size, status.st_mtime_ns) != (self.size, self.modified_ns):
                    raise FileError(self.path, "was changed after it was opened", "Open it again")
                yield file
        except OSError as error:
            raise FileError(self.path, f"cannot be read ({error.strerror})") from error

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes of the file; raises as :meth:`opened` does."""
        buffer = bytearray(stop - start)
        with self.opened() as file:
            self.read_into(file, start, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, file: io.FileIO, start: int, target: memoryview) -> None:
        """Fill ``target`` with the bytes from ``start`` on."""
        file.seek(start)
        done = 0
        while done < len(target):
            got = file.readinto(target[done:])
            if not got:
                raise damaged(self.path, "it is cut short")
            done += got


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

    @cached_property
    def run_ends(self) -> NDArray[np.int64]:
        """For each piece, the number of the last piece that can be read in one go with it."""
        breaks = np.flatnonzero(np.diff(self.starts) != self.stride)
        ends = np.append(breaks, self.starts.size - 1)
        return ends[np.searchsorted(ends, np.arange(self.starts.size))]

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return the bytes from ``start`` to ``stop``."""
        return self.read_spans([start], [stop])

    def read_spans(self, starts: list[int], stops: list[int]) -> NDArray[np.uint8]:
        """Return the bytes of several spans, one after the other."""
        out = np.empty(sum(stops) - sum(starts), dtype=np.uint8)
        place = 0
        with self.stamp.opened() as file:
            for start, stop in zip(starts, stops, strict=True):
                if not 0 <= start <= stop <= self.size:
                    raise IndexError(f"bytes {start}:{stop} of {self.size}")
                while start < stop:
                    done = self._read_run(file, start, out[place : place + stop - start])
                    start += done
                    place += done
        return out

    def _read_run(self, file: io.FileIO, at: int, out: NDArray[np.uint8]) -> int:
        """Read as far as pieces follow each other in the file; return how many bytes that were."""
        first, within = divmod(at, self.usable)
        last = (at + out.size - 1) // self.usable
        place = int(self.starts[first]) + within
        if first == last:
            self.stamp.read_into(file, place, out.data)
            return out.size
        last = min(last, int(self.run_ends[first]))
        head = self.usable - within
        wanted = min(out.size, (last - first) * self.usable + head)
        if first == last:
            self.stamp.read_into(file, place, out[:head].data)
            return head
        gap = self.stride - self.usable
        raw = np.empty(wanted + (last - first + 1) * gap, dtype=np.uint8)
        self.stamp.read_into(file, place, raw[: raw.size - gap].data)
        out[:head] = raw[:head]
        whole, tail = divmod(wanted - head, self.usable)
        body = raw[head + gap :]
        middle = out[head : head + whole * self.usable].reshape(whole, self.usable)
        middle[:] = body[: whole * self.stride].reshape(whole, self.stride)[:, : self.usable]
        out[wanted - tail : wanted] = body[whole * self.stride : whole * self.stride + tail]
        return wanted


class ScratchBytes:
    """Bytes written once by position and read back: in memory, or in a scratch file above a limit."""

    def __init__(self, size: int, memory_limit: int) -> None:
        self.size = size
        small = size <= memory_limit
        self._array = np.empty(size if small else 0, dtype=np.uint8)
        self._file = None if small else ScratchFile(size)

    def write(self, at: int, data: Any) -> None:
        """Store bytes (or an array of them) at a position."""
        if self._file is None:
            self._array[at : at + len(data)] = np.frombuffer(data, dtype=np.uint8)
        else:
            self._file.write(at, data)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return the bytes from ``start`` to ``stop``; do not write into them."""
        return self.read_spans([start], [stop])

    def read_spans(self, starts: list[int], stops: list[int]) -> NDArray[np.uint8]:
        """Return the bytes of several spans, one after the other; do not write into them."""
        if starts and not (min(starts) >= 0 and max(stops) <= self.size):
            raise IndexError(f"bytes {min(starts)}:{max(stops)} of {self.size}")
        spans = list(zip(starts, stops, strict=True))
        if self._file is None:
            parts = [self._array[start:stop] for start, stop in spans]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        out = np.empty(sum(stops) - sum(starts), dtype=np.uint8)
        place = 0
        for start, stop in spans:
            self._file.read_into(start, out[place : place + stop - start].data)
            place += stop - start
        return out


Bytes = ChunkedBytes | ScratchBytes


def inflated(stored: ChunkedBytes, memory_limit: int, progress: Progress = ignore_progress) -> Bytes:
    """Return a contained file as it was before compression; one that is not compressed as it is.

    One that begins with ``AACS`` is a row of zlib blocks. Up to ``memory_limit`` bytes the result is held in
    memory rather than in a scratch file. Raises FileError when the blocks are damaged.
    """
    if stored.size < 0x80 or bytes(stored.read(0, 4)) != b"AACS":
        return stored
    blocks, size = _blocks(stored)
    whole = ScratchBytes(size, memory_limit)

    def inflate(block: tuple[int, int, int, int]) -> None:
        start, packed, at, length = block
        whole.write(at, _inflate(stored, start, packed, length))

    do_in_threads(inflate, blocks, progress, "inflating")
    return whole


def _blocks(stored: ChunkedBytes) -> tuple[list[tuple[int, int, int, int]], int]:
    """Return (start, packed size, position when inflated, inflated size) of each block, and the sum."""
    path = stored.stamp.path
    greatest, _, count = struct.unpack("<III", stored.read(4, 16).tobytes())
    blocks = []
    at, position = 0x80, 0
    for number in range(count):
        if at + _BLOCK_HEADER > stored.size:
            raise damaged(path, f"compressed block {number} of {count} is missing")
        packed, length = struct.unpack("<II", stored.read(at, at + 8).tobytes())
        at += _BLOCK_HEADER
        if at + packed > stored.size or length > min(greatest, packed * _ZLIB_GREATEST_RATIO):
            raise damaged(path, f"the size of compressed block {number} is wrong")
        blocks.append((at, packed, position, length))
        at += packed
        position += length
    if position == 0:
        raise damaged(path, "its compressed blocks are empty")
    if position > max(_LARGE, _USUAL_RATIO * stored.size):
        raise damaged(path, f"{stored.size} bytes claim to be {position} when inflated")
    return blocks, position


def _inflate(stored: ChunkedBytes, start: int, packed: int, length: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(stored.read(start, start + packed).tobytes(), length + 1)
    except zlib.error as error:
        raise damaged(stored.stamp.path, f"a compressed block cannot be inflated ({error})") from error
    if len(data) != length or not unpacker.eof:
        raise damaged(stored.stamp.path, "a compressed block has another size")
    return data
