"""Soils by a lens that plates of pure metals on the same instrument tell, without anything that is scattered.

    python -m benchmarks.lens_of_plates ../shared/data

K counts of six plates of known dose (Horiba XGT-7200, 30 kV) bend the M4's lens; three soils of the same
instrument are quantified with that lens held. Printed: counts over expected of the plates, and found over
certified of the soils.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from benchmarks.quantities_beside_pymca import certified
from numpy.typing import NDArray
from scipy.optimize import least_squares

from napari_xrf import io
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.quantification import fitted_excitation
from napari_xrf.maps.quantification.composition import Recipe
from napari_xrf.maps.quantification.net_counts import net_counts, region_of
from napari_xrf.maps.quantification.weight_percent import quantify
from napari_xrf.physics.forward import expect_families
from napari_xrf.physics.instrument import Instrument, OpticTransmission
from napari_xrf.reference.materials import Material

PLATES = ("Mg", "Al", "Ti", "Fe", "Cu", "Zn")
SOILS = ("NIST_2586_soil", "LKSD-1_sediment", "Till-1_soil")
KNOTS = np.geomspace(1.5, 30.0, 10)  # keV
COUNTED, LOOSE, BENT = 0.03, 0.7, 0.25  # relative error of counts; of ln(transmission), and its bends


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    lens = _lens({element: _plate(folder, element) for element in PLATES})
    truth = certified(folder / "standards")
    for name in SOILS:
        file = f"{name}_Horiba_Rh50kV.txt"
        known = calibrate_map(io.read(folder / "standards" / file))
        recipe = Recipe(instrument=replace(known.instrument, optic=lens))
        with mock.patch.object(fitted_excitation, "fit_optic_to_scatter", return_value=None):
            found = quantify(known, recipe=recipe)[0]
        parts = {entry.element: 100 * entry.weight_fraction for entry in found.entries}
        told = {e: parts[e] / real for (of, e), real in truth.items() if of == file and e in parts}
        print(name, {element: round(part, 2) for element, part in told.items()})


def _plate(folder: Path, element: str) -> tuple[Instrument, float]:
    known = calibrate_map(io.read(folder / "spectra" / "horiba_xgt7200" / f"{element}.txt"))
    part = region_of(known, np.ones((1, 1), dtype=bool), element)
    return known.instrument, net_counts(part, (element,))[f"{element} K"].counts


def _lens(plates: dict[str, tuple[Instrument, float]]) -> OpticTransmission:
    """Return the M4's lens, bent until plates of one dose count what is expected."""
    before = plates["Fe"][0].optic
    assert before is not None
    fine = np.unique(np.concatenate([before.energies_kev, np.geomspace(1.5, 50.0, 40)]))

    def bent(logs: NDArray[np.float64]) -> OpticTransmission:
        values = before.at(fine) * np.exp(np.interp(np.log(fine), np.log(KNOTS), logs))
        return OpticTransmission(tuple(fine), tuple(values))

    def doses(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        found = []
        for element, (instrument, counts) in plates.items():
            used, material = replace(instrument, optic=bent(logs)), Material(element, {element: 1.0}, 1.0)
            found.append(np.log(counts / expect_families(material, used)[f"{element} K"]))
        return np.array(found) - np.mean(found)

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        prior = [(logs - logs.mean()) / LOOSE, np.diff(logs, 2) / BENT, [logs.mean()]]
        return np.concatenate([doses(logs) / COUNTED, *prior])

    logs = least_squares(residuals, np.zeros(KNOTS.size), max_nfev=15).x
    for when, at in (("by the M4's lens", np.zeros(KNOTS.size)), ("by the plates' own", logs)):
        print(when, dict(zip(plates, np.exp(doses(at)).round(2).tolist(), strict=True)))
    return bent(logs)


if __name__ == "__main__":
    main()
