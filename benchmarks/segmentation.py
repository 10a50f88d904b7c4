"""Does a network that sees neighbours clean mineral maps better than filters do: a table.

Run from the root: ``python -m benchmarks.segmentation [--maps 8000]
[--rocks granite,ultramafic,carbonatite]``. A small U-Net takes what each pixel holds of each class, with one
set of weights for all classes, so that any number of minerals will do. It learns on textures whose abundances
are unmixed from noisy, slightly wrong signatures, with strangers among them. It is judged beside the clean-up
steps, on textures that it has not seen and on rocks whose spectra other code made
(``benchmarks/independent``). Columns: share of pixels whose class is the one that most of the pixel is made
of, before and after each way of cleaning.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from benchmarks.mineral_rocks import rock_map, rocks_of
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import napari_xrf as nx
from napari_xrf.core.label_map import LabelClass, LabelMap, members_of
from napari_xrf.minerals.labels.cleanup import clean_labels, parse_clean_up
from napari_xrf.synthesis.textures import Occurrence, Texture, grow_grains

FILTERS = ("majority:3", "default", "potts:1")
_SIDE = 48
_NEW_MAPS = 2500  # then they come again, turned and mirrored
_AT_ONCE = 4
_UNMIXING_STEPS = 40
_LEAST = 0.03  # of an abundance, before its logarithm


@dataclass(frozen=True, eq=False)
class Segmented:
    """A map by the method of single pixels, and its truth; class 0 is unknown.

    Attributes
    ----------
    abundances
        (Y, X, K) as unmixed.
    confidence
        (Y, X) of the largest.
    truth
        (Y, X) which class most of the pixel is made of; -1 where the map has no name for it.
    """

    abundances: NDArray[np.float32]
    confidence: NDArray[np.float32]
    truth: NDArray[np.intp]

    @property
    def labels(self) -> NDArray[np.intp]:
        """(Y, X) the class of the largest abundance."""
        return self.abundances.argmax(axis=2)

    def turned(self, turns: int) -> Segmented:
        """Return the map turned by quarters, mirrored from the fifth on."""
        step = -1 if turns >= 4 else 1
        parts = (self.abundances, self.confidence, self.truth)
        return Segmented(*(np.ascontiguousarray(np.rot90(part, turns % 4)[::step]) for part in parts))


def draw_map(generator: np.random.Generator) -> Segmented:
    """Draw a texture and unmix its pixels with signatures that are not quite theirs."""
    known = int(generator.integers(3, 11))
    kinds = known + int(generator.random() < 0.5)
    phases = [_draw_phase(place, known, generator) for place in range(kinds)]
    texture = Texture(
        grain_size=float(np.exp(generator.uniform(np.log(2.5), np.log(16)))),
        elongation=float(generator.uniform(1, 3)),
        roughness=float(generator.uniform(0, 0.5)),
        subpixels=3,
        beam_fwhm=float(generator.uniform(0, 2)),
    )
    grown = grow_grains((_SIDE, _SIDE), phases, texture, generator)
    held = grown.abundances.reshape(-1, kinds)
    signatures = _draw_signatures(kinds, generator)
    scale, size = signatures.mean(), signatures.shape[1]
    wrong = np.exp(generator.uniform(np.log(0.01), np.log(0.15))) * scale
    of_grains = np.exp(generator.uniform(np.log(0.01), np.log(0.2))) * scale
    noise = np.exp(generator.uniform(np.log(0.02), np.log(0.35))) * np.sqrt(0.3 + signatures.mean(axis=0))
    spectra = held @ np.abs(signatures + generator.normal(0, wrong, signatures.shape))
    spectra += generator.normal(0, of_grains, (grown.grains.max() + 1, size))[grown.grains.ravel()]
    spectra += noise * generator.normal(size=spectra.shape)
    areas = _unmix(spectra, signatures[:known], float(generator.uniform(0, 0.15)))
    misfit = np.linalg.norm(spectra - areas @ signatures[:known], axis=1)
    limit = np.median(misfit) * generator.uniform(1.5, 3)
    unknown = np.clip((misfit / limit - 1) * generator.uniform(0.5, 2), 0, 1)[:, None]
    areas = np.concatenate([unknown, areas * (1 - unknown)], axis=1)
    if generator.random() < 0.3:  # as of methods that choose
        areas = areas**2 / (areas**2).sum(axis=1, keepdims=True)
    first, second = -np.partition(-areas, 1, axis=1)[:, :2].T
    lead = 3 * np.exp(generator.uniform(np.log(0.5), np.log(3))) * (first - second)
    truth = np.concatenate([held[:, known:].sum(axis=1, keepdims=True), held[:, :known]], axis=1)
    shape = (_SIDE, _SIDE)
    return Segmented(
        areas.reshape(*shape, -1).astype(np.float32),
        (1 / (1 + np.exp(-lead - 0.5))).reshape(shape).astype(np.float32),
        truth.argmax(axis=1).reshape(shape),
    )


def _draw_phase(place: int, known: int, generator: np.random.Generator) -> Occurrence:
    share = float(np.exp(generator.normal(0, 1.2))) * (0.2 if place >= known else 1.0)
    size = float(np.exp(generator.normal(0, 0.4)))
    if place == 0 or generator.random() < 0.7:
        return Occurrence(share=share, size=size)
    return Occurrence(0.05 * share, "inclusion" if generator.random() < 0.7 else "vein", size)


def _draw_signatures(kinds: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw (K, D) signatures, half of which look like another."""
    size = int(generator.integers(4, 14))
    drawn = generator.gamma(0.5, 1, (kinds, size))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    for place in range(1, kinds):
        if generator.random() < 0.5:
            apart = np.exp(generator.uniform(np.log(0.03), np.log(0.4)))
            drawn[place] = drawn[generator.integers(place)] + generator.normal(0, apart, size)
    return np.abs(drawn)


def _unmix(
    spectra: NDArray[np.float64], signatures: NDArray[np.float64], sparsity: float
) -> NDArray[np.float64]:
    """Return abundances that sum to one, by accelerated projected gradients."""
    gram, product = signatures @ signatures.T, spectra @ signatures.T
    step = 1 / np.linalg.norm(gram, 2)
    areas = ahead = np.full(product.shape, 1 / len(signatures))
    for number in range(_UNMIXING_STEPS):
        nearer = _on_simplex(ahead - step * (ahead @ gram - product - sparsity * ahead))
        areas, ahead = nearer, nearer + number / (number + 3) * (nearer - areas)
    return areas


def _on_simplex(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project rows on what sums to one and is not negative (Held, Wolfe and Crowder 1974)."""
    falling = -np.sort(-values, axis=1)
    excess = falling.cumsum(axis=1) - 1
    last = (falling > excess / np.arange(1, values.shape[1] + 1)).sum(axis=1) - 1
    return np.maximum(values - (excess[np.arange(len(values)), last] / (last + 1))[:, None], 0)


class _Mixing(nn.Module):
    """A convolution of every class's features, and what the mean of all classes adds."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")
        self.all = nn.Conv2d(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Take and return (K, C, Y, X)."""
        return functional.gelu(self.own(features) + self.all(features.mean(dim=0, keepdim=True)))


class ClassUNet(nn.Module):
    """A U-Net of three levels over (K, 4, Y, X): the same weights for each of K classes."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_Mixing(4, 12), _Mixing(12, 12))
        self.middle = nn.Sequential(_Mixing(12, 16), _Mixing(16, 16))
        self.coarse = nn.Sequential(_Mixing(16, 24), _Mixing(24, 16))
        self.to_middle, self.to_fine, self.answer = _Mixing(32, 12), _Mixing(24, 12), nn.Conv2d(12, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (K, Y, X) logarithms of odds."""
        fine = self.fine(features)
        middle = self.middle(functional.avg_pool2d(fine, 2, ceil_mode=True))
        coarse = self.coarse(functional.avg_pool2d(middle, 2, ceil_mode=True))
        middle = self.to_middle(torch.cat([middle, _grown(coarse, middle)], dim=1))
        fine = self.to_fine(torch.cat([fine, _grown(middle, fine)], dim=1))
        found: Tensor = self.answer(fine)[:, 0] + torch.log(features[:, 0] + _LEAST)
        return found


def _grown(features: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(features, size=like.shape[-2:], mode="bilinear", align_corners=False)


def features_of(segmented: Segmented) -> Tensor:
    """Return (K, 4, Y, X): abundance, chosen class, its confidence, and which class is unknown."""
    areas = segmented.abundances.transpose(2, 0, 1)
    chosen = segmented.labels == np.arange(len(areas))[:, None, None]
    unknown = np.zeros_like(areas)
    unknown[0] = 1
    parts = (areas, chosen, chosen * segmented.confidence, unknown)
    return torch.from_numpy(np.stack(parts, axis=1).astype(np.float32))


def train(maps: int, seed: int = 0) -> ClassUNet:
    """Train on so many maps."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed + 1)
    network, drawn = ClassUNet(), []
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 6e-3, total_steps=maps // _AT_ONCE + 1, pct_start=0.1
    )
    for number in range(1, maps + 1):
        if number <= _NEW_MAPS:
            drawn.append(draw_map(generator))
            segmented = drawn[-1]
        else:
            segmented = drawn[generator.integers(len(drawn))].turned(int(generator.integers(8)))
        truth = torch.from_numpy(segmented.truth)[None]
        loss = functional.cross_entropy(network(features_of(segmented))[None], truth)
        (loss / _AT_ONCE).backward()
        if number % _AT_ONCE == 0:
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    return network


def rocks(names: str, grain: float, keep: Path | None) -> Iterator[tuple[str, Segmented]]:
    """Yield what the default method finds in rocks of other code's spectra, and their truth."""
    given = SimpleNamespace(rocks=names, counts="1000", surface="flat", size=64, grain=grain, seed=0)
    for name, _, draws in rocks_of(given):
        made = rock_map(name, 0, draws, keep)
        found = nx.map_minerals(made.cube, made.listed)
        members = [members_of(entry.name) for entry in found.label_map.classes]
        place = np.array(
            [
                0 if each in made.strangers else next((k for k, own in enumerate(members) if each in own), -1)
                for each in made.names
            ]
        )
        confidence = np.nan_to_num(np.asarray(found.label_map.confidence), nan=0.0)
        truth = place[made.fractions.argmax(axis=2)]
        yield f"{name}, grains of {grain:g}", Segmented(found.abundances.values, confidence, truth)


def accuracy(network: ClassUNet, segmented: Segmented) -> NDArray[np.float64]:
    """Return the share of right pixels: as they are, after each filter, after the network."""
    table = tuple(LabelClass(k + 1, f"class {k}") for k in range(segmented.abundances.shape[2]))
    found = LabelMap((segmented.labels + 1).astype(np.uint8), table, segmented.confidence)
    cleaned = [
        clean_labels(found, parse_clean_up(steps)).labels.astype(int) - 1 for steps in ("none", *FILTERS)
    ]
    with torch.no_grad():
        cleaned.append(network(features_of(segmented)).argmax(dim=0).numpy())
    return np.array([np.mean(each == segmented.truth) for each in cleaned])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maps", type=int, default=8000, help="to learn from")
    parser.add_argument("--rocks", default="granite,ultramafic,carbonatite")
    parser.add_argument("--keep", type=Path, help="folder of rock maps that are made once")
    given = parser.parse_args()
    network = train(given.maps)
    print("| map | " + " | ".join(("as it is", *FILTERS, "U-Net")) + " |")
    print("|---" * (len(FILTERS) + 3) + "|")
    held_out = [accuracy(network, draw_map(np.random.default_rng(10_000 + seed))) for seed in range(60)]
    rows = [("60 textures, not seen", np.mean(held_out, axis=0))]
    for grain in (12.0, 4.0):
        found = rocks(given.rocks, grain, given.keep)
        rows += [(name, accuracy(network, segmented)) for name, segmented in found]
    for name, values in rows:
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |", flush=True)


if __name__ == "__main__":
    main()
