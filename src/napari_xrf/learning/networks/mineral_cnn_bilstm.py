"""The mineral classifier with a bidirectional LSTM that reads the convolutions' features along the energy."""

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks import convolutions
from napari_xrf.learning.networks.convolutions import MineralHead, MineralNetwork, SpectrumConvolutions


@parameters
class Options(convolutions.Options):
    """Hyper-parameters: those of the plain network, and of the LSTM.

    Attributes
    ----------
    state
        Numbers that the LSTM keeps, in each direction.
    """

    state: Annotated[int, Limits(4, 512)] = 48


class MineralCnnBilstm(MineralNetwork):
    """Convolutions whose features an LSTM reads from both ends."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels, names = description.axis.size, len(description.names)
        self.body = SpectrumConvolutions(channels, options)
        self.lstm = nn.LSTM(self.body.width, options.state, batch_first=True, bidirectional=True)
        self.squeeze = nn.Linear(2 * options.state, options.squeeze)
        inputs = options.squeeze * self.body.length + 2 * options.state
        self.head = MineralHead(inputs, names, options)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        steps, (last, _) = self.lstm(self.body(spectra).transpose(1, 2))
        # What was seen everywhere, and the two last states, which have read the whole spectrum.
        read = torch.cat([self.squeeze(steps).flatten(1), last.transpose(0, 1).flatten(1)], dim=1)
        return self.head.features(read, dose)
