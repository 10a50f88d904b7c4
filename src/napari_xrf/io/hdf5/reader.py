"""Spectral maps in HDF5 files of any known layout, or in a dataset that the user names."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.memory import default_memory_budget
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.io import calibration
from napari_xrf.io.hdf5 import bliss as hdf5_bliss
from napari_xrf.io.hdf5 import datasets as hdf5_datasets
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5 import metadata as hdf5_metadata
from napari_xrf.io.hdf5.counts import Hdf5Counts, counts_of
from napari_xrf.io.hdf5.datasets import DatasetChoice
from napari_xrf.io.hdf5.layouts import LAYOUTS, Layout, recognised
from napari_xrf.io.hdf5.location import Location
from napari_xrf.io.own import cube_files, fit_results
from napari_xrf.io.whole_counts import CountFaults

_UNKNOWN = Layout("HDF5 dataset", calibration=hdf5_metadata.energies("energy", "../energy"))
_SAMPLED_ROWS = 3
_ABOVE_BEAM = 1.05  # elastic scatter is the highest peak that one photon can make


def read_hdf5(
    path: str | Path,
    *,
    detector: str | int = "sum",
    dataset: str | None = None,
    energy_axis: int | None = None,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> SpectralCube:
    """Read a map from HDF5; one above the memory budget stays in the file and is read tile by tile.

    Parameters
    ----------
    path
        The file.
    detector
        ``"sum"``, or the name or number of one.
    dataset
        Path of the dataset to read, whatever the layout.
    energy_axis
        Which of its axes is energy; guessed when not given.
    memory_budget
        Bytes; default: half of the free memory.
    progress
        Told after each tile.

    Raises
    ------
    FileError
        When the file is damaged or of no known layout; the message lists what it holds.
    InvalidInput
        When the detector, the dataset or the axis does not exist.
    """
    file_path = Path(path)
    budget = default_memory_budget() if memory_budget is None else memory_budget
    with hdf5_file.opened(file_path) as file:
        layout, location = _located(file_path, file, dataset, energy_axis)
        if layout.name == cube_files.LAYOUT:
            return _own_cube(file_path, file, location, budget, progress, detector)
        counts, names, index = _selected(file_path, file, layout, location, detector)
        cube = _described(file_path, file, layout, location, counts, names, index)
        stored_sum = _stored_sum(file, layout, location, counts) if detector == "sum" else None
    return _with_counts(cube, counts, budget, stored_sum, progress)


def is_spectral_map(path: str | Path) -> bool:
    """Tell whether an HDF5 file has a known layout of spectra."""
    with hdf5_file.opened(path) as file:
        return recognised(file) is not None


def list_datasets(path: str | Path) -> tuple[DatasetChoice, ...]:
    """Return the datasets that could be spectral maps, the largest first.

    Raises
    ------
    FileError
        When the file is damaged or no HDF5 file.
    """
    with hdf5_file.opened(path) as file:
        return hdf5_datasets.choices(file)


def _located(path: Path, file: Any, dataset: str | None, energy_axis: int | None) -> tuple[Layout, Location]:
    scan = hdf5_bliss.scan_of(file, dataset) if dataset is not None and energy_axis is None else None
    if scan is not None:
        return next(layout for layout in LAYOUTS if layout.name == hdf5_bliss.LAYOUT), scan
    if dataset is not None:
        return _UNKNOWN, hdf5_datasets.chosen(file, dataset, energy_axis)
    found = recognised(file)
    if found is None:
        raise _unknown_layout(path, file)
    layout, location = found
    if energy_axis is None:
        return found
    if not location.total or len(location.axes) != 3:
        raise InvalidInput(
            f"{layout.name} files keep energy where it is known",
            "Give the dataset too, or leave energy_axis out",
        )
    return layout, replace(location, axes=hdf5_datasets.chosen(file, location.total, energy_axis).axes)


def _unknown_layout(path: Path, file: Any) -> FileError:
    if fit_results.find(file) or hdf5_file.exists(file, "/element_maps"):
        return FileError(path, "holds element maps, not spectra", "Read it with read_element_maps")
    if hdf5_file.exists(file, "/labels/classes"):
        return FileError(path, "holds a label map, not spectra", "Read it with read_labels")
    listed = hdf5_datasets.choices(file)
    if listed:
        shown = "; ".join(str(choice) for choice in listed[:8])
        return FileError(
            path, "has no known layout of a spectral map", f"Choose a dataset (and energy axis): {shown}"
        )
    missing = hdf5_file.broken_links(file)
    if missing:
        return FileError(
            path, f"links to {', '.join(missing[:5])}, which is not there", "Copy the linked files beside it"
        )
    return FileError(path, "holds no spectral map")


def _selected(
    path: Path, file: Any, layout: Layout, location: Location, detector: str | int
) -> tuple[Hdf5Counts, tuple[str, ...], int | None]:
    """Return the counts of one detector or of all, the names of those summed, and which one it is."""
    rows = _measured_rows(file, layout, location)
    if detector == "sum":
        sources = (location.total,) if location.total else location.singles
        axes = location.axes if location.total else location.single_axes
        counts = counts_of(path, file, sources, axes, location.map_shape)
        return _trimmed(counts, rows), location.names, None
    named = [str(name) for name in location.names]
    wanted = str(detector)
    if wanted not in named and not (isinstance(detector, int) and 0 <= detector < len(named)):
        known = ", ".join(named)
        raise InvalidInput(
            f"there is no detector {detector!r} in {path.name}",
            f"Choose sum or one of: {known}" if known else "The file holds only their sum",
        )
    index = named.index(wanted) if wanted in named else int(detector)
    along_axis = "d" in location.single_axes
    source = location.singles[0 if along_axis else index]
    element = index if along_axis else None
    counts = counts_of(path, file, (source,), location.single_axes, location.map_shape, element)
    return _trimmed(counts, rows), (named[index],), index


def _measured_rows(file: Any, layout: Layout, location: Location) -> int | None:
    last = (
        [hdf5_file.number_of(value) for value in hdf5_metadata.find(file, location.main, layout.rows)]
        if layout.rows
        else []
    )
    return int(last[0]) + 1 if last and last[0] is not None and last[0] >= 0 else None


def _trimmed(counts: Hdf5Counts, rows: int | None) -> Hdf5Counts:
    if rows is None or rows >= counts.shape[0]:
        return counts
    return replace(counts, map_shape=(rows, counts.map_shape[1]))


def _described(
    path: Path,
    file: Any,
    layout: Layout,
    location: Location,
    counts: Hdf5Counts,
    names: tuple[str, ...],
    index: int | None,
) -> SpectralCube:
    """Return the cube with its counts still in the file."""
    size = counts.shape[2]
    if 0 in counts.shape:
        raise FileError(path, f"{location.main} is empty: its shape is {counts.stored_shape}")
    at = counts.sources[0]
    found = layout.calibration(file, at, size) if layout.calibration else None
    axis, notes = found or calibration.assumed_axis(size)
    pixel_size, size_notes = hdf5_metadata.pixel_size(file, at, location.pixel_size, layout.pixel_size)
    live_time = (
        hdf5_metadata.times(
            file, at, layout.live_time, layout.live_time_unit, counts.map_shape, index, counts.points
        )
        if layout.live_time
        else None
    )
    told = {"name": path.stem, "excitation": Excitation(), **layout.details(file, location.main)}
    if isinstance(told.get("live_time"), float):
        live_time = np.full(counts.map_shape, told.pop("live_time"))
    beam = hdf5_metadata.beam_energy(file, at, layout.beam_energy)
    if beam is not None:
        told["excitation"] = replace(told["excitation"], kind="monochromatic", energy_kev=beam)
    return SpectralCube(
        counts,
        axis,
        pixel_size=pixel_size,
        live_time=live_time,
        provenance=Provenance(str(path), layout.name, names, (*location.notes, *notes, *size_notes)),
        **told,
    )


def _with_counts(
    cube: SpectralCube,
    counts: Hdf5Counts,
    budget: int,
    stored_sum: NDArray[np.float64] | None,
    progress: Progress,
) -> SpectralCube:
    """Read the counts if they fit, and add the warnings that only the counts can give."""
    floats = counts.stored_dtype.kind == "f"
    warnings = list(cube.provenance.warnings)
    if prod(counts.shape) * counts.dtype.itemsize <= budget:
        loaded = replace(counts, fractional=floats, faults=CountFaults())
        array = loaded.load(budget, progress)
        warnings += loaded.faults.warnings()
        read = replace(cube, counts=array)
        total = array.sum(axis=(0, 1), dtype=np.uint64)
        if stored_sum is not None:
            warnings += _disagreement(stored_sum, total.astype(np.float64))
    else:
        sample, faults = _sample(counts)
        lazy = replace(counts, fractional=floats and faults.not_whole > 0, faults=CountFaults())
        warnings += faults.warnings(sampled=True)
        read = replace(cube, counts=lazy)
        total = sample
        if stored_sum is not None and np.any(sample > stored_sum * 1.001 + 1):
            warnings.append(
                "The file's sum spectrum holds fewer counts than a part of the map: one of them is wrong."
            )
    warnings += _above_beam(total, cube.energy, cube.excitation)
    return replace(read, provenance=replace(cube.provenance, warnings=tuple(warnings)))


def _sample(counts: Hdf5Counts) -> tuple[NDArray[np.uint64], CountFaults]:
    """Return the sum spectrum and the faults of a few rows, cheap whatever the size of the map."""
    rows, columns, channels = counts.shape
    probe = replace(counts, fractional=True, faults=CountFaults())
    width = max(1, min(columns, 2**22 // channels))
    total = np.zeros(channels, dtype=np.uint64)
    for row in np.unique(np.linspace(0, rows - 1, _SAMPLED_ROWS).astype(int)):
        total += probe[int(row), :width].sum(axis=0, dtype=np.uint64)
    return total, probe.faults


def _stored_sum(
    file: Any, layout: Layout, location: Location, counts: Hdf5Counts
) -> NDArray[np.float64] | None:
    if not layout.sum_spectrum or len(location.singles) > 1:
        return None
    for dataset in hdf5_metadata.find(file, location.main, layout.sum_spectrum):
        if dataset.shape == (counts.shape[2],) and dataset.dtype.kind in "uif":
            values = np.asarray(dataset[()], dtype=np.float64)
            return values if np.all(np.isfinite(values)) and values.any() else None
    return None


def _disagreement(stored: NDArray[np.float64], own: NDArray[np.float64]) -> tuple[str, ...]:
    # Live-time corrected or rounded sums differ by little; another map or a wrong axis by much.
    if np.abs(stored - own).sum() <= 1e-3 * max(stored.sum(), own.sum()) + 1:
        return ()
    return (
        f"The file's sum spectrum holds {stored.sum():.0f} counts, the map {own.sum():.0f}, or they lie in "
        "other channels: one of them is wrong.",
    )


def _above_beam(total: NDArray[np.uint64], axis: EnergyAxis, excitation: Excitation) -> tuple[str, ...]:
    if excitation.kind != "monochromatic" or excitation.energy_kev is None or not total.sum():
        return ()
    share = float(total[axis.energies > _ABOVE_BEAM * excitation.energy_kev].sum()) / float(total.sum())
    if share < 0.05:
        return ()
    return (
        f"{share:.0%} of the counts lie above the beam's {excitation.energy_kev:.4g} keV: the energy axis is "
        "probably wrong; check it against known peaks, or give the energy axis.",
    )


def _own_cube(
    path: Path, file: Any, location: Location, budget: int, progress: Progress, detector: str | int
) -> SpectralCube:
    if detector != "sum":
        raise InvalidInput(
            f"there is no detector {detector!r} in {path.name}", "The file holds only their sum"
        )
    counts = counts_of(path, file, (location.total,), location.axes)
    try:
        told = cube_files.describe(file, path)
    except (KeyError, ValueError, TypeError) as error:
        raise FileError(path, f"is a damaged map of ours ({error})") from error
    # Expected and denoised maps hold fractions of counts.
    counts = replace(counts, fractional=counts.stored_dtype.kind == "f")
    fits = prod(counts.shape) * counts.dtype.itemsize <= budget
    return SpectralCube(counts.load(budget, progress) if fits else counts, **told)
