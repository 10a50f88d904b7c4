"""The ranked answer of a model: name, probability, counts."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_xrf.plugin.model_answers import RankedName

_HEADS = ("Name", "Probability", "Counts")
_MOST_ROWS = 60
_LEAST_PROBABILITY = 0.001  # below it nothing is listed but the first rows
_ALWAYS = 5


class RankedTable(QTableWidget):  # type: ignore[misc]
    """Shows the names of an answer, the present ones in bold; tells which one the user selects."""

    picked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_HEADS), parent)
        self.setHorizontalHeaderLabels(_HEADS)
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setToolTip(
            "In bold: what reaches the threshold. Select a row to see its lines in the Spectrum dock"
        )
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setMinimumHeight(84)
        self._filling = False
        self.itemSelectionChanged.connect(self._tell)

    def show_rows(self, rows: Sequence[RankedName]) -> None:
        """Show an answer; a name that stays keeps its selection, else the first row gets it."""
        kept = self.name()
        listed = [
            row
            for place, row in enumerate(rows[:_MOST_ROWS])
            if row.probability >= _LEAST_PROBABILITY or place < _ALWAYS
        ]
        self._filling = True
        self.setRowCount(len(listed))
        for place, row in enumerate(listed):
            counts = "" if row.counts is None else f"{row.counts:,.0f}"
            for column, text in enumerate((row.name, f"{row.probability:.1%}", counts)):
                item = QTableWidgetItem(text)
                font = item.font()
                font.setBold(row.present)
                item.setFont(font)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                else:
                    item.setToolTip(row.name)
                self.setItem(place, column, item)
        self.setColumnHidden(2, all(row.counts is None for row in listed))
        names = [row.name for row in listed]
        self.clearSelection()
        if names:
            self.selectRow(names.index(kept) if kept in names else 0)
        self._filling = False

    def name(self) -> str:
        """Return the selected name, empty without one."""
        rows = self.selectionModel().selectedRows() if self.selectionModel() else []
        item = self.item(rows[0].row(), 0) if rows else None
        return str(item.text()) if item is not None else ""

    def names(self) -> tuple[str, ...]:
        """Return the names that are listed."""
        return tuple(str(self.item(row, 0).text()) for row in range(self.rowCount()))

    def _tell(self) -> None:
        if not self._filling and self.name():
            self.picked.emit(self.name())
