"""Scans of SPEC whose spectra stand in ``@A`` lines, as PyMca writes them too; meshes are maps."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration, scans
from napari_xrf.io.calibration import CHOOSE_MAP, Calibration
from napari_xrf.io.detector_sum import DetectorSum, differences
from napari_xrf.io.spectra.single import FEWEST, calibrated, numbers, one_pixel_cube
from napari_xrf.io.stray_detectors import differing
from napari_xrf.io.whole_counts import as_counts

_SPECTRUM = re.compile(r"^@(\w+?)\s+(.*)$", re.MULTILINE)
_CONTINUED = re.compile(r"\\[ \t]*\n")
_NO_MOTOR = re.compile(r"time|epoch|sec|mon|det|cnt|count|mca|roi|srcur|diode", re.IGNORECASE)


def read_spec(
    path: Path, text: str, *, detector: str | int = "sum", wanted: int | None = None
) -> SpectralCube:
    """Read the spectra of one scan of a SPEC file, of several detectors summed on one axis.

    ``wanted`` tells which scan with spectra, from 0. Raises FileError when spectra are cut
    short, InvalidInput when there is no such scan or detector.
    """
    joined = _CONTINUED.sub(" ", text)
    found = [part for part in re.split(r"^(?=#S )", joined, flags=re.MULTILINE) if _SPECTRUM.search(part)]
    at = wanted or 0
    if not 0 <= at < len(found):
        raise InvalidInput(f"there is no map {at} in {path.name}", f"It holds {len(found)}, from 0")
    scan, head = found[at], re.split(r"^#S ", joined, maxsplit=1, flags=re.MULTILINE)[0]
    names, stacks, notes = _detectors(path, scan)
    known = names
    if detector != "sum":
        if str(detector) not in names:
            raise InvalidInput(
                f"there is no detector {detector!r} in {path.name}",
                f"Choose sum or one of: {', '.join(names)}",
            )
        stacks, names = [stacks[names.index(str(detector))]], (str(detector),)
    told = [_axis(path, scan, head, known.index(name), stack.shape[1])
            for name, stack in zip(names, stacks, strict=True)]  # fmt: skip
    told = calibration.of_detectors(told, names)
    notes += [note for _, more in told for note in more]
    if len(found) > 1:
        notes.append(f"The file holds {len(found)} scans; scan {at} is read: {CHOOSE_MAP}.")
    live_time = _of(numbers(_tag(scan, "CTIME") or _tag(head, "CTIME")), 1) or None
    points = max(len(stack) for stack in stacks)
    grid, backwards = _grid(scan, points)
    shown = names if len(names) > 1 else ()
    if grid.shape == (1, 1) and len(stacks) == 1:
        spectrum = Spectrum(stacks[0][0], told[0][0], path.stem, live_time=live_time)
        return one_pixel_cube(path, spectrum, layout="SPEC spectrum", warnings=tuple(notes))
    counts, axis, faults = _summed(names, stacks, [one for one, _ in told], grid, backwards)
    notes += [*grid.notes, *faults]
    if backwards is not None:
        notes.append(
            f"{backwards.sum()} rows were measured backwards; the motor's positions put them in order."
        )
    layout = "SPEC map" if grid.shape != (1, 1) else "SPEC spectrum"
    warnings = tuple(dict.fromkeys(notes))
    return SpectralCube(counts, axis, path.stem, provenance=Provenance(str(path), layout, shown, warnings))


def _detectors(path: Path, scan: str) -> tuple[tuple[str, ...], list[NDArray[np.float64]], list[str]]:
    """Return names and spectra (points, E) of each detector, and warnings.

    Detectors have names of their own (``@A``, ``@B`` or ``@MCA1``), or several ``@A`` stand at each point.
    """
    named: dict[str, list[list[str]]] = {}
    for name, values in _SPECTRUM.findall(scan):
        named.setdefault(name, []).append(values.split())
    points = len(re.findall(r"^[ \t]*[-+.\d]", scan, re.MULTILINE))
    (_, lines), *others = named.items()
    if not others and points > 1 and len(lines) % points == 0 and len(lines) > points:
        count = len(lines) // points
        named = {str(number): lines[number::count] for number in range(count)}
    elif not others:
        named = {"0": lines}
    stacks, notes = [], []
    for name, each in named.items():
        size = len(each[0])
        if size < FEWEST:
            raise FileError(path, f"is cut short: only {size} channels are there")
        whole = [values for values in each if len(values) == size]
        if len(whole) < len(each):
            notes.append(f"{len(each) - len(whole)} spectra of other lengths than {name}'s are left out.")
        stacks.append(np.array(whole, dtype=np.float64))
    return tuple(named), stacks, notes


def _axis(path: Path, scan: str, head: str, number: int, size: int) -> Calibration:
    keys = {}
    for key in ("CALIB", "CHANN"):
        listed = _tags(scan, key) or _tags(head, key)
        keys[key] = numbers(listed[min(number, len(listed) - 1)]) if listed else []
    if size < _of(keys["CHANN"], 0):
        raise FileError(path, f"is cut short: {size} of {_of(keys['CHANN'], 0):.0f} channels are there")
    return calibrated(keys["CALIB"], size, _of(keys["CHANN"], 1), _of(keys["CHANN"], 3) or 1.0)


def _grid(scan: str, points: int) -> tuple[scans.Grid, NDArray[np.bool_] | None]:
    """Return the map's shape by the scan command, and the rows that motors show to run backwards."""
    command = re.match(r"#S\s+\S+\s+(.*)", scan)
    labels = re.split(r"\s{2,}|\t", _plain_tag(scan, "L"))
    rows = re.findall(r"^[ \t]*([-+.\d].*)$", scan, re.MULTILINE)[:points]
    columns = {name: _column(rows, at) for at, name in enumerate(labels) if not _NO_MOTOR.search(name)}
    whole = {name: values for name, values in columns.items() if values is not None}
    grid = scans.grid_of(command[1] if command else "", points, whole.get)
    if grid.motors:
        fast = whole.get(grid.motors[1][0])
        if fast is not None:
            return grid, scans.reversed_rows(fast, grid.shape)
        if grid.alternating:
            note = (
                "Every second row was measured backwards, and no motor positions tell which: check the map."
            )
            return scans.Grid(grid.shape, grid.motors, (*grid.notes, note)), None
        return grid, None
    return scans.grid_among(whole) or (grid, None)


def _column(rows: list[str], at: int) -> NDArray[np.float64] | None:
    try:
        return np.array([row.split()[at] for row in rows], dtype=np.float64)
    except (ValueError, IndexError):
        return None


def _summed(
    names: tuple[str, ...],
    stacks: list[NDArray[np.float64]],
    axes: list[EnergyAxis],
    grid: scans.Grid,
    backwards: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.unsignedinteger], EnergyAxis, tuple[str, ...]]:
    """Return counts (Y, X, E) of all detectors on one axis, the axis, and warnings."""
    parts: list[NDArray[np.unsignedinteger]] = []
    faults: list[str] = []
    for stack in stacks:
        counts, told = as_counts(stack[None])
        # What no point fills takes no memory.
        part = np.zeros((*grid.shape, stack.shape[1]), dtype=counts.dtype)
        part.reshape(-1, stack.shape[1])[: len(stack)] = counts[0]
        if backwards is not None:
            part[backwards] = part[backwards, ::-1]
        parts.append(part)
        faults += told
    if len(parts) == 1:
        return parts[0], axes[0], tuple(faults)
    joined = DetectorSum(tuple(parts), tuple(axes))
    summed: NDArray[np.unsignedinteger] = joined[:]
    sums = [part.sum(axis=(0, 1)) for part in parts]
    return summed, joined.axis, (*faults, *differences(names, parts, axes), *differing(names, sums, axes))


def _tags(text: str, key: str) -> list[str]:
    return re.findall(rf"^#@{key}\s+(.*)$", text, re.MULTILINE)


def _tag(text: str, key: str) -> str:
    return next(iter(_tags(text, key)), "")


def _plain_tag(text: str, key: str) -> str:
    match = re.search(rf"^#{key}[ \t]+(.*?)\s*$", text, re.MULTILINE)
    return match[1] if match else ""


def _of(values: list[float], at: int) -> float:
    return values[at] if at < len(values) else 0.0
