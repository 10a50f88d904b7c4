"""The exceptions that users see: what went wrong, where, and what to do."""

from __future__ import annotations

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


class InvalidInput(XrfError, ValueError):
    """A value given by the user is out of range or makes no sense."""


class Cancelled(XrfError):
    """The user stopped a long job; nothing was written."""

    def __init__(self) -> None:
        super().__init__("cancelled")
