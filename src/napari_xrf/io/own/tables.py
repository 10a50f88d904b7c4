"""Tables as CSV (UTF-8, LF)."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.core.csv_cells import rows_text
from napari_xrf.io.atomic_write import write_text


def write_rows(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows; numbers have six digits, None and NaN are empty."""
    shown = ([_SHOWN.get(type(value), _text)(value) for value in row] for row in rows)
    write_text(Path(path), rows_text(header, shown))


def _text(value: Any) -> Any:
    if value is None:
        return ""
    return _number(float(value)) if isinstance(value, float | np.floating) else value


def _number(value: float) -> str:
    return "" if value != value else f"{value:.6g}"  # NaN alone differs from itself


_SHOWN: dict[type, Callable[[Any], Any]] = {float: _number, int: str, str: str, bool: int}
