"""What an array of counts must offer: numpy arrays do, lazily decoded files do too."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Counts(Protocol):
    """An array of counts (Y, X, E) that is read by slicing; slices are numpy arrays or become so.

    ``numpy.ndarray``, ``numpy.memmap``, ``dask.array.Array`` and the lazily decoded cubes of
    :mod:`napari_xrf.io` all satisfy it.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X, E)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Wide enough for the largest count."""
        ...

    @property
    def ndim(self) -> int:
        """Always 3."""
        ...

    def __getitem__(self, key: Any, /) -> Any: ...


@runtime_checkable
class SumsRegions(Protocol):
    """Counts that can sum the spectra of a region without making it dense."""

    def sum_region(self, mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
        """Return the summed spectrum, (E,), of the pixels where ``mask`` (Y, X) is true."""
        ...


@runtime_checkable
class SumsChannels(Protocol):
    """Counts that know each channel's largest count, and can sum channels without making them dense."""

    def max_spectrum(self) -> NDArray[np.uint64]:
        """Return the largest count of any pixel in each channel, (E,)."""
        ...

    def sum_channels(self, window: slice) -> NDArray[np.uint64]:
        """Return the counts per pixel, (Y, X), in a window of channels (step 1)."""
        ...


@runtime_checkable
class Loads(Protocol):
    """Counts that know how to become a dense array by themselves, quicker than row by row."""

    def load(self, memory_budget: int, progress: Any) -> NDArray[np.unsignedinteger[Any]]:
        """Return all counts as an array (Y, X, E), memory-mapped where it exceeds the budget in bytes."""
        ...
