"""Element maps from energy windows: fast and plain, without a cure for overlapping lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.spectra.candidates import columns_of
from napari_xrf.maps.spectra.setting import Setting

_HALF_WIDTH = 0.85  # of the window, in FWHM: holds 95 % of a Gaussian, the optimum for a weak peak is near
_BAND_WIDTH = 0.8  # of each side band, in FWHM
_BAND_REACH = (1.3, 3.5)  # where a side band may lie, in FWHM from the line


@dataclass(frozen=True)
class EnergyWindow:
    """Where the counts of a family are taken, and where its background."""

    family: str  # "Fe K"
    # peak, below, above: channels of the window and of its side bands; a side band may be empty, not both
    peak: slice
    below: slice
    above: slice
    share: float  # part of the family's counts that window less background holds

    def background_factors(self) -> tuple[float, float]:
        """Return by what the counts of each side band are multiplied to stand for the background."""
        size, low, high = (band.stop - band.start for band in (self.peak, self.below, self.above))
        if low == 0 or high == 0:
            return (size / low if low else 0.0), (size / high if high else 0.0)
        # A straight line through both bands, read at the window's centre.
        at, left, right = (0.5 * (band.start + band.stop) for band in (self.peak, self.below, self.above))
        part = (at - left) / (right - left)
        return size / low * (1 - part), size / high * part

    def net(self, sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return net counts and their variance of counts in the peak, below and above it, (3, …)."""
        low, high = self.background_factors()
        peak, below, above = sums
        return peak - low * below - high * above, peak + low**2 * below + high**2 * above


def energy_windows(
    families: tuple[str, ...], pooled: NDArray[np.floating], setting: Setting
) -> tuple[EnergyWindow, ...]:
    """Choose the windows of families.

    The window is 1.7 FWHM wide around the strongest line. Each side band lies where the pooled spectrum
    is lowest, 1.3 to 3.5 FWHM away.

    ``families``: names such as ``"Fe K"``. ``pooled``: (E,) sum spectrum. ``setting``: axis and detector.
    """
    profiles = columns_of(families, setting)
    return tuple(
        _window_of(family, profile, pooled, setting)
        for family, profile in zip(families, profiles, strict=True)
    )


def map_windows(
    cube: SpectralCube, windows: tuple[EnergyWindow, ...], *, progress: Progress = ignore_progress
) -> ElementMaps:
    """Return net counts in energy windows, scaled to whole families.

    The background under a peak is the straight line through its side bands. Standard errors come from the
    Poisson counts of window and bands, at least one count. Net counts may be negative.
    """
    rows, columns, _ = cube.shape
    net = np.empty((len(windows), rows, columns), dtype=np.float32)
    errors = np.empty_like(net)
    for band, block in cube.blocks():
        for k, (window, sums) in enumerate(zip(windows, window_sums(block, windows), strict=True)):
            held, variance = window.net(sums)
            net[k, band] = held / window.share
            errors[k, band] = np.sqrt(np.maximum(variance, 1.0)) / window.share
        progress(band.stop, rows, "mapping windows")
    return ElementMaps(
        tuple(window.family for window in windows), net, errors, "window", cube.pixel_size, cube.name
    )


def window_sums(block: NDArray[np.generic], windows: Sequence[EnergyWindow]) -> NDArray[np.float64]:
    """Return the counts in each window's peak and in those below and above it, (K, 3, y, X).

    Runs of channels from edge to edge are summed once: any window is a difference of their running sums.
    """
    parts = [part for window in windows for part in (window.peak, window.below, window.above)]
    starts, stops = [part.start for part in parts], [part.stop for part in parts]
    channels = block.shape[2]
    edges = np.unique([*starts, *stops, channels])
    kind = block.dtype.kind
    wide = np.uint64 if block.dtype.itemsize > 2 else np.uint32  # half as wide is twice as quick
    runs = np.add.reduceat(block, edges[:-1], axis=2, dtype=np.float64 if kind == "f" else wide)
    running = np.zeros((*block.shape[:2], edges.size))
    np.cumsum(runs, axis=2, out=running[..., 1:])
    sums = running[..., np.searchsorted(edges, stops)] - running[..., np.searchsorted(edges, starts)]
    return np.moveaxis(sums, 2, 0).reshape(len(windows), 3, *block.shape[:2])


def _window_of(
    family: str, profile: NDArray[np.float64], pooled: NDArray[np.floating], setting: Setting
) -> EnergyWindow:
    axis = setting.energy
    line = float(axis.energies[int(profile.argmax())])
    width = float(setting.detector.fwhm(np.array(line)))
    peak = axis.window(line - _HALF_WIDTH * width, line + _HALF_WIDTH * width)
    near, far = (reach * width for reach in _BAND_REACH)
    lowest = setting.energy.energies[axis.positive.start]
    below = _lowest_run(
        pooled, axis.window(max(line - far, lowest), line - near), _BAND_WIDTH * width / axis.width
    )
    above = _lowest_run(pooled, axis.window(line + near, line + far), _BAND_WIDTH * width / axis.width)
    plain = EnergyWindow(family, peak, below, above, 1.0)
    low, high = plain.background_factors()
    held = profile[peak].sum() - low * profile[below].sum() - high * profile[above].sum()
    return EnergyWindow(family, peak, below, above, max(float(held), 0.05))


def _lowest_run(pooled: NDArray[np.floating], allowed: slice, channels: float) -> slice:
    """Return the run of channels in a range that holds the fewest counts."""
    size = max(1, round(channels))
    if allowed.stop - allowed.start < size:
        return slice(allowed.start, allowed.start)
    sums = np.convolve(np.asarray(pooled[allowed], dtype=np.float64), np.ones(size), mode="valid")
    start = allowed.start + int(sums.argmin())
    return slice(start, start + size)
