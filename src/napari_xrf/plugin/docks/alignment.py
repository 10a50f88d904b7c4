"""The Align pictures dock: a photograph or electron image laid on a map by points seen in both."""

from functools import partial
from typing import Any

import napari.viewer
import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QLabel

from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.alignment import Alignment, align_points, as_colors, resample, transformed
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LayerChoice
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.parts import button, row, wrapped
from napari_xrf.plugin.forms.tables import Table, number_text
from napari_xrf.plugin.layers.cubes import holds_cube
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY
from napari_xrf.plugin.layers.layer_data import add_layers, fit_view, kind_of, map_layer, take_units
from napari_xrf.plugin.layers.opening import OPENING_KEY
from napari_xrf.plugin.layers.script import made_by
from napari_xrf.plugin.notices import errors_told

_POINTS_KEY = "xrf_points_of"  # the layer that points lie on
_ALIGNED_KEY = "xrf_aligned"  # the map, the matrix, and the points on picture and map
_COLOR = "#56b4e9"
_THROUGH = 0.6  # opacity of a picture that lies on a map
_PART = 0.02  # of the layer's larger side: a point's size
_DIGITS = 6  # of a distance: below it stands only what computing rounds


class AlignmentDock(Dock):
    """Marks the same places on a picture and on a map, and moves the picture there."""

    title = "Align pictures"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.picture = LayerChoice(self, _is_picture, "open a photograph or electron image", follows=False)
        self.maps = MapChoice(self)
        self.mark_picture = button("Mark on the picture", "Click places that the map shows too", tuple)
        self.mark_map = button("Mark on the map", "Click the same places, in the same order", tuple)
        self.table = Table(_heads(""), "Pairs, in the order of marking")
        self.run = button("Align", "Lay the picture on the map, its points on the map's", tuple)
        self.undo = button("Back", "Put the picture where it was", self._undo)
        self.resample = button(
            "Onto the map's pixels", "A new layer of the map's size, to compose and correlate", tuple
        )
        for made, use in (
            (self.mark_picture, lambda: self._mark(self.picture.layer())),
            (self.mark_map, lambda: self._mark(self.maps.layer())),
            (self.run, self._align),
            (self.resample, self._resample),
        ):
            made.clicked.connect(lambda _=False, use=use: use())
        self.lay_out(
            row(QLabel("Picture"), self.picture),
            row(QLabel("Map"), self.maps),
            wrapped(
                "Click the same places on both, in one order. Two pairs turn and scale, three stretch too; "
                "from four on, the table tells how far off each is."
            ),
            row(self.mark_picture, self.mark_map, None),
            (self.table, 1),
            foot=row(self.run, self.undo, self.resample, None),
        )
        self._before: list[tuple[Any, NDArray[np.float64]]] = []
        self.picture.chosen.connect(lambda _: self._choose())
        self.maps.chosen.connect(lambda _: self._choose())
        self.follow_layers(_is_points, ("data", "set_data"), lambda _: self._show(), lambda _: self._show())
        self._choose()

    def points(self, layer: Any) -> NDArray[np.float64]:
        """Return the points (N, 2) that are marked on a layer, (y, x) of its own pixels."""
        marks = self._marks(layer)
        return np.zeros((0, 2)) if marks is None else np.array(marks.data, dtype=np.float64)

    def _marks(self, layer: Any) -> Any:
        points = (each for each in self.viewer.layers if _is_points(each))
        return next((each for each in points if each.metadata[_POINTS_KEY] is layer), None)

    def _mark(self, layer: Any) -> None:
        """Show one of the two, with its points, ready for the next."""
        if layer is None:
            return
        self._share_units()
        marks = self._marks(layer)
        if marks is None:
            marks = self.viewer.add_points(
                ndim=2,
                name=f"Points on {layer.name}",
                size=max(1.0, _PART * max(_size(layer))),
                face_color=_COLOR,
                text={"string": "{number}", "color": _COLOR, "anchor": "upper_left"},
                features={"number": np.zeros(0, dtype=int)},
                scale=tuple(layer.scale[-2:]),
                translate=tuple(layer.translate[-2:]),
                affine=_affine(layer),
                units=tuple(str(unit) for unit in layer.units[-2:]),
                metadata={_POINTS_KEY: layer},
            )
            marks.events.data.connect(partial(_number, marks))
        for other in (self.picture.layer(), self.maps.layer()):
            for each in (other, self._marks(other)):
                if each is not None:
                    each.visible = other is layer
        self.viewer.layers.selection.active = marks
        marks.mode = "add"
        fit_view(self.viewer, [layer])

    def _alignment(self) -> Alignment:
        """Return what brings the picture, where its scale puts it, onto the map."""
        picture, target = self.picture.layer(), self.maps.layer()
        if picture is None or target is None:
            raise InvalidInput("there is no picture, or no map", "Open both")
        return align_points(
            transformed(_to_world(picture), self.points(picture)),
            transformed(_affine(target) @ _to_world(target), self.points(target)),
        )

    def _align(self) -> None:
        with errors_told():
            self._share_units()
            found, layer, target = self._alignment(), self.picture.layer(), self.maps.layer()
            self._before.append((layer, _affine(layer)))
            points = (self.points(layer).round(3).tolist(), self.points(target).round(3).tolist())
            self._move(layer, found.matrix)
            # Without a scale of its own, or by three points, the pixels alone tell where it lies.
            plain = layer.scale[-2] == layer.scale[-1] or len(points[0]) > 2
            layer.metadata[_ALIGNED_KEY] = (target, found.matrix, points) if plain else None
            layers = self.viewer.layers
            layers.move(layers.index(layer), layers.index(target) + 1)
            layer.visible = target.visible = True
            layer.opacity = _THROUGH
            fit_view(self.viewer, [target])
            scales = " and ".join(f"{scale:.4g}" for scale in np.linalg.svd(found.matrix[:2, :2])[1])
            self.tell(f"{layer.name!r} lies on {target.name!r}, scaled by {scales}; {_told(found, target)}")
        self._set_enabled()

    def _undo(self) -> None:
        while self._before:
            layer, matrix = self._before.pop()
            if layer in self.viewer.layers:
                self._move(layer, matrix)
                break
        self._set_enabled()

    def _move(self, layer: Any, matrix: NDArray[np.float64]) -> None:
        for each in (layer, self._marks(layer)):
            if each is not None:
                each.affine = matrix

    def _resample(self) -> None:
        self._share_units()
        picture, target = self.picture.layer(), self.maps.layer()
        to_picture = np.linalg.inv(_affine(picture) @ _to_world(picture))
        from_map = to_picture @ _affine(target) @ _to_world(target)
        data = np.asarray(picture.data)
        values = as_colors(resample(data, from_map, target.data.shape[-2:]), data)
        name = f"{picture.name} on {target.name}"
        dy, dx = (float(size) for size in target.scale[-2:])
        units = tuple(str(unit) for unit in target.units[-2:])
        made = [map_layer(values, name, (dy, dx), units=units)]
        aligned = picture.metadata.get(_ALIGNED_KEY)
        if picture.source.path and aligned and aligned[0] is target:
            _, matrix, points = aligned
            if np.array_equal(_affine(picture), matrix):  # nobody has moved it since
                call = f"nx.align({picture.source.path!r}, {{0}}, {points[0]}, {points[1]})"
                made = made_by(made, "picture", call, target)
        add_layers(self.viewer, made, over=target)

    def _choose(self) -> None:
        picture = self.picture.layer()
        if picture is not None and set(map(str, picture.units)) == {"pixel"}:
            self._share_units()  # napari ignores, and warns of, those of all else
        self._show()

    def _share_units(self) -> None:
        """Give the picture and its points the map's units, in which it is laid there."""
        picture, target = self.picture.layer(), self.maps.layer()
        if picture is not None and target is not None:
            for each in (picture, self._marks(picture)):
                if each is not None and each.units[-2:] != target.units[-2:]:
                    take_units(each, target.units)

    def _show(self) -> None:
        pairs = [self.points(layer) for layer in (self.picture.layer(), self.maps.layer())]
        missed = np.full(max(map(len, pairs)), np.nan)
        if len(pairs[0]) == len(pairs[1]) >= 2:
            try:
                missed = self._alignment().missed
            except InvalidInput as error:
                self._say(str(error))
        target = self.maps.layer()
        self.table.set_heads(_heads("" if target is None else f", {target.units[-1]:~P}"))
        self.table.show_rows(
            [
                (str(at + 1), *(_place(points, at) for points in pairs), _far(missed[at]))
                for at in range(len(missed))
            ]
        )
        self._set_enabled()

    def _set_enabled(self) -> None:
        picture, target = self.picture.layer(), self.maps.layer()
        self.mark_picture.setEnabled(picture is not None)
        self.mark_map.setEnabled(target is not None)
        both = picture is not None and target is not None
        count = len(self.points(picture))
        self.run.setEnabled(both and count >= 2 and count == len(self.points(target)))
        self.resample.setEnabled(both)
        self.undo.setEnabled(any(layer in self.viewer.layers for layer, _ in self._before))


def _heads(unit: str) -> tuple[str, ...]:
    return ("Point", "picture (y, x)", "map (y, x)", f"missed by{unit}")


def _is_picture(layer: Any) -> bool:
    flat = kind_of(layer) == "image" and layer.ndim == 2 and not layer.multiscale
    other = OPENING_KEY in layer.metadata or FAMILY_KEY in layer.metadata
    return bool(flat and not other and not holds_cube(layer))


def _is_points(layer: Any) -> bool:
    return kind_of(layer) == "points" and _POINTS_KEY in layer.metadata


def _number(marks: Any, event: Any) -> None:
    """Give the points of a layer their numbers, from 1, once one is added or gone."""
    numbers = np.arange(1, len(marks.data) + 1)
    if str(event.action.value).endswith("ed") and list(marks.features["number"]) != list(numbers):
        marks.features = {"number": numbers}


def _affine(layer: Any) -> NDArray[np.float64]:
    """Return the (3, 3) part of a layer's own transformation that moves its last two axes."""
    whole = np.asarray(layer.affine.affine_matrix)
    kept = [-3, -2, -1]
    return np.asarray(whole[np.ix_(kept, kept)], dtype=np.float64)


def _to_world(layer: Any) -> NDArray[np.float64]:
    """Return what a layer's scale and place make of (row, column, 1)."""
    matrix = np.diag([*layer.scale[-2:], 1.0])
    matrix[:2, 2] = layer.translate[-2:]
    return matrix


def _size(layer: Any) -> tuple[int, int]:
    rows, columns = layer.data.shape[:2] if layer.rgb else layer.data.shape[-2:]
    return int(rows), int(columns)


def _place(points: NDArray[np.float64], at: int) -> str:
    return f"{points[at, 0]:.1f}, {points[at, 1]:.1f}" if at < len(points) else "–"


def _far(distance: float) -> str:
    return number_text(round(distance, _DIGITS) if np.isfinite(distance) else None, ".3g")


def _told(found: Alignment, target: Any) -> str:
    known = found.missed[np.isfinite(found.missed)]
    if known.size == 0:
        return "so few points fit in any case: mark a fourth pair to see how well"
    missed = round(float(np.sqrt(np.mean(known**2))), _DIGITS)
    return f"a point that is left out is missed by {missed:.3g} {target.units[-1]:~P}"
