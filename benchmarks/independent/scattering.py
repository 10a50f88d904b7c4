"""Photons that a thick slab scatters once: Rayleigh and Compton, by the cross-sections of xraylib."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import atomic_number, attenuation, scattered
from benchmarks.independent.oxide_crystals import TRANSFERS, structure_factor
from numpy.typing import NDArray
from scipy import ndimage

_ELECTRON_KEV, _FINE_STRUCTURE, _HC_KEV_ANGSTROM = 510.999, 1 / 137.036, 12.39842
# Momentum of electrons, atomic units; points of the logarithmic axis a channel; shells K to Q of xraylib
_FASTEST, _STEPS, _SHELLS = 20.0, 4, 31


def scatter(
    fractions: Mapping[str, float],
    energies: NDArray[np.float64],
    photons: NDArray[np.float64],
    angles_deg: tuple[float, float],
    turned_deg: float,
    minerals: Mapping[str, float] | None = None,
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
    minerals
        Crystal → share, whose coherent scattering the sample has; None takes atoms one by one.
    """
    rayleigh, compton = scattered(fractions, energies, turned_deg)
    if minerals:
        transfers = 4 * np.pi * energies / _HC_KEV_ANGSTROM * np.sin(np.deg2rad(turned_deg) / 2)
        whole = sum(share * structure_factor(name) for name, share in minerals.items())
        rayleigh = rayleigh * np.interp(transfers, TRANSFERS, np.asarray(whole), right=1.0)
    into, out = (1 / np.sin(np.deg2rad(angle)) for angle in angles_deg)
    shifted = energies / (1 + energies / _ELECTRON_KEV * (1 - np.cos(np.deg2rad(turned_deg))))
    going_in = attenuation(fractions, energies) * into
    kept = rayleigh * photons * into / (going_in + attenuation(fractions, energies) * out)
    lost = compton * photons * into / (going_in + attenuation(fractions, shifted) * out)
    return np.concatenate([energies, shifted]), np.concatenate([kept, lost])


def widen_compton(
    counts: NDArray[np.float64],
    energies: NDArray[np.float64],
    fractions: Mapping[str, float],
    turned_deg: float,
    line_kev: float,
) -> NDArray[np.float64]:
    """Spread what is Compton-scattered by the Compton profiles of a sample's atoms, on a logarithmic axis.

    An electron's momentum along the turn shifts a photon by the same part of its energy, whatever that is
    (impulse approximation). ``line_kev``: of the source's main line, whose photons lose no less than what
    binds the electron.
    """
    good = energies > 0.5
    logarithms = np.linspace(np.log(energies[good][0]), np.log(energies[-1]), _STEPS * int(good.sum()))
    step, turn = logarithms[1] - logarithms[0], math.radians(turned_deg)
    part = 2 * math.sin(turn / 2) * _FINE_STRUCTURE  # of the energy, for one atomic unit
    reach = int(_FASTEST * part / step)
    momenta = step * np.arange(-reach, reach + 1) / part
    profile = np.zeros(momenta.size)
    free = 1 + line_kev / _ELECTRON_KEV * (1 - math.cos(turn))  # energy before over that after
    for element, weight in fractions.items():
        number = atomic_number(element)
        for shell in range(_SHELLS):
            try:
                electrons, bound = xraylib.ElectronConfig(number, shell), xraylib.EdgeEnergy(number, shell)
                each = [xraylib.ComptonProfile_Partial(number, shell, abs(float(at))) for at in momenta]
            except ValueError:
                continue
            loses = momenta * part < math.log(free * max(1 - bound / line_kev, 1e-3))
            profile += weight / xraylib.AtomicWeight(number) * electrons * np.array(each) * loses
    summed = np.interp(np.exp(logarithms), energies, np.cumsum(counts))
    widened = ndimage.convolve1d(np.gradient(summed), profile / profile.sum(), mode="constant")
    out = np.interp(energies, np.exp(logarithms), np.cumsum(widened), left=0.0)
    return np.asarray(np.diff(out, prepend=0.0).clip(0))
