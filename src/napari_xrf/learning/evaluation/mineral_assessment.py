"""Judging models of minerals."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.classes import ClassScores, score_classes
from napari_xrf.learning.evaluation.mineral_fit import classify_by_likelihood
from napari_xrf.learning.evaluation.ranking import rank_area
from napari_xrf.learning.evaluation.reliability import reliability_curve
from napari_xrf.learning.evaluation.report import Assessed, Table
from napari_xrf.learning.evaluation.segmentation import score_segmentation
from napari_xrf.learning.evaluation.statements import Sample, Statements
from napari_xrf.learning.model import Model
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.synthesis.excitation import excitation_of

_DECADES = (0, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, np.inf)
_FEWEST = 30  # spectra of a range of counts


def assess_minerals(
    model: Model,
    said: Statements,
    sample: Sample,
    *,
    seed: int = 0,
    baselines: bool = True,
    progress: Progress = ignore_progress,
) -> Assessed:
    """Judge a model's minerals beside the Poisson-likelihood classifier on the same spectra.

    A spectrum is given "unknown" where that is most probable or no class reaches one half, as in label maps.
    """
    description = model.description
    if said.classes is None or said.unknown is None or said.confidence is None or said.best is None:
        raise InvalidInput(f"{description.name} names no minerals")
    label = np.asarray(sample.targets["label"])
    known = np.flatnonzero((label >= 0) & (said.counts > 0))
    unknown = len(description.names)
    truth = label[known]
    given: dict[str, NDArray[Any]] = {description.name: said.classes}
    doubts: dict[str, NDArray[Any]] = {description.name: said.unknown}
    notes = []
    if baselines:
        try:
            given["likelihood"], doubts["likelihood"] = _by_likelihood(description, sample, progress)
        except InvalidInput as error:
            notes.append(f"no likelihood classifier: {error}")
    scores = {name: score_classes(each[known], truth, unknown) for name, each in given.items()}
    rows = {name: _row(scores[name], truth, doubts[name][known], unknown) for name in given}
    forced = score_classes(said.best[known], truth, unknown)
    rows[f"{description.name}, never unknown"] = {"accuracy": forced.accuracy}
    tables = [Table("Minerals", rows), _by_counts(given, label, said.counts, unknown)]
    if sample.is_map:
        tables.append(_segmentation(given, sample, unknown))
    own = scores[description.name]
    tables.append(_each_class(description, scores, truth))
    pairs = own.worst_pairs(description.names)
    if pairs:
        told = "; ".join(f"{true} as {taken} ({number})" for true, taken, number in pairs)
        notes.append(f"most frequent confusions: {told}")
    right = said.classes[known] == truth
    return Assessed(
        tuple(tables),
        reliability_curve(said.confidence[known], right),
        own.confusion,
        (*description.names, "unknown"),
        tuple(notes),
    )


def _by_likelihood(
    description: ModelDescription, sample: Sample, progress: Progress
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    options = dict(dict(description.training.get("source", {})).get("options", {}))
    excitation = sample.cube.excitation
    if excitation == Excitation():
        excitation = excitation_of(load_instrument(str(options.get("instrument", "m4-tornado"))))
    return classify_by_likelihood(
        sample.spectra,
        sample.cube.energy,
        excitation,
        description.names,
        options.get("library"),
        progress,
    )


def _row(scores: ClassScores, truth: NDArray[Any], doubt: NDArray[Any], unknown: int) -> dict[str, float]:
    strange = truth == unknown
    row = scores.as_row()
    # An infinite misfit is a rank like any other.
    finite = np.nan_to_num(doubt.astype(np.float64), posinf=1e30)
    row["auroc of unknown"] = rank_area(finite, strange)
    return row


def _by_counts(
    given: Mapping[str, NDArray[Any]], label: NDArray[Any], counts: NDArray[Any], unknown: int
) -> Table:
    """Accuracy of known minerals in ranges of counts."""
    rows: dict[str, dict[str, float]] = {name: {} for name in given}
    for low, high in pairwise(_DECADES):
        part = (counts > low) & (counts <= high) & (label >= 0) & (label < unknown)
        if part.sum() < _FEWEST:
            continue
        for name, each in given.items():
            title = f"{low:.0f}–{high:.0f}" if np.isfinite(high) else f"above {low:.0f}"
            rows[name][title] = float((each[part] == label[part]).mean())
    return Table("Accuracy by counts of the spectrum", rows)


def _segmentation(given: Mapping[str, NDArray[Any]], sample: Sample, unknown: int) -> Table:
    shape = sample.cube.map_shape
    truth = np.asarray(sample.targets["label"]).reshape(shape)
    truth = np.where(truth == unknown, -1, truth)
    purity = sample.targets.get("purity")
    # Of abundances only the largest counts here.
    mixed = None if purity is None else np.asarray(purity).reshape(*shape, 1)
    rows = {
        name: score_segmentation(each.reshape(shape), truth, mixed).as_row() for name, each in given.items()
    }
    return Table("Pixels of the map", rows)


def _each_class(
    description: ModelDescription, scores: Mapping[str, ClassScores], truth: NDArray[Any]
) -> Table:
    number = np.bincount(truth, minlength=len(description.names) + 1)
    rows: dict[str, dict[str, float]] = {}
    for column, name in enumerate((*description.names, "unknown")):
        if not number[column]:
            continue
        row = {"spectra": float(number[column])}
        for method, each in scores.items():
            row[f"precision, {method}"] = float(each.precision[column])
            row[f"recall, {method}"] = float(each.recall[column])
            row[f"f1, {method}"] = float(each.f1[column])
        rows[name] = row
    return Table("Each class", rows)
