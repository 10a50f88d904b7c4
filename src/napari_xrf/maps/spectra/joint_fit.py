"""Fit of one spectrum with many columns, some of them known only roughly.

The columns of interest A have amplitudes x ≥ 0. Deviations D of the model from the truth (a peak a few
eV off, a line ratio a few per cent off) have amplitudes d with a normal prior of mean 0 and standard
deviation 1. Minimised over x and d is |y - Aᵀx - Dᵀd|² / V + |d|²; d is eliminated first, which leaves a
problem in x alone:

    N' = A V⁻¹ Aᵀ - C M⁻¹ Cᵀ,  b' = A V⁻¹ y - C M⁻¹ D V⁻¹ y,  C = A V⁻¹ Dᵀ,  M = D V⁻¹ Dᵀ + 1
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.spectra.non_negative import solve_bounded

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_RIDGE = 1e-8
_SMALL = 16  # rows of a triangle that are inverted as any matrix
_IMITATED = 1e-3  # a column of which less is left beside the others is one of them


@dataclass(frozen=True, eq=False)
class JointFit:
    """A fitted spectrum."""

    # amplitudes, errors: (K,) of the columns
    amplitudes: Array
    errors: Array
    covariance: Array  # (K, K) of the unbounded amplitudes
    model: Array  # (G,) fitted counts, deviations included
    chi_square: float  # the minimum reached, the prior's part included
    deviations: Array  # (D,) amplitudes of the deviations


class Problem:
    """Counts, variances and deviations of one spectrum, ready for any set of columns.

    ``counts``, ``variance``: (G,). ``deviations``: (D, G), each as large as one standard deviation.
    ``columns``: (K, G) all that may be fitted; what it takes to fit each is found when first asked for, and
    kept. ``owners``: (D,) the column, by its place in a fit, that each deviation belongs to, −1 for none.

    Attributes
    ----------
    volume
        Σ ln V + ln det M: how much of all spectra the model gives a chance, the larger the more.
    """

    def __init__(
        self, counts: Array, variance: Array, deviations: Array, columns: Array, owners: Index | None = None
    ) -> None:
        self.counts, self.variance, self.deviations, self.columns = counts, variance, deviations, columns
        self.owners = np.full(len(deviations), -1, dtype=np.intp) if owners is None else owners
        # All in units of the counts' standard deviations.
        self._scale = 1 / np.sqrt(variance)
        self._scaled, self._wanted = deviations * self._scale, counts * self._scale
        inner = self._scaled @ self._scaled.T
        inner.flat[:: len(deviations) + 1] += 1.0
        factor = np.asarray(np.linalg.cholesky(inner), dtype=np.float64)
        self._half_inverse = _inverse_of_lower(factor)
        self._onto = self._half(self._scaled @ self._wanted)
        self.volume = float(np.log(variance).sum() + 2 * np.log(np.diag(factor)).sum())
        self.nothing = float(self._wanted @ self._wanted - self._onto @ self._onto)
        self._known = np.zeros(len(columns), dtype=bool)
        self._halves = np.empty((len(columns), len(deviations)))

    def project(self, index: Index) -> Projected:
        """Return columns as this problem sees them; (K,) which."""
        new = index[~self._known[index]]
        if new.size:
            self._halves[new] = self.project_other(self.columns[new]).half
            self._known[new] = True
        return self._projected(self.columns[index] * self._scale, self._halves[index])

    def project_other(self, columns: Array) -> Projected:
        """Return columns that are not among all, (K, G), as this problem sees them."""
        scaled = columns * self._scale
        return self._projected(scaled, self._half(self._scaled @ scaled.T).T)

    def _projected(self, scaled: Array, half: Array) -> Projected:
        return Projected(scaled, half, scaled @ self._wanted - half @ self._onto)

    def fit(self, index: Index) -> JointFit:
        """Fit columns, (K,) which; K at least 1."""
        seen = self.project(index)
        normal = seen.against(seen)
        amplitudes, covariance = _solve(normal, seen.onto)
        errors = np.sqrt(np.maximum(np.diag(covariance), 0))
        moved = self._half(self._onto - amplitudes @ seen.half, transposed=True)
        model = amplitudes @ self.columns[index] + moved @ self.deviations
        chi_square = float(((self.counts - model) ** 2 / self.variance).sum() + moved @ moved)
        return JointFit(amplitudes, errors, covariance, model, chi_square, moved)

    def shared_counts(self, index: Index, fit: JointFit) -> Array:
        """Return the counts of each column that was fitted, (K,): in each group its share of what is there.

        Where the shape of a strong line is not met, its counts are still those that were measured.
        """
        parts = fit.amplitudes[:, None] * self.columns[index]
        owned = self.owners >= 0
        np.add.at(parts, self.owners[owned], fit.deviations[owned, None] * self.deviations[owned])
        shares = np.clip(parts, 0.0, None) / np.maximum(fit.model, 1e-9)
        return np.asarray(np.minimum(shares, 1.0) @ self.counts)

    def counting_errors(self, index: Index, fit: JointFit) -> Array:
        """Return what the noise of counts alone leaves in the amplitudes of fitted columns, (K,)."""
        seen = self.project(index)
        gain = fit.covariance @ (seen.scaled - seen.half @ self._half(self._scaled)) * self._scale
        return np.asarray(np.sqrt(gain**2 @ np.maximum(fit.model, 0.0)))

    def _half(self, right: Array, transposed: bool = False) -> Array:
        """Return L⁻¹ times ``right``, where LLᵀ = M."""
        return np.asarray((self._half_inverse.T if transposed else self._half_inverse) @ right)


@dataclass(frozen=True, eq=False)
class Projected:
    """Columns of a problem once its deviations are eliminated."""

    scaled: Array  # (K, G) A over the counts' standard deviations
    half: Array  # (K, D) C L⁻ᵀ
    onto: Array  # (K,) b'

    def against(self, others: Projected) -> Array:
        """Return N' between these columns and others, (K, L)."""
        return self.scaled @ others.scaled.T - self.half @ others.half.T

    def own(self) -> Array:
        """Return the diagonal of N', (K,)."""
        return np.einsum("kg,kg->k", self.scaled, self.scaled) - np.einsum("kd,kd->k", self.half, self.half)


def inverse_of(normal: Array) -> Array:
    """Return the inverse of a normal matrix (K, K); a little ridge where columns are nearly alike."""
    scale, scaled = _balanced(normal)
    return np.asarray(np.linalg.inv(scaled) * scale * scale[:, None])


def _balanced(normal: Array) -> tuple[Array, Array]:
    """Return scales, (K,), and a normal matrix of columns so scaled, a little ridge on its diagonal."""
    scale = 1 / np.sqrt(np.maximum(normal.diagonal(), 1e-300))
    scaled = normal * scale * scale[:, None]
    scaled.flat[:: scale.size + 1] += _RIDGE
    return scale, scaled


def _inverse_of_lower(factor: Array) -> Array:
    """Return the inverse of a lower triangular matrix, by halves: numpy knows no triangles."""
    half = len(factor) // 2
    if half < _SMALL:
        return np.asarray(np.linalg.inv(factor))
    above, below = _inverse_of_lower(factor[:half, :half]), _inverse_of_lower(factor[half:, half:])
    inverse = np.zeros_like(factor)
    inverse[:half, :half], inverse[half:, half:] = above, below
    inverse[half:, :half] = -below @ (factor[half:, :half] @ above)
    return inverse


def _solve(normal: Array, onto: Array) -> tuple[Array, Array]:
    """Minimise xᵀNx - 2bᵀx over x ≥ 0.

    Returns ``solution``: (K,), ``covariance``: (K, K) of the unbounded problem.
    """
    scale, scaled = _balanced(normal)
    inverse = np.linalg.inv(scaled)
    free = inverse @ (onto * scale)
    covariance = inverse * scale * scale[:, None]
    if not (free >= 0).all():
        free = solve_bounded(scaled, onto * scale, free > 0)
    return free * scale, covariance


class Linear:
    """The problem in the amplitudes of active columns alone, and what other columns would add to it.

    ``active``: (A,) which of the problem's columns are in the fit.
    """

    def __init__(self, problem: Problem, active: Index) -> None:
        self._problem = problem
        self._active = problem.project(active)
        self._normal = self._active.against(self._active)

    def loss(self, kept: NDArray[np.bool_]) -> tuple[float, NDArray[np.bool_]]:
        """Return chi-square, but for a constant, of the kept (A,) columns, and which of them hold counts."""
        at = np.flatnonzero(kept)
        normal, onto = self._normal[at[:, None], at], self._active.onto[at]
        scale, scaled = _balanced(normal)
        amplitudes = solve_bounded(scaled, onto * scale) * scale
        used = np.zeros_like(kept)
        used[at[amplitudes > 0]] = True
        return float(amplitudes @ normal @ amplitudes - 2 * amplitudes @ onto), used

    def gains(self, used: NDArray[np.bool_], rows: Index | None = None) -> Array:
        """Return by how much chi-square falls when one more column joins the used (A,) ones, (K,).

        Gains of columns that would get a negative amplitude, or that the used columns imitate to a
        thousandth, are 0; with ``rows`` also those of all other columns.
        """
        onto, own, every = self._whole if rows is None else self._joining(rows)
        at = np.flatnonzero(used)
        inverse = inverse_of(self._normal[at[:, None], at])
        cross = every[:, at]
        through = cross @ inverse
        slope = onto - through @ self._active.onto[at]
        left = own - np.einsum("ka,ka->k", through, cross)
        sound = left > _IMITATED * np.maximum(own, 1e-300)
        gained = np.where(sound, np.maximum(slope, 0) ** 2 / np.where(sound, left, 1.0), 0.0)
        if rows is None:
            return gained
        found = np.zeros(len(self._problem.columns))
        found[rows] = gained
        return found

    @cached_property
    def _whole(self) -> tuple[Array, Array, Array]:
        return self._joining(np.arange(len(self._problem.columns)))

    def _joining(self, rows: Index) -> tuple[Array, Array, Array]:
        seen = self._problem.project(rows)
        return seen.onto, seen.own(), seen.against(self._active)
