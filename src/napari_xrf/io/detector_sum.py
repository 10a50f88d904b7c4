"""The sum of detectors whose maps or energy axes differ, formed when it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.counts import Counts, indices_of
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import filled, scratch_array
from napari_xrf.io.calibration import common_axis
from napari_xrf.io.whole_counts import CountFaults, narrowest, whole_counts


@dataclass(frozen=True, eq=False)
class DetectorSum:
    """Counts (Y, X, E) of several detectors on a common axis; pixels that one lacks are empty in it."""

    parts: tuple[Counts, ...]  # counts of each detector, as many rows, columns and channels as it has
    axes: tuple[EnergyAxis, ...]  # energy axis of each
    ndim: int = 3
    axis: EnergyAxis = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", common_axis(self.axes))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Y, X, E)."""
        rows, columns = (max(part.shape[at] for part in self.parts) for at in (0, 1))
        return rows, columns, self.axis.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Wide enough for the sum."""
        return np.dtype(np.uint32 if all(part.dtype.itemsize <= 2 for part in self.parts) else np.uint64)

    def __getitem__(self, key: Any, /) -> Any:
        (rows, y), (columns, x), (channels, e) = indices_of(key, self.shape)
        total = np.zeros((len(rows), len(columns), self.axis.size), dtype=self.dtype)
        for part, own in zip(self.parts, self.axes, strict=True):
            inside = [np.asarray(wanted)[np.asarray(wanted, dtype=int) < size]
                      for wanted, size in zip((rows, columns), part.shape, strict=False)]  # fmt: skip
            if not all(each.size for each in inside):
                continue
            low, high = ([each.min() for each in inside], [each.max() + 1 for each in inside])
            block = np.asarray(part[low[0] : high[0], low[1] : high[1]])
            block = block[np.ix_(inside[0] - low[0], inside[1] - low[1])]
            where = np.ix_(np.isin(rows, inside[0]), np.isin(columns, inside[1]))
            firsts = inside[0] * self.shape[1] + int(low[1])
            moved = [self._moved(row, own, int(first)) for row, first in zip(block, firsts, strict=True)]
            total[where] += np.stack(moved)
        return total[:, :, list(channels)][:, :, e][:, x][y]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def load(self, memory_budget: int, progress: Progress = ignore_progress) -> Counts:
        """Return all counts (Y, X, E) as an array, or in a scratch file above the budget in bytes."""
        out = scratch_array(self.shape, self.dtype, memory_budget)
        filled(out, self, progress, "reading spectra", at_once=1)
        if not isinstance(out, np.ndarray):
            return out
        return out.astype(narrowest(int(out.max(initial=0))), copy=False)

    def _moved(self, counts: NDArray[Any], own: EnergyAxis, first_pixel: int) -> NDArray[Any]:
        """Return a row's whole counts on the common axis: shared by overlap of the bins, no count lost."""
        if own == self.axis:
            return counts.astype(self.dtype, copy=False)
        shared = own.rebin(counts, self.axis)
        return whole_counts(shared, first_pixel, self.dtype, CountFaults())


def differences(names: Sequence[str], parts: Sequence[Counts], axes: Sequence[EnergyAxis]) -> tuple[str, ...]:
    """Return what the user should know of detectors that differ, one sentence each."""
    first, notes = axes[0], []
    ends = [[axis.offset, float(axis.energy(first.size))] for axis in axes]
    apart = 1000 * float(np.ptp(ends, axis=0).max())
    if apart > 1e-3:
        notes.append(
            f"The detectors' energy axes differ by up to {apart:.0f} eV; "
            "their counts were brought to one axis."
        )
    whole = tuple(max(part.shape[at] for part in parts) for at in (0, 1))
    short = [f"{name} ({part.shape[0]} × {part.shape[1]} pixels)"
             for name, part in zip(names, parts, strict=True) if part.shape[:2] != whole]  # fmt: skip
    if short:
        notes.append(
            f"The detectors measured different numbers of pixels, {whole[0]} × {whole[1]} at most: "
            f"{', '.join(short)} have fewer."
        )
    return tuple(notes)
