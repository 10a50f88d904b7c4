"""Counts that a map of materials is expected to have, and those drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.synthesis.distorted_spectra import Mixture, draw_spectra, expect_spectra
from napari_xrf.synthesis.distortion_values import (
    DetectorTables,
    DistortionValues,
    FwhmOfEnergy,
    detector_tables,
)
from napari_xrf.synthesis.distortions import distortion_steps, largest_addition
from napari_xrf.synthesis.drawn_counts import DrawnCounts
from napari_xrf.synthesis.sampling import count_dtype

_MOST_STRETCH = 1.25  # a gain of -0.2 crowds the counts of a channel by so much


@dataclass(frozen=True, eq=False)
class MineralCounts:
    """What decides the counts of each pixel.

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

    def expected(self, pixels: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the expected counts (N, E) of pixels numbered row by row."""
        return expect_spectra(self._mixture, pixels, *self._distortion)

    def distorted(self, values: DistortionValues | None, seed: int | None = None) -> MineralCounts:
        """Return the same map with other distortions, and with other noise when a seed is given."""
        return replace(self, distortions=values, seed=self.seed if seed is None else seed)

    def drawn(self) -> DrawnCounts:
        """Return the Poisson counts of the map."""
        rows, columns, _ = self.abundances.shape
        dtype = self._dtype()

        def draw(pixels: NDArray[np.intp]) -> NDArray[np.unsignedinteger[Any]]:
            counts = np.empty((len(pixels), self.energy.size), dtype=dtype)
            draw_spectra(self._mixture, pixels, self.seed, counts, *self._distortion)
            return counts

        return DrawnCounts((rows, columns, self.energy.size), np.dtype(dtype), draw)

    @cached_property
    def _mixture(self) -> Mixture:
        shares = self.abundances.reshape(-1, self.abundances.shape[2])
        return Mixture(np.ascontiguousarray(shares), np.ascontiguousarray(self.spectra))

    @cached_property
    def _distortion(self) -> tuple[DetectorTables | None, Any]:
        if self.distortions is None:
            return None, None
        tables = detector_tables(self.energy, self.fwhm)
        return tables, distortion_steps(tables, self.distortions, self.fwhm, len(self._mixture.shares))

    def _dtype(self) -> type[np.unsignedinteger[Any]]:
        largest = float(self.spectra.max(initial=0.0))
        if self.distortions is not None:
            # Added peaks may fall into one channel; pile-up never lifts the highest one.
            total = float(self.spectra.sum(axis=1).max(initial=0.0))
            largest = _MOST_STRETCH * (largest + total * largest_addition(self.distortions))
        return count_dtype(largest)
