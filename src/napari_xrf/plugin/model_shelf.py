"""The models that a viewer's docks offer beside the shipped ones: what was trained or opened here."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_xrf.learning.weights import read_description


class ModelShelf(QObject):  # type: ignore[misc]
    """Weights files that were trained or opened in one viewer, the newest last."""

    added = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._paths: list[Path] = []

    def paths(self) -> tuple[Path, ...]:
        """Return the weights files."""
        return tuple(self._paths)

    def add(self, path: str | Path) -> Path:
        """Offer a weights file, or say anew that it was written.

        Raises
        ------
        FileError
            When it is none of ours; it is not offered then.
        """
        file = Path(path).resolve()
        read_description(file)
        if file not in self._paths:
            self._paths.append(file)
        self.added.emit(file)
        return file


def shelf_of(viewer: Any) -> ModelShelf:
    """Return the shelf of a viewer, the same for all its docks."""
    if viewer not in _shelves:
        _shelves[viewer] = ModelShelf()
    return _shelves[viewer]


# Docks of one viewer know nothing of each other; the shelf goes with the viewer.
_shelves: WeakKeyDictionary[Any, ModelShelf] = WeakKeyDictionary()
