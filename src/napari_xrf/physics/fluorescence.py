"""Characteristic lines that photons excite in a sample: Sherman's equation.

Primary fluorescence is integrated exactly over depth in each layer (J. Sherman, Spectrochim. Acta 7
(1955) 283); :mod:`napari_xrf.physics.enhancement` adds what the sample's own lines excite further.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import emission_lines, family_name
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import (
    LOWEST_KEV,
    Floats,
    Layer,
    fluorescence_production,
    mass_attenuation,
)
from napari_xrf.physics.enhancement import enhance
from napari_xrf.physics.sample import sample_elements
from napari_xrf.physics.vacancies import SUBSHELLS


@dataclass(frozen=True, eq=False)
class Beam:
    """Photons that reach the sample.

    Attributes
    ----------
    energies
        (E,) keV.
    photons
        (E,) photons at each energy: nodes of a quadrature over the continuum, and lines.
    """

    energies: Floats
    photons: Floats


@dataclass(frozen=True, eq=False)
class LineTable:
    """Every emission line of some elements, as arrays.

    Attributes
    ----------
    elements
        Symbols.
    element
        (L,) index into ``elements``.
    subshell
        (L,) row in (elements × 9 subshells) of each line's vacancy.
    energies
        (L,) keV.
    rates
        (L,) share of the subshell's photons.
    families
        (L,) names such as ``"Fe K"``.
    """

    elements: tuple[str, ...]
    element: NDArray[np.intp]
    subshell: NDArray[np.intp]
    energies: Floats
    rates: Floats
    families: NDArray[np.str_]

    def family_sums(self, intensities: Floats) -> dict[str, float]:
        """Return the sum of the lines' intensities, (L,), of each family that is above 1e-12 of all."""
        names, index = np.unique(self.families, return_inverse=True)
        sums = np.bincount(index, weights=intensities, minlength=names.size)
        least = 1e-12 * sums.sum()
        return {str(name): float(value) for name, value in zip(names, sums, strict=True) if value > least}


@dataclass(frozen=True, eq=False)
class Fluorescence:
    """Photons of each line that leave the sample towards the detector, per steradian.

    Attributes
    ----------
    lines
        The lines.
    primary
        (L,) excited by the beam itself.
    enhanced
        (L,) excited by the sample's own fluorescence.
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

    Parameters
    ----------
    layers
        From the surface down; the last may be infinitely thick.
    beam
        Photons on the sample.
    incidence_deg, takeoff_deg
        Angles of beam and detector against the surface, above 0 up to 90.
    order
        1 for primary fluorescence only, 2 with secondary, 3 with tertiary as well.

    Raises
    ------
    InvalidInput
        For angles or an order out of range.
    """
    sines = _sines(incidence_deg, takeoff_deg)
    if order not in (1, 2, 3):
        raise InvalidInput(f"fluorescence is of order 1, 2 or 3, not {order}")
    lines = line_table(sample_elements(layers))
    production = np.concatenate([fluorescence_production(e, beam.energies) for e in lines.elements])
    primary = _primary(layers, beam, lines, production, sines)
    if order == 1 or not primary.any():
        return Fluorescence(lines, primary, np.zeros(primary.shape))
    return Fluorescence(lines, primary, enhance(layers, beam, lines, production, sines, order - 1))


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


def weight_fractions(layer: Layer, elements: Sequence[str]) -> Floats:
    """Return the weight fraction of each element in a layer, 0 where it is absent."""
    return np.array([layer.material.mass_fractions.get(element, 0.0) for element in elements])


def _primary(
    layers: Sequence[Layer], beam: Beam, lines: LineTable, production: Floats, sines: tuple[float, float]
) -> Floats:
    emitted = np.zeros(lines.energies.shape)
    inward = beam.photons / (4 * math.pi * sines[0])
    outward = np.ones(lines.energies.shape)
    for layer in layers:
        incoming = mass_attenuation(layer.material, beam.energies) / sines[0]
        outgoing = mass_attenuation(layer.material, lines.energies) / sines[1]
        fractions = weight_fractions(layer, lines.elements)
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
