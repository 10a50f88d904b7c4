"""What ``train NAME`` does: a network, the spectra it learns from, and how. No torch here."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Annotated, Any

from napari_xrf.core.errors import check_name
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.preprocessing import Preprocessing
from napari_xrf.learning.registry import ARCHITECTURES, architecture
from napari_xrf.learning.sources.source import SourceSpec

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("full", "half")


@parameters
class TrainingOptions:
    """How a network is trained.

    Attributes
    ----------
    epochs
        Most epochs; each is ended by a look at the validation spectra.
    steps_per_epoch
        Batches of an epoch, each of new spectra.
    batch_size
        Spectra of a batch.
    learning_rate
        Size of a step of the descent, at its largest.
    weight_decay
        What a step takes off the weights, of that size.
    optimizer
        ``"adamw"``, ``"adam"`` or ``"sgd"``.
    schedule
        ``"cosine"``: the rate rises over ``warmup`` of all steps, then falls to a hundredth; or
        ``"constant"``.
    warmup
        Part of all steps.
    patience
        Epochs without a better validation loss after which training ends.
    average
        Decay per step of the exponential moving average of the weights, which is kept; 0 keeps the last ones.
    clip
        Largest norm of a gradient; 0 leaves it.
    validation_size
        Held-out spectra, the same in each epoch.
    start
        A model, by name or weights file, whose weights of the same name and shape are begun from.
    precision
        ``"half"``: products in bfloat16, faster where the processor has them; ``"full"``: float32.
    """

    epochs: Annotated[int, Limits(1, 100_000)] = 20
    steps_per_epoch: Annotated[int, Limits(1, 1_000_000)] = 100
    batch_size: Annotated[int, Limits(1, 65_536)] = 512
    learning_rate: Annotated[float, Limits(1e-7, 1)] = 1e-3
    weight_decay: Annotated[float, Limits(0, 1)] = 1e-4
    optimizer: Annotated[str, Choices(OPTIMIZERS)] = "adamw"
    schedule: Annotated[str, Choices(SCHEDULES)] = "cosine"
    warmup: Annotated[float, Limits(0, 0.9)] = 0.05
    patience: Annotated[int, Limits(1, 100_000)] = 8
    average: Annotated[float, Limits(0, 0.99999)] = 0.995
    clip: Annotated[float, Limits(0, 1e6)] = 1.0
    validation_size: Annotated[int, Limits(2, 1_000_000)] = 8192
    start: str = ""
    precision: Annotated[str, Choices(PRECISIONS)] = "full"


@dataclass(frozen=True)
class TrainingRecipe:
    """All that makes a model, but for the seed.

    ``network`` holds the options of the architecture that differ from its defaults. The shipped recipes stand
    in ``training_recipes.toml``.
    """

    name: str
    architecture: str
    source: SourceSpec
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    network: Mapping[str, Any] = field(default_factory=dict)
    options: TrainingOptions = field(default_factory=TrainingOptions)
    summary: str = ""

    @property
    def task(self) -> TaskName:
        """What the network is made for."""
        return architecture(self.architecture).task


def training_recipe(name: str) -> TrainingRecipe:
    """Return a recipe by name.

    Raises InvalidInput when there is none of that name.
    """
    check_name("training recipe", name, RECIPES)
    return RECIPES[name]


def _load_recipes() -> dict[str, TrainingRecipe]:
    table = files("napari_xrf.learning").joinpath("training_recipes.toml")
    content = tomllib.loads(table.read_text(encoding="utf-8"))
    sources = {name: SourceSpec(**entry) for name, entry in content["sources"].items()}
    recipes = {
        name: TrainingRecipe(
            name,
            entry["architecture"],
            sources[entry["source"]],
            Preprocessing(**entry["preprocessing"]),
            entry.get("network", {}),
            TrainingOptions(**entry["options"]),
            entry["summary"],
        )
        for name, entry in content["recipes"].items()
    }
    told = {each.architecture for each in recipes.values()}
    for name, network in ARCHITECTURES.items():
        if name not in told:  # one without a table of its own learns as the first of its task does
            first = next(each for each in recipes.values() if each.task == network.task)
            options = replace(first.options, start="")
            recipes[name] = replace(
                first, name=name, architecture=name, network={}, options=options, summary=network.summary
            )
    return recipes


RECIPES = _load_recipes()
