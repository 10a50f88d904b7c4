"""Weight percent in every pixel: the model's response is expanded around a few compositions of the map.

Fundamental parameters are computed for the summed counts of groups of like pixels; in a group the logarithm
of each element's sensitivity is linear in the composition, with slopes from small changes of it. A pixel then
iterates as :mod:`napari_xrf.maps.quantification.composition` does, all pixels at once. Pixels of a class
whose formula is known are a group of their own, with what that formula holds unseen. Where weights are those
of the dose they are not normalised, and a film's pixels have their own thickness: each family is absorbed in
it as at one energy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import split_family
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.pixels.element_mapping import ElementPlan, plan_fit
from napari_xrf.maps.quantification.composition import (
    Recipe,
    expected_families,
    recipe_of_class,
    seen_elements,
)
from napari_xrf.maps.quantification.net_counts import SEEN, continuum_of, region_of
from napari_xrf.maps.quantification.quantities import Quantities
from napari_xrf.maps.quantification.weight_percent import elements_of, quantify_region
from napari_xrf.physics.instrument import Instrument

_GROUPS = 8
_MOST_SAMPLED = 20_000  # pixels that decide the groups
_STEP = 0.02  # weight fraction by which a composition is changed to find slopes
_ROUNDS = 12
_LEAST_PIXELS = 5
_CORRECTIONS = (0.5, 2.0)
_LARGEST_LOG = 1.5  # of a sensitivity's change: beyond it the expansion says nothing
_MOST_ABSORBED = 5.0  # depth over that of absorption, up to which a film's counts tell its thickness
_THIN = 0.01  # of a film, in which nothing is absorbed
MASSES = "µg/cm²"  # the unit of maps of films

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class QuantityPlan:
    """What all pixels of a map share when they are quantified: any rows of it give the same maps."""

    fit: ElementPlan  # how net counts are found
    families: tuple[str, ...]  # K of its families, one for each element
    corrections: Floats  # (K,) by which counts of the pixels' fit fall short of those of the sum spectrum
    unseen: tuple[str, ...]  # M elements that follow from others
    centres: Floats  # (G, K) square roots of the shares of counts in groups of like pixels
    responses: tuple[LocalSensitivity, ...]  # of each group, then of each class with a formula
    # (Y, X) number of the response where a pixel belongs to such a class, −1 elsewhere
    classes: NDArray[np.int16]
    doses: Floats | None = None  # (Y, X) in units of the model, where weights are those of the dose
    of_film: bool = False  # whether maps are then of masses per area
    by_difference: bool = False  # whether oxygen is what is left to 100 %
    left_out: tuple[str, ...] = ()  # elements of families that show and are not named: they have no map

    def map(
        self, cube: SpectralCube, progress: Progress = ignore_progress, first_row: int = 0
    ) -> ElementMaps:
        """Return weight percent and counting errors of the pixels of a cube, or of its rows from one on.

        Maps are named by element; NaN where a pixel shows nothing. Oxygen that follows from valences is one,
        and so is what follows from the formulas of classes. Of a film whose dose is known they are of µg/cm².
        """
        counts, errors = self.net_counts(cube, progress)
        groups = self._groups_of(counts)
        rows = slice(first_row, first_row + cube.map_shape[0])
        own = self.classes[rows].ravel()
        doses = np.full(len(counts), np.nan) if self.doses is None else self.doses[rows].ravel()
        groups = np.where((groups >= 0) & (own >= 0), own, groups)
        size = len(counts), len(self.families) + len(self.unseen)
        fractions, spread = np.full(size, np.nan), np.full(size, np.nan)
        for number, response in enumerate(self.responses):
            inside = groups == number
            told = None if self.doses is None else doses[inside]
            fractions[inside], spread[inside] = response.quantified(counts[inside], errors[inside], told)
            progress(number + 1, len(self.responses), "quantifying pixels")
        if self.by_difference:
            seen = slice(len(self.families))
            fractions = np.column_stack([fractions, np.clip(1 - _sums(fractions[:, seen]), 0.0, None)])
            spread = np.column_stack([spread, np.sqrt(_sums(spread[:, seen] ** 2))])
        return self._as_maps(cube, fractions, spread)

    def net_counts(self, cube: SpectralCube, progress: Progress = ignore_progress) -> tuple[Floats, Floats]:
        """Return the net counts and their errors, (N, K) each, of the pixels."""
        maps = self.fit.map(cube, progress)
        index = [maps.families.index(family) for family in self.families]
        counts, errors = (
            self.corrections * np.moveaxis(values[index].astype(np.float64), 0, -1).reshape(-1, len(index))
            for values in (maps.counts, maps.standard_errors)
        )
        return counts, errors

    def _groups_of(self, counts: Floats) -> NDArray[np.intp]:
        """Return the group of each pixel, −1 where a pixel shows nothing."""
        shown, shares = _shares_of(counts)
        groups = np.full(len(counts), -1, dtype=np.intp)
        nearest, least = np.zeros(len(shares), dtype=np.intp), np.full(len(shares), np.inf)
        for number, centre in enumerate(self.centres):
            distance = _sums((shares - centre) ** 2)
            closer = distance < least
            nearest[closer], least[closer] = number, distance[closer]
        groups[shown] = nearest
        return groups

    def _as_maps(self, cube: SpectralCube, fractions: Floats, errors: Floats) -> ElementMaps:
        rows, columns = cube.map_shape
        oxygen = ("O",) if self.by_difference else ()
        every = (*(split_family(family)[0] for family in self.families), *self.unseen, *oxygen)
        masses = self.of_film and self.doses is not None
        told = ("mass per area", MASSES) if masses else ("weight percent", "weight %")
        scale = 1.0 if masses else 100.0
        names = tuple(name for name in dict.fromkeys(every) if name not in self.left_out)
        # Oxygen may have a line in one class, and follow from the formula in another.
        of = np.array([[name == other for other in every] for name in names])
        maps, deviations = (
            np.array([scale * sums(values[:, own]) for own in of])
            for values, sums in ((fractions, _sums), (errors, lambda part: np.sqrt(_sums(part**2))))
        )
        maps, deviations = (
            np.ascontiguousarray(values.reshape(-1, rows, columns), dtype=np.float32)
            for values in (maps, deviations)
        )
        return ElementMaps(names, maps, deviations, told[0], cube.pixel_size, cube.name, told[1])


def plan_quantities(
    known: CalibratedMap,
    elements: Sequence[str] | None = None,
    *,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    formulas: Mapping[str, str] | None = None,
    recipe: Recipe | None = None,
    whole: Quantities | None = None,
    progress: Progress = ignore_progress,
) -> QuantityPlan:
    """Learn from a map, and from some thousands of its pixels, what the maps of its elements need.

    ``known``: a map whose axis is known. ``elements``: symbols; None takes those found. ``regions``,
    ``formulas``, ``recipe``: as for :func:`~napari_xrf.maps.quantification.weight_percent.quantify`; regions
    without a formula are as the rest. ``whole``: the composition of the whole map, where it is known already.

    Raises
    ------
    InvalidInput
        When no element is found or given, or the map holds no counts.
    """
    given = recipe or Recipe()
    part = region_of(known, np.ones(known.cube.map_shape, dtype=bool), known.cube.name)
    # Classes, and recipes of those that have a formula.
    classes, recipes = regions or {}, {}
    wanted, beside, _ = elements_of(known, elements, given)
    for name in (name for name in classes if name in (formulas or {})):
        formula = (formulas or {})[name]
        recipes[name] = recipe_of_class(given, formula, known.setting)
        wanted = tuple(dict.fromkeys((*wanted, *seen_elements(formula, recipes[name]))))
    total = whole or quantify_region(part, wanted, given, beside)
    continuum = continuum_of(total.composition, part, given.instrument_of(part))
    chosen = replace(
        given, oxygen=total.oxygen, instrument=total.instrument, sensitivities=None, light=total.light
    )
    # Families that another of their element hides would take from others in pixels too.
    deciding = {entry.family for entry in total.entries} | {*total.left_out}
    measured = tuple(
        one.family for one in total.residuals if one.family in deciding or one.counts > SEEN * one.error
    )
    rows, columns = known.cube.map_shape
    fit = plan_fit(measured, known.sum_spectrum, known.setting, rows * columns, continuum)
    every = (*(entry.family for entry in total.entries), *total.left_out)
    families = tuple(family for family in every if family in fit.families)
    left_out = tuple(split_family(family)[0] for family in total.left_out)
    named = np.array([split_family(family)[0] not in left_out for family in families])
    unseen = tuple(sorted({"O", *(name for one in recipes.values() for name in one.companions)}))
    none, numbers = np.zeros((0, len(families))), np.full((rows, columns), -1, dtype=np.int16)
    doses = _doses_of(known.cube, chosen.instrument_of(known), chosen)
    told = doses, chosen.film, chosen.oxygen == "difference", left_out
    plan = QuantityPlan(fit, families, np.ones(len(families)), unseen, none, (), numbers, *told)
    net = {residual.family: residual.counts for residual in total.residuals}
    plain = plan.net_counts(part.cube)[0][0]
    over = np.array([net[family] for family in families]) / np.maximum(plain, 1.0)
    plan = replace(plan, corrections=np.where(plain > 1, np.clip(over, *_CORRECTIONS), 1.0))
    centres, learnt = _groups_learnt(plan, known, chosen, progress)
    for name, of_class in recipes.items():
        numbers[classes[name]] = len(learnt)
        summed = plan.net_counts(region_of(known, classes[name], name).cube)[0][0]
        own = replace(
            chosen,
            oxygen=of_class.oxygen,
            companions=of_class.companions,
            valences=of_class.valences,
            light=0.0,
        )
        learnt.append((own, summed, _dose_of(doses, classes[name])))
    responses = []
    for number, (each, summed, dose) in enumerate(learnt):
        progress(number, len(learnt), "quantifying groups")
        response = _respond(known, families, unseen, summed, each, dose)
        responses.append(response if named.all() else replace(response, named=named))
    return _without_unbound(replace(plan, centres=centres, responses=tuple(responses)))


def _without_unbound(plan: QuantityPlan) -> QuantityPlan:
    """Return a plan without the unseen elements that nothing binds."""
    bound = np.any([one.bound.any(axis=0) for one in plan.responses], axis=0)
    if not plan.responses or bound.all():
        return plan
    unseen = tuple(name for name, is_bound in zip(plan.unseen, bound, strict=True) if is_bound)
    responses = tuple(replace(one, bound=one.bound[:, bound]) for one in plan.responses)
    return replace(plan, unseen=unseen, responses=responses)


@dataclass(frozen=True, eq=False)
class LocalSensitivity:
    """ln sensitivity of K families around a composition: ``logs + slopes @ (fractions − centre)``.

    ``bound``, (K, M), is what a weight of each family's element binds of unseen ones; ``counted``, (K,), says
    which families are taken for what they are: an element that follows from others has none. ``whole`` is the
    weight fraction that is no light matter. ``named``, (K,), says which families weights are told of, and
    normalised with, where others absorb beside them. Of a film the sensitivity is that of 1 µg/cm² where
    nothing absorbs, and ``absorbed``, (K,), is the part of it that 1 µg/cm² takes.
    """

    bound: Floats
    counted: NDArray[np.bool_]
    centre: Floats
    logs: Floats
    slopes: Floats
    whole: float = 1.0
    absorbed: Floats | None = None
    named: NDArray[np.bool_] | None = None

    def quantified(
        self, counts: Floats, errors: Floats, doses: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Return weight fractions of K families and M unseen elements, (N, K + M), and their errors.

        ``counts``, ``errors``: (N, K). What a pixel does not show has the error of its counts, too.
        ``doses``: (N,) where weights, of films in µg/cm², are those of the dose; otherwise they add up to 1.
        """
        fractions, per_count = self._solve(counts, doses)
        bound = self.bound
        if self.named is not None:
            fractions, bound = np.where(self.named, fractions, 0.0), np.where(self.named[:, None], bound, 0.0)
            if doses is None:
                left = (_sums(fractions) + sum(_sums(fractions * one).clip(0.0) for one in bound.T))[:, None]
                fractions, per_count = (
                    np.divide(part, left, out=np.full(part.shape, np.nan), where=left > 0)
                    for part in (fractions, np.where(self.named, per_count, 0.0))
                )
        own = np.where(self.counted, per_count * errors, 0.0)
        if doses is not None:
            per_dose = np.divide(self.whole, doses, out=np.full(len(doses), np.nan), where=doses > 0)[:, None]
            unseen = [_sums(fractions * one).clip(0.0) for one in bound.T]
            spread = [np.sqrt(_sums(own**2 * one**2)) for one in bound.T]
            return per_dose * np.column_stack([fractions, *unseen]), per_dose * np.column_stack(
                [own, *spread]
            )
        # Normalising shares each element's error with all others.
        whole = 1 + bound.sum(axis=1)
        common = _sums((whole * own) ** 2)[:, None]
        errors = np.sqrt(np.clip(own**2 * (1 - 2 * whole * fractions) + fractions**2 * common, 0.0, None))
        unseen = [_sums(fractions * one).clip(0.0) for one in bound.T]
        spread = [np.sqrt(_sums(errors**2 * one**2)) for one in bound.T]
        fractions, errors = np.column_stack([fractions, *unseen]), np.column_stack([errors, *spread])
        return self.whole * fractions, self.whole * errors

    def _solve(self, counts: Floats, doses: Floats | None = None) -> tuple[Floats, Floats]:
        """Return the weight fractions, (N, K), of counts (N, K), and those of one count.

        What is bound is left to 1. With ``doses``, (N,), weights times the dose.
        """
        thickness = np.zeros(len(counts))
        fractions = np.broadcast_to(self.centre, counts.shape)
        positive = np.where(self.counted, np.clip(counts, 0.0, None), 0.0)
        for _ in range(_ROUNDS):
            change = np.zeros(counts.shape)
            for k, moved in enumerate((fractions - self.centre).T):  # a product's last bits depend on N
                change += moved[:, None] * self.slopes[:, k]
            mass = np.exp(-self.logs - np.clip(change, -_LARGEST_LOG, _LARGEST_LOG))
            if self.absorbed is not None and doses is not None:
                mass /= _passing(np.clip(thickness[:, None] * self.absorbed, 0.0, _MOST_ABSORBED))
            raw = positive * mass
            total = (_sums(raw) + sum(_sums(raw * bound).clip(0.0) for bound in self.bound.T))[:, None]
            per_count = np.divide(mass, total, out=np.full(raw.shape, np.nan), where=total > 0)
            fractions = positive * per_count
            if doses is not None:
                thickness = np.divide(total[:, 0], doses, out=np.zeros(len(counts)), where=doses > 0)
        return (np.asarray(fractions), per_count) if doses is None else (positive * mass, mass)


def _passing(depths: Floats) -> Floats:
    """Return the mean of exp(−x) up to depths: what leaves a film of what is made in it."""
    return np.asarray(np.divide(-np.expm1(-depths), depths, out=np.ones_like(depths), where=depths > 1e-9))


def _depths_of(passing: Floats) -> Floats:
    """Return the depths of which a part passes; the inverse of :func:`_passing`."""
    depths = np.linspace(0.0, _MOST_ABSORBED, 2001)
    return np.interp(-passing, -_passing(depths), depths)


def _doses_of(cube: SpectralCube, instrument: Instrument, recipe: Recipe) -> Floats | None:
    """Return the dose of each pixel, (Y, X), where weights are those of the dose and it is known."""
    throughput, seconds = instrument.sensitivities.throughput, cube.live_time
    if not (recipe.film or recipe.by_dose or recipe.leaves_rest) or not throughput or seconds is None:
        return None
    return np.asarray(throughput * (cube.excitation.current or 1.0) * seconds, dtype=np.float64)


def _respond(
    known: CalibratedMap,
    families: Sequence[str],
    unseen: Sequence[str],
    counts: Floats,
    recipe: Recipe,
    dose: float | None,
) -> LocalSensitivity:
    """Expand around the composition that a group's summed counts have, of a dose where it is known."""
    instrument, light, film = recipe.instrument_of(known), recipe.light, 1.0 if recipe.film else None
    by_difference = recipe.oxygen == "difference"
    binds = [recipe.bound(split_family(family)[0]) for family in families]
    bound = np.array([[own.get(name, 0.0) for name in unseen] for own in binds])
    counted = np.array([split_family(family)[0] not in recipe.companions for family in families])
    positive = np.where(counted, counts, 0.0).clip(1e-3 * max(counts.max(), 1.0))
    centre = np.full(len(families), 1.0 / len(families))

    def log_sensitivities(fractions: Floats, film: float | None) -> Floats:
        composition: dict[str, float] = {}
        masses = zip(
            (*(split_family(family)[0] for family in families), *unseen),
            (*fractions, *(fractions @ bound).clip(0.0)),
            strict=True,
        )
        for element, value in masses:
            composition[element] = composition.get(element, 0.0) + (1 - light) * float(value)
        if by_difference:
            composition["O"] = light
        expected = expected_families(composition, instrument, film, 0.0 if by_difference else light)
        strongest = max(expected.values())
        got = np.array([max(expected.get(family, 0.0), 1e-12 * strongest) for family in families])
        return np.asarray(np.log(got / fractions / (film or 1.0)))

    for _ in range(_ROUNDS):
        raw = positive / np.exp(log_sensitivities(centre, film))
        total = float(raw.sum() + (raw @ bound).clip(0.0).sum())
        centre = raw / total
        if dose and film is not None:
            film = total / dose
        elif dose and recipe.leaves_rest:
            light = max(1 - (1 - light) * total / dose, 0.0)
    bound = np.where(centre @ bound < 0, 0.0, bound)  # halogens balance all charge
    whole = 1 + bound.sum(axis=1)
    logs, absorbed = log_sensitivities(centre, film), None
    slopes = np.zeros((len(families), len(families)))
    for k in range(len(families)):
        moved = centre.copy()
        moved[k] += _STEP
        moved /= (moved * whole).sum()
        shift = moved - centre
        slopes[:, k] = (log_sensitivities(moved, film) - logs) / shift[k]
    if film is not None:
        thin = log_sensitivities(centre, _THIN * film)
        absorbed, logs = _depths_of(np.exp(np.minimum(logs - thin, 0.0))) / film, thin
    slopes = _along_the_simplex(slopes, centre, whole)
    return LocalSensitivity(bound, counted, centre, logs, slopes, 1 - light, absorbed)


def _along_the_simplex(slopes: Floats, centre: Floats, whole: Floats) -> Floats:
    """Return slopes that hold when all fractions change at once.

    Each column was found while the others shrank in proportion: undo that mixture.
    """
    moves = np.eye(len(centre)) - np.outer(centre, whole)  # change of all fractions when one is added to
    scale = np.diag(moves).copy()
    effects = slopes * scale  # per unit added
    solution = np.linalg.lstsq(moves.T, effects.T, rcond=None)[0].T
    return np.asarray(solution)


def _step_of(cube: SpectralCube) -> int:
    """Return how far the pixels of :func:`_sample` are from each other."""
    rows, columns = cube.map_shape
    step = -(-rows * columns // _MOST_SAMPLED)
    while math.gcd(step, columns) > 1:  # not the same columns in every row
        step += 1
    return step


def _groups_learnt(
    plan: QuantityPlan, known: CalibratedMap, recipe: Recipe, progress: Progress
) -> tuple[Floats, list[tuple[Recipe, Floats, float | None]]]:
    """Return the centres of groups of like pixels, and of each recipe, summed net counts (K,) and dose."""
    counts, _ = plan.net_counts(_sample(known.cube), progress)
    centres, groups = _grouped(counts)
    sampled = None if plan.doses is None else plan.doses.ravel()[:: _step_of(known.cube)]
    inside = (groups == number for number in range(len(centres)))
    return centres, [(recipe, counts[own].sum(axis=0), _dose_of(sampled, own)) for own in inside]


def _dose_of(doses: Floats | None, inside: NDArray[np.bool_]) -> float | None:
    return None if doses is None else float(np.nansum(doses[inside]))


def _sample(cube: SpectralCube) -> SpectralCube:
    """Return a map of one row with pixels from everywhere in a map, all of a small one."""
    step, first, picked = _step_of(cube), 0, []
    for _, block in cube.blocks():
        flat = block.reshape(-1, block.shape[-1])
        picked.append(flat[-first % step :: step])
        first += len(flat)
    pixels = np.concatenate(picked)[None]
    return replace(cube, counts=pixels, live_time=None, images=())


def _grouped(counts: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the centres (G, K) of groups of like pixels, and each pixel's, −1 where it shows nothing."""
    shown, shares = _shares_of(counts)
    groups = np.full(len(counts), -1, dtype=np.intp)
    if not len(shares):
        return np.zeros((0, counts.shape[1])), groups
    number = min(_GROUPS, max(1, len(shares) // _LEAST_PIXELS))
    centres, groups[shown] = kmeans2(shares, number, minit="++", seed=0)
    filled = np.unique(groups[shown])
    return centres[filled], np.where(groups < 0, -1, np.searchsorted(filled, groups))


def _shares_of(counts: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return which pixels of (N, K) counts show anything, and the square roots of their shares."""
    positive = np.clip(counts, 0.0, None)
    total = _sums(positive)
    shown = total > 0
    return shown, np.sqrt(positive[shown] / total[shown, None])


def _sums(values: Floats) -> Floats:
    """Return the sums, (N,), of rows (N, K), term by term: the same bits however many rows there are."""
    total = np.zeros(len(values))
    for column in values.T:
        total += column
    return total
