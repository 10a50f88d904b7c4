"""Spectra of element mixtures on a gas electron multiplier (GEM), after the poster's recipe.

``python -m benchmarks.independent.gem_set --size 5000 --seed 1 -o gem.h5``. Lines and their intensities in a
thin film come from fisx, excited by another tube model and seen through other absorption than the
simulator's; substrates are fisx's lines over scatter by xraylib. Amounts, counts, escape and augmentation are
drawn from the ranges of the mixtures recipe. Truth as of mixtures: present, net_counts, substrates,
parameters, and the elements.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, fields
from typing import Any

import numpy as np
from benchmarks.independent.cross_sections import mixed_fractions
from benchmarks.independent.fisx_lines import THICK_CM, fluorescence
from benchmarks.independent.presets import (
    air_transmission,
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
from scipy.special import erf

from napari_xrf.core.energy_axis import EnergyAxis

ELEMENTS = (
    "K", "Ca", "Ti", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "As", "Sr", "Ag", "Cd", "Sn", "Sb", "Ba",
    "Au", "Hg", "Pb",
)  # fmt: skip
# Parts by weight of dry cellulose, minerals and salts, and g/cm³.
SUBSTRATES = {
    "wood": (
        {"C6H10O5": 99.43, "CaO": 0.3, "K2O": 0.2, "MnO": 0.02, "Fe2O3": 0.02, "SO3": 0.03}, 0.6,
    ),
    "canvas": (
        {"C6H10O5": 97.0, "CaCO3": 2.5, "K2O": 0.3, "SO3": 0.1, "Fe2O3": 0.05, "NaCl": 0.05}, 0.6,
    ),
    "paper": (
        {"C6H10O5": 85.0, "CaCO3": 10.0, "Al2Si2O9H4": 4.8, "K2SO4": 0.1, "Fe2O3": 0.1}, 0.8,
    ),
    "plaster": (
        {"CaCO3": 55.0, "SiO2": 40.0, "Al2Si2O9H4": 3.0, "Fe2O3": 1.0, "KAlSi3O8": 1.0}, 1.8,
    ),
}  # fmt: skip
NAMES = ("none", *SUBSTRATES)
_FILM_CM = 1e-5
_ARGON_EDGE = 3.206
_ARGON_KA = 2.957
_BEAM_BINS = 24
_SCATTER_STEP = 0.1
_FAINT = 1e-4


@dataclass(frozen=True)
class Draws:
    """Ranges of the draws: even, those of counts and of exponential amounts excepted."""

    elements: tuple[str, ...] = ELEMENTS
    present: tuple[int, int] = (1, 4)
    substrates: tuple[str, ...] = NAMES
    substrate_share: tuple[float, float] = (0.05, 0.6)
    counts: tuple[float, float] = (300.0, 30_000.0)
    escape: tuple[float, float] = (0.06, 0.12)
    offset_ev: tuple[float, float] = (-60.0, 60.0)
    gain: tuple[float, float] = (-0.03, 0.03)
    width_factor: tuple[float, float] = (1.0, 1.25)
    tail: tuple[float, float] = (0.0, 0.05)
    tail_width_ev: tuple[float, float] = (200.0, 900.0)
    continuum: tuple[float, float] = (0.0, 0.1)
    continuum_end_kev: tuple[float, float] = (20.0, 40.0)


UNDISTORTED = {
    "offset_ev": (0.0, 0.0),
    "gain": (0.0, 0.0),
    "width_factor": (1.0, 1.0),
    "tail": (0.0, 0.0),
    "continuum": (0.0, 0.0),
}


@dataclass(frozen=True)
class Recording:
    """How one spectrum is recorded: what was drawn for it. Energies in keV."""

    escape: float
    width_factor: float
    stretch: float
    shift: float
    tail: float
    tail_width: float
    continuum_end: float
    continuum: float


@dataclass(frozen=True, eq=False)
class Photons:
    """Energies of photons that the gas stops, and the share of each, summing to 1."""

    energies: NDArray[np.float64]
    shares: NDArray[np.float64]


def make_set(size: int, seed: int, draws: Draws) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return the counts (N, 300) and the truth by name."""
    preset = read_preset("gem")
    films = [film_photons(preset, element) for element in draws.elements]
    grounds = [None if name == "none" else ground_photons(preset, name) for name in draws.substrates]
    counts = np.zeros((size, energy_axis(preset).size), np.int64)
    net = np.zeros((size, len(films)), np.float32)
    substrates = np.zeros(size, np.intp)
    recordings = np.zeros((size, len(fields(Recording))))
    for row, generator in enumerate(np.random.default_rng(seed).spawn(size)):
        chosen = generator.choice(
            len(films), generator.integers(*draws.present, endpoint=True), replace=False
        )
        amounts = generator.exponential(size=len(chosen))
        substrates[row] = generator.integers(len(grounds))
        ground = grounds[substrates[row]]
        share = 0.0 if ground is None else generator.uniform(*draws.substrate_share)
        dose = np.exp(generator.uniform(*np.log(draws.counts)))
        net[row, chosen] = dose * (1 - share) * amounts / amounts.sum()
        light = [(films[index], float(net[row, index])) for index in chosen]
        if ground is not None:
            light.append((ground, dose * share))
        recording = _draw_recording(generator, draws)
        recordings[row] = astuple(recording)
        counts[row] = generator.poisson(measured(preset, light, recording))
    truth = {
        "present": net > 0,
        "net_counts": net,
        "substrates": substrates,
        "recordings": recordings,
        "parameters": {
            "recipe": "mixtures",
            "generator": "independent, fisx",
            "size": size,
            "instrument": preset["name"],
            "seed": str(seed),
            **asdict(draws),
        },
        "elements": list(draws.elements),
    }
    return smallest_counts(counts), truth


def film_photons(preset: dict[str, Any], element: str) -> Photons:
    """Return the lines of a film of an element that is too thin to absorb them."""
    beam = coarse_photons(preset, _BEAM_BINS, [element])
    energies, photons, _ = fluorescence({element: 1.0}, 1.0, _FILM_CM, beam, _angles(preset), secondary=False)
    return _stopped(preset, energies, photons)


def ground_photons(preset: dict[str, Any], name: str) -> Photons:
    """Return fluorescence and scatter of a thick substrate, on a grid."""
    parts, density = SUBSTRATES[name]
    fractions = mixed_fractions(parts)
    energies, photons, _ = fluorescence(
        fractions, density, THICK_CM, coarse_photons(preset, _BEAM_BINS, fractions), _angles(preset)
    )
    scattered = scatter(
        fractions, *fine_photons(preset, _SCATTER_STEP), _angles(preset), turning_angle(preset)
    )
    fine = EnergyAxis(0.5, 0.1, int(10 * preset["source"]["voltage_kv"]))
    light = deposit(fine, energies, photons) + deposit(fine, *scattered)
    return _stopped(preset, fine.energies, light)


def _angles(preset: dict[str, Any]) -> tuple[float, float]:
    geometry = preset["geometry"]
    return float(geometry["incidence_deg"]), float(geometry["takeoff_deg"])


def _stopped(preset: dict[str, Any], energies: NDArray[np.float64], photons: NDArray[np.float64]) -> Photons:
    seen = photons * air_transmission(preset, energies, 1) * efficiency(preset, energies)
    # Shares are of what lands on the axis.
    seen[energies > energy_axis(preset).energies[-1]] = 0.0
    bright = seen > _FAINT * seen.max()
    return Photons(energies[bright], seen[bright] / seen[bright].sum())


def _draw_recording(generator: np.random.Generator, draws: Draws) -> Recording:
    return Recording(
        generator.uniform(*draws.escape),
        generator.uniform(*draws.width_factor),
        1 + generator.uniform(*draws.gain),
        generator.uniform(*draws.offset_ev) / 1000,
        generator.uniform(*draws.tail),
        generator.uniform(*draws.tail_width_ev) / 1000,
        generator.uniform(*draws.continuum_end_kev),
        generator.uniform(*draws.continuum),
    )


def measured(
    preset: dict[str, Any], light: list[tuple[Photons, float]], recording: Recording
) -> NDArray[np.float64]:
    """Return the expected counts of the channels."""
    axis = energy_axis(preset)
    energies = np.concatenate([photons.energies for photons, _ in light])
    counts = np.concatenate([photons.shares * dose for photons, dose in light])
    escaping = counts * np.where(energies > _ARGON_EDGE, recording.escape, 0.0)
    centres = np.concatenate([energies, energies - _ARGON_KA])
    heights = np.concatenate([counts - escaping, escaping])
    centres, heights = centres[heights > 0], heights[heights > 0]
    width = sigma(preset, centres) * recording.width_factor
    edges = (axis.edges - recording.shift) / recording.stretch
    below = erf((edges[:, np.newaxis] - centres) / (np.sqrt(2) * width)) @ (0.5 * heights)
    spectrum = np.diff(below)
    kernel = np.exp(-np.arange(axis.size) * axis.width / recording.tail_width)
    tail = np.convolve(spectrum[::-1], kernel / kernel.sum())[: axis.size][::-1]
    spectrum += recording.tail * (tail - spectrum)
    return (spectrum + recording.continuum * counts.sum() * continuum(axis, recording.continuum_end)).clip(0)


def continuum(axis: EnergyAxis, end: float) -> NDArray[np.float64]:
    """Return Kramers' law, cut off below some keV as air and window do."""
    energies = np.maximum(axis.energies, 0.05)
    shape = np.clip(end / energies - 1, 0, None) * np.exp(-((3.0 / energies) ** 3))
    return shape / shape.sum()


def main() -> None:
    parser = command_line(__doc__.split("\n")[0], 5000)
    parser.add_argument("--ideal", action="store_true", help="no augmentation")
    arguments = parser.parse_args()
    draws = Draws(**(UNDISTORTED if arguments.ideal else {}))
    counts, truth = make_set(arguments.size, arguments.seed, draws)
    preset = read_preset("gem")
    save_set(
        arguments.output,
        counts,
        energy_axis(preset),
        "mixtures",
        truth,
        elements=draws.elements,
        excitation=excitation_of(preset),
    )


if __name__ == "__main__":
    main()
