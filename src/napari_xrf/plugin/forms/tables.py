"""Tables of results: of any texts, and of a model's answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QRect, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_xrf.core.csv_cells import is_number
from napari_xrf.plugin.forms.parts import write_in

if TYPE_CHECKING:
    from napari_xrf.learning.prediction.views import RankedName

_ROW_PADDING = 7  # pixels above and below a row's letters
_CELL_PADDING = 8  # pixels left and right of a cell's letters
_MOST_LINES = 6  # of a name: of three, alternatives that begin alike were cut alike
_HEAD, _ROW = 34, 21  # pixels of the heads with their frame, and of a row
_MOST_ROWS = 60
_LEAST_PROBABILITY = 0.001  # below it nothing is listed but the first rows
_ALWAYS = 5


class Table(QTableWidget):  # type: ignore[misc]
    """Rows of texts that cannot be edited; numbers stand to the right.

    ``heads``: names of the columns. ``hint``: the tooltip. ``stretched``: the column that takes the room that
    is left, -1 for the last one. ``empty``: what stands there while there are no rows. ``rows``: how many are
    seen at least.
    """

    def __init__(
        self, heads: Sequence[str], hint: str = "", *, stretched: int = -1, empty: str = "", rows: int = 6
    ) -> None:
        super().__init__(0, len(heads))
        self._empty = empty
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setToolTip(hint)
        self.setMinimumHeight(_HEAD + rows * _ROW)
        self.verticalHeader().setMinimumSectionSize(1)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.set_heads(heads)
        if heads:
            header.setSectionResizeMode(stretched % len(heads), QHeaderView.ResizeMode.Stretch)
        header.sectionResized.connect(lambda column, _, width: self._fit_rows({column: width}))

    def paintEvent(self, event: QEvent) -> None:
        """Paint the rows, or what stands there without one."""
        super().paintEvent(event)
        if not self.rowCount():
            write_in(self, self._empty)

    def set_heads(self, heads: Sequence[str]) -> None:
        """Name the columns anew; the rows go."""
        self.setRowCount(0)
        self.setColumnCount(len(heads))
        self.setHorizontalHeaderLabels(list(heads))

    def show_rows(self, rows: Sequence[Sequence[str]], bold: Collection[int] = ()) -> None:
        """Show these rows and no others, some of them in bold."""
        self.setRowCount(len(rows))
        for place, row in enumerate(rows):
            for column, text in enumerate(row):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                font = item.font()
                font.setBold(place in bold)
                item.setFont(font)
                if _is_number(text):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(place, column, item)
        self._fit_rows()

    def _fit_rows(self, resized: Mapping[int, int] | None = None) -> None:
        """Give each row the lines that its text needs in the column that takes the room that is left.

        Long names go on in the next line: cut at one place, those of two classes would be the same. napari's
        rows are twice as high as their letters: three of them filled a dock on a small screen.
        """
        header, letters = self.horizontalHeader(), self.fontMetrics()
        stretch = QHeaderView.ResizeMode.Stretch
        column = next((at for at in range(header.count()) if header.sectionResizeMode(at) == stretch), -1)
        if resized is not None and column not in resized:
            return
        width = self.columnWidth(column) if resized is None else resized[column]
        room = QRect(0, 0, width - _CELL_PADDING, 1)
        for row in range(self.rowCount()):
            item = self.item(row, column)
            needed = letters.boundingRect(
                room, Qt.TextFlag.TextWordWrap, item.text() if item else ""
            ).height()
            lines = min(max(needed // letters.height(), 1), _MOST_LINES)
            self.setRowHeight(row, lines * letters.height() + _ROW_PADDING)

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Return the texts that are shown."""
        columns = range(self.columnCount())
        return tuple(
            tuple(str(self.item(row, column).text()) for column in columns) for row in range(self.rowCount())
        )


def number_text(value: float | None, form: str, missing: str = "–") -> str:
    """Return a number in a format, or what stands for one that is not known."""
    return missing if value is None else format(value, form)


class RankedTable(Table):
    """The names of a model's answer, the present ones in bold; tells which one the user selects."""

    picked = Signal(str)

    def __init__(self) -> None:
        hint = "In bold: what reaches the threshold. Select a row to see its lines in the Spectrum dock"
        super().__init__(
            ("Name", "Probability", "Counts"), hint, stretched=0,
            empty="Ask, or draw a region: what is there stands here",
        )  # fmt: skip
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._filling = False
        self.itemSelectionChanged.connect(self._tell)

    def show_answer(self, rows: Sequence[RankedName]) -> None:
        """Show an answer; a name that stays keeps its selection, else the first row gets it."""
        kept = self.name()
        listed = [
            row
            for place, row in enumerate(rows[:_MOST_ROWS])
            if row.probability >= _LEAST_PROBABILITY or place < _ALWAYS
        ]
        self._filling = True
        self.show_rows(
            [(row.name, f"{row.probability:.1%}", number_text(row.counts, ",.0f", "")) for row in listed],
            [place for place, row in enumerate(listed) if row.present],
        )
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
        return tuple(row[0] for row in self.rows())

    def _tell(self) -> None:
        if not self._filling and self.name():
            self.picked.emit(self.name())


def _is_number(text: str) -> bool:
    parts = text.removeprefix("< ").replace(",", "").replace("–", "0").split(" ± ")
    return all(is_number(part.rstrip("%")) for part in parts)
