"""Minerals from element maps alone: a file of net counts or of weight percent, without spectra.

A pixel is compared with the expected line intensities of compositions, their scale free, or with their weight
percent. Elements that were not mapped tell nothing, so that minerals that differ only in these are one class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import split_family
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LEAST_PROBABILITY, number_by_area
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.search import heavy_elements
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.reference.minerals import Mineral, load_library, mineral_class

METHOD = "element maps"
WEIGHTS, MASSES = "weight %", "µg/cm²"
_MODEL_ERROR = {True: 0.07, False: 0.15}  # relative, of weights and of intensities without standards
_UNKNOWN_ERROR = 0.05  # of maps that state none
_LEAST_ERROR = 0.01  # of a pixel's sum: traces, overlaps that a fit took for others
_SUM_ERROR = 0.15  # of a sum of weights
_COMPOSITIONS = 15
_SAME = 1.0  # squared distance in errors, below which compositions are the same
_MISFIT = 4.0  # standard deviations of chi-square


@dataclass(frozen=True, eq=False)
class _Expected:
    """Vectors (T, F) that compositions should give, and the mineral of each."""

    vectors: NDArray[np.float64]
    owner: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Decision:
    """What n pixels are, of (n,) each."""

    winner: NDArray[np.intp]  # the likeliest group of minerals
    probability: NDArray[np.float64]  # of it
    misfit: NDArray[np.float64]  # standard deviations of chi-square
    strange: NDArray[np.bool_]  # whether none fits
    undecided: NDArray[np.bool_]  # whether several might


def classify_element_maps(
    maps: ElementMaps,
    minerals: Sequence[Mineral] | None = None,
    *,
    library: Sequence[Mineral] | None = None,
    instrument: str | Instrument = "m4",
    progress: Progress = ignore_progress,
) -> Classification:
    """Find the mineral of each pixel of element maps.

    Raises InvalidInput when no mineral shows in these maps.

    ``maps``: net counts, also per second, of line families; or weight percent of elements, as their unit
    says. ``minerals``: what to look for. None: minerals of the library whose elements of at least 2 % by
    weight, from sodium on, are all mapped. ``library``: where an automatic choice is made from: the shipped
    one by default. ``instrument``: what counts were measured with; weight percent do not need it.
    """
    if maps.unit == MASSES:
        raise InvalidInput(
            "maps of mass per area are of thin films, not of minerals", "Map weights or counts"
        )
    weights = maps.unit == WEIGHTS
    mapped = {split_family(family)[0] for family in maps.families}
    listed = tuple(load_library() if library is None else library) if minerals is None else tuple(minerals)
    if minerals is None:
        listed = tuple(each for each in listed if (heavy := heavy_elements(each)) and heavy <= mapped)
    seen = load_instrument(instrument) if isinstance(instrument, str) else instrument
    expected = _expect(listed, maps.families, None if weights else seen, progress)
    if not expected.owner.size:
        raise InvalidInput(
            f"no mineral would show in maps of {', '.join(maps.families)}",
            "Map more elements, or name minerals",
        )
    values, errors, held = _pixels(maps)
    shown = np.unique(expected.owner)
    groups = _same(expected, shown, weights)
    decided = _decided(*_compared(values, errors, expected, weights, progress), groups, len(maps.families))
    chosen = np.where(decided.strange | decided.undecided, -1, decided.winner)
    certain = np.where(decided.undecided, 1 - decided.probability, decided.probability)
    classes = [mineral_class([listed[shown[place]] for place in group]) for group in groups]
    label_map, _ = number_by_area(held, chosen, certain, classes, maps.pixel_size, maps.source)
    away = np.full(held.shape, np.nan, np.float32)
    away[held] = decided.misfit
    undecided = np.zeros(held.shape, dtype=bool)
    undecided[held] = decided.undecided
    names = [tuple(listed[shown[place]].name for place in group) for group in groups]
    return Classification(
        label_map=label_map,
        groups=tuple(group for group in names if len(group) > 1),
        minerals=tuple(mineral.name for mineral in listed),
        spectra=(),
        misfit=away,
        counts_per_pixel=float(np.median(values.sum(axis=1))) if len(values) else 0.0,
        energy_range=(0.0, 0.0),
        method=METHOD,
        notes=(
            f"maps of {', '.join(maps.families)} ({maps.unit}) are all that is known of a pixel",
            *(() if weights else (f"intensities are those of a thick, flat sample on {seen.name}",)),
            f"{int(decided.strange.sum())} pixels fit no mineral; "
            f"{int(decided.undecided.sum())} more cannot be decided",
        ),
        undecided=undecided,
    )


def _expect(
    minerals: Sequence[Mineral], families: Sequence[str], instrument: Instrument | None, progress: Progress
) -> _Expected:
    vectors, owner = [], []
    for number, mineral in enumerate(minerals):
        progress(number, len(minerals), "computing expected intensities")
        for material in mineral.compositions(_COMPOSITIONS):
            if instrument is None:
                found = material.mass_fractions
                vector = np.array([100 * found.get(split_family(each)[0], 0.0) for each in families])
            else:
                lines = expect_spectrum(material, instrument).families
                vector = np.array([lines.get(each, 0.0) for each in families])
            if vector.sum() > 0:
                vectors.append(vector if instrument is None else vector / vector.sum())
                owner.append(number)
    return _Expected(np.array(vectors).reshape(-1, len(families)), np.array(owner, dtype=np.intp))


def _pixels(maps: ElementMaps) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return values and errors (n, F) of the pixels that were measured, and which these are (Y, X)."""
    every = np.moveaxis(maps.counts, 0, -1).astype(np.float64)
    held = np.asarray(np.isfinite(every).all(axis=2) & (every > 0).any(axis=2))
    values = every[held]
    stated = np.moveaxis(maps.standard_errors, 0, -1).astype(np.float64)[held]
    guessed = np.sqrt(np.maximum(values, 1)) if maps.unit == "counts" else _UNKNOWN_ERROR * np.abs(values)
    return values, np.where(np.isfinite(stated), stated, guessed), held


def _compared(
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    expected: _Expected,
    weights: bool,
    progress: Progress,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return chi-square and score (n, M) of pixels and minerals, each of its likeliest composition."""
    shown = np.unique(expected.owner)
    chi = np.full((len(values), shown.size), np.inf, np.float32)
    score = chi.copy()
    for row, vector in enumerate(expected.vectors):
        progress(row, len(expected.vectors), "comparing pixels with minerals")
        place = int(np.searchsorted(shown, expected.owner[row]))
        own_chi, own_score = _compare(values, errors, vector, weights)
        better = own_score < score[:, place]
        chi[better, place], score[better, place] = own_chi[better], own_score[better]
    progress(len(expected.vectors), len(expected.vectors), "comparing pixels with minerals")
    return chi, score


def _decided(
    chi: NDArray[np.float32], score: NDArray[np.float32], groups: Sequence[Sequence[int]], families: int
) -> _Decision:
    """Decide among groups of minerals, by what these say of the pixels."""
    best = np.stack([score[:, group].min(axis=1) for group in groups], axis=1)
    winner = best.argmin(axis=1)
    probability = np.exp(-0.5 * (best - best.min(axis=1, keepdims=True)).astype(np.float64))
    probability = (probability / probability.sum(axis=1, keepdims=True)).max(axis=1)
    fits = np.stack([chi[:, group].min(axis=1) for group in groups], axis=1)[np.arange(len(winner)), winner]
    freedom = max(families - 1, 1)
    misfit = (fits - freedom) / np.sqrt(2 * freedom)
    strange = misfit > _MISFIT
    return _Decision(winner, probability, misfit, strange, ~strange & (probability < LEAST_PROBABILITY))


def _compare(
    values: NDArray[np.float64], errors: NDArray[np.float64], vector: NDArray[np.float64], weights: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return chi-square of pixels and minus twice their log-likelihood, up to a constant per pixel."""
    total = np.maximum(values.sum(axis=1, keepdims=True), 1e-12)
    height = np.full_like(total, vector.sum()) if weights else total
    expected = height * vector / vector.sum()
    variance = errors**2 + (_MODEL_ERROR[weights] * expected) ** 2 + (_LEAST_ERROR * height) ** 2
    above = (values * expected / variance).sum(axis=1)
    below = (expected**2 / variance).sum(axis=1)
    if weights:  # the sum is known too, though not well
        above, below = above + _SUM_ERROR**-2, below + _SUM_ERROR**-2
    scale = np.maximum(above / below, 0)
    chi = ((values - scale[:, np.newaxis] * expected) ** 2 / variance).sum(axis=1)
    if weights:
        chi += ((scale - 1) / _SUM_ERROR) ** 2
    return chi, chi + np.log(variance).sum(axis=1)


def _same(expected: _Expected, shown: NDArray[np.intp], weights: bool) -> list[list[int]]:
    """Group the minerals, by place among those shown, whose middle compositions these maps cannot part."""
    middle = np.array([expected.vectors[int(np.argmax(expected.owner == owner))] for owner in shown])
    groups: list[list[int]] = []
    for place, vector in enumerate(middle):
        variance = (_MODEL_ERROR[weights] * vector) ** 2 + (_LEAST_ERROR * vector.sum()) ** 2
        for group in groups:
            if ((middle[group[0]] - vector) ** 2 / variance).sum() < _SAME:
                group.append(place)
                break
        else:
            groups.append([place])
    return groups
