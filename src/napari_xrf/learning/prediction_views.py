"""What predictions mean in the nouns of this package: label maps, element maps, ranked lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LEAST_PROBABILITY, UNKNOWN_NAME, LabelMap, number_by_area
from napari_xrf.learning.prediction import Prediction


def label_map_of(prediction: Prediction, least_probability: float = LEAST_PROBABILITY) -> LabelMap:
    """Return the mineral map of a prediction; classes that occur are numbered from 2 by falling area.

    Parameters
    ----------
    least_probability
        A pixel whose most probable class is less probable is unknown.

    Raises
    ------
    InvalidInput
        When the model is not one of minerals, or the probability is not from 0 to 1.
    """
    description = prediction.description
    if description.task != "minerals" or prediction.probability is None or prediction.unknown is None:
        raise InvalidInput(f"{description.name} gives no minerals", "Choose a mineral model")
    if not 0 <= least_probability <= 1:
        raise InvalidInput(f"a probability lies from 0 to 1, not {least_probability}")
    best = prediction.probability.argmax(axis=2)
    highest = np.take_along_axis(prediction.probability, best[..., None], axis=2)[..., 0]
    unknown = (prediction.unknown > highest) | (highest < least_probability)
    confidence = np.where(unknown, np.maximum(prediction.unknown, 1 - highest), highest)
    measured = prediction.counts > 0
    chosen = np.where(unknown, -1, best)[measured]
    return number_by_area(
        measured,
        chosen,
        confidence[measured],
        description.classes,
        prediction.pixel_size,
        prediction.source,
    )[0]


def element_maps_of(prediction: Prediction, elements: Sequence[str] | None = None) -> ElementMaps:
    """Return the net counts of elements, by default of those that the model finds, with their errors.

    Standard errors are those of Poisson counts alone, √(counts), with the counts of the spectrum times the
    model's own error on held-out spectra (relative to a spectrum's counts) added in quadrature.

    Raises
    ------
    InvalidInput
        When the model gives no intensities.
    """
    description = prediction.description
    if prediction.intensity is None:
        raise InvalidInput(f"{description.name} gives no intensities", "Choose a model for elements")
    shown = found_names(prediction) if elements is None else tuple(elements)
    rows = [description.names.index(name) for name in shown]
    counts = np.moveaxis(prediction.intensity[..., rows], 2, 0).astype(np.float32)
    error = float(description.training.get("validation", {}).get("share_error", 0.0))
    spread = np.sqrt(np.maximum(counts, 1.0) + (error * prediction.counts) ** 2).astype(np.float32)
    return ElementMaps(
        tuple(_family(name) for name in shown),
        counts,
        spread,
        description.name,
        prediction.pixel_size,
        prediction.source,
    )


def found_names(prediction: Prediction, least_part: float = 1e-3) -> tuple[str, ...]:
    """Return the names whose probability passes their threshold in at least ``least_part`` of the pixels.

    Of a small map one pixel is enough; where the model gives no presence, all names are returned.
    """
    description = prediction.description
    if prediction.probability is None:
        return description.names
    passed = prediction.probability >= description.thresholds
    needed = max(1, round(least_part * prediction.counts.size))
    number = passed.sum(axis=(0, 1))
    return tuple(name for name, seen in zip(description.names, number, strict=True) if seen >= needed)


def ranked(prediction: Prediction, pixel: tuple[int, int] = (0, 0)) -> list[tuple[str, float, float | None]]:
    """Return (name, probability, net counts or None) of one pixel, the most probable first.

    "unknown" is among them where the model knows it.

    Raises
    ------
    InvalidInput
        When the model gives neither presence nor minerals.
    """
    if prediction.probability is None:
        raise InvalidInput(f"{prediction.description.name} names nothing", "Choose a model with names")
    probability = prediction.probability[pixel]
    counts = None if prediction.intensity is None else prediction.intensity[pixel]
    rows = [
        (name, float(chance), None if counts is None else float(counts[index]))
        for index, (name, chance) in enumerate(zip(prediction.names, probability, strict=True))
    ]
    if prediction.unknown is not None:
        rows.append((UNKNOWN_NAME, float(prediction.unknown[pixel]), None))
    return sorted(rows, key=lambda row: -row[1])


def _family(element: str) -> str:
    from napari_xrf.core.emission_lines import atomic_number

    # Net counts of an element are those of all its lines; its maps go by the family that shows in most tubes.
    return f"{element} {'K' if atomic_number(element) <= 56 else 'L'}"
