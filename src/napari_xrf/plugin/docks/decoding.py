"""The Edit code dock: a network's code of a map, changed element by element, and the spectrum of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import napari.viewer
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QLineEdit

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.model_choice import ModelChoice
from napari_xrf.plugin.forms.parameter_form import form_label
from napari_xrf.plugin.forms.parts import button, row
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.jobs.job import Job
from napari_xrf.plugin.jobs.model_answers import loaded_model
from napari_xrf.plugin.layers.cubes import cube_layer
from napari_xrf.plugin.layers.layer_data import add_layers
from napari_xrf.plugin.layers.loading import follow_energy, tell_energy
from napari_xrf.plugin.layers.script import made_by, written
from napari_xrf.plugin.notices import errors_told
from napari_xrf.plugin.plots.spectrum_plot import LOG, SCALES, Curve, SpectrumPlot

if TYPE_CHECKING:
    from napari_xrf.learning.prediction.decoding import Decoded

_HEADS = ("Element", "Of the code, %", "Factor", "Added, %")
_FACTOR, _ADDED = 2, 3  # columns that are edited
_HINT = "Type a factor (0 takes the element out, 2 doubles it) or what is put in, as % of the counts"
_COLORS = {"measured": "#808080", "its code": "#56b4e9", "edited": "#e69f00"}
_PLOT_HEIGHT = 170
_EXPLAINED = 0.95  # of the variance, below which names of the code are not believed without a word


class DecodingDock(Dock):
    """Turns elements of a map's code up, down and in, and shows the spectrum that would be measured."""

    title = "Edit code"
    networks = True

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.factors: dict[str, float] = {}  # element or line → factor, other than 1
        self.added: dict[str, float] = {}  # element or line → share of the counts, above 0
        self._whole: SpectralCube | None = None  # the chosen map's sum spectrum, on its refined axis
        self._plain: Decoded | None = None  # without changes
        self._seeing: Job | None = None
        self._again = self._filling = False
        self.maps = MapChoice(self)
        self.models = ModelChoice(self, lambda description: description.architecture == "line-autoencoder")
        self.scale = QComboBox()
        self.scale.addItems(SCALES)
        self.scale.setToolTip("Scale of counts")
        self.plot = SpectrumPlot()
        self.plot.plot.setMinimumHeight(_PLOT_HEIGHT)
        self.plot.readout.setMinimumHeight(0)
        empty = "Read the code: its elements stand here"
        self.table = Table(_HEADS, _HINT, stretched=0, empty=empty, rows=4)
        self.table.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.AnyKeyPressed
            | QAbstractItemView.EditTrigger.SelectedClicked
        )
        self.name = QLineEdit()
        self.name.setPlaceholderText("another element or line: Pb, Fe ka1")
        self.name.returnPressed.connect(self._list_another)
        hint = "What the network takes the map's sum spectrum to be made of"
        self.read = button("Read code", hint, self._read)
        self.reset = button("Undo changes", "The code as it was read", self._reset)
        self.run = button("Make map", "Decode every pixel with these changes, as a map of spectra", self._run)
        self.lay_out(
            row(form_label("Map"), self.maps),
            row(form_label("Model"), self.models),
            (self.plot, 2),
            (self.table, 1),
            row(self.name, self.scale),
            foot=row(self.read, self.reset, self.run, None),
        )
        self.setMinimumWidth(420)
        self.scale.currentTextChanged.connect(self.plot.set_scale)
        self.scale.setCurrentText(LOG)
        self.table.itemChanged.connect(self._take_cell)
        self.maps.chosen.connect(lambda _: self._forget_code())
        self.models.chosen.connect(lambda _: self._forget_code())
        self.follow_theme(self.plot.set_colors)
        self.when_closed(self._let_go)
        self._forget_code()

    def _forget_code(self) -> None:
        """Begin anew with another map or model."""
        self._whole = self._plain = None
        self.factors, self.added = {}, {}
        self._let_go()
        self.plot.set_curves(())
        self._list()
        self._set_enabled()

    def _set_enabled(self) -> None:
        ready = self.maps.layer() is not None and bool(self.models.model()) and not self.lost
        free = self.job_bar.job is None
        self.read.setEnabled(ready and free)
        self.run.setEnabled(ready and free and self._plain is not None)
        self.name.setEnabled(self._plain is not None)
        self.reset.setEnabled(bool(self.factors or self.added))

    # The code

    def _read(self) -> None:
        done = partial(self._take_code, self.maps.layer(), self.models.model())
        self.maps.run("Reading the code", read_code, self.models.model(), on_done=done)

    def _take_code(self, layer: Any, model: str, found: tuple[SpectralCube, Decoded]) -> None:
        if layer is not self.maps.layer() or model != self.models.model():
            return
        self._whole, self._plain = found
        self._show_code()
        self.see(self.table)
        told = f"The code explains {max(self._plain.explained, 0.0):.1%} of the variance of the sum spectrum"
        if self._plain.explained < _EXPLAINED:
            self.warn(f"{told}: some of its elements stand for lines that it does not know here")
        else:
            self.tell(told)

    def _show_code(self) -> None:
        self._list()
        self._set_enabled()
        if self._plain is not None:
            self._draw(self._plain)
        if self.factors or self.added:
            self._see()

    def _list(self) -> None:
        code = {} if self._plain is None else self._plain.code
        names = [*code, *(name for name in {**self.factors, **self.added} if name not in code)]
        self._filling = True
        self.table.show_rows(
            [
                (
                    name,
                    f"{100 * code[name]:.2f}" if name in code else "–",
                    f"{self.factors.get(name, 1.0):g}",
                    f"{100 * self.added.get(name, 0.0):g}",
                )
                for name in names
            ],
            [place for place, name in enumerate(names) if self._is_changed(name)],
        )
        for place in range(len(names)):
            for column in range(_FACTOR):
                item = self.table.item(place, column)
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
        self._filling = False

    def _is_changed(self, name: str) -> bool:
        return self.factors.get(name, 1.0) != 1.0 or self.added.get(name, 0.0) > 0.0

    def _take_cell(self, item: Any) -> None:
        """Take what was typed; what is no number from 0 is told, and the cell says what it said."""
        if self._filling:
            return
        name = str(self.table.item(item.row(), 0).text())
        with errors_told():
            try:
                self.change(name, item.column(), _number(item.text()))
            finally:
                self._show_row(item.row(), name)

    def _show_row(self, place: int, name: str) -> None:
        self._filling = True
        self.table.item(place, _FACTOR).setText(f"{self.factors.get(name, 1.0):g}")
        self.table.item(place, _ADDED).setText(f"{100 * self.added.get(name, 0.0):g}")
        for column in range(len(_HEADS)):
            font = self.table.item(place, column).font()
            font.setBold(self._is_changed(name))
            self.table.item(place, column).setFont(font)
        self._filling = False

    def change(self, name: str, column: int, value: float) -> None:
        """Change a row's factor (column 2), or the % of the counts that is put in (column 3)."""
        if column == _FACTOR:
            self.factors[name] = value
        else:
            self.added[name] = value / 100
        self._set_enabled()
        self._see()

    def _list_another(self) -> None:
        """List an element or line that the code does not hold, or one line of an element that it does."""
        from napari_xrf.learning.prediction.decoding import units_of

        name, description = self.name.text().strip(), self.models.description()
        with errors_told():
            if description is not None:
                units_of(description, name)
            self.factors.setdefault(name, 1.0)
            self._list()
            self.name.clear()
            place = [line[0] for line in self.table.rows()].index(name)
            self.table.setCurrentCell(place, _ADDED)
            self.table.scrollToItem(self.table.item(place, 0))

    def _reset(self) -> None:
        self.factors, self.added = {}, {}
        self._show_code()

    # The spectrum

    def _see(self) -> None:
        """Show the spectrum of the changed code, now or when the one before is there."""
        if self._seeing is not None:
            self._again = True
            return
        if self._whole is None:
            return
        self._seeing = Job(
            "Decoding",
            decode_cube,
            self._whole,
            self.models.model(),
            factors=dict(self.factors),
            added=dict(self.added),
            on_done=self._draw,
        )
        self._seeing.ended.connect(self._seen)
        self._seeing.start()

    def _seen(self) -> None:
        self._seeing = None
        if self._again:
            self._again = False
            self._see()

    def _draw(self, decoded: Decoded) -> None:
        if self._whole is None or self._plain is None:
            return
        axis = self._plain.cube.energy
        spectra = {
            "measured": self._whole.energy.rebin(np.asarray(self._whole.counts[0, 0]), axis),
            "its code": np.asarray(self._plain.cube.counts[0, 0]),
            "edited": np.asarray(decoded.cube.counts[0, 0]),
        }
        if decoded is self._plain:
            del spectra["edited"]
        self.plot.set_curves(
            [Curve(name, counts, axis, _COLORS[name], expected=True) for name, counts in spectra.items()]
        )

    # The map

    def _run(self) -> None:
        layer, cube, model = self.maps.layer(), self.maps.cube(), self.models.model()
        if cube is None or not model:
            return
        factors = {name: factor for name, factor in self.factors.items() if factor != 1.0}
        added = {name: share for name, share in self.added.items() if share > 0.0}
        done = partial(self._show_map, layer, model, factors, added)
        self.maps.run(f"Decoding {cube.name}", decode_map, model, factors, added, on_done=done)

    def _show_map(
        self, layer: Any, model: str, factors: dict[str, float], added: dict[str, float], decoded: Decoded
    ) -> None:
        changes = f"factors={written(factors)}, added={written(added)}"
        call = f"nx.decode({{0}}, {changes}, model={written(model)}).cube"
        recipe: dict[str, Any] = {"model": model}
        recipe |= {"factors": _changes_text(factors)} if factors else {}
        recipe |= {"add": _changes_text(added)} if added else {}
        made = made_by([cube_layer(decoded.cube)], "decoded", call, layer, recipe={"decode": recipe})
        kept = self._whole, self._plain, self.factors, self.added
        (added_layer,) = add_layers(self.viewer, made, over=layer)
        follow_energy(self.viewer, added_layer)
        tell_energy(self.viewer)
        self.maps.choose(layer)  # the map that is made is one too
        self._whole, self._plain, self.factors, self.added = kept
        self._show_code()
        self.tell("; ".join([f"{added_layer.name} is made", *decoded.notes]))

    def _let_go(self) -> None:
        self._again = False
        if self._seeing is not None:
            job, self._seeing = self._seeing, None
            job.cancel()
            job.ended.disconnect(self._seen)


def read_code(
    measured: CalibratedMap, model: str, *, progress: Progress = ignore_progress
) -> tuple[SpectralCube, Decoded]:
    """Return a map's sum spectrum as a map of one pixel, and what a model makes of it."""
    cube = measured.checked().on_refined_axis
    counts = np.asarray(measured.sum_spectrum, dtype=np.float64)[None, None]
    whole = SpectralCube(counts, cube.energy, cube.name, excitation=cube.excitation)
    return whole, decode_cube(whole, model, progress=progress)


def decode_cube(cube: SpectralCube, model: str, **options: Any) -> Decoded:
    """Return what a model makes of a map whose axis is refined, after changes to its code."""
    from napari_xrf.learning.prediction.decoding import decode

    return decode(loaded_model(model), cube, calibrate=False, **options)


def decode_map(
    measured: CalibratedMap,
    model: str,
    factors: dict[str, float],
    added: dict[str, float],
    *,
    progress: Progress = ignore_progress,
) -> Decoded:
    """Return what a model makes of every pixel of a map, after changes to its code."""
    from napari_xrf.learning.prediction.decoding import decode

    return decode(loaded_model(model), measured, factors=factors, added=added, progress=progress)


def _number(text: str) -> float:
    try:
        value = float(text.strip().removesuffix("%").replace(",", "."))
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise InvalidInput(f"{text.strip()!r} is no number from 0", "Type 0, 0.5, 2, …")
    return value


def _changes_text(changes: dict[str, float]) -> str:
    return ",".join(f"{name}={value}" for name, value in changes.items())
