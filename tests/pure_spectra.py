"""Simple spectra that stand for materials where a test needs no physics."""

from __future__ import annotations

import numpy as np

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.mineral_map import PureSpectra

AXIS = EnergyAxis(-0.5, 0.02, 1024)
MATERIALS = (
    Material.from_formula("SiO2", 2.65, "quartz"),
    Material.from_formula("CaCO3", 2.71, "calcite"),
    Material.from_formula("FeS2", 5.01, "pyrite"),
)
_PEAKS = ((1.74, 3.0), (3.69, 4.01, 6.0), (2.31, 6.40, 7.06))


def width(energies):
    """FWHM in keV of a silicon drift detector with 145 eV at Mn Kα."""
    return np.sqrt(0.080**2 + 0.00248 * np.maximum(energies, 0.0))


def peaks(energies_kev, counts=1.0, axis=AXIS):
    """Gaussian peaks of equal area."""
    at = np.asarray(energies_kev)[:, np.newaxis]
    sigma = width(at) / FWHM_PER_SIGMA
    shape = (np.exp(-0.5 * ((axis.energies - at) / sigma) ** 2) / sigma).sum(axis=0)
    return counts * shape / shape.sum()


def pure_spectra():
    """Three materials; the middle one is twice as bright."""
    continuum = np.where(AXIS.energies > 0.3, 1.0, 0.0)
    spectra = [
        factor * (peaks(p) + 0.2 * continuum / continuum.sum())
        for factor, p in zip((1, 2, 1), _PEAKS, strict=True)
    ]
    families = ({"Si K": 1.0}, {"Ca K": 2.0}, {"S K": 0.4, "Fe K": 0.6})
    return PureSpectra(np.array(spectra), AXIS, families, width)
