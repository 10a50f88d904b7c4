"""What a photon's pulse lacks: escaped fluorescence, Compton-scattered photons, photoelectrons that leave.

Of a photon that is Compton-scattered out of the detector only the recoil electron's energy is left: the
background below 2 keV that photons above 10 keV leave in silicon. A photoelectron that leaves through the
entrance takes along between nothing and all of its energy, the photon's less the binding energy, while the
Auger electron of the K shell stays: a shelf above the binding energy, after F. Scholze and M. Procop, X-Ray
Spectrom. 38 (2009) 312, but flat and with one scale for the electrons' range.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import xraylib
import xraylib_np  # type: ignore[import-not-found]
from numpy.typing import ArrayLike
from xraylib import AtomicWeight

from napari_xrf.core.constants import ELECTRON_REST_KEV
from napari_xrf.core.cores import one_thread_of
from napari_xrf.core.emission_lines import atomic_number, edge_energy, family_lines
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.physics.attenuation import (
    HIGHEST_KEV,
    LOWEST_KEV,
    Floats,
    mass_attenuation,
    mass_photo_absorption,
)
from napari_xrf.physics.detector.response import Decay
from napari_xrf.reference.materials import Material

_DEPTHS = 96
_FRACTIONS = 60
_ESCAPE_NODES = 240
_HIGHEST_KEV = 120.0
_COMPTON_NODES = 160
_STAIRS = np.linspace(-1.6, 1.6, 9)  # sigmas: in these steps the shelf begins
_NEAREST = 1.2  # binding energies: lines below have no shelf; it would hold next to nothing
_LARGEST_PART = 0.3  # of a peak


def escape_fractions(medium: Material, thickness_um: float, energies_kev: ArrayLike) -> dict[float, Floats]:
    """Return which fraction of absorbed photons loses a fluorescence photon of the detector.

    A flat sensitive volume without side walls, photons at normal incidence; the K photons of each
    element leave through the front or the back. The integral of Reed & Ware, J. Phys. E 5 (1972) 582,
    for a volume of finite thickness.

    Returns
    -------
    Energy of the escaping line in keV → fractions, (N,), of the photons absorbed at each energy, from 0 to
    below 1.
    """
    at = np.asarray(energies_kev, dtype=np.float64)
    found = {}
    for energy, nodes, fractions in _tables(medium, float(thickness_um)):
        found[energy] = np.interp(at, nodes, fractions, left=0.0)
    return found


def leaving_fraction(
    medium: Material, thickness_um: float, energies_kev: Floats, outgoing_kev: ArrayLike
) -> Floats:
    """Return the chance that a photon born where another was absorbed leaves the volume, (N,).

    The photons absorbed, (N,), come at normal incidence; those born, of one energy or (N,), leave in any
    direction.
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
    out = 0.5 * (_e2(outgoing * depth) + _e2(np.maximum(outgoing * (thickness - depth), 0.0)))
    return np.asarray(out @ (0.5 * weights))


def mass_compton(material: Material, energies_kev: ArrayLike) -> Floats:
    """Return the Compton cross-section over all angles, cm²/g, at energies in keV (xraylib)."""
    at = np.asarray(energies_kev, dtype=np.float64)
    nodes, values = _compton_table(material)
    return np.asarray(np.interp(np.log(np.clip(at, LOWEST_KEV, HIGHEST_KEV)), nodes, values))


def highest_recoil(energies_kev: ArrayLike) -> Floats:
    """Return the highest energy of the recoil electron, keV: of a photon that is turned straight back."""
    at = np.asarray(energies_kev, dtype=np.float64)
    turned = 2 * at / ELECTRON_REST_KEV
    return np.asarray(at * turned / (1 + turned))


def recoil_fraction(medium: Material, thickness_um: float, energies_kev: ArrayLike) -> Floats:
    """Return which fraction of detected photons leaves only a recoil electron.

    The first interaction is Compton scattering and the scattered photon leaves the flat volume, in any
    direction. The recoil energies lie between 0 and :func:`highest_recoil`, nearly evenly.
    """
    at = np.asarray(energies_kev, dtype=np.float64)
    nodes, fractions = _recoil_table(medium, float(thickness_um))
    return np.asarray(np.interp(np.log(np.maximum(at, LOWEST_KEV)), nodes, fractions))


class ElectronShelf(NamedTuple):
    """A shelf that begins at the binding energy, as one from 0 keV and what is to be removed of it."""

    shelves: Floats  # (N,) part of each peak in the shelf from 0 keV
    weights: Floats  # (N,) counts of each peak, what is removed included
    removal: tuple[Decay, ...]  # negative, below the binding energy, the border blurred by the resolution


def electron_shelf(
    medium: Material, part: float, energies_kev: Floats, weights: Floats, sigma_kev: float, axis: EnergyAxis
) -> ElectronShelf:
    """Return the shelf that photoelectrons leave, counts conserved.

    ``part``: of the photons of :func:`near_entrance`, whose electron leaves; 0 to 1. ``energies_kev``,
    ``weights``: (N,) photon energies, and counts of each peak. ``sigma_kev``: resolution at the binding
    energy.
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


def near_entrance(medium: Material, energies_kev: ArrayLike) -> Floats:
    """Return the part of photons that is absorbed within the photoelectron's range of the entrance.

    0 below the K shell's binding energy. A quarter of the electrons would leave if they flew straight.
    """
    energies = np.asarray(energies_kev, dtype=np.float64)
    reach = electron_range(medium, energies - k_binding(medium))
    return np.asarray(-np.expm1(-mass_photo_absorption(medium, energies) * reach))


def electron_range(medium: Material, energies_kev: ArrayLike) -> Floats:
    """Return the range of electrons of energies in keV, g/cm².

    Kanaya and Okayama, J. Phys. D 5 (1972) 43; 0 for energies below 0.
    """
    number = atomic_number(_main_element(medium))
    energies = np.maximum(np.asarray(energies_kev, dtype=np.float64), 0.0)
    return np.asarray(2.76e-6 * AtomicWeight(number) * energies**1.67 / number**0.889)


def k_binding(medium: Material) -> float:
    """Return the binding energy, keV, of the K shell of a medium's main element."""
    return edge_energy(_main_element(medium), "K")


def _e2(at: Floats) -> Floats:
    """Return the exponential integral E₂ from 0: series below 1, else the continued fraction.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 5.1.11, 5.1.14 and 5.1.22.
    """
    low, high = np.clip(at, 1e-300, 1.0), np.maximum(at, 1.0)
    term, e1 = np.ones_like(low), -np.euler_gamma - np.log(low)
    for n in range(1, 19):
        term *= -low / n
        e1 -= term / n
    fraction = high + 2 * _FRACTIONS
    for n in range(_FRACTIONS - 1, 0, -1):
        fraction = high + 2 * n - n * (n + 1) / fraction
    return np.where(at < 1, np.exp(-low) - low * e1, np.exp(-high) / fraction)


@lru_cache(maxsize=64)
def _tables(medium: Material, thickness_um: float) -> tuple[tuple[float, Floats, Floats], ...]:
    tables = []
    for element, weight in medium.mass_fractions.items():
        edge = edge_energy(element, "K")
        if edge < 1.0:  # the K photons of lighter elements do not leave the place where they arise
            continue
        nodes = np.geomspace(edge * (1 + 1e-9), _HIGHEST_KEV, _ESCAPE_NODES)
        lines, shares = family_lines(element, "K", 2 * edge)
        for energy, share in _main_lines(lines, shares):
            emitted = share * weight * _k_photons(element, medium, nodes)
            fractions = emitted * leaving_fraction(medium, thickness_um, nodes, energy)
            tables.append((energy, np.concatenate([[edge], nodes]), np.concatenate([[0.0], fractions])))
    return tuple(tables)


def _main_lines(lines: Floats, shares: Floats) -> list[tuple[float, float]]:
    # Kα1 and Kα2 lie closer than any detector resolves: one escape peak for Kα, one for Kβ.
    middle = 0.5 * (lines.min() + lines.max())
    groups = [lines < middle, lines >= middle]
    return [
        (float(np.average(lines[group], weights=shares[group])), float(shares[group].sum()))
        for group in groups
    ]


def _k_photons(element: str, medium: Material, energies: Floats) -> Floats:
    """K photons of an element per photon absorbed in the medium, per weight fraction of the element."""
    number = atomic_number(element)
    emitted = np.array([xraylib.CS_Photo_Partial(number, xraylib.K_SHELL, energy) for energy in energies])
    return np.asarray(
        emitted * xraylib.FluorYield(number, xraylib.K_SHELL) / mass_attenuation(medium, energies)
    )


@lru_cache(maxsize=64)
@one_thread_of("openmp")  # as xraylib_np is
def _compton_table(material: Material) -> tuple[Floats, Floats]:
    energies = np.geomspace(LOWEST_KEV * (1 + 1e-9), HIGHEST_KEV, _COMPTON_NODES)
    numbers = np.array([atomic_number(element) for element in material.mass_fractions])
    weights = np.array(list(material.mass_fractions.values()))
    return np.log(energies), weights @ xraylib_np.CS_Compt(numbers, energies)


@lru_cache(maxsize=64)
def _recoil_table(medium: Material, thickness_um: float) -> tuple[Floats, Floats]:
    energies = np.geomspace(1.0, HIGHEST_KEV, _COMPTON_NODES)
    scattered = energies - 0.5 * highest_recoil(energies)
    share = mass_compton(medium, energies) / mass_attenuation(medium, energies)
    return np.log(energies), share * leaving_fraction(medium, thickness_um, energies, scattered)


def _main_element(medium: Material) -> str:
    return max(medium.mass_fractions, key=lambda element: medium.mass_fractions[element])
