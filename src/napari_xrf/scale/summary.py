"""What a series of maps holds, a row for each map or region, and which maps stand out of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.csv_cells import rows_text

_STANDS_OUT = 5.0  # robust standard deviations
_LEAST_ROWS = 8  # fewer tell no spread
_RELATIVE = 0.02  # of the median: maps that agree that well are alike, however precise they are
_FLOOR_PERCENT = 0.5  # where there are no errors


@dataclass(frozen=True)
class SummaryRow:
    """A map, or a region of one."""

    # file, region: which; the region is empty where the verb knows none
    file: str
    region: str
    measure: str  # what the values are: "net counts", "weight %", "area %", …
    # Element, family or mineral → value and standard error, NaN where unknown
    values: Mapping[str, tuple[float, float]]


def summary_of(file: str, data: Any) -> tuple[SummaryRow, ...]:
    """Return the rows that a verb's answer makes, whichever verb it is."""
    if isinstance(data, list):  # elements, quantify
        regions = dict.fromkeys(str(entry.get("region") or "") for entry in data)
        measure = "weight %" if any("weight_percent" in entry for entry in data) else "net counts"
        key = "weight_percent" if measure == "weight %" else "net_counts"
        return tuple(
            SummaryRow(
                file,
                region,
                measure,
                {
                    entry["element"]: (_number(entry.get(key)), _number(entry.get("standard_error")))
                    for entry in data
                    if str(entry.get("region") or "") == region
                },
            )
            for region in regions
        )
    if "classes" in data:
        shown = [row for row in data["classes"] if row.get("pixels")]
        return (SummaryRow(file, "", "area %", {row["name"]: _area(row) for row in shown}),)
    if "found" in data:
        key = "net_counts" if any("net_counts" in row for row in data["found"]) else "share"
        scale, measure = (1.0, "net counts") if key == "net_counts" else (100.0, "pixels %")
        found = {row["name"]: (scale * _number(row.get(key)), math.nan) for row in data["found"]}
        return (SummaryRow(file, "", measure, found),)
    if "net_counts" in data:
        errors = data.get("standard_errors", {})
        totals = {
            name: (_number(value), _number(errors.get(name))) for name, value in data["net_counts"].items()
        }
        return (SummaryRow(file, "", "net counts", totals),)
    counts = data.get("total_counts", data.get("counts"))
    known = {} if counts is None else {"all": (_number(counts), math.sqrt(max(_number(counts), 0.0)))}
    return (SummaryRow(file, "", "counts", known),)


def standing_out(rows: Sequence[SummaryRow]) -> list[dict[str, float]]:
    """Return, for each row, name → robust z of what stands out of the rows.

    z is the distance from the median over the rows, in units of 1.4826 times the median distance, of the
    value's own standard error and of 2 % of the median, all three together. Counts are compared as shares of
    a row's sum, so that a longer measurement does not stand out. What a row does not show is 0.
    """
    found: list[dict[str, float]] = [{} for _ in rows]
    if len(rows) < _LEAST_ROWS:
        return found
    for name in _names(rows):
        values, errors = _column(rows, name)
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        own = np.where(np.isnan(errors), _FLOOR_PERCENT, errors)
        z = (values - middle) / np.sqrt(spread**2 + own**2 + (_RELATIVE * middle) ** 2 + 1e-12)
        for row in np.flatnonzero(np.abs(z) > _STANDS_OUT):
            found[row][name] = round(float(z[row]), 1)
    return found


def summary_table(rows: Sequence[SummaryRow], failed: Mapping[str, str]) -> str:
    """Return summary.csv: a row for each map or region and one for each file that failed.

    Columns are file, region, measure, stands_out (what and by which robust z), error, and for each element or
    mineral its value and ``NAME_se``; what is not known is empty.
    """
    names = _names(rows)
    columns = [column for name in names for column in (name, f"{name}_se")]
    told = []
    for row, marks in zip(rows, standing_out(rows), strict=True):
        cells = [text for name in names for text in map(_cell, row.values.get(name, (math.nan, math.nan)))]
        told.append([row.file, row.region, row.measure, marks_text(marks), "", *cells])
    told += [[file, "", "", "", error, *([""] * len(columns))] for file, error in failed.items()]
    return rows_text(["file", "region", "measure", "stands_out", "error", *columns], told)


def marks_text(marks: Mapping[str, float]) -> str:
    """Return what stands out in words, the farthest first."""
    ordered = sorted(marks.items(), key=lambda mark: -abs(mark[1]))
    return "; ".join(f"{name} {z:+.1f}" for name, z in ordered)


def _area(row: Mapping[str, Any]) -> tuple[float, float]:
    """Return the area of a class in percent, and the part of it that is expected to be something else."""
    area, confidence = _number(row.get("area_percent")), _number(row.get("mean_confidence"))
    return area, area * (1 - confidence)


def _names(rows: Sequence[SummaryRow]) -> list[str]:
    return sorted({name for row in rows for name in row.values})


def _column(rows: Sequence[SummaryRow], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the values and errors, (N,), of a name in percent."""
    values, errors = np.zeros(len(rows)), np.full(len(rows), np.nan)
    for index, row in enumerate(rows):
        value, error = row.values.get(name, (0.0, math.nan))
        whole = sum(max(each, 0.0) for each, _ in row.values.values() if math.isfinite(each))
        scale = 100 / whole if "counts" in row.measure and len(row.values) > 1 and whole > 0 else 1.0
        values[index] = scale * value if math.isfinite(value) else 0.0
        errors[index] = scale * error
    return values, errors


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _cell(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else ""
