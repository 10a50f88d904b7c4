"""Photons that a thick slab scatters once: Rayleigh and Compton, by the cross-sections of xraylib."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from benchmarks.independent.cross_sections import attenuation, scattered
from numpy.typing import NDArray

_ELECTRON_KEV = 510.999


def scatter(
    fractions: Mapping[str, float],
    energies: NDArray[np.float64],
    photons: NDArray[np.float64],
    angles_deg: tuple[float, float],
    turned_deg: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return energies and photons per steradian: all of Rayleigh, then all of Compton.

    Parameters
    ----------
    energies, photons
        Of the beam; its continuum as many narrow bins.
    angles_deg
        Of incidence and take-off, to the surface.
    turned_deg
        Angle through which photons turn.
    """
    rayleigh, compton = scattered(fractions, energies, turned_deg)
    into, out = (1 / np.sin(np.deg2rad(angle)) for angle in angles_deg)
    shifted = energies / (1 + energies / _ELECTRON_KEV * (1 - np.cos(np.deg2rad(turned_deg))))
    going_in = attenuation(fractions, energies) * into
    kept = rayleigh * photons * into / (going_in + attenuation(fractions, energies) * out)
    lost = compton * photons * into / (going_in + attenuation(fractions, shifted) * out)
    return np.concatenate([energies, shifted]), np.concatenate([kept, lost])
