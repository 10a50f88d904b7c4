"""Buttons, boxes, labels, rows and columns of them, as the docks use them."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from qtpy.QtCore import Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import (
    QAbstractScrollArea,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)


def tick_box(text: str, on: bool, hint: str, changed: Callable[[], object]) -> QCheckBox:
    """Return a tick box that calls ``changed()`` when it is toggled."""
    box = QCheckBox(text)
    box.setChecked(on)
    box.setToolTip(hint)
    box.toggled.connect(lambda _: changed())
    return box


def button(text: str, hint: str, clicked: Callable[[], object]) -> QPushButton:
    """Return a button that calls ``clicked()``."""
    made = QPushButton(text)
    made.setToolTip(hint)
    made.clicked.connect(lambda _=False: clicked())
    return made


def menu_button(text: str, hint: str) -> QPushButton:
    """Return a button that opens a menu of its own, empty at first."""
    made = QPushButton(text)
    made.setToolTip(hint)
    made.setMenu(QMenu(made))
    return made


def energy_field(label: str) -> QDoubleSpinBox:
    """Return a field for an energy in keV."""
    field = QDoubleSpinBox()
    field.setDecimals(3)
    field.setRange(-1.0, 1000.0)
    field.setSingleStep(0.01)
    field.setToolTip(f"{label}, keV")
    field.setKeyboardTracking(False)
    return field


Part: TypeAlias = QWidget | QLayout | tuple[QWidget, int] | None
"""(widget, n) takes n shares of the room, None what is left."""


def row(*parts: Part, flush: bool = False) -> QHBoxLayout:
    """Return parts side by side, without margins where ``flush``."""
    return _filled(QHBoxLayout(), parts, flush)


def column(*parts: Part, flush: bool = False, spacing: int | None = None) -> QVBoxLayout:
    """Return parts below each other, without margins where ``flush``."""
    return _filled(QVBoxLayout(), parts, flush, spacing)


def _filled(layout: Any, parts: Iterable[Part], flush: bool, spacing: int | None = None) -> Any:
    if flush:
        layout.setContentsMargins(0, 0, 0, 0)
    if spacing is not None:
        layout.setSpacing(spacing)
    for part in parts:
        if part is None:
            layout.addStretch(1)
        elif isinstance(part, tuple):
            layout.addWidget(*part)
        elif isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    return layout


def expanding(box: QComboBox, least: int = 12) -> QComboBox:
    """Return the box, made to take the room it gets: long texts must not make the dock wide."""
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setMinimumContentsLength(least)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box


def write_in(area: QAbstractScrollArea, text: str) -> None:
    """Write a text, weakly, into the middle of an area that is empty; while it is painted."""
    painter = QPainter(area.viewport())
    color = area.palette().text().color()
    color.setAlphaF(0.6)
    painter.setPen(color)
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    painter.drawText(area.viewport().rect().adjusted(8, 4, -8, -4), flags, text)
    painter.end()


def wrapped(text: str = "") -> QLabel:
    """Return a label whose text goes on in the next line."""
    label = QLabel(text)
    label.setWordWrap(True)
    return label
