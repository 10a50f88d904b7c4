"""The task "elements": which elements are in a spectrum, and the net counts of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from napari_xrf.learning.description import ModelDescription, ProbabilityCalibration
from napari_xrf.learning.evaluation.presence_scores import PresenceScores, score_presence
from napari_xrf.learning.evaluation.probability_calibration import reliability_curve
from napari_xrf.learning.evaluation.regression import RegressionScores, score_regression
from napari_xrf.learning.evaluation.results import Assessment, FigureTable
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.tasks.presence import (
    decide_presence,
    fit_presence_calibration,
    presence_figures,
    presence_loss,
)
from napari_xrf.learning.tasks.task import Baseline, Targets, Task, Tensors, wanted

if TYPE_CHECKING:
    from torch import Tensor


_PRECISION = 0.95  # that the thresholds aim at
_SHARE_WEIGHT = 100.0  # squares of shares are small numbers beside entropies
_FIT_SPECTRA = 1500


def losses(outputs: Tensors, targets: Tensors, presence_weight: float) -> list[Tensor]:
    """Return the entropy of presence and the squared distance of the shares of the counts."""
    # Squares, not distances: where gold cannot be told from mercury, the mean of both is wanted.
    # Distances ask for the median, which is nought there, and learn far slower.
    presence = presence_loss(outputs, targets, presence_weight)
    distance = (outputs["intensity"] - wanted(targets, "share")) ** 2
    return [presence, _SHARE_WEIGHT * distance.mean(dim=1)]


def validation_figures(outputs: Tensors, targets: Tensors) -> dict[str, float]:
    """Return the figures of presence, and R² and error of the shares of the counts."""
    predicted, share = outputs["intensity"].cpu().numpy(), targets["share"].cpu().numpy()
    spread = ((share - share.mean(axis=0)) ** 2).sum(axis=0)
    r2 = 1 - ((predicted - share) ** 2).sum(axis=0) / np.maximum(spread, 1e-12)
    # The share's error is what the errors of element maps go by.
    error = float(np.sqrt(((predicted - share) ** 2).mean()))
    return {**presence_figures(outputs, targets), "r2": float(r2.mean()), "share_error": error}


def fit_calibration(outputs: Tensors, targets: Tensors) -> ProbabilityCalibration:
    """Return the temperature, and a threshold for each element."""
    return fit_presence_calibration(outputs, targets, _PRECISION, shared=False)


def assess(
    description: ModelDescription, methods: Mapping[str, SpectrumPredictions], sample: Sample
) -> Assessment:
    """Judge a model's elements and counts beside a plain fit."""
    own, truth = methods[description.name], sample.targets
    total = np.maximum(np.asarray(own.counts, dtype=np.float64), 1.0)[:, np.newaxis]
    presence: dict[str, PresenceScores] = {}
    counts: dict[str, RegressionScores] = {}
    shares: dict[str, RegressionScores] = {}
    for name, said in methods.items():
        part = slice(said.size)
        probability, present = said.given("probability"), said.given("present")
        presence[name] = score_presence(probability, present, truth["presence"][part])
        if said.intensity is not None and "net_counts" in truth:
            net_counts = truth["net_counts"][part]
            counts[name] = score_regression(said.intensity, net_counts)
            shares[name] = score_regression(said.intensity / total[part], net_counts / total[part])
    tables = [
        FigureTable(title, {name: each.as_row() for name, each in scores.items()})
        for title, scores in (
            ("Shares of the counts", shares),
            ("Net counts", counts),
            ("Presence of elements", presence),
        )
        if scores
    ]
    tables.append(_each_element(description, presence, shares))
    return Assessment(
        tables=tuple(tables), reliability=reliability_curve(own.given("probability"), truth["presence"])
    )


def score(said: SpectrumPredictions, targets: Targets) -> float:
    """Return the mean R² of the shares of the counts."""
    total = np.maximum(said.counts, 1.0)[:, np.newaxis]
    return score_regression(said.given("intensity") / total, targets["net_counts"] / total).r2_uniform


def _each_element(
    description: ModelDescription,
    presence: Mapping[str, PresenceScores],
    shares: Mapping[str, RegressionScores],
) -> FigureTable:
    rows: dict[str, dict[str, float]] = {}
    for column, element in enumerate(description.names):
        row = {"occurrences": float(presence[description.name].occurrences[column])}
        for method, scores in presence.items():
            row[f"f1, {method}"] = float(scores.f1[column])
            row[f"auroc, {method}"] = float(scores.area[column])
        for method, each in shares.items():
            row[f"r2, {method}"] = float(each.r2[column])
            row[f"rmse of share, {method}"] = float(each.rmse[column])
        if row["occurrences"]:
            rows[element] = row
    return FigureTable("Each element", rows)


TASK = Task(
    name="elements",
    does="tells which elements are in a spectrum, and the net counts of each",
    fails=(
        "One that learnt mixtures on thin substrates knows nothing of elements that absorb each other in "
        "thick samples. Elements that are not among its names are taken for their neighbours. In pure "
        "plates with millions of counts it names traces that may be the detector's or the holder's: Si, Al."
    ),
    losses=losses,
    validation_figures=validation_figures,
    fit_calibration=fit_calibration,
    decide=decide_presence,
    assess=assess,
    baseline=Baseline("plain fit", "element_fit", _FIT_SPECTRA),
    figure="r2",
    score=score,
)
