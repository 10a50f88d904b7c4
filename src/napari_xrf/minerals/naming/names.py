"""What an end of mixing is: compared with what is looked for and with the whole library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.minerals.likelihood.traces import Expected
from napari_xrf.minerals.mixing.ends import UNEVEN, End
from napari_xrf.minerals.naming.beside_others import groups_of_one_map, told_by_others, without_odd_ones
from napari_xrf.minerals.naming.compared import ALIKE, DOUBTED, MOST_NAMES, Compared, EndName
from napari_xrf.minerals.naming.comparison_of_ends import (
    MOST_COUNTS,
    Blend,
    EndComparison,
    Mean,
    have_same_lines,
    rough_distances,
    same_lines,
)
from napari_xrf.minerals.naming.constraints import contradictions

_LIKELY, _COMPOSITIONS = 20, 3  # compositions that are compared in full, and those of one mineral
_ABOUT_THE_LINES = 0.005  # squared distance of the roots of two spectra of lines, of sum 1
_NEAREST_MINERALS = 3  # that may be twins of a part of a mixture
_NEAREST = 5  # compositions whose mean continuum is about that of an end
_KEEPS = 6.0  # by how much another must be better than what the pixels seemed to be
_FAR_BETTER = 10.0
_SMALLEST_SCALE = 0.25  # of the errors' squares, where minerals of the list are compared
_UNUSUAL, _MISFITS = 4.0, (1.8, 12.0)  # chi-square per bin, over what is usual in the map
_UNUSUAL_BLEND, _BLEND_MISFITS = 2.0, (1.5, 6.0)
_DOUBTFUL = 1.5
_STRANGER_THAN_MISFIT, _STRANGER, _STRANGER_OF_MANY = 15.0, 40.0, 60.0
_STRANGER_PER_BIN = 0.25  # a better fit of less than this is that of a model with errors
_UNLISTED = 0.2  # weight of an unlisted mineral that is just not better enough
_UNLISTED_METAL, _SHOWN = 1.5, 0.01  # the same where it may be a metal; counts that show an element
_NOT_ALIKE = 60.0  # in minus twice the log-likelihood: can surely be told apart
_TOGETHER, _LEAST_WEIGHT = 0.95, 0.05  # of names of a library: as many as are surely right
_KINDS, _OF_GRAINS = 3, 0.25  # single minerals, and what part of a map they are where it has grains
_STEP_OF_GRAINS = 30.0
_ONE_LOOK = 0.3  # squared distance of the roots of two spectra of sum 1
_RIVAL, _MOST_RIVALS = 20.0, 5  # in minus twice the log-likelihood, what may be when others are heard
_LEAST_FOR_DOSE = 3
_LEAST_FOR_USUAL = 3
_VARIED, _EVEN = 0.08, 0.003  # differences of areas, and variation, that a phase has not
_LEAST_VARIATION = 0.002  # of the pixels of a mixture
_DOSE_SPREAD = 0.1  # of the logarithm of an end's counts
_MAY_SHOW = 0.001  # of the counts
_MOST_FOR_BRIGHTNESS = 25.0
_MOST_PARTS = 4  # of a mixture
_MOSTLY = 0.9  # of the area: as good as pure
_IN_GRAINS = 0.2  # how probable mixtures are beforehand inside grains that one mineral explains
_CRYSTALS = 0.5  # how probable they are beforehand beside a glass whose pixels vary
_GOOD_PART, _STRANGE_PART = 0.1, 0.6  # area, and probability of a part that no grain of the map is
# In minus twice the log-likelihood: what a mineral that is not rock-forming must explain besides
ACCESSORY, RARE = 8.0, 24.0
_AT_HOME = math.exp(-0.5 * ACCESSORY)
_TELLS_KIND = 0.8  # probability of a name that tells of what kind a sample is
_UNKNOWN_KINDS, _STEPS_TO_PARTS = 1.0, 100  # names that a kind which no set is counts for
_PREFERRED = 2.0  # in minus twice the log-likelihood, of a name that only rarity speaks against
_MOST_ASKED = 4  # mixtures that lines may speak against, before none is likely


@dataclass(frozen=True, eq=False)
class Candidates:
    """What ends may be."""

    listed: int  # how many of the minerals are looked for
    classes: Sequence[tuple[int, ...]]  # minerals of each class that the ends' pixels seemed to be
    # (listed,) by how much more a mineral must explain to be believed, in minus twice the log-likelihood
    rarity: NDArray[np.float64]
    blending: NDArray[np.bool_]  # which of them may be parts of a fine-grained mixture
    # What each further part of one must explain; half of it where other phases of the map hold it
    step: float
    # Of differences of scores, which know nothing of errors that all bins share nor of what no list holds
    temper: float
    chosen: bool = False  # whether somebody chose the list: then a mixture of its minerals is no wonder
    elements: frozenset[str] = frozenset()  # found in the map
    sets: tuple[frozenset[int], ...] = ()  # what kinds of samples hold beside what all do

    def with_grains(self, ends: Sequence[End], names: Sequence[EndName]) -> Candidates:
        """Return the same, where mixtures may hold what even ends are, be it rare: it lies beside them."""
        blending = self.blending.copy()
        for end, name in zip(ends, names, strict=True):
            if name.best >= 0 and end.variation < _LEAST_VARIATION:
                blending[name.best] = True
        return replace(self, blending=blending)

    def in_context(self, names: Sequence[EndName]) -> Candidates:
        """Return the same, where what belongs to other kinds of samples than the named is less probable.

        A sample is a mixture of kinds, in the parts that explain best what is surely in it beside what all
        hold (expectation maximization). The fewer that tells, the more may be a kind of its own.
        """
        kinds = {name.minerals for name in names if name.minerals and name.probability > _TELLS_KIND}
        held = np.array([[not own.isdisjoint(kind) for own in self.sets] for kind in kinds])
        held = held[held.any(axis=1)] if held.size else held
        if not held.size:
            return self
        parts = np.full(len(self.sets), 1 / len(self.sets))
        for _ in range(_STEPS_TO_PARTS):
            told = held * parts
            parts = (told / told.sum(axis=1, keepdims=True)).mean(axis=0)
        unknown = _UNKNOWN_KINDS / (_UNKNOWN_KINDS + len(held))
        rarity = self.rarity.copy()
        for mineral in sorted(frozenset().union(*self.sets)):
            home = sum(part for part, own in zip(parts.tolist(), self.sets, strict=True) if mineral in own)
            weight = unknown * math.exp(-0.5 * rarity[mineral]) + (1 - unknown) * home * _AT_HOME
            rarity[mineral] = min(-2 * math.log(weight), RARE)
        return replace(self, rarity=rarity)


def name_ends(
    ends: Sequence[End],
    comparisons: Sequence[EndComparison],
    candidates: Candidates,
    *,
    blend: bool = False,
    veto: bool = False,
) -> tuple[EndName, ...]:
    """Return what each end is.

    Parameters
    ----------
    ends
        The ends, the largest first.
    comparisons
        With the expected spectra of the minerals looked for, and behind them of others: one for each end.
    candidates
        What they may be.
    blend
        Whether they may be mixtures of a few minerals.
    veto
        Whether single lines speak against names.
    """
    return name_compared(ends, compare_ends(ends, comparisons, candidates, blend), candidates, veto)


def compare_ends(
    ends: Sequence[End], comparisons: Sequence[EndComparison], candidates: Candidates, blend: bool
) -> tuple[Compared, ...]:
    """Compare each end with what it may be, as :func:`name_ends`: what takes the time."""
    distances = [
        rough_distances(end.counts / end.counts.sum(), comparison.expected)
        for end, comparison in zip(ends, comparisons, strict=True)
    ]
    # About the logarithm of a pixel's counts over those that are expected of a unit of dose. Of what is
    # nearest, not of what its pixels seemed to be: beside resin, which hardly shines, traces are anything.
    dose = float(
        np.median(
            [
                math.log(end.mean.sum() / comparison.expected.templates.totals[distance.argmin()])
                for end, comparison, distance in zip(ends, comparisons, distances, strict=True)
            ]
        )
    )
    tables: list[Compared] = []

    def compared(one: tuple[End, EndComparison, NDArray[np.float64]]) -> Compared:
        end, comparison, distance = one
        return _compare(end, comparison, candidates, distance, dose, blend)

    for table in in_threads(compared, zip(ends, comparisons, distances, strict=True)):
        tables.append(table)
        if comparisons[len(tables) - 1] not in comparisons[len(tables) :]:
            comparisons[len(tables) - 1].forget()
    return tuple(tables)


def agreed_names(guesses: Sequence[tuple[float, tuple[EndName, ...]]], temper: float) -> tuple[EndName, ...]:
    """Return what ends are under several guesses, the weightiest first, of weights that sum to 1.

    A mineral may be what any of them says, and is as probable as those are together that agree. What the
    first has no name for is what another says that explains it better; ``temper``: of such differences.
    """
    weights = np.array([weight for weight, _ in guesses])
    agreed = []
    for named in zip(*(names for _, names in guesses), strict=True):
        own, first = weights, named[0]
        if not first.minerals and not first.parts:
            worse = np.array([name.unlikely for name in named]) - first.unlikely
            own = weights * np.exp(-0.5 * temper * worse)
            own /= own.sum()
            first = named[int(own.argmax())]
        main = set(_main_part(first))
        if first.minerals:
            main = main.union(*(name.minerals for name in named))
        probability = sum(
            weight * name.probability
            for weight, name in zip(own.tolist(), named, strict=True)
            if main.intersection(_main_part(name))
        )
        minerals = tuple(sorted(main)) if first.minerals else ()
        agreed.append(replace(first, minerals=minerals, probability=probability) if main else first)
    return tuple(agreed)


def _main_part(name: EndName) -> tuple[int, ...]:
    return name.minerals or (name.parts[0][0] if name.parts else ())


def unlisted_weight(expected: Expected, points: NDArray[np.intp], minerals: Iterable[int]) -> float:
    """Return the weight of what no library holds beside the name of what lies alone under the beam.

    Glasses, alloys, salts: no library has them all. Of one element it may be the metal. ``points``: the
    compositions that explain it, of ``minerals``.
    """
    shown = expected.parts[points].max(axis=0) > _SHOWN
    one = len({name for name, each in zip(expected.families.elements, shown, strict=True) if each}) == 1
    pure = any(len(expected.templates.minerals[mineral].elements) == 1 for mineral in minerals)
    return _UNLISTED_METAL if one and not pure else _UNLISTED


def is_rock(names: Sequence[EndName], candidates: Candidates) -> bool:
    """Tell whether a map holds two common minerals or more, or groups of a few with one, so far as known."""
    held: set[tuple[int, ...]] = {name.minerals for name in names if 0 < len(name.minerals) <= MOST_NAMES}
    held |= {members for name in names for members, _ in name.parts}
    common = [members for members in held if not candidates.rarity[list(members)].all()]
    return candidates.chosen or len(common) > 1


def _compare(
    end: End,
    comparison: EndComparison,
    candidates: Candidates,
    distance: NDArray[np.float64],
    dose: float,
    blend: bool,
) -> Compared:
    expected, listed = comparison.expected, candidates.listed
    templates = expected.templates
    counts = min(float(end.counts.sum()), MOST_COUNTS)
    nearest = np.argsort(distance)[:_NEAREST]
    mean = Mean.of(end.counts, counts, end.mean.sum() / math.exp(dose), expected, nearest)
    distance = mean.distances(expected)
    # What the pixels seemed to be is always compared.
    distance[np.isin(templates.owner, candidates.classes[end.column])] *= 0.5
    points = _with_commoner(_likely(distance, templates.owner, listed), distance, expected, candidates.rarity)
    scores, squares = np.array([comparison.fit(mean, int(point)) for point in points]).T
    blends: list[Blend] = []
    if blend:
        start = points[scores[templates.owner[points] < listed].argmin()]
        mixing = np.append(candidates.blending, np.zeros(len(templates.minerals) - listed, bool))
        parts = np.flatnonzero(mixing[templates.owner])
        if np.unique(templates.owner[parts]).size > 1:
            blends = comparison.blends(mean, int(start), parts, _MOST_PARTS)
    # Where nothing fits, errors are larger than thought, and differences tell less. Where one fits ten
    # times better than its errors allow, they are smaller, and differences tell more than their sizes.
    usual = squares.min() / mean.shares.size
    scale = max(1.0, usual)
    sharpness = 1 / float(np.clip(_FAR_BETTER * usual, _SMALLEST_SCALE, 1.0))
    sharper = squares * (sharpness - 1)
    sharper[templates.owner[points] >= listed] = 0
    asked: dict[bytes, bool] = {}

    def vetoed(compositions: NDArray[np.intp], shares: NDArray[np.float64]) -> bool:
        if end.shows and end.shows.isdisjoint(_elements_of(compositions, expected)):
            return True
        key = compositions.tobytes()
        if key not in asked:
            asked[key] = bool(
                contradictions(mean.shares, counts, expected, compositions, shares, candidates.elements)
            )
        return asked[key]

    def apart(point: int, mineral: int) -> float:
        return sharpness * comparison.apart(point, mineral)

    return Compared(
        mean,
        points,
        scores / scale,
        squares,
        sharper,
        tuple(blends),
        scale,
        mean.shares.size,
        vetoed,
        apart,
        comparison.contrast,
        expected,
    )


def _elements_of(compositions: NDArray[np.intp], expected: Expected) -> frozenset[str]:
    """Return the elements that the minerals of some compositions may show."""
    own = np.isin(expected.templates.owner, expected.templates.owner[compositions])
    shown = np.flatnonzero(expected.parts[own].max(axis=0) > _MAY_SHOW)
    return frozenset(expected.families.elements[family] for family in shown)


def _darkness(brightness: NDArray[np.float64], dose: float, spread: float) -> NDArray[np.float64]:
    """Return what it speaks against candidates that an end is brighter or darker than they would be."""
    if not math.isfinite(dose):
        return np.zeros_like(brightness)
    ratio = (brightness - dose) / spread
    # Pits and shadows make anything dim, but nothing shines more than a flat surface of it.
    return np.minimum(ratio**2, np.where(ratio > 0, 4, 1) * _MOST_FOR_BRIGHTNESS)


def _likely(distance: NDArray[np.float64], owner: NDArray[np.intp], listed: int) -> NDArray[np.intp]:
    """Return the nearest compositions of the list and of other minerals, a few of each mineral."""
    order = np.argsort(distance)
    grouped = np.argsort(owner[order], kind="stable")
    rank = np.empty(order.size, dtype=np.intp)
    starts = np.unique(owner[order][grouped], return_index=True)[1]
    rank[grouped] = np.arange(order.size) - np.repeat(starts, np.diff([*starts, order.size]))
    order = order[rank < _COMPOSITIONS]
    inside = owner[order] < listed
    return np.concatenate([order[inside][:_LIKELY], order[~inside][:_LIKELY]])


def _with_commoner(
    points: NDArray[np.intp], distance: NDArray[np.float64], expected: Expected, rarity: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return compositions and, of commoner minerals with about the lines of one of them, the nearest.

    Hardly more than scatter parts these, by which quartz was not among the twenty that are nearest to sand:
    silicon carbide was, and beside other grains borosilicate glass.
    """
    owner = expected.templates.owner
    rare = points[owner[points] < rarity.size]
    rare = rare[rarity[owner[rare]] > 0]
    left = np.flatnonzero((owner < rarity.size) & ~np.isin(owner, owner[points]))
    if not rare.size or not left.size:
        return points
    commoner = rarity[owner[left]][:, None] < rarity[owner[rare]]
    alike = left[(commoner & same_lines(left, rare, expected, _ABOUT_THE_LINES)).any(axis=1)]
    minerals = np.unique(owner[alike])
    nearest = [alike[owner[alike] == each] for each in minerals]
    return np.append(points, [rows[distance[rows].argmin()] for rows in nearest]).astype(np.intp)


def name_compared(
    ends: Sequence[End], tables: Sequence[Compared], candidates: Candidates, veto: bool
) -> tuple[EndName, ...]:
    """Name all ends: by their shapes, then by how bright they are under one dose, and beside each other.

    ``veto``: whether single lines speak against names, and ends are asked what others may be.
    """
    if not veto:
        tables = [replace(table, vetoed=lambda *_: False) for table in tables]
    bright = np.zeros(len(ends))
    dose = spread = math.nan
    names: tuple[EndName, ...] = ()
    # Few ends do not tell what is usual.
    usual = float(np.median([table.squares.min() / table.bins for table in tables]))
    usual = usual if len(ends) >= _LEAST_FOR_USUAL else 0.0
    for _ in range(2):
        known = _Naming.after(names, ends, candidates, usual)
        named: list[EndName] = []
        for place, (end, table) in enumerate(zip(ends, tables, strict=True)):
            name = known.name(end, table, dose, spread)
            named.append(name)
            total = table.expected.templates.totals[name.point]
            bright[place] = np.log(end.mean.sum() / total) if name.point >= 0 else np.nan
        names = tuple(named)
        if np.isfinite(bright).sum() >= _LEAST_FOR_DOSE:
            dose = float(np.nanmedian(bright))
            spread = max(_DOSE_SPREAD, 2 * float(np.nanmedian(np.abs(bright - dose))))
    if veto:
        names = told_by_others(names, ends, tables, candidates.temper)
        names = without_odd_ones(names, ends, tables)
    if not candidates.chosen:
        names = groups_of_one_map(names, [end.size for end in ends], tables if veto else ())
    # Who chose a list may mean a mixture finer than any grain; beside grains an even one is something else.
    if not candidates.chosen or _has_grains(names, [end.size for end in ends]):
        names = _without_even_mixtures(names, ends)
    names = tuple(
        replace(name, unlikely=table.unlikely(candidates.rarity))
        for name, table in zip(names, tables, strict=True)
    )
    return _of_one_map(names)


@dataclass(frozen=True, eq=False)
class _Naming:
    """What is known of a map when its ends are named, one after another."""

    candidates: Candidates  # as they are given
    single: Candidates  # as ends of one mineral
    blending: Candidates  # as parts of mixtures
    usual: float  # how badly the best of an end usually fits
    alone: bool  # whether one thing lies under the beam rather than a rock
    held_alone: set[int] | None  # minerals that grains are of, where there are grains
    settled: set[int] = field(default_factory=set)  # minerals that ends before hold

    @classmethod
    def after(
        cls, names: Sequence[EndName], ends: Sequence[End], candidates: Candidates, usual: float
    ) -> _Naming:
        """Return what a first naming tells; none has no names."""
        # In a rock rare minerals need more evidence; what lies alone under the beam may be anything.
        alone = bool(names) and not is_rock(names, candidates)
        rarity = np.zeros_like(candidates.rarity) if alone else candidates.rarity
        single = replace(candidates, rarity=rarity)
        # Where grains of minerals are, no mixture is called for by what one mineral explains, be it rare.
        grains = bool(names) and _has_grains(names, [end.size for end in ends])
        held_alone = {mineral for name in names for mineral in name.minerals} if grains else None
        of_library = grains and not candidates.chosen
        blending = replace(candidates, rarity=0 * rarity, step=_STEP_OF_GRAINS) if of_library else single
        return cls(candidates, single, blending, usual, alone, held_alone)

    def name(self, end: End, table: Compared, dose: float, spread: float) -> EndName:
        """Return what an end is; ``dose``, ``spread``: how bright the map's minerals are, if known."""
        expected, seen = table.expected, end.mean.sum()
        scores = table.scores + _darkness(
            np.log(seen / expected.templates.totals[table.points]), dose, spread
        )
        name = _decide(table, scores, self, end)
        totals = np.array([blend.total(expected) for blend in table.blends])
        blends = np.array([blend.score for blend in table.blends]) / table.scale
        blends += _darkness(np.log(seen / totals), dose, spread)
        # Grains finer than the pixels vary from one to the next: what is even is a mineral if one fits.
        if not self.candidates.chosen and name.minerals and end.variation < _LEAST_VARIATION:
            name = _or_unlisted(name, table, scores, blends, self.candidates.step)
        else:
            # What is uneven is hardly one grain.
            probable = self.single if end.variation > UNEVEN else self.blending
            name = _or_blend(name, table, scores, blends, probable, self)
        if end.variation > _EVEN:
            name = _or_crystallised(name, table, scores, blends, self.candidates.temper)
        self.settled.update(name.minerals, *(members for members, _ in name.parts))
        return name

    def cost_of_parts(self, minerals: frozenset[int]) -> float:
        """Return what the parts of a mixture cost, in steps: less of what is known to be there."""
        if self.held_alone is None:
            return max(len(minerals - self.settled) - 1, 0) + 0.5 * len(minerals & self.settled)
        return 1.5 * len(minerals - self.held_alone) + 0.5 * len(minerals & self.held_alone)


def _has_grains(names: Sequence[EndName], sizes: Sequence[int]) -> bool:
    """Tell whether a good part of a map are single minerals of several kinds."""
    single = [size if name.minerals else 0 for name, size in zip(names, sizes, strict=True)]
    kinds = {name.best for name in names if name.minerals}
    return len(kinds) >= _KINDS and sum(single) > _OF_GRAINS * sum(sizes)


def _without_even_mixtures(names: tuple[EndName, ...], ends: Sequence[End]) -> tuple[EndName, ...]:
    """Doubt mixtures whose parts are the same throughout the map, or in all pixels of such a mixture.

    A glass or a phase that no list holds is even; what is of grains finer than the pixels varies.
    """
    kinds = [frozenset(members for members, _ in name.parts) for name in names]
    varied = {}
    for kind in set(kinds):
        own = [end for end, each in zip(ends, kinds, strict=True) if each == kind]
        own = [end for end in own if math.isfinite(end.variation)]
        sizes = [end.size for end in own]
        varied[kind] = np.average([end.variation for end in own], weights=sizes) if own else math.inf
    mixed = [dict(name.parts) for name in names]
    every = sorted({members for parts in mixed for members in parts})
    areas = np.array([[parts.get(members, 0.0) for members in every] for parts in mixed])
    return tuple(
        replace(name, probability=min(name.probability, DOUBTED))
        if name.parts and (np.abs(areas - areas[place]).max() < _VARIED or varied[kinds[place]] < _EVEN)
        else name
        for place, name in enumerate(names)
    )


def _of_one_map(names: tuple[EndName, ...]) -> tuple[EndName, ...]:
    """Give parts of mixtures that may be one mineral one name: what most of their area allows."""
    sure = {name.minerals[0] for name in names if len(name.minerals) == 1}
    parts = [part for name in names for part in name.parts]
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    for best in sorted({each for members, _ in parts for each in members}, key=lambda m: (m not in sure, -sum(
        area for members, area in parts if m in members
    ))):  # fmt: skip
        own = [part for part in parts if best in part[0] and part[0] not in known]
        whole = sum(area for _, area in own)
        shared = {
            each
            for members, _ in own
            for each in members
            if 2 * sum(area for others, area in own if each in others) > whole
        }
        known.update({members: (best,) if best in sure else tuple(sorted(shared)) for members, _ in own})
    return tuple(
        replace(name, parts=tuple((known[members], area) for members, area in name.parts)) for name in names
    )


class _Singles:
    """The minerals that an end may be alone: the best composition of each, and how badly it fits.

    ``best``: its place among the compositions compared; ``inside``, ``outside``: scores of those looked for,
    rarity included, and of others.
    """

    def __init__(self, table: Compared, scores: NDArray[np.float64], candidates: Candidates) -> None:
        self.table, self.candidates = table, candidates
        self.owner = owner = table.expected.templates.owner[table.points]
        listed = candidates.listed
        self.prior = np.append(candidates.rarity, np.zeros(max(0, int(owner.max()) + 1 - listed)))[owner]
        sharper = scores + table.sharper + self.prior
        self.best = {
            int(mineral): int(np.flatnonzero(owner == mineral)[sharper[owner == mineral].argmin()])
            for mineral in np.unique(owner)
        }
        self.inside = {m: float(sharper[place]) for m, place in self.best.items() if m < listed}
        self.outside = {m: float(scores[place]) for m, place in self.best.items() if m >= listed}

    def points(self, minerals: Iterable[int]) -> list[int]:
        """Return the best compositions of some minerals."""
        return [int(self.table.points[self.best[mineral]]) for mineral in minerals]

    def vetoed(self, mineral: int) -> bool:
        """Tell whether single lines speak against a mineral."""
        return self.table.vetoed(self.table.points[[self.best[mineral]]], np.ones(1))

    def leave_out_vetoed(self) -> bool:
        """Let go of the likeliest that are vetoed; tell whether the next best is an answer at all."""
        inside, least = self.inside, min(self.inside.values())
        for mineral in sorted(inside, key=lambda mineral: inside[mineral]):
            if inside[mineral] - min(inside.values()) < ALIKE and self.vetoed(mineral):
                del inside[mineral]
                # Not where it fits far worse.
                if not inside or min(inside.values()) - least > _STRANGER_THAN_MISFIT:
                    return False
        return True

    def first_of(self, own: Sequence[int]) -> int:
        """Return the likeliest, or what its pixels seemed to be where that is about as likely."""
        inside = self.inside
        first = min(inside, key=lambda mineral: inside[mineral])
        seeming = min(
            (mineral for mineral in own if mineral in inside), key=lambda m: inside[m], default=first
        )
        nearly = inside[seeming] - inside[first] < _KEEPS
        return seeming if nearly and not self.vetoed(seeming) else first

    def alike_to(self, first: int) -> tuple[int, ...]:
        """Return what fits as well as one does, none where that is not of one look.

        Differences of scores above what two minerals are apart are errors of the model.
        """
        inside, prior, best = self.inside, self.prior, self.best
        (at,) = self.points([first])
        for mineral in [m for m, score in inside.items() if ALIKE <= score - inside[first] < _NOT_ALIKE]:
            rarer = float(prior[best[mineral]] - prior[best[first]])
            most = self.table.apart(at, mineral) + rarer
            if most < inside[mineral] - inside[first] and not self.vetoed(mineral):
                inside[mineral] = inside[first] + most
        alike = tuple(sorted(m for m, score in inside.items() if abs(score - inside[first]) < ALIKE))
        return alike if self.of_one_look(alike) else ()

    def with_preferred(self, alike: tuple[int, ...], first: int) -> tuple[int, ...]:
        """Return what shares the name besides: rarity is no evidence of something else.

        What the spectrum itself prefers does, and what is less rare and has the same lines: only scatter
        parts them, which is known least.
        """
        inside, prior, best = self.inside, self.prior, self.best
        plain = {m: score - float(prior[best[m]]) for m, score in inside.items()}
        plainly = min(plain, key=lambda m: plain[m])
        if plain[plainly] > min(plain[m] for m in alike) - _PREFERRED:
            plainly = first
        common = [m for m in inside if prior[best[m]] < prior[best[first]] and not self.vetoed(m)]
        points, known = self.table.points, self.table.expected
        common = [m for m in common if have_same_lines(points[[best[m], best[first]]], known)]
        both = tuple(sorted({*alike, plainly, *common}))
        return both if self.of_one_look(both) else alike

    def of_one_look(self, minerals: Sequence[int]) -> bool:
        """Tell whether what fits equally is of one look; else too little was measured to know anything."""
        templates, points = self.table.expected.templates, self.points(minerals)
        roots = np.sqrt(templates.lines[points] + templates.continuum[points])
        return bool(((roots[:, None] - roots) ** 2).sum(axis=2).max() < _ONE_LOOK)

    def probable_together(self, alike: tuple[int, ...], weight: dict[int, float]) -> tuple[int, ...]:
        """Return what an end may be, with those of one look that share its probability until most is held."""
        for mineral in sorted(set(weight) - set(alike), key=lambda m: -weight[m]):
            own = sum(weight[m] for m in alike)
            full = len(alike) >= MOST_NAMES or own > _TOGETHER * sum(weight.values())
            if full or weight[mineral] < _LEAST_WEIGHT * own:
                break
            if self.of_one_look((*alike, mineral)):
                alike = (*alike, mineral)
        return tuple(sorted(alike))


def _decide(table: Compared, scores: NDArray[np.float64], known: _Naming, end: End) -> EndName:
    """Return which single mineral an end is, or none of those looked for."""
    candidates = known.single
    singles = _Singles(table, scores, candidates)
    owner, best, inside, outside = singles.owner, singles.best, singles.inside, singles.outside
    bins, squares, temper = end.counts.size, table.squares, candidates.temper
    nearest = min(inside, key=lambda mineral: inside[mineral])
    if not singles.leave_out_vetoed():
        return EndName((), 1.0, float(squares.min()) / bins, -1, nearest, 0.0)
    lowest, first = min(inside.values()), singles.first_of(candidates.classes[end.column])
    misfit = squares[best[first]] / bins
    stranger = min(outside, key=lambda mineral: outside[mineral]) if outside else -1
    better = float(scores[np.isin(owner, list(inside))].min()) - outside[stranger] if outside else 0.0
    margin = _STRANGER if first in known.settled else _STRANGER_OF_MANY
    margin = _STRANGER_THAN_MISFIT if misfit > _DOUBTFUL else margin
    margin = max(margin, _STRANGER_PER_BIN * bins)
    # Nothing is strange about an end that the list explains well.
    explained = (
        misfit < _DOUBTFUL
        and bool(outside)
        and squares[best[first]] - squares[best[stranger]] < _STRANGER_THAN_MISFIT
    )
    strange = misfit > np.clip(_UNUSUAL * known.usual, *_MISFITS) or (better > margin and not explained)
    alike = () if strange else singles.alike_to(first)
    if not alike:
        return EndName((), 1.0, misfit, -1, stranger, better)
    weight = {m: float(np.exp(-0.5 * temper * (score - lowest))) for m, score in inside.items()}
    if not candidates.chosen:
        alike = singles.probable_together(singles.with_preferred(alike, first), weight)
    own_weight = sum(weight[m] for m in alike)
    if known.alone:
        stranger_weight = unlisted_weight(table.expected, np.array(singles.points(alike)), alike) * own_weight
    else:
        stranger_weight = _UNLISTED * float(np.exp(0.5 * temper * min(better - margin, 0.0)))
    probability = own_weight / (sum(weight.values()) + stranger_weight)
    probability *= min(1.0, _DOUBTFUL / misfit)
    winner = min(inside, key=lambda mineral: inside[mineral])
    near = sorted((m for m in inside if m in alike or inside[m] - lowest < _RIVAL), key=lambda m: inside[m])
    rivals = tuple((m, inside[m] - lowest, int(table.points[best[m]])) for m in near[:_MOST_RIVALS])
    point, at_stranger = singles.points([first])[0], singles.points([stranger])[0] if outside else -1
    least = float(scores[np.isin(owner, alike)].min())
    unlisted = _unlisted_as_good(table, scores, point, least, candidates.listed)
    return EndName(
        alike, probability, misfit, point, stranger, better, winner, (), 0.0, rivals, at_stranger, unlisted
    )


def _unlisted_as_good(
    table: Compared, scores: NDArray[np.float64], point: int, least: float, listed: int
) -> tuple[int, ...]:
    """Return the minerals that nobody looks for and that explain an end about as well as its name.

    ``point``, ``least``: the name's composition and score. What names teach of the instrument speaks for
    them: differences above what two minerals are apart count as little here as among those of the list.
    """
    owner = table.expected.templates.owner[table.points]
    near = np.flatnonzero((owner >= listed) & (scores - least < _NOT_ALIKE))
    kinds = (near[owner[near] == mineral] for mineral in np.unique(owner[near]))
    best = (own[scores[own].argmin()] for own in kinds)
    return tuple(
        int(owner[place])
        for place in best
        if (scores[place] - least < ALIKE or table.apart(point, int(owner[place])) < ALIKE)
        and not table.vetoed(table.points[[place]], np.ones(1))
    )


def _or_unlisted(
    name: EndName,
    table: Compared,
    scores: NDArray[np.float64],
    blends: NDArray[np.float64],
    step: float,
) -> EndName:
    """Return that an even end is a mineral of no list where a mixture explains it far better than its name.

    It holds what the mineral lacks, in each pixel as much. Of four parts, free and chosen among a hundred
    minerals, a mixture explains errors of the model, too: each further one has to be worth ``step``.
    """
    if not blends.size:
        return name
    expected, owner = table.expected, table.expected.templates.owner
    costs = blends + step * np.array([np.unique(owner[blend.points]).size - 1 for blend in table.blends])
    areas = table.blends[int(costs.argmin())].areas(expected)
    own = np.isin(owner[table.points], name.minerals)
    better = float(scores[own].min() - costs.min())
    margin = max(_STRANGER, _STRANGER_PER_BIN * table.bins)
    if better < margin or sum(areas.get(mineral, 0.0) for mineral in name.minerals) > _MOSTLY:
        return name
    # Its best stays known, as a part of mixtures: else the next naming would find none that is better.
    return EndName((), 1.0, name.misfit, -1, name.best, better, name.best)


def _or_crystallised(
    name: EndName,
    table: Compared,
    scores: NDArray[np.float64],
    blends: NDArray[np.float64],
    temper: float,
) -> EndName:
    """Return the name of a glass with the doubt that it may be the minerals that it crystallises to.

    Quartz and feldspars finer than the pixels have its spectrum; only that a melt is even parts them. So
    this is of pixels that vary.
    """
    minerals = table.expected.templates.minerals
    if not name.minerals or not blends.size or any(minerals[m].group != "glass" for m in name.minerals):
        return name
    own = np.isin(table.expected.templates.owner[table.points], name.minerals)
    worse = max(float(blends.min() - scores[own].min(initial=np.inf)), 0.0)
    return replace(name, probability=name.probability / (1 + _CRYSTALS * math.exp(-0.5 * temper * worse)))


def _or_blend(
    name: EndName,
    table: Compared,
    scores: NDArray[np.float64],
    blends: NDArray[np.float64],
    candidates: Candidates,
    known: _Naming,
) -> EndName:
    """Return a mixture of a few minerals where it explains an end better than one does.

    Each part after the first costs; a single mineral that is rare has to explain more than mixtures of
    common ones do. Where there are grains, mixtures of what they are of are more probable.
    """
    expected, held_alone = table.expected, known.held_alone
    owner = expected.templates.owner[table.points]
    held = [frozenset(expected.templates.owner[blend.points].tolist()) for blend in table.blends]
    steps = [known.cost_of_parts(minerals) for minerals in held]
    costs = blends + candidates.step * np.array(steps)
    place = _not_vetoed(table, costs)
    if place is None:
        return name
    blend = table.blends[place]
    misfit = blend.square / expected.templates.bins.size
    outside = float(scores[owner >= candidates.listed].min(initial=np.inf)) + candidates.step
    if misfit > np.clip(_UNUSUAL_BLEND * known.usual, *_BLEND_MISFITS):
        return name
    single = outside
    if name.minerals:
        own = np.isin(owner, name.minerals)
        single = float((scores + candidates.rarity[np.minimum(owner, candidates.listed - 1)])[own].min())
    odds = float(np.exp(-0.5 * candidates.temper * np.clip(costs[place] - single, -200, 200)))
    areas = blend.areas(expected)
    if odds < 1:
        # A mixture that is mostly of it says the same.
        other = odds * (1 - sum(areas.get(mineral, 0.0) for mineral in name.minerals))
        other *= 1.0 if held_alone is None else _IN_GRAINS
        return replace(name, probability=name.probability / (1 + other)) if name.minerals else name
    if outside < costs[place]:
        return EndName((), odds / (1 + odds), name.misfit, -1, name.resembles, name.better)
    unlisted = (
        math.exp(0.5 * candidates.temper * max(costs[place] - outside, -200.0)) if name.minerals else 0.0
    )
    probability = 1 / (1 + 1 / odds + unlisted)

    def members(mineral: int) -> tuple[int, ...]:
        """Return what a part may be: what explains as much in its place, or cannot be told from it."""
        twins = _twins(table, _point_of(mineral, blend, expected), candidates)
        return tuple(sorted(_exchangeable(mineral, place, held, blends).union(twins)))

    main = max(areas, key=lambda mineral: areas[mineral])
    point = _point_of(main, blend, expected)
    as_good = _unlisted_as_good(table, scores, point, float(blends[place]), candidates.listed)
    if areas[main] > _MOSTLY:
        # The rest may come from beside it; the mineral teaches what its spectra look like all the same.
        same = name.minerals if main in name.minerals else members(main)
        known_as = EndName(same, probability, misfit, point, name.resembles, name.better, main)
        return replace(known_as, unlisted=as_good)
    parts = sorted(((members(mineral), area) for mineral, area in areas.items()), key=lambda part: -part[1])
    if held_alone is not None:
        strange = [area > _GOOD_PART and held_alone.isdisjoint(each) for each, area in parts]
        probability *= _STRANGE_PART ** sum(strange)
    mixed = EndName((), probability, misfit, -1, name.resembles, name.better, -1, tuple(parts))
    return replace(mixed, unlisted=as_good)


def _not_vetoed(table: Compared, costs: NDArray[np.float64]) -> int | None:
    """Return the cheapest of a few mixtures that no single line speaks against."""
    for place in np.argsort(costs)[:_MOST_ASKED].tolist():
        if not table.vetoed(table.blends[place].points, table.blends[place].shares):
            return int(place)
    return None


def _point_of(mineral: int, blend: Blend, expected: Expected) -> int:
    """Return the composition that most of a mineral has in a mixture."""
    inside = expected.templates.owner[blend.points] == mineral
    return int(blend.points[np.where(inside, blend.shares, 0).argmax()])


def _exchangeable(
    mineral: int, place: int, held: Sequence[frozenset[int]], scores: NDArray[np.float64]
) -> set[int]:
    """Return what a part of a mixture may be: what explains as much in its place."""
    others = held[place] - {mineral}
    return {mineral}.union(
        *(
            minerals - others
            for minerals, score in zip(held, scores, strict=True)
            if others < minerals and len(minerals) == len(held[place]) and score - scores[place] < ALIKE
        )
    )


def _twins(table: Compared, point: int, candidates: Candidates) -> list[int]:
    """Return the minerals of the list, no rarer, that a composition cannot be told from."""
    templates = table.expected.templates
    distance = rough_distances(templates.lines[point] + templates.continuum[point], table.expected)
    own, rarity = int(templates.owner[point]), candidates.rarity
    near = dict.fromkeys(templates.owner[np.argsort(distance)].tolist())
    listed = [mineral for mineral in near if mineral < candidates.listed and mineral != own][
        :_NEAREST_MINERALS
    ]
    return [m for m in listed if rarity[m] <= rarity[own] and table.apart(point, m) < ALIKE]
