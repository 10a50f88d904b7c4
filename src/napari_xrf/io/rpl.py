"""Lispix raw maps: a text file .rpl that describes the numbers in a .raw file beside it."""

import re
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.counts import Counts
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.memory import budget_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import StoredCounts, scratch_array
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.io import calibration
from napari_xrf.io.bcf.bytes import FileStamp
from napari_xrf.io.calibration import Calibration
from napari_xrf.io.scans import um_per
from napari_xrf.io.spectra.single import decoded, number
from napari_xrf.io.whole_counts import CountFaults, as_counts, whole_counts

LAYOUT = "Lispix raw map"
_LARGEST_HEADER = 2**16
_KINDS = {"signed": "i", "unsigned": "u", "float": "f"}
_ORDERS = {"little-endian": "<", "big-endian": ">", "dont-care": "="}
_RECORDS = ("vector", "image", "dont-care")
_BAND_BYTES = 16 * 2**20
_LEAST = 0.01  # of the pixels that must be there; of fewer the description is wrong
_SAMPLED = 2**18  # values at three places
_SWAPPED = 50.0  # times as many counts in the order said as in the other: small counts have the wrong order

_INCA = re.compile(r"^\(\s*MLX::([\w-]+)\s*:\s*(.*?)\s*\)$", re.IGNORECASE)
# Bruker's M6 Jetstream and others write keys their own way.
_SYNONYMS = {"depthscaleorigin": "depth-origin", "depthscaleincrement": "depth-scale",
             "depthscaleunits": "depth-units", "datalength": "data-length", "datatype": "data-type",
             "byteorder": "byte-order", "recordby": "record-by"}  # fmt: skip

Keys = dict[str, str]


@dataclass(frozen=True)
class _RawFile:
    """A .raw file, read by position; a read fails when it has changed since it was opened.

    What lies beyond the end of the last whole pixel of a file that was cut short is zero.
    """

    stamp: FileStamp
    end: int

    def read_into(self, at: int, target: memoryview) -> None:
        there = max(0, min(len(target), self.end - at))
        with self.stamp.opened() as file:
            self.stamp.read_into(file, at, target[:there])
        target[there:] = bytes(len(target) - there)


def read_rpl(
    path: str | Path, *, memory_budget: int | None = None, progress: Progress = ignore_progress
) -> SpectralCube:
    """Read a raw map, given either of its two files.

    Unsigned maps that exceed the memory budget stay in their file.

    Raises FileError when the other file is missing, the description makes no sense or the numbers are fewer
    than it says.
    """
    header, raw = _pair(Path(path))
    keys = _parsed(header)
    rows, columns, channels = (_size(header, keys, name) for name in ("height", "width", "depth"))
    by_image = _choice(header, keys, "record-by", _RECORDS) == "image"
    dtype = _dtype(header, keys)
    stored = (channels, rows, columns) if by_image else (rows, columns, channels)
    offset, end, warnings = _span(raw, keys, stored, dtype, by_image)
    source = _RawFile(FileStamp.of(raw), end)
    raw_counts, order_notes = _in_order(
        StoredCounts(source, (rows, columns, channels), dtype, 1 if by_image else channels, offset)
    )
    budget = budget_of(memory_budget)
    in_place = dtype.kind == "u" and prod(stored) * dtype.itemsize > budget
    counts, faults = (raw_counts, ()) if in_place else _loaded(raw_counts, budget, progress)
    try:
        axis, notes = _axis(keys, channels)
        return SpectralCube(
            counts,
            axis,
            name=keys.get("title") or header.stem,
            pixel_size=_pixel_size(keys),
            live_time=_live_time(keys, (rows, columns)),
            excitation=_excitation(keys),
            provenance=Provenance(str(path), LAYOUT, warnings=(*warnings, *order_notes, *notes, *faults)),
        )
    except InvalidInput as error:
        raise FileError(header, f"makes no sense ({error})") from error


def is_rpl(path: str | Path) -> bool:
    """Tell whether a file is one of a pair .rpl and .raw."""
    header, _ = _pair(Path(path))
    return {"width", "height", "depth"} <= set(_parsed(header))


def _pair(path: Path) -> tuple[Path, Path]:
    wanted = ".raw" if path.suffix.lower() == ".rpl" else ".rpl"
    name = path.with_suffix(wanted).name
    # Pairs from systems that do not tell capitals apart; the exact name comes first.
    found = [one for one in path.parent.iterdir() if one.name.lower() == name.lower() and one.is_file()]
    for other in sorted(found, key=lambda one: (one.stem != path.stem, one.name)):
        return (path, other) if wanted == ".raw" else (other, path)
    raise FileError(path, f"lacks its other half {path.with_suffix(wanted).name}", "Copy it beside this file")


def _parsed(header: Path) -> Keys:
    """Return the keys of an .rpl file in lower case: a key and a value a line, ``;`` begins a comment."""
    if header.stat().st_size > _LARGEST_HEADER:
        raise FileError(header, "is too large for the description of a raw map")
    keys: Keys = {}
    for line in decoded(header.read_bytes()).splitlines():
        # Oxford INCA writes (MLX::width : 6); a third column, or what follows a ;, is a comment.
        text = _INCA.sub(r"\1\t\2", line.split(";")[0].strip())
        key, _, value = text.partition("\t") if "\t" in text else text.partition(" ")
        columns = value.strip().split("\t")
        if value.strip():
            keys.setdefault(_SYNONYMS.get(key.strip().lower(), key.strip().lower()), columns[0].strip())
    return keys


def _size(header: Path, keys: Keys, name: str) -> int:
    value = _number(keys, name)
    if value is None or value < 1 or value != int(value) or value > 2**31:
        raise FileError(header, f"gives no usable {name} ({keys.get(name, 'missing')})")
    return int(value)


def _choice(header: Path, keys: Keys, name: str, known: Any) -> str:
    # A comment may follow after spaces.
    value = keys.get(name, "dont-care").lower().split()[0]
    if value not in known:
        raise FileError(header, f"gives an unknown {name} ({value})", f"Known are {', '.join(known)}")
    return value


def _dtype(header: Path, keys: Keys) -> np.dtype[Any]:
    kind = _KINDS[_choice(header, {"data-type": "unsigned", **keys}, "data-type", _KINDS)]
    order = _ORDERS[_choice(header, keys, "byte-order", _ORDERS)]
    size = _size(header, keys, "data-length")
    if size not in ((4, 8) if kind == "f" else (1, 2, 4, 8)):
        raise FileError(header, f"describes numbers of {size} bytes, {order!r}, that do not exist")
    return np.dtype(f"{order}{kind}{size}")


def _span(
    raw: Path, keys: Keys, stored: tuple[int, ...], dtype: np.dtype[Any], by_image: bool
) -> tuple[int, int, tuple[str, ...]]:
    """Return where the numbers begin and where the last whole pixel ends, and warnings."""
    offset, there = int(_number(keys, "offset") or 0), raw.stat().st_size
    needed, one = offset + prod(stored) * dtype.itemsize, stored[2] * dtype.itemsize
    pixels, of = (there - offset) // one, stored[0] * stored[1]
    if offset >= 0 and there < needed and not by_image and pixels >= _LEAST * of:
        note = f"The scan was stopped, or the .raw file is cut short: {pixels} of {of} pixels are there."
        return offset, offset + pixels * one, (note,)
    if offset < 0 or there < needed:
        raise FileError(
            raw, f"holds {there} bytes, not the {needed} that its .rpl describes", "Is it cut short?"
        )
    longer = f"The .raw file is {there - needed} bytes longer than its .rpl says."
    return offset, needed, () if there == needed else (longer,)


def _in_order(raw: StoredCounts) -> tuple[StoredCounts, tuple[str, ...]]:
    """Return counts whose bytes are swapped where only that makes them counts, with a warning."""
    size = prod(raw.shape)
    if raw.dtype.itemsize == 1 or raw.dtype.kind == "f":
        return raw, ()
    sample = np.empty((3, min(size, _SAMPLED)), dtype=raw.stored_dtype)
    for part, start in zip(sample, np.linspace(0, size - sample.shape[1], 3).astype(np.int64), strict=True):
        raw.source.read_into(raw.offset + int(start) * raw.dtype.itemsize, part.view(np.uint8).data)
    said, swapped = (
        float(np.abs(each.astype(np.float64)).sum())
        for each in (sample, sample.view(sample.dtype.newbyteorder()))
    )
    if said <= _SWAPPED * swapped:
        return raw, ()
    other = raw.stored_dtype.newbyteorder("S")
    order = "big" if other.str[0] == ">" else "little"
    note = f"The numbers make sense as counts only in {order}-endian byte order: they are read so."
    return replace(raw, stored_dtype=other), (note,)


def _loaded(raw: StoredCounts, budget: int, progress: Progress) -> tuple[Counts, tuple[str, ...]]:
    """Return the counts in memory, or in a scratch file above the budget, and warnings."""
    rows, columns, channels = raw.shape
    if raw.dtype.kind == "f" and prod(raw.shape) * raw.dtype.itemsize <= budget:
        return as_counts(raw[:])
    kind = np.dtype(f"u{raw.dtype.itemsize}")
    target = scratch_array(raw.shape, kind, budget)
    faults = CountFaults()
    step = max(1, _BAND_BYTES // max(columns * channels * raw.dtype.itemsize, 1))
    for first in range(0, rows, step):
        last = min(first + step, rows)
        target[first:last] = whole_counts(raw[first:last], first * columns, kind, faults)
        progress(last, rows, "reading spectra")
    return target, faults.warnings()


def _axis(keys: Keys, channels: int) -> Calibration:
    per_channel, scale = _number(keys, "ev-per-chan"), _number(keys, "depth-scale")
    origin = _number(keys, "depth-origin") or 0.0
    units = keys.get("depth-units", "").lower()

    def find() -> Calibration | None:
        if scale is not None and units in ("ev", "kev"):
            return calibration.axis_from_polynomial([origin, scale], channels, units)
        if per_channel:
            # The origin is in the units of depth where there are any, else in whichever makes sense.
            kev = units == "kev" or (not units and abs(origin) < 10 and origin != int(origin))
            offset = origin * 1000 if kev else origin
            return calibration.axis_from_polynomial([offset, per_channel], channels, "eV")
        return None if not scale else calibration.axis_from_polynomial([origin, scale], channels, units)

    return calibration.or_assumed(find, channels, "the .rpl file")


def _pixel_size(keys: Keys) -> tuple[float, float] | None:
    sizes = []
    for name in ("height", "width"):
        scale = _number(keys, f"{name}-scale")
        factor, _ = um_per(keys.get(f"{name}-units", ""))
        if scale is None or factor is None or scale == 0:
            return None
        sizes.append(abs(scale) * factor)
    return sizes[0], sizes[1]


def _live_time(keys: Keys, map_shape: tuple[int, int]) -> NDArray[np.float64] | None:
    seconds = _number(keys, "live-time")
    if seconds is None or seconds <= 0:
        return None
    # The key holds the time of the whole map.
    return np.full(map_shape, seconds / prod(map_shape))


def _excitation(keys: Keys) -> Excitation:
    beam = _number(keys, "beam-energy")
    resolution = _number(keys, "detector-peak-width-ev")
    return Excitation(
        energy_kev=beam if beam and beam > 0 else None,
        takeoff_deg=_number(keys, "elevation-angle"),
        fwhm_mn_ka_ev=resolution if resolution and resolution > 0 else None,
    )


def _number(keys: Keys, name: str) -> float | None:
    return number(keys.get(name, ""))
