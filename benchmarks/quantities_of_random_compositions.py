"""Weight percent of random compositions by other code: bias, and how often the errors that are given hold.

    python -m benchmarks.quantities_of_random_compositions --number 500 --keep tube.jsonl

Fluorescence is fisx's, or of electrons by Bethe's cross-sections; tube, scatter and detector those of
:mod:`benchmarks.independent`. Angles, lens and windows of each spectrum differ from what the program is told,
but with ``--told``; the axis is known. Two in three are oxides of 4 to 9 elements, the others alloys of 2 to
6; one element may be a trace. That they hold no volatiles is told, but with ``--natural``. Elements are
named to the program, oxygen only under electrons, which show its line. Bethe's formula with one set of
constants is twice off between L and K lines: under electrons only elements whose K lines show are drawn.
Under a tube oxides scatter coherently as powders of one to three crystals, which nobody tells, but with
``--alone``; alloys as single atoms. With ``--keep`` a run that was broken off goes on where it was.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import atomic_number, formula_fractions
from benchmarks.independent.element_set import stopped_light
from benchmarks.independent.m4_response import respond
from benchmarks.independent.oxide_crystals import CRYSTALS, SILICATES
from benchmarks.independent.presets import energy_axis, excitation_of, read_preset

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap, calibrate_map
from napari_xrf.maps.calibration.axis_judgement import Calibration
from napari_xrf.maps.quantification.composition import Recipe
from napari_xrf.maps.quantification.standards import Standard, calibrate_instrument
from napari_xrf.maps.quantification.weight_percent import quantify
from napari_xrf.physics.excitation import instrument_of
from napari_xrf.reference.oxides import oxygen_per_mass, valence_of

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
CLASSES = ((10.0, 100.0), (1.0, 10.0), (0.1, 1.0), (0.01, 0.1))
PRESETS = {"tube": "m4-tornado", "electron": "sem-eds", "monochromatic": "synchrotron"}
ENERGIES = {"electron": (15.0, 20.0, 25.0, 30.0), "monochromatic": (7.0, 10.0, 12.0, 15.0, 18.0, 25.0)}  # keV
LEAST_KEV, HAS_L, MOST_LIGHT = 0.9, 27, 0.15
RH_KA_KEV = 20.2  # of the anode of every preset
SILICATE, MOST_MINERALS = 0.05, 3
DRY, USUAL_LIGHT = 0.33, 0.1  # part of samples without light matter, and the mean of the others'
ANGLE_DEG, LENS, WINDOW = {"tube": 8.0, "electron": 4.0, "monochromatic": 8.0}, 0.12, 0.2


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


def as_in_nature(
    weights: dict[str, float], generator: np.random.Generator, light_matter: str
) -> dict[str, float]:
    """Return oxides with light matter, whose iron and manganese have any valence between the usual ones.

    ``light_matter``: ``"even"`` up to 15 %, or ``"tailed"``: none in a third, else as glasses, rocks, soils
    and lake sediments together, few of which hold much.
    """
    valences = {"Fe": generator.uniform(2, 3), "Mn": generator.uniform(2, 4)}
    full = {element: part for element, part in weights.items() if element != "O"}
    full["O"] = sum(part * oxygen_per_mass(element, valences) for element, part in full.items())
    light = generator.uniform(0, MOST_LIGHT)
    if light_matter == "tailed":
        drawn = min(generator.exponential(USUAL_LIGHT), 0.9) if generator.random() > DRY else 0.0
        light = max(drawn, 1e-6)  # fisx takes no zero
    total = sum(full.values()) / (1 - light)
    full = {element: part / total for element, part in full.items()}
    for element, part in formula_fractions("C6H10O5").items():
        full[element] = full.get(element, 0.0) + light * part
    return full


def random_composition(
    generator: np.random.Generator, heaviest: str = "Pb", kev: float = 50.0
) -> tuple[dict[str, float], bool]:
    """Return weight fractions of elements up to one that have a line at an energy, and whether of oxides."""
    oxides = generator.random() < 2 / 3
    pool, low, high = (ROCKS, 4, 9) if oxides else (METALS, 2, 6)
    pool = tuple(element for element in pool[: pool.index(heaviest) + 1] if shows_line(element, kev))
    chosen = generator.choice(pool, generator.integers(low, high + 1), replace=False)
    parts = np.exp(generator.normal(0, 1.3, chosen.size))
    if generator.random() < 0.5:
        parts[-1] = 10 ** generator.uniform(-3, -1.5) * parts.sum()
    weights = {str(element): float(part) for element, part in zip(chosen, parts, strict=True)}
    if oxides:
        return as_oxides(weights), True
    total = sum(weights.values())
    return {element: part / total for element, part in weights.items()}, False


def shows_line(element: str, kev: float) -> bool:
    """Return whether an energy excites a K or L line that detectors see in helium."""
    number = atomic_number(element)
    return any(
        xraylib.EdgeEnergy(number, shell) < kev and xraylib.LineEnergy(number, line) > LEAST_KEV
        for shell, line in ((xraylib.K_SHELL, xraylib.KA1_LINE), (xraylib.L3_SHELL, xraylib.LA1_LINE))
        if shell == xraylib.K_SHELL or number > HAS_L
    )


def random_minerals(fractions: dict[str, float], generator: np.random.Generator) -> dict[str, float]:
    """Return one to three crystals, and the share of each, whose coherent scattering oxides have.

    Silicates, where there is silicon.
    """
    pool = [name for name in CRYSTALS if (name in SILICATES) == (fractions.get("Si", 0.0) > SILICATE)]
    chosen = generator.choice(pool, generator.integers(1, MOST_MINERALS + 1), replace=False)
    shares = generator.dirichlet(np.ones(chosen.size))
    return {str(name): float(share) for name, share in zip(chosen, shares, strict=True)}


def stated_instrument(excitation: str, generator: np.random.Generator) -> dict[str, Any]:
    """Return the numbers of an instrument as its file would state them."""
    preset = copy.deepcopy(read_preset(PRESETS[excitation]))
    if excitation == "monochromatic":  # in air no beamline looks for light elements
        preset["geometry"]["atmosphere"] = "helium"
    if excitation in ENERGIES:
        preset["source"]["voltage_kv"] = float(generator.choice(ENERGIES[excitation]))
        preset["source"]["energy_kev"] = preset["source"]["voltage_kv"]
        axis = preset["energy"]
        axis["size"] = int(
            (1.1 * preset["source"]["voltage_kv"] + 1 - axis["offset_kev"]) / axis["width_kev"]
        )
    return preset


def other_instrument(preset: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
    """Return the numbers with angles, window and lens that nobody knows."""
    real = copy.deepcopy(preset)
    away = ANGLE_DEG[preset["source"]["kind"]]
    moved = ("incidence_deg", "takeoff_deg") if preset["source"]["kind"] != "electron" else ("takeoff_deg",)
    for name in moved:
        real["geometry"][name] += generator.uniform(-away, away)
    if "optic" in real:
        energies = np.array(real["optic"]["energies_kev"])
        knots = np.geomspace(energies[0], energies[-1], 5)
        bend = np.exp(np.interp(np.log(energies), np.log(knots), generator.normal(0, LENS, knots.size)))
        real["optic"]["transmission"] = list(np.array(real["optic"]["transmission"]) * bend)
    else:
        real["detector"]["window"][0]["thickness_um"] *= math.exp(generator.normal(0, WINDOW))
    return real


def measured(
    preset: dict[str, Any],
    fractions: dict[str, float],
    counts: float,
    generator: np.random.Generator,
    stated: dict[str, Any] | None = None,
    minerals: dict[str, float] | None = None,
) -> SpectralCube:
    """Return a spectrum of a thick sample, its excitation as the stated numbers have it."""
    line = RH_KA_KEV if preset["source"]["kind"] == "tube" else None
    expected = np.maximum(
        respond(preset, stopped_light(preset, fractions, None, line, minerals)[1].sum(axis=0)), 0.0
    )
    drawn = generator.poisson(expected * counts / expected.sum())[None, None].astype(np.uint32)
    said = excitation_of(stated or read_preset(PRESETS[preset["source"]["kind"]]))
    return SpectralCube(drawn, energy_axis(preset), "random", excitation=said)


def on_its_axis(cube: SpectralCube) -> CalibratedMap:
    """Return a spectrum whose energy axis and resolution are known: they are not what is measured here."""
    own = instrument_of(cube)
    return calibrate_map(cube, calibration=Calibration(cube.energy, own.detector, 0, math.nan, False, ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--excitation", choices=tuple(PRESETS), default="tube")
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--counts", type=float, default=1e6)
    parser.add_argument("--told", action="store_true", help="the program knows angles, window and lens")
    parser.add_argument(
        "--standard",
        choices=("factors", "optic"),
        help="glasses, with basalt on the same instrument as standard",
    )
    parser.add_argument("--oxygen", default="auto", help="auto, or told: oxides or not, and valences")
    parser.add_argument(
        "--natural",
        nargs="?",
        const="even",
        choices=("even", "tailed"),
        help="iron of other valences, and light matter: even up to 15 %%, or tailed (a third without any)",
    )
    parser.add_argument("--alone", action="store_true", help="atoms of oxides scatter one by one")
    parser.add_argument("--keep", type=Path, help="a file of results, one line a spectrum")
    arguments = parser.parse_args()
    results = list(_results(arguments))
    _tell(results)


def _results(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the result of each spectrum, those that are kept first."""
    settings = {key: value for key, value in vars(arguments).items() if key not in ("number", "keep")}
    kept = []
    if arguments.keep and arguments.keep.exists():
        kept = [json.loads(line) for line in arguments.keep.read_text().splitlines()]
        if any(one["settings"] != settings for one in kept):
            raise SystemExit(f"{arguments.keep} holds results of other settings: {kept[0]['settings']}")
    yield from kept[: arguments.number]
    for generator in np.random.default_rng(arguments.seed).spawn(arguments.number)[len(kept) :]:
        result = {"settings": settings} | quantify_random(arguments, generator)
        if arguments.keep:
            with arguments.keep.open("a") as file:
                file.write(json.dumps(result) + "\n")
        yield result


def quantify_random(arguments: argparse.Namespace, generator: np.random.Generator) -> dict[str, Any]:
    """Return what is found of a random composition, beside what is there."""
    preset = stated_instrument(arguments.excitation, generator)
    kev = float(preset["source"].get("voltage_kv", 50.0))
    heaviest = "Zn" if arguments.excitation == "electron" else "Pb"
    fractions, oxides = (
        (random_glass(generator), True)
        if arguments.standard
        else random_composition(generator, heaviest, kev)
    )
    named = [element for element in fractions if element != "O"]
    if arguments.natural and oxides:
        fractions = as_in_nature(fractions, generator, arguments.natural)
    real = preset if arguments.told else other_instrument(preset, generator)
    condensed = oxides and not arguments.alone and arguments.excitation == "tube"
    minerals = random_minerals(fractions, generator) if condensed else None
    cube = measured(real, fractions, arguments.counts, generator, preset, minerals)
    kind = "stoichiometry" if oxides else "none"
    told = arguments.oxygen == "told"
    valences = {e: valence_of(e) for e in fractions} if told else {}
    recipe = Recipe(kind if told else "auto", valences, volatile_free=not arguments.natural)
    if arguments.standard:
        basalt = as_oxides(BASALT)
        spectrum = on_its_axis(measured(real, basalt, arguments.counts, generator, preset, minerals))
        made, _ = calibrate_instrument(
            on_its_axis(cube).instrument,
            [Standard(spectrum, basalt)],
            fit_optic=arguments.standard == "optic",
        )
        recipe = replace(recipe, instrument=made)
    if arguments.excitation == "electron":
        named.append("O")
    found = quantify(on_its_axis(cube), named, recipe=recipe)[0]
    return {
        "kev": preset["source"]["voltage_kv"],
        "oxides": oxides,
        "oxygen": found.oxygen,
        "decided": not any("cannot be known" in note for note in found.notes),
        "quantities": [
            (entry.element, fractions.get(entry.element, 0.0), entry.weight_fraction, entry.standard_error)
            for entry in found.entries
        ],
    }


def _tell(results: list[dict[str, Any]]) -> None:
    decided = [one for one in results if one["decided"]]
    rightly = sum((one["oxygen"] != "none") == one["oxides"] for one in decided)
    print(f"oxygen decided for {len(decided)} of {len(results)}, rightly for {rightly}")
    print("| true weight | number | bias | 68 % lie within | in one standard error | in two |")
    print("|---|---|---|---|---|---|")
    rows = [
        (one["oxides"], one["decided"], *quantity)
        for one in results
        for quantity in one["quantities"]
        if quantity[0] != "O"
    ]
    for low, high in CLASSES:
        _tell_group(f"{low:g} to {high:g} %", [row for row in rows if low <= 100 * row[3] < high])
    major = [row for row in rows if row[3] > 0.01]
    _tell_group("above 1 %", major)
    for name, oxides in (("oxides", True), ("alloys", False)):
        _tell_group(f"{name}, above 1 %", [row for row in major if row[0] == oxides])
    for name, sure in (("decided", True), ("not decided", False)):
        _tell_group(f"oxygen {name}, above 1 %", [row for row in major if row[1] == sure])


def _tell_group(name: str, rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    truth, found, errors = (np.array([row[k] for row in rows]) for k in (3, 4, 5))
    ratio, pulls = found / truth - 1, np.abs(found - truth) / np.maximum(errors, 1e-12)
    within = 100 * np.quantile(np.abs(ratio), 0.68)
    print(
        f"| {name} | {len(rows)} | {100 * np.median(ratio):.1f} % | {within:.1f} %"
        f" | {100 * np.mean(pulls < 1):.0f} % | {100 * np.mean(pulls < 2):.0f} % |"
    )


if __name__ == "__main__":
    main()
