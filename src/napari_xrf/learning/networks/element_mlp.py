"""A perceptron for elements on any silicon drift detector, told what is known of the instrument.

Spectra are pooled to bins of a quarter to a sixth of a peak's width. What stands above its sides, in
standard errors, is an input beside the spectrum's shape: a trace's peak is a thousandth of the highest one,
and as sure.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from napari_xrf.core.emission_lines import SHELLS, main_line
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.conditions import CONDITIONS
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.layers import centred, hidden_layers

_POOLED = ((340, 1), (452, 2), (201, 4))  # bins, and channels of 20 eV in each: up to 6.8, 24.9 and 41 keV
_PEAKS = ((3, 3, 4), (5, 3, 7))  # bins of a peak and of either side, and how far the sides' middles lie
_SYSTEMATIC = 0.02  # of what lies under a peak: what no model of a continuum gets better
_HALF_FWHM, _NOISE_KEV, _SPREAD = 0.6, 0.07, 0.05  # of a window; FWHM² of a detector is a² + b² E
_STRONGEST = 4.0  # asinh of standard errors that counts as one


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
        self.channels, names = description.axis.size, len(description.names)
        if sum(number * width for number, width in _POOLED) != self.channels:
            raise InvalidInput(f"the network takes 2048 channels of 20 eV, not {self.channels}")
        bins = sum(number for number, _ in _POOLED)
        widths = torch.cat([torch.full((number,), float(width)) for number, width in _POOLED])
        self.register_buffer("widths", widths, persistent=False)
        inputs = bins * (1 + len(_PEAKS)) + len(CONDITIONS) + 1
        layers = hidden_layers(
            inputs, options.hidden, options.depth,
            activation_name="gelu", dropout=options.dropout, residual=True,
        )  # fmt: skip
        self.body = nn.Sequential(layers, nn.LayerNorm(options.hidden))
        self.presence = nn.Linear(options.hidden, names)
        windows, owners = _windows(description)
        self.register_buffer("windows", windows, persistent=False)
        self.register_buffer("owners", owners, persistent=False)
        self.part = nn.Linear(options.hidden, len(owners))

    def inputs(self, spectra: Tensor, dose: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the perceptron takes, and the shares of the counts in each bin."""
        counted, told = spectra[:, : self.channels].float(), spectra[:, self.channels :].float()
        powers, parts, begin = counted**2, [], 0
        for number, width in _POOLED:
            part = powers[:, begin : begin + number * width]
            parts.append(part.unflatten(1, (number, width)).sum(dim=2))
            begin += number * width
        pooled = torch.cat(parts, dim=1) / self.channels
        density = pooled * 10 ** dose.float()[:, None] / self.widths
        seen = [_standing_out(density, self.widths, *peak) for peak in _PEAKS]
        known = torch.cat([told, centred(dose).float()], dim=1)
        shape = torch.sqrt(pooled / self.widths * self.channels)
        return torch.cat([shape, *seen, known], dim=1), pooled

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return logits of presence and shares of the counts.

        An element's share is a part of what lies in the windows of its main lines, so that little of it is as
        well known as much.
        """
        with torch.autocast(spectra.device.type, enabled=False):  # weak peaks need all digits
            inputs, pooled = self.inputs(spectra, dose)
            under = pooled @ self.windows
        found = self.body(inputs)
        own = under * nn.functional.softplus(self.part(found))
        presence = self.presence(found)
        share = torch.zeros_like(presence, dtype=own.dtype).index_add(1, self.owners, own)
        return {"presence": presence, "intensity": share}


def _windows(description: ModelDescription) -> tuple[Tensor, Tensor]:
    """Return the part of each bin in windows of the elements' main lines (B, W), and whose each is (W,)."""
    axis = description.axis
    firsts = np.concatenate([[0], np.cumsum([width for number, width in _POOLED for _ in range(number)])])
    edges = axis.edges[firsts]
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


def _standing_out(density: Tensor, widths: Tensor, peak: int, side: int, away: int) -> Tensor:
    """Return by how many standard errors bins stand above their sides, compressed, (N, B)."""
    under = _beside(density, side, away)
    variance = peak * _mean_over(density / widths, peak) + peak**2 / (2 * side) * _beside(
        density / widths, side, away
    )
    height = peak * (_mean_over(density, peak) - under)
    error = torch.sqrt(variance + (_SYSTEMATIC * peak * under) ** 2 + 1)
    return torch.asinh(height / error) / _STRONGEST


def _mean_over(values: Tensor, bins: int) -> Tensor:
    filled = nn.functional.pad(values[:, None], (bins // 2, bins - 1 - bins // 2), mode="replicate")
    return nn.functional.avg_pool1d(filled, bins, stride=1)[:, 0]


def _beside(values: Tensor, side: int, away: int) -> Tensor:
    """Return the mean over both sides of each bin."""
    means = nn.functional.pad(_mean_over(values, side)[:, None], (away, away), mode="replicate")[:, 0]
    return (means[:, : -2 * away] + means[:, 2 * away :]) / 2
