"""Element maps of a cube: the whole way from counts to maps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import split_family
from napari_xrf.core.errors import check_name
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import (
    CalibratedMap,
    Measured,
    calibrate_map,
    families_beside,
    find_elements,
)
from napari_xrf.maps.pixels.fit import PixelSolver, fit_pixels, make_solver, solve_non_negative
from napari_xrf.maps.pixels.windows import EnergyWindow, energy_windows, map_windows
from napari_xrf.maps.spectra.candidates import columns_of
from napari_xrf.maps.spectra.families import wanted_families
from napari_xrf.maps.spectra.setting import Setting
from napari_xrf.maps.spectra.spectrum_model import surroundings

_CONTINUUM_SPACING_KEV = 2.5  # pixels have too few counts for a closer look
_FINE_SPACING_KEV = 0.7
_BLOCK_BYTES = 16 * 2**20  # small blocks keep cancel quick


def map_elements(
    measured: Measured,
    elements: Sequence[str] | None = None,
    *,
    method: Literal["fit", "window"] = "fit",
    progress: Progress = ignore_progress,
) -> ElementMaps:
    """Map the counts of each line family over a cube; errors as :func:`napari_xrf.map_elements`.

    A map that is not calibrated yet is calibrated first; a single spectrum is one of 1 × 1 pixels. ``"fit"``
    explains the whole spectrum of each pixel by all families of the elements, scatter, pile-up and a
    continuum, with non-negative amplitudes and weights of the sum spectrum
    (:mod:`napari_xrf.maps.pixels.fit`); ``"window"`` takes the counts around each main line less those beside
    it (:mod:`napari_xrf.maps.pixels.windows`). Families that show and are not named are fitted beside the
    others, which would take their counts. Counts below 0 keV are left out.
    The cube is read in blocks of bounded size.

    ``elements``: symbols (``"Fe"``: all its families) or families (``"Pb L"``). None: what
    :func:`~napari_xrf.maps.calibrated_map.find_elements` finds; no family when that is none.
    """
    known = calibrate_map(measured, progress=progress).checked()
    return plan_elements(known, elements, method=method, progress=progress).map(known.cube, progress)


@dataclass(frozen=True, eq=False)
class ElementPlan:
    """What all pixels of a map share when its elements are mapped: any rows of it give the same maps."""

    families: tuple[str, ...]  # K names
    windows: tuple[EnergyWindow, ...] = ()  # of "window"
    # solver, fitted: of "fit", and the channels that it takes; None for windows
    solver: PixelSolver | None = None
    fitted: slice | None = None
    beside: tuple[str, ...] = ()  # of "fit": families that show and were not named, after the K in the solver

    def map(self, cube: SpectralCube, progress: Progress = ignore_progress) -> ElementMaps:
        """Map the pixels of a cube, or of some of its rows."""
        if self.solver is None:
            return map_windows(cube, self.windows, progress=progress)
        rows, width = cube.map_shape
        counts = np.empty((len(self.families), rows, width), dtype=np.float32)
        errors = np.empty_like(counts)
        for band, block in cube.blocks(_BLOCK_BYTES):
            check = partial(progress, band.start, rows, "fitting pixels")
            check()
            flat = block[:, :, self.fitted].reshape(-1, len(self.solver.projection))
            amplitudes, spread = fit_pixels(self.solver, flat, check)
            for target, source in ((counts, amplitudes), (errors, spread)):
                target[:, band] = source[:, : len(self.families)].T.reshape(len(self.families), -1, width)
        progress(rows, rows, "fitting pixels")
        told = "fit", cube.pixel_size, cube.name
        return ElementMaps(self.families, counts, errors, *told, beside=self.beside)


def plan_elements(
    known: CalibratedMap,
    elements: Sequence[str] | None = None,
    *,
    method: Literal["fit", "window"] = "fit",
    progress: Progress = ignore_progress,
) -> ElementPlan:
    """Learn from a whole map what its element maps need; options and errors as :func:`map_elements`."""
    check_name("method for element maps", method, ("fit", "window"))
    families = families_in(known, elements, progress)
    if method == "window" or not families:
        return ElementPlan(families, energy_windows(families, known.sum_spectrum, known.setting))
    rows, columns = known.cube.map_shape
    beside = () if elements is None else families_beside(known, families, progress)
    plan = plan_fit((*families, *beside), known.sum_spectrum, known.setting, rows * columns)
    return replace(plan, families=families, beside=beside)


def plan_fit(
    families: tuple[str, ...],
    spectrum: NDArray[np.float64],
    setting: Setting,
    pixels: int,
    continuum: NDArray[np.float64] | None = None,
) -> ElementPlan:
    """Prepare the fit of each pixel with the columns of families in a calibrated setting.

    ``families``: names such as ``"Fe K"``. ``spectrum``: (E,) the sum of all pixels. ``setting``: what they
    were measured with. ``pixels``: how many there are. ``continuum``: (E,) its shape; otherwise the spectrum
    between its peaks tells.
    """
    columns = pixel_columns(families, spectrum, setting, continuum)
    pooled = pooled_expectation(columns, spectrum[setting.fitted], pixels)
    return ElementPlan(families, (), make_solver(columns, pooled, pixels), setting.fitted)


def pixel_columns(
    families: tuple[str, ...],
    spectrum: NDArray[np.float64],
    setting: Setting,
    continuum: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the columns that explain a pixel, (K, fitted channels): families first, then surroundings."""
    peaks = columns_of(families, setting)
    if continuum is None:
        # Few free points for a pixel, between them the continuum that the sum spectrum shows under its peaks.
        columns, smooth = sum_columns(peaks, spectrum, setting)
        amplitudes = fit_to_sum(columns[:, setting.fitted], spectrum[setting.fitted])
        continuum = (amplitudes * smooth) @ columns
    around = surroundings(spectrum, setting, _CONTINUUM_SPACING_KEV, continuum)
    return np.concatenate([peaks, around.columns])[:, setting.fitted]


def sum_columns(
    peaks: NDArray[np.float64], spectrum: NDArray[np.float64], setting: Setting
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the columns of a sum spectrum, (K, E), those of families first, and (K,) which are continuum."""
    fine = surroundings(spectrum, setting, _FINE_SPACING_KEV)
    smooth = [False] * len(peaks) + [name.startswith("continuum") for name in fine.names]
    return np.concatenate([peaks, fine.columns]), np.array(smooth)


def pooled_expectation(
    columns: NDArray[np.float64], spectrum: NDArray[np.float64], pixels: int
) -> NDArray[np.float64]:
    """Return the expected counts of a mean pixel, (E,), from a fit of the sum spectrum.

    A fit, not the counts themselves, so that weights have no noise. At least a thousandth of the mean
    channel and a tenth of a count in the whole map: a channel where nothing is expected must not outweigh
    all others.
    """
    expected = fit_to_sum(columns, spectrum) @ columns / pixels
    return np.maximum(expected, max(1e-3 * float(expected.mean()), 0.1 / pixels))


def fit_to_sum(columns: NDArray[np.float64], spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the amplitudes (K,), none negative, of columns (K, E) that explain a spectrum (E,) best."""
    variance = np.maximum(np.convolve(spectrum, np.ones(9) / 9, mode="same"), 0.3)
    amplitudes = np.zeros(len(columns))
    for _ in range(3):
        weighted = columns / variance
        amplitudes, _ = solve_non_negative(weighted @ columns.T, weighted @ spectrum)
        # Then with the variance of the fit itself, which has no noise.
        variance = np.maximum(amplitudes @ columns, 0.3)
    return amplitudes


def families_in(
    known: CalibratedMap, elements: Sequence[str] | None, progress: Progress = ignore_progress
) -> tuple[str, ...]:
    """Return the line families of elements that a map can show; None finds its elements first."""
    if elements is None:
        found = find_elements(known, progress=progress)
        return tuple(family for one in found for family in sorted(one.families, key=_shell_order))
    setting = known.setting
    return wanted_families(tuple(elements), setting.energy, setting.low, setting.high, setting.highest_kev)


def _shell_order(family: str) -> int:
    return "KLM".index(split_family(family)[1])
