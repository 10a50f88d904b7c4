"""A single spectrum with a name."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import Excitation


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Counts per energy channel of one point, region or simulation.

    Attributes
    ----------
    counts
        (E,) counts, whole numbers or expectations.
    energy
        The energy axis.
    name
        What it is the spectrum of.
    pixels
        How many pixels are summed in it.
    live_time
        Seconds, or None.
    excitation
        What excited the sample.
    """

    counts: NDArray[np.generic]
    energy: EnergyAxis
    name: str = "spectrum"
    pixels: int = 1
    live_time: float | None = None
    excitation: Excitation = field(default_factory=Excitation)

    def __post_init__(self) -> None:
        if self.counts.shape != (self.energy.size,):
            raise InvalidInput(
                f"counts of shape {self.counts.shape} do not fit an axis of {self.energy.size}"
            )
