"""The task "lines": which emission lines' elements are in a spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_xrf.learning.description import ModelDescription, ProbabilityCalibration
from napari_xrf.learning.evaluation.line_scores import attainable_scores, score_line_sets, score_lines
from napari_xrf.learning.evaluation.monosemanticity import measure_monosemanticity
from napari_xrf.learning.evaluation.probability_calibration import reliability_curve
from napari_xrf.learning.evaluation.results import Assessment, FigureTable
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.tasks.presence import (
    decide_presence,
    fit_presence_calibration,
    presence_figures,
    presence_loss,
)
from napari_xrf.learning.tasks.task import Baseline, Targets, Task, Tensors

if TYPE_CHECKING:
    from torch import Tensor


# One threshold for all lines, as those of an element stand or fall together; its aim lies above 0.95, so that
# other code's spectra keep 0.95.
_PRECISION = 0.965
_FIT_SPECTRA = 600  # the plain fit takes some hundredths of a second for each


def losses(outputs: Tensors, targets: Tensors, presence_weight: float) -> list[Tensor]:
    """Return the entropy of presence."""
    return [presence_loss(outputs, targets, presence_weight)]


def fit_calibration(outputs: Tensors, targets: Tensors) -> ProbabilityCalibration:
    """Return the temperature, and one threshold for all lines."""
    return fit_presence_calibration(outputs, targets, _PRECISION, shared=True)


def assess(
    description: ModelDescription, methods: Mapping[str, SpectrumPredictions], sample: Sample
) -> Assessment:
    """Judge a model's lines beside a plain fit and what can be attained."""
    own, present, visible = (
        methods[description.name],
        sample.targets["presence"],
        sample.targets.get("visible"),
    )
    scores = {
        name: score_line_sets(
            description.names,
            said.given("probability"),
            said.given("present"),
            present[: said.size],
            None if visible is None else visible[: said.size],
        )
        for name, said in methods.items()
    }
    if visible is not None:
        scores["attainable (estimate)"] = attainable_scores(description.names, present, visible)
    tables = [
        FigureTable(
            f"Presence of lines, {subset}",
            {method: each[subset] for method, each in scores.items() if subset in each},
        )
        for subset in dict.fromkeys(subset for each in scores.values() for subset in each)
    ]
    if own.code is not None and own.code.shape == present.shape:
        named = bool(description.network.get("anchored", True))
        units = measure_monosemanticity(own.code, present, visible, named=named)
        tables.append(FigureTable("Units of the code", {description.name: units.as_row()}))
    return Assessment(tables=tuple(tables), reliability=reliability_curve(own.given("probability"), present))


def score(said: SpectrumPredictions, targets: Targets) -> float:
    """Return the correlation of probabilities and labels."""
    return score_lines(said.given("probability"), said.given("present"), targets["presence"])["pearson"]


TASK = Task(
    name="lines",
    does="tells which emission lines' elements are in a spectrum",
    fails=(
        "A line's label says that its element is in the sample, so lines that no detector sees are named by "
        "their element's other lines. Spectra unlike the layers recipe's (thick samples with much scatter, "
        "electron excitation) are outside of what it has seen."
    ),
    losses=losses,
    validation_figures=presence_figures,
    fit_calibration=fit_calibration,
    decide=decide_presence,
    assess=assess,
    baseline=Baseline("plain fit", "line_fit", _FIT_SPECTRA),
    figure="pearson",
    score=score,
)
