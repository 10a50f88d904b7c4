"""The Phases dock: find the phases of a map without a library, see what they are, and name them."""

from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
from qtpy.QtWidgets import QAbstractItemView, QLabel, QLineEdit, QSpinBox

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.crystal_reflections import ReflectionOptions
from napari_xrf.minerals.phases.discovery import MOST_PHASES, Phases, find_phases
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LayerChoice
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.parameter_form import ParameterForm
from napari_xrf.plugin.forms.parts import button, row, wrapped
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.layers.labels import CLASSIFICATION_KEY, label_layer, label_map_of_layer
from napari_xrf.plugin.layers.layer_data import add_layers, kind_of, with_keywords
from napari_xrf.plugin.layers.script import made_by

PHASES_KEY = "xrf_phases"
_HEADS = ("Phase", "Area %", "Elements", "Nearest mineral", "Misfit %")


class PhasesDock(Dock):
    """Makes a label layer of phases from the chosen map; its classes get the user's names."""

    title = "Phases"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.maps = MapChoice(self)
        self.count = QSpinBox()
        self.count.setRange(0, MOST_PHASES)
        self.count.setSpecialValueText("as many as can be told apart")
        self.reflecting = ParameterForm(ReflectionOptions())
        self.run = button("Find phases", "Spectra that the map is made of, without a library", self._find)
        self.layers = LayerChoice(self, _holds_phases, "no phases yet", ("features",))
        self.reason = wrapped()
        self.table = Table(_HEADS, "Select a phase to name it; the layer shows it alone", stretched=3)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.name = QLineEdit()
        self.name.setPlaceholderText("name of the selected phase")
        self.name.setToolTip("Press Enter to give the selected phase this name")
        save = partial(self.save_as, kinds="Table (*.csv)")
        self.save_table = button(
            "Save table…",
            "Elements, weight percent and nearest minerals as CSV",
            lambda: save("Save the table", "phases.csv", write=self.write_table),
        )
        self.save_spectra = button(
            "Save spectra…",
            "Counts per pixel of each phase as CSV",
            lambda: save("Save the spectra", "phase_spectra.csv", write=self.write_spectra),
        )
        self.save_report = button(
            "Save report…",
            "Write map, table and spectra as HTML",
            lambda: self.save_as("Save the report", "report.html", "Report (*.html)", self.write_report),
        )
        self.lay_out(
            row(QLabel("Map"), self.maps),
            row(QLabel("Phases"), self.count, None),
            self.reflecting,
            row(QLabel("Labels"), self.layers),
            self.reason,
            (self.table, 3),
            self.name,
            foot=row(self.run, self.save_table, self.save_spectra, self.save_report, None),
        )
        self.setMinimumWidth(470)
        self.maps.chosen.connect(lambda _: self._set_enabled())
        self.layers.chosen.connect(lambda _: self._show_chosen())
        self.layers.edited.connect(self._show_chosen)
        self.table.itemSelectionChanged.connect(self._select)
        self.name.returnPressed.connect(self._rename)
        self._show_chosen()

    def phases(self) -> Phases | None:
        """Return the phases of the chosen layer, or None."""
        layer = self.layers.layer()
        return None if layer is None else layer.metadata[PHASES_KEY]

    def write_table(self, path: Path) -> None:
        """Write the table of the chosen layer's phases as CSV."""
        from napari_xrf.minerals.phases.files import write_phase_table

        write_phase_table(path, self.layers.layer().metadata[PHASES_KEY])

    def write_spectra(self, path: Path) -> None:
        """Write the spectra of the chosen layer's phases as CSV."""
        from napari_xrf.minerals.phases.files import write_phase_spectra

        write_phase_spectra(path, self.layers.layer().metadata[PHASES_KEY])

    def write_report(self, path: Path) -> None:
        """Write the report of the chosen layer, with the names it got, as HTML."""
        from napari_xrf.minerals.report.page import write_report

        layer = self.layers.layer()
        cube, classification = layer.metadata[CLASSIFICATION_KEY]
        write_report(path, cube, classification, label_map_of_layer(layer))

    def _set_enabled(self) -> None:
        self.run.setEnabled(self.maps.layer() is not None and self.job_bar.job is None)
        for each in (self.save_table, self.save_spectra, self.save_report):
            each.setEnabled(self.layers.layer() is not None)
        self.name.setEnabled(self._selected() is not None)

    def _find(self) -> None:
        cube = self.maps.cube()
        if cube is not None:
            count = self.count.value() or None
            keep = self.reflecting.value().keep_reflections
            done = partial(self._show, self.maps.layer(), cube, count, keep)
            self.maps.run("Finding phases", find_phases, count, keep_reflections=keep, on_done=done)

    def _show(self, over: Any, cube: SpectralCube, count: int | None, keep: bool, phases: Phases) -> None:
        metadata = {CLASSIFICATION_KEY: (cube, phases.classification), PHASES_KEY: phases}
        made = with_keywords(label_layer(phases.label_map, f"Phases of {cube.name}"), metadata=metadata)
        kept = ", keep_reflections=True" if keep else ""
        recipe = {"count": count or "auto"} | ({"keep_reflections": True} if keep else {})
        call = f"nx.find_phases({{0}}, {count}{kept}).label_map"
        made = made_by([made], "labels", call, over, recipe={"phases": recipe})[0]
        self.layers.choose(add_layers(self.viewer, [made], over=over)[-1])
        self.see(self.table)
        found = phases.classification.reflections
        told = () if found is None else found.notes
        self.tell("\n".join((f"{len(phases.phases)} phases of {cube.name}", *told)))

    def _show_chosen(self) -> None:
        phases = self.phases()
        self.reason.setText("" if phases is None else phases.reason)
        kept = self.table.currentRow()
        self.table.show_rows([] if phases is None else self._rows(phases))
        if phases is not None and 0 <= kept < len(phases.phases):
            self.table.selectRow(kept)
        self._set_enabled()

    def _rows(self, phases: Phases) -> list[tuple[str, ...]]:
        names = {entry.label: entry.name for entry in label_map_of_layer(self.layers.layer()).classes}
        measured = max(int((phases.label_map.labels > 0).sum()), 1)
        return [
            (
                names.get(phase.label, phase.name),
                f"{100 * phase.pixels / measured:.1f}",
                " ".join(phase.elements),
                phase.near[0].name if phase.near else "none near",
                f"{100 * phase.nearest[0].misfit:.0f}" if phase.nearest else "–",
            )
            for phase in phases.phases
        ]

    def _selected(self) -> int | None:
        """Return the label of the selected phase."""
        phases, rows = self.phases(), self.table.selectionModel().selectedRows()
        return phases.phases[rows[0].row()].label if phases is not None and rows else None

    def _select(self) -> None:
        label = self._selected()
        if label is not None:
            self.layers.layer().selected_label = label
            self.name.setText(self.table.item(self.table.currentRow(), 0).text())
        self._set_enabled()

    def _rename(self) -> None:
        label, text = self._selected(), self.name.text().strip()
        if label is not None and text:
            layer: Any = self.layers.layer()
            features = layer.features.copy()
            features.loc[features["index"] == label, "name"] = text
            layer.features = features


def _holds_phases(layer: Any) -> bool:
    return bool(kind_of(layer) == "labels" and PHASES_KEY in layer.metadata)
