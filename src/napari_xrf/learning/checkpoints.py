"""What a stopped training goes on from: tensors as safetensors, everything else as JSON, in its folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.learning.description import ModelDescription, description_as_json, description_from_json
from napari_xrf.learning.weights import read_tensors, write_tensors

_NAME = "checkpoint.safetensors"
VALUES = ("epoch", "best_loss", "best_epoch", "history", "seconds")  # of a training
_SAME = ("recipe", "seed", "source", "options")  # of two calls of one training


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training at the end of an epoch."""

    description: ModelDescription
    tensors: Mapping[str, Mapping[str, Tensor]]  # group → name → tensor
    values: Mapping[str, Any]  # numbers and lists, as JSON takes them

    def check_is_of(self, description: ModelDescription) -> None:
        """Raise InvalidInput when another training wrote it."""
        stated = [
            json.dumps([dict(each.network), *(each.training.get(key) for key in _SAME)])
            for each in (self.description, description)
        ]
        if stated[0] != stated[1]:
            raise InvalidInput(
                "the checkpoint belongs to a training with another recipe, seed or options",
                "Give the same ones, or another folder",
            )


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a folder holds a checkpoint."""
    return (folder / _NAME).is_file()


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into a folder, in place of an older one; in one file, so the parts always fit."""
    flat = {
        f"{group}/{name}": tensor
        for group, tensors in checkpoint.tensors.items()
        for name, tensor in tensors.items()
    }
    description, values = description_as_json(checkpoint.description), json.dumps(checkpoint.values)
    write_tensors(folder / _NAME, flat, {"description": description, "values": values})


def read_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint of a folder.

    Raises FileError when it is damaged.
    """
    path = folder / _NAME
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "best": {}, "optimizer": {}}
    try:
        tensors, texts = read_tensors(path)
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = tensor
        values = json.loads(texts["values"])
        if set(values) != set(VALUES):
            raise ValueError("its values are others")
        return Checkpoint(description_from_json(texts["description"]), groups, values)
    except Exception as error:  # whatever damage makes of it
        raise FileError(path, f"the checkpoint is damaged ({error})", "Train anew") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's state by names that :func:`load_optimizer` reads."""
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the state of :func:`optimizer_tensors`."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        states.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
