"""The verbs that make models: train, tune and adapt."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.map_file import check_folder, load_map, map_file_options, output_folder
from napari_xrf.cli.model_options import device_option, folder_option, model_argument
from napari_xrf.cli.recipe_options import add_recipe_options, recipe_from, settings_of
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.extras import check_networks
from napari_xrf.io.atomic_write import held_folder

if TYPE_CHECKING:
    from napari_xrf.learning.training import Epoch
    from napari_xrf.learning.training_loop import TrainingStep
    from napari_xrf.learning.training_recipes import TrainingRecipe
    from napari_xrf.learning.tuning.trials import TrialReport

PAINTING_GENERATOR = "painting-generator"
TRIALS = 30


def add_verbs(verbs: Any, common: argparse.ArgumentParser, verb: str = "") -> None:
    """Add ``train``, ``tune`` and ``adapt``; the options of a training only for the verb that is given."""
    parents = [common, folder_option(), device_option(), _seed_option()]
    train = verbs.add_parser("train", parents=parents, help="trains a network")
    train.set_defaults(run=train_model)
    tune = verbs.add_parser("tune", parents=parents, help="searches for better options of a training")
    tune.set_defaults(run=tune_model)
    for parser, name in ((train, "train"), (tune, "tune")):
        parser.add_argument("model", metavar="MODEL", help="what to train (see models)")
        if verb == name:
            add_recipe_options(parser)
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    train.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="with --regions: K trainings, each judged on a part of the pixels that the others learn from",
    )
    tune.add_argument("--trials", type=int, default=TRIALS, help=f"in all (default {TRIALS})")
    tune.add_argument("--timeout", type=float, metavar="S", help="seconds after which no trial starts")
    tune.add_argument("--figure", default="loss", help="loss (default) or a validation figure to make best")

    of_model = [
        common,
        model_argument(),
        map_file_options(),
        folder_option(),
        device_option(),
        _seed_option(),
    ]
    adapt = verbs.add_parser("adapt", parents=of_model, help="fits a model to an unlabelled map")
    if verb == "adapt":
        from napari_xrf.cli.parameter_options import add_parameter_options
        from napari_xrf.learning.adaptation.options import AdaptationOptions

        add_parameter_options(adapt, AdaptationOptions, note="with their defaults")
    adapt.set_defaults(run=adapt_model)


def train_model(arguments: argparse.Namespace, console: Console) -> Answer:
    """Train a network and write its weights, checkpoint, metrics and model card."""
    if arguments.model == PAINTING_GENERATOR:
        return train_painting(arguments, settings_of(arguments), console)
    recipe = recipe_from(arguments)
    _check(recipe, arguments)
    folder = output_folder(arguments.output)

    from napari_xrf.learning.training import train

    teller = _EpochTeller(console)
    options = {"seed": arguments.seed, "folder": folder, "resume": arguments.resume}
    options |= {"device": arguments.device, "progress": teller.progress, "on_epoch": teller.tell}
    if arguments.folds is not None:
        return _trained_in_folds(recipe, arguments.folds, folder, options)
    description = train(recipe, **options).description
    training, figures = description.training, dict(description.training.get("validation", {}))
    names = ("model.safetensors", "checkpoint.safetensors", "metrics.json", "model-card.md")
    data = {
        "files": [str(folder / name) for name in names if (folder / name).is_file()],
        "model": description.name,
        "architecture": description.architecture,
        "seed": arguments.seed,
        **{name: training.get(name) for name in ("epochs", "best_epoch", "seconds")},
        "validation": figures,
        "names": len(description.names),
    }
    return Answer(data, f"{description.name}: {_told(figures) or 'trained'}\nwritten to {folder}")


def _trained_in_folds(recipe: TrainingRecipe, folds: int, folder: Path, options: dict[str, Any]) -> Answer:
    from napari_xrf.io.atomic_write import write_json
    from napari_xrf.learning.evaluation.cross_validation import cross_validate

    found = cross_validate(recipe, folds, **options)
    write_json(folder / "folds.json", asdict(found))
    files = [folder / "folds.json"]
    files += [folder / f"part-{number}" / "model.safetensors" for number in range(1, folds + 1)]
    data = {"files": [str(file) for file in files], "model": recipe.name, **asdict(found)}
    return Answer(data, f"{found.as_table().as_markdown()}\nwritten to {folder}")


def train_painting(arguments: argparse.Namespace, settings: dict[str, Any], console: Console) -> Answer:
    """Train a painting generator and write its weights, losses and model card.

    There are no checkpoints in these few minutes: with ``--resume`` a finished training of the same seed and
    options in the folder stands, and any other begins anew.
    """
    from napari_xrf.learning.training_recipes import TrainingOptions
    from napari_xrf.synthesis.recipes import seeded

    seeded(arguments.seed)
    other = [each.name for each in fields(TrainingOptions) if getattr(arguments, each.name, None) is not None]
    others = ("preprocessing", "instrument", "library", "distortions", "regions", "map", "mix")
    other += [name for name in others if getattr(arguments, name, None)]
    if other:
        raise InvalidInput(
            f"the painting generator has no --{other[0].replace('_', '-')}", "Its options go with --set"
        )
    if arguments.device not in ("auto", "cpu"):
        raise InvalidInput("the painting generator is trained on the CPU", "Leave out --device")
    check_networks()
    with held_folder(arguments.output, "training") as folder:
        return _trained_painting(folder, arguments, settings, console)


def _trained_painting(
    folder: Path, arguments: argparse.Namespace, settings: dict[str, Any], console: Console
) -> Answer:
    from napari_xrf.learning.painting.files import is_finished, training_files, write_painting_training
    from napari_xrf.learning.painting.training import painting_options, train_painting_generator

    training, network = painting_options(settings)
    if arguments.resume and is_finished(folder, training, network, arguments.seed):
        kept = training_files(folder)
        data = {"files": [str(file) for file in kept], "model": PAINTING_GENERATOR, "seed": arguments.seed}
        return Answer(data, f"{PAINTING_GENERATOR}: already trained\nin {folder}")
    steps: list[TrainingStep] = []

    def tell(step: TrainingStep) -> None:
        steps.append(step)
        if step.number == step.total or len(steps) % 10 == 0:
            losses = ", ".join(f"{name} {value:.4g}" for name, value in step.losses.items())
            console.say(f"{step.phase} network, step {step.number} of {step.total}: {losses}")

    generator = train_painting_generator(
        training, network, seed=arguments.seed, progress=console.progress, on_step=tell
    )
    files = write_painting_training(folder, generator, steps)
    data = {
        "files": [str(file) for file in files],
        "model": PAINTING_GENERATOR,
        "seed": arguments.seed,
        "processor_seconds": generator.training["processor_seconds"],
    }
    return Answer(data, f"{PAINTING_GENERATOR}: trained\nwritten to {folder}")


def tune_model(arguments: argparse.Namespace, console: Console) -> Answer:
    """Search for better options of a training; the study stays in the folder and goes on in a next call."""
    recipe = recipe_from(arguments)
    _check(recipe, arguments)
    if arguments.timeout is not None and not arguments.timeout > 0:
        raise InvalidInput(f"the timeout must be above 0 s, not {arguments.timeout:g}")
    if arguments.trials < 1:
        raise InvalidInput(f"a search needs at least 1 trial, not {arguments.trials}")
    folder = output_folder(arguments.output)

    from napari_xrf.learning.tuning.search import tune

    def tell(report: TrialReport) -> None:
        value = "no value" if report.value is None else f"{report.value:.5g}"
        best = "" if report.best is None else f", best so far {report.best:.5g}"
        console.say(f"trial {report.number}: {report.state}, {arguments.figure} {value}{best}")

    result = tune(
        recipe,
        folder,
        trials=arguments.trials,
        timeout=arguments.timeout,
        seed=arguments.seed,
        figure=arguments.figure,
        device=arguments.device,
        progress=console.progress,
        on_trial=tell,
    )
    data = {
        "files": [str(folder / name) for name in ("study.sqlite3", "best.json", "trials.csv")],
        "model": recipe.name,
        "trials": len(result.trials),
        "figure": result.figure,
        "value": result.value,
        "value_of_the_recipe": result.default,
        "best": {part: dict(values) for part, values in result.values.items()},
        "importance": dict(result.importance),
    }
    rows = result.table()
    text = table(list(rows[0]), [[_shown(value) for value in row.values()] for row in rows]) if rows else ""
    return Answer(data, f"{text}\nwritten to {folder}".strip())


def adapt_model(arguments: argparse.Namespace, console: Console) -> Answer:
    """Adapt a model to a map without labels, and say whether it got better."""
    from napari_xrf.learning.weights import read_description

    check_folder(arguments.output)
    description = read_description(arguments.model)
    _check_seed(arguments.seed)

    from napari_xrf.cli.parameter_options import parameters_from
    from napari_xrf.learning.adaptation.adaptation import adapt
    from napari_xrf.learning.adaptation.figures import judged_on
    from napari_xrf.learning.adaptation.options import AdaptationOptions
    from napari_xrf.learning.model import choose_device
    from napari_xrf.learning.weights import load_model

    options = parameters_from(arguments, AdaptationOptions)
    choose_device(arguments.device)
    if description.task == "spectra":
        raise InvalidInput(
            f"{description.name} decides nothing that could be adapted", "Choose another model"
        )
    model = load_model(arguments.model)
    cube = load_map(arguments, console)
    folder = output_folder(arguments.output)
    result = adapt(
        model,
        cube,
        folder,
        seed=arguments.seed,
        options=options,
        device=arguments.device,
        progress=console.progress,
    )
    files = [str(folder / name) for name in ("model.safetensors", "adaptation.json")]
    before, after = asdict(result.before), asdict(result.after)
    held = result.figures
    changes = [(f"{name} on {judged_on(name)}", held[name].before, held[name].after) for name in held]
    changes += [(f"{name} on the map", before[name], after[name]) for name in before]
    rows = [(name.replace("_", " "), f"{old:.4f}", f"{new:.4f}") for name, old, new in changes]
    kept = "the adapted weights are kept" if result.kept else "the original weights are kept"
    text = [table(("", "before", "after"), rows), *result.notes, kept, f"written to {folder}"]
    return Answer({"files": files, **result.as_json()}, "\n".join(text))


def _check(recipe: TrainingRecipe, arguments: argparse.Namespace) -> None:
    """Refuse what cannot be before anything is computed."""
    _check_seed(arguments.seed)

    from napari_xrf.learning.model import choose_device
    from napari_xrf.learning.registry import network_options

    network_options(recipe.architecture, dict(recipe.network))
    choose_device(arguments.device)


def _check_seed(seed: int) -> None:
    from napari_xrf.learning.training import VALIDATION, generator_of

    generator_of(seed, VALIDATION)


class _EpochTeller:
    """Shows how a training goes: a line for each epoch, and the progress between them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def progress(self, done: int, total: int, what: str) -> None:
        """Show progress with the last epoch's losses and the time left."""
        self._console.progress(done, total, what + self._last)

    def tell(self, epoch: Epoch) -> None:
        """Tell of an epoch that has ended."""
        losses = f"loss {epoch.training_loss:.4g}, validation {epoch.validation_loss:.4g}"
        left = f"{_duration(epoch.seconds_left)} left" if epoch.number < epoch.total else ""
        self._last = f" ({', '.join(filter(None, (losses, left)))})"
        told = ", ".join(filter(None, (losses, _told(epoch.figures), left)))
        self._console.say(f"epoch {epoch.number} of {epoch.total}: {told}")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _told(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items())


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _seed_option() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--seed", type=int, default=0, help="the same seed gives the same result (default 0)")
    return parent
