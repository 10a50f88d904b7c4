"""Weights files: safetensors with the model's description in the header, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xrf.core.errors import FileError, InvalidInput, nearest_of
from napari_xrf.core.named_files import is_file
from napari_xrf.io.atomic_write import replacing
from napari_xrf.learning.description import ModelDescription, description_as_json, description_from_json

if TYPE_CHECKING:
    from torch import Tensor

    from napari_xrf.learning.model import Model

SUFFIX = ".safetensors"
_DESCRIPTION = "napari_xrf"
_LARGEST_HEADER = 2**25
_GENERATORS = ("painting-generator",)  # takes colours, not spectra: learning.painting_generator loads it


def shipped_models() -> dict[str, Path]:
    """Return name → weights file of the models that come with napari-xrf, in alphabetical order."""
    folder = Path(str(files("napari_xrf.learning") / "weights"))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}")) if path.stem not in _GENERATORS}


def models_giving(output: str) -> tuple[str, ...]:
    """Return the names of the shipped models that give an output, such as ``"intensity"``."""
    return tuple(name for name in shipped_models() if output in read_description(name).outputs)


def find_weights(model: str | Path) -> Path:
    """Return the weights file of a shipped model's name, or of a path.

    Raises InvalidInput when it is neither.
    """
    shipped = shipped_models()
    if str(model) in shipped:
        return shipped[str(model)]
    path = Path(model)
    for place in (path / f"model{SUFFIX}", path):
        if is_file(place):
            return place
    raise InvalidInput(
        f"there is no model {str(model)!r}",
        nearest_of(str(model), list(shipped), f"a weights file ({SUFFIX})"),
    )


def read_description(model: str | Path) -> ModelDescription:
    """Return the description of a shipped model or of a weights file, without loading the weights or torch.

    Raises InvalidInput when there is no such model. Raises FileError when the file is no weights file of
    napari-xrf.
    """
    path = find_weights(model)
    try:
        metadata = _metadata(path)
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(path, f"is not a safetensors file ({error})") from error
    if _DESCRIPTION not in metadata:
        raise FileError(
            path, "holds no description of a model", "Only weights written by napari-xrf can be used"
        )
    try:
        return description_from_json(metadata[_DESCRIPTION])
    except InvalidInput as error:
        raise FileError(path, error.cause, error.remedy) from error
    except Exception as error:  # too deep, of other kinds, …
        raise FileError(path, f"holds a damaged description of a model ({error})") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors with texts beside them as safetensors, in place of an older file."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    flat = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(flat, str(temporary), metadata=dict(metadata))
        except SafetensorError as error:  # its name for a full disk too
            raise OSError(str(error)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and texts of a safetensors file.

    Raises ValueError when the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # Read, not memory-mapped: a mapped file that shrinks ends the program.
        return load(path.read_bytes()), _metadata(path)
    except (SafetensorError, OSError, RecursionError) as error:
        raise ValueError((str(error).splitlines() or [repr(error)])[0]) from error


def check_suffix(path: str | Path) -> Path:
    """Return the path of a weights file.

    Raises InvalidInput when its ending is another than .safetensors.
    """
    target = Path(path)
    if target.suffix != SUFFIX:
        raise InvalidInput(f"weights are not written to {target.suffix!r} files", f"Name a {SUFFIX} file")
    return target


def save_model(path: str | Path, model: Model) -> Path:
    """Write a model's weights with its description; numbers that 16 bits hold exactly take 16 bits.

    Raises InvalidInput when the file's ending is another than .safetensors, or a weight is no finite number.
    """
    target = check_suffix(path)
    check_finite(model.network.state_dict())
    state = {name: _compact(tensor) for name, tensor in model.network.state_dict().items()}
    write_tensors(target, state, {_DESCRIPTION: description_as_json(model.description)})
    return target


def load_model(model: str | Path) -> Model:
    """Return a shipped model by name, or the one of a weights file, ready for prediction on the CPU.

    Raises InvalidInput when there is no such model. Raises FileError when the file is damaged, or its weights
    do not fit its network.
    """
    from napari_xrf.learning.model import Model
    from napari_xrf.learning.registry import build_network

    path = find_weights(model)
    description = read_description(path)
    try:
        network = build_network(description)
        tensors = read_tensors(path)[0]
        check_finite(tensors)
        network.load_state_dict(tensors)
    except Exception as error:  # whatever a damaged description makes a network raise
        lines = str(error).splitlines() or [repr(error)]
        raise FileError(path, f"the weights do not fit the model ({lines[0]})") from error
    return Model(description, network.eval())


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise InvalidInput when a weight is no finite number: whatever such a network says means nothing."""
    wrong = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if wrong:
        raise InvalidInput(
            f"weights of the network are no finite numbers, in {wrong[0]}", "Train with a lower learning rate"
        )


def _metadata(path: Path) -> dict[str, str]:
    """Return the texts in the header of a safetensors file; raises ValueError when it has none."""
    with path.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        if not 2 <= size <= min(_LARGEST_HEADER, path.stat().st_size - 8):
            raise ValueError(f"a header of {size} bytes")
        header = json.loads(handle.read(size))
    found = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ValueError("its header holds no texts")
    return found


def _compact(tensor: Tensor) -> Tensor:
    half = tensor.half()
    exact = tensor.is_floating_point() and bool((half.to(tensor.dtype) == tensor).all())
    return half if exact else tensor
