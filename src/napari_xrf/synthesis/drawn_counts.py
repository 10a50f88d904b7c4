"""Synthetic counts as cubes hold them: drawn when they are read, so that no map is too large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.memory import default_memory_budget
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import scratch_array
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube

_BLOCK_BYTES = 16 * 2**20  # of a float per channel: small enough for the cache and for quick cancelling


@dataclass(frozen=True, eq=False)
class DrawnCounts:
    """Counts (Y, X, E) drawn on reading; the same pixel always has the same counts.

    A :class:`~napari_xrf.core.counts.Counts` for a :class:`~napari_xrf.core.spectral_cube.SpectralCube`.

    Attributes
    ----------
    shape
        (Y, X, E).
    dtype
        Wide enough for every count.
    draw
        Function that returns the counts (N, E) of pixels (N,) numbered row by row.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    draw: Callable[[NDArray[np.intp]], NDArray[np.unsignedinteger[Any]]]

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    def __getitem__(self, key: Any) -> Any:
        y, x, channels = _split_key(key)
        rows, columns = np.arange(self.shape[0])[y], np.arange(self.shape[1])[x]
        pixels = np.add.outer(rows * self.shape[1], columns)
        counts = np.empty((pixels.size, self.shape[2]), dtype=self.dtype)
        step = max(1, _BLOCK_BYTES // (4 * self.shape[2]))
        for start in range(0, pixels.size, step):
            counts[start : start + step] = self.draw(pixels.reshape(-1)[start : start + step])
        return counts.reshape(*pixels.shape, self.shape[2])[..., channels]

    def load(self, memory_budget: int, progress: Progress = ignore_progress) -> NDArray[Any]:
        """Draw all counts into an array (Y, X, E), memory-mapped where it exceeds the budget in bytes."""
        target = scratch_array(self.shape, self.dtype, memory_budget)
        step = max(1, _BLOCK_BYTES // (4 * self.shape[1] * self.shape[2]))
        for start in range(0, self.shape[0], step):
            target[start : start + step] = self[start : start + step]
            progress(min(start + step, self.shape[0]), self.shape[0], "drawing counts")
        return target

    def load_within(
        self, memory_budget: int | None, progress: Progress = ignore_progress
    ) -> NDArray[Any] | DrawnCounts:
        """Return the counts as an array where they fit a budget in bytes, or stay undrawn.

        The default budget is half of the free memory.
        """
        budget = default_memory_budget() if memory_budget is None else memory_budget
        size = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        return self.load(budget, progress) if size <= budget else self


def spectra_as_cube(
    spectra: NDArray[np.generic],
    energy: EnergyAxis,
    name: str,
    elements: tuple[str, ...] = (),
    excitation: Excitation | None = None,
) -> SpectralCube:
    """Return N spectra (N, E) as a map of N rows and one column, as files and readers take them."""
    counts: Any = spectra[:, np.newaxis, :]
    return SpectralCube(
        counts,
        energy,
        name=name,
        elements=elements,
        excitation=excitation or Excitation(),
        provenance=Provenance(layout="synthetic"),
    )


def _split_key(key: Any) -> tuple[Any, Any, Any]:
    parts = list(key) if isinstance(key, tuple) else [key]
    at = [index for index, part in enumerate(parts) if part is Ellipsis]
    if at:
        parts[at[0] : at[0] + 1] = [slice(None)] * (4 - len(parts))
    if len(parts) > 3:
        raise IndexError("a map of spectra has three axes")
    y, x, channels = parts + [slice(None)] * (3 - len(parts))
    return y, x, channels
