"""What a label map holds: the modal table of its classes, and the sizes of their grains."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.csv_cells import CsvTable
from napari_xrf.core.label_map import NOT_MEASURED, LabelMap
from napari_xrf.io.atomic_write import replacing


@dataclass(frozen=True)
class ModalRow:
    """One class of a map; None where a value has no meaning.

    Attributes
    ----------
    label, name, formula, color
        The class.
    pixels
        How many pixels it has.
    area_mm2
        Area of the class, None without a pixel size.
    area_percent
        Its share of all that was measured; None where nothing was.
    weight_percent
        Share of area times density; classes without a density (unknown) have none and are left out of
        the sum. Area is taken for volume, as usual in modal analysis (Delesse's principle).
    mean_confidence
        Mean over its pixels, None without pixels or confidences.
    """

    label: int
    name: str
    formula: str
    color: str
    pixels: int
    area_mm2: float | None
    area_percent: float | None
    weight_percent: float | None
    mean_confidence: float | None


COLUMNS = tuple(field.name for field in fields(ModalRow))


def modal_table(label_map: LabelMap, abundances: Abundances | None = None) -> tuple[ModalRow, ...]:
    """Return one row per class of the table, in its order; percentages are of the measured pixels.

    Percentages are those of ``abundances`` where given, where pixels are mixtures, else of whole pixels.
    """
    counts = np.bincount(label_map.labels.ravel(), minlength=256)
    measured = int(counts.sum() - counts[NOT_MEASURED])
    pixel_mm2 = math.prod(label_map.pixel_size) * 1e-6 if label_map.pixel_size is not None else None
    pixels = {entry.label: _count(counts, entry.label) for entry in label_map.classes}
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
            mean_confidence=_mean_confidence(label_map, entry.label),
        )
        for entry in label_map.classes
    )


@dataclass(frozen=True)
class GrainRow:
    """The grains of one class; diameters are those of a circle of equal area, in ``unit``.

    Attributes
    ----------
    label, name
        The class.
    grains
        Number of connected parts (8 neighbours); touching grains of one class count as one.
    median_diameter, largest_diameter
        Over the grains; None without grains.
    weighted_diameter
        Mean weighted by area: in what size of grain a random point of the class lies.
    edge_grains
        How many are cut by the map's edge or by pixels not measured, so larger than they seem.
    unit
        ``"µm"``, or ``"pixels"`` where the pixel size is unknown.
    """

    label: int
    name: str
    grains: int
    median_diameter: float | None
    weighted_diameter: float | None
    largest_diameter: float | None
    edge_grains: int
    unit: str


def grain_statistics(label_map: LabelMap) -> tuple[GrainRow, ...]:
    """Return one row per class of the table, in its order."""
    from skimage.measure import label as connected

    parts = connected(label_map.labels, background=NOT_MEASURED, connectivity=2)
    area = np.bincount(parts.ravel()).astype(np.float64)
    owner = np.zeros(area.size, dtype=label_map.labels.dtype)
    owner[parts.ravel()] = label_map.labels.ravel()
    cut = _cut_parts(parts, area.size)
    pixel_area = math.prod(label_map.pixel_size) if label_map.pixel_size is not None else 1.0
    unit = "pixels" if label_map.pixel_size is None else "µm"
    diameter = np.sqrt(4 * area * pixel_area / math.pi)
    rows = []
    for entry in label_map.classes:
        own = np.flatnonzero(owner == entry.label)
        own = own[own > 0]
        sizes = diameter[own]
        rows.append(
            GrainRow(
                entry.label,
                entry.name,
                own.size,
                float(np.median(sizes)) if own.size else None,
                float(np.average(sizes, weights=area[own])) if own.size else None,
                float(sizes.max()) if own.size else None,
                int(cut[own].sum()),
                unit,
            )
        )
    return tuple(rows)


def write_modal_table(path: str | Path, rows: Iterable[ModalRow]) -> None:
    """Write rows as CSV (UTF-8) with the columns :data:`COLUMNS`; None becomes an empty value.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = CsvTable(stream)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_text(value) for value in astuple(row)])


def _count(counts: np.ndarray, label: int) -> int:
    return int(counts[label]) if label < counts.size else 0


def _mean_confidence(label_map: LabelMap, label: int) -> float | None:
    if label_map.confidence is None:
        return None
    values = label_map.confidence[label_map.labels == label]
    return float(values.mean(dtype=np.float64)) if values.size else None


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cut_parts(parts: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Whether each part touches the map's edge or a pixel not measured."""
    from scipy.ndimage import binary_dilation

    outside = binary_dilation(parts == 0, structure=np.ones((3, 3), dtype=bool), border_value=1)
    # Dilation with a filled border marks the outermost pixels; the unmeasured ones are part 0.
    cut = np.zeros(count, dtype=bool)
    cut[np.unique(parts[outside])] = True
    cut[0] = False
    return cut
