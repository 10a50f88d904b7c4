"""The user's own labelled regions as training spectra. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.parameters import Limits, Range, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io import read, read_labels
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.sources.region_pixels import LabelledPixels, PixelChoice, gather_pixels, read_pixels
from napari_xrf.learning.sources.region_split import PARTS, Part
from napari_xrf.learning.sources.source import LabelledSpectra, axis_of
from napari_xrf.maps.spectra.background import estimate_background
from napari_xrf.synthesis.sampling import draw_seed, log_uniform

_LIKE = 0.96  # Bhattacharyya coefficient from which a spectrum counts as one of the classes
_TRIES = 10
_COUNTS = 1e6  # the scale on which a continuum is estimated
_SPECTRA_PER_CALIBRATION = 16  # of a batch share one drawn calibration


@parameters
class RegionOptions:
    """How pixels become training spectra.

    Attributes
    ----------
    counts
        Range of doses, drawn evenly in the logarithm; None takes a tenth of the darkest pixels' counts (the
        5th percentile, but at least 30) to as many as the brightest ones (95th) have four times.
    largest_sum
        The most pixels of a class that are summed to reach a dose.
    offset_ev, gain
        The recorded energies are moved by up to this much, both ways: E → (1 ± gain) E ± offset.
    unknown_share
        Part of the spectra that belong to no class: background pixels where some are labelled, else synthetic
        outliers.
    outliers
        Whether there are synthetic outliers; without background pixels and without them, nothing is unknown.
    """

    counts: Annotated[Range | None, Limits(1, 1e9)] = None
    largest_sum: Annotated[int, Limits(1, 256)] = 16
    offset_ev: Annotated[float, Limits(0, 500, "eV")] = 10.0
    gain: Annotated[float, Limits(0, 0.05)] = 0.001
    unknown_share: Annotated[float, Limits(0, 0.9)] = 0.1
    outliers: bool = True


@dataclass(frozen=True, eq=False)
class RegionSource:
    """Draws spectra of labelled pixels with ``label``; a :class:`~napari_xrf.learning.sources.source.Source`.

    Each spectrum is a pixel of its class, or a sum of several for a higher dose, thinned out binomially to
    the dose wanted (a thinned Poisson count is a Poisson count), and recorded under another calibration.
    Held-out parts of the split are drawn from in the same way, from their own pixels only.
    """

    pixels: LabelledPixels
    axis: EnergyAxis  # to which counts are rebinned
    options: RegionOptions = field(default_factory=RegionOptions)
    part: Part = "training"  # of the split that is drawn from
    task: TaskName = "minerals"

    def __post_init__(self) -> None:
        for number, name in enumerate(self.names):
            if not self._totals[self._pool(number)].any():
                raise InvalidInput(
                    f"the labelled pixels of {name!r} hold no counts for {self.part}", "Label others"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The K classes."""
        return self.pixels.names

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The K classes, with formula, colour and density where the labels state them."""
        return self.pixels.classes

    @cached_property
    def counts_range(self) -> tuple[float, float]:
        """Fewest and most counts of a spectrum."""
        if self.options.counts is not None:
            return self.options.counts
        dark, bright = np.percentile(self._totals[self._totals > 0], (5, 95))
        low = max(0.1 * float(dark), 30.0)
        return (low, max(4.0 * float(bright), low))

    @property
    def validation(self) -> RegionSource:
        """The same source on the pixels held out for validation."""
        return replace(self, part="validation")

    @property
    def test(self) -> RegionSource:
        """The same source on the pixels held out for the test."""
        return replace(self, part="test")

    def draw(self, size: int, generator: np.random.Generator) -> LabelledSpectra:
        """Return ``size`` spectra, each class as often as the others."""
        known = len(self.names)
        label = generator.integers(known, size=size)
        unknown = generator.random(size) < self.options.unknown_share
        if self.options.outliers or len(self._pool(known)):
            label[unknown] = known
        doses = log_uniform(generator, self.counts_range, size)
        counts = np.zeros((size, self.pixels.axis.size), dtype=np.int64)
        for number in np.unique(label).tolist():
            rows = np.flatnonzero(label == number)
            pool = self._pool(number)
            if len(pool):
                for row in rows:
                    counts[row] = self._one(pool, float(doses[row]), generator)
            else:
                expected, _ = draw_outliers(self._outliers, len(rows), generator)
                counts[rows] = generator.poisson(expected * doses[rows, np.newaxis])
        return LabelledSpectra(self._recorded(counts, generator), {"label": label.astype(np.int64)})

    def _one(self, pool: NDArray[np.intp], dose: float, generator: np.random.Generator) -> NDArray[np.int64]:
        mean = max(float(self._totals[pool].mean()), 1e-9)
        number = int(np.clip(np.ceil(dose / mean), 1, min(self.options.largest_sum, len(pool))))
        chosen = generator.choice(pool, number, replace=False)
        spectrum = self.pixels.counts[chosen].sum(axis=0, dtype=np.int64)
        total = int(spectrum.sum())
        if total > dose:
            filled = np.flatnonzero(spectrum)
            spectrum[filled] = generator.binomial(spectrum[filled], dose / total)
        return np.asarray(spectrum, dtype=np.int64)

    def _recorded(self, counts: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.float32]:
        own, options = self.pixels.axis, self.options
        recorded = np.empty((len(counts), self.axis.size), dtype=np.float32)
        # Classes stand in random order, so that runs of a batch are no groups of one class.
        for start in range(0, len(counts), _SPECTRA_PER_CALIBRATION):
            part = slice(start, start + _SPECTRA_PER_CALIBRATION)
            offset, gain = generator.uniform(-1, 1, size=2) * (options.offset_ev * 1e-3, options.gain)
            moved = EnergyAxis(own.offset * (1 + gain) + offset, own.width * (1 + gain), own.size)
            recorded[part] = rebin_counts(counts[part], moved, self.axis, seed=draw_seed(generator))
        return recorded

    def _pool(self, number: int) -> NDArray[np.intp]:
        mine = (self.pixels.label == number) & (self.pixels.part == PARTS.index(self.part))
        return np.flatnonzero(mine)

    @cached_property
    def _totals(self) -> NDArray[np.float64]:
        return np.asarray(self.pixels.counts.sum(axis=1, dtype=np.float64))

    @cached_property
    def _outliers(self) -> OutlierShapes:
        sums = [self.pixels.counts[self._pool(number)].sum(axis=0) for number in range(len(self.names))]
        return outlier_shapes(np.asarray(sums, dtype=np.float64), self.pixels.axis)


def make(
    *,
    progress: Progress = ignore_progress,
    file: str | None = None,
    cube: str | None = None,
    labels: str | None = None,
    axis: Sequence[float] | None = None,
    part: Part = "training",
    **options: Any,
) -> RegionSource:
    """Return the source for a file of labelled pixels, or for a map and its labels.

    ``file``: labelled pixels of :func:`~napari_xrf.learning.sources.region_pixels.write_pixels`; or
    ``cube``, ``labels``: files of a map and of its label map. ``axis``: (offset, width, size) of the
    network's axis in keV; None takes the map's. ``options``: fields of :class:`RegionOptions`, and for
    ``cube`` those of :class:`~napari_xrf.learning.sources.region_pixels.PixelChoice`. Raises InvalidInput
    when neither or both ways are given, or the part is unknown.
    """
    check_name("part", part, PARTS)
    if (file is None) == (cube is None) or (cube is None) != (labels is None):
        raise InvalidInput("regions need a file of labelled pixels, or a map and its labels")
    of_pixels = {each.name for each in fields(PixelChoice)}
    choice = {name: options.pop(name) for name in of_pixels & set(options)}
    chosen = RegionOptions(**options)
    if file is not None:
        pixels = read_pixels(file)
    else:
        pixels = gather_pixels(read(str(cube)), read_labels(str(labels)), progress=progress, **choice)
    return RegionSource(pixels, axis_of(axis, pixels.axis), chosen, part)


@dataclass(frozen=True, eq=False)
class OutlierShapes:
    """What outliers are put together from: means (K, E) of the classes, summing to 1, and their two parts."""

    axis: EnergyAxis
    means: NDArray[np.float64]
    continua: NDArray[np.float64]
    peaks: NDArray[np.float64]


def outlier_shapes(sums: NDArray[np.floating], axis: EnergyAxis) -> OutlierShapes:
    """Return the shapes for the summed spectra (K, E) of the classes, which must have counts."""
    means = sums / sums.sum(axis=1, keepdims=True)
    continua = np.minimum(estimate_background(means * _COUNTS, axis) / _COUNTS, means)
    return OutlierShapes(axis, means, continua, means - continua)


def draw_outliers(
    shapes: OutlierShapes, size: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw expected spectra that resemble no class, so that "unknown" is learned where chemistry is new.

    Nothing needs to be known of the detector: peaks keep the shape they have in the map. Each has the
    continuum of one or two classes and one to three groups of peaks, cut from random windows of energy and
    mostly moved by 0.2 to 3 keV. What still resembles a class, by a Bhattacharyya coefficient (Bhattacharyya,
    Bull. Calcutta Math. Soc. 35 (1943) 99) of 0.96 or more, is drawn again; after ten tries the least similar
    one is taken. Returns ``spectra``: (N, E), summing to 1, ``likeness``: (N,) largest coefficient with a
    class, 0 to 1.
    """
    roots = np.sqrt(shapes.means)
    spectra = np.zeros((size, shapes.axis.size))
    likeness = np.full(size, np.inf)
    left = np.arange(size)
    for _ in range(_TRIES):
        if not len(left):
            break
        drawn = np.stack([_draw_one(shapes, generator) for _ in left])
        alike = (np.sqrt(drawn) @ roots.T).max(axis=1)
        better = alike < likeness[left]
        spectra[left[better]], likeness[left[better]] = drawn[better], alike[better]
        left = left[likeness[left] >= _LIKE]
    return spectra, likeness


def _draw_one(shapes: OutlierShapes, generator: np.random.Generator) -> NDArray[np.float64]:
    classes = len(shapes.means)
    one, other = generator.integers(classes, size=2)
    part = generator.uniform()
    continuum = part * shapes.continua[one] + (1 - part) * shapes.continua[other]
    peaks = np.zeros(shapes.axis.size)
    for _ in range(generator.integers(1, 4)):
        taken = _cut(shapes, int(generator.integers(classes)), generator)
        peaks += taken * np.exp(generator.uniform(-1.5, 0.0))
    # As many counts in peaks as some class has, more or less.
    share = shapes.peaks[one].sum() * generator.uniform(0.6, 1.4)
    share = float(np.clip(share, 0.05, 0.95))
    total = continuum.sum()
    if peaks.sum() <= 0 or total <= 0:
        share = 1.0 if total <= 0 else 0.0
    mixed = share * peaks / max(peaks.sum(), 1e-30) + (1 - share) * continuum / max(total, 1e-30)
    return np.asarray(mixed / mixed.sum() if mixed.sum() > 0 else np.full(len(mixed), 1 / len(mixed)))


def _cut(shapes: OutlierShapes, number: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the peaks of a class in a random window, moved along the axis, summing to 1."""
    peaks = shapes.peaks[number]
    total = peaks.sum()
    if total <= 0:
        return np.zeros_like(peaks)
    # A window around a place where the class has counts.
    centre = int(np.searchsorted(np.cumsum(peaks) / total, generator.uniform()))
    reach = max(1, round(generator.uniform(0.2, 2.0) / shapes.axis.width))
    window = slice(max(centre - reach, 0), min(centre + reach + 1, len(peaks)))
    moved = np.zeros_like(peaks)
    shift = 0
    if generator.random() < 0.8:
        shift = round(generator.choice((-1, 1)) * generator.uniform(0.2, 3.0) / shapes.axis.width)
    source = np.arange(window.start, window.stop)
    inside = (source + shift >= max(shapes.axis.positive.start, 0)) & (source + shift < len(peaks))
    moved[source[inside] + shift] = peaks[source[inside]]
    return moved / moved.sum() if moved.sum() > 0 else moved
