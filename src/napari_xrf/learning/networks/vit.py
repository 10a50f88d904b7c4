"""A vision transformer for spectra: patches as tokens, a class token that reads them.

Dosovitskiy et al., arXiv:2010.11929, adapted to one dimension as in Zarębski's poster (AGH Kraków).
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.layers import AttentionBlock, AxisAlignment, ElementHeads, Patches, centred


@parameters
class Options:
    """Hyper-parameters.

    Attributes
    ----------
    patch
        Channels per token.
    width
        Numbers per token, a multiple of ``heads``.
    depth, heads
        Blocks, and attention heads of each.
    widening
        Hidden units of a block's perceptron, as a multiple of ``width``.
    dropout
        Part of the attention left out in training.
    aligned
        Whether gain and offset are guessed and undone first.
    """

    patch: Annotated[int, Limits(1, 256)] = 10
    width: Annotated[int, Limits(8, 1024)] = 64
    depth: Annotated[int, Limits(1, 24)] = 4
    heads: Annotated[int, Limits(1, 32)] = 4
    widening: Annotated[int, Limits(1, 8)] = 2
    dropout: Annotated[float, Limits(0, 0.9)] = 0.0
    aligned: bool = False


class Vit(nn.Module):
    """Spectrum (N, E) → ``presence`` logits and ``intensity`` (N, K)."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels, names = description.axis.size, len(description.names)
        width = options.width
        self.align = AxisAlignment(channels) if options.aligned else None
        self.patches = Patches(channels, options.patch, width)
        self.token = nn.Parameter(0.5 * torch.randn(width))
        self.dose = nn.Linear(1, width)
        self.blocks = nn.ModuleList(
            AttentionBlock(width, options.heads, options.widening * width, options.dropout)
            for _ in range(options.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.heads = ElementHeads(width, names)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return what the class token has read, (N, width)."""
        aligned = spectra if self.align is None else self.align(spectra, dose)
        tokens = self.patches(aligned)
        reader = self.token + self.dose(centred(dose))
        tokens = torch.cat([reader[:, None], tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens[:, 0])

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return logits of presence and shares of the counts."""
        return self.heads(self.features(spectra, dose))
