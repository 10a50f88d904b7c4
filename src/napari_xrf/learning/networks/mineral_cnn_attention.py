"""The mineral classifier with lightweight self-attention over the energy axis."""

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks import convolutions
from napari_xrf.learning.networks.convolutions import MineralHead, MineralNetwork, SpectrumConvolutions
from napari_xrf.learning.networks.layers import AttentionBlock


@parameters
class Options(convolutions.Options):
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


class MineralCnnAttention(MineralNetwork):
    """Convolutions whose features attend to each other."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels, names = description.axis.size, len(description.names)
        self.body = SpectrumConvolutions(channels, options)
        width = self.body.width
        self.position = nn.Parameter(0.02 * torch.randn(self.body.length, width))
        self.attention = nn.ModuleList(
            AttentionBlock(width, options.heads, 2 * width, 0.0) for _ in range(options.blocks)
        )
        self.squeeze = nn.Linear(width, options.squeeze)
        inputs = options.squeeze * self.body.length
        self.head = MineralHead(inputs, names, options)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        tokens = self.body(spectra).transpose(1, 2) + self.position
        for block in self.attention:
            tokens = block(tokens)
        return self.head.features(self.squeeze(tokens).flatten(1), dose)
