"""The verb that judges a model: evaluate."""

import argparse
from typing import Any

from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.map_file import check_folder, output_folder
from napari_xrf.cli.model_options import device_option, folder_option, model_argument
from napari_xrf.core.errors import InvalidInput

HELD_OUT = "held-out"
SIZE = 4000
FEWEST = 10


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``evaluate`` to the parser's verbs."""
    evaluate = verbs.add_parser(
        "evaluate",
        parents=[common, model_argument(), folder_option(required=False), device_option()],
        help="how good a model is, beside methods without learning",
    )
    evaluate.add_argument(
        "data", metavar="DATA", help=f"a file with its truth (see synthesize), or {HELD_OUT}: as in training"
    )
    evaluate.add_argument(
        "--curves", action="store_true", help="also against counts, shifts, missing energies …"
    )
    evaluate.add_argument(
        "--size", type=int, default=SIZE, metavar="N", help=f"held-out spectra (default {SIZE})"
    )
    evaluate.add_argument("--seed", type=int, default=0, help="of what is drawn (default 0)")
    evaluate.add_argument("--no-baselines", action="store_true", help="the model alone")
    evaluate.set_defaults(run=evaluate_model)


def evaluate_model(arguments: argparse.Namespace, console: Console) -> Answer:
    """Judge a model on spectra whose truth is known."""
    from napari_xrf.io.formats import existing_file
    from napari_xrf.learning.weights import read_description

    read_description(arguments.model)
    if arguments.size < FEWEST:
        raise InvalidInput(f"{arguments.size} spectra judge nothing", f"Take {FEWEST} or more")
    if arguments.data != HELD_OUT:
        existing_file(arguments.data)

    from napari_xrf.learning.evaluation.assessment import evaluate
    from napari_xrf.learning.evaluation.results import write_evaluation
    from napari_xrf.learning.model import choose_device
    from napari_xrf.learning.sources.sets import read_set
    from napari_xrf.learning.training import TEST, generator_of
    from napari_xrf.learning.weights import load_model

    if arguments.output is not None:
        check_folder(arguments.output)
    generator_of(arguments.seed, TEST)
    choose_device(arguments.device)
    model = load_model(arguments.model)
    data = None if arguments.data == HELD_OUT else read_set(arguments.data, console.progress)
    folder = None if arguments.output is None else output_folder(arguments.output)
    found = evaluate(
        model,
        data,
        size=arguments.size,
        seed=arguments.seed,
        curves=arguments.curves,
        baselines=not arguments.no_baselines,
        device=arguments.device,
        progress=console.progress,
    )
    files = () if folder is None else write_evaluation(folder, found)
    text = found.as_markdown().rstrip()
    if folder is not None:
        text += f"\n\nwritten to {folder}"
    return Answer({**found.as_json(), "files": [str(file) for file in files]}, text)
