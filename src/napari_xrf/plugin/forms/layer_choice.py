"""Lists of the layers that a dock can work on; others are not offered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox

from napari_xrf.core.label_map import LabelMap
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.parts import expanding
from napari_xrf.plugin.layers.labels import label_map_of_layer
from napari_xrf.plugin.notices import errors_told


class LayerChoice(QComboBox):  # type: ignore[misc]
    """Names of the fitting layers of one viewer, kept up to date.

    Parameters
    ----------
    dock
        The dock whose viewer's layers are listed.
    accepts
        Tells whether a layer fits.
    empty_text
        What stands there while none does.
    watched
        Names of events of the chosen layer that :attr:`edited` tells of.
    """

    chosen = Signal(object)
    edited = Signal()

    def __init__(
        self, dock: Dock, accepts: Callable[[Any], bool], empty_text: str, watched: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self._dock, self._viewer = dock, dock.viewer
        self._accepts = accepts
        self._watched = watched
        self._layers: list[Any] = []
        self._last: Any = None
        self.setPlaceholderText(empty_text)
        expanding(self)
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            dock.follow(event, self._refresh)
        dock.when_closed(self._forget)
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

    def _forget(self) -> None:
        for layer in self._layers:
            layer.events.name.disconnect(self._rename)
        for event in self._watched_events():
            event.disconnect(self._tell_edited)
        self._layers, self._last = [], None

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
            for event in self._watched_events():
                event.disconnect(self._tell_edited)
            self._last = self.layer()
            for event in self._watched_events():
                event.connect(self._tell_edited)
            self.chosen.emit(self._last)

    def _watched_events(self) -> Iterator[Any]:
        return (getattr(self._last.events, name) for name in self._watched if self._last is not None)

    def _tell_edited(self, event: Any = None) -> None:
        self.edited.emit()


class LabelsChoice(LayerChoice):
    """The label maps (Y, X) of one viewer; see :class:`LayerChoice`."""

    def __init__(
        self, dock: Dock, empty_text: str = "no label map yet", watched: tuple[str, ...] = ()
    ) -> None:
        super().__init__(dock, _is_label_map, empty_text, watched)

    def label_map(self) -> LabelMap | None:
        """Return the chosen label map, or None; a layer that is none is told."""
        layer = self.layer()
        if layer is not None:
            with errors_told():
                return label_map_of_layer(layer)
        return None


def _is_label_map(layer: Any) -> bool:
    return bool(layer._type_string == "labels" and layer.ndim == 2)
