"""Spectra in the text files of multichannel analysers.

.mca, .xrf, .txt, .csv, and others whose words say so
    Amptek (``<<PMCA SPECTRUM>>``), SPEC (see :mod:`.spec`), EPICS/larch (``VERSION: 3.1``, one column
    a detector), and plain columns (see :mod:`.columns`).
.spe
    Ortec Maestro (``$DATA:``), also as PyMca writes it; Itrax (plain columns).
"""

import re
from pathlib import Path

import numpy as np

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration
from napari_xrf.io.calibration import Calibration
from napari_xrf.io.spectra.columns import are_columns, read_columns
from napari_xrf.io.spectra.single import (
    FEWEST,
    calibrated,
    decoded,
    numbers,
    of_detectors,
    one_pixel_cube,
    positive,
    text_lines,
)
from napari_xrf.io.spectra.spec import read_spec

_ENDINGS = (".mca", ".xrf", ".txt", ".spe", ".spec")  # of files that hold nothing but spectra
_AMPTEK, _SPEC = "<<PMCA SPECTRUM>>", ("#S ", "#F ")
_EPICS = re.compile(r"^VERSION:\s")
_NUMBER = re.compile(r"^[\s\d.,eE+-]+$")
_BEAM = re.compile(r'^ENVIRONMENT:\s*\S*Energy\S*="([\d.eE+-]+)"', re.MULTILINE)
_MOST = 2**20


def read_mca(path: str | Path, *, detector: str | int = "sum", map: int | None = None) -> SpectralCube:
    """Read an .mca or .xrf file: a spectrum as a map of one pixel, or the map of a SPEC mesh.

    ``detector`` is ``"sum"`` of all, brought to one axis, or the number of one; ``map`` which scan of a SPEC
    file or column of counts, from 0. Raises FileError when the file holds no spectrum, InvalidInput when
    there is no such detector, scan or column.
    """
    target = Path(path)
    lines = text_lines(target)
    text = "\n".join(lines)
    try:
        if _EPICS.match(text):
            return _read_epics(target, lines, text, detector)
        if re.search(r"^@[A-Z]", text, re.MULTILINE):
            return read_spec(target, text, detector=detector, wanted=map)
        if detector != "sum":
            raise InvalidInput(f"there is no detector {detector!r} in {target.name}", "It holds one detector")
        return _read_amptek(target, lines) if _AMPTEK in text else read_columns(target, lines, map)
    except FileError:
        raise
    except (ValueError, LookupError) as error:
        if isinstance(error, InvalidInput) and (detector != "sum" or map is not None):
            raise
        raise FileError(target, f"holds no usable spectrum ({error})") from error


def read_spe(path: str | Path) -> SpectralCube:
    """Read a Maestro .spe spectrum as a map of one pixel.

    Raises FileError when the file holds no spectrum or fewer channels than it announces.
    """
    target = Path(path)
    sections = _sections(text_lines(target), "$", ":")
    try:
        first, last = (int(value) for value in numbers(sections["DATA"][0])[:2])
        size = last - first + 1
        if not FEWEST <= size <= _MOST:
            raise FileError(target, f"announces {size} channels")
        texts = " ".join(sections["DATA"][1:]).split()
        if len(texts) < size:
            raise FileError(target, f"is cut short: {len(texts)} of {size} channels are there")
        counts = np.array(texts[:size], dtype=np.float64)
    except (LookupError, ValueError) as error:
        raise FileError(target, f"holds no usable spectrum ({error})") from error
    fits = [numbers(line) for name, at in (("MCA_CAL", 1), ("ENER_FIT", 0))
            for line in sections.get(name, [])[at : at + 1]]  # fmt: skip
    terms: list[float] = next((found for found in fits if len(found) >= 2 and found[1] > 0), [])
    axis, notes = calibrated(terms, size, first)
    if len(texts) > size:
        notes += (f"The file announces {size} channels but holds {len(texts)}; the first {size} are read.",)
    name = " ".join(" ".join(sections.get("SPEC_ID", [])).split()) or target.stem
    spectrum = Spectrum(counts, axis, name, live_time=positive(" ".join(sections.get("MEAS_TIM", []))))
    return one_pixel_cube(target, spectrum, layout="Maestro spectrum", warnings=notes)


def is_mca(path: str | Path) -> bool:
    """Tell whether a file is one of the text forms that :func:`read_mca` reads."""
    with Path(path).open("rb") as handle:
        text = decoded(handle.read(65536))
    if "\0" in text:
        return False
    if _EPICS.match(text) or _AMPTEK in text or re.search(r"^@[A-Z]", text, re.MULTILINE):
        return True
    # Under other endings any table of two columns would be one.
    named = Path(path).suffix.lower() not in _ENDINGS and not text.startswith(_SPEC)
    return are_columns(text.splitlines(), named=named)


def _read_epics(path: Path, lines: list[str], text: str, detector: str | int) -> SpectralCube:
    """Read EPICS' MCA records as larch writes them: one column a detector, each with its calibration."""
    tags = dict(re.findall(r"^([A-Z_0-9]+):[ \t]*(.*)$", text, re.MULTILINE))
    start = next((at for at, line in enumerate(lines, 1) if line.startswith("DATA:")), len(lines))
    table = np.array([line.split() for line in lines[start:] if line.strip()], dtype=np.float64)
    size = int(tags.get("CHANNELS") or table.shape[0])
    if table.ndim != 2 or table.shape[0] < size or size < FEWEST:
        raise FileError(path, f"is cut short: {table.shape[0]} of {size} channels are there")
    terms = [numbers(tags.get(f"CAL_{name}", "")) for name in ("OFFSET", "SLOPE", "QUAD")]
    columns = range(table.shape[1])
    found = [calibrated([_of(term, column) for term in terms], size) for column in columns]
    found = calibration.of_detectors(found, list(map(str, columns)))
    counts, axis, kept, told = of_detectors(path, table[:size], [one for one, _ in found], detector)
    live = numbers(tags.get("LIVE_TIME", ""))
    times = [_of(live, column) for column in kept if _of(live, column) > 0]
    beam = _BEAM.search(text)
    kev = calibration.energy_in_kev(float(beam[1])) if beam else None
    spectrum = Spectrum(
        counts,
        axis,
        path.stem,
        live_time=float(np.mean(times)) if times else None,
        excitation=Excitation("monochromatic", kev) if kev else Excitation(),
    )
    notes = tuple(dict.fromkeys([*(note for _, more in found for note in more), *told]))
    names = tuple(map(str, kept))
    return one_pixel_cube(path, spectrum, layout="EPICS MCA spectrum", detectors=names, warnings=notes)


def _read_amptek(path: Path, lines: list[str]) -> SpectralCube:
    sections = _sections(lines, "<<", ">>")
    counts = np.array(sections["DATA"], dtype=np.float64)
    if counts.size < FEWEST:
        raise FileError(path, f"is cut short: only {counts.size} channels are there")
    tags = dict(line.split(" - ", 1) for line in sections["PMCA SPECTRUM"] if " - " in line)
    label, points = "keV", []
    for line in sections.get("CALIBRATION", []):
        label = line.split(" - ", 1)[1].strip() if line.startswith("LABEL - ") else label
        points += [numbers(line)[:2]] if _NUMBER.match(line) else []

    def find() -> Calibration | None:
        if len(points) < 2:
            return None
        at, energies = np.array(points, dtype=np.float64).T
        return calibration.axis_from_points(at, energies, counts.size, label)

    axis, notes = calibration.or_assumed(find, counts.size)
    if "END" not in sections:
        notes += ("The file has no <<END>>: it is probably cut short.",)
    live_time = positive(tags.get("LIVE_TIME", "")) or positive(tags.get("REAL_TIME", ""))
    spectrum = Spectrum(counts, axis, tags.get("DESCRIPTION", "").strip() or path.stem, live_time=live_time)
    return one_pixel_cube(path, spectrum, layout="Amptek spectrum", warnings=notes)


def _sections(lines: list[str], start: str, end: str) -> dict[str, list[str]]:
    """Return the lines that are not empty below each ``$NAME:`` or ``<<NAME>>``."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith(start):
            current = sections.setdefault(line[len(start) :].split(end)[0].strip(), [])
        elif line.strip():
            current.append(line)
    return sections


def _of(values: list[float], at: int) -> float:
    return values[at] if at < len(values) else 0.0
