"""Measured spectra with a wrong energy axis: how often it is found, and whether doubt is told where not.

    python -m benchmarks.wrong_axes FOLDER [PART OF A NAME ...] [--only 1.02:0]

FOLDER is that of ``elements_of_measured_files``. Each spectrum's axis is multiplied by a factor and shifted.
*found*: within 20 eV of the axis found from the file's own, where its peaks are; *told*: not, but a warning
says so; *silent*: neither.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.elements_of_measured_files import TRUTH

import napari_xrf
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.calibrated_map import CalibratedMap, calibrate_map
from napari_xrf.maps.peaks import find_peaks

FILES = (
    "standards/K411", "standards/K412", "standards/LKSD-1", "standards/BHVO-2G", "standards/Zr_metal",
    "standards/MgO", "nist_microxrf/Cu_50", "nist_microxrf/Fe_50", "horiba_xgt7200/Zn", "hdf5/Laguna",
    "P45_12bit_packed_8bit.bcf", "srm1832", "hdf5/EDS_SEM", "bcf/30x30",
)  # fmt: skip
# Factor and shift in keV.
WRONG = (
    (1.01, 0.0), (1.02, 0.0), (0.98, 0.0), (1.05, 0.0), (0.95, 0.0), (2.0, 0.0), (0.5, 0.0), (1.0, 0.2),
    (1.0, -0.2),
)  # fmt: skip
_FOUND_EV = 20.0


def distance(found: CalibratedMap, right: CalibratedMap) -> float:
    """Return how far an axis lies from the right one at most where the spectrum has peaks, eV."""
    peaks = find_peaks(right.sum_spectrum, right.energy, fwhm=right.detector.fwhm)
    at = np.array([peak.energy for peak in peaks])
    return float(
        np.abs(found.energy.energy((at - right.energy.offset) / right.energy.width) - at).max() * 1e3
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--only", help="FACTOR:SHIFT in keV")
    options = parser.parse_args()
    outcomes: Counter[tuple[tuple[float, float], str]] = Counter()
    wrong_ones = WRONG
    if options.only:
        factor, shift = options.only.split(":")
        wrong_ones = ((float(factor), float(shift)),)
    for name in TRUTH:
        if not any(part in name for part in (options.parts or FILES)):
            continue
        cube = napari_xrf.read(options.folder / name)
        cube = replace(cube, counts=cube.sum_spectrum()[None, None], images=())
        right = calibrate_map(cube)
        for wrong in wrong_ones:
            factor, shift = wrong
            axis = EnergyAxis(
                right.energy.offset * factor + shift, right.energy.width * factor, right.energy.size
            )
            start = time.process_time()
            found = calibrate_map(replace(cube, energy=axis))
            seconds = time.process_time() - start
            off = distance(found, right)
            outcome = "found" if off < _FOUND_EV else "told" if found.doubt else "silent"
            outcomes[wrong, outcome] += 1
            told = f"{outcome} {off:.0f} eV off, {seconds:.1f} s; {found.message[:90]}"
            print(f"{Path(name).name[:28]:28s} ×{factor} {1e3 * shift:+.0f} eV: {told}", flush=True)
    print("| factor, shift | found | told | silent |\n|---|---|---|---|")
    for wrong in wrong_ones:
        row = " | ".join(str(outcomes[wrong, one]) for one in ("found", "told", "silent"))
        print(f"| {wrong[0]}, {1e3 * wrong[1]:.0f} eV | {row} |")


if __name__ == "__main__":
    main()
