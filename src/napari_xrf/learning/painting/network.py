"""The network of the painting generator: from a colour and a palette to a paint, and to its spectrum.

Pigments come as a set, described by their colours and spectra, so any palette on any energy axis will do.
The *recipe* network chooses the shares by mass for a colour; noise, the painter's liking for each pigment,
chooses among the paints of that colour. The *emission* network tells with which share of the counts each
pigment's spectrum then stands in the mixture's. What trains both, a discriminator and an encoder, is not
shipped.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.painting.colors import (
    DARKEST,
    LIGHTEST,
    absorption,
    lab_from_linear,
    linear_from_srgb,
)

COLOR_FEATURES = 9  # CIELAB and log K/S of a masstone, its CIELAB less the colour's
_LOG_SMALLEST = -14.0
_DAMPING, _LARGEST_STEP = 1e-3, 1.5


@parameters
class Options:
    """Size of the network.

    Attributes
    ----------
    width, emission_width
        Features of a pigment in the recipe and in the emission network.
    layers, heads
        Of attention over the palette.
    noise
        Random numbers for each pigment.
    bands
        Energy bands that describe a spectrum.
    """

    width: Annotated[int, Limits(8, 1024)] = 48
    layers: Annotated[int, Limits(1, 12)] = 2
    heads: Annotated[int, Limits(1, 16)] = 4
    noise: Annotated[int, Limits(1, 64)] = 2
    bands: Annotated[int, Limits(8, 1024)] = 96
    emission_width: Annotated[int, Limits(8, 1024)] = 64


class PaletteAttention(nn.Module):
    """Attention among the pigments of a palette, (N, P, inputs) to (N, P, width); no order among them."""

    def __init__(self, inputs: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the pigments' features."""
        features = self.embed(tokens)
        for layer in self.layers:
            features = layer(features)
        return self.norm(features)


class RecipeNetwork(nn.Module):
    """Shares by mass (N, P) of the pigments in a paint of a colour."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        inputs = COLOR_FEATURES + 3 + options.noise
        self.attention = PaletteAttention(inputs, options.width, options.layers, options.heads)
        self.score = nn.Linear(options.width, 1)

    def forward(self, colors: Tensor, pigments: Tensor, noise: Tensor) -> Tensor:
        """Return the logarithms of the shares.

        For colours (N, 3) in CIELAB, pigments (N, P, 6) of :func:`pigment_features` and normally distributed
        noise (N, P, Z), the painter's liking for each pigment.
        """
        tokens = _with_color(colors, pigments)
        wanted = (colors / 50)[:, None].expand(-1, tokens.shape[1], -1)
        features = self.attention(torch.cat([tokens, wanted, noise], dim=2))
        return torch.log_softmax(self.score(features)[..., 0], dim=1)


class EmissionNetwork(nn.Module):
    """Shares of the counts (N, P) that pigments' spectra have in a mixture's spectrum.

    A pigment counts by its mass times the counts of its own layer, corrected for what the mixture absorbs. As
    absorption adds up by mass, the mixture is described by the mean of its pigments' features by mass.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        width = options.emission_width
        self.describe = nn.Sequential(nn.Linear(options.bands + 2, width), nn.GELU(), nn.Linear(width, width))
        self.correct = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, 1))
        nn.init.zeros_(self.correct[-1].weight)
        nn.init.zeros_(self.correct[-1].bias)

    def forward(self, log_masses: Tensor, bands: Tensor, strengths: Tensor) -> Tensor:
        """Return the shares, for logarithms of the shares by mass (N, P).

        ``bands`` (N, P, B) and ``strengths`` (N, P, 2) are those of :class:`~.generator.Palette`.
        """
        features = self.describe(torch.cat([bands, strengths], dim=2))
        mixture = (log_masses.exp()[..., None] * features).sum(dim=1, keepdim=True)
        correction = self.correct(torch.cat([features, mixture.expand_as(features)], dim=2))[..., 0]
        return torch.softmax(log_masses.clamp_min(_LOG_SMALLEST) + strengths[..., 0] + correction, dim=1)


class PaintingNetwork(nn.Module):
    """Both networks: what a painting is generated with."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.recipe = RecipeNetwork(options)
        self.emission = EmissionNetwork(options)


def pigment_features(colors: Tensor) -> Tensor:
    """Return (..., P, 6) for masstones (..., P, 3) in sRGB from 0 to 1: CIELAB and log K/S, of order 1."""
    linear = linear_from_srgb(colors).clamp(DARKEST, LIGHTEST)
    return torch.cat([lab_from_linear(linear) / 50, absorption(colors).log() / 3], dim=-1)


def match_color(log_masses: Tensor, colors: Tensor, wanted: Tensor, steps: int = 4) -> Tensor:
    """Return logarithms of shares (N, P) changed so that the mixture has the wanted colour, as far as it can.

    Damped Gauss-Newton steps on the logarithms of K/S of the three primaries. Pigments move in proportion to
    their share, so that none comes in anew; one of minus infinity takes no part. Masstones (N, P, 3) and
    wanted colours (N, 3) are sRGB from 0 to 1.
    """
    single, target = absorption(colors), absorption(wanted).log()
    damping = _DAMPING * torch.eye(3, dtype=single.dtype)
    for _ in range(steps):
        masses = log_masses.exp()
        ratio = (masses[..., None] * single).sum(dim=1)
        slope = masses[..., None] * (single - ratio[:, None]) / ratio[:, None]
        normal = slope.mT @ slope + damping
        step = slope @ torch.linalg.solve(normal, (target - ratio.log())[..., None])
        log_masses = torch.log_softmax(log_masses + step[..., 0].clamp(-_LARGEST_STEP, _LARGEST_STEP), dim=1)
    return log_masses


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


def _with_color(colors: Tensor, pigments: Tensor) -> Tensor:
    """Return the COLOR_FEATURES of each pigment for the colour that is wanted."""
    return torch.cat([pigments, pigments[..., :3] - colors[:, None] / 50], dim=2)


def _bounded(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """Return a layer of bounded steepness and what follows it."""
    return spectral_norm(nn.Linear(inputs, outputs)), nn.LeakyReLU(0.2)


def _paint_tokens(colors: Tensor, pigments: Tensor, masses: Tensor, roots: Tensor) -> Tensor:
    number = pigments.shape[1]
    wanted = colors[:, None].expand(-1, number, -1) / 50
    shift = pigments[..., :3] - wanted
    return torch.cat([pigments, shift, wanted, masses[..., None], roots[..., None]], dim=2)
