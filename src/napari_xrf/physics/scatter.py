"""Rayleigh and Compton scattering of the source's photons into the detector.

Single scattering with xraylib's form factors, anomalous dispersion and scattering functions, of atoms one by
one or, in crystals, together (:mod:`.crystal`). Compton-scattered lines get
the width of the electrons' motion: the impulse approximation with the shells' Compton profiles and binding
energies (Ribberfors, Phys. Rev. B 12 (1975) 2067; profiles of Biggs et al., At. Data Nucl. Data Tables 16
(1975) 201). What is scattered more than once is added as a factor, see :func:`multiple_scattering`. Radiation
is taken as unpolarised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import xraylib
import xraylib_np  # type: ignore[import-not-found]
from numpy.typing import NDArray

from napari_xrf.core.constants import ELECTRON_REST_KEV, FWHM_PER_SIGMA, HC_KEV_ANGSTROM
from napari_xrf.core.cores import one_thread_of
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import Floats, Layer, mass_attenuation, mass_scattering
from napari_xrf.physics.crystal import diffuse_part, oxide_factor, powder_factor
from napari_xrf.reference.materials import Material

_INVERSE_FINE_STRUCTURE = 137.035999
_SHARPEST = 0.004  # relative spread of a reflection: narrower ones would fall between the grid's energies
# Of scattering that leaves a photon in its peak: of Rayleigh, for each by its cross-section, and of Compton.
_AHEAD, _IN_PLACE = 1.6, 0.3
_LEAST_TURN = 0.05  # of 1 - cos, by which turns differ at least
_DISPERSED_FROM_KEV, _LEAST_FORM = 1.0, 1e-3  # below: form factors alone; smaller ones are as none
_SHELLS = 31  # shells of xraylib's partial profiles, K to Q


@dataclass(frozen=True, eq=False)
class ScatterSource:
    """What falls on the sample, prepared for scattering by one angle onto a grid of energies."""

    angle_deg: float  # by which photons turn, 0 to 180°
    energies: Floats  # (G,) keV, evenly spaced: energies of the scattered photons
    rayleigh_photons: Floats  # (G,) photons per keV of the continuum at energies
    # compton_energies, compton_photons: (G,) energy before Compton scattering, keV, and photons per keV of
    # scattered energy
    compton_energies: Floats
    compton_photons: Floats
    # line_energies, line_photons: (L,) the source's lines
    line_energies: Floats
    line_photons: Floats
    # Range of the angles by which photons turn, FWHM; it is what broadens Bragg reflections
    angular_spread_deg: float = 5.0
    _elements: dict[str, _Cross] = field(default_factory=dict, repr=False)
    _crystals: dict[tuple[Material, str], tuple[Floats, Floats]] = field(default_factory=dict, repr=False)

    def element(self, symbol: str) -> _Cross:
        """Return an element's differential cross-sections on these energies; kept for the next sample."""
        if symbol not in self._elements:
            self._elements[symbol] = _element_scatter(symbol, self)
        return self._elements[symbol]

    def crystal(self, material: Material, structure: str) -> tuple[Floats, Floats]:
        """Return a crystal's coherent scattering over that of single atoms, on the grid and at the lines.

        Of a pure material it is kept; oxides, of any composition, are looked up in a table.
        """
        if (material, structure) in self._crystals:
            return self._crystals[material, structure]
        half = math.radians(self.angle_deg) / 2
        grid, lines = (at / HC_KEV_ANGSTROM * math.sin(half) for at in (self.energies, self.line_energies))
        factor: Callable[[Floats], Floats]
        match structure:
            case "oxide":
                return _as_oxide(material, grid), _as_oxide(material, lines)
            case "polycrystal":
                sigma = math.radians(self.angular_spread_deg) / FWHM_PER_SIGMA
                spread = max(0.5 * sigma / math.tan(half), _SHARPEST)
                factor = partial(powder_factor, material, spread=spread)
            case _:
                factor = partial(diffuse_part, material)
        self._crystals[material, structure] = factor(grid), factor(lines)
        return self._crystals[material, structure]


class Scattered(NamedTuple):
    """Photons scattered towards the detector, per steradian."""

    photons: Floats  # (G,) of each step of the grid: the continuum and the Compton-scattered lines
    line_photons: Floats  # (L,) of the Rayleigh-scattered lines


def energy_before_compton(energies_kev: Floats, angle_deg: float) -> Floats:
    """Return the energy in keV that photons had before a free electron scattered them by an angle.

    Infinite where no photon can have that energy after the scattering.
    """
    lost = energies_kev / ELECTRON_REST_KEV * (1 - math.cos(math.radians(angle_deg)))
    return np.where(lost < 1, energies_kev / np.maximum(1 - lost, 1e-12), np.inf)


def energy_after_compton(energies_kev: Floats, angle_deg: float) -> Floats:
    """Return the energy in keV of photons that a free electron at rest has scattered by an angle."""
    angle = 1 - math.cos(math.radians(angle_deg))
    return np.asarray(energies_kev / (1 + energies_kev / ELECTRON_REST_KEV * angle))


def scatter(
    layers: Sequence[Layer], source: ScatterSource, incidence_deg: float, takeoff_deg: float
) -> Scattered:
    """Return what a layered sample scatters towards the detector, per steradian.

    Layers are given from the surface down, and angles of beam and detector against the surface.
    """
    sines = math.sin(math.radians(incidence_deg)), math.sin(math.radians(takeoff_deg))
    step = source.energies[1] - source.energies[0]
    places = (source.energies, source.line_energies, source.energies, *(source.line_energies,) * 2)
    ways = [np.full(energies.shape, 1 / sines[0]) for energies in places]
    photons, line_photons = np.zeros(source.energies.shape), np.zeros(source.line_energies.shape)
    for layer in layers:
        here = _mix(source, layer)
        mass = [
            _scattering_mass(layer, sines, here.totals[before], here.totals[after], scattering, way)
            for (before, after), scattering, way in zip(_WAYS, here.scattering, ways, strict=True)
        ]
        photons += mass[0] * here.rayleigh * source.rayleigh_photons * step
        line_photons += mass[1] * here.line_rayleigh * source.line_photons
        photons += mass[2] * here.compton * source.compton_photons * step
        for element, part in layer.material.mass_fractions.items():
            source.element(element).add_profiles(part * mass[3] * source.line_photons, photons)
        twice = np.maximum(mass[4] - mass[3], 0.0) * here.line_compton * source.line_photons
        _add_twice_scattered(twice, source, photons)
    return Scattered(photons, line_photons)


def multiple_scattering(scattered_part: Floats, sines: tuple[float, float]) -> Floats:
    """Return the factor by which repeated scattering raises what a thick layer scatters back.

    Chandrasekhar's H(µ₀)·H(µ) for isotropic scattering of a single energy (Radiative Transfer, 1960, chapter
    III), with Hapke's H(µ) = (1 + 2µ)/(1 + 2µ√(1-ω)) (J. Geophys. Res. 86 (1981) 3039).
    ``scattered_part``, any shape, is ω, the scattering part of the attenuation; ``sines`` are those of
    the angles of beam and detector against the surface.

    A photon stays in the Rayleigh peak by Rayleigh scattering alone, which goes ahead and keeps it in
    direction: 1.6 times its ω. One Compton scattering among such makes the Compton peak, which 0.3 of the
    other Compton scatterings leave in place; all others lie around it. Monte Carlo of quartz and cellulose is
    met within 1 % from 8 to 20 keV (``benchmarks/repeated_scattering.py``).
    """
    root = np.sqrt(np.clip(1 - scattered_part, 0.0, 1.0))
    factor = np.ones(root.shape)
    for sine in sines:
        factor *= (1 + 2 * sine) / (1 + 2 * sine * root)
    return factor


# Where photons come in and where they go out, as indices of _Cross.totals: Rayleigh of continuum and lines,
# then Compton of both, and of lines with all that is Compton-scattered more than once.
_WAYS = ((0, 0), (2, 2), (1, 0), (2, 3), (2, 3))


def _scattering_mass(
    layer: Layer, sines: tuple[float, float], before: Floats, after: Floats, scattering: Floats, way: Floats
) -> Floats:
    """Mass per area, g/cm², that a layer scatters with after absorption; ``way`` is taken through it."""
    depth = before / sines[0] + after / sines[1]
    passing = (
        np.exp(-depth * layer.mass_per_area) if math.isfinite(layer.mass_per_area) else np.zeros(depth.shape)
    )
    repeated = 1 + (multiple_scattering(scattering / after, sines) - 1) * (1 - passing)
    mass = way * (1 - passing) / depth * repeated
    way *= passing
    return np.asarray(mass)


@dataclass(frozen=True, eq=False)
class _Cross:
    """Cross-sections of an element or a mixture, cm²/g and cm²/(g·sr).

    ``totals`` stand at the grid, the energies before Compton scattering to the grid, the lines, and the lines
    after Compton scattering. ``scattering``, of each of _WAYS: what keeps a photon in its peak.
    """

    totals: tuple[Floats, ...]
    scattering: tuple[Floats, ...]
    rayleigh: Floats  # (G,) differential, as the rest
    compton: Floats  # (G,)
    line_rayleigh: Floats  # (L,)
    line_compton: Floats  # (L,)
    profiles: tuple[tuple[slice, Floats], ...] = ()  # of each line: where on the grid, and how much there

    def add_profiles(self, weights: Floats, photons: Floats) -> None:
        """Add each Compton-scattered line, times its weight, to the photons on the grid."""
        for weight, (window, profile) in zip(weights, self.profiles, strict=True):
            photons[window] += weight * profile


def _as_oxide(material: Material, transfers: Floats) -> Floats:
    if "O" not in material.mass_fractions:
        raise InvalidInput(f"{material.name!r} holds no oxygen to scatter as an oxide", "Use 'amorphous'")
    return oxide_factor(material.mass_fractions, transfers)[0]


def _mix(source: ScatterSource, layer: Layer) -> _Cross:
    parts = [(source.element(element), part) for element, part in layer.material.mass_fractions.items()]
    together: tuple[Floats | float, Floats | float] = (1.0, 1.0)
    if layer.structure != "amorphous":
        together = source.crystal(layer.material, layer.structure)
    return _Cross(
        tuple(sum(part * cross.totals[i] for cross, part in parts) for i in range(4)),  # type: ignore[misc]
        tuple(sum(part * cross.scattering[i] for cross, part in parts) for i in range(5)),  # type: ignore[misc]
        together[0] * np.sum([part * cross.rayleigh for cross, part in parts], axis=0),
        np.sum([part * cross.compton for cross, part in parts], axis=0),
        together[1] * np.sum([part * cross.line_rayleigh for cross, part in parts], axis=0),
        np.sum([part * cross.line_compton for cross, part in parts], axis=0),
    )


@one_thread_of("openmp")  # as xraylib_np is
def _element_scatter(symbol: str, source: ScatterSource) -> _Cross:
    number, pure = np.array([atomic_number(symbol)]), Material(symbol, {symbol: 1.0})
    angle = np.array([math.radians(source.angle_deg)])
    grid, before, lines = source.energies, source.compton_energies, source.line_energies
    after = energy_after_compton(lines, source.angle_deg)
    points = (grid, before, lines, after)
    alone = [xraylib_np.CS_Rayl(number, at)[0] if at.size else at for at in (grid, lines, after)]
    near = _AHEAD * alone[2] + _IN_PLACE * (mass_scattering(pure, after) - alone[2])
    line_compton = xraylib_np.DCS_Compt(number, lines, angle)[0, :, 0] if lines.size else lines
    return _Cross(
        tuple(mass_attenuation(pure, at) for at in points),
        (
            *(_AHEAD * coherent for coherent in alone[:2]),
            mass_scattering(pure, grid),
            near,
            mass_scattering(pure, after),
        ),
        _rayleigh(number, grid, source.angle_deg),
        xraylib_np.DCS_Compt(number, before, angle)[0, :, 0],
        _rayleigh(number, lines, source.angle_deg) if lines.size else lines,
        line_compton,
        tuple(
            _profile(symbol, energy, cross_section, source)
            for energy, cross_section in zip(lines, line_compton, strict=True)
        ),
    )


def _rayleigh(number: NDArray[np.intp], energies: Floats, angle_deg: float) -> Floats:
    """Return the differential cross-section of Rayleigh scattering with anomalous dispersion, cm²/(g·sr).

    |f + f' + if''|² over f² of the form factor's alone: 8 % more of silicon and 15 % of iron at 20 keV and
    large angles, by which sulphur, metals and a glass had too much Compton beside Rayleigh.
    """
    transfer = energies / HC_KEV_ANGSTROM * math.sin(math.radians(angle_deg) / 2)
    form = np.maximum(xraylib_np.FF_Rayl(number, transfer)[0], _LEAST_FORM)
    dispersed = (form + xraylib_np.Fi(number, energies)[0]) ** 2 + xraylib_np.Fii(number, energies)[0] ** 2
    part = np.where(energies > _DISPERSED_FROM_KEV, dispersed / form**2, 1.0)
    return np.asarray(
        xraylib_np.DCS_Rayl(number, energies, np.array([math.radians(angle_deg)]))[0, :, 0] * part
    )


def _add_twice_scattered(weights: Floats, source: ScatterSource, photons: Floats) -> None:
    """Add lines that are Compton-scattered twice to the photons on the grid.

    Evenly over what two turns that make up the whole one can take.
    """
    grid, half = source.energies, math.radians(source.angle_deg) / 2
    lost = ELECTRON_REST_KEV * (1 / np.maximum(grid, 1e-9)[:, None] - 1 / source.line_energies)  # (1 - cos)
    evenly = np.abs(lost - 2) <= 2 * math.cos(half) + _LEAST_TURN
    evenly = evenly & (grid[:, None] < source.line_energies)
    photons += (evenly / np.maximum(evenly.sum(axis=0), 1)) @ weights


def _profile(symbol: str, energy: float, cross_section: float, source: ScatterSource) -> tuple[slice, Floats]:
    """Spread a Compton-scattered line over the grid, conserving its cross-section."""
    grid, step = source.energies, source.energies[1] - source.energies[0]
    centre = float(energy_after_compton(np.array([energy]), source.angle_deg)[0])
    first = int(np.searchsorted(grid, 0.75 * centre))
    window = slice(first, max(int(np.searchsorted(grid, energy)), first + 1))
    after = grid[window]
    spread = _double_differential(symbol, energy, after, source.angle_deg)
    total = spread.sum()
    if total <= 0:  # narrower than a step
        spread = np.maximum(1 - np.abs(after - centre) / step, 0.0)
        total = spread.sum()
    return window, spread / total * cross_section if total > 0 else spread


def _double_differential(symbol: str, before: float, after: Floats, angle_deg: float) -> Floats:
    """Shape of the Compton-scattered spectrum, in any unit: the profiles of shells that can be ionised."""
    number, turn = atomic_number(symbol), 1 - math.cos(math.radians(angle_deg))
    transfer = np.sqrt((before - after) ** 2 + 2 * before * after * turn)
    momentum = before * after * turn - ELECTRON_REST_KEV * (before - after)
    momentum = np.abs(momentum) / (ELECTRON_REST_KEV * transfer) * _INVERSE_FINE_STRUCTURE
    electrons = np.zeros(after.shape)
    for shell in range(_SHELLS):
        try:
            occupied = xraylib.ElectronConfig(number, shell)
            values = _partial_profile(number, shell, momentum)
        except ValueError:
            continue
        electrons += occupied * values * (before - after > _binding(number, shell))
    return np.asarray(electrons * after / transfer)


def _partial_profile(number: int, shell: int, momentum: Floats) -> Floats:
    at, values = _profile_table(number, shell)
    return np.asarray(np.interp(momentum, at, values, right=0.0))


@cache
def _profile_table(number: int, shell: int) -> tuple[Floats, Floats]:
    at = np.concatenate([np.linspace(0, 2, 21), np.geomspace(2.2, 99, 40)])
    return at, np.array([xraylib.ComptonProfile_Partial(number, shell, float(value)) for value in at])


def _binding(number: int, shell: int) -> float:
    try:
        return float(xraylib.EdgeEnergy(number, shell))
    except ValueError:
        return 0.0
