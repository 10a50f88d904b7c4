"""From a solved composition to quantities: oxides, errors, detection limits, residuals."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.maps.quantification.composition import Solution, completed, smooth_error
from napari_xrf.maps.quantification.light_matter import LightMatter
from napari_xrf.maps.quantification.net_counts import SEEN
from napari_xrf.maps.quantification.quantities import FamilyResidual, Quantity
from napari_xrf.physics.attenuation import AIR, mass_attenuation
from napari_xrf.physics.sensitivities import BY_ELECTRONS
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.physics.source_tube import mean_depth
from napari_xrf.reference.materials import Material
from napari_xrf.reference.oxides import ATOMIC_WEIGHTS, oxide_of, oxygen_in_doubt

Floats = NDArray[np.float64]

_VALENCE_PART = 0.005  # of a weight: valences and water are never quite what they are taken for
_MOST_CHANGED = 0.3  # of all weights, by other valences
# Of weights by dose: geometry and current, and of what is missing the part that may be the surface instead
# (two soils of one instrument, loose powders: totals by a standard 0.2 too low). Oxygen by difference has all
# of the others' errors.
_DOSE_ERROR, _REST_ERROR = 0.05, 0.5
_HIDDEN_PART = 0.02  # of a weight of oxides in gas or air, which hides the sodium of rocks and glasses
_MOST_UNSEEN = 0.2  # weight fraction up to which an element that cannot be seen makes the others unsure
_AIR_ERROR = 0.4  # relative: how much of the beam's way the detector sees is not known
# Relative, for each unit of ln(photons made over those that leave) under electrons: depths and coefficients
# (Philibert's and Pouchou's differ by 0.2).
_DEPTH_ERROR = 0.12
# Relative, over the square of the beam's energy over the line's: cross-sections near their threshold (against
# Si K, Fe K of a glass at 15 kV counts 4 % more than is expected, Zn and Ge K at 20 kV 7 and 10 % more).
_THRESHOLD_ERROR = 0.4
_LEAST = 1e-7  # weight fraction below which a limit's slope is taken


def quantities_of(
    solution: Solution, by: float | None = None, light: LightMatter | None = None
) -> tuple[Quantity, ...]:
    """Return the quantities with their errors, by rising atomic number.

    ``solution``: a composition. ``by``: what weight fractions are multiplied with where they are those of the
    dose, not normalised to 1. ``light``: matter without lines, none by default, where they are normalised to
    what it leaves.
    """
    light = light or LightMatter()
    bound = solution.bound
    unseen = _unseen(solution)
    # What there may be of an element that is not seen, the others do not hold.
    seen = {e: solution.fractions[e] for e in bound}
    held = {e: max(part, min(unseen.get(e, (0.0, 0.0))[1], _MOST_UNSEEN)) for e, part in seen.items()}
    counting, total = _covariances(solution)
    in_doubt = _oxygen_in_doubt(solution)
    hidden = 0.0 if solution.instrument.atmosphere == "vacuum" else _HIDDEN_PART
    common = (
        light.error / (1 - light.part) if by is None else math.hypot(_DOSE_ERROR, _REST_ERROR * solution.rest)
    )
    atoms = {e: value / ATOMIC_WEIGHTS[e] for e, value in solution.fractions.items()}
    scale = 1.0 if by is None else by
    found = []
    for element in sorted(solution.fractions, key=lambda e: ATOMIC_WEIGHTS[e]):
        value = scale * solution.fractions[element]
        by_counts = _spread(_gradient(solution, element, seen, bound, by is None), counting)
        by_all = _spread(_gradient(solution, element, held, bound, by is None), total)
        name, factor = oxide_of(element, solution.recipe.valences)
        oxidised = bool(name) and "O" in bound.get(element, {})
        bearer = "by the class's formula" if solution.recipe.companions else f"by {solution.recipe.oxygen}"
        family = solution.families.get(element, (bearer,))[0]
        net = solution.counts.get(family)
        least = unseen.get(element, (0.0, 0.0))
        valence = math.hypot(_VALENCE_PART, in_doubt, hidden) if oxidised else 0.0
        if family == "by difference":
            others = [np.array(list(parts.values())) for parts in (seen, held)]
            of_all = math.hypot(_spread(others[1], total), common * float(others[1].sum()))
            least = _spread(others[0], counting), of_all
        elif element == "O" and bound:
            share = solution.fractions["O"]
            valence = math.hypot(_VALENCE_PART, in_doubt * (1 - share) / max(share, 1e-9))
        found.append(
            Quantity(
                element,
                value,
                # What is not seen has no relative error.
                max(value * by_counts, scale * least[0]),
                max(value * math.hypot(by_all, valence, common), scale * least[1]),
                scale * _limit(solution, element),
                family,
                net.counts if net else 0.0,
                atoms[element] / sum(atoms.values()),
                name if oxidised else "",
                value * factor if oxidised else math.nan,
            )
        )
    return tuple(found)


def _limit(solution: Solution, element: str) -> float:
    """Return the least weight fraction of an element that one of its families would show; NaN if bound.

    The one that decides need not be it: of 68 % of bismuth under 15 keV the hard L lines decide, and would
    show no less than 39 %; its M lines show tenths of a per cent, which their model knows less well.
    """
    own = (
        _per_count(solution, element, family) * net.limit
        for family, net in solution.counts.items()
        if split_family(family)[0] == element and element in solution.families
    )
    return min((limit for limit in own if math.isfinite(limit)), default=math.nan)


def _unseen(solution: Solution) -> dict[str, tuple[float, float]]:
    """Return the errors of elements whose lines do not stand out, as weight fractions: of counts, and all."""
    found = {}
    for element, families in solution.families.items():
        net, per_count = solution.counts[families[0]], _per_count(solution, element, families[0])
        if net.counts < SEEN * net.error:
            found[element] = min(per_count * net.counting_error, 1.0), min(per_count * net.error, 1.0)
    return found


def oxygen_by_valence(solution: Solution) -> dict[str, float]:
    """Return the standard error, in weight fraction, of the oxygen of each element of unsure valence."""
    if solution.recipe.oxygen != "stoichiometry" or solution.recipe.companions:
        return {}
    return oxygen_in_doubt(solution.fractions, solution.recipe.valences)


def _oxygen_in_doubt(solution: Solution) -> float:
    """Relative error of weights by other valences, one standard deviation: what is not oxygen is the rest."""
    change = min(math.hypot(*oxygen_by_valence(solution).values()), _MOST_CHANGED)
    return change / (1 - 2 * change)  # the other valence is two of it away


def residuals_of(solution: Solution) -> tuple[FamilyResidual, ...]:
    """Return all families against what the composition should give, by falling counts."""
    found = [
        FamilyResidual(family, net.counts, net.error, solution.scale * solution.expected.get(family, 0.0))
        for family, net in solution.counts.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.counts))


def _covariances(solution: Solution) -> tuple[Floats, Floats]:
    """Covariances of the elements' relative errors before normalising, (K, K): by counts, and by all."""
    families = [family for own in solution.families.values() for family in own]
    known = solution.instrument.sensitivities
    smooth = smooth_error(solution.instrument, solution.recipe.fitted)
    electrons = isinstance(solution.instrument.source, ElectronBeam)
    model = known.covariance(families, smooth, BY_ELECTRONS if electrons else 1.0) + _of_excitation(
        solution, families
    )
    nets = [solution.counts[family] for family in families]
    fitted = np.array([net.relative_error**2 for net in nets])
    counted = fitted * np.array([(net.counting_error / max(net.error, 1e-300)) ** 2 for net in nets])
    shares = np.zeros((len(solution.families), len(families)))
    for row, own in enumerate(solution.families.values()):
        weights = 1 / np.array([solution.variances[family] for family in own])
        shares[row, [families.index(family) for family in own]] = weights / weights.sum()
    return (shares * counted) @ shares.T, np.asarray(shares @ (np.diag(fitted) + model) @ shares.T)


def _of_excitation(solution: Solution, families: Sequence[str]) -> Floats:
    """Covariance of the families' expected counts by fitted lens and air, or by electrons, (F, F)."""
    instrument, fitted = solution.instrument, solution.recipe.fitted
    covariance = np.zeros((len(families),) * 2)
    lines = [main_line(*split_family(family)) for family in families]
    energies = np.array([line.energy if line else 1.0 for line in lines])
    if isinstance(instrument.source, ElectronBeam):
        material = Material("sample", completed(solution.fractions, solution.rest))
        beam = instrument.source.energy_kev
        over = np.maximum(beam / energies, 1.01)
        chi = mass_attenuation(material, energies) / math.sin(math.radians(instrument.takeoff_deg))
        held = np.log1p(chi * mean_depth(material, beam, over))
        for error in (_DEPTH_ERROR * held, _THRESHOLD_ERROR / over**2):
            covariance += np.outer(error, error)
    if fitted is not None:
        covariance += fitted.covariance_of(families)
    if instrument.air_part > 0:
        depth = mass_attenuation(AIR, energies) * AIR.density * instrument.air_part * instrument.path_cm[1]
        covariance += np.outer(_AIR_ERROR * depth, _AIR_ERROR * depth)
    return covariance


def _gradient(
    solution: Solution,
    element: str,
    held: Mapping[str, float],
    bound: Mapping[str, Mapping[str, float]],
    normalised: bool,
) -> Floats:
    """How an element's fraction follows the relative changes of all elements, (K,), normalised or not."""
    whole = max(solution.fractions[element], 1e-12)
    # An element brings its oxygen along: what is normalised is the oxide.
    left = 1 - solution.rest
    shares = np.array([part * (1 + sum(bound[other].values())) / left for other, part in held.items()])
    # What comes with another element: all of itself, and what the others bind of it.
    brought = np.array([bound[other].get(element, 0.0) + float(other == element) for other in held])
    return np.asarray(brought * np.array(list(held.values())) / whole - normalised * shares)


def _spread(gradient: Floats, covariance: Floats) -> float:
    return math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))


def _per_count(solution: Solution, element: str, family: str) -> float:
    """Return the weight fraction that a net count of a family stands for; NaN where it has none."""
    expected = solution.expected.get(family, 0.0)
    if expected <= 0:
        return math.nan
    seen = [
        f for f, net in solution.counts.items() if net.counts > SEEN * net.error and solution.expected.get(f)
    ]
    measured = sum(solution.counts[f].counts for f in seen)
    scale = measured / max(sum(solution.expected[f] for f in seen), 1e-300)
    return max(solution.fractions[element], _LEAST) / max(scale * expected, 1e-300)
