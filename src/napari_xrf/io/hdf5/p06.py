"""Scans of P06 at PETRA III: frames in files of the detectors, places in files of the trigger generator.

``scan_N/xspress3_01/*.nxs`` hold frames whose sequence numbers, from 1, tell which of the encoders' places in
``scan_N/pilctriggergenerator_01/*.nxs`` they belong to (structure as GeoPIXE reads it).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress
from napari_xrf.core.scratch import scratch_array
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.io import calibration, scans
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.whole_counts import CountFaults, whole_counts

LAYOUT = "P06"
CHANNELS = "/entry/instrument/xspress3/channel[0-9]*/histogram"
_NUMBERS = "/entry/instrument/detector/sequence_number|/entry/instrument/*/detector/sequence_number"
_PLACES = "/entry/data/encoder[0-9]*"
_AT_ONCE = 16 * 2**20  # bytes of one channel
_MOST_FILES = 10_000


@dataclass(frozen=True)
class _Map:
    """Where each point of a scan lies in the map."""

    shape: tuple[int, int]  # (Y, X)
    flat: NDArray[np.int64]  # the pixel of each point, row by row
    pixel_size: tuple[float, float] | None
    notes: tuple[str, ...]


def has_places(path: Path) -> bool:
    """Tell whether a file stands in a scan's folder beside one of places."""
    return path.parent.name.startswith("xspress3") and bool(
        _files(path.parent.parent, "pilctriggergenerator")
    )


def read_p06(path: Path, detector: str | int, memory_budget: int, progress: Progress) -> SpectralCube:
    """Read the scan that a file belongs to, all its detectors summed or one of them.

    Raises FileError when a file is damaged or places are none, InvalidInput when there is no such detector.
    """
    scan = path.parent.parent
    files = _files(scan, "xspress3")
    place = _mapped(scan)
    known, size = _channels(files)
    chosen = known if detector == "sum" else [name for name in known if name.endswith(str(detector))]
    if len(chosen) != 1 and detector != "sum":
        raise InvalidInput(
            f"there is no detector {detector!r} in {scan.name}", f"Choose sum or one of: {', '.join(known)}"
        )
    target = scratch_array((*place.shape, size), np.uint32, memory_budget)
    faults, measured = CountFaults(), np.zeros(place.flat.size, dtype=bool)
    for done, file in enumerate(files):
        with hdf5_file.opened(file) as opened:
            measured |= _added(
                file, opened, target, place, [name for name in chosen if _in(name, file)], faults
            )
        progress(done + 1, len(files), "reading frames")
    notes = [*place.notes, *faults.warnings()]
    if not measured.all():
        notes.append(f"{int((~measured).sum())} of {measured.size} points have no frame; they are empty.")
    axis, told = calibration.assumed_axis(size)
    provenance = Provenance(str(path), LAYOUT, tuple(chosen), (*notes, *told))
    return SpectralCube(target, axis, scan.name, pixel_size=place.pixel_size, provenance=provenance)


def _files(scan: Path, kind: str) -> list[Path]:
    return sorted(scan.glob(f"{kind}*/*.nxs"))[:_MOST_FILES]


def _channels(files: list[Path]) -> tuple[list[str], int]:
    """Return the names of all detectors, ``xspress3_01/channel00``, and how many channels they have."""
    names: dict[str, None] = {}
    sizes = set()
    for file in files:
        with hdf5_file.opened(file) as opened:
            for one in hdf5_file.matching(opened, CHANNELS):
                names[f"{file.parent.name}/{one.split('/')[4]}"] = None
                sizes.add(opened[one].shape[-1])
    if len(sizes) != 1:
        raise FileError(files[0], f"belongs to a scan whose spectra have {sorted(sizes)} channels")
    return list(names), sizes.pop()


def _in(name: str, file: Path) -> bool:
    return name.startswith(f"{file.parent.name}/")


def _mapped(scan: Path) -> _Map:
    """Return the map that the encoders' places form; points in one row where they form none."""
    places: dict[str, list[NDArray[np.float64]]] = {}
    units = ""
    for file in _files(scan, "pilctriggergenerator"):
        with hdf5_file.opened(file) as opened:
            for one in hdf5_file.matching(opened, _PLACES):
                values = np.asarray(hdf5_file.array_of(opened[one]), dtype=np.float64).ravel()
                places.setdefault(one.rsplit("/", 1)[-1], []).append(values)
                units = units or hdf5_file.text_attribute(opened[one], "units")
    joined = {name: np.concatenate(parts) for name, parts in places.items()}
    points = min((one.size for one in joined.values()), default=0)
    if not points:
        raise FileError(scan, "holds no places: no encoders in the files of its trigger generator")
    found = scans.grid_among({name: one[:points] for name, one in joined.items()})
    if found is None:
        note = f"The places of the {points} points form no regular grid; they stand in one row."
        return _Map((1, points), np.arange(points), None, (note,))
    grid, backwards = found
    flat = np.arange(grid.shape[0] * grid.shape[1]).reshape(grid.shape)
    notes = [f"{grid.motors[1][0]} runs along the rows of the map, {grid.motors[0][0]} down them."]
    if backwards is not None:
        flat[backwards] = flat[backwards, ::-1]
        notes.append(f"{backwards.sum()} rows were measured backwards; the encoders put them in order.")
    factor, note = scans.um_per(units)
    steps = [step * (factor or 0.0) for _, step in grid.motors]
    size = (steps[0], steps[1]) if all(steps) else None
    return _Map(grid.shape, flat.ravel()[:points], size, (*notes, *([note] if note else [])))


def _added(
    path: Path, opened: Any, target: Any, place: _Map, wanted: list[str], faults: CountFaults
) -> NDArray[np.bool_]:
    """Add the frames of a file to the map; return which points of the scan they are."""
    measured = np.zeros(place.flat.size, dtype=bool)
    datasets = [opened[one] for one in hdf5_file.matching(opened, CHANNELS)
                if f"{path.parent.name}/{one.split('/')[4]}" in wanted]  # fmt: skip
    for dataset in datasets:
        hdf5_file.check_dataset(path, dataset)
        points = _points(path, opened, dataset.shape[0])
        inside = (points >= 0) & (points < measured.size)
        measured[points[inside]] = True
        step = max(1, _AT_ONCE // max(dataset.shape[1] * dataset.dtype.itemsize, 1))
        for start in range(0, dataset.shape[0], step):
            counts = whole_counts(np.asarray(dataset[start : start + step]), start, np.uint32, faults)
            for spectrum, point, good in zip(counts, points[start:], inside[start:], strict=False):
                if good:
                    y, x = divmod(int(place.flat[point]), place.shape[1])
                    target[y : y + 1, x : x + 1] = np.asarray(target[y : y + 1, x : x + 1]) + spectrum
    return measured


def _points(path: Path, opened: Any, frames: int) -> NDArray[np.int64]:
    """Return the point of the scan, from 0, that each frame of a file belongs to."""
    for one in hdf5_file.matching(opened, _NUMBERS):
        numbers = np.asarray(hdf5_file.array_of(opened[one])).ravel()
        if numbers.size >= frames:
            return numbers[:frames].astype(np.int64) - 1
    raise FileError(path, "holds no sequence numbers, which tell where its frames belong")
