"""Elements of measured files as this package and two other programs name them, beside those that are there.

    python -m benchmarks.element_finders FOLDER [PART OF A NAME ...] [--table FILE.md]

The files and their truth are those of ``elements_of_measured_files``, the axes those that the files state.
HyperSpy: peaks by ``find_peaks1D_ohaver``, with its default options but for a least height of 1 % of the
highest channel, each named by the Kα, Lα or Mα line within 60 eV that eXSpy's ``get_xray_lines_near_energy``
puts first. PyMca: peaks by its search (``SpecfitFuns.seek``) with the same least height, each named by the
strongest line within 60 eV among ``Elements.getcandidates``, K before L before M, for it puts them in no
order. Both are made to help a user who names the peaks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import hyperspy.api as hs
import numpy as np
from benchmarks.elements_of_measured_files import TRUTH
from exspy.utils.eds import get_xray_lines_near_energy
from numpy.typing import NDArray
from PyMca5.PyMcaMath.fitting import SpecfitFuns
from PyMca5.PyMcaPhysics.xrf import Elements

import napari_xrf
from napari_xrf.core.errors import XrfError
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.spectra.background import typical_fwhm

_LEAST, _WITHIN_KEV = 0.01, 0.12
_SENSITIVITY = 2.5  # PyMca's own default
_SHELLS = {"K": "K", "L": "L1 L2 L3", "M": "M"}


def named_by_hyperspy(cube: SpectralCube) -> set[str]:
    """Return the elements that HyperSpy's peak finding and eXSpy's lines name."""
    counts, energies = _positive(cube)
    signal = hs.signals.Signal1D(counts)
    axis = signal.axes_manager[0]
    axis.offset, axis.scale = float(energies[0]), cube.energy.width
    found = signal.find_peaks1D_ohaver(amp_thresh=_LEAST * counts.max())
    peaks = found[()] if found.dtype == object and found.ndim == 0 else found[0]
    elements = set()
    for at in peaks["position"]:
        near = get_xray_lines_near_energy(float(at), _WITHIN_KEV, only_lines=("Ka", "La", "Ma"))
        elements |= {near[0].split("_")[0]} if near else set()
    return elements


def named_by_pymca(cube: SpectralCube) -> set[str]:
    """Return the elements that PyMca's peak search and table of lines name."""
    counts, energies = _positive(cube)
    width = max(1, round(float(typical_fwhm(5.9)) / cube.energy.width))
    found = SpecfitFuns.seek(counts, 0, counts.size, float(width), _SENSITIVITY)
    elements = set()
    for channel in (int(at) for at in found):
        if counts[channel] < _LEAST * counts.max():
            continue
        for rays in _SHELLS.values():
            near = Elements.getcandidates(float(energies[channel]), _WITHIN_KEV / 2, rays.split())[0]
            rates = {name: max(line[2] for line in near[name]) for name in near["elements"]}
            if rates:
                elements.add(max(rates, key=lambda name: rates[name]))
                break
    return elements


def named_here(cube: SpectralCube) -> set[str]:
    """Return the elements that this package finds, with default options."""
    summed = SpectralCube(
        cube.sum_spectrum()[None, None],
        cube.energy,
        cube.name,
        excitation=cube.excitation,
        elements=cube.elements,
    )
    return {one.element for one in napari_xrf.find_elements(summed)}


PROGRAMS: dict[str, Callable[[SpectralCube], set[str]]] = {
    "napari-xrf": named_here,
    "HyperSpy with eXSpy": named_by_hyperspy,
    "PyMca": named_by_pymca,
}


def _positive(cube: SpectralCube) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    seen = cube.energy.positive
    return np.asarray(cube.sum_spectrum(), dtype=float)[seen], cube.energy.energies[seen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", help="only files whose names hold one of these")
    parser.add_argument("--table", type=Path, help="write the table of the documentation")
    options = parser.parse_args()
    hs.preferences.General.show_progressbar = False
    totals = {program: np.zeros(4, dtype=int) for program in PROGRAMS}
    for name, (seen, allowed) in TRUTH.items():
        if options.parts and not any(part in name for part in options.parts):
            continue
        try:
            cube = napari_xrf.read(options.folder / name)
        except (XrfError, OSError) as error:
            print(f"{name}: {error}")
            continue
        there, may = set(seen.split()), set(allowed.split())
        for program, find in PROGRAMS.items():
            found = find(cube)
            false, missed = sorted(found - there - may), sorted(there - found)
            totals[program] += [len(found & there), len(found & may - there), len(false), len(missed)]
            told = f"FALSE {' '.join(false) or '-'} | MISSED {' '.join(missed) or '-'}"
            print(f"{Path(name).name[:34]:34s} {program:20s} {told}", flush=True)
    lines = ["| program | true + allowed | false | missed |", "|---|---|---|---|"]
    for program, (true, extra, false, missed) in totals.items():
        lines.append(f"| {program} | {true} + {extra} | {false} | {missed} |")
    print("\n".join(lines))
    if options.table:
        options.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
