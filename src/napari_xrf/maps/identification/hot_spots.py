"""Elements that only a few pixels hold, drowned in the sum spectrum."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.core.progress import Progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.identification.explanation import Explanation, explain
from napari_xrf.maps.identification.judgement import FoundElement
from napari_xrf.maps.pixels.windows import EnergyWindow, energy_windows, window_sums
from napari_xrf.maps.spectra.candidates import Candidate
from napari_xrf.maps.spectra.setting import Setting

_MOST_PIXELS = 25  # summed for one element
_STANDS_OUT = 5.0  # standard errors of one pixel's window
_FEWEST_COUNTS = 12.0  # net, in one pixel: below, Poisson tails are too long for standard errors
_DEMAND = 25.0  # log-odds: these pixels were picked because they looked odd (a grain that reflects)
_MOST_TRIALS = 8
_FEW_COUNTS = 2000.0  # a pixel: below, each is looked at together with its eight neighbours


def find_in_hot_spots(
    cube: SpectralCube, setting: Setting, explained: Explanation, progress: Progress
) -> tuple[FoundElement, ...]:
    """Find elements in the pixels where a line stands out that the sum spectrum does not explain.

    For each element not found yet, the pixels whose window around its line holds far more than the side bands
    and more than the found elements put there are summed and explained anew; the element must then be needed
    beyond doubt. Returns the elements found only so, with the number of pixels that were summed.
    """
    known = tuple(one.element for one in explained.found)
    left = [one for one in explained.spectrum.pool if one.element not in known]
    if not left or cube.is_one_spectrum:
        return ()
    axis = explained.setting.energy
    pooled = (
        np.interp(setting.energy.energies, axis.energies, explained.model) * setting.energy.width / axis.width
    )
    windows = energy_windows(tuple(one.families[0] for one in left), pooled, setting)
    reach = 1 if pooled.sum() < _FEW_COUNTS * cube.map_shape[0] * cube.map_shape[1] else 0
    hottest, scores = _hottest_pixels(cube, windows, reach, progress)
    found: dict[str, FoundElement] = {}
    tried: set[tuple[int, ...]] = set()
    for position in np.argsort(-scores.max(axis=1, initial=0))[:_MOST_TRIALS]:
        hot = scores[position] > _STANDS_OUT
        mask = np.zeros(cube.map_shape, dtype=bool)
        mask.ravel()[hottest[position][hot]] = True
        mask = _grown(mask, reach)
        pixels = tuple(np.flatnonzero(mask).tolist())
        if not pixels or pixels in tried:
            continue
        tried.add(pixels)
        for one in _explained_anew(cube, setting, mask, known, left, progress):
            if one.element not in found or one.probability > found[one.element].probability:
                found[one.element] = one
    return tuple(found.values())


def _grown(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return the mask with every pixel's neighbours."""
    if reach == 0:
        return mask
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, np.ones((2 * reach + 1, 2 * reach + 1), dtype=bool)))


def _explained_anew(
    cube: SpectralCube,
    setting: Setting,
    mask: NDArray[np.bool_],
    known: tuple[str, ...],
    left: list[Candidate],
    progress: Progress,
) -> list[FoundElement]:
    pixels = int(mask.sum())
    spectrum = cube.region_spectrum(mask).astype(np.float64)
    again = explain(spectrum, setting, cube.elements, certain=known, demand=_DEMAND, progress=progress)
    new = {one.element for one in left}
    return [
        FoundElement(one.element, one.families, one.net_counts, one.standard_error, one.probability, pixels)
        for one in again.found
        if one.element in new
    ]


def _hottest_pixels(
    cube: SpectralCube, windows: tuple[EnergyWindow, ...], reach: int, progress: Progress
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the pixels (flat) and significances, (K, 25) each, where each window stands out most.

    ``reach`` pixels to each side are summed with a pixel (within the block of rows that is read).
    """
    pixels = np.zeros((len(windows), _MOST_PIXELS), dtype=np.intp)
    scores = np.zeros((len(windows), _MOST_PIXELS))
    rows, columns, _ = cube.shape

    def hottest_of(
        one: tuple[slice, NDArray[np.generic]],
    ) -> tuple[slice, list[tuple[NDArray[np.intp], NDArray[np.float64]]]]:
        band, block = one
        best = []
        for window, sums in zip(windows, window_sums(block, windows), strict=True):
            net, variance = window.net(np.array([_summed(part, reach) for part in sums]))
            score = net / np.sqrt(np.maximum(variance, 1.0))
            score[net < _FEWEST_COUNTS] = 0
            top = np.argsort(-score.ravel())[:_MOST_PIXELS]
            best.append((top + band.start * columns, score.ravel()[top]))
        return band, best

    for band, best in in_threads(hottest_of, cube.blocks()):
        for k, (places, own) in enumerate(best):
            both, at = np.concatenate([scores[k], own]), np.concatenate([pixels[k], places])
            kept = np.argsort(-both)[:_MOST_PIXELS]
            scores[k], pixels[k] = both[kept], at[kept]
        progress(band.stop, rows, "looking for rare elements")
    return pixels, scores


def _summed(counts: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return the counts of every pixel and its neighbours."""
    if reach == 0:
        return counts
    from scipy.ndimage import uniform_filter

    size = 2 * reach + 1
    return np.asarray(uniform_filter(counts, size) * size**2)
