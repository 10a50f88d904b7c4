"""Judging a model: its figures on spectra whose truth is known, beside methods without learning."""

from dataclasses import fields

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.evaluation.out_of_distribution import score_out_of_distribution
from napari_xrf.learning.evaluation.regression import score_reconstruction
from napari_xrf.learning.evaluation.results import Assessment, Evaluation, FigureTable, RobustnessCurve
from napari_xrf.learning.evaluation.robustness import robustness_curves
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.evaluation.sampling import HELD_OUT, make_sample, predict_sample
from napari_xrf.learning.evaluation.speed import measure_speed
from napari_xrf.learning.model import Model
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.sources.sets import SpectrumSet
from napari_xrf.learning.tasks.task import Task, task_of

_SPEED_SPECTRA = 4096
_STRANGE_SPECTRA = 2000


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

    Raises InvalidInput when data and model do not fit each other, or the model's own source cannot be made
    again.

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
        Of what is drawn: those spectra, and those that curves, out-of-distribution kinds and baselines need.
    curves
        Whether figures against counts and distortions, and the AUROC of out-of-distribution spectra, are
        computed too.
    baselines
        Whether the plain fit or the likelihood classifier is run on the same spectra. It takes minutes.
    """
    description = model.description
    task = task_of(description.task)
    sample = make_sample(model, data, size, seed, progress)
    said = predict_sample(
        model,
        sample.cube,
        every_output="spectrum" in description.outputs,
        calibrate=sample.is_map,
        conditions=sample.conditions,
        device=device,
        progress=progress,
    )
    methods, notes = {description.name: said}, list(sample.notes)
    if baselines and task.baseline is not None:
        notes += _add_baseline(methods, task, model, sample, seed, progress)
    found = task.assess(description, methods, sample)
    notes += found.notes
    tables = [*found.tables]
    if said.spectrum is not None:
        tables.append(_reconstruction(model, said, sample))
    if not tables:
        raise InvalidInput(f"{description.name} gives nothing that can be judged")
    drawn: tuple[RobustnessCurve, ...] = ()
    if curves and task.score is not None:
        try:
            rows = score_out_of_distribution(
                model, size=min(size, _STRANGE_SPECTRA), seed=seed, device=device, progress=progress
            )
            tables.append(
                FigureTable("Out-of-distribution spectra against those of the training's kind", rows)
            )
            drawn = robustness_curves(model, seed=seed, device=device, progress=progress)
        except InvalidInput as error:
            notes.append(f"no curves: {error}")
    speed = measure_speed(model, sample.first(_SPEED_SPECTRA).cube, device=device)
    tables.append(FigureTable("Speed on this machine", {description.name: speed}))
    return Evaluation(
        model=description.name,
        task=description.task,
        data=sample.source or HELD_OUT,
        spectra=sample.size,
        curves=drawn,
        **{each.name: getattr(found, each.name) for each in fields(Assessment)}
        | {"tables": tuple(tables), "notes": tuple(notes)},
    )


def _add_baseline(
    methods: dict[str, SpectrumPredictions],
    task: Task,
    model: Model,
    sample: Sample,
    seed: int,
    progress: Progress,
) -> list[str]:
    """Add what a task's baseline says, if it can, and return what the user should know of it."""
    baseline = task.baseline
    assert baseline is not None
    part = sample.first(baseline.spectra or sample.size)
    try:
        methods[baseline.name] = baseline.predict_sample(model.description, part, seed, progress)
    except InvalidInput as error:
        return [f"no {baseline.name}: {error}"]
    return (
        [f"the {baseline.name} was judged on the first {part.size} spectra"]
        if part.size < sample.size
        else []
    )


def _reconstruction(model: Model, said: SpectrumPredictions, sample: Sample) -> FigureTable:
    counts = rebin_counts(sample.spectra, sample.cube.energy, model.description.axis)
    row = score_reconstruction(said.given("spectrum"), counts)
    return FigureTable("Reconstructed spectra", {model.description.name: row})
