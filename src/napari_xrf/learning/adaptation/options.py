"""How a model is adapted to a map. No torch here, so that forms and lists are instant."""

from typing import Annotated

from napari_xrf.core.parameters import Choices, Limits, parameters

METHODS = ("coral", "adversarial")
STATISTICS = ("keep", "map")


@parameters
class AdaptationOptions:
    """How a model is adapted.

    Attributes
    ----------
    method
        How features are brought together: ``"coral"`` or ``"adversarial"``.
    steps, batch_size, learning_rate
        Of the fine-tuning; a batch has as many labelled spectra as the map's.
    alignment
        Weight of the features' distance beside the loss on labelled spectra.
    consistency
        Weight of the predictions' change when spectra of the map are recorded otherwise.
    entropy
        Weight of the predictions' entropy on the map; small, as it also makes wrong decisions sure.
    offset_ev, gain
        Up to how much energies move in other recordings, of labelled spectra and of the map's, both ways:
        E → (1 ± gain) E ± offset.
    broadening_ev
        FWHM of noise added to these in quadrature, from 0 up to this.
    search_gain
        How far off the map's gain may be, both ways. The gain at which a mineral model is surest of its
        minerals is found first; the map's spectra, stretched back, then tell what they hold. 0: no search.
    statistics
        Of batch normalisation: ``"keep"`` those of training, or ``"map"``: estimate them anew on labelled
        spectra and the map's in equal parts, before fine-tuning.
    pixels
        The most spectra of the map that are looked at.
    pool
        Labelled spectra among which partners for the map's are found.
    held_out
        Labelled spectra that judge the result.
    tolerance
        Standard errors by which a figure on them may fall before the original is kept.
    """

    method: Annotated[str, Choices(METHODS)] = "coral"
    steps: Annotated[int, Limits(1, 1_000_000)] = 300
    batch_size: Annotated[int, Limits(8, 4096)] = 128
    learning_rate: Annotated[float, Limits(1e-7, 0.1)] = 3e-4
    alignment: Annotated[float, Limits(0, 100)] = 0.3
    consistency: Annotated[float, Limits(0, 100)] = 0.3
    entropy: Annotated[float, Limits(0, 10)] = 0.05
    offset_ev: Annotated[float, Limits(0, 500, "eV")] = 20.0
    gain: Annotated[float, Limits(0, 0.05)] = 0.01
    broadening_ev: Annotated[float, Limits(0, 1000, "eV")] = 200.0
    search_gain: Annotated[float, Limits(0, 0.1)] = 0.05
    statistics: Annotated[str, Choices(STATISTICS)] = "keep"
    pixels: Annotated[int, Limits(50, 200_000)] = 20_000
    pool: Annotated[int, Limits(256, 100_000)] = 4096
    held_out: Annotated[int, Limits(100, 1_000_000)] = 4096
    tolerance: Annotated[float, Limits(0, 10)] = 2.0
