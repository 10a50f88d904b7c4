"""The smooth continuum under the peaks of a spectrum."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput

Resolution = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_FANO_EV = 3.66e-3 * 0.114 * 8 * np.log(2)  # keV: pair energy of Si × Fano factor × (FWHM/sigma)²
_DISTANCES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)  # of the largest one, one after the other
_WIDTHS = 2.2  # the largest, in FWHM: more than a peak's half width, less than the continuum's bends
_NOISE_FWHM = 0.055  # keV, electronic noise of a usual silicon drift detector


def typical_fwhm(energies: ArrayLike) -> NDArray[np.float64]:
    """Return the FWHM in keV of a usual silicon drift detector (about 130 eV at Mn Kα) at energies in keV."""
    return np.sqrt(_NOISE_FWHM**2 + _FANO_EV * np.clip(np.asarray(energies, dtype=np.float64), 0, None))


def estimate_background(
    spectrum: ArrayLike, energy: EnergyAxis, *, fwhm: Resolution = typical_fwhm
) -> NDArray[np.float64]:
    """Estimate the continuum by statistics-sensitive non-linear iterative peak clipping (SNIP).

    The spectrum is smoothed to about half the resolution, compressed by log(log(sqrt)) and each channel
    is clipped to the mean of its two neighbours at nine distances that fall from 2.2 FWHM
    (Ryan et al., Nucl. Instrum. Methods B 34 (1988) 396; falling windows: Morháč et al., Nucl. Instrum.
    Methods A 401 (1997) 113).

    Raises InvalidInput when the last axis is not the energy axis.

    ``spectrum``: (..., E) counts; all spectra of the leading axes are worked on at once. ``energy``: the
    energy axis of the last dimension. ``fwhm``: resolution, keV → keV; the clipping window follows it.

    Returns
    -------
    (..., E) float64, never above the smoothed spectrum, 0 in the channels below 0 keV.
    """
    counts = np.asarray(spectrum, dtype=np.float64)
    if counts.shape[-1:] != (energy.size,):
        raise InvalidInput(f"spectra of shape {counts.shape} do not fit {energy.size} channels")
    background = np.zeros_like(counts)
    used = energy.positive
    resolution = np.asarray(fwhm(energy.energies[used]), dtype=np.float64) / energy.width
    if resolution.size:
        smooth = _smoothed(np.clip(counts[..., used], 0, None), resolution)
        background[..., used] = _clipped(smooth, np.maximum(1, np.rint(_WIDTHS * resolution).astype(np.intp)))
    return background


def _clipped(smooth: NDArray[np.float64], reach: NDArray[np.intp]) -> NDArray[np.float64]:
    compressed = np.log(np.log(np.sqrt(smooth + 1) + 1) + 1)
    channels = np.arange(smooth.shape[-1])
    # A few distances, not all: each pass takes a little off a bent continuum.
    for part in _DISTANCES:
        distance = np.maximum(1, np.rint(part * reach)).astype(np.intp)
        below = np.maximum(channels - distance, 0)
        above = np.minimum(channels + distance, channels[-1])
        neighbours = 0.5 * (compressed[..., below] + compressed[..., above])
        compressed = np.minimum(compressed, neighbours)
    return np.asarray((np.exp(np.exp(compressed) - 1) - 1) ** 2 - 1).clip(0, None)


def _smoothed(counts: NDArray[np.float64], resolution: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian smoothing with a FWHM of half the median resolution."""
    sigma = 0.5 * float(np.median(resolution)) / FWHM_PER_SIGMA
    reach = int(np.ceil(3 * sigma))
    if reach < 1 or counts.shape[-1] <= 2 * reach:
        return counts
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-9)) ** 2)
    kernel /= kernel.sum()
    padded = np.concatenate([counts[..., reach:0:-1], counts, counts[..., -2 : -reach - 2 : -1]], axis=-1)
    total = np.zeros_like(counts)
    for step, weight in enumerate(kernel):
        total += weight * padded[..., step : step + counts.shape[-1]]
    return total
