"""Energies at which a spectrum holds nothing though it holds much beside them: elements there go unseen."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.spectra.setting import Setting

_LEAST_FWHM = 2.0  # of a window: a line is seen beside a narrower one
_BESIDE = 30.0  # counts within a FWHM on either side: as many are lacking at least


def blind_windows(spectrum: NDArray[np.float64], setting: Setting) -> tuple[str, ...]:
    """Return in a sentence which fitted energies of a sum spectrum (E,) hold no counts, if any."""
    windows = [f"{low:.2f} to {high:.2f} keV" for low, high in _windows(spectrum, setting)]
    if not windows:
        return ()
    return (f"nothing is recorded from {', '.join(windows)}: elements whose lines lie there cannot be found",)


def _windows(spectrum: NDArray[np.float64], setting: Setting) -> Iterator[tuple[float, float]]:
    energy, fitted = setting.energy, setting.fitted
    empty = np.zeros(spectrum.size + 1, dtype=bool)
    empty[fitted] = spectrum[fitted] == 0
    turns = np.flatnonzero(np.diff(empty, prepend=False))
    for first, last in zip(turns[::2], turns[1::2], strict=True):
        beside = math.ceil(float(setting.detector.fwhm(energy.energies[first])) / energy.width)
        left, right = spectrum[max(first - beside, 0) : first], spectrum[last : last + beside]
        if last - first >= _LEAST_FWHM * beside and min(left.sum(), right.sum()) > _BESIDE:
            yield float(energy.edges[first]), float(energy.edges[last])
