"""What a task is made of, and the tasks by name. No torch until a loss is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress
from napari_xrf.learning.description import ModelDescription, ProbabilityCalibration, TaskName
from napari_xrf.learning.evaluation.results import Assessment
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions

if TYPE_CHECKING:
    from torch import Tensor

_SPECTRUM_WEIGHT = 5.0

Tensors = Mapping[str, "Tensor"]
Targets = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Baseline:
    """A method without learning, beside which models of a task are judged."""

    name: str  # "plain fit"
    module: str  # of evaluation, whose predict_sample runs it
    spectra: int | None = None  # the first ones of a sample, of which it is asked; None: all

    def predict_sample(
        self, description: ModelDescription, sample: Sample, seed: int, progress: Progress
    ) -> SpectrumPredictions:
        """Return what it says of a sample of a model's names.

        Raises InvalidInput when the sample, or what the model was trained on, does not allow it.
        """
        run = import_module(f"napari_xrf.learning.evaluation.{self.module}").predict_sample
        return run(description, sample, seed, progress)


@dataclass(frozen=True)
class Task:
    """What a network learns to tell; outputs and targets as in Model and LabelledSpectra."""

    name: TaskName  # "lines"
    # does, fails: what a network of it does, and where it goes wrong, as model cards say
    does: str
    fails: str
    # (outputs, targets, presence_weight) → parts of the loss, (N,) each
    losses: Callable[[Tensors, Tensors, float], list[Tensor]]
    # (outputs, targets) → figures by which an epoch is judged
    validation_figures: Callable[[Tensors, Tensors], dict[str, float]]
    # (outputs, targets) → temperature and thresholds that held-out spectra ask for
    fit_calibration: Callable[[Tensors, Tensors], ProbabilityCalibration]
    # (description, predictions) → the predictions with what follows from the probabilities
    decide: Callable[[ModelDescription, SpectrumPredictions], SpectrumPredictions]
    # (description, methods, sample) → figures of the model and of the baseline, by their names
    assess: Callable[[ModelDescription, Mapping[str, SpectrumPredictions], Sample], Assessment]
    baseline: Baseline | None = None  # what must be beaten
    # figure, score: name of the one figure that curves show, and (predictions, targets) → its value
    figure: str = ""
    score: Callable[[SpectrumPredictions, Targets], float] | None = None


def task_of(name: TaskName) -> Task:
    """Return a task by name: the ``TASK`` of its file in this folder."""
    return import_module(f"napari_xrf.learning.tasks.{name}").TASK


def loss_of(
    name: TaskName, outputs: Tensors, targets: Tensors, inputs: Tensor, presence_weight: float = 1.0
) -> Tensor:
    """Return the loss of each spectrum, (N,): the task's, and what the network adds.

    A reconstructed spectrum adds its mean squared distance from the inputs, and a network's own ``penalty``
    is added.

    ``presence_weight``: of the entropy of presence; 0 leaves a network to its reconstruction. Raises
    InvalidInput when a target that the task needs is missing.
    """
    import torch

    parts = task_of(name).losses(outputs, targets, presence_weight)
    if "spectrum" in outputs:
        parts.append(_SPECTRUM_WEIGHT * ((outputs["spectrum"] - inputs) ** 2).mean(dim=1))
    if "penalty" in outputs:
        parts.append(outputs["penalty"])
    return torch.stack(parts).sum(dim=0)


def validation_figures(name: TaskName, outputs: Tensors, targets: Tensors) -> dict[str, float]:
    """Return a few figures by which an epoch is judged."""
    figures = task_of(name).validation_figures(outputs, targets)
    if "spectrum" in outputs:
        distance = (outputs["spectrum"] - targets["inputs"]) ** 2
        figures["reconstruction_error"] = float(distance.mean())
    return figures


def wanted(targets: Tensors, name: str) -> Tensor:
    """Return what a network is to give.

    Raises InvalidInput when the spectra do not have it.
    """
    if name not in targets:
        raise InvalidInput(f"the spectra have no {name!r} to learn from")
    return targets[name]
