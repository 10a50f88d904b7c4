"""Pictures of an evaluation: confusion, reliability, robustness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.io.atomic_write import replacing
from napari_xrf.learning.evaluation.curves import Curve
from napari_xrf.learning.evaluation.report import Evaluation

_DPI = 110
_INCH_PER_CLASS = 0.16


def write_figures(folder: Path, evaluation: Evaluation) -> tuple[Path, ...]:
    """Write the pictures of an evaluation as .png and return their paths.

    ``confusion.png`` for minerals, ``reliability.png`` where there are probabilities, and one
    ``against-….png`` for each curve.
    """
    written = []
    if evaluation.confusion is not None:
        written.append(_write(_confusion_figure(evaluation), folder / "confusion.png"))
    if evaluation.reliability is not None:
        written.append(_write(_reliability_figure(evaluation), folder / "reliability.png"))
    for curve in evaluation.curves:
        figure = curve_figure({evaluation.model: curve})
        written.append(_write(figure, folder / f"against-{curve.name.lower().replace(' ', '-')}.png"))
    return tuple(written)


def write_curve_comparison(folder: Path, curves: dict[str, tuple[Curve, ...]]) -> tuple[Path, ...]:
    """Write one picture per property with the curves of several models, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in dict.fromkeys(curve.name for each in curves.values() for curve in each):
        chosen = {model: curve for model, each in curves.items() for curve in each if curve.name == name}
        path = folder / f"against-{name.lower().replace(' ', '-')}.png"
        written.append(_write(curve_figure(chosen), path))
    return tuple(written)


def curve_figure(curves: dict[str, Curve]) -> Any:
    """Return a matplotlib figure of the same curve of one or several models."""
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


def _confusion_figure(evaluation: Evaluation) -> Any:
    assert evaluation.confusion is not None
    side = max(4.0, _INCH_PER_CLASS * len(evaluation.classes) + 2.5)
    figure, axes = _empty_figure(side, side)
    rows = np.maximum(evaluation.confusion.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(evaluation.confusion / rows, vmin=0, vmax=1, cmap="magma_r")
    ticks = np.arange(len(evaluation.classes))
    axes.set_xticks(ticks, evaluation.classes, rotation=90, fontsize=6)
    axes.set_yticks(ticks, evaluation.classes, fontsize=6)
    axes.set_xlabel("given")
    axes.set_ylabel("true")
    figure.colorbar(picture, ax=axes, shrink=0.6, label="part of the true class")
    return figure


def _reliability_figure(evaluation: Evaluation) -> Any:
    curve = evaluation.reliability
    assert curve is not None
    figure, axes = _empty_figure(4.2, 4.2)
    shown = curve.number > 0
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    axes.plot(curve.probability[shown], curve.frequency[shown], marker="o")
    axes.set_xlabel("probability stated")
    axes.set_ylabel("came true")
    axes.set_title(f"{evaluation.model}: error {curve.expected_error:.3f}", fontsize=9)
    axes.grid(alpha=0.3)
    return figure


def _empty_figure(width: float, height: float) -> tuple[Any, Any]:
    # A canvas of its own: no window, no state of pyplot.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _write(figure: Any, path: Path) -> Path:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")
    return path
