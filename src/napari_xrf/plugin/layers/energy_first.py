"""Counts (Y, X, E) shown as (E, Y, X) without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.counts import Counts


class EnergyFirst:
    """A view (E, Y, X) of lazily read counts (Y, X, E), which napari slices like an array.

    Parameters
    ----------
    counts
        (Y, X, E) counts that are read by slicing.
    """

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.dtype = np.dtype(counts.dtype)
        rows, columns, channels = counts.shape
        self.shape = (int(channels), int(rows), int(columns))
        self.ndim = 3
        self.size = int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        energy, row, column = self._three(key)
        part = np.asarray(self.counts[row, column, energy])
        # Integers drop an axis; the energy axis, where it is left, comes last and goes first.
        return part if isinstance(energy, int | np.integer) else np.moveaxis(part, -1, 0)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = self[:, :, :]
        return array if dtype is None else array.astype(dtype)

    @staticmethod
    def _three(key: Any) -> tuple[Any, Any, Any]:
        parts = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in [part for part in parts if part is Ellipsis]:
            at = next(place for place, part in enumerate(parts) if part is Ellipsis)
            parts[at : at + 1] = [slice(None)] * (4 - len(parts))
        parts += [slice(None)] * (3 - len(parts))
        energy, row, column = parts
        return energy, row, column


class EnergyLast:
    """The way back: a view (Y, X, E) of an array (E, Y, X) that is read by slicing."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.dtype = np.dtype(array.dtype)
        channels, rows, columns = array.shape
        self.shape = (int(rows), int(columns), int(channels))
        self.ndim = 3

    def __getitem__(self, key: Any) -> NDArray[Any]:
        row, column, energy = EnergyFirst._three(key)
        part = np.asarray(self.array[energy, row, column])
        return part if isinstance(energy, int | np.integer) else np.moveaxis(part, 0, -1)


def energy_first(counts: Counts) -> Any:
    """Return counts (Y, X, E) as an array-like (E, Y, X): a numpy view, or read by slicing."""
    return np.moveaxis(counts, -1, 0) if isinstance(counts, np.ndarray) else EnergyFirst(counts)


def energy_last(array: Any) -> Counts:
    """Return an array (E, Y, X) as counts (Y, X, E): the reverse of :func:`energy_first`."""
    if isinstance(array, EnergyFirst):
        return array.counts
    return np.moveaxis(array, 0, -1) if isinstance(array, np.ndarray) else EnergyLast(array)
