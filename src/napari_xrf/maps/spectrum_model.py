"""The parts of one spectrum's model that hold no element: continuum, scatter, pile-up, stray peaks, deviations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.background import estimate_background
from napari_xrf.maps.continuum import continuum_columns, pile_up_column
from napari_xrf.maps.scatter import scatter_columns
from napari_xrf.maps.setting import Setting

Array = NDArray[np.float64]

CHANNEL_ERROR = 0.004  # of the fitted counts: what no model gets right, channel by channel
_STRONG = 30.0  # a family stronger than this many standard errors shows where its column is wrong
# How far tabulated or calibrated values are trusted, one standard deviation.
_SHIFT_KEV = 0.003
_WIDTH_PART = 0.03  # of the variance of a peak
_RATIO_PART = 0.08  # of the weaker lines against the main one
_SATELLITE_PART = 0.004  # of the counts of a family, in its low-energy tail
_STRAY_WIDTHS = (1.0, 1.7, 2.8)  # of the resolution: Bragg reflections are broadened by the convergent beam
_STRAY_RANGE_KEV = (1.2, 14.0)


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


def surroundings(spectrum: Array, setting: Setting, spacing: float) -> Surroundings:
    """Return continuum, scatter and pile-up columns of a summed spectrum, (E,).

    Parameters
    ----------
    spectrum
        (E,) counts.
    setting
        What it was measured with.
    spacing
        Distance in keV of the continuum's free points at 5 keV.
    """
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
    pile_up = pile_up_column(np.maximum(spectrum - background, 0), setting.energy)
    if pile_up[setting.fitted].any():
        named["pile-up"] = pile_up
    return Surroundings(tuple(named), np.array(list(named.values())))


def stray_peaks(setting: Setting) -> tuple[Array, Array]:
    """Return peaks of no element, at any place and up to nearly three times as wide as a line.

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
            widths.append(width / 2.3548)
            at += 0.3 * width
    energies, sigmas = np.array(centres), np.array(widths)
    if not centres:
        return energies, np.zeros((0, setting.energy.size))
    distance = (setting.energy.energies - energies[:, None]) / sigmas[:, None]
    columns = np.exp(-0.5 * np.minimum(distance**2, 200.0)) * setting.energy.width
    return energies, columns / (sigmas[:, None] * np.sqrt(2 * np.pi))


def deviations_of(columns: Array, amplitudes: Array, errors: Array, setting: Setting) -> Array:
    """Return how the strong families' columns may be wrong, (D, E), each as large as one standard deviation.

    For each strong family: its place, its width, the ratio of its weaker lines to the main peak, and its
    low-energy tail.
    """
    width = setting.energy.width
    found: list[Array] = []
    strong = np.flatnonzero(amplitudes > _STRONG * np.maximum(errors, 1e-300))
    energies = setting.energy.energies
    for k in strong:
        peak = amplitudes[k] * columns[k]
        slope = np.gradient(peak) / width
        sigma = float(setting.detector.fwhm(energies[int(peak.argmax())])) / 2.3548
        found.append(_SHIFT_KEV * slope)
        found.append(0.5 * _WIDTH_PART * sigma**2 * np.gradient(slope) / width)
        main = np.abs(energies - energies[int(peak.argmax())]) < 3.2 * sigma
        found.extend(_RATIO_PART * part for part in _split(np.where(main, 0, peak), energies, sigma))
        # A tail that starts at the main peak and falls over three resolutions.
        decay = np.where(energies < energies[int(peak.argmax())] - sigma, 1.0, 0.0)
        decay *= np.exp(np.minimum((energies - energies[int(peak.argmax())]) / (6 * sigma), 0))
        found.append(_SATELLITE_PART * float(peak.sum()) * decay / max(decay.sum(), 1e-300))
    return np.array(found) if found else np.zeros((0, setting.energy.size))


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
