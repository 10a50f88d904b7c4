"""What ends of one map may be beside each other: instrument and physics are the same for all of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.minerals.mixing.ends import UNEVEN, End
from napari_xrf.minerals.naming.compared import ALIKE, DOUBTED, MOST_NAMES, Compared, EndName
from napari_xrf.minerals.naming.comparison_of_ends import have_same_lines

_GOES_WITH = 12.0  # as ALIKE, of a name that an end had, beside others
# Standard deviations by which two ends are no one mineral: those that are differ by up to 5
_SURELY_ODD, _HARDLY_ODD = 10.0, 5.0
_MINOR = 0.5  # of the pixels of a name's main kind: of two about as large, nobody knows which is odd
_MOST_OTHERS = 6  # ends, the largest, that an end is compared with


def told_by_others(
    names: tuple[EndName, ...], ends: Sequence[End], tables: Sequence[Compared], temper: float
) -> tuple[EndName, ...]:
    """Take from ends names that do not go with what other ends of the map may be.

    What instrument and physics do to a spectrum they do to the next: what shows no sodium beside albite is
    not albite, whatever is known of sodium's line. Only ends that are even tell. An unlisted mineral that
    explains an end better and goes better with the others is what it is. ``temper``: of differences of
    scores.
    """
    sound = [place for place, end in enumerate(ends) if names[place].rivals and end.variation < UNEVEN]

    def told(place: int) -> EndName:
        name, table = names[place], tables[place]
        points = [point for _, _, point in name.rivals]
        stranger = [name.strange] if _may_be_unlisted(name, ends[place], table) else []
        if len(points) + len(stranger) < 2 or not name.minerals:
            return name
        others = [other for other in sound if other != place][:_MOST_OTHERS]
        heard = [_beside(table, points + stranger, tables[other], names[other]) for other in others]
        weights = np.array([apart for _, apart in heard]) ** 2
        if not weights.any():
            return name
        worse = np.average([each for each, _ in heard], axis=0, weights=weights)
        if stranger:
            listed = worse[:-1]
            if listed.min() - worse[-1] > ALIKE:
                return EndName((), 1.0, name.misfit, -1, name.resembles, name.better)
            worse = listed - listed.min()
        return _decided_anew(name, table, worse, temper) if len(points) > 1 else name

    return tuple(in_threads(told, range(len(names))))


def without_odd_ones(
    names: tuple[EndName, ...], ends: Sequence[End], tables: Sequence[Compared]
) -> tuple[EndName, ...]:
    """Doubt names of ends that surely are not what most pixels of that name are.

    Whatever instrument and composition do to a mineral, twice the calcium is another one; but not where
    larger ends, a little of what lies beside it, explain what differs. What is about as far from them, and
    like an end without a name that surely is not that mineral, is not either. Where ends fall in two kinds
    about as large (pale and dark serpentine), neither is doubted.
    """

    def oddness(place: int, other: int) -> float:
        point = names[place].point
        points = point, names[other].point if names[other].minerals else point
        return tables[place].contrast(tables[place].mean, tables[other].mean, points).oddness

    def odd(place: int, other: int) -> bool:
        return oddness(place, other) > _SURELY_ODD

    def size(kind: Sequence[int]) -> int:
        return sum(ends[place].size for place in kind)

    def is_like_a_stranger(place: int, first: int) -> bool:
        if oddness(place, first) <= _HARDLY_ODD:
            return False
        like = [other for other in nameless if oddness(place, other) < _HARDLY_ODD]
        return any(odd(first, other) for other in like)

    doubted: set[int] = set()
    compared = [name.minerals and not end.explained for name, end in zip(names, ends, strict=True)]
    nameless = [place for place, name in enumerate(names) if not name.minerals and not ends[place].explained]
    for mineral in {name.best for name in names if name.minerals}:
        kinds: list[list[int]] = []  # of ends, the largest first
        for place, name in enumerate(names):
            if compared[place] and name.best == mineral:
                like = next((kind for kind in kinds if not odd(place, kind[0])), None)
                if like is None:
                    kinds.append([place])
                else:
                    like.append(place)
        main = max(kinds, key=size, default=[])
        for kind in kinds:
            if kind is not main and size(kind) <= _MINOR * size(main):
                doubted.update(kind)
        doubted.update(place for place in main[1:] if is_like_a_stranger(place, main[0]))
    return tuple(
        replace(name, probability=min(name.probability, DOUBTED)) if place in doubted else name
        for place, name in enumerate(names)
    )


def groups_of_one_map(
    names: tuple[EndName, ...], sizes: Sequence[int], tables: Sequence[Compared] = ()
) -> tuple[EndName, ...]:
    """Give all ends that are most probably one mineral the names that most of their pixels allow.

    ``sizes``: their pixels. ``tables``: of ends that were told by others; those that cannot be one keep
    names of their own.
    """
    most = max(MOST_NAMES, *(len(name.minerals) for name in names))

    def may_be_one(place: int, other: int) -> bool:
        if not tables or place == other:
            return True
        points = names[place].point, names[other].point
        return not tables[place].contrast(tables[place].mean, tables[other].mean, points).is_odd

    def grouped(place: int) -> EndName:
        alike = [
            other
            for other, name in enumerate(names)
            if name.minerals and name.best == names[place].best and may_be_one(place, other)
        ]
        held: dict[int, int] = {}
        for other in alike:
            for mineral in names[other].minerals:
                held[mineral] = held.get(mineral, 0) + sizes[other]
        shared = sorted(held, key=lambda mineral: -held[mineral])[:most]
        if tables:
            half = sum(sizes[other] for other in alike) / 2
            shared = [mineral for mineral in shared if held[mineral] > half]
        return replace(names[place], minerals=tuple(sorted(shared)))

    return tuple(grouped(place) if name.minerals else name for place, name in enumerate(names))


def _may_be_unlisted(name: EndName, end: End, table: Compared) -> bool:
    """Tell whether an unlisted mineral explains an end better, which no mixture of larger ones does."""
    better = name.better > ALIKE and not end.explained
    return better and not table.vetoed(np.array([name.strange]), np.ones(1))


def _beside(
    table: Compared, points: Sequence[int], other: Compared, beside: EndName
) -> tuple[NDArray[np.float64], float]:
    """Return by how much worse each composition that an end may be goes with what another end may be.

    And how far these compositions are apart beside it, whatever the end itself is.
    """
    contrasts = [
        [table.contrast(table.mean, other.mean, (point, against)) for _, _, against in beside.rivals]
        for point in points
    ]
    squares = np.array([[each.square for each in row] for row in contrasts])
    together = squares + [regret for _, regret, _ in beside.rivals]
    least = together.min(axis=1)
    first = int(least.argmin())
    best = contrasts[first][int(together[first].argmin())]
    # What goes with nothing is a mixture, or the other is.
    if best.is_odd:
        return np.zeros(least.size), 0.0
    # Differences above what two minerals are apart are errors of the model.
    apart = best.apart(points)
    return np.minimum(least - least[first], apart[first]), float(apart.max())


def _decided_anew(name: EndName, table: Compared, beside: NDArray[np.float64], temper: float) -> EndName:
    """Return what an end may be by how well its rivals go with the other ends, too."""
    before = np.array([regret for _, regret, _ in name.rivals])
    worse = np.maximum(before, beside)
    worse -= worse.min()
    believed = np.array([mineral in name.minerals for mineral, _, _ in name.rivals])
    # What an end alone speaks against has been heard of a name that it had.
    kept = np.where(believed, beside - beside[believed].min() < _GOES_WITH, worse < ALIKE)
    points = [point for _, _, point in name.rivals]
    for number in np.flatnonzero(kept & ~believed):
        kept[number] = not table.vetoed(np.array([points[number]]), np.ones(1))
    # Only scatter parts what has the same lines; it is known least.
    for number in np.flatnonzero(believed & ~kept):
        pairs = ([points[number], points[other]] for other in np.flatnonzero(kept))
        same = (have_same_lines(pair, table.expected) for pair in pairs)
        kept[number] = any(same)
    if (kept == believed).all() or not kept.any():
        return name
    weights = np.exp(-0.5 * temper * np.array([before, worse]))
    listed = min(1.0, name.probability * weights[0].sum() / weights[0, believed].sum())
    compared = {mineral for mineral, _, _ in name.rivals}
    left = {name.rivals[number][0] for number in np.flatnonzero(kept)}
    mineral, _, point = name.rivals[int(np.where(kept, worse, np.inf).argmin())]
    if name.best in left:
        mineral, point = name.best, name.point
    return replace(
        name,
        minerals=tuple(sorted(left | (set(name.minerals) - compared))),
        probability=float(listed * weights[1, kept].sum() / weights[1].sum()),
        point=point,
        best=mineral,
    )
