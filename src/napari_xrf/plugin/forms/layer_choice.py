"""A list of the layers that a dock can work on; others are not offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget


class LayerChoice(QComboBox):  # type: ignore[misc]
    """Names of the fitting layers of one viewer, kept up to date.

    Parameters
    ----------
    viewer
        The viewer whose layers are listed.
    accepts
        Tells whether a layer fits.
    empty_text
        What stands there while none does.
    """

    chosen = Signal(object)

    def __init__(
        self,
        viewer: Any,
        accepts: Callable[[Any], bool],
        empty_text: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._accepts = accepts
        self._layers: list[Any] = []
        self._last: Any = None
        self.setPlaceholderText(empty_text)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumContentsLength(12)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._refresh)
        self.currentIndexChanged.connect(self._tell)
        self._refresh()

    def layer(self) -> Any:
        """Return the chosen layer, or None."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Any) -> None:
        """Choose a layer; one that does not fit changes nothing."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    def disconnect_viewer(self) -> None:
        """Stop following the viewer; for docks that are closed."""
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._refresh)
        for layer in self._layers:
            layer.events.name.disconnect(self._rename)
        self._layers = []
        self._last = None

    def _refresh(self, event: Any = None) -> None:
        fitting = [layer for layer in self._viewer.layers if self._accepts(layer)]
        if fitting == self._layers:
            return
        for layer in self._layers:
            if layer not in fitting:
                layer.events.name.disconnect(self._rename)
        for layer in fitting:
            if layer not in self._layers:
                layer.events.name.connect(self._rename)
        kept = self.layer()
        self.blockSignals(True)
        self.clear()
        self._layers = fitting
        self.addItems([layer.name for layer in fitting])
        self.setCurrentIndex(fitting.index(kept) if kept in fitting else len(fitting) - 1)
        self.blockSignals(False)
        self._tell()

    def _rename(self, event: Any = None) -> None:
        for index, layer in enumerate(self._layers):
            self.setItemText(index, layer.name)

    def _tell(self, index: int = 0) -> None:
        if self.layer() is not self._last:
            self._last = self.layer()
            self.chosen.emit(self._last)
