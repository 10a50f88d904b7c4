"""What an array of counts must offer: numpy arrays do, lazily decoded files do too."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Counts(Protocol):
    """An array of counts (Y, X, E) that is read by slicing; slices are numpy arrays or become so.

    ``numpy.ndarray``, ``dask.array.Array``, counts in scratch files and the lazily decoded cubes of
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
    """Counts that know how to become plain numbers by themselves, quicker than row by row."""

    def load(self, memory_budget: int, progress: Any) -> Counts:
        """Return all counts (Y, X, E) as an array, or in a scratch file above the budget in bytes."""
        ...


class RowBand:
    """Some rows of counts, read when asked for.

    ``counts``: (Y, X, E), all of them. ``rows``: first row and the one after the last.
    """

    def __init__(self, counts: Counts, rows: slice) -> None:
        self._counts, self._rows = counts, range(*rows.indices(counts.shape[0]))
        self.shape = (len(self._rows), *counts.shape[1:])
        self.dtype, self.ndim = counts.dtype, 3

    def __getitem__(self, key: Any, /) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        rows = self._rows[first]
        at = slice(rows.start, rows.stop, rows.step) if isinstance(rows, range) else rows
        return self._counts[(at, *rest)]


def indices_of(key: Any, shape: Sequence[int]) -> tuple[tuple[range, Any], ...]:
    """Return, for each axis of counts, the indices that a key needs and the key that picks among them.

    A key is what numpy indexes with, axis by axis: integers, slices, ``...``, index arrays and masks. Raises
    IndexError when it has more axes than the counts or leads outside them.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    dots = [at for at, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1 or len(parts) - len(dots) > len(shape):
        raise IndexError(f"{key} does not index counts of (Y, X, E)")
    if dots:
        parts[dots[0] : dots[0] + 1] = [slice(None)] * (len(shape) + 1 - len(parts))
    parts += [slice(None)] * (len(shape) - len(parts))
    return tuple(_indices(part, size) for part, size in zip(parts, shape, strict=True))


def _indices(part: Any, size: int) -> tuple[range, Any]:
    if isinstance(part, slice):
        return range(*part.indices(size)), slice(None)
    wanted = np.asarray(part)
    if wanted.ndim == 0 and wanted.dtype.kind in "iu":
        if not -size <= part < size:
            raise IndexError(f"index {part} is out of bounds for an axis of {size}")
        return range(int(part) % size, int(part) % size + 1), 0
    if wanted.ndim != 1 or wanted.dtype.kind not in "iub":
        raise IndexError(f"counts are indexed by integers and slices, not by {type(part).__name__}")
    wanted = np.flatnonzero(wanted) if wanted.dtype.kind == "b" else wanted % size
    if not wanted.size:
        return range(0), slice(None)
    return range(int(wanted.min()), int(wanted.max()) + 1), wanted - wanted.min()
