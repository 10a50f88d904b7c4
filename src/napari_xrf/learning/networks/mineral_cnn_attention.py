"""The mineral classifier with lightweight self-attention over the energy axis."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks import mineral_cnn
from napari_xrf.learning.networks.convolutions import MineralHead, SpectrumConvolutions
from napari_xrf.learning.networks.layers import AttentionBlock


@parameters
class Options(mineral_cnn.Options):
    """Hyper-parameters: those of the plain network, and of the attention.

    Attributes
    ----------
    heads
        Of each block of attention.
    blocks
        Of attention, after the convolutions.
    """

    heads: Annotated[int, Limits(1, 16)] = 4
    blocks: Annotated[int, Limits(1, 8)] = 1


def build(options: Options, description: ModelDescription) -> nn.Module:
    """Return the network for a description's axis and classes."""
    return MineralCnnAttention(options, description.axis.size, len(description.names))


class MineralCnnAttention(nn.Module):
    """Spectrum (N, E) → ``minerals`` logits (N, K + 1), "unknown" last."""

    def __init__(self, options: Options, channels: int, names: int) -> None:
        super().__init__()
        self.body = SpectrumConvolutions(
            channels, options.widths, options.first_kernel, options.first_stride, options.activation
        )
        width = self.body.width
        self.position = nn.Parameter(0.02 * torch.randn(self.body.length, width))
        self.attention = nn.ModuleList(
            AttentionBlock(width, options.heads, 2 * width, 0.0) for _ in range(options.blocks)
        )
        self.squeeze = nn.Linear(width, options.squeeze)
        inputs = options.squeeze * self.body.length
        self.head = MineralHead(inputs, options.hidden, names, options.dropout, options.activation)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        tokens = self.body(spectra).transpose(1, 2) + self.position
        for block in self.attention:
            tokens = block(tokens)
        return self.head.features(self.squeeze(tokens).flatten(1), dose)

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return the logits of the classes."""
        return {"minerals": self.head.logits(self.features(spectra, dose))}
