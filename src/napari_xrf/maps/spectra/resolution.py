"""How wide a detector's peaks are, seen before any of them is known."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA, MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.physics.detector.detector import Detector, with_resolution

Array = NDArray[np.float64]

WIDEST_EV = 700.0  # at Mn Kα: PIN diodes and proportional counters; what is wider, files say
_WIDTHS_EV = np.geomspace(90.0, 900.0, 14)  # at Mn Kα
_LOWEST_KEV, _LOWEST_ELECTRON_KEV = 0.3, 0.2  # the zero peak and noise lie below; carbon, of electrons, above
_BINS = 8  # a resolution
_SIGNIFICANT, _TELLING = 8.0, 0.15  # standard errors, and part of those of the strongest peak
_MUCH_WIDER = 1.7  # than expected: overlapping lines and scatter are wider than one line, too
_USUAL_KEV, _WIDE_KEV = 0.14, 0.24  # at Mn Kα: of drift detectors, and what none of them has


def seen_detector(counts: Array, energy: EnergyAxis, detector: Detector, kind: str | None = None) -> Detector:
    """Return the detector with a much worse resolution where a spectrum's peaks show that it has.

    The spectrum is filtered by second derivatives of Gaussians of many widths, scaled so that a Gaussian
    peak stands out most by its own (scale-space maxima: Lindeberg, Int. J. Comput. Vision 30 (1998) 79).
    Lines that overlap look wider, none looks narrower: the narrowest of the strong peaks tells.

    ``counts``: (E,). ``energy``: their axis. ``detector``: what is expected; returned where the peaks are
    not much wider. ``kind``: of the excitation.
    """
    expected = 1e3 * float(detector.fwhm(MN_KA_KEV))
    widths = _WIDTHS_EV[2e3 * energy.width < _WIDTHS_EV]
    edges, total = energy.edges, np.append(0.0, np.cumsum(counts))
    kept = edges > (_LOWEST_ELECTRON_KEV if kind == "electron" else _LOWEST_KEV)
    if widths.size < 3 or kept.sum() < 2 * _BINS:
        return detector
    edges, total = edges[kept], total[kept]
    responses, errors = np.array(
        [_filtered(edges, total, with_resolution(detector, fwhm)) for fwhm in widths]
    ).swapaxes(0, 1)
    inner = responses[1:-1, 1:-1]
    highest = np.ones(inner.shape, dtype=bool)
    for scale in (-1, 0, 1):
        for place in (-1, 0, 1):
            if scale or place:
                beside = responses[1 + scale : len(widths) - 1 + scale]
                highest &= inner > beside[:, 1 + place : beside.shape[1] - 1 + place]
    significance = np.where(highest, inner / errors[1:-1, 1:-1], 0.0)
    strongest = float(significance.max(initial=0.0))
    if strongest < _SIGNIFICANT:
        return detector
    strong = (significance >= max(_TELLING * strongest, _SIGNIFICANT)).any(axis=1)
    seen = float(widths[1:-1][strong].min())
    return with_resolution(detector, min(seen, WIDEST_EV)) if seen > _MUCH_WIDER * expected else detector


def wideness(detector: Detector) -> float:
    """Return how many times wider than usual a detector's peaks are, 1 for those of drift detectors.

    Where peaks stand and what lies under them is known as many times worse.
    """
    fwhm = float(detector.fwhm(MN_KA_KEV))
    return fwhm / _USUAL_KEV if fwhm > _WIDE_KEV else 1.0


def _filtered(edges: Array, total: Array, detector: Detector) -> tuple[Array, Array]:
    """Return what a filter as wide as a detector's peaks answers at the channels' edges, (E,), and its error.

    ``edges``: (E,) keV. ``total``: (E,) counts below them.
    """
    fwhm = detector.fwhm(edges)
    # Where peaks have one width: distances in resolutions.
    at = np.append(0.0, np.cumsum(np.diff(edges) * 2 / (fwhm[1:] + fwhm[:-1])))
    bins = np.arange(0.0, at[-1], 1 / _BINS)
    counts = np.diff(np.interp(bins, at, total))
    sigma = _BINS / FWHM_PER_SIGMA
    reach = np.arange(-int(5 * sigma), int(5 * sigma) + 1) / sigma
    kernel = (1 - reach**2) * np.exp(-0.5 * reach**2)
    kernel -= kernel.mean()
    if counts.size <= kernel.size:
        return np.zeros(edges.size), np.ones(edges.size)
    answer = np.convolve(counts, kernel, mode="same")
    error = np.sqrt(np.convolve(counts, kernel**2, mode="same") + 1)
    # A Gaussian of width s answers as w³ / (w² + s²)^1.5: over w^1.5, most where w is s.
    scale = fwhm**-1.5
    middle = bins[:-1] + 0.5 / _BINS
    return np.interp(at, middle, answer) * scale, np.interp(at, middle, error) * scale
