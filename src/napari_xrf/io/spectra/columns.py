"""Spectra in plain columns: counts, or energies and counts, with what a program wrote above and below them.

Instruments of all kinds export so: handheld ones (Bruker S1PXRF), core scanners (Itrax), cabinets
(Shimadzu EDX, Horiba XGT-5200). Lines above say what is known; the longest run of lines of numbers is the
spectrum.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from napari_xrf.core.emission_lines import HEAVIEST
from napari_xrf.core.errors import FileError
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration
from napari_xrf.io.calibration import Calibration
from napari_xrf.io.spectra.single import (
    FEWEST,
    element_symbols,
    number,
    numbers,
    one_pixel_cube,
    positive,
    unended,
)

_LOOKED_AT = 256  # lines
_ENERGY = re.compile(r"energy|k?ev\b|channel", re.IGNORECASE)
_PARTED = re.compile(r"\s*[:=\t,;]+\s*")
_PER_CHANNEL = re.compile(r"(k?ev) ?(?:per|/) ?ch|energy of ch\((k?ev)\)")
_COUNTED = re.compile(r"^points$|num.* ch")
_VOLTAGE = re.compile("tube voltage|high voltage|hv adc")
# "Analyte   TG kV   uA ...", a rule, "Na   Rh 50 1000-Auto ..."
_SHIMADZU = re.compile(r"TG kV.*\n[-\s\",]*\S+ +([A-Z][a-z]?) +(\d+) ")
_TUBE_KV = (4.0, 100.0)  # voltages of X-ray tubes


@dataclass(frozen=True)
class _Columns:
    """The lines of a spectrum, and those above it."""

    about: list[str]
    rows: list[list[str]]
    stray: int  # lines of numbers that do not belong to it


def read_columns(path: Path, lines: Sequence[str]) -> SpectralCube:
    """Read a column of counts, or two of energies or channel numbers and counts, as a map of one pixel.

    Raises FileError when the lines hold no such columns, or more than one spectrum.
    """
    found = _columns(lines)
    if found is None:
        raise FileError(path, "holds no column of counts")
    if found.stray:
        raise FileError(path, "holds no single column of counts: other lines part its numbers")
    table = np.array(found.rows, dtype=np.float64)
    size, paired = table.shape[0], table.shape[1] == 2
    steps = np.diff(table[:, 0])
    if paired and not (np.all(steps > 0) or np.all(steps < 0)):
        raise FileError(path, "holds two columns of which the first neither rises nor falls: no energies")
    known = _entries(found.about)

    def find() -> Calibration | None:
        said = _said_axis(known, size, float(table[0, 0]) if paired else 0.0)
        if said is not None and (not paired or np.all(steps == 1)):
            return said
        return calibration.axis_from_energies(table[:, 0], may_fall=True) if paired else None

    axis, notes = calibration.or_assumed(find, size)
    announced = next((number(text) for key, text in known.items() if _COUNTED.search(key)), None) or size
    if size < announced:
        raise FileError(path, f"is cut short: {size} of {announced:g} channels are there")
    if size > announced:
        notes += (f"The file announces {announced:g} channels but holds {size}.",)
    spectrum = Spectrum(
        table[:: -1 if calibration.TURNED in notes else 1, -1],
        axis,
        path.stem,
        live_time=next((positive(text) for key, text in known.items() if re.match("live.?time", key)), None),
        excitation=_said_excitation(known, found.about),
    )
    return one_pixel_cube(path, spectrum, layout="plain spectrum", warnings=(*notes, *unended(path)))


def are_columns(lines: Sequence[str], *, named: bool) -> bool:
    """Tell whether the first lines of a file are such columns; ``named``: only if lines above say so."""
    found = _columns(lines[:_LOOKED_AT])
    return found is not None and not found.stray and (not named or any(map(_ENERGY.search, found.about)))


def _columns(lines: Sequence[str]) -> _Columns | None:
    """Return the longest run of lines of numbers.

    Words may stand above a column of counts, or below what is found, if those above tell of energies.
    """
    held = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    rows = [_cells(line) for line in held]
    widths = [len(row) if len(row) <= 2 and all(map(_is_number, row)) else 0 for row in rows]
    starts = [0, *(np.flatnonzero(np.diff(widths)) + 1).tolist(), len(rows)]
    runs = [(end - start, start, end) for start, end in pairwise(starts) if any(widths[start:end])]
    size, start, end = max(runs, default=(0, 0, 0))
    about, outside = held[:start], sum(map(bool, widths[:start] + widths[end:]))
    alone = bool(about) and widths[start] == 1
    if size < FEWEST or ((alone or end < len(rows)) and not any(map(_ENERGY.search, about))):
        return None
    return _Columns(about, rows[start:end], outside)


def _entries(lines: Sequence[str]) -> dict[str, str]:
    """Return what lines such as ``Live Time,170.2`` or ``Tube anode: Mo`` name, in lower case."""
    parts = (_PARTED.split(line.strip(' "\t,;').replace('"', ""), maxsplit=1) for line in lines)
    return {key.strip().lower(): text for key, *rest in parts for text in rest}


def _said_axis(known: dict[str, str], size: int, first: float) -> Calibration | None:
    """Return the axis of a stated width of the channels, whose first one has this number."""
    for key, text in known.items():
        unit = _PER_CHANNEL.search(f"{key} {text}".lower())
        width = positive(text)
        if unit and width:
            offset = next((number(value) for name, value in known.items() if "offset" in name), None)
            return calibration.axis_from_polynomial([offset or 0.0, width], size, unit[1] or unit[2], first)
    ends, width = numbers(known.get("range", "").replace(" - ", " ")), positive(known.get("step", ""))
    if width and len(ends) == 2:
        return calibration.axis_from_polynomial([ends[0], width], size)
    return None


def _said_excitation(known: dict[str, str], about: Sequence[str]) -> Excitation:
    """Return the tube that lines name: its anode, its voltage."""
    anodes = [text.split()[0] for key, text in known.items() if "anode" in key and text.split()]
    volts = [positive(text) for key, text in known.items() if _VOLTAGE.search(key)]
    for target, voltage in _SHIMADZU.findall("\n".join(about)):
        anodes, volts = [target], [positive(voltage)]
    symbols = element_symbols(range(1, HEAVIEST + 1))
    anode = next((one for one in anodes if one in symbols), None)
    energy = next((kv for kv in volts if kv and _TUBE_KV[0] <= kv <= _TUBE_KV[1]), None)
    return Excitation("tube", energy, anode) if anode or energy else Excitation()


def _cells(line: str) -> list[str]:
    """Return the cells of a line: parted by tabs or semicolons (with decimal commas), commas or spaces."""
    text = line.strip().replace('"', "").rstrip("\t,;")
    for mark in "\t;":
        if mark in text:
            return [cell.strip().replace(",", ".") for cell in text.split(mark)]
    return [cell.strip() for cell in (text.split(",") if "," in text else text.split())]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
