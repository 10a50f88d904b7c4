"""The Preparation dock: a map recalibrated, binned, cropped, normalised and so on, as a new layer."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import napari.viewer
from qtpy.QtWidgets import QFormLayout, QLabel, QLineEdit, QSpinBox

from napari_xrf import io
from napari_xrf.core.errors import XrfError
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import Measured, calibrate_map
from napari_xrf.maps.crystal_reflections import Reflections, find_reflections
from napari_xrf.maps.preparation import (
    CALIBRATING,
    LARGEST,
    PeakResidual,
    PreparationStep,
    parse_preparation,
    peak_residuals,
    place_of_first_pixel,
    prepare_map,
)
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.parts import button, menu_button, row, tick_box
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.layers.cubes import CHANGED_KEY, cube_from, cube_layer
from napari_xrf.plugin.layers.labels import label_layer
from napari_xrf.plugin.layers.layer_data import add_layers, moved
from napari_xrf.plugin.layers.loading import follow_energy, tell_energy
from napari_xrf.plugin.layers.script import made_by, step_of
from napari_xrf.plugin.notices import errors_told

STEPS_KEY = "xrf_preparation"
_NO_INTENSITY = "no"
_MOST_TOLD = 8
_TICKS = (  # in the order of work
    ("recalibrate", "Recalibrate", "Take the energy axis that the map's own peaks tell"),
    ("empty-dead", "Empty dead pixels", "Pixels that count next to nothing beside their neighbours"),
    ("without-reflections", "Take out reflections", "Peaks of diffraction in single grains: no element's"),
    ("equal-times", "To equal live times", "Counts as if all pixels had the mean live time"),
)
_SIZES = (
    ("crop-edges", 0, "Crop edges", "Pixels that go on all sides"),
    ("bin-space", 1, "Bin pixels", "Squares of this side become one pixel"),
    ("bin-energy", 1, "Bin channels", "So many channels become one"),
)


class PreparationDock(Dock):
    """Does steps in the order of a line; the layer that comes of them remembers them."""

    title = "Preparation"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.maps = MapChoice(self)
        self.ticks = {name: tick_box(text, False, hint, self._write) for name, text, hint in _TICKS}
        self.sizes = {name: _size_field(least, hint, self._write) for name, least, _, hint in _SIZES}
        self.intensity = menu_button(_NO_INTENSITY, "Counts as if the beam had been as strong at all pixels: "
                                     "what the map's file holds for each of them, as I0")  # fmt: skip
        self.intensity.menu().aboutToShow.connect(self._list_intensities)
        self._intensity = ""
        self.axis = QLineEdit()
        self.axis.setPlaceholderText("as the file says, or 0:0.01")
        self.axis.setToolTip("keV of the first channel:keV per channel")
        self.axis.editingFinished.connect(self._write)
        self.order = QLineEdit()
        self.order.setToolTip("The steps in their order; change it, or write your own")
        self.check = button(
            "Check the axis", "How far peaks lie from their lines, before and after", self._check
        )
        self.show_reflections = button(
            "Show reflections", "Grains with peaks of diffraction, as labels", self._find_reflections
        )
        self.run = button("Prepare", "A new map; the old one stays as it is", self._prepare)
        self.table = Table(("Line", "keV", "file, eV", "refined, eV"), "Peak less line, of elements found")
        fields = QFormLayout()
        for name, _, text, _ in _SIZES:
            fields.addRow(text, self.sizes[name])
        self.lay_out(
            row(QLabel("Map"), self.maps),
            row(QLabel("Energy axis"), self.axis),
            *self.ticks.values(),
            row(QLabel("To equal intensity (I0)"), self.intensity, None),
            fields,
            row(QLabel("Steps"), self.order),
            (self.table, 1),
            foot=row(self.run, self.check, self.show_reflections, None),
        )
        self.maps.chosen.connect(lambda _: self._choose())
        self._choose()

    def steps(self) -> tuple[PreparationStep, ...]:
        """Return the steps of the line, in their order; raise InvalidInput where it cannot be read."""
        return parse_preparation(self.order.text())

    def _write(self) -> None:
        steps = []
        if self.axis.text().strip():
            with errors_told():
                steps = [PreparationStep("energy", name=self.axis.text().replace(" ", ""))]
        steps += [PreparationStep(name) for name, box in self.ticks.items() if box.isChecked()]
        steps += [PreparationStep("equal-intensity", name=self._intensity)] if self._intensity else []
        sizes = {name: box for name, box in self.sizes.items() if box.value() > box.minimum()}
        steps += [PreparationStep(name, box.value()) for name, box in sizes.items()]
        self.order.setText(",".join(map(str, steps)))

    def _choose(self) -> None:
        self.table.show_rows(())
        if self._intensity or self.axis.text():  # of another file
            self.axis.clear()
            self._take_intensity("")
        self._set_enabled()

    def _list_intensities(self) -> None:
        """Offer what the map's file holds for each pixel."""
        menu, cube = self.intensity.menu(), self.maps.cube()
        menu.clear()
        names: tuple[str, ...] = ()
        with suppress(XrfError):  # no HDF5 file, or gone
            names = io.list_monitors(cube.provenance.path) if cube is not None else ()
        if not names:
            menu.addAction("The map's file holds nothing for each pixel beside spectra").setEnabled(False)
            return
        for name in ("", *names):
            menu.addAction(name or _NO_INTENSITY, partial(self._take_intensity, name))

    def _take_intensity(self, name: str) -> None:
        self._intensity = name
        self.intensity.setText(name.rpartition("/")[2] or _NO_INTENSITY)
        self._write()

    def _set_enabled(self) -> None:
        cube = self.maps.cube()
        idle = self.job_bar.job is None and cube is not None
        self.run.setEnabled(idle)
        self.check.setEnabled(idle)
        self.show_reflections.setEnabled(idle)
        if cube is not None:
            own = f"{cube.energy.offset:.6g}:{cube.energy.width:.6g}"
            self.axis.setToolTip(f"The axis to use in place of the map's own, which is {own}")
        self.ticks["equal-times"].setEnabled(cube is not None and cube.live_time is not None)

    def _prepare(self) -> None:
        layer, cube = self.maps.layer(), self.maps.cube()
        with errors_told():
            steps = self.steps()
            if not steps or cube is None:
                self.warn("Choose a step first")
                return
            text = ",".join(map(str, steps))
            done = partial(self._show, layer, text)
            if any(step.kind in CALIBRATING for step in steps):
                self.maps.run("Preparing", prepare_map, steps, on_done=done)
            else:
                self.job_bar.run("Preparing", prepare_map, cube, steps, on_done=done)

    def _show(self, layer: Any, text: str, cube: SpectralCube) -> None:
        known = cube_from(layer).provenance.warnings
        data, keywords, kind = cube_layer(cube)
        keywords["name"] = f"{layer.name} (prepared)"
        before = layer.metadata.get(STEPS_KEY, "")
        keywords["metadata"][STEPS_KEY] = ",".join(filter(None, (before, text)))
        if step_of(layer) is None:  # nor is it its file's any more
            keywords["metadata"][CHANGED_KEY] = True
        (made,) = made_by([(data, keywords, kind)], "cube", f"nx.prepare({{0}}, {text!r})", layer)
        shift = place_of_first_pixel(parse_preparation(text)) * layer.scale[-2:]
        (added,) = add_layers(self.viewer, [moved(made, *map(float, shift))], over=layer)
        self.viewer.layers.selection.active = added
        follow_energy(self.viewer, added)
        tell_energy(self.viewer)
        rows, columns, channels = cube.shape
        steps = added.metadata[STEPS_KEY]
        told = f"{added.name}: {rows} × {columns} pixels, {channels} channels; done: {steps}"
        fresh = [note for note in cube.provenance.warnings if note not in known]
        self.tell("\n".join((told, *fresh)))

    def _find_reflections(self) -> None:
        done = partial(self._show_grains, self.maps.layer())
        self.maps.run("Looking for reflections", find_reflections, on_done=done)

    def _show_grains(self, layer: Any, found: Reflections) -> None:
        if found.peaks:
            made = label_layer(found.label_map, f"Reflections of {layer.name}")
            call = "nx.find_reflections({0}).label_map"
            add_layers(self.viewer, made_by([made], "labels", call, layer), over=layer)
        peaks = (
            f"{one.energy_kev:.2f} keV" + ("" if one.is_sure else f", may be {' or '.join(one.may_be)}")
            for one in found.peaks[:_MOST_TOLD]
        )
        self.tell("\n".join((found.reason, *peaks)))

    def _check(self) -> None:
        self.maps.run("Checking the axis", _residuals, on_done=self._show_residuals)

    def _show_residuals(self, found: tuple[str, tuple[tuple[PeakResidual, float], ...]]) -> None:
        message, residuals = found
        self.table.show_rows(
            [
                (one.family, f"{one.energy:.3f}", f"{one.above_ev + moved:+z.1f}", f"{one.above_ev:+z.1f}")
                for one, moved in residuals
            ]
        )
        self.see(self.table)
        self.tell(message)


def _residuals(measured: Measured, *, progress: Any) -> tuple[str, tuple[tuple[PeakResidual, float], ...]]:
    """Return what the calibration says, and of each line its residual and what the file's axis adds."""
    known = calibrate_map(measured, progress=progress)
    own, refined = known.cube.energy, known.energy
    pairs = []
    for one in peak_residuals(known):
        channel = (one.energy - refined.offset) / refined.width
        pairs.append((one, 1000 * (own.offset + channel * own.width - one.energy)))
    return known.message, tuple(pairs)


def _size_field(least: int, hint: str, changed: Callable[[], object]) -> QSpinBox:
    field = QSpinBox()
    field.setRange(least, LARGEST)
    field.setSpecialValueText("no")
    field.setToolTip(hint)
    field.valueChanged.connect(lambda _: changed())
    return field
