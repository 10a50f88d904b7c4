"""The classifier of "Privileged bases": a perceptron from a spectrum to the presence of emission lines.

García-Avello Bofías, Bombini, Ruberto & Taccetti, EasyChair preprint, December 2024: 300 bins, 900 hidden
units, 556 lines.
"""

from typing import Annotated

from torch import Tensor, nn

from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.layers import hidden_layers


@parameters
class Options:
    """Hyper-parameters; the paper found the first four with Optuna.

    Attributes
    ----------
    hidden
        Units of each hidden layer.
    depth
        Hidden layers; the paper has one.
    dropout
        Part of the hidden units left out in training.
    activation
        Of the hidden units.
    residual
        Whether each hidden layer after the first is normalised and added to the one before, which lets deeper
        networks learn faster.
    """

    hidden: Annotated[int, Limits(8, 8192)] = 900
    depth: Annotated[int, Limits(1, 8)] = 1
    dropout: Annotated[float, Limits(0, 0.9)] = 0.0
    activation: Annotated[str, Choices(("relu", "gelu", "silu"))] = "gelu"
    residual: bool = False


class LineMlp(nn.Module):
    """Spectrum (N, E) → ``presence`` logits (N, K)."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels, lines = description.axis.size, len(description.names)
        self.body = hidden_layers(
            channels,
            options.hidden,
            options.depth,
            activation_name=options.activation,
            dropout=options.dropout,
            residual=options.residual,
        )
        self.head = nn.Linear(options.hidden, lines)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the last hidden layer, (N, hidden)."""
        return self.body(spectra)

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return the logits of the lines."""
        return {"presence": self.head(self.features(spectra, dose))}
