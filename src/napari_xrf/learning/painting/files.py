"""What a training of the painting generator leaves in its folder: weights, losses and the model card."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from napari_xrf.io.atomic_write import write_json, write_text
from napari_xrf.learning.model_card import facts_of_training, table_of
from napari_xrf.learning.painting.generator import (
    PaintingGenerator,
    load_painting_generator,
    save_painting_generator,
)
from napari_xrf.learning.painting.network import Options
from napari_xrf.learning.painting.options import PaintingTraining
from napari_xrf.learning.training_loop import TrainingStep


def write_painting_training(
    folder: Path, generator: PaintingGenerator, steps: Sequence[TrainingStep]
) -> tuple[Path, ...]:
    """Write ``model.safetensors``, ``metrics.json`` and ``model-card.md``; returns their paths."""
    weights, metrics, card = training_files(folder)
    save_painting_generator(weights, generator)
    write_json(metrics, [asdict(step) for step in steps])
    write_text(card, _card(generator))
    return weights, metrics, card


def training_files(folder: Path) -> tuple[Path, Path, Path]:
    """Return the files of a training: weights, losses and model card."""
    return folder / "model.safetensors", folder / "metrics.json", folder / "model-card.md"


def is_finished(folder: Path, training: PaintingTraining, network: Options, seed: int) -> bool:
    """Tell whether a folder holds the generator that a training would make.

    Raises FileError when the weights there are damaged, or of something else.
    """
    files = training_files(folder)
    if not all(file.is_file() for file in files):
        return False
    found = load_painting_generator(files[0])
    wanted = json.loads(json.dumps(asdict(training)))
    return found.network.options == network and (found.training["seed"], found.training["options"]) == (
        seed,
        wanted,
    )


def _card(generator: PaintingGenerator) -> str:
    training = generator.training
    facts = {
        "network": f"`{json.dumps(asdict(generator.network.options))}`",
        "numbers": f"{sum(value.numel() for value in generator.network.parameters())}",
        "input": "a colour, and a palette of pigments: colours and spectra on any energy axis",
        "output": "each pigment's share by mass, and by counts",
        "recipe": f"`napari-xrf train painting-generator --seed {training.get('seed', '?')}`",
        **facts_of_training(training),
        "trained for": f"{training.get('processor_seconds', '?')} s of processor time",
        "pigments": ", ".join(training.get("pigments", ())),
    }
    return f"""# painting-generator

Chooses pigments for the colours of a painting: `napari-xrf synthesize painting PICTURE --weighting learned`.

{table_of(facts)}

Figures beside ganX's fixed weighting: docs/painting-generator.md.

**Fails.** Colours come from a mixing model of three primaries in which all pigments scatter alike, and from
masstones chosen by eye: real tinting strengths differ. Paints are opaque layers of one to three pigments;
glazes, and layers over each other, are not known to it. A palette says what was at hand, not what was used in
which century. Spectra are weighted sums of the pigments' own, so that absorption among them shows in their
shares only.
"""
