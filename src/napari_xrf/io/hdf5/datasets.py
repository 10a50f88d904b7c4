"""The datasets of an HDF5 file of unknown layout that could be spectral maps."""

from dataclasses import dataclass
from math import prod
from typing import Any

from napari_xrf.core.errors import InvalidInput
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.location import MAX_CHANNELS, MIN_CHANNELS, Location

_AXIS_NAMES = ("energy", "spec", "sum", "channel", "mca")


@dataclass(frozen=True)
class DatasetChoice:
    """A dataset that could be a spectral map."""

    path: str  # its path in the file
    shape: tuple[int, ...]  # its shape
    dtype: str  # its type as numpy writes it
    energy_axis: int  # which axis is probably energy

    def __str__(self) -> str:
        return f"{self.path} {self.shape}, energy axis probably {self.energy_axis}"


def choices(file: Any) -> tuple[DatasetChoice, ...]:
    """Return the 3-D and 4-D datasets of numbers, and the 2-D ones of spectra, largest first."""
    listed = datasets_of(file)
    spectra = _lengths_of_spectra(listed)
    found = []
    for path, dataset in listed:
        points = (
            dataset.ndim == 2 and dataset.shape[0] > 1 and MIN_CHANNELS <= dataset.shape[1] <= MAX_CHANNELS
        )
        if (dataset.ndim in (3, 4) or points) and dataset.dtype.kind in "uif" and min(dataset.shape) > 0:
            axis = guessed_energy_axis(dataset.shape, spectra)
            found.append(DatasetChoice(path, dataset.shape, str(dataset.dtype), axis))
    return tuple(sorted(found, key=lambda choice: -prod(choice.shape)))


def chosen(file: Any, path: str, energy_axis: int | None) -> Location:
    """Return the location of a dataset that the user names.

    Of four axes, the shortest beside energy counts as the detectors'; of two, the other runs over points.

    Raises InvalidInput when there is no such dataset of 1 to 4 dimensions, or no such axis.
    """
    dataset = hdf5_file.dataset_at(file, path)
    if dataset is None:
        listed = "; ".join(str(choice) for choice in choices(file)[:8])
        raise InvalidInput(f"there is no dataset {path!r}", f"Choose one of: {listed}" if listed else "")
    if not 1 <= dataset.ndim <= 4 or dataset.dtype.kind not in "uif":
        raise InvalidInput(f"{path} is {dataset.dtype} of shape {dataset.shape}, no spectral map")
    if energy_axis is None:
        energy_axis = guessed_energy_axis(dataset.shape, _lengths_of_spectra(datasets_of(file)))
    elif not -dataset.ndim <= energy_axis < dataset.ndim:
        raise InvalidInput(f"{path} has no axis {energy_axis}", f"Choose 0 to {dataset.ndim - 1}")
    energy_axis %= dataset.ndim
    full = "/" + path.strip("/")
    others = [at for at in range(dataset.ndim) if at != energy_axis]
    notes = [f"Axis {energy_axis} of {full} {dataset.shape} is taken as energy."]
    letters = {energy_axis: "e"}
    if len(others) == 3:
        detector = min(others, key=lambda at: (dataset.shape[at], -at))
        others.remove(detector)
        letters[detector] = "d"
        notes.append(f"Its axis {detector} is taken as the detectors.")
    letters.update(zip(others, "yx"[2 - len(others) :], strict=True))
    axes = "".join(letters[at] for at in range(dataset.ndim))
    if "d" not in axes:
        return Location(full, axes, notes=tuple(notes))
    names = tuple(str(number) for number in range(dataset.shape[axes.index("d")]))
    return Location(singles=(full,), single_axes=axes, names=names, notes=tuple(notes))


def guessed_energy_axis(shape: tuple[int, ...], spectra: set[int]) -> int:
    """Return the axis as long as a spectrum in the file; else the longest of usual length; else the last."""
    named = [at for at, size in enumerate(shape) if size in spectra]
    if named:
        return named[-1]
    usual = [at for at, size in enumerate(shape) if MIN_CHANNELS <= size <= MAX_CHANNELS]
    return max(usual, key=lambda at: (shape[at], at)) if usual else len(shape) - 1


def _lengths_of_spectra(listed: list[tuple[str, Any]]) -> set[int]:
    return {
        dataset.shape[0]
        for path, dataset in listed
        if dataset.ndim == 1
        and dataset.shape[0] >= 64
        and any(name in path.rsplit("/", 1)[-1].lower() for name in _AXIS_NAMES)
    }


def datasets_of(file: Any) -> list[tuple[str, Any]]:
    """Return the paths and datasets of a file, each once, links followed, loops and broken links left out."""
    found: dict[Any, tuple[str, Any]] = {}
    for path, node in hdf5_file.walk(file):
        if hasattr(node, "dtype"):
            found.setdefault(hdf5_file.identity(node), (path, node))
    return list(found.values())
