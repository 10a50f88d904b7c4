"""The shape that photons of one energy take in the spectrum of a detector.

Cumulative shapes, so that differences at channel edges give counts and none are lost. The form (Gaussian,
exponential tail, flat shelf) is the hypermet function of Phillips & Marlow, Nucl. Instrum. Methods 137 (1976) 525.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

SIGMAS = 6.0  # a Gaussian cut here has lost 1e-9 of its counts
TAIL_WIDTHS = 14.0  # a tail cut here has lost 1e-6 of its counts


def cumulative_gaussian(distance: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of a Gaussian below a distance in keV from its centre."""
    return np.asarray(ndtr(distance / sigma))


def cumulative_tail(
    distance: NDArray[np.float64], sigma: NDArray[np.float64], width: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return the part, below a distance from the centre, of an exponential tail blurred by the resolution.

    The tail falls towards low energies as exp(distance / width).

    Parameters
    ----------
    distance
        keV from the line's energy.
    sigma
        Standard deviation of the resolution, keV.
    width
        Decay length of the tail, keV.
    """
    position, ratio = distance / sigma, sigma / width
    # exp(ratio·position + ratio²/2)·(1 - Φ(position + ratio)), written so that nothing overflows.
    argument = (position + ratio) / np.sqrt(2.0)
    beyond = 0.5 * np.exp(-0.5 * position**2) * erfcx(np.maximum(argument, 0.0))
    far = np.exp(np.minimum(ratio * position + 0.5 * ratio**2, 0.0)) * ndtr(-(position + ratio))
    return np.asarray(ndtr(position) + np.where(argument >= 0, beyond, far))


def cumulative_shelf(
    distance: NDArray[np.float64], sigma: NDArray[np.float64], energy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the part of a flat shelf from 0 keV to the line's energy, its upper end blurred."""
    position = distance / sigma
    gaussian = np.exp(-0.5 * position**2) / np.sqrt(2 * np.pi)
    beyond = sigma * (position * ndtr(position) + gaussian)
    return np.asarray((np.maximum(distance + energy, 0.0) - beyond) / energy)
