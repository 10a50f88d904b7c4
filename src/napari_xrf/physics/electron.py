"""X-rays that an electron beam excites in a thick sample: a standardless model for SEM-EDS.

Lines: stopping power, backscattering and depth distribution φ(ρz) of the XPP model (J.-L. Pouchou and
F. Pichoir, in Electron Probe Quantitation, eds. K. F. J. Heinrich, D. E. Newbury, Plenum 1991, 31), with the
cross-sections of Casnati. Continuum: Ebel's for X-ray tubes, with the sample as anode.
Fluorescence that X-rays excite within the sample, a few per cent at most, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xraylib

from napari_xrf.core.constants import ELECTRON_REST_KEV
from napari_xrf.core.emission_lines import atomic_number, edge_energy
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import Floats, Layer, mass_attenuation
from napari_xrf.physics.fluorescence import LineTable, line_table
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.physics.source_tube import thick_target_continuum
from napari_xrf.physics.vacancies import SUBSHELLS, photons_per_vacancy
from napari_xrf.reference.materials import Material

_ELECTRONS_PER_MA_S = 6.241509e15
_AVOGADRO = 6.02214076e23
_LOWEST_EDGE_KEV = 0.15  # the model is not made for softer edges
_LEAST_OVERVOLTAGE = 1.001  # below it the lines are too weak to see, and the depth distribution has no shape
_BOHR_RADIUS_CM = 5.29177211e-9
_RYDBERG_KEV = 0.0136056931
_ELECTRONS = {"K": 2, "L1": 2, "L2": 2, "L3": 4, "M1": 2, "M2": 2, "M3": 4, "M4": 4, "M5": 6}
# Casnati's formula is for K. These factors bring its L and M subshells to the relativistic Born calculations
# of Bote et al. (2009) for Fe, As, W, Pb and Pu at 2 to 8 times the edge, within 25 %.
_SUBSHELL_FACTORS = {"L2": 1.18, "L3": 1.18, "M4": 1.3, "M5": 1.3}


def excite_by_electrons(
    layers: Sequence[Layer], source: ElectronBeam, angles_deg: tuple[float, float], grid_kev: Floats
) -> tuple[LineTable, Floats, Floats]:
    """Return the X-rays of a thick homogeneous sample, per electron and steradian.

    Parameters
    ----------
    layers
        One layer, infinitely thick.
    source
        The beam.
    angles_deg
        Of beam and detector against the surface.
    grid_kev
        (G,) evenly spaced energies of the continuum.

    Returns
    -------
    lines : the lines of the sample's elements
    photons : (L,) photons of each line
    continuum : (G,) photons in each step of the grid

    Raises
    ------
    InvalidInput
        For layers or a thin sample: the depth distribution holds for thick ones only.
    """
    if len(layers) != 1 or math.isfinite(layers[0].thickness_um):
        raise InvalidInput(
            "electron beams are modelled on thick homogeneous samples only",
            "Leave out the thickness, or choose an instrument with an X-ray source",
        )
    material = layers[0].material
    lines = line_table(tuple(sorted(material.mass_fractions)))
    photons = _line_photons(material, source.energy_kev, angles_deg, lines)
    step = grid_kev[1] - grid_kev[0]
    continuum = thick_target_continuum(material, source.energy_kev, angles_deg, grid_kev) * step
    return lines, photons, continuum / _ELECTRONS_PER_MA_S


def ionisation_cross_section(subshell: str, edge_kev: float, energies_kev: Floats) -> Floats:
    """Return the cross-section for ionising a subshell by electrons, cm² per atom.

    The empirical formula of E. Casnati, A. Tartari and C. Baraldi, J. Phys. B 15 (1982) 155, scaled for L and
    M subshells to D. Bote et al., At. Data Nucl. Data Tables 95 (2009) 871.

    ``energies_kev`` of the electrons may have any shape; 0 is returned below the edge.
    """
    over = np.maximum(energies_kev / edge_kev, 1.0)
    rest = ELECTRON_REST_KEV / edge_kev
    shape = 10.57 * np.exp(-1.736 / over + 0.317 / over**2)
    depth = (edge_kev / _RYDBERG_KEV) ** (-0.0318 + 0.3160 / over - 0.1135 / over**2)
    relativistic = (1 + 2 * rest) / (over + 2 * rest) * ((over + rest) / (1 + rest)) ** 2
    kinetic = over * (over + 2 * rest) * (1 + rest) ** 2
    relativistic *= ((1 + over) * kinetic / over / (rest**2 * (1 + 2 * rest) + kinetic)) ** 1.5
    size = _BOHR_RADIUS_CM**2 * (_RYDBERG_KEV / edge_kev) ** 2 * np.log(over) / over
    electrons = _ELECTRONS[subshell] * _SUBSHELL_FACTORS.get(subshell, 1.0)
    return np.asarray(electrons * relativistic * shape * depth * size)


@dataclass(frozen=True)
class _Target:
    """Averages of a sample that the XPP model needs."""

    material: Material
    electrons_per_mass: float  # M = Σ C·Z/A
    ionisation_kev: float  # J
    backscattered: float  # η
    mean_z: float
    root_z: float  # Pouchou's Z_b

    @classmethod
    def of(cls, material: Material) -> _Target:
        numbers = np.array([atomic_number(element) for element in material.mass_fractions])
        parts = np.array(list(material.mass_fractions.values()))
        weights = np.array([xraylib.AtomicWeight(int(number)) for number in numbers])
        per_mass = parts * numbers / weights
        potentials = numbers * (10.04 + 8.25 * np.exp(-numbers / 11.22)) * 1e-3
        potential = math.exp((per_mass * np.log(potentials)).sum() / per_mass.sum())
        root = float((parts * np.sqrt(numbers)).sum() ** 2)
        backscattered = 1.75e-3 * root + 0.37 * (1 - math.exp(-0.015 * root**1.3))
        mean = float((parts * numbers).sum())
        return cls(material, float(per_mass.sum()), potential, backscattered, mean, root)

    def stopping(self, energies: Floats) -> Floats:
        """Energy lost per mass per area, keV·cm²/g."""
        reduced, potential = energies / self.ionisation_kev, self.ionisation_kev
        inverse = 6.6e-6 * reduced**0.78 + 1.12e-5 * (1.35 - 0.45 * potential**2) * reduced**0.1
        inverse += 2.2e-6 / potential * reduced ** -(0.5 - 0.25 * potential)
        return np.asarray(self.electrons_per_mass / potential / inverse)


def _line_photons(
    material: Material, energy: float, angles_deg: tuple[float, float], lines: LineTable
) -> Floats:
    target = _Target.of(material)
    photons = np.zeros(lines.energies.shape)
    sine = math.sin(math.radians(angles_deg[1]))
    chi = mass_attenuation(material, lines.energies) / sine
    for index, element in enumerate(lines.elements):
        atoms = _AVOGADRO * material.mass_fractions[element] / xraylib.AtomicWeight(atomic_number(element))
        made, shapes = _ionise(element, energy, target)
        radiated = photons_per_vacancy(element) @ made
        for line in np.flatnonzero(lines.element == index):
            subshell = int(lines.subshell[line]) % len(SUBSHELLS)
            shape = shapes[subshell]
            if shape is not None:
                emerging = shape.emerging(float(chi[line])) / shape.area
                photons[line] = atoms * radiated[subshell] * lines.rates[line] * emerging / (4 * math.pi)
    return photons


def _ionise(element: str, energy: float, target: _Target) -> tuple[Floats, list[_DepthShape | None]]:
    """Ionisations of each subshell per electron and (atom/g), and their distribution in depth."""
    made = np.zeros(len(SUBSHELLS))
    shapes: list[_DepthShape | None] = [None] * len(SUBSHELLS)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    for index, subshell in enumerate(SUBSHELLS):
        edge = edge_energy(element, subshell)
        if not (edge > _LOWEST_EDGE_KEV and energy > _LEAST_OVERVOLTAGE * edge):
            continue
        # In the logarithm of the energy the integrand is smooth.
        half = math.log(energy / edge) / 2
        at = edge * np.exp(half * (nodes + 1))
        path = (ionisation_cross_section(subshell, edge, at) / target.stopping(at) * at) @ weights * half
        made[index] = path * _kept(energy / edge, target)
        at_surface = float(ionisation_cross_section(subshell, edge, np.array([energy]))[0])
        shapes[index] = _DepthShape.of(made[index] / at_surface, energy / edge, target)
    return made, shapes


def _kept(over: float, target: _Target) -> float:
    """Part of the ionisations that backscattering leaves, XPP's R."""
    eta = target.backscattered
    mean_energy = 0.595 + eta / 3.7 + eta**4.55
    power = (2 * mean_energy - 1) / (1 - mean_energy)
    growth = 1 + over * (math.log(over) - 1)
    lost = over - 1 - (1 - over ** -(1 + power)) / (1 + power)
    return 1 - eta * mean_energy * (1 - lost / ((2 + power) * growth))


@dataclass(frozen=True)
class _DepthShape:
    """XPP's φ(ρz) = A·exp(-aρz) + (Bρz + φ₀ - A)·exp(-bρz)."""

    area: float
    surface: float
    slow: float  # b
    fast: float  # a
    linear: float  # B
    amplitude: float  # A

    @classmethod
    def of(cls, area: float, over: float, target: _Target) -> _DepthShape:
        eta, root = target.backscattered, target.root_z
        surface = 1 + 3.3 * (1 - over ** (2.3 * eta - 2)) * eta**1.2
        x, y = 1 + 1.3 * math.log(root), 0.2 + root / 200
        mean_depth = area / (1 + x * math.log(1 + y * (1 - over**-0.42)) / math.log(1 + y))
        mean_depth = min(mean_depth, area / surface)
        slow = math.sqrt(2) * (1 + math.sqrt(max(1 - mean_depth * surface / area, 0.0))) / mean_depth
        slope = 0.22 * math.log(4 * target.mean_z) * (1 - 2 * math.exp(-root * (over - 1) / 15))
        slope *= (1 - 10 * (1 - 1 / (1 + over / 10)) / root**2) ** 4
        slope = min(slope, 0.9 * slow * mean_depth**2 * (slow - 2 * surface / area)) * area / mean_depth**2
        fast = (slope + slow * (2 * surface - slow * area)) / (
            slow * area * (2 - slow * mean_depth) - surface
        )
        apart = (fast - slow) / slow
        if abs(apart) < 1e-6:
            apart = 1e-6
            fast = slow * (1 + apart)
        linear = (slow**2 * area * (1 + apart) - slope - surface * slow * (2 + apart)) / apart
        amplitude = (linear / slow + surface - slow * area) * (1 + apart) / apart
        return cls(area, surface, slow, fast, linear, amplitude)

    def emerging(self, chi: float) -> float:
        """∫ φ(ρz)·exp(-χρz) dρz, from 0 to the area."""
        value = self.surface + self.linear / (self.slow + chi)
        value -= self.amplitude * (self.fast - self.slow) / (self.fast + chi)
        return min(max(value / (self.slow + chi), 0.0), self.area)
