"""Weight percent of random compositions by other code: bias, and how often the errors that are given hold.

``python -m benchmarks.quantities_of_random_compositions --number 500``. Fluorescence is fisx's; tube, scatter
and detector those of :mod:`benchmarks.independent`. Angles and lens of each spectrum differ from what the
program is told, but with ``--told``; the axis is known. Two in three
are oxides of 4 to 9 elements, the others alloys of 2 to 6; one element may be a trace.
Elements are named to the program, oxygen is not.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from benchmarks.independent.m4_response import respond
from benchmarks.independent.minerals_set import stopped_photons
from benchmarks.independent.presets import energy_axis, excitation_of, read_preset
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap, calibrate_map
from napari_xrf.maps.calibration import Calibration
from napari_xrf.maps.composition import Recipe
from napari_xrf.maps.quantification import quantify
from napari_xrf.maps.standards import Standard, calibrate_instrument
from napari_xrf.physics.excitation import instrument_of
from napari_xrf.reference.oxides import oxygen_per_mass

ROCKS = (
    "Mg", "Al", "Si", "P", "S", "K", "Ca", "Ti", "Cr", "Mn", "Fe", "Ni", "Cu", "Zn", "Sr", "Zr", "Ba", "Pb",
)  # fmt: skip
METALS = (
    "Al", "Si", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Zr", "Nb", "Mo", "Ag", "Sn", "W", "Pb",
)  # fmt: skip
# Basalt glass BHVO-2G, weight percent, as in the table of measured standards.
BASALT = {
    "Si": 23.3, "Fe": 8.37, "Ca": 8.18, "Al": 7.17, "Mg": 4.36, "Ti": 1.65, "K": 0.43, "Mn": 0.13, "P": 0.12,
}  # fmt: skip
CLASSES = ((10.0, 100.0), (1.0, 10.0), (0.1, 1.0))
ANGLE_DEG, LENS = 8.0, 0.12


def random_glass(generator: np.random.Generator) -> dict[str, float]:
    """Return weight fractions of a glass of the elements of basalt, each a factor of up to three from it."""
    changed = {e: part * np.exp(generator.uniform(-1.1, 1.1)) for e, part in BASALT.items()}
    return as_oxides(changed)


def as_oxides(weights: dict[str, float]) -> dict[str, float]:
    """Return weight fractions with the oxygen that elements bind."""
    full = dict(weights)
    full["O"] = sum(part * oxygen_per_mass(element) for element, part in weights.items())
    total = sum(full.values())
    return {element: part / total for element, part in full.items()}


def random_composition(generator: np.random.Generator) -> tuple[dict[str, float], bool]:
    """Return weight fractions, and whether they are of oxides."""
    oxides = generator.random() < 2 / 3
    pool, low, high = (ROCKS, 4, 9) if oxides else (METALS, 2, 6)
    chosen = generator.choice(pool, generator.integers(low, high + 1), replace=False)
    parts = np.exp(generator.normal(0, 1.3, chosen.size))
    if generator.random() < 0.5:
        parts[-1] = 10 ** generator.uniform(-3, -1.5) * parts.sum()
    weights = {str(element): float(part) for element, part in zip(chosen, parts, strict=True)}
    if oxides:
        return as_oxides(weights), True
    total = sum(weights.values())
    return {element: part / total for element, part in weights.items()}, False


def other_instrument(preset: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
    """Return the preset with angles and a lens that nobody knows."""
    real = copy.deepcopy(preset)
    for name in ("incidence_deg", "takeoff_deg"):
        real["geometry"][name] += generator.uniform(-ANGLE_DEG, ANGLE_DEG)
    energies = np.array(real["optic"]["energies_kev"])
    knots = np.geomspace(energies[0], energies[-1], 5)
    bend = np.exp(np.interp(np.log(energies), np.log(knots), generator.normal(0, LENS, knots.size)))
    real["optic"]["transmission"] = list(np.array(real["optic"]["transmission"]) * bend)
    return real


def measured(
    preset: dict[str, Any], fractions: dict[str, float], counts: float, generator: np.random.Generator
) -> SpectralCube:
    """Return a spectrum of a thick sample, excitation as the preset states it."""
    expected = respond(preset, stopped_photons(preset, fractions, 3.0))
    drawn = generator.poisson(expected * counts / expected.sum())[None, None].astype(np.uint32)
    return SpectralCube(
        drawn, energy_axis(preset), "random", excitation=excitation_of(read_preset("m4-tornado"))
    )


def on_its_axis(cube: SpectralCube) -> CalibratedMap:
    """Return a spectrum whose energy axis and resolution are known: they are not what is measured here."""
    own = instrument_of(cube)
    return calibrate_map(cube, calibration=Calibration(cube.energy, own.detector, (), 0, math.nan, False, ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--counts", type=float, default=1e6)
    parser.add_argument("--told", action="store_true", help="the program knows angles and lens")
    parser.add_argument(
        "--standard",
        choices=("factors", "optic"),
        help="glasses, with basalt on the same instrument as standard",
    )
    parser.add_argument("--oxygen", default="auto", help="auto, or told: whether it is an oxide is said")
    arguments = parser.parse_args()
    preset, rows, right = read_preset("m4-tornado"), [], []
    for generator in np.random.default_rng(arguments.seed).spawn(arguments.number):
        fractions, oxides = (
            (random_glass(generator), True) if arguments.standard else random_composition(generator)
        )
        real = preset if arguments.told else other_instrument(preset, generator)
        cube = measured(real, fractions, arguments.counts, generator)
        kind = "stoichiometry" if oxides else "none"
        recipe = Recipe(kind if arguments.oxygen == "told" else "auto")
        if arguments.standard:
            basalt = as_oxides(BASALT)
            standard = Standard(on_its_axis(measured(real, basalt, arguments.counts, generator)), basalt)
            known = on_its_axis(cube).instrument
            made, _ = calibrate_instrument(known, [standard], fit_optic=arguments.standard == "optic")
            recipe = replace(recipe, instrument=made)
        found = quantify(on_its_axis(cube), [e for e in fractions if e != "O"], recipe=recipe)[0]
        right.append((found.oxygen == kind, any("cannot be known" in note for note in found.notes)))
        rows += [
            (entry.element, oxides, fractions[entry.element], entry.weight_fraction, entry.standard_error)
            for entry in found.entries
            if entry.element in fractions and entry.element != "O"
        ]
    _tell(rows, np.array(right))


def _tell(rows: list[tuple[Any, ...]], right: NDArray[np.bool_]) -> None:
    known = right[~right[:, 1]]
    print(f"oxygen decided for {len(known)} of {len(right)}, rightly for {int(known[:, 0].sum())}")
    print(f"{'':24s} {'number':>6s} {'bias %':>7s} {'68 % within':>11s} {'in 1 sd':>8s} {'in 2 sd':>8s}")
    groups: list[tuple[str, Callable[[Any], bool]]] = [
        (f"{low:g} to {high:g} %", lambda row, low=low, high=high: low <= 100 * row[2] < high)
        for low, high in CLASSES
    ]
    groups += [("oxides above 1 %", lambda row: row[1] and row[2] > 0.01)]
    groups += [("alloys above 1 %", lambda row: not row[1] and row[2] > 0.01)]
    groups += [("all above 1 %", lambda row: row[2] > 0.01)]
    for name, belongs in groups:
        part = [row for row in rows if belongs(row)]
        if not part:
            continue
        truth, found, errors = (np.array([row[k] for row in part]) for k in (2, 3, 4))
        ratio, pulls = found / truth - 1, np.abs(found - truth) / np.maximum(errors, 1e-12)
        within = 100 * np.quantile(np.abs(ratio), 0.68)
        print(
            f"{name:24s} {len(part):6d} {100 * np.median(ratio):7.1f} {within:10.1f}%"
            f" {100 * np.mean(pulls < 1):7.0f}% {100 * np.mean(pulls < 2):7.0f}%"
        )


if __name__ == "__main__":
    main()
