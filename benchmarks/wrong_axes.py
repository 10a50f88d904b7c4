"""Measured spectra with a wrong energy axis: how often it is found, and whether doubt is told where not.

    python -m benchmarks.wrong_axes FOLDER [PART OF A NAME ...] [--only 1.02:0] [--seeds 0:20] [--cases CASES]

FOLDER is that of ``elements_of_measured_files``; its files without doubt of their own axis are taken. Each
spectrum's axis is multiplied by a factor and shifted. *found*: within 20 eV of the right axis, where its
peaks are; *unsure*: of those, the ones that are told to be; *told*: not found, but a warning says so;
*harmless*: neither, but nothing is named that is not there or named on the right axis too; *silent*: nor
that. The right axis of a measured file is that found from its own; spectra of other code (``--seeds``) have a
known one.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.elements_of_derived_spectra import summed
from benchmarks.elements_of_measured_files import TRUTH
from benchmarks.independent.element_set import stored_case

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap, calibrate_map, find_elements
from napari_xrf.maps.spectra.peaks import find_peaks

# Factor and shift in keV: none, such as files have, and rare ones.
WRONG = (
    (1.0, 0.0), (1.003, 0.02), (0.997, -0.02), (1.01, 0.0), (0.98, 0.0), (1.05, 0.0), (0.8, 0.0), (1.3, 0.0),
    (2.0, 0.0), (0.5, 0.0), (1.0, 0.2), (1.0, -0.2), (1.0, 0.25), (1.0, -0.25), (1.1, 0.0),
)  # fmt: skip
_FOUND_EV = 20.0
# A spectrum, its right axis, elements that are or may be there, and a name.
Right = tuple[SpectralCube, EnergyAxis, tuple[str, ...], str]


def distance(found: CalibratedMap, right: EnergyAxis) -> float:
    """Return how far an axis lies from the right one at most where the spectrum has peaks, eV."""
    peaks = find_peaks(found.sum_spectrum, right)
    at = np.array([peak.energy for peak in peaks])
    return float(np.abs(found.energy.energy((at - right.offset) / right.width) - at).max(initial=0.0) * 1e3)


def spectra(folder: Path, parts: list[str], seeds: range, cases: Path | None) -> Iterator[Right]:
    """Yield spectra with their right axis, elements and a name."""
    for name, there in TRUTH.items():
        if any(part in name for part in parts or [""]):
            cube = summed(folder / name)
            own = calibrate_map(cube)
            if own.doubt or not own.calibration.refined:
                print(f"{Path(name).name[:28]:28s} has no sure axis of its own: {own.message[:90]}")
            else:
                named = tuple(one.element for one in find_elements(own))
                yield cube, own.energy, (*" ".join(there).split(), *named), Path(name).name
    for seed in seeds:
        case = stored_case(seed, cases)
        there = (*case.there, "Ar")
        yield case.cube, case.right or case.energy, there, f"seed {seed} {case.sample}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--only", help="FACTOR:SHIFT in keV")
    parser.add_argument("--seeds", default="0:0", help="FIRST:END of spectra of other code")
    parser.add_argument("--cases", type=Path, help="where these are kept")
    options = parser.parse_args()
    first, end = (int(part) for part in options.seeds.split(":"))
    outcomes: Counter[tuple[tuple[float, float], str]] = Counter()
    wrong_ones = WRONG
    if options.only:
        factor, shift = options.only.split(":")
        wrong_ones = ((float(factor), float(shift)),)
    for cube, right, there, name in spectra(options.folder, options.parts, range(first, end), options.cases):
        for wrong in wrong_ones:
            factor, shift = wrong
            axis = EnergyAxis(right.offset * factor + shift, right.width * factor, right.size)
            start = time.process_time()
            found = calibrate_map(replace(cube, energy=axis))
            seconds = time.process_time() - start
            off = distance(found, right)
            outcome = "found" if off < _FOUND_EV else "told" if found.doubt else "silent"
            foreign: list[str] = []
            if outcome == "silent":
                foreign = [one.element for one in find_elements(found) if one.element not in there]
                outcome = "silent" if foreign else "harmless"
            outcomes[wrong, outcome] += 1
            outcomes[wrong, "unsure"] += outcome == "found" and bool(found.doubt)
            told = f"{outcome} {' '.join(foreign)} {off:.0f} eV off, {seconds:.1f} s; {found.message[:120]}"
            print(f"{name[:28]:28s} ×{factor} {1e3 * shift:+.0f} eV: {told}", flush=True)
    print("| factor, shift | found | of them unsure | told | harmless | silent |\n|---|---|---|---|---|---|")
    for wrong in wrong_ones:
        row = " | ".join(
            str(outcomes[wrong, one]) for one in ("found", "unsure", "told", "harmless", "silent")
        )
        print(f"| {wrong[0]}, {1e3 * wrong[1]:.0f} eV | {row} |")


if __name__ == "__main__":
    main()
