"""Damage in the texts of an HDF5 file that HDF5 itself would read for ever.

Texts stand in collections that begin with ``GCOL`` (HDF5 file format specification 3.0, III.E). An entry that
takes no room sends the library into a loop without end.
"""

import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from napari_xrf.core.errors import FileError

_SCANNED = 2**26  # bytes from the start: the texts of a map stand there
_PIECE = 2**20  # bytes that are read at once
_COLLECTION, _HEAD = b"GCOL\1\0\0\0", 16  # how one begins, and the bytes before its entries
_ENTRY = struct.Struct("<HHIQ")
_SECONDS = 5.0
# Reads all texts of a file, as a reader might: damage elsewhere stops it no more than a reader.
_READING = """
import contextlib, sys, h5py
seen = set()
def look(node):
    told = h5py.h5o.get_info(node.id)
    if (told.fileno, told.addr) in seen:
        return
    seen.add((told.fileno, told.addr))
    names = []
    with contextlib.suppress(Exception):
        for key in node.attrs:
            names.append(key)
    for key in names:
        with contextlib.suppress(Exception):
            node.attrs[key]
    with contextlib.suppress(Exception):
        if isinstance(node, h5py.Dataset) and node.dtype.kind == "O":
            node[:1000] if node.ndim else node[()]
    children = []
    with contextlib.suppress(Exception):
        for name in node if isinstance(node, h5py.Group) else ():
            children.append(name)
    for name in children:
        with contextlib.suppress(Exception):
            if isinstance(node.get(name, getlink=True), (h5py.HardLink, h5py.SoftLink)):
                look(node[name])
with h5py.File(sys.argv[1], "r", locking=False) as file:
    look(file)
"""


def check_texts(path: Path) -> None:
    """Raise FileError when reading the texts of a file would never end.

    A collection that looks so may also be left over and never be read: then another process tries.
    """
    try:
        status = path.stat()
        endless = _is_endless(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return  # whoever opens it will tell
    if endless:
        raise FileError(path, "is damaged: its texts cannot be read", "Copy it again from where it was made")


@lru_cache(256)
def _is_endless(path: Path, modified: int, size: int) -> bool:
    del modified, size
    if not any(_loops(each) for each in _collections(path)):
        return False
    try:
        tried = subprocess.run([sys.executable, "-c", _READING, str(path)], timeout=_SECONDS,
                               capture_output=True, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
    return tried.returncode < 0  # the process was ended by what it read


def _collections(path: Path) -> Iterator[bytes]:
    """Yield the bytes of each collection at the start of a file, which is read in pieces: a window waits."""
    kept = len(_COLLECTION) - 1  # of a piece: one may begin there
    with path.open("rb") as handle:
        piece, before = handle.read(_PIECE), 0  # and the place of its first byte
        while piece and before < _SCANNED:
            at = piece.find(_COLLECTION)
            while at >= 0:
                handle.seek(before + at)
                head = handle.read(_HEAD)
                size = int.from_bytes(head[8:_HEAD], "little")
                yield head + handle.read(max(min(size, _SCANNED - before - at) - _HEAD, 0))
                at = piece.find(_COLLECTION, at + 1)
            before += max(len(piece) - kept, 0)
            handle.seek(before)
            piece = handle.read(_PIECE) if len(piece) == _PIECE else b""


def _loops(data: bytes) -> bool:
    """Tell whether an entry of a collection takes no room."""
    end, at = len(data), _HEAD
    while end - at >= _ENTRY.size:
        index, _, _, size = _ENTRY.unpack_from(data, at)
        taken = size if index == 0 else (_ENTRY.size + (size + 7) // 8 * 8) % 2**64
        if taken == 0:
            return True
        at += taken
    return False
