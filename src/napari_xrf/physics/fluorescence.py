"""Characteristic lines that photons excite in a sample: Sherman's equation, and what they excite further.

Primary fluorescence is integrated exactly over depth in each layer (J. Sherman, Spectrochim. Acta 7 (1955)
283). For secondary and tertiary fluorescence the sample is cut into thin sheets and each line's isotropic
radiation is followed through them along a few directions (discrete ordinates with exact attenuation in each
sheet, as in E. E. Lewis and W. F. Miller, Computational Methods of Neutron Transport, 1984). One method
serves thick, thin and layered samples, radiation from layer to layer included, and each further order of
excitation is one more sweep. It agrees with the closed form for a thick homogeneous sample (Shiraiwa and
Fujino, Jpn. J. Appl. Phys. 5 (1966) 886).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import edge_energy, emission_lines, family_name
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import (
    LOWEST_KEV,
    Floats,
    Layer,
    fluorescence_production,
    mass_attenuation,
    mass_scattering,
)
from napari_xrf.physics.sample import sample_elements
from napari_xrf.physics.vacancies import SUBSHELLS

_SHEETS = 44  # of a layer: more of them change the steel of the tests by less than 0.3 %
_WEAK = 2e-4  # exciting lines below this part of the strongest are left out
_SCATTER_GROUPS = 24  # groups of the beam's energies
_SOFTEST_KEV = 0.7  # lines below it excite next to nothing that a detector sees


@dataclass(frozen=True, eq=False)
class Beam:
    """Photons that reach the sample."""

    energies: Floats  # (E,) keV
    photons: Floats  # (E,) photons at each energy: nodes of a quadrature over the continuum, and lines


@dataclass(frozen=True, eq=False)
class LineTable:
    """Every emission line of some elements, as arrays."""

    elements: tuple[str, ...]  # symbols
    element: NDArray[np.intp]  # (L,) index into elements
    subshell: NDArray[np.intp]  # (L,) row in (elements × 9 subshells) of each line's vacancy
    energies: Floats  # (L,) keV
    rates: Floats  # (L,) share of the subshell's photons
    families: NDArray[np.str_]  # (L,) names such as "Fe K"

    def family_sums(self, intensities: Floats, least: float = 1e-12) -> dict[str, float]:
        """Return the sum of the lines' intensities, (L,), of each family that is above a part of all."""
        names, index = np.unique(self.families, return_inverse=True)
        sums = np.bincount(index, weights=intensities, minlength=names.size)
        least *= sums.sum()
        return {str(name): float(value) for name, value in zip(names, sums, strict=True) if value > least}


@dataclass(frozen=True, eq=False)
class Fluorescence:
    """Photons of each line that leave the sample towards the detector, per steradian.

    ``primary``, (L,), are excited by the beam itself, ``enhanced`` by the sample's own fluorescence.
    """

    lines: LineTable
    primary: Floats
    enhanced: Floats

    @property
    def intensities(self) -> Floats:
        """All photons of each line, (L,)."""
        return np.asarray(self.primary + self.enhanced)


def fluoresce(
    layers: Sequence[Layer], beam: Beam, incidence_deg: float, takeoff_deg: float, *, order: int = 3
) -> Fluorescence:
    """Return the fluorescence of a layered sample.

    ``layers``: from the surface down; the last may be infinitely thick. ``beam``: photons on the sample.
    ``incidence_deg``, ``takeoff_deg``: angles of beam and detector against the surface, above 0 up to 90.
    ``order``: 1 for primary fluorescence only, 2 with secondary, 3 with tertiary as well. Raises InvalidInput
    for angles or an order out of range.
    """
    sines = _sines(incidence_deg, takeoff_deg)
    if order not in (1, 2, 3):
        raise InvalidInput(f"fluorescence is of order 1, 2 or 3, not {order}")
    lines = line_table(sample_elements(layers))
    production = np.concatenate([fluorescence_production(e, beam.energies) for e in lines.elements])
    primary = _primary(layers, beam, lines, production, sines)
    if order == 1 or not primary.any():
        return Fluorescence(lines, primary, np.zeros(primary.shape))
    return Fluorescence(lines, primary, _enhance(layers, beam, lines, production, sines, order - 1))


@cache
def line_table(elements: tuple[str, ...]) -> LineTable:
    """Return the lines from 0.1 keV of all elements."""
    element, subshell, energies, rates, families = [], [], [], [], []
    for index, symbol in enumerate(elements):
        for line in emission_lines(symbol):
            if line.energy >= LOWEST_KEV:
                element.append(index)
                subshell.append(index * len(SUBSHELLS) + SUBSHELLS.index(line.subshell))
                energies.append(line.energy)
                rates.append(line.rate)
                families.append(family_name(symbol, line.shell))
    return LineTable(
        elements,
        np.array(element, dtype=np.intp),
        np.array(subshell, dtype=np.intp),
        np.array(energies),
        np.array(rates),
        np.array(families, dtype=np.str_),
    )


def _weight_fractions(layer: Layer, elements: Sequence[str]) -> Floats:
    """Return the weight fraction of each element in a layer, 0 where it is absent."""
    return np.array([layer.material.mass_fractions.get(element, 0.0) for element in elements])


def _enhance(
    layers: Sequence[Layer],
    beam: Beam,
    lines: LineTable,
    production: Floats,
    sines: tuple[float, float],
    orders: int,
) -> Floats:
    """Return the photons of each line, (L,) per steradian, that radiation from the sample itself excites.

    One order is secondary, two are tertiary fluorescence as well. Secondary fluorescence holds what the
    beam's photons excite after one scattering, taken as isotropic and without loss of energy.
    """
    if not np.any(beam.energies > _SOFTEST_KEV):
        return np.zeros(lines.energies.shape)
    sheets = _sheets(layers, beam, sines)
    fractions = np.stack([_weight_fractions(layer, lines.elements) for layer in layers], axis=1)
    fractions = np.repeat(fractions, len(SUBSHELLS), axis=0)[:, sheets.layer]
    # Mean photons of the beam in each sheet, per unit area across the surface's normal.
    crossed = sheets.attenuation(beam.energies).T * sheets.mass / sines[0]
    incoming = beam.photons[:, None] / sines[0] * _mean_passing(crossed)
    generated = production @ incoming * fractions
    exciting = _exciting_lines(lines, generated @ sheets.mass)
    energies = lines.energies[exciting]
    attenuation = sheets.attenuation(energies)
    by_lines = np.concatenate([fluorescence_production(e, energies) for e in lines.elements])
    enhanced = np.zeros(generated.shape)
    scattered = _excited_by_scatter(beam, production, incoming, sheets) * fractions
    for _ in range(orders):
        emitted = generated[lines.subshell[exciting]] * lines.rates[exciting, None]
        generated = by_lines @ _isotropic_flux(emitted.T, attenuation, sheets.mass).T * fractions + scattered
        enhanced += generated
        scattered = np.zeros(generated.shape)
    # Mass per area of a sheet times the part of its photons that leaves to the detector.
    escaping = _mean_passing(sheets.attenuation(lines.energies).T * sheets.mass / sines[1]) * sheets.mass
    return np.asarray(lines.rates * (enhanced[lines.subshell] * escaping).sum(axis=1) / (4 * math.pi))


def _primary(
    layers: Sequence[Layer], beam: Beam, lines: LineTable, production: Floats, sines: tuple[float, float]
) -> Floats:
    emitted = np.zeros(lines.energies.shape)
    inward = beam.photons / (4 * math.pi * sines[0])
    outward = np.ones(lines.energies.shape)
    for layer in layers:
        incoming = mass_attenuation(layer.material, beam.energies) / sines[0]
        outgoing = mass_attenuation(layer.material, lines.energies) / sines[1]
        fractions = _weight_fractions(layer, lines.elements)
        here = np.flatnonzero(fractions[lines.element] > 0)
        sums = incoming + outgoing[here, None]
        depth = 1.0 / sums
        if math.isfinite(layer.mass_per_area):
            depth *= -np.expm1(-sums * layer.mass_per_area)
        excited = np.einsum("le,le->l", depth, (production * inward)[lines.subshell[here]])
        emitted[here] += fractions[lines.element[here]] * lines.rates[here] * outward[here] * excited
        if math.isfinite(layer.mass_per_area):
            inward = inward * np.exp(-incoming * layer.mass_per_area)
            outward = outward * np.exp(-outgoing * layer.mass_per_area)
    return emitted


def _sines(incidence_deg: float, takeoff_deg: float) -> tuple[float, float]:
    for name, angle in (("incidence", incidence_deg), ("take-off", takeoff_deg)):
        if not 0 < angle <= 90:
            raise InvalidInput(f"the {name} angle on the sample must be above 0 up to 90°, not {angle}")
    return math.sin(math.radians(incidence_deg)), math.sin(math.radians(takeoff_deg))


class _Sheets(NamedTuple):
    """A sample cut into thin sheets: the layer (S,) of each, and its mass per area, (S,) g/cm²."""

    layers: Sequence[Layer]
    layer: NDArray[np.intp]
    mass: Floats

    def attenuation(self, energies: Floats) -> Floats:
        """Return the mass attenuation coefficient in each sheet, (S, E) cm²/g."""
        return np.stack([mass_attenuation(layer.material, energies) for layer in self.layers])[self.layer]


def _sheets(layers: Sequence[Layer], beam: Beam, sines: tuple[float, float]) -> _Sheets:
    """Cut a sample, thinly where radiation changes quickly."""
    of_layer, thickness = [], []
    hard = beam.energies > _SOFTEST_KEV
    for index, layer in enumerate(layers):
        coefficients = mass_attenuation(layer.material, beam.energies[hard])
        thinnest = 0.02 * sines[0] / coefficients.max()
        deepest = min(12.0 * sines[0] / coefficients.min(), layer.mass_per_area)
        if math.isinf(layer.mass_per_area):
            borders = np.concatenate([[0.0], np.geomspace(thinnest, max(deepest, 2 * thinnest), _SHEETS)])
        else:
            half = np.geomspace(min(thinnest, deepest / _SHEETS), deepest / 2, _SHEETS // 2)
            borders = np.concatenate([[0.0], half, layer.mass_per_area - half[-2::-1], [layer.mass_per_area]])
        thickness.append(np.diff(borders))
        of_layer.append(np.full(borders.size - 1, index, dtype=np.intp))
    return _Sheets(layers, np.concatenate(of_layer), np.concatenate(thickness))


def _exciting_lines(lines: LineTable, photons: Floats) -> NDArray[np.intp]:
    """Lines strong and hard enough to excite something."""
    strength = photons[lines.subshell] * lines.rates
    edges = [edge_energy(element, subshell) for element in lines.elements for subshell in SUBSHELLS]
    lowest = min((edge for edge in edges if edge > _SOFTEST_KEV), default=math.inf)
    usable = (lines.energies > max(lowest, _SOFTEST_KEV)) & (strength > _WEAK * strength.max(initial=0.0))
    return np.flatnonzero(usable & (strength > 0))


def _excited_by_scatter(beam: Beam, production: Floats, incoming: Floats, sheets: _Sheets) -> Floats:
    """(elements × 9, sheets) photons per g that the beam excites after one scattering.

    Neighbouring energies of the beam are followed together.
    """
    order = np.argsort(beam.energies)
    starts = np.unique(np.linspace(0, order.size, _SCATTER_GROUPS, endpoint=False).astype(int))
    scattering = np.stack([mass_scattering(layer.material, beam.energies) for layer in sheets.layers])
    emitted = np.add.reduceat((incoming * scattering[sheets.layer].T)[order], starts, axis=0).T
    weights = np.maximum(beam.photons[order], 1e-300)
    norm = np.add.reduceat(weights, starts)
    attenuation = sheets.attenuation(beam.energies)[:, order]
    mean_attenuation = np.add.reduceat(attenuation * weights, starts, axis=1) / norm
    mean_production = np.add.reduceat(production[:, order] * weights, starts, axis=1) / norm
    return mean_production @ _isotropic_flux(emitted, mean_attenuation, sheets.mass).T


def _isotropic_flux(emitted: Floats, attenuation: Floats, sheets: Floats) -> Floats:
    """Mean flux, (sheets, J), of J isotropic radiations: photons per g and attenuation, each (sheets, J)."""
    cosines, weights = _directions()
    depths = (attenuation * sheets[:, None])[:, None, :] / cosines[:, None]
    passing = np.exp(-depths)
    plateau = (emitted / attenuation)[:, None, :]
    gained = plateau * -np.expm1(-depths)
    total = np.zeros(emitted.shape)
    for order in (range(sheets.size), range(sheets.size - 1, -1, -1)):
        entering = np.zeros(passing.shape[1:])
        for sheet in order:
            leaving = entering * passing[sheet] + gained[sheet]
            mean = plateau[sheet] + (entering - leaving) / depths[sheet]
            total[sheet] += 0.5 * weights @ mean
            entering = leaving
    return np.maximum(total, 0.0)


@cache
def _directions() -> tuple[Floats, Floats]:
    """Cosines of the directions against the normal, and their weights, which sum to 1."""
    # Gauss nodes in the square root of the cosine: grazing directions matter most in thin sheets.
    nodes, weights = np.polynomial.legendre.leggauss(8)
    return ((nodes + 1) / 2) ** 2, weights * (nodes + 1) / 2


def _mean_passing(depths: Floats) -> Floats:
    """Return the mean part of a beam that reaches each sheet, (..., sheets), of what each absorbs."""
    before = np.cumsum(depths, axis=1) - depths
    return np.asarray(np.exp(-before) * _mean_transmission(depths))


def _mean_transmission(depths: Floats) -> Floats:
    """Mean of exp(-x) for x from 0 to each depth."""
    safe = np.maximum(depths, 1e-12)
    return np.asarray(-np.expm1(-safe) / safe)
