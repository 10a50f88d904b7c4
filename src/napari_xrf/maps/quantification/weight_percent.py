"""Weight percent from net counts: standardless fundamental parameters, or with standards.

The net counts of line families come from the fit of a summed spectrum (:mod:`.net_counts`), the composition
from our own forward model (:mod:`.composition`), errors from counts and from what is known of the model.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from napari_xrf.core.emission_lines import split_family
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map
from napari_xrf.maps.quantification.bound_oxygen import OxygenChoice, choose_oxygen
from napari_xrf.maps.quantification.composition import (
    Recipe,
    Solution,
    recipe_of_class,
    seen_elements,
    solve_composition,
    without,
)
from napari_xrf.maps.quantification.composition_errors import oxygen_by_valence, quantities_of, residuals_of
from napari_xrf.maps.quantification.fitted_excitation import (
    FittedExcitation,
    counts_with_argon,
    fit_excitation,
)
from napari_xrf.maps.quantification.light_matter import FAR_LEVEL, LightMatter, light_matter
from napari_xrf.maps.quantification.net_counts import (
    SEEN,
    NetCounts,
    Shapes,
    hidden_families,
    region_of,
    shapes_of,
    shown_beside,
)
from napari_xrf.maps.quantification.quantities import Quantities, Quantity
from napari_xrf.maps.quantification.stated_source import not_excited, other_source, told_source
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.oxides import oxide_of, oxygen_per_mass

_COATING = 0.1  # of the net counts: more carbon than that is in the sample
_NOTED_LIGHT = 0.1  # weight fraction of matter without lines that there may be
_BLIND = 0.1  # a detection limit, weight fraction, that is told
_BENDS_LENS = 0.05  # weight fraction of light matter from which the lens is fitted to what it scatters too
_LIGHT_BY_DOSE = 0.5  # probability that it is light matter, where the dose gives less than the whole
_THIN = 0.5  # relative error of weights where a thin sample is taken for a thick one: iron beside sulphur
_AGAINST_STATED = 0.9  # probability of what the spectrum shows, where another source or sample is stated
_HELD, _HALVINGS = (0.6827, 0.9545), 30  # by one and two standard errors
# A doubt is itself known to a factor of e in its odds. Two errors would else hold the other way from a doubt
# of 4.55 % on, and nothing of it at a little less.
_OF_ODDS = np.linspace(-4.0, 4.0, 161)
_LIKELY_ODDS = np.exp(-0.5 * _OF_ODDS**2) / np.exp(-0.5 * _OF_ODDS**2).sum()
_FAR_FROM_WHOLE = 0.1  # a total that the dose gives is told from here
_MUCH_OXYGEN = 0.025  # standard error of oxygen by a valence, weight fraction, that is told
_TAKEN = 0.003  # weight fraction of oxygen whose place halogens take that is told


def quantify(
    measured: Measured,
    elements: Sequence[str] | None = None,
    *,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    formulas: Mapping[str, str] | None = None,
    recipe: Recipe | None = None,
    progress: Progress = ignore_progress,
) -> tuple[Quantities, ...]:
    """Return the composition of a map, or of each region of it; errors as :func:`napari_xrf.quantify`.

    ``elements``, ``regions``: symbols; None takes those found. Name → mask (Y, X); None takes the whole map.
    Regions without counts are left out and told where others hold some.
    ``formulas``: region → formula of its class, which says what light elements accompany those that are seen.
    ``recipe``: oxygen, valences and standards; the usual ones by default.
    """
    known = calibrate_map(measured, progress=progress).checked()
    chosen = recipe or Recipe()
    wanted, beside, told = elements_of(known, elements, chosen)
    whole = {known.cube.name: np.ones(known.cube.map_shape, dtype=bool)}
    areas = whole if regions is None else regions
    if not areas:
        raise InvalidInput("there is no region", "Draw one, or choose a label map with classes")
    found: list[Quantities] = []
    dark: list[str] = []
    for done, (name, mask) in enumerate(areas.items()):
        progress(done, len(areas), "quantifying")
        own, here = chosen, wanted
        try:
            part = region_of(known, mask, name)
        except InvalidInput:
            dark.append(name)
            if len(dark) == len(areas):
                raise
            continue
        if formula := (formulas or {}).get(name):
            own = recipe_of_class(chosen, formula, known.setting)
            here = tuple(dict.fromkeys((*wanted, *seen_elements(formula, own))))
        quantities = quantify_region(part, here, own, beside)
        found.append(replace(quantities, notes=(*quantities.notes, *told)))
    progress(len(areas), len(areas), "quantifying")
    if dark:
        note = f"left out, since they hold no counts: {', '.join(dark)}"
        found[0] = replace(found[0], notes=(*found[0].notes, note))
    return tuple(found)


def elements_of(
    known: CalibratedMap, elements: Sequence[str] | None, recipe: Recipe
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the elements to quantify, what a map shows beside those named, and what is to be said of them.

    Where none are named, those found. Under electrons samples are coated with carbon, and collect it: what is
    found is counted only where it is named, or makes more of the spectrum. Raises InvalidInput when there are
    none.
    """
    if elements is not None and not elements:
        raise InvalidInput("no element was found to quantify", "Name the elements")
    found = known.elements if elements is None else known.shown()
    net = {entry.element: entry.net_counts for entry in found}
    electrons = isinstance(recipe.instrument_of(known).source, ElectronBeam)
    coated = electrons and 0 < net.get("C", 0.0) < _COATING * sum(net.values())
    if elements is not None:
        needs_naming = {*(["C"] * coated), *(["O"] * (recipe.oxygen == "measured"))}
        beside = shown_beside(known, (*elements, *needs_naming)) if {*elements} - {"O"} else ()
        return tuple(elements), beside, ()
    wanted = tuple(element for element in net if not (coated and element == "C"))
    if not wanted:
        raise InvalidInput("no element was found to quantify", "Name the elements")
    told = ("carbon is taken for a coating and left out; name it in the elements to count it",)
    return wanted, (), (*(told if coated else ()), *map(str, known.unnamed_peaks))


def quantify_region(
    part: CalibratedMap, elements: Sequence[str], recipe: Recipe, beside: Sequence[str] = ()
) -> Quantities:
    """Return the composition of a spectrum.

    ``part``: as :func:`~napari_xrf.maps.quantification.net_counts.region_of` gives it. ``elements``: symbols.
    ``beside``: others that show and are not named: they have counts, absorb and scatter, and the weights are
    those of the rest, normalised without them.
    """
    others = tuple(element for element in beside if element not in elements)
    counts = count_sample(part, (*elements, *others), recipe)
    seen = {split_family(family)[0] for family, net in counts.items() if net.counts > SEEN * net.error}
    # What carries a film is no part of it, and absorbs nothing of its lines.
    left_out = [element for element in others if element in seen and not recipe.film]
    dropped = {*others} - {*left_out}
    own = {family: net for family, net in counts.items() if split_family(family)[0] not in dropped}
    return quantify_counts(own, part, recipe, left_out)


def count_sample(
    part: CalibratedMap,
    elements: Sequence[str],
    recipe: Recipe,
    composition: Mapping[str, float] | None = None,
) -> dict[str, NetCounts]:
    """Return the net counts of elements by family, with the shapes that their own composition gives them.

    ``composition``: of a standard, element → weight fraction; otherwise what a first fit gives.
    """
    first, instrument = counts_with_argon(part, elements), recipe.instrument_of(part)
    if isinstance(instrument.source, ElectronBeam):
        rough = quantify_counts(first, part, recipe)
        fractions = rough.composition
        expected: Mapping[str, float] = {one.family: one.expected for one in rough.residuals}
        deciding = {entry.element: entry.family for entry in rough.entries}
    else:  # oxygen changes little of how lines share their photons; a lens much of L beside K
        oxygen = "stoichiometry" if recipe.oxygen in ("auto", "difference") else recipe.oxygen
        solved = fit_excitation(first, part, replace(recipe, oxygen=oxygen)).solution
        fractions, expected, instrument = solved.fractions, solved.expected, solved.instrument
        deciding = {element: families[0] for element, families in solved.families.items()}
    shapes = Shapes({}) if recipe.film else shapes_of(composition or fractions, part, instrument)
    hidden = hidden_families(first, expected, deciding)
    return counts_with_argon(part, elements, replace(shapes, hidden=hidden))


def exposure_of(part: CalibratedMap) -> float | None:
    """Return the seconds of a spectrum, times the beam's current where it is known; None where no time is."""
    if part.cube.live_time is None:
        return None
    seconds = float(np.nansum(part.cube.live_time))
    return seconds * (part.cube.excitation.current or 1.0) if seconds > 0 else None


def quantify_counts(
    counts: Mapping[str, NetCounts],
    part: CalibratedMap,
    recipe: Recipe,
    left_out: Collection[str] = (),
) -> Quantities:
    """Return the composition whose expected families stand in the ratios of net counts.

    ``counts``: of each family of the elements to quantify. ``part``: the spectrum they were fitted to, and
    what it was measured with. ``left_out``: elements of ``counts`` that show, but that weights are normalised
    without. Raises InvalidInput when the instrument excites none of the families.
    """
    case = _Case(counts, part, recipe, exposure_of(part), left_out)
    choice = choose_oxygen(counts, part, recipe, case.exposure)
    solved = choice.fitted.solution
    over_dose = _over_dose(solved, case.exposure)
    total = over_dose * (1 - solved.rest)
    notes = [
        *_of_source(part, recipe),
        *choice.notes,
        *choice.fitted.notes,
        *_of_solution(solved, counts),
        *_of_dose(choice.fitted.recipe, total, case.exposure),
        *_of_valences(without(solved, left_out)),
    ]
    absolute = choice.fitted.recipe.by_dose or choice.fitted.recipe.oxygen == "difference"
    by = over_dose if absolute and math.isfinite(total) else None
    whole, light = _with_light(case, choice.fitted, total, by is None)
    if by is None:
        notes += _of_light(light)
    notes += _of_background(light)
    solved = without(whole, left_out, normalised=by is None)
    notes += _of_left_out(left_out, whole, normalised=by is None)
    entries = quantities_of(solved, by, light)
    notes += _of_blind(entries)
    if (thin := _of_thin(solved, part, choice.fitted.recipe)) is not None:
        notes.append(thin)
        errors = (math.hypot(entry.standard_error, _THIN * entry.weight_fraction) for entry in entries)
        entries = tuple(
            replace(one, standard_error=error) for one, error in zip(entries, errors, strict=True)
        )
    rivals, told = _rivals(case, choice, whole, light, total, by is None)
    notes += told
    for rival, doubt in rivals:
        others = {one.element: (one.weight_fraction, one.standard_error) for one in quantities_of(rival, by)}
        entries = tuple(_in_doubt(entry, *others.get(entry.element, (0.0, 0.0)), doubt) for entry in entries)
    return Quantities(
        part.cube.name,
        entries,
        "formula" if choice.fitted.recipe.companions else choice.oxygen,
        tuple(notes),
        residuals_of(solved),
        total,
        solved.mass_per_area,
        solved.rest,
        solved.instrument,
        tuple(own[0] for element, own in whole.families.items() if element in left_out),
    )


@dataclass(frozen=True, eq=False)
class _Case:
    """What is asked of a spectrum."""

    counts: Mapping[str, NetCounts]
    part: CalibratedMap
    recipe: Recipe
    exposure: float | None
    left_out: Collection[str]


def _with_light(
    case: _Case, fitted: FittedExcitation, total: float, normalised: bool
) -> tuple[Solution, LightMatter]:
    """Return the composition with the light matter that is likely beside it, and how much that is."""
    solved = fitted.solution
    light = light_matter(solved, case.part, fitted.scatter_ratio, total)
    if not normalised or light.part <= 0:
        return solved, light
    if light.part > _BENDS_LENS:
        lit = replace(case.recipe, oxygen=solved.recipe.oxygen, light=light.part)
        fitted = fit_excitation(case.counts, case.part, lit, case.exposure)
        solved = fitted.solution
        light = light_matter(solved, case.part, fitted.scatter_ratio, total)
    told = replace(solved.recipe, light=light.part)
    return solve_composition(solved.counts, solved.instrument, told, case.exposure, solved.fractions), light


def _rivals(
    case: _Case, choice: OxygenChoice, whole: Solution, light: LightMatter, total: float, normalised: bool
) -> tuple[list[tuple[Solution, float]], list[str]]:
    """Return other compositions that the spectrum may be of, how probable each is, and what is told."""
    recipe, left_out = choice.fitted.recipe, case.left_out
    rivals, notes = [(whole, _AGAINST_STATED)] if set(left_out) & set(whole.families) else [], []
    if choice.rival:
        rivals.append((without(choice.rival.solution, left_out, normalised), choice.doubt))
    if not recipe.by_dose and recipe.oxygen == "stoichiometry" and total < 1 - _FAR_FROM_WHOLE:
        dosed = fit_excitation(case.counts, case.part, replace(recipe, by_dose=True), case.exposure)
        rivals.append((without(dosed.solution, left_out, normalised=False), _LIGHT_BY_DOSE))
    if (other := other_source(whole, case.part)) is not None:
        notes.append(
            f"the spectrum speaks against {told_source(whole.instrument)}: {other.told}. The errors hold"
            f" what {other.name} would give; state what excites the sample, and the angles"
        )
        by_other = replace(case.recipe, instrument=other.instrument, fitted=None)
        # Under a tube the line of oxygen was not looked for.
        unseen = isinstance(other.instrument.source, ElectronBeam) and "O K" not in case.counts
        for oxygen in dict.fromkeys((case.recipe.oxygen, *["stoichiometry"] * unseen)):
            stated = replace(by_other, oxygen=oxygen)
            again = choose_oxygen(case.counts, case.part, stated, case.exposure).fitted.solution
            solution = _less(again, light) if normalised else again
            rivals.append((without(solution, left_out, normalised), _AGAINST_STATED))
    return rivals, notes


def _less(solution: Solution, light: LightMatter) -> Solution:
    """Return a solution of oxides that leaves room for as much light matter as another has."""
    if solution.recipe.oxygen != "stoichiometry" or solution.recipe.light > 0:
        return solution
    left = {element: (1 - light.part) * value for element, value in solution.fractions.items()}
    return replace(solution, fractions=left)


def _of_source(part: CalibratedMap, recipe: Recipe) -> list[str]:
    """Say what is doubted of the axis, and what is taken where nothing says what excites the sample."""
    notes, excitation = [part.doubt] if part.doubt else [], part.cube.excitation
    if excitation.kind is None and excitation.instrument is None and recipe.instrument is None:
        notes.append(
            f"the file does not say what excites the sample; taken is {told_source(part.instrument)}"
        )
    return notes


def _of_solution(solved: Solution, counts: Mapping[str, NetCounts]) -> list[str]:
    """Say what a composition does not account for."""
    notes = [] if solved.converged else ["the composition did not settle; take it as a rough one"]
    if dark := not_excited(counts, solved):
        notes.append(
            f"{' and '.join(dark)} shows, and {told_source(solved.instrument)} excites no line of it: it"
            " is left out of the sum. Is the source another?"
        )
    return [*notes, *_of_anions(solved)]


def _of_background(light: LightMatter) -> list[str]:
    if abs(light.level) <= FAR_LEVEL:
        return []
    return [
        f"the background is {math.exp(light.level):.2g} times what such a sample would scatter: is the"
        " source or geometry another than is taken?"
    ]


def _of_blind(entries: Sequence[Quantity]) -> list[str]:
    """Say which elements could be much of the sample and not show."""
    blind = [entry.element for entry in entries if entry.detection_limit > _BLIND]
    if not blind:
        return []
    return [
        f"{' and '.join(blind)} could make tenths of the sample and not be seen here, which makes all"
        " weights unsure; leave out what is known to be absent"
    ]


def _of_thin(solved: Solution, part: CalibratedMap, recipe: Recipe) -> str | None:
    """Say that electrons of a transmission microscope go through their sample; None where they do not."""
    source, stated = solved.instrument.source, part.cube.excitation.energy_kev or 0.0
    if not isinstance(source, ElectronBeam) or recipe.instrument is not None or stated <= source.energy_kev:
        return None
    return (
        f"electrons of {stated:.3g} keV are those of transmission microscopes, whose samples are thin:"
        f" taken is a thick one under {source.energy_kev:.3g} keV. The errors hold half of each weight"
    )


def _of_left_out(left_out: Collection[str], whole: Solution, normalised: bool) -> list[str]:
    """Say which elements show and are not named, and what they make of the sample."""
    families = [element for element in whole.families if element in left_out]
    if not families:
        return []
    net = dict.fromkeys(families, 0.0)
    for family, counted in whole.counts.items():
        if (element := split_family(family)[0]) in net:
            net[element] = max(net[element], counted.counts)
    names = ", ".join(f"{e} ({net[e]:,.0f} counts)" for e in sorted(net, key=lambda e: -net[e]))
    told = f"not named, but seen: {names}"
    if not normalised:
        return [f"{told}; they absorb and scatter, and the weights are those of the others"]
    part = sum(whole.fractions[e] * (1 + sum(whole.bound[e].values())) for e in families)
    return [
        f"{told}. By their lines they are {100 * part:.2g} % of the sample, and the weights add up without"
        " them; the errors hold what they take. Name them if they are of the sample"
    ]


def _over_dose(solved: Solution, exposure: float | None) -> float:
    """Return what a thick sample counts over what the dose should give; NaN where no standard tells it."""
    throughput = solved.instrument.sensitivities.throughput
    if not throughput or not exposure or solved.recipe.film:
        return math.nan
    return solved.scale / (throughput * exposure)


def _of_anions(solved: Solution) -> list[str]:
    """Say how much oxygen is left out for halogens: oxides and halogens add up to more than all by it."""
    if solved.recipe.oxygen != "stoichiometry" or solved.recipe.companions:
        return []
    valences = solved.recipe.valences
    taken = {e: -solved.fractions[e] * oxygen_per_mass(e, valences) for e in solved.families}
    taken = {element: part for element, part in taken.items() if part > 0}
    if sum(taken.values()) < _TAKEN:
        return []
    names = " and ".join(taken)
    if "O" not in solved.fractions:
        return [f"all charge is balanced by {names}: no oxygen is added"]
    part = 100 * sum(taken.values())
    return [f"{part:.2g} % of oxygen is not added: {names} stands in its place (less O=F, Cl)"]


def _of_valences(solved: Solution) -> list[str]:
    """Say which valence is taken where another would change much: sulphides are no sulphates."""
    much = {e: part for e, part in oxygen_by_valence(solved).items() if part > _MUCH_OXYGEN}
    if not much:
        return []
    taken = " and ".join(f"{element} for {oxide_of(element)[0]}" for element in much)
    return [
        f"{taken} is taken, and the errors hold what another valence may change: state it, S=-2 for"
        " sulphides, Fe=3 for ferric iron"
    ]


def _of_dose(recipe: Recipe, total: float, exposure: float | None) -> list[str]:
    notes = []
    if abs(total - 1) > _FAR_FROM_WHOLE:
        notes.append(
            f"the dose gives a total of {100 * total:.0f} %: an element that is not seen, a porous or tilted"
            " sample, or another current than the standard's" + _of_rest(recipe, total)
        )
    if recipe.by_dose and not math.isfinite(total):
        notes.append(
            "the dose is not known, so the sum is normalised to 100 %: it takes a standard and times"
        )
    if recipe.film and not exposure:
        notes.append("mass per area needs a standard and the time of both spectra; only ratios are told")
    return notes


def _of_light(light: LightMatter) -> list[str]:
    """Say how much of a sample may show no line."""
    if light.most < _NOTED_LIGHT and not light.part:
        return []
    told = f"up to {100 * light.most:.0f} % of the sample may be such, and all weights less by it"
    if light.part > 0:
        told = (
            f"{100 * light.part:.2g} ± {100 * light.error:.2g} % of the sample is likely such, and the"
            f" weights add up to {100 * (1 - light.part):.0f} %"
        )
    return [
        f"water, carbonate and organic matter show no line: by the background {told}. The errors hold it;"
        " they are smaller if the sample is stated to be free of volatiles (a glass), or for a class of a"
        " formula"
    ]


def _of_rest(recipe: Recipe, total: float) -> str:
    if total > 1 or recipe.oxygen != "stoichiometry":
        return ""
    if recipe.by_dose:
        return "; the rest is taken for light matter"
    return "; the errors hold what light matter would change, weights by dose take the rest for it"


def _in_doubt(entry: Quantity, rival: float, rival_error: float, doubt: float) -> Quantity:
    """Return a quantity whose error holds what another hypothesis gives, of a probability.

    Both are normal distributions, the other as wide as its own error where that is larger; the error is the
    least of which one and two hold what they should hold of their mixture, on the average of what the doubt
    may be.
    """
    own, away = max(entry.standard_error, 1e-12), abs(entry.weight_fraction - rival)
    width = max(own, rival_error)
    doubts = expit(math.log(doubt / (1 - doubt)) + _OF_ODDS)

    def held(within: NDArray[np.float64]) -> NDArray[np.float64]:
        other = ndtr((within - away) / width) - ndtr((-within - away) / width)
        return np.asarray((1 - doubts) * (2 * ndtr(within / own) - 1) + doubts * other)

    low, high = np.full(doubts.size, own), np.full(doubts.size, own + width + away)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = (held(middle) >= _HELD[0]) & (held(2 * middle) >= _HELD[1])
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return replace(entry, standard_error=float(_LIKELY_ODDS @ high))
