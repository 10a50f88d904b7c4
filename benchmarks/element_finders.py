"""Elements of measured files named by peak finding in HyperSpy and eXSpy, beside those that are there.

    python -m benchmarks.element_finders FOLDER [PART OF A NAME ...]

The files and their truth are those of ``elements_of_measured_files``, on the axes that the files state. Peaks
by ``find_peaks1D_ohaver`` of HyperSpy, with its default options but for a least height of 1 % of the highest
channel; each is named by the Kα, Lα or Mα line within 60 eV that ``get_xray_lines_near_energy`` of eXSpy puts
first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import hyperspy.api as hs
import numpy as np
from benchmarks.elements_of_measured_files import TRUTH
from exspy.utils.eds import get_xray_lines_near_energy

import napari_xrf
from napari_xrf.core.errors import XrfError

_LEAST, _WITHIN_KEV = 0.01, 0.12


def named(path: Path) -> set[str]:
    """Return the elements that peak finding names in the sum spectrum of a file."""
    cube = napari_xrf.read(path)
    counts = np.asarray(cube.sum_spectrum(), dtype=float)[cube.energy.positive]
    signal = hs.signals.Signal1D(counts)
    axis = signal.axes_manager[0]
    axis.offset, axis.scale = float(cube.energy.energies[cube.energy.positive][0]), cube.energy.width
    found = signal.find_peaks1D_ohaver(amp_thresh=_LEAST * counts.max(), show_progressbar=False)
    peaks = found[()] if found.dtype == object and found.ndim == 0 else found[0]
    elements = set()
    for at in peaks["position"]:
        near = get_xray_lines_near_energy(float(at), _WITHIN_KEV, only_lines=("Ka", "La", "Ma"))
        elements |= {near[0].split("_")[0]} if near else set()
    return elements


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", help="only files whose names hold one of these")
    options = parser.parse_args()
    totals = np.zeros(4, dtype=int)
    for name, (seen, allowed) in TRUTH.items():
        if options.parts and not any(part in name for part in options.parts):
            continue
        try:
            found = named(options.folder / name)
        except (XrfError, OSError) as error:
            print(f"{name}: {error}")
            continue
        there, may = set(seen.split()), set(allowed.split())
        false, missed = sorted(found - there - may), sorted(there - found)
        totals += [len(found & there), len(found & may - there), len(false), len(missed)]
        told = f"FALSE {' '.join(false) or '-'} | MISSED {' '.join(missed) or '-'}"
        print(f"{Path(name).name[:34]:34s} {told}", flush=True)
    print("| true + allowed | false | missed |\n|---|---|---|")
    print(f"| {totals[0]} + {totals[1]} | {totals[2]} | {totals[3]} |")


if __name__ == "__main__":
    main()
