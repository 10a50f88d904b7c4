"""The task "minerals": one class of many, or none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_xrf.core.label_map import LEAST_PROBABILITY
from napari_xrf.learning.description import ModelDescription, ProbabilityCalibration
from napari_xrf.learning.evaluation.class_scores import ClassScores, score_classes, score_segmentation
from napari_xrf.learning.evaluation.presence_scores import rank_area
from napari_xrf.learning.evaluation.probability_calibration import fit_temperature, reliability_curve
from napari_xrf.learning.evaluation.results import Assessment, FigureTable
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.prediction.answer_sets import answer_sets, fit_set_level
from napari_xrf.learning.tasks.task import Baseline, Targets, Task, Tensors, wanted

if TYPE_CHECKING:
    from torch import Tensor


_DECADES = (0, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, np.inf)
_FEWEST = 30  # spectra of a range of counts


def losses(outputs: Tensors, targets: Tensors, presence_weight: float) -> list[Tensor]:
    """Return the cross-entropy of the classes."""
    from torch.nn import functional

    return [functional.cross_entropy(outputs["minerals"], wanted(targets, "label"), reduction="none")]


def validation_figures(outputs: Tensors, targets: Tensors) -> dict[str, float]:
    """Return the part of known minerals, and of strangers, that get their class."""
    logits, label = outputs["minerals"].cpu().numpy(), targets["label"].cpu().numpy()
    right, known = logits.argmax(axis=1) == label, label < logits.shape[1] - 1
    return {
        "accuracy": float(right[known].mean()) if known.any() else 0.0,
        "unknown_found": float(right[~known].mean()) if (~known).any() else 0.0,
    }


def fit_calibration(outputs: Tensors, targets: Tensors) -> ProbabilityCalibration:
    """Return the temperature, and the level of sets of names."""
    logits, label = outputs["minerals"].cpu().numpy(), targets["label"].cpu().numpy()
    temperature = fit_temperature(logits, label, "minerals")
    level = fit_set_level(softmax(logits.astype(np.float64) / temperature, axis=1), label)
    return ProbabilityCalibration(temperature, set_level=level)


def decide_classes(
    probability: NDArray[np.float32], unknown: NDArray[np.float32], least: float = LEAST_PROBABILITY
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
    """Return class, confidence and most probable known class of probabilities (…, K) and of "unknown" (…).

    A spectrum is unknown, class K, where that is most probable or no class reaches the least probability.
    """
    best = probability.argmax(axis=-1)
    highest = np.take_along_axis(probability, best[..., None], axis=-1)[..., 0]
    lost = (unknown > highest) | (highest < least)
    classes = np.where(lost, probability.shape[-1], best).astype(np.intp)
    return classes, np.where(lost, np.maximum(unknown, 1 - highest), highest), best


def decide(description: ModelDescription, said: SpectrumPredictions) -> SpectrumPredictions:
    """Return predictions with the class of each spectrum."""
    if said.probability is None or said.unknown is None:
        return said
    classes, confidence, best = decide_classes(said.probability, said.unknown)
    return replace(said, classes=classes, confidence=confidence, best=best)


def assess(
    description: ModelDescription, methods: Mapping[str, SpectrumPredictions], sample: Sample
) -> Assessment:
    """Judge a model's minerals beside the Poisson-likelihood classifier on the same spectra."""
    own = methods[description.name]
    label = np.asarray(sample.targets["label"])
    known = np.flatnonzero((label >= 0) & (own.counts > 0))
    unknown, truth = len(description.names), label[known]
    given = {name: said.given("classes") for name, said in methods.items()}
    scores = {name: score_classes(each[known], truth, unknown) for name, each in given.items()}
    rows = {
        name: {**scores[name].as_row(), "auroc of unknown": _area_of_unknown(said, known, truth == unknown)}
        for name, said in methods.items()
    }
    forced = score_classes(own.given("best")[known], truth, unknown)
    rows[f"{description.name}, never unknown"] = {"accuracy": forced.accuracy}
    tables = [FigureTable("Minerals", rows), _by_counts(given, label, own.counts, unknown)]
    if sample.is_map:
        tables.append(_segmentation(given, sample, unknown))
    if description.conditions and description.calibration.set_level is not None:
        tables.append(FigureTable("Sets of names", {description.name: _sets(description, own, known, truth)}))
    labels = (*description.names, "unknown")
    tables.append(_each_class(labels, scores, truth))
    worst = scores[description.name].worst_pairs(description.names)
    told = "; ".join(f"{true} as {taken} ({number})" for true, taken, number in worst)
    return Assessment(
        tables=tuple(tables),
        reliability=reliability_curve(
            own.given("confidence")[known], given[description.name][known] == truth
        ),
        confusion=scores[description.name].confusion,
        classes=labels,
        notes=(f"most frequent confusions: {told}",) if worst else (),
    )


def score(said: SpectrumPredictions, targets: Targets) -> float:
    """Return the accuracy of known minerals."""
    return score_classes(said.given("classes"), targets["label"], said.given("probability").shape[1]).accuracy


def _area_of_unknown(said: SpectrumPredictions, known: NDArray[np.intp], strange: NDArray[np.bool_]) -> float:
    # An infinite misfit is a rank like any other.
    doubt = said.given("unknown")[known].astype(np.float64)
    return rank_area(np.nan_to_num(doubt, posinf=1e30), strange)


def _sets(
    description: ModelDescription, own: SpectrumPredictions, known: NDArray[np.intp], truth: NDArray[Any]
) -> dict[str, float]:
    """Return in what part of the spectra the set of answers holds the true one, and how many it names."""
    every = np.column_stack([own.given("probability"), own.given("unknown")])[known]
    sets = answer_sets(every, description.calibration.set_level or 0.0)
    length = sets.sum(axis=1)
    return {
        "coverage": float(np.take_along_axis(sets, truth[:, None], axis=1).mean()),
        "answers, mean": float(length.mean()),
        "answers, median": float(np.median(length)),
        "one answer": float((length == 1).mean()),
    }


def _by_counts(
    given: Mapping[str, NDArray[Any]], label: NDArray[Any], counts: NDArray[Any], unknown: int
) -> FigureTable:
    """Accuracy of known minerals in ranges of counts."""
    rows: dict[str, dict[str, float]] = {name: {} for name in given}
    for low, high in pairwise(_DECADES):
        part = (counts > low) & (counts <= high) & (label >= 0) & (label < unknown)
        if part.sum() < _FEWEST:
            continue
        title = f"{low:.0f}–{high:.0f}" if np.isfinite(high) else f"above {low:.0f}"
        for name, each in given.items():
            rows[name][title] = float((each[part] == label[part]).mean())
    return FigureTable("Accuracy by counts of the spectrum", rows)


def _segmentation(given: Mapping[str, NDArray[Any]], sample: Sample, unknown: int) -> FigureTable:
    shape = sample.cube.map_shape
    truth = np.asarray(sample.targets["label"]).reshape(shape)
    truth = np.where(truth == unknown, -1, truth)
    purity = sample.targets.get("purity")
    # Of abundances only the largest counts here.
    mixed = None if purity is None else np.asarray(purity).reshape(*shape, 1)
    rows = {name: score_segmentation(each.reshape(shape), truth, mixed) for name, each in given.items()}
    return FigureTable("Pixels of the map", rows)


def _each_class(
    labels: tuple[str, ...], scores: Mapping[str, ClassScores], truth: NDArray[Any]
) -> FigureTable:
    number = np.bincount(truth, minlength=len(labels))
    rows: dict[str, dict[str, float]] = {}
    for column, name in enumerate(labels):
        row = {"spectra": float(number[column])}
        for method, each in scores.items():
            row[f"precision, {method}"] = float(each.precision[column])
            row[f"recall, {method}"] = float(each.recall[column])
            row[f"f1, {method}"] = float(each.f1[column])
        if number[column]:
            rows[name] = row
    return FigureTable("Each class", rows)


TASK = Task(
    name="minerals",
    does="names the mineral of a spectrum, or says that it is none of its classes",
    fails=(
        "Minerals that are none of its classes may be taken for one; docs/networks.md tells how often. "
        "One that learnt one instrument knows no other excitation. Metals whose oxides look the same are "
        "called by those. Thin grains over a host, and pixels that see several minerals, are called by what "
        "dominates."
    ),
    losses=losses,
    validation_figures=validation_figures,
    fit_calibration=fit_calibration,
    decide=decide,
    assess=assess,
    baseline=Baseline("likelihood", "mineral_fit"),
    figure="accuracy",
    score=score,
)
