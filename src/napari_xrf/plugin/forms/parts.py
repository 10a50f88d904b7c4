"""Buttons, tick boxes and rows of them, as the docks use them."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget


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


def row(*widgets: QWidget | None) -> QHBoxLayout:
    """Return widgets side by side; None takes the space that is left."""
    layout = QHBoxLayout()
    for widget in widgets:
        if widget is None:
            layout.addStretch(1)
        else:
            layout.addWidget(widget)
    return layout
