"""Writing files so that a crash or a full disk never leaves half of one."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_xrf.core.errors import FileError, InvalidInput


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, and rename it to ``path`` at the end.

    On any error the temporary file is removed and a file that stood at ``path`` stays as it was.

    Raises FileError when the folder cannot be written or the disk is full.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    except OSError as error:
        raise FileError(target, f"cannot write here ({error.strerror})", "Choose another folder") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _follow_umask(temporary)
        temporary.replace(target)
    except OSError as error:
        raise FileError(target, f"cannot be written ({error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write values as JSON."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False))


def made_folder(path: str | Path) -> Path:
    """Return a folder, made where it is missing; raises InvalidInput when it cannot be made."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be made ({error.strerror})", "Choose another folder") from error
    return folder


def _follow_umask(path: Path) -> None:
    # mkstemp makes private files; an ordinary file follows the user's umask.
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)
