"""The spectrum that a detector makes of photons: runs of channels near each line, running sums far below it.

A peak is a Gaussian with a short and a long exponential tail and a flat shelf towards low energies, the
hypermet function of Phillips & Marlow, Nucl. Instrum. Methods 137 (1976) 525. Counts are differences of the
cumulative shape at channel edges, so that none are lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.lapack import dtbtrs

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import Floats

SIGMAS = 5.0  # a Gaussian cut here has lost 6e-7 of its counts
NARROWEST_TAIL = 1 / 5  # of sigma: narrower ones are the Gaussian itself


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
    counts: Floats

    def fold(self, photons: Floats, axis: EnergyAxis) -> Floats:
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

    counts: Floats
    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]
    size: int

    @cached_property
    def channels(self) -> NDArray[np.intp]:
        """The channel of each of the counts."""
        begins = np.cumsum(self.lengths) - self.lengths
        return np.arange(self.counts.size) + np.repeat(self.starts - begins, self.lengths)

    def mix(self, weights: Floats) -> Floats:
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
    weight: Floats
    decays: tuple[Decay, ...]
    counted: NDArray[np.bool_]

    def fold(self, intensities: ArrayLike) -> Floats:
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
    axis: EnergyAxis, peaks: Peaks, photon: NDArray[np.intp], weight: Floats
) -> tuple[Runs, tuple[Decay, ...]]:
    """Return the near part of P peaks and what they hold below; the rest as in :class:`Response`."""
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


@dataclass(frozen=True, eq=False)
class Peaks:
    """Peaks of one photon each.

    Attributes
    ----------
    energies
        (P,) keV, above 0.
    sigmas
        (P,) standard deviations of the resolution, keV.
    tails
        (2, P) parts of each peak in its short and its long tail.
    tail_widths
        Decay lengths of the two tails, keV: they fall as exp(distance / width).
    shelves
        (P,) parts of each peak in its shelf, flat from 0 keV to the line.
    """

    energies: Floats
    sigmas: Floats
    tails: Floats
    tail_widths: tuple[float, float]
    shelves: Floats

    @property
    def lowest(self) -> Floats:
        """(P,) keV: below it only the exponentials and the flat are left of a peak."""
        widths = np.array(self.tail_widths)[:, None]
        ratios = np.where(self.tails > 0, np.minimum(self.sigmas / widths, 1 / NARROWEST_TAIL), 0.0)
        return np.asarray(self.energies - self.sigmas * (SIGMAS + ratios.max(axis=0)))

    @property
    def highest(self) -> Floats:
        """(P,) keV: above it nothing is left."""
        return self.energies + SIGMAS * self.sigmas


def tails_below(peaks: Peaks, edges: Floats) -> Floats:
    """Return what each tail holds below an energy not above :attr:`Peaks.lowest`, (2, P)."""
    widths = np.maximum(np.array(peaks.tail_widths)[:, None], peaks.sigmas * NARROWEST_TAIL)
    exponents = (edges - peaks.energies) / widths + 0.5 * (peaks.sigmas / widths) ** 2
    return np.asarray(peaks.tails * np.exp(np.minimum(exponents, 0.0)))


def fill_peaks(
    peaks: Peaks, starts: NDArray[np.intp], lengths: NDArray[np.intp], axis: tuple[float, float]
) -> Floats:
    """Return the counts of each peak in a run of channels, all runs one after the other.

    Parameters
    ----------
    peaks
        P peaks.
    starts, lengths
        (P,) first channel and number of channels of each run.
    axis
        Offset and channel width of the energy axis, keV.
    """
    ends = np.cumsum(lengths)
    counts = np.empty(int(ends[-1]) if ends.size else 0)
    widths = np.maximum(np.array(peaks.tail_widths)[:, None], peaks.sigmas * NARROWEST_TAIL)
    _fill(counts, ends - lengths, ends, starts, axis[0], axis[1], peaks.energies, peaks.sigmas,
          peaks.tails, peaks.sigmas / widths, peaks.shelves)  # fmt: skip
    return counts


def _far(
    axis: EnergyAxis, peaks: Peaks, photon: NDArray[np.intp], weight: Floats, first: NDArray[np.intp]
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


@numba.njit(cache=True, nogil=True)  # ten times as quick as arrays, most of which would be empty
def _fill(
    counts: Floats,
    begins: NDArray[np.intp],
    ends: NDArray[np.intp],
    starts: NDArray[np.intp],
    offset: float,
    channel_width: float,
    energies: Floats,
    sigmas: Floats,
    tails: Floats,
    ratios: Floats,
    shelves: Floats,
) -> None:
    for peak in range(energies.size):
        energy, sigma = energies[peak], sigmas[peak]
        short, long = ratios[0, peak], ratios[1, peak]
        edge = offset + channel_width * (starts[peak] - 0.5)
        position = (edge - energy) / sigma
        first = tails[0, peak] * math.exp(short * (position + 0.5 * short))
        second = tails[1, peak] * math.exp(long * (position + 0.5 * long))
        first_growth = math.exp(short * channel_width / sigma)
        second_growth = math.exp(long * channel_width / sigma)
        before = _below(position, sigma, energy, shelves[peak], first, short, second, long)
        for place in range(begins[peak], ends[peak]):
            edge += channel_width
            first *= first_growth
            second *= second_growth
            position = (edge - energy) / sigma
            here = _below(position, sigma, energy, shelves[peak], first, short, second, long)
            counts[place] = max(here - before, 0.0)
            before = here


@numba.njit(cache=True, nogil=True)
def _below(
    position: float,
    sigma: float,
    energy: float,
    shelf: float,
    first: float,
    short: float,
    second: float,
    long: float,
) -> float:
    """Part of a peak below a position in sigmas; ``first`` and ``second`` are its bare exponentials there."""
    gaussian = 0.5 * math.erfc(-position / math.sqrt(2.0))
    total = (1 - shelf) * gaussian
    if first > 0:
        total += first * 0.5 * math.erfc((position + short) / math.sqrt(2.0))
    if second > 0:
        total += second * 0.5 * math.erfc((position + long) / math.sqrt(2.0))
    if shelf > 0:
        blurred = position * gaussian + math.exp(-0.5 * position**2) / math.sqrt(2 * math.pi)
        total += shelf * (max(position * sigma + energy, 0.0) - sigma * blurred) / energy
    return total
