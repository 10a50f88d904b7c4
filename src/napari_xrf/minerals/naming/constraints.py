"""What speaks against a name line by line: a strong line that the mineral cannot make, one that it lacks.

Chi-square over all bins forgives both, where hundreds of bins agree. Here the lines of an end are fitted
family by family, all amounts free, and compared with what the mineral makes of each.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.spectra.non_negative import fit_bounded
from napari_xrf.minerals.likelihood.scan import bin_variance, mixed_floor, pile_up_column
from napari_xrf.minerals.likelihood.sensitivity import knot_hats
from napari_xrf.minerals.likelihood.templates import bin_errors
from napari_xrf.minerals.likelihood.traces import Expected
from napari_xrf.minerals.naming.comparison_of_ends import rough_distances

_BIN_ERROR, _SHAPE_ERROR = 0.02, 0.15
_SURE, _BEYOND_DOUBT = 3.0, 8.0  # standard deviations
_OWN_SHAPE = 0.1  # of a family's shape is of no other's
_MOST_FOREIGN = 5.0  # per cent by weight of an element that a mineral, or a mixture, has no place for
_LEAST_FOREIGN = 0.01  # and of the counts
_MUST_SHOW = 0.02  # of the counts
_LACKING = 0.25  # of what a mineral must show
_MOST_ABSORBED = 20.0
_BESIDE, _EXCHANGED = 0.25, 0.35  # cosine of two families' shapes, and what part of one the other may take


@dataclass(frozen=True)
class Contradiction:
    """A line family that speaks against a name."""

    family: str  # "Ba L"
    # measured, expected: shares of the counts
    measured: float
    expected: float
    # About how much by weight of the element would make the difference; negative where it lacks
    percent: float


@dataclass(frozen=True, eq=False)
class FreeLines:
    """Line families of a spectrum, fitted with all amounts free."""

    families: NDArray[np.intp]  # (L,) places of those looked for
    # amounts, errors: (L,) their shares of the counts, and standard errors
    amounts: NDArray[np.float64]
    errors: NDArray[np.float64]
    beside: int  # the family, of those not looked for, that is surely there, or -1


def contradictions(
    spectrum: NDArray[np.float64],
    counts: float,
    expected: Expected,
    points: Sequence[int] | NDArray[np.intp],
    shares: NDArray[np.float64],
    elements: Collection[str],
) -> tuple[Contradiction, ...]:
    """Return what speaks against one mineral, or a mixture of a few, the strongest first.

    ``spectrum``: (B,) mean spectrum of an end. ``counts``: that count as measured: errors of spectra limit
    what more would tell. ``points``, ``shares``: compositions among the expected spectra, and their shares of
    the counts. ``elements``: found in the map; of others only what the end shows best is looked for, if it
    does so beyond doubt: tellurium of a few grains is lost in the sum of all.
    """
    templates, families = expected.templates, expected.families
    points = np.asarray(points, dtype=np.intp)
    own = _range(expected, points, shares)
    looked = np.flatnonzero([name in elements for name in families.elements] | (own[1] > 0))
    spectrum = counts * spectrum / spectrum.sum()
    free = fit_lines(spectrum, expected, points, shares, looked)
    if free.beside >= 0:
        looked = np.append(looked, free.beside)
        free = fit_lines(spectrum, expected, points, shares, looked)
    total = 1 / float((shares / templates.totals[points]).sum())
    weaker = weaker_than_in_silica(expected, int(points[np.argmax(shares)]))
    taken = _taken_from_beside(free, expected, own[1][looked])
    vouched = _shown_by_harder_lines(free, expected, own[0][looked])
    found = []
    for family, seen, error, moved, is_there in zip(
        free.families.tolist(),
        free.amounts.tolist(),
        (_SURE * free.errors).tolist(),
        taken.tolist(),
        vouched.tolist(),
        strict=True,
    ):
        low, high = own[0][family], own[1][family]
        percent = total * weaker[family] / families.per_percent[family]
        too_much = seen - error - high - moved
        if too_much > _LEAST_FOREIGN and too_much * percent > _MOST_FOREIGN and high < _LACKING * seen:
            found.append(Contradiction(families.names[family], seen, high, (seen - high) * percent))
        elif low > _MUST_SHOW and seen + error < _LACKING * low and not is_there:
            found.append(Contradiction(families.names[family], seen, low, (seen - low) * percent))
    return tuple(sorted(found, key=lambda each: -abs(each.measured - each.expected)))


def lines_of_ends(
    spectra: Sequence[NDArray[np.float64]], expected: Expected
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what share of the counts of M spectra (B,) line families are, about, (M, F).

    And the per cent by weight, about, of a family's element where it is all that is counted, (M, F). Each
    spectrum is taken for the composition that it resembles most.
    """
    near = [int(rough_distances(each / each.sum(), expected).argmin()) for each in spectra]
    weaker = np.array([weaker_than_in_silica(expected, point) for point in near])
    percent = expected.templates.totals[near, None] * weaker / expected.families.per_percent
    return expected.parts[near], percent


def _shown_by_harder_lines(
    free: FreeLines, expected: Expected, least: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return of which families (L,) the element is there by another one of higher energy.

    Soft L lines are absorbed and wrong by factors: chalcopyrite, whose iron K is there, lacked iron L.
    ``least`` (L,): what the mineral must make.
    """
    families, energies = expected.families, expected.templates.bins.energies
    place = families.shapes[free.families] @ energies
    elements = np.array(families.elements)[free.families]
    there = (least > _LEAST_FOREIGN) & (free.amounts > _LACKING * least)
    return np.asarray(
        ((elements[:, None] == elements) & (place[:, None] < place) & there).any(axis=1), dtype=bool
    )


def _taken_from_beside(free: FreeLines, expected: Expected, most: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each family (L,) may be of others of the mineral, which lack it, close beside.

    Ratios within L and M families are wrong by tens of per cent: scheelite was no scheelite for the silicon
    between the M lines of its tungsten. ``most`` (L,): what the mineral may make.
    """
    shapes = expected.families.shapes[free.families]
    shapes = shapes / np.maximum(np.linalg.norm(shapes, axis=1, keepdims=True), 1e-12)
    beside = (shapes @ shapes.T > _BESIDE) & ~np.eye(most.size, dtype=bool)
    lacking = np.clip(most - free.amounts, 0.0, _EXCHANGED * most)
    return np.asarray(beside @ lacking)


def fit_lines(
    spectrum: NDArray[np.float64],
    expected: Expected,
    points: NDArray[np.intp],
    shares: NDArray[np.float64],
    looked: NDArray[np.intp],
) -> FreeLines:
    """Return how much of a spectrum (B,) of counts some line families are, over compositions' continuum."""
    templates, families = expected.templates, expected.families
    counts = float(spectrum.sum())
    mean = spectrum / counts
    lines, continuum = shares @ templates.lines[points], shares @ templates.continuum[points]
    columns = np.vstack(
        [
            families.shapes[looked],
            knot_hats(templates.bins) * continuum,
            pile_up_column(lines + continuum, templates.bins),
        ]
    )
    deviation = np.sqrt(
        bin_variance(
            mixed_floor(mean),
            np.minimum(continuum, mean),
            counts,
            bin_errors(templates.bins, _BIN_ERROR),
            _SHAPE_ERROR,
        )
        / counts
    )
    scaled = columns / deviation
    amounts = fit_bounded(scaled.T, mean / deviation)
    sizes = np.maximum(np.linalg.norm(scaled, axis=1), 1e-12)
    normal = (scaled @ scaled.T) / np.outer(sizes, sizes) + 1e-6 * np.eye(sizes.size)
    errors = np.sqrt(np.diag(np.linalg.inv(normal))) / sizes
    others = np.setdiff1d(np.arange(len(families.names)), looked)
    beside = _strongest_beside(scaled[amounts > 0], mean / deviation, families.shapes[others] / deviation)
    found = -1 if beside < 0 else int(others[beside])
    return FreeLines(looked, amounts[: looked.size], errors[: looked.size], found)


def _strongest_beside(
    columns: NDArray[np.float64], target: NDArray[np.float64], others: NDArray[np.float64]
) -> int:
    """Return which of others (O, B) surely explains best what columns (C, B) leave of a target, or -1."""
    basis = np.linalg.qr(columns.T)[0]
    left, own = target - basis @ (basis.T @ target), others - (others @ basis) @ basis.T
    sizes = np.linalg.norm(own, axis=1)
    # What is nearly a sum of the columns is nothing of its own.
    sizes[sizes < _OWN_SHAPE * np.linalg.norm(others, axis=1)] = np.inf
    beyond = own @ left / sizes
    best = int(beyond.argmax()) if beyond.size else -1
    return best if best >= 0 and beyond[best] > _BEYOND_DOUBT else -1


def weaker_than_in_silica(expected: Expected, point: int) -> NDArray[np.float64]:
    """Return how many times more of its element each family (F,) takes in a mineral than in silica, or 1.

    Lead takes nine tenths of copper's line: what its mineral's own lines have lost tells what others have
    near them.
    """
    templates, families = expected.templates, expected.families
    held = templates.minerals[templates.owner[point]].compositions()[0].mass_fractions
    parts = expected.parts[point]
    own = np.flatnonzero(parts > _MUST_SHOW)
    seeming = templates.totals[point] * parts[own] / families.per_percent[own]
    true = np.array([100 * held.get(families.elements[family], 0.0) for family in own])
    own, ratio = own[true > 0], true[true > 0] / seeming[true > 0]
    if not own.size:
        return np.ones(len(families.names))
    energies = np.log(families.shapes @ templates.bins.energies)
    order = np.argsort(energies[own])
    near = np.interp(energies, energies[own][order], np.log(ratio[order]))
    return np.exp(np.clip(near, 0.0, np.log(_MOST_ABSORBED)))


def _range(
    expected: Expected, points: NDArray[np.intp], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (F,) how little and how much of each family the minerals of a mixture may make."""
    owner = expected.templates.owner
    least, most = np.zeros(expected.parts.shape[1]), np.zeros(expected.parts.shape[1])
    for mineral in np.unique(owner[points]):
        share = float(shares[owner[points] == mineral].sum())
        every = expected.parts[owner == mineral]
        least += share * every.min(axis=0)
        most += share * every.max(axis=0)
    return least, most
