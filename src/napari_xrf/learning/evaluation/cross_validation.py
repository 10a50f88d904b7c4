"""Stratified k-fold cross-validation of a training on labelled pixels of a map."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.evaluation.class_scores import score_classes
from napari_xrf.learning.evaluation.results import FigureTable
from napari_xrf.learning.evaluation.sampling import class_positions, predict_sample
from napari_xrf.learning.model import Model
from napari_xrf.learning.sources.region_pixels import LabelledPixels
from napari_xrf.learning.sources.region_split import PARTS
from napari_xrf.learning.sources.source import SourceSpec, make_source
from napari_xrf.learning.training import Epoch, train
from napari_xrf.learning.training_recipes import TrainingRecipe
from napari_xrf.synthesis.drawn_counts import spectra_as_cube


@dataclass(frozen=True)
class CrossValidation:
    """How well each part of the labelled pixels was named by a network that had not seen it."""

    pixels: tuple[int, ...]  # of each part
    # accuracy, macro_f1: of each part; a known pixel called unknown is wrong
    accuracy: tuple[float, ...]
    macro_f1: tuple[float, ...]

    def as_table(self) -> FigureTable:
        """Return a row for each part, their mean and their standard deviation."""
        figures = {"accuracy": self.accuracy, "macro f1": self.macro_f1}
        rows: dict[str, dict[str, float]] = {
            f"part {number + 1}": {
                "pixels": float(self.pixels[number]),
                **{name: values[number] for name, values in figures.items()},
            }
            for number in range(len(self.pixels))
        }
        rows["mean"] = {name: float(np.mean(values)) for name, values in figures.items()}
        rows["standard deviation"] = {name: float(np.std(values, ddof=1)) for name, values in figures.items()}
        return FigureTable("Pixels that the network had not seen", rows)


def cross_validate(
    recipe: TrainingRecipe,
    folds: int,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress = ignore_progress,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> CrossValidation:
    """Train a network for each part of a map's labelled pixels on the others, and judge it on that part.

    Each class is dealt in blocks of the map, as in a single training, so that neighbours do not judge each
    other.

    Raises InvalidInput when the recipe learns no regions, or the number cannot be; and as
    :func:`~napari_xrf.learning.training.train`.

    ``recipe``: one that learns labelled regions (:func:`~napari_xrf.learning.recipe_variants.with_regions`).
    ``folds``: parts, 3 to 10. ``folder``: where the trainings go, ``part-1`` and so on.
    """
    regions = _regions_of(recipe)
    rows = []
    for number in range(folds):
        options = {**regions, "folds": folds, "fold": number}
        model = train(
            _with_regions_of(recipe, options),
            seed=seed,
            folder=None if folder is None else Path(folder) / f"part-{number + 1}",
            resume=resume,
            device=device,
            progress=progress,
            on_epoch=on_epoch,
        )
        pixels: LabelledPixels = getattr(make_source(SourceSpec("regions", options)), "pixels")  # noqa: B009
        rows.append(_judged(model, pixels, device))
    return CrossValidation(*zip(*rows, strict=True))


def _judged(model: Model, pixels: LabelledPixels, device: str) -> tuple[int, float, float]:
    names = model.description.names
    chosen = (pixels.part == PARTS.index("test")) & (pixels.label < len(pixels.names))
    cube = spectra_as_cube(pixels.counts[chosen], pixels.axis, pixels.name)
    said = predict_sample(model, cube, device=device).given("classes")
    truth = class_positions(pixels.names, names)[pixels.label[chosen]]
    scores = score_classes(said, truth, len(names))
    return int(chosen.sum()), scores.accuracy, scores.as_row()["macro f1"]


def _regions_of(recipe: TrainingRecipe) -> Mapping[str, Any]:
    given = recipe.source
    if given.kind == "shares":
        given = SourceSpec.from_json(given.options["first"])
    if given.kind != "regions":
        raise InvalidInput(f"{recipe.name} learns no labelled pixels", "Give the labels and their map")
    return given.options


def _with_regions_of(recipe: TrainingRecipe, options: dict[str, Any]) -> TrainingRecipe:
    source = recipe.source
    if source.kind == "regions":
        return replace(recipe, source=replace(source, options=options))
    first = {**source.options["first"], "options": options}
    return replace(recipe, source=replace(source, options={**source.options, "first": first}))
