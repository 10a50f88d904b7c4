"""Quantities as rows of a table, and as CSV."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_xrf.core.csv_cells import rows_text
from napari_xrf.io.atomic_write import write_text
from napari_xrf.maps.quantification.quantities import Quantities

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
        {
            "region": quantities.region,
            "element": entry.element,
            "weight_percent": 100 * entry.weight_fraction,
            "standard_error": 100 * entry.standard_error,
            "counting_error": 100 * entry.counting_error,
            "detection_limit": 100 * entry.detection_limit,
            "atom_percent": 100 * entry.atom_fraction,
            "oxide": entry.oxide or None,
            "oxide_percent": 100 * entry.oxide_fraction,
            "family": entry.family,
            "net_counts": entry.net_counts,
            "ug_per_cm2": quantities.mass_per_area * entry.weight_fraction,
        }
        for entry in entries
    ]


def write_quantity_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of quantities as CSV; what is not known is empty."""
    shown = (["" if is_unknown(row.get(name)) else row[name] for name in _COLUMNS] for row in rows)
    write_text(path, rows_text(_COLUMNS, shown))


def is_unknown(value: Any) -> bool:
    """Return whether a cell holds nothing: None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))
