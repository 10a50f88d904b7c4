"""Spectra of minerals on an M4-like instrument, with fluorescence from fisx.

``python -m benchmarks.independent.minerals_set --size 5000 --seed 1 --counts 1000 -o minerals.h5``. Names,
formulas, densities and ranges of composition are those of the shipped library, numbers of the instrument
those of its preset; tube, scatter, detector response and distortions are other code than the simulator's.
Truth as of mineral spectra: main_mineral, abundances, parameters, and there the names of the minerals.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from benchmarks.independent.cross_sections import atomic_number
from benchmarks.independent.fisx_lines import THICK_CM, fluorescence
from benchmarks.independent.m4_response import respond
from benchmarks.independent.presets import (
    coarse_photons,
    deposit,
    efficiency,
    energy_axis,
    excitation_of,
    fine_photons,
    read_preset,
    sigma,
    turning_angle,
)
from benchmarks.independent.scattering import scatter
from benchmarks.independent.set_file import command_line, save_set, smallest_counts
from numpy.typing import NDArray
from scipy import fft, ndimage

from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.minerals import Mineral, load_library, select_minerals

WIDTHS = (1.0, 1.05, 1.1)
_LIGHTEST = 11  # sodium: lighter elements have no line that the instrument sees
_BEAM_BINS = 24
_SCATTER_STEP = 0.05
_DOPPLER = 0.011  # of the energy: Compton profile of light matrices, standard deviation


@dataclass(frozen=True)
class Draws:
    """What the spectra are drawn from; ranges are even unless said otherwise.

    Attributes
    ----------
    counts
        Expected counts before distortions, even in the logarithm.
    mixed_share, largest_minority
        Part of the spectra with a second mineral, and the most of it.
    compositions
        Compositions drawn of each mineral whose composition varies.
    offset_ev, gain
        Largest error of the energy axis.
    bragg_share, bragg_strength
        Part of the spectra with one to three Bragg peaks; counts of each as a share, in the logarithm.
    width_factor
        Width of the peaks as a multiple of the detector's, up to 1.1.
    continuum, pile_up
        Largest share of counts added as a continuum, and of pulses piled up.
    """

    counts: tuple[float, float] = (100.0, 10_000.0)
    mixed_share: float = 0.0
    largest_minority: float = 0.4
    compositions: int = 3
    offset_ev: float = 30.0
    gain: float = 0.002
    bragg_share: float = 0.5
    bragg_strength: tuple[float, float] = (0.0005, 0.05)
    width_factor: tuple[float, float] = (1.0, 1.1)
    continuum: float = 0.3
    pile_up: float = 0.005


def seen_minerals(names: list[str] | None) -> tuple[Mineral, ...]:
    """Return the named minerals, or all, without those that have no visible element."""
    library = load_library()
    chosen = library if names is None else select_minerals(library, names)
    return tuple(
        mineral
        for mineral in chosen
        if any(atomic_number(element) >= _LIGHTEST for element in mineral.elements)
    )


def make_set(
    minerals: tuple[Mineral, ...], size: int, seed: int, draws: Draws
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return the counts (N, 4096) and the truth by name."""
    preset = read_preset("m4-tornado")
    composing, drawing = np.random.default_rng(seed).spawn(2)
    shapes, first = _shapes(preset, minerals, composing, draws.compositions)
    labels = drawing.integers(len(minerals), size=size)
    others = (labels + drawing.integers(1, max(len(minerals), 2), size=size)) % len(minerals)
    minority = drawing.uniform(0, draws.largest_minority, size=size)
    minority[drawing.random(size) >= draws.mixed_share] = 0.0
    abundances = np.zeros((size, len(minerals)), np.float32)
    abundances[np.arange(size), labels] = 1 - minority
    np.add.at(abundances, (np.arange(size), others), minority)
    counts = np.zeros((size, shapes.shape[2]), np.int64)
    for row, generator in enumerate(drawing.spawn(size)):
        width = np.interp(generator.uniform(*draws.width_factor), WIDTHS, np.arange(len(WIDTHS)))
        below = min(int(width), len(WIDTHS) - 2)
        expected = np.zeros(shapes.shape[2])
        for mineral, part in ((labels[row], 1 - minority[row]), (others[row], minority[row])):
            if part > 0:
                which = generator.integers(first[mineral], first[mineral + 1])
                expected += part * (
                    (1 - width + below) * shapes[which, below] + (width - below) * shapes[which, below + 1]
                )
        dose = np.exp(generator.uniform(*np.log(draws.counts)))
        counts[row] = generator.poisson(dose * _distorted(expected, preset, generator, draws))
    truth = {
        "main_mineral": labels.astype(np.intp),
        "abundances": abundances,
        "parameters": {
            "recipe": "mineral spectra",
            "generator": "independent, fisx",
            "size": size,
            "seed": str(seed),
            **asdict(draws),
            "minerals": [mineral.name for mineral in minerals],
        },
    }
    return smallest_counts(counts), truth


def _shapes(
    preset: dict[str, Any], minerals: tuple[Mineral, ...], generator: np.random.Generator, compositions: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return spectra (C, 3 widths, E) of compositions, each summing to 1, and each mineral's first."""
    light, first = [], [0]
    for number, mineral in enumerate(minerals):
        varies = compositions if mineral.substitutions else 1
        for _ in range(varies):
            shares = [generator.uniform(entry.low, entry.high) for entry in mineral.substitutions]
            light.append(stopped_photons(preset, mineral.composition(shares).mass_fractions, mineral.density))
        first.append(len(light))
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {len(minerals)} minerals", end="", file=sys.stderr)
    photons = np.array(light)
    shapes = np.stack([respond(preset, photons, factor) for factor in WIDTHS], axis=1)
    return (shapes / shapes.sum(axis=2, keepdims=True)).astype(np.float32), np.array(first)


def stopped_photons(
    preset: dict[str, Any],
    fractions: dict[str, float],
    density: float,
    angles_deg: tuple[float, float] | None = None,
    lines: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> NDArray[np.float64]:
    """Return the photons (4096,) that a thick mineral sends into the detector and that are stopped there.

    ``angles_deg``, of incidence and take-off to the surface, are those of the instrument, and ``lines``,
    energies and photons, those of :func:`thick_lines`, unless given.
    """
    geometry = preset["geometry"]
    angles = angles_deg or (float(geometry["incidence_deg"]), float(geometry["takeoff_deg"]))
    axis = energy_axis(preset)
    energies, photons = lines or thick_lines(preset, fractions, density, angles)
    fine, beam = fine_photons(preset, _SCATTER_STEP)
    kept = slice(None, len(fine)), slice(len(fine), None)
    scattered = scatter(fractions, fine, beam, angles, turning_angle(preset))
    rayleigh, compton = (deposit(axis, scattered[0][part], scattered[1][part]) for part in kept)
    bin_channels = round(_SCATTER_STEP / axis.width)
    light = deposit(axis, energies, photons)
    light += ndimage.uniform_filter1d(rayleigh, bin_channels)
    light += doppler(ndimage.uniform_filter1d(compton, bin_channels), axis.energies)
    return light * efficiency(preset, np.maximum(axis.energies, 0.1))


def thick_lines(
    preset: dict[str, Any],
    fractions: dict[str, float],
    density: float,
    angles_deg: tuple[float, float],
    *,
    secondary: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return energies and photons of the lines of a thick mineral, with what they excite in each other."""
    beam = coarse_photons(preset, _BEAM_BINS, fractions)
    return fluorescence(fractions, density, THICK_CM, beam, angles_deg, secondary=secondary)[:2]


def doppler(counts: NDArray[np.float64], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Widen Compton peaks in proportion to their energies, on a logarithmic axis."""
    good = energies > 0.5
    logarithms = np.linspace(np.log(energies[good][0]), np.log(energies[-1]), 4 * good.sum())
    summed = np.interp(np.exp(logarithms), energies, np.cumsum(counts))
    widened = ndimage.gaussian_filter1d(
        np.gradient(summed), _DOPPLER / (logarithms[1] - logarithms[0]), mode="constant"
    )
    out = np.interp(energies, np.exp(logarithms), np.cumsum(widened), left=0.0)
    return np.diff(out, prepend=0.0).clip(0)


def _distorted(
    expected: NDArray[np.float64], preset: dict[str, Any], generator: np.random.Generator, draws: Draws
) -> NDArray[np.float64]:
    axis = energy_axis(preset)
    energies = axis.energies
    distorted = expected + generator.uniform(0, draws.continuum) * _continuum(preset, energies, generator)
    if generator.random() < draws.bragg_share:
        for _ in range(generator.integers(1, 4)):
            strength = np.exp(generator.uniform(*np.log(draws.bragg_strength)))
            centre = generator.uniform(2.5, 17.0)
            width = float(sigma(preset, np.array([centre]))[0]) * generator.uniform(1.0, 1.2)
            peak = np.exp(-0.5 * ((energies - centre) / width) ** 2)
            distorted += strength * peak / peak.sum()
    share = generator.uniform(0, draws.pile_up)
    size = fft.next_fast_len(2 * axis.size, real=True)
    both = fft.irfft(fft.rfft(distorted, size) ** 2, size) / distorted.sum()
    # The energies of two channels add up, their offset too.
    skipped = round(-axis.offset / axis.width)
    distorted += share * (both[skipped : skipped + axis.size].clip(0) - 2 * distorted)
    # Counts between two edges stay together when the edges move.
    stretch, shift = 1 + generator.uniform(-1, 1) * draws.gain, generator.uniform(-1, 1) * draws.offset_ev
    summed = np.concatenate([[0.0], np.cumsum(distorted)])
    return np.diff(np.interp(axis.edges, stretch * axis.edges + shift / 1000, summed)).clip(0)


def _continuum(
    preset: dict[str, Any], energies: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    place = np.maximum(energies, 0) / generator.uniform(2.0, 10.0)
    shape = place * np.exp(-place)
    shape[energies < preset["detector"]["threshold_kev"]] = 0.0
    return shape / shape.sum()


def main() -> None:
    parser = command_line(__doc__.split("\n")[0], 5000)
    standard = Draws()
    parser.add_argument("--minerals", metavar="A,B,…", help="names in the library (all that can be seen)")
    parser.add_argument(
        "--counts", type=_range, default=standard.counts, metavar="N or LOW:HIGH", help="expected counts"
    )
    parser.add_argument(
        "--mixed-share", type=float, default=standard.mixed_share, help="part with a second mineral"
    )
    parser.add_argument(
        "--compositions", type=int, default=standard.compositions, help="drawn of each solid solution"
    )
    parser.add_argument("--ideal", action="store_true", help="no distortions")
    arguments = parser.parse_args()
    none = {"offset_ev": 0.0, "gain": 0.0, "bragg_share": 0.0, "continuum": 0.0, "pile_up": 0.0}
    draws = Draws(
        counts=arguments.counts,
        mixed_share=arguments.mixed_share,
        compositions=arguments.compositions,
        **({"width_factor": (1.0, 1.0), **none} if arguments.ideal else {}),
    )
    try:
        minerals = seen_minerals(arguments.minerals.split(",") if arguments.minerals else None)
    except InvalidInput as error:
        sys.exit(str(error))
    counts, truth = make_set(minerals, arguments.size, arguments.seed, draws)
    preset = read_preset("m4-tornado")
    save_set(
        arguments.output,
        counts,
        energy_axis(preset),
        "mineral spectra",
        truth,
        excitation=excitation_of(preset),
    )


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    counts = float(low), float(high or low)
    if not 0 < counts[0] <= counts[1]:
        raise argparse.ArgumentTypeError("counts are above 0, and a range rises")
    return counts


if __name__ == "__main__":
    main()
