"""What a stopped training goes on from: tensors as safetensors, everything else as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.io.atomic_write import replacing
from napari_xrf.learning.description import ModelDescription, description_as_json, description_from_json

_NAME = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training at the end of an epoch.

    Attributes
    ----------
    description
        The model that is trained.
    tensors
        Group → name → tensor.
    values
        Numbers and lists, as JSON takes them.
    """

    description: ModelDescription
    tensors: Mapping[str, Mapping[str, Tensor]]
    values: Mapping[str, Any]


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a folder holds a checkpoint."""
    return (folder / _NAME).is_file()


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into a folder, in place of an older one; in one file, so the parts always fit."""
    from safetensors.torch import save_file

    flat = {
        f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
        for group, tensors in checkpoint.tensors.items()
        for name, tensor in tensors.items()
    }
    metadata = {
        "description": description_as_json(checkpoint.description),
        "values": json.dumps(checkpoint.values),
    }
    with replacing(folder / _NAME) as temporary:
        save_file(flat, str(temporary), metadata=metadata)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint of a folder.

    Raises
    ------
    FileError
        When it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / _NAME
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "best": {}, "optimizer": {}}
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata()
            for key in file.keys():  # noqa: SIM118 - not a mapping
                group, _, name = key.partition("/")
                groups[group][name] = file.get_tensor(key)
        return Checkpoint(
            description_from_json(metadata["description"]), groups, json.loads(metadata["values"])
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, InvalidInput) as error:
        raise FileError(path, f"the checkpoint is damaged ({error})", "Train anew") from error
