"""Mean spectra of the classes of a map, beside what their minerals explain of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.label_map import NOT_MEASURED, LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.templates import FLOOR, Templates

_STEPS = 300


@dataclass(frozen=True, eq=False)
class ClassSpectrum:
    """The mean spectrum of a class.

    Attributes
    ----------
    label, name
        The class.
    pixels
        How many pixels were averaged.
    energies
        (B,) keV, centres of the bins.
    measured
        (B,) counts per pixel and keV.
    expected
        (B,) the same for the mixture of the class's compositions that fits best; None for "unknown".
    """

    label: int
    name: str
    pixels: int
    energies: NDArray[np.float64]
    measured: NDArray[np.float64]
    expected: NDArray[np.float64] | None


def class_spectra(
    cube: SpectralCube,
    label_map: LabelMap,
    templates: Templates,
    compositions: Mapping[int, NDArray[np.intp]],
    progress: Progress = ignore_progress,
) -> tuple[ClassSpectrum, ...]:
    """Return the mean spectrum of each class that has pixels.

    Parameters
    ----------
    cube, label_map
        The map and its classes.
    templates
        Expected spectra.
    compositions
        Label → indices of the templates of its minerals; none for "unknown".
    """
    bins = templates.bins
    sums = _sums(cube, label_map, progress)
    spectra = []
    for entry in label_map.classes:
        pixels = int((label_map.labels == entry.label).sum())
        if pixels == 0:
            continue
        counts = bins.sum(sums[entry.label])
        members = compositions.get(entry.label)
        expected = None if members is None else explained(counts, templates, members) / pixels / bins.widths
        spectra.append(
            ClassSpectrum(
                entry.label, entry.name, pixels, bins.energies, counts / pixels / bins.widths, expected
            )
        )
    return tuple(spectra)


def explained(
    counts: NDArray[np.float64], templates: Templates, members: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the non-negative mixture, (B,), of compositions and their mean continuum nearest to counts.

    Poisson maximum likelihood by expectation maximisation.
    """
    columns = np.vstack([templates.lines[members], templates.continuum[members].mean(axis=0)])
    columns = columns[columns.sum(axis=1) > 1e-9]
    sums = columns.sum(axis=1)
    level = FLOOR * counts.sum() / counts.size
    amounts = counts.sum() / columns.shape[0] / sums
    for _ in range(_STEPS):
        amounts *= (columns @ (counts / np.maximum(amounts @ columns + level, 1e-12))) / sums
    return np.asarray(amounts @ columns + level)


def _sums(cube: SpectralCube, label_map: LabelMap, progress: Progress) -> dict[int, NDArray[np.float64]]:
    labels = [entry.label for entry in label_map.classes]
    sums = {label: np.zeros(cube.shape[2]) for label in labels}
    for band, block in cube.blocks():
        for row, spectra in zip(label_map.labels[band], block, strict=True):
            for label in np.unique(row[row != NOT_MEASURED]).tolist():
                sums[label] += spectra[row == label].sum(axis=0, dtype=np.float64)
        progress(band.stop, cube.shape[0], "averaging spectra")
    return sums
