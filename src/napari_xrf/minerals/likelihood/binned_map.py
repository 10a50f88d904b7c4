"""The counts of a map in energy bins, chunk by chunk, so that a map on disk never has to fit in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.core.counts import Counts
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import scratch_array
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.likelihood.templates import EnergyBins

_KEPT_BYTES = 64 * 2**20  # binned counts above it lie in a scratch file
_PIXELS_AT_ONCE = 8_192
_LEAST_COUNTS, _MOST_BINS = 2.0, 8  # of the mean pixel per merged bin, and how many are merged


@dataclass(frozen=True, eq=False)
class BinnedMap:
    """A map in energy bins, or some rows of one. The counts are read once; their bins lie on disk if many."""

    cube: SpectralCube  # the map, or rows of it
    bins: EnergyBins  # the bins
    first_row: int = 0  # where these rows stand in the whole map, whose rows all numbers below are
    _kept: list[tuple[Counts, NDArray[np.bool_]]] = field(default_factory=list, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self._kept[0][1].shape if self._kept else self.cube.map_shape
        return int(rows), int(columns)

    def every(self, down: int, across: int) -> "BinnedMap":
        """Return the bins of each so many-th pixel of each so many-th row, as a map of their own."""
        counts, held = self._read()
        return self._of(np.asarray(counts[::down, ::across]), held[::down, ::across])

    def only(self, chosen: NDArray[np.bool_]) -> "BinnedMap":
        """Return the same with no pixels held but those chosen, (Y, X)."""
        counts, held = self._read()
        return self._of(counts, held & chosen)

    def _of(self, counts: Counts, held: NDArray[np.bool_]) -> "BinnedMap":
        other = BinnedMap(self.cube, self.bins, self.first_row)
        other._kept.append((counts, held))
        return other

    def bands(
        self, doing: str, progress: Progress = ignore_progress
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield bands of rows and their counts (rows, X, B)."""
        for band, _, _ in self.wide_bands(0, doing, progress):
            yield band, self.counts(band)

    def wide_bands(
        self, margin: int, doing: str, progress: Progress = ignore_progress, rows: slice | None = None
    ) -> Iterator[tuple[slice, slice, slice]]:
        """Yield bands of rows, the same with rows around them, and where in these they stand.

        Bands are the same in all parts of a map that begin with one, so that these give the same bits.
        """
        first, last = self.first_row, self.first_row + self.shape[0]
        start, stop = (first, last) if rows is None else (rows.start, rows.stop)
        for low in range(start, stop, rows_at_once(self.shape[1])):
            high = min(low + rows_at_once(self.shape[1]), stop)
            progress(low - start, stop - start, doing)
            above = max(low - margin, first)
            yield slice(low, high), slice(above, min(high + margin, last)), slice(low - above, high - above)
        progress(stop - start, stop - start, doing)

    def counts(self, rows: slice) -> NDArray[np.float32]:
        """Return the counts of some rows, (rows, X, B)."""
        return np.asarray(self._read()[0][rows.start - self.first_row : rows.stop - self.first_row])

    def held(self, rows: slice) -> NDArray[np.bool_]:
        """Return which pixels of some rows hold any count, in whatever energy, (rows, X)."""
        return self._read()[1][rows.start - self.first_row : rows.stop - self.first_row]

    def _read(self) -> tuple[Counts, NDArray[np.bool_]]:
        from napari_xrf.minerals.likelihood.binning import binned_counts

        if not self._kept:
            counts: Any = scratch_array((*self.shape, self.bins.size), np.float32, _KEPT_BYTES)
            held = np.zeros(self.shape, dtype=bool)

            def bins_of(
                one: tuple[slice, NDArray[np.generic]],
            ) -> tuple[slice, NDArray[np.float32], NDArray[np.bool_]]:
                spectra = one[1].reshape(-1, self.cube.shape[2])
                return one[0], binned_counts(spectra, self.bins), np.asarray(spectra.any(axis=1))

            for band, binned, some in in_threads(bins_of, self.cube.blocks()):
                held[band] = some.reshape(-1, self.shape[1])
                counts[band] = binned.reshape(-1, self.shape[1], self.bins.size)
            self._kept.append((counts, held))
        return self._kept[0]


def rows_at_once(columns: int) -> int:
    """Return how many rows of a map are worked on together."""
    return max(1, _PIXELS_AT_ONCE // columns)


def merged_bins(bins: EnergyBins, spectrum: NDArray[np.float64], pixels: int) -> EnergyBins:
    """Return bins merged until the mean of so many pixels, whose sum spectrum is (E,), has 2 counts in each.

    Only bins that touch are merged, at most eight.
    """
    mean = bins.sum(spectrum) / max(pixels, 1)
    starts: list[int] = []
    stops: list[int] = []
    held, merged = 0.0, 0
    for start, stop, counts in zip(bins.starts.tolist(), bins.stops.tolist(), mean.tolist(), strict=True):
        full = held >= _LEAST_COUNTS or merged >= _MOST_BINS
        if not starts or full or stops[-1] != start:
            starts.append(start)
            stops.append(stop)
            held, merged = 0.0, 0
        stops[-1] = stop
        held, merged = held + counts, merged + 1
    return EnergyBins(bins.axis, np.array(starts, dtype=np.intp), np.array(stops, dtype=np.intp))
