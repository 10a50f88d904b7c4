"""The tables of docs/networks.md, one command each, from the root of the repository.

    python -m benchmarks.networks lines      lines of the published generator's kind
    python -m benchmarks.networks gem        element mixtures on a GEM: LT-ViT, ViT, CNN, plain fit
    python -m benchmarks.networks minerals   minerals at 1 000 and 10 000 counts, own simulator and fisx
    python -m benchmarks.networks strangers  out-of-distribution spectra: AUROC of each kind
    python -m benchmarks.networks code       what the units of the line autoencoder mean
    python -m benchmarks.networks curves     figures against counts, calibration, resolution, Bragg peaks
    python -m benchmarks.networks features   spectra that pca and vae reconstruct
    python -m benchmarks.networks files      elements found in measured files
    python -m benchmarks.networks speed      time and memory of a map of 500 × 500 × 4096

Each writes ``NAME.json`` and ``NAME.md`` (and pictures of curves) into a folder, prints the tables, and with
``--document`` puts the short ones between ``<!-- NAME -->`` and ``<!-- end NAME -->`` of a page. Their last
column, *measured*, is of spectra that instruments recorded (benchmarks/networks_measured.py). Models are
shipped names or weights files; ``--models`` names others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.gem_attainable import attainable_rows
from benchmarks.networks_files import measured_file_tables
from benchmarks.networks_measured import COLUMNS, Column, with_column
from benchmarks.networks_speed import speed_table

from napari_xrf.core.errors import XrfError
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.learning.evaluation.assessment import evaluate
from napari_xrf.learning.evaluation.class_scores import score_classes
from napari_xrf.learning.evaluation.mineral_fit import classify_by_likelihood
from napari_xrf.learning.evaluation.monosemanticity import measure_monosemanticity
from napari_xrf.learning.evaluation.out_of_distribution import (
    out_of_distribution_spectra,
    score_out_of_distribution,
)
from napari_xrf.learning.evaluation.presence_scores import rank_area
from napari_xrf.learning.evaluation.results import Evaluation, FigureTable, write_curve_comparison
from napari_xrf.learning.evaluation.robustness import robustness_curves
from napari_xrf.learning.evaluation.sampling import draw_sample, predict_sample, source_of
from napari_xrf.learning.model import Model
from napari_xrf.learning.sources.sets import SpectrumSet, read_set
from napari_xrf.learning.training_recipes import training_recipe
from napari_xrf.learning.weights import load_model
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.synthesis.distortions import Distortions, typical_distortions
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.recipes import make_minerals

_MINERAL_COUNTS = (1000, 10_000)
_MAP_SHAPE = (80, 80)
# What "Privileged bases" and the transformers' poster report on their own data.
_PUBLISHED_LINES = {
    "pearson": 0.76, "sensitivity": 0.65, "specificity": 0.99, "guess ratio": 0.95, "precision": 0.92,
}  # fmt: skip
_PUBLISHED_GEM = {"LT-ViT": 0.8409, "ViT": 0.8353, "CNN": 0.7779}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument("--models", nargs="*", help="shipped names or weights files, in place of the usual")
    parser.add_argument("--size", type=int, help="test spectra, or rows and columns of the map")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sets", type=Path, help="folder that keeps the test sets for the next time")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of measured files")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/figures-networks"))
    parser.add_argument("--document", type=Path, help="a page that takes the tables, as docs/networks.md")
    parser.add_argument(
        "--place", help="name of the tables' place and files, where it is not that of the table"
    )
    options = parser.parse_args()
    make, models = TABLES[options.table]
    place = options.place or options.table
    try:
        with tempfile.TemporaryDirectory() as temporary:
            options.sets = options.sets or Path(temporary)
            chosen = load_models(options.models or models)
            tables = make(options, chosen)
            measured = COLUMNS.get(options.table, lambda *_: {})(options.data, chosen, options.seed)
    except XrfError as error:
        sys.exit(str(error))
    write_tables(options.output, place, tables, measured)
    if options.document is not None:
        fill_page(options.document, place, tables, measured)


def load_models(names: Sequence[str]) -> list[Model]:
    """Return models by name or file; those of one name are told apart by their files."""
    models = [load_model(name) for name in names]
    told = [model.description.name for model in models]
    return [
        model
        if told.count(model.description.name) == 1
        else model.with_description(
            replace(model.description, name=f"{model.description.name} of {Path(name).name}")
        )
        for name, model in zip(names, models, strict=True)
    ]


def write_tables(folder: Path, name: str, tables: Sequence[FigureTable], measured: Column) -> None:
    """Write tables as JSON and text, and print them."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = {
        table.title: {
            row: {key: _number(each) for key, each in cells.items()} for row, cells in table.rows.items()
        }
        for table in tables
    }
    (folder / f"{name}.json").write_text(json.dumps(stored, ensure_ascii=False, indent=1) + "\n")
    text = f"`{_command()}`\n\n"
    text += "\n".join(with_column(table.as_markdown(), table.title, measured) for table in tables)
    (folder / f"{name}.md").write_text(text)
    print(text)


def fill_page(page: Path, name: str, tables: Sequence[FigureTable], measured: Column) -> None:
    """Put tables into a page, without the long ones of single classes, elements and files."""
    text = page.read_text()
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end {name} -->")
    if not (start and end):
        sys.exit(f"{page} has no place for {name}")
    short = [
        with_column(table.as_markdown(), table.title, measured)
        for table in tables
        if not table.title.startswith("Each")
    ]
    command = f"`{_command()}`\n\n"
    page.write_text(before + start + "\n" + command + "\n".join(short) + "\n" + end + after)


def lines(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    size = options.size or 3000
    data = independent_set("layers_set", options, size)
    tables = merged([evaluate(model, data, baselines=model is models[0]) for model in models])
    first = replace(tables[0], rows={**tables[0].rows, "published (on its own data)": _PUBLISHED_LINES})
    return [first, *tables[1:]]


def gem(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    size = options.size or 3000
    data = independent_set("gem_set", options, size)
    attainable = attainable_rows(_set_path("gem_set", options, size))
    tables = merged([evaluate(model, data, baselines=model is models[0]) for model in models])
    tables = [
        replace(table, rows={**table.rows, "attainable (fit told all distortions)": attainable[table.title]})
        if table.title in attainable
        else table
        for table in tables
    ]
    own = merged(
        [evaluate(model, size=size, seed=options.seed, baselines=model is models[0]) for model in models]
    )
    published = {f"published {name} (on its own data)": {"r2": r2} for name, r2 in _PUBLISHED_GEM.items()}
    tables[0] = replace(tables[0], rows={**tables[0].rows, **published})
    return [
        *(replace(table, title=f"{table.title}, other code's spectra") for table in tables),
        *(replace(table, title=f"{table.title}, own simulator's spectra") for table in own),
    ]


def minerals(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    size = options.size or 2000
    description = models[0].description
    names = [name for each in description.names for name in each.split(" / ")]
    library = load_instrument(_option(models[0], "instrument", "m4-tornado"))
    tables = []
    for counts in _MINERAL_COUNTS:
        data = independent_set(
            "minerals_set",
            options,
            size,
            "--minerals",
            ",".join(names),
            "--counts",
            str(counts),
            "--mixed-share",
            "0",
        )
        found = [evaluate(model, data, baselines=model is models[0]) for model in models]
        tables += [
            replace(table, title=f"{table.title}, fisx, {counts} counts")
            for table in merged(found)
            if table.title in ("Minerals", "Each class")
        ]
        tables.append(_own_minerals(models, counts, size, options.seed, excitation_of(library)))
        for kind, distortions in (("a distorted map", typical_distortions()), ("an ideal map", None)):
            data = mineral_map(models[0], names, counts, options.seed, distortions)
            tables += [
                replace(table, title=f"{table.title}, {kind}, {counts} counts")
                for table in merged([evaluate(model, data, baselines=model is models[0]) for model in models])
                if table.title == "Pixels of the map"
            ]
    return [
        *(table for table in tables if not table.title.startswith("Each")),
        *(table for table in tables if table.title.startswith("Each")),
    ]


def _own_minerals(models: list[Model], counts: int, size: int, seed: int, excitation: Any) -> FigureTable:
    """Own simulator's spectra with the training's distortions, at one number of counts, without strangers."""
    rows: dict[str, dict[str, float]] = {}
    for model in models:
        description = model.description
        source = source_of(description, counts_range=[counts, counts], stranger_share=0.0, mixed_share=0.0)
        sample = draw_sample(source, size, seed)
        label = sample.targets["label"]
        said = predict_sample(model, sample.cube)
        rows[description.name] = score_classes(said.classes, label, len(description.names)).as_row()
        rows[f"{description.name}, never unknown"] = {
            "accuracy": score_classes(said.best, label, len(description.names)).accuracy
        }
        if model is models[0]:
            given, _ = classify_by_likelihood(
                sample.spectra, sample.cube.energy, excitation, description.names
            )
            rows["likelihood"] = score_classes(given, label, len(description.names)).as_row()
    return FigureTable(f"Minerals, own simulator, {counts} counts", rows)


def strangers(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    size = options.size or 2000
    tables = []
    for model in models:
        rows = score_out_of_distribution(model, size=size, seed=options.seed)
        if model.description.task == "minerals":
            for kind, area in _likelihood_areas(model, size, options.seed).items():
                rows[kind]["auroc, likelihood"] = area
        tables.append(FigureTable(f"Out-of-distribution spectra, {model.description.name}", rows))
    return tables


def _likelihood_areas(model: Model, size: int, seed: int) -> dict[str, float]:
    """AUROC of the likelihood classifier's misfit on the same spectra."""
    description = model.description
    excitation = excitation_of(load_instrument(_option(model, "instrument", "m4-tornado")))
    familiar, kinds = out_of_distribution_spectra(description, size, seed)
    areas = {}
    for kind, counts in kinds.items():
        both = np.concatenate([familiar, counts])
        _, misfit = classify_by_likelihood(both, description.axis, excitation, description.names)
        areas[kind] = rank_area(np.nan_to_num(misfit, posinf=1e30), np.arange(len(both)) >= len(familiar))
    return areas


def code(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    size = options.size or 6000
    sample = draw_sample(source_of(models[0].description), size, options.seed)
    rows = {}
    for model in models:
        said = predict_sample(model, sample.cube, every_output=True)
        named = bool(model.description.network.get("anchored", True))
        units = measure_monosemanticity(
            said.code, sample.targets["presence"], sample.targets["visible"], named=named
        )
        rows[model.description.name + ("" if named else " (each unit's best line)")] = units.as_row()
    return [FigureTable("What the units of the code mean", rows)]


def curves(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    found = {
        model.description.name: robustness_curves(
            model, size=options.size or 1000, seed=options.seed, options=_recipe_spectra(model)
        )
        for model in models
    }
    write_curve_comparison(options.output / (options.place or ""), found)
    tables = []
    for name in dict.fromkeys(curve.name for each in found.values() for curve in each):
        rows, unit = {}, ""
        for model, each in found.items():
            for curve in each:
                if curve.name == name:
                    points = zip(curve.values, curve.scores, strict=True)
                    rows[f"{curve.figure}, {model}"] = {f"{value:g}": score for value, score in points}
                    unit = curve.unit
        tables.append(FigureTable(f"Against {name}" + (f" ({unit})" if unit else ""), rows))
    return tables


def _recipe_spectra(model: Model) -> Mapping[str, Any]:
    """Return the recipe's own spectra: a model of ideal ones is judged on distorted ones, too."""
    return training_recipe(str(model.description.training["recipe"])).source.options


def features(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    size = options.size or 4000
    return merged([evaluate(model, size=size, seed=options.seed) for model in models])


def files(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    return measured_file_tables(options.data, models)


def speed(options: argparse.Namespace, models: list[Model]) -> list[FigureTable]:
    return [speed_table([model.description.name for model in models], options.models, options.size or 500)]


def independent_set(name: str, options: argparse.Namespace, size: int, *more: str) -> SpectrumSet:
    """Return a test set that benchmarks/independent makes, from the folder of sets if it is there."""
    path = _set_path(name, options, size, *more)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"benchmarks.independent.{name}", "--size", str(size)]
        subprocess.run([*command, "--seed", str(options.seed), *more, "-o", str(path)], check=True)
    found = _in_memory(read_set(path))
    return replace(found, source=f"{name} of benchmarks/independent, seed {options.seed}")


def _set_path(name: str, options: argparse.Namespace, size: int, *more: str) -> Path:
    # Other minerals make another set.
    tag = f"-{zlib.crc32(' '.join(more).encode()):08x}" if more else ""
    folder: Path = options.sets
    return folder / f"{name}-{size}-{options.seed}{tag}.h5"


def _in_memory(found: SpectrumSet) -> SpectrumSet:
    """Return a set that needs its file no longer."""
    return replace(found, cube=replace(found.cube, counts=np.asarray(found.cube.counts)))


def mineral_map(
    model: Model, names: Sequence[str], counts: int, seed: int, distortions: Distortions | None
) -> SpectrumSet:
    """Return a map of a model's minerals: one calibration for all pixels, as an instrument has."""
    made = make_minerals(
        list(names),
        seed=seed,
        instrument=_option(model, "instrument", "m4-tornado"),
        parameters=MapParameters(shape=_MAP_SHAPE, counts_per_pixel=float(counts)),
        distortions=distortions,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.h5"
        write_cube(path, made.cube, truth=made.truth)
        return replace(_in_memory(read_set(path)), source="a map")


def merged(found: Sequence[Evaluation]) -> list[FigureTable]:
    """Return tables with the rows of several models under each title, speed aside."""
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for each in found:
        for table in each.tables:
            target = rows.setdefault(table.title, {})
            for name, cells in table.rows.items():
                target[name] = {**target.get(name, {}), **cells}
    return [FigureTable(title, own) for title, own in rows.items() if not title.startswith("Speed")]


def _option(model: Model, name: str, default: str) -> str:
    return str(model.description.training["source"]["options"].get(name, default))


def _command() -> str:
    """Return the command that was given, without the places that it writes to."""
    words, kept = iter(sys.argv[1:]), []
    for word in words:
        if word in ("--document", "--sets", "-o", "--output"):
            next(words, None)
        else:
            kept.append(word)
    return f"python -m benchmarks.networks {' '.join(kept)}"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


Make = Callable[[argparse.Namespace, list[Model]], list[FigureTable]]
TABLES: dict[str, tuple[Make, tuple[str, ...]]] = {
    "lines": (lines, ("line-mlp", "line-autoencoder")),
    "gem": (gem, ("lt-vit", "vit", "maxrf-cnn-gem")),
    "minerals": (minerals, ("mineral-cnn", "mineral-cnn-attention", "mineral-cnn-bilstm")),
    "strangers": (strangers, ("mineral-cnn",)),
    "code": (code, ("line-autoencoder",)),
    "curves": (curves, ("mineral-cnn",)),
    "features": (features, ("pca", "vae")),
    "files": (files, ("element-mlp", "maxrf-cnn", "line-mlp", "line-autoencoder")),
    "speed": (speed, ("mineral-cnn", "line-mlp", "lt-vit")),
}

if __name__ == "__main__":
    main()
