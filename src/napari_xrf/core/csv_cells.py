"""Cells of CSV files that spreadsheets would run: texts such as ``=HYPERLINK(…)`` that came with a file.

A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return, and is no number, gets an
apostrophe before it, which spreadsheets take as "text follows"; reading takes it off again.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import IO, Any

_RUN = re.compile(r"'*[=+\-@\t\r]")


class CsvTable:
    """A table that is written to a stream of text, its texts neutral in spreadsheets, its numbers numbers."""

    def __init__(self, stream: IO[str]) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")

    def writerow(self, row: Iterable[Any]) -> None:
        """Write a line."""
        self._writer.writerow([neutral(cell) if isinstance(cell, str) else cell for cell in row])

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write lines."""
        for row in rows:
            self.writerow(row)


def neutral(text: str) -> str:
    """Return a text that no spreadsheet runs; numbers stay as they are."""
    return f"'{text}" if _RUN.match(text) and not _is_number(text) else text


def original(cell: str) -> str:
    """Return the text that :func:`neutral` was given."""
    return cell[1:] if cell.startswith("'") and _RUN.match(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
