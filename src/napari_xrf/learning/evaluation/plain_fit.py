"""Plain non-negative least squares of many single spectra: the bar for networks of lines and elements."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.evaluation.probability_calibration import fit_thresholds
from napari_xrf.maps.pixels.element_mapping import pooled_expectation
from napari_xrf.maps.pixels.fit import fit_pixels, make_solver, solve_non_negative

_BLOCK = 4096
_REPORT = 64
_MODEL_ERROR = 0.05
_LEAST_COUNTS = 0.3  # of a channel where nothing is expected


@dataclass(frozen=True, eq=False)
class FitColumns:
    """What spectra are made of, on one energy axis and at one resolution."""

    columns: NDArray[np.float64]  # (M, E) expected spectra, each with a sum of 1
    # (M,) position of the element that a column belongs to; −1 for continuum, scatter and substrates
    owner: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class FittedAmounts:
    """Amounts of K elements in N spectra."""

    # counts, errors: (N, K) counts of each element, all its columns together, and their standard errors
    counts: NDArray[np.float64]
    errors: NDArray[np.float64]
    chosen: NDArray[np.intp]  # (N,) which of the alternatives fits best

    @property
    def significance(self) -> NDArray[np.float64]:
        """(N, K) counts over their standard errors."""
        return self.counts / np.maximum(self.errors, 1e-9)


@dataclass(frozen=True)
class PresenceScale:
    """Turns fitted amounts into probabilities of presence and decisions.

    The probability is logistic in log(1 + z), z being counts over their standard error, and in
    log(1 + 1000 s), s being the part of all elements' counts: errors of the model grow with these.
    """

    # offset, of_significance, of_share: coefficients of the logistic function
    offset: float
    of_significance: float
    of_share: float
    threshold: float  # probability from which an element is named

    def probability(self, amounts: FittedAmounts) -> NDArray[np.float64]:
        """Return (N, K) probabilities."""
        terms = _terms(amounts) @ np.array([self.offset, self.of_significance, self.of_share])
        return np.asarray(special.expit(terms))


def fit_spectra(
    counts: NDArray[np.floating],
    alternatives: Sequence[FitColumns],
    names: int,
    progress: Progress = ignore_progress,
) -> FittedAmounts:
    """Fit each spectrum with the set of columns that explains it best.

    The best set is chosen with weights that all spectra share, as the pixels of a map do
    (:mod:`napari_xrf.maps.pixels.fit`). Then each spectrum is fitted again with weights of its own: one over
    the variance of its first fit, Poisson and 5 % of the expectation, which no model gets right. Standard
    errors are those of the columns that the fit uses.

    ``counts``: (N, E) counts. ``alternatives``: sets of columns, such as of several resolutions or
    instruments. ``names``: number K of elements. Raises InvalidInput when there is nothing to fit, or columns
    have another number of channels.
    """
    values = np.ascontiguousarray(counts, dtype=np.float32)
    if not len(alternatives) or values.ndim != 2 or not len(values):
        raise InvalidInput("there is nothing to fit")
    chosen, expected = choose_columns(values, alternatives, progress)
    result = FittedAmounts(np.zeros((len(values), names)), np.zeros((len(values), names)), chosen)
    for row, spectrum in enumerate(values.astype(np.float64)):
        amounts, owner, covariance = _fit_once(spectrum, expected[row], alternatives[chosen[row]])
        for name in np.unique(owner[owner >= 0]):
            mine = owner == name
            result.counts[row, name] = amounts[mine].sum()
            result.errors[row, name] = np.sqrt(max(covariance[np.ix_(mine, mine)].sum(), 1e-12))
        if row % _REPORT == 0:
            progress(row, len(values), "fitting spectra")
    return result


def choose_columns(
    counts: NDArray[np.float32], alternatives: Sequence[FitColumns], progress: Progress = ignore_progress
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return which of several sets of columns fits each spectrum best, (N,), and that fit, (N, E)."""
    summed = counts.sum(axis=0, dtype=np.float64)
    best = np.full(len(counts), np.inf)
    chosen, expected = np.zeros(len(counts), dtype=np.intp), np.zeros_like(counts)
    for number, each in enumerate(alternatives):
        pooled = pooled_expectation(each.columns, summed, len(counts))
        solver = make_solver(each.columns, pooled)
        narrow = each.columns.astype(np.float32)
        weights = (1 / pooled).astype(np.float32)
        for start in range(0, len(counts), _BLOCK):
            part = slice(start, start + _BLOCK)
            fitted = fit_pixels(solver, counts[part])[0] @ narrow
            misfit = (counts[part] - fitted) ** 2 @ weights
            better = misfit < best[part]
            best[part] = np.where(better, misfit, best[part])
            expected[part][better] = fitted[better]
            chosen[part][better] = number
        progress(number + 1, len(alternatives), "choosing columns")
    return chosen, expected


def fit_presence_scale(amounts: FittedAmounts, present: NDArray[np.generic]) -> PresenceScale:
    """Fit how probable presence is at fitted amounts, and the threshold of the largest F1.

    ``amounts``, ``present``: of validation spectra; (N, K) whether each element is there.
    """
    truth = np.asarray(present) > 0.5
    if truth.shape != amounts.counts.shape:
        raise InvalidInput(f"labels {truth.shape} do not fit amounts {amounts.counts.shape}")
    terms = _terms(amounts).reshape(-1, 3)
    sign = np.where(truth.ravel(), -1.0, 1.0)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        wrong = sign * (terms @ values)
        gradient = (special.expit(wrong) * sign) @ terms / len(sign)
        return float(np.logaddexp(0, wrong).mean()), gradient

    found = optimize.minimize(loss, np.array([-3.0, 1.0, 1.0]), jac=True, method="BFGS")
    offset, of_significance, of_share = map(float, found.x)
    scale = PresenceScale(offset, of_significance, of_share, 0.5)
    (threshold,) = fit_thresholds(scale.probability(amounts), truth, shared=True)
    return replace(scale, threshold=threshold)


def _fit_once(
    spectrum: NDArray[np.float64], expected: NDArray[np.float32], own: FitColumns
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Return amount and owner of the columns that a fit uses, and the covariance of the amounts."""
    mean = np.maximum(expected.astype(np.float64), _LEAST_COUNTS)
    weighted = own.columns / (mean + (_MODEL_ERROR * mean) ** 2)
    normal = weighted @ own.columns.T
    amounts, _ = solve_non_negative(normal, weighted @ spectrum)
    used = amounts > 0
    covariance = np.linalg.pinv(normal[np.ix_(used, used)], rcond=1e-10, hermitian=True)
    return amounts[used], own.owner[used], np.asarray(covariance, dtype=np.float64)


def _terms(amounts: FittedAmounts) -> NDArray[np.float64]:
    """(N, K, 3) terms of the logistic function."""
    total = np.maximum(amounts.counts.sum(axis=1, keepdims=True), 1e-9)
    shares = amounts.counts / total
    return np.stack([np.ones_like(shares), np.log1p(amounts.significance), np.log1p(1000 * shares)], axis=-1)
