"""Weight percent in every pixel: the model's response is expanded around a few compositions of the map.

Fundamental parameters are computed for the summed counts of groups of like pixels; in a group the logarithm
of each element's sensitivity is linear in the composition, with slopes from small changes of it. A pixel then
iterates as :mod:`napari_xrf.maps.composition` does, all pixels at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import split_family
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map
from napari_xrf.maps.composition import Recipe, expected_families
from napari_xrf.maps.element_mapping import fit_map
from napari_xrf.maps.net_counts import region_of
from napari_xrf.maps.quantification import elements_of, quantify_region

_GROUPS = 8
_STEP = 0.02  # weight fraction by which a composition is changed to find slopes
_ROUNDS = 12
_LEAST_PIXELS = 5
_LARGEST_LOG = 1.5  # of a sensitivity's change: beyond it the expansion says nothing

Floats = NDArray[np.float64]


def map_quantities(
    measured: Measured,
    elements: Sequence[str] | None = None,
    *,
    recipe: Recipe | None = None,
    progress: Progress = ignore_progress,
) -> ElementMaps:
    """Return maps of weight percent, with counting errors.

    Parameters
    ----------
    measured
        A map.
    elements
        Symbols; None takes those found.
    recipe
        Oxygen, valences and standards, as for :func:`~napari_xrf.maps.quantification.quantify`.

    Returns
    -------
    Maps named by element, (K, Y, X) in weight percent; NaN where a pixel shows nothing. Oxygen that follows
    from valences is one of them.

    Raises
    ------
    InvalidInput
        When no element is found or given, or the map holds no counts.
    """
    known = calibrate_map(measured, progress=progress).checked()
    wanted, _ = elements_of(known, elements, recipe or Recipe())
    whole = np.ones(known.cube.map_shape, dtype=bool)
    part = region_of(known, whole, known.cube.name)
    total, continuum = quantify_region(part, wanted, recipe or Recipe())
    chosen = replace(recipe or Recipe(), oxygen=total.oxygen)
    measured_families = tuple(residual.family for residual in total.residuals)
    maps = fit_map(known.cube, measured_families, known.sum_spectrum, known.setting, progress, continuum)
    families = [entry.family for entry in total.entries if entry.family in maps.families]
    index = [maps.families.index(family) for family in families]
    counts = np.moveaxis(maps.counts[index].astype(np.float64), 0, -1).reshape(-1, len(families))
    errors = np.moveaxis(maps.standard_errors[index].astype(np.float64), 0, -1).reshape(-1, len(families))
    fractions = np.full(counts.shape, np.nan)
    groups = _groups_of(counts)
    for number in np.unique(groups[groups >= 0]):
        inside = groups == number
        response = _respond(known, families, counts[inside].sum(axis=0), chosen)
        fractions[inside] = response.solve(counts[inside])
        progress(int(number) + 1, _GROUPS, "quantifying pixels")
    progress(_GROUPS, _GROUPS, "quantifying pixels")
    relative = errors / np.maximum(counts, np.maximum(errors, 1e-9))
    return _as_maps(known, families, fractions, relative, chosen)


@dataclass(frozen=True, eq=False)
class _Response:
    """ln sensitivity of K families around a composition: ``logs + slopes @ (fractions − centre)``."""

    oxygen: Floats
    centre: Floats
    logs: Floats
    slopes: Floats

    def solve(self, counts: Floats) -> Floats:
        """Return the weight fractions, (N, K), of counts (N, K); oxygen is what is left to 1."""
        fractions = np.broadcast_to(self.centre, counts.shape)
        positive = np.clip(counts, 0.0, None)
        for _ in range(_ROUNDS):
            change = np.clip((fractions - self.centre) @ self.slopes.T, -_LARGEST_LOG, _LARGEST_LOG)
            raw = positive / np.exp(self.logs + change)
            total = (raw * (1 + self.oxygen)).sum(axis=1, keepdims=True)
            fractions = np.divide(raw, total, out=np.full(raw.shape, np.nan), where=total > 0)
        return np.asarray(fractions)


def _respond(known: CalibratedMap, families: Sequence[str], counts: Floats, recipe: Recipe) -> _Response:
    """Expand around the composition that a group's summed counts have."""
    elements = [split_family(family)[0] for family in families]
    oxygen = np.array([recipe.bound(element).get("O", 0.0) for element in elements])
    positive = np.clip(counts, 1e-3 * max(counts.max(), 1.0), None)
    centre = np.full(len(families), 1.0 / (1 + oxygen).sum())
    logs = np.zeros(len(families))
    for _ in range(_ROUNDS):
        logs = _log_sensitivities(known, families, centre, oxygen, recipe)
        raw = positive / np.exp(logs)
        centre = raw / (raw * (1 + oxygen)).sum()
    logs = _log_sensitivities(known, families, centre, oxygen, recipe)
    slopes = np.zeros((len(families), len(families)))
    for k in range(len(families)):
        moved = centre.copy()
        moved[k] += _STEP
        moved /= (moved * (1 + oxygen)).sum()
        shift = moved - centre
        slopes[:, k] = (_log_sensitivities(known, families, moved, oxygen, recipe) - logs) / shift[k]
    return _Response(oxygen, centre, logs, _along_the_simplex(slopes, centre, oxygen))


def _along_the_simplex(slopes: Floats, centre: Floats, oxygen: Floats) -> Floats:
    """Return slopes that hold when all fractions change at once.

    Each column was found while the others shrank in proportion: undo that mixture.
    """
    moves = np.eye(len(centre)) - np.outer(centre, 1 + oxygen)  # change of all fractions when one is added to
    scale = np.diag(moves).copy()
    effects = slopes * scale  # per unit added
    solution = np.linalg.lstsq(moves.T, effects.T, rcond=None)[0].T
    return np.asarray(solution)


def _log_sensitivities(
    known: CalibratedMap, families: Sequence[str], fractions: Floats, oxygen: Floats, recipe: Recipe
) -> Floats:
    composition: dict[str, float] = {}
    for family, value, bound in zip(families, fractions, oxygen, strict=True):
        element = split_family(family)[0]
        composition[element] = composition.get(element, 0.0) + float(value)
        if bound > 0:
            composition["O"] = composition.get("O", 0.0) + float(value * bound)
    expected = expected_families(composition, recipe.instrument_of(known))
    strongest = max(expected.values())
    got = np.array([max(expected.get(family, 0.0), 1e-12 * strongest) for family in families])
    return np.asarray(np.log(got / fractions))


def _groups_of(counts: Floats) -> NDArray[np.intp]:
    """Return the group of each pixel, like pixels together; −1 where a pixel shows nothing."""
    positive = np.clip(counts, 0.0, None)
    total = positive.sum(axis=1)
    groups = np.full(len(counts), -1, dtype=np.intp)
    shown = total > 0
    if not shown.any():
        return groups
    shares = np.sqrt(positive[shown] / total[shown, None])
    number = min(_GROUPS, max(1, shares.shape[0] // _LEAST_PIXELS))
    _, found = kmeans2(shares, number, minit="++", seed=0)
    groups[shown] = found
    return groups


def _as_maps(
    known: CalibratedMap,
    families: Sequence[str],
    fractions: Floats,
    relative: Floats,
    recipe: Recipe,
) -> ElementMaps:
    rows, columns = known.cube.map_shape
    names = [split_family(family)[0] for family in families]
    bound = np.array([recipe.bound(name).get("O", 0.0) for name in names])
    # Normalising shares each element's error with all others.
    shares = fractions * (1 + bound)
    common = ((shares * relative) ** 2).sum(axis=1, keepdims=True)
    spread = np.sqrt(np.clip(relative**2 * (1 - 2 * shares) + common, 0.0, None))
    percent, errors = 100 * fractions, 100 * fractions * spread
    if bound.any():
        percent = np.c_[percent, percent @ bound]
        errors = np.c_[errors, np.sqrt((errors**2) @ bound**2)]
        names.append("O")
    stack = (np.moveaxis(values.reshape(rows, columns, -1), -1, 0) for values in (percent, errors))
    maps, deviations = (np.ascontiguousarray(values, dtype=np.float32) for values in stack)
    return ElementMaps(
        tuple(names), maps, deviations, "weight percent", known.cube.pixel_size, known.cube.name, "weight %"
    )
