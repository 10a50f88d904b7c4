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
    with path.open("rb") as handle:
        head = handle.read(_SCANNED)
    if not any(_loops(head, at) for at in _collections(head)):
        return False
    try:
        tried = subprocess.run([sys.executable, "-c", _READING, str(path)], timeout=_SECONDS,
                               capture_output=True, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
    return tried.returncode < 0  # the process was ended by what it read


def _collections(data: bytes) -> Iterator[int]:
    at = data.find(b"GCOL\1\0\0\0")
    while at >= 0:
        yield at
        at = data.find(b"GCOL\1\0\0\0", at + 1)


def _loops(data: bytes, at: int) -> bool:
    """Tell whether an entry of a collection takes no room."""
    if len(data) < at + 16:
        return False
    end = min(at + int.from_bytes(data[at + 8 : at + 16], "little"), len(data))
    at += 16
    while end - at >= _ENTRY.size:
        index, _, _, size = _ENTRY.unpack_from(data, at)
        taken = size if index == 0 else (_ENTRY.size + (size + 7) // 8 * 8) % 2**64
        if taken == 0:
            return True
        at += taken
    return False
