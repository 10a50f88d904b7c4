"""Weight percent from net counts: standardless fundamental parameters, with our own forward model.

The composition is varied until the families that the model expects stand in the ratios that were measured;
matrix absorption and enhancement (photons) or stopping, backscattering and depth (electrons) are those of
:mod:`napari_xrf.physics.forward`. What a spectrum does not show of oxygen follows from valences. The sum is
normalised to 100 %: without the beam's dose only ratios are known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map
from napari_xrf.maps.candidates import column_of
from napari_xrf.maps.element_mapping import map_elements
from napari_xrf.maps.families import families_of
from napari_xrf.maps.sensitivities import Sensitivities
from napari_xrf.physics.forward import ExpectedSpectrum, expect_spectrum
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.materials import Material
from napari_xrf.reference.oxides import ATOMIC_WEIGHTS, oxide_of, oxygen_per_mass

OXYGEN = ("auto", "stoichiometry", "measured", "none")
_ROUNDS, _CLOSE = 60, 1e-6
_SEEN = 3.0  # standard errors from which a family has a say
_LEAST = 1e-7  # weight fraction of an element that is looked for and not seen
_DETECTION = 3.0  # standard deviations of the background
_OXIDE_SHARE, _METAL_SHARE = 0.45, 0.15  # measured oxygen over that of oxides
_FREE_OF_LINES = 0.05  # share of lines in channels that tell scatter
_SCATTER_FROM_KEV = 2.0
_SCATTER_RATIO = 3.0  # beyond it neither hypothesis explains the scatter


@dataclass(frozen=True)
class Quantity:
    """How much of an element there is.

    Attributes
    ----------
    element
        Symbol.
    weight_fraction
        0 to 1, of a sum normalised to 1.
    counting_error, standard_error
        One standard deviation of it: from counts alone, and with the model's own error.
    detection_limit
        Weight fraction whose counts are 3 σ of the background under the family; NaN for oxygen that follows
        from valences.
    family
        The line family that decides most; ``"by stoichiometry"`` where none does.
    net_counts
        Of that family.
    atom_fraction
        Of all atoms.
    oxide, oxide_fraction
        ``"SiO2"`` and its weight fraction; empty and NaN where there is no oxygen.
    """

    element: str
    weight_fraction: float
    counting_error: float
    standard_error: float
    detection_limit: float
    family: str
    net_counts: float
    atom_fraction: float
    oxide: str = ""
    oxide_fraction: float = math.nan


@dataclass(frozen=True, eq=False)
class Quantities:
    """The composition of a spectrum.

    Attributes
    ----------
    region
        What it is the composition of.
    entries
        By rising atomic number.
    oxygen
        How oxygen was found: ``"stoichiometry"``, ``"measured"`` or ``"none"``.
    notes
        What the user should know, one sentence each.
    """

    region: str
    entries: tuple[Quantity, ...]
    oxygen: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, element: str) -> Quantity:
        for entry in self.entries:
            if entry.element == element:
                return entry
        raise KeyError(
            f"no {element} in {self.region}; there are {', '.join(e.element for e in self.entries)}"
        )

    def __repr__(self) -> str:
        told = ", ".join(
            f"{entry.element} {100 * entry.weight_fraction:.3g} ± {100 * entry.standard_error:.2g} %"
            for entry in sorted(self.entries, key=lambda entry: -entry.weight_fraction)
        )
        return f"<Quantities of {self.region}: {told}>"

    @property
    def composition(self) -> dict[str, float]:
        """Element → weight fraction, those that are there."""
        return {entry.element: entry.weight_fraction for entry in self.entries if entry.weight_fraction > 0}


@dataclass(frozen=True)
class NetCounts:
    """Counts of one family in a spectrum.

    Attributes
    ----------
    counts, error
        Net counts and one standard deviation.
    limit
        Counts that are 3 σ of the background under its main line.
    """

    counts: float
    error: float
    limit: float

    @property
    def relative_error(self) -> float:
        """The error over the counts; 1 at most, where nothing is seen."""
        return self.error / max(self.counts, self.error, 1e-9)


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to get from counts to weights.

    Attributes
    ----------
    oxygen
        One of :data:`OXYGEN`. ``"auto"`` compares measured oxygen, or for X-ray sources the scattered
        background, with that of oxides and that of metals.
    valences
        Element → valence, in place of the usual one.
    sensitivities
        From standards, or none.
    instrument
        In place of what the map says of its own; axis and resolution stay the map's.
    """

    oxygen: str = "auto"
    valences: Mapping[str, float] = field(default_factory=dict)
    sensitivities: Sensitivities = field(default_factory=Sensitivities)
    instrument: Instrument | None = None

    def __post_init__(self) -> None:
        if self.oxygen not in OXYGEN:
            raise InvalidInput(f"there is no oxygen {self.oxygen!r}", f"Choose from {', '.join(OXYGEN)}")

    def instrument_of(self, known: CalibratedMap) -> Instrument:
        """Return the instrument that a map is quantified for."""
        return known.instrument if self.instrument is None else replace(self.instrument, energy=known.energy)


def quantify(
    measured: Measured,
    elements: Sequence[str] | None = None,
    *,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    recipe: Recipe | None = None,
    progress: Progress = ignore_progress,
) -> tuple[Quantities, ...]:
    """Return the composition of a map, or of each region of it.

    Parameters
    ----------
    measured
        A map or spectrum.
    elements
        Symbols; None takes those found.
    regions
        Name → mask (Y, X); None takes the whole map.
    recipe
        Oxygen, valences and standards; the usual ones by default.

    Raises
    ------
    InvalidInput
        When no element is found or given, a region is empty, or the map holds no counts.
    """
    known = calibrate_map(measured, progress=progress).checked()
    chosen = recipe or Recipe()
    wanted = tuple(elements) if elements is not None else tuple(entry.element for entry in known.elements)
    if not wanted:
        raise InvalidInput("no element was found to quantify", "Name the elements")
    areas = regions or {known.cube.name: np.ones(known.cube.map_shape, dtype=bool)}
    found = []
    for done, (name, mask) in enumerate(areas.items()):
        progress(done, len(areas), "quantifying")
        part = region_of(known, mask, name)
        counts = net_counts(part, wanted, progress)
        found.append(quantify_counts(counts, part, chosen))
    progress(len(areas), len(areas), "quantifying")
    return tuple(found)


def region_of(known: CalibratedMap, mask: NDArray[np.bool_], name: str) -> CalibratedMap:
    """Return a region's summed spectrum as a calibrated map of one pixel.

    Raises
    ------
    InvalidInput
        When it holds no counts.
    """
    spectrum = known.cube.region_spectrum(mask)
    cube = replace(
        known.cube, counts=spectrum[None, None], name=name, pixel_size=None, live_time=None, images=()
    )
    return replace(known, cube=cube, sum_spectrum=spectrum.astype(np.float64)).checked()


def net_counts(
    part: CalibratedMap, elements: Sequence[str], progress: Progress = ignore_progress
) -> dict[str, NetCounts]:
    """Return the net counts of the families of elements in a spectrum, by family."""
    maps = map_elements(part, elements, progress=progress)
    return {
        family: NetCounts(
            float(maps.counts[k].sum(dtype=np.float64)),
            float(maps.standard_errors[k].max()),
            _limit(family, float(maps.counts[k].sum(dtype=np.float64)), part),
        )
        for k, family in enumerate(maps.families)
    }


def standard_counts(
    measured: Measured, composition: Mapping[str, float], recipe: Recipe, progress: Progress = ignore_progress
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Return net counts, their errors and the expected intensities of the families of a standard.

    Parameters
    ----------
    composition
        Element → weight fraction, of any sum.

    Raises
    ------
    InvalidInput
        When none of its elements has lines that the spectrum can show.
    """
    known = calibrate_map(measured, progress=progress).checked()
    part = region_of(known, np.ones(known.cube.map_shape, dtype=bool), known.cube.name)
    setting = part.setting
    shown = (setting.energy, setting.low, setting.high, setting.highest_kev)
    visible = tuple(element for element in composition if families_of(element, *shown))
    counts = net_counts(part, visible, progress)
    expected = expected_families(composition, recipe.instrument_of(part), recipe)
    return (
        {family: net.counts for family, net in counts.items()},
        {family: net.error for family, net in counts.items()},
        expected,
    )


def quantify_counts(counts: Mapping[str, NetCounts], part: CalibratedMap, recipe: Recipe) -> Quantities:
    """Return the composition whose expected families stand in the ratios of net counts.

    Parameters
    ----------
    counts
        Of each family of the elements to quantify.
    part
        The spectrum they were fitted to, and what it was measured with.

    Raises
    ------
    InvalidInput
        When the instrument excites none of the families.
    """
    notes = [part.doubt] if part.doubt else []
    if part.cube.excitation.kind is None and recipe.instrument is None:
        electrons = isinstance(part.instrument.source, ElectronBeam)
        likely = "an electron beam" if electrons else "the tube of a usual instrument"
        notes.append(f"the file does not name its excitation; taken is {likely}")
    oxygen, told = _choose_oxygen(counts, part, recipe)
    notes += told
    solved = _Solver(counts, recipe.instrument_of(part), replace(recipe, oxygen=oxygen)).solve()
    if not solved.converged:
        notes.append("the composition did not settle; take it as a rough one")
    return Quantities(part.cube.name, solved.entries(), oxygen, tuple(notes))


def expected_families(
    fractions: Mapping[str, float], instrument: Instrument, recipe: Recipe
) -> dict[str, float]:
    """Return what the instrument is expected to count of each family of a composition, per unit of dose."""
    total = sum(fractions.values())
    material = Material("sample", {e: value / total for e, value in fractions.items() if value > 0})
    families = expect_spectrum(material, instrument).families
    return {name: value * recipe.sensitivities.factor(name) for name, value in families.items()}


@dataclass(frozen=True, eq=False)
class _Solution:
    fractions: dict[str, float]
    counts: Mapping[str, NetCounts]
    families: Mapping[str, tuple[str, ...]]
    expected: Mapping[str, float]
    recipe: Recipe
    converged: bool

    def entries(self) -> tuple[Quantity, ...]:
        """Return the quantities with their errors, by rising atomic number."""
        relative = {element: self._relative_errors(element) for element in self.families}
        # An element brings its oxygen along: what is normalised is the oxide.
        shares = {e: self.fractions[e] * (1 + self._oxygen_of(e)) for e in self.families}
        atoms = {e: value / ATOMIC_WEIGHTS[e] for e, value in self.fractions.items()}
        found = []
        for element in sorted(self.fractions, key=lambda e: ATOMIC_WEIGHTS[e]):
            value = self.fractions[element]
            counting, total = (self._normalised(element, shares, relative, kind) for kind in (0, 1))
            name, factor = oxide_of(element, self.recipe.valences)
            oxidised = self.recipe.oxygen == "stoichiometry" and name
            family = self.families.get(element, ("by stoichiometry",))[0]
            net = self.counts.get(family)
            found.append(
                Quantity(
                    element,
                    value,
                    value * counting,
                    value * total,
                    self._limit(element, family),
                    family,
                    net.counts if net else 0.0,
                    atoms[element] / sum(atoms.values()),
                    name if oxidised else "",
                    value * factor if oxidised else math.nan,
                )
            )
        return tuple(found)

    def _oxygen_of(self, element: str) -> float:
        if self.recipe.oxygen != "stoichiometry":
            return 0.0
        return oxygen_per_mass(element, self.recipe.valences)

    def _relative_errors(self, element: str) -> tuple[float, float]:
        weights, counting = [], []
        for family in self.families[element]:
            own = self.counts[family].relative_error
            weights.append(own**2 + self.recipe.sensitivities.error(family) ** 2)
            counting.append(own)
        share = 1 / np.array(weights) / np.sum(1 / np.array(weights))
        return float(np.sqrt(np.sum((share * counting) ** 2))), float(
            np.sqrt(1 / np.sum(1 / np.array(weights)))
        )

    def _normalised(
        self,
        element: str,
        shares: Mapping[str, float],
        relative: Mapping[str, tuple[float, float]],
        kind: int,
    ) -> float:
        """Return the relative error after normalising, from independent errors of all elements."""
        variance = 0.0
        for other, share in shares.items():
            if element in relative:
                weight = (1.0 if other == element else 0.0) - share
            else:  # oxygen that follows the others
                weight = (
                    share
                    * (self._oxygen_of(other) / (1 + self._oxygen_of(other)))
                    / max(self.fractions[element], 1e-12)
                    - share
                )
            variance += (weight * relative[other][kind]) ** 2
        return math.sqrt(variance)

    def _limit(self, element: str, family: str) -> float:
        net, expected = self.counts.get(family), self.expected.get(family, 0.0)
        if net is None or expected <= 0:
            return math.nan
        seen = [
            f
            for f in self.counts
            if self.counts[f].counts > _SEEN * self.counts[f].error and self.expected.get(f)
        ]
        scale = sum(self.counts[f].counts for f in seen) / max(sum(self.expected[f] for f in seen), 1e-300)
        return net.limit / max(scale * expected, 1e-300) * max(self.fractions[element], _LEAST)


@dataclass(frozen=True, eq=False)
class _Solver:
    """Iterates composition against expected families."""

    counts: Mapping[str, NetCounts]
    instrument: Instrument
    recipe: Recipe

    def solve(self) -> _Solution:
        elements = tuple(dict.fromkeys(split_family(family)[0] for family in self.counts))
        quantified = [e for e in elements if not (e == "O" and self.recipe.oxygen != "measured")]
        if not quantified:
            raise InvalidInput(
                "oxygen alone cannot be quantified", "Name the other elements, or measure oxygen"
            )
        fractions = self._completed(dict.fromkeys(quantified, 1.0))
        families: dict[str, tuple[str, ...]] = {}
        converged = False
        expected: Mapping[str, float] = {}
        for _ in range(_ROUNDS):
            expected = expected_families(fractions, self.instrument, self.recipe)
            families = {e: self._deciding(e, expected) for e in quantified}
            families = {e: chosen for e, chosen in families.items() if chosen}
            if not families:
                raise InvalidInput("the instrument excites none of these elements", "Check the excitation")
            raw = {e: max(fractions[e] * self._ratio(families[e], expected), 0.0) for e in families}
            scale = sum(raw.values()) or 1.0
            updated = self._completed({e: max(value / scale, _LEAST) for e, value in raw.items()})
            change = max(abs(updated[e] - fractions.get(e, 0.0)) for e in updated)
            fractions = updated
            if change < _CLOSE:
                converged = True
                break
        return _Solution(fractions, self.counts, families, expected, self.recipe, converged)

    def _completed(self, raw: Mapping[str, float]) -> dict[str, float]:
        """Add oxygen, and normalise."""
        full = dict(raw)
        if self.recipe.oxygen == "stoichiometry":
            oxygen = sum(value * oxygen_per_mass(e, self.recipe.valences) for e, value in raw.items())
            if oxygen > 0:
                full["O"] = oxygen
        total = sum(full.values())
        return {element: value / total for element, value in full.items()}

    def _deciding(self, element: str, expected: Mapping[str, float]) -> tuple[str, ...]:
        """Return the families that have a say, the weightiest first."""
        own = [f for f in self.counts if split_family(f)[0] == element and expected.get(f, 0.0) > 0]
        seen = [f for f in own if self.counts[f].counts > _SEEN * self.counts[f].error]
        return tuple(sorted(seen or own[:1], key=self._variance))

    def _variance(self, family: str) -> float:
        return self.counts[family].relative_error ** 2 + self.recipe.sensitivities.error(family) ** 2

    def _ratio(self, families: Sequence[str], expected: Mapping[str, float]) -> float:
        """Return measured over expected counts, the families weighted by what is known of them."""
        if len(families) == 1:
            return self.counts[families[0]].counts / expected[families[0]]
        weights = np.array([1 / self._variance(family) for family in families])
        logs = np.array([math.log(self.counts[f].counts / expected[f]) for f in families])
        return float(np.exp((weights * logs).sum() / weights.sum()))


def _choose_oxygen(
    counts: Mapping[str, NetCounts], part: CalibratedMap, recipe: Recipe
) -> tuple[str, list[str]]:
    """Return how oxygen is found, and what is to be said of it."""
    line = counts.get("O K")
    if recipe.oxygen == "measured" and line is None:
        raise InvalidInput("oxygen is not among the elements", "Name O, or choose another way for oxygen")
    if recipe.oxygen != "auto":
        return recipe.oxygen, []
    with_oxygen, without = (
        _Solver(counts, recipe.instrument_of(part), replace(recipe, oxygen=kind))
        for kind in ("stoichiometry", "none")
    )
    oxides = with_oxygen.solve().fractions
    if isinstance(recipe.instrument_of(part).source, ElectronBeam):
        if line is None:
            return "none", ["oxygen was not found, so none is counted; say so if the sample is an oxide"]
        measured = (
            _Solver(counts, recipe.instrument_of(part), replace(recipe, oxygen="measured"))
            .solve()
            .fractions["O"]
        )
        share = measured / max(oxides.get("O", 0.0), 1e-9)
        if share > _OXIDE_SHARE:
            return "stoichiometry", []
        return ("none", []) if share < _METAL_SHARE else ("measured", [])
    return _oxygen_by_scatter(part, recipe.instrument_of(part), oxides, without.solve().fractions)


def _oxygen_by_scatter(
    part: CalibratedMap, instrument: Instrument, oxides: Mapping[str, float], metals: Mapping[str, float]
) -> tuple[str, list[str]]:
    """Choose between oxides and none by the scattered background: light matter scatters more."""
    apart = []
    for fractions in (oxides, metals):
        material = Material("hypothesis", {e: value for e, value in fractions.items() if value > 0})
        apart.append(abs(math.log(_scatter_ratio(expect_spectrum(material, instrument), part))))
    chosen = "stoichiometry" if apart[0] <= apart[1] else "none"
    if min(apart) < math.log(_SCATTER_RATIO):
        kind = "oxides" if chosen == "stoichiometry" else "no oxygen"
        return chosen, [f"oxygen is not seen; the scattered background suggests {kind}"]
    return "stoichiometry", [
        "oxygen is not seen, and the background does not tell; oxides are assumed. Say so if there are none"
    ]


def _scatter_ratio(expected: ExpectedSpectrum, part: CalibratedMap) -> float:
    """Return measured over expected scatter where no lines lie, both over the lines' counts."""
    measured = part.sum_spectrum
    lines = expected.counts - expected.scatter - expected.continuum
    energies = part.energy.energies
    inside = (energies > _SCATTER_FROM_KEV) & (energies < part.setting.high)
    free = inside & (lines < _FREE_OF_LINES * expected.counts)
    peaks = inside & (lines > (1 - _FREE_OF_LINES) * expected.counts)
    if not free.any() or not peaks.any():
        return 1.0
    scale = measured[peaks].sum() / max(expected.counts[peaks].sum(), 1e-300)
    return float(max(measured[free].sum(), 1.0) / max(scale * expected.counts[free].sum(), 1e-300))


def _limit(family: str, counts: float, part: CalibratedMap) -> float:
    """Return the counts of a family that are 3 σ of the background within ±1 FWHM of its main line."""
    line = main_line(*split_family(family))
    if line is None:
        return math.nan
    half = float(part.detector.fwhm(line.energy))
    window = part.energy.window(line.energy - half, line.energy + half)
    shape = column_of(family, part.setting)
    inside = float(shape[window].sum() / max(shape.sum(), 1e-300))
    if inside <= 0:
        return math.nan
    background = max(float(part.sum_spectrum[window].sum()) - counts * inside, 1.0)
    return _DETECTION * math.sqrt(background) / inside
