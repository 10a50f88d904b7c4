"""Judging models of elements and their counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.element_fit import fit_element_spectra
from napari_xrf.learning.evaluation.non_negative_fit import FittedAmounts, fit_presence_scale
from napari_xrf.learning.evaluation.presence import PresenceScores, score_presence
from napari_xrf.learning.evaluation.regression import RegressionScores, score_regression
from napari_xrf.learning.evaluation.reliability import reliability_curve
from napari_xrf.learning.evaluation.report import Assessed, Table
from napari_xrf.learning.evaluation.statements import Sample, Statements, draw_sample, source_of
from napari_xrf.learning.model import Model
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.physics.instrument import load_instrument

FIT_SPECTRA = 1500
FIT_VALIDATION = 500


def assess_elements(
    model: Model,
    said: Statements,
    sample: Sample,
    *,
    seed: int = 0,
    baselines: bool = True,
    progress: Progress = ignore_progress,
) -> Assessed:
    """Judge a model's elements and counts beside a plain fit.

    The plain fit sees the first 1500 spectra on the model's axis. How its amounts become probabilities, and
    its threshold, are fitted on 500 other spectra of the model's own source.
    """
    description, truth = model.description, sample.targets
    if said.probability is None or said.named is None:
        raise InvalidInput(f"{description.name} names no elements")
    name = description.name
    presence = {name: score_presence(said.probability, said.named, truth["presence"])}
    counts, shares = {}, {}
    if said.intensity is not None and "net_counts" in truth:
        counts[name], shares[name] = _regressions(said.intensity, truth["net_counts"], said.counts)
    notes = []
    if baselines:
        part = sample.first(FIT_SPECTRA)
        try:
            fitted, probability, named = fit_elements(model, part, seed, progress)
        except InvalidInput as error:
            notes.append(f"no plain fit: {error}")
        else:
            presence["plain fit"] = score_presence(probability, named, part.targets["presence"])
            if "net_counts" in truth:
                counts["plain fit"], shares["plain fit"] = _regressions(
                    fitted.counts, part.targets["net_counts"], said.counts[: part.size]
                )
            if part.size < sample.size:
                notes.append(f"the plain fit was judged on the first {part.size} spectra")
    tables = [Table("Presence of elements", _rows(presence))]
    if counts:
        tables.insert(0, Table("Shares of the counts", _rows(shares)))
        tables.insert(1, Table("Net counts", _rows(counts)))
    tables.append(_each_element(description, presence, shares))
    curve = reliability_curve(said.probability, truth["presence"])
    return Assessed(tuple(tables), reliability=curve, notes=tuple(notes))


def fit_elements(
    model: Model, sample: Sample, seed: int, progress: Progress = ignore_progress
) -> tuple[FittedAmounts, NDArray[np.float64], NDArray[np.bool_]]:
    """Return what the plain fit says of N spectra: amounts, probabilities and decisions, (N, K).

    Raises
    ------
    InvalidInput
        When the model's instruments are unknown.
    """
    from napari_xrf.learning.training import VALIDATION

    description = model.description
    options = dict(description.training.get("source", {})).get("options", {})
    instruments = [load_instrument(str(name)) for name in options.get("instruments", ("gem",))]
    learnt = draw_sample(source_of(description), FIT_VALIDATION, seed, stream=VALIDATION)

    def fit(spectra: NDArray[Any], axis: Any) -> FittedAmounts:
        moved = rebin_counts(spectra, axis, description.axis)
        return fit_element_spectra(moved, description.axis, description.names, instruments, progress)

    scale = fit_presence_scale(fit(learnt.spectra, learnt.cube.energy), learnt.targets["presence"])
    fitted = fit(sample.spectra, sample.cube.energy)
    probability = scale.probability(fitted)
    return fitted, probability, probability >= scale.threshold


def _regressions(
    intensity: NDArray[Any], net_counts: NDArray[Any], counts: NDArray[Any]
) -> tuple[RegressionScores, RegressionScores]:
    """Return the scores of net counts, and of shares of all counts."""
    total = np.maximum(np.asarray(counts, dtype=np.float64), 1.0)[:, np.newaxis]
    return score_regression(intensity, net_counts), score_regression(intensity / total, net_counts / total)


def _rows(
    scores: Mapping[str, PresenceScores] | Mapping[str, RegressionScores],
) -> dict[str, dict[str, float]]:
    return {name: each.as_row() for name, each in scores.items()}


def _each_element(
    description: ModelDescription,
    presence: Mapping[str, PresenceScores],
    shares: Mapping[str, RegressionScores],
) -> Table:
    own = presence[description.name]
    rows: dict[str, dict[str, float]] = {}
    for column, element in enumerate(description.names):
        if not own.occurrences[column]:
            continue
        row = {"occurrences": float(own.occurrences[column])}
        for method, scores in presence.items():
            row[f"f1, {method}"] = float(scores.f1[column])
            row[f"auroc, {method}"] = float(scores.area[column])
        for method, each in shares.items():
            row[f"r2, {method}"] = float(each.r2[column])
            row[f"rmse of share, {method}"] = float(each.rmse[column])
        rows[element] = row
    return Table("Each element", rows)
