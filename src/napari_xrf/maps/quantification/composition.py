"""The composition whose expected families stand in the ratios of net counts.

It is varied until they do: matrix absorption and enhancement (photons) or stopping, backscattering and depth
(electrons) are those of :mod:`napari_xrf.physics.forward`. What a spectrum does not show of oxygen follows
from valences or from a formula. The sum is normalised to 1: without the beam's dose only ratios are known.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.emission_lines import atomic_number, split_family
from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.core.label_map import LabelMap, members_of
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.quantification.fitted_optic import FittedOptic
from napari_xrf.maps.quantification.net_counts import SEEN, NetCounts
from napari_xrf.maps.spectra.families import families_of
from napari_xrf.maps.spectra.setting import Setting
from napari_xrf.physics.detector.detector import with_resolution
from napari_xrf.physics.forward import expect_families
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.sensitivities import SMOOTH_ERROR, Sensitivities
from napari_xrf.physics.source import ElectronBeam, TubeSource
from napari_xrf.reference.formulas import mass_fractions
from napari_xrf.reference.materials import Material
from napari_xrf.reference.oxides import ATOMIC_WEIGHTS, oxygen_per_mass, valence_by_formula, valence_of

OXYGEN = ("auto", "stoichiometry", "measured", "difference", "none")
_DENIED = 2.0  # times more than another family allows: what one stands for is a neighbour's
_NONE_EXCITED = "the instrument excites none of these elements", "Check the excitation"
_ROUNDS, _CLOSE = 60, 5e-6
_FAINT = 1e-6  # of an element's strongest family: what air hides is no other family of it
_LEAST = 1e-7  # weight fraction of an element that is looked for and not seen
_UNSEEN = 9  # elements up to fluorine come from the formula of a class, where there is one
LIGHT_MATTER = mass_fractions("C6H10O5")  # organic; water and carbonate absorb alike
FILM_UM_PER_UG = 0.01  # thickness of 1 µg/cm² at a density of 1 g/cm³


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to get from counts to weights.

    Attributes
    ----------
    oxygen
        One of :data:`OXYGEN`. ``"auto"`` compares measured oxygen, or for X-ray sources the scattered
        background, with that of oxides and that of metals. ``"difference"`` is what the dose leaves to 100 %.
    valences
        Element → valence, in place of the usual one.
    sensitivities
        From standards, in place of the instrument's own.
    instrument
        In place of what the map says of its own; axis and resolution stay the map's.
    companions
        Of a class whose formula is known: grams of each element that no line shows, per mole of charge of the
        others; see :func:`companions_of`. They replace ``oxygen``.
    film
        Whether the sample is a thin film; its mass per area follows where a standard tells the dose.
    by_dose
        Whether weights are those that the dose gives, rather than normalised to 100 %. What oxides leave is
        taken for light matter, which absorbs little.
    volatile_free
        Whether the sample is known to hold no water, carbonate or organic matter, as glasses do: weights of
        oxides have no error for what no line shows.
    light
        Weight fraction that is taken for matter without lines, where weights are not by dose.
    fitted
        What the spectrum itself told of the lens, where ``instrument`` has it; see :mod:`.fitted_excitation`.
    """

    oxygen: str = "auto"
    valences: Mapping[str, float] = field(default_factory=dict)
    sensitivities: Sensitivities | None = None
    instrument: Instrument | None = None
    companions: Mapping[str, float] = field(default_factory=dict)
    film: bool = False
    by_dose: bool = False
    volatile_free: bool = False
    light: float = 0.0
    fitted: FittedOptic | None = None

    def __post_init__(self) -> None:
        check_name("oxygen", self.oxygen, OXYGEN)

    def instrument_of(self, known: CalibratedMap) -> Instrument:
        """Return the instrument that a map is quantified for."""
        own = known.instrument
        if self.instrument is not None:
            detector = with_resolution(self.instrument.detector, 1e3 * float(known.detector.fwhm(MN_KA_KEV)))
            own = replace(self.instrument, energy=known.energy, detector=detector)
        return own if self.sensitivities is None else replace(own, sensitivities=self.sensitivities)

    @property
    def leaves_rest(self) -> bool:
        """Whether what the dose leaves to 100 % is something: oxygen by difference, or light matter.

        Oxides stand in soils and rocks; metals in light matter would be an odd guess.
        """
        oxides = self.by_dose and self.oxygen == "stoichiometry"
        return not self.film and (oxides or self.oxygen == "difference")

    def bound(self, element: str) -> dict[str, float]:
        """Return the mass of each unseen element that a unit of mass of an element binds.

        Below 0 that of oxygen whose place a halogen takes.
        """
        if self.companions:
            moles = _charge_of(element, self.valences) / ATOMIC_WEIGHTS[element]
            return {name: grams * moles for name, grams in self.companions.items()}
        oxygen = oxygen_per_mass(element, self.valences) if self.oxygen == "stoichiometry" else 0.0
        return {"O": oxygen} if oxygen else {}


@dataclass(frozen=True, eq=False)
class Solution:
    """A composition and how it was reached."""

    fractions: dict[str, float]  # element → weight fraction, of a sum of 1; less rest
    rest: float  # weight fraction of light matter without lines, where dose or recipe tells it
    counts: Mapping[str, NetCounts]  # net counts by family
    families: Mapping[str, tuple[str, ...]]  # element → the families that decided, the weightiest first
    variances: Mapping[str, float]  # relative, of each family, by which those of an element are weighted
    expected: Mapping[str, float]  # counts by family per unit of dose
    # recipe, instrument: what it was made with
    recipe: Recipe
    instrument: Instrument
    scale: float  # measured over expected counts
    mass_per_area: float  # of a film, µg/cm²; NaN where the dose is not known
    converged: bool  # whether it settled

    @cached_property
    def bound(self) -> dict[str, dict[str, float]]:
        """Element that decides → what it binds; nothing where halogens balance all charge of the others."""
        if not self.recipe.companions and "O" not in self.fractions:
            return {element: {} for element in self.families}
        return {element: self.recipe.bound(element) for element in self.families}


def _charge_of(element: str, valences: Mapping[str, float]) -> float:
    return abs(valence_of(element, valences)) or 1.0


def smooth_error(instrument: Instrument, fitted: FittedOptic | None = None) -> float:
    """Return what families of like energies share of the model's error: of source, lens and window.

    Of a ``fitted`` lens the rest: its own errors come on top of it.
    """
    if isinstance(instrument.source, ElectronBeam):
        return SMOOTH_ERROR["electron"]
    if fitted is not None:
        return SMOOTH_ERROR["fitted"]
    if instrument.optic is not None:
        return SMOOTH_ERROR["lens"]
    return SMOOTH_ERROR["tube" if isinstance(instrument.source, TubeSource) else "other"]


def companions_of(formula: str, setting: Setting, valences: Mapping[str, float]) -> dict[str, float]:
    """Return what of a formula no line shows, in grams per mole of charge of the rest.

    ``formula``: of a mineral, ``"CaCO3"``. ``setting``: what the map was measured with. ``valences``: element
    → valence, in place of the usual one.
    """
    shown = (setting.energy, setting.low, setting.high, setting.highest_kev)
    masses = mass_fractions(formula)
    hidden = {e for e in masses if atomic_number(e) <= _UNSEEN or not families_of(e, *shown)}
    seen = [e for e in masses if e not in hidden]
    charge = sum(masses[e] / ATOMIC_WEIGHTS[e] * _charge_of(e, valences) for e in seen)
    return {e: masses[e] / charge for e in sorted(hidden)} if charge > 0 else {}


def recipe_of_class(recipe: Recipe, formula: str, setting: Setting) -> Recipe:
    """Return the recipe for a class of a formula: with what it holds unseen, or without oxygen."""
    valences = {**valence_by_formula(mass_fractions(formula)), **recipe.valences}
    companions = companions_of(formula, setting, valences)
    oxygen = recipe.oxygen if companions else "none"
    return replace(recipe, companions=companions, oxygen=oxygen, valences=valences)


def seen_elements(formula: str, recipe: Recipe) -> tuple[str, ...]:
    """Return the elements of a class that are there and show, whatever was looked for elsewhere."""
    return tuple(element for element in mass_fractions(formula) if element not in recipe.companions)


def formulas_of(labels: LabelMap) -> dict[str, str]:
    """Return class → formula of the classes of a label map that have one; of a group, the first."""
    found = {}
    for entry in labels.classes:
        formula = members_of(entry.formula)[0] if entry.formula else ""
        with suppress(InvalidInput):
            if formula and mass_fractions(formula):
                found[entry.name] = formula
    return found


def solve_composition(
    counts: Mapping[str, NetCounts],
    instrument: Instrument,
    recipe: Recipe,
    exposure: float | None = None,
    start: Mapping[str, float] | None = None,
) -> Solution:
    """Return the composition that net counts speak for.

    ``counts``: of each family of the elements to quantify. ``instrument``: what they were measured with.
    ``recipe``: its oxygen is decided: not ``"auto"``. ``exposure``: seconds, times the beam's current where
    it is known. ``start``: a composition that is near. Raises InvalidInput when the instrument excites none
    of the families, or a film was measured with electrons.
    """
    return _Solver(counts, instrument, recipe, exposure, start or {}).solve()


def without(solution: Solution, elements: Collection[str], normalised: bool = True) -> Solution:
    """Return a solution less elements that are there, with what they bind; its sum as before if normalised.

    Raises InvalidInput when nothing is left.
    """
    gone = {element for element in solution.families if element in elements}
    if not gone:
        return solution
    if gone == set(solution.families):
        raise InvalidInput(*_NONE_EXCITED)
    left = {element: value for element, value in solution.fractions.items() if element not in gone}
    for element in gone:
        for name, mass in solution.bound[element].items():
            if name in left:
                left[name] = max(left[name] - mass * solution.fractions[element], 0.0)
    over = sum(solution.fractions.values()) / sum(left.values()) if normalised else 1.0
    return replace(
        solution,
        fractions={element: over * value for element, value in left.items()},
        families={element: own for element, own in solution.families.items() if element not in gone},
    )


def expected_families(
    fractions: Mapping[str, float],
    instrument: Instrument,
    mass_per_area: float | None = None,
    rest: float = 0.0,
) -> dict[str, float]:
    """Return what the instrument is expected to count of each family of a composition, per unit of dose.

    ``mass_per_area`` of a film is in µg/cm²; without it the sample is infinitely thick. ``rest`` is the
    weight fraction of light matter beside the fractions.
    """
    material = Material("sample", completed(fractions, rest), 1.0)
    thickness = None if mass_per_area is None else FILM_UM_PER_UG * mass_per_area
    return expect_families(material, instrument, thickness_um=thickness)


def completed(fractions: Mapping[str, float], rest: float) -> dict[str, float]:
    """Return the weight fractions of all that is there, of a sum of 1, light matter among them."""
    whole = {element: value for element, value in fractions.items() if value > 0}
    if rest > 0:
        for element, part in LIGHT_MATTER.items():
            whole[element] = whole.get(element, 0.0) + rest * part
    total = sum(whole.values())
    return {element: value / total for element, value in whole.items()}


@dataclass(frozen=True, eq=False)
class _Solver:
    """Iterates composition against expected families."""

    counts: Mapping[str, NetCounts]
    instrument: Instrument
    recipe: Recipe
    exposure: float | None
    start: Mapping[str, float]

    def solve(self) -> Solution:
        recipe, quantified = self.recipe, self._quantified()
        guess = 1.0 / len(quantified)
        fractions = self._completed({e: self.start.get(e, guess) for e in quantified})
        film, rest = 1.0 if recipe.film else None, recipe.light
        dose, by_difference = self._dose_of_rest(), recipe.oxygen == "difference"
        families: dict[str, tuple[str, ...]] = {}
        converged = False
        expected: Mapping[str, float] = {}
        for _ in range(_ROUNDS):
            expected = expected_families(fractions, self.instrument, film, rest)
            families = {e: self._deciding(e, expected) for e in quantified}
            families = {e: chosen for e, chosen in families.items() if chosen}
            if not families:
                raise InvalidInput(*_NONE_EXCITED)
            raw = {e: max(fractions[e] * self._ratio(families[e], expected), 0.0) for e in families}
            total = sum(raw.values()) or 1.0
            updated = self._completed({e: max(value / total, _LEAST) for e, value in raw.items()})
            if dose is not None:
                bound = sum(value * (1 + sum(recipe.bound(e).values())) for e, value in raw.items()) / dose
                rest = max(1 - bound, 0.0)
            updated = {e: value * (1 - rest) for e, value in updated.items()}
            if by_difference:
                updated["O"], rest = rest, 0.0
            change = max(abs(updated[e] - fractions.get(e, 0.0)) for e in updated)
            if film is not None and (given := self._dose()):
                heavier = max(film * self._scale(families, expected) / given, 1e-6)
                change, film = max(change, abs(math.log(heavier / film))), heavier
            fractions = updated
            if change < _CLOSE:
                converged = True
                break
        return Solution(
            fractions,
            rest,
            self.counts,
            families,
            self._variances,
            expected,
            recipe,
            self.instrument,
            self._scale(families, expected),
            film if film is not None and self._dose() else math.nan,
            converged,
        )

    def _quantified(self) -> list[str]:
        """Return the elements whose weights follow from their lines."""
        elements, recipe = dict.fromkeys(split_family(family)[0] for family in self.counts), self.recipe
        quantified = [e for e in elements if e not in recipe.companions]
        if not recipe.companions and recipe.oxygen != "measured":
            quantified = [e for e in quantified if e != "O"]
        if recipe.film and isinstance(self.instrument.source, ElectronBeam):
            raise InvalidInput("films are quantified under X-rays only", "Do not take it for a film")
        if not quantified:
            raise InvalidInput(
                "oxygen alone cannot be quantified", "Name the other elements, or measure oxygen"
            )
        return quantified

    def _dose_of_rest(self) -> float | None:
        """Return the dose by which what has no lines is told; None where all is to sum to 1."""
        dose = self._dose() if self.recipe.leaves_rest else None
        if self.recipe.oxygen == "difference" and dose is None:
            raise InvalidInput(
                "oxygen by difference takes a standard, and the times of both spectra"
                if not self.recipe.film
                else "oxygen by difference is not for films",
                "Take it from valences, or state none",
            )
        return dose

    def _dose(self) -> float | None:
        """Units of dose that the exposure gave, where a standard told the throughput."""
        throughput = self.instrument.sensitivities.throughput
        return throughput * self.exposure if throughput and self.exposure else None

    def _scale(self, families: Mapping[str, tuple[str, ...]], expected: Mapping[str, float]) -> float:
        """Measured over expected counts, of the family of each element that decides most."""
        deciding = [own[0] for own in families.values()]
        made = sum(expected.get(family, 0.0) for family in deciding)
        return sum(self.counts[family].counts for family in deciding) / max(made, 1e-300)

    def _completed(self, raw: Mapping[str, float]) -> dict[str, float]:
        """Add what is bound, and normalise."""
        full = dict(raw)
        for element, value in raw.items():
            for name, mass in self.recipe.bound(element).items():
                full[name] = full.get(name, 0.0) + value * mass
        full = {element: value for element, value in full.items() if value > 0 or element in raw}
        total = sum(full.values())
        return {element: value / total for element, value in full.items()}

    def _deciding(self, element: str, expected: Mapping[str, float]) -> tuple[str, ...]:
        """Return the families that have a say, the weightiest first.

        Not those that another denies, which should show far more beside them than it does: Rb L is a part of
        Si K's flank where hardly any Rb K is seen.
        """
        own = [f for f in self.counts if split_family(f)[0] == element and expected.get(f, 0.0) > 0]
        own = [f for f in own if expected[f] > _FAINT * max(expected[each] for each in own)]
        seen = [f for f in own if self.counts[f].counts > SEEN * self.counts[f].error]
        seen = [f for f in seen if not any(self._denies(other, f, expected) for other in own)]
        best = sorted(own, key=lambda family: self.counts[family].error / expected[family])[:1]
        return tuple(sorted(seen or best, key=self._variances.__getitem__))

    def _denies(self, other: str, seen: str, expected: Mapping[str, float]) -> bool:
        """Whether a seen family stands for surely more than another allows: it contradicts it."""
        counted, net = self.counts[seen].counts, max(self.counts[other].counts, 0.0)
        part = _DENIED * expected[seen] / expected[other]
        own = counted * math.sqrt(self._variances[seen])
        of_other = part * max(net, self.counts[other].error) * math.sqrt(self._variances[other])
        return counted - part * net > SEEN * math.hypot(own, of_other)

    @cached_property
    def _variances(self) -> dict[str, float]:
        """Relative variances of the families: of counts, of the model, and of the source."""
        families = list(self.counts)
        excited = np.zeros(len(families))
        if self.recipe.fitted is not None:
            covariance = self.recipe.fitted.covariance_of(families)
            # Beside the mean of all, which normalising takes out.
            excited = np.diag(covariance) - 2 * covariance.mean(axis=1) + covariance.mean()
        return {
            family: self.counts[family].relative_error ** 2
            + self.instrument.sensitivities.error(family) ** 2
            + max(float(of_source), 0.0)
            for family, of_source in zip(families, excited, strict=True)
        }

    def _ratio(self, families: Sequence[str], expected: Mapping[str, float]) -> float:
        """Return measured over expected counts, the families weighted by what is known of them."""
        if len(families) == 1:
            return self.counts[families[0]].counts / expected[families[0]]
        weights = np.array([1 / self._variances[family] for family in families])
        logs = np.array([math.log(self.counts[f].counts / expected[f]) for f in families])
        return float(np.exp((weights * logs).sum() / weights.sum()))
