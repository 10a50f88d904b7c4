"""Cells of tables in text: numbers as programs and languages write them, texts that spreadsheets would run.

Such are ``=HYPERLINK(…)`` that came with a file. A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or
a carriage return, and is no number, gets an apostrophe before it, which spreadsheets take as "text follows";
reading takes it off again.
"""

import contextlib
import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

_RUN = re.compile(r"'*[=+\-@\t\r]")
_EXPONENT = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")  # as Fortran writes it
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[\u00a0\u2009\u202f' ]\d{3})+(?:[.,]\d*)?")  # 12 345 678
# Marks that stand twice, or before another one, part thousands: 1,234,567 and 1.234,5.
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3}){2,}(?:\.\d*)?|(?:\.\d{3}){2,}(?:,\d*)?"
                        r"|,\d{3}\.\d*|\.\d{3},\d*)")  # fmt: skip


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


def rows_of(text: str) -> list[list[str]]:
    """Return the rows of a table as :func:`rows_text` makes it, or a spreadsheet that saved it anew.

    What parts the cells of the first line parts all; only where that is a comma have numbers points for sure.
    """
    mark = next((one for one in "\t;" if one in text.partition("\n")[0]), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    return list(rows) if mark == "," else [[plain_number(cell) for cell in row] for row in rows]


def cells_of(line: str) -> list[str]:
    """Return the cells of a line, parted by tabs, semicolons, commas or spaces; numbers as in Python.

    Commas that part no cells are decimal ones; in quotes beside decimal points they part thousands.
    """
    text = line.strip()
    mark = next((one for one in "\t;," if one in text), None)
    row = text.split() if mark is None else _parted(text, mark)
    if mark == ",":
        spaced = [plain_number(cell) for cell in text.replace('"', "").split()]
        if len(spaced) > 1 and all(map(is_number, spaced)) and not all(map(is_number, row)):
            return spaced  # 0,01 23
        if any("." in cell for cell in row):
            row = [cell.replace(",", "") if is_number(cell.replace(",", "")) else cell for cell in row]
    return [plain_number(cell) for cell in row]


def plain_number(cell: str) -> str:
    """Return a number as in Python: without marks between thousands, with a decimal point and E for D.

    A single mark, ``12,345``, is taken as the decimal one. Texts that are no numbers come back stripped.
    """
    text = cell.strip().strip('"').strip()
    if is_number(text):
        return text
    if _THOUSANDS.fullmatch(text):
        mark = text[re.search(r"[.,]", text).start()]  # type: ignore[union-attr]
        text = text.replace(mark, "")
    elif _GROUPED.fullmatch(text):
        text = re.sub(r"[\u00a0\u2009\u202f' ]", "", text)
    number = _EXPONENT.sub("E", text.replace(",", "."))
    return number if is_number(number) else text


def _parted(text: str, mark: str) -> list[str]:
    """Return the parts of a line between marks; none parts what stands in quotes."""
    if '"' in text:
        with contextlib.suppress(csv.Error):
            return next(csv.reader([text], delimiter=mark, skipinitialspace=True), [])
    return text.split(mark)


def is_number(text: str) -> bool:
    """Tell whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
