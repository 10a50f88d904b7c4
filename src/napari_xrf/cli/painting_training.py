"""``train painting-generator``: its training has a loop and options of its own."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.map_file import output_folder
from napari_xrf.core.errors import InvalidInput

if TYPE_CHECKING:
    from napari_xrf.learning.training_loop import TrainingStep

NAME = "painting-generator"


def train_painting(arguments: argparse.Namespace, settings: dict[str, Any], console: Console) -> Answer:
    """Train a painting generator and write its weights, losses and model card.

    There are no checkpoints in these few minutes: with ``--resume`` a finished training of the same seed and
    options in the folder stands, and any other begins anew.

    Parameters
    ----------
    settings
        Options of the training or of the network, from ``--set``.

    Raises
    ------
    InvalidInput
        For an unknown option, one that it does not have, or a value out of range.
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
    folder = output_folder(arguments.output)

    from napari_xrf.learning.painting.files import is_finished, training_files, write_painting_training
    from napari_xrf.learning.painting.training import painting_options, train_painting_generator

    training, network = painting_options(settings)
    if arguments.resume and is_finished(folder, training, network, arguments.seed):
        kept = training_files(folder)
        data = {"files": [str(file) for file in kept], "model": NAME, "seed": arguments.seed}
        return Answer(data, f"{NAME}: already trained\nin {folder}")
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
        "model": NAME,
        "seed": arguments.seed,
        "processor_seconds": generator.training["processor_seconds"],
    }
    return Answer(data, f"{NAME}: trained\nwritten to {folder}")
