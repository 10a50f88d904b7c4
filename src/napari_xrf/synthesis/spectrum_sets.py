"""Sets of single spectra in the form of a map, so that files and readers of maps serve them too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube


def spectra_as_cube(
    spectra: NDArray[np.generic],
    energy: EnergyAxis,
    name: str,
    elements: tuple[str, ...] = (),
    excitation: Excitation | None = None,
) -> SpectralCube:
    """Return N spectra (N, E) as a map of N rows and one column."""
    counts: Any = spectra[:, np.newaxis, :]
    return SpectralCube(
        counts,
        energy,
        name=name,
        elements=elements,
        excitation=excitation or Excitation(),
        provenance=Provenance(layout="synthetic"),
    )
