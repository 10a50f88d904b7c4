"""Principal components as a network: features and denoised spectra, for comparison and as a first layer."""

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
    components
        Features that are kept.
    """

    components: Annotated[int, Limits(1, 1024)] = 64


class Pca(nn.Module):
    """Spectrum (N, E) → ``code`` (N, L) and ``spectrum`` (N, E); :meth:`fit` in place of training."""

    mean: Tensor
    components: Tensor

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        channels = description.axis.size
        kept = min(options.components, channels)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("components", torch.zeros(kept, channels))

    def fit(self, spectra: Tensor) -> None:
        """Take the components of largest variance of spectra (N, E)."""
        self.mean.copy_(spectra.mean(dim=0))
        centred = spectra - self.mean
        # The covariance is small where there are many spectra: E × E at the most.
        values, vectors = torch.linalg.eigh((centred.T @ centred).double() / max(len(spectra) - 1, 1))
        order = torch.argsort(values, descending=True)[: len(self.components)]
        found = vectors[:, order].T.float()
        # The sign of a component means nothing: let its largest entry be positive.
        largest = found.gather(1, found.abs().argmax(dim=1, keepdim=True))
        self.components.copy_(found * torch.where(largest < 0, -1.0, 1.0))

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the code, (N, L)."""
        return (spectra - self.mean) @ self.components.T

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return code and denoised spectrum."""
        code = self.features(spectra, dose)
        return {"code": code, "spectrum": torch.clamp(code @ self.components + self.mean, min=0)}
