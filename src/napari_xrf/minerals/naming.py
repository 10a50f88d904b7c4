"""What an end of mixing is: compared with what is looked for and with the whole library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.ends import End
from napari_xrf.minerals.scan import CONTINUUM_SPREAD, bin_variance, error_columns, mixed_floor
from napari_xrf.minerals.sensitivity import knot_hats
from napari_xrf.minerals.traces import Expected

_TRACE_PERCENT = 0.5
_MOST_COUNTS = 1e5  # of an end: errors of spectra limit what more would tell
_LIKELY = 16  # compositions that are compared in full
_PRUNED_AT, _PRUNED_ERROR = 3_000.0, 0.25  # counts and relative error of a bin, for the choice of these
_CURVE_ERROR, _FAMILY_ERROR, _SCATTER_ERROR = 0.04, 0.05, 0.3
_BIN_ERROR, _SHAPE_ERROR = 0.02, 0.15
_SHIFT_KEV = 0.003
_WIDTH_ERROR = 0.03
_KEEPS = 6.0  # by how much another must be better than what the pixels seemed to be
_FAR_BETTER = 10.0
_SMALLEST_SCALE = 0.25  # of the errors' squares, where minerals of the list are compared
_MISFITS = 12.0  # chi-square per bin
_DOUBTFUL = 1.5
_STRANGER_THAN_MISFIT, _STRANGER, _STRANGER_OF_MANY = 15.0, 40.0, 60.0
_STRANGER_PER_BIN = 0.25  # a better fit of less than this is that of a model with errors
_SURE, _RESOLVED = 0.8, 0.9
_UNLISTED = 0.2  # weight of an unlisted mineral that is just not better enough
_ALIKE = 6.0  # in minus twice the log-likelihood: cannot be told apart
_LEAST_FOR_DOSE = 3
_DOSE_SPREAD = 0.1  # of the logarithm of an end's counts
_MOST_FOR_BRIGHTNESS = 25.0
_TEMPER = 0.25  # of differences of scores, which know nothing of errors that all bins share


@dataclass(frozen=True, eq=False)
class Name:
    """What an end is.

    Attributes
    ----------
    minerals
        Places of the minerals that it may be, in the list; none where it is unknown.
    probability
        Of these together.
    misfit
        Chi-square per bin of the best of the list.
    point
        Its composition among the templates; -1 without.
    resembles
        The unlisted mineral that it resembles most, or -1.
    better
        By how much that is better than the best of the list, in minus twice the log-likelihood.
    best
        The most probable mineral of the list, or -1.
    """

    minerals: tuple[int, ...]
    probability: float
    misfit: float
    point: int
    resembles: int
    better: float
    best: int = -1


def name_ends(
    ends: Sequence[End], expected: Expected, listed: int, classes: Sequence[tuple[int, ...]]
) -> tuple[Name, ...]:
    """Return what each end is.

    Parameters
    ----------
    ends
        The ends, the largest first.
    expected
        Spectra of the minerals of the list, and behind them of other ones.
    listed
        How many of the minerals are looked for.
    classes
        Minerals of each class that the ends' pixels seemed to be.
    """
    if not ends:
        return ()
    means = np.array([end.counts / end.counts.sum() for end in ends])
    owner = expected.templates.owner
    spectra = mixed_floor(expected.templates.lines + expected.templates.continuum)
    variance = spectra / _PRUNED_AT + (_PRUNED_ERROR * spectra) ** 2
    comparison = Comparison(expected)
    tables = []
    for end, mean in zip(ends, means, strict=True):
        distance = ((mean - spectra) ** 2 / variance).sum(axis=1)
        distance[np.isin(owner, classes[end.column])] *= (
            0.5  # what the pixels seemed to be is always compared
        )
        order = np.argsort(distance)
        inside = owner[order] < listed
        likely = np.concatenate([order[inside][:_LIKELY], order[~inside][:_LIKELY]])
        counts = min(float(end.counts.sum()), _MOST_COUNTS)
        fits = np.array([comparison.fit(mean, counts, int(point)) for point in likely])
        # Where nothing fits, errors are larger than thought, and differences tell less. Where one fits ten
        # times better than its errors allow, they are smaller, and differences tell more than their sizes.
        usual = fits[:, 1].min() / mean.size
        fits[:, 0] /= max(1.0, usual)
        sharper = fits[:, 1] * (1 / np.clip(_FAR_BETTER * usual, _SMALLEST_SCALE, 1.0) - 1)
        fits = np.column_stack([fits, np.where(owner[likely] < listed, sharper, np.nan)])
        tables.append((likely, fits))
    return _decide_together(ends, tables, expected, listed, classes)


class Comparison:
    """Mean spectra against expected ones with all errors that these may have; keeps what it prepared."""

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self._known: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def fit(self, mean: NDArray[np.float64], counts: float, point: int) -> tuple[float, float]:
        """Return minus twice the log-likelihood of a mean spectrum, and the chi-square within."""
        from scipy.linalg import cho_factor, cho_solve

        if point not in self._known:
            known = self.expected.templates
            columns = np.vstack(
                [
                    error_columns(self.expected, point, _TRACE_PERCENT, even=False),
                    _shared_columns(self.expected, point),
                ]
            )
            self._known[point] = mixed_floor(known.lines[point] + known.continuum[point]), columns.T @ columns
        spectrum, shared = self._known[point]
        variance = bin_variance(
            spectrum, self.expected.templates.continuum[point], counts, _BIN_ERROR, _SHAPE_ERROR
        )
        covariance = shared + np.diag(variance / counts)
        root = cho_factor(covariance, lower=True, check_finite=False)
        residual = mean - spectrum
        square = float(residual @ cho_solve(root, residual, check_finite=False))
        return square + 2 * float(np.log(np.diag(root[0])).sum()), square


def _shared_columns(expected: Expected, point: int) -> NDArray[np.float64]:
    """(K, B) errors of models, instruments and calibrations, one standard deviation each."""
    templates, families = expected.templates, expected.families
    lines, continuum = templates.lines[point], templates.continuum[point]
    bins = templates.bins
    hats = knot_hats(bins.energies)
    own = expected.parts[point] > 1e-4
    density = (lines + continuum) / bins.widths
    slope = np.gradient(density, bins.energies) * bins.widths
    bend = np.gradient(np.gradient(density, bins.energies), bins.energies) * bins.widths
    return np.vstack(
        [
            _CURVE_ERROR * hats * lines,
            _FAMILY_ERROR * expected.parts[point, own][:, None] * families.shapes[own],
            _SCATTER_ERROR * hats * continuum,
            CONTINUUM_SPREAD * lines[None] * 0.2,
            _SHIFT_KEV * slope[None],
            _WIDTH_ERROR * 0.06**2 * bend[None],
        ]
    )


def _decide_together(
    ends: Sequence[End],
    tables: list[tuple[NDArray[np.intp], NDArray[np.float64]]],
    expected: Expected,
    listed: int,
    classes: Sequence[tuple[int, ...]],
) -> tuple[Name, ...]:
    """Name all ends: first by their shapes, then by how bright they are under one dose too."""
    owner, totals = expected.templates.owner, expected.templates.totals
    bright = np.zeros(len(ends))
    dose = spread = math.nan
    names: tuple[Name, ...] = ()
    for final in (False, True):
        settled: set[int] = set()
        named = []
        for place, (end, (points, fits)) in enumerate(zip(ends, tables, strict=True)):
            scores = fits[:, 0]
            if final:
                ratio = np.log(end.mean.sum() / totals[points]) - dose
                scores = scores + np.minimum((ratio / spread) ** 2, _MOST_FOR_BRIGHTNESS)
            own = classes[end.column]
            name = _decide(points, scores, fits, owner[points], listed, own, settled, end.counts.size)
            settled.update(name.minerals)
            named.append(name)
            bright[place] = np.log(end.mean.sum() / totals[name.point]) if name.point >= 0 else np.nan
        names = tuple(named)
        if np.isfinite(bright).sum() < _LEAST_FOR_DOSE:
            break
        dose = float(np.nanmedian(bright))
        spread = max(_DOSE_SPREAD, 2 * float(np.nanmedian(np.abs(bright - dose))))
    return _one_to_one(names)


def _one_to_one(names: tuple[Name, ...]) -> tuple[Name, ...]:
    """Give an end that may be several minerals to its best one when other ends surely are the others."""
    sure = {name.minerals[0] for name in names if len(name.minerals) == 1 and name.probability > _SURE}
    return tuple(
        replace(name, minerals=(name.best,), probability=_RESOLVED * name.probability)
        if len(name.minerals) > 1 and set(name.minerals) - {name.best} <= sure and name.best not in sure
        else name
        for name in names
    )


def _decide(
    points: NDArray[np.intp],
    scores: NDArray[np.float64],
    fits: NDArray[np.float64],
    owner: NDArray[np.intp],
    listed: int,
    own: tuple[int, ...],
    settled: set[int],
    bins: int,
) -> Name:
    squares, sharper = fits[:, 1], scores + np.nan_to_num(fits[:, 2])
    best = {
        int(mineral): int(np.flatnonzero(owner == mineral)[sharper[owner == mineral].argmin()])
        for mineral in np.unique(owner)
    }
    inside = {mineral: float(sharper[place]) for mineral, place in best.items() if mineral < listed}
    outside = {mineral: float(scores[place]) for mineral, place in best.items() if mineral >= listed}
    lowest = min(inside.values())
    first = min(inside, key=lambda mineral: inside[mineral])
    seeming = min((mineral for mineral in own if mineral in inside), key=lambda m: inside[m], default=first)
    if inside[seeming] - lowest < _KEEPS:
        first = seeming
    misfit = squares[best[first]] / bins
    stranger = min(outside, key=lambda mineral: outside[mineral]) if outside else -1
    better = float(scores[owner < listed].min()) - outside[stranger] if outside else 0.0
    margin = _STRANGER if first in settled else _STRANGER_OF_MANY
    margin = _STRANGER_THAN_MISFIT if misfit > _DOUBTFUL else margin
    margin = max(margin, _STRANGER_PER_BIN * bins)
    # Nothing is strange about an end that the list explains well.
    explained = bool(outside) and squares[best[first]] - squares[best[stranger]] < _STRANGER_THAN_MISFIT
    if misfit > _MISFITS or (better > margin and not explained):
        return Name((), 1.0, misfit, -1, stranger, better)
    alike = tuple(sorted(m for m, score in inside.items() if abs(score - inside[first]) < _ALIKE))
    weight = {m: float(np.exp(-0.5 * _TEMPER * (score - lowest))) for m, score in inside.items()}
    unlisted = _UNLISTED * float(np.exp(0.5 * _TEMPER * min(better - margin, 0.0)))
    probability = sum(weight[m] for m in alike) / (sum(weight.values()) + unlisted)
    winner = min(inside, key=lambda mineral: inside[mineral])
    return Name(alike, probability, misfit, int(points[best[first]]), stranger, better, winner)
