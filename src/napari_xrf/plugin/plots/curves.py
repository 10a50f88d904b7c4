"""Which curves the Spectrum dock draws, and the counts behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from napari_xrf.core.cube_spectra import CubeSpectra
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.maps.background import estimate_background, typical_fwhm
from napari_xrf.plugin.layers.region_spectra import Region
from napari_xrf.plugin.layers.regions import single_names
from napari_xrf.plugin.plots.spectrum_plot import Curve
from napari_xrf.reference.materials import Material

_MAX_COLOR = "#e07b39"
_CURSOR_COLOR = "#00d5d5"
_EXPECTED_COLOR = "#ff4d9d"
_MOST_CLASSES = 12
_MIDDLE_KEV = 6.0  # where a peak's width is taken for smoothing


class ExpectedSpectrum(NamedTuple):
    """A formula as the user wrote it, and its spectrum (E,) at the mean counts of the map's pixels."""

    formula: str
    counts: NDArray[np.float64]


class ClassSums(NamedTuple):
    """A label map, and label → summed spectrum (E,) of its classes."""

    label_map: LabelMap
    sums: Mapping[int, NDArray[np.uint64]]


def expect_spectrum_of(
    formula: str, summary: CubeSpectra, progress: Progress = ignore_progress
) -> ExpectedSpectrum:
    """Return the spectrum of a thick sample of a formula under the map's instrument.

    Raises
    ------
    InvalidInput
        When the formula cannot be read.
    """
    from napari_xrf.physics.excitation import instrument_of
    from napari_xrf.physics.forward import expect_spectrum

    material = Material.from_formula(formula)
    progress(0, 0, "expected spectrum")
    counts = np.asarray(expect_spectrum(material, instrument_of(summary.cube)).counts, dtype=float)
    shown = summary.cube.energy.positive
    mean = summary.total[shown].sum() / np.prod(summary.cube.map_shape)
    return ExpectedSpectrum(formula, counts * (mean / max(counts[shown].sum(), 1e-300)))


def draw_curves(
    summary: CubeSpectra,
    regions: Sequence[tuple[Region, NDArray[np.uint64]]] = (),
    *,
    total: bool = True,
    highest: bool = False,
    per_pixel: bool = True,
    pixel: tuple[int, int] | None = None,
    expected: ExpectedSpectrum | None = None,
    classes: ClassSums | None = None,
    background: bool = False,
    smooth: bool = False,
    color: str = "#dddddd",
) -> list[Curve]:
    """Return the curves of a map and of its regions, each with a name of its own.

    Parameters
    ----------
    total, highest, pixel, expected
        Whether the sum of all pixels, in ``color``, and the highest pixels are drawn; one pixel (y, x); an
        expected spectrum.
    per_pixel
        Whether counts are divided by the number of pixels.
    classes
        Of these the most frequent ones are drawn.
    background
        Whether the continuum under the first curve is drawn.
    smooth
        Whether curves are drawn smoothed by half a peak's width; their counts stay as they are.
    """
    axis, pixels = summary.cube.energy, int(np.prod(summary.cube.map_shape))

    def curve(name: str, counts: NDArray[Any], size: int, color: str, *, dashed: bool = False) -> Curve:
        divisor = size if per_pixel else 1
        return Curve(name, counts / divisor, axis, color, divisor, dashed)

    curves = []
    if total:
        curves.append(curve("Mean" if per_pixel else "Sum", summary.total, pixels, color))
    if highest and summary.highest is not None:
        curves.append(curve("Max pixel", summary.highest, 1, _MAX_COLOR))
    curves += [curve(region.name, counts, int(region.mask.sum()), region.color) for region, counts in regions]
    if classes is not None:
        sizes = np.bincount(classes.label_map.labels.ravel())
        often = sorted(classes.sums, key=lambda label: -sizes[label])[:_MOST_CLASSES]
        entries = {entry.label: entry for entry in classes.label_map.classes}
        curves += [
            curve(entries[label].name, classes.sums[label], int(sizes[label]), entries[label].color)
            for label in often
        ]
    if pixel is not None:
        y, x = pixel
        curves.append(curve(f"Pixel {y}, {x}", summary.cube.spectrum_at(y, x), 1, _CURSOR_COLOR))
    if expected is not None:
        counts = expected.counts * pixels
        curves.append(curve(expected.formula, counts, pixels, _EXPECTED_COLOR, dashed=True))
    if background and curves:
        under = estimate_background(curves[0].counts * curves[0].divisor, axis)
        curves.append(curve(f"Background of {curves[0].name}", under, curves[0].divisor, color, dashed=True))
    if smooth:
        width = 0.25 * float(typical_fwhm(_MIDDLE_KEV)) / axis.width
        curves = [replace(each, drawn=gaussian_filter1d(each.counts, width)) for each in curves]
    # The plot tells curves apart by name.
    names = single_names(curve.name for curve in curves)
    return [replace(curve, name=name) for curve, name in zip(curves, names, strict=True)]


def counts_behind(curve: Curve, cube: SpectralCube) -> Spectrum:
    """Return the summed counts of a curve, as files hold them."""
    counts = np.asarray(curve.counts, dtype=float) * curve.divisor
    whole = counts if curve.dashed else np.rint(counts).astype(np.uint64)
    return Spectrum(
        whole, curve.energy, f"{cube.name}: {curve.name}", curve.divisor, excitation=cube.excitation
    )
