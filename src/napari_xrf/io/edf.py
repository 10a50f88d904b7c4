"""ESRF data format (.edf): the spectra of a row in each file, a map in a series of them, XIA's numbering."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.memory import default_memory_budget
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.io import calibration
from napari_xrf.io.detector_sum import DetectorSum, differences
from napari_xrf.io.spectra.single import number
from napari_xrf.io.whole_counts import as_counts

LAYOUT = "ESRF EDF"
_SERIES = re.compile(r"^(?P<start>.*_xia)(?P<detector>\d+)(?P<middle>_\d+_\d+_)(?P<row>\d+)\.edf$", re.I)
_TYPES = {"signedbyte": "i1", "unsignedbyte": "u1", "signedshort": "i2", "unsignedshort": "u2",
          "signedinteger": "i4", "unsignedinteger": "u4", "signedlong": "i4", "unsignedlong": "u4",
          "signed64": "i8", "unsigned64": "u8", "floatvalue": "f4", "float": "f4", "doublevalue": "f8",
          "double": "f8"}  # fmt: skip
_LARGEST_HEADER = 2**16
_FEWEST = 16
_MOST_PIXELS, _MOST_MISSING = 10**5, 100  # of a map; rows that are missing for each that is there

Keys = dict[str, str]


def read_edf(
    path: str | Path,
    *,
    detector: str | int = "sum",
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> SpectralCube:
    """Read a map, given any file of its series; a file that belongs to none is one row of spectra.

    Raises FileError when a file is damaged or holds no spectra. Raises InvalidInput when there is no such
    detector.
    """
    target = Path(path)
    series = _series(target)
    if detector != "sum":
        if str(detector) not in series:
            known = f"Choose sum or one of: {', '.join(series)}"
            raise InvalidInput(f"there is no detector {detector!r} in {target.name}", known)
        series = {str(detector): series[str(detector)]}
    parts, axes, notes = [], [], []
    for done, (name, rows) in enumerate(series.items()):
        values, axis, told = _stacked(target, name, rows)
        parts.append(values)
        axes.append(axis)
        notes += told
        progress(done + 1, len(series), "reading rows")
    joined = DetectorSum(tuple(parts), tuple(axes))
    notes += differences(list(series), parts, axes)
    budget = default_memory_budget() if memory_budget is None else memory_budget
    counts = parts[0] if len(parts) == 1 else joined.load(budget, progress)
    name = match["start"].rsplit("_xia", 1)[0] if (match := _SERIES.match(target.name)) else target.stem
    provenance = Provenance(str(path), LAYOUT, tuple(series), tuple(dict.fromkeys(notes)))
    return SpectralCube(counts, joined.axis, name, provenance=provenance)


def is_edf(path: str | Path) -> bool:
    """Tell whether a file holds rows of spectra rather than an image."""
    keys, _ = _file(Path(path))
    return bool(_SERIES.match(Path(path).name)) or any(key.lower().startswith("mca") for key in keys)


def _series(path: Path) -> dict[str, dict[int, Path]]:
    """Return the files of each detector by row."""
    match = _SERIES.match(path.name)
    if match is None:
        return {"0": {0: path}}
    found: dict[str, dict[int, Path]] = {}
    for other in sorted(path.parent.iterdir()):
        one = _SERIES.match(other.name)
        if one and (one["start"], one["middle"]) == (match["start"], match["middle"]):
            found.setdefault(one["detector"], {})[int(one["row"])] = other
    return found


def _stacked(
    path: Path, name: str, rows: dict[int, Path]
) -> tuple[NDArray[np.unsignedinteger], EnergyAxis, list[str]]:
    """Return the counts (Y, X, E) of one detector, its axis and warnings; rows that lack are empty."""
    read = {row: _file(one) for row, one in rows.items()}
    keys, first = read[min(read)]
    size = first.shape[-1]
    if size < _FEWEST or any(values.shape[-1] != size for _, values in read.values()):
        raise FileError(path, f"holds no spectra of one length in its series of detector {name}")
    columns = max(values.shape[0] for _, values in read.values())
    dtype = np.result_type(*(values.dtype for _, values in read.values()))
    if (max(read) + 1) * columns > max(_MOST_PIXELS, _MOST_MISSING * len(read) * columns):
        raise FileError(path, f"is one of {len(read)} rows, the last of which is numbered {max(read)}")
    stack = np.zeros((max(read) + 1, columns, size), dtype=dtype)
    for row, (_, values) in read.items():
        stack[row, : len(values)] = values
    counts, notes = as_counts(stack)
    terms = [number(keys.get(f"MCA {letter}", "")) for letter in "abc"]

    def find() -> calibration.Calibration | None:
        if terms[0] is None or terms[1] is None:
            return None
        return calibration.axis_from_polynomial([term or 0.0 for term in terms], size)

    axis, told = calibration.or_assumed(find, size)
    missing = len(stack) - len(read)
    short = sum(len(values) < columns for _, values in read.values())
    return (
        counts,
        axis,
        [
            *notes,
            *told,
            *([f"{missing} rows of detector {name} are missing; they are empty."] if missing else []),
            *([f"{short} rows of detector {name} were stopped early."] if short else []),
        ],
    )


def _file(path: Path) -> tuple[Keys, NDArray[np.generic]]:
    """Return the keys of the header and the values (points, channels) of the first image of a file."""
    with path.open("rb") as handle:
        head = handle.read(_LARGEST_HEADER)
        end = head.find(b"}\n") + 2
        if not head.lstrip().startswith(b"{") or end < 2:
            raise FileError(path, "is no EDF file: it has no header")
        text = head[:end].decode("latin-1")
        pairs = (line.strip(" {}\n\r;").partition("=") for line in text.replace(";", "\n").splitlines())
        keys = {key.strip(): value.strip() for key, sign, value in pairs if sign}
        lower = {key.lower(): value for key, value in keys.items()}
        kind = _TYPES.get(lower.get("datatype", "").lower())
        shape = [int(number(lower[f"dim_{at}"]) or 0) for at in (3, 2, 1) if f"dim_{at}" in lower]
        if kind is None or not shape or min(shape) < 1:
            raise FileError(path, f"describes no spectra: {lower.get('datatype')} of {shape}")
        order = ">" if lower.get("byteorder", "").lower().startswith("high") else "<"
        dtype = np.dtype(order + kind)
        needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if path.stat().st_size - end < needed:
            raise FileError(path, f"is cut short: {path.stat().st_size - end} of {needed} bytes are there")
        handle.seek(end)
        values = np.frombuffer(handle.read(needed), dtype=dtype).astype(dtype.newbyteorder("="))
    return keys, values.reshape(-1, shape[-1])
