"""Which curves the Spectrum dock draws, and the counts behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.colors import are_alike
from napari_xrf.core.cube_spectra import CubeSpectra
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.plugin.layers.colors import CURSOR_COLOR, EXPECTED_COLOR, FIT_COLOR, MAX_COLOR
from napari_xrf.plugin.layers.region_spectra import Region
from napari_xrf.plugin.layers.regions import single_names
from napari_xrf.plugin.plots.spectrum_plot import Curve
from napari_xrf.reference.materials import Material

if TYPE_CHECKING:
    from napari_xrf.maps.fitted_spectrum import FittedSpectrum

_MOST_CLASSES = 12
_MIDDLE_KEV = 6.0  # where a peak's width is taken for smoothing
UNITS = ("counts", "counts per pixel", "counts per second")
PER_PIXEL, PER_SECOND = UNITS[1:]


class ExpectedCurve(NamedTuple):
    """A formula as the user wrote it, and its spectrum (E,) at the mean counts of the map's pixels."""

    formula: str
    counts: NDArray[np.float64]


class ClassSums(NamedTuple):
    """A label map, and label → summed spectrum (E,) of its classes."""

    label_map: LabelMap
    sums: Mapping[int, NDArray[np.uint64]]


def expect_spectrum_of(
    formula: str, summary: CubeSpectra, progress: Progress = ignore_progress
) -> ExpectedCurve:
    """Return the spectrum of a thick sample of a formula under the map's instrument.

    Raises InvalidInput when the formula cannot be read.
    """
    from napari_xrf.physics.excitation import instrument_of
    from napari_xrf.physics.forward import expect_spectrum

    material = Material.from_formula(formula)
    progress(0, 0, "expected spectrum")
    counts = np.asarray(expect_spectrum(material, instrument_of(summary.cube)).counts, dtype=float)
    shown = summary.cube.energy.positive
    mean = summary.total[shown].sum() / np.prod(summary.cube.map_shape)
    return ExpectedCurve(formula, counts * (mean / max(counts[shown].sum(), 1e-300)))


def draw_curves(
    summary: CubeSpectra,
    regions: Sequence[tuple[Region, NDArray[np.uint64]]] = (),
    *,
    total: bool = True,
    highest: bool = False,
    unit: str = PER_PIXEL,
    pixel: tuple[int, int] | None = None,
    expected: ExpectedCurve | None = None,
    classes: ClassSums | None = None,
    background: bool = False,
    fit: FittedSpectrum | None = None,
    smooth: bool = False,
    color: str = "#dddddd",
) -> list[Curve]:
    """Return the curves of a map and of its regions, each with a name of its own.

    Parameters
    ----------
    total, highest, pixel, expected
        Whether the sum of all pixels, in ``color``, and the highest pixels are drawn; one pixel (y, x); an
        expected spectrum.
    unit
        One of :data:`UNITS`; a second is one of live time.
    classes
        Of these the most frequent ones are drawn.
    background
        Whether the continuum under the first curve is drawn.
    fit
        That of the map, drawn with its continuum.
    smooth
        Whether curves are drawn smoothed by half a peak's width; their counts stay as they are.
    """
    axis, whole = summary.cube.energy, np.ones(summary.cube.map_shape, dtype=bool)
    times = summary.cube.live_time

    def curve(
        name: str, counts: NDArray[Any], where: NDArray[np.bool_], color: str, *, mean: bool = False,
        **look: Any,
    ) -> Curve:  # fmt: skip
        size = int(where.sum())
        seconds = 1.0 if times is None else float(np.nansum(times[where])) or 1.0
        pixels, seconds = (1, seconds / size) if mean else (size, seconds)
        divisor = {PER_PIXEL: float(pixels), PER_SECOND: seconds}.get(unit, 1.0)
        return Curve(name, counts / divisor, axis, color, divisor, pixels=pixels, **look)

    curves = []
    if total:
        of_many = "Mean" if unit == PER_PIXEL else "Sum"
        name = "Spectrum" if summary.cube.is_one_spectrum else of_many
        curves.append(curve(name, summary.total, whole, color))
    if highest and summary.highest is not None:  # of no one pixel: its time is that of a mean one
        curves.append(curve("Max pixel", summary.highest, whole, MAX_COLOR, mean=True))
    curves += [curve(region.name, counts, region.mask, region.color) for region, counts in regions]
    if classes is not None:
        labels = classes.label_map.labels
        curves += [
            curve(entry.name, classes.sums[entry.label], labels == entry.label, entry.color)
            for entry in _most_frequent(classes)
        ]
    if pixel is not None:
        one = np.zeros_like(whole)
        one[pixel] = True
        name = f"Pixel {pixel[0]}, {pixel[1]}"
        curves.append(curve(name, summary.cube.spectrum_at(*pixel), one, CURSOR_COLOR))
    if expected is not None:
        counts = expected.counts * whole.size
        curves.append(curve(expected.formula, counts, whole, EXPECTED_COLOR, dashed=True))
    if background and curves:
        curves.append(_background_of(curves[0], axis, color))
    if fit is not None:
        for name, counts in (("Fit", fit.model), ("Continuum of the fit", fit.continuum)):
            drawn = curve(name, counts, whole, FIT_COLOR, dashed=name != "Fit", expected=True)
            curves.append(replace(drawn, energy=fit.energy))
    return _told_apart(_smoothed(curves, axis) if smooth else curves)


def _most_frequent(classes: ClassSums) -> list[LabelClass]:
    sizes = np.bincount(classes.label_map.labels.ravel())
    often = sorted(classes.sums, key=lambda label: -sizes[label])[:_MOST_CLASSES]
    entries = {entry.label: entry for entry in classes.label_map.classes}
    return [entries[label] for label in often]


def _background_of(first: Curve, axis: EnergyAxis, color: str) -> Curve:
    from napari_xrf.maps.spectra.background import estimate_background

    under = estimate_background(first.counts * first.divisor, axis) / first.divisor
    return replace(first, name=f"Background of {first.name}", counts=under, color=color, dashed=True)


def _smoothed(curves: Sequence[Curve], axis: EnergyAxis) -> list[Curve]:
    from scipy.ndimage import gaussian_filter1d

    from napari_xrf.maps.spectra.background import typical_fwhm

    width = 0.25 * float(typical_fwhm(_MIDDLE_KEV)) / axis.width
    return [
        each if each.expected else replace(each, drawn=gaussian_filter1d(each.counts, width))
        for each in curves
    ]


def _told_apart(curves: Sequence[Curve]) -> list[Curve]:
    """Return curves that a plot tells apart by name, and eyes, of nearly one colour, by their lines."""
    names = single_names(curve.name for curve in curves)
    twins = [any(_look_alike(curve, other) for other in curves[:at]) for at, curve in enumerate(curves)]
    named = zip(curves, names, twins, strict=True)
    return [replace(curve, name=name, dotted=twin) for curve, name, twin in named]


def _look_alike(one: Curve, other: Curve) -> bool:
    return one.dashed == other.dashed and are_alike(one.color, other.color)


def counts_behind(curve: Curve, cube: SpectralCube) -> Spectrum:
    """Return the summed counts of a curve, as files hold them."""
    counts = np.asarray(curve.counts, dtype=float) * curve.divisor
    whole = counts if curve.dashed or curve.expected else np.rint(counts).astype(np.uint64)
    return Spectrum(
        np.nan_to_num(whole), curve.energy, f"{cube.name}: {curve.name}", curve.pixels,
        excitation=cube.excitation,
    )  # fmt: skip
