"""What is attainable of a GEM test set at all: a fit that is told how each spectrum was recorded.

It knows each spectrum's gain, offset, resolution, tail, escape, continuum shape and substrate, and the very
shapes that the spectra were made of; it does not know which elements are there, nor how much. A method that
must find all that out as well can hardly be better on average; where several elements look alike and one
prior knowledge counts, a network may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.independent.gem_set import (
    NAMES,
    Recording,
    continuum,
    film_photons,
    ground_photons,
    measured,
)
from benchmarks.independent.presets import energy_axis, read_preset
from numpy.typing import NDArray
from scipy.optimize import nnls

from napari_xrf.io.own.cube_files import read_truth
from napari_xrf.learning.evaluation.regression import score_regression
from napari_xrf.learning.sources.sets import SpectrumSet, read_set

_ROUNDS = 3  # of weighting by what was fitted before
_FLOOR = 0.3  # counts, so that empty channels weigh finitely


def attainable_counts(data: SpectrumSet, truth: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the net counts (N, K) that the fit finds in a set of ``benchmarks.independent.gem_set``."""
    preset = read_preset("gem")
    counts: Any = np.asarray(data.cube.counts).reshape(len(data.targets["net_counts"]), -1)
    films = [film_photons(preset, element) for element in data.names]
    grounds = [None if name == "none" else ground_photons(preset, name) for name in NAMES]
    substrates = np.asarray(truth["substrates"]).ravel()
    found = np.zeros((len(counts), len(films)))
    for row, values in enumerate(np.asarray(truth["recordings"]).reshape(len(counts), -1)):
        recording = Recording(*map(float, values))
        clear = Recording(**{**vars(recording), "continuum": 0.0})
        ground = grounds[substrates[row]]
        parts = films if ground is None else [*films, ground]
        columns = [measured(preset, [(part, 1.0)], clear) for part in parts]
        columns.append(continuum(energy_axis(preset), recording.continuum_end))
        found[row] = _fit(np.array(columns).T, counts[row].astype(float))[: len(films)]
    return found


def attainable_rows(path: Path) -> dict[str, dict[str, float]]:
    """Return the rows of the tables of shares and of net counts, by the tables' titles."""
    data = read_set(path)
    truth = data.targets["net_counts"]
    found = attainable_counts(data, read_truth(path))
    total = np.maximum(np.asarray(data.cube.counts).reshape(len(truth), -1).sum(axis=1), 1)[:, np.newaxis]
    return {
        "Shares of the counts": score_regression(found / total, truth / total).as_row(),
        "Net counts": score_regression(found, truth).as_row(),
    }


def _fit(shapes: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return non-negative amounts, weighted by the Poisson errors of what they expect."""
    expected = counts + 1.0
    for _ in range(_ROUNDS):
        weight = 1 / np.sqrt(expected)
        amounts, _ = nnls(shapes * weight[:, np.newaxis], counts * weight)
        expected = shapes @ amounts + _FLOOR
    return np.asarray(amounts)
