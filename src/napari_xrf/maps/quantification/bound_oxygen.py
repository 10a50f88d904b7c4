"""How the oxygen of a sample is found: from its line, from valences, or none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.quantification.composition import Recipe, Solution, solve_composition
from napari_xrf.maps.quantification.fitted_excitation import FittedExcitation, fit_excitation, without_air
from napari_xrf.maps.quantification.light_matter import level_error, scatter_level
from napari_xrf.maps.quantification.net_counts import SEEN, NetCounts
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.sensitivities import BY_ELECTRONS, model_error
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.materials import Material
from napari_xrf.reference.oxides import ATOMIC_WEIGHTS, HALOGENS, valence_of

_OXIDE_SHARE, _METAL_SHARE = 0.45, 0.15  # measured oxygen over that of oxides
# Standard errors of the line O K by which it must be off to speak against oxides: 0.66 to 0.9 of it shows in
# measured glasses, 1.7 in BiFeO3, 3 in calcite.
_OFF_OXIDES = 2.5
_STATED_DOUBT = 0.5  # probability that the line is right, where oxides are stated
_TAILS = 4.0  # degrees of freedom: a crystal's scatter is off by far more
# What the shape of the scatter, Compton beside Rayleigh, adds to the log-odds: a part of half the sum of
# squares over its scale, and no more than that: two of 16 measured spectra say the wrong one (reflections).
_SHAPE_PART, _SHAPE_MOST = 0.5, 2.0
_DECIDED = 0.05  # probability of the other way up to which it is not told
_ROCK_FORMERS = ("Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Rb", "Sr", "Cs", "Ba")
_METALS_ALONE = 1.5  # log-odds of a metal where none of these makes a part of the atoms
_NEVER_METALS = ("Na", "K", "Rb", "Cs", "Ca", "Sr", "Ba")
_NEVER_METAL_PART, _HALIDE_PART = 0.03, 0.7  # of the atoms; of the charge


@dataclass(frozen=True, eq=False)
class OxygenChoice:
    """How oxygen is found, and what follows."""

    oxygen: str  # "stoichiometry", "measured" or "none"
    fitted: FittedExcitation  # the composition with it
    notes: tuple[str, ...] = ()  # what is to be said of it
    # The composition the other way, where the spectrum alone decides between the two
    rival: FittedExcitation | None = None
    doubt: float = 0.0  # probability of the other way


def choose_oxygen(
    counts: Mapping[str, NetCounts], part: CalibratedMap, recipe: Recipe, exposure: float | None = None
) -> OxygenChoice:
    """Return how oxygen is found, as the recipe says or as line and background suggest.

    ``counts``, ``part``, ``recipe``, ``exposure``: as of
    :func:`~napari_xrf.maps.quantification.fitted_excitation.fit_excitation`. Raises InvalidInput when it is
    to be measured and is not among the elements.
    """
    line = counts.get("O K")

    def chosen(oxygen: str, *notes: str) -> OxygenChoice:
        fitted = fit_excitation(counts, part, replace(recipe, oxygen=oxygen), exposure)
        off = _off_oxides(fitted.solution)
        if not off:
            return OxygenChoice(oxygen, fitted, notes)
        what = "carbonate, water or organic matter" if off > 1 else "sulphides or metals"
        told = f"the line of oxygen shows {off:.2g} times what these oxides hold: is it {what}?"
        other = fit_excitation(counts, part, replace(recipe, oxygen="measured"), exposure)
        if recipe.oxygen == "auto":
            return OxygenChoice("measured", other, (*notes, told, "oxygen is taken as its line shows it"))
        return OxygenChoice(oxygen, fitted, (*notes, told), other, _STATED_DOUBT)

    if recipe.oxygen == "measured" and line is None:
        raise InvalidInput("oxygen is not among the elements", "Name O, or choose another way for oxygen")
    if recipe.companions:
        return chosen("stoichiometry")
    if recipe.oxygen != "auto":
        return chosen(recipe.oxygen)
    instrument = recipe.instrument_of(part)
    own = without_air(counts, instrument)

    def solved(oxygen: str) -> dict[str, float]:
        return solve_composition(own, instrument, replace(recipe, oxygen=oxygen)).fractions

    oxides = solved("stoichiometry")
    if not isinstance(instrument.source, ElectronBeam):
        told = _by_chemistry(oxides)
        if recipe.film and not told:
            told = "none", "the scatter of a film does not tell oxygen: none is counted"
        return chosen(*told) if told else _by_scatter(chosen("stoichiometry"), chosen("none"), part)
    if line is None:
        return chosen("none", "oxygen was not found, so none is counted; say so if the sample is an oxide")
    share = solved("measured")["O"] / max(oxides.get("O", 0.0), 1e-9)
    if share > _OXIDE_SHARE:
        return chosen("stoichiometry")
    if share > _METAL_SHARE:
        return chosen("measured")
    seen = line.counts > SEEN * line.error
    film = f"the line of oxygen shows {share:.2g} of what oxides hold: taken for a film on the surface and"
    return chosen("none", *[f"{film} left out; say that oxygen is measured to count it"] * seen)


def _off_oxides(solution: Solution) -> float:
    """Return measured over expected counts of O K of oxides; 0 where they are alike or none shows."""
    if solution.recipe.oxygen != "stoichiometry" or solution.recipe.companions:
        return 0.0
    line, expected = solution.counts.get("O K"), solution.scale * solution.expected.get("O K", 0.0)
    if line is None or expected <= 0 or not isinstance(solution.instrument.source, ElectronBeam):
        return 0.0
    ratio = max(line.counts, line.error) / expected
    error = math.hypot(BY_ELECTRONS * model_error("O K"), line.error / expected)
    return ratio if abs(math.log(ratio)) > _OFF_OXIDES * error else 0.0


def _by_chemistry(oxides: Mapping[str, float]) -> tuple[str, ...] | None:
    """Return what the elements themselves say: alkalis and earths are no metals, but halides, or oxides."""
    moles = {e: value / ATOMIC_WEIGHTS[e] for e, value in oxides.items() if e != "O"}
    charge = sum(amount * max(valence_of(e), 0.0) for e, amount in moles.items())
    halides = sum(moles.get(e, 0.0) for e in HALOGENS)
    if halides > _HALIDE_PART * charge:
        return ("none",)
    never = [e for e in _NEVER_METALS if moles.get(e, 0.0) > 0]
    if sum(moles[e] for e in never) < _NEVER_METAL_PART * sum(moles.values()):
        return None
    return "stoichiometry", f"oxygen is not seen; with {', '.join(never)}, oxides are assumed"


def _by_scatter(oxides: OxygenChoice, none: OxygenChoice, part: CalibratedMap) -> OxygenChoice:
    """Choose between oxides and none by the scattered background: light matter scatters more."""
    surprise, rocks = [], 0.0
    error = level_error(none.fitted.solution, part)
    for tried in (oxides.fitted.solution, none.fitted.solution):
        material = Material("hypothesis", {e: value for e, value in tried.fractions.items() if value > 0})
        level, counting = scatter_level(expect_spectrum(material, tried.instrument), part)
        off = (level - (tried.instrument.sensitivities.scatter or 0.0)) ** 2 / (error**2 + counting**2)
        surprise.append(0.5 * (_TAILS + 1) * math.log1p(off / _TAILS))
        atoms = {e: value / ATOMIC_WEIGHTS[e] for e, value in tried.fractions.items()}
        rocks = sum(atoms.get(e, 0.0) for e in _ROCK_FORMERS) / sum(atoms.values())
    odds = surprise[1] - surprise[0]
    lenses = [one.fitted.recipe.fitted for one in (oxides, none)]
    if lenses[0] is not None and lenses[1] is not None:
        # Per group: the two leave out other groups, where they expect lines.
        each, groups = [one.misfit / one.groups for one in lenses if one], lenses[0].groups
        shape = _SHAPE_PART * 0.5 * groups * (each[1] - each[0]) / max(min(each), 1.0)
        odds += min(max(shape, -_SHAPE_MOST), _SHAPE_MOST)
    odds -= _METALS_ALONE * (rocks < _NEVER_METAL_PART)
    likely, other, kind = (oxides, none, "oxides") if odds > 0 else (none, oxides, "no oxygen")
    doubt = 1 / (1 + math.exp(min(abs(odds), 50.0)))
    told = f"oxygen is not seen; the scattered background suggests {kind}"
    if doubt > _DECIDED:
        told = (
            f"whether there is oxygen cannot be known from this spectrum: {kind} is taken"
            f" ({100 * (1 - doubt):.0f} %), and the errors hold what the other would give. Say whether the"
            " sample is of oxides, or holds none"
        )
    return replace(likely, notes=(told,), rival=other.fitted, doubt=doubt)
