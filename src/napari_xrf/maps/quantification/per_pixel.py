"""Weight percent in every pixel: the model's response is expanded around a few compositions of the map.

Fundamental parameters are computed for the summed counts of groups of like pixels; in a group the logarithm
of each element's sensitivity is linear in the composition, with slopes from small changes of it. A pixel then
iterates as :mod:`napari_xrf.maps.quantification.composition` does, all pixels at once. Pixels of a class
whose formula is known are a group of their own, with what that formula holds unseen.
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

_GROUPS = 8
_MOST_SAMPLED = 20_000  # pixels that decide the groups
_STEP = 0.02  # weight fraction by which a composition is changed to find slopes
_ROUNDS = 12
_LEAST_PIXELS = 5
_CORRECTIONS = (0.5, 2.0)
_LARGEST_LOG = 1.5  # of a sensitivity's change: beyond it the expansion says nothing

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class QuantityPlan:
    """What all pixels of a map share when they are quantified: any rows of it give the same maps."""

    fit: ElementPlan  # how net counts are found
    families: tuple[str, ...]  # K of its families, one for each element
    corrections: Floats  # (K,) by which counts of the pixels' fit fall short of those of the sum spectrum
    unseen: tuple[str, ...]  # M elements that follow from others
    centres: Floats  # (G, K) square roots of the shares of counts in groups of like pixels
    responses: tuple[Response, ...]  # of each group, then of each class with a formula
    # (Y, X) number of the response where a pixel belongs to such a class, −1 elsewhere
    classes: NDArray[np.int16]

    def map(
        self, cube: SpectralCube, progress: Progress = ignore_progress, first_row: int = 0
    ) -> ElementMaps:
        """Return weight percent and counting errors of the pixels of a cube, or of its rows from one on.

        Maps are named by element; NaN where a pixel shows nothing. Oxygen that follows from valences is one,
        and so is what follows from the formulas of classes.
        """
        counts, errors = self.net_counts(cube, progress)
        groups = self._groups_of(counts)
        own = self.classes[first_row : first_row + cube.map_shape[0]].ravel()
        groups = np.where((groups >= 0) & (own >= 0), own, groups)
        size = len(counts), len(self.families) + len(self.unseen)
        fractions, spread = np.full(size, np.nan), np.full(size, np.nan)
        for number, response in enumerate(self.responses):
            inside = groups == number
            fractions[inside], spread[inside] = response.quantified(counts[inside], errors[inside])
            progress(number + 1, len(self.responses), "quantifying pixels")
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
        every = (*(split_family(family)[0] for family in self.families), *self.unseen)
        names = tuple(dict.fromkeys(every))
        # Oxygen may have a line in one class, and follow from the formula in another.
        of = np.array([[name == other for other in every] for name in names])
        maps, deviations = (
            np.array([100 * sums(values[:, own]) for own in of])
            for values, sums in ((fractions, _sums), (errors, lambda part: np.sqrt(_sums(part**2))))
        )
        maps, deviations = (
            np.ascontiguousarray(values.reshape(-1, rows, columns), dtype=np.float32)
            for values in (maps, deviations)
        )
        return ElementMaps(names, maps, deviations, "weight percent", cube.pixel_size, cube.name, "weight %")


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

    Parameters
    ----------
    known
        A map whose axis is known.
    elements
        Symbols; None takes those found.
    regions, formulas, recipe
        As for :func:`~napari_xrf.maps.quantification.weight_percent.quantify`; regions without a formula
        are as the rest.
    whole
        The composition of the whole map, where it is known already.

    Raises
    ------
    InvalidInput
        When no element is found or given, or the map holds no counts.
    """
    given = recipe or Recipe()
    part = region_of(known, np.ones(known.cube.map_shape, dtype=bool), known.cube.name)
    # Classes, and recipes of those that have a formula.
    classes, recipes = regions or {}, {}
    wanted = elements_of(known, elements, given)[0]
    for name in (name for name in classes if name in (formulas or {})):
        formula = (formulas or {})[name]
        recipes[name] = recipe_of_class(given, formula, known.setting)
        wanted = tuple(dict.fromkeys((*wanted, *seen_elements(formula, recipes[name]))))
    total = whole or quantify_region(part, wanted, given)
    continuum = continuum_of(total.composition, part, given.instrument_of(part))
    chosen = replace(
        given, oxygen=total.oxygen, instrument=total.instrument, sensitivities=None, light=total.light
    )
    # Families that another of their element hides would take from others in pixels too.
    deciding = {entry.family for entry in total.entries}
    measured = tuple(
        one.family for one in total.residuals if one.family in deciding or one.counts > SEEN * one.error
    )
    rows, columns = known.cube.map_shape
    fit = plan_fit(measured, known.sum_spectrum, known.setting, rows * columns, continuum)
    families = tuple(entry.family for entry in total.entries if entry.family in fit.families)
    unseen = tuple(sorted({"O", *(name for one in recipes.values() for name in one.companions)}))
    none, numbers = np.zeros((0, len(families))), np.full((rows, columns), -1, dtype=np.int16)
    plan = QuantityPlan(fit, families, np.ones(len(families)), unseen, none, (), numbers)
    net = {residual.family: residual.counts for residual in total.residuals}
    plain = plan.net_counts(part.cube)[0][0]
    over = np.array([net[family] for family in families]) / np.maximum(plain, 1.0)
    plan = replace(plan, corrections=np.where(plain > 1, np.clip(over, *_CORRECTIONS), 1.0))
    counts, _ = plan.net_counts(_sample(known.cube), progress)
    centres, groups = _grouped(counts)
    learnt = [(chosen, counts[groups == number].sum(axis=0)) for number in range(len(centres))]
    for name, of_class in recipes.items():
        numbers[classes[name]] = len(learnt)
        summed = plan.net_counts(region_of(known, classes[name], name).cube)[0][0]
        own = replace(chosen, oxygen=of_class.oxygen, companions=of_class.companions, light=0.0)
        learnt.append((own, summed))
    responses = []
    for number, (each, summed) in enumerate(learnt):
        progress(number, len(learnt), "quantifying groups")
        responses.append(_respond(known, families, unseen, summed, each))
    bound = np.any([one.bound.any(axis=0) for one in responses], axis=0)
    if responses and not bound.all():
        unseen = tuple(name for name, is_bound in zip(unseen, bound, strict=True) if is_bound)
        responses = [replace(one, bound=one.bound[:, bound]) for one in responses]
        plan = replace(plan, unseen=unseen)
    return replace(plan, centres=centres, responses=tuple(responses))


@dataclass(frozen=True, eq=False)
class Response:
    """ln sensitivity of K families around a composition: ``logs + slopes @ (fractions − centre)``.

    ``bound``, (K, M), is what a weight of each family's element binds of unseen ones; ``counted``, (K,), says
    which families are taken for what they are: an element that follows from others has none. ``whole`` is the
    weight fraction that is no light matter.
    """

    bound: Floats
    counted: NDArray[np.bool_]
    centre: Floats
    logs: Floats
    slopes: Floats
    whole: float = 1.0

    def quantified(self, counts: Floats, errors: Floats) -> tuple[Floats, Floats]:
        """Return weight fractions of K families and M unseen elements, (N, K + M), and their errors.

        ``counts``, ``errors``: (N, K). What a pixel does not show has the error of its counts, too.
        """
        fractions, per_count = self._solve(counts)
        own = np.where(self.counted, per_count * errors, 0.0)
        # Normalising shares each element's error with all others.
        whole = 1 + self.bound.sum(axis=1)
        common = _sums((whole * own) ** 2)[:, None]
        errors = np.sqrt(np.clip(own**2 * (1 - 2 * whole * fractions) + fractions**2 * common, 0.0, None))
        unseen = [_sums(fractions * bound).clip(0.0) for bound in self.bound.T]
        spread = [np.sqrt(_sums(errors**2 * bound**2)) for bound in self.bound.T]
        fractions, errors = np.column_stack([fractions, *unseen]), np.column_stack([errors, *spread])
        return self.whole * fractions, self.whole * errors

    def _solve(self, counts: Floats) -> tuple[Floats, Floats]:
        """Return the weight fractions, (N, K), of counts (N, K), and those of one count.

        What is bound is left to 1.
        """
        fractions = np.broadcast_to(self.centre, counts.shape)
        positive = np.where(self.counted, np.clip(counts, 0.0, None), 0.0)
        for _ in range(_ROUNDS):
            change = np.zeros(counts.shape)
            for k, moved in enumerate((fractions - self.centre).T):  # a product's last bits depend on N
                change += moved[:, None] * self.slopes[:, k]
            mass = np.exp(-self.logs - np.clip(change, -_LARGEST_LOG, _LARGEST_LOG))
            raw = positive * mass
            total = (_sums(raw) + sum(_sums(raw * bound).clip(0.0) for bound in self.bound.T))[:, None]
            per_count = np.divide(mass, total, out=np.full(raw.shape, np.nan), where=total > 0)
            fractions = positive * per_count
        return np.asarray(fractions), per_count


def _respond(
    known: CalibratedMap, families: Sequence[str], unseen: Sequence[str], counts: Floats, recipe: Recipe
) -> Response:
    """Expand around the composition that a group's summed counts have."""
    binds = [recipe.bound(split_family(family)[0]) for family in families]
    bound = np.array([[own.get(name, 0.0) for name in unseen] for own in binds])
    counted = np.array([split_family(family)[0] not in recipe.companions for family in families])
    positive = np.where(counted, counts, 0.0).clip(1e-3 * max(counts.max(), 1.0))
    centre = np.full(len(families), 1.0 / len(families))

    def log_sensitivities(fractions: Floats) -> Floats:
        composition: dict[str, float] = {}
        masses = zip(
            (*(split_family(family)[0] for family in families), *unseen),
            (*fractions, *(fractions @ bound).clip(0.0)),
            strict=True,
        )
        for element, value in masses:
            composition[element] = composition.get(element, 0.0) + (1 - recipe.light) * float(value)
        expected = expected_families(composition, recipe.instrument_of(known), rest=recipe.light)
        strongest = max(expected.values())
        got = np.array([max(expected.get(family, 0.0), 1e-12 * strongest) for family in families])
        return np.asarray(np.log(got / fractions))

    for _ in range(_ROUNDS):
        raw = positive / np.exp(log_sensitivities(centre))
        centre = raw / (raw.sum() + (raw @ bound).clip(0.0).sum())
    bound = np.where(centre @ bound < 0, 0.0, bound)  # halogens balance all charge
    whole = 1 + bound.sum(axis=1)
    logs = log_sensitivities(centre)
    slopes = np.zeros((len(families), len(families)))
    for k in range(len(families)):
        moved = centre.copy()
        moved[k] += _STEP
        moved /= (moved * whole).sum()
        shift = moved - centre
        slopes[:, k] = (log_sensitivities(moved) - logs) / shift[k]
    return Response(bound, counted, centre, logs, _along_the_simplex(slopes, centre, whole), 1 - recipe.light)


def _along_the_simplex(slopes: Floats, centre: Floats, whole: Floats) -> Floats:
    """Return slopes that hold when all fractions change at once.

    Each column was found while the others shrank in proportion: undo that mixture.
    """
    moves = np.eye(len(centre)) - np.outer(centre, whole)  # change of all fractions when one is added to
    scale = np.diag(moves).copy()
    effects = slopes * scale  # per unit added
    solution = np.linalg.lstsq(moves.T, effects.T, rcond=None)[0].T
    return np.asarray(solution)


def _sample(cube: SpectralCube) -> SpectralCube:
    """Return a map of one row with pixels from everywhere in a map, all of a small one."""
    rows, columns = cube.map_shape
    step = -(-rows * columns // _MOST_SAMPLED)
    while math.gcd(step, columns) > 1:  # not the same columns in every row
        step += 1
    first, picked = 0, []
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
