"""Bruker Artax projects (.rtx): many spectra in one XML file, with the stage's position at each."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError
from napari_xrf.core.memory import budget_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.io import bruker_xml, scans
from napari_xrf.io.whole_counts import as_counts

LAYOUT = "Bruker Artax project"
_PROLOG = 2**16  # bytes in which the first element must begin
_STILL = 1e-3  # part of the largest movement below which an axis of the stage did not move


@dataclass(frozen=True)
class _Point:
    """One spectrum of a project."""

    counts: NDArray[np.float64]
    position: dict[str, float]  # of each axis of the stage, µm
    live_time: float | None  # s
    axis: EnergyAxis
    notes: tuple[str, ...]
    excitation: Excitation


def read_rtx(
    path: str | Path, *, memory_budget: int | None = None, progress: Progress = ignore_progress
) -> SpectralCube:
    """Read an Artax project as a map whose rows and columns are those of the stage's positions.

    A spectrum without a position among others that have one is a sum or a result, and is left out with a
    note. Spectra whose positions form no grid stand in one row. The structure is the one that PyMca's
    reader of such files documents.

    Raises FileError when the file is damaged, declares XML entities, needs more memory than allowed, or
    holds no spectra.
    """
    target = Path(path)
    if not is_rtx(target):
        raise FileError(target, "is no plain Artax project: it declares XML entities, or is no XML")
    budget = budget_of(memory_budget)
    points = _points(target, budget, progress)
    if not points:
        raise FileError(target, "holds no spectra")
    placed = [point for point in points if point.position]
    notes: list[str] = []
    if 0 < len(placed) < len(points):
        notes.append(f"{len(points) - len(placed)} spectra without a position are left out: sums or results.")
    points = placed or points
    size = points[0].counts.size
    whole = [point for point in points if point.counts.size == size]
    if len(whole) < len(points):
        notes.append(f"{len(points) - len(whole)} spectra of other lengths are left out.")
    if any(point.axis != whole[0].axis for point in whole):
        notes.append("The spectra have several energy calibrations; the first one's is used.")
    grid, backwards = _grid(whole)
    columnwise = len(grid.motors) == 2 and grid.motors[1][0] > grid.motors[0][0]  # y is fast, x is slow
    cells = grid.shape[0] * grid.shape[1]
    counts, live = np.zeros((cells, size)), np.full(cells, np.nan)
    for at, point in enumerate(whole):
        counts[at] = point.counts
        live[at] = np.nan if point.live_time is None else point.live_time
    values, times = counts.reshape(*grid.shape, size), live.reshape(grid.shape)
    if backwards is not None:
        values[backwards], times[backwards] = values[backwards, ::-1], times[backwards, ::-1]
    steps = [abs(step) for _, step in grid.motors]
    if columnwise:
        values, times, steps = values.swapaxes(0, 1), times.T, steps[::-1]
    kept, faults = as_counts(values)
    return SpectralCube(
        kept,
        whole[0].axis,
        target.stem,
        pixel_size=(steps[0], steps[1]) if len(steps) == 2 and min(steps) > 0 else None,
        live_time=times if np.all(np.isfinite(times)) else None,
        excitation=whole[0].excitation,
        provenance=Provenance(str(path), LAYOUT, (), (*whole[0].notes, *notes, *grid.notes, *faults)),
    )


def is_rtx(path: str | Path) -> bool:
    """Tell whether a file begins as a Bruker project does, and declares no entities before it."""
    with Path(path).open("rb") as handle:
        prolog, found, _ = handle.read(_PROLOG).partition(b"<TRT")
    return bool(found) and b"<!DOCTYPE" not in prolog and b"<!ENTITY" not in prolog


def _points(path: Path, budget: int, progress: Progress) -> list[_Point]:
    """Return the spectra that stand in no other spectrum: what is in one are results, such as backgrounds."""
    points: list[_Point] = []
    depth, taken, size = 0, 0, path.stat().st_size
    try:
        with path.open("rb") as handle:
            for event, node in ElementTree.iterparse(handle, ("start", "end")):
                if node.tag != "ClassInstance" or node.get("Type") != "TRTSpectrum":
                    continue
                depth += 1 if event == "start" else -1
                if event == "end" and depth == 0:
                    if (point := _point(node)) is not None:
                        points.append(point)
                        taken += point.counts.nbytes
                    node.clear()
                    progress(min(handle.tell(), size), size, "reading spectra")
                if taken > budget:
                    raise FileError(path, "needs more memory than allowed", "Give a larger memory budget")
    except (ElementTree.ParseError, ValueError, OverflowError, LookupError, RecursionError) as error:
        raise FileError(path, f"is damaged ({error})", "Copy it again from the instrument") from error
    return points


def _point(node: ElementTree.Element) -> _Point | None:
    channels = bruker_xml.text(node, "Channels")
    if not channels:
        return None
    counts = np.array(channels.split(","), dtype=np.float64)
    axis, notes = bruker_xml.energy_axis(bruker_xml.part(node, "TRTSpectrumHeader"), counts.size)
    milliseconds = bruker_xml.positive(bruker_xml.part(node, "TRTSpectrumHardwareHeader"), "LifeTime")
    position = {}
    for one in (node if (found := bruker_xml.part(node, "TRTAxesHeader")) is None else found).iter():
        name, said = one.get("AxisName"), one.get("AxisPosition")
        if name and said:
            # Artax gives positions in mm.
            position[name.lower()] = float(said.replace(",", ".")) * (
                scans.um_per(one.get("AxisUnit") or "mm", "mm")[0] or 1e3
            )
    live = None if milliseconds is None else milliseconds / 1000
    return _Point(counts, position, live, axis, notes, bruker_xml.excitation_of(node, node))


def _grid(points: list[_Point]) -> tuple[scans.Grid, NDArray[np.bool_] | None]:
    """Return the grid of the two axes of the stage that moved, and which rows ran backwards."""
    row = scans.Grid((1, len(points)))
    if len(points) == 1:
        return row, None
    names = [name for name in points[0].position if all(name in point.position for point in points)]
    paths = {name: np.array([point.position[name] for point in points]) for name in names}
    farthest = max((float(np.ptp(path)) for path in paths.values()), default=0.0)
    moved = {name: path for name, path in paths.items() if np.ptp(path) > _STILL * farthest}
    if len(moved) == 1:
        step = float(np.median(np.abs(np.diff(next(iter(moved.values()))))))
        return replace(row, motors=(("", step), ("", step))), None
    if len(moved) == 2 and (found := scans.grid_among(moved)) is not None:
        return found
    note = f"The positions of the {len(points)} spectra form no grid; they stand in one row."
    return replace(row, notes=(note,)), None
