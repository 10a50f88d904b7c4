"""The Clean up labels dock: a form over the steps of :mod:`napari_xrf.minerals.cleanup`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import napari.viewer
import numpy as np
from magicgui.widgets import CheckBox, ComboBox, Container, SpinBox
from qtpy.QtWidgets import QFormLayout, QLabel

from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import LabelMap
from napari_xrf.minerals.cleanup import CleanUpStep, clean_labels
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.parts import button, row, wrapped
from napari_xrf.plugin.layers.labels import label_layer
from napari_xrf.plugin.layers.layer_data import add_layers, with_keywords

ALL_CLASSES = "all classes"
_SIZES = (  # step, label, first size, most, stride, what it does
    ("majority", "Majority of", 3, 31, 2, "A pixel takes the most frequent class of a square of this side"),
    ("opening", "Opening", 1, 31, 2, "Parts of a class narrower than this go to their neighbours"),
    ("closing", "Closing", 1, 31, 2, "A class fills gaps narrower than this"),
    ("min-size", "Smallest grain", 5, 100_000, 1, "Grains of fewer pixels go to their neighbours"),
)
_KEPT = ("xrf_classification",)  # what the report needs
_QUICK_PIXELS = 400_000  # larger maps are previewed on request, so that the form stays quick


class CleanUpDock(Dock):
    """Cleans a label layer up into a new one; the old one stays as it is."""

    title = "Clean up labels"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.labels = LabelsChoice(self, watched=("data", "paint"))
        sizes = [
            SpinBox(
                name=name, label=label, value=first, min=1, max=most, step=stride,
                tooltip=f"{told}; 1 does nothing",
            )
            for name, label, first, most, stride, told in _SIZES
        ]  # fmt: skip
        fill = CheckBox(
            name="fill_holes", text="Fill holes", tooltip="A class fills what it surrounds completely"
        )
        only = ComboBox(
            name="only", label="Only", choices=[ALL_CLASSES], tooltip="Work on one class or on all"
        )
        self.form = Container(widgets=[*sizes, fill, only], labels=False)
        self.changes = wrapped()
        self.count = button("Count changes", "How many pixels would change", self._count)
        self.run = button("Clean up into a new layer", "The old layer stays as it is", self._clean)
        fields = QFormLayout()
        for widget in self.form:
            fields.addRow("" if widget is fill else widget.label, widget.native)
        self.lay_out(
            row(QLabel("Labels"), self.labels),
            QLabel("Sizes in pixels; the steps run from top to bottom."),
            fields,
            self.changes,
            row(self.run, self.count, None),
            None,
        )
        self.setMinimumWidth(320)
        self._preview = self.throttled(self._show_changes, 150)
        for widget in self.form:
            widget.changed.connect(lambda _: self._preview())
        self.labels.chosen.connect(lambda _: self._choose())
        self.labels.edited.connect(self._preview)
        self._choose()

    def steps(self) -> tuple[CleanUpStep, ...]:
        """Return the steps that the form asks for, in the order of its rows."""
        only = self.form.only.value
        classes = () if only == ALL_CLASSES else (only,)
        sizes = {name: self.form[name].value for name, *_ in _SIZES}
        steps = [CleanUpStep(name, size, classes) for name, size in sizes.items() if size > 1]
        if self.form.fill_holes.value:
            steps.append(CleanUpStep("fill-holes", 0, classes))
        return tuple(steps)

    def _choose(self) -> None:
        before = self.labels.label_map()
        names = () if before is None else tuple(entry.name for entry in before.classes)
        self.form.only.choices = [ALL_CLASSES, *dict.fromkeys(names)]
        self._set_enabled()
        self._show_changes()

    def _set_enabled(self) -> None:
        for widget in (self.run, self.count):
            widget.setEnabled(self.job_bar.job is None and self.labels.layer() is not None)

    def _show_changes(self) -> None:
        before = self.labels.label_map()
        if before is None:
            self.changes.setText("Open or make a label map first.")
        elif before.labels.size > _QUICK_PIXELS:
            self.changes.setText("A large map: press Count changes.")
        else:
            try:
                self._tell_changes(before, clean_labels(before, self.steps()))
            except XrfError as error:
                self.changes.setText(str(error))

    def _tell_changes(self, before: LabelMap, after: LabelMap) -> None:
        changed, size = _changed_pixels(before, after), before.labels.size
        self.changes.setText(f"{changed:,} of {size:,} pixels would change ({changed / size:.1%}).")

    def _add_cleaned(self, layer: Any, before: LabelMap, after: LabelMap) -> None:
        kept = {key: layer.metadata[key] for key in _KEPT if key in layer.metadata}
        cleaned = label_layer(after, f"{layer.name} (cleaned)")
        add_layers(self.viewer, [with_keywords(cleaned, metadata=kept)])
        self.tell(f"{_changed_pixels(before, after):,} pixels changed; {layer.name!r} stays as it was")

    def _count(self) -> None:
        self._start("Counting changes", self._tell_changes)

    def _clean(self) -> None:
        self._start("Cleaning labels", partial(self._add_cleaned, self.labels.layer()))

    def _start(self, title: str, done: Callable[[LabelMap, LabelMap], None]) -> None:
        before = self.labels.label_map()
        if before is not None:
            self.job_bar.run(title, clean_labels, before, self.steps(), on_done=partial(done, before))


def _changed_pixels(before: LabelMap, after: LabelMap) -> int:
    return int(np.count_nonzero(before.labels != after.labels))
