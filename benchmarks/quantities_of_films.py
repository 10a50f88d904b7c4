"""Thin films by other code: mass per area and composition, with a thick basalt as the standard of the dose.

    python -m benchmarks.quantities_of_films --number 12

Three metals of 5 to 1000 µg/cm² under a tube behind a lens, or a beam of one energy from 10 keV on, for 60
seconds; the basalt for one. Fluorescence is fisx's, on the instruments of
:mod:`benchmarks.quantities_of_random_compositions`, whose angles, lens and window the program is not told.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
from benchmarks.independent.element_set import stopped_light
from benchmarks.independent.m4_response import respond
from benchmarks.independent.presets import energy_axis, excitation_of
from benchmarks.quantities_of_random_compositions import (
    BASALT,
    as_oxides,
    on_its_axis,
    other_instrument,
    stated_instrument,
)
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.quantification.composition import Recipe
from napari_xrf.maps.quantification.quantities import Quantities
from napari_xrf.maps.quantification.standards import Standard, calibrate_instrument
from napari_xrf.maps.quantification.weight_percent import quantify

ELEMENTS = ("S", "K", "Ca", "Ti", "Cr", "Mn", "Fe", "Ni", "Cu", "Zn", "Pb")
LEAST_KEV = 10.0  # which excites all of them
UG_PER_CM2, SECONDS, COUNTS = (5.0, 1000.0), 60.0, 1e6


def film_found(excitation: str, generator: np.random.Generator) -> tuple[float, dict[str, float], Quantities]:
    """Return a film's mass per area, its composition, and what is found of it."""
    stated = stated_instrument(excitation, generator)
    while stated["source"]["voltage_kv"] < LEAST_KEV:
        stated = stated_instrument(excitation, generator)
    real, basalt = other_instrument(stated, generator), as_oxides(BASALT)
    parts = np.exp(generator.normal(0, 0.7, 3))
    chosen = generator.choice(ELEMENTS, 3, replace=False)
    fractions = {str(e): float(part) for e, part in zip(chosen, parts / parts.sum(), strict=True)}
    mass = float(np.exp(generator.uniform(*np.log(UG_PER_CM2))))

    def counted(of: dict[str, float], film: float | None = None) -> NDArray[np.float64]:
        return np.maximum(respond(real, stopped_light(real, of, film)[1].sum(axis=0)), 0.0)

    thick = counted(basalt)
    source = COUNTS / thick.sum()

    def recorded(expected: NDArray[np.float64], seconds: float) -> SpectralCube:
        drawn = generator.poisson(source * seconds * expected)[None, None].astype(np.uint32)
        cube = SpectralCube(drawn, energy_axis(real), "film", excitation=excitation_of(stated))
        return replace(cube, live_time=np.full((1, 1), seconds))

    standard = Standard(on_its_axis(recorded(thick, 1.0)), basalt)
    film = on_its_axis(recorded(counted(fractions, mass), SECONDS))
    instrument, _ = calibrate_instrument(film.instrument, [standard])
    recipe = Recipe("none", instrument=instrument, film=True)
    return mass, fractions, quantify(film, list(fractions), recipe=recipe)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--number", type=int, default=12)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    print("| excitation | films | mass: bias | 68 % within | most | weights: 68 % within | in two errors |")
    print("|---|---|---|---|---|---|---|")
    for excitation in ("tube", "monochromatic"):
        rows: list[tuple[float, dict[str, float], Any]] = [
            film_found(excitation, one) for one in np.random.default_rng(options.seed).spawn(options.number)
        ]
        off = np.array([found.mass_per_area / mass - 1 for mass, _, found in rows])
        pairs = [(found[element], real) for _, parts, found in rows for element, real in parts.items()]
        weights = np.array([abs(one.weight_fraction / real - 1) for one, real in pairs])
        held = np.array([abs(one.weight_fraction - real) < 2 * one.standard_error for one, real in pairs])
        figures = 100 * np.array(
            [np.median(off), np.quantile(abs(off), 0.68), abs(off).max(), np.quantile(weights, 0.68)]
        )
        told = " | ".join(f"{figure:.1f} %" for figure in figures)
        print(f"| {excitation} | {options.number} | {told} | {100 * held.mean():.0f} % |")


if __name__ == "__main__":
    main()
