"""Single spectra in the EMSA/MAS format (.msa, .emsa, .txt): ISO 22029, data types Y and XY."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.calibration import axis_from_energies
from napari_xrf.io.spectra.single import element_symbols, one_pixel_cube, text_lines

LAYOUT = "EMSA/MAS spectrum"
_MOST_CHANNELS = 2**20
# Keyword, unit after a dash ("LIVETIME  -s"), value; "##" marks keywords that the standard does not know.
_KEYWORD = re.compile(r"^##?\s*([A-Za-z0-9]+)\s*(?:-?\s*([A-Za-z0-9/]+)\s*)?:(.*)$")
_SEPARATOR = re.compile(r"[,\s;]+")
_KINDS: Mapping[str, Literal["tube", "electron", "monochromatic"]] = {
    "tube": "tube",
    "electron": "electron",
    "monochromatic": "monochromatic",
}

Tags = dict[str, tuple[str, str]]  # keyword → (value, unit)


def read_emsa(path: str | Path, *, progress: Progress = ignore_progress) -> SpectralCube:
    """Read an EMSA/MAS spectrum as a map of one pixel; OFFSET and XPERCHAN give the energy axis.

    Raises
    ------
    FileError
        When the file is no such spectrum or is cut short.
    """
    target = Path(path)
    progress(0, 1, "reading a spectrum")
    tags, numbers = _parsed(target)
    energies, counts = _columns(target, tags, numbers)
    try:
        axis = _axis(tags, energies, counts.size)
    except InvalidInput as error:
        raise FileError(target, f"holds no usable energy axis ({error})") from error
    spectrum = Spectrum(
        counts,
        axis,
        _text(tags, "TITLE") or target.stem,
        pixels=int(_number(tags, "PIXELS") or 1),
        live_time=_number(tags, "LIVETIME"),
        excitation=_excitation(tags),
    )
    progress(1, 1, "reading a spectrum")
    detector = _text(tags, "RTDET")
    listed = _SEPARATOR.split(_text(tags, "OXINSTELEMS"))
    return one_pixel_cube(
        target,
        spectrum,
        layout=LAYOUT,
        detectors=(detector,) if detector else (),
        elements=element_symbols(int(number) for number in listed if number.isdigit()),
    )


def _parsed(path: Path) -> tuple[Tags, list[str]]:
    """Return the keywords before the data, and the numbers after ``#SPECTRUM`` as texts."""
    tags: Tags = {}
    numbers: list[str] = []
    in_data = False
    for line in text_lines(path):
        if line.startswith("#"):
            match = _KEYWORD.match(line)
            keyword = match[1].upper() if match else ""
            if keyword == "ENDOFDATA":
                break
            in_data = in_data or keyword == "SPECTRUM"
            if match:
                tags.setdefault(keyword, (match[3].strip(), match[2] or ""))
        elif in_data:
            numbers += [text for text in _SEPARATOR.split(line) if text]
    if "EMSA" not in _text(tags, "FORMAT").upper():
        raise FileError(path, "is no EMSA/MAS spectrum: it does not begin with #FORMAT")
    return tags, numbers


def _columns(
    path: Path, tags: Tags, numbers: list[str]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    size = int(_number(tags, "NPOINTS") or 0)
    if not 1 <= size <= _MOST_CHANNELS:
        raise FileError(path, f"announces {size} channels")
    pairs = _text(tags, "DATATYPE").upper() == "XY"
    needed = 2 * size if pairs else size
    if len(numbers) < needed:
        per_channel = 2 if pairs else 1
        raise FileError(path, f"is cut short: {len(numbers) // per_channel} of {size} channels are there")
    try:
        values = np.array(numbers[:needed], dtype=np.float64)
    except ValueError as error:
        raise FileError(path, f"holds something that is no number ({error})") from error
    return (values[0::2], values[1::2]) if pairs else (None, values)


def _axis(tags: Tags, energies: NDArray[np.float64] | None, size: int) -> EnergyAxis:
    units = _text(tags, "XUNITS") or "keV"
    offset, width = _number(tags, "OFFSET"), _number(tags, "XPERCHAN")
    if units.lower() not in ("ev", "kev"):
        raise InvalidInput(f"its x axis is in {units}")
    factor = 1e-3 if units.lower() == "ev" else 1.0
    if offset is not None and width is not None and width > 0:
        return EnergyAxis(offset * factor, width * factor, size)
    if energies is None:
        raise InvalidInput("OFFSET or XPERCHAN is missing")
    return axis_from_energies(energies, units)[0]


def _excitation(tags: Tags) -> Excitation:
    fwhm, unit = _number(tags, "MNFWHM"), tags.get("MNFWHM", ("", ""))[1]
    if fwhm is not None and unit.lower() != "ev":
        fwhm = round(fwhm * 1000, 6)
    return Excitation(
        _KINDS.get(_text(tags, "KIND")),
        _number(tags, "BEAMKV"),
        _text(tags, "ANODE") or None,
        _number(tags, "INCIDENCE"),
        _number(tags, "ELEVANGLE"),
        _text(tags, "ATMOSPHERE") or None,
        fwhm,
        _text(tags, "RTDET") or None,
    )


def _text(tags: Tags, keyword: str) -> str:
    return tags.get(keyword, ("", ""))[0]


def _number(tags: Tags, keyword: str) -> float | None:
    try:
        return float(_text(tags, keyword))
    except ValueError:
        return None
