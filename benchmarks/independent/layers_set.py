"""Spectra of the MULTIEL_SPECTRA kind: 300 bins of 0.1 keV, 41 elements, 556 lines.

``python -m benchmarks.independent.layers_set --size 5000 --seed 1 -o layers.h5`` writes spectra by the steps
that the torch path of the published package (multiel-spectra 0.1.0.0.5) takes when it runs, which are not all
that its paper says; README.md lists them. ``--as-described`` mends what are plainly slips in it;
``--published`` runs the package itself. Truth as of the layers recipe: spectra, present, visible (not with
``--published``), fractions, lines, elements.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import (
    atomic_number,
    formula_fractions,
    photoabsorption,
    transmission,
)
from benchmarks.independent.line_list import (
    COUNTS,
    ELEMENTS,
    GRID,
    NAMES,
    line_energies,
    line_macro,
    lines,
    or_zero,
)
from benchmarks.independent.set_file import command_line, save_set
from benchmarks.independent.tube import photons_in_bins, tube_photons
from numpy.typing import NDArray
from scipy.signal import find_peaks

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import XrfError

AXIS = EnergyAxis(0.0, 0.1, 300)
_TUBE_KEV = np.arange(1.05, 30, 0.1)  # no photons below 1 keV
_FILTERS = (("Al", 2.699), ("Cu", 8.96), ("Ti", 4.54))
_AIR = {"N": 0.755, "O": 0.232, "Ar": 0.013}
_DEFAULT_TUBE = ("Mo", 46.0, 0.127, 10.0, ())
_OTHER_TUBES = 0.01
_ESCAPE_KEV = 1.74
_SEEN = 3.0
# Always empty when the package bins its counts a second time (seen with torch 2.13 on a CPU).
_EMPTY_BINS = np.array([58, 63, 106, 108, 111, 116, 172, 187, 212, 227, 252, 267])


@dataclass(frozen=True, eq=False)
class Light:
    """Of one tube: line intensities (41, 25); continuum and all photons in the bins, each summing to 1."""

    intensities: NDArray[np.float64]
    continuum: NDArray[np.float64]
    photons: NDArray[np.float64]


def make_set(size: int, seed: int, as_described: bool = False) -> dict[str, Any]:
    """Return the truth by name; ``spectra`` among it."""
    spectra = np.zeros((size, 300), np.float32)
    fractions = np.zeros((size, len(ELEMENTS)), np.float32)
    visible = np.zeros((size, len(lines())), bool)
    default = _light(*_DEFAULT_TUBE)
    for row, generator in enumerate(np.random.default_rng(seed).spawn(size)):
        light = _light(*_other_tube(generator)) if generator.random() < _OTHER_TUBES else default
        spectra[row], fractions[row], visible[row] = _spectrum(light, generator, as_described)
    present = fractions[:, [ELEMENTS.index(element) for element, _, _ in lines()]] > 0
    return {
        "spectra": spectra,
        "present": present,
        "visible": visible & present,
        "fractions": fractions,
        "lines": [f"{element} {name}" for element, name, _ in lines()],
        "parameters": {
            "recipe": "layers",
            "generator": "independent, as described" if as_described else "independent",
            "size": size,
            "seed": str(seed),
            "counts": COUNTS,
            "visibility": _SEEN,
        },
        "elements": list(ELEMENTS),
    }


@cache
def _sections() -> NDArray[np.float32]:
    """Cross-sections (41, 25, 290) of the lines at the tube's energies."""
    return np.array(
        [
            [
                [
                    or_zero(xraylib.CS_FluorLine_Kissel, number, line_macro(name), energy)
                    for energy in _TUBE_KEV
                ]
                for name in NAMES
            ]
            for number in map(atomic_number, ELEMENTS)
        ],
        np.float32,
    )


def _light(
    anode: str, angle: float, beryllium_mm: float, air_mm: float, filters: tuple[tuple[int, float], ...]
) -> Light:
    def passed(energies: NDArray[np.float64]) -> NDArray[np.float64]:
        part = transmission({"Be": 1.0}, 1.848, 0.1 * beryllium_mm, energies)
        part *= transmission(_AIR, 1.2e-3, 0.1 * air_mm, energies)
        for which, thickness_mm in filters:
            element, density = _FILTERS[which]
            part *= transmission({element: 1.0}, density, 0.1 * thickness_mm, energies)
        return part

    tube = tube_photons(anode, 30.0, angle, _TUBE_KEV)
    edges = np.append(_TUBE_KEV - 0.05, 30.0)
    continuum, peaks = photons_in_bins(
        tube, edges, {"continuum": passed(_TUBE_KEV), "lines": passed(tube.line_energies)}
    )
    binned = np.zeros((2, 300))
    binned[:, 10:] = continuum, continuum + peaks
    return Light(_sections() @ (continuum + peaks), *(binned / binned.sum(axis=1, keepdims=True)))


def _other_tube(generator: np.random.Generator) -> tuple[Any, ...]:
    chosen = generator.choice(len(_FILTERS), size=generator.integers(3), replace=False)
    return (
        ("W", "Mo", "Rh")[generator.integers(3)],
        float(generator.integers(30, 60)),
        generator.uniform(0, 0.4),
        generator.uniform(0, 15),
        tuple((int(which), generator.uniform(0, 0.3)) for which in chosen),
    )


def _spectrum(
    light: Light, generator: np.random.Generator, as_described: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    number = generator.integers(3, 13)
    present = generator.choice(len(ELEMENTS), size=number, replace=False)
    parts = generator.random(number)
    parts /= parts.sum()
    sigma = generator.uniform(0.02, 0.2)
    jitter = generator.uniform(-0.01, 0.01) if as_described else 0.0

    # Every element's spectrum has the area of its fraction, whatever its cross-sections.
    energies, strengths = line_energies()[present] + jitter, light.intensities[present]
    shapes = np.exp(-0.5 * ((GRID - energies[:, :, np.newaxis]) / sigma) ** 2) * strengths[:, :, np.newaxis]
    sums = shapes.sum(axis=(1, 2), keepdims=True)
    spectrum = np.einsum("e,elx->x", parts, shapes / sums)

    if as_described:
        _pile_as_described(spectrum, sigma, generator)
    else:
        _escape_as_run(spectrum, sigma, generator)
    moved = GRID
    if generator.random() < 1 / 3:
        shift, stretch, bend = generator.uniform(-1, 1, size=3) * (0.03, 0.03, 5e-5)
        moved = shift + (1 + stretch) * GRID + bend * GRID**2
        spectrum = np.interp(GRID, moved, spectrum, left=0.0, right=0.0)
    efficiency = _efficiency(generator)
    expected = np.clip(spectrum * efficiency, 0, None)
    expected /= expected.sum()

    share = generator.random()
    tube = share * (light.continuum / 5 + light.photons / 15)
    counted = generator.multinomial(COUNTS, expected) / COUNTS
    if not as_described:
        counted = _comb(counted)
    scattered = share * (
        generator.multinomial(COUNTS, light.continuum) / 5 + generator.multinomial(COUNTS, light.photons) / 15
    )
    measured = counted + scattered / COUNTS + generator.random(300) / 1000

    table = np.zeros(len(ELEMENTS))
    table[present] = parts
    channels = np.clip(np.rint(energies / 0.1), 0, 299).astype(int)
    own = shapes.sum(axis=2) / sums[:, :, 0] * parts[:, np.newaxis] * efficiency[channels]
    scale = COUNTS / (spectrum * efficiency).clip(0).sum()
    below = COUNTS * (expected + tube + 0.5 / 1000)
    return measured / measured.max(), table, _seen(present, own * scale, channels, below, sigma)


def _seen(
    present: NDArray[np.int64],
    counts: NDArray[np.float64],
    channels: NDArray[np.int64],
    below: NDArray[np.float64],
    sigma: float,
) -> NDArray[np.bool_]:
    """Tell which of the 556 lines exceed three deviations of all counts around them, and nine counts."""
    reach = max(round(20 * sigma), 1)
    summed = np.concatenate([[0.0], np.cumsum(below)])
    around = summed[np.minimum(channels + reach + 1, 300)] - summed[np.maximum(channels - reach, 0)]
    seen = (counts > _SEEN * np.sqrt(np.maximum(around, counts))) & (counts > _SEEN**2)
    table = np.zeros((len(ELEMENTS), len(NAMES)), bool)
    table[present] = seen
    return table[_positions()]


@cache
def _positions() -> tuple[list[int], list[int]]:
    return [ELEMENTS.index(line[0]) for line in lines()], [NAMES.index(line[1]) for line in lines()]


def _prominent(spectrum: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Choose 60 % of the more prominent half of the peaks."""
    peaks, found = find_peaks(spectrum, prominence=spectrum.max() / 15)
    order = peaks[np.argsort(-found["prominences"])]
    return generator.permutation(order[: round(len(order) / 2)])[: round(0.3 * len(order))]


def _escape_as_run(spectrum: NDArray[np.float64], sigma: float, generator: np.random.Generator) -> None:
    """Shares of 1 to 14 % divided by σ√2π in keV, so that narrow peaks vanish altogether."""
    area = sigma * np.sqrt(2 * np.pi)
    for peak in _prominent(spectrum, generator):
        if GRID[peak] > 1.75:
            share = generator.integers(1, 15) / 100 / area
            spectrum -= share * spectrum[peak] * _gaussian(GRID[peak], sigma)
            spectrum += share / 2 * spectrum[peak] * _gaussian(GRID[peak] - _ESCAPE_KEV, 2 * sigma)


def _pile_as_described(spectrum: NDArray[np.float64], sigma: float, generator: np.random.Generator) -> None:
    for peak in _prominent(spectrum, generator):
        if GRID[peak] > 1.75:
            moved = generator.integers(1, 15) / 100 * spectrum[peak]
            spectrum += moved * (_gaussian(GRID[peak] - _ESCAPE_KEV, sigma) - _gaussian(GRID[peak], sigma))
    chosen = _prominent(spectrum, generator)
    for first, second in itertools.pairwise(chosen):
        moved = generator.integers(1, 15) / 100 * min(spectrum[first], spectrum[second])
        spectrum += moved * _gaussian(GRID[first] + GRID[second], sigma)
        spectrum -= moved / 2 * (_gaussian(GRID[first], sigma) + _gaussian(GRID[second], sigma))


def _gaussian(centre: float, sigma: float) -> NDArray[np.float64]:
    return np.exp(-0.5 * ((GRID - centre) / sigma) ** 2)


def _efficiency(generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw a logistic of the window's value, which does not fall to 0 where no photon passes."""
    alpha, beta = generator.uniform(0.01, 40, size=2)
    shift = generator.integers(1, 50)
    shifted = np.concatenate([np.zeros(shift), _window()[:-shift]])
    return 1 / (1 + beta * np.exp(-alpha * shifted))


@cache
def _window() -> NDArray[np.float64]:
    """Curve like the published one: a beryllium window of 9.7 µm and 0.42 mm of silicon."""
    curve = transmission({"Be": 1.0}, 1.848, 9.7e-4, GRID)
    stopped = 1 - np.exp(-photoabsorption(formula_fractions("Si"), GRID) * 2.33 * 0.042)
    return np.where(GRID < 0.5, 0.0, curve * stopped)


def _comb(counted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move the counts of bins that single precision puts one lower."""
    moved = counted.copy()
    moved[_EMPTY_BINS - 1] += counted[_EMPTY_BINS]
    moved[_EMPTY_BINS] = 0
    return moved


def main() -> None:
    parser = command_line(__doc__.split("\n")[0], 5000)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--as-described", action="store_true", help="mend the slips of the published package")
    way.add_argument("--published", action="store_true", help="run the published package itself")
    arguments = parser.parse_args()
    if arguments.published:
        from benchmarks.independent.published_layers import run_published

        try:
            truth = run_published(arguments.size, arguments.seed)
        except XrfError as error:
            sys.exit(str(error))
    else:
        truth = make_set(arguments.size, arguments.seed, arguments.as_described)
    whole = np.rint(truth["spectra"] * 65535).astype(np.uint16)
    save_set(arguments.output, whole, AXIS, "layers", truth, elements=ELEMENTS)


if __name__ == "__main__":
    main()
