"""Weights files: safetensors with the model's description in the header, never pickle."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.io.atomic_write import replacing
from napari_xrf.learning.description import ModelDescription, description_as_json, description_from_json

if TYPE_CHECKING:
    from torch import Tensor

    from napari_xrf.learning.model import Model

SUFFIX = ".safetensors"
_DESCRIPTION = "napari_xrf"
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

    Raises
    ------
    InvalidInput
        When it is neither.
    """
    shipped = shipped_models()
    if str(model) in shipped:
        return shipped[str(model)]
    path = Path(model)
    if path.is_dir() and (path / f"model{SUFFIX}").is_file():
        return path / f"model{SUFFIX}"
    if path.is_file():
        return path
    raise InvalidInput(
        f"there is no model {str(model)!r}",
        f"Give a weights file ({SUFFIX}) or one of {', '.join(shipped) or 'none shipped'}",
    )


def read_description(model: str | Path) -> ModelDescription:
    """Return the description of a shipped model or of a weights file, without loading the weights or torch.

    Raises
    ------
    InvalidInput
        When there is no such model.
    FileError
        When the file is no weights file of napari-xrf.
    """
    from safetensors import SafetensorError, safe_open

    path = find_weights(model)
    try:
        with safe_open(str(path), "numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise FileError(path, f"is not a safetensors file ({error})") from error
    if _DESCRIPTION not in metadata:
        raise FileError(
            path, "holds no description of a model", "Only weights written by napari-xrf can be used"
        )
    try:
        return description_from_json(metadata[_DESCRIPTION])
    except InvalidInput as error:
        raise FileError(path, error.cause, error.remedy) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors with texts beside them as safetensors, in place of an older file."""
    from safetensors.torch import save_file

    flat = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(flat, str(temporary), metadata=dict(metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and texts of a safetensors file.

    Raises
    ------
    ValueError
        When the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError((str(error).splitlines() or [repr(error)])[0]) from error


def check_suffix(path: str | Path) -> Path:
    """Return the path of a weights file.

    Raises
    ------
    InvalidInput
        When its ending is another than .safetensors.
    """
    target = Path(path)
    if target.suffix != SUFFIX:
        raise InvalidInput(f"weights are not written to {target.suffix!r} files", f"Name a {SUFFIX} file")
    return target


def save_model(path: str | Path, model: Model) -> Path:
    """Write a model's weights with its description; numbers that 16 bits hold exactly take 16 bits.

    Raises
    ------
    InvalidInput
        When the file's ending is another than .safetensors.
    """
    target = check_suffix(path)
    state = {name: _compact(tensor) for name, tensor in model.network.state_dict().items()}
    write_tensors(target, state, {_DESCRIPTION: description_as_json(model.description)})
    return target


def load_model(model: str | Path) -> Model:
    """Return a shipped model by name, or the one of a weights file, ready for prediction on the CPU.

    Raises
    ------
    InvalidInput
        When there is no such model.
    FileError
        When the file is damaged, or its weights do not fit its network.
    """
    from napari_xrf.learning.model import Model
    from napari_xrf.learning.registry import build_network

    path = find_weights(model)
    description = read_description(path)
    try:
        network = build_network(description)
        network.load_state_dict(read_tensors(path)[0])
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        lines = str(error).splitlines() or [repr(error)]
        raise FileError(path, f"the weights do not fit the model ({lines[0]})") from error
    return Model(description, network.eval())


def _compact(tensor: Tensor) -> Tensor:
    half = tensor.half()
    exact = tensor.is_floating_point() and bool((half.to(tensor.dtype) == tensor).all())
    return half if exact else tensor
