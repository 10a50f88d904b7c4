"""Tables in CSV files, shipped ones and those that users write, and what is chosen from them by name."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path
from typing import Protocol, TypeVar

from napari_xrf.core.errors import FileError, InvalidInput


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """The name."""
        ...


_Named = TypeVar("_Named", bound=Named)


def shipped(name: str) -> Path:
    """Return the path of a table that comes with napari-xrf, ``"minerals.csv"``."""
    return Path(str(files("napari_xrf.reference") / name))


def read_table(path: Path, required: Sequence[str] = ()) -> list[tuple[int, dict[str, str]]]:
    """Return line number and values by column, without spaces around, of each line of a CSV file.

    The first line names the columns, in any case. Empty lines and those that start with ``#`` are skipped.

    Raises
    ------
    FileError
        When the file cannot be read, lacks a required column, or a line has more values than columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            rows = [
                (reader.line_num, [value.strip() for value in row])
                for row in reader
                if any(value.strip() for value in row) and not row[0].lstrip().startswith("#")
            ]
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(path, "is not a CSV file in UTF-8", "Save it as CSV (UTF-8)") from error
    if not rows:
        raise FileError(path, "is empty", f"Begin with the columns {', '.join(required)}")
    header_line, columns = rows[0][0], [name.lower() for name in rows[0][1]]
    for name in required:
        if name not in columns:
            raise FileError(
                path, f"line {header_line}: there is no column {name!r}", "The first line names the columns"
            )
    for line, row in rows[1:]:
        if len(row) > len(columns):
            raise FileError(path, f"line {line}: {len(row)} values for {len(columns)} columns")
    return [(line, dict(zip_longest(columns, row, fillvalue=""))) for line, row in rows[1:]]


def select(entries: Iterable[_Named], names: Iterable[str], what: str) -> tuple[_Named, ...]:
    """Return the entries of the given names, in the order of the names, each once; case does not matter.

    Raises
    ------
    InvalidInput
        When there is none of a name, and the message suggests close ones; when no name is given.
    """
    by_name = {entry.name.casefold(): entry for entry in entries}
    chosen: dict[str, _Named] = {}
    for name in names:
        key = name.strip().casefold()
        if not key:
            continue
        if key not in by_name:
            close = [by_name[match].name for match in difflib.get_close_matches(key, by_name, n=3)]
            remedy = f"Did you mean {' or '.join(close)}?" if close else "Add it with a file of your own"
            raise InvalidInput(f"there is no {what} {name.strip()!r}", remedy)
        chosen[key] = by_name[key]
    if not chosen:
        raise InvalidInput(f"no {what} is named", "Name at least one")
    return tuple(chosen.values())
