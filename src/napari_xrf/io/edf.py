"""ESRF data format (.edf): the spectra of a row in each file, a map in a series of them, XIA's numbering."""

import re
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, InvalidInput, XrfError
from napari_xrf.core.memory import budget_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.io import calibration
from napari_xrf.io.detector_sum import DetectorSum, differences
from napari_xrf.io.spectra.single import calibrated, number
from napari_xrf.io.stray_detectors import differing
from napari_xrf.io.whole_counts import as_counts

LAYOUT = "ESRF EDF"
_POINT = re.compile(r"_xia(ct|SN)_", re.I)  # one point a file: the channels' numbers, then each detector
# XIA's names: detectors xia00, xia01, …, their sums xiaS0; others number their rows alone.
_XIA = re.compile(r"^(?P<start>.*_xia)(?P<detector>S?\d+|st)(?P<middle>_\d+_\d+_)(?P<row>\d+)\.edf$", re.I)
_STATISTICS = "st"  # stands for a detector where the file holds what was counted beside the spectra:
# of each detector its number, events, rates in and out, live time (ms), dead time
_COLUMNS, _LIVE_TIME = 6, 4
_NUMBERED = re.compile(r"^(?P<start>.*?)(?P<detector>)(?P<middle>)(?P<row>\d+)\.edf$", re.I)
_TYPES = {"signedbyte": "i1", "unsignedbyte": "u1", "signedshort": "i2", "unsignedshort": "u2",
          "signedinteger": "i4", "unsignedinteger": "u4", "signedlong": "i4", "unsignedlong": "u4",
          "signed64": "i8", "unsigned64": "u8", "floatvalue": "f4", "float": "f4", "doublevalue": "f8",
          "double": "f8"}  # fmt: skip
_LARGEST_HEADER = 2**16
_FEWEST = 16
_USUAL_CHANNELS = 512  # of a spectrum at least, where nothing else calls it one
_MOST_ROWS_OF_SPECTRA = 0.5  # points for each channel, where nothing calls them spectra
_MOST_PIXELS, _MOST_MISSING = 10**5, 100  # of a map; rows that are missing for each that is there

Keys = dict[str, str]  # in lower case


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
    series, xia = _series(target)
    statistics = series.pop(_STATISTICS, {})
    if not series:
        raise FileError(
            target, "holds count rates and times, no spectra", "Copy those of the detectors beside it"
        )
    notes: list[str] = []
    if detector != "sum":
        if str(detector) not in series:
            known = f"Choose sum or one of: {', '.join(series)}"
            raise InvalidInput(f"there is no detector {detector!r} in {target.name}", known)
        series = {str(detector): series[str(detector)]}
    elif singles := {name: rows for name, rows in series.items() if name.isdecimal()}:
        if len(singles) < len(series):
            notes.append(
                f"{', '.join(name for name in series if name not in singles)} are sums, not counted again."
            )
        series = singles
    if not xia and len(series["0"]) > 1:
        notes.append(f"The {len(series['0'])} files of this numbering are the rows of the map.")
    parts, found = [], []
    for done, (name, rows) in enumerate(series.items()):
        values, one, told = _stacked(target, name, rows)
        parts.append(values)
        found.append(one)
        notes += told
        progress(done + 1, len(series), "reading rows")
    settled = calibration.of_detectors(found, list(series))
    axes = [axis for axis, _ in settled]
    notes += [note for _, more in settled for note in more]
    joined = DetectorSum(tuple(parts), tuple(axes))
    sums = [np.sum(part, axis=(0, 1), dtype=np.float64) for part in parts]
    notes += [*differences(list(series), parts, axes), *differing(list(series), sums, axes)]
    if parts[0].shape[0] == 1 and parts[0].shape[1] > 1 and not xia:
        notes.append("The file does not say how its spectra form a map; they stand in one row.")
    budget = budget_of(memory_budget)
    counts = parts[0] if len(parts) == 1 else joined.load(budget, progress)
    live_time, told = _live_times(statistics, list(series), counts.shape[:2])
    notes += told
    match = _XIA.match(target.name)
    name = match["start"].rsplit("_xia", 1)[0] if match else target.stem
    provenance = Provenance(str(path), LAYOUT, tuple(series), tuple(dict.fromkeys(notes)))
    return SpectralCube(counts, joined.axis, name, live_time=live_time, provenance=provenance)


def files_of(path: str | Path) -> list[Path]:
    """Return the files of the map that a file belongs to, the first of which stands for it."""
    try:
        series, _ = _series(Path(path))
    except XrfError:
        return [Path(path)]
    return [file for rows in series.values() for _, file in sorted(rows.items())]


def is_edf(path: str | Path) -> bool:
    """Tell whether a file surely holds rows of spectra: by its name or its calibration."""
    return bool(_XIA.match(Path(path).name)) or _is_calibrated(_headers(Path(path))[0][0])


def holds_spectra(path: Path) -> bool:
    """Tell whether a file holds spectra rather than pictures: by name, calibration, or its shape."""
    keys, _, shape, _ = _headers(path)[0]
    if is_edf(path) or "title" in keys:
        return is_edf(path)
    points, channels = ([1, *shape])[-2:]
    return channels >= _USUAL_CHANNELS and points <= _MOST_ROWS_OF_SPECTRA * channels


def _is_calibrated(keys: Keys) -> bool:
    return any(key.startswith("mca") for key in keys)


def _series(path: Path) -> tuple[dict[str, dict[int, Path]], bool]:
    """Return the files of each detector by row, and whether they are named as XIA's are."""
    match, pattern = _XIA.match(path.name), _XIA
    if match is None:
        match, pattern = _NUMBERED.match(path.name), _NUMBERED
        several = len(titles(path)) > 1
        if match is None or several:
            return {"0": {0: path}}, False
    found: dict[str, dict[int, Path]] = {}
    for other in sorted(path.parent.iterdir()):
        one = pattern.match(other.name)
        if one and (one["start"], one["middle"]) == (match["start"], match["middle"]):
            found.setdefault(one["detector"] or "0", {})[int(one["row"])] = other
    first = min(min(rows) for rows in found.values()) if pattern is _NUMBERED else 0
    return {
        name: {row - first: one for row, one in rows.items()} for name, rows in found.items()
    }, pattern is _XIA


def _stacked(
    path: Path, name: str, rows: dict[int, Path]
) -> tuple[NDArray[np.unsignedinteger], calibration.Calibration, list[str]]:
    """Return the counts (Y, X, E) of one detector, its calibration and warnings; rows that lack are empty."""
    held = {row: _images(one) for row, one in rows.items()}
    keys, images = held[min(held)]
    if len(held) == 1 and len(images) > 1:  # all rows in one file
        read = dict(enumerate(images))
    else:
        read = {row: each[0] for row, (_, each) in held.items()}
    first = read[min(read)]
    size = first.shape[-1]
    if size < _FEWEST or any(values.shape[-1] != size for values in read.values()):
        raise FileError(path, f"holds no spectra of one length in its series of detector {name}")
    columns = max(values.shape[0] for values in read.values())
    dtype = np.result_type(*(values.dtype for values in read.values()))
    if (max(read) + 1) * columns > max(_MOST_PIXELS, _MOST_MISSING * len(read) * columns):
        raise FileError(path, f"is one of {len(read)} rows, the last of which is numbered {max(read)}")
    stack = np.zeros((max(read) + 1, columns, size), dtype=dtype)
    for row, values in read.items():
        stack[row, : len(values)] = values
    counts, notes = as_counts(stack)
    terms = [number(keys.get(f"mca {letter}", "")) for letter in "abc"]
    known = terms[0] is not None and terms[1] is not None
    axis = calibrated(
        [term or 0.0 for term in terms] if known else [], size, number(keys.get("mca start ch", 0)) or 0.0
    )
    missing = len(stack) - len(read)
    short = sum(len(values) < columns for values in read.values())
    return (
        counts,
        axis,
        [
            *notes,
            *([f"{missing} rows of detector {name} are missing; they are empty."] if missing else []),
            *([f"{short} rows of detector {name} were stopped early."] if short else []),
        ],
    )


def _live_times(
    statistics: dict[int, Path], detectors: list[str], map_shape: tuple[int, ...]
) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Return live times (Y, X) in s, the mean of detectors, None where they are not known, and warnings."""
    times = np.zeros(map_shape)
    numbers = [int(name) for name in detectors if name.isdecimal()]
    for row, path in statistics.items():
        values = frames(path)[0]
        wanted = [at for at in range(0, values.shape[1], _COLUMNS) if int(values[0, at]) in numbers]
        if values.shape[1] % _COLUMNS or len(wanted) != len(detectors) or row >= map_shape[0]:
            return None, [f"The times in {path.name} are not those of the detectors; they are left out."]
        read = values[: map_shape[1], [at + _LIVE_TIME for at in wanted]].mean(axis=1) / 1000
        times[row, : read.size] = read
    known = all(row in statistics for row in range(map_shape[0])) and bool(times.any())
    return (times, []) if known else (None, [])


def titles(path: Path) -> list[str]:
    """Return what each image of a file is called, without reading it; FileError when it is damaged."""
    return [keys.get("title", "") for keys, _, shape, _ in _headers(path) for _ in range(prod(shape[:-2]))]


def frames(path: Path) -> list[NDArray[np.generic]]:
    """Return the values, (rows, columns), of each image of a file; FileError when it is damaged."""
    images: list[NDArray[np.generic]] = []
    with path.open("rb") as handle:
        for _, kind, shape, start in _headers(path):
            handle.seek(start)
            stored = np.frombuffer(handle.read(prod(shape) * kind.itemsize), dtype=kind)
            values = stored.astype(kind.newbyteorder("="))
            images += list(values.reshape(-1, *([1] * (2 - len(shape))), *shape[-2:]))
    return images


def _headers(path: Path) -> list[tuple[Keys, np.dtype[np.generic], list[int], int]]:
    """Return the keys of each image or stack of a file, its type, its shape and where its values begin."""
    found: list[tuple[Keys, np.dtype[np.generic], list[int], int]] = []
    size, at = path.stat().st_size, 0
    with path.open("rb") as handle:
        while at < size and len(found) < _MOST_PIXELS:
            handle.seek(at)
            head = handle.read(_LARGEST_HEADER)
            if found and not head.strip(b"\0 \r\n"):
                break  # filled up to a whole block
            keys, kind, shape, start = _header(path, head)
            needed = prod(shape) * kind.itemsize
            if size - at - start < needed:
                raise FileError(path, f"is cut short: {size - at - start} of {needed} bytes are there")
            found.append((keys, kind, shape, at + start))
            at += start + needed
    if not found:
        raise FileError(path, "is empty")
    return found


def _images(path: Path) -> tuple[Keys, list[NDArray[np.generic]]]:
    """Return the keys of the first header and the values (points, channels) of each image of a file.

    Raises FileError when it is damaged or what it holds is a picture.
    """
    first, images = _headers(path)[0][0], frames(path)
    if _POINT.search(path.name):
        images = [one[1:].sum(axis=0, keepdims=True) for one in images]
    told = _is_calibrated(first)
    points, channels = images[0].shape if images else (0, 0)
    if not told and not _XIA.match(path.name) and points > _MOST_ROWS_OF_SPECTRA * channels:
        raise FileError(path, f"holds a picture of {points} × {channels} pixels, no spectra")
    return first, images


def _header(path: Path, head: bytes) -> tuple[Keys, np.dtype[np.generic], list[int], int]:
    """Return the keys of an image, its type and shape, and where its values begin."""
    end = head.find(b"}\n") + 2
    if not head.lstrip().startswith(b"{") or end < 2:
        raise FileError(path, "is no EDF file, or damaged: a header is missing")
    text = head[:end].decode("latin-1")
    pairs = (line.strip(" {}\n\r;").partition("=") for line in text.replace(";", "\n").splitlines())
    keys = {key.strip().lower(): value.strip() for key, sign, value in pairs if sign}
    kind = _TYPES.get(keys.get("datatype", "").lower())
    shape = [int(number(keys[f"dim_{at}"]) or 0) for at in (3, 2, 1) if f"dim_{at}" in keys]
    if kind is None or not shape or min(shape) < 1:
        raise FileError(path, f"describes no spectra: {keys.get('datatype')} of {shape}")
    if keys.get("compression", "none").lower() not in ("none", "", "no_compression"):
        raise FileError(
            path, f"holds compressed values ({keys['compression']})", "Write it uncompressed (fabio)"
        )
    order = ">" if keys.get("byteorder", "").lower().startswith("high") else "<"
    return keys, np.dtype(order + kind), shape, end
