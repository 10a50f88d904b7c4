"""Models with random weights: for what does not depend on how good a network is."""

from dataclasses import replace

from napari_xrf.learning.model import Model
from napari_xrf.learning.registry import build_network
from napari_xrf.learning.sources.source import SourceSpec, make_source
from napari_xrf.learning.training import describe
from small_models import small_recipe


def untrained_model(name: str, *, network: dict | None = None, **source: object) -> Model:
    """Return a model of a small recipe, with options of its source changed."""
    recipe = small_recipe(name, network=network)
    spec = SourceSpec(recipe.source.kind, {**recipe.source.options, **source})
    recipe = replace(recipe, source=spec)
    description = describe(recipe, make_source(spec), 0)
    return Model(description, build_network(description).eval())
