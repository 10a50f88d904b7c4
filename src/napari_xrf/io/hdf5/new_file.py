"""Writing HDF5 files where a disk may be full, which HDF5 itself does not survive."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


@contextmanager
def new_file(path: str | Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Give an HDF5 file to write, and a function that raises the OSError of a write that failed.

    The function lets a long job stop early; the error is raised at the end in any case. HDF5 ends the program
    when it cannot write out what it holds, so that it is never told: what comes after the error is dropped.
    """
    with Path(path).open("w+b", buffering=0) as raw:
        target = _Target(raw)
        # Without a cache chunks are stored as they come, not when a handle dies: same content, same bytes.
        with h5py.File(target, "w", rdcc_nbytes=0) as file:
            yield file, target.check
        target.check()


class _Target:
    """A file as h5py takes one; from the first failed write on it takes everything and keeps nothing."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._error: OSError | None = None
        self._at = 0

    def check(self) -> None:
        """Raise the error of the first write that failed, if any."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._raw.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            self._raw.seek(self._at)
            while rest and self._error is None:
                rest = rest[self._raw.write(rest) :]
        except OSError as error:
            self._error = error
        self._at += size
        return size

    def read(self, size: int) -> bytes:
        data = bytearray(size)
        return bytes(data[: self.readinto(data)])

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._raw.seek(self._at)
        done = self._raw.readinto(view) or 0
        if self._error is not None:
            view[done:] = bytes(len(view) - done)
            done = len(view)
        self._at += done
        return done

    def truncate(self, size: int | None = None) -> int:
        wanted = self._at if size is None else size
        try:
            if self._error is None:
                self._raw.truncate(wanted)
        except OSError as error:
            self._error = error
        return wanted

    def flush(self) -> None:
        """Do nothing: writes are not buffered."""
