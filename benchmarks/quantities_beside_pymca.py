"""Weight percent from the same net counts, by PyMca's fundamental parameters and by ours.

``python -m benchmarks.quantities_beside_pymca ../shared/data/standards``. Of PyMca: its Ebel tube
and fisx, the library that it computes with, the composition iterated as ours is. It knows no lens; ours takes
the one that is guessed. Oxygen by stoichiometry in both.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.independent.fisx_lines import fluorescence
from numpy.typing import NDArray
from PyMca5.PyMcaPhysics.xrf import XRayTubeEbel

from napari_xrf import io
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.composition import Recipe
from napari_xrf.maps.net_counts import net_counts, region_of
from napari_xrf.maps.quantification import quantify_counts
from napari_xrf.physics.excitation import described
from napari_xrf.reference.oxides import oxygen_per_mass

# File, instrument, and the families that are quantified.
SAMPLES = (
    ("BHVO-2G_glass_PIXL_breadboard_Rh28kV.msa", "pixl", "Mg K,Al K,Si K,K K,Ca K,Ti K,Mn K,Fe K"),
    ("LKSD-1_sediment_Horiba_Rh50kV.txt", "m4-tornado", "Al K,Si K,S K,K K,Ca K,Ti K,Mn K,Fe K,Zn K"),
)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with (folder / "truth.csv").open(encoding="utf-8") as stream:
        truth = {
            (row["file"], row["element"]): float(row["weight_percent"]) for row in csv.DictReader(stream)
        }
    print(f"{'':10s} {'element':8s} {'certified':>9s} {'PyMca':>8s} {'ours':>8s} {'± 1 sd':>8s}")
    for name, instrument, families in SAMPLES:
        cube = described(io.read(folder / name), instrument)
        known = calibrate_map(cube)
        part = region_of(known, np.ones(known.cube.map_shape, dtype=bool), name)
        elements = [family.split()[0] for family in families.split(",")]
        counts = {f: net for f, net in net_counts(part, elements).items() if f in families.split(",")}
        ours = quantify_counts(counts, part, replace(Recipe(), oxygen="stoichiometry"))
        theirs = by_fisx({family: net.counts for family, net in counts.items()}, cube)
        for element in elements:
            real = truth.get((name, element))
            print(
                f"{name[:10]:10s} {element:8s} {'-' if real is None else format(real, '.4g'):>9s}"
                f" {100 * theirs[element]:8.3g} {100 * ours[element].weight_fraction:8.3g}"
                f" {100 * ours[element].standard_error:8.2g}"
            )


if __name__ == "__main__":
    main()
