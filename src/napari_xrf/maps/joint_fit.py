"""Fit of one spectrum with many columns, some of them known only roughly.

The columns of interest A have amplitudes x ≥ 0. Deviations D of the model from the truth (a peak a few eV off,
a line ratio a few per cent off) have amplitudes d with a normal prior of mean 0 and standard deviation 1. Minimised
over x and d is |y - Aᵀx - Dᵀd|² / V + |d|²; d is eliminated first, which leaves a problem in x alone:

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


class Problem:
    """Counts, variances and deviations of one spectrum, ready for any set of columns."""

    def __init__(self, counts: Array, variance: Array, deviations: Array) -> None:
        self.counts = counts
        self.variance = variance
        self.deviations = deviations
        self._weighted = deviations / variance
        inner = self._weighted @ deviations.T + np.eye(len(deviations))
        self._inverse = np.linalg.inv(inner)
        self._onto = self._weighted @ counts

    def reduced(self, columns: Array) -> tuple[Array, Array, Array]:
        """Return weighted columns, N' and b' of columns (K, E)."""
        weighted = columns / self.variance
        cross = weighted @ self.deviations.T
        normal = weighted @ columns.T - cross @ self._inverse @ cross.T
        projected = weighted @ self.counts - cross @ self._inverse @ self._onto
        return weighted, normal, projected

    def fit(self, columns: Array) -> JointFit:
        """Fit columns (K, E), K at least 1."""
        _, normal, projected = self.reduced(columns)
        amplitudes, errors = solve_non_negative(normal, projected)
        plain = amplitudes @ columns
        moved = self._inverse @ (self._onto - self._weighted @ plain)
        model = plain + moved @ self.deviations
        residual = (self.counts - model) / np.sqrt(self.variance)
        chi_square = float(residual @ residual + moved @ moved)
        return JointFit(amplitudes, errors, model, chi_square, residual, moved)

    def gains(self, columns: Array, amplitudes: Array, extra: Array) -> tuple[Array, Array]:
        """Return by how much chi-square falls when one more column joins, for each of ``extra`` (M, E).

        Returns
        -------
        gains, amplitudes : (M,)
            Gains of columns that would get a negative amplitude are 0.
        """
        active = columns[amplitudes > 0]
        _, normal, projected = self.reduced(active)
        weighted = extra / self.variance
        cross_deviations = weighted @ self.deviations.T
        cross = weighted @ active.T - cross_deviations @ self._inverse @ (self._weighted @ active.T)
        onto = weighted @ self.counts - cross_deviations @ self._inverse @ self._onto
        own = (weighted * extra).sum(axis=1) - np.einsum(
            "md,de,me->m", cross_deviations, self._inverse, cross_deviations, optimize=True
        )
        inverse = np.linalg.pinv(normal, rcond=1e-10, hermitian=True)
        slope = onto - cross @ (inverse @ projected)
        left = own - np.einsum("mk,kl,ml->m", cross, inverse, cross, optimize=True)
        # What the active columns explain already leaves nothing to judge by.
        sound = left > 1e-3 * np.maximum(own, 1e-300)
        slope = np.where(sound, np.maximum(slope, 0), 0)
        left = np.where(sound, left, 1.0)
        return slope**2 / left, slope / left
