"""What every training here goes by: a loop over steps, their mean losses, rates, the average of weights."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress

_LAST_RATE = 0.01


@dataclass(frozen=True)
class TrainingStep:
    """What a stretch of steps came to."""

    phase: str  # what was trained: "adapting", …
    number: int  # of steps done
    total: int
    losses: Mapping[str, float]  # means since the last report


def run_steps(
    take_step: Callable[[int], Mapping[str, Tensor]],
    total: int,
    *,
    first: int = 0,
    every: int = 1,
    phase: str = "training",
    told: str = "",
    progress: Progress = ignore_progress,
) -> Iterator[TrainingStep]:
    """Take steps ``first`` to ``total`` and yield the mean losses after ``every`` of them.

    ``take_step``: trains on one batch, given its number from 0, and returns its losses. ``told``: what
    progress says; by default the phase. ``progress``: told after each step; what it raises ends the training.
    """
    progress(first, total, told or phase)
    sums: dict[str, float] = {}
    for number in range(first, total):
        for name, loss in take_step(number).items():
            sums[name] = sums.get(name, 0.0) + float(loss.detach())
        progress(number + 1, total, told or phase)
        if (number + 1) % every == 0:
            yield TrainingStep(phase, number + 1, total, {name: sums[name] / every for name in sums})
            sums = {}


def descend(
    loss: Tensor, optimizer: torch.optim.Optimizer, clipped: Iterable[nn.Parameter] = (), norm: float = 0.0
) -> None:
    """Change weights against the gradient of a loss; that of ``clipped`` is bounded where a norm is given.

    Raises InvalidInput when the loss is no longer a number.
    """
    if not torch.isfinite(loss):
        raise InvalidInput("the loss is no longer a number", "Lower the learning rate")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if norm:
        nn.utils.clip_grad_norm_(clipped, norm)
    optimizer.step()


def scale_rates(optimizer: torch.optim.Optimizer, *factors: float) -> None:
    """Set the learning rates to those that the optimizer began with, times some factors."""
    for group in optimizer.param_groups:
        group["lr"] = math.prod(factors, start=group.setdefault("first_lr", group["lr"]))


def cosine(done: float) -> float:
    """Return the factor of the learning rate, from 1 down to a hundredth, after a part (0 to 1) of a fall."""
    return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0)))


class ExponentialMovingAverage:
    """The exponential moving average of a network's weights and buffers, by name."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.tensors = copy_of(network.state_dict())

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Take in the weights of now: ``decay`` of the average stays."""
        for name, tensor in self._network.state_dict().items():
            kept = self.tensors[name]
            if tensor.is_floating_point():
                kept.lerp_(tensor, 1 - decay)
            else:
                kept.copy_(tensor)


def copy_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of their own."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
