"""Spectra summed into bins by a compiled loop; imported only when pixels are looked at."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.minerals.likelihood.templates import EnergyBins


@compiled(fastmath=True)
def sum_channels(counts, starts, stops, binned):  # type: ignore[no-untyped-def]
    """Sum ``counts`` (n, E) into ``binned`` (n, B) float32 by runs of channels."""
    for pixel in range(counts.shape[0]):
        for index in range(starts.size):
            total = 0.0
            for channel in range(starts[index], stops[index]):
                total += counts[pixel, channel]
            binned[pixel, index] = total


def binned_counts(block: NDArray[np.generic], bins: EnergyBins) -> NDArray[np.float32]:
    """Return spectra (n, E) summed into bins, (n, B) float32."""
    binned = np.empty((block.shape[0], bins.size), dtype=np.float32)
    sum_channels(block, bins.starts, bins.stops, binned)
    return binned
