"""Weight percent from the same net counts, by PyMca's fundamental parameters and by ours.

``python -m benchmarks.quantities_beside_pymca ../shared/data/standards``. Of PyMca: its Ebel tube
and fisx, the library that it computes with, the composition iterated as ours is. It knows no lens; ours takes
the one of the instrument that the file names, or the usual one, and what the scattered background tells.
Oxygen by stoichiometry in both. Without PyMca it says so and ends.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from benchmarks.independent.fisx_lines import fluorescence
from numpy.typing import NDArray

from napari_xrf import io
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.quantification.composition import Recipe
from napari_xrf.maps.quantification.fitted_excitation import ARGON
from napari_xrf.maps.quantification.net_counts import region_of, shown_beside
from napari_xrf.maps.quantification.weight_percent import count_sample, quantify_counts
from napari_xrf.reference.oxides import oxygen_per_mass

try:
    from PyMca5.PyMcaPhysics.xrf import XRayTubeEbel
except ImportError:
    XRayTubeEbel = None

# File, and the families that are quantified.
SOIL = "Al K,Si K,K K,Ca K,Ti K,Mn K,Fe K,Zn K,Sr K,Zr K"
SAMPLES = (
    ("BHVO-2G_glass_PIXL_breadboard_Rh28kV.msa", "Mg K,Al K,Si K,K K,Ca K,Ti K,V K,Cr K,Mn K,Fe K,Sr K"),
    ("LKSD-1_sediment_Horiba_Rh50kV.txt", f"S K,{SOIL}"),
    ("Till-1_soil_Horiba_Rh50kV.txt", SOIL),
    ("NIST_2586_soil_Horiba_Rh50kV.txt", f"P K,Pb L,{SOIL}"),
)
_CERTIFICATE = "NIST_2586_certificate.csv"
_BINS = 40
_ROUNDS = 25


def ebel_tube(
    anode: str, voltage: float, window_cm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return energies and photons of PyMca's tube in bins and lines."""
    energies, photons, _ = XRayTubeEbel.generateLists(
        [anode, 10.5, 0.1, 90.0, 45.0],
        voltage,
        window=["Be", 1.848, window_cm],
        alphae=90.0,
        alphax=45.0,
        targetthickness=0.1,
    )
    kept = np.asarray(energies) > 1.0
    return np.asarray(energies)[kept], np.asarray(photons)[kept]


def by_fisx(counts: dict[str, float], cube: SpectralCube) -> dict[str, float]:
    """Return weight fractions whose families, as fisx expects them, stand in the ratios of the counts."""
    instrument = calibrate_map(cube).instrument
    energies, photons = ebel_tube(instrument.source.anode, instrument.source.voltage_kv, 0.01)
    edges = np.linspace(1.0, instrument.source.voltage_kv, _BINS + 1)
    binned, _ = np.histogram(energies, edges, weights=photons)
    beam = ((edges[:-1] + edges[1:]) / 2)[binned > 0], binned[binned > 0]
    weights = {family.split()[0]: 1.0 for family in counts}
    for _ in range(_ROUNDS):
        full = _with_oxygen(weights)
        at, made, elements = fluorescence(
            full, 3.0, 1.0, beam, (instrument.incidence_deg, instrument.takeoff_deg)
        )
        seen = made * instrument.detector.efficiency(at)
        for family, net in counts.items():
            element = family.split()[0]
            own = sum(value for value, of in zip(seen, elements, strict=True) if of == element)
            weights[element] = full[element] * net / max(own, 1e-300)
    return _with_oxygen(weights)


def _with_oxygen(weights: dict[str, float]) -> dict[str, float]:
    full = {**weights, "O": sum(value * oxygen_per_mass(element) for element, value in weights.items())}
    total = sum(full.values())
    return {element: value / total for element, value in full.items()}


def certified(folder: Path) -> dict[tuple[str, str], float]:
    """Return the weight percent of each file and element."""
    with (folder / "truth.csv").open(encoding="utf-8") as stream:
        found = {
            (row["file"], row["element"]): float(row["weight_percent"]) for row in csv.DictReader(stream)
        }
    with (folder / _CERTIFICATE).open(encoding="utf-8-sig") as stream:
        for row in csv.DictReader(stream):
            found[SAMPLES[-1][0], row["Symbol"]] = float(row["Concentration_mg_kg"].replace(",", "")) / 1e4
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if XRayTubeEbel is None:
        sys.exit("PyMca is not installed: pip install PyMca5")
    truth = certified(folder)
    print(f"{'':10s} {'element':8s} {'certified':>9s} {'PyMca':>8s} {'ours':>8s} {'± 1 sd':>8s}")
    for name, families in SAMPLES:
        cube = io.read(folder / name)
        known = calibrate_map(cube)
        part = region_of(known, np.ones(known.cube.map_shape, dtype=bool), name)
        wanted = families.split(",")
        elements = [family.split()[0] for family in wanted]
        recipe = Recipe("stoichiometry")
        every = count_sample(part, (*elements, *shown_beside(known, elements)), recipe)
        counts = {family: net for family, net in every.items() if family in (*wanted, ARGON)}
        ours = quantify_counts(counts, part, recipe)
        theirs = by_fisx({family: counts[family].counts for family in wanted}, cube)
        for element in elements:
            real = truth.get((name, element))
            print(
                f"{name[:10]:10s} {element:8s} {'-' if real is None else format(real, '.4g'):>9s}"
                f" {100 * theirs[element]:8.3g} {100 * ours[element].weight_fraction:8.3g}"
                f" {100 * ours[element].standard_error:8.2g}"
            )


if __name__ == "__main__":
    main()
