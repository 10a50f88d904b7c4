"""The mineral classifier with a bidirectional LSTM that reads the convolutions' features along the energy."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks import mineral_cnn
from napari_xrf.learning.networks.convolutions import MineralHead, SpectrumConvolutions


@parameters
class Options(mineral_cnn.Options):
    """Hyper-parameters: those of the plain network, and of the LSTM.

    Attributes
    ----------
    state
        Numbers that the LSTM keeps, in each direction.
    """

    state: Annotated[int, Limits(4, 512)] = 48


def build(options: Options, description: ModelDescription) -> nn.Module:
    """Return the network for a description's axis and classes."""
    return MineralCnnBilstm(options, description.axis.size, len(description.names))


class MineralCnnBilstm(nn.Module):
    """Spectrum (N, E) → ``minerals`` logits (N, K + 1), "unknown" last."""

    def __init__(self, options: Options, channels: int, names: int) -> None:
        super().__init__()
        self.body = SpectrumConvolutions(
            channels, options.widths, options.first_kernel, options.first_stride, options.activation
        )
        self.lstm = nn.LSTM(self.body.width, options.state, batch_first=True, bidirectional=True)
        self.squeeze = nn.Linear(2 * options.state, options.squeeze)
        inputs = options.squeeze * self.body.length + 2 * options.state
        self.head = MineralHead(inputs, options.hidden, names, options.dropout, options.activation)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        steps, (last, _) = self.lstm(self.body(spectra).transpose(1, 2))
        # What was seen everywhere, and the two last states, which have read the whole spectrum.
        read = torch.cat([self.squeeze(steps).flatten(1), last.transpose(0, 1).flatten(1)], dim=1)
        return self.head.features(read, dose)

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return the logits of the classes."""
        return {"minerals": self.head.logits(self.features(spectra, dose))}
