"""Fluorescence of a slab from fisx (Solé et al.), line by line, with secondary excitation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import fisx
import numpy as np
from numpy.typing import NDArray

THICK_CM = 100.0
_FAMILIES = ("K", "L", "M")


def fluorescence(
    fractions: Mapping[str, float],
    density: float,
    thickness_cm: float,
    beam: tuple[NDArray[np.float64], NDArray[np.float64]],
    angles_deg: tuple[float, float],
    *,
    secondary: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return energies (keV) of the lines, photons per steradian, and the element of each.

    Parameters
    ----------
    fractions
        By weight.
    beam
        Energies and photons.
    angles_deg
        Of incidence and take-off, to the surface.
    """
    library = _library()
    library.removeMaterials()
    material = fisx.Material("sample", density, 1.0)
    material.setComposition(dict(fractions))
    library.addMaterial(material)
    setup = fisx.XRF()
    setup.setBeam(list(beam[0]), list(beam[1]))
    setup.setBeamFilters([])
    setup.setSample([["sample", density, thickness_cm, 1.0]])
    setup.setGeometry(*angles_deg)
    highest = float(np.max(beam[0]))
    wanted = [
        f"{element} {family}"
        for element in fractions
        for family in _FAMILIES
        if any(
            name.startswith(f"{element} {family}") for name, _ in library.getPeakFamilies(element, highest)
        )
    ]
    found = (
        setup.getMultilayerFluorescence(
            wanted, library, secondary=int(secondary), useMassFractions=1, useGeometricEfficiency=0
        )
        if wanted
        else {}
    )
    lines = [
        (line["energy"], line["rate"], name.split()[0])
        for name, by_layer in found.items()
        for layer in by_layer.values()
        for line in layer.values()
    ]
    scale = float(np.sum(beam[1])) / (4 * np.pi)
    return (
        np.array([energy for energy, _, _ in lines]),
        np.array([rate * scale for _, rate, _ in lines]),
        [element for _, _, element in lines],
    )


@cache
def _library() -> Any:
    library = fisx.Elements()
    library.initializeAsPyMca()
    return library
