"""Peaks of the exciting radiation itself: scattered lines of the anode or beam, elastic and Compton."""

import math
from functools import cache

import numpy as np
import xraylib
from numpy.typing import NDArray

from napari_xrf.core.constants import ELECTRON_REST_KEV
from napari_xrf.core.emission_lines import edge_energy, family_lines
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.maps.spectra.families import normalised
from napari_xrf.physics.detector.detector import Detector, respond
from napari_xrf.physics.scatter import energy_after_compton

# Usual anodes whose Compton peaks a detector tells from the elastic ones (not those of Cr and Cu), and
# how likely each is where none is stated, log-odds.
ANODES = {"Rh": 0.0, "Mo": -6.0, "Ag": -6.0, "W": -8.0, "Pd": -8.0}
USUAL_ANODE = max(ANODES, key=lambda anode: ANODES[anode])
_FINE_STRUCTURE = 1 / 137.035999
_ABOVE_K_EDGES_KEV = 100.0  # of all anodes
# Of scattered lines: widths, of which Compton scattering adds to the first.
_BELOW_KEV, _BEYOND_KEV = 0.3, 0.15
_STEP = 0.2  # of the resolution's standard deviation, between energies that stand for many lines
_LAGRANGE = np.array([[math.prod(k - other for other in range(8) if other != k)] for k in range(8)])
_LIGHT = 8  # oxygen stands for the light atoms that scatter inelastically


def scatter_columns(
    kind: str | None,
    excitation_kev: float,
    anode: str | None,
    scatter_deg: float,
    detector: Detector,
    energy: EnergyAxis,
    spread_deg: float = 12.0,
) -> dict[str, NDArray[np.float64]]:
    """Return one column per scattered peak, (E,) each with a sum of 1.

    For a tube with a known anode: its K lines elastic and Compton, and its L lines, whose Compton shift
    the detector does not resolve. For a monochromatic beam: elastic and Compton. For electrons: none.
    Rayleigh and Compton energies for the mean angle ± its spread; Doppler broadening by the Compton
    profile of oxygen (Biggs, Mendelsohn & Mann, At. Data Nucl. Data Tables 16 (1975) 201, in xraylib).
    """
    found: dict[str, NDArray[np.float64]] = {}
    if kind == "monochromatic":
        lines, shares = np.array([excitation_kev]), np.ones(1)
        found["beam elastic"] = _counted(lines, shares, detector, energy)
        found["beam Compton"] = _counted(
            *compton_lines(lines, shares, scatter_deg, spread_deg), detector, energy
        )
    elif kind == "tube" and anode is not None:
        for shell in ("K", "L"):
            edge = edge_energy(anode, "K" if shell == "K" else "L3")
            if not 0.5 < edge < excitation_kev:
                continue
            lines, shares = family_lines(anode, shell, min(excitation_kev, 1.6 * edge + 1.0))
            if lines.size == 0:
                continue
            found[f"{anode} {shell} elastic"] = _counted(lines, shares, detector, energy)
            if lines.max() > 6.0:
                found[f"{anode} {shell} Compton"] = _counted(
                    *compton_lines(lines, shares, scatter_deg, spread_deg), detector, energy
                )
    return {name: column for name, column in found.items() if column.any()}


def scatter_ranges(excitation: Excitation) -> tuple[tuple[float, float], ...]:
    """Return the (low, high) keV in which peaks are of the exciting radiation rather than of an element.

    From a Compton scattering straight back to beyond the elastic peak: of a monochromatic beam, of the K
    lines of a tube's anode, and where that is not stated of usual ones, hardly ever a sample's strongest.
    None for electrons, or a beam whose energy is not known.
    """
    if excitation.kind == "electron" or (
        excitation.kind == "monochromatic" and excitation.energy_kev is None
    ):
        return ()
    if excitation.kind == "monochromatic":
        lines = [np.array([excitation.energy_kev])]
    else:
        anodes = (excitation.anode,) if excitation.anode else ("Rh", "Mo", "Pd", "Ag")
        lines = [family_lines(anode, "K", _ABOVE_K_EDGES_KEV)[0] for anode in anodes]
    return tuple(
        (float(energy_after_compton(each.min(), 180.0)) - _BELOW_KEV, float(each.max()) + _BEYOND_KEV)
        for each in lines
        if each.size
    )


def compton_lines(
    lines: NDArray[np.float64], shares: NDArray[np.float64], scatter_deg: float, spread_deg: float = 12.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the energies and shares into which Compton scattering spreads lines.

    ``lines``, ``shares``: (N,) keV and intensities. ``scatter_deg``: mean scatter angle. ``spread_deg``: half
    width of the angles that lens and detector take in.
    """
    momenta, profile = _compton_profile()
    angles = np.radians(scatter_deg + spread_deg * np.array([-1, -0.5, 0, 0.5, 1]))[:, None]
    angle_shares = np.array([0.5, 1, 1, 1, 0.5])[:, None] / 4
    line = lines[:, None, None]
    centre = line / (1 + line / ELECTRON_REST_KEV * (1 - np.cos(angles)))
    transfer = np.sqrt(line**2 + centre**2 - 2 * line * centre * np.cos(angles))
    shifted = centre + momenta * _FINE_STRUCTURE * transfer * centre / line
    weights = shares[:, None, None] * angle_shares * profile
    # An atom gives an electron no less than nothing: nothing lies above the elastic line.
    kept = (shifted > 0.1) & (shifted < line)
    return shifted[kept], weights[kept]


@cache
def _compton_profile() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return momenta of oxygen's electrons along a direction, atomic units, and the shares that have them."""
    momenta = np.linspace(-6, 6, 41)
    profile = np.array([xraylib.ComptonProfile(_LIGHT, abs(float(momentum))) for momentum in momenta])
    return momenta, profile / profile.sum()


def _gathered(
    lines: NDArray[np.float64], shares: NDArray[np.float64], step: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the energies and shares of an even grid that look like many lines, but for edges of absorption.

    Each line is shared out among the eight nearest places so that what is smooth over a few steps has the
    value that it has on the line (Lagrange's polynomials): to 1e-7 where a step is a fifth of what a detector
    blurs.
    """
    first = np.floor(lines / step).astype(np.intp) - 3
    lowest, eight = int(first.min()), np.arange(8)[:, None]
    beyond = lines / step - first - eight
    others = np.ones_like(beyond)  # products of those before each and of those behind it
    np.cumprod(beyond[:-1], axis=0, out=others[1:])
    others[:-1] *= np.cumprod(beyond[:0:-1], axis=0)[::-1]
    parts = others * (shares / _LAGRANGE)
    summed = np.bincount((first - lowest + eight).ravel(), parts.ravel())
    return np.asarray((lowest + np.arange(summed.size)) * step), np.asarray(summed, dtype=np.float64)


def _counted(
    lines: NDArray[np.float64], shares: NDArray[np.float64], detector: Detector, energy: EnergyAxis
) -> NDArray[np.float64]:
    seen = (lines > max(0.05, energy.edges[0])) & (lines < energy.edges[-1])
    column = np.zeros(energy.size)
    if seen.any():
        at, counts = lines[seen], shares[seen]
        step = _STEP * float(detector.sigma(at.min()))
        if at.size > np.ptp(at) / step + 8:
            at, counts = _gathered(at, counts, step)
        column[energy.positive] = respond(detector, energy, at, counts)[energy.positive]
    return normalised(column)
