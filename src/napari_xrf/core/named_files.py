"""Files that users name: looked at before they are opened."""

import itertools
import os
from pathlib import Path

from napari_xrf.core.errors import FileError

_LARGEST_TEXT = 2**28  # bytes: more than any table that people write
_MOST_NAMES = 2000  # of a folder that are compared with a missing one


def is_file(path: str | Path) -> bool:
    """Tell whether there is a regular file of that name; False for names that no system takes."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib raises for names that are too long


def is_folder(path: str | Path) -> bool:
    """Tell whether there is a folder of that name; False for names that no system takes."""
    return os.path.isdir(path)  # noqa: PTH112


def existing_file(path: str | Path) -> Path:
    """Return the path of a file that can be opened and is not empty, or raise FileError."""
    file = Path(path)
    if is_folder(file):
        raise FileError(file, "is a folder, not a file", "Choose a file in it")
    try:
        if not file.is_file():
            if not file.exists():
                raise FileError(file, "does not exist", _instead(file))
            raise FileError(file, "is not a regular file")
        if file.stat().st_size == 0:
            raise FileError(file, "is empty", "Copy it again from where it was made")
        with file.open("rb"):
            return file
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(_shortened(file), f"cannot be opened ({reason})") from error


def content_of(path: str | Path, most_bytes: int = _LARGEST_TEXT) -> bytes:
    """Return what a file holds that people write: no device or pipe, which would never end.

    Raises FileError when it cannot be opened, is empty or larger than ``most_bytes``.
    """
    file = existing_file(path)
    try:
        if file.stat().st_size > most_bytes:
            raise FileError(file, f"is larger than {most_bytes / 1e6:.0f} MB", "Is it the right file?")
        return file.read_bytes()
    except OSError as error:
        raise FileError(file, f"cannot be read ({error.strerror or error})") from error


def _instead(missing: Path) -> str:
    """Return the nearest name in the folder of a missing file, or which folder was looked into."""
    import difflib  # seldom wanted

    folder = missing.parent.absolute()
    if missing.is_symlink():
        return "It is a link that leads nowhere: copy what it led to"
    if not folder.is_dir():
        return f"There is no folder {folder}"
    names = [one.name for one in itertools.islice(folder.iterdir(), _MOST_NAMES)]
    near = difflib.get_close_matches(missing.name, names, 1)
    return f"Did you mean {near[0]}?" if near else f"It was looked for in {folder}"


def _shortened(path: Path) -> Path:
    """Return a name that an error can show: of thousands of letters the last."""
    return path if len(str(path)) < 1000 else Path("…" + str(path)[-60:])
