"""A page of forms that scrolls, as the docks' tabs are."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_xrf.plugin.forms.synthesis import Section, form_label


class Page(QScrollArea):  # type: ignore[misc]
    """A column of forms that scrolls up and down only."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[Any] = []
        column = QWidget()
        self._layout = QVBoxLayout(column)
        self._layout.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setWidget(column)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def add(self, part: Any, *, label: str | None = None, section: str = "", is_open: bool = True) -> Any:
        """Add a form or a choice, with a label beside it or in a section of its own; returns it."""
        self._parts.append(part)
        if section:
            self._layout.addWidget(Section(section, part, is_open=is_open))
        elif label is not None:
            line = QFormLayout()
            line.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
            line.addRow(form_label(label), part)
            self._layout.addLayout(line)
        else:
            self._layout.addWidget(part)
        if hasattr(part, "changed"):
            part.changed.connect(self.changed.emit)
        return part

    def problem(self) -> str:
        """Return what is wrong first with its visible parts, or an empty text."""
        for part in self._parts:
            message = _problem_of(part) if part.isEnabled() else ""
            if message:
                return message
        return ""


def _problem_of(part: Any) -> str:
    problem = getattr(part, "problem", "")
    return str(problem() if callable(problem) else problem)
