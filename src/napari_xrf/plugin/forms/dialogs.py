"""Dialogs: which data set of a file holds the spectra, and a periodic table to tick elements in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from napari_xrf.core.errors import Cancelled
from napari_xrf.io.calibration import parse_axis
from napari_xrf.plugin.forms.parts import column

if TYPE_CHECKING:
    from napari_xrf.io.hdf5.datasets import DatasetChoice

# Li to U, by period; a dot is an empty place. Lanthanides and actinides stand below.
_PERIODS = (
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


def choose_dataset(path: Path, choices: Sequence[DatasetChoice]) -> dict[str, Any]:
    """Ask for the data set of an HDF5 file of unknown layout, and for its energies, as options of ``read``.

    Raises Cancelled when the user closes the dialog. Raises InvalidInput where the energies are none.
    """
    dialog = DatasetDialog(path, choices, QApplication.activeWindow())
    if not dialog.exec():
        raise Cancelled
    return dialog.choice()


def ask_elements(chosen: Sequence[str], parent: QWidget) -> tuple[str, ...] | None:
    """Ask for elements, some of which are ticked at first; None when the user closes the dialog."""
    table = PeriodicTable(chosen, parent)
    return table.elements() if table.exec() else None


class _Dialog(QDialog):  # type: ignore[misc]
    def _lay_out(self, title: str, accept: str, *parts: QWidget | QLayout) -> None:
        self.setWindowTitle(title)
        choices = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(choices[accept] | choices.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.setLayout(column(*parts, buttons))


class DatasetDialog(_Dialog):
    """Lists the data sets of a file and asks which of their axes is the energy."""

    def __init__(self, path: Path, choices: Sequence[DatasetChoice], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices = list(choices)
        self.datasets, self.axes = QComboBox(), QComboBox()
        for choice in self._choices:
            self.datasets.addItem(f"{choice.path}   {' × '.join(str(n) for n in choice.shape)}")
        self.datasets.currentIndexChanged.connect(self._list_axes)
        form = QFormLayout()
        form.addRow("Data set", self.datasets)
        form.addRow("Energy axis", self.axes)
        self.energies = QLineEdit()
        self.energies.setPlaceholderText("first channel:width, 0:0.01; empty: as the file says")
        form.addRow("Energies, keV", self.energies)
        told = QLabel(f"{path.name} has a layout that napari-xrf does not know.")
        self._lay_out("Which data set holds the spectra?", "Open", told, form)
        self._list_axes(0)

    def choice(self) -> dict[str, Any]:
        """Return the chosen data set, its energy axis and the energies if they are told.

        Raises InvalidInput where these are no energies.
        """
        text = self.energies.text().replace(" ", "")
        energy = {"energy": parse_axis(text)} if text else {}
        chosen = self._choices[self.datasets.currentIndex()].path
        return {"dataset": chosen, "energy_axis": self.axes.currentIndex(), **energy}

    def _list_axes(self, index: int) -> None:
        chosen = self._choices[index]
        self.axes.clear()
        self.axes.addItems([f"axis {axis}: {length} long" for axis, length in enumerate(chosen.shape)])
        self.axes.setCurrentIndex(chosen.energy_axis)


class PeriodicTable(_Dialog):
    """Asks for elements; line families that are given stay families."""

    def __init__(self, chosen: Sequence[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._given = list(chosen)
        self.buttons: dict[str, QPushButton] = {}
        grid = QGridLayout()
        grid.setSpacing(2)
        ticked = {name.split()[0] for name in chosen}
        for place, period in enumerate(_PERIODS):
            for group, element in enumerate(period.split()):
                if element != ".":
                    grid.addWidget(self._button(element, element in ticked), place, group)
        self._lay_out("Elements", "Ok", grid)

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
