"""Spectra with their truth from a file: what networks are judged on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.description import TaskName


@dataclass(frozen=True, eq=False)
class SpectrumSet:
    """Spectra and what is true of them, by the names that the file uses."""

    cube: SpectralCube  # (Y, X, E) spectra; sets of single spectra have one column
    task: TaskName
    names: tuple[str, ...]
    # As in LabelledSpectra, flattened to N = Y·X; label is the position in names, −1 where nothing is known.
    # purity (N,) is the share of a pixel's main mineral
    targets: Mapping[str, NDArray[Any]]
    source: str


def read_set(path: str | Path, progress: Progress = ignore_progress) -> SpectrumSet:
    """Read a file that ``synthesize`` or ``benchmarks/independent`` wrote.

    Raises FileError when the file holds no truth, or one that no network is judged by.
    """
    from napari_xrf import io
    from napari_xrf.io.own.cube_files import read_truth

    truth, cube = read_truth(path), io.read(path, progress=progress)
    parameters = truth.get("parameters", {})
    number = cube.shape[0] * cube.shape[1]
    if "lines" in truth:
        kinds = {"presence": "present", "visible": "visible"}
        targets = {
            name: np.asarray(truth[kind], dtype=np.float32) for name, kind in kinds.items() if kind in truth
        }
        return SpectrumSet(cube, "lines", tuple(map(str, truth["lines"])), targets, str(path))
    if "net_counts" in truth:
        names = tuple(map(str, truth.get("elements") or parameters.get("elements") or cube.elements))
        net = np.asarray(truth["net_counts"], dtype=np.float32).reshape(number, -1)
        targets = {"presence": (net > 0).astype(np.float32), "net_counts": net}
        return SpectrumSet(cube, "elements", names, targets, str(path))
    if isinstance(truth.get("labels"), LabelMap):
        names, label = _positions(truth["labels"])
    else:
        names = tuple(map(str, truth.get("minerals") or parameters.get("minerals") or ()))
        label = np.asarray(truth.get("main_mineral", ()))
    if not (names and label.size):
        remedy = "Make one with synthesize"
        raise FileError(path, "its truth names neither lines, elements nor minerals", remedy)
    known: dict[str, NDArray[Any]] = {"label": label.reshape(number).astype(np.int64)}
    if "abundances" in truth:
        known["purity"] = np.asarray(truth["abundances"]).reshape(number, -1).max(axis=1)
    return SpectrumSet(cube, "minerals", names, known, str(path))


def _positions(labels: LabelMap) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the classes' names, and the position (Y, X) of each pixel's class, −1 where it has none."""
    position = np.full(int(labels.labels.max(initial=0)) + 1, -1, dtype=np.int64)
    for index, each in enumerate(labels.classes):
        if each.label < position.size:
            position[each.label] = index
    return tuple(each.name for each in labels.classes), position[labels.labels]
