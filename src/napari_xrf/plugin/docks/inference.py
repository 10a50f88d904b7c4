"""The Model inference dock: what a network says of a region at once, and of the whole map on demand."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox

from napari_xrf.core.errors import InvalidInput, XrfError
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.prediction.suitability import unsuited_to
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.physics.excitation import instrument_of
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.docks.spectrum import show_evidence
from napari_xrf.plugin.forms.inference import InferenceForm
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.model_choice import ModelChoice
from napari_xrf.plugin.forms.parameter_form import form_label
from napari_xrf.plugin.forms.parts import button, expanding, row, wrapped
from napari_xrf.plugin.forms.tables import RankedTable
from napari_xrf.plugin.jobs.job import Job, running_on
from napari_xrf.plugin.jobs.model_answers import RegionAnswer, Request, answer_region, predict_map
from napari_xrf.plugin.layers.calibration import calibrate_layer, kept_map, on_calibrated
from napari_xrf.plugin.layers.cubes import CUBE_KEY
from napari_xrf.plugin.layers.layer_data import add_layers
from napari_xrf.plugin.layers.loading import follow_energy, load_in_background, tell_energy
from napari_xrf.plugin.layers.predictions import prediction_layers
from napari_xrf.plugin.layers.region_spectra import RegionSpectra
from napari_xrf.plugin.layers.regions import single_names
from napari_xrf.plugin.layers.script import made_by
from napari_xrf.plugin.notices import errors_told, tell_error
from napari_xrf.plugin.plots.line_markers import evidence_lines

WHOLE = "the whole map, summed"


class InferenceDock(Dock):
    """Asks a model about regions and maps."""

    title = "Model inference"
    networks = True

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._masks: dict[str, NDArray[np.bool_]] = {}
        self._answering: Job | None = None
        self._refining: Job | None = None
        self._again = False
        self._told = ""
        self._cube: SpectralCube | None = None  # of the chosen map
        self.answer: RegionAnswer | None = None
        self.prediction: Any = None
        self._predicted: SpectralCube | None = None
        self.maps = MapChoice(self)
        self.models = ModelChoice(self)
        self.form = InferenceForm()
        self.region = expanding(QComboBox(), 8)
        self.region.setToolTip("Whose spectrum the model reads; a region is answered while you draw it")
        self.region.addItem(WHOLE)
        self.new_regions = self.maps.region_button("Draw regions; each is answered at once")
        self.ask = button("Ask", "Read the region's spectrum", self._ask)
        self.status = wrapped()
        self.table = RankedTable()
        self.run = button("Read whole map", "Make the outputs as layers", self._run)
        self.save = button("Save prediction…", "Write all outputs of the last map (.h5)", self._ask_file)
        self.lay_out(
            row(form_label("Map"), self.maps),
            row(form_label("Model"), self.models),
            self.form,
            row(form_label("Region"), self.region, self.ask),
            self.status,
            (self.table, 1),
            foot=row(self.new_regions, self.run, self.save, None),
        )
        self.setMinimumWidth(420)
        self.regions = RegionSpectra(self)
        self.maps.chosen.connect(self._choose_map)
        self.models.chosen.connect(lambda _: self._choose_model())
        self.form.changed.connect(self._form_changed)
        self.region.activated.connect(lambda _: self._ask())
        self.regions.changed.connect(self._follow_regions)
        self.table.picked.connect(lambda name: self._show_lines(name, open_dock=True))
        self._choose_model()
        self._choose_map(self.maps.layer())
        self.when_closed(self._let_go)

    def write(self, path: Path) -> None:
        """Write all outputs of the last map, as ``napari-xrf predict`` does, in a worker thread."""
        from napari_xrf.learning.prediction.files import write_prediction

        if self.prediction is None:
            raise InvalidInput("no map was read yet", "Press Read whole map first")

        self.write_in_background(path, write_prediction, self.prediction)

    def _choose_map(self, layer: Any) -> None:
        self._cube = self.maps.cube() if layer is not None else None
        if self._cube is not None:
            load_in_background(self._cube)
            self.models.choose_for(instrument_of(self._cube))
        self._clear_answer()
        self._set_enabled()
        self._follow_regions()

    def _choose_model(self) -> None:
        description: ModelDescription | None = None
        with errors_told():
            description = self.models.description()
        self.form.show_for(description)
        self._clear_answer()
        self._set_enabled()
        if self.region.currentText() in self._masks:
            self._ask()

    def _form_changed(self) -> None:
        self._set_enabled()
        if self.answer is not None:
            self._ask()

    def _set_enabled(self) -> None:
        ready = self.maps.layer() is not None and bool(self.models.model()) and not self.lost
        free = self.job_bar.job is None
        self.ask.setEnabled(ready)
        self.run.setEnabled(ready and free and bool(self.form.request().outputs))
        self.save.setEnabled(free and self.prediction is not None)

    # Regions

    def _follow_regions(self) -> None:
        """List the regions, and ask about the one that was drawn or moved."""
        cube = self.maps.cube()
        masks: dict[str, NDArray[np.bool_]] = {}
        if cube is not None:
            found = self.regions.masks(self.maps.layer(), cube.map_shape)
            names = single_names(region.name for region in found)
            masks = {name: region.mask for name, region in zip(names, found, strict=True)}
        moved = [name for name, mask in masks.items() if not _same(mask, self._masks.get(name))]
        self._masks = masks
        kept = self.region.currentText()
        self.region.blockSignals(True)
        self.region.clear()
        self.region.addItems([WHOLE, *masks])
        self.region.setCurrentText(moved[-1] if moved else (kept if kept in masks else WHOLE))
        self.region.blockSignals(False)
        if moved:
            self._ask()
        elif kept != self.region.currentText():
            self._clear_answer()  # its region is gone

    def _ask(self) -> None:
        """Ask about the chosen region now, or when the question before it is answered."""
        layer, cube, model = self.maps.layer(), self.maps.cube(), self.models.model()
        if cube is None or not model or self.lost:
            return
        if self._answering is not None:
            self._again = True
            return
        region = self.region.currentText()
        mask = self._masks.get(region)
        self.status.setText("Reading the spectrum…" if self.answer is None else self.status.text())
        self._answering = Job(
            f"Reading {region}",
            answer_region,
            model,
            kept_map(layer, cube),
            region,
            mask,
            self.form.request(),
            on_done=partial(self._take_answer, model, layer),
            on_error=self._fail_answer,
        )
        self._answering.ended.connect(self._answered)
        self._answering.start()
        self._refine(layer, cube)

    def _answered(self) -> None:
        self._answering = None
        if self._again:
            self._again = False
            self._ask()

    def _refine(self, layer: Any, cube: SpectralCube) -> None:
        """Refine the map's energy axis behind the first answer, and ask again when it moved."""
        known = kept_map(layer, cube) is not cube or self._refining is not None
        # A map that is being decoded would be read twice; what is decoded comes as a new cube.
        if known or not self.form.request().refined or running_on(cube) is not None:
            return

        def done(measured: CalibratedMap) -> None:
            if cube is self.maps.cube() and measured.energy != cube.energy and self.answer is not None:
                self._ask()

        self._refining = Job("Refining the energy axis", calibrate_layer, layer, cube, on_done=done)
        self._refining.ended.connect(self._refined)
        self._refining.start()

    def _refined(self) -> None:
        self._refining = None

    def _take_answer(self, model: str, layer: Any, answer: RegionAnswer) -> None:
        if model != self.models.model() or layer is not self.maps.layer():
            return
        self.answer, self._told = answer, ""
        found = sum(each.present for each in answer.ranked)
        told = (
            f"{answer.region}: {answer.counts:,.0f} counts in {answer.pixels:,} pixels, "
            f"{found} above the threshold ({answer.seconds:.2f} s)"
        )
        self.status.setText("\n".join(filter(None, (told, *answer.notes, self._doubt()))))
        self.table.show_answer(answer.ranked)
        self.see(self.table)
        self._show_lines(self.table.name())

    def _fail_answer(self, error: Exception) -> None:
        self._clear_answer()
        self.status.setText(str(error) if isinstance(error, XrfError) else "")
        if str(error) != self._told:  # a drag asks many times a second
            self._told = str(error)
            tell_error(error)

    def _clear_answer(self) -> None:
        self.answer = None
        self.table.show_answer(())
        self.status.setText(self._doubt())
        show_evidence(self.viewer, ())

    def _doubt(self) -> str:
        """Return why the model does not fit the map, before it answers and beside its answers."""
        try:
            description = self.models.description()
        except XrfError:  # told when it was chosen
            return ""
        if description is None or self._cube is None:
            return ""
        return "\n".join(unsuited_to(description, self._cube))

    def _show_lines(self, name: str, *, open_dock: bool = False) -> None:
        if self.answer is not None:
            lines = evidence_lines(name, self.answer.description)
            show_evidence(self.viewer, lines, open_dock=open_dock)

    # The whole map

    def _run(self) -> None:
        layer, cube, model = self.maps.layer(), self.maps.cube(), self.models.model()
        if cube is None or not model:
            return
        request = self.form.request()
        work = on_calibrated(predict_map, layer, cube) if request.refined else partial(predict_map, cube)
        done = partial(self._show_map, layer, cube, request)
        self.job_bar.run(f"Reading {cube.name}", work, model, request, on_done=done)

    def _show_map(self, layer: Any, cube: SpectralCube, request: Request, prediction: Any) -> None:
        self.prediction, self._predicted = prediction, cube
        layers, notes = prediction_layers(prediction, request, cube)
        if request.refined:  # as the front door does
            call = f"nx.predict({self.models.model()!r}, {{0}}, outputs={request.outputs!r})"
            layers = made_by(layers, "prediction", call, layer)
        for added in add_layers(self.viewer, layers, over=layer):
            if CUBE_KEY in added.metadata:
                follow_energy(self.viewer, added)
                tell_energy(self.viewer)
        self.maps.choose(layer)  # a denoised map is a map too
        self._set_enabled()
        self.tell("\n".join((f"{len(layers)} layers of {prediction.description.name}", *notes)))

    def _ask_file(self) -> None:
        name = f"{self._predicted.name}.predictions.h5" if self._predicted is not None else "predictions.h5"
        self.save_as("Save the prediction", name, "HDF5 (*.h5 *.hdf5)", self.write)

    def _let_go(self) -> None:
        if self.answer is not None:
            show_evidence(self.viewer, ())
        for job, slot in ((self._answering, self._answered), (self._refining, self._refined)):
            if job is not None:
                job.cancel()
                # PySide raises where the dock is gone already; it hears nothing any more then.
                with suppress(RuntimeError, SystemError):
                    job.ended.disconnect(slot)


def _same(mask: NDArray[np.bool_], other: NDArray[np.bool_] | None) -> bool:
    return other is not None and np.array_equal(mask, other)
