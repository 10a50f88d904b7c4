"""The phases of a map: from expected spectra to ends of mixing with names, and what pixels hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, ndtr

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LEAST_PROBABILITY
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.blas_threads import one_blas_thread
from napari_xrf.minerals.comparison_of_ends import Comparison
from napari_xrf.minerals.ends import End, learn_ends
from napari_xrf.minerals.mixtures import unmix_map
from napari_xrf.minerals.naming import Candidates, Name, name_ends, rough_dose
from napari_xrf.minerals.scan import Scan, prepare_scan
from napari_xrf.minerals.search import MineralSearch
from napari_xrf.minerals.sensitivity import (
    Sensitivity,
    learn_from,
    learn_sensitivity,
    soft_sensitivity,
)
from napari_xrf.minerals.separability import inseparable_groups
from napari_xrf.minerals.shares import class_probabilities, class_shares
from napari_xrf.minerals.templates import Templates, expect_templates
from napari_xrf.minerals.traces import Expected, line_families
from napari_xrf.reference.minerals import Mineral, load_library, minerals_of_set, minerals_of_sets

SAMPLE = 1_500  # pixels that teach what is common to all
_PRUNED_SAMPLE, _LONG_LIST = 400, 40
_STARTS = (0.0, 0.4)  # of the soft sensitivity, when a long list is shortened
_LEAST_MASS = 0.5  # pixels of the sample
_ABOUT_AS_WELL = 4.0  # minus twice the log-likelihood of a pixel
_PIXELS_AT_ONCE = 4_096
_POOLED = 9  # pixels of a grain decide together which minerals are told apart
_COHERENT = 0.3
_SURE, _BEST = 0.8, 0.6
_UNLISTED_COMPOSITIONS = 4
_POOREST_FIT = 2.0  # chi-square per bin that errors of the model may explain
_PART_ERROR = 0.2  # of the difference of two parts of a fine-grained mixture
_HALF_BELIEVED = 7.0  # standard deviations of misfit of a single pixel
_ONE_PHASE = 0.05  # squared distance of the roots of two spectra of sum 1
_NAMINGS = 2  # again, with what the names told of the sensitivity
_SEED = 20260701
# In minus twice the log-likelihood: what a mineral that is not rock-forming must explain besides, and what
# each further part of a fine-grained mixture must.
_ACCESSORY, _RARE = 8.0, 24.0
_STEP, _STEP_GIVEN = 12.0, 30.0
_TOLD = 4
_UNSEEN = frozenset({"Li", "Be", "B"})  # what sets a mineral apart, and no map shows it


@dataclass(frozen=True, eq=False)
class MineralPhases:
    """What n pixels hold.

    Attributes
    ----------
    members
        K tuples: which minerals of the list each phase may be; an empty one is unknown.
    groups
        Minerals that this map does not tell apart.
    areas
        (n, K) parts of the pixels' areas, of sum 1.
    probability
        (n,) of the largest.
    decided
        (n,) whether that is more than a guess; which half of a mixture is the larger never is.
    misfit
        (n,) standard deviations.
    templates
        Expected spectra of the list as the map shows them.
    notes
        One sentence each.
    """

    members: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[int, ...], ...]
    areas: NDArray[np.float32]
    probability: NDArray[np.float32]
    decided: NDArray[np.bool_]
    misfit: NDArray[np.float32]
    templates: Templates
    notes: tuple[str, ...]


def find_mineral_phases(
    counts: NDArray[np.float32],
    held: NDArray[np.bool_],
    search: MineralSearch,
    library: Sequence[Mineral] | None,
    tolerance: float,
    progress: Progress = ignore_progress,
) -> MineralPhases:
    """Find the phases of a map.

    Parameters
    ----------
    counts
        (n, B) of the measured pixels, in row order.
    held
        (Y, X) which pixels were measured.
    library
        All minerals that a phase may be besides those looked for; the shipped ones by default.

    Raises
    ------
    InvalidInput
        When none of the minerals would show in this map.
    """
    instrument = search.measured.instrument
    level = float(np.exp(np.log(np.maximum(counts.sum(axis=1), 1)).mean()))
    templates = expect_templates(search.minerals, instrument, search.bins, progress)
    if templates.size == 0:
        raise InvalidInput("none of the minerals would show in this map", "Name others, or check the kV")
    families = line_families(instrument, search.bins)
    generator = np.random.default_rng(_SEED)
    sample = counts[generator.choice(counts.shape[0], min(SAMPLE, counts.shape[0]), replace=False)]
    expected = _shortened(Expected.of(templates, families), sample[:_PRUNED_SAMPLE], level, tolerance)
    sensitivity = learn_sensitivity(sample, expected, level, tolerance)
    scan = _prepare(sensitivity.adjust(expected), level, tolerance)
    columns, best, misfit = _scan_map(counts, scan, progress)
    groups = _alike(scan, columns, level)
    grouped = np.stack([best[:, list(group)].min(axis=1) for group in groups], axis=1)
    probability, coherence = class_probabilities(grouped, held)
    minerals = [tuple(int(columns[place]) for place in group) for group in groups]
    mixed = coherence >= _COHERENT
    ends = learn_ends(counts, probability.argmax(axis=1), held) if mixed else ()
    mixed = bool(ends)
    if not mixed:
        ends = _sure_ends(counts, probability, grouped)
    whole = _with_library(search, expected, library, progress)
    candidates = _candidates(search, minerals)
    names, sensitivity = name_phases(ends, whole, candidates, sensitivity)
    adjusted = sensitivity.adjust(expected).templates
    notes = _told(ends, names, whole.templates.minerals)
    if mixed:
        return _mixed(counts, held, ends, names, minerals, adjusted, notes)
    return _single(probability, misfit, ends, names, minerals, adjusted, notes)


def _mixed(
    counts: NDArray[np.float32],
    held: NDArray[np.bool_],
    ends: tuple[End, ...],
    names: tuple[Name, ...],
    minerals: list[tuple[int, ...]],
    templates: Templates,
    notes: tuple[str, ...],
) -> MineralPhases:
    members, parts = _parts_of([_held(name) for name in names])
    found = unmix_map(counts, held, list(ends), parts)
    pixels = np.array([end.pixels.size for end in ends])[:, None]
    sure = np.array([name.probability for name in names])[:, None]
    sure = (parts * pixels * sure).sum(axis=0) / np.maximum((parts * pixels).sum(axis=0), 1e-12)
    winner = found.areas.argmax(axis=1)
    probability = (ndtr(np.minimum(found.lead, _lead_of_parts(found.areas, parts))) * sure[winner]).astype(
        np.float32
    )
    return MineralPhases(
        members,
        _groups(members, minerals),
        found.areas,
        probability,
        sure[winner] >= LEAST_PROBABILITY,
        found.misfit,
        templates,
        notes,
    )


def _held(name: Name) -> dict[tuple[int, ...], float]:
    """Return the parts of an end's area that its minerals hold."""
    return {(mineral,): area for mineral, area in name.parts} or {name.minerals: 1.0}


def _parts_of(
    held: Sequence[dict[tuple[int, ...], float]],
) -> tuple[tuple[tuple[int, ...], ...], NDArray[np.float32]]:
    """Return K phases, and which parts of each of M ends they are, (M, K)."""
    members = tuple(sorted(set().union(*held)))
    parts = np.array([[each.get(phase, 0.0) for phase in members] for each in held], dtype=np.float32)
    return members, parts


def _lead_of_parts(areas: NDArray[np.float32], parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how many standard deviations the largest area leads where fine-grained mixtures hold it."""
    if areas.shape[1] < 2 or not ((parts > 0).sum(axis=1) > 1).any():
        return np.full(areas.shape[0], np.inf, dtype=np.float32)
    fine = (parts > 0) & ((parts > 0).sum(axis=1, keepdims=True) > 1)
    second, first = np.sort(areas, axis=1)[:, -2:].T
    inside = fine.any(axis=0)[areas.argmax(axis=1)]
    return np.where(inside, (first - second) / _PART_ERROR, np.inf).astype(np.float32)


def _single(
    probability: NDArray[np.float32],
    misfit: NDArray[np.float32],
    ends: tuple[End, ...],
    names: tuple[Name, ...],
    minerals: list[tuple[int, ...]],
    templates: Templates,
    notes: tuple[str, ...],
) -> MineralPhases:
    """Return phases of a map without grains: each pixel is one, of the class that explains it best."""
    named = dict(zip((end.column for end in ends), names, strict=True))
    members, parts = _parts_of(
        [_held(named[place]) if place in named else {group: 1.0} for place, group in enumerate(minerals)]
    )
    sure = np.array([named[place].probability if place in named else 1.0 for place in range(len(minerals))])
    areas = probability @ parts
    winner = probability.argmax(axis=1)
    certain = probability[np.arange(winner.size), winner] * sure[winner]
    certain = certain * expit(2 * (_HALF_BELIEVED - misfit)) * ndtr(_lead_of_parts(areas, parts))
    return MineralPhases(
        members,
        _groups(members, minerals),
        areas,
        certain.astype(np.float32),
        certain >= LEAST_PROBABILITY,
        misfit,
        templates,
        notes,
    )


def _groups(
    members: Sequence[tuple[int, ...]], minerals: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], ...]:
    """Return the groups that phases are named by, and those of minerals that no phase holds."""
    named = {group for group in members if len(group) > 1}
    held = {mineral for group in members for mineral in group}
    return tuple(sorted(named | {group for group in minerals if len(group) > 1 and not held & set(group)}))


@one_blas_thread()
def _prepare(expected: Expected, level: float, tolerance: float) -> Scan:
    return prepare_scan(expected, level, tolerance)


@one_blas_thread()
def _shortened(expected: Expected, sample: NDArray[np.float32], level: float, tolerance: float) -> Expected:
    """Leave out minerals of a long list that no pixel of a sample needs."""
    if np.unique(expected.templates.owner).size <= _LONG_LIST:
        return expected
    needed: set[int] = set()
    for start in _STARTS:
        adjusted = soft_sensitivity(expected.parts.shape[1], start).adjust(expected)
        scan = prepare_scan(adjusted, level, tolerance)
        columns, best = scan.by_mineral(scan.scores(sample))
        mass = class_shares(best)[0].sum(axis=0)
        held = np.flatnonzero(mass > _LEAST_MASS)
        needed |= set(columns[held].tolist())
        # Minerals that fit about as well as one that is needed stay: a phase may be either.
        winner = best.argmin(axis=1)
        for place in held:
            own = best[winner == place]
            if own.size:
                worse = np.median(own - own[:, place : place + 1], axis=0)
                needed |= set(columns[worse < _ABOUT_AS_WELL].tolist())
    rows = np.flatnonzero(np.isin(expected.templates.owner, sorted(needed)))
    return expected.of_rows(rows)


def _scan_map(
    counts: NDArray[np.float32], scan: Scan, progress: Progress
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
    """Return minerals, scores of their best compositions, and the misfit of the best of all."""
    best, misfit = [], []
    columns = np.unique(scan.owner)
    for start in range(0, counts.shape[0], _PIXELS_AT_ONCE):
        few = counts[start : start + _PIXELS_AT_ONCE]
        scores = scan.scores(few)
        best.append(scan.by_mineral(scores)[1])
        misfit.append(scan.squares(scores, few.sum(axis=1)))
        progress(start, counts.shape[0], "comparing pixels with minerals")
    squares = np.concatenate(misfit) / counts.shape[1]
    usual = float(np.clip(np.median(squares), 1.0, _POOREST_FIT))
    standard = (squares / usual - 1) * np.sqrt(counts.shape[1] / 2)
    return columns, np.concatenate(best), standard.astype(np.float32)


def _alike(scan: Scan, columns: NDArray[np.intp], level: float) -> tuple[tuple[int, ...], ...]:
    """Return groups of columns that a few pixels of these counts do not tell apart."""
    pooled = (_POOLED * level * scan.spectra).astype(np.float32)
    _, scores = scan.by_mineral(scan.scores(pooled))
    confused = np.full((columns.size, columns.size), 0.5)
    for row, mineral in enumerate(columns):
        own = scores[scan.owner == mineral]
        worse = np.maximum(own - own[:, row : row + 1], 0)
        confused[row] = ndtr(-np.sqrt(worse) / 2).mean(axis=0)
    return inseparable_groups(confused)


def _sure_ends(
    counts: NDArray[np.float32], probability: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[End, ...]:
    """Return what the pixels that are surely of a class have in common, where there are no grains."""
    winner = probability.argmax(axis=1)
    ends = []
    for column in np.unique(winner).tolist():
        own = np.flatnonzero((winner == column) & (probability[:, column] > _SURE))
        if own.size:
            own = own[scores[own, column] <= np.quantile(scores[own, column], _BEST)]
            ends.append(End(column, own, counts[own].sum(axis=0, dtype=np.float64)))
    return tuple(sorted(ends, key=lambda end: -end.pixels.size))


def _with_library(
    search: MineralSearch, expected: Expected, library: Sequence[Mineral] | None, progress: Progress
) -> Expected:
    """Return what is expected of the minerals looked for and, behind them, of all others."""
    known = load_library() if library is None else tuple(library)
    listed = {mineral.name for mineral in search.minerals}
    others = tuple(mineral for mineral in known if mineral.name not in listed)
    if not others:
        return expected
    more = expect_templates(
        others, search.measured.instrument, search.bins, progress, most=_UNLISTED_COMPOSITIONS
    )
    minerals = (*search.minerals, *others)
    shifted = replace(more, owner=more.owner + len(search.minerals), minerals=minerals)
    return expected.joined(Expected.of(shifted, expected.families))


@one_blas_thread()
def name_phases(
    ends: Sequence[End], whole: Expected, candidates: Candidates, sensitivity: Sensitivity
) -> tuple[tuple[Name, ...], Sensitivity]:
    """Name the ends, and again with the sensitivity that those named at first tell.

    What a mineral's own spectra tell of the sensitivity makes it look right; so ends are judged by what
    other phases tell, with its error.
    """
    at_first = Comparison(sensitivity.adjust(whole))
    dose = rough_dose(ends, at_first.expected, candidates.classes)
    names = name_ends(ends, [at_first] * len(ends), candidates, dose)
    for _ in range(_NAMINGS):
        good = [place for place, name in enumerate(names) if name.point >= 0]
        totals = np.array([ends[place].counts.sum() for place in good])
        means = np.array([ends[place].counts for place in good]).reshape(-1, whole.templates.bins.size)
        points = np.array([names[place].point for place in good], dtype=np.intp)
        lessons = learn_from(whole, points, means / totals[:, None], totals, sensitivity)
        comparisons: dict[int, Comparison] = {}
        zones = _zones(ends, names)
        for zone in set(zones.tolist()):
            told, covariance = lessons.conclude(zones[good] != zone)
            comparisons[zone] = Comparison(told.adjust(whole), covariance)
        judges = [comparisons[zone] for zone in zones.tolist()]
        names = name_ends(ends, judges, candidates, dose, blend=True)
        sensitivity, _ = lessons.conclude()
    return names, sensitivity


def _zones(ends: Sequence[End], names: Sequence[Name]) -> NDArray[np.intp]:
    """Return numbers of what has one name and about one spectrum: zones of one phase."""
    roots = np.sqrt([end.counts / end.counts.sum() for end in ends])
    alike = ((roots[:, None] - roots) ** 2).sum(axis=2) < _ONE_PHASE
    alike &= np.array([[one.minerals == other.minerals for other in names] for one in names])
    return np.asarray(connected_components(alike)[1], dtype=np.intp)


def _candidates(search: MineralSearch, classes: list[tuple[int, ...]]) -> Candidates:
    """Return what ends may be: where nobody chose the minerals, rare ones need more evidence."""
    number = len(search.minerals)
    if not search.automatic:
        return Candidates(number, classes, np.zeros(number), np.ones(number, dtype=bool), _STEP_GIVEN)
    shipped = {mineral.name: mineral for mineral in load_library()}
    common, accessory = set(minerals_of_set("common")), minerals_of_sets()

    def cost(mineral: Mineral) -> float:
        if mineral.name in common or shipped.get(mineral.name) != mineral:
            return 0.0
        usual = mineral.name in accessory and not mineral.elements & _UNSEEN
        return _ACCESSORY if usual else _RARE

    rarity = np.array([cost(mineral) for mineral in search.minerals])
    return Candidates(number, classes, rarity, rarity == 0, _STEP)


def _told(ends: Sequence[End], names: Sequence[Name], minerals: tuple[Mineral, ...]) -> tuple[str, ...]:
    """Return what the phases resemble that are none of the minerals looked for, and which are mixtures."""
    like = {
        minerals[name.resembles].name if name.resembles >= 0 else "nothing known"
        for name in names
        if not name.minerals and not name.parts
    }
    blends: dict[str, int] = {}
    for end, name in zip(ends, names, strict=True):
        if name.parts:
            key = " + ".join(sorted(minerals[mineral].name for mineral, _ in name.parts))
            blends[key] = blends.get(key, 0) + end.pixels.size
    told = []
    if like:
        told.append(
            f"some phases are none of the minerals looked for; they resemble {', '.join(sorted(like))}"
        )
    if blends:
        most = sorted(blends, key=lambda key: -blends[key])[:_TOLD]
        told.append(f"finer than the pixels, by their spectra mixtures: {'; '.join(most)}")
    return tuple(told)
