"""Scans of ESRF's BLISS: points in one row, and the map's shape only in the scan command."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.io import scans
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.location import (
    MIN_CHANNELS,
    NO_POSITION,
    Location,
    check_number,
    counter_name,
    spectra_among,
)
from napari_xrf.io.scans import um_per

LAYOUT = "BLISS"
_PARAMETERS = "fscan_parameters"
_POSITIONERS = ("positioners", "positioners_start", "start_positioners")  # the last two before the scan
_READ = re.compile(r"_(cen|trig|pos|enc|raw)")
_MOST_MOTORS = 200
_ENTRY = re.compile(r"^(?:.*_)?(\d+)\.(\d+)$")  # 3.1 in a data set, sample_0001_3.1 in a collection


def locate(file: Any) -> list[Location]:
    """Find the detectors of the BLISS scans that have some; the command in ``title`` gives the shape."""
    found: dict[str, Location] = {}
    for name in sorted(hdf5_file.children(file), key=_number_of):
        folder = f"/{name}/measurement"
        measured = hdf5_file.group_at(file, folder)
        named = bool(_ENTRY.match(name)) or (measured is not None and scans.is_mesh(_title(file, name)))
        paths = [f"{folder}/{child}" for child in hdf5_file.children(measured if named else None)]
        # measurement holds links to those of the instrument, which some programs leave out; silx: mca_0
        beside = hdf5_file.matching(file, f"/{name}/instrument/{'*' if named else 'mca_[0-9]*'}/data")
        found_in = ([path for path in each if _is_mca(file, path)] for each in (paths, beside))
        counters = next(filter(None, found_in), [])
        check_number(file, len(counters))
        singles, notes = spectra_among(file, counters)
        if singles:
            found[name] = _location(file, name, singles, notes)
    return _loops_joined(file, found)


def _title(file: Any, entry: str) -> str:
    return hdf5_file.text_of(hdf5_file.dataset_at(file, f"/{entry}/title"))


def _number_of(entry: str) -> tuple[int, int, str]:
    match = _ENTRY.match(entry)
    return (int(match[1]), int(match[2]), entry) if match else (0, 0, entry)


def scan_of(file: Any, dataset: str) -> Location | None:
    """Return the location of a chosen detector, ``/3.1/measurement/mca``; None for other paths."""
    parts = dataset.strip("/").split("/")
    path = "/" + "/".join(parts)
    if len(parts) != 3 or parts[1] != "measurement" or not _ENTRY.match(parts[0]) or not _is_mca(file, path):
        return None
    return _location(file, parts[0], (path,), ())


def _location(file: Any, scan: str, singles: tuple[str, ...], notes: tuple[str, ...]) -> Location:
    points = max(file[path].shape[0] for path in singles)
    grid = _grid(file, scan, points)
    location = Location(
        singles=singles,
        single_axes="ne",
        names=tuple(map(counter_name, singles)),
        map_shape=grid.shape,
        notes=(*notes, *grid.notes),
    )
    if not grid.motors:
        return location
    found = [_motor(file, scan, name, points) for name, _ in grid.motors]
    sizes = [abs(step) * (factor or 0.0) for (_, step), (_, factor) in zip(grid.motors, found, strict=True)]
    if all(size > 0 and math.isfinite(size) for size in sizes):
        location = replace(location, pixel_size=(sizes[0], sizes[1]))
    positions = found[1][0]
    if positions is not None:
        return replace(location, backwards=scans.reversed_rows(positions, grid.shape))
    if _mode(file, scan) == "ZIGZAG":
        odd = np.arange(grid.shape[0]) % 2 == 1
        return replace(location, backwards=odd, turned_by="the scan's parameters say so (ZIGZAG)")
    if grid.alternating:
        note = "Every second row was measured backwards, and no motor positions tell which: check the map."
        return replace(location, notes=(*location.notes, note))
    return location


def _grid(file: Any, scan: str, points: int) -> scans.Grid:
    """Return the map's shape from the scan command, its parameters or the motors' positions."""
    title = _title(file, scan)
    grid = scans.grid_of(title, points, lambda name: _motor(file, scan, name, points)[0])
    if grid.motors:
        return grid
    if (told := _parameters(file, scan, points)) is not None:
        return told
    names = hdf5_file.children(hdf5_file.group_at(file, f"/{scan}/instrument/positioners"))
    names += hdf5_file.children(hdf5_file.group_at(file, f"/{scan}/measurement"))
    motors = {name: _motor(file, scan, name, points)[0] for name in dict.fromkeys(names[:_MOST_MOTORS])
              if not NO_POSITION.search(name.lower())}  # fmt: skip
    whole = {name: values for name, values in motors.items() if values is not None and values.size == points}
    found = scans.grid_among(whole)
    if found is None:
        return grid
    note = f"The motors {found[0].motors[0][0]} and {found[0].motors[1][0]} tell the map's shape."
    return replace(found[0], notes=(note,))


def _parameters(file: Any, scan: str, points: int) -> scans.Grid | None:
    """Return the grid that the parameters of a continuous scan, ``fscan2d``, tell."""
    told = hdf5_file.group_at(file, f"/{scan}/instrument/{_PARAMETERS}")
    if told is None:
        return None
    names = [hdf5_file.text_of(_parameter(told, f"{axis}_motor")) for axis in ("slow", "fast")]
    sizes = [hdf5_file.number_of(_parameter(told, f"{axis}_npoints")) or 0 for axis in ("slow", "fast")]
    steps = [hdf5_file.number_of(_parameter(told, f"{axis}_step_size")) or 0 for axis in ("slow", "fast")]
    if not all(names) or not all(sizes):
        return None
    command = f"fscan2d {names[0]} 0 {steps[0]} {sizes[0]:.0f} {names[1]} 0 {steps[1]} {sizes[1]:.0f}"
    return scans.grid_of(command, points)


def _parameter(group: Any, name: str) -> Any:
    dataset = hdf5_file.dataset_at(group, name)
    return hdf5_file.attribute(group, name, "") if dataset is None else dataset


def _mode(file: Any, scan: str) -> str:
    told = hdf5_file.group_at(file, f"/{scan}/instrument/{_PARAMETERS}")
    return "" if told is None else hdf5_file.text_of(_parameter(told, "fast_motor_mode")).upper()


def _loops_joined(file: Any, found: dict[str, Location]) -> list[Location]:
    """Return maps, the loops N.1, N.2, … of one ``fscanloop`` as the rows of one."""
    loops: dict[str, list[Location]] = {}
    for scan, location in found.items():
        title = _title(file, scan)
        loop = title.lower().startswith("fscanloop") and location.map_shape and location.map_shape[0] == 1
        loops.setdefault(scan.rpartition(".")[0] if loop else scan, []).append(location)
    joined = []
    for number, rows in loops.items():
        alike = [row for row in rows if row.names == rows[0].names]
        if len(alike) > 1:
            columns = max(row.map_shape[1] for row in alike if row.map_shape)
            note = f"The {len(alike)} loops of scan {number} are the rows of one map."
            first = replace(rows[0], map_shape=(len(alike), columns), notes=(note,))
            rows = [replace(first, rows=tuple(row.singles for row in alike))]
        joined += rows
    return joined


def _is_mca(file: Any, path: str) -> bool:
    dataset = hdf5_file.dataset_at(file, path)
    return (
        dataset is not None
        and dataset.ndim == 2
        and dataset.shape[1] >= MIN_CHANNELS
        and dataset.dtype.kind in "uif"
    )


def _motor(file: Any, scan: str, name: str, points: int) -> tuple[NDArray[np.float64] | None, float | None]:
    """Return a motor's position at each point, if the file has it, and µm per its unit, if known."""
    positions, factor = None, None
    # What continuous scans read of a motor has its name with more behind it.
    more = [f"/{scan}/measurement/{child}"
            for child in hdf5_file.children(hdf5_file.group_at(file, f"/{scan}/measurement"))
            if child.startswith(f"{name}_") and _READ.search(child)]  # fmt: skip
    for path in (f"/{scan}/measurement/{name}", f"/{scan}/instrument/{name}/value",
                 *more, *(f"/{scan}/instrument/{folder}/{name}" for folder in _POSITIONERS)):  # fmt: skip
        dataset = hdf5_file.dataset_at(file, path)
        if dataset is None or dataset.dtype.kind not in "uif":
            continue
        factor = factor or um_per(hdf5_file.text_attribute(dataset, "units"))[0]
        if positions is None and dataset.ndim == 1 and 1 < dataset.shape[0] <= max(points, 2):
            positions = np.asarray(hdf5_file.array_of(dataset), dtype=np.float64)
    return positions, factor
