"""The container of a .bcf file: a small file system of chunks that holds the header and the packed spectra.

Bruker stores maps in AidAim's Single File System (SFS). Nothing here trusts the file: every number that
leads somewhere is checked against the file's size before it is followed.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError
from napari_xrf.io.bcf.bytes import ChunkedBytes, FileStamp, damaged

SIGNATURE = b"AAMVHFSS"

_BASE = 0x118  # chunk k starts here + k * chunk size
_CHUNK_HEADER = 32
_ITEM = struct.Struct("<iQQQQIi176s?3s256s32s")


@dataclass(frozen=True)
class Container:
    """The files inside a .bcf, by path, ``"EDSDatabase/HeaderData"``."""

    path: Path
    files: dict[str, ChunkedBytes]

    def file(self, name: str) -> ChunkedBytes:
        """Return a contained file's bytes, as stored (they may be compressed).

        Raises FileError when the container does not hold it.
        """
        try:
            return self.files[name]
        except KeyError:
            raise FileError(
                self.path, f"is a Bruker container, but holds no {name}", "Is it a map?"
            ) from None


@dataclass(frozen=True)
class _Geometry:
    stamp: FileStamp
    chunk: int
    chunks: int

    @property
    def usable(self) -> int:
        return self.chunk - _CHUNK_HEADER

    @property
    def path(self) -> Path:
        return self.stamp.path


def open_container(path: str | Path, folder: str = "EDSDatabase") -> Container:
    """Read the directory of a .bcf file and the places of all files in one of its folders.

    Raises FileError when the file is missing, empty, foreign, cut short, or its chunks do not fit together.
    """
    stamp = FileStamp.of(path)
    start = stamp.read(0, min(stamp.size, _BASE + 0x40))
    geometry, tree, items = _geometry(stamp, start)
    names: list[str] = []
    parents: list[int] = []
    entries = []
    for pointer, size, _, _, _, _, parent, _, is_dir, _, name, _ in _ITEM.iter_unpack(
        _tree(geometry, tree, items)
    ):
        names.append(name.split(b"\0")[0].decode("cp1252", "replace"))
        parents.append(parent)
        entries.append((pointer, size, is_dir))
    files = {}
    for number, (pointer, size, is_dir) in enumerate(entries):
        full = _full_name(geometry, number, names, parents)
        if not is_dir and full.startswith(folder + "/"):
            files[full] = _stored_file(geometry, full, pointer, size)
    return Container(geometry.path, files)


def _geometry(stamp: FileStamp, start: bytes) -> tuple[_Geometry, int, int]:
    if stamp.size == 0:
        raise damaged(stamp.path, "it is empty")
    if start[: len(SIGNATURE)] != SIGNATURE:
        raise FileError(stamp.path, "is no Bruker .bcf file, whatever its name says")
    if len(start) < _BASE + 0x40:
        raise damaged(stamp.path, "it is cut short, its first block is incomplete")
    version, chunk = struct.unpack_from("<fI", start, 0x124)
    tree, items, chunks = struct.unpack_from("<III", start, 0x140)
    if not 2 <= version < 4:
        raise damaged(stamp.path, f"its container has version {version:.2f}, not 2 to 3")
    if not _ITEM.size + _CHUNK_HEADER <= chunk <= 2**28:
        raise damaged(stamp.path, f"chunks of {chunk} bytes")
    needed = _BASE + chunk * chunks
    if stamp.size < needed:
        raise damaged(stamp.path, f"it is cut short, {stamp.size} of {needed} bytes are there")
    if not 0 < items <= chunks * (chunk // _ITEM.size):
        raise damaged(stamp.path, f"a directory of {items} entries")
    return _Geometry(stamp, chunk, chunks), tree, items


def _tree(geometry: _Geometry, first: int, items: int) -> bytes:
    per_chunk = geometry.usable // _ITEM.size
    parts = _chain(geometry, first, math.ceil(items / per_chunk), "directory")
    return b"".join(part[: per_chunk * _ITEM.size] for part in parts)[: items * _ITEM.size]


def _chain(geometry: _Geometry, first: int, count: int, what: str) -> list[bytes]:
    """Return the payloads of ``count`` chunks that are linked by their headers."""
    parts: list[bytes] = []
    seen: set[int] = set()
    number = first
    for _ in range(count):
        if not 0 < number < geometry.chunks or number in seen:
            raise damaged(geometry.path, f"the {what} leads to chunk {number}")
        seen.add(number)
        at = _BASE + number * geometry.chunk
        data = geometry.stamp.read(at, at + geometry.chunk)
        parts.append(data[_CHUNK_HEADER:])
        (number,) = struct.unpack_from("<I", data)
    return parts


def _full_name(geometry: _Geometry, number: int, names: list[str], parents: list[int]) -> str:
    parts: list[str] = []
    while number != -1:
        if not 0 <= number < len(names) or len(parts) > len(names):
            raise damaged(geometry.path, "its folders do not form a tree")
        parts.append(names[number])
        number = parents[number]
    return "/".join(reversed(parts))


def _stored_file(geometry: _Geometry, name: str, pointer: int, size: int) -> ChunkedBytes:
    if not 0 < size <= geometry.chunks * geometry.usable:
        raise damaged(geometry.path, f"{name} has {size} bytes")
    pieces = math.ceil(size / geometry.usable)
    table = b"".join(_chain(geometry, pointer, math.ceil(4 * pieces / geometry.usable), f"table of {name}"))
    numbers: NDArray[np.int64] = np.frombuffer(table[: 4 * pieces], dtype="<u4").astype(np.int64)
    if numbers.min() < 1 or numbers.max() >= geometry.chunks or np.unique(numbers).size < pieces:
        raise damaged(geometry.path, f"the chunk table of {name} is wrong")
    starts = _BASE + _CHUNK_HEADER + numbers * geometry.chunk
    return ChunkedBytes(geometry.stamp, starts, geometry.chunk, geometry.usable, size)
