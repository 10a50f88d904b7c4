"""What the Train dock asks of the learning room, and the work itself for a worker thread. No Qt here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.atomic_write import held_folder, made_folder
from napari_xrf.learning.adaptation.options import AdaptationOptions
from napari_xrf.learning.painting.options import PaintingTraining
from napari_xrf.learning.recipe_variants import with_pixels
from napari_xrf.learning.training_recipes import TrainingRecipe

if TYPE_CHECKING:
    from napari_xrf.learning.adaptation.adaptation import AdaptationResult
    from napari_xrf.learning.training import Epoch
    from napari_xrf.learning.training_loop import TrainingStep
    from napari_xrf.learning.tuning.search import TuningResult

WEIGHTS, CHECKPOINT, PIXELS = "model.safetensors", "checkpoint.safetensors", "regions.h5"
_ADAPTATION_POINTS = 100  # of its curve
_MOST_FIGURES = 4

Tell = Callable[[str, Any], None]
"""Called in the worker: ("losses", [LossPoint]), ("loss", LossPoint), ("text", str), ("trial", report)."""


@dataclass(frozen=True)
class LossPoint:
    """The mean losses of one epoch, from 1 on; NaN where there is none."""

    epoch: int
    training: float
    validation: float


@dataclass(frozen=True, eq=False)
class OwnRegions:
    """A user's map, the labels of its pixels, and their share of the training spectra, above 0 to 1."""

    cube: SpectralCube
    labels: LabelMap
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """One training or search; the fields are arguments of :func:`~napari_xrf.learning.training.train`."""

    recipe: TrainingRecipe
    folder: Path
    seed: int = 0
    device: str = "auto"
    resume: bool = False
    regions: OwnRegions | None = None


@parameters
class SearchParameters:
    """How long is searched for hyper-parameters.

    Attributes
    ----------
    trials
        Trainings that are tried, those of an interrupted search in the same folder included.
    epochs
        Most epochs of each trial; the training that follows may have more.
    minutes
        After which no trial starts.
    figure
        What is compared: the validation loss, or a figure that the network's task has.
    """

    trials: Annotated[int, Limits(1, 10_000)] = 20
    epochs: Annotated[int, Limits(1, 100_000)] = 5
    minutes: Annotated[float | None, Limits(0.1, 100_000)] = None
    figure: Annotated[
        str, Choices(("loss", "pearson", "sensitivity", "precision", "r2", "accuracy", "unknown_found"))
    ] = "loss"


def folder_problem(folder: str, resume: bool) -> str:
    """Return why a training cannot go into a folder, or an empty text."""
    if not folder.strip():
        return "Choose an output folder"
    path = Path(folder).expanduser()
    if path.exists() and not path.is_dir():
        return f"{path} is a file: choose a folder"
    kept = any((path / name).is_file() for name in (WEIGHTS, CHECKPOINT))
    if kept and not resume:
        return f"{path} holds a training already: tick Resume, or choose another folder"
    if resume and not (path / CHECKPOINT).is_file():
        return f"{path} holds no training to resume"
    return ""


def run_training(plan: TrainingPlan, tell: Tell, progress: Progress = ignore_progress) -> Path:
    """Train and return the weights file.

    Raises InvalidInput when the labels do not fit the map or a class has too few pixels, and as the training
    does.
    """
    from napari_xrf.learning.checkpoints import has_checkpoint, read_checkpoint
    from napari_xrf.learning.registry import network_options
    from napari_xrf.learning.training import train

    # Before anything is computed.
    network_options(plan.recipe.architecture, dict(plan.recipe.network))
    recipe = _with_own_regions(plan, tell, progress)
    if plan.resume and has_checkpoint(plan.folder):
        history = read_checkpoint(plan.folder).values["history"]
        tell("losses", [_point(entry) for entry in history])

    def on_epoch(epoch: Epoch) -> None:
        tell("loss", LossPoint(epoch.number, epoch.training_loss, epoch.validation_loss))
        parts = (f"Epoch {epoch.number} of {epoch.total}", time_text(epoch.seconds_left))
        tell("text", "; ".join(filter(None, (*parts, figures_text(epoch.figures)))))

    train(
        recipe,
        seed=plan.seed,
        folder=plan.folder,
        resume=plan.resume,
        device=plan.device,
        progress=progress,
        on_epoch=on_epoch,
    )
    return plan.folder / WEIGHTS


def run_search(
    plan: TrainingPlan, search: SearchParameters, tell: Tell, progress: Progress = ignore_progress
) -> TuningResult:
    """Search for hyper-parameters of a recipe and return what was found; raises what the search does."""
    from napari_xrf.learning.tuning.search import tune

    recipe = _with_own_regions(plan, tell, progress)
    return tune(
        replace(recipe, options=replace(recipe.options, epochs=search.epochs)),
        plan.folder,
        trials=search.trials,
        timeout=None if search.minutes is None else 60 * search.minutes,
        seed=plan.seed,
        figure=search.figure,
        device=plan.device,
        progress=progress,
        on_trial=lambda report: tell("trial", report),
    )


def run_adaptation(
    name: str, cube: SpectralCube, folder: Path, options: AdaptationOptions, tell: Tell, **more: Any
) -> AdaptationResult:
    """Adapt a model, given by name or weights file, to a map, and write what came of it into a folder.

    ``more`` goes to :func:`~napari_xrf.learning.adaptation.adaptation.adapt`: ``seed``, ``device`` and
    ``progress``. Raises what that does, and FileError for a damaged model.
    """
    from napari_xrf.learning.adaptation.adaptation import adapt
    from napari_xrf.learning.weights import load_model

    every = max(1, options.steps // _ADAPTATION_POINTS)

    def on_step(step: TrainingStep) -> None:
        if step.number % every == 0 or step.number == step.total:
            tell("loss", LossPoint(step.number, step.losses["loss"], math.nan))
            tell("text", f"Step {step.number} of {step.total}")

    return adapt(load_model(name), cube, folder, options=options, on_step=on_step, **more)


def run_painting(
    options: PaintingTraining, folder: Path, seed: int, tell: Tell, progress: Progress = ignore_progress
) -> Path:
    """Train a painting generator, as ``napari-xrf train painting-generator`` does; returns its weights file.

    Raises InvalidInput when other work holds the folder, and as the training does.
    """
    from napari_xrf.learning.painting.files import write_painting_training
    from napari_xrf.learning.painting.training import train_painting_generator

    steps: list[TrainingStep] = []

    def on_step(step: TrainingStep) -> None:
        if not steps or steps[-1].phase != step.phase:
            tell("losses", [])  # the two networks' losses are no one curve
        steps.append(step)
        tell("loss", LossPoint(step.number, next(iter(step.losses.values())), math.nan))
        tell("text", f"{step.phase} network, step {step.number} of {step.total}; {figures_text(step.losses)}")

    with held_folder(folder, "training"):
        generator = train_painting_generator(options, seed=seed, progress=progress, on_step=on_step)
        return write_painting_training(folder, generator, steps)[0]


def figures_text(figures: Mapping[str, float]) -> str:
    """Return the first figures of an epoch as a line."""
    shown = list(figures.items())[:_MOST_FIGURES]
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in shown)


def time_text(seconds: float | None) -> str:
    """Return a duration as people say it; empty for None."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"


def _with_own_regions(plan: TrainingPlan, tell: Tell, progress: Progress) -> TrainingRecipe:
    """Return the plan's recipe, learning the user's regions where there are some.

    Their pixels are written into the folder, so that the training can be resumed and made again.
    """
    if plan.regions is None:
        return plan.recipe
    from napari_xrf.learning.sources.region_pixels import gather_pixels, write_pixels

    file = plan.folder / PIXELS
    if not (plan.resume and file.is_file()):
        pixels = gather_pixels(plan.regions.cube, plan.regions.labels, seed=plan.seed, progress=progress)
        made_folder(plan.folder)
        write_pixels(file, pixels, progress=progress)
        if pixels.notes:
            tell("text", "; ".join(pixels.notes))
    return with_pixels(plan.recipe, {"file": str(file.resolve())}, plan.regions.share)


def _point(entry: Mapping[str, Any]) -> LossPoint:
    return LossPoint(int(entry["epoch"]), float(entry["training_loss"]), float(entry["validation_loss"]))
