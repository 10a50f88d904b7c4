"""The modal table: how much of each mineral a map holds."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from napari_xrf.core.errors import FileError
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
        Their area, None without a pixel size.
    area_percent
        Their share of all measured pixels; None where nothing was measured.
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


def modal_table(label_map: LabelMap) -> tuple[ModalRow, ...]:
    """Return one row per class of the table, in its order; percentages are of the measured pixels."""
    counts = np.bincount(label_map.labels.ravel(), minlength=256)
    measured = int(counts.sum() - counts[NOT_MEASURED])
    pixel_mm2 = math.prod(label_map.pixel_size) * 1e-6 if label_map.pixel_size is not None else None
    pixels = {entry.label: _count(counts, entry.label) for entry in label_map.classes}
    weights = {
        entry.label: pixels[entry.label] * entry.density
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
            area_mm2=None if pixel_mm2 is None else pixels[entry.label] * pixel_mm2,
            area_percent=100 * pixels[entry.label] / measured if measured else None,
            weight_percent=(
                100 * weights[entry.label] / total_weight if entry.label in weights and total_weight else None
            ),
            mean_confidence=_mean_confidence(label_map, entry.label),
        )
        for entry in label_map.classes
    )


def write_modal_table(path: str | Path, rows: Iterable[ModalRow]) -> None:
    """Write rows as CSV (UTF-8) with the columns :data:`COLUMNS`; None becomes an empty value.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_text(value) for value in astuple(row)])


def read_modal_table(path: str | Path) -> tuple[ModalRow, ...]:
    """Read what :func:`write_modal_table` wrote.

    Raises
    ------
    FileError
        When the file cannot be read or is no such table.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream))
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(path, "is not a CSV file in UTF-8") from error
    if not lines or tuple(lines[0]) != COLUMNS:
        raise FileError(path, "is no modal table", f"Its first line must be {','.join(COLUMNS)}")
    return tuple(_row(path, number, line) for number, line in enumerate(lines[1:], start=2) if line)


def _row(path: str | Path, number: int, line: list[str]) -> ModalRow:
    try:
        label, name, formula, color, pixels, *figures = line
        area, area_percent, weight_percent, confidence = (float(text) if text else None for text in figures)
        return ModalRow(
            int(label), name, formula, color, int(pixels), area, area_percent, weight_percent, confidence
        )
    except ValueError:
        raise FileError(path, f"line {number} is no row of a modal table") from None


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
