"""Fit of one spectrum with many columns, some of them known only roughly.

The columns of interest A have amplitudes x ≥ 0. Deviations D of the model from the truth (a peak a few
eV off, a line ratio a few per cent off) have amplitudes d with a normal prior of mean 0 and standard
deviation 1. Minimised over x and d is |y - Aᵀx - Dᵀd|² / V + |d|²; d is eliminated first, which leaves a
problem in x alone:

    N' = A V⁻¹ Aᵀ - C M⁻¹ Cᵀ,  b' = A V⁻¹ y - C M⁻¹ D V⁻¹ y,  C = A V⁻¹ Dᵀ,  M = D V⁻¹ Dᵀ + 1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.fit import solve_non_negative

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointFit:
    """A fitted spectrum.

    Attributes
    ----------
    amplitudes, errors
        (K,) of the columns.
    model
        (E,) fitted counts, deviations included.
    chi_square
        The minimum reached, the prior's part included.
    residual
        (E,) (counts - model) / sqrt(variance).
    deviations
        (D,) amplitudes of the deviations.
    """

    amplitudes: Array
    errors: Array
    model: Array
    chi_square: float
    residual: Array
    deviations: Array


@dataclass(frozen=True, eq=False)
class Reduced:
    """The problem left for some columns once the deviations are eliminated.

    Attributes
    ----------
    columns
        (K, E).
    normal, projected
        N' (K, K) and b' (K,).
    """

    columns: Array
    normal: Array
    projected: Array


class Problem:
    """Counts, variances and deviations of one spectrum, ready for any set of columns.

    Parameters
    ----------
    counts, variance
        (E,).
    deviations
        (D, E), each as large as one standard deviation.
    starts
        (G,) first channel of each group of channels that are summed before they are compared, which
        saves time and loses nothing where a peak is many channels wide. None: each for itself.
    """

    def __init__(
        self, counts: Array, variance: Array, deviations: Array, starts: NDArray[np.intp] | None = None
    ) -> None:
        self.counts = counts
        self.variance = variance
        self.deviations = deviations
        self.starts = starts
        self._summed, self._summed_variance = self._group(counts), self._group(variance)
        self._moves = self._group(deviations)
        self._weighted = self._moves / self._summed_variance
        inner = self._weighted @ self._moves.T
        inner.flat[:: len(deviations) + 1] += 1.0
        self._factor = np.linalg.cholesky(inner)
        self._onto = self._weighted @ self._summed
        squares = float((self._summed**2 / self._summed_variance).sum())
        self._nothing = squares - float((self._half(self._onto) ** 2).sum())

    def reduce(self, columns: Array) -> Reduced:
        """Return the problem for columns (K, E)."""
        summed = self._group(columns)
        weighted = summed / self._summed_variance
        half = self._half(self._moves @ weighted.T)
        normal = weighted @ summed.T - half.T @ half
        return Reduced(columns, normal, weighted @ self._summed - half.T @ self._half(self._onto))

    def _group(self, values: Array) -> Array:
        if self.starts is None:
            return values
        return np.asarray(np.add.reduceat(values, self.starts, axis=-1))

    def fit(self, columns: Array) -> JointFit:
        """Fit columns (K, E), K at least 1."""
        reduced = self.reduce(columns)
        amplitudes, errors = solve_non_negative(reduced.normal, reduced.projected)
        plain = amplitudes @ columns
        moved = self._half(self._half(self._onto - self._weighted @ self._group(plain)), transposed=True)
        model = plain + moved @ self.deviations
        residual = (self.counts - model) / np.sqrt(self.variance)
        misfit = (self._summed - self._group(model)) / np.sqrt(self._summed_variance)
        chi_square = float(misfit @ misfit + moved @ moved)
        return JointFit(amplitudes, errors, model, chi_square, residual, moved)

    def _half(self, right: Array, transposed: bool = False) -> Array:
        """Return L⁻¹ times ``right``, where LLᵀ = M."""
        from scipy.linalg import solve_triangular

        if not right.size:
            return right
        return np.asarray(solve_triangular(self._factor, right, lower=True, trans=int(transposed)))

    def chi_square(self, reduced: Reduced, kept: NDArray[np.bool_]) -> float:
        """Return chi-square of the fit of the columns where ``kept`` (K,) is true."""
        normal, projected = reduced.normal[np.ix_(kept, kept)], reduced.projected[kept]
        amplitudes, _ = solve_non_negative(normal, projected)
        return float(self._nothing - 2 * amplitudes @ projected + amplitudes @ normal @ amplitudes)

    def gains(self, columns: Array, amplitudes: Array, extra: Array) -> Array:
        """Return by how much chi-square falls when one more column joins, for each of ``extra`` (M, E).

        Gains of columns that would get a negative amplitude, or that the active columns imitate to a
        thousandth, are 0.
        """
        active = columns[amplitudes > 0]
        size = len(active)
        both = self.reduce(np.concatenate([active, extra]))
        inverse = np.linalg.pinv(both.normal[:size, :size], rcond=1e-10, hermitian=True)
        cross = both.normal[size:, :size]
        own = np.diag(both.normal)[size:]
        slope = both.projected[size:] - cross @ (inverse @ both.projected[:size])
        left = own - np.einsum("mk,mk->m", cross @ inverse, cross)
        sound = left > 1e-3 * np.maximum(own, 1e-300)
        return np.where(sound, np.maximum(slope, 0) ** 2 / np.where(sound, left, 1.0), 0.0)
