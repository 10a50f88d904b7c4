"""The distortions of a recipe: none, the typical ones, or each on its own."""

from __future__ import annotations

from dataclasses import asdict, replace

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_xrf.plugin.forms.parameter_form import ParameterForm, Section, form_label
from napari_xrf.plugin.forms.parts import row
from napari_xrf.synthesis.distortions import Distortions, typical_distortions

NONE, TYPICAL, OWN = "none", "typical", "as set below"


class DistortionsChoice(QWidget):  # type: ignore[misc]
    """A choice of sets above a form in which each distortion is switched and shaped.

    Parameters
    ----------
    typical
        What stands under that name for the recipe.
    chosen
        The set to start with: ``"none"`` or ``"typical"``.
    """

    changed = Signal()

    def __init__(self, typical: Distortions, chosen: str) -> None:
        super().__init__()
        self._sets = {NONE: Distortions(), TYPICAL: typical}
        self.sets = QComboBox()
        self.sets.addItems([NONE, TYPICAL, OWN])
        self.sets.setToolTip("What makes measured spectra differ from expected ones")
        self.form: ParameterForm[Distortions] = ParameterForm(self._sets[chosen], suggested=_filled(typical))
        self.details = Section("Each distortion: lowest to highest", self.form, is_open=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(form_label("Distortions"), self.sets))
        layout.addWidget(self.details)
        self.sets.setCurrentText(chosen)
        self.sets.activated.connect(lambda _: self.choose(self.sets.currentText()))
        self.form.changed.connect(self._edited)

    def choose(self, name: str) -> None:
        """Take a set; the last entry only opens the form."""
        if name in self._sets:
            self.form.show_value(self._sets[name])
        else:
            self.details.heading.setChecked(True)

    def value(self) -> Distortions | None:
        """Return the distortions, None where all are off.

        Raises
        ------
        InvalidInput
            When a range is wrong.
        """
        chosen = self.form.value()
        return None if chosen == Distortions() else chosen

    def problem(self) -> str:
        """Return what is wrong first, or an empty text."""
        return self.form.problem()

    def _edited(self) -> None:
        value = self.form.judgement.value
        name = next((name for name, each in self._sets.items() if each == value), OWN)
        self.sets.setCurrentText(name)
        self.changed.emit()


def _filled(typical: Distortions) -> Distortions:
    """Return the set with a range for every distortion, from the usual ones where it has none."""
    given = {name: value for name, value in asdict(typical).items() if value is not None}
    return replace(typical_distortions(), **given)
