"""What a spectrum shows beside elements: continuum, scatter, pile-up, stray peaks, and deviations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.maps.background import estimate_background
from napari_xrf.maps.continuum import continuum_columns, pile_up_columns
from napari_xrf.maps.scatter import scatter_columns
from napari_xrf.maps.setting import Setting

Array = NDArray[np.float64]

# What no model gets right, channel by channel, as a part of the fitted counts: of everything, and of lines.
CHANNEL_ERROR = 0.004
LINE_ERROR = 0.02
_STRONG = 30.0  # a family stronger than this many standard errors shows where its column is wrong
# How far tabulated or calibrated values are trusted, one standard deviation.
_SHIFT_KEV = 0.005
_WIDTH_PART = 0.05  # of the variance of a peak
_RATIO_PART = 0.08  # of the weaker lines against the main one
_SATELLITE_PART = 0.01  # of the counts of a family, in its low-energy tail
# Bumps beside each line: where, in standard deviations of the resolution, and which part of the family's
# counts. Incomplete charge collection blurs the lower side more.
_SHOULDERS = ((-4.0, 0.006), (-3.0, 0.008), (-2.0, 0.008), (2.0, 0.003), (3.0, 0.002), (4.0, 0.001))
_SHELF_PART = 0.004  # of the counts of a family, flat below its main line
_ESCAPE_PART = 1.0  # of the escape peaks: some instruments take them out of the spectrum
_CONTINUUM_PART = 0.06  # of the continuum, over a few resolutions
_STRAY_WIDTHS = (
    1.3,
    2.0,
    3.0,
    4.5,
)  # of the resolution: Bragg reflections are broadened by the convergent beam
_STRAY_RANGE_KEV = (1.2, 18.0)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What any spectrum of a setting shows beside elements.

    Attributes
    ----------
    names
        K names, ``"continuum 0"``, ``"Rh K Compton"``, ``"pile-up"``.
    columns
        (K, E) each with a sum of 1, on the whole axis.
    """

    names: tuple[str, ...]
    columns: Array


def surroundings(
    spectrum: Array, setting: Setting, spacing: float, background: Array | None = None
) -> Surroundings:
    """Return continuum, scatter and pile-up columns of a summed spectrum, (E,).

    Parameters
    ----------
    spectrum
        (E,) counts.
    setting
        What it was measured with.
    spacing
        Distance in keV of the continuum's free points at 5 keV.
    background
        (E,) shape of the continuum between the free points; without it, the SNIP background.
    """
    if background is None:
        background = estimate_background(spectrum, setting.energy, fwhm=setting.detector.fwhm)
    smooth = continuum_columns(background, setting.energy, setting.low, setting.high, spacing)
    named = {f"continuum {number}": column for number, column in enumerate(smooth)}
    named |= scatter_columns(
        setting.kind,
        setting.highest_kev,
        setting.anode,
        setting.scatter_deg,
        setting.detector,
        setting.energy,
    )
    piled = pile_up_columns(np.maximum(spectrum - background, 0), setting.energy, setting.low)
    named |= {name: column for name, column in piled.items() if column[setting.fitted].any()}
    return Surroundings(tuple(named), np.array(list(named.values())))


@lru_cache(maxsize=4)
def stray_peaks(setting: Setting) -> tuple[Array, Array]:
    """Return peaks of no element, at any place and 1.3 to 4.5 times as wide as a line.

    Crystals reflect the tube's continuum into the detector (Bragg); they compete with the elements
    for a peak of odd place or width.

    Returns
    -------
    energies : (M,) keV
    columns : (M, E) each with a sum of 1
    """
    low, high = max(_STRAY_RANGE_KEV[0], setting.low), min(_STRAY_RANGE_KEV[1], setting.high)
    centres, widths = [], []
    for factor in _STRAY_WIDTHS:
        at = low
        while at < high:
            width = float(setting.detector.fwhm(np.array(at))) * factor
            centres.append(at)
            widths.append(width / FWHM_PER_SIGMA)
            at += 0.3 * width
    energies, sigmas = np.array(centres), np.array(widths)
    if not centres:
        return energies, np.zeros((0, setting.energy.size))
    distance = (setting.energy.energies - energies[:, None]) / sigmas[:, None]
    columns = np.exp(-0.5 * np.minimum(distance**2, 200.0)) * setting.energy.width
    return energies, columns / (sigmas[:, None] * np.sqrt(2 * np.pi))


def deviations_of(columns: Array, amplitudes: Array, errors: Array, setting: Setting) -> Array:
    """Return how the strong families' columns may be wrong, (D, E), each as large as one standard deviation.

    For each strong family: its place, its width, the ratio of its weaker lines to the main peak, its
    low-energy tail, and bumps beside its lines.
    """
    width = setting.energy.width
    found: list[Array] = []
    strong = np.flatnonzero(amplitudes > _STRONG * np.maximum(errors, 1e-300))
    energies = setting.energy.energies
    for k in strong:
        peak = amplitudes[k] * columns[k]
        slope = np.gradient(peak) / width
        sigma = float(setting.detector.fwhm(energies[int(peak.argmax())])) / FWHM_PER_SIGMA
        found.append(_SHIFT_KEV * slope)
        found.append(0.5 * _WIDTH_PART * sigma**2 * np.gradient(slope) / width)
        main = np.abs(energies - energies[int(peak.argmax())]) < 3.2 * sigma
        found.extend(_RATIO_PART * part for part in _split(np.where(main, 0, peak), energies, sigma))
        # A tail that starts at the main peak and falls over three resolutions.
        decay = np.where(energies < energies[int(peak.argmax())] - sigma, 1.0, 0.0)
        decay *= np.exp(np.minimum((energies - energies[int(peak.argmax())]) / (6 * sigma), 0))
        found.append(_SATELLITE_PART * float(peak.sum()) * decay / max(decay.sum(), 1e-300))
        top = energies[int(peak.argmax())]
        shelf = np.where((energies > 0) & (energies < top), 1.0, 0.0)
        found.append(_SHELF_PART * float(peak.sum()) * shelf / max(shelf.sum(), 1.0))
        for lost, fraction in setting.detector.escape(np.array([top])).items():
            escaped = np.interp(energies + lost, energies, np.where(np.abs(energies - top) < lost, peak, 0))
            found.append(_ESCAPE_PART * float(fraction[0]) * escaped)
        found.extend(part * np.interp(energies - shift * sigma, energies, peak) for shift, part in _SHOULDERS)
    return np.array(found) if found else np.zeros((0, setting.energy.size))


def continuum_deviations(model: Array, setting: Setting) -> Array:
    """Return bumps of the continuum (E,) that the free points miss, (D, E), each one standard deviation.

    Hats of six times the resolution: wider than a line, so that they cannot take one for their own.
    """
    at = np.sqrt(np.clip(setting.energy.energies, 1e-3, None))
    low, high = setting.low, setting.high
    # The resolution grows about as the square root of energy: even steps in it are even steps in FWHM.
    step = 6 * float(setting.detector.fwhm(np.array(5.0))) / (2 * np.sqrt(5.0))
    knots = np.arange(np.sqrt(low), np.sqrt(high) + step, step)
    return _CONTINUUM_PART * model * np.array([np.interp(at, knots, unit) for unit in np.eye(knots.size)])


def _split(rest: Array, energies: Array, sigma: float) -> list[Array]:
    """Split what a family holds beside its main peak into the runs of lines that stand apart."""
    counted = np.flatnonzero(rest > 1e-3 * max(float(rest.max()), 1e-300))
    if counted.size == 0 or rest.max() <= 0:
        return []
    gap = max(2, int(2 * sigma / (energies[1] - energies[0])))
    runs = np.split(counted, np.flatnonzero(np.diff(counted) > gap) + 1)
    parts = []
    for run in runs:
        part = np.zeros_like(rest)
        part[run[0] : run[-1] + 1] = rest[run[0] : run[-1] + 1]
        parts.append(part)
    return parts
