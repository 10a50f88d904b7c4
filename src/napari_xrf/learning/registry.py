"""The networks by name: a new network is a new file in ``networks/`` and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_xrf.core.errors import InvalidInput, check_name, check_option
from napari_xrf.core.parameters import parameter_fields
from napari_xrf.learning.description import ModelDescription, TaskName

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Architecture:
    """A kind of network: its task, what it gives, and a line for lists.

    The file of "lt-vit" is ``lt_vit.py`` in :mod:`napari_xrf.learning.networks`; it holds ``Options``, the
    parameters of the network, and ``LtVit(options, description)``, a ``torch.nn.Module``.
    """

    name: str
    task: TaskName
    outputs: tuple[str, ...]
    summary: str


_CODE, _AMOUNTS = ("code", "spectrum"), ("presence", "intensity")
ARCHITECTURES: dict[str, Architecture] = {
    each.name: each
    for each in (
        Architecture("line-mlp", "lines", ("presence",), "two layers, spectrum to emission lines"),
        Architecture(
            "line-autoencoder", "lines", ("presence", *_CODE), "sparse code with one unit per emission line"
        ),
        Architecture("element-mlp", "elements", _AMOUNTS, "perceptron told of the instrument"),
        Architecture("maxrf-cnn", "elements", _AMOUNTS, "convolutions, spectrum to net counts"),
        Architecture("vit", "elements", _AMOUNTS, "transformer with a class token"),
        Architecture("lt-vit", "elements", _AMOUNTS, "transformer with a token per element"),
        Architecture("mineral-mlp", "minerals", ("minerals",), "perceptron told of the instrument"),
        Architecture("mineral-cnn", "minerals", ("minerals",), "convolutions"),
        Architecture("mineral-cnn-attention", "minerals", ("minerals",), "convolutions with self-attention"),
        Architecture(
            "mineral-cnn-bilstm", "minerals", ("minerals",), "convolutions and a bidirectional LSTM"
        ),
        Architecture("mineral-features", "minerals", ("minerals",), "features of pca or vae"),
        Architecture("pca", "spectra", _CODE, "principal components"),
        Architecture("vae", "spectra", _CODE, "variational autoencoder"),
    )
}


def architecture(name: str) -> Architecture:
    """Return an architecture by name.

    Raises InvalidInput when there is none of that name.
    """
    check_name("network", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def network_options(name: str, values: dict[str, Any] | None = None) -> Any:
    """Return an architecture's options, with some values in place of the defaults.

    Raises InvalidInput for an unknown option or a value out of range.
    """
    options = _module(name).Options
    known = [entry.name for entry in parameter_fields(options)]
    for key in values or {}:
        check_option(name, key, known)
    try:
        return options(**(values or {}))
    except InvalidInput as error:
        raise InvalidInput(f"{name} cannot be made: {error.cause}", error.remedy) from None


def build_network(description: ModelDescription) -> torch.nn.Module:
    """Return an untrained network for a description.

    Raises InvalidInput when the architecture or an option is unknown.
    """
    name = description.architecture
    options = network_options(name, dict(description.network))
    return getattr(_module(name), name.title().replace("-", ""))(options, description)


def _module(name: str) -> Any:
    architecture(name)
    return import_module(f"napari_xrf.learning.networks.{name.replace('-', '_')}")
