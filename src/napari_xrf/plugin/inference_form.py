"""What is asked of a model: its outputs, and when something counts as present."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from magicgui import magic_factory
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_xrf.learning.description import ModelDescription

OWN_THRESHOLDS = "the model's own thresholds"
ONE_THRESHOLD = "one threshold for all"
BY_ELEMENT, BY_LINE = "elements", "emission lines"
_OUTPUTS = ("presence", "intensity", "minerals", "code", "spectrum")
_START = ("presence", "intensity", "minerals")  # ticked at first: quick, and what most people want


@dataclass(frozen=True)
class Request:
    """What the user asks of a model.

    Attributes
    ----------
    outputs
        Of the model's outputs.
    calibrated
        Whether probabilities are calibrated.
    threshold
        Probability from which a name counts as present; None takes the model's own thresholds.
    blank
        Whether probability maps are 0 below the threshold.
    by_element
        Whether the lines of an element share a map.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """

    outputs: tuple[str, ...] = _START
    calibrated: bool = True
    threshold: float | None = None
    blank: bool = False
    by_element: bool = True
    device: str = "auto"


def thresholds_of(request: Request, description: ModelDescription) -> NDArray[np.float64]:
    """Return the probability, (K,), from which each name of a model counts as present."""
    own = description.calibration.thresholds if request.threshold is None else (request.threshold,)
    return np.broadcast_to(np.asarray(own, dtype=float), (len(description.names),))


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
    calibrated={
        "label": "Calibrated probabilities",
        "tooltip": "With the temperature fitted on validation spectra: of answers given 80 %, 80 % are right",
    },
    blank={
        "label": "Blank below the threshold",
        "tooltip": "Probability maps are 0 where nothing is present",
    },
    maps_of={
        "label": "Maps of",
        "choices": [BY_ELEMENT, BY_LINE],
        "tooltip": "A map for each element, that of its surest line, or one for each emission line",
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
    calibrated: bool = True,
    blank: bool = False,
    maps_of: str = BY_ELEMENT,
    device: str = "auto",
) -> Any:
    """Return the request that the form shows, whatever the model gives."""
    ticked = zip(_OUTPUTS, (presence, intensity, minerals, code, spectrum), strict=True)
    return Request(
        tuple(name for name, on in ticked if on),
        calibrated,
        threshold if decision == ONE_THRESHOLD else None,
        blank,
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
        self._rows = QFormLayout()
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._labels: dict[str, QLabel] = {}
        for widget in self.form:
            is_box = widget.widget_type == "CheckBox"
            label = QLabel("" if is_box else widget.label)
            if widget.name == "presence":
                label.setText("Outputs")
            if is_box:
                widget.text = widget.label
            label.setToolTip(widget.tooltip)
            widget.native.setToolTip(widget.tooltip)
            self._labels[widget.name] = label
            self._rows.addRow(label, widget.native)
            widget.changed.connect(lambda _: self._edited())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._rows)
        self.show_for(None)

    def request(self) -> Request:
        """Return what is asked, of the outputs that the model gives."""
        asked: Request = self.form()
        outputs = tuple(name for name in asked.outputs if name in self._given)
        return Request(
            outputs, asked.calibrated, asked.threshold, asked.blank, asked.by_element, asked.device
        )

    def show_for(self, description: ModelDescription | None) -> None:
        """Show the parameters that a model has; none without one."""
        self._given = tuple(description.outputs) if description is not None else ()
        if self._given and not set(self.form().outputs) & set(self._given):
            for name in self._given:  # a model that only denoises is asked to do so
                self.form[name].value = True
        self._show_rows(description)

    def _edited(self) -> None:
        self._show_threshold()
        self.changed.emit()

    def _show_rows(self, description: ModelDescription | None) -> None:
        names = bool(description is not None and description.names)
        shown = dict.fromkeys(_OUTPUTS, False) | dict.fromkeys(self._given, True)
        shown |= {
            "decision": names,
            "calibrated": names,
            "blank": "presence" in self._given,
            "maps_of": description is not None and description.task == "lines",
            "device": description is not None,
        }
        for name, on in shown.items():
            self._show_row(name, on)
        first = next((name for name in _OUTPUTS if name in self._given), "")
        for name in _OUTPUTS:
            self._labels[name].setText("Outputs" if name == first else "")
        self._show_threshold()

    def _show_threshold(self) -> None:
        decided = not self.form.decision.native.isHidden() and self.form.decision.value == ONE_THRESHOLD
        self._show_row("threshold", decided)

    def _show_row(self, name: str, on: bool) -> None:
        self._labels[name].setVisible(on)
        self.form[name].native.setVisible(on)
