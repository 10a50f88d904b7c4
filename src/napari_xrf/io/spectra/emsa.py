"""Spectra in the EMSA/MAS format (.msa, .emsa, .txt), ISO 22029: types Y and XY, and YY for detectors."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.csv_cells import is_number, plain_number
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration, scans
from napari_xrf.io.calibration import Calibration
from napari_xrf.io.spectra.single import (
    FEWEST,
    element_symbols,
    number,
    numbers,
    of_detectors,
    one_pixel_cube,
    settled,
    text_lines,
)
from napari_xrf.io.whole_counts import RATE, counted

LAYOUT = "EMSA/MAS spectrum"
EXPECTED = "expected"  # what our own files say of counts that are no whole numbers
_MOST_CHANNELS = 2**20
# Types that count no X-rays: electron losses, Auger and photoelectrons, light, gammas.
_OTHER_SIGNALS = ("ELS", "EELS", "AES", "PES", "XPS", "CLS", "GAM")
_EVEN = 0.02  # of a step between energies, as they are rounded
_PIXL_WIDTH_EV, _PIXL_KV = 9.0, 28.0
# Keyword, unit after a dash ("LIVETIME  -s"), value; "##" marks keywords that the standard does not know.
_KEYWORD = re.compile(r"^##?\s*([A-Za-z0-9]+)\s*(?:-?\s*([A-Za-z0-9/]+)\s*)?:(.*)$")
_DATA = re.compile(r"^#\s*SPECTRUM\b", re.IGNORECASE)
_UNITS = re.compile(r"\bk?eV\b", re.IGNORECASE)
_SEPARATOR = re.compile(r"[,\s;]+")
_COMMA = re.compile(r"^\s*-?\d+,\d+(?:[\s;]+-?\d+,\d+)*[\s;]*$")  # decimal commas: 12,0
_KINDS: Mapping[str, Literal["tube", "electron", "monochromatic"]] = {
    "tube": "tube",
    "electron": "electron",
    "monochromatic": "monochromatic",
}

Tags = dict[str, tuple[str, str]]  # keyword → (value, unit)


def read_emsa(path: str | Path, *, detector: str | int = "sum") -> SpectralCube:
    """Read an EMSA/MAS spectrum as a map of one pixel; several columns of type YY are detectors, summed.

    Raises FileError when the file is no such spectrum or is cut short. Raises InvalidInput when there is no
    such detector.
    """
    target = Path(path)
    tags, lines, told = _parsed(target)
    if (signal := _text(tags, "SIGNALTYPE").upper()) in _OTHER_SIGNALS:
        raise FileError(target, f"holds a spectrum of type {signal}, none of X-rays")
    energies, table, notes = _columns(target, tags, lines)
    per = scans.seconds_per(tags.get("LIVETIME", ("", ""))[1])
    live = [value * per for value in numbers(_text(tags, "LIVETIME"))]
    if RATE.search(_text(tags, "YUNITS")):
        table, rated = counted(table, next(iter(live), None))
        notes += rated
    notes += told
    found = [_axis(target, tags, energies, table.shape[0], column) for column in range(table.shape[1])]
    counts, axis, kept, told = of_detectors(target, table, [one for one, _ in found], detector)
    spectrum = Spectrum(
        counts,
        axis,
        _text(tags, "TITLE") or target.stem,
        pixels=int(number(_text(tags, "PIXELS")) or 1),
        live_time=float(np.mean([live[min(column, len(live) - 1)] for column in kept])) if live else None,
        excitation=_excitation(tags),
    )
    name = _text(tags, "RTDET")
    listed = _SEPARATOR.split(_text(tags, "OXINSTELEMS"))
    return one_pixel_cube(
        target,
        spectrum,
        layout=LAYOUT,
        detectors=tuple(map(str, kept)) if table.shape[1] > 1 else (name,) if name else (),
        elements=element_symbols(int(text) for text in listed if text.isdecimal()),
        warnings=tuple(dict.fromkeys([*notes, *(note for _, more in found for note in more), *told])),
        expected=_text(tags, "COUNTS") == EXPECTED,
    )


def _parsed(path: Path) -> tuple[Tags, list[str], tuple[str, ...]]:
    """Return the keywords before the data, the lines after ``#SPECTRUM``, and warnings."""
    tags: Tags = {}
    lines: list[str] = []
    in_data, whole = False, text_lines(path)
    for line in whole:
        if line.startswith("#"):
            match = _KEYWORD.match(line)
            keyword = match[1].upper() if match else ""
            if keyword == "ENDOFDATA" or (in_data and line.upper().startswith("#ENDOFDATA")):
                tags["ENDOFDATA"] = ("", "")
                break
            in_data = in_data or bool(_DATA.match(line))
            if match:
                tags.setdefault(keyword, (match[3].strip(), match[2] or ""))
        elif in_data:
            lines.append(line)
    if "EMSA" not in _text(tags, "FORMAT").upper():
        raise FileError(path, "is no EMSA/MAS spectrum: it does not begin with #FORMAT")
    values, doubted = settled({keyword: value for keyword, (value, _) in tags.items()}, whole)
    tags = {keyword: (values[keyword], unit) for keyword, (_, unit) in tags.items()}
    spectra = sum(line.upper().startswith("#FORMAT") for line in whole)
    more = (f"The file holds {spectra} spectra; the first is read.",) if spectra > 1 else ()
    return tags, lines, (*more, *doubted)


def _columns(
    path: Path, tags: Tags, lines: list[str]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64], tuple[str, ...]]:
    """Return the energies of type XY, the counts (E, K) of K detectors, and warnings."""
    kind, columns = _text(tags, "DATATYPE").upper(), int(number(_text(tags, "NCOLUMNS")) or 1)
    announced = number(_text(tags, "NPOINTS"))
    # Where semicolons part numbers, commas are decimal ones.
    plain = (line.replace(",", ".") if ";" in line else line for line in lines)
    texts = [text for line in plain for text in _SEPARATOR.split(line) if text]
    if (
        kind in ("", "Y")
        and columns == 1
        and announced in (None, len(texts) / 2)
        and _are_pairs(lines, texts)
    ):
        kind = "XY"
    if kind == "YY" and columns == 1 and announced and len(texts) % announced == 0:
        columns = len(texts) // int(announced)
    width = 2 if kind == "XY" else max(columns, 1) if kind == "YY" else 1
    size = int(announced or 0) if "NPOINTS" in tags else len(texts) // width
    if len(texts) == 2 * size * width and all(_COMMA.match(line) for line in lines if line.strip()):
        texts = [f"{whole}.{part}" for whole, part in zip(texts[::2], texts[1::2], strict=True)]
    held = len(texts) // width
    if not 1 <= size <= _MOST_CHANNELS or not 1 <= held <= _MOST_CHANNELS:
        raise FileError(path, f"announces {size:g} channels and holds {held}")
    if held < size and "ENDOFDATA" not in tags:
        raise FileError(path, f"is cut short: {held} of {size} channels are there")
    try:
        plain_texts = [plain_number(text) for text in texts[: held * width]]
        values = np.array(plain_texts, dtype=np.float64).reshape(held, width)
    except ValueError as error:
        raise FileError(path, f"holds something that is no number ({error})") from error
    notes = () if held == size else (f"The file announces {size} channels but holds {held}; all are read.",)
    if kind != "XY":
        return None, values, notes
    values = values[::-1] if np.all(np.diff(values[:, 0]) < 0) else values
    return values[:, 0], values[:, 1:], notes


def _are_pairs(lines: list[str], texts: list[str]) -> bool:
    """Tell whether each line holds two numbers of which the first rises evenly, as energies do."""
    filled = [line for line in lines if line.strip()]
    if len(texts) != 2 * len(filled) or not all(map(is_number, texts[::2])):
        return False
    steps = np.diff(np.array(texts[::2], dtype=np.float64))
    return steps.size >= FEWEST and steps.min() > 0 and np.ptp(steps) < _EVEN * steps.mean()


def _axis(
    path: Path, tags: Tags, energies: NDArray[np.float64] | None, size: int, column: int
) -> Calibration:
    said = _text(tags, "XUNITS").split(",")[0].strip()
    units = found[0] if (found := _UNITS.findall(said)) else ""
    if "chan" in said.lower():
        return calibration.or_assumed(lambda: None, size)
    if said and not units:
        raise FileError(path, f"holds no usable energy axis (its x axis is in {said})")
    offsets, widths = numbers(_text(tags, "OFFSET")), numbers(_text(tags, "XPERCHAN"))
    if not offsets and widths and (zero := number(_text(tags, "CHOFFSET"))) is not None:
        offsets = [-zero * widths[0]]  # the channel of 0 keV

    def stated() -> Calibration | None:
        if not offsets or not widths:
            return None
        terms = [each[min(column, len(each) - 1)] for each in (offsets, widths)]
        return calibration.axis_from_polynomial(terms, size, units)

    def find() -> Calibration | None:
        if energies is None:
            return stated()
        try:
            listed = calibration.axis_from_energies(energies, units)
        except InvalidInput:  # printed with too few digits
            return stated()
        with contextlib.suppress(InvalidInput):
            said = stated()
            # The energies beside the counts hold; the header has more digits of the same.
            if said and np.abs(said[0].energies - listed[0].energies).max() < 0.5 * said[0].width:
                return said
        return listed

    try:
        return calibration.or_assumed(find, size)
    except InvalidInput as error:
        raise FileError(path, f"holds no usable energy axis ({error})") from error


def _excitation(tags: Tags) -> Excitation:
    fwhm, unit = number(_text(tags, "MNFWHM")), tags.get("MNFWHM", ("", ""))[1]
    if fwhm is not None and unit.lower() != "ev":
        fwhm = round(fwhm * 1000, 6)
    if "PIXL" in _text(tags, "VERSION") and not _text(tags, "ANODE"):
        return _of_pixl(tags)
    return Excitation(
        _KINDS.get(_text(tags, "KIND")),
        number(_text(tags, "BEAMKV")),
        _text(tags, "ANODE") or None,
        number(_text(tags, "INCIDENCE")),
        number(_text(tags, "ELEVANGLE")),
        _text(tags, "ATMOSPHERE") or None,
        fwhm,
        _text(tags, "RTDET") or None,
        number(_text(tags, "PROBECUR"))
        or (number(_text(tags, "EMISSION")) if "PROBECUR" not in tags else None),
    )


def _of_pixl(tags: Tags) -> Excitation:
    """Return the excitation of spectra as the PIXL team writes them, who configure in another file.

    Both have rhodium tubes at 28 kV; the rover's channels are 8 eV wide, those of the laboratory's breadboard
    10 eV.
    """
    widths = numbers(_text(tags, "XPERCHAN"))
    unit = 1.0 if _text(tags, "XUNITS").lower().startswith("ev") else 1000.0
    name = "PIXL breadboard" if widths and unit * widths[0] > _PIXL_WIDTH_EV else "PIXL"
    return Excitation("tube", number(_text(tags, "BEAMKV")) or _PIXL_KV, "Rh", instrument=name)


def _text(tags: Tags, keyword: str) -> str:
    return tags.get(keyword, ("", ""))[0]
