"""Elements that only a few pixels hold, drowned in the sum spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.candidates import Candidate, candidates
from napari_xrf.maps.identification import Explanation, FoundElement, explain
from napari_xrf.maps.setting import Setting
from napari_xrf.maps.windows import EnergyWindow, energy_windows

_MOST_PIXELS = 25  # summed for one element
_STANDS_OUT = 5.0  # standard errors of one pixel's window
_FEWEST_COUNTS = 12.0  # net, in one pixel: below, Poisson tails are too long for standard errors
_DEMAND = 8.0  # log-odds: these pixels were picked among many because they looked odd
_MOST_TRIALS = 12


def find_in_hot_spots(
    cube: SpectralCube, setting: Setting, explained: Explanation, progress: Progress
) -> tuple[FoundElement, ...]:
    """Find elements in the pixels where a line stands out that the sum spectrum does not explain.

    For each element not found yet, the pixels whose window around its line holds far more than the side bands
    and more than the found elements put there are summed and explained anew; the element must then
    be needed beyond doubt.

    Returns
    -------
    The elements found only so, with the number of pixels that were summed.
    """
    known = tuple(one.element for one in explained.found)
    left = [one for one in candidates(setting) if one.element not in known]
    if not left or cube.map_shape == (1, 1):
        return ()
    pooled = np.zeros(setting.energy.size)
    pooled[setting.fitted] = explained.fit.model
    windows = energy_windows(tuple(one.families[0] for one in left), pooled, setting)
    hottest, scores = _hottest_pixels(cube, windows, progress)
    found: dict[str, FoundElement] = {}
    tried: set[tuple[int, ...]] = set()
    for position in np.argsort(-scores.max(axis=1, initial=0))[:_MOST_TRIALS]:
        hot = scores[position] > _STANDS_OUT
        pixels = tuple(sorted(int(pixel) for pixel in hottest[position][hot]))
        if not pixels or pixels in tried:
            continue
        tried.add(pixels)
        for one in _explained_anew(cube, setting, pixels, known, left, progress):
            if one.element not in found or one.probability > found[one.element].probability:
                found[one.element] = one
    return tuple(found.values())


def _explained_anew(
    cube: SpectralCube,
    setting: Setting,
    pixels: tuple[int, ...],
    known: tuple[str, ...],
    left: list[Candidate],
) -> list[FoundElement]:
    mask = np.zeros(cube.map_shape, dtype=bool)
    mask.ravel()[list(pixels)] = True
    spectrum = cube.region_spectrum(mask).astype(np.float64)
    again = explain(spectrum, setting, cube.elements, certain=known, demand=_DEMAND, progress=progress)
    new = {one.element for one in left}
    return [
        FoundElement(
            one.element, one.families, one.net_counts, one.standard_error, one.probability, len(pixels)
        )
        for one in again.found
        if one.element in new
    ]


def _hottest_pixels(
    cube: SpectralCube, windows: tuple[EnergyWindow, ...], progress: Progress
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the pixels (flat) and significances, (K, 25) each, where each window stands out most."""
    keep = _MOST_PIXELS
    pixels = np.zeros((len(windows), keep), dtype=np.intp)
    scores = np.zeros((len(windows), keep))
    rows, columns, _ = cube.shape
    for band, block in cube.blocks():
        flat = block.reshape(-1, block.shape[2])
        # Sums over any window are differences of the running sum: one pass for all windows.
        running = np.zeros((flat.shape[0], flat.shape[1] + 1))
        np.cumsum(flat, axis=1, out=running[:, 1:])
        for k, window in enumerate(windows):
            low, high = window.background_factors()
            peak, below, above = (
                running[:, part.stop] - running[:, part.start]
                for part in (window.peak, window.below, window.above)
            )
            net = peak - low * below - high * above
            score = net / np.sqrt(np.maximum(peak + low**2 * below + high**2 * above, 1.0))
            score[net < _FEWEST_COUNTS] = 0
            top = np.argsort(-score)[:keep]
            both = np.concatenate([scores[k], score[top]])
            at = np.concatenate([pixels[k], top + band.start * columns])
            best = np.argsort(-both)[:keep]
            scores[k], pixels[k] = both[best], at[best]
        progress(band.stop, rows, "looking for rare elements")
    return pixels, scores
