"""Models of two elements, trained in a second or two, for tests of what is done with models."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass
from napari_xrf.learning.preprocessing import Preprocessing
from napari_xrf.learning.sources.source import LabelledSpectra, SourceSpec
from napari_xrf.learning.training import train
from napari_xrf.learning.training_recipes import TrainingOptions, TrainingRecipe

AXIS = EnergyAxis(0.05, 0.1, 100)
PEAKS = {"Ca": 3.692, "Fe": 6.404}  # keV, Kα
NAMES = {
    "lines": ("Ca ka1", "Fe ka1"),
    "elements": ("Ca", "Fe"),
    "minerals": ("calcite", "hematite"),
    "spectra": (),
}
CLASSES = (
    LabelClass(2, "calcite", "CaCO3", "#e0e0ff", 2.71),
    LabelClass(3, "hematite", "Fe2O3", "#a03010", 5.2),
)
OPTIONS = TrainingOptions(
    epochs=3, steps_per_epoch=30, batch_size=64, learning_rate=5e-3, validation_size=128, average=0.8
)
_ARCHITECTURES = {
    "lines": ("line-mlp", {"hidden": 16}),
    "code": ("line-autoencoder", {"hidden": 16}),
    "elements": ("maxrf-cnn", {}),
    "minerals": ("mineral-cnn", {"widths": (8, 8), "hidden": 16, "squeeze": 4}),
    "spectra": ("pca", {"components": 3}),
}


@dataclass(frozen=True)
class PeakSource:
    """One peak of calcium, one of iron, both, or (unknown) one elsewhere; a little noise everywhere."""

    task: str
    axis: EnergyAxis = AXIS
    counts_range: tuple[float, float] = (100.0, 1e5)
    names: tuple[str, ...] = field(init=False)
    classes: tuple[LabelClass, ...] = CLASSES

    def __post_init__(self):
        object.__setattr__(self, "names", NAMES[self.task])

    def draw(self, size, generator):
        dose = np.exp(generator.uniform(*np.log(self.counts_range), size=(size, 1)))
        single = self.task == "minerals"
        label = generator.integers(3, size=size)
        present = np.eye(3)[label][:, :2] if single else generator.random((size, 2)) < 0.5
        share = present * generator.uniform(0.5, 1, size=(size, 2))
        shapes = np.stack([_peak(energy) for energy in PEAKS.values()])
        strange = np.stack([_peak(energy) for energy in generator.uniform(7.5, 9.5, size)])
        expected = share @ shapes + (~present.any(axis=1).astype(bool))[:, None] * strange * single + 2e-4
        expected *= dose / expected.sum(axis=1, keepdims=True)
        counts = generator.poisson(expected).astype(np.float32)
        net = share * dose
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        presence = present.astype(np.float32)
        targets = {
            "presence": presence,
            "visible": presence,
            "share": (net / total).astype(np.float32),
            "net_counts": net.astype(np.float32),
            "label": label.astype(np.int64),
        }
        kept = {"minerals": ("label",), "lines": ("presence", "visible"), "spectra": ()}
        return LabelledSpectra(
            counts, {name: targets[name] for name in kept.get(self.task, ("presence", "share", "net_counts"))}
        )


def tiny_model(kind, folder):
    """Train the model of a kind: lines, code, elements, minerals or spectra; returns its weights file."""
    architecture, network = _ARCHITECTURES[kind]
    recipe = TrainingRecipe(
        f"tiny-{kind}", architecture, SourceSpec("lines"), Preprocessing("max", "sqrt"), network, OPTIONS
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # batches this small only wait for each other
    try:
        train(
            recipe,
            seed=1,
            folder=folder,
            device="cpu",
            source=PeakSource("lines" if kind == "code" else kind),
        )
    finally:
        torch.set_num_threads(threads)
    return folder / "model.safetensors"


def with_epochs(recipe, epochs):
    return replace(recipe, options=replace(recipe.options, epochs=epochs))


def _peak(energy):
    shape = np.exp(-0.5 * ((AXIS.energies - energy) / 0.08) ** 2)
    return shape / shape.sum()
