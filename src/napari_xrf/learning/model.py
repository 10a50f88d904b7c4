"""A trained model: a network with its description."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xrf.core.errors import check_name
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.learning.conditions import conditions_of
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.preprocessing import dose_of, prepare


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to be used."""

    description: ModelDescription  # what it takes and gives
    # network(inputs (N, E + C), dose (N,)) -> {output: tensor}; inputs are spectra, and behind them the
    # description's C conditions. presence and minerals are logits, (N, K) and (N, K + 1) with "unknown" last;
    # intensity (N, K) is the share of a spectrum's counts; code (N, L); spectrum (N, E) is in the inputs'
    # scale.
    network: torch.nn.Module

    def with_description(self, description: ModelDescription) -> Model:
        """Return the same network under another description."""
        return replace(self, description=description)


def network_inputs(
    description: ModelDescription,
    counts: NDArray[np.generic],
    device: torch.device,
    conditions: NDArray[np.float32] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a network takes for counts (N, E) on its axis: spectra and dose.

    Conditions are (N, C) or (C,); without any, nothing is known of the instrument.
    """
    spectra = prepare(counts, description.preprocessing, description.axis.width)
    if description.conditions:
        told = conditions_of(Excitation(), description.axis) if conditions is None else conditions
        spectra = np.hstack([spectra, np.broadcast_to(told, (len(spectra), len(description.conditions)))])
    dose = dose_of(counts, description.counts_range)
    return torch.from_numpy(spectra).to(device), torch.from_numpy(dose).to(device)


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; "auto" takes CUDA, then an Apple GPU, then the CPU.

    Raises InvalidInput when it is not there.
    """
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    if name == "auto":
        return torch.device(there[0])
    check_name("device", name, ("auto", *there))
    return torch.device(name)
