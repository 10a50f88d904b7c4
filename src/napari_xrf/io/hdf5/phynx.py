"""Scans of SPEC that praxes (CHESS) stores in HDF5: a group with ``counts`` for each analyser of a scan."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.io import calibration, scans
from napari_xrf.io.calibration import Calibration
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.location import MIN_CHANNELS, Location, counter_name, spectra_among

LAYOUT = "CHESS (phynx)"
_COMMAND = "acquisition_command"
_SIZES = re.compile(r"\d+")


def locate(file: Any) -> list[Location]:
    """Find the scans whose command stands at their entry, with the analysers of each."""
    found = []
    for entry in hdf5_file.children(file):
        scan = hdf5_file.group_at(file, f"/{entry}")
        if scan is None or not hdf5_file.text_attribute(scan, _COMMAND):
            continue
        folder = f"/{entry}/measurement"
        paths = [f"{folder}/{child}/counts"
                 for child in hdf5_file.children(hdf5_file.group_at(file, folder))]  # fmt: skip
        singles, notes = spectra_among(file, [path for path in paths if _is_mca(file, path)])
        if singles:
            names = tuple(map(counter_name, singles))
            found.append(_shaped(file, scan, folder, Location(singles=singles, single_axes="ne", names=names,
                                                              notes=notes)))  # fmt: skip
    return found


def calibrated(file: Any, at: str, size: int) -> Calibration | None:
    """Read the coefficients that an analyser has as text, ``(0.0, 0.01, 0.0)``, and its first channel."""
    folder = at.rpartition("/")[0]
    told = hdf5_file.text_attribute(hdf5_file.group_at(file, folder), "calibration")
    try:
        terms = [float(term) for term in json.loads(told.replace("(", "[").replace(")", "]"))]
    except (ValueError, TypeError):
        return None
    numbers = hdf5_file.dataset_at(file, f"{folder}/channels")
    first, step = 0.0, 1.0
    if numbers is not None and numbers.shape == (size,) and size > 1 and numbers.dtype.kind in "uif":
        first, second = (float(value) for value in np.asarray(hdf5_file.array_of(numbers))[:2])
        step = second - first
    return calibration.axis_from_polynomial(terms[:3], size, first=first, step=step) if terms[1:] else None


def _is_mca(file: Any, path: str) -> bool:
    node = hdf5_file.dataset_at(file, path)
    return node is not None and node.ndim == 2 and node.shape[1] >= MIN_CHANNELS and node.dtype.kind in "uif"


def _shaped(file: Any, scan: Any, folder: str, location: Location) -> Location:
    """Give a scan's points the shape of the map, by its command, its stated shape or its motors."""
    points = max(file[path].shape[0] for path in location.singles)

    def places(name: str) -> NDArray[np.float64] | None:
        node = hdf5_file.dataset_at(file, f"{folder}/scalar_data/{name}")
        whole = node is not None and node.shape == (points,) and node.dtype.kind in "uif"
        return np.asarray(hdf5_file.array_of(node), dtype=np.float64) if whole else None

    grid = scans.grid_of(hdf5_file.text_attribute(scan, _COMMAND), points, places)
    sizes = [int(text[:9]) for text in _SIZES.findall(hdf5_file.text_attribute(scan, "acquisition_shape"))]
    stated = sizes[0] * sizes[1] if len(sizes) == 2 else 0
    if not grid.motors and points <= stated <= 1000 * max(points, 1):
        grid = scans.Grid((sizes[0], sizes[1]))
    fast = places(grid.motors[1][0]) if grid.motors else None
    if fast is None and grid.alternating:
        note = "Every second row was measured backwards, and no motor positions tell which: check the map."
        grid = replace(grid, notes=(*grid.notes, note))
    backwards = None if fast is None else scans.reversed_rows(fast, grid.shape)
    return replace(location, map_shape=grid.shape, backwards=backwards, notes=(*location.notes, *grid.notes))
