"""Compton scattering inside a detector: only the recoil electron's energy is left when the photon escapes.

It makes the background below 2 keV that photons above 10 keV leave in a silicon detector.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import xraylib_np  # type: ignore[import-not-found]
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.constants import ELECTRON_REST_KEV
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.physics.attenuation import HIGHEST_KEV, LOWEST_KEV, mass_attenuation
from napari_xrf.physics.detector.escape import leaving_fraction
from napari_xrf.reference.materials import Material

_NODES = 160


def mass_compton(material: Material, energies_kev: ArrayLike) -> NDArray[np.float64]:
    """Return the Compton cross-section over all angles, cm²/g, at energies in keV (xraylib)."""
    at = np.asarray(energies_kev, dtype=np.float64)
    nodes, values = _compton_table(material)
    return np.asarray(np.interp(np.log(np.clip(at, LOWEST_KEV, HIGHEST_KEV)), nodes, values))


def highest_recoil(energies_kev: ArrayLike) -> NDArray[np.float64]:
    """Return the highest energy of the recoil electron, keV: of a photon that is turned straight back."""
    at = np.asarray(energies_kev, dtype=np.float64)
    turned = 2 * at / ELECTRON_REST_KEV
    return np.asarray(at * turned / (1 + turned))


def recoil_fraction(medium: Material, thickness_um: float, energies_kev: ArrayLike) -> NDArray[np.float64]:
    """Return which fraction of detected photons leaves only a recoil electron.

    The first interaction is Compton scattering and the scattered photon leaves the flat volume, in any
    direction. The recoil energies lie between 0 and :func:`highest_recoil`, nearly evenly.

    Parameters
    ----------
    medium, thickness_um
        The sensitive volume.
    energies_kev
        (N,) photon energies.
    """
    at = np.asarray(energies_kev, dtype=np.float64)
    nodes, fractions = _recoil_table(medium, float(thickness_um))
    return np.asarray(np.interp(np.log(np.maximum(at, LOWEST_KEV)), nodes, fractions))


@lru_cache(maxsize=64)
def _compton_table(material: Material) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    energies = np.geomspace(LOWEST_KEV * (1 + 1e-9), HIGHEST_KEV, _NODES)
    numbers = np.array([atomic_number(element) for element in material.mass_fractions])
    weights = np.array(list(material.mass_fractions.values()))
    return np.log(energies), weights @ xraylib_np.CS_Compt(numbers, energies)


@lru_cache(maxsize=64)
def _recoil_table(medium: Material, thickness_um: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    energies = np.geomspace(1.0, HIGHEST_KEV, _NODES)
    scattered = energies - 0.5 * highest_recoil(energies)
    share = mass_compton(medium, energies) / mass_attenuation(medium, energies)
    return np.log(energies), share * leaving_fraction(medium, thickness_um, energies, scattered)
