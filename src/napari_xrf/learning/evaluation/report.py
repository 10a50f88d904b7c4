"""What an evaluation found: tables, curves and notes, as JSON and as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.io.atomic_write import replacing
from napari_xrf.learning.evaluation.curves import Curve
from napari_xrf.learning.evaluation.reliability import ReliabilityCurve

_DIGITS = 4


@dataclass(frozen=True, eq=False)
class Table:
    """Figures by row and column.

    Attributes
    ----------
    title
        What is compared.
    rows
        Name of the row, such as a method → name of the column → number; NaN where there is none.
    """

    title: str
    rows: Mapping[str, Mapping[str, float]]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in the order in which the rows name them."""
        return tuple(dict.fromkeys(column for row in self.rows.values() for column in row))

    def as_markdown(self) -> str:
        """Return the table with its title."""
        columns = self.columns
        lines = [
            f"### {self.title}",
            "",
            "| | " + " | ".join(columns) + " |",
            "|" + "---|" * (len(columns) + 1),
        ]
        for name, row in self.rows.items():
            cells = " | ".join(_readable(row.get(column, math.nan)) for column in columns)
            lines.append(f"| {name} | {cells} |")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, eq=False)
class Assessed:
    """What the assessment of one task found; see :class:`Evaluation`."""

    tables: tuple[Table, ...]
    reliability: ReliabilityCurve | None = None
    confusion: NDArray[np.intp] | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is on some spectra.

    Attributes
    ----------
    model, task, data
        Names of the model and its task, and where the spectra come from.
    spectra
        How many.
    tables
        The first is the one that counts: the model beside what it must beat.
    reliability
        Of the model's probabilities, or None where it gives none.
    confusion
        (K + 1, K + 1) of minerals from true row to given column, or None.
    classes
        Names of its rows, "unknown" last.
    curves
        Figures against counts and distortions.
    notes
        What the reader should know, one sentence each.
    """

    model: str
    task: str
    data: str
    spectra: int
    tables: tuple[Table, ...]
    reliability: ReliabilityCurve | None = None
    confusion: NDArray[np.intp] | None = None
    classes: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return everything in numbers, texts, lists and dictionaries; what is not defined is None."""
        reliability = self.reliability
        found = {
            "model": self.model,
            "task": self.task,
            "data": self.data,
            "spectra": self.spectra,
            "tables": {table.title: table.rows for table in self.tables},
            "reliability": None
            if reliability is None
            else {
                "expected_calibration_error": reliability.expected_error,
                "probability": reliability.probability.tolist(),
                "frequency": reliability.frequency.tolist(),
                "number": reliability.number.tolist(),
            },
            "confusion": None
            if self.confusion is None
            else {"classes": list(self.classes), "spectra": self.confusion.tolist()},
            "curves": [asdict(curve) for curve in self.curves],
            "notes": list(self.notes),
        }
        plain: dict[str, Any] = _plain(found)
        return plain

    def as_markdown(self) -> str:
        """Return tables, curves and notes as text."""
        parts = [f"## {self.model} on {self.data}", f"{self.spectra} spectra, task {self.task}.\n"]
        parts += [table.as_markdown() for table in self.tables]
        if self.reliability is not None:
            error = _readable(self.reliability.expected_error)
            parts.append(f"Expected calibration error of the probabilities: {error}.\n")
        for curve in self.curves:
            row = {f"{value:g}": score for value, score in zip(curve.values, curve.scores, strict=True)}
            unit = f" ({curve.unit})" if curve.unit else ""
            parts.append(Table(f"Against {curve.name}{unit}", {curve.figure: row}).as_markdown())
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes) + "\n")
        return "\n".join(parts)


def write_evaluation(folder: str | Path, evaluation: Evaluation) -> tuple[Path, ...]:
    """Write ``evaluation.json``, ``evaluation.md`` and the figures into a folder, and return their paths.

    Raises
    ------
    FileError
        When the folder cannot be written to.
    """
    from napari_xrf.learning.evaluation.figures import write_figures

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    texts = {
        "evaluation.json": json.dumps(evaluation.as_json(), ensure_ascii=False, indent=1) + "\n",
        "evaluation.md": evaluation.as_markdown(),
    }
    for name, text in texts.items():
        with replacing(target / name) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
    return (*(target / name for name in texts), *write_figures(target, evaluation))


def _readable(value: float) -> str:
    if math.isnan(value):
        return "–"
    if value == round(value) and abs(value) >= 1:
        return f"{value:.0f}"
    return f"{value:.{_DIGITS}f}" if abs(value) < 100 else f"{value:.4g}"


def _plain(value: Any) -> Any:
    """Return a value as JSON takes it, with None for what is not a number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
