"""The Minerals dock: name the mineral of each pixel, and read the percentages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari.viewer
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QLineEdit, QListWidgetItem

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import UNKNOWN_LABEL
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.crystal_reflections import ReflectionOptions
from napari_xrf.minerals.labels.modal_table import ModalRow, held_rows, write_modal_table
from napari_xrf.minerals.method_choice import LIKELIHOOD
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.class_table import TABLED, ClassTable
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.model_choice import MethodMenu
from napari_xrf.plugin.forms.parameter_form import ParameterForm
from napari_xrf.plugin.forms.parts import button, column, expanding, row, tick_box
from napari_xrf.plugin.forms.tick_list import TickBoxes
from napari_xrf.plugin.layers.calibration import kept_map
from napari_xrf.plugin.layers.cubes import CUBE_KEY
from napari_xrf.plugin.layers.labels import (
    CLASSIFICATION_KEY,
    label_layer,
    label_map_of_layer,
    modal_rows,
    undecided_pixels,
)
from napari_xrf.plugin.layers.layer_data import add_layers, map_layer, with_keywords
from napari_xrf.plugin.layers.legend import show_legend
from napari_xrf.plugin.layers.regions import pixel_under
from napari_xrf.plugin.layers.script import made_by
from napari_xrf.plugin.notices import errors_told
from napari_xrf.plugin.plots.evidence_plot import EvidenceWindow
from napari_xrf.reference.minerals import Mineral, load_library, merge_libraries

if TYPE_CHECKING:
    from napari_xrf.core.progress import Progress
    from napari_xrf.maps.calibrated_map import Measured
    from napari_xrf.minerals.classification import ClassificationOptions


_AUTO = "All that the elements found allow"
_TICKED = "The ticked ones"
_MOST_NAMED = 12  # in the legend


class MineralsDock(Dock):
    """Makes a label layer of minerals from the chosen map, and tables any label layer."""

    title = "Minerals"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._library: tuple[Mineral, ...] = load_library()
        self._own: list[Path] = []
        self._named: list[tuple[str, str]] = []  # in the legend
        self._make_controls()
        self._place_controls()
        self.maps.chosen.connect(lambda _: self._set_enabled())
        self.labels.chosen.connect(lambda _: self._show_legend())
        self.labels.edited.connect(self.throttled(self._show_legend, 500))
        self.labels.chosen.connect(lambda _: self._set_enabled())
        self.other.chosen.connect(lambda _: self._set_enabled())
        self.choice.currentIndexChanged.connect(lambda _: self._set_enabled())
        self.filter.textChanged.connect(self.list.show_only)
        self.table.itemSelectionChanged.connect(self._set_enabled)
        viewer.mouse_drag_callbacks.append(self._clicked)
        self.when_closed(partial(viewer.mouse_drag_callbacks.remove, self._clicked))
        self.list.itemChanged.connect(self._ticked)
        self._list_minerals()

    def _make_controls(self) -> None:
        self.maps = MapChoice(self)
        self.labels = LabelsChoice(self, watched=TABLED)
        self.choice = QComboBox()
        self.choice.addItems([_AUTO, _TICKED])
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("filter by name, formula or group")
        self.list = TickBoxes()
        self.ticked = self.list.ticked
        self.list.setMinimumHeight(90)
        self.count = QLabel()
        self.table = ClassTable(self, self.labels)
        self.methods = MethodMenu(self)
        self.reflecting = ParameterForm(ReflectionOptions())
        self.other = LabelsChoice(self)
        self.agree = button(
            "Agreement",
            "Where two label maps have the same name, and where which different ones",
            self.compare,
        )
        self.own = button("Own CSV…", "Add minerals of your own: name,formula,density", self._ask_library)
        self.run = button("Map minerals", "Name the mineral of each pixel", self._classify)
        self.whole = button(
            "Report on everything…",
            "Elements, their maps, quantities, phases and minerals as files and one page, in a folder",
            self._ask_folder,
        )
        self.why = button("Why?", "Why the selected class has its mineral", self._explain_class)
        self.why_pixel = button("Why this pixel?", "Then click a pixel of the map", tuple)
        self.why_pixel.setCheckable(True)
        self.evidence = EvidenceWindow(self)
        self.follow_theme(self.evidence.plot.set_colors)
        self.legend = tick_box("Legend", False, "Names and colours above the map", self._show_legend)
        self.save_table = button(
            "Save table…",
            "Write the percentages as CSV",
            partial(self.save_as, "Save the table", "classes.csv", "Table (*.csv)", self.write_table),
        )
        self.save_report = button(
            "Save report…",
            "Write map, table and spectra as HTML",
            partial(self.save_as, "Save the report", "report.html", "Report (*.html)", self.write_report),
        )

    def _place_controls(self) -> None:
        self.lay_out(
            row(QLabel("Map"), self.maps),
            row(QLabel("Look for"), expanding(self.choice), self.own),
            self.filter,
            (self.list, 2),
            row(QLabel("Method"), self.methods),
            self.reflecting,
            row(QLabel("Labels"), self.labels, self.legend),
            row(QLabel("Beside"), self.other, self.agree),
            (self.table, 3),
            foot=column(
                row(self.why, self.why_pixel, self.save_table, self.save_report, None),
                row(self.run, self.whole, self.count, None),
                flush=True,
            ),
        )
        self.setMinimumWidth(470)

    def use_library(self, path: Path) -> None:
        """Add the minerals of a CSV file to the list, ticked.

        Raises FileError when the file cannot be read; the message names line and column.
        """
        own = load_library(path)
        self._library = merge_libraries(self._library, own)
        self._own.append(path)
        self._list_minerals({mineral.name for mineral in own} | set(self.ticked()))

    def tick(self, names: tuple[str, ...]) -> None:
        """Tick these minerals and look for the ticked ones."""
        self._list_minerals(set(names))
        self.choice.setCurrentText(_TICKED)

    def chosen_minerals(self) -> tuple[Mineral, ...] | None:
        """Return the minerals to look for, None for those of the library that fit the map."""
        if self.choice.currentText() == _TICKED:
            names = set(self.ticked())
            if not names:
                raise InvalidInput("no mineral is ticked", "Tick some, or look for all")
            return tuple(mineral for mineral in self._library if mineral.name in names)
        return None

    def _list_minerals(self, ticked: set[str] | None = None) -> None:
        entries = (
            (each.name, f"{each.name}   {each.formula}", f"{each.group}, {each.density} g/cm³")
            for each in self._library
        )
        self.list.set_entries(entries, ticked or ())
        self.list.show_only(self.filter.text())
        self._set_enabled()

    def _ticked(self, item: QListWidgetItem) -> None:
        if item.checkState() == Qt.CheckState.Checked:
            self.choice.setCurrentText(_TICKED)
        self._set_enabled()

    def _set_enabled(self) -> None:
        busy = self.job_bar.job is not None
        for part in (self.list, self.filter):  # what is not asked for takes no room
            part.setVisible(self.choice.currentText() == _TICKED)
        self.run.setEnabled(self.maps.layer() is not None and not busy)
        self.whole.setEnabled(self.run.isEnabled())
        labels = self.labels.layer()
        self.save_table.setEnabled(labels is not None)
        self.agree.setEnabled(labels is not None and self.other.layer() not in (None, labels))
        known = labels is not None and CLASSIFICATION_KEY in labels.metadata and not busy
        self.save_report.setEnabled(known)
        self.why_pixel.setEnabled(known)
        self.why.setEnabled(known and bool(self.table.selected()))
        looked_for = len(self.ticked()) if self.choice.currentText() == _TICKED else len(self._library)
        self.count.setText(f"{looked_for} of {len(self._library)} minerals")

    def _show_legend(self) -> None:
        """Show the largest classes of the chosen labels above the map, or take the legend away."""
        layer, label_map = self.labels.layer(), self.labels.label_map()
        wanted = self.legend.isChecked() and label_map is not None
        rows = held_rows(modal_rows(layer, label_map)) if wanted and label_map else []
        entries = [(_legend_name(row, layer), row.color) for row in rows if row.pixels][:_MOST_NAMED]
        if entries != self._named:
            self._named = entries
            show_legend(self.viewer, entries, layer)

    def compare(self) -> None:
        """Add layers of where the chosen labels and those beside them agree and differ, and tell how far."""
        from napari_xrf.minerals.labels.comparison import compare_labels

        first, second = self.labels.label_map(), self.other.label_map()
        if first is None or second is None:
            return
        with errors_told():
            found = compare_labels(first, second)
            names = f"{self.labels.layer().name} and {self.other.layer().name}"
            kept = self.labels.layer(), self.other.layer()
            layers = [
                with_keywords(label_layer(found.map, f"Agreement of {names}"), visible=False),
                label_layer(found.pairs, f"Differences of {names}"),
            ]
            add_layers(self.viewer, layers, over=kept[0])
            self.labels.choose(kept[0])
            self.other.choose(kept[1])
            self.tell(
                f"{100 * found.agreement:.1f} % of {found.pixels} pixels have the same name, "
                f"{100 * found.allowed:.1f} % one that the other allows; kappa {found.kappa:.3f}"
            )

    def _classify(self) -> None:
        from napari_xrf.learning.evaluation.method_choice import check_methods, classify_by_choice

        cube = self.maps.cube()
        if cube is None:
            return
        with errors_told():
            minerals = self.chosen_minerals()
            recipe: dict[str, Any] = {"library": str(self._own[-1])} if self._own else {}
            recipe |= {} if minerals is None else {"minerals": [mineral.name for mineral in minerals]}
            method = self.methods.method()
            recipe |= {} if method == LIKELIHOOD else {"method": method}
            options = self._options(method)
            recipe |= {"keep_reflections": True} if options.keep_reflections else {}
            check_methods(method, minerals, options)
            done = partial(self._show, self.maps.layer(), cube, self._call(minerals), recipe)
            work = partial(classify_by_choice, method)
            self.maps.run("Mapping minerals", work, minerals, options, on_done=done)

    def _options(self, method: str) -> ClassificationOptions:
        """Return the options of a method: a network has no library, and ours need not be named."""
        from napari_xrf.learning.evaluation.method_choice import methods_of
        from napari_xrf.minerals.classification import ClassificationOptions

        named = self._own and LIKELIHOOD in methods_of(method)
        keep = self.reflecting.value().keep_reflections
        return ClassificationOptions(library=self._library if named else None, keep_reflections=keep)

    def _call(self, minerals: tuple[Mineral, ...] | None) -> str:
        """Return the same in Python; see :mod:`napari_xrf.plugin.layers.script`."""
        named = "" if minerals is None else f", {[mineral.name for mineral in minerals]!r}"
        own = f", library={str(self._own[-1])!r}" if self._own else ""
        method = self.methods.method()
        by = "" if method == LIKELIHOOD else f", method={method!r}"
        kept = ", keep_reflections=True" if self.reflecting.value().keep_reflections else ""
        return f"nx.map_minerals({{0}}{named}{own}{by}{kept}).label_map"

    def _show(
        self, over: Any, cube: SpectralCube, call: str, recipe: dict[str, Any], classification: Any
    ) -> None:
        labels = classification.label_map
        layers = [with_keywords(label_layer(labels), metadata={CLASSIFICATION_KEY: (cube, classification)})]
        if labels.confidence is not None:
            look = {"contrast_limits": (0.0, 1.0), "colormap": "gray", "visible": False}
            name = f"Confidence ({cube.name})"
            layers.insert(0, map_layer(np.asarray(labels.confidence), name, labels.pixel_size, **look))
        if len(self._own) < 2:  # a script names one library beside the shipped one
            layers = made_by(layers, "labels", call, over, recipe={"minerals": recipe})
        layer = add_layers(self.viewer, layers, over=over)[-1]
        self.labels.choose(layer)
        notes = classification.notes
        if classification.choice is not None:
            notes = (classification.choice.reason, *classification.choice.notes, *notes)
        self.tell("\n".join(notes) or f"{layer.name} is done")
        self.see(self.table)

    def explain(self, where: str | tuple[int, int]) -> None:
        """Show why a class, or the pixel (row, column), of the chosen layer has its mineral; in a worker."""
        from napari_xrf.minerals.evidence import explain_mineral

        cube, classification = self.labels.layer().metadata[CLASSIFICATION_KEY]
        shown = next((each for each in self.viewer.layers if each.metadata.get(CUBE_KEY) is cube), None)
        measured = cube if shown is None else kept_map(shown, cube)
        options = {"library": self._library, "on_done": self.evidence.show_evidence}
        self.job_bar.run("Explaining", explain_mineral, measured, classification, where, **options)

    def _explain_class(self) -> None:
        label = self.table.selected()[0]
        _, classification = self.labels.layer().metadata[CLASSIFICATION_KEY]
        # The user may have renamed it since.
        names = {entry.label: entry.name for entry in classification.label_map.classes}
        if label in names:
            self.explain(names[label])
        else:
            self.warn("This class was painted by hand: nothing was measured for it")

    def _clicked(self, viewer: Any, event: Any) -> None:
        layer = self.labels.layer()
        if self.why_pixel.isChecked() and layer is not None:
            self.why_pixel.setChecked(False)
            pixel = pixel_under(self.viewer, event.position, layer, layer.data.shape)
            if pixel is not None:
                self.explain(pixel)

    def _ask_library(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Minerals of your own", "", "Table (*.csv)")
        if path:
            with errors_told():
                self.use_library(Path(path))

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "A folder for the report and its files")
        if folder:
            self.write_everything(Path(folder))

    def write_everything(self, folder: Path) -> None:
        """Do the whole job on the chosen map in a worker; report.html and all files go into a folder."""
        with errors_told():
            method, minerals = self.methods.method(), self.chosen_minerals()
            self.maps.run(
                "Reporting",
                _survey_and_write,
                folder,
                method,
                minerals,
                self._options(method),
                on_done=lambda files: self.tell(f"{files[-1]} is written"),
            )

    def write_table(self, path: Path) -> None:
        """Write the percentages of the chosen label layer as CSV."""
        layer = self.labels.layer()
        write_modal_table(path, modal_rows(layer, label_map_of_layer(layer)))

    def write_report(self, path: Path) -> None:
        """Write the report of the chosen label layer, with its changes by hand, as HTML."""
        from napari_xrf.minerals.report.page import write_report

        layer = self.labels.layer()
        cube, classification = layer.metadata[CLASSIFICATION_KEY]
        write_report(path, cube, classification, label_map_of_layer(layer))


def _legend_name(row: ModalRow, layer: Any) -> str:
    undecided = undecided_pixels(layer) if row.label == UNKNOWN_LABEL else 0
    return f"{row.name} ({undecided / row.pixels:.0%} undecided)" if undecided else row.name


def _survey_and_write(
    measured: Measured,
    folder: Path,
    method: str,
    minerals: Sequence[Mineral] | None,
    options: ClassificationOptions,
    *,
    progress: Progress,
) -> list[Path]:
    from napari_xrf.io.atomic_write import together
    from napari_xrf.learning.evaluation.method_choice import classify_by_choice
    from napari_xrf.minerals.report.files import write_survey
    from napari_xrf.minerals.report.survey import survey_map

    classify = partial(classify_by_choice, method)
    survey = survey_map(measured, classify, minerals, options, progress=progress)
    named = (
        "all that the elements found allow" if minerals is None else ", ".join(each.name for each in minerals)
    )
    with together():
        told = f"Minerals dock, Report on everything; method {method}; looked for: {named}"
        return write_survey(folder, survey, told)
