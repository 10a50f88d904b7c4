"""Photoelectrons that leave a detector through its entrance: a shelf above the K shell's binding energy.

What such an electron takes along is missing from the pulse, between nothing and all of its energy, the
photon's less the binding energy; the Auger electron of the K shell stays. After F. Scholze and M. Procop,
X-Ray Spectrom. 38 (2009) 312, but flat and with one scale for the electrons' range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from xraylib import AtomicWeight

from napari_xrf.core.emission_lines import atomic_number, edge_energy
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.physics.attenuation import mass_photo_absorption
from napari_xrf.physics.detector.response import Decay
from napari_xrf.reference.materials import Material

_STAIRS = np.linspace(-1.6, 1.6, 9)  # sigmas: in these steps the shelf begins
_NEAREST = 1.2  # binding energies: lines below have no shelf; it would hold next to nothing
_LARGEST_PART = 0.3  # of a peak


@dataclass(frozen=True, eq=False)
class ElectronShelf:
    """A shelf that begins at the binding energy, as one from 0 keV and what is to be removed of it.

    Attributes
    ----------
    shelves
        (N,) part of each peak in the shelf from 0 keV.
    weights
        (N,) counts of each peak, what is removed included.
    removal
        Negative counts below the binding energy, its border blurred by the resolution; none without a shelf.
    """

    shelves: NDArray[np.float64]
    weights: NDArray[np.float64]
    removal: tuple[Decay, ...]


def electron_shelf(
    medium: Material,
    part: float,
    energies_kev: NDArray[np.float64],
    weights: NDArray[np.float64],
    sigma_kev: float,
    axis: EnergyAxis,
) -> ElectronShelf:
    """Return the shelf that photoelectrons leave, counts conserved.

    Parameters
    ----------
    medium
        The sensitive volume's material.
    part
        Of the photons of :func:`near_entrance`, whose electron leaves; 0 to 1.
    energies_kev, weights
        (N,) photon energies, and counts of each peak.
    sigma_kev
        Resolution at the binding energy.
    axis
        Energy axis of the spectrum.
    """
    bottom, shelves = k_binding(medium), np.zeros(energies_kev.shape)
    some = np.flatnonzero(energies_kev > _NEAREST * bottom)
    if part == 0 or not some.size:
        return ElectronShelf(shelves, weights, ())
    at = energies_kev[some]
    shelves[some] = np.minimum(part * near_entrance(medium, at) * at / (at - bottom), _LARGEST_PART)
    tops = axis.channel(bottom + sigma_kev * _STAIRS) + 1
    weights = weights / (1 - shelves * axis.energy(tops - 0.5).mean() / energies_kev)
    # A trace less than the shelf itself, so that rounding leaves no negative counts.
    height = (weights * shelves / energies_kev)[some] * axis.width * (1 - 1e-9) / _STAIRS.size
    photon, top = np.repeat(some, _STAIRS.size), np.tile(tops, some.size)
    return ElectronShelf(shelves, weights, (Decay(1.0, photon, top, -np.repeat(height, _STAIRS.size)),))


def near_entrance(medium: Material, energies_kev: ArrayLike) -> NDArray[np.float64]:
    """Return the part of photons that is absorbed within the photoelectron's range of the entrance.

    0 below the K shell's binding energy. A quarter of the electrons would leave if they flew straight.
    """
    energies = np.asarray(energies_kev, dtype=np.float64)
    reach = electron_range(medium, energies - k_binding(medium))
    return np.asarray(-np.expm1(-mass_photo_absorption(medium, energies) * reach))


def electron_range(medium: Material, energies_kev: ArrayLike) -> NDArray[np.float64]:
    """Return the range of electrons of energies in keV, g/cm².

    Kanaya and Okayama, J. Phys. D 5 (1972) 43; 0 for energies below 0.
    """
    number = atomic_number(_main_element(medium))
    energies = np.maximum(np.asarray(energies_kev, dtype=np.float64), 0.0)
    return np.asarray(2.76e-6 * AtomicWeight(number) * energies**1.67 / number**0.889)


def k_binding(medium: Material) -> float:
    """Return the binding energy, keV, of the K shell of a medium's main element."""
    return edge_energy(_main_element(medium), "K")


def _main_element(medium: Material) -> str:
    return max(medium.mass_fractions, key=lambda element: medium.mass_fractions[element])
