"""A plain table of results: heads, rows of texts, the best row in bold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget


class ResultTable(QTableWidget):  # type: ignore[misc]
    """Shows rows of texts; the last column takes the room that is left.

    Parameters
    ----------
    heads
        Names of the columns.
    hint
        The tooltip.
    """

    def __init__(self, heads: Sequence[str], hint: str, parent: QWidget | None = None) -> None:
        super().__init__(0, len(heads), parent)
        self.setHorizontalHeaderLabels(list(heads))
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setToolTip(hint)
        self.setMinimumHeight(110)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)

    def show_rows(self, rows: Sequence[Sequence[str]], best: int | None = None) -> None:
        """Show these rows and no others; the best one is bold."""
        self.setRowCount(len(rows))
        for place, row in enumerate(rows):
            for column, text in enumerate(row):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                font = item.font()
                font.setBold(place == best)
                item.setFont(font)
                if _is_number(text):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(place, column, item)
        if best is not None:
            self.scrollToItem(self.item(best, 0))

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Return the texts that are shown."""
        columns = range(self.columnCount())
        return tuple(
            tuple(str(self.item(row, column).text()) for column in columns) for row in range(self.rowCount())
        )


def trial_rows(reports: Sequence[Any], figure: str) -> tuple[list[tuple[str, ...]], int | None]:
    """Return (trial, state, figure, values) of each trial of a search, and which one is the best."""
    rows: list[tuple[str, ...]] = [
        (
            str(each.number + 1),
            str(each.state),
            "" if each.value is None else f"{each.value:.4g}",
            values_text(each.values),
        )
        for each in reports
    ]
    done = [(place, each.value) for place, each in enumerate(reports) if each.state == "complete"]
    scored = [(place, value) for place, value in done if value is not None]
    if not scored:
        return rows, None
    better = min if figure == "loss" else max
    return rows, better(scored, key=lambda entry: entry[1])[0]


def values_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """Return hyper-parameters as a line, ``"hidden 900, learning rate 0.002"``."""
    flat = {name: value for part in values.values() for name, value in part.items()}
    return ", ".join(
        f"{name.replace('_', ' ')} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in flat.items()
    )


def adaptation_rows(result: Any) -> list[tuple[str, ...]]:
    """Return (figure, before, after, error) of an adaptation: on held-out spectra, then on the map."""
    rows: list[tuple[str, ...]] = [
        (
            f"{name.replace('_', ' ')}, held-out spectra",
            f"{change.before:.4f}",
            f"{change.after:.4f}",
            f"{change.standard_error:.4f}",
        )
        for name, change in result.figures.items()
    ]
    before, after = vars(result.before), vars(result.after)
    return rows + [
        (f"{name.replace('_', ' ')}, the map", f"{value:.4f}", f"{after[name]:.4f}", "")
        for name, value in before.items()
        if isinstance(value, int | float) and isinstance(after[name], int | float)
    ]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
