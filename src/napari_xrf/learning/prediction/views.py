"""What predictions mean in the nouns of this package: label maps, element maps, ranked lists."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import usual_family
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LEAST_PROBABILITY, UNKNOWN_NAME, LabelMap, number_by_area
from napari_xrf.learning.prediction.answer_sets import grouped
from napari_xrf.learning.prediction.prediction import Prediction
from napari_xrf.learning.tasks.minerals import decide_classes


class RankedName(NamedTuple):
    """One of a model's names, or ``"unknown"``, in an answer: counts are None where the model gives none."""

    name: str
    probability: float
    counts: float | None
    present: bool


def label_map_of(prediction: Prediction, least_probability: float = LEAST_PROBABILITY) -> LabelMap:
    """Return the mineral map of a prediction; classes that occur are numbered from 2 by falling area.

    Where the model knows every mineral, names that the map cannot tell apart are one class.

    Raises InvalidInput when the model is not one of minerals, or the probability is not from 0 to 1.

    ``least_probability``: a pixel whose most probable class is less probable is unknown.
    """
    prediction = grouped(prediction)
    description = prediction.description
    if description.task != "minerals" or prediction.probability is None or prediction.unknown is None:
        raise InvalidInput(f"{description.name} gives no minerals", "Choose a mineral model")
    if not 0 <= least_probability <= 1:
        raise InvalidInput(f"a probability lies from 0 to 1, not {least_probability}")
    measured, probability, unknown = prediction.counts > 0, prediction.probability, prediction.unknown
    decided = [
        (given[here], confidence[here])
        for band in prediction.bands()
        for given, confidence, _ in [decide_classes(probability[band], unknown[band], least_probability)]
        for here in [measured[band]]
    ]
    given = np.concatenate([one for one, _ in decided])
    return number_by_area(
        measured,
        np.where(given == len(description.names), -1, given),
        np.concatenate([one for _, one in decided]),
        description.classes,
        prediction.pixel_size,
        prediction.source,
    )[0]


def element_maps_of(prediction: Prediction, elements: Sequence[str] | None = None) -> ElementMaps:
    """Return the net counts of elements, by default of those that the model finds, with their errors.

    Standard errors are those of Poisson counts alone, √(counts), with the counts of the spectrum times the
    model's own error on held-out spectra (relative to a spectrum's counts) added in quadrature. Raises
    InvalidInput when the model gives no intensities.
    """
    description = prediction.description
    if prediction.intensity is None:
        raise InvalidInput(f"{description.name} gives no intensities", "Choose a model for elements")
    shown = found_names(prediction) if elements is None else tuple(elements)
    rows = [description.names.index(name) for name in shown]
    counts = np.empty((len(rows), *prediction.map_shape), dtype=np.float32)
    for band in prediction.bands():
        counts[:, band] = np.moveaxis(prediction.intensity[band][..., rows], 2, 0)
    error = float(description.training.get("validation", {}).get("share_error", 0.0))
    spread = np.maximum(counts, np.float32(1.0))
    spread += (error * prediction.counts) ** 2
    np.sqrt(spread, out=spread)
    return ElementMaps(
        tuple(usual_family(name) for name in shown),
        counts,
        spread,
        description.name,
        prediction.pixel_size,
        prediction.source,
    )


def found_names(prediction: Prediction) -> tuple[str, ...]:
    """Return the names whose probability passes their threshold in at least a thousandth of the pixels.

    Of a small map one pixel is enough; where the model gives no presence, all names are returned.
    """
    description = prediction.description
    if prediction.probability is None:
        return description.names
    needed = max(1, round(1e-3 * prediction.counts.size))
    number = np.zeros(len(description.names), dtype=np.intp)
    for band in prediction.bands():
        number += (prediction.probability[band] >= description.thresholds).sum(axis=(0, 1))
    return tuple(name for name, seen in zip(description.names, number, strict=True) if seen >= needed)


def element_groups(names: Sequence[str]) -> dict[str, list[str]]:
    """Return element → its lines, of names such as ``"Fe ka1"``, in their order."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition(" ")[0], []).append(name)
    return groups


def ranked(prediction: Prediction, pixel: tuple[int, int] = (0, 0)) -> tuple[RankedName, ...]:
    """Return the names of one pixel, the most probable first; "unknown" is among them where it is known.

    Names that cannot be told apart are one, as in :func:`label_map_of`. Raises InvalidInput when the model
    gives neither presence nor minerals.
    """
    if prediction.probability is None:
        raise InvalidInput(f"{prediction.description.name} names nothing", "Choose a model with names")
    prediction = grouped(prediction)
    assert prediction.probability is not None
    probability = prediction.probability[pixel].tolist()
    counts = (
        [None] * len(probability) if prediction.intensity is None else prediction.intensity[pixel].tolist()
    )
    limits = prediction.description.thresholds.tolist()
    rows = [
        RankedName(name, chance, net, chance >= limit)
        for name, chance, net, limit in zip(prediction.names, probability, counts, limits, strict=True)
    ]
    if prediction.unknown is not None:
        # "unknown" has no threshold: it is the answer when nothing is likelier.
        chance = float(prediction.unknown[pixel])
        rows.append(RankedName(UNKNOWN_NAME, chance, None, chance > max(probability, default=0.0)))
    return tuple(sorted(rows, key=lambda row: -row.probability))
