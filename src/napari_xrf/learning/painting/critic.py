"""What trains the painting generator and is not shipped: its discriminator, and its anchor, an encoder."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from napari_xrf.learning.painting.network import COLOR_FEATURES, Options, PaletteAttention


class Encoder(nn.Module):
    """The noise (N, P, Z) of a known paint, normally distributed (Larsen et al., arXiv:1512.09300)."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.attention = PaletteAttention(COLOR_FEATURES + 3 + 2, options.width, 2, options.heads)
        self.out = nn.Linear(options.width, 2 * options.noise)

    def forward(self, colors: Tensor, pigments: Tensor, masses: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance for shares by mass (N, P); the rest as for the recipe network."""
        features = self.attention(_paint_tokens(colors, pigments, masses, masses.sqrt()))
        mean, log_variance = self.out(features).chunk(2, dim=2)
        return mean, log_variance.clamp(-8, 4)


class Discriminator(nn.Module):
    """Score (N,) of a paint and its spectrum: high for a real one, low for a generated one.

    It sees the colour that was asked for, the mixture's spectrum in bands, and each pigment's share by mass.
    Spectral normalisation (Miyato et al., arXiv:1802.05957) bounds how steep it may be.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        width = options.width
        self.pigment = nn.Sequential(*_bounded(COLOR_FEATURES + 3 + 2, width), *_bounded(width, width))
        self.spectrum = nn.Sequential(*_bounded(options.bands, width))
        self.paint = nn.Sequential(
            *_bounded(4 * width + 3, 2 * width),
            *_bounded(2 * width, width),
            spectral_norm(nn.Linear(width, 1)),
        )

    def forward(self, colors: Tensor, pigments: Tensor, masses: Tensor, spectra: Tensor) -> Tensor:
        """Return the scores of masses (N, P) and square roots of counts in bands (N, B)."""
        roots = (masses + 1e-6).sqrt()
        each = self.pigment(_paint_tokens(colors, pigments, masses, roots))
        # The palette as a whole, its pigments by mass, and by the root of mass, which shows the traces.
        whole = each.mean(dim=1)
        by_mass = (masses[..., None] * each).sum(dim=1)
        by_root = (roots[..., None] * each).sum(dim=1)
        seen = torch.cat([whole, by_mass, by_root, self.spectrum(spectra), colors / 50], dim=1)
        return self.paint(seen)[:, 0]


def _bounded(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """Return a layer of bounded steepness and what follows it."""
    return spectral_norm(nn.Linear(inputs, outputs)), nn.LeakyReLU(0.2)


def _paint_tokens(colors: Tensor, pigments: Tensor, masses: Tensor, roots: Tensor) -> Tensor:
    number = pigments.shape[1]
    wanted = colors[:, None].expand(-1, number, -1) / 50
    shift = pigments[..., :3] - wanted
    return torch.cat([pigments, shift, wanted, masses[..., None], roots[..., None]], dim=2)
