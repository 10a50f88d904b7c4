"""The counts of a map in energy bins, chunk by chunk, so that a map on disk never has to fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.templates import EnergyBins

_KEPT_BYTES = 512 * 2**20  # a map of fewer binned counts is read from disk once only
_LEAST_COUNTS, _MOST_BINS = 2.0, 8  # of the mean pixel per merged bin, and how many are merged


@dataclass(frozen=True, eq=False)
class BinnedMap:
    """A map in energy bins.

    Attributes
    ----------
    cube
        The map.
    bins
        The bins.
    """

    cube: SpectralCube
    bins: EnergyBins
    _kept: list[tuple[slice, NDArray[np.float32]]] = field(default_factory=list, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.cube.map_shape

    def bands(
        self, doing: str, progress: Progress = ignore_progress
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield bands of rows and their counts (rows, X, B)."""
        from napari_xrf.minerals.binning import binned_counts

        rows, columns, channels = self.cube.shape
        if self._kept:
            for band, counts in self._kept:
                progress(band.start, rows, doing)
                yield band, counts
        else:
            small = rows * columns * self.bins.size * 4 <= _KEPT_BYTES
            for band, block in self.cube.blocks():
                progress(band.start, rows, doing)
                binned = binned_counts(np.asarray(block).reshape(-1, channels), self.bins)
                counts = binned.reshape(-1, columns, self.bins.size)
                if small:
                    self._kept.append((band, counts))
                yield band, counts
        progress(rows, rows, doing)


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
