"""Synthetic counts as cubes hold them: drawn when they are read, so that no map is too large.

Fixed numbers of counts are drawn with two look-ups each from alias tables after Walker (Electron. Lett. 10
(1974) 127) in the construction of Vose (IEEE Trans. Softw. Eng. 17 (1991) 972). Counts depend on the seed and
the pixel alone, as in :mod:`~napari_xrf.synthesis.sampling`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.counts import indices_of
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.memory import budget_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import filled, scratch_array
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.synthesis.sampling import GOLDEN, mix, over_threads, stream_key

_BLOCK_BYTES = 16 * 2**20  # of a float per channel: small enough for the cache and for quick cancelling
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, eq=False)
class DrawnCounts:
    """Counts (Y, X, E) drawn on reading; the same pixel always has the same counts.

    A :class:`~napari_xrf.core.counts.Counts` for a :class:`~napari_xrf.core.spectral_cube.SpectralCube`.
    """

    shape: tuple[int, int, int]  # (Y, X, E)
    dtype: np.dtype[Any]  # wide enough for every count; float32 of expected ones
    # Function that returns the counts (N, E) of pixels (N,) numbered row by row
    draw: Callable[[NDArray[np.intp]], NDArray[Any]]

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    def __getitem__(self, key: Any) -> Any:
        (rows, y), (columns, x), (channels, e) = indices_of(key, self.shape)
        pixels = np.add.outer(np.asarray(rows)[y] * self.shape[1], np.asarray(columns)[x])
        counts = np.empty((pixels.size, self.shape[2]), dtype=self.dtype)
        step = max(1, _BLOCK_BYTES // (4 * self.shape[2]))
        for start in range(0, pixels.size, step):
            counts[start : start + step] = self.draw(pixels.reshape(-1)[start : start + step])
        return counts.reshape(*pixels.shape, self.shape[2])[..., np.asarray(channels)[e]]

    def load(self, memory_budget: int, progress: Progress = ignore_progress) -> Any:
        """Draw all counts (Y, X, E) into an array, or into a scratch file above the budget in bytes."""
        target = scratch_array(self.shape, self.dtype, memory_budget)
        return filled(target, self, progress, "drawing counts", _BLOCK_BYTES)

    def load_within(
        self, memory_budget: int | None, progress: Progress = ignore_progress
    ) -> NDArray[Any] | DrawnCounts:
        """Return the counts as an array where they fit a budget in bytes, or stay undrawn.

        The default budget is half of the free memory.
        """
        budget = budget_of(memory_budget)
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


def make_alias_tables(distributions: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return tables (K, E) of distributions (K, E), which need not be normalised.

    Above, the share of each channel's slot that is its own, in units of 2⁻³²; below, the channel that the
    rest belongs to: one look-up brings both. Raises InvalidInput when a distribution is negative, not finite
    or empty.
    """
    shapes = np.atleast_2d(np.asarray(distributions, dtype=np.float64))
    if not (np.isfinite(shapes).all() and (shapes >= 0).all() and (shapes.sum(axis=1) > 0).all()):
        raise InvalidInput("a distribution must hold finite shares, none negative, not all zero")
    # By a power of two, which rounds nothing, so that the smallest numbers there are can be divided by.
    shapes = np.ldexp(shapes, -np.frexp(shapes.max(axis=1, keepdims=True))[1])
    scaled = shapes * (shapes.shape[1] / shapes.sum(axis=1, keepdims=True))
    thresholds = np.ones_like(scaled)
    aliases = np.tile(np.arange(shapes.shape[1], dtype=np.int32), (len(shapes), 1))
    for row in range(len(shapes)):
        _build(scaled[row], thresholds[row], aliases[row])
    own = np.minimum(np.rint(thresholds * 2.0**32), 2.0**32 - 1).astype(np.uint64)
    return np.asarray((own << np.uint64(32)) | aliases.astype(np.uint64))


def draw_counts(
    tables: NDArray[np.uint64],
    chosen: NDArray[np.integer[Any]],
    totals: NDArray[np.integer[Any]],
    seed: int,
    indices: NDArray[np.integer[Any]],
    dtype: type[np.unsignedinteger[Any]] = np.uint16,
) -> NDArray[np.unsignedinteger[Any]]:
    """Draw spectra with a given number of counts each.

    The chance of a channel is met to some 10⁻⁷ of itself: numbers of 32 bits choose the slot and the part.

    ``chosen``: (N,) position of each spectrum's distribution. ``totals``: (N,) counts of each spectrum; none
    above what the dtype holds. ``seed``, ``indices``: of the whole map, and (N,) numbers of the spectra
    within it. Returns (N, E) counts.
    """
    counts = np.zeros((len(chosen), tables.shape[1]), dtype=dtype)
    start = np.uint64(seed & (2**64 - 1))
    tables_of = np.asarray(chosen, dtype=np.int64)
    numbers = np.asarray(totals, dtype=np.int64)
    keys = np.asarray(indices).astype(np.uint64)

    def work(part: slice) -> None:
        _draw(tables, tables_of[part], numbers[part], start, keys[part], counts[part])

    over_threads(len(counts), work)
    return counts


@compiled()
def _build(scaled, thresholds, aliases):  # type: ignore[no-untyped-def]  # compiled
    size = scaled.shape[0]
    small, large = np.empty(size, np.int32), np.empty(size, np.int32)
    smalls, larges = 0, 0
    for channel in range(size):
        if scaled[channel] < 1.0:
            small[smalls] = channel
            smalls += 1
        else:
            large[larges] = channel
            larges += 1
    while smalls > 0 and larges > 0:
        smalls -= 1
        poor, rich = small[smalls], large[larges - 1]
        thresholds[poor] = scaled[poor]
        aliases[poor] = rich
        scaled[rich] -= 1.0 - scaled[poor]
        if scaled[rich] < 1.0:
            larges -= 1
            small[smalls] = rich
            smalls += 1
    # What is left differs from 1 by rounding only and keeps its own slot, unless it is truly empty.
    for left in range(smalls):
        if scaled[small[left]] < 0.5:
            thresholds[small[left]] = scaled[small[left]]


@compiled()
def _draw(slots, chosen, totals, seed, keys, counts):  # type: ignore[no-untyped-def]  # compiled
    channels = np.uint64(slots.shape[1])
    for row in range(chosen.shape[0]):
        state = stream_key(seed, keys[row])
        table = slots[chosen[row]]
        spectrum = counts[row]
        for _ in range(totals[row]):
            state += GOLDEN
            random = mix(state)
            channel = ((random >> _HALF) * channels) >> _HALF
            slot = table[channel]
            spectrum[channel if (random & _LOW) < (slot >> _HALF) else (slot & _LOW)] += 1
