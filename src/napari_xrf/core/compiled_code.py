"""Where numba keeps compiled code when neither the installation nor the user's home can be written."""

import os
import stat
import sys
import tempfile
from pathlib import Path

_VARIABLE = "NUMBA_CACHE_DIR"


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
