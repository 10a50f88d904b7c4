"""The shape that photons of one energy take in the spectrum of a detector.

Counts are differences of the cumulative shape at channel edges, so that none are lost. The form (Gaussian,
exponential tail, flat shelf) is the hypermet function of Phillips & Marlow, Nucl. Instrum. Methods 137
(1976) 525.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

SIGMAS = 5.0  # a Gaussian cut here has lost 6e-7 of its counts
TAIL_WIDTHS = 12.0  # a tail cut here has lost 6e-6 of its counts
NARROWEST_TAIL = 1 / 30  # of sigma: narrower ones are the Gaussian itself
_Floats = NDArray[np.float64]


@numba.njit(cache=True, nogil=True)  # one line after the other: numba is ten times as quick as arrays here
def fill_peaks(
    counts: _Floats,
    indptr: NDArray[np.int64],
    start: NDArray[np.int64],
    offset: float,
    channel_width: float,
    energies: _Floats,
    sigmas: _Floats,
    tails: _Floats,
    tail_widths: _Floats,
    shelves: _Floats,
) -> None:
    """Fill the counts of peaks of one photon each, one run of channels per peak.

    The tail falls towards low energies as exp(distance / width); the shelf is flat from 0 keV to the
    line. Both are blurred by the resolution at their upper end.

    Parameters
    ----------
    counts
        Receives the counts of all runs, one after the other.
    indptr
        (N + 1,) where each run begins in ``counts``.
    start
        (N,) channel of each run's first count.
    offset, channel_width
        The energy axis, keV.
    energies, sigmas
        (N,) lines and standard deviations of the resolution, keV.
    tails, shelves
        (N,) their parts of the peak.
    tail_widths
        (N,) decay lengths, keV.
    """
    for row in range(energies.size):
        energy, sigma = energies[row], sigmas[row]
        tail, shelf = tails[row], shelves[row]
        ratio = sigma / max(tail_widths[row], sigma * NARROWEST_TAIL)
        edge = offset + channel_width * (start[row] - 0.5)
        decay = tail * math.exp(ratio * ((edge - energy) / sigma + 0.5 * ratio))
        growth = math.exp(ratio * channel_width / sigma)
        before = _below(edge - energy, sigma, energy, shelf, ratio, decay)
        for place in range(indptr[row], indptr[row + 1]):
            edge += channel_width
            decay *= growth
            here = _below(edge - energy, sigma, energy, shelf, ratio, decay)
            counts[place] = max(here - before, 0.0)
            before = here


@numba.njit(cache=True, nogil=True)
def _below(distance: float, sigma: float, energy: float, shelf: float, ratio: float, decay: float) -> float:
    """Part of the peak below a distance from its line."""
    position = distance / sigma
    flat = shelf * max(distance + energy, 0.0) / energy
    if position < -SIGMAS - ratio:  # the Gaussian has ended
        return flat + decay
    gaussian = 0.5 * math.erfc(-position / math.sqrt(2.0))
    total = (1 - shelf) * gaussian
    if decay > 0:
        total += decay * 0.5 * math.erfc((position + ratio) / math.sqrt(2.0))
    if shelf > 0:
        blurred = position * gaussian + math.exp(-0.5 * position**2) / math.sqrt(2 * math.pi)
        total += flat - shelf * sigma * blurred / energy
    return total
