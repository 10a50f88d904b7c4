"""Paints mixed of pigments by mass: their colour, and what an instrument is expected to count on them.

What the painting generator learns from. The colour of a mixture comes from a mixing model, its spectrum from
the forward model of the mixed layer.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.painting.colors import absorption, reflectance
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.forward import expect_spectra
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.materials import Material
from napari_xrf.reference.pigments import Pigment
from napari_xrf.synthesis.pigments import paint_layer
from napari_xrf.synthesis.substrates import support_layers

Floats = NDArray[np.float64]
Pairs = Literal["any", "seen", "held-out"]

PIGMENT_NUMBERS = (0.2, 0.45, 0.35)
"""Probabilities of paints of one, two and three pigments."""
_LEAST_SHARE = 0.02
_TRIES = 1000


def draw_paints(
    size: int,
    absorption: Floats,
    generator: np.random.Generator,
    *,
    alone: NDArray[np.bool_] | None = None,
    held_out: NDArray[np.bool_] | None = None,
    pairs: Pairs = "any",
) -> Floats:
    """Return the shares by mass (N, P) of the pigments of random paints, one to three each.

    A painter takes little of a pigment that colours strongly: a share is drawn evenly (Dirichlet) and divided
    by the pigment's mean absorption to a random power from 0 to 1.

    ``absorption``, ``held_out``: (P, 3) of :func:`absorption_over_scattering`, and (P, P) of
    :func:`hold_out_pairs`, kept for testing. ``alone``: (P,) pigments that are never mixed: metal leaf.
    ``pairs``: ``"seen"``: no paint holds such a pair; ``"held-out"``: every paint does; ``"any"``: never
    mind. Raises InvalidInput when held-out pairs are asked for and there are none that can be mixed.
    """
    number, numbers = len(absorption), np.array(PIGMENT_NUMBERS)
    mixable = np.flatnonzero(~alone) if alone is not None else np.arange(number)
    kept = np.zeros((number, number), dtype=bool) if held_out is None else held_out
    listed = np.argwhere(np.triu(kept, 1))
    if pairs == "held-out" and not len(listed):
        raise InvalidInput("no pair of pigments is held out", "Hold some out first")
    strength = absorption.mean(axis=1)
    masses = np.zeros((size, number))

    def choose() -> NDArray[np.intp]:
        for _ in range(_TRIES):
            count = int(generator.choice(len(numbers), p=numbers / numbers.sum())) + 1
            if pairs == "held-out":
                first = listed[generator.integers(len(listed))]
                rest = np.setdiff1d(mixable, first)
                more = generator.choice(rest, min(max(count - 2, 0), rest.size), replace=False)
                chosen = np.concatenate([first, more])
                if np.isin(chosen, mixable).all():
                    return chosen
                continue
            if count == 1:
                return generator.integers(number, size=1)
            chosen = generator.choice(mixable, min(count, mixable.size), replace=False)
            if pairs == "any" or not kept[np.ix_(chosen, chosen)].any():
                return chosen
        raise InvalidInput("the held-out pairs of pigments cannot be mixed", "Hold out other pairs")

    for row in range(size):
        chosen = choose()
        drawn = generator.dirichlet(np.ones(chosen.size)) / strength[chosen] ** generator.uniform()
        shares = np.maximum(drawn / drawn.sum(), _LEAST_SHARE)
        masses[row, chosen] = shares / shares.sum()
    return masses


def hold_out_pairs(number: int, part: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return (P, P), symmetric: which pairs of pigments are kept for testing."""
    above = np.triu(generator.random((number, number)) < part, 1)
    return above | above.T


def absorption_over_scattering(colors: ArrayLike) -> Floats:
    """Return Kubelka and Munk's K/S of each primary of sRGB (..., 3) from 0 to 255."""
    return absorption(np.asarray(colors, dtype=np.float64) / 255.0)


def mix_colors(masses: ArrayLike, colors: ArrayLike) -> Floats:
    """Return the sRGB colours (N, 3), 0 to 255, of opaque mixtures of masses (N, P) and masstones (P, 3).

    The single-constant theory (Kubelka & Munk, Z. tech. Phys. 12 (1931) 593; Duncan, Proc. Phys. Soc. 52
    (1940) 390) on the three primaries, every pigment scattering alike: K/S of the mixture is the mean of the
    pigments'.
    """
    return srgb(reflectance(np.asarray(masses, dtype=np.float64) @ absorption_over_scattering(colors)))


def srgb(reflectances: ArrayLike) -> Floats:
    """Return the sRGB colours, 0 to 255, of linear reflectances from 0 to 1 (IEC 61966-2-1)."""
    linear = np.clip(np.asarray(reflectances, dtype=np.float64), 0, 1)
    return 255.0 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def mixed_layer(pigments: Sequence[Pigment], masses: ArrayLike) -> Layer:
    """Return the paint layer of a mixture.

    Volumes add up; thickness and share of oil are the means of the pigments' own layers, by volume. Masses
    (P,) are shares of the dry pigments. Raises InvalidInput when the shares do not fit the pigments, or there
    is nothing to mix.
    """
    shares = np.asarray(masses, dtype=np.float64)
    if shares.shape != (len(pigments),) or (shares < 0).any() or shares.sum() <= 0:
        raise InvalidInput(f"shares {shares.shape} do not mix {len(pigments)} pigments")
    taken = [(pigment, share) for pigment, share in zip(pigments, shares, strict=True) if share > 0]
    if len(taken) == 1:
        return paint_layer(taken[0][0])
    volumes = np.array([share / pigment.material.density for pigment, share in taken])
    parts = volumes / volumes.sum()
    fractions: dict[str, float] = {}
    for pigment, share in taken:
        for element, fraction in pigment.material.mass_fractions.items():
            fractions[element] = fractions.get(element, 0.0) + fraction * share / shares.sum()
    return paint_layer(
        Pigment(
            name=" + ".join(pigment.name for pigment, _ in taken),
            material=Material("mixture", fractions, shares.sum() / volumes.sum()),
            color="#000000",  # plays no part in the layer
            thickness_um=float(parts @ [pigment.thickness_um for pigment, _ in taken]),
            pigment_volume=float(parts @ [pigment.pigment_volume for pigment, _ in taken]),
        )
    )


def expect_paints(
    pigments: Sequence[Pigment],
    masses: Floats,
    instrument: Instrument,
    *,
    ground: str = "chalk",
    substrate: str = "wood",
    progress: Progress = ignore_progress,
) -> Floats:
    """Return the expected spectra (N, E) of mixtures (N, P) by mass, each a layer on a ground.

    Raises InvalidInput when there is no ground or substrate of a name, or shares do not fit the pigments.
    """
    below = support_layers(ground, substrate)
    return expect_spectra(
        [(mixed_layer(pigments, shares), *below) for shares in masses], instrument, progress=progress
    )
