"""Training of networks on spectra that are made on the way: seeded, resumable, ended early."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.checkpoints import Checkpoint, has_checkpoint, read_checkpoint, write_checkpoint
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.losses import loss_of
from napari_xrf.learning.model import Model, choose_device
from napari_xrf.learning.networks.pca import Pca
from napari_xrf.learning.preprocessing import dose_of, prepare
from napari_xrf.learning.registry import architecture, build_network
from napari_xrf.learning.sources.batch import Batch, Source, make_source
from napari_xrf.learning.sources.batch import held_out as held_out_source
from napari_xrf.learning.training_recipes import TrainingOptions, TrainingRecipe

# Streams of random numbers that never meet: training, validation, test, and weights.
TRAINING, VALIDATION, TEST, WEIGHTS = range(4)
_LAST_RATE = 0.01
_EPOCH_SECONDS = 5  # of the last epochs, for the time that is left


@dataclass(frozen=True)
class Epoch:
    """How far a training is.

    Attributes
    ----------
    number, total
        From 1 on, and most.
    training_loss, validation_loss
        Mean over the epoch's spectra, and over the held-out ones.
    figures
        What else was seen on the held-out ones, for example ``accuracy``.
    seconds, seconds_left
        Since the start, and estimated until the last epoch.
    best
        Whether no epoch had a lower validation loss.
    """

    number: int
    total: int
    training_loss: float
    validation_loss: float
    figures: Mapping[str, float]
    seconds: float
    seconds_left: float
    best: bool


@dataclass(eq=False)
class _State:
    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    epoch: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


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

    Parameters
    ----------
    recipe
        Network, spectra and options; see :mod:`~napari_xrf.learning.training_recipes`.
    seed
        0 to 2³² − 1.
    folder
        Where weights, checkpoint, metrics and the model card go; None writes nothing.
    resume
        Whether to go on from the folder's checkpoint, if there is one.
    source
        In place of the recipe's own, for spectra that are in memory (a user's regions).
    progress
        Told after each batch; raise Cancelled in it to stop: the checkpoint of the last epoch stays.
    on_epoch
        Called after each epoch.

    Raises
    ------
    InvalidInput
        When a checkpoint belongs to another recipe or seed, or the loss is no longer a number.
    """
    options = recipe.options
    drawn = source or make_source(recipe.source, progress)
    where = choose_device(device)
    description = describe(recipe, drawn, seed)
    torch.manual_seed(_seed_of(seed, WEIGHTS, 0))
    state = _start(build_network(description).to(where), options)
    target = None if folder is None else _folder(folder)
    if target is not None and resume and has_checkpoint(target):
        _load(state, read_checkpoint(target), description, where)
    if isinstance(state.network, Pca):
        _fit_components(state.network, drawn, description, options, seed, where)
        options_epochs = 0
    else:
        options_epochs = options.epochs
    held_out = _tensors(
        held_out_source(drawn).draw(options.validation_size, generator_of(seed, VALIDATION)),
        description,
        where,
    )
    with _Stream(drawn, description, options, seed, where) as stream:
        while state.epoch < options_epochs and state.epoch - state.best_epoch < options.patience:
            begun = time.monotonic()
            loss = _run_epoch(state, stream, description, options, seed, options_epochs, progress)
            state.epoch += 1
            validation, figures = _validate(state, held_out, description)
            state.seconds += time.monotonic() - begun
            epoch = _close_epoch(state, loss, validation, figures, options_epochs)
            if target is not None:
                write_checkpoint(target, _checkpoint(state, description))
            if on_epoch is not None:
                on_epoch(epoch)
    if state.best:
        state.network.load_state_dict(state.best)
    model = _finish(state, description, held_out)
    if target is not None:
        from napari_xrf.learning.model_card import write_model_card
        from napari_xrf.learning.weights import save_model

        save_model(target / "model.safetensors", model)
        write_model_card(target / "model-card.md", model.description)
        _write_metrics(target / "metrics.json", state, model.description)
    return model


def describe(recipe: TrainingRecipe, source: Source, seed: int) -> ModelDescription:
    """Return the description of the model that a recipe will make."""
    kind = architecture(recipe.architecture)
    named = kind.task != "spectra"
    return ModelDescription(
        name=recipe.name,
        architecture=recipe.architecture,
        task=kind.task,
        names=source.names if named else (),
        axis=source.axis,
        outputs=kind.outputs,
        preprocessing=recipe.preprocessing,
        network=dict(recipe.network),
        classes=source.classes if kind.task == "minerals" else (),
        code_names=source.names if kind.task == "lines" and "code" in kind.outputs else (),
        counts_range=source.counts_range,
        training={
            "recipe": recipe.name,
            "seed": seed,
            "source": asdict(recipe.source),
            "options": asdict(recipe.options),
            **_versions(),
        },
    )


def generator_of(seed: int, stream: int, step: int = 0) -> np.random.Generator:
    """Return the random numbers of one step of a stream (TRAINING, VALIDATION, TEST).

    Raises
    ------
    InvalidInput
        When the seed is not from 0 to 2³² − 1.
    """
    if not 0 <= seed < 2**32:
        raise InvalidInput(f"a seed lies from 0 to {2**32 - 1}, not {seed}")
    return np.random.default_rng([seed, stream, step])


class _Stream:
    """Batches of the training, each made by a second thread while the network learns from the one before."""

    def __init__(
        self,
        source: Source,
        description: ModelDescription,
        options: TrainingOptions,
        seed: int,
        device: torch.device,
    ) -> None:
        self._source, self._description = source, description
        self._size, self._seed, self._device = options.batch_size, seed, device
        self._pool = ThreadPoolExecutor(1)
        self._next: tuple[int, Future[dict[str, Tensor]]] | None = None

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step and start on the next one."""
        ready = self._next
        made = ready[1] if ready and ready[0] == step else self._pool.submit(self._make, step)
        self._next = (step + 1, self._pool.submit(self._make, step + 1))
        return made.result()

    def _make(self, step: int) -> dict[str, Tensor]:
        drawn = self._source.draw(self._size, generator_of(self._seed, TRAINING, step))
        return _tensors(drawn, self._description, self._device)


def _tensors(batch: Batch, description: ModelDescription, device: torch.device) -> dict[str, Tensor]:
    inputs = prepare(batch.counts, description.preprocessing, description.axis.width)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in batch.targets.items()}
    tensors["inputs"] = torch.from_numpy(inputs)
    tensors["dose"] = torch.from_numpy(dose_of(batch.counts, description.counts_range))
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _start(network: nn.Module, options: TrainingOptions) -> _State:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}[options.optimizer]
    more: dict[str, Any] = {"momentum": 0.9} if options.optimizer == "sgd" else {}
    optimizer: Any = (
        kind(parameters, lr=options.learning_rate, weight_decay=options.weight_decay, **more)
        if parameters
        else torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    )
    average = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    return _State(network, optimizer, average)


def _run_epoch(
    state: _State,
    stream: _Stream,
    description: ModelDescription,
    options: TrainingOptions,
    seed: int,
    epochs: int,
    progress: Progress,
) -> float:
    state.network.train()
    total = options.steps_per_epoch * epochs
    losses = 0.0
    for index in range(options.steps_per_epoch):
        step = state.epoch * options.steps_per_epoch + index
        progress(step, total, "training")
        batch = stream.batch(step)
        # Dropout and latent draws of a step are its own, so that a resumed training repeats them.
        torch.manual_seed(_seed_of(seed, TRAINING, step))
        for group in state.optimizer.param_groups:
            group["lr"] = options.learning_rate * _rate(step, total, options)
        with torch.autocast(batch["inputs"].device.type, torch.bfloat16, enabled=options.precision == "half"):
            outputs = state.network(batch["inputs"], batch["dose"])
        outputs = {name: tensor.float() for name, tensor in outputs.items()}
        loss = _loss(state.network, description, outputs, batch)
        if not torch.isfinite(loss):
            raise InvalidInput("the loss is no longer a number", "Lower the learning rate")
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if options.clip:
            nn.utils.clip_grad_norm_(state.network.parameters(), options.clip)
        state.optimizer.step()
        _take_average(state, options.average, step)
        losses += float(loss.detach())
    progress((state.epoch + 1) * options.steps_per_epoch, total, "training")
    return losses / options.steps_per_epoch


def _loss(
    network: nn.Module,
    description: ModelDescription,
    outputs: Mapping[str, Tensor],
    batch: Mapping[str, Tensor],
) -> Tensor:
    weight = float(getattr(network, "presence_weight", 1.0))
    return loss_of(description.task, outputs, batch, batch["inputs"], weight).mean()


def _rate(step: int, total: int, options: TrainingOptions) -> float:
    rise = max(options.warmup * total, 1.0)
    if step + 1 < rise:
        return (step + 1) / rise
    if options.schedule == "constant":
        return 1.0
    done = (step - rise) / max(total - rise, 1.0)
    return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0)))


@torch.no_grad()
def _take_average(state: _State, decay: float, step: int) -> None:
    # Young averages forget faster: the first weights mean nothing.
    keep = min(decay, (1 + step) / (10 + step))
    for name, tensor in state.network.state_dict().items():
        kept = state.average[name]
        if tensor.is_floating_point():
            kept.lerp_(tensor, 1 - keep)
        else:
            kept.copy_(tensor)


@torch.inference_mode()
def _outputs(network: nn.Module, tensors: Mapping[str, Tensor], size: int = 1024) -> dict[str, Tensor]:
    network.eval()
    parts: dict[str, list[Tensor]] = {}
    for start in range(0, len(tensors["inputs"]), size):
        part = slice(start, start + size)
        for name, value in network(tensors["inputs"][part], tensors["dose"][part]).items():
            parts.setdefault(name, []).append(value)
    return {name: torch.cat(values) for name, values in parts.items()}


def _validate(
    state: _State, held_out: Mapping[str, Tensor], description: ModelDescription
) -> tuple[float, dict[str, float]]:
    from napari_xrf.learning.validation import validation_figures

    own = {name: tensor.detach().clone() for name, tensor in state.network.state_dict().items()}
    state.network.load_state_dict(state.average)
    outputs = _outputs(state.network, held_out)
    with torch.inference_mode():
        loss = float(_loss(state.network, description, outputs, held_out))
    figures = validation_figures(description, outputs, held_out)
    if loss < state.best_loss:
        state.best = {name: tensor.detach().clone() for name, tensor in state.average.items()}
    state.network.load_state_dict(own)
    return loss, figures


def _close_epoch(
    state: _State, loss: float, validation: float, figures: dict[str, float], epochs: int
) -> Epoch:
    best = validation < state.best_loss
    if best:
        state.best_loss, state.best_epoch = validation, state.epoch
    state.history.append(
        {"epoch": state.epoch, "training_loss": loss, "validation_loss": validation, **figures}
    )
    left = state.seconds / state.epoch * (epochs - state.epoch)
    return Epoch(state.epoch, epochs, loss, validation, figures, state.seconds, left, best)


def _finish(state: _State, description: ModelDescription, held_out: Mapping[str, Tensor]) -> Model:
    from napari_xrf.learning.validation import fit_calibration, validation_figures

    network = _rounded(state.network.eval().cpu())
    there = {name: tensor.cpu() for name, tensor in held_out.items()}
    outputs = _outputs(network, there)
    description = description.with_calibration(fit_calibration(description, outputs, there))
    return Model(
        description.with_training(
            epochs=state.epoch,
            best_epoch=state.best_epoch,
            seconds=round(state.seconds, 1),
            validation=validation_figures(description, outputs, there),
        ),
        network,
    )


@torch.no_grad()
def _rounded(network: nn.Module) -> nn.Module:
    """Round weights to 11 bits: no figure changes, and their file takes half the room."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half().to(tensor.dtype))
    return network


def _fit_components(
    network: Pca,
    source: Source,
    description: ModelDescription,
    options: TrainingOptions,
    seed: int,
    device: torch.device,
) -> None:
    size = options.steps_per_epoch * options.batch_size
    drawn = _tensors(source.draw(size, generator_of(seed, TRAINING)), description, device)
    network.fit(drawn["inputs"])


def _checkpoint(state: _State, description: ModelDescription) -> Checkpoint:
    return Checkpoint(
        description,
        {
            "network": state.network.state_dict(),
            "average": state.average,
            "best": state.best,
            "optimizer": _optimizer_tensors(state.optimizer),
        },
        {
            "epoch": state.epoch,
            "best_loss": state.best_loss,
            "best_epoch": state.best_epoch,
            "history": state.history,
            "seconds": state.seconds,
        },
    )


def _load(state: _State, kept: Checkpoint, description: ModelDescription, device: torch.device) -> None:
    same = ("recipe", "seed", "source", "options")
    if any(
        json.dumps(kept.description.training.get(key)) != json.dumps(description.training.get(key))
        for key in same
    ) or dict(kept.description.network) != json.loads(json.dumps(dict(description.network))):
        raise InvalidInput(
            "the checkpoint belongs to a training with another recipe, seed or options",
            "Give the same ones, or another folder",
        )
    state.network.load_state_dict(kept.tensors["network"])
    state.average = {name: tensor.to(device) for name, tensor in kept.tensors["average"].items()}
    state.best = {name: tensor.to(device) for name, tensor in kept.tensors["best"].items()}
    _load_optimizer(state.optimizer, kept.tensors["optimizer"])
    state.epoch, state.best_epoch = int(kept.values["epoch"]), int(kept.values["best_epoch"])
    state.best_loss, state.seconds = float(kept.values["best_loss"]), float(kept.values["seconds"])
    state.history = list(kept.values["history"])


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
        if value is not None
    }


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    whole = optimizer.state_dict()
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        states.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**whole, "state": states})


def _folder(folder: str | Path) -> Path:
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be made ({error.strerror})", "Choose another folder") from error
    return path


def _seed_of(seed: int, stream: int, step: int) -> int:
    return int(generator_of(seed, stream, step).integers(2**62))


def _write_metrics(path: Path, state: _State, description: ModelDescription) -> None:
    from napari_xrf.io.atomic_write import replacing

    content = {"training": dict(description.training), "history": state.history}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _versions() -> dict[str, str]:
    from napari_xrf import __version__
    from napari_xrf.learning.commit import current_commit

    return {"napari_xrf": __version__, "torch": torch.__version__, "commit": current_commit()}
