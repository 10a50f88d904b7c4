"""From a solved composition to quantities: oxides, errors, detection limits, residuals."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from napari_xrf.maps.composition import SEEN, Solution
from napari_xrf.maps.quantities import Quantity, Residual
from napari_xrf.reference.oxides import ATOMIC_WEIGHTS, oxide_of

_VALENCE_PART = 0.005  # of a weight: valences and water are never quite what they are taken for
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
    relative = {element: _relative_errors(solution, element) for element in solution.families}
    bound = {element: solution.recipe.bound(element) for element in solution.families}
    # An element brings its oxygen along: what is normalised is the oxide.
    shares = {e: solution.fractions[e] * (1 + sum(bound[e].values())) for e in solution.families}
    atoms = {e: value / ATOMIC_WEIGHTS[e] for e, value in solution.fractions.items()}
    found = []
    for element in sorted(solution.fractions, key=lambda e: ATOMIC_WEIGHTS[e]):
        value = by * solution.fractions[element]
        counting, total = (_normalised(solution, element, shares, bound, relative, kind) for kind in (0, 1))
        name, factor = oxide_of(element, solution.recipe.valences)
        oxidised = bool(name) and "O" in bound.get(element, {})
        unseen = "by the class's formula" if solution.recipe.companions else "by stoichiometry"
        family = solution.families.get(element, (unseen,))[0]
        net = solution.counts.get(family)
        found.append(
            Quantity(
                element,
                value,
                value * counting,
                math.hypot(value * total, value * (_VALENCE_PART if oxidised or element == "O" else 0.0)),
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


def _relative_errors(solution: Solution, element: str) -> tuple[float, float]:
    weights, counting = [], []
    for family in solution.families[element]:
        own = solution.counts[family].relative_error
        weights.append(own**2 + solution.sensitivities.error(family) ** 2)
        counting.append(own)
    share = 1 / np.array(weights) / np.sum(1 / np.array(weights))
    return float(np.sqrt(np.sum((share * counting) ** 2))), float(np.sqrt(1 / np.sum(1 / np.array(weights))))


def _normalised(
    solution: Solution,
    element: str,
    shares: Mapping[str, float],
    bound: Mapping[str, Mapping[str, float]],
    relative: Mapping[str, tuple[float, float]],
    kind: int,
) -> float:
    """Return the relative error after normalising, from independent errors of all elements."""
    variance = 0.0
    for other, share in shares.items():
        # What part of the element comes with the other: all of itself, and what the others bind of it.
        brought = bound[other].get(element, 0.0) + (1.0 if other == element else 0.0)
        part = brought * solution.fractions[other] / max(solution.fractions[element], 1e-12)
        variance += ((part - share) * relative[other][kind]) ** 2
    return math.sqrt(variance)


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
