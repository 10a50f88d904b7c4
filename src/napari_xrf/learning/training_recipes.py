"""What ``train NAME`` does: a network, the spectra it learns from, and how. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.preprocessing import Preprocessing
from napari_xrf.learning.registry import architecture
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
    steps_per_epoch, batch_size
        Batches of an epoch, and spectra of a batch. Each batch is new.
    learning_rate, weight_decay, optimizer
        Of the descent.
    schedule
        ``"cosine"``: the rate rises over ``warmup`` of all steps, then falls to a hundredth; or
        ``"constant"``.
    warmup
        Part of all steps.
    patience
        Epochs without a better validation loss after which training ends.
    average
        Decay per step of the running mean of the weights that is kept in the end; 0 keeps the last ones.
    clip
        Largest norm of a gradient; 0 leaves it.
    validation_size
        Held-out spectra, the same in each epoch.
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
    precision: Annotated[str, Choices(PRECISIONS)] = "full"


@dataclass(frozen=True)
class TrainingRecipe:
    """All that makes a model, but for the seed.

    Attributes
    ----------
    name
        Of the recipe and of the model.
    architecture
        The network.
    source
        What it learns from.
    preprocessing
        From counts to its inputs.
    network
        Options of the architecture that differ from its defaults.
    options
        How it is trained.
    summary
        One line for lists.
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

    Raises
    ------
    InvalidInput
        When there is none of that name.
    """
    if name not in RECIPES:
        raise InvalidInput(f"there is no training recipe {name!r}", f"Use {', '.join(RECIPES)}")
    return RECIPES[name]


# Most spectra escape as the published generator's do, the others as physics has it; some hold a pixel's few
# counts.
_LINES = SourceSpec(
    "lines",
    {"escape_by_height": 0.7, "tube_changes": 0.1, "low_dose_share": 0.15, "fewest_counts": 300.0},
)
# Other tubes excite K and L lines in other ratios: without them a network takes one model's for granted.
_GEM = SourceSpec(
    "mixtures",
    {"instruments": ["gem"], "tubes": [["Mo", 32], ["Mo", 50], ["Rh", 40], ["W", 40], ["Ag", 45]]},
)
# Distorted beyond one instrument: other detectors' resolution and calibration, tube continua, lighter and
# darker.
_SDD = SourceSpec(
    "mixtures",
    {
        "instruments": ["m4-tornado", "synchrotron"],
        "axis": [0.02, 0.04, 512],
        "elements": [
            "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni",
            "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Rh", "Pd", "Ag",
            "Cd", "Sn", "Sb", "I", "Cs", "Ba", "La", "Ce", "W", "Pt", "Au", "Hg", "Pb", "Bi", "Th", "U",
        ],
        "present": [1, 12],
        "counts": [300.0, 1e6],
        "distortions": {
            "offset_ev": [-25.0, 25.0],
            "gain": [-0.003, 0.003],
            "width_factor": [1.0, 1.3],
            "tail": [0.0, 0.04],
            "shelf": [0.0, 0.01],
            "continuum_level": [0.0, 0.6],
            "continuum_end_kev": [15.0, 50.0],
            "bragg_strength": [0.0005, 0.02],
            "bragg_share": 0.3,
            "pulse_pair_us": [0.05, 0.5],
            "zero_peak": [0.0, 0.02],
        },
    },
)  # fmt: skip
_MINERALS = SourceSpec("minerals", {"axis": [0.02, 0.02, 1024]})
_ROOT = Preprocessing("sum", "sqrt")
_MINERAL_OPTIONS = TrainingOptions(
    epochs=40, steps_per_epoch=100, batch_size=384, learning_rate=2e-3, validation_size=8192, precision="half"
)
# The same for all three, so that they can be compared: 3 million spectra each.
_GEM_OPTIONS = TrainingOptions(
    epochs=60, steps_per_epoch=400, batch_size=128, learning_rate=4e-3, patience=20, average=0.998
)

RECIPES: dict[str, TrainingRecipe] = {
    each.name: each
    for each in (
        TrainingRecipe(
            "line-mlp",
            "line-mlp",
            _LINES,
            Preprocessing("max", "sqrt"),
            {"hidden": 900, "depth": 4, "residual": True},
            TrainingOptions(
                epochs=40,
                steps_per_epoch=100,
                batch_size=1024,
                learning_rate=2e-3,
                validation_size=16384,
                precision="half",
            ),
            "presence of 556 emission lines",
        ),
        TrainingRecipe(
            "line-mlp-published",
            "line-mlp",
            _LINES,
            Preprocessing("max", "none"),
            {"hidden": 900, "depth": 1, "activation": "relu"},
            TrainingOptions(epochs=12, steps_per_epoch=100, batch_size=1024, validation_size=16384),
            "presence of 556 emission lines with the paper's one hidden layer on 1.2 million spectra",
        ),
        TrainingRecipe(
            "line-autoencoder",
            "line-autoencoder",
            _LINES,
            Preprocessing("max", "sqrt"),
            {"hidden": 900, "depth": 4},
            TrainingOptions(
                epochs=16, steps_per_epoch=100, batch_size=1024, learning_rate=2e-3, validation_size=16384
            ),
            "sparse code with one unit per emission line",
        ),
        TrainingRecipe(
            "line-autoencoder-free",
            "line-autoencoder",
            _LINES,
            Preprocessing("max", "sqrt"),
            {"hidden": 900, "depth": 4, "anchored": False, "supervised": 0.0},
            TrainingOptions(
                epochs=16, steps_per_epoch=100, batch_size=1024, learning_rate=2e-3, validation_size=16384
            ),
            "the same code without its meaning, for comparison",
        ),
        *(
            TrainingRecipe(
                name,
                kind,
                _GEM,
                _ROOT,
                {**network, "aligned": True},
                _GEM_OPTIONS,
                f"net counts of 20 elements from a gas electron multiplier, by {how}",
            )
            for name, kind, network, how in (
                ("maxrf-cnn-gem", "maxrf-cnn", {}, "convolutions"),
                ("vit", "vit", {"patch": 30, "depth": 4}, "a class token"),
                ("lt-vit", "lt-vit", {"patch": 30, "depth": 2}, "a token per element"),
            )
        ),
        TrainingRecipe(
            "maxrf-cnn",
            "maxrf-cnn",
            _SDD,
            _ROOT,
            {"width": 16},
            TrainingOptions(epochs=40, steps_per_epoch=100, batch_size=256, learning_rate=2e-3),
            "net counts of 48 elements from silicon drift detectors",
        ),
        *(
            TrainingRecipe(
                name,
                name,
                _MINERALS,
                _ROOT,
                {},
                replace(_MINERAL_OPTIONS, epochs=epochs),
                f"minerals of rocks and ores, {how}",
            )
            for name, epochs, how in (
                ("mineral-cnn", 40, "by convolutions"),
                ("mineral-cnn-attention", 16, "by convolutions with self-attention"),
                ("mineral-cnn-bilstm", 16, "by convolutions and a bidirectional LSTM"),
            )
        ),
        TrainingRecipe(
            "pca",
            "pca",
            _MINERALS,
            _ROOT,
            {"components": 64},
            TrainingOptions(epochs=1, steps_per_epoch=20, batch_size=1024, validation_size=4096),
            "principal components of mineral spectra",
        ),
        TrainingRecipe(
            "vae",
            "vae",
            _MINERALS,
            _ROOT,
            {},
            TrainingOptions(epochs=20, steps_per_epoch=100, batch_size=512, validation_size=4096),
            "variational autoencoder of mineral spectra",
        ),
    )
}
