"""A perceptron for elements on any silicon drift detector, told what is known of the instrument."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from napari_xrf.core.emission_lines import SHELLS, main_line
from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.layers import hidden_layers
from napari_xrf.learning.networks.pooled_spectra import PooledSpectra, bin_edges

_HALF_FWHM, _NOISE_KEV, _SPREAD = 0.6, 0.07, 0.05  # of a window; FWHM² of a detector is a² + b² E


@parameters
class Options:
    """Hyper-parameters.

    Attributes
    ----------
    hidden, depth
        Units of a hidden layer, and hidden layers.
    dropout
        Part of the features left out in training.
    """

    hidden: Annotated[int, Limits(8, 4096)] = 512
    depth: Annotated[int, Limits(1, 16)] = 4
    dropout: Annotated[float, Limits(0, 0.9)] = 0.0


class ElementMlp(nn.Module):
    """Spectrum and conditions (N, E + C) → ``presence`` logits and ``intensity`` (N, K)."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        names = len(description.names)
        self.pooled = PooledSpectra(description.axis)
        layers = hidden_layers(
            self.pooled.size, options.hidden, options.depth,
            activation_name="gelu", dropout=options.dropout, residual=True,
        )  # fmt: skip
        self.body = nn.Sequential(layers, nn.LayerNorm(options.hidden))
        self.presence = nn.Linear(options.hidden, names)
        windows, owners = _windows(description)
        self.register_buffer("windows", windows, persistent=False)
        self.register_buffer("owners", owners, persistent=False)
        self.part = nn.Linear(options.hidden, len(owners))

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return logits of presence and shares of the counts.

        An element's share is a part of what lies in the windows of its main lines, so that little of it is as
        well known as much.
        """
        inputs, pooled = self.pooled(spectra, dose)
        with torch.autocast(spectra.device.type, enabled=False):
            under = pooled @ self.windows
        found = self.body(inputs)
        own = under * nn.functional.softplus(self.part(found))
        presence = self.presence(found)
        share = torch.zeros_like(presence, dtype=own.dtype).index_add(1, self.owners, own)
        return {"presence": presence, "intensity": share}


def _windows(description: ModelDescription) -> tuple[Tensor, Tensor]:
    """Return the part of each bin in windows of the elements' main lines (B, W), and whose each is (W,)."""
    edges = bin_edges(description.axis)
    parts, owners = [], []
    for owner, element in enumerate(description.names):
        for shell in SHELLS:
            line = main_line(element, shell)
            if line is None or not edges[0] < line.energy < edges[-1]:
                continue
            half = _HALF_FWHM * float(np.hypot(_NOISE_KEV, _SPREAD * line.energy**0.5))
            low, high = np.clip([line.energy - half, line.energy + half], edges[0], edges[-1])
            inside = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
            parts.append(np.clip(inside / np.diff(edges), 0, 1))
            owners.append(owner)
    return torch.tensor(np.array(parts).T, dtype=torch.float32), torch.tensor(owners)
