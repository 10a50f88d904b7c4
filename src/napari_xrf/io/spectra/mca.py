"""Single spectra in the text files of multichannel analysers.

.mca, .xrf
    Amptek (``<<PMCA SPECTRUM>>``), SPEC (``@A`` lines, as PyMca writes them), EPICS/larch (``VERSION: 3.1``,
    one column a detector), and a plain column of numbers.
.spe
    Ortec Maestro (``$DATA:``), also as PyMca writes it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration
from napari_xrf.io.calibration import Calibration
from napari_xrf.io.spectra.single import one_pixel_cube, text_lines

_AMPTEK = "<<PMCA SPECTRUM>>"
_EPICS = re.compile(r"^VERSION:\s")
_NUMBER = re.compile(r"^[\s\d.eE+-]+$")
_BEAM = re.compile(r'^ENVIRONMENT:\s*\S*Energy\S*="([\d.eE+-]+)"', re.MULTILINE)
_FEWEST, _MOST = 16, 2**20


def read_mca(
    path: str | Path, *, detector: str | int = "sum", progress: Progress = ignore_progress
) -> SpectralCube:
    """Read an .mca or .xrf spectrum as a map of one pixel, its detectors brought to one axis and summed.

    Parameters
    ----------
    path
        The file.
    detector
        ``"sum"``, or the number of one, from 0.
    progress
        Told at start and end.

    Raises
    ------
    FileError
        When the file holds no spectrum.
    InvalidInput
        When there is no such detector.
    """
    target = Path(path)
    progress(0, 1, "reading a spectrum")
    lines = text_lines(target)
    text = "\n".join(lines)
    try:
        if _EPICS.match(text):
            cube = _read_epics(target, lines, text, detector)
        else:
            _only_sum(target, detector)
            reader = _read_amptek if _AMPTEK in text else _read_spec if "\n@A" in "\n" + text else _read_plain
            cube = reader(target, lines)
    except FileError:
        raise
    except (ValueError, IndexError) as error:
        if isinstance(error, InvalidInput) and detector != "sum":
            raise
        raise FileError(target, f"holds no usable spectrum ({error})") from error
    progress(1, 1, "reading a spectrum")
    return cube


def read_spe(path: str | Path, *, progress: Progress = ignore_progress) -> SpectralCube:
    """Read a Maestro .spe spectrum as a map of one pixel.

    Raises
    ------
    FileError
        When the file holds no spectrum or fewer channels than it announces.
    """
    target = Path(path)
    progress(0, 1, "reading a spectrum")
    sections = _sections(text_lines(target))
    try:
        first, last = (int(float(text)) for text in sections["DATA"][0].split()[:2])
        size = last - first + 1
        if not _FEWEST <= size <= _MOST:
            raise FileError(target, f"announces {size} channels")
        texts = " ".join(sections["DATA"][1:]).split()
        if len(texts) < size:
            raise FileError(target, f"is cut short: {len(texts)} of {size} channels are there")
        counts = np.array(texts[:size], dtype=np.float64)
        axis, notes = _spe_axis(sections, first, size)
    except (KeyError, IndexError, ValueError) as error:
        raise FileError(target, f"holds no usable spectrum ({error})") from error
    times = (sections.get("MEAS_TIM") or [""])[0].split()
    name = " ".join(" ".join(sections.get("SPEC_ID", [])).split()) or target.stem
    spectrum = Spectrum(counts, axis, name, live_time=_positive(times[0]) if times else None)
    progress(1, 1, "reading a spectrum")
    return one_pixel_cube(target, spectrum, layout="Maestro spectrum", warnings=notes)


def is_mca(path: str | Path) -> bool:
    """Tell whether a file is one of the text forms that :func:`read_mca` reads."""
    with Path(path).open("rb") as handle:
        head = handle.read(65536)
    if b"\0" in head:
        return False
    text = head.decode("utf-8", "replace")
    if _EPICS.match(text) or _AMPTEK in text or re.search(r"^@A", text, re.MULTILINE):
        return True
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")][:64]
    return len(lines) >= _FEWEST and all(_NUMBER.match(line) for line in lines)


def _only_sum(path: Path, detector: str | int) -> None:
    if detector != "sum":
        raise InvalidInput(f"there is no detector {detector!r} in {path.name}", "It holds a single spectrum")


def _read_epics(path: Path, lines: list[str], text: str, detector: str | int) -> SpectralCube:
    """Read EPICS' MCA records as larch writes them: one column a detector, each with its calibration."""
    tags = dict(re.findall(r"^([A-Z_0-9]+):[ \t]*(.*)$", text, re.MULTILINE))
    start = next((at for at, line in enumerate(lines, 1) if line.startswith("DATA:")), len(lines))
    table = np.array([line.split() for line in lines[start:] if line.strip()], dtype=np.float64)
    size = int(tags.get("CHANNELS") or table.shape[0])
    if table.ndim != 2 or table.shape[0] < size or size < _FEWEST:
        raise FileError(path, f"is cut short: {table.shape[0]} of {size} channels are there")
    terms = [_floats(tags.get(f"CAL_{name}", "")) for name in ("OFFSET", "SLOPE", "QUAD")]
    axes: list[EnergyAxis] = []
    notes: tuple[str, ...] = ()
    for column in range(table.shape[1]):
        one, found = calibration.axis_from_polynomial([_of(term, column) for term in terms], size)
        axes.append(one)
        notes += found
    live = _floats(tags.get("LIVE_TIME", ""))
    kept = range(table.shape[1]) if detector == "sum" else [_detector_number(path, detector, table.shape[1])]
    first = axes[kept[0]]
    summed = np.zeros(size)
    for column in kept:
        # Each detector has its own calibration: its counts move, whole, to the first one's channels.
        moved = table[:size, column]
        summed += moved if axes[column] == first else _on_axis(moved, axes[column], first)
    times = [_of(live, column) for column in kept if _of(live, column) > 0]
    beam = _BEAM.search(text)
    kev = calibration.energy_in_kev(float(beam[1])) if beam else None
    spectrum = Spectrum(
        summed,
        first,
        path.stem,
        live_time=float(np.mean(times)) if times else None,
        excitation=Excitation("monochromatic", kev) if kev else Excitation(),
    )
    names = tuple(str(column) for column in kept)
    return one_pixel_cube(path, spectrum, layout="EPICS MCA spectrum", detectors=names, warnings=notes)


def _on_axis(counts: NDArray[np.float64], axis: EnergyAxis, target: EnergyAxis) -> NDArray[np.float64]:
    """Return whole counts on another axis: shared by overlap of the bins, fractions carried upwards."""
    shared = axis.rebin(counts, target)
    climbed = np.floor(np.cumsum(shared) + 0.5)
    return np.asarray(np.diff(climbed, prepend=0.0))


def _read_amptek(path: Path, lines: list[str]) -> SpectralCube:
    sections: dict[str, list[str]] = {}
    current = ""
    for line in lines:
        if line.startswith("<<"):
            current = line.strip().strip("<>")
        sections.setdefault(current, []).append(line)
    counts = np.array(sections["DATA"][1:], dtype=np.float64)
    if counts.size < _FEWEST:
        raise FileError(path, f"is cut short: only {counts.size} channels are there")
    tags = dict(re.findall(r"^([A-Z_]+) - (.*)$", "\n".join(sections["PMCA SPECTRUM"]), re.MULTILINE))
    points = [line.split()[:2] for line in sections.get("CALIBRATION", []) if _NUMBER.match(line)]
    if len(points) >= 2:
        values = np.array(points, dtype=np.float64)
        axis, notes = calibration.axis_from_points(values[:, 0], values[:, 1], counts.size)
    else:
        axis, notes = calibration.assumed_axis(counts.size)
    live_time = _positive(tags.get("LIVE_TIME", "")) or _positive(tags.get("REAL_TIME", ""))
    name = tags.get("DESCRIPTION", "").strip() or path.stem
    return one_pixel_cube(
        path, Spectrum(counts, axis, name, live_time=live_time), layout="Amptek spectrum", warnings=notes
    )


def _read_spec(path: Path, lines: list[str]) -> SpectralCube:
    """Read the first ``@A`` block of a SPEC file; a backslash continues a line."""
    joined = re.sub(r"\\\s*\n", " ", "\n".join(lines))
    block = re.search(r"^@A(.*)$", joined, re.MULTILINE)
    counts = np.array(block[1].split() if block else [], dtype=np.float64)
    if counts.size < _FEWEST:
        raise FileError(path, f"is cut short: only {counts.size} channels are there")
    found = re.search(r"^#@CALIB\s+(.*)$", joined, re.MULTILINE)
    terms = _floats(found[1]) if found else []
    channels = re.search(r"^#@CHANN\s+(.*)$", joined, re.MULTILINE)
    first = _floats(channels[1])[1] if channels and len(_floats(channels[1])) > 1 else 0.0
    times = re.search(r"^#@CTIME\s+(.*)$", joined, re.MULTILINE)
    live = _floats(times[1]) if times else []
    axis, notes = _calibrated(terms, counts.size, first)
    live_time = live[1] if len(live) > 1 else None
    several = len(re.findall(r"^@A", joined, re.MULTILINE))
    if several > 1:
        notes += (f"The file holds {several} spectra; the first is read.",)
    return one_pixel_cube(
        path, Spectrum(counts, axis, path.stem, live_time=live_time), layout="SPEC spectrum", warnings=notes
    )


def _read_plain(path: Path, lines: list[str]) -> SpectralCube:
    rows = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if len(rows) < _FEWEST or len({len(row) for row in rows}) != 1 or len(rows[0]) > 2:
        raise FileError(path, "holds no column of counts")
    table = np.array(rows, dtype=np.float64)
    if table.shape[1] == 1:
        axis, notes = calibration.assumed_axis(table.shape[0])
    else:
        axis, notes = _two_columns(table[:, 0])
    return one_pixel_cube(
        path, Spectrum(table[:, -1], axis, path.stem), layout="plain spectrum", warnings=notes
    )


def _two_columns(first: NDArray[np.float64]) -> Calibration:
    steps = np.diff(first)
    if np.allclose(steps, 1) and first[0] in (0, 1):  # channel numbers
        return calibration.assumed_axis(first.size)
    return calibration.axis_from_energies(first)


def _sections(lines: list[str]) -> dict[str, list[str]]:
    """Return the lines below each ``$NAME:``."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith("$"):
            current = sections.setdefault(line[1:].split(":")[0].strip(), [])
        elif line.strip():
            current.append(line)
    return sections


def _spe_axis(sections: dict[str, list[str]], first: int, size: int) -> Calibration:
    fit = [_floats(line) for line in sections.get("MCA_CAL", [])[1:2]]
    fit += [_floats(line) for line in sections.get("ENER_FIT", [])[:1]]
    terms = next((found for found in fit if len(found) >= 2 and found[1] > 0), [])
    return _calibrated(terms, size, first)


def _calibrated(terms: list[float], size: int, first: float) -> Calibration:
    """Return the axis of a + b·channel + c·channel² whose first channel has the number ``first``."""
    if len(terms) < 2 or terms[1] <= 0 or (terms[0] == 0 and terms[1] == 1):  # 0 1 0: not calibrated
        return calibration.assumed_axis(size)
    a, b, c = (*terms, 0.0)[:3]
    shifted = [a + b * first + c * first**2, b + 2 * c * first, c]
    return calibration.axis_from_polynomial(shifted, size)


def _detector_number(path: Path, detector: str | int, count: int) -> int:
    text = str(detector)
    if text.isdigit() and int(text) < count:
        return int(text)
    known = ", ".join(str(number) for number in range(count))
    raise InvalidInput(f"there is no detector {detector!r} in {path.name}", f"Choose sum or one of: {known}")


def _floats(text: str) -> list[float]:
    """Return the numbers at the start of a text; a unit may follow them."""
    numbers = []
    for part in text.split():
        try:
            numbers.append(float(part))
        except ValueError:
            break
    return numbers


def _of(values: list[float], at: int) -> float:
    return values[at] if at < len(values) else 0.0


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value > 0 else None
