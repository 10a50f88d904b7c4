"""Scans of ESRF's BLISS: points in one row, and the map's shape only in the scan command."""

from __future__ import annotations

import math
import posixpath
import re
from dataclasses import replace
from typing import Any

from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.location import MIN_CHANNELS, Location
from napari_xrf.io.hdf5.metadata import um_per

LAYOUT = "BLISS"
_MESH = re.compile(
    r"^\s*(?:[ad]mesh|dmesh|mesh)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\d+)\b"
)
_FSCAN = re.compile(r"^\s*fscan2d\s+(\S+)\s+(\S+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\d+)\b")
_ENTRY = re.compile(r"^(\d+)\.1$")


def locate(file: Any) -> Location | None:
    """Find the detectors of the first BLISS scan that has them; the command in ``title`` gives the shape."""
    scans = sorted(
        (int(match[1]), name) for name in hdf5_file.children(file) if (match := _ENTRY.match(name))
    )
    holding = []
    for _, name in scans:
        group = hdf5_file.group_at(file, f"/{name}/measurement")
        singles = [
            f"/{name}/measurement/{child}"
            for child in hdf5_file.children(group)
            if _is_mca(file, f"/{name}/measurement/{child}")
        ]
        if singles:
            holding.append((name, singles))
    if not holding:
        return None
    found = _location(file, *holding[0])
    if len(holding) == 1:
        return found
    others = ", ".join(other for other, _ in holding[1:])
    note = f"Scan {holding[0][0]} is read; the file also holds {others}: choose a dataset of them to read it."
    return replace(found, notes=(*found.notes, note))


def scan_of(file: Any, dataset: str) -> Location | None:
    """Return the location of a chosen detector, ``/3.1/measurement/mca``; None for other paths."""
    parts = dataset.strip("/").split("/")
    if len(parts) != 3 or parts[1] != "measurement" or not _ENTRY.match(parts[0]):
        return None
    path = "/" + "/".join(parts)
    return _location(file, parts[0], [path]) if _is_mca(file, path) else None


def _location(file: Any, scan: str, singles: list[str]) -> Location:
    shape = file[singles[0]].shape
    alike = [path for path in singles if file[path].shape == shape]
    title = hdf5_file.text_of(hdf5_file.dataset_at(file, f"/{scan}/title"))
    map_shape, motors, notes = _scan_shape(title, shape[0])
    return Location(
        singles=tuple(alike),
        single_axes="ne",
        names=tuple(posixpath.basename(path) for path in alike),
        map_shape=map_shape,
        pixel_size=_motor_steps(file, scan, motors),
        notes=notes,
    )


def _is_mca(file: Any, path: str) -> bool:
    dataset = hdf5_file.dataset_at(file, path)
    return (
        dataset is not None
        and dataset.ndim == 2
        and dataset.shape[1] >= MIN_CHANNELS
        and dataset.dtype.kind in "uif"
    )


def _scan_shape(
    title: str, points: int
) -> tuple[tuple[int, int], tuple[tuple[str, float], ...], tuple[str, ...]]:
    """Return (Y, X), the motors of rows and columns with their steps, and warnings, from a scan command."""
    if match := _MESH.match(title):
        columns, rows = int(match[4]) + 1, int(match[8]) + 1
        fast = (match[1], _interval(match[2], match[3], int(match[4])))
        slow = (match[5], _interval(match[6], match[7], int(match[8])))
    elif match := _FSCAN.match(title):
        rows, columns = int(match[4]), int(match[8])
        slow, fast = (match[1], _number(match[3])), (match[5], _number(match[7]))
    else:
        note = f"The scan command {title!r} tells no map shape; the {points} points stand in one row."
        return (1, points), (), (note,)
    notes: tuple[str, ...] = ()
    if points < rows * columns:
        notes = (
            f"The scan was stopped: {points} of {rows * columns} points are measured, the others are empty.",
        )
    elif points > rows * columns:
        rows = math.ceil(points / columns)
        notes = (f"The scan holds {points} points, more than its command {title!r} says; rows were added.",)
    return (rows, columns), (slow, fast), notes


def _interval(first: str, last: str, steps: int) -> float:
    return abs(_number(last) - _number(first)) / max(steps, 1)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _motor_steps(file: Any, scan: str, motors: tuple[tuple[str, float], ...]) -> tuple[float, float] | None:
    sizes = []
    for name, step in motors:
        units = ""
        for path in (f"/{scan}/instrument/{name}/value", f"/{scan}/instrument/positioners/{name}"):
            dataset = hdf5_file.dataset_at(file, path)
            if dataset is not None and not units:
                units = hdf5_file.text_of(hdf5_file.attribute(dataset, "units", ""))
        factor, _ = um_per(units)
        if factor is None or not math.isfinite(step) or step == 0:
            return None
        sizes.append(abs(step) * factor)
    return (sizes[0], sizes[1]) if len(sizes) == 2 else None
