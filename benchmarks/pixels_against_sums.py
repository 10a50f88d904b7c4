"""Element maps summed over their pixels, beside the net counts of the elements of the sum spectrum.

    python -m benchmarks.pixels_against_sums [FOLDER] [PART OF A NAME ...] [--rocks granite,sulphide]

FOLDER is that of ``elements_of_measured_files``: its maps; ``--rocks``: maps of other code
(``benchmarks/independent/rock_maps.py``). Both counts are of the same elements, the first by a fit of every
pixel without deviations, the second by one of the sum with them. *Apart*: by more than three of their
standard errors and more than a tenth.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.elements_of_measured_files import TRUTH
from benchmarks.independent.rock_maps import Draws, make_rock

import napari_xrf
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map, find_elements
from napari_xrf.maps.pixels.element_mapping import map_elements

_APART_ERRORS, _APART_PART = 3.0, 0.1


@dataclass(frozen=True)
class Pair:
    """Counts of an element by maps and by the sum spectrum, and one standard error of their difference."""

    element: str
    maps: float
    net: float
    error: float

    @property
    def apart(self) -> bool:
        """Whether they disagree."""
        away = abs(self.maps - self.net)
        return away > max(_APART_ERRORS * self.error, _APART_PART * self.net)


def compare(cube: SpectralCube) -> list[Pair]:
    """Return the counts of each element that the sum spectrum of a map shows."""
    known = calibrate_map(cube)
    found, maps = find_elements(known), map_elements(known)
    totals = maps.counts.sum(axis=(1, 2), dtype=np.float64)
    variances = (maps.standard_errors.astype(np.float64) ** 2).sum(axis=(1, 2))
    pairs = []
    for one in found:
        if one.pixels:  # found in some pixels only, whose counts are told
            continue
        own = [maps.families.index(family) for family in one.families]
        error = float(np.sqrt(variances[own].sum() + one.standard_error**2))
        pairs.append(Pair(one.element, float(totals[own].sum()), one.net_counts, error))
    return pairs


def maps_of(folder: Path | None, parts: list[str], rocks: list[str], size: int) -> Iterator[SpectralCube]:
    """Yield measured maps, and those of other code."""
    for name in TRUTH if folder is not None else ():
        if any(part in name for part in parts or [""]):
            cube = napari_xrf.read(folder / name)
            if cube.map_shape != (1, 1):
                yield cube
    for rock in rocks:
        for counts in (300.0, 3000.0):
            yield make_rock(rock, 41, Draws(counts=counts, size=size)).cube


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--rocks", default="", help="names, with commas between")
    parser.add_argument("--size", type=int, default=24, help="side of these maps, pixels")
    options = parser.parse_args()
    pairs: list[Pair] = []
    rocks = [one for one in options.rocks.split(",") if one]
    for cube in maps_of(options.folder, options.parts, rocks, options.size):
        own = compare(cube)
        pairs += own
        told = (
            f"{one.element} {one.maps / one.net:.3f} ({(one.maps - one.net) / one.error:+.1f})"
            f"{' APART' if one.apart else ''}"
            for one in own
        )
        print(f"{cube.name[:32]:32s} {cube.map_shape} maps / sum (errors): {', '.join(told)}", flush=True)
    ratio = np.array([one.maps / one.net for one in pairs])
    errors = np.array([abs(one.maps - one.net) / one.error for one in pairs])
    print(
        f"{len(pairs)} elements: {100 * np.mean(errors < 1):.0f} % within one error, "
        f"{100 * np.mean(errors < 2):.0f} % within two; ratio {np.median(ratio):.3f}, "
        f"{100 * np.mean(np.abs(ratio - 1) < 0.05):.0f} % within 5 %; apart {sum(one.apart for one in pairs)}"
    )


if __name__ == "__main__":
    main()
