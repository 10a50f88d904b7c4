"""Judging models of emission lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.evaluation.attainable import attainable_scores
from napari_xrf.learning.evaluation.line_fit import amounts_of_lines, fit_line_spectra
from napari_xrf.learning.evaluation.lines import LineScores, score_line_sets
from napari_xrf.learning.evaluation.monosemanticity import measure_monosemanticity
from napari_xrf.learning.evaluation.non_negative_fit import fit_presence_scale
from napari_xrf.learning.evaluation.reliability import reliability_curve
from napari_xrf.learning.evaluation.report import Assessed, Table
from napari_xrf.learning.evaluation.statements import Sample, Statements, draw_sample, source_of
from napari_xrf.learning.model import Model
from napari_xrf.synthesis.line_basis import BASIS_AXIS, line_basis, line_elements

FIT_SPECTRA = 600  # the plain fit takes some hundredths of a second for each
FIT_VALIDATION = 300


def assess_lines(
    model: Model,
    said: Statements,
    sample: Sample,
    *,
    seed: int = 0,
    baselines: bool = True,
    progress: Progress = ignore_progress,
) -> Assessed:
    """Judge a model's lines beside a plain fit and what can be attained.

    The plain fit sees the first 600 spectra. How its amounts become probabilities, and its threshold, are
    fitted on 300 other spectra of the model's own source.
    """
    description, targets = model.description, sample.targets
    if said.probability is None or said.named is None:
        raise InvalidInput(f"{description.name} names no lines")
    present, visible = targets["presence"], targets.get("visible")
    methods = {
        description.name: score_line_sets(description.names, said.probability, said.named, present, visible)
    }
    notes = []
    if baselines and _is_basis(description.names) and sample.cube.energy == BASIS_AXIS:
        part = sample.first(FIT_SPECTRA)
        probability, named = fit_lines(model, part, seed, progress)
        methods["plain fit"] = score_line_sets(
            description.names,
            probability,
            named,
            part.targets["presence"],
            part.targets.get("visible"),
        )
        if part.size < sample.size:
            notes.append(f"the plain fit was judged on the first {part.size} spectra")
    elif baselines:
        notes.append("the plain fit needs the 556 lines of the basis and their axis")
    if visible is not None:
        methods["attainable (estimate)"] = attainable_scores(description.names, present, visible)
    tables = _tables(methods)
    if said.code is not None and said.code.shape == present.shape:
        named_units = "anchored" not in description.network or bool(description.network["anchored"])
        units = measure_monosemanticity(said.code, present, visible, named=named_units)
        tables.append(Table("Units of the code", {description.name: units.as_row()}))
    curve = reliability_curve(said.probability, present)
    return Assessed(tuple(tables), reliability=curve, notes=tuple(notes))


def fit_lines(
    model: Model, sample: Sample, seed: int, progress: Progress = ignore_progress
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what the plain fit says of the 556 lines of N spectra: probabilities and decisions, (N, 556)."""
    from napari_xrf.learning.training import VALIDATION

    learnt = draw_sample(source_of(model.description), FIT_VALIDATION, seed, stream=VALIDATION)
    elements = np.zeros((learnt.size, line_elements().max() + 1))
    elements[:, line_elements()] = learnt.targets["presence"]
    scale = fit_presence_scale(fit_line_spectra(learnt.spectra, BASIS_AXIS, progress), elements)
    amounts = fit_line_spectra(sample.spectra, BASIS_AXIS, progress)
    probability = amounts_of_lines(scale.probability(amounts))
    return probability, probability >= scale.threshold


def _is_basis(names: tuple[str, ...]) -> bool:
    return names == tuple(line.label for line in line_basis())


def _tables(methods: dict[str, dict[str, LineScores]]) -> list[Table]:
    sets = dict.fromkeys(name for each in methods.values() for name in each)
    return [
        Table(
            f"Presence of lines, {name}",
            {method: each[name].as_row() for method, each in methods.items() if name in each},
        )
        for name in sets
    ]
