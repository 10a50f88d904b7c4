"""Tables in CSV files, shipped ones and those that users write, and what is chosen from them by name."""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path
from typing import Protocol, TypeVar

from napari_xrf.core.csv_cells import original
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.named_files import content_of

_DELIMITERS = ",;\t|"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls
_OTHER_WORDS = {"colour": "color", "mineral": "name"}
_UNIT = re.compile(r"\s*[(\[](?P<in>[^)\]]*)[)\]]$|[\s,/_]+(?P<after>k?g[\s/·_]*c?m[\s^]*-?[3³])$")
_NUMBER = re.compile(r"([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[-+]?\d+)?)\s*([^\W\d].*)?", re.IGNORECASE)
_SEPARATOR = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)
_PER_G_CM3 = {
    "": 1.0,
    **dict.fromkeys(("g/cm3", "gcm-3", "gcm3", "g/cc", "g/ml", "kg/l", "kg/dm3", "t/m3"), 1.0),
    **dict.fromkeys(("kg/m3", "kgm-3", "kgm3", "g/l"), 1e-3),
}
_DENSEST = 25.0  # g/cm³; osmium has 22.6


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

    It may be as spreadsheets write it: columns parted by ``,``, ``;``, tabs or ``|`` (or as a first line
    ``sep=;`` says), in UTF-8, UTF-16 or Windows-1252. The first line names the columns, in any case; a unit
    there, ``density (kg/m3)``, is put behind the column's numbers. Empty lines and those that start with
    ``#`` are skipped, and so are empty columns at the end. Raises FileError when the file cannot be read,
    lacks a required column, names one twice, or a line has more values than columns.
    """
    rows = _rows(path, _text(path), required)
    if not rows:
        raise FileError(path, "is empty", f"Begin with the columns {', '.join(required)}")
    header_line, header = rows[0]
    columns, units = _columns(header)
    for name in required:
        if name not in columns:
            raise FileError(
                path,
                f"line {header_line}: there is no column {name!r} among {', '.join(filter(None, header))}",
                f"The first line names the columns, {','.join(required)}",
            )
    twice = [name for name, times in Counter(columns).items() if name and times > 1]
    if twice:
        raise FileError(
            path, f"line {header_line}: the column {twice[0]!r} stands twice", "Delete or rename one of them"
        )
    table = []
    for line, row in rows[1:]:
        values = _without_empty_end(row, len(columns))
        if len(values) > len(columns):
            raise FileError(
                path,
                f"line {line}: {len(values)} values for {len(columns)} columns",
                "Put quotes around a value that holds a comma, or part the columns by semicolons",
            )
        with_units = [
            f"{value} {unit}" if unit and (found := _NUMBER.fullmatch(value)) and not found[2] else value
            for value, unit in zip_longest(values, units, fillvalue="")
        ]
        table.append((line, dict(zip_longest(columns, with_units, fillvalue=""))))
    return table


def number_of(text: str, column: str) -> float:
    """Return a number written with a point or a comma.

    Raises InvalidInput when it is none.
    """
    found = _NUMBER.fullmatch(text.strip())
    if not found or found[2]:
        raise InvalidInput(f"{column} {text!r} is no number", "Write it as 2.65")
    return float(found[1].replace(",", "."))


def density_of(text: str) -> float:
    """Return a density in g/cm³; ``"2.65"``, ``"2,65 g/cm³"`` and ``"2650 kg/m3"`` are the same.

    Raises InvalidInput when it is none, its unit is unknown, or no solid has it.
    """
    remedy = "Write it in g/cm³, 2.65"
    if not text.strip():
        raise InvalidInput("the density is empty", remedy)
    found = _NUMBER.fullmatch(text.strip())
    if not found:
        raise InvalidInput(f"density {text!r} is no number", remedy)
    unit = unicodedata.normalize("NFKC", found[2] or "").replace("−", "-").lower()
    unit = re.sub(r"[\s·*^_]", "", unit)
    if unit not in _PER_G_CM3:
        raise InvalidInput(f"density {text!r} has an unknown unit", "Write it in g/cm³ or kg/m³")
    density = float(found[1].replace(",", ".")) * _PER_G_CM3[unit]
    if not density > 0:
        raise InvalidInput(f"the density {text} is not above 0 g/cm³", remedy)
    if density > _DENSEST:
        raise InvalidInput(
            f"no solid has a density of {density:g} g/cm³",
            "If it is in kg/m³, call the column density (kg/m3), or divide by 1000",
        )
    return density


def select(
    entries: Iterable[_Named], names: Iterable[str], what: str, others: Iterable[_Named] = ()
) -> tuple[_Named, ...]:
    """Return the entries of the given names, in the order of the names, each once.

    Case, accents, spaces and hyphens do not matter. What is no name may be a synonym (``synonyms.csv``),
    ``"orthoclase"``; one of several entries, ``"chlorite"``, stands for all of them. ``others`` are looked at
    for what the entries do not have. Raises InvalidInput when there is none of a name, and the message
    suggests close ones; when no name is given.
    """
    by_name, other_by_name = _by_name(tuple(entries)), _by_name(tuple(others))
    chosen: dict[str, _Named] = {}
    for name in names:
        if not name.strip():
            continue
        found = _entries_of(name, by_name) or _entries_of(name, other_by_name)
        if not found:
            raise InvalidInput(
                f"there is no {what} {name.strip()!r}", _suggestion(name, {**other_by_name, **by_name})
            )
        chosen.update({entry.name: entry for entry in found})
    if not chosen:
        raise InvalidInput(f"no {what} is named", "Name at least one")
    return tuple(chosen.values())


@cache
def _synonyms() -> dict[str, tuple[str, ...]]:
    """Return the names that each synonym stands for."""
    meant: dict[str, list[str]] = {}
    for _, row in read_table(shipped("synonyms.csv")):
        for synonym in row["synonyms"].split(";"):
            meant.setdefault(_key(synonym), []).append(row["name"])
    return {synonym: tuple(names) for synonym, names in meant.items()}


def _key(name: str) -> str:
    """Return letters and digits only: ``"Hübnerite"`` and ``"hubnerite"`` have the same."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name.casefold()) if letter.isalnum())
    return plain or name.strip().casefold()


def _by_name(entries: Sequence[_Named]) -> dict[str, _Named]:
    return {_key(each.name): each for each in entries} | {each.name.casefold(): each for each in entries}


def _entries_of(name: str, by_name: dict[str, _Named]) -> list[_Named]:
    for key in (name.strip().casefold(), _key(name)):
        if key in by_name:
            return [by_name[key]]
    return [by_name[_key(each)] for each in _synonyms().get(_key(name), ()) if _key(each) in by_name]


def _suggestion(name: str, by_name: dict[str, _Named]) -> str:
    import difflib

    known = [*by_name, *(word for word in _synonyms() if _entries_of(word, by_name))]
    close = difflib.get_close_matches(_key(name), known, n=3)
    near = dict.fromkeys(entry.name for match in close for entry in _entries_of(match, by_name))
    return f"Did you mean {' or '.join(near)}?" if near else "Add it with a file of your own"


def _text(path: Path) -> str:
    content = content_of(path)
    if content.startswith(_WORKBOOK):
        raise FileError(path, "is a workbook of a spreadsheet program", "Save it as CSV (UTF-8)")
    codecs = ("utf-16",) if content.startswith(_UTF16) else ("utf-8-sig", "cp1252")
    for codec in codecs:
        try:
            text = content.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and (not text.strip() or re.search("[A-Za-z]", text)):
            return text
    raise FileError(path, "is not a CSV file in UTF-8", "Save it as CSV (UTF-8)")


def _rows(path: Path, text: str, required: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Return line number and stripped values of the lines that hold some."""
    stream = io.StringIO(text, newline="")
    said = _SEPARATOR.fullmatch(stream.readline().rstrip("\r\n"))
    skipped = 1 if said else 0
    if not said:
        stream.seek(0)
    reader = csv.reader(stream, delimiter=said[1] if said else _delimiter(text, required))
    try:
        return [
            (reader.line_num + skipped, [original(value.strip()) for value in row])
            for row in reader
            if any(value.strip() for value in row) and not row[0].lstrip().startswith("#")
        ]
    except csv.Error as error:
        raise FileError(path, f"line {reader.line_num}: {error}", "Save it as CSV (UTF-8)") from error


def _delimiter(text: str, required: Sequence[str]) -> str:
    """Return what parts the names of the columns: what makes most required ones, or most of all."""
    named = (line for line in text.splitlines() if line.strip(' \t,;|"'))
    header = next((line for line in named if not line.lstrip(' "').startswith("#")), "")

    def columns_by(delimiter: str) -> tuple[int, int]:
        columns = _columns(next(csv.reader([header], delimiter=delimiter), []))[0]
        return len({*required} & {*columns}), len(columns)

    return max(_DELIMITERS, key=columns_by)


def _columns(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return names of columns in lower case and their units, without empty ones at the end."""
    named = [name.strip().lower() for name in _without_empty_end(header)]
    units = [(found["in"] or found["after"] or "") if (found := _UNIT.search(name)) else "" for name in named]
    plain = [_UNIT.sub("", name) for name in named]
    return [_OTHER_WORDS.get(name, name) for name in plain], units


def _without_empty_end(values: Sequence[str], least: int = 0) -> list[str]:
    kept = list(values)
    while len(kept) > least and not kept[-1].strip():
        kept.pop()
    return kept
