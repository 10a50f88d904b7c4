"""Which reflections of single grains, planted in rock maps of other code, are found, and which falsely.

Run from the root: ``python -m benchmarks.reflections_in_grains [--rocks granite,sulphide] [--counts 1000]
[--size 48] [--seed 0] [--keep FOLDER]``. Each map is searched as it is (its spectra hold none: what is
found is false), and with a peak of 1.2 resolutions at a random energy from 2.5 to 12 keV in eight of its
grains of at least 9 pixels, of 0.5 to 4 % of their counts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from benchmarks.independent.rock_maps import RockMap
from benchmarks.mineral_rocks import command_line, rock_map, rocks_of
from numpy.typing import NDArray
from scipy.ndimage import label

import napari_xrf as nx
from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.crystal_reflections import Reflections

_STRENGTHS = (0.005, 0.01, 0.02, 0.04)
_GRAINS_EACH, _LEAST_PIXELS = 2, 9
_ENERGIES_KEV, _WIDTH = (2.5, 12.0), 1.2
_ANSWERS = ("sure", "unsure", "missed")
_NEAR_KEV = 0.1


def told(found: Reflections, own: NDArray[np.bool_], energy: float) -> str:
    """Return how a planted reflection was told: sure, may be an element, or missed."""
    numbers = set(np.unique(found.grains[own]).tolist()) - {0}
    near = [p for p in found.peaks if p.grain in numbers and abs(p.energy_kev - energy) < _NEAR_KEV]
    return ("sure" if near[0].is_sure else "unsure") if near else "missed"


def grains_of(made: RockMap, generator: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Return grains (Y, X) that are large enough, in random order, as many as peaks are planted."""
    minerals, grains = made.fractions.argmax(axis=2), []
    for mineral in np.unique(minerals):
        numbers, number = label((minerals == mineral) & made.pure)
        grains += [numbers == each for each in range(1, number + 1)]
    large = [own for own in grains if own.sum() >= _LEAST_PIXELS]
    chosen = generator.permutation(len(large))[: _GRAINS_EACH * len(_STRENGTHS)]
    return [large[place] for place in chosen.tolist()]


def planted(
    made: RockMap, generator: np.random.Generator
) -> tuple[SpectralCube, list[tuple[float, NDArray[np.bool_], float]]]:
    """Return a map with reflections, and of each its strength, grain and energy."""
    axis, detector = made.cube.energy, calibrate_map(made.cube).detector
    counts, peaks = np.asarray(made.cube.counts[:, :, :]).astype(np.uint32), []
    for number, own in enumerate(grains_of(made, generator)):
        strength, energy = _STRENGTHS[number % len(_STRENGTHS)], float(generator.uniform(*_ENERGIES_KEV))
        sigma = _WIDTH * float(detector.fwhm(energy)) / FWHM_PER_SIGMA
        peak = np.exp(-0.5 * ((axis.energies - energy) / sigma) ** 2)
        mean = strength * counts[own].sum(axis=1, keepdims=True) * peak / peak.sum()
        counts[own] += generator.poisson(mean).astype(np.uint32)
        peaks.append((strength, own, energy))
    return replace(made.cube, counts=counts), peaks


def main() -> None:
    """Print the table."""
    parser = command_line(__doc__.split("\n")[0])
    parser.set_defaults(counts="1000", size=48)
    given = parser.parse_args()
    heads = " ".join(f"{strength:>12.1%}" for strength in _STRENGTHS)
    print(
        f"{'rock':16s}{'counts':>7s}{'false: sure':>12s}{'unsure':>8s}  planted: sure, unsure, missed {heads}"
    )
    for rock, counts, draws in rocks_of(given):
        made = rock_map(rock, given.seed, draws, given.keep)
        false = [peak.is_sure for peak in nx.find_reflections(made.cube).peaks]
        cube, peaks = planted(made, np.random.default_rng([given.seed, *rock.encode()]))
        found = nx.find_reflections(cube)
        rows = {strength: dict.fromkeys(_ANSWERS, 0) for strength in _STRENGTHS}
        for strength, own, energy in peaks:
            rows[strength][told(found, own, energy)] += 1
        cells = " ".join(f"{' '.join(map(str, row.values())):>12s}" for row in rows.values())
        sure = sum(false)
        print(f"{rock:16s}{counts:7d}{sure:12d}{len(false) - sure:8d}{'':32s}{cells}", flush=True)


if __name__ == "__main__":
    main()
