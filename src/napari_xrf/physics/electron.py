"""X-rays that an electron beam excites in a thick sample: a standardless model for SEM-EDS.

Lines: stopping power, backscattering and depth distribution φ(ρz) of the XPP model (J.-L. Pouchou and
F. Pichoir, in Electron Probe Quantitation, eds. K. F. J. Heinrich, D. E. Newbury, Plenum 1991, 31), with the
distorted-wave cross-sections of D. Bote, F. Salvat, A. Jablonski, C. J. Powell, At. Data Nucl. Data Tables
95 (2009) 871, by a formula for each subshell. Continuum: Ebel's for X-ray tubes, with the sample as anode.
What lines and continuum excite further within the sample is added: a twentieth of Cu K in copper at 20 kV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import xraylib

from napari_xrf.core.emission_lines import atomic_number, edge_energy
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import Floats, Layer, fluorescence_production, mass_attenuation
from napari_xrf.physics.fluorescence import LineTable, line_table
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.physics.source_tube import generated_continuum, mean_depth, thick_target_continuum
from napari_xrf.physics.vacancies import SUBSHELLS, photons_per_vacancy
from napari_xrf.reference.materials import Material
from napari_xrf.reference.tables import read_table, shipped

_ELECTRONS_PER_MA_S = 6.241509e15
_AVOGADRO = 6.02214076e23
_BOHR_RADIUS_CM = 5.29177211e-9
_LARGEST_OVER = 16.0  # Bote's formula holds up to it; above, cross-sections fall as ln(U) / U (Bethe)
_LOWEST_EDGE_KEV = 0.15  # the model is not made for softer edges
_LEAST_OVERVOLTAGE = 1.001  # below it the lines are too weak to see, and the depth distribution has no shape
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_EXCITING_STEPS = 300  # of the continuum that excites lines
_WEAK = 1e-3  # lines below this part of the strongest excite nothing worth counting


def excite_by_electrons(
    layers: Sequence[Layer], source: ElectronBeam, angles_deg: tuple[float, float], grid_kev: Floats
) -> tuple[LineTable, Floats, Floats]:
    """Return the X-rays of a thick homogeneous sample, per electron and steradian.

    ``layers``: one layer, infinitely thick. ``source``: the beam. ``angles_deg``: of beam and detector
    against the surface. ``grid_kev``: (G,) evenly spaced energies of the continuum. Returns ``lines``: the
    lines of the sample's elements, ``photons``: (L,) photons of each line, ``continuum``: (G,) photons in
    each step of the grid. Raises InvalidInput for layers or a thin sample: the depth distribution holds for
    thick ones only.
    """
    if len(layers) != 1 or math.isfinite(layers[0].thickness_um):
        raise InvalidInput(
            "electron beams are modelled on thick homogeneous samples only",
            "Leave out the thickness, or choose an instrument with an X-ray source",
        )
    material = layers[0].material
    lines = line_table(tuple(sorted(material.mass_fractions)))
    generated, photons = _line_photons(material, source.energy_kev, angles_deg, lines)
    photons += _excited_further(material, source.energy_kev, angles_deg, lines, generated)
    step = grid_kev[1] - grid_kev[0]
    continuum = thick_target_continuum(material, source.energy_kev, angles_deg, grid_kev) * step
    return lines, photons, continuum / _ELECTRONS_PER_MA_S


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


def ionisation_cross_section(element: str, subshell: str, overvoltages: Floats) -> Floats:
    """Return the cross-section for ionising a subshell by electrons, cm² per atom.

    Parameters
    ----------
    element, subshell
        ``"Fe"``, ``"L3"``.
    overvoltages
        Energies of the electrons over that of the edge, of any shape; 0 is returned up to 1.

    The published coefficients are given for some elements. Between them, at the same overvoltage, the
    logarithm of the cross-section is linear in that of the atomic number; outside, the nearest slope goes on.
    """
    over = np.maximum(np.asarray(overvoltages, dtype=np.float64), 1.0)
    numbers, coefficients = _coefficients(subshell)
    target = np.log(atomic_number(element))
    right = int(np.clip(np.searchsorted(numbers, target), 1, len(numbers) - 1))
    low, high = (_published(coefficients[k], over) for k in (right - 1, right))
    share = (target - numbers[right - 1]) / (numbers[right] - numbers[right - 1])
    return np.asarray(low ** (1 - share) * high**share)


def _line_photons(
    material: Material, energy: float, angles_deg: tuple[float, float], lines: LineTable
) -> tuple[Floats, Floats]:
    """Photons of each line per electron and steradian: those made, and those that leave the sample."""
    target = _Target.of(material)
    generated, photons = np.zeros(lines.energies.shape), np.zeros(lines.energies.shape)
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
                generated[line] = atoms * radiated[subshell] * lines.rates[line] / (4 * math.pi)
                photons[line] = generated[line] * shape.emerging(float(chi[line])) / shape.area
    return generated, photons


def _excited_further(
    material: Material, energy: float, angles_deg: tuple[float, float], lines: LineTable, generated: Floats
) -> Floats:
    """Photons of each line that the sample's own lines and continuum excite, (L,) per electron and steradian.

    Sources at depths that fall off exponentially, as S. J. B. Reed, Brit. J. Appl. Phys. 16 (1965) 913.
    """
    strong = np.flatnonzero(generated > _WEAK * generated.max(initial=0.0))
    step = (energy - _LOWEST_EDGE_KEV) / _EXCITING_STEPS
    bins = _LOWEST_EDGE_KEV + step * (np.arange(_EXCITING_STEPS) + 0.5)
    continuum = generated_continuum(material, energy, bins) * step / _ELECTRONS_PER_MA_S
    exciting = np.concatenate([lines.energies[strong], bins])
    sources = np.concatenate([generated[strong], continuum])
    # A line is made where electrons still have the energy of its edge, which is little above its own.
    falling = 1 / np.maximum(mean_depth(material, energy, np.maximum(energy / exciting, 1.01)), 1e-9)
    inner = mass_attenuation(material, exciting)
    chi = mass_attenuation(material, lines.energies) / math.sin(math.radians(angles_deg[1]))
    near = np.log1p(falling / inner) / falling
    reaching = (np.log1p(chi[:, None] / inner) / chi[:, None] + near) * falling / (falling + chi[:, None])
    production = np.concatenate([fluorescence_production(e, exciting) for e in lines.elements])
    fractions = np.array([material.mass_fractions[e] for e in lines.elements])[lines.element]
    excited = np.einsum("le,le->l", reaching, production[lines.subshell] * sources)
    return np.asarray(0.5 * fractions * lines.rates * excited)


def _ionise(element: str, energy: float, target: _Target) -> tuple[Floats, list[_DepthShape | None]]:
    """Ionisations of each subshell per electron and (atom/g), and their distribution in depth."""
    made = np.zeros(len(SUBSHELLS))
    shapes: list[_DepthShape | None] = [None] * len(SUBSHELLS)
    for index, subshell in enumerate(SUBSHELLS):
        edge = edge_energy(element, subshell)
        if not (edge > _LOWEST_EDGE_KEV and energy > _LEAST_OVERVOLTAGE * edge):
            continue
        # In the logarithm of the energy the integrand is smooth.
        half = math.log(energy / edge) / 2
        over = np.exp(half * (_NODES + 1))
        at = edge * over
        crossed = ionisation_cross_section(element, subshell, over)
        path = (crossed / target.stopping(at) * at) @ _WEIGHTS * half
        made[index] = path * _kept(energy / edge, target)
        at_surface = float(ionisation_cross_section(element, subshell, np.array([energy / edge]))[0])
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


def _published(coefficients: Floats, over: Floats) -> Floats:
    at = np.minimum(over, _LARGEST_OVER)
    a1, a2, a3, a4, a5 = coefficients
    shape = a1 + a2 * at + a3 / (1 + at) + a4 / (1 + at) ** 3 + a5 / (1 + at) ** 5
    value = 4 * np.pi * _BOHR_RADIUS_CM**2 * (at - 1) / at**2 * shape**2
    beyond = (np.log(over) / over) / (np.log(_LARGEST_OVER) / _LARGEST_OVER)
    return np.asarray(value * np.where(over > _LARGEST_OVER, beyond, 1.0))


@cache
def _coefficients(subshell: str) -> tuple[Floats, Floats]:
    """Logarithms of the atomic numbers of a subshell's rows, (N,), and the coefficients, (N, 5)."""
    rows = [row for _, row in read_table(shipped("electron_ionisation.csv")) if row["subshell"] == subshell]
    numbers = np.log([atomic_number(row["element"]) for row in rows])
    return numbers, np.array([[float(row[f"a{k}"]) for k in range(1, 6)] for row in rows])
