"""The baseline of the exposé "Deep learning techniques for mineral analysis": plain convolutions."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.convolutions import MineralHead, SpectrumConvolutions


@parameters
class Options:
    """Hyper-parameters.

    Attributes
    ----------
    widths
        Channels of each convolution.
    first_kernel, first_stride
        Of the first convolution, in channels of the spectrum.
    hidden
        Units between convolutions and classes.
    squeeze
        Channels that the last convolution is squeezed to before it is laid out flat.
    dropout
        Part of the features left out in training.
    activation
        Of all layers.
    """

    widths: tuple[int, ...] = (32, 48, 64, 96)
    first_kernel: Annotated[int, Limits(3, 63)] = 9
    first_stride: Annotated[int, Limits(1, 32)] = 4
    hidden: Annotated[int, Limits(8, 2048)] = 256
    squeeze: Annotated[int, Limits(1, 256)] = 24
    dropout: Annotated[float, Limits(0, 0.9)] = 0.1
    activation: Annotated[str, Choices(("relu", "gelu", "silu"))] = "relu"

    def __post_init__(self) -> None:
        if not self.widths or not all(1 <= width <= 1024 for width in self.widths):
            raise InvalidInput(f"widths of convolutions lie from 1 to 1024, not {self.widths}")
        if self.first_kernel % 2 == 0:
            raise InvalidInput(f"a kernel has an odd number of channels, not {self.first_kernel}")


def build(options: Options, description: ModelDescription) -> nn.Module:
    """Return the network for a description's axis and classes."""
    return MineralCnn(options, description.axis.size, len(description.names))


class MineralCnn(nn.Module):
    """Spectrum (N, E) → ``minerals`` logits (N, K + 1), "unknown" last."""

    def __init__(self, options: Options, channels: int, names: int) -> None:
        super().__init__()
        self.body = SpectrumConvolutions(
            channels, options.widths, options.first_kernel, options.first_stride, options.activation
        )
        self.squeeze = nn.Conv1d(self.body.width, options.squeeze, 1)
        inputs = options.squeeze * self.body.length
        self.head = MineralHead(inputs, options.hidden, names, options.dropout, options.activation)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        return self.head.features(self.squeeze(self.body(spectra)).flatten(1), dose)

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return the logits of the classes."""
        return {"minerals": self.head.logits(self.features(spectra, dose))}
