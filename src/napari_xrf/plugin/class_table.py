"""The classes of a label map with their colours and percentages: table and legend in one."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_xrf.minerals.modal_table import ModalRow

_HEADS = ("", "Mineral", "Area %", "Weight %", "mm²", "Pixels", "Conf.")


class ClassTable(QTableWidget):  # type: ignore[misc]
    """Shows modal rows, the most frequent first; classes without a pixel are left out."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_HEADS), parent)
        self.setHorizontalHeaderLabels(_HEADS)
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(24)
        self.setMinimumHeight(120)

    def show_rows(self, rows: Sequence[ModalRow]) -> None:
        """Show these rows and no others."""
        shown = sorted((row for row in rows if row.pixels), key=lambda row: -row.pixels)
        self.setRowCount(len(shown))
        for place, row in enumerate(shown):
            swatch = QTableWidgetItem()
            swatch.setBackground(QColor(row.color))
            self.setItem(place, 0, swatch)
            name = QTableWidgetItem(row.name)
            name.setToolTip(f"{row.name}\n{row.formula}" if row.formula else row.name)
            self.setItem(place, 1, name)
            texts = (
                _number(row.area_percent, 1),
                _number(row.weight_percent, 1),
                "–" if row.area_mm2 is None else f"{row.area_mm2:.3g}",
                f"{row.pixels:,}",
                _number(row.mean_confidence, 2),
            )
            for column, text in enumerate(texts, start=2):
                item = QTableWidgetItem(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(place, column, item)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
