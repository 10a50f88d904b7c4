"""A single spectrum with a name."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.display import html_of, spectrum_png
from napari_xrf.core.energy_axis import EnergyAxis, check_axis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.interchange import labelled_array
from napari_xrf.core.spectral_cube import Excitation


@dataclass(frozen=True, eq=False, repr=False)
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
        check_axis(self.energy)
        if np.shape(self.counts) != (self.energy.size,):
            raise InvalidInput(
                f"counts of shape {np.shape(self.counts)} do not fit an axis of {self.energy.size}"
            )

    def __repr__(self) -> str:
        return f"<Spectrum {self.name!r}: {np.sum(self.counts, dtype=np.float64):.4g} counts, {self.energy}>"

    def _repr_html_(self) -> str:
        return html_of(repr(self), (self.name, spectrum_png(self.energy.energies, self.counts)))

    def to_xarray(self) -> Any:
        """Return an ``xarray.DataArray`` (energy) of the counts."""
        return labelled_array(
            self.counts,
            ("energy",),
            pixel_size=None,
            coordinates={"energy": ("energy", self.energy.energies, {"units": "keV"})},
            name="counts",
            attributes={"spectrum": self.name, "live_time_s": self.live_time, "pixels": self.pixels},
        )
