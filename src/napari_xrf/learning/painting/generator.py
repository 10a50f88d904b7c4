"""The painting generator: a learned stand-in for ganX's fixed weighting of pigments by colour.

ganX (arXiv:2304.14078) weights every pigment that resembles a colour. This generator has learned from paints
mixed by mass what a painter with these pigments may have used for the colour, a few of them, and with
which share of the counts each then stands in the spectrum. Its noise chooses among paints of the same colour.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.named_files import is_file
from napari_xrf.learning.painting.colors import lab_from_linear, linear_from_srgb
from napari_xrf.learning.painting.network import Options, PaintingNetwork, match_color, pigment_features
from napari_xrf.learning.painting.paints import mix_colors
from napari_xrf.learning.weights import SUFFIX, check_finite, check_suffix, read_tensors, write_tensors
from napari_xrf.synthesis.pigments import PigmentSpectra

Floats = NDArray[np.float64]

NAME = "painting-generator"
LOWEST_KEV, HIGHEST_KEV = 0.8, 45.0
LEAST_SHARE = 0.02
"""A pigment with a smaller share by mass is left out of a paint."""
_TRIES, _ALIKE = 8, 3.0  # noises, and the CIEDE2000 at which two colours look alike
_FORMAT = 1
_METADATA = "napari_xrf_painting"


@dataclass(frozen=True, eq=False)
class Palette:
    """Pigments as the networks take them.

    Strengths: logarithm of the counts of each pigment's layer less the mean, and 1; zeros where unknown.
    """

    colors: torch.Tensor  # (P, 3) sRGB from 0 to 1
    bands: torch.Tensor  # (P, B) square roots of the parts of each spectrum in energy bands
    strengths: torch.Tensor  # (P, 2)


@dataclass(frozen=True, eq=False)
class GeneratedPaints:
    """Paints of K colours: shares (K, P) by mass, and of the pigments' spectra in the counts."""

    masses: Floats
    weights: Floats


@dataclass(frozen=True, eq=False)
class PaintingGenerator:
    """A trained generator, and how it was made. Called, it weights pigments for the colours of a painting."""

    network: PaintingNetwork
    training: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, colors: ArrayLike, pigments: PigmentSpectra, generator: np.random.Generator) -> Floats:
        """Return the weights (K, P) of the pigments' spectra in each of K colours.

        All colours of a painting share one noise: one painter with a liking for each pigment, who mixes like
        colours alike. Where that makes no paint of the colour (more than 3 in CIEDE2000 away), up to seven
        other noises are tried in turn, the same ones for all colours, and the nearest paint is taken.
        """
        wanted = np.asarray(colors, dtype=np.float64)
        weights = np.zeros((len(wanted), len(pigments.names)))
        distance = np.full(len(wanted), np.inf)
        for _ in range(_TRIES):
            noise = self.draw_noise(generator, len(pigments.names))
            far = np.flatnonzero(distance > _ALIKE)
            if far.size:
                paints = self.mix(wanted[far], pigments, noise)
                now = color_distance(paints.masses, pigments, wanted[far])
                nearer = now < distance[far]
                weights[far[nearer]] = paints.weights[nearer]
                distance[far[nearer]] = now[nearer]
        return weights

    def draw_noise(self, generator: np.random.Generator, pigments: int, colors: int | None = None) -> Floats:
        """Return noise for :meth:`mix`: (P, Z) for all colours, or (K, P, Z) for K colours apart."""
        size = (pigments, self.network.options.noise)
        return generator.normal(size=size if colors is None else (colors, *size))

    def mix(self, colors: ArrayLike, pigments: PigmentSpectra, noise: ArrayLike) -> GeneratedPaints:
        """Return paints of colours (K, 3), sRGB to 255, from a palette, for noise of :meth:`draw_noise`.

        Raises InvalidInput when colours or noise are of another shape.
        """
        wanted = np.asarray(colors, dtype=np.float64)
        shape = (len(wanted), len(pigments.names), self.network.options.noise)
        if wanted.ndim != 2 or wanted.shape[1] != 3:
            raise InvalidInput(f"colours must be a table (K, 3), not {wanted.shape}")
        if np.shape(noise) not in (shape[1:], shape):
            raise InvalidInput(f"noise {np.shape(noise)} does not fit (colours, pigments, numbers) {shape}")
        drawn = np.broadcast_to(np.asarray(noise, dtype=np.float32), shape)
        palette = describe_palette(pigments, self.network.options.bands)
        size = (len(wanted), -1, -1)
        with torch.inference_mode():
            lab = lab_from_linear(linear_from_srgb(torch.from_numpy(wanted / 255).float()))
            features = pigment_features(palette.colors).expand(size)
            log_masses = self.network.recipe(lab, features, torch.from_numpy(drawn.copy()))
            log_masses = match_color(
                drop_traces(log_masses), palette.colors.expand(size), torch.from_numpy(wanted / 255).float()
            )
            weights = self.network.emission(
                log_masses, palette.bands.expand(size), palette.strengths.expand(size)
            )
        masses = log_masses.double().exp().numpy()
        shares = np.where(masses > 0, weights.double().numpy(), 0.0)
        return GeneratedPaints(masses, shares / shares.sum(axis=1, keepdims=True))


def color_distance(masses: ArrayLike, pigments: PigmentSpectra, wanted: ArrayLike) -> Floats:
    """Return how far (CIEDE2000, (K,)) paints of some masses (K, P) are from colours (K, 3), sRGB to 255."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    made = mix_colors(masses, pigments.colors)
    return np.asarray(deltaE_ciede2000(rgb2lab(made / 255), rgb2lab(np.asarray(wanted) / 255)))


def describe_palette(pigments: PigmentSpectra, bands: int) -> Palette:
    """Return pigments as the networks take them; the strengths of measured spectra count as unknown."""
    shares = np.sqrt(band_shares(pigments.spectra, pigments.energy, bands))
    strengths = np.zeros((len(pigments.names), 2))
    if pigments.families:
        logs = np.log(pigments.spectra.sum(axis=1))
        strengths = np.stack([logs - logs.mean(), np.ones_like(logs)], axis=1)
    return Palette(
        torch.from_numpy(pigments.colors / 255).float(),
        torch.from_numpy(shares).float(),
        torch.from_numpy(strengths).float(),
    )


def band_shares(spectra: ArrayLike, energy: EnergyAxis, bands: int) -> Floats:
    """Return the parts (..., B) of spectra (..., E) in bands whose edges rise by a constant factor.

    The bands run from 0.8 to 45 keV; counts outside are left out, and so is what a spectrum does not reach.
    """
    counts = np.asarray(spectra, dtype=np.float64)
    edges = np.geomspace(LOWEST_KEV, HIGHEST_KEV, bands + 1)
    position = np.clip((edges - energy.edges[0]) / energy.width, 0, energy.size)
    left = np.minimum(position.astype(np.intp), energy.size - 1)
    cumulative = np.concatenate([np.zeros((*counts.shape[:-1], 1)), np.cumsum(counts, axis=-1)], axis=-1)
    at_edges = cumulative[..., left] + (position - left) * counts[..., left]
    inside = np.diff(at_edges, axis=-1)
    total = inside.sum(axis=-1, keepdims=True)
    return np.asarray(inside / np.where(total > 0, total, 1))


def drop_traces(log_masses: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of shares (N, P) without those under LEAST_SHARE; the largest always stays."""
    least = torch.full_like(log_masses[:, :1], LEAST_SHARE).log()
    kept = log_masses >= torch.minimum(least, log_masses.max(dim=1, keepdim=True).values)
    return torch.log_softmax(log_masses.masked_fill(~kept, -torch.inf), dim=1)


def save_painting_generator(path: str | Path, generator: PaintingGenerator) -> Path:
    """Write a generator's weights and description.

    Raises InvalidInput when the file's ending is another than .safetensors.
    """
    network, target = generator.network, check_suffix(path)
    check_finite(network.state_dict())
    stored = {"format": _FORMAT, "options": asdict(network.options), "training": dict(generator.training)}
    write_tensors(target, network.state_dict(), {_METADATA: json.dumps(stored, ensure_ascii=False)})
    return target


def load_painting_generator(weights: str | Path | None = None) -> PaintingGenerator:
    """Return the shipped generator, or the one of a weights file.

    Raises FileError when the file is missing, damaged, or no painting generator.
    """
    path = shipped_weights() if weights is None else Path(weights)
    if not is_file(path):
        raise FileError(path, "there is no such file", "Give the weights of a painting generator")
    try:
        tensors, texts = read_tensors(path)
        if _METADATA not in texts:
            raise FileError(path, "is no painting generator", f"Train one: napari-xrf train {NAME}")
        stored = json.loads(texts[_METADATA])
        if stored["format"] > _FORMAT:
            raise FileError(path, "is of a newer format", "Update napari-xrf")
        check_finite(tensors)
        network = PaintingNetwork(Options(**stored["options"]))
        network.load_state_dict(tensors)
        return PaintingGenerator(network.eval(), dict(stored["training"]))
    except FileError:
        raise
    except Exception as error:  # whatever a damaged description makes a network raise
        lines = str(error).splitlines() or [repr(error)]
        raise FileError(path, f"cannot be read as a painting generator ({lines[0]})") from error


def shipped_weights() -> Path:
    """Return the file of the generator that comes with napari-xrf."""
    from importlib.resources import files

    return Path(str(files("napari_xrf.learning") / "weights" / f"{NAME}{SUFFIX}"))
