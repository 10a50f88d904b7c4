"""The phases of a map: from expected spectra to ends of mixing with names, and what pixels hold of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, ndtr

from napari_xrf.core.cores import in_threads, one_thread_of
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LEAST_PROBABILITY
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import scratch_array
from napari_xrf.maps.calibrated_map import find_elements
from napari_xrf.minerals.likelihood.binned_map import BinnedMap
from napari_xrf.minerals.likelihood.independent_pixels import independent_pixels
from napari_xrf.minerals.likelihood.scan import Scan, prepare_scan
from napari_xrf.minerals.likelihood.sensitivity import (
    Sensitivity,
    learn_from,
    learn_sensitivity,
    soft_sensitivity,
    spreads_beforehand,
)
from napari_xrf.minerals.likelihood.shares import SMOOTHINGS, Band, Prior, class_shares, learn_prior
from napari_xrf.minerals.likelihood.templates import Templates, expect_templates
from napari_xrf.minerals.likelihood.traces import Expected, line_families
from napari_xrf.minerals.mixing.ends import End, belief_in_ends, learn_ends, may_be_mixtures
from napari_xrf.minerals.mixing.mixtures import Mixing
from napari_xrf.minerals.mixing.purification import purify_ends
from napari_xrf.minerals.mixing.specks import ends_that_show, with_specks
from napari_xrf.minerals.naming.chosen_lists import beside_a_list
from napari_xrf.minerals.naming.compared import EndName
from napari_xrf.minerals.naming.comparison_of_ends import EndComparison, rough_distances
from napari_xrf.minerals.naming.constraints import lines_of_ends
from napari_xrf.minerals.naming.names import (
    ACCESSORY,
    RARE,
    Candidates,
    agreed_names,
    compare_ends,
    name_compared,
    name_ends,
)
from napari_xrf.minerals.search import MineralSearch
from napari_xrf.minerals.separability import inseparable_groups
from napari_xrf.reference.minerals import (
    Mineral,
    load_library,
    minerals_of_set,
    minerals_of_sets,
    phases_by_name,
    sets_of_minerals,
)

SAMPLE = 1_500  # pixels that teach what is common to all
_PRUNED_SAMPLE, _LONG_LIST = 400, 40
_STARTS = (0.0, 0.4)  # of the soft sensitivity, when a long list is shortened
_GUESSES = (0.0, 0.4, 0.7)  # of it, when phases are named, beside what single pixels tell
_LEAST_MASS = 0.5  # pixels of the sample
_ABOUT_AS_WELL = 4.0  # minus twice the log-likelihood of a pixel
_KEPT_BYTES = 64 * 2**20  # scores above it lie in a scratch file
_POOLED = 9  # pixels of a grain decide together which minerals are told apart
_COHERENT = 0.3
_SURE, _BEST = 0.8, 0.6
_HOPELESS = 210.0  # in minus twice the log-likelihood: no likelihood in single precision
_UNLISTED_COMPOSITIONS = 4
_POOREST_FIT = 2.0  # chi-square per bin that errors of the model may explain
_PART_ERROR = 0.2  # of the difference of two parts of a fine-grained mixture
_HALF_BELIEVED = 7.0  # standard deviations of misfit of a single pixel
_ONE_PHASE = 0.05  # squared distance of the roots of two spectra of sum 1
_ROUNDS = 2  # of naming and learning the sensitivity from names
_TEACHING = 15  # ends, the largest, that choose among first guesses of the sensitivity
# Of differences of what all ends together tell: they share the errors of the model
_TEMPER_OF_GUESSES, _LEAST_WEIGHT = 0.1, 0.1
_UNDECIDED, _FAR_MORE = 0.05, 0.05  # parts of the pixels, of purer ends
_FOUND = 0.9  # probability of an element whose lines speak against names
_SEED = 20260701
# In minus twice the log-likelihood: what each further part of a fine-grained mixture must explain besides.
_STEP, _STEP_GIVEN = 12.0, 30.0
_TEMPER, _TEMPER_GIVEN = 0.4, 0.7  # of differences of scores; a list that somebody chose holds what is there
_TOLD = 4
_UNSEEN = frozenset({"Li", "Be", "B"})  # what sets a mineral apart, and no map shows it


@dataclass(frozen=True, eq=False)
class PixelPhases:
    """What n pixels hold."""

    areas: NDArray[np.float32]  # (n, K) parts of the pixels' areas, of sum 1
    probability: NDArray[np.float32]  # (n,) of the largest
    # (n,) whether that is more than a guess; which half of a mixture is the larger never is
    decided: NDArray[np.bool_]
    misfit: NDArray[np.float32]  # (n,) standard deviations


@dataclass(frozen=True, eq=False)
class SinglePixels:
    """What pixels of a map without grains are compared with: each is of the class that explains it best."""

    scan: Scan  # expected spectra
    groups: tuple[tuple[int, ...], ...]  # G classes: places among the scan's minerals
    prior: Prior  # of the classes
    # (G,) chi-square per bin of pixels that surely are of each class: of many counts it tells of errors of
    # the model, and whether these are too large is judged where the class is named
    usual: NDArray[np.float32]

    def scores(self, counts: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return scores of the classes, (n, G), and chi-squares per bin of the best spectra, (n,)."""
        every = self.scan.scores(counts, _HOPELESS)
        best = self.scan.by_mineral(every)[1]
        grouped = np.stack([best[:, list(group)].min(axis=1) for group in self.groups], axis=1)
        return grouped, self.scan.squares(every, counts.sum(axis=1)) / counts.shape[1]

    def of_rows(self, binned: BinnedMap, rows: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probabilities of classes (n, G) and misfit (n,) of the measured pixels of some rows."""
        ((_, wide, inner),) = binned.wide_bands(SMOOTHINGS, "comparing pixels with minerals", rows=rows)
        held = binned.held(wide)
        own = np.zeros_like(held)
        own[inner] = held[inner]
        scores, squares = self.scores(binned.counts(wide)[held])
        probability = self.prior.probability(scores, held)[own[held]]
        usual = self.usual[probability.argmax(axis=1)]
        misfit = (squares[own[held]] / usual - 1) * np.sqrt(binned.bins.size / 2)
        return probability, misfit.astype(np.float32)


@dataclass(frozen=True, eq=False)
class MineralPhases:
    """The phases of a map, and what their areas in pixels are found with."""

    # K tuples: which minerals of the list each phase may be; an empty one is unknown
    members: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[int, ...], ...]  # minerals that this map does not tell apart
    # (M, K) which parts of the phases each end, or each class of a map without grains, is
    parts: NDArray[np.float32]
    sure: NDArray[np.floating]  # (M,) how probable it is that each of these is what it is named
    templates: Templates  # expected spectra of the list as the map shows them
    notes: tuple[str, ...]  # one sentence each
    pixels: Mixing | SinglePixels  # what the pixels are compared with
    coarse: float = 1.0  # how far names are believed for the size of grains, at most 1
    doubts: tuple[str, ...] = ()  # those of the notes that speak against the list that was chosen

    def of_rows(self, binned: BinnedMap, rows: slice) -> PixelPhases:
        """Return what the measured pixels of a band of rows hold."""
        if isinstance(self.pixels, Mixing):
            found = self.pixels.unmix(binned, rows)
            lead = np.minimum(found.lead, _lead_of_parts(found.areas, self.parts))
            probability = (ndtr(lead) * found.sure * self.coarse).astype(np.float32)
            return PixelPhases(found.areas, probability, found.sure >= LEAST_PROBABILITY, found.misfit)
        probability, misfit = self.pixels.of_rows(binned, rows)
        areas = probability @ self.parts
        winner = probability.argmax(axis=1)
        certain = probability[np.arange(winner.size), winner] * self.sure[winner]
        certain = certain * expit(2 * (_HALF_BELIEVED - misfit)) * ndtr(_lead_of_parts(areas, self.parts))
        return PixelPhases(areas, certain.astype(np.float32), certain >= LEAST_PROBABILITY, misfit)


def learn_mineral_phases(
    binned: BinnedMap,
    search: MineralSearch,
    library: Sequence[Mineral] | None,
    tolerance: float,
    progress: Progress = ignore_progress,
) -> MineralPhases:
    """Learn the phases of a map.

    ``binned``: the map in the bins of the search. ``library``: all minerals that a phase may be besides those
    looked for; the shipped ones by default. Raises InvalidInput when none of the minerals would show in this
    map.
    """
    instrument = search.measured.instrument
    templates = expect_templates(search.minerals, instrument, binned.bins, progress)
    if templates.size == 0:
        raise InvalidInput("none of the minerals would show in this map", "Name others, or check the kV")
    families = line_families(instrument, binned.bins)
    # Pixels that share counts teach once: what chance made of them would be taken for phases.
    taught = independent_pixels(binned)
    sample, level = _sample(taught.binned, progress)
    every = Expected.of(templates, families)
    spreads = spreads_beforehand(instrument.source, families.names)
    expected = _shortened(every, sample[:_PRUNED_SAMPLE], spreads, level, tolerance)
    sensitivity = learn_sensitivity(sample, expected, spreads, level, tolerance)
    scan = _prepare(sensitivity.adjust(expected), level, tolerance)
    columns = np.unique(scan.owner)
    groups = _alike(scan, columns, level)
    single, winner, told = _scan_map(taught.binned, scan, groups, progress)
    minerals = [tuple(int(columns[place]) for place in group) for group in groups]
    candidates = _candidates(search, minerals)
    # What no pixel of the sample needed may be a small grain, or a part everywhere.
    whole = _with_library(search, every, library, progress)
    namer = _Namer(taught.binned, whole, candidates, sensitivity)
    grains = single.prior.coherences[-1] >= _COHERENT
    found = namer.name_grains(winner, progress) if grains else None
    mixed = found is not None
    found = found or namer.name(_sure_ends(taught.binned, winner, told))
    ends, named, sensitivity = found.ends, found.names, found.sensitivity
    pure = found.pure
    notes = taught.notes + found.notes + _told(pure, named, whole.templates.minerals)
    doubts = tuple[str, ...]()
    if candidates.chosen:
        known = whole.templates.minerals
        named, doubts, not_told = beside_a_list(named, pure, known, _usual_rarity(known))
        notes = doubts + notes + not_told
    if mixed:
        names = _with_mixtures(ends, named)
        members, parts = _parts_of([_held(name) for name in names])
        sure = np.array([name.probability for name in names], dtype=np.float32)
        places = taught.spread(found.places, binned.shape)
        are_known = np.array([bool(name.minerals or name.parts) for name in names])
        pixels: Mixing | SinglePixels = Mixing.learned(binned, ends, parts, places, sure, are_known)
    else:
        of = dict(zip((end.column for end in ends), named, strict=True))
        members, parts = _parts_of(
            [_held(of[place]) if place in of else {group: 1.0} for place, group in enumerate(minerals)]
        )
        sure = np.array([of[place].probability if place in of else 1.0 for place in range(len(minerals))])
        pixels = single
    return MineralPhases(
        members,
        _groups(members, minerals),
        parts,
        sure,
        sensitivity.adjust(every).templates,
        notes,
        pixels,
        found.coarse,
        doubts,
    )


@dataclass(frozen=True, eq=False)
class _NamedEnds:
    """The ends of a map and what they are."""

    ends: tuple[End, ...]
    names: tuple[EndName, ...]  # of those that hold no others
    sensitivity: Sensitivity  # that the names teach
    places: NDArray[np.int16]  # (Y, X) of which end pixels are for sure, where the map has grains
    coarse: float = 1.0  # how far names are believed for the size of grains
    notes: tuple[str, ...] = ()

    @property
    def pure(self) -> list[End]:
        """The ends that hold no others."""
        return [end for end in self.ends if not end.held]

    @property
    def undecided(self) -> float:
        """Part of the pixels of ends that have no name, or one that is not believed.

        What surely shows an element that names lack is told, though it has none.
        """
        names = _with_mixtures(self.ends, self.names)
        without = [
            name.probability < LEAST_PROBABILITY or not (name.minerals or name.parts or end.shows)
            for end, name in zip(self.ends, names, strict=True)
        ]
        number = np.bincount(self.places[self.places >= 0], minlength=len(names))
        return float(number[without].sum() / max(number.sum(), 1))


@dataclass(frozen=True, eq=False)
class _Namer:
    """Names the ends of a map."""

    binned: BinnedMap
    whole: Expected  # what is looked for and, behind it, all others
    candidates: Candidates
    sensitivity: Sensitivity  # as single pixels tell it

    def name(self, ends: Sequence[End], places: NDArray[np.int16] | None = None) -> _NamedEnds:
        """Return what ends are."""
        pure = [end for end in ends if not end.held]
        names, told = name_phases(pure, self.whole, self.candidates, self.sensitivity)
        return _NamedEnds(tuple(ends), names, told, np.zeros((0, 0), np.int16) if places is None else places)

    def name_grains(self, winner: NDArray[np.int16], progress: Progress) -> _NamedEnds | None:
        """Return what the ends of a map with grains are, or None where nothing lies inside one.

        Where ends may be mixtures they are purified, unless many of the purer ones then have no name though
        the ends as they are do: those are no phases, whatever they foretell of the counts.
        """
        ends, places = learn_ends(self.binned, winner, progress)
        if not ends:
            return None
        purer = None
        if may_be_mixtures(ends, places, winner):
            parted, lying, coarse, note = purify_ends(self.binned, ends, places, progress)
            purer = replace(
                self._with_specks(parted, lying, progress, mixed=coarse < 1), coarse=coarse, notes=(note,)
            )
            if purer.undecided < _UNDECIDED:
                return purer
        coarse, notes = belief_in_ends(ends, places, winner)
        found = replace(self._with_specks(ends, places, progress), coarse=coarse, notes=notes)
        if purer is None:
            return found
        if purer.undecided < found.undecided + _FAR_MORE:
            return purer
        note = (
            f"names hang on what is taken for a mixture: of purified ends of mixing {purer.undecided:.0%}"
            f" of the pixels would have no name, of these {found.undecided:.0%} have none"
        )
        return replace(found, notes=(*notes, note))

    def _with_specks(
        self, ends: Sequence[End], places: NDArray[np.int16], progress: Progress, *, mixed: bool = False
    ) -> _NamedEnds:
        """Return what ends are, and specks beside them unless ends are mixtures still."""
        known = self.sensitivity.adjust(self.whole)
        lines = lines_of_ends([end.counts for end in ends], known)
        if mixed:
            return self.name(ends_that_show(self.binned, ends, places, known.families, lines), places)
        return self.name(*with_specks(self.binned, ends, places, known.families, lines, progress))


def _with_mixtures(ends: Sequence[End], named: Sequence[EndName]) -> list[EndName]:
    """Return the names of all ends, those that hold others in between; ``named``: of those that do not."""
    of = dict(zip((place for place, end in enumerate(ends) if not end.held), named, strict=True))
    for place, end in enumerate(ends):
        if end.held:
            parts = tuple(
                (members, area * part)
                for other, area in end.held
                for members, part in _held(of[other]).items()
            )
            sure = sum(area * of[other].probability for other, area in end.held)
            of[place] = EndName((), sure, 0.0, -1, -1, 0.0, parts=parts)
    return [of[place] for place in range(len(ends))]


def _held(name: EndName) -> dict[tuple[int, ...], float]:
    """Return the parts of an end's area that its minerals hold."""
    held: dict[tuple[int, ...], float] = {}
    for members, area in name.parts:
        held[members] = held.get(members, 0.0) + area
    return held or {name.minerals: 1.0}


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


def _groups(
    members: Sequence[tuple[int, ...]], minerals: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], ...]:
    """Return the groups that phases are named by, and those of minerals that no phase holds."""
    named = {group for group in members if len(group) > 1}
    held = {mineral for group in members for mineral in group}
    return tuple(sorted(named | {group for group in minerals if len(group) > 1 and not held & set(group)}))


@one_thread_of("blas")
def _prepare(expected: Expected, level: float, tolerance: float) -> Scan:
    return prepare_scan(expected, level, tolerance)


@one_thread_of("blas")
def _shortened(
    expected: Expected,
    sample: NDArray[np.float32],
    spreads: NDArray[np.float64],
    level: float,
    tolerance: float,
) -> Expected:
    """Leave out minerals of a long list that no pixel of a sample needs."""
    if np.unique(expected.templates.owner).size <= _LONG_LIST:
        return expected
    needed: set[int] = set()
    for start in _STARTS:
        adjusted = soft_sensitivity(spreads, start).adjust(expected)
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


def _sample(binned: BinnedMap, progress: Progress) -> tuple[NDArray[np.float32], float]:
    """Return counts (n, B) of some measured pixels in random order, and the geometric mean of all totals."""
    number, logarithms = [], 0.0
    for band, counts in binned.bands("comparing pixels", progress):
        totals = counts.sum(axis=2)[binned.held(band)]
        number.append(totals.size)
        logarithms += float(np.log(np.maximum(totals, 1)).sum(dtype=np.float64))
    pixels = sum(number)
    wanted = np.random.default_rng(_SEED).choice(pixels, min(SAMPLE, pixels), replace=False)
    sample = np.zeros((wanted.size, binned.bins.size), dtype=np.float32)
    first = 0
    for (band, counts), inside in zip(binned.bands("comparing pixels", progress), number, strict=True):
        own = (wanted >= first) & (wanted < first + inside)
        if own.any():
            sample[own] = counts[binned.held(band)][wanted[own] - first]
        first += inside
    return sample, float(np.exp(logarithms / pixels))


def _scan_map(
    binned: BinnedMap, scan: Scan, groups: tuple[tuple[int, ...], ...], progress: Progress
) -> tuple[SinglePixels, NDArray[np.int16], NDArray[np.float32]]:
    """Compare all pixels with all minerals.

    Returns
    -------
    single
    winner : (Y, X) the most probable class, -1 where nothing was measured
    told : (2, Y, X) its probability and its score
    """
    rows, columns = binned.shape
    one = np.ones(1, np.float32)
    known = SinglePixels(scan, groups, Prior(one, one), one)
    kept: Any = scratch_array((rows, columns, len(groups)), np.float32, _KEPT_BYTES)
    squares = []

    def scores_of(
        one: tuple[slice, NDArray[np.float32]],
    ) -> tuple[slice, NDArray[np.float32], NDArray[np.float32]]:
        band, counts = one
        return band, *known.scores(counts[binned.held(band)])

    with one_thread_of("blas"):
        bands = binned.bands("comparing pixels with minerals", progress)
        for band, scores, square in in_threads(scores_of, bands):
            whole = np.zeros((band.stop - band.start, columns, len(groups)), dtype=np.float32)
            whole[binned.held(band)] = scores
            kept[band] = whole
            squares.append(square)

    def kept_bands(margin: int) -> Iterator[Band]:
        for _, wide, inner in binned.wide_bands(margin, "weighing minerals", progress):
            held = binned.held(wide)
            own = np.zeros_like(held)
            own[inner] = True
            yield np.asarray(kept[wide])[held], held, own[held]

    square = np.zeros((rows, columns), dtype=np.float32)
    square[binned.held(slice(binned.first_row, binned.first_row + rows))] = np.concatenate(squares)
    prior = learn_prior(kept_bands, len(groups))
    winner = np.full((rows, columns), -1, dtype=np.int16)
    told = np.zeros((2, rows, columns), dtype=np.float32)

    def weighed(one: Band) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
        scores, held, own = one
        probability = prior.probability(scores, held)[own]
        best = probability.argmax(axis=1)
        pixels = np.arange(best.size)
        return best, probability[pixels, best], scores[own][pixels, best]

    wide = binned.wide_bands(SMOOTHINGS, "weighing minerals")
    for (band, _, _), found in zip(wide, in_threads(weighed, kept_bands(SMOOTHINGS)), strict=True):
        inside = binned.held(band)
        winner[band][inside], told[0, band][inside], told[1, band][inside] = found
    usual = np.full(len(groups), np.clip(np.median(square[winner >= 0]), 1.0, _POOREST_FIT), np.float32)
    for column, sure in _surest(winner, told):
        usual[column] = max(usual[column], np.median(square[sure]))
    return replace(known, prior=prior, usual=usual), winner, told


def _surest(winner: NDArray[np.int16], told: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield each class that has them with the pixels (Y, X) that surely are of it and fit best."""
    for column in np.unique(winner[winner >= 0]).tolist():
        own = (winner == column) & (told[0] > _SURE)
        if own.any():
            own[own] = told[1][own] <= np.quantile(told[1][own], _BEST)
            yield column, own


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


def _sure_ends(binned: BinnedMap, winner: NDArray[np.int16], told: NDArray[np.float32]) -> tuple[End, ...]:
    """Return what the pixels that are surely of a class have in common, where there are no grains."""
    taken = np.full(winner.shape, -1)
    for column, own in _surest(winner, told):
        taken[own] = column
    sums: dict[int, NDArray[np.float64]] = {}
    for band, counts in binned.bands("averaging classes"):
        for column in np.unique(taken[band][taken[band] >= 0]).tolist():
            total = counts[taken[band] == column].sum(axis=0, dtype=np.float64)
            sums[column] = sums.get(column, 0.0) + total
    ends = [End(column, int((taken == column).sum()), sums[column]) for column in sorted(sums)]
    return tuple(sorted(ends, key=lambda end: -end.size))


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


@one_thread_of("blas")
def name_phases(
    ends: Sequence[End], whole: Expected, candidates: Candidates, sensitivity: Sensitivity
) -> tuple[tuple[EndName, ...], Sensitivity]:
    """Name the ends, and again with the sensitivity that those named at first tell.

    Wrong names and a wrong sensitivity endorse each other (olivine for fayalite and diopside for akermanite,
    where silicon is half as strong again as expected). So a few first guesses are tried, and each counts as
    much as all ends together are probable under it.
    """
    starts = [sensitivity]
    if len(ends) > 1:
        guesses = (soft_sensitivity(sensitivity.spreads, soft) for soft in _GUESSES)
        starts += [each for each in guesses if not np.array_equal(each.knots, sensitivity.knots)]
    unlikely = _unlikely(ends[:_TEACHING], whole, candidates, starts)
    rounds, least = unlikely.argmin(axis=1) + 1, unlikely.min(axis=1)
    weights = np.exp(-0.5 * _TEMPER_OF_GUESSES * (least - least.min()))
    weights[weights < _LEAST_WEIGHT] = 0
    weights /= weights.sum()
    found: list[tuple[float, tuple[EndName, ...], Sensitivity]] = []
    for place in np.argsort(-weights)[: np.count_nonzero(weights)].tolist():
        names, told = _seeming(ends, whole, candidates, starts[place]), starts[place]
        judges, told = _judges(ends, whole, names, told)
        for _ in range(1, rounds[place]):
            judges, told = _judges(ends, whole, name_ends(ends, judges, candidates), told)
        names = _heard(ends, judges, names, candidates)
        found.append((float(weights[place]), names, told))
    return agreed_names([(weight, names) for weight, names, _ in found], candidates.temper), found[0][2]


def _heard(
    ends: Sequence[End], judges: list[EndComparison], names: Sequence[EndName], candidates: Candidates
) -> tuple[EndName, ...]:
    """Return what ends are as the sensitivity is known now: mixtures, too, of what lies in grains."""
    first = candidates.in_context(names).with_grains(ends, names)
    tables = compare_ends(ends, judges, first, blend=True)
    # Names that lines speak against still tell what lies in grains.
    wider = candidates.with_grains(ends, name_compared(ends, tables, first, veto=False))
    if (wider.blending != first.blending).any():
        tables = compare_ends(ends, judges, wider, blend=True)
    return name_compared(ends, tables, wider, veto=True)


def _unlikely(
    ends: Sequence[End], whole: Expected, candidates: Candidates, starts: Sequence[Sensitivity]
) -> NDArray[np.float64]:
    """Return how unlikely the ends are under each first guess after one round of naming, and after another.

    (S, R) minus twice the log-likelihoods; only a guess that may count after the first is taught again.
    """
    unlikely = np.full((len(starts), _ROUNDS), np.inf)
    if len(starts) == 1:
        unlikely[:, 0] = 0
        return unlikely
    most = -2 * np.log(_LEAST_WEIGHT) / _TEMPER_OF_GUESSES
    named = [(_seeming(ends, whole, candidates, start), start) for start in starts]
    for number in range(_ROUNDS):
        for place in np.flatnonzero(unlikely[:, number - 1] <= unlikely.min() + most):
            judges, told = _judges(ends, whole, *named[place])
            named[place] = name_ends(ends, judges, candidates), told
            unlikely[place, number] = sum(name.unlikely for name in named[place][0])
    return unlikely


def _seeming(
    ends: Sequence[End], whole: Expected, candidates: Candidates, start: Sensitivity
) -> tuple[EndName, ...]:
    """Return what ends are under a first guess of the sensitivity."""
    return name_ends(ends, [EndComparison(start.adjust(whole))] * len(ends), candidates)


def _judges(
    ends: Sequence[End], whole: Expected, names: Sequence[EndName], start: Sensitivity
) -> tuple[list[EndComparison], Sensitivity]:
    """Return what each end is compared with, and the sensitivity that all names together tell.

    What a mineral's own spectra tell of the sensitivity makes it look right; so ends are judged by what
    other phases tell, with its error.
    """
    good = [place for place, name in enumerate(names) if name.point >= 0]
    totals = np.array([ends[place].counts.sum() for place in good])
    means = np.array([ends[place].counts for place in good]).reshape(-1, whole.templates.bins.size)
    points = np.array([names[place].point for place in good], dtype=np.intp)
    means /= totals[:, None]
    others = [_others_it_may_be(whole, names[place], mean) for place, mean in zip(good, means, strict=True)]
    lessons = learn_from(whole, points, means, totals, start, others)
    comparisons: dict[int, EndComparison] = {}
    zones = _zones(ends, names)
    for zone in set(zones.tolist()):
        told, covariance = lessons.conclude(zones[good] != zone)
        comparisons[zone] = EndComparison(told.adjust(whole), covariance)
    return [comparisons[zone] for zone in zones.tolist()], lessons.conclude()[0]


def _others_it_may_be(whole: Expected, name: EndName, mean: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the composition nearest to a mean spectrum of each other mineral that an end may be."""
    owner, distance = whole.templates.owner, rough_distances(mean, whole)
    own = int(owner[name.point])
    rows = (np.flatnonzero(owner == mineral) for mineral in name.minerals if mineral != own)
    return np.array([each[distance[each].argmin()] for each in rows], dtype=np.intp)


def _zones(ends: Sequence[End], names: Sequence[EndName]) -> NDArray[np.intp]:
    """Return numbers of what has one name and about one spectrum: zones of one phase."""
    roots = np.sqrt([end.counts / end.counts.sum() for end in ends])
    alike = ((roots[:, None] - roots) ** 2).sum(axis=2) < _ONE_PHASE
    alike &= np.array([[one.minerals == other.minerals for other in names] for one in names])
    return np.asarray(connected_components(alike)[1], dtype=np.intp)


def _candidates(search: MineralSearch, classes: list[tuple[int, ...]]) -> Candidates:
    """Return what ends may be: where nobody chose the minerals, rare ones need more evidence."""
    number = len(search.minerals)
    found = frozenset(each.element for each in find_elements(search.measured) if each.probability > _FOUND)
    found |= set(search.measured.cube.elements)
    if not search.automatic:
        every = np.ones(number, dtype=bool)
        return Candidates(number, classes, np.zeros(number), every, _STEP_GIVEN, _TEMPER_GIVEN, True, found)
    rarity = _rarity(search.minerals)
    # What no map shows, no other mineral of a map makes more probable.
    told = {m.name: place for place, m in enumerate(search.minerals) if not m.elements & _UNSEEN}
    sets = tuple(
        frozenset(told[each] for each in own if each in told and rarity[told[each]] > 0)
        for own in sets_of_minerals()
    )
    graded = _usual_rarity(search.minerals)
    return Candidates(number, classes, graded, rarity == 0, _STEP, _TEMPER, False, found, sets)


def _rarity(minerals: Sequence[Mineral]) -> NDArray[np.float64]:
    """Return by how much more each mineral must explain than common ones; those of a user's own nothing."""
    elsewhere = {mineral.name: mineral for mineral in phases_by_name()}
    shipped = {mineral.name: mineral for mineral in load_library()} | elsewhere
    common, accessory = set(minerals_of_set("common")), minerals_of_sets() - set(elsewhere)

    def cost(mineral: Mineral) -> float:
        if mineral.name in common or shipped.get(mineral.name) != mineral:
            return 0.0
        usual = mineral.name in accessory and not mineral.elements & _UNSEEN
        return ACCESSORY if usual else RARE

    return np.array([cost(mineral) for mineral in minerals])


def _usual_rarity(minerals: Sequence[Mineral]) -> NDArray[np.float64]:
    """Return the same of what grains are.

    Clays are common, but as a part of what is fine-grained: as a grain, a feldspar comes first.
    """
    clays = np.array([mineral.group == "clay" for mineral in minerals])
    return np.where(clays, ACCESSORY, _rarity(minerals))


def _told(ends: Sequence[End], names: Sequence[EndName], minerals: tuple[Mineral, ...]) -> tuple[str, ...]:
    """Return what the phases resemble that are none of the minerals looked for, and which are mixtures."""
    like = {
        minerals[name.resembles].name if name.resembles >= 0 else "nothing known"
        for name in names
        if not name.minerals and not name.parts
    }
    blends: dict[str, int] = {}
    for end, name in zip(ends, names, strict=True):
        if name.parts:
            parts = (" / ".join(minerals[member].name for member in members) for members, _ in name.parts)
            key = " + ".join(sorted(parts))
            blends[key] = blends.get(key, 0) + end.size
    told = []
    if like:
        told.append(
            f"some phases are none of the minerals looked for; they resemble {', '.join(sorted(like))}"
        )
    if blends:
        most = sorted(blends, key=lambda key: -blends[key])[:_TOLD]
        told.append(f"finer than the pixels, by their spectra mixtures: {'; '.join(most)}")
    return tuple(told)
