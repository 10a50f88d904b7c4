"""Peaks of a spectrum, found without knowing any element."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.spectra.background import Resolution, estimate_background, typical_fwhm

_SPIKE = 8.0  # standard errors
_PROMINENT, _VALLEY_FWHM = 5.0, 2.0  # standard errors above the valleys beside a peak, which lie that near


@dataclass(frozen=True)
class Peak:
    """A peak above the continuum."""

    energy: float  # keV, on the axis of the spectrum
    energy_error: float  # keV, from counting statistics
    counts: float  # net counts within ± 1 FWHM
    significance: float  # net counts over their standard error


def find_peaks(
    spectrum: NDArray[np.generic],
    energy: EnergyAxis,
    *,
    fwhm: Resolution = typical_fwhm,
    significance: float = 8.0,
) -> tuple[Peak, ...]:
    """Find the peaks of a spectrum, by falling significance.

    ``spectrum``: (E,) counts. ``energy``: its axis; nothing below 0.15 keV is a peak, for the zero peak
    reaches there. ``fwhm``: resolution, keV → keV. ``significance``: standard errors that a peak's net counts
    must reach.
    """
    counts = np.clip(np.asarray(spectrum, dtype=np.float64), 0, None)
    background = estimate_background(counts, energy, fwhm=fwhm)
    net = counts - background
    at = energy.energies
    widths = np.asarray(fwhm(at))
    smooth, noise = _smoothed(net, widths, energy)
    tops = np.flatnonzero((smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:]) & (at[1:-1] > 0.15)) + 1
    centres = _centres(tops, net, widths, energy)
    found = []
    for top, centre in zip(tops, centres.tolist(), strict=True):
        window = energy.window(centre - widths[top], centre + widths[top])
        total, under = float(net[window].sum()), float(background[window].sum())
        error = np.sqrt(max(float(counts[window].sum()) + under, 1.0))
        if (
            total > significance * error
            and abs(centre - at[top]) < widths[top]
            and _prominence(smooth, int(top), _VALLEY_FWHM * widths[top] / energy.width)
            > _PROMINENT * noise * np.sqrt(2 * max(float(counts[window].mean()), 1.0))
        ):
            found.append(
                Peak(centre, float(widths[top]) / FWHM_PER_SIGMA * error / total, total, total / error)
            )
    return tuple(sorted(found, key=lambda peak: -peak.significance))


def without_spikes(
    spectrum: NDArray[np.float64], energy: EnergyAxis, fwhm: Resolution = typical_fwhm
) -> NDArray[np.float64]:
    """Return a spectrum, (E,), with the mean of their neighbours in channels higher than any line can be.

    A line of the resolution's width stands at most ``exp(1 / 2σ²)`` times above its neighbours, σ in
    channels; a bad channel, in one pixel or in all, knows no such bound.
    """
    sigma = np.asarray(fwhm(energy.energies)) / FWHM_PER_SIGMA / energy.width
    counts = np.asarray(spectrum, dtype=np.float64)
    beside = np.convolve(counts, (0.5, 0.0, 0.5), mode="same")
    highest = beside * np.exp(0.5 / np.maximum(sigma, 0.7) ** 2)
    spikes = counts - highest > _SPIKE * np.sqrt(counts + highest) + _SPIKE
    return np.where(spikes & (energy.energies > 0), beside, counts)


def _centres(
    tops: NDArray[np.intp], net: NDArray[np.float64], widths: NDArray[np.float64], energy: EnergyAxis
) -> NDArray[np.float64]:
    """Return where peaks stand, keV: at the centre of their upper part, where neighbours pull least."""
    centres, reach = energy.energies[tops], 0.6 * widths[tops]
    if not tops.size:
        return centres
    most = math.ceil((1.2 * 3 + 1) * reach.max() / energy.width) + 1
    around = tops[:, None] + np.arange(-most, most + 1)
    at = energy.energy(around)
    inside = (around >= 0) & (around < net.size)
    height = np.where(inside, np.clip(net[np.clip(around, 0, net.size - 1)], 0, None), 0.0)
    for _ in range(3):
        away = (at - centres[:, None]) / reach[:, None]
        weight = np.where(np.abs(away) <= 1 + 1e-9, height * np.exp(-0.5 * away**2), 0.0)
        total = weight.sum(axis=1)
        mean = (weight * at).sum(axis=1) / np.where(total > 0, total, 1.0)
        centres = np.where(total > 0, centres + 1.2 * (mean - centres), centres)
    return centres


def _prominence(smooth: NDArray[np.float64], top: int, reach: float) -> float:
    """Return how far a top stands above the higher of the valleys beside it.

    Noise on a high continuum makes tops, and the background under them passes below the noise.
    """
    channels = max(int(reach), 1)
    below, above = smooth[max(top - channels, 0) : top + 1], smooth[top : top + channels + 1]
    return float(smooth[top] - max(below.min(), above.min()))


def _smoothed(
    net: NDArray[np.float64], widths: NDArray[np.float64], energy: EnergyAxis
) -> tuple[NDArray[np.float64], float]:
    """Return smoothed counts, (E,), and their standard deviation for one count a channel."""
    sigma = 0.45 * float(np.median(widths[energy.positive])) / FWHM_PER_SIGMA / energy.width
    reach = max(1, int(3 * sigma))
    if net.size <= 2 * reach + 1:
        return net, 1.0
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 0.3)) ** 2)
    kernel /= kernel.sum()
    return np.convolve(net, kernel, mode="same"), float(np.sqrt((kernel**2).sum()))
