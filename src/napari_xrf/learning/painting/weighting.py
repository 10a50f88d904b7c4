"""Paintings whose pigments the painting generator may choose. No torch until it does."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.synthesis import recipes
from napari_xrf.synthesis.painting import PaintingParameters, Weighting
from napari_xrf.synthesis.recipes import Synthetic, make_painting


def generator_for(weighting: str, weights: str | Path | None = None) -> Weighting | None:
    """Return the painting generator of a weighting, None where that is fixed.

    Raises InvalidInput when a generator is given for fixed weighting.

    ``weights``: of a generator; the shipped one by default.
    """
    if weighting != "learned":
        if weights is not None:
            raise InvalidInput("fixed weighting takes no painting generator", "Choose learned weighting")
        return None
    from napari_xrf.learning.painting.generator import load_painting_generator

    return load_painting_generator(weights)


def paint(
    image: str | Path | NDArray[Any],
    *,
    parameters: PaintingParameters,
    generator: str | Path | None = None,
    **options: Any,
) -> Synthetic:
    """Make the map of a painting, with the weights of a painting generator where its weighting is learned."""
    chosen = generator_for(parameters.weighting, generator)
    return make_painting(image, parameters=parameters, generator=chosen, **options)


def synthesize(recipe: str, subject: Any = None, **options: Any) -> Synthetic:
    """Make synthetic data as :func:`napari_xrf.synthesize`; of a painting, ``generator`` names weights."""
    if recipe == "painting":
        options["generator"] = generator_for(options.get("weighting", "fixed"), options.get("generator"))
    return recipes.synthesize(recipe, subject, **options)
