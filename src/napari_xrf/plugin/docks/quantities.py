"""The Quantities dock: weight percent of a map, of regions or classes of it, and of every pixel."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QLineEdit

from napari_xrf.core.label_map import NOT_MEASURED
from napari_xrf.core.progress import Progress
from napari_xrf.maps.calibrated_map import Measured
from napari_xrf.maps.quantification.composition import OXYGEN, formulas_of
from napari_xrf.maps.quantification.named import StatedSample, calibrated_by_files, quantify_by_names
from napari_xrf.maps.quantification.report import QuantityReport
from napari_xrf.maps.quantification.standards import read_truth_table
from napari_xrf.maps.quantification.table import is_unknown
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.physics.instrument_file import write_instrument
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.element_list import ElementList
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.map_choice import MapChoice, element_buttons
from napari_xrf.plugin.forms.parameter_form import ParameterForm, Section
from napari_xrf.plugin.forms.parts import button, expanding, row, tick_box
from napari_xrf.plugin.forms.synthesis_choices import FileChoice
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.layers.element_maps import element_map_layers
from napari_xrf.plugin.layers.layer_data import add_layers
from napari_xrf.plugin.layers.region_spectra import RegionSpectra
from napari_xrf.plugin.layers.script import Step, keep_result, remembering, step_from, step_of, written
from napari_xrf.plugin.notices import errors_told

AS_FILE = "as the file says"
_REPORT_KEY, _REGIONS_KEY = "xrf_quantities", "xrf_quantified_regions"
_MISSING = "–"
_WHOLE, REGIONS, CLASSES = "Whole map", "Drawn regions", "Classes of labels"
_OXYGEN = {
    "auto": "judged by line or background",
    "stoichiometry": "as oxides",
    "measured": "by its line",
    "difference": "what the dose leaves",
    "none": "none",
}
Masks = Mapping[str, NDArray[np.bool_]]
_NEEDS = "from napari_xrf.maps.quantification.named import quantify_by_names"
_SHAPES = "from napari_xrf.io.own.region_files import shape_mask"
_HEADS = ("Region", "", "wt %", "± 1 sd", "limit", "oxide %")


class QuantitiesDock(Dock):
    """Tables weight percent with errors and limits, and makes a layer of each element's."""

    title = "Quantities"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._standards: list[tuple[Path, Path]] = []
        self._make_controls()
        self._place_controls()
        self.where.currentIndexChanged.connect(lambda _: self._set_enabled())
        self.labels.chosen.connect(lambda _: self._set_enabled())
        self.maps.chosen.connect(self._choose)
        self.use_standards(())
        self._choose(self.maps.layer())

    def _make_controls(self) -> None:
        self.maps = MapChoice(self)
        self.list = ElementList("Ticked elements are quantified; with none ticked, those that are found")
        self.tick = self.list.tick
        self.list.setMinimumHeight(70)
        self.find, self.from_file, self.periodic = element_buttons(
            self.maps, "Find elements", self.list.show_found, self.tick, self.list.ticked
        )
        self.where = QComboBox()
        self.where.addItems([_WHOLE, REGIONS, CLASSES])
        self.labels = LabelsChoice(self)
        self.shapes = RegionSpectra(self)
        self.regions = self.maps.region_button("Draw regions on the map to quantify")
        self.oxygen = QComboBox()
        for name in OXYGEN:
            self.oxygen.addItem(_OXYGEN[name], name)
        self.valences = QLineEdit()
        self.valences.setPlaceholderText("valences, Fe=3")
        self.instrument = FileChoice(
            _check_instrument,
            presets=(AS_FILE, *instrument_names()),
            files="Instrument (*.toml)",
            hint="What measured the map: a preset, or the .toml file of your instrument",
        )
        self.instrument.set_text(AS_FILE)
        self.stated = ParameterForm(StatedSample(), skip=("oxygen", "valence"))
        self.standards = QLabel()
        self.pixels = tick_box("Every pixel", False, "Maps of weight percent as layers", tuple)
        self.run = button("Quantify", "Weight percent with errors and limits", self._quantify)
        self.table = Table(_HEADS, empty="Quantify tables weight percent here", stretched=0)
        self.save_all = button(
            "Save…", "Table, check against the spectra, and maps, into a folder", self._ask_folder
        )
        self.save_instrument = button(
            "Save instrument…",
            "What the standards tell, for other maps of the instrument",
            self._ask_instrument,
        )

    def _place_controls(self) -> None:
        self.lay_out(
            row(QLabel("Map"), self.maps),
            row(self.find, self.from_file, self.periodic, None),
            (self.list, 1),
            row(QLabel("Where"), expanding(self.where), self.regions, self.labels),
            row(QLabel("Oxygen"), self.oxygen, self.valences),
            row(QLabel("Instrument"), self.instrument),
            row(
                button("Add standard…", "A spectrum, and a table of its weight percents", self._ask_standard),
                button("None", "Forget the standards", lambda: self.use_standards(())),
                self.standards,
                None,
            ),
            Section("Sample and dose", self.stated, is_open=False),
            (self.table, 3),
            foot=row(self.run, self.pixels, self.save_all, self.save_instrument, None),
        )
        self.setMinimumWidth(480)

    @property
    def report(self) -> QuantityReport | None:
        """What was last found of the chosen map; it is kept with its layer."""
        return quantities_of(self.maps.layer())

    def use_standards(self, standards: Sequence[tuple[Path, Path]]) -> None:
        """Take the factors of these spectra with their tables (element, weight_percent)."""
        self._standards = list(standards)
        names = ", ".join(spectrum.name for spectrum, _ in self._standards)
        self.standards.setText(names or "no standards")
        self._set_enabled()

    def _choose(self, layer: Any) -> None:
        self.list.show_found(self.maps.found())
        self._show_table()
        self._set_enabled()

    def _set_enabled(self) -> None:
        idle, chosen = self.job_bar.job is None, self.maps.layer() is not None
        self.find.setEnabled(idle and chosen)
        classes = self.where.currentText() == CLASSES
        self.run.setEnabled(idle and chosen and (not classes or self.labels.layer() is not None))
        self.regions.setVisible(self.where.currentText() == REGIONS)
        self.labels.setVisible(classes)
        self.save_all.setEnabled(idle and self.report is not None)
        self.save_instrument.setEnabled(idle and bool(self._standards) and chosen)

    def _where(self, shape: tuple[int, int]) -> tuple[dict[str, NDArray[np.bool_]] | None, dict[str, str]]:
        """Return the masks of the regions by name, and how a script writes each; None: the whole map."""
        if self.where.currentText() == REGIONS:
            drawn = self.shapes.masks(self.maps.layer(), shape)
            written_as = "shape_mask({}, {!r}, {{0}}.map_shape)".format
            texts = {one.name: written_as(one.outline.tolist(), one.kind) for one in drawn}
            return {one.name: one.mask for one in drawn}, texts
        labels = self.labels.of_map(shape) if self.where.currentText() == CLASSES else None
        if labels is None:
            return None, {}
        present = [entry for entry in labels.classes if entry.label != NOT_MEASURED]
        masks = {entry.name: labels.labels == entry.label for entry in present}
        masks = {name: mask for name, mask in masks.items() if mask.any()}
        texts = {entry.name: f"{{1}}.labels == {entry.label}" for entry in present if entry.name in masks}
        return masks, texts

    def _formulas(self) -> dict[str, str]:
        """Return the formulas of classes, which tell their oxygen where nobody else does."""
        labels = self.labels.label_map() if self.where.currentText() == CLASSES else None
        wanted = labels is not None and self.oxygen.currentData() == "auto"
        return formulas_of(labels) if labels is not None and wanted else {}

    def _quantify(self) -> None:
        cube = self.maps.cube()
        if cube is None:
            return
        with errors_told():
            sample = self._sample()  # told before anything starts
            regions, texts = self._where(cube.map_shape)
            if regions is not None and not regions:
                self.warn("No region lies on the map: draw one, or quantify the whole map")
                return
            elements = list(self.list.ticked()) or None
            options: dict[str, Any] = {
                **asdict(sample),
                "instrument": self._instrument(),
                "standards": [(str(spectrum), str(truth)) for spectrum, truth in self._standards],
                "formulas": self._formulas(),
                "pixels": self.pixels.isChecked(),
            }
            step = self._written(elements, None if regions is None else texts, options)
            self.maps.run(
                "Quantifying",
                quantify_by_names,
                elements,
                regions=regions,
                on_done=partial(self._show, self.maps.layer(), regions or {}, step),
                **options,
            )

    def _written(
        self, elements: list[str] | None, texts: Mapping[str, str] | None, options: Mapping[str, Any]
    ) -> Step | None:
        """Return the step that quantifies this, None where the map or the labels are of no file."""
        sources = [step_of(self.maps.layer())]
        told = "".join(f", {name}={written(value)}" for name, value in options.items() if value)
        recipe: dict[str, dict[str, Any]] = {}
        if texts is None:
            recipe = {"quantify": _as_recipe(elements, options)}
        else:
            inside = ", ".join(f"{written(name)}: {text}" for name, text in texts.items())
            told += f", regions={{{{{inside}}}}}"
            if self.where.currentText() == CLASSES:
                sources.append(step_of(self.labels.layer()))
        call = f"quantify_by_names({{0}}, {elements}{told})"
        needs = (_NEEDS, _SHAPES) if "shape_mask(" in call else (_NEEDS,)
        return step_from("quantities", call, *sources, recipe=recipe, needs=needs)

    def _sample(self) -> StatedSample:
        """Return what is stated of the sample; InvalidInput where it cannot be."""
        said = {"oxygen": self.oxygen.currentData(), "valence": self.valences.text()}
        sample = replace(self.stated.value(), **said)
        sample.recipe()
        return sample

    def _instrument(self) -> str:
        return "" if self.instrument.text() == AS_FILE else self.instrument.text()

    def _show_table(self) -> None:
        rows = []
        for line in self.report.rows if self.report is not None else ():
            oxide = f"{line['oxide']} {_text(line['oxide_percent'])}" if line["oxide"] else _MISSING
            weight = _rounded(line["weight_percent"], line["standard_error"])
            limit = _text(line["detection_limit"])
            rows.append((line["region"], line["element"], *weight, limit, oxide))
        self.table.show_rows(rows)

    def _show(self, layer: Any, regions: Masks, step: Step | None, report: QuantityReport) -> None:
        keep_quantities(layer, report, regions)
        keep_result(layer, step)
        if self.maps.layer() is layer and not self.list.count():
            self.list.show_found(self.maps.found())
        self._show_table()
        if report.maps is not None:
            maps = step_from("maps", "{0}.maps", step)
            made = [remembering(each, maps) for each in element_map_layers(report.maps)]
            add_layers(self.viewer, made, over=layer)
        self._set_enabled()
        self.see(self.table)
        told: dict[str, list[str]] = {}  # note → whom it is said of
        for one in report.quantities:
            for note in one.notes:
                told.setdefault(note, []).append(one.region)
        several = len(report.quantities) > 1
        notes = [f"{', '.join(names)}: {note}" if several else note for note, names in told.items()]
        found = len(report.quantities)
        self.tell("\n".join(notes) or f"{found} composition{'s' * (found != 1)} in the table")

    def _ask_standard(self) -> None:
        spectrum, _ = QFileDialog.getOpenFileName(self, "Spectrum or map of known composition")
        truth, _ = (
            QFileDialog.getOpenFileName(
                self, "Its weight percents", str(Path(spectrum).parent), "Table (*.csv)"
            )
            if spectrum
            else ("", "")
        )
        if truth:
            with errors_told():
                read_truth_table(Path(truth), Path(spectrum))
                self.use_standards([*self._standards, (Path(spectrum), Path(truth))])

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Save the quantities")
        if folder and self.report is not None:
            self.job_bar.run(
                "Writing",
                _write,
                self.report,
                Path(folder),
                on_done=lambda files: self.tell(f"{len(files)} files are written to {folder}"),
            )

    def _ask_instrument(self) -> None:
        self.save_as("Save the instrument", "mine.toml", "Instrument (*.toml)", self.write_instrument_file)

    def write_instrument_file(self, path: Path) -> None:
        """Write what the standards tell of the chosen map's instrument, as the dock's job."""
        with errors_told():
            self.maps.run(
                "Calibrating the instrument",
                _save_instrument,
                path,
                self._instrument(),
                tuple(self._standards),
                self._sample(),
                on_done=lambda notes: self.tell("\n".join((f"{path.name} is written", *notes))),
            )


def keep_quantities(layer: Any, report: QuantityReport, regions: Masks) -> None:
    """Keep what was found of a map, and the pixels of the regions that it was found of, with its layer."""
    layer.metadata[_REPORT_KEY], layer.metadata[_REGIONS_KEY] = report, regions


def quantities_of(layer: Any) -> QuantityReport | None:
    """Return what was last found of the map of a layer, or None."""
    return None if layer is None else layer.metadata.get(_REPORT_KEY)


def weights_of(layer: Any, regions: Masks) -> dict[tuple[str, str], str]:
    """Return (region, element) → weight percent of regions that have the pixels they were quantified with."""
    report = quantities_of(layer)
    before: Masks = {} if report is None else layer.metadata[_REGIONS_KEY]
    same = {
        region: [name for name, mask in regions.items() if np.array_equal(mask, kept)]
        for region, kept in before.items()
    }
    return {
        (name, str(line["element"])): percent_text(line)
        for line in (() if report is None else report.rows)
        for name in same.get(line["region"], ())
    }


def _write(report: QuantityReport, folder: Path, *, progress: Progress) -> list[Path]:
    return report.write(folder)


def _save_instrument(
    measured: Measured,
    path: Path,
    instrument: str,
    standards: Any,
    sample: StatedSample,
    *,
    progress: Progress,
) -> tuple[str, ...]:
    made, notes = calibrated_by_files(measured, instrument, standards, sample, progress=progress)
    write_instrument(path, replace(made, name=path.stem))
    return notes


def _as_recipe(elements: list[str] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked of a whole map as options of ``napari-xrf quantify``."""
    told = {
        **{name: value for name, value in options.items() if name not in ("standards", "formulas")},
        "elements": elements,
        "standard": [f"{spectrum}={truth}" for spectrum, truth in options["standards"]],
    }
    return {name: value for name, value in told.items() if value}


def _check_instrument(text: str) -> None:
    if text != AS_FILE:
        load_instrument(text)


def percent_text(line: Mapping[str, Any]) -> str:
    """Return weight percent ± one standard error of a row of a report, or what it lies below."""
    limit = line["detection_limit"]
    if not is_unknown(limit) and not is_unknown(line["weight_percent"]) and line["weight_percent"] < limit:
        return f"< {limit:.2g}"
    percent, error = _rounded(line["weight_percent"], line["standard_error"])
    return percent if error == _MISSING else f"{percent} ± {error}"


def _rounded(value: Any, error: Any) -> tuple[str, str]:
    """Return a value and its error, of which two digits tell something."""
    if is_unknown(value) or is_unknown(error) or not error > 0:
        return _text(value), _text(error)
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f}", f"{error:.{places}f}"


def _text(value: Any) -> str:
    if is_unknown(value):
        return _MISSING
    return f"{value:.3g}" if isinstance(value, float) else str(value)
