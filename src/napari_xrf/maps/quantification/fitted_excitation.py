"""What excites a sample, as its own spectrum tells it: the lens by scatter, air in the path by argon.

A peak at argon's energy is no proof of air: silver, sums of aluminium, and the tube's rhodium lie beside it.
In helium a leak shows often; a path that is said to be evacuated is left so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.quantification.composition import (
    Recipe,
    Solution,
    completed,
    expected_families,
    solve_composition,
)
from napari_xrf.maps.quantification.fitted_optic import FittedOptic, fit_optic_to_scatter
from napari_xrf.maps.quantification.net_counts import NetCounts, Shapes, net_counts
from napari_xrf.physics.attenuation import AIR, Layer, transmission
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.source import ElectronBeam, TubeSource

ARGON = "Ar K"
_BESIDE = "Ag"  # its L lines are 27 eV beside argon's
_SEEN, _SEEN_BESIDE = 10.0, 5.0  # standard errors from which argon tells of air: by itself, and beside silver
# Air over that of a path full of it, the path being guessed: helium leaks, a vacuum is there or is not.
_CREDIBLE = {"helium": (0.003, 1.5), "vacuum": (0.3, 3.0)}
_PASSING = 0.02  # of a line that is seen well: air that lets less of it through is none
_HARD_KEV = 20.0  # which all air lets through
_ROUNDS, _STANDARD_ROUNDS, _SETTLED, _EASED = 5, 3, 0.01, 0.6


@dataclass(frozen=True, eq=False)
class FittedExcitation:
    """A composition, and the instrument that its spectrum speaks for."""

    recipe: Recipe  # with that instrument
    solution: Solution  # the composition
    # Measured over expected scatter, both over the lines' counts; NaN where it was not fitted
    scatter_ratio: float
    notes: tuple[str, ...] = ()  # what is to be said of it


def fit_excitation(
    counts: Mapping[str, NetCounts], part: CalibratedMap, recipe: Recipe, exposure: float | None = None
) -> FittedExcitation:
    """Return the composition of a spectrum with the lens and the air in the path that it tells itself.

    Of a tube alone; a lens that standards told, or that was fitted before, is kept.

    ``counts``: of each family, argon's where it may tell of air. ``part``: the spectrum. ``recipe``: its
    oxygen is decided: not ``"auto"``. ``exposure``: seconds, times the beam's current where it is known.
    """
    instrument = first = recipe.instrument_of(part)
    ratio, own = math.nan, without_air(counts, first)
    solution = solve_composition(own, instrument, recipe, exposure)
    if not isinstance(instrument.source, TubeSource) or recipe.film:
        left_out = len(own) < len(counts) and _is_seen(counts[ARGON])
        notes = ("argon is taken for that of the air and left out",) if left_out else ()
        return FittedExcitation(recipe, solution, ratio, notes)
    known = instrument.sensitivities
    bends = recipe.fitted is None and not known.factors and known.throughput is None
    fitted: FittedOptic | None = recipe.fitted
    for _ in range(_ROUNDS):
        before, fractions = instrument, solution.fractions
        whole = completed(fractions, solution.rest)  # light matter scatters, too
        instrument, found = _told(instrument, first, whole, solution.scale, counts, part, bends)
        if found is not None:
            fitted, ratio = found, found.scatter_ratio
        if instrument == before:
            break
        told = replace(recipe, fitted=fitted)
        solution = solve_composition(own, instrument, told, exposure, fractions)
        if all(abs(part - fractions.get(e, 0.0)) < _SETTLED * part for e, part in solution.fractions.items()):
            break
    told = replace(recipe, instrument=instrument, fitted=fitted, sensitivities=None)
    return FittedExcitation(told, replace(solution, recipe=told), ratio, _said_of_air(instrument, counts))


def excitation_of_standard(
    instrument: Instrument,
    composition: Mapping[str, float],
    counts: Mapping[str, NetCounts],
    part: CalibratedMap,
    *,
    bends: bool,
) -> Instrument:
    """Return an instrument with the lens and the air that a sample of known composition tells.

    ``instrument``: as far as it is known; its lens is the one to start from. ``composition``: element →
    weight fraction, of any sum. ``bends``: whether the lens is fitted, or only the air.
    """
    if not isinstance(instrument.source, TubeSource):
        return instrument
    whole = sum(composition.values())
    fractions, first = {element: value / whole for element, value in composition.items()}, instrument
    for _ in range(_STANDARD_ROUNDS):
        expected = expected_families(fractions, instrument)
        seen = [f for f, net in counts.items() if expected.get(f, 0.0) > 0 and net.counts > 3 * net.error]
        made = sum(expected[family] for family in seen)
        if made <= 0:
            break
        scale = sum(counts[family].counts for family in seen) / made
        instrument = _told(instrument, first, fractions, scale, counts, part, bends)[0]
    return instrument


def _told(
    instrument: Instrument,
    first: Instrument,
    fractions: Mapping[str, float],
    scale: float,
    counts: Mapping[str, NetCounts],
    part: CalibratedMap,
    bends: bool,
) -> tuple[Instrument, FittedOptic | None]:
    """Return an instrument with its air and, if asked, its lens, bent from the first one's, and that fit."""
    instrument = with_air(instrument, counts, scale, part.cube.excitation.atmosphere)
    if not bends:
        return instrument, None
    strangers = tuple(
        f for f, net in counts.items() if f.split()[0] not in fractions and net.counts > 3 * net.error
    )
    before, bent = replace(instrument, optic=first.optic), instrument.optic
    found = fit_optic_to_scatter(before, fractions, part, scale, strangers, bent)
    if found is None:
        return instrument, None
    optic = found.optic
    if bent is not None and bent != first.optic:  # composition and lens overshoot each other
        logs = [np.log(each.at(np.array(optic.energies_kev))) for each in (bent, optic)]
        eased = np.exp((1 - _EASED) * logs[0] + _EASED * logs[1])
        optic = replace(optic, transmission=tuple(eased))
    return replace(instrument, optic=optic), found


def counts_with_argon(
    part: CalibratedMap, elements: Sequence[str], shapes: Shapes | None = None
) -> dict[str, NetCounts]:
    """Return the net counts of elements and, under X-rays, of argon where enough shows to tell of air.

    What silver would explain as well is not counted as argon, and no column of argon's takes from others.
    """
    tube = isinstance(part.instrument.source, TubeSource)
    if tube and not {"Ar", _BESIDE} & set(elements):
        counts = net_counts(part, (*elements, "Ar"), shapes)
        beside = net_counts(part, (*elements, "Ar", _BESIDE), shapes)
        if ARGON in beside and _is_seen(counts[ARGON], _SEEN) and _is_seen(beside[ARGON]):
            return {**counts, ARGON: beside[ARGON]}
    return net_counts(part, elements, shapes)


def without_air(counts: Mapping[str, NetCounts], instrument: Instrument) -> dict[str, NetCounts]:
    """Return the counts without argon's under X-rays, unless argon is all there is: it is of the air."""
    if isinstance(instrument.source, ElectronBeam):
        return dict(counts)
    return {family: net for family, net in counts.items() if family != ARGON} or dict(counts)


def with_air(
    instrument: Instrument, counts: Mapping[str, NetCounts], scale: float, stated: str | None = None
) -> Instrument:
    """Return an instrument with the air that argon's counts show between optic, sample and detector.

    The detector is taken to see argon along the whole way of the beam through the atmosphere. No air is
    taken where the file states a vacuum, or where as much would hide a line that is seen well.

    ``scale``: measured counts over those expected per unit of dose. ``stated``: the atmosphere that the file
    names.
    """
    net = counts.get(ARGON)
    path_cm = instrument.path_cm[0]
    if instrument.atmosphere not in _CREDIBLE or path_cm <= 0 or net is None:
        return instrument
    none = replace(instrument, air_part=0.0)
    if stated == "vacuum" or not _is_seen(net):
        return none
    film = expected_families({"Ar": 1.0}, none, mass_per_area=1.0).get(ARGON, 0.0)
    if film <= 0:
        return none
    seen = 1e-6 * net.counts / (scale * film) / math.sin(math.radians(instrument.incidence_deg))
    part = seen / (AIR.mass_fractions["Ar"] * AIR.density * path_cm)
    least, most = _CREDIBLE[instrument.atmosphere]
    passing = transmission([Layer(AIR, 1e4 * part * sum(instrument.path_cm))], [_softest(counts)])[0]
    return replace(instrument, air_part=part) if least < part < most and passing > _PASSING else none


def _is_seen(net: NetCounts, errors: float = _SEEN_BESIDE) -> bool:
    return net.counts > errors * net.error


def _softest(counts: Mapping[str, NetCounts]) -> float:
    """Return the lowest energy, keV, of a line that is seen well."""
    lines = [main_line(*split_family(family)) for family, net in counts.items() if _is_seen(net, _SEEN)]
    return min((line.energy for line in lines if line), default=_HARD_KEV)


def _said_of_air(instrument: Instrument, counts: Mapping[str, NetCounts]) -> tuple[str, ...]:
    argon = counts.get(ARGON)
    if instrument.air_part > 0:
        return (
            f"argon shows {100 * instrument.air_part:.2g} % of air in the path; light elements are corrected"
            " for it",
        )
    if argon is None or not _is_seen(argon) or instrument.atmosphere == "air":
        return ()
    return (
        f"a peak at argon's energy is not taken for air in the {instrument.atmosphere}; if it is, state the"
        " atmosphere",
    )
