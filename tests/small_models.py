"""Recipes that train in seconds."""

from dataclasses import replace

from napari_xrf.learning.sources.source import SourceSpec
from napari_xrf.learning.training_recipes import TrainingRecipe, training_recipe

FEW_MINERALS = ("quartz", "calcite", "pyrite", "halite")


def small_recipe(
    name: str, *, epochs: int = 2, steps: int = 3, network: dict | None = None
) -> TrainingRecipe:
    """Return a recipe of a few steps, with four minerals, or one instrument, where it has them."""
    recipe = training_recipe(name)
    options = replace(
        recipe.options,
        epochs=epochs,
        steps_per_epoch=steps,
        batch_size=64,
        validation_size=128,
        precision="full",
    )
    source = recipe.source
    if source.kind == "minerals":
        source = SourceSpec("minerals", {**source.options, "minerals": list(FEW_MINERALS)})
    if source.kind == "mineral-instruments":
        few = {"minerals": list(FEW_MINERALS), "instruments": 1, "compositions": 1, "strangers": 3}
        source = SourceSpec(source.kind, few)
    if source.kind == "instruments":
        source = SourceSpec("instruments", {"instruments": 1, "samples": 3})
    return replace(recipe, options=options, source=source, network={**recipe.network, **(network or {})})
