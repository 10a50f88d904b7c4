"""How much more or less of each energy and line family a map holds than expected.

Tube spectra, optics, windows and yields are known to some ten per cent, below 3 keV to a factor of two.
Such errors are the same in every pixel, so that the map itself tells them: a smooth curve over energy and a
factor of each line family, which all classes share and which are held to 1 as loosely as such models deserve.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import one_thread_of
from napari_xrf.minerals.likelihood.scan import Scan, bin_variance, error_columns, mixed_floor, prepare_scan
from napari_xrf.minerals.likelihood.shares import class_shares
from napari_xrf.minerals.likelihood.templates import EnergyBins, bin_errors
from napari_xrf.minerals.likelihood.traces import Expected
from napari_xrf.physics.sensitivities import BY_ELECTRONS, SMOOTH_ERROR, model_error
from napari_xrf.physics.source import ElectronBeam, Source

KNOTS_KEV = (0.5, 1.0, 1.5, 2.0, 2.6, 3.3, 4.5, 6.5, 10.0, 16.0, 25.0)
# From knot to knot: of tubes with their optics, and of electrons, which have neither.
_KNOT_SPREADS = (0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.12, 0.1, 0.1, 0.12, 0.15)
_WINDOW_SPREADS = (0.3, 0.1, 0.06)
_FAMILY_SPREAD, _MOST_FAMILY = 0.05, 0.12
STARTS = (-0.4, 0.0, 0.4, 0.7)  # logarithm of the curve below 2.5 keV
_SOFT_KEV, _HARD_KEV = 2.4, 5.5
_ROUNDS = 4
_SURE = 0.8  # probability of a pixel that teaches
_BEST = 0.6  # of them, those that fit best
_LEAST_PIXELS = 4
_BIN_ERROR = 0.02
_WORTH = 100  # independent pixels: errors of spectra repeat themselves in all others
_SCATTER_ERROR = 0.3  # at each knot
_MOST_COUNTS = 1e5  # of a class: errors of spectra limit what more would tell
_STEP, _FREE_STEP = 0.3, 1.5  # largest change of a logarithm in a round


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Natural logarithms of what the map holds over what is expected."""

    knots: NDArray[np.float64]  # at KNOTS_KEV
    families: NDArray[np.float64]  # (F,) of each line family
    # (K + F,) how much of it may be, beforehand: from each knot to the next, and of each family
    spreads: NDArray[np.float64]

    def adjust(self, expected: Expected) -> Expected:
        """Return what is expected as the map would see it."""
        curve = np.exp(self.knots @ knot_hats(expected.templates.bins))
        return expected.scaled(curve, np.exp(self.families))


def spreads_beforehand(source: Source, families: Sequence[str]) -> NDArray[np.float64]:
    """Return how much of each energy and family a map may hold more or less, as logarithms, (K + F,).

    Electrons have no tube and no optics, whose spectra and transmissions nobody knows well: above windows and
    coatings the model's errors are those that quantities have.
    """
    if not isinstance(source, ElectronBeam):
        return np.array([*_KNOT_SPREADS, *(_FAMILY_SPREAD for _ in families)])
    rest = (SMOOTH_ERROR["electron"],) * (len(KNOTS_KEV) - len(_WINDOW_SPREADS))
    own = (max(_FAMILY_SPREAD, BY_ELECTRONS * model_error(family)) for family in families)
    return np.array([*_WINDOW_SPREADS, *rest, *own])


def soft_sensitivity(spreads: NDArray[np.float64], soft: float = 0.0) -> Sensitivity:
    """Return a curve of that logarithm below 2.4 keV, falling to nothing at 5.5 keV."""
    place = np.interp(np.log(KNOTS_KEV), np.log([_SOFT_KEV, _HARD_KEV]), [1.0, 0.0])
    return Sensitivity(soft * place, np.zeros(spreads.size - len(KNOTS_KEV)), spreads)


@one_thread_of("blas")
def learn_sensitivity(
    counts: NDArray[np.float32],
    expected: Expected,
    spreads: NDArray[np.float64],
    level: float,
    tolerance: float,
) -> Sensitivity:
    """Return the sensitivity under which pixels (n, B) of about ``level`` counts are most probable.

    ``spreads``: as of :func:`spreads_beforehand`.
    """
    starts = [soft_sensitivity(spreads, soft) for soft in STARTS]
    found = [_evidence(counts, expected, start, level, tolerance) for start in starts]
    best = int(np.argmax([evidence for _, _, evidence in found]))
    known, (scan, scores, evidence) = starts[best], found[best]
    for _ in range(_ROUNDS):
        points, means, totals = _sure_means(counts, scan, scores)
        if not points.size:
            break
        tried, _ = learn_from(expected, points, means, totals, known).conclude()
        scan, scores, now = _evidence(counts, expected, tried, level, tolerance)
        if now <= evidence:
            break
        known, evidence = tried, now
    return known


@dataclass(frozen=True, eq=False)
class Lessons:
    """What spectra of known minerals tell of the sensitivity, in one step from a first guess."""

    start: Sensitivity  # the guess
    # normals, rights: (C, K, K) and (C, K) parts of the normal equations, of each spectrum
    normals: NDArray[np.float64]
    rights: NDArray[np.float64]

    def conclude(self, taken: NDArray[np.bool_] | None = None) -> tuple[Sensitivity, NDArray[np.float64]]:
        """Return the sensitivity that some or all of the spectra tell, and its covariance."""
        rows = slice(None) if taken is None else taken
        inverse = _prior(self.start.spreads)
        now = np.concatenate([self.start.knots, self.start.families])
        normal = inverse + self.normals[rows].sum(axis=0)
        step = np.linalg.solve(normal, self.rights[rows].sum(axis=0) - inverse @ now)
        # Where few teach, the guess is no guide: it came of those that do not.
        most = _STEP if taken is None else _FREE_STEP
        now = now + step * min(1.0, most / max(float(np.abs(step).max()), 1e-9))
        # A factor that no yield is wrong by comes of a wrong name.
        now[len(KNOTS_KEV) :] = np.clip(now[len(KNOTS_KEV) :], -_MOST_FAMILY, _MOST_FAMILY)
        told = replace(self.start, knots=now[: len(KNOTS_KEV)], families=now[len(KNOTS_KEV) :])
        return told, np.linalg.inv(normal)


def learn_from(
    expected: Expected,
    points: NDArray[np.intp],
    means: NDArray[np.float64],
    totals: NDArray[np.float64],
    start: Sensitivity,
    others: Sequence[NDArray[np.intp]] = (),
) -> Lessons:
    """Return what mean spectra of known minerals tell.

    ``points``: (C,) composition of each. ``means``: (C, B) of sum 1. ``totals``: (C,) counts that each was
    measured with. ``others``: for each, other compositions that it may as well be; what sets these apart
    teaches nothing.
    """
    adjusted = start.adjust(expected)
    templates = adjusted.templates
    hats = knot_hats(templates.bins)
    normals, rights = [], []
    others = others or [np.zeros(0, dtype=np.intp)] * points.size
    for point, mean, total, also in zip(points, means, totals, others, strict=True):
        lines, continuum = templates.lines[point], templates.continuum[point]
        slopes = sensitivity_slopes(adjusted, lines, continuum, adjusted.parts[point])
        shown = mixed_floor(lines + continuum)
        counts = min(total, _MOST_COUNTS)
        variance = bin_variance(shown, continuum, counts, bin_errors(templates.bins, _BIN_ERROR)) / counts
        doubts = templates.lines[also] + templates.continuum[also] - lines - continuum
        columns = np.vstack([error_columns(adjusted, int(point)), _SCATTER_ERROR * hats * continuum, doubts])
        weighted = _solve(columns, variance, slopes)
        normals.append(weighted @ slopes.T)
        rights.append(weighted @ (mean - shown))
    size = len(KNOTS_KEV) + start.families.size
    return Lessons(start, np.reshape(normals, (-1, size, size)), np.reshape(rights, (-1, size)))


def sensitivity_slopes(
    expected: Expected, lines: NDArray[np.float64], continuum: NDArray[np.float64], parts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (K, B) by what a spectrum of sum 1 changes with each logarithm of knots and families."""
    hats = knot_hats(expected.templates.bins)
    slopes = np.vstack([hats * lines, parts[:, None] * expected.families.shapes])
    return np.asarray(slopes - slopes.sum(axis=1, keepdims=True) * (lines + continuum))


@lru_cache(maxsize=4)
def knot_hats(bins: EnergyBins) -> NDArray[np.float64]:
    """Return (K, B) linear interpolation between the knots over the logarithm of the energy, read-only."""
    place = np.log(np.maximum(bins.energies, 1e-3))
    hats = np.array([np.interp(place, np.log(KNOTS_KEV), row) for row in np.eye(len(KNOTS_KEV))])
    hats.flags.writeable = False
    return hats


def _prior(spreads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse covariance of knots and families: knots are like their neighbours, the hard end is near 1."""
    knots = len(KNOTS_KEV)
    inverse = np.diag(np.r_[np.zeros(knots), spreads[knots:] ** -2])
    for knot in range(knots - 1):
        step = np.zeros(knots)
        step[knot : knot + 2] = 1, -1
        inverse[:knots, :knots] += np.outer(step, step) / spreads[knot] ** 2
    inverse[knots - 4, knots - 4] += 1 / spreads[knots - 4] ** 2
    return inverse


def _solve(
    columns: NDArray[np.float64], variance: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return rows (R, B) times the inverse of ``diag(variance) + columnsᵀ columns``."""
    scaled = columns / variance
    small = np.eye(columns.shape[0]) + scaled @ columns.T
    return np.asarray(rows / variance - (rows @ scaled.T) @ np.linalg.solve(small, scaled))


def _evidence(
    counts: NDArray[np.float32], expected: Expected, sensitivity: Sensitivity, level: float, tolerance: float
) -> tuple[Scan, NDArray[np.float32], float]:
    scan = prepare_scan(sensitivity.adjust(expected), level, tolerance)
    scores = scan.scores(counts)
    _, best = scan.by_mineral(scores)
    probability, _ = class_shares(best)
    # The half that fits best: the others are mixtures and strangers.
    each = np.sort((best * probability).sum(axis=1))
    fit = _WORTH * float(each[: max(each.size // 2, 1)].mean())
    now = np.concatenate([sensitivity.knots, sensitivity.families])
    return scan, scores, -0.5 * (fit + float(now @ _prior(sensitivity.spreads) @ now))


def _sure_means(
    counts: NDArray[np.float32], scan: Scan, scores: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return compositions, mean spectra of the pixels that are surely of them, and counts."""
    minerals, best = scan.by_mineral(scores)
    probability, _ = class_shares(best)
    winner = probability.argmax(axis=1)
    sure = probability.max(axis=1) > _SURE
    points, means, totals = [], [], []
    for column in range(minerals.size):
        own = np.flatnonzero(sure & (winner == column))
        if own.size < _LEAST_PIXELS:
            continue
        own = own[best[own, column] <= np.quantile(best[own, column], _BEST)]
        rows = np.flatnonzero(scan.owner == minerals[column])
        nearest = rows[scores[np.ix_(own, rows)].sum(axis=0).argmin()]
        total = counts[own].sum(axis=0, dtype=np.float64)
        points.append(scan.points[nearest])
        means.append(total / total.sum())
        totals.append(total.sum())
    return np.array(points, dtype=np.intp), np.array(means), np.array(totals)
