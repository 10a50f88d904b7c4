"""From peaks to spectra: a sparse matrix near each line, running sums for what reaches far below it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter
from scipy.sparse import csr_array

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.detector.peak import Peaks, fill_peaks, tails_below

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Decay:
    """Counts that fall from a top channel downwards by the same factor from channel to channel.

    Attributes
    ----------
    factor
        From one channel to the next below, above 0 to 1; 1 is flat and ends at 0 keV.
    photon
        (D,) which of the photon energies makes it.
    top
        (D,) the channel above the first that holds counts.
    counts
        (D,) counts in that first channel per incident photon.
    """

    factor: float
    photon: NDArray[np.intp]
    top: NDArray[np.intp]
    counts: _Floats

    def fold(self, photons: _Floats, axis: EnergyAxis) -> _Floats:
        """Return the spectra, (B, E), of (B, N) photons."""
        top = np.clip(self.top, 0, axis.size)
        inside = self.counts * self.factor ** (self.top - top)
        ends = csr_array((inside, (self.photon, top)), shape=(photons.shape[1], axis.size + 1))
        begun = np.asarray(photons @ ends)[:, :0:-1]
        falling = lfilter([1.0], [1.0, -self.factor], begun, axis=1)[:, ::-1]
        if self.factor < 1:
            return np.asarray(falling)
        return np.asarray(falling * np.diff(np.maximum(axis.edges, 0.0)) / axis.width)


@dataclass(frozen=True, eq=False)
class Response:
    """What a detector makes of photons of N energies on an energy axis.

    Attributes
    ----------
    axis
        The energy axis of the spectra.
    size
        N.
    near
        (P, E) sparse: each peak near its line, for one count.
    photon, weight
        (P,) which of the N energies makes the peak, and its counts per incident photon.
    decays
        What peaks hold further below: tails, shelves, and the recoil of Compton electrons.
    counted
        (E,) which channels lie above the detector's threshold.
    """

    axis: EnergyAxis
    size: int
    near: csr_array
    photon: NDArray[np.intp]
    weight: _Floats
    decays: tuple[Decay, ...]
    counted: NDArray[np.bool_]

    def fold(self, intensities: ArrayLike) -> _Floats:
        """Return the expected spectra, (..., E), of (..., N) incident photons.

        Raises
        ------
        InvalidInput
            When there is not one intensity for each energy.
        """
        photons = np.asarray(intensities, dtype=np.float64)
        if photons.shape[-1:] != (self.size,):
            raise InvalidInput(f"intensities of shape {photons.shape} do not fit {self.size} energies")
        flat = photons.reshape(-1, self.size)
        spectra = np.asarray((flat[:, self.photon] * self.weight) @ self.near)
        for decay in self.decays:
            spectra += decay.fold(flat, self.axis)
        spectra *= self.counted
        return spectra.reshape(*photons.shape[:-1], self.axis.size)


def peak_response(
    axis: EnergyAxis, peaks: Peaks, photon: NDArray[np.intp], weight: _Floats
) -> tuple[csr_array, tuple[Decay, ...]]:
    """Return the near part of peaks, (P, E), and what they hold below it.

    Parameters
    ----------
    axis
        Energy axis of the spectra.
    peaks
        P peaks.
    photon, weight
        (P,) as in :class:`Response`.
    """
    first = axis.channel(peaks.lowest)
    starts, stops = np.clip(first, 0, axis.size), np.clip(axis.channel(peaks.highest) + 1, 0, axis.size)
    lengths = stops - starts
    counts = fill_peaks(peaks, starts, lengths, (axis.offset, axis.width))
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    columns = np.arange(counts.size) + np.repeat(starts - indptr[:-1], lengths)
    near = csr_array((counts, columns, indptr), shape=(first.size, axis.size))
    return near, _far(axis, peaks, photon, weight, first)


def _far(
    axis: EnergyAxis, peaks: Peaks, photon: NDArray[np.intp], weight: _Floats, first: NDArray[np.intp]
) -> tuple[Decay, ...]:
    decays = []
    below = tails_below(peaks, axis.energy(first - 0.5))
    for held, width in zip(below, peaks.tail_widths, strict=True):
        some = np.flatnonzero(held > 0)
        if some.size:
            factor = math.exp(-axis.width / width)
            decays.append(Decay(factor, photon[some], first[some], (weight * held)[some] * (1 - factor)))
    some = np.flatnonzero(peaks.shelves > 0)
    if some.size:
        flat = weight * peaks.shelves / peaks.energies * axis.width
        decays.append(Decay(1.0, photon[some], first[some], flat[some]))
    return tuple(decays)
