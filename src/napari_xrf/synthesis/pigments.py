"""The spectra of paint layers of pigments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.materials import Material
from napari_xrf.reference.pigments import Pigment
from napari_xrf.synthesis.substrates import support_layers

_LINSEED_OIL = Material.from_formula("C57H98O6", 0.93, "linseed oil")  # trilinolein


@dataclass(frozen=True, eq=False)
class PigmentSpectra:
    """Colours and spectra of P pigments: all that a painting is synthesized from.

    Raises InvalidInput when shapes do not fit, or a spectrum is empty, negative or not finite.
    """

    names: tuple[str, ...]  # P names, each once
    colors: NDArray[np.float64]  # (P, 3) sRGB from 0 to 255
    spectra: NDArray[np.float64]  # (P, E) not negative, none empty; only their shapes count
    energy: EnergyAxis  # their axis
    # Counts of each line family in each spectrum, P mappings; empty where unknown, as for measured ones
    families: tuple[Mapping[str, float], ...] = ()

    def __post_init__(self) -> None:
        number = len(self.names)
        if not number:
            raise InvalidInput("there is no pigment", "Give at least one")
        if len(self.families) not in (0, number):
            raise InvalidInput(f"line families of {len(self.families)} pigments do not fit {number}")
        if self.colors.shape != (number, 3) or self.spectra.shape != (number, self.energy.size):
            raise InvalidInput(
                f"colours {self.colors.shape} and spectra {self.spectra.shape} do not fit {number} pigments "
                f"and {self.energy.size} channels"
            )
        if not (np.isfinite(self.colors).all() and (self.colors >= 0).all() and (self.colors <= 255).all()):
            raise InvalidInput("colours of pigments must lie from 0 to 255")
        for name, spectrum in zip(self.names, self.spectra, strict=True):
            if not (np.isfinite(spectrum).all() and (spectrum >= 0).all() and spectrum.sum() > 0):
                raise InvalidInput(f"the spectrum of {name} must hold counts, none negative")


def paint_layer(pigment: Pigment) -> Layer:
    """Return the layer that a pigment makes in linseed oil."""
    share = pigment.pigment_volume
    density = share * pigment.material.density + (1 - share) * _LINSEED_OIL.density
    by_weight = share * pigment.material.density / density
    fractions = {element: by_weight * part for element, part in pigment.material.mass_fractions.items()}
    if share < 1:
        for element, part in _LINSEED_OIL.mass_fractions.items():
            fractions[element] = fractions.get(element, 0.0) + (1 - by_weight) * part
    return Layer(Material(f"{pigment.name} paint", fractions, density), pigment.thickness_um)


def expect_pigments(
    pigments: Sequence[Pigment],
    instrument: Instrument,
    *,
    ground: str = "chalk",
    substrate: str = "wood",
    progress: Progress = ignore_progress,
) -> PigmentSpectra:
    """Return the expected spectra of paint layers on a ground.

    Raises InvalidInput when there is no pigment, ground or substrate of a name, or nothing can be excited.

    ``ground``, ``substrate``: names in :data:`~napari_xrf.synthesis.substrates.GROUNDS` (or ``"none"``) and
    :data:`~napari_xrf.synthesis.substrates.SUBSTRATES`.
    """
    if not pigments:
        raise InvalidInput("there is no pigment", "Give at least one")
    below = support_layers(ground, substrate)
    expected = []
    for done, pigment in enumerate(pigments):
        progress(done, len(pigments), "expected spectra")
        expected.append(expect_spectrum((paint_layer(pigment), *below), instrument))
    return PigmentSpectra(
        tuple(pigment.name for pigment in pigments),
        np.array([rgb(pigment.color) for pigment in pigments], dtype=np.float64),
        np.stack([each.counts for each in expected]),
        instrument.energy,
        tuple(each.families for each in expected),
    )


def rgb(color: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of ``"#rrggbb"``."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
