"""Training of networks on spectra that are made on the way: seeded, resumable, ended early."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_xrf.core.errors import InvalidInput, check_seed
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.atomic_write import held_folder, write_json
from napari_xrf.learning.checkpoints import (
    VALUES,
    Checkpoint,
    has_checkpoint,
    load_optimizer,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.model import Model, choose_device, network_inputs
from napari_xrf.learning.model_card import made_with, write_model_card
from napari_xrf.learning.networks.mineral_features import MineralFeatures
from napari_xrf.learning.networks.pca import Pca
from napari_xrf.learning.registry import architecture, build_network
from napari_xrf.learning.sources.source import Source, held_out, make_source
from napari_xrf.learning.tasks.task import loss_of, task_of, validation_figures
from napari_xrf.learning.training_loop import (
    ExponentialMovingAverage,
    copy_of,
    cosine,
    descend,
    run_steps,
    scale_rates,
)
from napari_xrf.learning.training_recipes import TrainingOptions, TrainingRecipe
from napari_xrf.learning.weights import load_model, save_model

# Streams of random numbers that never meet: training, validation, test, and weights.
TRAINING, VALIDATION, TEST, WEIGHTS = range(4)
_AT_ONCE = 1024  # held-out spectra that a network is asked about


@dataclass(frozen=True)
class Epoch:
    """How far a training is.

    Losses are means over the epoch's spectra, and over the held-out ones.
    """

    number: int  # from 1 on
    total: int  # most
    training_loss: float
    validation_loss: float
    figures: Mapping[str, float]  # what else was seen on the held-out spectra: "accuracy", …
    seconds: float  # since the start
    seconds_left: float  # estimated, until the last epoch
    best: bool  # no epoch had a lower validation loss


def train(
    recipe: TrainingRecipe,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    source: Source | None = None,
    progress: Progress = ignore_progress,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Model:
    """Train a network by a recipe and return it with thresholds and temperature fitted on held-out spectra.

    Every batch is drawn from random numbers of (seed, step), so the same seed gives the same weights on the
    same machine, and a training that was stopped goes on as if it had not been.

    Raises InvalidInput when a checkpoint belongs to another recipe or seed, the loss or a weight is no longer
    a number, or another training writes to the folder.

    ``seed``, ``folder``: as for :func:`napari_xrf.train`. ``resume``: whether to go on from the folder's
    checkpoint, if there is one: that of the last epoch. ``source``: in place of the recipe's own, for spectra
    that are in memory (a user's regions).
    """
    with nullcontext(None) if folder is None else held_folder(folder, "training") as target:
        drawn = source or make_source(recipe.source, progress)
        training = _Training(
            describe(recipe, drawn, seed), recipe.options, drawn, seed, choose_device(device)
        )
        if target is not None and resume and has_checkpoint(target):
            training.restore(read_checkpoint(target))
        for epoch in training.epochs(progress):
            if target is not None:
                write_checkpoint(target, training.checkpoint())
            if on_epoch is not None:
                on_epoch(epoch)
        model = training.finish()
        if target is not None:
            save_model(target / "model.safetensors", model)
            write_model_card(target / "model-card.md", model.description)
            content = {"training": dict(model.description.training), "history": training.history}
            write_json(target / "metrics.json", content)
        return model


def describe(recipe: TrainingRecipe, source: Source, seed: int) -> ModelDescription:
    """Return the description of the model that a recipe will make."""
    kind = architecture(recipe.architecture)
    return ModelDescription(
        name=recipe.name,
        architecture=recipe.architecture,
        task=kind.task,
        names=source.names if kind.task != "spectra" else (),
        axis=source.axis,
        outputs=kind.outputs,
        preprocessing=recipe.preprocessing,
        network=dict(recipe.network),
        classes=source.classes if kind.task == "minerals" else (),
        code_names=source.names if kind.task == "lines" and "code" in kind.outputs else (),
        counts_range=source.counts_range,
        conditions=getattr(source, "conditions", ()),
        training={
            "recipe": recipe.name,
            "seed": seed,
            "source": asdict(recipe.source),
            "options": asdict(recipe.options),
            **made_with(),
        },
    )


def generator_of(seed: int, stream: int, step: int = 0) -> np.random.Generator:
    """Return the random numbers of one step of a stream (TRAINING, VALIDATION, TEST).

    Raises InvalidInput when the seed is not from 0 to 2³² − 1.
    """
    check_seed(seed)
    return np.random.default_rng([seed, stream, step])


@dataclass(eq=False)
class _Training:
    """A network while it is trained: its weights and their average, its optimizer, its figures so far."""

    description: ModelDescription
    options: TrainingOptions
    source: Source
    seed: int
    device: torch.device
    epoch: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._seed_torch(WEIGHTS)
        self.network = build_network(self.description)
        if self.options.start:
            _begin_from(self.network, self.options.start)
        self.network.to(self.device)
        self.optimizer = _optimizer(self.network, self.options)
        self.average = ExponentialMovingAverage(self.network)
        self.total = self.options.epochs
        if isinstance(self.network, Pca):
            self.total = 0
            size = self.options.steps_per_epoch * self.options.batch_size
            self.network.fit(self.draw(TRAINING, size)["inputs"])
        self.held_out = self.draw(VALIDATION, self.options.validation_size, held_out(self.source))

    def draw(self, stream: int, size: int, source: Source | None = None, step: int = 0) -> dict[str, Tensor]:
        """Return spectra of a step as the network takes them: ``inputs``, ``dose`` and targets."""
        drawn = (source or self.source).draw(size, generator_of(self.seed, stream, step))
        inputs, dose = network_inputs(self.description, drawn.counts, self.device, drawn.conditions)
        targets = {name: np.ascontiguousarray(values) for name, values in drawn.targets.items()}
        tensors = {name: torch.from_numpy(values).to(self.device) for name, values in targets.items()}
        return {**tensors, "inputs": inputs, "dose": dose}

    def epochs(self, progress: Progress) -> Iterator[Epoch]:
        """Train, epoch by epoch, until the last one or until nothing has got better for a while."""
        steps, begun = self.options.steps_per_epoch, time.monotonic()
        if self.epoch >= self.total or self.has_settled:
            return
        with _Prefetch(
            lambda step: self.draw(TRAINING, self.options.batch_size, step=step),
            lambda: getattr(self.source, "complete", True),
        ) as batches:
            for report in run_steps(
                lambda step: self._step(step, batches(step)),
                steps * self.total,
                first=self.epoch * steps,
                every=steps,
                progress=progress,
            ):
                yield self._close_epoch(report.losses["loss"], begun)
                if self.has_settled:
                    return
                begun = time.monotonic()

    @property
    def has_settled(self) -> bool:
        """Whether the validation loss has got no better for long."""
        return self.epoch - self.best_epoch >= self.options.patience

    def checkpoint(self) -> Checkpoint:
        """Return what :meth:`restore` goes on from."""
        tensors = {
            "network": self.network.state_dict(),
            "average": self.average.tensors,
            "best": self.best,
            "optimizer": optimizer_tensors(self.optimizer),
        }
        return Checkpoint(self.description, tensors, {name: getattr(self, name) for name in VALUES})

    def restore(self, kept: Checkpoint) -> None:
        """Go on from a checkpoint of the same training."""
        kept.check_is_of(self.description)
        self.network.load_state_dict(kept.tensors["network"])
        for mine, there in ((self.average.tensors, "average"), (self.best, "best")):
            mine.update({name: tensor.to(self.device) for name, tensor in kept.tensors[there].items()})
        load_optimizer(self.optimizer, kept.tensors["optimizer"])
        for name, value in kept.values.items():
            setattr(self, name, value)

    def finish(self) -> Model:
        """Return the best weights as a model, with temperature and thresholds fitted on held-out spectra."""
        if self.best:
            self.network.load_state_dict(self.best)
        network = _rounded(self.network.eval().cpu())
        held = {name: tensor.cpu() for name, tensor in self.held_out.items()}
        task, outputs = task_of(self.description.task), _outputs(network, held)
        description = self.description.with_calibration(task.fit_calibration(outputs, held))
        description = description.with_training(
            epochs=self.epoch,
            best_epoch=self.best_epoch,
            seconds=round(self.seconds, 1),
            validation=validation_figures(description.task, outputs, held),
        )
        return Model(description, network)

    def _step(self, number: int, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        options = self.options
        self.network.train()
        # Dropout and latent draws of a step are its own, so that a resumed training repeats them.
        self._seed_torch(TRAINING, number)
        scale_rates(self.optimizer, _rate(number, options.steps_per_epoch * self.total, options))
        with torch.autocast(batch["inputs"].device.type, torch.bfloat16, enabled=options.precision == "half"):
            outputs = self.network(batch["inputs"], batch["dose"])
        loss = self._loss({name: tensor.float() for name, tensor in outputs.items()}, batch)
        descend(loss, self.optimizer, self.network.parameters(), options.clip)
        # Young averages forget faster: the first weights mean nothing.
        self.average.update(min(options.average, (1 + number) / (10 + number)))
        return {"loss": loss}

    def _loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        weight = float(getattr(self.network, "presence_weight", 1.0))
        return loss_of(self.description.task, outputs, batch, batch["inputs"], weight).mean()

    def _close_epoch(self, loss: float, begun: float) -> Epoch:
        """Judge the averaged weights on the held-out spectra, and keep them where they are the best."""
        own = copy_of(self.network.state_dict())
        self.network.load_state_dict(self.average.tensors)
        outputs = _outputs(self.network, self.held_out)
        with torch.inference_mode():
            validation = float(self._loss(outputs, self.held_out))
        figures = validation_figures(self.description.task, outputs, self.held_out)
        self.network.load_state_dict(own)
        self.epoch += 1
        if best := validation < self.best_loss:
            self.best, self.best_loss, self.best_epoch = copy_of(self.average.tensors), validation, self.epoch
        self.history.append(
            {"epoch": self.epoch, "training_loss": loss, "validation_loss": validation, **figures}
        )
        self.seconds += time.monotonic() - begun
        left = self.seconds / self.epoch * (self.total - self.epoch)
        return Epoch(self.epoch, self.total, loss, validation, figures, self.seconds, left, best)

    def _seed_torch(self, stream: int, step: int = 0) -> None:
        torch.manual_seed(int(generator_of(self.seed, stream, step).integers(2**62)))


class _Prefetch:
    """What a function makes of 0, 1, …, each made by a second thread while the one before is used.

    Before it is ``ready`` all is made in the thread that asks: what is made once there tells how far it is.
    """

    def __init__(self, make: Callable[[int], dict[str, Tensor]], ready: Callable[[], bool]) -> None:
        self._make, self._ready = make, ready
        self._pool = ThreadPoolExecutor(1)
        self._next: tuple[int, Future[dict[str, Tensor]]] | None = None

    def __enter__(self) -> _Prefetch:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, number: int) -> dict[str, Tensor]:
        if not (self._next or self._ready()):
            return self._make(number)
        ready = self._next
        made = ready[1] if ready and ready[0] == number else self._pool.submit(self._make, number)
        self._next = (number + 1, self._pool.submit(self._make, number + 1))
        return made.result()


@torch.no_grad()
def _begin_from(network: nn.Module, model: str) -> None:
    """Take over another model's weights of the same name and shape, in a part called encoder too.

    Raises InvalidInput when there is no such model, or it shares none.
    """
    known = load_model(model).network.state_dict()
    known |= {f"encoder.{name}": tensor for name, tensor in known.items()}
    own = network.state_dict()
    shared = {
        name: tensor for name, tensor in known.items() if name in own and own[name].shape == tensor.shape
    }
    features = [name for name in own if name.startswith("encoder.")]
    if not shared or (isinstance(network, MineralFeatures) and not shared.keys() >= set(features)):
        raise InvalidInput(f"{model} has no weights that fit this network", "Start from another model")
    network.load_state_dict(shared, strict=False)


def _optimizer(network: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    trained: Any = [each for each in network.parameters() if each.requires_grad]
    trained = trained or [nn.Parameter(torch.zeros(1))]  # where all is fitted
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimizer == "sgd":
        return torch.optim.SGD(trained, lr=rate, weight_decay=decay, momentum=0.9)
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[options.optimizer]
    return kind(trained, lr=rate, weight_decay=decay)


def _rate(step: int, total: int, options: TrainingOptions) -> float:
    rise = max(options.warmup * total, 1.0)
    if step + 1 < rise:
        return (step + 1) / rise
    return 1.0 if options.schedule == "constant" else cosine((step - rise) / max(total - rise, 1.0))


@torch.inference_mode()
def _outputs(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    network.eval()
    parts: dict[str, list[Tensor]] = {}
    for inputs, dose in zip(tensors["inputs"].split(_AT_ONCE), tensors["dose"].split(_AT_ONCE), strict=True):
        for name, value in network(inputs, dose).items():
            parts.setdefault(name, []).append(value)
    return {name: torch.cat(values) for name, values in parts.items()}


@torch.no_grad()
def _rounded(network: nn.Module) -> nn.Module:
    """Round weights to 11 bits: no figure changes, and their file takes half the room."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point() and bool((half := tensor.half()).isfinite().all()):
            tensor.copy_(half.to(tensor.dtype))
    return network
