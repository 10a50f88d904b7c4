"""Cells of CSV files that spreadsheets would run: texts such as ``=HYPERLINK(…)`` that came with a file.

A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return, and is no number, gets an
apostrophe before it, which spreadsheets take as "text follows"; reading takes it off again.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

_RUN = re.compile(r"'*[=+\-@\t\r]")


def rows_text(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as the text of a table: its texts neutral in spreadsheets, other values as they are."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in (header, *rows):
        writer.writerow([neutral(cell) if isinstance(cell, str) else cell for cell in row])
    return buffer.getvalue()


def neutral(text: str) -> str:
    """Return a text that no spreadsheet runs; numbers stay as they are."""
    return f"'{text}" if _RUN.match(text) and not is_number(text) else text


def original(cell: str) -> str:
    """Return the text that :func:`neutral` was given."""
    return cell[1:] if cell.startswith("'") and _RUN.match(cell) else cell


def is_number(text: str) -> bool:
    """Tell whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
