"""What is asked of a model: its outputs, and when something counts as present."""

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSlider
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_xrf.learning.description import ModelDescription
from napari_xrf.plugin.forms.parameter_form import form_label
from napari_xrf.plugin.forms.parts import column, row
from napari_xrf.plugin.jobs.model_answers import Request

OWN_THRESHOLDS = "the model's own thresholds"
ONE_THRESHOLD = "one threshold for all"
PROBABILITY, DECISION = "calibrated probability", "present or not"
BY_ELEMENT, BY_LINE = "elements", "emission lines"
_OUTPUTS = {  # in the order of the boxes: text, whether it is ticked at first, what it gives
    "presence": ("Presence", True, "Maps of the probability that an element or a line is there"),
    "intensity": ("Net counts", True, "Maps of the counts of each element, as the network sees them"),
    "minerals": (
        "Minerals",
        True,
        "A label layer of classes, with maps of its confidence and of spectra that fit no class",
    ),
    "code": ("Code", False, "Maps of what the network has learned to tell spectra apart by"),
    "spectrum": ("Denoised cube", False, "A map of spectra without the noise that the network knows"),
}
_ROWS = {
    "Outputs": tuple(_OUTPUTS),
    "Present from": ("decision",),
    "Threshold": ("threshold",),
    "Maps show": ("maps_show",),
    "Maps of": ("maps_of",),
    "Device": ("device", "refined"),
}


class InferenceForm(QWidget):  # type: ignore[misc]
    """The parameters of a prediction; shows only those that mean something for the chosen model."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.form = Container(widgets=_widgets(), labels=False)
        self._given: tuple[str, ...] = ()
        self._ticked: tuple[str, ...] = ()
        self._lines: dict[str, QWidget] = {}
        self.setLayout(column(flush=True))
        for title, names in _ROWS.items():
            line = QWidget()
            line.setLayout(row(form_label(title), *(self.form[name].native for name in names)))
            line.layout().setContentsMargins(0, 0, 0, 0)
            self.layout().addWidget(line)
            self._lines[title] = line
        for widget in self.form:
            widget.native.setToolTip(widget.tooltip)
            widget.changed.connect(lambda _: self._edited())
        self.show_for(None)

    def request(self) -> Request:
        """Return what is asked, of the outputs that the model gives."""
        said = self.form.asdict()
        return Request(
            tuple(name for name in _OUTPUTS if said[name] and name in self._given),
            said["refined"],
            said["threshold"] if said["decision"] == ONE_THRESHOLD else None,
            said["maps_show"] == DECISION,
            said["maps_of"] == BY_ELEMENT,
            said["device"],
        )

    def show_for(self, description: ModelDescription | None) -> None:
        """Show the parameters that a model has; none without one."""
        self._given = tuple(description.outputs) if description is not None else ()
        for name in self._ticked:
            self.form[name].value = False
        # A model that only denoises is asked to do so, others are not.
        asked = any(self.form[name].value for name in self._given)
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


def _widgets() -> list[CheckBox | ComboBox | FloatSlider]:
    outputs = [
        CheckBox(name=name, text=text, value=on, tooltip=told) for name, (text, on, told) in _OUTPUTS.items()
    ]
    return [
        *outputs,
        ComboBox(
            name="decision",
            choices=[OWN_THRESHOLDS, ONE_THRESHOLD],
            tooltip="The model's own thresholds were fitted on validation spectra, one for each name",
        ),
        FloatSlider(
            name="threshold",
            value=0.5,
            min=0.01,
            max=0.99,
            step=0.01,
            tooltip="Probability from which a name counts as present; below it, a mineral is unknown",
        ),
        ComboBox(
            name="maps_show",
            choices=[PROBABILITY, DECISION],
            tooltip="Calibrated: of what is said with 80 %, 80 % is right on validation spectra. "
            "Present or not is 1 and 0, by the threshold",
        ),
        ComboBox(
            name="maps_of",
            choices=[BY_ELEMENT, BY_LINE],
            tooltip="A map for each element, that of its surest line, or one for each emission line",
        ),
        ComboBox(
            name="device",
            choices=["auto", "cpu", "cuda", "mps"],
            tooltip="auto takes a graphics card where there is one (cuda: NVIDIA, mps: Apple)",
        ),
        CheckBox(
            name="refined",
            text="Refine by the map's peaks",
            value=True,
            tooltip="Correct the file's calibration by the peaks of the map's sum spectrum",
        ),
    ]
