"""A variational autoencoder of spectra: features and denoised spectra.

Kingma & Welling, arXiv:1312.6114, with a weight β of the prior as in Higgins et al. (ICLR 2017).
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription


@parameters
class Options:
    """Hyper-parameters.

    Attributes
    ----------
    latent
        Numbers of the code.
    hidden
        Units of the two hidden layers of encoder and decoder.
    beta
        Weight of the prior, per channel of the spectrum.
    """

    latent: Annotated[int, Limits(1, 512)] = 32
    hidden: Annotated[int, Limits(8, 4096)] = 384
    beta: Annotated[float, Limits(0, 100)] = 0.02


class Vae(nn.Module):
    """Spectrum (N, E) → ``code`` (N, L), the mean of the latent numbers, and ``spectrum`` (N, E)."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels = description.axis.size
        self.beta = options.beta
        hidden = options.hidden
        self.encoder = nn.Sequential(
            nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.mean, self.log_variance = nn.Linear(hidden, options.latent), nn.Linear(hidden, options.latent)
        self.decoder = nn.Sequential(
            nn.Linear(options.latent, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, channels),
            nn.Softplus(beta=10),
        )

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the code, (N, L)."""
        return self.mean(self.encoder(spectra))

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return code and denoised spectrum; in training also ``penalty`` (N,), the distance to the prior."""
        hidden = self.encoder(spectra)
        mean = self.mean(hidden)
        if not self.training:
            return {"code": mean, "spectrum": self.decoder(mean)}
        log_variance = self.log_variance(hidden).clamp(-10, 10)
        drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        distance = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return {
            "code": mean,
            "spectrum": self.decoder(drawn),
            "penalty": self.beta * distance / spectra.shape[1],
        }
