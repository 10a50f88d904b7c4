"""From a solved composition to quantities: oxides, errors, detection limits, residuals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.maps.composition import SEEN, Solution, smooth_error
from napari_xrf.maps.quantities import Quantity, Residual
from napari_xrf.physics.attenuation import AIR, mass_attenuation
from napari_xrf.physics.sample import sample_layers
from napari_xrf.physics.source_shares import share_source
from napari_xrf.reference.materials import Material
from napari_xrf.reference.oxides import ATOMIC_WEIGHTS, oxide_of

Floats = NDArray[np.float64]

_VALENCE_PART = 0.005  # of a weight: valences and water are never quite what they are taken for
_AIR_ERROR = 0.4  # relative: how much of the beam's way the detector sees is not known
_LEAST = 1e-7  # weight fraction below which a limit's slope is taken


def quantities_of(solution: Solution, by: float = 1.0) -> tuple[Quantity, ...]:
    """Return the quantities with their errors, by rising atomic number.

    Parameters
    ----------
    solution
        A composition.
    by
        What weight fractions are multiplied with: other than 1 where they are not to be normalised.
    """
    bound = {element: solution.recipe.bound(element) for element in solution.families}
    # An element brings its oxygen along: what is normalised is the oxide.
    shares = {e: solution.fractions[e] * (1 + sum(bound[e].values())) for e in solution.families}
    counting, total = _covariances(solution)
    atoms = {e: value / ATOMIC_WEIGHTS[e] for e, value in solution.fractions.items()}
    found = []
    for element in sorted(solution.fractions, key=lambda e: ATOMIC_WEIGHTS[e]):
        value = by * solution.fractions[element]
        gradient = _gradient(solution, element, shares, bound)
        by_counts, by_all = (_spread(gradient, each) for each in (counting, total))
        name, factor = oxide_of(element, solution.recipe.valences)
        oxidised = bool(name) and "O" in bound.get(element, {})
        unseen = "by the class's formula" if solution.recipe.companions else "by stoichiometry"
        family = solution.families.get(element, (unseen,))[0]
        net = solution.counts.get(family)
        found.append(
            Quantity(
                element,
                value,
                value * by_counts,
                math.hypot(value * by_all, value * (_VALENCE_PART if oxidised or element == "O" else 0.0)),
                by * _limit(solution, element, family),
                family,
                net.counts if net else 0.0,
                atoms[element] / sum(atoms.values()),
                name if oxidised else "",
                value * factor if oxidised else math.nan,
            )
        )
    return tuple(found)


def residuals_of(solution: Solution) -> tuple[Residual, ...]:
    """Return all families against what the composition should give, by falling counts."""
    found = [
        Residual(family, net.counts, net.error, solution.scale * solution.expected.get(family, 0.0))
        for family, net in solution.counts.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.counts))


def _covariances(solution: Solution) -> tuple[Floats, Floats]:
    """Covariances of the elements' relative errors before normalising, (K, K): by counts, and by all."""
    families = [family for own in solution.families.values() for family in own]
    known = solution.instrument.sensitivities
    smooth = smooth_error(solution.instrument, solution.recipe.fitted)
    model = known.covariance(families, smooth) + _of_excitation(solution, families)
    counted = np.array([solution.counts[family].relative_error ** 2 for family in families])
    shares = np.zeros((len(solution.families), len(families)))
    for row, own in enumerate(solution.families.values()):
        at = [families.index(family) for family in own]
        weights = 1 / (counted[at] + np.array([known.error(family) for family in own]) ** 2)
        shares[row, at] = weights / weights.sum()
    counting = (shares * counted) @ shares.T
    return counting, np.asarray(counting + shares @ model @ shares.T)


def _of_excitation(solution: Solution, families: Sequence[str]) -> Floats:
    """Covariance that a fitted lens and air in the path leave in the expected counts of families, (F, F)."""
    instrument, fitted, covariance = (
        solution.instrument,
        solution.recipe.fitted,
        np.zeros((len(families),) * 2),
    )
    if fitted is not None:
        material = Material("solved", {e: v for e, v in solution.fractions.items() if v > 0}, 1.0)
        made = share_source(sample_layers(material), instrument, tuple(fitted.knots_kev)).families
        nothing = np.zeros(fitted.knots_kev.size)
        shares = np.array([made.get(f, nothing) / max(made.get(f, nothing).sum(), 1e-300) for f in families])
        covariance += shares @ fitted.covariance @ shares.T
    if instrument.air_part > 0:
        lines = [main_line(*split_family(family)) for family in families]
        energies = np.array([line.energy if line else 1.0 for line in lines])
        depth = mass_attenuation(AIR, energies) * AIR.density * instrument.air_part * instrument.path_cm[1]
        covariance += np.outer(_AIR_ERROR * depth, _AIR_ERROR * depth)
    return covariance


def _gradient(
    solution: Solution, element: str, shares: Mapping[str, float], bound: Mapping[str, Mapping[str, float]]
) -> Floats:
    """How an element's normalised fraction follows the relative changes of all elements, (K,)."""
    whole = max(solution.fractions[element], 1e-12)
    # What comes with another element: all of itself, and what the others bind of it.
    brought = np.array([bound[other].get(element, 0.0) + float(other == element) for other in shares])
    parts = np.array([solution.fractions[other] for other in shares]) / whole
    return np.asarray(brought * parts - np.array(list(shares.values())))


def _spread(gradient: Floats, covariance: Floats) -> float:
    return math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))


def _limit(solution: Solution, element: str, family: str) -> float:
    net, expected = solution.counts.get(family), solution.expected.get(family, 0.0)
    if net is None or expected <= 0:
        return math.nan
    seen = [
        f for f, own in solution.counts.items() if own.counts > SEEN * own.error and solution.expected.get(f)
    ]
    measured = sum(solution.counts[f].counts for f in seen)
    scale = measured / max(sum(solution.expected[f] for f in seen), 1e-300)
    return net.limit / max(scale * expected, 1e-300) * max(solution.fractions[element], _LEAST)
