"""Counts of a synthetic map that are drawn when they are read, so that no map is too large."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import scratch_array
from napari_xrf.synthesis.distortions import DistortionValues, FwhmOfEnergy, distort
from napari_xrf.synthesis.sampling import count_dtype, draw_poisson

_BLOCK_BYTES = 16 * 2**20  # of expected spectra: small enough for the cache and for quick cancelling


@dataclass(frozen=True, eq=False)
class DrawnCounts:
    """Poisson counts (Y, X, E), drawn on reading; the same pixel always has the same counts.

    A :class:`~napari_xrf.core.counts.Counts` for a :class:`~napari_xrf.core.spectral_cube.SpectralCube`.

    Attributes
    ----------
    abundances
        (Y, X, K) share of each material in each pixel.
    spectra
        (K, E) expected counts of a pixel that holds one material only.
    energy
        The axis of the spectra.
    seed
        Decides the counts, together with the pixel and the channel.
    distortions
        Values for Y·X spectra, row by row, or None.
    fwhm
        Width of the detector's peaks, keV at keV; needed by some distortions.
    """

    abundances: NDArray[np.float32]
    spectra: NDArray[np.float32]
    energy: EnergyAxis
    seed: int
    distortions: DistortionValues | None = None
    fwhm: FwhmOfEnergy | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Y, X, E)."""
        rows, columns, _ = self.abundances.shape
        return rows, columns, self.energy.size

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Wide enough for the largest expectation."""
        largest = float(self.spectra.max(initial=0.0))
        if self.distortions is not None:
            # A change of gain may crowd a channel by up to 1.25, and pile-up never beyond the highest;
            # added peaks may fall into one channel.
            total = float(self.spectra.sum(axis=1).max(initial=0.0))
            largest = 1.25 * (largest + total * self.distortions.largest_addition())
        return np.dtype(count_dtype(largest))

    def __getitem__(self, key: Any) -> Any:
        y, x, channels = _split_key(key)
        rows, columns = np.arange(self.shape[0])[y], np.arange(self.shape[1])[x]
        pixels = np.add.outer(rows * self.shape[1], columns)
        counts = np.empty((pixels.size, self.shape[2]), dtype=self.dtype)
        step = max(1, _BLOCK_BYTES // (4 * self.shape[2]))
        for start in range(0, pixels.size, step):
            part = pixels.reshape(-1)[start : start + step]
            counts[start : start + step] = draw_poisson(
                self.expected(part), self.seed, part, dtype=self.dtype.type
            )
        return counts.reshape(*pixels.shape, self.shape[2])[..., channels]

    def expected(self, pixels: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return the expected counts (N, E) of pixels numbered row by row."""
        mixed = self.abundances.reshape(-1, self.abundances.shape[2])[pixels] @ self.spectra
        if self.distortions is None:
            return mixed
        return distort(mixed, self.energy, self.distortions.take(pixels), self.fwhm)

    def distorted(self, values: DistortionValues | None, seed: int | None = None) -> DrawnCounts:
        """Return the same map with other distortions, and with other noise when a seed is given."""
        return replace(self, distortions=values, seed=self.seed if seed is None else seed)

    def load(self, memory_budget: int, progress: Progress = ignore_progress) -> NDArray[Any]:
        """Draw all counts into an array (Y, X, E), memory-mapped where it exceeds the budget in bytes."""
        target = scratch_array(self.shape, self.dtype, memory_budget)
        step = max(1, _BLOCK_BYTES // (4 * self.shape[1] * self.shape[2]))
        for start in range(0, self.shape[0], step):
            target[start : start + step] = self[start : start + step]
            progress(min(start + step, self.shape[0]), self.shape[0], "drawing counts")
        return target


def _split_key(key: Any) -> tuple[Any, Any, Any]:
    parts = key if isinstance(key, tuple) else (key,)
    if Ellipsis in [part for part in parts if part is Ellipsis]:
        at = next(index for index, part in enumerate(parts) if part is Ellipsis)
        fill = (slice(None),) * (3 - (len(parts) - 1))
        parts = parts[:at] + fill + parts[at + 1 :]
    if len(parts) > 3:
        raise IndexError("a map of spectra has three axes")
    y, x, channels = parts + (slice(None),) * (3 - len(parts))
    return y, x, channels
