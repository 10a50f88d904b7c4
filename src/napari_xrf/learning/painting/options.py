"""Options of the painting generator's training, as command line and window offer them. No torch here."""

from typing import Annotated

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Limits, parameters

Support = tuple[str, str, str]  # instrument, ground and substrate


@parameters
class PaintingTraining:
    """Options of the training.

    Attributes
    ----------
    paints
        Mixtures whose spectra the forward model computes, for each support.
    supports
        Instrument, ground and substrate of these.
    recipes
        Mixtures by mass that the recipe network draws from; they need no spectra.
    batch_size
        Paints in a step.
    emission_steps, recipe_steps
        Steps of the two trainings.
    learning_rate
        Highest of the generator, which rises and falls; the discriminator keeps half of it.
    warm_up
        Part of the recipe steps before the discriminator joins in.
    adversarial, color, divergence
        Weights of the losses beside the anchor's 1: the discriminator's, the squared colour difference over
        100, and the encoder's divergence from normal noise, which grows to this over the warm-up.
    color_noise, masstone_noise
        Standard deviations of the colours asked for, CIELAB, and of the pigments' masstones, sRGB to 255.
    averaging
        Decay per step of the exponential moving average of the weights.
    held_out, held_out_seed
        Part of the pigments' pairs that training never mixes, and the seed that chooses them.
    """

    paints: Annotated[int, Limits(10, 1_000_000)] = 800
    supports: tuple[Support, ...] = (("m4-tornado", "chalk", "wood"), ("gem", "gypsum", "canvas"))
    recipes: Annotated[int, Limits(10, 10_000_000)] = 50_000
    batch_size: Annotated[int, Limits(2, 100_000)] = 96
    emission_steps: Annotated[int, Limits(0, 1_000_000)] = 1000
    recipe_steps: Annotated[int, Limits(1, 1_000_000)] = 2500
    learning_rate: Annotated[float, Limits(1e-6, 1)] = 1e-3
    warm_up: Annotated[float, Limits(0, 1)] = 0.3
    adversarial: Annotated[float, Limits(0, 100)] = 0.1
    color: Annotated[float, Limits(0, 100)] = 1.0
    divergence: Annotated[float, Limits(0, 100)] = 0.05
    color_noise: Annotated[float, Limits(0, 50)] = 1.0
    masstone_noise: Annotated[float, Limits(0, 100)] = 6.0
    averaging: Annotated[float, Limits(0, 1)] = 0.999
    held_out: Annotated[float, Limits(0, 0.9)] = 0.15
    held_out_seed: Annotated[int, Limits(0, 2**32 - 1)] = 4

    def __post_init__(self) -> None:
        if not self.supports:
            raise InvalidInput("supports must be triples of instrument, ground and substrate")
