"""How well each mineral explains each pixel when traces of any element may be there.

A pixel's counts ``y`` of sum N are compared with an expected spectrum ``m`` of sum 1 whose error is not
independent from bin to bin: any line family may be there that no formula names, the continuum and the
composition may vary. Such columns ``u`` have Gaussian amounts and are integrated out, so that ``y/N`` has the
covariance ``D/N + Σ u uᵀ`` with a diagonal D of counting and of small independent errors (Woodbury's
identity; the same algebra as of a Gaussian process with a low-rank kernel).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.likelihood.templates import FLOOR, EnergyBins, Templates, bin_errors
from napari_xrf.minerals.likelihood.traces import Expected

TOLERANCE = 0.03  # relative error of a bin that is independent of all others
TRACE_PERCENT = 0.3  # by weight, one standard deviation
CONTINUUM_SPREAD = 0.5
PILE_UP = 0.01  # of the pulses
_PILING_UP = 24  # bins
_MOST_TRACE = 0.1  # of the counts, of one family
SHAPE_ERROR = 0.08  # of the continuum in a bin
_MOST_POINTS = 4  # compositions of a mineral that are compared with; what lies between is a column
_INSIDE = 1 / 3  # of the variance of a range's corners: that of even compositions inside
_BESIDE = 0.1  # the same around a corner
_APART = 4.0  # squared distance of compositions at the map's counts that is worth another one
_LEAST_COLUMN = 0.02  # variances below this part of the counting error change nothing
_MOST_DIRECTIONS = 6
FEW = 10.0  # counts of a pixel that halve what it tells: they may come from what surrounds it
_DIM = 0.25  # of the counts that a scan is for: below, counts are too few for Gaussian errors
_KNOTS, _TINY = 9, 1e-9


@dataclass(frozen=True, eq=False)
class Scan:
    """T expected spectra with their errors, ready for pixels of about the same counts."""

    owner: NDArray[np.intp]  # (T,) mineral of each, rising
    points: NDArray[np.intp]  # (T,) their compositions among the templates
    spectra: NDArray[np.float32]  # (T, B) of sum 1
    variance: NDArray[np.float32]  # (T, B) the diagonal D, per unit of N
    columns: tuple[NDArray[np.float32], ...]  # T arrays (K, B): Qᵀ/√D, of the columns' orthonormal directions
    weights: tuple[NDArray[np.float32], ...]  # T arrays (K,): eigenvalues of UᵀD⁻¹U
    counts: float  # of the pixels that it is for; much dimmer ones are compared as Poisson counts

    def scores(self, counts: NDArray[np.float32], hopeless: float = np.inf) -> NDArray[np.float32]:
        """Return (n, T) minus twice the log-likelihood of pixels (n, B), up to a constant per pixel.

        What is certainly worse than the best by more than ``hopeless`` is not looked at closely: its score is
        a lower bound, which is worse by that, too.
        """
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        shares = counts / total
        inverse = 1 / self.variance
        square = (shares * shares) @ inverse.T - 2 * shares @ (self.spectra * inverse).T
        square += (self.spectra**2 * inverse).sum(axis=1)
        square *= total
        square += np.log(self.variance).sum(axis=1)
        if np.isfinite(hopeless):
            guess = (counts @ np.log(self.spectra).T).argmax(axis=1)
            first = guess[:, None] == np.arange(self.owner.size)
            self._add_directions(square, shares, total[:, 0], first)
            least = self._least(shares, total, guess)
            near = first | (least < square[first][:, None] + hopeless)
            self._add_directions(square, shares, total[:, 0], near & ~first)
            np.copyto(square, least, where=~near)
        else:
            self._add_directions(square, shares, total[:, 0])
        dim = total[:, 0] < _DIM * self.counts
        if dim.any():
            square[dim] = self._deviances(counts[dim]) * (total / (total + FEW))[dim]
        return square

    def _add_directions(
        self,
        square: NDArray[np.float32],
        shares: NDArray[np.float32],
        total: NDArray[np.float32],
        asked: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add to scores (n, T), in place, what directions of error change: of all, or of those asked for."""
        from napari_xrf.minerals.likelihood.scan_kernels import add_directions

        for row, (columns, weights) in enumerate(zip(self.columns, self.weights, strict=True)):
            pixels = slice(None) if asked is None else np.flatnonzero(asked[:, row])
            own = np.ascontiguousarray(square[pixels, row])
            along = shares[pixels] @ columns.T
            add_directions(along, columns @ self.spectra[row], weights, total[pixels], own)
            square[pixels, row] = own

    def _least(
        self, shares: NDArray[np.float32], total: NDArray[np.float32], guess: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return (n, T) lower bounds of scores, by what parts each expected spectrum from a guess (n,).

        Chi-square is at least the square of any linear test over its variance (Cauchy and Schwarz); the test
        that parts two spectra best comes near where a pixel is one of them.
        """
        tests, offsets, counting, errors = self._tests
        least = np.empty((guess.size, self.owner.size), dtype=np.float32)
        for each in np.unique(guess):
            own = guess == each
            apart = shares[own] @ tests[each].T - offsets[each]
            least[own] = apart**2 / np.maximum(counting[each] / total[own] + errors[each], _TINY)
        # The determinants' logarithms are concave in the counts: between knots they are above a chord.
        low = _DIM * self.counts
        knots = np.geomspace(low, max(float(total.max()), 1.1 * low), _KNOTS)
        spread = np.array([np.log1p(knots[:, None] * weights).sum(axis=1) for weights in self.weights]).T
        left = np.clip(np.searchsorted(knots, total[:, 0]) - 1, 0, _KNOTS - 2)
        part = (total - knots[left, None]) / np.diff(knots)[left, None]
        least += np.log(self.variance).sum(axis=1) + spread[left] + part * np.diff(spread, axis=0)[left]
        return least

    @cached_property
    def _tests(self) -> tuple[NDArray[np.float32], ...]:
        """Tests (T, T, B) of each spectrum against others, which expect (T, T) under these.

        And (T, T) variances of counting, for one count, and of errors.
        """
        tests = np.empty((self.owner.size, *self.spectra.shape), dtype=np.float32)
        offsets, counting, errors = (np.empty(tests.shape[:2], dtype=np.float32) for _ in range(3))
        for row, (columns, weights) in enumerate(zip(self.columns, self.weights, strict=True)):
            middle, variance = self.spectra[row], self.variance[row]
            apart, scaled = self.spectra - middle, self.counts * weights
            # The inverse of the covariance, times what the others differ by.
            test = self.counts * (apart / variance - (apart @ columns.T * (scaled / (1 + scaled))) @ columns)
            tests[:, row], offsets[:, row] = test, test @ middle
            counting[:, row] = test**2 @ variance
            errors[:, row] = ((test * variance) @ columns.T) ** 2 @ weights
        return tests, offsets, counting, errors

    def _deviances(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, T) minus twice the log-likelihoods of Poisson counts over those of the best spectra."""
        total = np.maximum(counts.sum(axis=1), 1)
        most = np.einsum("nb,nb->n", counts, np.log(np.maximum(counts, 1))) - total * np.log(total)
        return np.asarray(2 * (most[:, None] - counts @ np.log(self.spectra).T))

    def squares(self, scores: NDArray[np.float32], total: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the chi-squares, (n,), of the best spectra of pixels with these scores and counts."""
        best = scores.argmin(axis=1)
        dim = total < _DIM * self.counts
        result = scores[np.arange(best.size), best]
        result[~dim] -= np.log(self.variance).sum(axis=1)[best[~dim]]
        for row in np.unique(best):
            own = (best == row) & ~dim
            result[own] -= np.log1p(np.maximum(total[own], 1)[:, None] * self.weights[row]).sum(axis=1)
        return np.asarray(result)

    def by_mineral(self, scores: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return the minerals, (M,) rising, and the (n, M) scores of their best compositions."""
        minerals, starts = np.unique(self.owner, return_index=True)
        return minerals, np.minimum.reduceat(scores, starts, axis=1)


def prepare_scan(expected: Expected, counts: float, tolerance: float = TOLERANCE) -> Scan:
    """Prepare expected spectra for pixels of about so many counts."""
    templates = expected.templates
    chosen, variances, columns, weights = [], [], [], []
    spectra = mixed_floor(templates.lines + templates.continuum)
    errors = bin_errors(templates.bins, tolerance)
    for mineral in np.unique(templates.owner):
        own = np.flatnonzero(templates.owner == mineral)
        for point in own[_points(spectra[own], templates.continuum[own], counts, errors)]:
            variance = bin_variance(spectra[point], templates.continuum[point], counts, errors)
            kept, size = _orthogonal(error_columns(expected, point), variance, counts)
            chosen.append(point)
            variances.append(variance)
            columns.append(kept)
            weights.append(size)
    places = np.array(chosen, dtype=np.intp)
    return Scan(
        templates.owner[places],
        places,
        spectra[places].astype(np.float32),
        np.array(variances, dtype=np.float32).reshape(-1, templates.bins.size),
        tuple(columns),
        tuple(weights),
        counts,
    )


def error_columns(expected: Expected, point: int) -> NDArray[np.float64]:
    """Return (K, B) by what a mineral's spectrum may differ, one standard deviation each.

    Traces, continuum, and the range of compositions as seen from the composition ``point``, of which the
    middle stands for all.
    """
    templates = expected.templates
    return np.vstack(
        [
            trace_columns(expected, float(templates.totals[point]), TRACE_PERCENT),
            CONTINUUM_SPREAD * templates.continuum[point][None],
            pile_up_column(templates.lines[point] + templates.continuum[point], templates.bins),
            composition_columns(templates, point, even=True),
        ]
    )


def trace_columns(expected: Expected, total: float, percent: float) -> NDArray[np.float64]:
    """Return (F, B) what so much of each element adds to a spectrum of ``total`` counts per unit of dose."""
    families = expected.families
    # What hardly shines, resin, is not whatever is brighter.
    amounts = np.minimum(percent * families.per_percent / total, _MOST_TRACE)
    return np.asarray(amounts[:, None] * families.shapes)


def pile_up_column(spectrum: NDArray[np.float64], bins: EnergyBins) -> NDArray[np.float64]:
    """Return (1, B) what pulses that arrive together add to a spectrum of sum 1."""
    strong = np.argsort(-spectrum)[:_PILING_UP]
    energies, shares = bins.energies[strong], spectrum[strong]
    edges = (bins.energies[1:] + bins.energies[:-1]) / 2
    sums = energies[:, None] + energies
    inside = sums < bins.energies[-1]
    column = np.zeros_like(spectrum)
    np.add.at(column, np.searchsorted(edges, sums[inside]), np.outer(shares, shares)[inside])
    return PILE_UP * column[None]


def composition_columns(templates: Templates, point: int, *, even: bool = False) -> NDArray[np.float64]:
    """Return (K, B) by what the compositions of a mineral differ from one of them."""
    own = np.flatnonzero(templates.owner == templates.owner[point])
    every = templates.lines[own] + templates.continuum[own]
    spread = _INSIDE if even and point == own[0] else _BESIDE
    return _directions(every - templates.lines[point] - templates.continuum[point], spread)


def mixed_floor(spectra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return spectra of sum 1 with a flat floor, so that no bin expects nothing."""
    return (1 - FLOOR) * spectra + FLOOR / spectra.shape[-1]


def bin_variance(
    spectra: NDArray[np.float64],
    continuum: NDArray[np.float64],
    counts: float,
    tolerance: NDArray[np.float64],
    shape: float = SHAPE_ERROR,
) -> NDArray[np.float64]:
    """Return D: counting, independent errors and a tenth of a count in each bin, per unit of N.

    ``tolerance``: (B,) as of :func:`~napari_xrf.minerals.likelihood.templates.bin_errors`.
    Of scatter not even the shape is known well: Compton profiles, multiple scatter, the tube's spectrum.
    """
    errors = (tolerance * spectra) ** 2 + (shape * continuum) ** 2
    return spectra + counts * errors + 0.1 / counts


def _directions(differences: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    """Return up to six columns whose squares sum to ``spread`` times the differences' mean square."""
    others = differences[np.abs(differences).sum(axis=1) > 1e-9]
    if not others.size:
        return np.zeros((0, differences.shape[1]))
    _, sizes, rows = np.linalg.svd(others * np.sqrt(spread / others.shape[0]), full_matrices=False)
    return np.asarray(sizes[:_MOST_DIRECTIONS, None] * rows[:_MOST_DIRECTIONS])


def _points(
    spectra: NDArray[np.float64],
    continuum: NDArray[np.float64],
    counts: float,
    tolerance: NDArray[np.float64],
) -> list[int]:
    """Return the middle composition and those far from all chosen before."""
    variance = bin_variance(spectra[0], continuum[0], counts, tolerance)
    chosen = [0]
    distance = counts * ((spectra - spectra[0]) ** 2 / variance).sum(axis=1)
    while len(chosen) < _MOST_POINTS and distance.max() > _APART:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(
            distance, counts * ((spectra - spectra[chosen[-1]]) ** 2 / variance).sum(axis=1)
        )
    return chosen


def _orthogonal(
    columns: NDArray[np.float64], variance: NDArray[np.float64], counts: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return Qᵀ/√D and the eigenvalues of UᵀD⁻¹U that matter at so many counts."""
    root = np.sqrt(variance)
    scaled = columns / root
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    kept = counts * values > _LEAST_COLUMN
    along = (vectors[:, kept].T @ scaled) / np.sqrt(values[kept, None])
    return (along / root).astype(np.float32), values[kept].astype(np.float32)
