"""Spectra that belong to no labelled class, made from the classes' own peaks and continua.

Nothing needs to be known of the detector: peaks keep the shape they have in the map, but stand at other
energies and in other proportions, so that a network learns to say "unknown" where chemistry is new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.background import estimate_background

_LIKE = 0.96  # Bhattacharyya coefficient from which a spectrum counts as one of the classes
_TRIES = 10
_COUNTS = 1e6  # the scale on which a continuum is estimated


@dataclass(frozen=True, eq=False)
class OutlierShapes:
    """What outliers are put together from.

    Attributes
    ----------
    axis
        Of the spectra.
    means, continua, peaks
        (K, E) mean spectrum of each class, summing to 1, and its two parts.
    """

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
    """Draw expected spectra that resemble no class.

    Each has the continuum of one or two classes and one to three groups of peaks, cut from random windows of
    energy and mostly moved by 0.2 to 3 keV. What still resembles a class, by a Bhattacharyya coefficient
    (Bhattacharyya, Bull. Calcutta Math. Soc. 35 (1943) 99) of 0.96 or more, is drawn again; after ten tries
    the least similar one is taken.

    Returns
    -------
    spectra : (N, E), summing to 1
    likeness : (N,) largest coefficient with a class, 0 to 1.
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
