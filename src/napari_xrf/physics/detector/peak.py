"""The shape that photons of one energy take in the spectrum of a detector.

Gaussian, a short and a long exponential tail and a flat shelf towards low energies: the hypermet function of
Phillips & Marlow, Nucl. Instrum. Methods 137 (1976) 525. Counts are differences of the cumulative shape at
channel edges, so that none are lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

SIGMAS = 5.0  # a Gaussian cut here has lost 6e-7 of its counts
NARROWEST_TAIL = 1 / 5  # of sigma: narrower ones are the Gaussian itself
_Floats = NDArray[np.float64]


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

    energies: _Floats
    sigmas: _Floats
    tails: _Floats
    tail_widths: tuple[float, float]
    shelves: _Floats

    @property
    def lowest(self) -> _Floats:
        """(P,) keV: below it only the exponentials and the flat are left of a peak."""
        widths = np.array(self.tail_widths)[:, None]
        ratios = np.where(self.tails > 0, np.minimum(self.sigmas / widths, 1 / NARROWEST_TAIL), 0.0)
        return np.asarray(self.energies - self.sigmas * (SIGMAS + ratios.max(axis=0)))

    @property
    def highest(self) -> _Floats:
        """(P,) keV: above it nothing is left."""
        return self.energies + SIGMAS * self.sigmas


def tails_below(peaks: Peaks, edges: _Floats) -> _Floats:
    """Return what each tail holds below an energy not above :attr:`Peaks.lowest`, (2, P)."""
    widths = np.maximum(np.array(peaks.tail_widths)[:, None], peaks.sigmas * NARROWEST_TAIL)
    exponents = (edges - peaks.energies) / widths + 0.5 * (peaks.sigmas / widths) ** 2
    return np.asarray(peaks.tails * np.exp(np.minimum(exponents, 0.0)))


def fill_peaks(
    peaks: Peaks, starts: NDArray[np.intp], lengths: NDArray[np.intp], axis: tuple[float, float]
) -> _Floats:
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


@numba.njit(cache=True, nogil=True)  # ten times as quick as arrays, most of which would be empty
def _fill(
    counts: _Floats,
    begins: NDArray[np.intp],
    ends: NDArray[np.intp],
    starts: NDArray[np.intp],
    offset: float,
    channel_width: float,
    energies: _Floats,
    sigmas: _Floats,
    tails: _Floats,
    ratios: _Floats,
    shelves: _Floats,
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
