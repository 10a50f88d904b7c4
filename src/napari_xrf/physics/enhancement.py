"""Secondary and tertiary fluorescence: what the sample's own lines, and scattered photons, excite in it.

The sample is cut into thin sheets and each line's isotropic radiation is followed through them along a few
directions (discrete ordinates with exact attenuation in each sheet, as in E. E. Lewis and W. F. Miller,
Computational Methods of Neutron Transport, 1984). One method serves thick, thin and layered samples,
radiation from layer to layer included, and each further order of excitation is one more sweep. It agrees with
the closed form for a thick homogeneous sample (Shiraiwa and Fujino, Jpn. J. Appl. Phys. 5 (1966) 886).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import edge_energy
from napari_xrf.physics.attenuation import (
    Floats,
    Layer,
    fluorescence_production,
    mass_attenuation,
    mass_scattering,
)
from napari_xrf.physics.vacancies import SUBSHELLS

if TYPE_CHECKING:
    from napari_xrf.physics.fluorescence import Beam, LineTable

_SHEETS = 44  # of a layer: more of them change the steel of the tests by less than 0.3 %
_WEAK = 2e-4  # exciting lines below this part of the strongest are left out
_SCATTER_GROUPS = 24  # groups of the beam's energies
_SOFTEST_KEV = 0.7  # lines below it excite next to nothing that a detector sees


def enhance(
    layers: Sequence[Layer],
    beam: Beam,
    lines: LineTable,
    production: Floats,
    sines: tuple[float, float],
    orders: int,
) -> Floats:
    """Return the photons of each line, (L,) per steradian, that radiation from the sample itself excites.

    Secondary fluorescence holds what the beam's photons excite after one scattering, taken as isotropic
    and without loss of energy.

    Parameters
    ----------
    layers
        From the surface down.
    beam
        Photons on the sample.
    lines
        The lines of the sample's elements.
    production
        (elements × 9, E) fluorescence photons of each subshell, cm²/g, at the beam's energies.
    sines
        Of the angles of beam and detector against the surface.
    orders
        1 for secondary, 2 for secondary and tertiary fluorescence.
    """
    if not np.any(beam.energies > _SOFTEST_KEV):
        return np.zeros(lines.energies.shape)
    of_layer, sheets = _sheets(layers, beam, sines)
    fractions = _sheet_fractions(layers, of_layer, lines)
    incoming = _sheet_flux(layers, beam, of_layer, sheets, sines)
    generated = production @ incoming * fractions
    exciting = _exciting_lines(lines, generated @ sheets)
    energies = lines.energies[exciting]
    attenuation = np.stack([mass_attenuation(layer.material, energies) for layer in layers])[of_layer]
    by_lines = np.concatenate([fluorescence_production(e, energies) for e in lines.elements])
    enhanced = np.zeros(generated.shape)
    scattered = _excited_by_scatter(layers, beam, production, incoming, of_layer, sheets) * fractions
    for _ in range(orders):
        emitted = generated[lines.subshell[exciting]] * lines.rates[exciting, None]
        generated = by_lines @ _isotropic_flux(emitted.T, attenuation, sheets).T * fractions + scattered
        enhanced += generated
        scattered = np.zeros(generated.shape)
    escaping = _escape(layers, lines, of_layer, sheets, sines[1])
    return np.asarray(lines.rates * (enhanced[lines.subshell] * escaping).sum(axis=1) / (4 * math.pi))


def _sheets(
    layers: Sequence[Layer], beam: Beam, sines: tuple[float, float]
) -> tuple[NDArray[np.intp], Floats]:
    """Index of the layer and mass per area, g/cm², of each sheet; thin where radiation changes quickly."""
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
    return np.concatenate(of_layer), np.concatenate(thickness)


def _sheet_fractions(layers: Sequence[Layer], of_layer: NDArray[np.intp], lines: LineTable) -> Floats:
    """(elements × 9, sheets) weight fraction of each subshell's element."""
    fractions = [[layer.material.mass_fractions.get(e, 0.0) for layer in layers] for e in lines.elements]
    return np.repeat(np.array(fractions), len(SUBSHELLS), axis=0)[:, of_layer]


def _sheet_flux(
    layers: Sequence[Layer],
    beam: Beam,
    of_layer: NDArray[np.intp],
    sheets: Floats,
    sines: tuple[float, float],
) -> Floats:
    """(E, sheets) mean photons of the beam in each sheet, per unit area across the surface's normal."""
    attenuation = np.stack([mass_attenuation(layer.material, beam.energies) for layer in layers], axis=1)
    depths = attenuation[:, of_layer] * sheets / sines[0]
    before = np.cumsum(depths, axis=1) - depths
    return beam.photons[:, None] / sines[0] * np.exp(-before) * _mean_transmission(depths)


def _escape(
    layers: Sequence[Layer], lines: LineTable, of_layer: NDArray[np.intp], sheets: Floats, sine: float
) -> Floats:
    """(L, sheets) mass per area of a sheet times the part of its photons that leaves to the detector."""
    attenuation = np.stack([mass_attenuation(layer.material, lines.energies) for layer in layers], axis=1)
    depths = attenuation[:, of_layer] * sheets / sine
    before = np.cumsum(depths, axis=1) - depths
    return np.asarray(np.exp(-before) * _mean_transmission(depths) * sheets)


def _exciting_lines(lines: LineTable, photons: Floats) -> NDArray[np.intp]:
    """Lines strong and hard enough to excite something."""
    strength = photons[lines.subshell] * lines.rates
    edges = [edge_energy(element, subshell) for element in lines.elements for subshell in SUBSHELLS]
    lowest = min((edge for edge in edges if edge > _SOFTEST_KEV), default=math.inf)
    usable = (lines.energies > max(lowest, _SOFTEST_KEV)) & (strength > _WEAK * strength.max(initial=0.0))
    return np.flatnonzero(usable & (strength > 0))


def _excited_by_scatter(
    layers: Sequence[Layer],
    beam: Beam,
    production: Floats,
    incoming: Floats,
    of_layer: NDArray[np.intp],
    sheets: Floats,
) -> Floats:
    """(elements × 9, sheets) photons per g that the beam excites after one scattering.

    Neighbouring energies of the beam are followed together.
    """
    order = np.argsort(beam.energies)
    starts = np.unique(np.linspace(0, order.size, _SCATTER_GROUPS, endpoint=False).astype(int))
    scattering = np.stack([mass_scattering(layer.material, beam.energies) for layer in layers])
    emitted = np.add.reduceat((incoming * scattering[of_layer].T)[order], starts, axis=0).T
    weights = np.maximum(beam.photons[order], 1e-300)
    norm = np.add.reduceat(weights, starts)
    attenuation = np.stack([mass_attenuation(layer.material, beam.energies) for layer in layers])[:, order]
    mean_attenuation = np.add.reduceat(attenuation * weights, starts, axis=1) / norm
    mean_production = np.add.reduceat(production[:, order] * weights, starts, axis=1) / norm
    return mean_production @ _isotropic_flux(emitted, mean_attenuation[of_layer], sheets).T


def _isotropic_flux(emitted: Floats, attenuation: Floats, sheets: Floats) -> Floats:
    """Mean flux, (sheets, J), of J isotropic radiations.

    Parameters
    ----------
    emitted
        (sheets, J) photons per g.
    attenuation
        (sheets, J) cm²/g.
    sheets
        (sheets,) g/cm².
    """
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


def _mean_transmission(depths: Floats) -> Floats:
    """Mean of exp(-x) for x from 0 to each depth."""
    safe = np.maximum(depths, 1e-12)
    return np.asarray(-np.expm1(-safe) / safe)
