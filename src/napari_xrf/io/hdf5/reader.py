"""Spectral maps in HDF5 files of any known layout, or in a dataset that the user names."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.counts import RowBand
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.memory import budget_of, default_memory_budget
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.io import calibration
from napari_xrf.io.calibration import CHOOSE_MAP, GIVE_AXIS, Calibration
from napari_xrf.io.detector_sum import DetectorSum, differences
from napari_xrf.io.hdf5 import bliss as hdf5_bliss
from napari_xrf.io.hdf5 import datasets as hdf5_datasets
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5 import metadata as hdf5_metadata
from napari_xrf.io.hdf5 import monitors, p06
from napari_xrf.io.hdf5.counts import Hdf5Counts, counts_of
from napari_xrf.io.hdf5.datasets import DatasetChoice
from napari_xrf.io.hdf5.layouts import LAYOUTS, Layout, recognised
from napari_xrf.io.hdf5.location import Location, places_of
from napari_xrf.io.hdf5.scaling import scaling_of
from napari_xrf.io.own import cube_files, fit_results
from napari_xrf.io.stray_detectors import differing
from napari_xrf.io.whole_counts import MULTIPLIED, RATE, RATES, CountFaults, scale_note, scale_of

_UNKNOWN = Layout("HDF5 dataset")
_ABOVE_BEAM = 1.05  # elastic scatter is the highest peak that one photon can make
_MOST_COMPARED, _COMPARED_BYTES = 64, 2**26  # detectors, and bytes read to compare them
_STEADY = 0.99  # of the longest live time: the shortest one of pixels that share a time
_FEWER = 0.95  # of the detectors' counts: a sum with less lacks some
_NEAR_32_BITS = 2**24  # values of a sample above it: those of the whole map may not fit 32 bits


def read_hdf5(
    path: str | Path,
    *,
    detector: str | int = "sum",
    dataset: str | None = None,
    energy_axis: int | None = None,
    map: int | None = None,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> SpectralCube:
    """Read a map from HDF5; one above the memory budget stays in the file and is read tile by tile.

    The options are those of :func:`napari_xrf.io.read`.

    Raises FileError when the file is damaged or of no known layout; the message lists what it holds. Raises
    InvalidInput when the detector, the dataset, the axis or the map does not exist.
    """
    file_path = Path(path)
    budget = budget_of(memory_budget)
    with hdf5_file.opened(file_path) as file:
        layout, location = _located(file_path, file, dataset, energy_axis, map)
        if layout.name == cube_files.LAYOUT:
            return _own_cube(file_path, file, location, budget, progress, detector)
        if layout.name == p06.LAYOUT and p06.has_places(file_path):
            return p06.read_p06(file_path, detector, budget, progress)
        strays: tuple[str, ...] = ()
        if detector == "sum":
            location, strays = _compared(file_path, layout, file, location, budget)
        parts, names, index = _selected(file_path, file, layout, location, detector, budget)
        told = [
            calibration.or_assumed(partial(_calibration, layout, file, part), part.shape[2]) for part in parts
        ]
        found = calibration.of_detectors(told, names)
        parts = [replace(part, falling=calibration.TURNED in notes)
                 for part, (_, notes) in zip(parts, found, strict=True)]  # fmt: skip
        cube, parts = _described(file_path, file, layout, location, parts, names, index)
        stored_sum = _stored_sum(file, layout, location, parts[0]) if detector == "sum" else None
    notes = (*cube.provenance.warnings, *(note for _, more in found for note in more), *strays)
    whole = _with_counts(cube, parts, [axis for axis, _ in found], notes, budget, stored_sum, progress)
    return _of_scans(whole, location)


def list_datasets(path: str | Path) -> tuple[DatasetChoice, ...]:
    """Return the datasets that could be spectral maps, the largest first; FileError when damaged."""
    with hdf5_file.opened(path) as file:
        return hdf5_datasets.choices(file)


def list_monitors(path: str | Path) -> tuple[str, ...]:
    """Return the names of what a file holds for each pixel of its map, FileError when it is damaged."""
    with hdf5_file.opened(path) as file:
        return monitors.monitors_of(file, _ordered_counts(Path(path), file))


def read_monitor(path: str | Path, name: str) -> NDArray[np.float64]:
    """Return one of them, (Y, X), in the order of the map's pixels; InvalidInput when there is none."""
    with hdf5_file.opened(path) as file:
        return monitors.monitor(file, name, _ordered_counts(Path(path), file))


def _ordered_counts(path: Path, file: Any) -> Hdf5Counts:
    """Return the counts of a file's map, which know where its pixels stand."""
    layout, location = _located(path, file, None, None, None)
    parts, names, index = _selected(path, file, layout, location, "sum", default_memory_budget())
    return _described(path, file, layout, location, parts, names, index)[1][0]


def _located(
    path: Path, file: Any, dataset: str | None, energy_axis: int | None, wanted: int | None
) -> tuple[Layout, Location]:
    if dataset is not None:
        scan = hdf5_bliss.scan_of(file, dataset) if energy_axis is None else None
        if scan is not None:
            return next(layout for layout in LAYOUTS if layout.name == hdf5_bliss.LAYOUT), scan
        return _UNKNOWN, hdf5_datasets.chosen(file, dataset, energy_axis)
    found = recognised(file)
    if found is None:
        raise _unknown_layout(path, file)
    layout, location = found[0], _one_of(path, file, found[1], wanted)
    if energy_axis is None:
        return layout, location
    if not location.total or len(location.axes) != 3:
        raise InvalidInput(
            f"{layout.name} files keep energy where it is known",
            "Give the dataset too, or leave energy_axis out",
        )
    return layout, replace(location, axes=hdf5_datasets.chosen(file, location.total, energy_axis).axes)


def _one_of(path: Path, file: Any, maps: list[Location], wanted: int | None) -> Location:
    """Return the map that the user wants, else the file's default, else the first; the others are named."""
    number = maps[0].scans if len(maps) == 1 else len(maps)
    if wanted is not None and not 0 <= wanted < number:
        raise InvalidInput(f"there is no map {wanted} in {path.name}", f"It holds {number}, from 0")
    if len(maps) == 1:
        return replace(maps[0], scan=wanted if number > 1 else None)
    filled = (n for n, one in enumerate(maps) if 0 not in file[one.main].shape)
    at, default, group = next(filled, 0), "", file
    while wanted is None and (name := hdf5_file.text_attribute(group, "default").strip("/")):
        default, group = f"{default}/{name}", hdf5_file.group_at(group, name)
        at = next((n for n, one in enumerate(maps) if one.main.startswith(default + "/")), at)
    at = at if wanted is None else wanted
    if wanted is not None:
        return maps[at]
    others = ", ".join(f"{one.main.strip('/')} (map {n})" for n, one in enumerate(maps) if n != at)
    note = f"Map {at}, {maps[at].main.strip('/')}, is read; the file also holds {others}: {CHOOSE_MAP}."
    return replace(maps[at], notes=(*maps[at].notes, note))


def _of_scans(cube: SpectralCube, location: Location) -> SpectralCube:
    """Return the rows of the wanted scan of several, or of all with a sentence that says so."""
    if location.scans < 2:
        return cube
    if location.scan is None:
        note = (
            f"The file holds {location.scans} scans (angles, heights or times); they stand one below another "
            f"in this map: {CHOOSE_MAP}."
        )
        warnings = (*cube.provenance.warnings, note)
        return replace(cube, provenance=replace(cube.provenance, warnings=warnings))
    height = cube.map_shape[0] // location.scans
    rows = slice(location.scan * height, (location.scan + 1) * height)
    counts = cube.counts[rows] if isinstance(cube.counts, np.ndarray) else RowBand(cube.counts, rows)
    live_time = None if cube.live_time is None else cube.live_time[rows]
    return replace(cube, counts=counts, live_time=live_time)


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
    links: list[str] = []
    looked = sum(1 for _ in hdf5_file.walk(file, links))
    missing = tuple(dict.fromkeys(links))
    if missing:
        return FileError(
            path,
            f"links to {', '.join(missing[:5])}, which is not there",
            f"Copy the linked files: {hdf5_file.copy_to(path, missing[0])}"
            if len(missing) > 1
            else hdf5_file.copy_to(path, missing[0]),
        )
    if looked < hdf5_file.MOST_NODES:
        return FileError(path, "holds no spectral map")
    return FileError(
        path, f"holds no spectral map among the {looked} objects nearest its root", "Name the dataset"
    )


def _selected(
    path: Path, file: Any, layout: Layout, location: Location, detector: str | int, budget: int
) -> tuple[list[Hdf5Counts], tuple[str, ...], int | None]:
    """Return the counts to sum, one for all detectors that are alike, their names, and which is chosen."""
    last = hdf5_metadata.find(file, location.main, layout.rows) if layout.rows else []
    final = hdf5_file.number_of(last[0]) if last else None
    rows = int(final) + 1 if final is not None and final >= 0 else None

    def counts(sources: tuple[str, ...], axes: str, element: int | None = None) -> Hdf5Counts:
        per_row = len(sources) if location.rows else 0
        wanted = [location.singles.index(one) for one in sources] if per_row else []
        if per_row:
            sources = tuple(row[at] for row in location.rows for at in wanted)
        found = counts_of(
            path, file, sources, axes, location.map_shape, element, budget, per_row, location.picked
        )
        if rows is not None and rows < found.shape[0]:
            found = replace(found, map_shape=(rows, found.map_shape[1]))
        if 0 in found.shape:
            raise FileError(path, f"{location.main} is empty: its shape is {found.stored_shape}")
        return found

    if detector == "sum":
        singles = [counts((one,), location.single_axes) for one in location.singles]
        told = [_or_none(layout, file, one) for one in singles]
        # A sum that the file holds adds channels, whatever their energies.
        if location.total and not _apart(told):
            return [counts((location.total,), location.axes)], location.names, None
        kinds = [(one.stored_shape, one.scale, one.shift, axis)
                 for one, axis in zip(singles, told, strict=True)]  # fmt: skip
        alike = all(kind == kinds[0] for kind in kinds)
        return [counts(location.singles, location.single_axes)] if alike else singles, location.names, None
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
    return [counts((source,), location.single_axes, index if along_axis else None)], (named[index],), index


def _calibration(layout: Layout, file: Any, counts: Hdf5Counts) -> Calibration | None:
    return layout.energies(file, counts.sources[0], counts.shape[2])


def _or_none(layout: Layout, file: Any, counts: Hdf5Counts) -> Calibration | None:
    try:
        return _calibration(layout, file, counts)
    except InvalidInput:
        return None


def _apart(told: Sequence[Calibration | None]) -> bool:
    """Tell whether detectors' axes differ by more than half a channel somewhere."""
    axes = [found[0] for found in told if found is not None]
    if len(axes) < max(len(told), 2):
        return False
    ends = np.array([[axis.offset, axis.energy(axes[0].size)] for axis in axes])
    return bool(np.ptp(ends, axis=0).max() > 0.5 * axes[0].width)


def _described(
    path: Path,
    file: Any,
    layout: Layout,
    location: Location,
    parts: list[Hdf5Counts],
    names: tuple[str, ...],
    index: int | None,
) -> tuple[SpectralCube, list[Hdf5Counts]]:
    """Return a cube with all but its energy axis, and the counts of its detectors with rows to be turned."""
    counts, at = parts[0], parts[0].sources[0]
    known = location.positions or location.pixel_size
    readers = [layout.pixel_size] if layout.pixel_size and not known else []
    # Where the layout knows of no positions, the axes that NXdata names may hold them.
    if places := location.positions or places_of(file, location):
        readers.append(hdf5_metadata.steps(*places))
    found: hdf5_metadata.PixelSize = (None, (), None)
    for reader in readers:
        found = reader(file, at) if found == (None, (), None) else found
    size, size_notes, fast = found
    backwards = location.backwards
    if backwards is None:
        backwards = hdf5_metadata.backwards(fast, counts.map_shape)
    sources = () if location.rows else tuple(source for part in parts for source in part.sources)
    unit, shape = layout.live_time_unit, counts.map_shape
    live_time = (
        hdf5_metadata.times(file, at, layout.live_time, unit, shape, index, counts.points, sources)
        if layout.live_time
        else None
    )
    told = {"name": path.stem, "excitation": Excitation(), **layout.details(file, location.main)}
    if isinstance(told.get("live_time"), float):
        live_time = np.full(counts.map_shape, told.pop("live_time"))
    if live_time is not None and backwards is not None:
        live_time[backwards] = live_time[backwards, ::-1]
    beam = hdf5_metadata.beam_energy(file, at, layout.beam_energy)
    if beam is not None:
        told["excitation"] = replace(told["excitation"], kind="monochromatic", energy_kev=beam)
    rate, rated = _rate(file[at], live_time)
    scaled = (scaling_of(file[part.sources[0]]).note for part in parts)
    blank = {f"{part.blank:g}" for part in parts if part.blank is not None}
    notes = [*location.notes, *size_notes, *rated, *filter(None, scaled)]
    notes += (
        [f"{', '.join(blank)} marks what was not measured, as the file says (_FillValue)."] if blank else []
    )
    if backwards is not None:
        turned = int(backwards.sum())
        notes.append(f"{turned} rows were measured backwards; {location.turned_by}.")
    if layout.rows and counts.map_shape[0] < counts.stored_shape[counts.axes.index("y")]:
        notes.append(f"The scan was stopped early: {counts.map_shape[0]} of its rows are measured.")
    cube = SpectralCube(
        counts,
        EnergyAxis(0.0, calibration.USUAL_WIDTH, counts.shape[2]),
        pixel_size=location.pixel_size or size,
        live_time=live_time,
        provenance=Provenance(str(path), layout.name, names, tuple(notes)),
        **told,
    )
    return cube, [replace(part.scaled(rate), backwards=backwards) for part in parts]


def _rate(dataset: Any, live_time: NDArray[np.float64] | None) -> tuple[float, tuple[str, ...]]:
    """Return what makes a dataset's values counts, and what is told of it where their unit is a rate."""
    if not RATE.search(hdf5_file.text_attribute(dataset, "units")) or dataset.dtype.kind != "f":
        return 1.0, ()
    if live_time is None or not live_time.min() > _STEADY * live_time.max():
        return 1.0, (RATES,)
    return float(live_time.mean()), (MULTIPLIED.format(live_time.mean()),)


def _with_counts(
    cube: SpectralCube,
    parts: list[Hdf5Counts],
    axes: list[EnergyAxis],
    notes: tuple[str, ...],
    budget: int,
    stored_sum: NDArray[np.float64] | None,
    progress: Progress,
) -> SpectralCube:
    """Read the counts if they fit, and add the warnings that only the counts can give."""
    fits = sum(prod(part.shape) * part.dtype.itemsize for part in parts) <= budget
    faults, warnings, told = CountFaults(), list(notes), []
    samples = [part.sample() if part.stored_dtype.kind == "f" else np.zeros(0) for part in parts]
    scales = list(map(scale_of, samples))  # normalised detectors are summed on one scale
    for part, sample, scale in zip(parts, samples, scales, strict=True):
        common = max(scales) if scale != 1 else 1.0
        one = _prepared(replace(part, faults=faults if fits else CountFaults()), sample, common, fits)
        told.append(one)
        warnings += (scale_note(common),) if common != 1 else ()
    joined: Hdf5Counts | DetectorSum = told[0]
    if len(parts) > 1:
        joined = DetectorSum(tuple(told), tuple(axes))
        warnings += differences(cube.provenance.detectors, parts, axes)
    axis = joined.axis if isinstance(joined, DetectorSum) else axes[0]
    if fits:
        loaded = joined.load(budget, progress)
        if faults.too_large and not all(part.wide for part in told):
            wide = [replace(part, wide=True) for part in parts]
            return _with_counts(cube, wide, axes, notes, budget, stored_sum, progress)
        read = replace(cube, counts=loaded, energy=axis)
        total = read.sum_spectrum()
        warnings += faults.warnings()
        warnings += _disagreement(stored_sum, total.astype(np.float64)) if stored_sum is not None else ()
    else:
        read = replace(cube, counts=joined, energy=axis)
        total = np.zeros(told[0].shape[2], dtype=np.uint64)
        for part in told:
            size = min(total.size, part.shape[2])
            total[:size] += replace(part, fractional=True, faults=faults).sampled_sum()[:size]
        warnings += faults.warnings(sampled=True)
        if stored_sum is not None and np.any(total > stored_sum * 1.001 + 1):
            warnings.append(
                "The file's sum spectrum holds fewer counts than a part of the map: one of them is wrong."
            )
    if total.size == axis.size:
        warnings += _above_beam(total, axis, cube.excitation)
    return replace(read, provenance=replace(cube.provenance, warnings=tuple(dict.fromkeys(warnings))))


def _prepared(counts: Hdf5Counts, sample: NDArray[Any], scale: float, fits: bool) -> Hdf5Counts:
    """Return counts told how to make values whole, as a sample of them shows; ``scale`` multiplies them."""
    if counts.stored_dtype.kind != "f":
        return counts
    finite = sample[np.isfinite(sample)]
    wide = counts.wide or bool(finite.size and float(finite.max()) * scale > _NEAR_32_BITS and not fits)
    fractional = fits or bool(np.any(finite * scale != np.rint(finite * scale)))
    return replace(counts, fractional=fractional, wide=wide).scaled(scale)


def _stored_sum(
    file: Any, layout: Layout, location: Location, counts: Hdf5Counts
) -> NDArray[np.float64] | None:
    if not layout.sum_spectrum or len(location.singles) > 1:
        return None
    for dataset in hdf5_metadata.find(file, location.main, layout.sum_spectrum):
        if dataset.shape == (counts.shape[2],) and dataset.dtype.kind in "uif":
            values = np.asarray(hdf5_file.array_of(dataset), dtype=np.float64)
            return values if np.all(np.isfinite(values)) and values.any() else None
    return None


def _compared(
    path: Path, layout: Layout, file: Any, location: Location, budget: int
) -> tuple[Location, tuple[str, ...]]:
    """Compare detectors by a few rows of each, where reading these is cheap.

    Returns a location without the datasets that are sums of the others, and a sentence for each detector that
    differs.
    """
    if not 2 <= len(location.names) <= _MOST_COMPARED:
        return location, ()
    along, in_rows = "d" in location.single_axes, bool(location.rows)
    sources = list(zip(*location.rows, strict=True)) if in_rows else [(one,) for one in location.singles]
    each = [
        counts_of(path, file, one, location.single_axes, location.map_shape, element, budget, int(in_rows))
        for one in sources
        for element in (range(len(location.names)) if along else (None,))
    ]
    if any(0 in one.shape for one in each) or sum(one.sample_bytes() for one in each) > _COMPARED_BYTES:
        return location, ()
    sums = [one.sampled_sum() for one in each]
    if location.total:
        location = _with_total(path, file, location, budget, float(sum(one.sum() for one in sums)))
    told = [calibration.or_assumed(partial(_calibration, layout, file, one), one.shape[2]) for one in each]
    axes = [axis for axis, _ in calibration.of_detectors(told, location.names)]
    whole = [] if along or location.total or in_rows else _sums_among(sums)
    if not whole:
        return location, differing(location.names, sums, axes)
    parts = [at for at in range(len(sums)) if at not in whole]
    left = ", ".join(location.names[at] for at in whole)
    found = replace(
        location,
        singles=tuple(location.singles[at] for at in parts),
        names=tuple(location.names[at] for at in parts),
        notes=(*location.notes, f"{left} is the sum of the other detectors, and not counted again."),
    )
    return found, differing(found.names, [sums[at] for at in parts], [axes[at] for at in parts])


def _with_total(path: Path, file: Any, location: Location, budget: int, parts: float) -> Location:
    """Return a location without its sum where that is empty; one of fewer detectors is told of."""
    stored = counts_of(path, file, (location.total,), location.axes, location.map_shape, memory_budget=budget)
    if 0 in stored.shape or stored.sample_bytes() > _COMPARED_BYTES:
        return location
    total = float(np.nansum(stored.sample(), dtype=np.float64))
    if not total and parts:
        note = f"{location.total} is empty: the detectors are summed."
        return replace(location, total="", axes="", notes=(*location.notes, note))
    if total >= _FEWER * parts:  # dead time that is corrected makes it more
        return location
    note = f"{location.total} is not the sum of all: it holds {total / parts:.0%} of the detectors' counts."
    return replace(location, notes=(*location.notes, note))


def _sums_among(sums: Sequence[NDArray[np.uint64]]) -> list[int]:
    """Return which spectrum is, channel by channel, the sum of all others: one at most, of two at least."""
    if len(sums) < 3 or len({one.size for one in sums}) > 1:
        return []
    total = np.sum(sums, axis=0)
    found = [at for at, one in enumerate(sums) if one.any() and np.array_equal(2 * one, total)]
    return found if len(found) == 1 else []  # equal detectors beside an empty one are no sums


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
        f"probably wrong; check it against known peaks, or {GIVE_AXIS}.",
    )


def _own_cube(
    path: Path, file: Any, location: Location, budget: int, progress: Progress, detector: str | int
) -> SpectralCube:
    if detector != "sum":
        raise InvalidInput(
            f"there is no detector {detector!r} in {path.name}", "The file holds only their sum"
        )
    counts = counts_of(path, file, (location.total,), location.axes, memory_budget=budget)
    try:
        told = cube_files.describe(file, path)
    except (KeyError, ValueError, TypeError) as error:
        raise FileError(path, f"is a damaged map of ours ({error})") from error
    # Expected and denoised maps hold fractions of counts.
    counts = replace(counts, fractional=counts.stored_dtype.kind == "f")
    fits = prod(counts.shape) * counts.dtype.itemsize <= budget
    return SpectralCube(counts.load(budget, progress) if fits else counts, **told)
