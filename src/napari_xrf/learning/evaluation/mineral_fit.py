"""The Poisson-likelihood classifier on single spectra: the bar for networks of minerals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import UNKNOWN_NAME, members_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.evaluation.sampling import class_positions
from napari_xrf.minerals.classification import classify_minerals
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import known_minerals, select_minerals


def predict_sample(
    description: ModelDescription, sample: Sample, seed: int, progress: Progress = ignore_progress
) -> SpectrumPredictions:
    """Return what the likelihood classifier says of a sample's spectra; its doubt is the misfit.

    Raises InvalidInput as :func:`classify_by_likelihood`.
    """
    options = description.source_options
    excitation = sample.cube.excitation
    if excitation == Excitation():
        excitation = excitation_of(load_instrument(str(options.get("instrument", "m4-tornado"))))
    classes, misfit = classify_by_likelihood(
        sample.spectra, sample.cube.energy, excitation, description.names, options.get("library"), progress
    )
    counts = sample.spectra.sum(axis=1, dtype=np.float32)
    return SpectrumPredictions(counts, classes=classes, unknown=misfit)


def classify_by_likelihood(
    counts: NDArray[np.generic],
    axis: EnergyAxis,
    excitation: Excitation,
    classes: Sequence[str],
    library: str | None = None,
    progress: Progress = ignore_progress,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Classify N spectra (N, E) by :func:`~napari_xrf.minerals.classification.classify_minerals`.

    All spectra are taken as one map: one calibration, one group of minerals that cannot be told apart.

    ``classes``: K names of the model's classes; ``"quartz / opal"`` stands for both. ``library``: a CSV file
    of minerals added to the shipped ones. Returns ``classes``: (N,) position of each spectrum's class, K for
    unknown, ``misfit``: (N,) standard deviations; infinite for empty spectra. Raises InvalidInput when a
    class is no mineral of the library, or no spectrum holds counts.
    """
    spectra: Any = np.asarray(counts)
    if spectra.dtype.kind == "f":
        spectra = np.rint(spectra).astype(np.uint32)
    cube = SpectralCube(spectra[:, np.newaxis, :], axis, name="spectra", excitation=excitation)
    names = [name for each in classes for name in members_of(each)]
    minerals = select_minerals(known_minerals(library), names)
    found = classify_minerals(cube, minerals, progress=progress)
    position = class_positions([entry.name for entry in found.label_map.classes], classes)
    table = np.full(max(entry.label for entry in found.label_map.classes) + 1, len(classes), dtype=np.intp)
    for entry, place in zip(found.label_map.classes, position, strict=True):
        table[entry.label] = len(classes) if entry.name == UNKNOWN_NAME else place
    misfit = found.misfit.reshape(-1).astype(np.float64)
    return table[found.label_map.labels.reshape(-1)], np.where(np.isnan(misfit), np.inf, misfit)
