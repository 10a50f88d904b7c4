"""The exceptions that users see: what went wrong, where, and what to do."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LARGEST_SEED = 2**32 - 1


class XrfError(Exception):
    """Base of every error that napari-xrf raises on purpose.

    ``cause``: what went wrong, in one sentence without a final full stop. ``remedy``: what the user can do
    about it, if anything.
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
    """Raise InvalidInput that lists the names there are, the nearest first, when a name is none of them."""
    there = list(known)
    if name not in there:
        raise InvalidInput(f"there is no {kind} {name!r}", nearest_of(name, there))


def check_option(owner: str, name: str, known: Iterable[str]) -> None:
    """Raise InvalidInput when what belongs to something has no option of a name."""
    there = list(known)
    if name not in there:
        raise InvalidInput(f"{owner} has no option {name!r}", nearest_of(name, there))


def nearest_of(name: str, known: Sequence[str], otherwise: str = "") -> str:
    """Return what to use in place of a name: that which it is nearest to, and all that there are.

    ``otherwise``: what may stand there too, ``"a file"``.
    """
    import difflib

    by_key = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(str(name).casefold(), by_key, 1)
    all_of_them = ", ".join([*known, *([f"or {otherwise}"] if otherwise else [])]) or "none"
    return (f"Did you mean {by_key[near[0]]}? " if near else "") + f"Use {all_of_them}"


def check_seed(seed: int) -> None:
    """Raise InvalidInput when a seed of random numbers is not from 0 to 2³² − 1."""
    if not 0 <= seed <= LARGEST_SEED:
        raise InvalidInput(f"there is no seed {seed}", f"Give a whole number from 0 to {LARGEST_SEED}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InvalidInput that names the parameter when a value lies outside ``[low, high]``."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput(f"{name} must lie from {low:g} to {high:g}, not {value:g}")


class Cancelled(XrfError):
    """The user stopped a long job; nothing was written."""

    def __init__(self) -> None:
        super().__init__("cancelled")
