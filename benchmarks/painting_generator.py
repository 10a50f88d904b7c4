"""The painting generator against ganX's fixed weighting, on paints that neither has seen.

``python benchmarks/painting_generator.py [--weights FILE] [--without-discriminator FILE]``. Every method gets
the same colour and the same palette; the truth is the forward model of the mixed layer. Test paints come from
another seed than the training's, and from pairs of pigments that training never mixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from napari_xrf.learning.painting.colors import DARKEST, LIGHTEST, linear_from_srgb
from napari_xrf.learning.painting.generator import PaintingGenerator, load_painting_generator
from napari_xrf.learning.painting.options import PaintingTraining
from napari_xrf.learning.painting.paints import (
    absorption_over_scattering,
    draw_paints,
    expect_paints,
    hold_out_pairs,
    mix_colors,
    srgb,
)
from napari_xrf.learning.painting.training import light_instrument
from napari_xrf.maps.similarity import (
    compare_histograms,
    flatten_cube,
    multiscale_similarity,
    structural_similarity,
)
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.pigments import load_pigments
from napari_xrf.synthesis.color_clusters import ClusterParameters
from napari_xrf.synthesis.color_similarity import color_similarity, threshold_weights
from napari_xrf.synthesis.painting import PaintingParameters, color_spectra, synthesize_painting
from napari_xrf.synthesis.pigments import PigmentSpectra, expect_pigments

Weights = Callable[[np.ndarray, PigmentSpectra], np.ndarray]
SEED = 20_000  # the training's is 0
PALETTE = 12
PAINTING_PALETTE = 9  # the paper's
PAINTS_OF_A_PAINTING = 16
COUNTS = 400
DRAWS = 16


@dataclass(frozen=True, eq=False)
class TestSet:
    """Paints of known spectra, and the palette of whoever mixed each."""

    name: str
    pigments: PigmentSpectra
    masses: np.ndarray
    spectra: np.ndarray
    colors: np.ndarray
    palettes: np.ndarray  # (N, P) which pigments each painter had


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--weights", type=Path, help="of the generator (default: shipped)")
    options.add_argument("--without-discriminator", type=Path, help="weights trained with adversarial=0")
    options.add_argument("--size", type=int, default=200, help="paints in each set")
    options.add_argument("--paintings", type=int, default=4)
    chosen = options.parse_args()
    learned = load_painting_generator(chosen.weights)
    generators = {"learned": learned}
    if chosen.without_discriminator:
        generators["learned, no discriminator"] = load_painting_generator(chosen.without_discriminator)
    for each in test_sets(chosen.size, learned):
        compare(each, generators)
        if "whole" in each.name or "held-out" in each.name:
            variety(each, generators)
    paintings(chosen.paintings, learned)


def test_sets(size: int, learned: PaintingGenerator) -> list[TestSet]:
    table = load_pigments()
    options = PaintingTraining(**{
        name: learned.training["options"][name] for name in ("held_out", "held_out_seed")
    })  # fmt: skip
    held_out = hold_out_pairs(len(table), options.held_out, np.random.default_rng(options.held_out_seed))
    leaf = np.array([pigment.pigment_volume == 1 for pigment in table])
    sets = []
    tornado, whole = ("m4-tornado", "chalk", "wood"), len(table)
    for name, pairs, mixing, palette, support in (
        ("new mixtures of pairs that training mixed", "seen", mix_colors, PALETTE, tornado),
        ("held-out pairs", "held-out", mix_colors, PALETTE, tornado),
        ("held-out pairs, whole table as palette", "held-out", mix_colors, whole, tornado),
        ("held-out pairs, geometric mixing", "held-out", geometric_colors, PALETTE, tornado),
        (
            "held-out pairs, PIXL, lead white on canvas",
            "held-out", mix_colors, PALETTE, ("pixl", "lead white", "canvas"),
        ),
    ):  # fmt: skip
        random = np.random.default_rng(SEED + len(sets))
        instrument, ground, substrate = support
        light = light_instrument(load_instrument(instrument))
        pigments = expect_pigments(table, light, ground=ground, substrate=substrate)
        absorption = absorption_over_scattering(pigments.colors)
        masses = draw_paints(size, absorption, random, alone=leaf, held_out=held_out, pairs=pairs)
        spectra = expect_paints(table, masses, light, ground=ground, substrate=substrate)
        order = np.argsort(random.random(masses.shape) - (masses > 0), axis=1)
        palettes = np.sort(order[:, :palette], axis=1)
        colors = mixing(masses, pigments.colors)
        sets.append(TestSet(name, pigments, masses, spectra, colors, palettes))
    return sets


def geometric_colors(masses: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Colours of mixtures by another law: the weighted geometric mean of the reflectances."""
    return srgb(np.exp(masses @ np.log(np.clip(linear_from_srgb(colors / 255), DARKEST, LIGHTEST))))


def compare(tested: TestSet, generators: dict[str, PaintingGenerator]) -> None:
    print(f"\n## {tested.name}: {len(tested.colors)} paints, palettes of {tested.palettes.shape[1]}\n")
    methods: dict[str, Weights] = {
        "fixed, threshold 0.6": lambda colors, palette: fixed(colors, palette, 0.6),
        "fixed, threshold 0.9": lambda colors, palette: fixed(colors, palette, 0.9),
        "nearest pigment": lambda colors, palette: fixed(colors, palette, 1.0),
        "colour match": color_match,
    }
    for number, (name, generator) in enumerate(generators.items()):
        random = np.random.default_rng(SEED + 100 + number)
        methods[name] = lambda colors, palette, g=generator, r=random: g(colors, palette, r)
        methods[f"{name}, mean of {DRAWS}"] = lambda colors, palette, g=generator, r=random: np.mean(
            [g(colors, palette, r) for _ in range(DRAWS)], axis=0
        )
    rows = {name: [] for name in (*methods, "best weights")}
    for index, (color, truth) in enumerate(zip(tested.colors, tested.spectra, strict=True)):
        palette = part_of(tested.pigments, tested.palettes[index])
        for name, method in methods.items():
            rows[name].append(distances(method(color[None], palette), palette, truth))
        rows["best weights"].append(distances(best_weights(palette, truth), palette, truth))
    print_table({name: np.mean(values, axis=0) for name, values in rows.items()})


def variety(tested: TestSet, generators: dict[str, PaintingGenerator]) -> None:
    """How different and how plausible the paints of one colour are."""
    print(f"\n{DRAWS} paints of each colour:\n")
    print(
        "| | ΔE2000 to the colour, median; 90 % | within 3 | pigments of a paint (truth) | "
        "distance between them (JS) | best of them to the truth (JS) | pigment sets among them |"
    )
    print("|---|---|---|---|---|---|---|")  # fmt: skip
    for name, generator in generators.items():
        random = np.random.default_rng(SEED + 200)
        shifts, numbers, apart, best, kinds = [], [], [], [], []
        for index, (color, truth) in enumerate(zip(tested.colors, tested.spectra, strict=True)):
            palette = part_of(tested.pigments, tested.palettes[index])
            noise = generator.draw_noise(random, len(palette.names), DRAWS)
            paints = generator.mix(np.repeat(color[None], DRAWS, axis=0), palette, noise)
            shades = mix_colors(paints.masses, palette.colors)
            shifts += list(100 * (1 - color_similarity(shades, color[None])[:, 0]))
            numbers += list((paints.masses > 0).sum(axis=1))
            kinds.append(len({tuple(row) for row in paints.masses > 0.02}))
            spectra = color_spectra(paints.weights, palette)
            apart.append(np.mean([
                jensen_shannon(spectra[i], spectra[i + 1]) for i in range(0, DRAWS, 2)
            ]))  # fmt: skip
            best.append(min(jensen_shannon(spectrum, truth) for spectrum in spectra))
        true_numbers = (tested.masses > 0).sum(axis=1).mean()
        print(
            f"| {name} | {np.median(shifts):.2f}; {np.quantile(shifts, 0.9):.2f} "
            f"| {np.mean(np.array(shifts) < 3):.0%} "
            f"| {np.mean(numbers):.2f} ({true_numbers:.2f}) | {np.mean(apart):.3f} | {np.mean(best):.3f} "
            f"| {np.mean(kinds):.1f} |"
        )


def paintings(number: int, learned: PaintingGenerator) -> None:
    """Whole maps from pictures: the summed histograms and the flattened cubes, as in the paper's tables."""
    table = load_pigments()
    light = light_instrument(load_instrument("m4-tornado"))
    everything = expect_pigments(table, light)
    leaf = np.array([pigment.pigment_volume == 1 for pigment in table])
    histograms, cubes = {}, {}
    for painting in range(number):
        random = np.random.default_rng(SEED + 300 + painting)
        picks = np.sort(random.choice(np.flatnonzero(~leaf), PAINTING_PALETTE, replace=False))
        palette = part_of(everything, picks)
        few = tuple(table[pick] for pick in picks)
        masses = draw_paints(PAINTS_OF_A_PAINTING, absorption_over_scattering(palette.colors), random)
        shapes = expect_paints(few, masses, light)
        shapes /= shapes.sum(axis=1, keepdims=True)
        labels = patches(64, PAINTS_OF_A_PAINTING, random)
        truth, again = (draw(shapes, labels, random) for _ in range(2))
        picture = mix_colors(masses, palette.colors)[labels].round().astype(np.uint8)
        clusters = ClusterParameters(start=PAINTS_OF_A_PAINTING, spread=3)
        made = {"the truth drawn anew": again, "Poisson noise": noise_of(truth, random)}
        for name, weighting, threshold in (
            ("fixed, threshold 0.6", "fixed", 0.6),
            ("fixed, threshold 0.9", "fixed", 0.9),
            ("learned", "learned", 0.6),
        ):
            parameters = PaintingParameters(
                counts_per_pixel=COUNTS, weighting=weighting, threshold=threshold, clusters=clusters
            )
            seeded = np.random.default_rng(SEED + 400 + painting)
            map_ = synthesize_painting(
                picture, palette, generator=seeded, parameters=parameters,
                weighting=learned if weighting == "learned" else None,
            )  # fmt: skip
            made[name] = np.asarray(map_.cube.counts)
        for name, counts in made.items():
            summed = compare_histograms(counts.sum(axis=(0, 1)), truth.sum(axis=(0, 1)))
            histograms.setdefault(name, []).append(list(summed.values()))
            flat = flatten_cube(counts), flatten_cube(truth)
            both = structural_similarity(*flat), multiscale_similarity(*flat)
            cubes.setdefault(name, []).append(both)
    print(
        f"\n## {number} paintings of {PAINTING_PALETTE} pigments, 64 × 64 × {COUNTS} counts: "
        "summed histogram\n"
    )
    print_table({name: np.mean(values, axis=0) for name, values in histograms.items()})
    print("\nFlattened cubes:\n\n| | SSIM | MS-SSIM |\n|---|---|---|")
    for name, values in cubes.items():
        print(f"| {name} | {np.mean(values, axis=0)[0]:.4f} | {np.mean(values, axis=0)[1]:.4f} |")


def fixed(colors: np.ndarray, palette: PigmentSpectra, threshold: float) -> np.ndarray:
    return threshold_weights(color_similarity(colors, palette.colors), threshold)


def color_match(colors: np.ndarray, palette: PigmentSpectra) -> np.ndarray:
    """Return the least-squares mixture of each colour by Kubelka and Munk, without learning."""
    absorption = absorption_over_scattering(palette.colors)
    found = []
    for wanted in absorption_over_scattering(colors):
        # Relative errors, and a sum of 1 as a fourth equation.
        matrix = np.vstack([absorption.T / wanted[:, None], np.full(len(absorption), 10.0)])
        masses, _ = nnls(matrix, np.array([1, 1, 1, 10.0]))
        found.append(masses * palette.spectra.sum(axis=1))
    weights = np.array(found)
    return weights / weights.sum(axis=1, keepdims=True)


def best_weights(palette: PigmentSpectra, truth: np.ndarray) -> np.ndarray:
    """Return the weights that come nearest to a spectrum: the bound of all that mix spectra of pigments."""
    target = truth / truth.sum()
    even = 1 / np.sqrt(target + 1e-6)
    shapes = palette.spectra / palette.spectra.sum(axis=1, keepdims=True)
    weights, _ = nnls((shapes * even).T, target * even)
    return (weights / weights.sum())[None]


def distances(weights: np.ndarray, palette: PigmentSpectra, truth: np.ndarray) -> list[float]:
    return list(compare_histograms(color_spectra(weights, palette)[0], truth).values())


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> float:
    return compare_histograms(first, second)["jensen-shannon"]


def part_of(pigments: PigmentSpectra, picks: np.ndarray) -> PigmentSpectra:
    return PigmentSpectra(
        tuple(pigments.names[pick] for pick in picks),
        pigments.colors[picks],
        pigments.spectra[picks],
        pigments.energy,
        tuple(pigments.families[pick] for pick in picks),
    )


def patches(size: int, number: int, random: np.random.Generator) -> np.ndarray:
    """Return (Y, X) labels of patches around random points, each label at least once."""
    points = random.uniform(0, size, (3 * number, 2))
    where = np.stack(np.mgrid[:size, :size], axis=-1)[:, :, None]
    return ((where - points) ** 2).sum(axis=-1).argmin(axis=-1) % number


def draw(shapes: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.multinomial(COUNTS, shapes[labels]).astype(np.uint16)


def noise_of(counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.poisson(counts.mean(), counts.shape).astype(np.uint16)


def print_table(rows: dict[str, np.ndarray]) -> None:
    names = (
        "cosine",
        "Jensen–Shannon",
        "Chebyshev",
        "correlation",
        "Bray–Curtis",
        "chi-square",
        "Bhattacharyya ↑",
    )
    print(f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(f'{value:.4f}' for value in values)} |", flush=True)


if __name__ == "__main__":
    main()
