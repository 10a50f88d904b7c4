"""The baseline of the exposé "Deep learning techniques for mineral analysis": plain convolutions."""

from torch import Tensor, nn

from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.convolutions import (
    MineralHead,
    MineralNetwork,
    Options,
    SpectrumConvolutions,
)


class MineralCnn(MineralNetwork):
    """Convolutions, squeezed and laid out flat."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels, names = description.axis.size, len(description.names)
        self.body = SpectrumConvolutions(channels, options)
        self.squeeze = nn.Conv1d(self.body.width, options.squeeze, 1)
        inputs = options.squeeze * self.body.length
        self.head = MineralHead(inputs, names, options)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        return self.head.features(self.squeeze(self.body(spectra)).flatten(1), dose)
