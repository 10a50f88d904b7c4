"""A perceptron for all minerals on any silicon drift detector, told what is known of the instrument."""

from typing import Annotated

from torch import Tensor, nn

from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.convolutions import MineralHead, MineralNetwork
from napari_xrf.learning.networks.layers import hidden_layers
from napari_xrf.learning.networks.pooled_spectra import PooledSpectra


@parameters
class Options:
    """Hyper-parameters.

    Attributes
    ----------
    hidden, depth
        Units of a hidden layer, and hidden layers, the last one before the classes.
    dropout
        Part of the features left out in training.
    activation
        Of all layers.
    """

    hidden: Annotated[int, Limits(8, 4096)] = 512
    depth: Annotated[int, Limits(2, 16)] = 4
    dropout: Annotated[float, Limits(0, 0.9)] = 0.0
    activation: Annotated[str, Choices(("relu", "gelu", "silu"))] = "gelu"


class MineralMlp(MineralNetwork):
    """Spectrum and conditions (N, E + C) → ``minerals`` logits (N, K + 1), "unknown" last."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        self.pooled = PooledSpectra(description.axis)
        layers = hidden_layers(
            self.pooled.size, options.hidden, options.depth - 1,
            activation_name=options.activation, dropout=options.dropout, residual=True,
        )  # fmt: skip
        self.body = nn.Sequential(layers)  # named as those of element-mlp, whose weights it can begin from
        self.head = MineralHead(options.hidden, len(description.names), options)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        inputs, _ = self.pooled(spectra, dose)
        return self.head.features(self.body(inputs), dose)
