"""Loops that numba compiles when they are first called: where it keeps them, and who is told meanwhile."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

COMPILING = "compiling for the first time (once per installation) …"
_VARIABLE = "NUMBA_CACHE_DIR"
_PACKAGE = __name__.partition(".")[0]
_hearers: list[Callable[[str], object]] = []  # numba's register of listeners is one for all threads, too


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Return what compiles a function when it is first called, to run without the GIL, and keeps it on disk.

    Where it cannot be kept, it is compiled all the same. ``options`` are further ones of ``numba.njit``.
    """
    import numba

    _listen()

    def compile_later(function: Function) -> Function:
        try:
            kernel = numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # no folder that could be written to
            return numba.njit(nogil=True, **options)(function)  # type: ignore[no-any-return]
        _forgive(kernel)
        return kernel  # type: ignore[no-any-return]

    return compile_later


def _forgive(kernel: Any) -> None:
    """Let a kernel be called though it cannot be kept, where this numba keeps them as those known do."""
    files = getattr(kernel, "_cache", None)
    keep = getattr(files, "save_overload", None)
    if keep is not None:

        def keep_if_possible(*arguments: Any) -> None:
            with suppress(OSError):  # the disk is full, or the folder was made read-only since
                keep(*arguments)

        files.save_overload = keep_if_possible  # type: ignore[union-attr]


@contextmanager
def compiling_told(tell: Callable[[str], object]) -> Iterator[None]:
    """Call ``tell`` within the block whenever a loop is not on disk and is compiled, in whatever thread."""
    _hearers.append(tell)
    try:
        yield
    finally:
        _hearers.remove(tell)


@cache
def _listen() -> None:
    """Hear of compiling; a numba that tells of it otherwise than those known is not listened to."""
    try:
        from numba.core.event import Listener, register
    except ImportError:
        return

    class Ear(Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:
            function = getattr((event.data or {}).get("dispatcher"), "py_func", None)
            if getattr(function, "__module__", "").partition(".")[0] == _PACKAGE:
                for tell in tuple(_hearers):
                    tell(COMPILING)

        def on_end(self, event: Any) -> None:
            pass

    register("numba:compile", Ear())


def choose_cache() -> None:
    """Let numba keep its code in a temporary folder where it would find none, in containers and on clusters.

    Without any, it refuses to compile functions that are to be kept ("no locator available").
    """
    if os.environ.get(_VARIABLE) or _is_writable(Path(__file__).parent) or _is_writable(users_cache()):
        return
    folder = str(_private_folder())
    os.environ[_VARIABLE] = folder
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder


def users_cache() -> Path:
    """Return the folder in which programs of this user keep what they can make again."""
    try:
        home = Path.home()
    except RuntimeError:
        home = Path("/nonexistent")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home)
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")


def _is_writable(folder: Path) -> bool:
    """Tell whether files can be made in a folder, or in one that can be made."""
    place = next((each for each in (folder, *folder.parents) if each.exists()), None)
    if place is None or not os.access(place, os.W_OK | os.X_OK):
        return False
    if not hasattr(os, "statvfs"):
        return True
    return not os.statvfs(place).f_flag & os.ST_RDONLY and not _is_of_kernel(place)


def _is_of_kernel(place: Path) -> bool:
    # Nothing can be made in these, whatever their permissions say.
    return place.parts[:2] in (("/", "proc"), ("/", "sys"))


def _private_folder() -> Path:
    """Return a temporary folder that is this user's alone, since compiled code is run as it is found."""
    if not hasattr(os, "getuid"):
        return Path(tempfile.mkdtemp(prefix="napari-xrf-"))
    folder = Path(tempfile.gettempdir()) / f"napari-xrf-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="napari-xrf-"))
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return folder if mine else Path(tempfile.mkdtemp(prefix="napari-xrf-"))
