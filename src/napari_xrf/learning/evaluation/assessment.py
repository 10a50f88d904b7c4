"""Judging a model: its figures on spectra whose truth is known, beside methods without learning."""

from __future__ import annotations

from collections.abc import Callable

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.evaluation.curves import Curve, robustness_curves
from napari_xrf.learning.evaluation.element_assessment import assess_elements
from napari_xrf.learning.evaluation.line_assessment import assess_lines
from napari_xrf.learning.evaluation.mineral_assessment import assess_minerals
from napari_xrf.learning.evaluation.reconstruction import score_reconstruction
from napari_xrf.learning.evaluation.report import Assessed, Evaluation, Table
from napari_xrf.learning.evaluation.speed import measure_speed
from napari_xrf.learning.evaluation.statements import HELD_OUT, Sample, Statements, make_sample, state
from napari_xrf.learning.evaluation.unfamiliar import score_unfamiliar
from napari_xrf.learning.model import Model
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.sources.sets import SpectrumSet

_CURVED = ("lines", "elements", "minerals")
_SPEED_SPECTRA = 4096


def evaluate(
    model: Model,
    data: SpectrumSet | None = None,
    *,
    size: int = 4000,
    seed: int = 0,
    curves: bool = False,
    baselines: bool = True,
    device: str = "auto",
    progress: Progress = ignore_progress,
) -> Evaluation:
    """Judge a model.

    Parameters
    ----------
    model
        Any model.
    data
        A file with its truth (:func:`~napari_xrf.learning.sources.sets.read_set`); None: spectra of the
        model's own source that no training sees.
    size
        Spectra of its own source.
    seed
        Of what is drawn: those spectra, and those that curves, unfamiliar kinds and baselines need.
    curves
        Whether figures against counts and distortions, and the AUROC of unfamiliar spectra, are computed too.
    baselines
        Whether the plain fit or the likelihood classifier is run on the same spectra. It takes minutes.

    Raises
    ------
    InvalidInput
        When data and model do not fit each other, or the model's own source cannot be made again.
    """
    description = model.description
    sample = make_sample(model, data, size, seed, progress)
    said = state(
        model,
        sample.cube,
        every_output="spectrum" in description.outputs,
        calibrate=sample.is_map,
        device=device,
        progress=progress,
    )
    assess: Callable[..., Assessed] = {
        "lines": assess_lines,
        "elements": assess_elements,
        "minerals": assess_minerals,
    }.get(description.task, _assess_spectra)
    found = assess(model, said, sample, seed=seed, baselines=baselines, progress=progress)
    tables = list(found.tables)
    if said.spectrum is not None and description.task != "spectra":
        tables += _assess_spectra(model, said, sample).tables
    drawn: tuple[Curve, ...] = ()
    notes = [*sample.notes, *found.notes]
    if curves and description.task in _CURVED:
        try:
            strange = score_unfamiliar(
                model, size=min(size, 2000), seed=seed, device=device, progress=progress
            )
            rows = {name: each.as_row() for name, each in strange.items()}
            tables.append(Table("Unfamiliar spectra against those of the training's kind", rows))
            drawn = robustness_curves(model, seed=seed, device=device, progress=progress)
        except InvalidInput as error:
            notes.append(f"no curves: {error}")
    speed = measure_speed(model, sample.first(_SPEED_SPECTRA).cube, device=device)
    tables.append(Table("Speed on this machine", {description.name: speed.as_row()}))
    return Evaluation(
        model=description.name,
        task=description.task,
        data=sample.source or HELD_OUT,
        spectra=sample.size,
        tables=tuple(tables),
        reliability=found.reliability,
        confusion=found.confusion,
        classes=found.classes,
        curves=drawn,
        notes=tuple(notes),
    )


def _assess_spectra(
    model: Model,
    said: Statements,
    sample: Sample,
    *,
    seed: int = 0,
    baselines: bool = False,
    progress: Progress = ignore_progress,
) -> Assessed:
    """Judge the spectra that a model gives back."""
    if said.spectrum is None:
        raise InvalidInput(f"{model.description.name} gives nothing that can be judged")
    counts = rebin_counts(sample.spectra, sample.cube.energy, model.description.axis)
    row = score_reconstruction(said.spectrum, counts)
    return Assessed((Table("Reconstructed spectra", {model.description.name: row}),))
