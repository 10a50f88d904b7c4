"""The Clean up labels dock: a form over the steps of :mod:`napari_xrf.minerals.labels.cleanup`."""

from functools import partial
from typing import Any

import napari.viewer
import numpy as np
from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, SpinBox
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QLineEdit

from napari_xrf.core.display import colored_labels
from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import LabelMap
from napari_xrf.minerals.labels.cleanup import CleanUpStep, changes, clean_labels, parse_clean_up
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.parts import button, expanding, row, wrapped
from napari_xrf.plugin.jobs.job import Job
from napari_xrf.plugin.layers.labels import is_deep, label_layer
from napari_xrf.plugin.layers.layer_data import add_layers, map_layer, with_keywords
from napari_xrf.plugin.layers.script import made_by, step_of
from napari_xrf.plugin.notices import errors_told

ALL_CLASSES = "all classes"
_SIZES = (  # step, label, first size, most, stride, what it does
    ("majority", "Majority of", 3, 31, 2, "A pixel takes the most frequent class of a square of this side"),
    ("opening", "Opening", 1, 31, 2, "Parts of a class narrower than this go to their neighbours"),
    ("closing", "Closing", 1, 31, 2, "A class fills gaps narrower than this"),
    ("smooth", "Smooth by", 1, 31, 2, "Boundaries become round: near pixels of a square count more"),
    ("min-size", "Smallest grain", 5, 100_000, 1, "Grains of fewer pixels go to their neighbours"),
)
_KEPT = ("xrf_classification",)  # what the report needs
PREVIEW = "Clean-up preview"
_TOLD_CLASSES = 8


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
        potts = FloatSpinBox(
            name="potts", label="Neighbours' weight", value=0.0, min=0.0, max=20.0, step=0.5,
            tooltip="Potts model: what each neighbour that agrees counts against the pixel's probabilities; "
            "sure pixels withstand; 0 does nothing",
        )  # fmt: skip
        fill = CheckBox(
            name="fill_holes", text="Fill holes", tooltip="A class fills what it surrounds completely"
        )
        only = ComboBox(
            name="only", label="Only", choices=[ALL_CLASSES], tooltip="Work on one class or on all"
        )
        expanding(only.native)  # names of classes may be long
        self.form = Container(widgets=[*sizes, potts, fill, only], labels=False)
        self.order = QLineEdit()
        self.order.setToolTip("The steps in their order, as for --clean; change it, or write your own")
        self.changes = wrapped()
        self.shown = QCheckBox("Preview on the view")
        self.undo = button("Undo", "Take the last cleaned layer away", self._undo)
        self.run = button("Clean up into a new layer", "The old layer stays as it is", self._clean)
        fields = QGridLayout()  # in pairs, so that what would change is seen on a small screen
        for place, widget in enumerate((*sizes, potts)):
            across = 2 * (place % 2)
            fields.addWidget(QLabel(widget.label), place // 2, across)
            fields.addWidget(widget.native, place // 2, across + 1)
            fields.setColumnStretch(across + 1, 1)
        self.lay_out(
            row(QLabel("Labels"), self.labels),
            QLabel("Sizes in pixels"),
            fields,
            row(QLabel(only.label), only.native, fill.native),
            row(QLabel("Steps"), self.order),
            self.shown,
            self.changes,
            None,
            foot=row(self.run, self.undo, None),
        )
        self._job: Job | None = None
        self._made: list[Any] = []
        self._preview = self.throttled(self._start_preview, 150)
        for widget in self.form:
            widget.changed.connect(lambda _: self._take_form())
        self.order.textEdited.connect(lambda _: self._preview())
        self.shown.toggled.connect(lambda _: self._preview())
        self.when_closed(self._end_preview)
        self.labels.chosen.connect(lambda _: self._choose())
        self.labels.edited.connect(self._preview)
        self.follow(viewer.layers.events.inserted, self._offer_deep)
        self._take_form()
        self._choose()

    def _offer_deep(self, event: Any) -> None:
        if is_deep(event.value):  # not at any layer: the preview is one, and would be made without end
            self._preview()

    def steps(self) -> tuple[CleanUpStep, ...]:
        """Return the steps of the line, in their order; raise InvalidInput where it cannot be read."""
        return parse_clean_up(self.order.text())

    def _take_form(self) -> None:
        """Write the steps of the form into the line, from top to bottom."""
        only = self.form.only.value
        classes = () if only in (ALL_CLASSES, None) else (only,)
        sizes = {name: self.form[name].value for name, *_ in _SIZES}
        steps = [CleanUpStep(name, size, classes) for name, size in sizes.items() if size > 1]
        if self.form.potts.value > 0:
            steps.append(CleanUpStep("potts", self.form.potts.value, classes))
        if self.form.fill_holes.value:
            steps.append(CleanUpStep("fill-holes", 0, classes))
        self.order.setText(",".join(map(str, steps)))
        self._preview()

    def _choose(self) -> None:
        before = self.labels.label_map()
        names = () if before is None else tuple(entry.name for entry in before.classes)
        self.form.only.choices = [ALL_CLASSES, *dict.fromkeys(names)]
        self._set_enabled()
        self._preview()

    def _set_enabled(self) -> None:
        idle = self.job_bar.job is None
        self.run.setEnabled(idle and self.labels.layer() is not None)
        self.undo.setEnabled(idle and any(layer in self.viewer.layers for layer in self._made))

    def _start_preview(self) -> None:
        """Clean in a worker and tell what would change; a change of the form stops it and begins anew."""
        self._stop_job()
        before = self.labels.label_map()
        if before is None:
            self.changes.setText("Open or make a label map first.")
            if not any(is_deep(layer) for layer in self.viewer.layers):  # which is offered to be flattened
                self.offer_dock("Minerals makes a label map.", "Minerals")
            self._take_preview_off()
            return
        self.offer("")
        try:
            steps = self.steps()
        except XrfError as error:
            self.changes.setText(str(error))
            return
        done, failed = partial(self._tell_changes, self.labels.layer(), before), self._tell_error
        self._job = Job(
            "Clean-up preview", clean_labels, before, steps, on_done=done, on_error=failed
        ).start()

    def _tell_error(self, error: Exception) -> None:
        self.changes.setText(str(error))

    def _tell_changes(self, layer: Any, before: LabelMap, after: LabelMap) -> None:
        changed, size = _changed_pixels(before, after), before.labels.size
        lines = [f"{changed:,} of {size:,} pixels would change ({changed / size:.1%})."]
        told = changes(before, after)[:_TOLD_CLASSES] if changed else ()
        lines += [f"{each.name}: {each.before:.2f} → {each.after:.2f} %" for each in told]
        self.changes.setText("\n".join(lines))
        self._take_preview_off()
        if self.shown.isChecked():
            colors = {entry.label: entry.color for entry in after.classes}
            picture = map_layer(colored_labels(after.labels, colors), PREVIEW, after.pixel_size)
            add_layers(self.viewer, [picture], over=layer)

    def _stop_job(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _take_preview_off(self) -> None:
        if PREVIEW in self.viewer.layers:
            self.viewer.layers.remove(PREVIEW)

    def _end_preview(self) -> None:
        self._stop_job()
        self._take_preview_off()

    def _clean(self) -> None:
        layer, before = self.labels.layer(), self.labels.label_map()
        if before is not None:
            with errors_told():
                steps = self.steps()
                done = partial(self._add_cleaned, layer, before, ",".join(map(str, steps)))
                self.job_bar.run("Cleaning labels", clean_labels, before, steps, on_done=done)

    def _add_cleaned(self, layer: Any, before: LabelMap, steps: str, after: LabelMap) -> None:
        self.shown.setChecked(False)
        self._take_preview_off()
        kept = {key: layer.metadata[key] for key in _KEPT if key in layer.metadata}
        cleaned = [with_keywords(label_layer(after, f"{layer.name} (cleaned)"), metadata=kept)]
        made = step_of(layer)
        if made is not None:
            options = made.recipe.get("minerals")
            before_it = [] if options is None else filter(None, (options.get("clean"), steps))
            recipe = {} if options is None else {"minerals": {**options, "clean": ",".join(before_it)}}
            cleaned = made_by(cleaned, "labels", f"nx.clean_labels({{0}}, {steps!r})", layer, recipe=recipe)
        self._made.append(add_layers(self.viewer, cleaned, over=layer)[-1])
        self.tell(f"{_changed_pixels(before, after):,} pixels changed; {layer.name!r} stays as it was")

    def _undo(self) -> None:
        while self._made:
            layer = self._made.pop()
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
                self.tell(f"{layer.name!r} is taken away")
                break
        self._set_enabled()


def _changed_pixels(before: LabelMap, after: LabelMap) -> int:
    return int(np.count_nonzero(before.labels != after.labels))
