"""Writing files so that a crash, a kill or a full disk never leaves half of one, nor a rest of it."""

import contextlib
import json
import math
import os
import platform
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import psutil

from napari_xrf.core.errors import FileError, InvalidInput

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_DAY = 86400
_HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node())[:32] or "host"
# .napari-xrf~host~process~random~name: hidden, and says whose it is
_TEMPORARY = re.compile(r"\.napari-xrf~(?P<host>[A-Za-z0-9]*)~(?P<process>\d+)~[0-9a-f]{8}~")

_OLD = "~old"  # ends the name of a folder that is being replaced

_swept: set[Path] = set()
_mine: set[Path] = set()
_lock = threading.Lock()
_together: ContextVar[list[tuple[Path, Path]] | None] = ContextVar("together", default=None)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, and rename it to ``path`` at the end.

    On any error the temporary file is removed and a file that stood at ``path`` stays as it was. A file that
    is replaced keeps its permissions; where ``path`` is a symlink, what it leads to is replaced. What a
    killed program left in the folder is removed.

    Raises FileError when the folder cannot be written or the disk is full.
    """
    given = Path(path)
    mode = _mode_of(given)
    target, temporary = _places(given)
    waiting = _together.get()
    kept = False
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
    except OSError as error:
        _mine.discard(temporary)
        raise FileError(given, f"cannot write here ({error.strerror})", "Choose another folder") from error
    try:
        yield temporary
        if mode is not None:
            temporary.chmod(mode)
        if waiting is None:
            temporary.replace(target)
        else:
            waiting.append((temporary, target))
            kept = True
    except OSError as error:
        raise _unwritten(given, error) from error
    finally:
        if not kept:
            _drop(temporary)


def _unwritten(given: Path, error: OSError) -> FileError:
    reason = error.strerror or " ".join(str(error).split())
    return FileError(given, f"cannot be written ({reason})", "Choose another folder or make room")


@contextmanager
def replacing_folder(path: str | Path, mark: str) -> Iterator[Path]:
    """Give a folder beside ``path`` to fill, which takes its place at the end; else as :func:`replacing`.

    A folder that stands there must hold the file ``mark``, or InvalidInput is raised. A program that is
    killed between the two renames leaves the old folder under a hidden name, which the next one puts back.
    """
    given = Path(path)
    if given.exists() and not (given / mark).is_file():
        kind = given.suffix[1:].capitalize() or "folder of results"
        raise InvalidInput(f"{path} is there and no {kind}", "Choose another name")
    target, temporary = _places(given)
    old = temporary.with_name(temporary.name + _OLD)
    try:
        temporary.mkdir()
        yield temporary
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
            _mine.add(old)
            target.replace(old)
        temporary.replace(target)
    except OSError as error:
        raise _unwritten(given, error) from error
    finally:
        _drop(temporary)
        _put_back(old, target)


@contextmanager
def together() -> Iterator[None]:
    """Let all files that this thread writes inside appear at the end, together, or not at all."""
    waiting: list[tuple[Path, Path]] = []
    token = _together.set(waiting)
    try:
        yield
        for temporary, target in waiting:
            try:
                temporary.replace(target)
            except OSError as error:
                raise FileError(target, f"cannot be written ({error.strerror})") from error
    finally:
        _together.reset(token)
        for temporary, _ in waiting:
            _drop(temporary)


def sweep(folder: Path, *, again: bool = False) -> None:
    """Remove the temporary files of programs that were killed; once in each folder unless ``again``."""
    with _lock:
        if folder in _swept and not again:
            return
        _swept.add(folder)
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            match = _TEMPORARY.match(entry.name)
            if match and Path(entry.path) not in _mine and _is_left(entry, match):
                if entry.is_dir() and entry.name.endswith(_OLD):
                    _put_back(Path(entry.path), folder / entry.name[match.end() :].removesuffix(_OLD))
                else:
                    _drop(Path(entry.path))


def write_text(path: str | Path, text: str) -> None:
    """Write a text file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write values as JSON."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False))


def plain(value: Any) -> Any:
    """Return the value with numpy numbers made plain and what JSON cannot write (NaN) as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def made_folder(path: str | Path) -> Path:
    """Return a folder, made where it is missing; raises InvalidInput when it cannot be made."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be made ({error.strerror})", "Choose another folder") from error
    return folder


@contextmanager
def held_folder(path: str | Path, work: str) -> Iterator[Path]:
    """Make a folder where it is missing and hold it for one piece of work, ``"training"``, until the end.

    The system lets it go when the program ends, however it ends. Where it knows no such locks (Windows, some
    network drives), nobody is kept out.

    Raises InvalidInput when it cannot be made, or other work holds it.
    """
    folder = made_folder(path)
    if fcntl is None:
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                f"another {work} writes to {folder}", "Wait for it, or choose another"
            ) from error
        except OSError:
            pass  # a drive without locks
        yield folder
    finally:
        os.close(handle)


def _mode_of(path: Path) -> int | None:
    """Return the permissions of the file at a path, None where there is none; raise where it must stay."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(path, f"cannot be written ({reason})", "Choose another name") from error
    if not path.is_file():
        raise FileError(path, "is no regular file", "Choose another name")
    if not os.access(path, os.W_OK):
        raise FileError(path, "is write-protected", "Choose another name, or allow writing it")
    return status.st_mode & 0o7777


def _is_left(entry: os.DirEntry[str], match: re.Match[str]) -> bool:
    """Tell whether nobody writes a temporary file any more."""
    if match["host"] == _HOST:
        process = int(match["process"])
        return process == os.getpid() or not psutil.pid_exists(process)
    return time.time() - entry.stat().st_mtime > _DAY


def _places(given: Path) -> tuple[Path, Path]:
    """Return what a path leads to and a temporary name beside it; what was left there is removed."""
    target = given.resolve() if given.is_symlink() else given
    sweep(target.parent)
    temporary = target.with_name(f".napari-xrf~{_HOST}~{os.getpid()}~{os.urandom(4).hex()}~{target.name}")
    _mine.add(temporary)
    return target, temporary


def _put_back(old: Path, target: Path) -> None:
    """Remove a folder that was replaced, or give it its name again where nothing took its place."""
    if target.exists():
        _drop(old)
        return
    with contextlib.suppress(OSError):  # it stays under its hidden name, for the next sweep
        old.replace(target)
    _mine.discard(old)


def _drop(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)
    _mine.discard(temporary)
