"""A folder of spectra in single files, one a pixel, as a map: ``map_0001.mca``, ``r03_c12.msa``."""

import math
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, XrfError
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import scratch_array
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.io.scans import Grid
from napari_xrf.io.whole_counts import CountFaults, whole_counts

LAYOUT = "folder of spectra"
SUFFIXES = (".mca", ".xrf", ".spx", ".msa", ".emsa", ".ems", ".mas", ".spe", ".txt")
# Positions, x-0.5, have signs and decimals; a dash before other numbers is none.
_NUMBER = re.compile(r"(?<=(?<![A-Za-z])[xyXY])[-+]?\d+(?:\.\d+)?|\d+")
_ROW, _COLUMN = re.compile(r"(?:^|[^a-z])(?:y|r|row|line|l)$"), re.compile(r"(?:^|[^a-z])(?:x|c|col|column)$")
_MOST_FILES, _MOST_MISSING = 10**6, 100  # files; pixels that are missing for each file

Reader = Callable[[Path], SpectralCube]


def read_folder(
    path: str | Path, reader: Reader, *, memory_budget: int, progress: Progress = ignore_progress
) -> SpectralCube:
    """Read the numbered files of a folder, the kind that most of them are of, as a map.

    Two numbers that vary in the names are rows and columns; with one, the spectra stand in one row.
    ``reader`` reads one file. Raises FileError when the folder holds no spectra that belong together.
    """
    folder = Path(path)
    files, others = _numbered(folder)
    pixels, grid = _pixels(files)
    cells = grid.shape[0] * grid.shape[1]
    first = reader(files[0])
    size, axis = first.shape[2], first.energy
    counts = scratch_array((*grid.shape, size), np.uint32, memory_budget)
    live, faults = np.full(cells, np.nan), CountFaults()
    left: Counter[str] = Counter()
    kept = 0
    for done, (file, pixel) in enumerate(zip(files, pixels, strict=True)):
        progress(done, len(files), "reading spectra")
        try:
            one = first if done == 0 else reader(file)
        except XrfError as error:
            left[f"cannot be read ({error})"] += 1
            continue
        if not one.is_one_spectrum or one.shape[2] != size:
            left["hold no single spectrum of as many channels as the first"] += 1
            continue
        y, x = divmod(pixel, grid.shape[1])
        counts[y : y + 1, x : x + 1] = _on_axis(one, axis, pixel, faults)
        live[pixel] = np.nan if one.live_time is None else one.live_time[0, 0]
        left["have another energy calibration and were brought to the first one's"] += one.energy != axis
        kept += 1
    if not kept:
        raise FileError(folder, "holds no spectra that can be read")
    left["of other names are left out"] = others
    notes = [*grid.notes, *(f"{count} files {what}." for what, count in left.items() if count)]
    if len(set(pixels)) < cells:
        notes.append(f"{cells - len(set(pixels))} of {cells} pixels have no file; they are empty.")
    warnings = tuple(dict.fromkeys([*first.provenance.warnings, *notes, *faults.warnings()]))
    times = live.reshape(grid.shape)
    return SpectralCube(
        counts,
        axis,
        folder.name,
        live_time=np.nan_to_num(times) if np.isfinite(times).any() else None,
        excitation=first.excitation,
        elements=first.elements,
        provenance=Provenance(str(path), LAYOUT, first.provenance.detectors, warnings),
    )


def _numbered(folder: Path) -> tuple[list[Path], int]:
    """Return the numbered files in their order, and how many others of the same kind there are."""
    found = [
        each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES and _NUMBER.search(each.stem)
    ]
    # Names that differ in their numbers only; notes and logs beside them are of other forms.
    forms = Counter((_NUMBER.sub("#", each.stem), each.suffix.lower()) for each in found)
    if not forms or len(found) > _MOST_FILES:
        raise FileError(
            folder,
            "is a folder without numbered spectra",
            f"Choose a file in it; known are {', '.join(SUFFIXES)}",
        )
    form = forms.most_common(1)[0][0]
    same = [each for each in found if (_NUMBER.sub("#", each.stem), each.suffix.lower()) == form]
    alike = sum(each.suffix.lower() == form[1] for each in found)
    return sorted(same, key=_numbers_in), alike - len(same)


def _numbers_in(path: Path) -> list[Fraction]:
    return [Fraction(number) for number in _NUMBER.findall(path.stem)]


def _pixels(files: list[Path]) -> tuple[list[int], Grid]:
    """Return the pixel of each file, row by row, and the map's shape."""
    numbers = np.array([_numbers_in(file) for file in files], dtype=object)
    varying = [at for at in range(numbers.shape[1]) if len(set(numbers[:, at])) > 1]
    texts = [text.rstrip("_- =") for text in _NUMBER.split(files[0].stem.lower())]
    if len(varying) > 2:  # a running number beside the two that are called so
        varying = [at for at in varying if _ROW.search(texts[at]) or _COLUMN.search(texts[at])]
    if len(varying) != 2:
        note = f"The names of the {len(files)} spectra do not say how they form a map; they stand in one row."
        return list(range(len(files))), Grid((1, len(files)), (), (note,) if len(files) > 1 else ())
    if _COLUMN.search(texts[varying[0]]) or _ROW.search(texts[varying[1]]):
        varying.reverse()
    # Numbers may be positions, 0, 25, 50, …: what all their distances share is a step.
    rows, columns = (_counted(numbers[:, at]) for at in varying)
    shape = (int(max(rows)) + 1, int(max(columns)) + 1)
    if shape[0] * shape[1] > _MOST_MISSING * len(files):
        raise FileError(files[0].parent, f"holds {len(files)} spectra whose names number {shape} pixels")
    return [int(row * shape[1] + column) for row, column in zip(rows, columns, strict=True)], Grid(shape)


def _counted(places: np.ndarray) -> np.ndarray:
    """Return how many steps each place lies from the first."""
    away = places - min(places)
    finest = math.lcm(*(one.denominator for one in away))
    return away / Fraction(math.gcd(*(int(one * finest) for one in away)), finest)


def _on_axis(one: SpectralCube, axis: EnergyAxis, pixel: int, faults: CountFaults) -> np.ndarray:
    counts = np.asarray(one.counts)
    moved = counts if one.energy == axis else one.energy.rebin(counts, axis)
    return whole_counts(moved, pixel, np.uint32, faults)
