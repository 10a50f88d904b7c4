"""A periodic table to tick elements in."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QPushButton, QVBoxLayout, QWidget

# Li to U, by period; a dot is an empty place. Lanthanides and actinides stand below.
_ROWS = (
    ". . . . . . . . . . . . . . . . . .",
    "Li Be . . . . . . . . . . B C N O F Ne",
    "Na Mg . . . . . . . . . . Al Si P S Cl Ar",
    "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr",
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe",
    "Cs Ba . Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn",
    ". . . . . . . . . . . . . . . . . .",
    ". . La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu .",
    ". . . Th . U . . . . . . . . . . . .",
)


class PeriodicTable(QDialog):  # type: ignore[misc]
    """Asks for elements.

    Parameters
    ----------
    chosen
        Elements or line families that are ticked at first.
    parent
        The window to stand before.
    """

    def __init__(self, chosen: Sequence[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Elements")
        self._given = list(chosen)
        self.buttons: dict[str, QPushButton] = {}
        grid = QGridLayout()
        grid.setSpacing(2)
        ticked = {name.split()[0] for name in chosen}
        for row, line in enumerate(_ROWS):
            for column, element in enumerate(line.split()):
                if element != ".":
                    grid.addWidget(self._button(element, element in ticked), row, column)
        ok = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        ok.accepted.connect(self.accept)
        ok.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        layout.addWidget(ok)

    def elements(self) -> tuple[str, ...]:
        """Return what is ticked: families as they were given, elements otherwise."""
        ticked = [element for element, button in self.buttons.items() if button.isChecked()]
        kept = [name for name in self._given if name.split()[0] in ticked]
        known = {name.split()[0] for name in kept}
        return (*kept, *(element for element in ticked if element not in known))

    def _button(self, element: str, ticked: bool) -> QPushButton:
        button = QPushButton(element)
        button.setCheckable(True)
        button.setChecked(ticked)
        button.setFixedSize(34, 30)
        button.setStyleSheet("QPushButton { padding: 0px; } QPushButton:checked { background: #b35900; }")
        self.buttons[element] = button
        return button
