"""Escape of the detector's own fluorescence out of its sensitive volume."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import xraylib
from numpy.typing import ArrayLike, NDArray
from scipy.special import expn

from napari_xrf.core.emission_lines import atomic_number, edge_energy, family_lines
from napari_xrf.physics.attenuation import mass_attenuation
from napari_xrf.reference.materials import Material

_DEPTHS = 96
_NODES = 240
_HIGHEST_KEV = 120.0


def escape_fractions(
    medium: Material, thickness_um: float, energies_kev: ArrayLike
) -> dict[float, NDArray[np.float64]]:
    """Return which fraction of absorbed photons loses a fluorescence photon of the detector.

    A flat sensitive volume without side walls, photons at normal incidence; the K photons of each
    element leave through the front or the back. The integral of Reed & Ware, J. Phys. E 5 (1972) 582,
    for a volume of finite thickness.

    Parameters
    ----------
    medium
        What absorbs: silicon, or the gas.
    thickness_um
        Its thickness along the beam.
    energies_kev
        (N,) photon energies.

    Returns
    -------
    Energy of the escaping line in keV → (N,) fractions of the absorbed photons, from 0 to below 1.
    """
    at = np.asarray(energies_kev, dtype=np.float64)
    found = {}
    for energy, nodes, fractions in _tables(medium, float(thickness_um)):
        found[energy] = np.interp(at, nodes, fractions, left=0.0)
    return found


def leaving_fraction(
    medium: Material, thickness_um: float, energies_kev: NDArray[np.float64], outgoing_kev: ArrayLike
) -> NDArray[np.float64]:
    """Return the chance that a photon born where another was absorbed leaves the volume, (N,).

    Parameters
    ----------
    medium, thickness_um
        The volume.
    energies_kev
        (N,) energies of the photons that are absorbed, at normal incidence.
    outgoing_kev
        Energy of those born, one or (N,); they leave in any direction.
    """
    thickness = thickness_um * 1e-4
    incoming = mass_attenuation(medium, energies_kev) * medium.density
    outgoing = np.broadcast_to(mass_attenuation(medium, outgoing_kev) * medium.density, incoming.shape)[
        :, None
    ]
    nodes, weights = np.polynomial.legendre.leggauss(_DEPTHS)
    # Nodes even in absorption probability, so that a steep fall is sampled where the photons are.
    chance = 0.5 * (nodes + 1.0)
    absorbed = -np.expm1(-incoming * thickness)
    depth = -np.log1p(-chance[None, :] * absorbed[:, None]) / incoming[:, None]
    out = 0.5 * (expn(2, outgoing * depth) + expn(2, np.maximum(outgoing * (thickness - depth), 0.0)))
    return np.asarray(out @ (0.5 * weights))


@lru_cache(maxsize=64)
def _tables(
    medium: Material, thickness_um: float
) -> tuple[tuple[float, NDArray[np.float64], NDArray[np.float64]], ...]:
    tables = []
    for element, weight in medium.mass_fractions.items():
        edge = edge_energy(element, "K")
        if edge < 1.0:  # the K photons of lighter elements do not leave the place where they arise
            continue
        nodes = np.geomspace(edge * (1 + 1e-9), _HIGHEST_KEV, _NODES)
        lines, shares = family_lines(element, "K", 2 * edge)
        for energy, share in _main_lines(lines, shares):
            emitted = share * weight * _k_photons(element, medium, nodes)
            fractions = emitted * leaving_fraction(medium, thickness_um, nodes, energy)
            tables.append((energy, np.concatenate([[edge], nodes]), np.concatenate([[0.0], fractions])))
    return tuple(tables)


def _main_lines(lines: NDArray[np.float64], shares: NDArray[np.float64]) -> list[tuple[float, float]]:
    # Kα1 and Kα2 lie closer than any detector resolves: one escape peak for Kα, one for Kβ.
    middle = 0.5 * (lines.min() + lines.max())
    groups = [lines < middle, lines >= middle]
    return [
        (float(np.average(lines[group], weights=shares[group])), float(shares[group].sum()))
        for group in groups
    ]


def _k_photons(element: str, medium: Material, energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """K photons of an element per photon absorbed in the medium, per weight fraction of the element."""
    number = atomic_number(element)
    emitted = np.array([xraylib.CS_Photo_Partial(number, xraylib.K_SHELL, energy) for energy in energies])
    return np.asarray(
        emitted * xraylib.FluorYield(number, xraylib.K_SHELL) / mass_attenuation(medium, energies)
    )
