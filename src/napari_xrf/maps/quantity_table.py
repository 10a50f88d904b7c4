"""Quantities as rows of a table, and as CSV."""

from __future__ import annotations

import io as text_io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_xrf.core.csv_cells import CsvTable
from napari_xrf.io.atomic_write import write_text
from napari_xrf.maps.quantities import Quantities

_COLUMNS = (
    "region",
    "element",
    "weight_percent",
    "standard_error",
    "counting_error",
    "detection_limit",
    "atom_percent",
    "oxide",
    "oxide_percent",
    "family",
    "net_counts",
    "ug_per_cm2",
)


def quantity_rows(quantities: Quantities) -> list[dict[str, Any]]:
    """Return a composition as rows of the columns of quantities.csv, by falling weight."""
    entries = sorted(quantities.entries, key=lambda entry: -entry.weight_fraction)
    return [
        dict(
            zip(
                _COLUMNS,
                (
                    quantities.region,
                    entry.element,
                    100 * entry.weight_fraction,
                    100 * entry.standard_error,
                    100 * entry.counting_error,
                    100 * entry.detection_limit,
                    100 * entry.atom_fraction,
                    entry.oxide or None,
                    100 * entry.oxide_fraction,
                    entry.family,
                    entry.net_counts,
                    quantities.mass_per_area * entry.weight_fraction,
                ),
                strict=True,
            )
        )
        for entry in entries
    ]


def write_quantity_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of quantities as CSV; what is not known is empty."""
    buffer = text_io.StringIO()
    table = CsvTable(buffer)
    table.writerow(_COLUMNS)
    table.writerows(["" if is_unknown(row.get(name)) else row[name] for name in _COLUMNS] for row in rows)
    write_text(path, buffer.getvalue())


def is_unknown(value: Any) -> bool:
    """Return whether a cell holds nothing: None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))
