"""What a label map holds: the modal table of its classes."""

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.label_map import LabelMap
from napari_xrf.io.own.tables import write_rows
from napari_xrf.minerals.labels.grains import class_places

LEAST_BLOCKS = 16  # fewer tell no spread
_FINEST = 256  # blocks along a side to begin with


@dataclass(frozen=True)
class ModalRow:
    """One class of a map; None where a value has no meaning."""

    # label, name, formula, color: the class
    label: int
    name: str
    formula: str
    color: str
    pixels: int  # how many pixels it has
    area_mm2: float | None  # area of the class, None without a pixel size
    area_percent: float | None  # its share of all that was measured; None where nothing was
    # Share of area times density; classes without a density (unknown) have none and are left out of the sum.
    # Area is taken for volume, as usual in modal analysis (Delesse's principle)
    weight_percent: float | None
    mean_confidence: float | None  # mean over its pixels, None without pixels or confidences
    # naming_error, sampling_error: standard errors of area_percent, percent: of pixels named wrongly, by
    # their confidence, and of the map as a part of a larger rock like it, by the spread of its blocks; None
    # where they are not known
    naming_error: float | None = None
    sampling_error: float | None = None


COLUMNS = tuple(field.name for field in fields(ModalRow))
_LEAST_PERCENT = 0.05  # of the area, that is shown of a class without a pixel of its own


def modal_table(label_map: LabelMap, abundances: Abundances | None = None) -> tuple[ModalRow, ...]:
    """Return one row per class of the table, in its order; percentages are of the measured pixels.

    Percentages are those of ``abundances`` where given, where pixels are mixtures, else of whole pixels.
    """
    places = class_places(label_map)
    held = places >= 0
    counts = np.bincount(places[held], minlength=len(label_map.classes))
    measured = int(counts.sum())
    pixel_mm2 = math.prod(label_map.pixel_size) * 1e-6 if label_map.pixel_size is not None else None
    labels = [entry.label for entry in label_map.classes]
    pixels = dict(zip(labels, counts.tolist(), strict=True))
    naming, sampling = naming_errors(label_map), sampling_errors(label_map, abundances)
    sure = label_map.confidence
    trust = None if sure is None else np.bincount(places[held], sure[held], minlength=len(labels))
    areas: dict[int, float] = {label: float(number) for label, number in pixels.items()}
    if abundances is not None:
        parts = abundances.values.sum(axis=(0, 1), dtype=np.float64)
        areas.update(
            {entry.label: float(part) for entry, part in zip(abundances.classes, parts, strict=True)}
        )
    weights = {
        entry.label: areas[entry.label] * entry.density
        for entry in label_map.classes
        if entry.density is not None
    }
    total_weight = math.fsum(weights.values())
    return tuple(
        ModalRow(
            label=entry.label,
            name=entry.name,
            formula=entry.formula,
            color=entry.color,
            pixels=pixels[entry.label],
            area_mm2=None if pixel_mm2 is None else areas[entry.label] * pixel_mm2,
            area_percent=100 * areas[entry.label] / measured if measured else None,
            weight_percent=(
                100 * weights[entry.label] / total_weight if entry.label in weights and total_weight else None
            ),
            mean_confidence=float(trust[place] / counts[place])
            if trust is not None and counts[place]
            else None,
            naming_error=None if naming is None else float(naming[place]),
            sampling_error=None if sampling is None else float(sampling[place]),
        )
        for place, entry in enumerate(label_map.classes)
    )


def held_rows(rows: Iterable[ModalRow]) -> list[ModalRow]:
    """Return the rows of what a map holds, the largest area first: also what is the largest part nowhere."""
    held = (row for row in rows if row.pixels or (row.area_percent or 0.0) >= _LEAST_PERCENT)
    return sorted(held, key=lambda row: (-(row.area_percent or 0.0), -row.pixels))


def write_modal_table(path: str | Path, rows: Iterable[ModalRow]) -> None:
    """Write rows as CSV (UTF-8) with the columns :data:`COLUMNS`; None becomes an empty value."""
    write_rows(path, COLUMNS, map(astuple, rows))


def naming_errors(label_map: LabelMap) -> NDArray[np.float64] | None:
    """Return the standard error of each class's percentage from pixels named wrongly, (K,).

    A pixel of confidence p is of its class by a draw of that chance, each by itself; where it is wrong it may
    be of any other class, by their shares. None without confidences.
    """
    if label_map.confidence is None:
        return None
    places, number = class_places(label_map), len(label_map.classes)
    held = places >= 0
    measured = int(held.sum())
    if not measured:
        return None
    chance = np.clip(label_map.confidence[held].astype(np.float64), 0, 1)
    own = np.bincount(places[held], chance * (1 - chance), minlength=number)
    wrong = np.bincount(places[held], 1 - chance, minlength=number)
    shares = np.bincount(places[held], minlength=number) / measured
    others = shares * (wrong.sum() - wrong) / np.maximum(1 - shares, 1e-9)
    return np.asarray(100 * np.sqrt(own + others * (1 - shares)) / measured)


def sampling_errors(label_map: LabelMap, abundances: Abundances | None = None) -> NDArray[np.float64] | None:
    """Return the standard error of each class's percentage as of a larger rock like this map, (K,).

    The map is cut into blocks; the spread of their percentages gives the error of the whole, as a bootstrap
    of blocks gives in the mean. Neighbouring pixels are alike, so that small blocks tell too little: the
    largest error of blocks of 1, 2, 4, … times the smallest side counts, as long as there are
    :data:`LEAST_BLOCKS` (Flyvbjerg & Petersen 1989). None for a map with fewer pixels than that.
    """
    places, number = class_places(label_map), len(label_map.classes)
    rows, columns = places.shape
    side = max(1, -(-max(rows, columns) // _FINEST))
    tall, wide = -(-rows // side), -(-columns // side)
    at = ((np.arange(rows) // side)[:, None] * wide + np.arange(columns) // side) * (number + 1)
    # Pixels that were not measured count in the last place, which is dropped.
    code = (at + np.where(places < 0, number, places)).ravel()
    counts = np.bincount(code, minlength=tall * wide * (number + 1)).reshape(tall, wide, -1)[..., :number]
    held = counts.sum(axis=2).astype(np.float64)
    held_parts = counts.astype(np.float64)
    if abundances is not None:
        place_of = {entry.label: place for place, entry in enumerate(label_map.classes)}
        cut = [np.arange(0, length, side) for length in (rows, columns)]
        for index, entry in enumerate(abundances.classes):
            values = abundances.values[..., index].astype(np.float64)
            summed = np.add.reduceat(np.add.reduceat(values, cut[0], axis=0), cut[1], axis=1)
            held_parts[..., place_of[entry.label]] = summed
    largest = None
    while (held > 0).sum() >= LEAST_BLOCKS:
        error = _ratio_error(held_parts, held)
        largest = error if largest is None else np.maximum(largest, error)
        held_parts, held = _halved(held_parts), _halved(held[..., None])[..., 0]
    return largest


def _ratio_error(parts: NDArray[np.float64], held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error, percent, of sums of parts (Y, X, K) over the sum of blocks held (Y, X)."""
    used = held > 0
    parts, whole = parts[used], held[used]
    off = parts - whole[:, None] * (parts.sum(axis=0) / whole.sum())
    blocks = whole.size
    return np.asarray(100 * np.sqrt(blocks / (blocks - 1) * (off**2).sum(axis=0)) / whole.sum())


def _halved(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums of two by two blocks of (Y, X, K)."""
    cuts = [np.arange(0, length, 2) for length in values.shape[:2]]
    return np.asarray(np.add.reduceat(np.add.reduceat(values, cuts[0], axis=0), cuts[1], axis=1))
