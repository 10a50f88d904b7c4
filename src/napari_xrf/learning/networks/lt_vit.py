"""The label-token vision transformer: a learned token per element reads the spectrum, not a class token.

Marikkar et al., arXiv:2307.07263, for spectra as in Zarębski's poster (AGH Kraków): the label tokens attend
to the data tokens, and each one's output tells presence and amount of its element.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks import vit
from napari_xrf.learning.networks.layers import AttentionBlock, AxisAlignment, Patches, centred, share


@parameters
class Options(vit.Options):
    """Hyper-parameters: those of the transformer with a class token, and of the label tokens.

    Attributes
    ----------
    label_depth
        Blocks in which the label tokens read the data tokens and each other.
    """

    depth: Annotated[int, Limits(1, 24)] = 3
    label_depth: Annotated[int, Limits(1, 12)] = 2


class LtVit(nn.Module):
    """Spectrum (N, E) → ``presence`` logits and ``intensity`` (N, K)."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels, names = description.axis.size, len(description.names)
        width = options.width
        sizes = (width, options.heads, options.widening * width, options.dropout)
        self.align = AxisAlignment(channels) if options.aligned else None
        self.patches = Patches(channels, options.patch, width)
        self.dose = nn.Linear(1, width)
        self.blocks = nn.ModuleList(AttentionBlock(*sizes) for _ in range(options.depth))
        self.labels = nn.Parameter(0.5 * torch.randn(names, width))
        self.readers = nn.ModuleList(AttentionBlock(*sizes) for _ in range(options.label_depth))
        self.norm = nn.LayerNorm(width)
        # An output row for each label, as each token knows its own element only.
        self.presence = nn.Parameter(0.02 * torch.randn(names, width))
        self.amount = nn.Parameter(0.02 * torch.randn(names, width))
        self.presence_bias = nn.Parameter(torch.zeros(names))
        self.amount_bias = nn.Parameter(torch.zeros(names))

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the mean of what the label tokens have read, (N, width)."""
        return self.read(spectra, dose).mean(dim=1)

    def read(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the label tokens after reading, (N, K, width)."""
        aligned = spectra if self.align is None else self.align(spectra, dose)
        tokens = self.patches(aligned) + self.dose(centred(dose))[:, None]
        for block in self.blocks:
            tokens = block(tokens)
        labels = self.labels.expand(len(spectra), -1, -1)
        for reader in self.readers:
            labels = reader(labels, torch.cat([tokens, labels], dim=1))
        return self.norm(labels)

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return logits of presence and shares of the counts."""
        labels = self.read(spectra, dose)
        return {
            "presence": (labels * self.presence).sum(dim=-1) + self.presence_bias,
            "intensity": share((labels * self.amount).sum(dim=-1) + self.amount_bias),
        }
