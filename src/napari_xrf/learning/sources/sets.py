"""Spectra with their truth from a file: what networks are judged on."""

from __future__ import annotations

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
    """Spectra and what is true of them, by the names that the file uses.

    Attributes
    ----------
    cube
        (Y, X, E) spectra; sets of single spectra have one column.
    task
        What can be judged on it.
    names
        K names of the targets' columns.
    targets
        As in :class:`~.source.LabelledSpectra`, flattened to N = Y·X; ``label`` is the position in
        ``names``, −1 where nothing is known. ``purity`` (N,) is the share of a pixel's main mineral.
    source
        Where it comes from.
    """

    cube: SpectralCube
    task: TaskName
    names: tuple[str, ...]
    targets: Mapping[str, NDArray[Any]]
    source: str


def read_set(path: str | Path, progress: Progress = ignore_progress) -> SpectrumSet:
    """Read a file that ``synthesize`` or ``benchmarks/independent`` wrote.

    Raises
    ------
    FileError
        When the file holds no truth, or one that no network is judged by.
    """
    from napari_xrf import io
    from napari_xrf.io.own.cube_files import read_truth

    truth = read_truth(path)
    cube = io.read(path, progress=progress)
    number = cube.shape[0] * cube.shape[1]
    parameters = truth.get("parameters", {})
    if "lines" in truth:
        return _lines(cube, truth, str(path))
    if "net_counts" in truth:
        names = tuple(map(str, truth.get("elements") or parameters.get("elements") or cube.elements))
        net = np.asarray(truth["net_counts"], dtype=np.float32).reshape(number, -1)
        return SpectrumSet(
            cube, "elements", names, {"presence": (net > 0).astype(np.float32), "net_counts": net}, str(path)
        )
    if isinstance(truth.get("labels"), LabelMap):
        return _map(cube, truth, str(path))
    if "main_mineral" in truth:
        names = tuple(map(str, truth.get("minerals") or parameters.get("minerals") or ()))
        if names:
            targets = {"label": np.asarray(truth["main_mineral"]).reshape(number).astype(np.int64)}
            if "abundances" in truth:
                targets["purity"] = np.asarray(truth["abundances"]).reshape(number, -1).max(axis=1)
            return SpectrumSet(cube, "minerals", names, targets, str(path))
    raise FileError(path, "its truth names neither lines, elements nor minerals", "Make one with synthesize")


def _lines(cube: SpectralCube, truth: Mapping[str, Any], source: str) -> SpectrumSet:
    targets = {
        "presence": np.asarray(truth["present"], dtype=np.float32),
        **({"visible": np.asarray(truth["visible"], dtype=np.float32)} if "visible" in truth else {}),
    }
    return SpectrumSet(cube, "lines", tuple(map(str, truth["lines"])), targets, source)


def _map(cube: SpectralCube, truth: Mapping[str, Any], source: str) -> SpectrumSet:
    labels: LabelMap = truth["labels"]
    names = tuple(each.name for each in labels.classes)
    position = np.full(int(labels.labels.max(initial=0)) + 1, -1, dtype=np.int64)
    for index, each in enumerate(labels.classes):
        if each.label < position.size:
            position[each.label] = index
    targets: dict[str, NDArray[Any]] = {"label": position[labels.labels].reshape(-1)}
    if "abundances" in truth:
        targets["purity"] = np.asarray(truth["abundances"]).max(axis=-1).reshape(-1)
    return SpectrumSet(cube, "minerals", names, targets, source)
