"""Which data set of an HDF5 file holds the spectra, when its layout is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_xrf.core.errors import Cancelled
from napari_xrf.io.hdf5.datasets import DatasetChoice


class DatasetDialog(QDialog):  # type: ignore[misc]
    """Lists the data sets of a file and asks which of their axes is the energy.

    Parameters
    ----------
    path
        The file.
    choices
        Its data sets.
    parent
        The window to stand before.
    """

    def __init__(self, path: Path, choices: Sequence[DatasetChoice], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Which data set holds the spectra?")
        self._choices = list(choices)
        self.datasets = QComboBox()
        for choice in self._choices:
            self.datasets.addItem(f"{choice.path}   {' × '.join(str(n) for n in choice.shape)}")
        self.axes = QComboBox()
        self.datasets.currentIndexChanged.connect(self._list_axes)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.addRow("Data set", self.datasets)
        form.addRow("Energy axis", self.axes)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"{path.name} has a layout that napari-xrf does not know."))
        layout.addLayout(form)
        layout.addWidget(buttons)
        self._list_axes(0)

    def choice(self) -> tuple[str, int]:
        """Return the name of the chosen data set and its energy axis."""
        return self._choices[self.datasets.currentIndex()].path, self.axes.currentIndex()

    def _list_axes(self, index: int) -> None:
        chosen = self._choices[index]
        self.axes.clear()
        for axis, length in enumerate(chosen.shape):
            self.axes.addItem(f"axis {axis}: {length} long")
        self.axes.setCurrentIndex(chosen.energy_axis)


def choose_dataset(path: Path, choices: Sequence[DatasetChoice]) -> tuple[str, int]:
    """Ask for the data set and its energy axis.

    Raises
    ------
    Cancelled
        When the user closes the dialog.
    """
    dialog = DatasetDialog(path, choices, QApplication.activeWindow())
    if dialog.exec() != QDialog.DialogCode.Accepted:
        raise Cancelled
    return dialog.choice()
