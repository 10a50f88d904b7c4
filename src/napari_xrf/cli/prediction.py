"""The verbs that use a trained model: predict, decode and models."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xrf.cli import plans
from napari_xrf.cli.analysis import write_label_files
from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.map_file import check_output, load_map, map_file_options, output_folder
from napari_xrf.cli.model_options import device_option, model_argument
from napari_xrf.cli.names import names_of, split_names
from napari_xrf.cli.training import PAINTING_GENERATOR
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import usual_family
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.memory import parse_bytes
from napari_xrf.core.spectral_cube import SpectralCube

if TYPE_CHECKING:
    from napari_xrf.learning.description import ModelDescription
    from napari_xrf.learning.prediction.prediction import Prediction

_MOST_ROWS = 40  # of the table for people; the JSON has all


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``predict``, ``decode`` and ``models`` to the parser's verbs."""
    predict = verbs.add_parser(
        "predict",
        parents=[common, model_argument(), map_file_options(), plans.plan_options(), device_option()],
        help="any model on any map or set of spectra",
    )
    predict.add_argument(
        "--outputs", default="auto", help="presence,intensity,minerals,code,spectrum or auto"
    )
    predict.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability from which a name counts as found, 0 to 1 (default: the model's own)",
    )
    predict.add_argument(
        "--lines", action="store_true", help="of a model of lines: list each element's lines as well"
    )
    predict.set_defaults(run=write_predictions)

    decode = verbs.add_parser(
        "decode",
        parents=[common, model_argument(), map_file_options(), device_option()],
        help="a map from its code of emission lines, after changes to the code",
    )
    decode.add_argument("-o", "--output", metavar="OUT.h5", type=Path, required=True)
    for option, what in (
        ("--factors", "elements or lines turned up or down: Pb=0,Cu=2,'Fe ka1=0.5'"),
        ("--add", "what is put in, as a share of the counts: Cu=0.05"),
    ):
        decode.add_argument(option, type=_changes, default={}, metavar="NAME=VALUE,…", help=what)
    for parser in (predict, decode):
        parser.add_argument(
            "--no-calibrate", action="store_true", help="take the file's energy axis without refining it"
        )
    decode.set_defaults(run=write_decoded)

    models = verbs.add_parser("models", parents=[common], help="the shipped models and the networks")
    models.add_argument(
        "--clear-cache", action="store_true", help="remove the expected spectra that trainings have kept"
    )
    models.set_defaults(run=list_models)


def write_predictions(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write what a model says of a map as predictions.h5, and as mineral or element maps where it is one."""
    from napari_xrf.learning.weights import read_description

    # Everything the user typed is checked before the long work starts.
    plans.check_plan_options(arguments)
    plan = plans.followed_plan(arguments, "predict")
    description = read_description(arguments.model)
    threshold = arguments.threshold
    if threshold is not None and not 0 <= threshold <= 1:
        raise InvalidInput(f"a threshold lies from 0 to 1, not {threshold:g}")
    if threshold is not None and not description.names:
        raise InvalidInput(f"{description.name} names nothing", "Leave the threshold out")

    from napari_xrf.learning.model import choose_device
    from napari_xrf.learning.prediction.answers import chosen_outputs, predict, rows_of_a_batch
    from napari_xrf.learning.prediction.views import found_names
    from napari_xrf.learning.weights import find_weights, load_model

    outputs = chosen_outputs(description, names_of(arguments.outputs))
    choose_device(arguments.device)
    model, calibrate = load_model(arguments.model), not arguments.no_calibrate
    asked: dict[str, Any] = {"outputs": outputs, "calibrate": calibrate, "device": arguments.device}
    asked["progress"] = console.progress
    learned = {
        "weights": plans.file_hash(find_weights(arguments.model)),
        "outputs": outputs,
        "calibrate": calibrate,
    }
    if arguments.make_plan is not None:
        known = plans.known_map(arguments, console, None).checked()
        return plans.written_plan(arguments, known, learned, threshold=threshold)
    if plan is not None and arguments.shard is not None:
        if plan.learned != learned:
            raise InvalidInput("the plan was made for another model or other outputs", "Make it anew")
        known, rows = plans.shard_rows(arguments, console, plan, rows_of_a_batch(plan.shape[1]))
        part = None
        if known.cube.shape[0]:
            part = predict(model, known if calibrate else known.cube, first_row=rows.start, **asked)
        maps = None if part is None else _maps_of(part, known.cube, console, part.names)
        return plans.written_shard(arguments, plan, known, rows, {"prediction": part, "maps": maps})
    cube = load_map(arguments, console)
    measured = cube if plan is None or not calibrate else plan.applied(cube)
    budget = parse_bytes(arguments.memory) if arguments.memory else None
    prediction = predict(model, measured, **asked, memory_budget=budget)
    maps = _maps_of(prediction, cube, console, found_names(_with_threshold(prediction, threshold)))
    return write_prediction_files(prediction, maps, arguments.output, threshold, console, arguments.lines)


def write_prediction_files(
    prediction: Prediction,
    maps: ElementMaps | None,
    output: Path,
    threshold: float | None,
    console: Console,
    list_lines: bool = False,
) -> Answer:
    """Write a whole map's prediction, and mineral or element maps where it is one.

    ``maps`` are those of the elements found, or of all that the model knows, if it gives net counts.
    """
    from napari_xrf.learning.prediction.files import write_prediction

    description, folder = prediction.description, output_folder(output)
    prediction = _with_threshold(prediction, threshold)
    notes = prediction.notes
    if description.task == "minerals" and description.conditions:
        notes += (f"names are not checked by their lines here; minerals --method {description.name} does",)
    for note in notes:
        console.say(note)
    files = [folder / "predictions.h5"]
    write_prediction(files[0], prediction, progress=console.progress)
    outputs = [name for name in description.outputs if _given(prediction, name)]
    data: dict[str, Any] = {
        "model": description.name,
        "task": description.task,
        "outputs": outputs,
        "shape": list(prediction.map_shape),
        "notes": list(notes),
    }
    if prediction.unknown is not None:
        from napari_xrf.learning.prediction.views import label_map_of

        labels = label_map_of(prediction, 0.5 if threshold is None else threshold)
        data["classes"], label_files, text = write_label_files(labels, folder)
        files += label_files
    elif prediction.probability is not None or prediction.intensity is not None:
        data["found"] = _found(prediction, list_lines)
        text = _table_of_names(data["found"])
        if maps is not None:
            from napari_xrf import io
            from napari_xrf.learning.prediction.views import found_names

            files.append(folder / "maps.h5")
            io.write(files[-1], maps.chosen(tuple(usual_family(name) for name in found_names(prediction))))
    else:
        text = f"{', '.join(outputs)} of {prediction.source}"
    data["files"] = [str(file) for file in files]
    return Answer(data, f"{text}\nwritten to {folder}")


def _with_threshold(prediction: Prediction, threshold: float | None) -> Prediction:
    description = prediction.description
    if threshold is None or description.task == "minerals":
        return prediction
    calibration = replace(description.calibration, thresholds=(threshold,))
    return replace(prediction, description=description.with_calibration(calibration))


def _maps_of(
    prediction: Prediction, cube: SpectralCube, console: Console, names: Sequence[str]
) -> ElementMaps | None:
    """Return the maps of some of the model's elements, with errors that the counts of a cube tell."""
    if prediction.intensity is None:
        return None
    from napari_xrf.learning.prediction.element_mapping import element_maps_with_errors

    return element_maps_with_errors(prediction, cube, names, console.progress)


def _given(prediction: Prediction, output: str) -> bool:
    name = {"presence": "probability", "minerals": "probability"}.get(output, output)
    return getattr(prediction, name) is not None


def write_decoded(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write the map that a model makes of its code after changes, and list the code by element."""
    from napari_xrf import io
    from napari_xrf.learning.prediction.decoding import decode
    from napari_xrf.learning.weights import load_model

    check_output(arguments.output, (".h5", ".hdf5"))
    result = decode(
        load_model(arguments.model),
        load_map(arguments, console),
        factors=arguments.factors,
        added=arguments.add,
        calibrate=not arguments.no_calibrate,
        device=arguments.device,
        progress=console.progress,
    )
    io.write(arguments.output, result.cube, progress=console.progress)
    for note in result.notes:
        console.say(note)
    console.say(f"the code explains {max(result.explained, 0):.1%} of the variance of the sum spectrum")
    data = {"file": str(arguments.output), "code": dict(result.code), "explained": result.explained}
    data["notes"] = list(result.notes)
    rows = [(element, f"{100 * share:.2f}") for element, share in list(result.code.items())[:_MOST_ROWS]]
    return Answer(data, f"{table(('element', 'of the code %'), rows)}\nwritten to {arguments.output}")


def list_models(arguments: argparse.Namespace, console: Console) -> Answer:
    """List the shipped models, what can be trained and the networks, one line each; loads no network."""
    from napari_xrf.learning.registry import ARCHITECTURES
    from napari_xrf.learning.training_recipes import RECIPES
    from napari_xrf.learning.weights import read_description, shipped_models

    if arguments.clear_cache:
        from napari_xrf.learning.sources.instrument_bank import forget_banks

        removed = forget_banks()
        return Answer({"removed_bytes": removed}, f"removed {removed / 1e6:.0f} MB")
    shipped = [
        {**_facts(read_description(name)), "name": name, "file": str(path)}
        for name, path in shipped_models().items()
    ]
    recipes = [
        {"name": each.name, "architecture": each.architecture, "task": each.task, "summary": each.summary}
        for each in RECIPES.values()
    ]
    painting = {"name": PAINTING_GENERATOR, "architecture": PAINTING_GENERATOR, "task": "paintings"}
    recipes.append({**painting, "summary": "pigments for the colours of a painting"})
    networks = [
        {"name": each.name, "task": each.task, "outputs": list(each.outputs), "summary": each.summary}
        for each in ARCHITECTURES.values()
    ]
    lists: dict[str, tuple[list[dict[str, Any]], tuple[str, ...]]] = {
        "shipped models": (shipped, ("name", "task", "names", "summary")),
        "what train makes": (recipes, ("name", "task", "summary")),
        "networks": (networks, ("name", "task", "summary")),
    }
    parts = [
        f"{title}\n" + table(columns, [[str(entry[column]) for column in columns] for entry in entries])
        for title, (entries, columns) in lists.items()
        if entries
    ]
    return Answer({"models": shipped, "recipes": recipes, "architectures": networks}, "\n\n".join(parts))


def _changes(text: str) -> dict[str, float]:
    """Return name → number of ``"Pb=0,Fe ka1=2"``."""
    try:
        pairs = (part.split("=") for part in split_names(text))
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list such as Pb=0,Cu=2") from None


def _facts(description: ModelDescription) -> dict[str, Any]:
    from napari_xrf.learning.training_recipes import RECIPES

    axis = description.axis
    recipe = RECIPES.get(str(description.training.get("recipe", "")))
    return {
        "architecture": description.architecture,
        "task": description.task,
        "outputs": list(description.outputs),
        "names": len(description.names),
        "energy_keV": [float(axis.edges[0]), float(axis.edges[-1])],
        "counts_range": list(description.counts_range),
        "summary": recipe.summary if recipe else "",
        "validation": dict(description.training.get("validation", {})),
    }


def _found(prediction: Prediction, list_lines: bool) -> list[dict[str, Any]]:
    """Return each name that some pixels show, the most frequent first; of emission lines, their elements.

    Of an element a pixel's probability is that of its most probable line.
    """
    from napari_xrf.learning.prediction.views import element_groups, found_names

    pixels = max(int(np.count_nonzero(prediction.counts > 0)), 1)
    found = found_names(prediction)
    lines = prediction.description.task == "lines"
    groups = element_groups(found) if lines else {name: [name] for name in found}
    columns = {name: [prediction.names.index(each) for each in members] for name, members in groups.items()}
    passed, chances, counts = (dict.fromkeys(groups, 0.0) for _ in range(3))
    for band in prediction.bands():
        if prediction.probability is not None:
            told = prediction.probability[band][prediction.counts[band] > 0]
            for name, own in columns.items():
                chance = told[:, own]
                enough = (chance >= prediction.description.thresholds[own]).any(axis=1)
                passed[name] += np.count_nonzero(enough)
                chances[name] += float(chance.max(axis=1).sum(dtype=np.float64))
        if prediction.intensity is not None:
            totals = prediction.intensity[band].sum(axis=(0, 1), dtype=np.float64)
            for name, own in columns.items():
                counts[name] += float(totals[own].sum())
    rows: list[dict[str, Any]] = []
    for name, members in groups.items():
        row: dict[str, Any] = {"name": name}
        if lines and list_lines:
            row["lines"] = [member.partition(" ")[2] for member in members]
        if prediction.probability is not None:
            row["pixels"] = int(passed[name])
            row["share"] = row["pixels"] / pixels
            row["mean_probability"] = chances[name] / pixels
        if prediction.intensity is not None:
            row["net_counts"] = counts[name]
        rows.append(row)
    return sorted(rows, key=lambda row: (-row.get("share", 0.0), -row.get("net_counts", 0.0)))


def _table_of_names(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "nothing found"
    shown = {
        "lines": ("lines", " ".join),
        "share": ("of pixels %", lambda value: f"{100 * value:.2f}"),
        "mean_probability": ("mean probability", lambda value: f"{value:.3f}"),
        "net_counts": ("net counts", lambda value: f"{value:.0f}"),
    }
    columns = [key for key in shown if key in rows[0]]
    lines = [(row["name"], *(shown[key][1](row[key]) for key in columns)) for row in rows[:_MOST_ROWS]]
    text = table(("name", *(shown[key][0] for key in columns)), lines)
    return text + (f"\nand {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else "")
