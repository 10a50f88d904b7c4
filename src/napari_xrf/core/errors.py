"""The exceptions that users see: what went wrong, where, and what to do."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class XrfError(Exception):
    """Base of every error that napari-xrf raises on purpose.

    Parameters
    ----------
    cause
        What went wrong, in one sentence without a final full stop.
    remedy
        What the user can do about it, if anything.
    """

    def __init__(self, cause: str, remedy: str = "") -> None:
        self.cause = cause
        self.remedy = remedy
        super().__init__(f"{cause}. {remedy}".strip() if remedy else cause)


class FileError(XrfError):
    """A file cannot be read or written; the message names the file and the cause."""

    def __init__(self, path: str | Path, cause: str, remedy: str = "") -> None:
        self.path = Path(path)
        super().__init__(f"{self.path}: {cause}", remedy)


@contextmanager
def told_of(path: str | Path) -> Iterator[None]:
    """Make whatever a damaged file makes a reader raise a FileError that names the file."""
    try:
        yield
    except XrfError:
        raise
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    except MemoryError as error:
        raise FileError(path, "needs more memory than there is", "Give a smaller memory budget") from error
    except ImportError as error:
        raise FileError(
            path, f"needs a package that cannot be loaded ({error})", "Install it, or napari-xrf anew"
        ) from error
    except Exception as error:  # no reader foresees every damage
        text = " ".join(str(error).split())[:200]
        raise FileError(
            path, f"is damaged ({type(error).__name__}: {text})", "Copy it again from where it was made"
        ) from error


class InvalidInput(XrfError, ValueError):
    """A value given by the user is out of range or makes no sense."""


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise InvalidInput that lists the names there are when a name is none of them."""
    there = list(known)
    if name not in there:
        raise InvalidInput(f"there is no {kind} {name!r}", f"Use {', '.join(there)}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InvalidInput that names the parameter when a value lies outside ``[low, high]``."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput(f"{name} must lie from {low:g} to {high:g}, not {value:g}")


class Cancelled(XrfError):
    """The user stopped a long job; nothing was written."""

    def __init__(self) -> None:
        super().__init__("cancelled")
