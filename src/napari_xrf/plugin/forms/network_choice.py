"""A line of text for the options of a network that differ from its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.recipe_variants import read_settings, settings_text
from napari_xrf.plugin.forms.synthesis import ErrorLabel

_HINT = (
    "Options of the network that differ from its defaults, as on the command line: hidden=900 depth=4 "
    "widths=16,32. What there is stands in the message when one is unknown."
)


class NetworkChoice(QWidget):  # type: ignore[misc]
    """Options of a network, written as ``hidden=900 depth=4``."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = QLineEdit()
        self.text.setToolTip(_HINT)
        self.text.setPlaceholderText("the defaults")
        self.error = ErrorLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.text)
        layout.addWidget(self.error)
        self.text.textChanged.connect(lambda _: self._changed())

    def value(self) -> dict[str, Any]:
        """Return the options by name.

        Raises
        ------
        InvalidInput
            When the text is no list of assignments.
        """
        return read_settings(self.text.text().split())

    def show_value(self, options: Mapping[str, Any]) -> None:
        """Show options."""
        self.text.setText(settings_text(options))

    def problem(self) -> str:
        """Return what is wrong, or an empty text."""
        try:
            self.value()
        except InvalidInput as error:
            return str(error)
        return ""

    def _changed(self) -> None:
        self.error.tell(self.problem())
        self.changed.emit()
