"""What a network is told of the instrument beside a spectrum, as numbers; what is not known is all zeros."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.physics.attenuation import ATMOSPHERES
from napari_xrf.physics.source import ANODES

_KINDS = ("tube", "electron", "monochromatic")
CONDITIONS = (
    *_KINDS,
    "energy",
    "energy known",
    *(f"anode {anode}" for anode in ANODES),
    "take-off",
    "take-off known",
    "resolution",
    "resolution known",
    *ATMOSPHERES,
    "axis from",
    "axis to",
)
_ENERGY_KEV, _TAKEOFF_DEG, _FWHM_EV, _AXIS_KEV = 30.0, 45.0, 140.0, 40.0  # about 1 in the network's eyes


def conditions_of(excitation: Excitation, axis: EnergyAxis) -> NDArray[np.float32]:
    """Return the values of :data:`CONDITIONS` (C,) of what a file says, and of the energies it records."""
    values = dict.fromkeys(CONDITIONS, 0.0)
    for name in (excitation.kind, excitation.atmosphere, f"anode {excitation.anode}"):
        if name in values:
            values[str(name)] = 1.0
    for name, value, unit in (
        ("energy", excitation.energy_kev, _ENERGY_KEV),
        ("take-off", excitation.takeoff_deg, _TAKEOFF_DEG),
        ("resolution", excitation.fwhm_mn_ka_ev, _FWHM_EV),
    ):
        if value is not None and value > 0:
            values[name], values[f"{name} known"] = min(value / unit, 5.0), 1.0
    values["axis from"] = max(axis.offset - axis.width / 2, 0.0) / _AXIS_KEV
    values["axis to"] = (axis.offset + (axis.size - 0.5) * axis.width) / _AXIS_KEV
    return np.array(list(values.values()), dtype=np.float32)


def recorded(conditions: NDArray[np.float32], axis: EnergyAxis) -> NDArray[np.bool_]:
    """Return which channels of an axis lie within the recorded energies, (N, E), of conditions (N, C)."""
    low, high = (conditions[:, CONDITIONS.index(f"axis {end}"), None] * _AXIS_KEV for end in ("from", "to"))
    return np.asarray((axis.edges[:-1] >= low - 1e-6) & (axis.edges[1:] <= high + 1e-6))
