"""The Compose maps dock: maps as one picture in colours, and maps computed from maps."""

from typing import Any

import napari.viewer
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit

from napari_xrf.maps.composite import COLORS, compose, compute_map, names_in
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LayerChoice
from napari_xrf.plugin.forms.parts import button, row, tick_box
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY
from napari_xrf.plugin.layers.layer_data import add_layers, kind_of, map_layer, pixel_size_of_layer
from napari_xrf.plugin.layers.legend import show_legend
from napari_xrf.plugin.layers.opening import OPENING_KEY
from napari_xrf.plugin.layers.script import made_by, map_written, written
from napari_xrf.plugin.notices import errors_told

_USUAL = ("red", "green", "blue", "yellow")
_NEEDS = ("from napari_xrf.maps.composite import compose, compute_map",)


class CompositeDock(Dock):
    """Makes one picture of up to four maps, and maps by arithmetic."""

    title = "Compose maps"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.maps = [LayerChoice(self, is_map, "open or make maps", follows=False) for _ in _USUAL]
        self.used = [
            tick_box("", place < 3, "Whether it is part of the picture", self._set_enabled)
            for place in range(len(_USUAL))
        ]
        self.colors = [_color_choice(color) for color in _USUAL]
        self.gamma = QDoubleSpinBox()
        self.gamma.setRange(0.1, 3.0)
        self.gamma.setSingleStep(0.1)
        self.gamma.setValue(1.0)
        self.gamma.setToolTip("Below 1 lifts what is weak")
        self.strongest = button("Three strongest", "Take the three element maps with most counts", self._take)
        self.run = button("Compose", "Add the maps up in their colours and contrast limits", self._compose)
        self.expression = QLineEdit()
        self.expression.setPlaceholderText("Fe / (Fe + Ca)")
        self.expression.setToolTip(
            "Maps by name: + - * / ( ) sqrt log; Fe_K is the layer “Fe K”, BSE_rock “BSE (rock)”"
        )
        self.expression.returnPressed.connect(self._compute)
        self.compute = button("Compute", "Make the map of this expression", self._compute)
        self.bars = tick_box("Colour bars", False, "Show the colour bar of each map", self._show_bars)
        self.lay_out(
            QLabel("Each in the contrast limits of its layer:"),
            *(row(*parts) for parts in zip(self.used, self.maps, self.colors, strict=True)),
            row(QLabel("Gamma"), self.gamma, self.strongest, None),
            QLabel("Or a map computed from maps:"),
            row(self.expression, self.compute),
            None,
            foot=row(self.run, self.bars, None),
        )
        self._chosen_by_hand = False
        self.follow(viewer.layers.events.inserted, self._inserted)
        for choice in self.maps:
            choice.chosen.connect(lambda _: self._set_enabled())
            choice.activated.connect(self._take_choice)
        self._take()

    def _inserted(self, event: Any) -> None:
        if FAMILY_KEY in event.value.metadata and not self._chosen_by_hand:
            QTimer.singleShot(0, self.while_open(self._take))  # the lists hear of it in this turn, too

    def _take_choice(self, index: int) -> None:
        self._chosen_by_hand = True

    def _take(self) -> None:
        """Take the strongest element maps, each in a colour of its own."""
        # Of a family that was mapped twice, the later one.
        mapped = [layer for layer in self.viewer.layers if FAMILY_KEY in layer.metadata]
        layers = {layer.metadata[FAMILY_KEY]: layer for layer in mapped}
        best = sorted(layers.values(), key=lambda layer: -float(np.nansum(layer.data)))[: len(_USUAL) - 1]
        for choice, layer in zip(self.maps, best, strict=False):
            choice.choose(layer)
        for place, used in enumerate(self.used):
            used.setChecked(place < len(best))
        self._set_enabled()

    def _chosen(self) -> list[tuple[Any, str]]:
        return [
            (choice.layer(), color.currentText())
            for used, choice, color in zip(self.used, self.maps, self.colors, strict=True)
            if used.isChecked() and choice.layer() is not None
        ]

    def _set_enabled(self) -> None:
        self.run.setEnabled(bool(self._chosen()))
        if any(choice.layer() is not None for choice in self.maps):
            self.offer("")
        else:
            self.offer_dock("A picture is composed of maps.", "Element maps")

    def _compose(self) -> None:
        chosen = self._chosen()
        layers = [layer for layer, _ in chosen]
        with errors_told():
            picture = compose(
                [layer.data for layer in layers],
                [COLORS[color] for _, color in chosen],
                [_limits(layer) for layer in layers],
                self.gamma.value(),
            )
            name = ", ".join(f"{layer.name} {color}" for layer, color in chosen)
            data = [map_layer(picture, name, pixel_size_of_layer(layers[0]))]
            maps = ", ".join(map_written(layer, at) for at, layer in enumerate(layers))
            colors, limits = [COLORS[color] for _, color in chosen], [_limits(layer) for layer in layers]
            call = f"compose([{maps}], {colors}, {limits}, {self.gamma.value()})"
            data = made_by(data, "picture", call, *layers, needs=_NEEDS)
            (added,) = add_layers(self.viewer, data, over=layers[0])
            self.viewer.layers.selection.active = added
            for layer in layers:
                layer.visible = False
            show_legend(self.viewer, [(layer.name, COLORS[color]) for layer, color in chosen], added)

    def _compute(self) -> None:
        layers = [layer for layer in self.viewer.layers if is_map(layer)]
        with errors_told():
            text = self.expression.text().strip()
            by_name = {layer.name: layer for layer in layers}
            used = [by_name[name] for name in names_in(text, by_name)]
            values = compute_map(text, {layer.name: layer.data for layer in used}).astype(np.float32)
            maps = ", ".join(f"{written(each.name)}: {map_written(each, at)}" for at, each in enumerate(used))
            call = f"compute_map({written(text)}, {{{{{maps}}}}}).astype('float32')"
            data = [map_layer(values, text, pixel_size_of_layer(used[0]))]
            add_layers(self.viewer, made_by(data, "computed", call, *used, needs=_NEEDS), over=used[0])

    def _show_bars(self) -> None:
        for layer in self.viewer.layers:
            if is_map(layer):
                layer.colorbar.visible = self.bars.isChecked()


def is_map(layer: Any) -> bool:
    """Whether a layer is an image of one value in each pixel (Y, X)."""
    flat = kind_of(layer) == "image" and layer.ndim == 2 and not layer.rgb and not layer.multiscale
    return bool(flat and OPENING_KEY not in layer.metadata)


def _limits(layer: Any) -> tuple[float, float]:
    low, high = layer.contrast_limits
    return float(low), float(high)


def _color_choice(color: str) -> QComboBox:
    box = QComboBox()
    box.addItems(list(COLORS))
    box.setCurrentText(color)
    return box
