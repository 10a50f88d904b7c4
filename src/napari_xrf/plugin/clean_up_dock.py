"""The Clean up labels dock: a magicgui form over the steps of :mod:`napari_xrf.minerals.cleanup`."""

from __future__ import annotations

from typing import Any

import napari.layers
import napari.viewer
import numpy as np
from magicgui import magicgui
from magicgui.widgets import FunctionGui

from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import LabelMap
from napari_xrf.minerals.cleanup import CleanUpStep, clean_labels
from napari_xrf.plugin.dock_life import when_closed
from napari_xrf.plugin.label_layers import label_layer, label_map_of_layer
from napari_xrf.plugin.notices import tell, tell_error

ALL_CLASSES = "all classes"


def clean_up_dock(viewer: napari.viewer.Viewer) -> FunctionGui:
    """Return the form; it makes a new layer and leaves the old one as it is."""

    @magicgui(
        call_button="Clean up into a new layer",
        majority={"label": "Majority of (pixels)", "min": 1, "max": 31, "step": 2},
        opening={"label": "Opening (pixels)", "min": 1, "max": 31, "step": 2},
        closing={"label": "Closing (pixels)", "min": 1, "max": 31, "step": 2},
        minimum_size={"label": "Smallest grain (pixels)", "min": 1, "max": 10_000},
        fill_holes={"label": "Fill holes"},
        only={"label": "Only", "choices": lambda form: _class_names(form)},
        changes={"widget_type": "Label", "label": "Changes"},
    )
    def form(
        layer: napari.layers.Labels,
        majority: int = 3,
        opening: int = 1,
        closing: int = 1,
        minimum_size: int = 5,
        fill_holes: bool = False,
        only: str = ALL_CLASSES,
        changes: str = "",
    ) -> None:
        result = _cleaned(form)
        if result is None:
            return
        before, after = result
        data, keywords, kind = label_layer(after, f"{layer.name} (cleaned)")
        viewer.add_layer(napari.layers.Layer.create(data, keywords, kind))
        tell(f"{_count_changes(before, after)} pixels changed; {layer.name!r} stays as it was")

    for name, hint in _HINTS.items():
        form[name].tooltip = hint
    form.layer.changed.connect(lambda _: form.only.reset_choices())
    for widget in form:
        if widget.name not in ("changes", "call_button"):
            widget.changed.connect(lambda _: _preview(form))
    when_closed(form.native, lambda: None)
    _preview(form)
    return form


def steps_of(form: Any) -> tuple[CleanUpStep, ...]:
    """Return the steps that a form asks for, in the order of its rows; a size of 1 is no step."""
    only = () if form.only.value in (None, ALL_CLASSES) else (form.only.value,)
    sizes = (
        ("majority", form.majority.value),
        ("opening", form.opening.value),
        ("closing", form.closing.value),
        ("min-size", form.minimum_size.value),
    )
    steps = [CleanUpStep(kind, int(size), only) for kind, size in sizes if size > 1]
    if form.fill_holes.value:
        steps.append(CleanUpStep("fill-holes", 0, only))
    return tuple(steps)


_HINTS = {
    "majority": "A pixel takes the most frequent class of a square around it; 1 does nothing",
    "opening": "Parts of a class narrower than this go to their neighbours; 1 does nothing",
    "closing": "A class fills gaps narrower than this; 1 does nothing",
    "minimum_size": "Smaller grains go to their neighbours; 1 does nothing",
    "fill_holes": "A class fills what it surrounds completely",
    "only": "Work on one class or on all",
}


def _class_names(form: Any) -> list[str]:
    layer = getattr(getattr(form, "parent", None), "layer", None)
    layer = layer.value if layer is not None else None
    if layer is None:
        return [ALL_CLASSES]
    try:
        classes = label_map_of_layer(layer).classes
    except XrfError:
        return [ALL_CLASSES]
    return [ALL_CLASSES, *dict.fromkeys(entry.name for entry in classes)]


def _cleaned(form: Any) -> tuple[LabelMap, LabelMap] | None:
    try:
        before = label_map_of_layer(form.layer.value)
        return before, clean_labels(before, steps_of(form))
    except XrfError as error:
        tell_error(error)
        return None


def _count_changes(before: LabelMap, after: LabelMap) -> int:
    return int(np.count_nonzero(before.labels != after.labels))


def _preview(form: Any) -> None:
    if form.layer.value is None:
        form.changes.value = "open or make a label map first"
        return
    result = _cleaned(form)
    if result is not None:
        changed = _count_changes(*result)
        form.changes.value = (
            f"{changed} of {result[0].labels.size} pixels ({changed / result[0].labels.size:.1%})"
        )
