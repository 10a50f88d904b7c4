"""Spectra in plain columns: counts, or energies and counts, with what a program wrote above and below them.

Instruments of all kinds export so: handheld ones (Bruker S1PXRF), core scanners (Itrax), cabinets
(Shimadzu EDX, Horiba XGT-5200). Lines above say what is known; the longest run of lines of numbers is the
spectrum. More than two columns are channel numbers, energies and spectra, as the line above them names them.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.csv_cells import cells_of, is_number
from napari_xrf.core.emission_lines import HEAVIEST
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration, scans
from napari_xrf.io.calibration import CHOOSE_MAP, Calibration
from napari_xrf.io.spectra.single import (
    FEWEST,
    element_symbols,
    number,
    numbers,
    one_pixel_cube,
    positive,
    settled,
    unended,
)
from napari_xrf.io.whole_counts import RATE, counted

_LOOKED_AT = 256  # lines
# In English, and as programs in German, French, Spanish, Italian and Russian name them.
_ENERGY = re.compile(r"energ[yií]|[ée]nergie|энерг|k?ev\b|channel|kanal|canal|канал", re.IGNORECASE)
_ENERGIES = re.compile(
    r"energ[yií]|[ée]nergie|энерг|^E$|(?<![a-z])k?ev(?![a-z])|(?<!\w)к?эв(?!\w)", re.IGNORECASE
)
_CHANNELS = re.compile(r"(ch(an(nel)?s?)?|[kc]anale?|канал)(\W|_|$)", re.IGNORECASE)
_COUNTS = re.compile(
    r"count|intens|spectrum|signal|impuls|z[äa]hl|coups|cuentas|conteggi|счет|имп|^data|^y$", re.IGNORECASE
)
_OTHER_AXIS = re.compile(
    r"wave|wellen|lambda|raman|angle|theta|2θ|^θ|\btime\b|distance|depth|position|\bnm\b|cm-1|angstr|(?<!\w)[åÅ](?!\w)",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}\.\d{3}")
_FEWEST_THOUSANDS = 8  # of which none ends on 0 and stands without it, as fractions would
_LEFT_OUT = 0.25  # of a channel that energies in a table with gaps lie beside its even axis
_DERIVED = re.compile(r"fit|back|bkg|err|sigma|std|resid|smooth|continuum", re.IGNORECASE)
_LOGARITHM = {"10": re.compile(r"log|\blg", re.IGNORECASE), "e": re.compile(r"\bln", re.IGNORECASE)}
_MOST_COLUMNS = 256
_MOST_FILLED = 16  # times the channels that a table lists
_SINGLE = 0.2  # of the steps that are one channel, at least, in a table with gaps
_EVEN = 0.02  # of a step between energies, as they are rounded
_LARGEST_LOGARITHM = 25.0  # to the base e; of more counts than any channel holds
_SMALL, _FEWEST_POWERS, _WHOLE = 30.0, 6, 0.05  # counts that three decimals of a logarithm tell apart
# A comma behind digits of their own belongs to a number: "Time 1,200", but not "Time1,200".
_PARTED = re.compile(r"\s*(?:[:=\t;]|(?<!\s\d)(?<!\s\d\d)(?<!\s\d\d\d),|,(?!\d))+\s*|\s{2,}")
_PER_CHANNEL = re.compile(r"(k?ev) ?(?:per|/) ?ch|energy of ch\((k?ev)\)")
_COUNTED = re.compile(r"^points$|num.* ch")
_VOLTAGE = re.compile("tube voltage|high voltage|hv adc|^(tube )?kv$|^primary energy$")
_LIVE_TIME, _ESPRIT_TIME = re.compile("live.?time"), "life time"  # the latter of Bruker's Esprit, in ms
_TIME_UNIT = re.compile(r"(?<![a-z])(?:(?:[mµun]|milli|micro)?s(?:ec(?:ond)?s?)?|min(?:ute)?s?)(?![a-z])")
# "Analyte   TG kV   uA ...", a rule, "Na   Rh 50 1000-Auto ..."
_SHIMADZU = re.compile(r"TG kV.*\n[-\s\",]*\S+ +([A-Z][a-z]?) +(\d+) ")
_TUBE_KV = (4.0, 100.0)  # voltages of X-ray tubes


@dataclass(frozen=True)
class _Columns:
    """The lines of a spectrum, and those above it."""

    about: list[str]
    rows: list[list[str]]
    names: list[str]  # of the columns, as many or none
    # the columns of counts, each with that of its energies, or of channel numbers where there are none
    spectra: dict[int, int | None]
    stray: int  # lines of numbers that do not belong to it


def read_columns(path: Path, lines: Sequence[str], wanted: int | None = None) -> SpectralCube:
    """Read columns of energies or channel numbers and of counts as a map of one pixel.

    ``wanted`` tells which column of counts, from 0; without it the first one, or the first that is named so.
    Raises FileError when the lines hold no such columns, InvalidInput when there is no such spectrum.
    """
    found = _columns(lines)
    if found is None:
        hint = "A table needs a line above it that names its columns: energy_keV, counts, …"
        raise FileError(path, "holds no column of counts", hint)
    if found.stray:
        raise FileError(path, "holds no single column of counts: other lines part its numbers")
    if wanted is not None and not 0 <= wanted < len(found.spectra):
        raise InvalidInput(
            f"there is no map {wanted} in {path.name}", f"It holds {len(found.spectra)}, from 0"
        )
    column, told = _chosen(found, wanted)
    over = found.spectra[column]
    named = found.names[over] if found.names and over is not None else ""
    if _OTHER_AXIS.search(named) and not _ENERGY.search(named):
        raise FileError(path, f"holds values over {named!r}, no spectrum over energies")
    table, parted = _table(found)
    table, gaps = _filled(table, over)
    size, places = table.shape[0], None if over is None else table[:, over]
    steps = np.ones(1) if places is None else np.diff(places)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise FileError(path, "holds two columns of which the first neither rises nor falls: no energies")
    known, doubted = settled(_entries(found.about), lines)

    def find() -> Calibration | None:
        said = _said_axis(known, size, 0.0 if places is None else float(places[0]))
        if said is not None and (places is None or np.all(steps == 1)):
            return said
        return None if places is None else calibration.axis_from_energies(places, may_fall=True)

    axis, notes = calibration.or_assumed(find, size)
    announced = next((number(text) for key, text in known.items() if _COUNTED.search(key)), None) or size
    if size < announced:
        raise FileError(path, f"is cut short: {size} of {announced:g} channels are there")
    if size > announced:
        notes += (f"The file announces {announced:g} channels but holds {size}.",)
    name, live_time = found.names[column] if found.names else "", _said_live_time(known)
    counts, faults = _of_logarithms(table[:, column], name)
    if RATE.search(name):
        counts, faults = counted(counts, live_time)
    spectrum = Spectrum(
        counts[:: -1 if calibration.TURNED in notes else 1],
        axis,
        path.stem,
        live_time=live_time,
        excitation=_said_excitation(known, found.about),
    )
    warnings = (*doubted, *gaps, *parted, *notes, *told, *faults, *unended(path))
    return one_pixel_cube(path, spectrum, layout="plain spectrum", warnings=warnings)


def are_columns(lines: Sequence[str], *, named: bool) -> bool:
    """Tell whether the first lines of a file are such columns; ``named``: only if lines above say so."""
    found = _columns(lines[:_LOOKED_AT])
    if found is None or found.stray:
        return False
    return not named or len(found.rows[0]) > 2 or any(map(_ENERGY.search, (*found.about, *found.names)))


def _columns(lines: Sequence[str]) -> _Columns | None:
    """Return the longest run of lines of numbers.

    Words may stand above a column of counts, or below what is found, if those above tell of energies.
    """
    held = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    rows = [_cells(line) for line in held]
    widths = [len(row) if len(row) <= _MOST_COLUMNS and all(map(is_number, row)) else 0 for row in rows]
    starts = [0, *(np.flatnonzero(np.diff(widths)) + 1).tolist(), len(rows)]
    runs = [(end - start, start, end) for start, end in pairwise(starts) if any(widths[start:end])]
    size, start, end = max(runs, default=(0, 0, 0))
    about, outside = held[:start], sum(map(bool, widths[:start] + widths[end:]))
    alone = bool(about) and widths[start] == 1
    if size < FEWEST or ((alone or end < len(rows)) and not any(map(_ENERGY.search, about))):
        return None
    names = _names(lines[: lines.index(held[start])], widths[start])
    spectra = _roles(names, rows[start:end])
    return _Columns(about, rows[start:end], names, spectra, outside) if spectra else None


def _names(above: Sequence[str], width: int) -> list[str]:
    """Return the names of columns in the last line above them, as many; none where they are not named."""
    line = above[-1].strip().lstrip("# ") if above else ""
    parted = (_cells(line), re.split(r"\s{2,}|\t", line))  # names may hold spaces
    return next((one for one in parted if len(one) == width and not any(map(is_number, one))), [])


def _roles(names: list[str], rows: list[list[str]]) -> dict[int, int | None]:
    """Return the columns of counts, each with that of its energies or channels; none where nothing says.

    Of several columns of energies the next one to the left is meant: pairs may stand side by side.
    """
    width = len(rows[0])
    turned = len(names) == 2 and _ENERGY.search(names[1]) and not _ENERGY.search(names[0])
    if width <= 2:
        return {0: None} if width == 1 else {0: 1} if turned else {1: 0}
    energies = [at for at, name in enumerate(names) if _ENERGIES.search(name)]
    channels = [at for at, name in enumerate(names) if _CHANNELS.match(name)]
    if not names and width == 3:  # without a word: 0, 1, 2, … and what rises evenly
        first, second = np.array([row[:2] for row in rows], dtype=np.float64).T
        steps = np.diff(second)
        even = steps.min() > 0 and np.ptp(steps) < _EVEN * steps.mean()
        channels, energies = ([0], [1]) if even and np.all(np.diff(first) == 1) else ([], [])
    over = energies or channels
    counts = [at for at in range(width) if at not in {*energies, *channels}] if over else []
    return {at: max((one for one in over if one < at), default=over[0]) for at in counts}


def _table(found: _Columns) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the numbers of all columns, and a warning where marks part thousands: 12.345 beside 678."""
    rows, notes = [list(row) for row in found.rows], []
    for at in found.spectra:
        marked = [row for row in rows if "." in row[at]]
        plain = all(row[at].isdecimal() and len(row[at]) <= 3 for row in rows if "." not in row[at])
        whole = all(_THOUSANDS.fullmatch(row[at]) for row in marked)
        if whole and plain and _FEWEST_THOUSANDS <= len(marked) < len(rows):
            notes.append(f"Counts such as {marked[0][at]} are taken as thousands, parted by a mark.")
            for row in marked:
                row[at] = row[at].replace(".", "")
    return np.array(rows, dtype=np.float64), tuple(notes[:1])


def _filled(table: NDArray[np.float64], axis: int | None) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return a table with all its channels, and a warning where those without counts were left out.

    Most of the energies are one step apart then, and the others lie on the same even axis.
    """
    if axis is None or table.shape[0] < FEWEST:
        return table, ()
    falling = table[0, axis] > table[-1, axis]
    rising = table[::-1] if falling else table
    places = rising[:, axis]
    steps = np.diff(places)
    if not steps.min() > 0 or np.mean(steps < 1.5 * steps.min()) < _SINGLE:
        return table, ()
    at = np.cumsum([0, *np.rint(steps / np.median(steps[steps < 1.5 * steps.min()]))]).astype(np.int64)
    width, first = np.polyfit(at, places, 1)
    size = int(at[-1]) + 1
    off = np.abs(places - first - width * at).max()
    if size == at.size or size > _MOST_FILLED * at.size or off > _LEFT_OUT * width:
        return table, ()
    whole = np.zeros((size, table.shape[1]))
    whole[:, axis] = first + width * np.arange(size)
    whole[at] = rising
    note = f"{size - at.size} of {size} channels are not in the table: they are taken to hold no counts."
    return whole[::-1] if falling else whole, (note,)


def _chosen(found: _Columns, wanted: int | None) -> tuple[int, tuple[str, ...]]:
    """Return the column that is read, and a warning where it is one of several."""
    names = {at: found.names[at] if found.names else f"column {at + 1}" for at in found.spectra}
    if wanted is not None:
        return list(names)[wanted], ()
    counted = [at for at in found.spectra if _COUNTS.search(names[at]) and not _DERIVED.search(names[at])]
    chosen = next(iter([*counted, *found.spectra]))
    if len(names) == 1:
        return chosen, ()
    told = ", ".join(names.values())
    return chosen, (f"The table holds {len(names)} spectra ({told}); {names[chosen]} is read: {CHOOSE_MAP}.",)


def _of_logarithms(values: NDArray[np.float64], name: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return counts of values that are logarithms, as their column's name or small counts show; and warnings.

    The powers of small ones are whole numbers then. 0 stays 0, which has no logarithm.
    """
    finite = values[np.isfinite(values)]
    if not finite.size or finite.max() > _LARGEST_LOGARITHM or np.all(finite == np.rint(finite)):
        return values, ()
    for base, said in ((10.0, "10"), (math.e, "e")):
        small = np.unique(base ** finite[(finite > 0) & (finite < math.log(_SMALL, base))])
        whole = small.size >= _FEWEST_POWERS and np.all(np.abs(small - np.rint(small)) < _WHOLE)
        if whole or (_LOGARITHM[said].search(name) and finite.min() >= 0):
            counts = np.where(np.isfinite(values) & (values != 0), np.rint(base**values), 0.0)
            return counts, (f"The values are logarithms to the base {said} of counts: the counts are taken.",)
    if finite.max() <= 1:  # normalised
        return values, ()
    return values, (
        f"No value is above {finite.max():.3g}, and they are not whole: are they logarithms of counts, or "
        "rates? Elements are found in counts.",
    )


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
    offset_name, gain_name = calibration.terms_among(known)
    if offset_name and gain_name:
        terms = [number(known[name]) or 0.0 for name in (offset_name, gain_name)]
        return calibration.axis_from_polynomial(terms, size, "", first)
    ends, width = numbers(known.get("range", "").replace(" - ", " ")), positive(known.get("step", ""))
    if width and len(ends) == 2:
        return calibration.axis_from_polynomial([ends[0], width], size)
    return None


def _said_live_time(known: dict[str, str]) -> float | None:
    """Return the live time in seconds; of Esprit's, which it calls life time, in milliseconds."""
    if milliseconds := positive(known.get(_ESPRIT_TIME, "")):
        return milliseconds / 1000
    key, text = next(((key, text) for key, text in known.items() if _LIVE_TIME.match(key)), ("", ""))
    unit = _TIME_UNIT.search(f"{key} {text}".lower())
    return seconds * scans.seconds_per(unit[0] if unit else "") if (seconds := positive(text)) else None


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
    return cells_of(line.strip().rstrip("\t,;"))
