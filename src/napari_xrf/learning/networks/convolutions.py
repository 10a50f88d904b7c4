"""What the mineral networks share: their convolutions, their head and the hyper-parameters of both."""

from typing import Annotated, Protocol

import torch
from torch import Tensor, nn

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.learning.networks.layers import activation, centred


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
    excitation
        Channels for each unit of squeeze-and-excitation after a convolution; 0: none.
    """

    widths: tuple[int, ...] = (32, 48, 64, 96)
    first_kernel: Annotated[int, Limits(3, 63)] = 9
    first_stride: Annotated[int, Limits(1, 32)] = 4
    hidden: Annotated[int, Limits(8, 2048)] = 256
    squeeze: Annotated[int, Limits(1, 256)] = 24
    dropout: Annotated[float, Limits(0, 0.9)] = 0.1
    activation: Annotated[str, Choices(("relu", "gelu", "silu"))] = "relu"
    excitation: Annotated[int, Limits(0, 64)] = 0

    def __post_init__(self) -> None:
        if not self.widths or not all(1 <= width <= 1024 for width in self.widths):
            raise InvalidInput(f"widths of convolutions lie from 1 to 1024, not {self.widths}")
        if self.first_kernel % 2 == 0:
            raise InvalidInput(f"a kernel has an odd number of channels, not {self.first_kernel}")


class SpectrumConvolutions(nn.Module):
    """Strided convolutions from a spectrum (N, E) to features along the energy (N, C, P).

    The first one sees a peak's width at full resolution; each later one halves the length. Where a peak lies
    tells the element, so a second input channel holds the energy.
    """

    def __init__(self, channels: int, options: Options) -> None:
        super().__init__()
        self.register_buffer("position", torch.linspace(-1, 1, channels)[None, None], persistent=False)
        blocks: list[nn.Module] = []
        before, length, kernel, stride = 2, channels, options.first_kernel, options.first_stride
        for width in options.widths:
            blocks += [
                nn.Conv1d(before, width, kernel, stride=stride, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                activation(options.activation),
            ]
            if options.excitation:
                blocks.append(SqueezeExcitation(width, options.excitation))
            length = (length + 2 * (kernel // 2) - kernel) // stride + 1
            before, kernel, stride = width, 5, 2
        self.blocks = nn.Sequential(*blocks)
        self.length, self.width = length, options.widths[-1]

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the features."""
        lines = spectra[:, None]
        return self.blocks(torch.cat([lines, self.position.expand(len(lines), -1, -1)], dim=1))


class SqueezeExcitation(nn.Module):
    """Weighs channels of features (N, C, P) by their means over P (Hu et al., arXiv:1709.01507)."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        narrow = max(width // reduction, 4)
        self.weights = nn.Sequential(
            nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, width), nn.Sigmoid()
        )

    def forward(self, found: Tensor) -> Tensor:
        """Return the features, weighted."""
        return found * self.weights(found.mean(dim=2))[..., None]


class HeadOptions(Protocol):
    """What the head asks of a network's options."""

    @property
    def hidden(self) -> int:
        """Units between features and classes."""

    @property
    def dropout(self) -> float:
        """Part of the features left out in training."""

    @property
    def activation(self) -> str:
        """Of the hidden layer."""


class MineralHead(nn.Module):
    """Logits (N, K + 1) from features (N, D) and the dose; the last one is "unknown"."""

    def __init__(self, inputs: int, names: int, options: HeadOptions) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Dropout(options.dropout),
            nn.Linear(inputs + 1, options.hidden),
            activation(options.activation),
            nn.Dropout(options.dropout),
        )
        self.logits = nn.Linear(options.hidden, names + 1)

    def features(self, found: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer, (N, hidden)."""
        return self.hidden(torch.cat([found, centred(dose)], dim=1))


class MineralNetwork(nn.Module):
    """Spectrum (N, E) → ``minerals`` logits (N, K + 1), "unknown" last."""

    head: MineralHead

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        raise NotImplementedError

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return the logits of the classes."""
        return {"minerals": self.head.logits(self.features(spectra, dose))}
