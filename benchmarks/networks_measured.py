"""The column *measured* of the tables of benchmarks.networks: the same networks on what instruments recorded.

What no measured truth is at hand for says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.mineral_network import measured as judge_minerals
from benchmarks.networks_files import MeasuredSum, Tally, measured_sums, often_named
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.evaluation.line_fit import predict_sample as fit_lines
from napari_xrf.learning.evaluation.line_scores import line_subsets, score_lines
from napari_xrf.learning.evaluation.regression import score_reconstruction
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.evaluation.sampling import predict_sample
from napari_xrf.learning.model import Model
from napari_xrf.learning.rebinning import rebin_counts

NONE = "none at hand"
Cells = Mapping[str, str]  # row → what stands in the column
Column = Mapping[str, Cells | str]  # beginning of a table's title → its cells, or one for all rows


def line_column(folder: Path, models: Sequence[Model], seed: int) -> Column:
    """Return F1 of lines and elements, purity of the code and reconstruction, on the sums of measured files.

    Pairs of a spectrum and a line whose element may be there, and is not plainly seen, count neither way.
    """
    sums = measured_sums(folder)
    description = models[0].description
    sample, judged = _lines_of(sums, models[0])
    said = {model.description.name: predict_sample(model, sample.cube, every_output=True) for model in models}
    methods = {**said, "plain fit": fit_lines(description, sample, seed)}
    subsets = {"all lines": np.ones(len(description.names), dtype=bool), **line_subsets(description.names)}
    truth = sample.targets["presence"]
    column: dict[str, Cells | str] = {
        f"Presence of lines, {subset}": {
            name: f"{_f1(each, truth, judged & lines):.2f}" for name, each in methods.items()
        }
        for subset, lines in subsets.items()
    }
    column["Presence of lines, visible"] = {
        name: f"{_elements_f1(each, description.names, sums):.2f} (elements)"
        for name, each in methods.items()
    }
    named = {one.description.name for one in models if one.description.network.get("anchored", True)}
    coded = {name: each for name, each in said.items() if each.code is not None and name in named}
    column["Units of the code"] = column["What the units"] = {
        name: f"{_purity(each.given('code'), truth, judged):.2f}" for name, each in coded.items()
    }
    column["Reconstructed spectra"] = {
        name: f"R² {np.median(explained(each.given('spectrum'), sample.spectra)):.2f}"
        for name, each in coded.items()
    }
    return column


def mineral_column(folder: Path, models: Sequence[Model], _: int) -> Column:
    """Return what shipped networks say of measured spectra of one material."""
    counts = _mineral_verdicts(folder, models)
    names = [model.description.name for model in models]
    cells = {
        name: f"{row['right']:.0f} right, {row['wrong']:.0f} wrong of {_number(row)}"
        for name, row in counts.items()
        if name in names
    }
    return {"Minerals": cells, "Pixels": NONE}


def stranger_column(folder: Path, models: Sequence[Model], _: int) -> Column:
    """Return how many measured spectra of what is none of their classes shipped networks call unknown."""
    counts = _mineral_verdicts(folder, models)
    column = {}
    for model in models:
        name = model.description.name
        tubes, electrons = counts[f"{name}, tubes"], counts[f"{name}, electrons"]
        unknown = electrons["rightly unknown"] + electrons["unknown, but known to it"]
        strange = tubes["rightly unknown"] + tubes["wrong"]
        column[f"Out-of-distribution spectra, {name}"] = {
            "unseen elements": f"{tubes['rightly unknown']:.0f} of {strange:.0f} called unknown",
            "instrument sem-eds": f"{unknown:.0f} of {_number(electrons)} called unknown",
        }
    return column


def _mineral_verdicts(folder: Path, models: Sequence[Model]) -> Mapping[str, Mapping[str, float]]:
    asked = argparse.Namespace(data=folder, models=[model.description.name for model in models])
    return judge_minerals(asked, models)[0].rows


def _number(row: Mapping[str, float]) -> int:
    return round(sum(row[name] for name in ("right", "rightly unknown", "unknown, but known to it", "wrong")))


def reconstruction_cells(folder: Path, models: Sequence[Model]) -> Cells:
    """Return the R² of the measured sums by networks that reconstruct spectra, the median of the files."""
    cells = {}
    for model in models:
        sample = _on_axis(measured_sums(folder), model)
        said = predict_sample(model, sample.cube, every_output=True)
        r2 = explained(said.given("spectrum"), sample.spectra)
        deviance = score_reconstruction(said.given("spectrum"), sample.spectra)["deviance"]
        cells[model.description.name] = (
            f"R² {np.median(r2):.2f} (a quarter below {np.quantile(r2, 0.25):.2f}), deviance {deviance:.3g}"
        )
    return cells


def explained(spectrum: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return which part of each spectrum's variance over its channels a reconstruction explains, (N,)."""
    seen = np.asarray(counts, dtype=np.float64)
    left = ((seen - spectrum) ** 2).sum(axis=1)
    return np.asarray(1 - left / ((seen - seen.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))


def _lines_of(sums: Sequence[MeasuredSum], model: Model) -> tuple[Sample, NDArray[np.bool_]]:
    """Return the sums with the lines of what is seen in them, and which pairs of a sum and a line count."""
    elements = [name.split()[0] for name in model.description.names]
    present = np.array([[one in each.seen for one in elements] for each in sums])
    judged = present | np.array([[one not in each.allowed for one in elements] for each in sums])
    sample = _on_axis(sums, model)
    return Sample(sample.cube, {"presence": present.astype(np.float32)}, sample.source), judged


def _on_axis(sums: Sequence[MeasuredSum], model: Model) -> Sample:
    axis = model.description.axis
    counts: Any = np.concatenate(
        [rebin_counts(each.known.sum_spectrum[None], each.known.energy, axis) for each in sums]
    )
    return Sample(SpectralCube(counts[:, np.newaxis, :], axis, name="measured sums"), {}, "measured sums")


def _f1(said: SpectrumPredictions, truth: NDArray[Any], judged: NDArray[np.bool_]) -> float:
    return score_lines(said.given("probability"), said.given("present"), truth, judged)["f1"]


def _elements_f1(said: SpectrumPredictions, names: Sequence[str], sums: Sequence[MeasuredSum]) -> float:
    tally = Tally()
    elements = [name.split()[0] for name in names]
    for named, each in zip(said.given("present"), sums, strict=True):
        tally.add(set(often_named(elements, named.tolist())), set(each.seen), set(each.allowed))
    return tally.row["f1"]


def _purity(code: NDArray[Any], truth: NDArray[Any], judged: NDArray[np.bool_]) -> float:
    """Return which part of the code belongs to lines of what is seen, of the files' mean."""
    counted = np.where(judged, np.abs(code), 0.0)
    return float(np.mean((counted * truth).sum(axis=1) / np.maximum(counted.sum(axis=1), 1e-12)))


COLUMNS: Mapping[str, Callable[[Path, Sequence[Model], int], Column]] = {
    "lines": line_column,
    "code": line_column,
    "gem": lambda *_: {"": NONE},
    "minerals": mineral_column,
    "strangers": stranger_column,
    "features": lambda folder, models, _: {"Reconstructed spectra": reconstruction_cells(folder, models)},
    "curves": lambda *_: {"": NONE},  # no spectrum under a tube is of a class of mineral-cnn
    "speed": lambda *_: {"": NONE},  # none at hand is as large
}


def with_column(markdown: str, title: str, column: Column) -> str:
    """Return a table as text with the column *measured* at its end, where there is one for its title."""
    cells = next((cells for start, cells in column.items() if title.startswith(start)), None)
    if cells is None:
        return markdown
    lines = markdown.split("\n")
    told = iter([" measured |", "---|"])
    for number, line in enumerate(lines):
        if line.startswith("|"):
            row = line.split("|")[1].strip()
            lines[number] += next(told, f" {cells if isinstance(cells, str) else cells.get(row, '–')} |")
    return "\n".join(lines)
