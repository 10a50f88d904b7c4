"""The convolutional network for macro-XRF maps that the LT-ViT poster compares with.

After the published description (Preisler et al., Science Advances 10 (2024) eadp6234): three times
convolution of five channels, ReLU and pooling by two, then two more convolutions and a linear layer with a
gain and a bias for each output.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.layers import AxisAlignment, share

_STRIDES = 2 * 2 * 2 * 4  # three poolings and the strided convolution


@parameters
class Options:
    """Hyper-parameters.

    Attributes
    ----------
    width
        Channels of the first convolution; later ones have 2, 4 and 8 times as many.
    kernel
        Channels of the spectrum that a convolution sees, odd.
    dropout
        Part of the features left out in training.
    aligned
        Whether gain and offset are guessed and undone first.
    """

    width: Annotated[int, Limits(2, 64)] = 11
    kernel: Annotated[int, Limits(3, 31)] = 5
    dropout: Annotated[float, Limits(0, 0.9)] = 0.0
    aligned: bool = False


class MaxrfCnn(nn.Module):
    """Spectrum (N, E) → ``presence`` logits and ``intensity`` (N, K)."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels, names = description.axis.size, len(description.names)
        width, kernel = options.width, options.kernel
        same = kernel // 2
        self.missing = -channels % _STRIDES
        self.align = AxisAlignment(channels) if options.aligned else None
        self.body = nn.Sequential(
            nn.Conv1d(1, width, kernel, padding=same, bias=False),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(width, 2 * width, kernel, padding=same, bias=False),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(2 * width, 4 * width, kernel, padding=same, bias=False),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(4 * width, 8 * width, kernel, padding=same),
            nn.ReLU(),
            nn.Conv1d(8 * width, 8 * width, 1, stride=4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(options.dropout),
        )
        self.head = nn.Linear(8 * width * ((channels + self.missing) // _STRIDES), names)
        self.gain = nn.Parameter(torch.ones(names))
        self.bias = nn.Parameter(torch.zeros(names))
        self.presence_gain = nn.Parameter(torch.full((names,), 20.0))
        self.presence_bias = nn.Parameter(torch.full((names,), -1.0))

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return what the convolutions found, (N, D)."""
        aligned = spectra if self.align is None else self.align(spectra, dose)
        return self.body(nn.functional.pad(aligned, (0, self.missing))[:, None])

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return logits of presence and shares of the counts."""
        amount = self.head(self.features(spectra, dose))
        return {
            # One number per element tells how much there is, and so whether there is any.
            "presence": self.presence_gain * amount + self.presence_bias,
            "intensity": share(self.gain * amount + self.bias),
        }
