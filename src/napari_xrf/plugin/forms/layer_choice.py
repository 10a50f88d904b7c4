"""Lists of the layers that a dock can work on; others are not offered."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelMap
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.parts import expanding
from napari_xrf.plugin.layers.labels import flatten, is_deep, label_map_of_layer
from napari_xrf.plugin.layers.layer_data import kind_of
from napari_xrf.plugin.notices import errors_told


class LayerChoice(QComboBox):  # type: ignore[misc]
    """Names of the fitting layers of one viewer, kept up to date.

    ``dock``: the dock whose viewer's layers are listed. ``accepts``: tells whether a layer fits.
    ``empty_text``: what stands there while none does. ``watched``: names of events of the chosen layer that
    :attr:`edited` tells of. ``follows``: whether a fitting layer that is selected in the viewer is chosen.
    """

    chosen = Signal(object)
    edited = Signal()

    def __init__(
        self,
        dock: Dock,
        accepts: Callable[[Any], bool],
        empty_text: str,
        watched: tuple[str, ...] = (),
        *,
        follows: bool = True,
    ) -> None:
        super().__init__()
        self._dock, self._viewer = dock, dock.viewer
        self._layers: list[Any] = []
        self._last: Any = None
        self.setPlaceholderText(empty_text)
        expanding(self)
        self.currentIndexChanged.connect(self._tell)
        dock.follow_layers(accepts, ("name", *watched), self._list, self._hear)
        if follows:
            dock.follow(dock.viewer.layers.selection.events.active, lambda event: self.choose(event.value))

    def layer(self) -> Any:
        """Return the chosen layer, or None."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Any, *, quietly: bool = False) -> None:
        """Choose a layer, and tell unless ``quietly``; one that does not fit changes nothing."""
        if layer in self._layers:
            self._last = layer if quietly else self._last
            self.setCurrentIndex(self._layers.index(layer))

    def paintEvent(self, event: Any) -> None:
        """Draw a name with its beginning and its end, where there is no room for all of it."""
        if self.currentIndex() < 0:
            super().paintEvent(event)
            return
        option, painter = QStyleOptionComboBox(), QStylePainter(self)
        self.initStyleOption(option)
        combo, field = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(combo, option, field, self).width()
        middle = Qt.TextElideMode.ElideMiddle
        option.currentText = self.fontMetrics().elidedText(option.currentText, middle, room)
        painter.drawComplexControl(combo, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _list(self, fitting: list[Any]) -> None:
        kept = self.layer()
        self.blockSignals(True)
        self.clear()
        self._layers = fitting
        self.addItems([layer.name for layer in fitting])
        self.setCurrentIndex(fitting.index(kept) if kept in fitting else len(fitting) - 1)
        self.blockSignals(False)
        self._tell()

    def _tell(self, index: int = 0) -> None:
        if self.layer() is not self._last:
            self._last = self.layer()
            self.chosen.emit(self._last)

    def _hear(self, event: Any) -> None:
        if event.type == "name":
            for index, layer in enumerate(self._layers):
                self.setItemText(index, layer.name)
        elif event.source is self.layer():
            self.edited.emit()


class LabelsChoice(LayerChoice):
    """The label maps (Y, X) of one viewer; see :class:`LayerChoice`."""

    def __init__(
        self, dock: Dock, empty_text: str = "no label map yet", watched: tuple[str, ...] = ()
    ) -> None:
        super().__init__(dock, _is_label_map, empty_text, watched)
        dock.follow_layers(is_deep, (), self._offer, lambda event: None)

    def label_map(self) -> LabelMap | None:
        """Return the chosen label map, or None; a layer that is none is told."""
        layer = self.layer()
        if layer is not None:
            with errors_told():
                return label_map_of_layer(layer)
        return None

    def of_map(self, shape: tuple[int, int]) -> LabelMap | None:
        """Return the chosen label map for a map (Y, X), None without one.

        Raises InvalidInput where it has other pixels than the map.
        """
        layer = self.layer()
        label_map = None if layer is None else label_map_of_layer(layer)
        if label_map is not None and label_map.labels.shape != shape:
            here, there = ("{} × {}".format(*each) for each in (label_map.labels.shape, shape))
            told = f"{layer.name!r} has {here} pixels, the map {there}"
            raise InvalidInput(told, "Choose labels of this map, or no classes")
        return label_map

    def _offer(self, deep: list[Any]) -> None:
        """Offer to flatten labels that napari's own button made on a map of spectra."""
        if deep:
            text = f"{deep[-1].name!r} is painted at one energy only: here it counts when it is flat."
            self._dock.offer(text, "Flatten it", lambda: flatten(self._viewer, deep[-1]))
        else:
            self._dock.offer("")


def _is_label_map(layer: Any) -> bool:
    return bool(kind_of(layer) == "labels" and layer.ndim == 2)
