"""From peaks to spectra: a sparse matrix near each line, running sums for what reaches far below it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.lapack import dtbtrs

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
        begun = photons[:, self.photon] * (self.counts * self.factor ** (self.top - top))
        downwards = np.stack([np.bincount(top, row, axis.size + 1)[:0:-1] for row in begun])
        if self.factor < 1:
            # Each channel holds its own counts and the factor times those of the one above: bidiagonal.
            bands = np.array([np.ones(axis.size), np.full(axis.size, -self.factor)])
            return np.asarray(dtbtrs(bands, downwards.T, uplo="L", diag="U")[0].T[:, ::-1])
        falling = np.cumsum(downwards, axis=1)[:, ::-1]
        return np.asarray(falling * np.diff(np.maximum(axis.edges, 0.0)) / axis.width)


@dataclass(frozen=True, eq=False)
class Runs:
    """P rows of E channels that are empty but for a run of each.

    Attributes
    ----------
    counts
        The counts of all runs, one after the other.
    starts, lengths
        (P,) first channel and number of channels of each run.
    size
        E.
    """

    counts: _Floats
    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]
    size: int

    @cached_property
    def channels(self) -> NDArray[np.intp]:
        """The channel of each of the counts."""
        begins = np.cumsum(self.lengths) - self.lengths
        return np.arange(self.counts.size) + np.repeat(self.starts - begins, self.lengths)

    def mix(self, weights: _Floats) -> _Floats:
        """Return the sums, (B, E), of the rows times the weights (B, P)."""
        if len(weights) == 1:
            weighted = self.counts * np.repeat(weights[0], self.lengths)
            return np.bincount(self.channels, weighted, self.size).astype(np.float64)[None]
        return np.asarray(weights @ self._sparse)

    @cached_property
    def _sparse(self) -> Any:
        from scipy.sparse import csr_array

        begins = np.concatenate([[0], np.cumsum(self.lengths)])
        return csr_array((self.counts, self.channels, begins), shape=(self.lengths.size, self.size))


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
        Each of P peaks near its line, for one count.
    photon, weight
        (P,) which of the N energies makes the peak, and its counts per incident photon.
    decays
        What peaks hold further below: tails, shelves, and the recoil of Compton electrons.
    counted
        (E,) which channels lie above the detector's threshold.
    """

    axis: EnergyAxis
    size: int
    near: Runs
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
        spectra = self.near.mix(flat[:, self.photon] * self.weight)
        for decay in self.decays:
            spectra += decay.fold(flat, self.axis)
        spectra *= self.counted
        return spectra.reshape(*photons.shape[:-1], self.axis.size)


def peak_response(
    axis: EnergyAxis, peaks: Peaks, photon: NDArray[np.intp], weight: _Floats
) -> tuple[Runs, tuple[Decay, ...]]:
    """Return the near part of peaks and what they hold below it.

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
    counts = fill_peaks(peaks, starts, stops - starts, (axis.offset, axis.width))
    near = Runs(counts, starts, stops - starts, axis.size)
    return near, _far(axis, peaks, photon, weight, first)


def together(decays: Iterable[Decay]) -> tuple[Decay, ...]:
    """Return the decays with those of the same factor joined in one, which is quicker to fold."""
    alike: dict[float, list[Decay]] = {}
    for decay in decays:
        alike.setdefault(decay.factor, []).append(decay)
    return tuple(
        Decay(
            factor,
            np.concatenate([decay.photon for decay in group]),
            np.concatenate([decay.top for decay in group]),
            np.concatenate([decay.counts for decay in group]),
        )
        for factor, group in alike.items()
    )


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
