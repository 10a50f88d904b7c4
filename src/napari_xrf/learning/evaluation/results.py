"""What an evaluation finds: tables, curves and notes, as JSON, as text and as pictures."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.io.atomic_write import made_folder, plain, replacing, write_json, write_text
from napari_xrf.learning.evaluation.probability_calibration import ReliabilityCurve

_DIGITS = 4
_DPI = 110
_INCH_PER_CLASS = 0.16


@dataclass(frozen=True, eq=False)
class FigureTable:
    """Figures by row and column."""

    title: str  # what is compared
    # Name of the row, such as a method → name of the column → number; NaN where there is none
    rows: Mapping[str, Mapping[str, float]]

    def as_markdown(self) -> str:
        """Return the table with its title; columns are in the order in which the rows name them."""
        columns = dict.fromkeys(column for row in self.rows.values() for column in row)
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


@dataclass(frozen=True)
class RobustnessCurve:
    """One figure against one property of the spectra."""

    # name, unit: of the property: "calibration shift", "eV"
    name: str
    unit: str
    figure: str  # "accuracy", "pearson" or "r2"
    # values, scores: property and figure, point by point
    values: tuple[float, ...]
    scores: tuple[float, ...]

    def as_table(self) -> FigureTable:
        """Return the curve as a table of one row."""
        row = {f"{value:g}": score for value, score in zip(self.values, self.scores, strict=True)}
        return FigureTable(f"Against {self.name}{f' ({self.unit})' if self.unit else ''}", {self.figure: row})


@dataclass(frozen=True, eq=False, kw_only=True)
class Assessment:
    """How good a model is at its task."""

    tables: tuple[FigureTable, ...]  # the first is the one that counts: the model beside what it must beat
    reliability: ReliabilityCurve | None = None  # of the model's probabilities, or None where it gives none
    # (K + 1, K + 1) of minerals from true row to given column, or None
    confusion: NDArray[np.intp] | None = None
    classes: tuple[str, ...] = ()  # names of its rows, "unknown" last
    notes: tuple[str, ...] = ()  # what the reader should know, one sentence each


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation(Assessment):
    """How good a model is on some spectra, with all that was asked."""

    # model, task, data: names of the model and its task, and where the spectra come from
    model: str
    task: str
    data: str
    spectra: int  # how many
    curves: tuple[RobustnessCurve, ...] = field(default=())  # figures against counts and distortions

    def as_json(self) -> dict[str, Any]:
        """Return everything in numbers, texts, lists and dictionaries; what is not defined is None."""
        reliability, confusion = self.reliability, self.confusion
        found = {
            "model": self.model,
            "task": self.task,
            "data": self.data,
            "spectra": self.spectra,
            "tables": {table.title: table.rows for table in self.tables},
            "reliability": reliability
            and {
                "expected_calibration_error": reliability.expected_error,
                "probability": reliability.probability.tolist(),
                "frequency": reliability.frequency.tolist(),
                "number": reliability.number.tolist(),
            },
            "confusion": None
            if confusion is None
            else {"classes": list(self.classes), "spectra": confusion.tolist()},
            "curves": [asdict(curve) for curve in self.curves],
            "notes": list(self.notes),
        }
        return plain(found)

    def as_markdown(self) -> str:
        """Return tables, curves and notes as text."""
        parts = [f"## {self.model} on {self.data}", f"{self.spectra} spectra, task {self.task}.\n"]
        parts += [table.as_markdown() for table in self.tables]
        if self.reliability is not None:
            error = _readable(self.reliability.expected_error)
            parts.append(f"Expected calibration error of the probabilities: {error}.\n")
        parts += [curve.as_table().as_markdown() for curve in self.curves]
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes) + "\n")
        return "\n".join(parts)


def write_evaluation(folder: str | Path, evaluation: Evaluation) -> tuple[Path, ...]:
    """Write ``evaluation.json``, ``evaluation.md`` and the pictures into a folder, and return their paths.

    The pictures are ``confusion.png`` for minerals, ``reliability.png`` where there are probabilities, and
    one ``against-….png`` for each curve. Raises FileError when the folder cannot be written to.
    """
    target = made_folder(folder)
    written = [target / "evaluation.json", target / "evaluation.md"]
    write_json(written[0], evaluation.as_json())
    write_text(written[1], evaluation.as_markdown())
    if evaluation.confusion is not None:
        figure = _confusion_figure(evaluation.confusion, evaluation.classes)
        written.append(_write(figure, target / "confusion.png"))
    if evaluation.reliability is not None:
        figure = _reliability_figure(evaluation.reliability, evaluation.model)
        written.append(_write(figure, target / "reliability.png"))
    return (*written, *write_curve_comparison(target, {evaluation.model: evaluation.curves}))


def write_curve_comparison(folder: Path, curves: dict[str, tuple[RobustnessCurve, ...]]) -> tuple[Path, ...]:
    """Write one picture per property with the curves of several models, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in dict.fromkeys(curve.name for each in curves.values() for curve in each):
        chosen = {model: curve for model, each in curves.items() for curve in each if curve.name == name}
        path = folder / f"against-{name.lower().replace(' ', '-')}.png"
        written.append(_write(_curve_figure(chosen), path))
    return tuple(written)


def _curve_figure(curves: dict[str, RobustnessCurve]) -> Any:
    figure, axes = _empty_figure(5.2, 3.6)
    first = next(iter(curves.values()))
    for name, curve in curves.items():
        axes.plot(curve.values, curve.scores, marker="o", label=name)
    values = np.array(first.values)
    if (values > 0).all() and values.max() / values.min() > 30:
        axes.set_xscale("log")
    axes.set_xlabel(f"{first.name} ({first.unit})" if first.unit else first.name)
    axes.set_ylabel(first.figure)
    axes.set_ylim(top=1.01)  # markers at 1 are whole
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _confusion_figure(confusion: NDArray[np.intp], classes: tuple[str, ...]) -> Any:
    side = max(4.0, _INCH_PER_CLASS * len(classes) + 2.5)
    figure, axes = _empty_figure(side, side)
    rows = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(confusion / rows, vmin=0, vmax=1, cmap="magma_r")
    ticks = np.arange(len(classes))
    axes.set_xticks(ticks, classes, rotation=90, fontsize=6)
    axes.set_yticks(ticks, classes, fontsize=6)
    axes.set_xlabel("given")
    axes.set_ylabel("true")
    figure.colorbar(picture, ax=axes, shrink=0.6, label="part of the true class")
    return figure


def _reliability_figure(curve: ReliabilityCurve, model: str) -> Any:
    figure, axes = _empty_figure(4.2, 4.2)
    shown = curve.number > 0
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    axes.plot(curve.probability[shown], curve.frequency[shown], marker="o")
    axes.set_xlabel("probability stated")
    axes.set_ylabel("came true")
    axes.set_title(f"{model}: error {curve.expected_error:.3f}", fontsize=9)
    axes.grid(alpha=0.3)
    return figure


def _empty_figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _write(figure: Any, path: Path) -> Path:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")
    return path


def _readable(value: float) -> str:
    if math.isnan(value):
        return "–"
    if value == round(value) and abs(value) >= 1:
        return f"{value:.0f}"
    return f"{value:.{_DIGITS}f}" if abs(value) < 100 else f"{value:.4g}"
