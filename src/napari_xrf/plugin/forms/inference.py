"""What is asked of a model: its outputs, and when something counts as present."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from magicgui import magic_factory
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xrf.learning.description import ModelDescription
from napari_xrf.plugin.forms.parts import row
from napari_xrf.plugin.forms.synthesis import form_label
from napari_xrf.plugin.jobs.model_answers import Request

OWN_THRESHOLDS = "the model's own thresholds"
ONE_THRESHOLD = "one threshold for all"
PROBABILITY, DECISION = "calibrated probability", "present or not"
BY_ELEMENT, BY_LINE = "elements", "emission lines"
_OUTPUTS = ("presence", "intensity", "minerals", "code", "spectrum")
_ROWS = {
    "Outputs": _OUTPUTS,
    "Present from": ("decision",),
    "Threshold": ("threshold",),
    "Maps show": ("maps_show",),
    "Maps of": ("maps_of",),
    "Device": ("device", "refined"),
}


@magic_factory(
    auto_call=False,
    call_button=False,
    labels=False,
    presence={"label": "Presence", "tooltip": "Maps of the probability that an element or a line is there"},
    intensity={
        "label": "Net counts",
        "tooltip": "Maps of the counts of each element, as the network sees them",
    },
    minerals={
        "label": "Minerals",
        "tooltip": "A label layer of classes, with maps of its confidence and of spectra that fit no class",
    },
    code={"label": "Code", "tooltip": "Maps of what the network has learned to tell spectra apart by"},
    spectrum={
        "label": "Denoised cube",
        "tooltip": "A map of spectra without the noise that the network knows",
    },
    decision={
        "label": "Present from",
        "choices": [OWN_THRESHOLDS, ONE_THRESHOLD],
        "tooltip": "The model's own thresholds were fitted on validation spectra, one for each name",
    },
    threshold={
        "label": "Threshold",
        "widget_type": "FloatSlider",
        "min": 0.01,
        "max": 0.99,
        "step": 0.01,
        "tooltip": "Probability from which a name counts as present; below it, a mineral is unknown",
    },
    maps_show={
        "label": "Maps show",
        "choices": [PROBABILITY, DECISION],
        "tooltip": "Calibrated: of what is said with 80 %, 80 % is right on validation spectra. "
        "Present or not is 1 and 0, by the threshold",
    },
    maps_of={
        "label": "Maps of",
        "choices": [BY_ELEMENT, BY_LINE],
        "tooltip": "A map for each element, that of its surest line, or one for each emission line",
    },
    refined={
        "label": "Refine the energy axis",
        "tooltip": "Correct the file's calibration by the peaks of the map's sum spectrum",
    },
    device={
        "label": "Device",
        "choices": ["auto", "cpu", "cuda", "mps"],
        "tooltip": "auto takes a graphics card where there is one (cuda: NVIDIA, mps: Apple)",
    },
)
def _request(
    presence: bool = True,
    intensity: bool = True,
    minerals: bool = True,
    code: bool = False,
    spectrum: bool = False,
    decision: str = OWN_THRESHOLDS,
    threshold: float = 0.5,
    maps_show: str = PROBABILITY,
    maps_of: str = BY_ELEMENT,
    refined: bool = True,
    device: str = "auto",
) -> Any:
    """Return the request that the form shows, whatever the model gives."""
    ticked = zip(_OUTPUTS, (presence, intensity, minerals, code, spectrum), strict=True)
    return Request(
        tuple(name for name, on in ticked if on),
        refined,
        threshold if decision == ONE_THRESHOLD else None,
        maps_show == DECISION,
        maps_of == BY_ELEMENT,
        device,
    )


class InferenceForm(QWidget):  # type: ignore[misc]
    """The parameters of a prediction; shows only those that mean something for the chosen model."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.form = _request()
        self._given: tuple[str, ...] = ()
        self._ticked: tuple[str, ...] = ()
        self._lines: dict[str, QWidget] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for title, names in _ROWS.items():
            line = QWidget()
            line.setLayout(row(form_label(title), *(self.form[name].native for name in names)))
            line.layout().setContentsMargins(0, 0, 0, 0)
            layout.addWidget(line)
            self._lines[title] = line
        for widget in self.form:
            if widget.widget_type == "CheckBox":
                widget.text = widget.label
            widget.native.setToolTip(widget.tooltip)
            widget.changed.connect(lambda _: self._edited())
        self.show_for(None)

    def request(self) -> Request:
        """Return what is asked, of the outputs that the model gives."""
        asked: Request = self.form()
        return replace(asked, outputs=tuple(name for name in asked.outputs if name in self._given))

    def show_for(self, description: ModelDescription | None) -> None:
        """Show the parameters that a model has; none without one."""
        self._given = tuple(description.outputs) if description is not None else ()
        for name in self._ticked:
            self.form[name].value = False
        # A model that only denoises is asked to do so, others are not.
        asked = set(self.form().outputs) & set(self._given)
        self._ticked = tuple(name for name in self._given if name == "spectrum" and not asked)
        for name in self._ticked:
            self.form[name].value = True
        for name in _OUTPUTS:
            self.form[name].native.setVisible(name in self._given)
        names = bool(description is not None and description.names)
        self._lines["Outputs"].setVisible(bool(self._given))
        self._lines["Present from"].setVisible(names)
        self._lines["Maps show"].setVisible("presence" in self._given)
        self._lines["Maps of"].setVisible(description is not None and description.task == "lines")
        self._lines["Device"].setVisible(bool(self._given))
        self._show_threshold()

    def _edited(self) -> None:
        self._show_threshold()
        self.changed.emit()

    def _show_threshold(self) -> None:
        decided = not self._lines["Present from"].isHidden() and self.form.decision.value == ONE_THRESHOLD
        self._lines["Threshold"].setVisible(decided)
