"""The measured spectra that the simulator is held against, and what they are spectra of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.io import read_spectrum
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.materials import Material

FOLDER = Path(os.environ.get("NAPARI_XRF_DATA", Path(__file__).parents[2] / "shared" / "data")) / "spectra"
ACRYLIC = "Acrylic"
ACRYLIC_MM = 5.1  # not stated; the value that gives acrylic and metals one dose, see optic_transmission.py


@dataclass(frozen=True)
class Sample:
    """A sample: formula, density in g/cm³, its K lines in keV, file, and structure."""

    formula: str
    density: float
    lines: tuple[float, float]
    file: str
    thickness_um: float | None = None
    structure: str = "polycrystal"

    @property
    def material(self) -> Material:
        """What it is made of."""
        return Material.from_formula(self.formula, self.density)

    def expected(self, instrument: Instrument) -> NDArray[np.float64]:
        """Return the counts that an instrument is expected to make of it, per unit of dose."""
        return expect_spectrum(
            self.material, instrument, thickness_um=self.thickness_um, structure=self.structure
        ).counts


def _pure(element: str, density: float, low: float, high: float, structure: str = "polycrystal") -> Sample:
    file = f"{element}_50kv_50_ma_Rh_vac_D1.msa"
    return Sample(element, density, (low, high), file, structure=structure)


NIST = {
    "Si": _pure("Si", 2.33, 1.55, 1.95, "single-crystal"),
    # Powder of a molecular crystal of 128 atoms in a cell: its many reflections run together.
    "S": _pure("S", 2.07, 2.10, 2.62, "amorphous"),
    "Ti": _pure("Ti", 4.51, 4.20, 5.15),
    "Cr": _pure("Cr", 7.19, 5.10, 6.15),
    "Fe": _pure("Fe", 7.87, 6.05, 7.30),
    "Ni": _pure("Ni", 8.91, 7.15, 8.55),
    "Cu": _pure("Cu", 8.96, 7.70, 9.20),
    ACRYLIC: Sample(
        "C5H8O2",
        1.18,
        (18.0, 20.5),
        "Acrylic_50kv_50_ma_Rh_vac_D1_600s.msa",
        1e3 * ACRYLIC_MM,
        "amorphous",
    ),
}

PLATES = {
    "Ti": Sample("Ti", 4.51, (4.20, 5.15), ""),
    "Fe": Sample("Fe", 7.87, (6.05, 7.30), ""),
    "Cu": Sample("Cu", 8.96, (7.70, 9.20), ""),
    "Zn": Sample("Zn", 7.14, (8.30, 9.90), ""),
}


@dataclass(frozen=True, eq=False)
class Measured:
    """A measured spectrum: energy axis, counts (E,), and live time in seconds."""

    energy: EnergyAxis
    counts: NDArray[np.float64]
    live_s: float


def nist(name: str) -> Measured:
    """Read a spectrum of the NIST series."""
    return _measured(FOLDER / "nist_microxrf" / NIST[name].file)


def horiba(element: str) -> Measured:
    """Read a spectrum of the Horiba series, whose software takes no escape peaks and pile-up out."""
    return _measured(FOLDER / "horiba_xgt7200" / f"{element}.txt")


def _measured(path: Path) -> Measured:
    spectrum = read_spectrum(path)
    return Measured(spectrum.energy, np.asarray(spectrum.counts, dtype=np.float64), spectrum.live_time or 1.0)
