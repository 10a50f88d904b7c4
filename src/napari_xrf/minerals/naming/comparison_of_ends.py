"""Mean spectra against expected ones, of one mineral or of a few, with all errors that these have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.spectra.spectrum_model import softness
from napari_xrf.minerals.likelihood.scan import (
    CONTINUUM_SPREAD,
    bin_variance,
    composition_columns,
    mixed_floor,
    pile_up_column,
    trace_columns,
)
from napari_xrf.minerals.likelihood.sensitivity import knot_hats, sensitivity_slopes
from napari_xrf.minerals.likelihood.templates import bin_errors
from napari_xrf.minerals.likelihood.traces import Expected

MOST_COUNTS = 1e5  # of an end: errors of spectra limit what more would tell
_PRUNED_AT, _PRUNED_ERROR = 3_000.0, 0.25  # counts and relative error of a bin, for what is near
_NEAREST = 3  # compositions of a mineral that stand for all
_TRACE_PERCENT = 0.5
_CURVE_ERROR, _FAMILY_ERROR, _SCATTER_ERROR = 0.04, 0.05, 0.3
_BIN_ERROR, _SHAPE_ERROR = 0.02, 0.15
_ODD = 4.0  # standard deviations of chi-square
# Of what two spectra of one map do not have in common: surfaces, scatter of what lies beside, drift
_OWN_BIN_ERROR, _OWN_SHAPE_ERROR, _OWN_SHIFT_KEV = 0.005, 0.05, 0.001
_OWN_CURVE_ERROR, _OWN_SCATTER_ERROR = 0.02, 0.1
_SHIFT_KEV = 0.003
_WIDTH_ERROR = 0.03
_LEAST_SHARE = 0.005  # of the counts, of a part of a blend
_ROUNDS = 2
_RIDGE = 1e-10
_EXCHANGES, _WORTH = 4, 1.0  # minerals that are tried in the place of another; what a better one must gain
_MOST_KNOWN = 200  # compositions
_SAME_LINES = 0.003  # squared distance of the roots of two spectra of lines, of sum 1


def rough_distances(mean: NDArray[np.float64], expected: Expected) -> NDArray[np.float64]:
    """Return how far all expected spectra are from one, for the choice of those that are worth comparing."""
    spectra = mixed_floor(expected.templates.lines + expected.templates.continuum)
    variance = spectra / _PRUNED_AT + (_PRUNED_ERROR * spectra) ** 2
    return np.asarray(((mean - spectra) ** 2 / variance).sum(axis=1))


def have_same_lines(points: Sequence[int] | NDArray[np.intp], expected: Expected) -> bool:
    """Tell whether two compositions have the same lines, whatever their continuum."""
    return bool(same_lines(points[:1], points[1:], expected)[0, 0])


def same_lines(
    some: Sequence[int] | NDArray[np.intp],
    others: Sequence[int] | NDArray[np.intp],
    expected: Expected,
    most: float = _SAME_LINES,
) -> NDArray[np.bool_]:
    """Return which of some compositions (n,) have the same lines as which others (m,), (n, m).

    ``most``: squared distance of the roots of their spectra.
    """

    def roots(points: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float64]:
        lines = expected.templates.lines[points]
        return np.asarray(np.sqrt(lines / np.maximum(lines.sum(axis=1, keepdims=True), 1e-12)))

    first, second = roots(some), roots(others)
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)  # 0 of what shows no line
    return np.asarray(squares - 2 * first @ second.T < most)


@dataclass(frozen=True, eq=False)
class Blend:
    """A few minerals together."""

    # points, shares: compositions among the templates, and their shares of the counts
    points: NDArray[np.intp]
    shares: NDArray[np.float64]
    # score, square: minus twice the log-likelihood of a mean spectrum, and the chi-square within
    score: float
    square: float

    def areas(self, expected: Expected) -> dict[int, float]:
        """Return the part of the area of each mineral."""
        amounts = self.shares / expected.templates.totals[self.points]
        owner = expected.templates.owner[self.points]
        return {int(each): float(amounts[owner == each].sum() / amounts.sum()) for each in np.unique(owner)}

    def total(self, expected: Expected) -> float:
        """Return the expected counts per unit of dose."""
        return float(1 / (self.shares / expected.templates.totals[self.points]).sum())


@dataclass(frozen=True, eq=False)
class Mean:
    """A mean spectrum that is compared."""

    shares: NDArray[np.float64]  # (B,) of its counts
    counts: float  # that it was measured with
    # (B, B) covariance of what traces of any element may add: as much for any mineral that is so bright
    errors: NDArray[np.float64]
    # (B,) shares that counting errors are taken of: measured, of few counts those of any candidate
    likely: NDArray[np.float64]
    # (B,) about how much of them is no line: the same for all candidates, else those that scatter little,
    # whose errors are small, would win
    continuum: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        spectrum: NDArray[np.float64],
        counts: float,
        total: float,
        expected: Expected,
        nearest: NDArray[np.intp],
    ) -> Mean:
        """Prepare a spectrum that shines with ``total`` counts per unit of dose; some spectra are near it."""
        traces = trace_columns(expected, total, _TRACE_PERCENT)
        shares = spectrum / spectrum.sum()
        # A bin without counts is no proof where few were measured: Jeffreys' half a count in each.
        known, prior = expected.templates, 0.5 * spectrum.size
        any_of_them = (known.lines + known.continuum).mean(axis=0)
        likely = mixed_floor((counts * shares + prior * any_of_them) / (counts + prior))
        continuum = np.minimum(known.continuum[nearest].mean(axis=0), likely)
        return cls(shares, counts, traces.T @ traces, likely, continuum)

    def distances(self, expected: Expected) -> NDArray[np.float64]:
        """Return (T,) how far it is from expected spectra, roughly: all have its own errors.

        Traces of any element are free: half a per cent of iron is a tenth of what kyanite shines.
        """
        from scipy.linalg import cholesky, solve_triangular

        templates = expected.templates
        covariance = self.errors + CONTINUUM_SPREAD**2 * np.outer(self.continuum, self.continuum)
        covariance[np.diag_indices(self.likely.size)] += (
            self.likely / _PRUNED_AT + (_PRUNED_ERROR * self.likely) ** 2
        )
        root = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        apart = self.shares - mixed_floor(templates.lines + templates.continuum)
        return np.asarray((solve_triangular(root, apart.T, lower=True, check_finite=False) ** 2).sum(axis=0))


@dataclass(frozen=True, eq=False)
class Contrast:
    """What two spectra of one map differ by, against what two compositions would."""

    square: float  # chi-square
    noise: NDArray[np.float64]  # (B,) variance of counting
    root: NDArray[np.float64]  # (B, B) lower root of the covariance
    spectra: NDArray[np.float64]  # (T, B) expected ones

    @property
    def oddness(self) -> float:
        """By how many standard deviations the two spectra are not of these compositions."""
        counting = float((self._whitened(np.diag(np.sqrt(self.noise))) ** 2).sum())
        return float((self.square - counting) / np.sqrt(2 * counting))

    @property
    def is_odd(self) -> bool:
        """Whether the two spectra hardly are of these compositions."""
        return self.oddness > _ODD

    def apart(self, points: Sequence[int]) -> NDArray[np.float64]:
        """Return how far the first spectrum, were it of one composition, would lie from each other one."""
        own = self._whitened(self.spectra[points].T).T
        return np.asarray(((own[:, None] - own) ** 2).sum(axis=2))

    def _whitened(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        from scipy.linalg import solve_triangular

        return np.asarray(solve_triangular(self.root, columns, lower=True, check_finite=False))


class EndComparison:
    """Compares mean spectra with expected ones; keeps what it prepared of single compositions.

    ``expected``: spectra, as the map's sensitivity shows them. ``covariance``: of the logarithms of that
    sensitivity, where it is not known.
    """

    def __init__(self, expected: Expected, covariance: NDArray[np.float64] | None = None) -> None:
        self.expected = expected
        self._root = None if covariance is None else np.linalg.cholesky(covariance).T
        self._known: dict[int, NDArray[np.float64]] = {}
        self._ranges: dict[int, NDArray[np.float64]] = {}
        self._apart: dict[tuple[int, int], float] = {}

    def fit(self, mean: Mean, point: int) -> tuple[float, float]:
        """Return minus twice the log-likelihood of a mean spectrum, and the chi-square within."""
        return self._judge(mean, np.array([point]), np.ones(1), self._errors_of(point))[:2]

    def apart(self, point: int, mineral: int) -> float:
        """Return by how much a spectrum of a composition is worse explained by the nearest of a mineral.

        In minus twice the log-likelihood, without noise, of as many counts as tell anything: a measured
        spectrum of either cannot tell more between the two.
        """
        if (point, mineral) not in self._apart:
            templates = self.expected.templates
            spectrum = templates.lines[point] + templates.continuum[point]
            others = np.flatnonzero(templates.owner == mineral)
            near = others[np.argsort(rough_distances(spectrum, self.expected)[others])[:_NEAREST]]
            total, both = float(templates.totals[point]), np.append(near, point)
            mean = Mean.of(mixed_floor(spectrum), MOST_COUNTS, total, self.expected, both)
            squares = [self._judge(mean, np.array([other]), np.ones(1))[1] for other in near]
            self._apart[point, mineral] = min(squares)
        return self._apart[point, mineral]

    def contrast(self, one: Mean, other: Mean, points: tuple[int, int]) -> Contrast:
        """Compare what two spectra of one map differ by with what two compositions, ``points``, would.

        What instrument and physics do to both does not part them.
        """
        from scipy.linalg import cholesky, solve_triangular

        templates = self.expected.templates
        tolerance = bin_errors(templates.bins, _OWN_BIN_ERROR)
        covariance = one.errors + other.errors + self._errors_between(*points)
        counting = np.zeros(templates.bins.size)
        for mean in (one, other):
            variance = bin_variance(mean.likely, mean.continuum, mean.counts, tolerance, _OWN_SHAPE_ERROR)
            covariance[np.diag_indices(counting.size)] += variance / mean.counts
            counting += mean.likely / mean.counts
        first, second = (mixed_floor(templates.lines[each] + templates.continuum[each]) for each in points)
        apart = one.shares - other.shares - first + second
        root = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        residual = solve_triangular(root, apart, lower=True, check_finite=False)
        return Contrast(float(residual @ residual), counting, root, templates.lines + templates.continuum)

    def _errors_between(self, one: int, other: int) -> NDArray[np.float64]:
        """(B, B) covariance of what expected spectra of two compositions differ by, in one map."""
        expected, templates, families = self.expected, self.expected.templates, self.expected.families
        bins, hats = templates.bins, knot_hats(self.expected.templates.bins)
        both = np.array([one, other])
        lines, continuum, parts = templates.lines[both], templates.continuum[both], expected.parts[both]
        # What of a spectrum of sum 1 changes where all scatter is stronger.
        more_scatter = continuum - continuum.sum(axis=1, keepdims=True) * (lines + continuum)
        mean = (lines + continuum).mean(axis=0)
        slope = np.gradient(mean / bins.widths, bins.energies) * bins.widths
        columns = [
            self._range_of(one),
            self._range_of(other),
            CONTINUUM_SPREAD * (more_scatter[:1] - more_scatter[1:]),
            _OWN_SCATTER_ERROR * hats * continuum.mean(axis=0),
            _OWN_CURVE_ERROR * hats * lines.mean(axis=0),
            _CURVE_ERROR * hats * (lines[0] - lines[1]),
            _FAMILY_ERROR * (parts[0] - parts[1])[:, None] * families.shapes,
            _OWN_SHIFT_KEV * slope[None],
        ]
        if self._root is not None:
            slopes = [
                sensitivity_slopes(expected, *each) for each in zip(lines, continuum, parts, strict=True)
            ]
            columns.append(self._root @ (slopes[0] - slopes[1]))
        every = np.vstack(columns)
        return np.asarray(every.T @ every)

    def blends(self, mean: Mean, start: int, points: NDArray[np.intp], most: int) -> list[Blend]:
        """Return the best blends of two to ``most`` minerals out of compositions ``points``.

        Errors are at first those of the composition ``start``.
        """
        root = self._judge(mean, np.array([start]), np.ones(1), self._errors_of(start))[2]
        return _BlendSearch(self, mean, points).search(root, most)

    def forget(self) -> None:
        """Let go of what was prepared: a square of the bins for each composition."""
        self._known.clear()

    def _range_of(self, point: int) -> NDArray[np.float64]:
        # Other threads may let go of what is known at any time.
        columns = self._ranges.get(point)
        if columns is None:
            columns = self._ranges[point] = composition_columns(self.expected.templates, point)
        return columns

    def _errors_of(self, point: int) -> NDArray[np.float64]:
        errors = self._known.get(point)
        if errors is None:
            if len(self._known) >= _MOST_KNOWN:
                self.forget()
            errors = self._known[point] = self._errors(np.array([point]), np.ones(1))
        return errors

    def _judge(
        self,
        mean: Mean,
        points: NDArray[np.intp],
        shares: NDArray[np.float64],
        errors: NDArray[np.float64] | None = None,
    ) -> tuple[float, float, NDArray[np.float64]]:
        """Return minus twice the log-likelihood, chi-square, and the lower root of the covariance."""
        from scipy.linalg import cholesky, solve_triangular

        templates = self.expected.templates
        continuum = shares @ templates.continuum[points]
        spectrum = mixed_floor(shares @ templates.lines[points] + continuum)
        # Of what is measured: else small errors, not a good fit, would choose.
        errors_of_bins = bin_errors(templates.bins, _BIN_ERROR)
        variance = bin_variance(mean.likely, mean.continuum, mean.counts, errors_of_bins, _SHAPE_ERROR)
        covariance = mean.errors + (self._errors(points, shares) if errors is None else errors)
        covariance[np.diag_indices(variance.size)] += variance / mean.counts
        root = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        residual = solve_triangular(root, mean.shares - spectrum, lower=True, check_finite=False)
        square = float(residual @ residual)
        return square + 2 * float(np.log(np.diag(root)).sum()), square, root

    def _errors(self, points: NDArray[np.intp], shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B, B) covariance of models, instruments, calibrations and ranges of composition."""
        from scipy.linalg.blas import dsyrk

        expected, templates, families = self.expected, self.expected.templates, self.expected.families
        bins = templates.bins
        lines, continuum = shares @ templates.lines[points], shares @ templates.continuum[points]
        parts = shares @ expected.parts[points]
        hats = knot_hats(bins)
        own = parts > 1e-4
        density = (lines + continuum) / bins.widths
        slope = np.gradient(density, bins.energies) * bins.widths
        bend = np.gradient(np.gradient(density, bins.energies), bins.energies) * bins.widths
        soft = softness(bins.energies) - 1
        ranges = [share * self._range_of(int(point)) for point, share in zip(points, shares, strict=True)]
        columns = [
            CONTINUUM_SPREAD * continuum[None],
            pile_up_column(lines + continuum, bins),
            *ranges,
            _CURVE_ERROR * hats * lines,
            _FAMILY_ERROR * parts[own, None] * families.shapes[own],
            _SCATTER_ERROR * hats * continuum,
            CONTINUUM_SPREAD * lines[None] * 0.2,
            _SHIFT_KEV * slope[None],
            _WIDTH_ERROR * 0.06**2 * bend[None],
            # Soft lines lie elsewhere, and are wider: their charge is partly lost near the surface.
            _SHIFT_KEV * soft * slope[None],
            _WIDTH_ERROR * 0.06**2 * soft * bend[None],
        ]
        if self._root is not None:
            columns.append(self._root @ sensitivity_slopes(expected, lines, continuum, parts))
        # Its lower half: nothing else is looked at.
        return np.asarray(dsyrk(1.0, np.vstack(columns).T, lower=1))


class _BlendSearch:
    """The blends of minerals that explain a mean spectrum: fewer and fewer of its compositions."""

    def __init__(self, comparison: EndComparison, mean: Mean, points: NDArray[np.intp]) -> None:
        templates = comparison.expected.templates
        self._judge, self._mean, self._points = comparison._judge, mean, points
        self._spectra = mixed_floor(templates.lines[points] + templates.continuum[points]).T
        self._minerals = templates.owner
        self._owner = templates.owner[points]
        self._rows_of = {
            each: np.flatnonzero(self._owner == each) for each in np.unique(self._owner).tolist()
        }
        self._found: dict[tuple[int, ...], Blend] = {}

    def search(self, root: NDArray[np.float64], most: int) -> list[Blend]:
        """Return the best blends of two to ``most`` minerals; ``root``: of the covariance of errors."""
        kept = np.arange(self._points.size)
        for _ in range(_ROUNDS):
            self._whiten(root)
            shares, _ = self._solve(kept)
            root = self._judge(self._mean, self._points[kept][shares > 0], shares[shares > 0])[2]
        kept = kept[shares > _LEAST_SHARE]
        while np.unique(self._owner[kept]).size > 1:
            shares, _ = self._solve(kept)
            minerals = np.unique(self._owner[kept][shares > 0]).tolist()
            if len(minerals) <= most and (blend := self._blend_of(minerals)) is not None:
                self._exchange(blend)
            if len(minerals) < 2:  # the others were missed by nothing
                break
            # Without the mineral that is missed least.
            fewer = [self._rows(each for each in minerals if each != left) for left in minerals]
            kept = min(fewer, key=lambda rows: self._solve(rows)[1])
        return list(self._found.values())

    def _whiten(self, root: NDArray[np.float64]) -> None:
        from scipy.linalg import solve_triangular

        whitened = solve_triangular(root, self._spectra, lower=True, check_finite=False)
        target = solve_triangular(root, self._mean.shares, lower=True, check_finite=False)
        self._scale = scale = 1 / np.sqrt((whitened**2).sum(axis=0))
        self._normal, self._onto = (whitened * scale).T @ (whitened * scale), (target @ whitened) * scale
        self._normal.flat[:: scale.size + 1] += _RIDGE

    def _solve(self, kept: NDArray[np.intp]) -> tuple[NDArray[np.float64], float]:
        """Return the shares of some compositions, and how far their blend is."""
        from napari_xrf.minerals.naming.bounded_subsets import solve_subset

        scaled, distance = solve_subset(self._normal, self._onto, kept)
        amounts = scaled * self._scale[kept]
        return amounts / max(float(amounts.sum()), 1e-12), distance

    def _rows(self, minerals: Iterable[int]) -> NDArray[np.intp]:
        return np.concatenate([self._rows_of[each] for each in minerals])

    def _blend_of(self, minerals: Iterable[int]) -> Blend | None:
        """Return the blend of minerals, or None where fewer of them would do."""
        rows = self._rows(minerals)
        shares, _ = self._solve(rows)
        rows, shares = rows[shares > 0], shares[shares > 0]
        held = tuple(np.unique(self._owner[rows]).tolist())
        if len(held) > 1 and held not in self._found:
            score, square, _ = self._judge(self._mean, self._points[rows], shares)
            self._found[held] = Blend(self._points[rows], shares, score, square)
        return self._found.get(held)

    def _exchange(self, best: Blend) -> None:
        """Try others in the place of one mineral of a blend, as long as that is better."""
        held = np.unique(self._minerals[best.points]).tolist()
        tried = [
            [*held[:place], other, *held[place + 1 :]]
            for place in range(len(held))
            for other in self._rows_of
            if other not in held
        ]
        tried.sort(key=lambda minerals: self._solve(self._rows(minerals))[1])
        others = [blend for minerals in tried[:_EXCHANGES] if (blend := self._blend_of(minerals)) is not None]
        better = min(others, key=lambda blend: blend.score, default=best)
        if better.score < best.score - _WORTH:
            self._exchange(better)
