"""Energy axes from what files hold: polynomials, lists of energies, points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput

USUAL_WIDTH = 0.01  # keV per channel: the usual setting of synchrotron pulse processors (Xspress3, xMAP)
_HIGHEST_KEV = 200.0  # a spectrum in keV ends below it, one in eV above it
_EV_NAMES = frozenset({"ev", "electronvolt", "electronvolts"})
_KEV_NAMES = frozenset({"kev", "kiloelectronvolt"})
_DIGITS = 15  # a step computed from rounded energies is taken to this many digits

Calibration = tuple[EnergyAxis, tuple[str, ...]]


def assumed_axis(size: int, what: str = "the file") -> Calibration:
    """Return the usual axis of 0.01 keV per channel from 0, with the warning that it is assumed."""
    note = (
        f"No energy calibration in {what}: {USUAL_WIDTH} keV per channel from 0 keV is assumed; check it "
        "against known peaks, or give the energy axis."
    )
    return EnergyAxis(0.0, USUAL_WIDTH, size), (note,)


def axis_from_energies(energies: ArrayLike, units: str = "") -> Calibration:
    """Return the linear axis through the energies of all channels.

    Parameters
    ----------
    energies
        (E,) centres of the channels.
    units
        ``"eV"`` or ``"keV"``; without it, an axis that ends above 200 is in eV.

    Raises
    ------
    InvalidInput
        When the energies do not rise or are not finite.
    """
    values = np.asarray(energies, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not np.all(np.isfinite(values)):
        raise InvalidInput(f"{values.shape} energies are no energy axis")
    values = values * _kev_per_unit(units, float(values.max()))
    width = float((values[-1] - values[0]) / (values.size - 1))
    rounded = float(f"{width:.{_DIGITS - 3}g}")
    # A step such as 0.01 comes back from a list of energies with rounding errors in its last digits.
    if abs(rounded - width) * values.size < 1e-9 * abs(values[-1] - values[0]) / values.size:
        width = rounded
    axis = EnergyAxis(float(values[0]), width, values.size)
    bend = float(np.abs(values - axis.energies).max() / axis.width)
    return axis, (_bent(bend),) if bend > 0.5 else ()


def axis_from_polynomial(coefficients: Sequence[float], size: int, units: str = "keV") -> Calibration:
    """Return the linear axis of a calibration E = a + b·channel + c·channel².

    A quadratic term is replaced by the straight line that fits best over all channels, with a warning when
    that moves a channel by more than half its width.

    Raises
    ------
    InvalidInput
        When the coefficients are not finite or the energy does not rise.
    """
    offset, slope, *higher = (float(value) for value in coefficients)
    if not all(math.isfinite(value) for value in (offset, slope, *higher)):
        raise InvalidInput(f"the energy calibration {tuple(coefficients)} is not finite")
    factor = _kev_per_unit(units, abs(offset) + abs(slope) * size)
    if not any(higher):
        return EnergyAxis(offset * factor, slope * factor, size), ()
    channels = np.arange(size, dtype=np.float64)
    curve = np.polynomial.polynomial.polyval(channels, [offset, slope, *higher]) * factor
    return _line_through(channels, curve, size)


def axis_from_points(channels: ArrayLike, energies: ArrayLike, size: int) -> Calibration:
    """Return the line that fits calibration points, channel → keV, best.

    Raises
    ------
    InvalidInput
        When there are fewer than two different channels.
    """
    at = np.asarray(channels, dtype=np.float64)
    values = np.asarray(energies, dtype=np.float64)
    if at.shape != values.shape or np.unique(at).size < 2:
        raise InvalidInput("an energy calibration needs two points")
    slope, offset = np.polyfit(at, values, 1)
    return EnergyAxis(float(offset), float(slope), size), ()


def energy_in_kev(value: float, units: str = "") -> float:
    """Return a beam energy in keV; without units, a value above 200 is in eV."""
    return value * _kev_per_unit(units, value)


def _line_through(channels: np.ndarray, curve: np.ndarray, size: int) -> Calibration:
    slope, offset = np.polyfit(channels, curve, 1) if size > 1 else (curve[0], 0.0)
    axis = EnergyAxis(float(offset), float(slope), size)
    bend = float(np.abs(curve - axis.energies).max() / axis.width)
    return axis, (_bent(bend),) if bend > 0.5 else ()


def _bent(channels: float) -> str:
    return (
        f"The file's energy axis is curved; the straight axis used is off by up to {channels:.1f} channels."
    )


def _kev_per_unit(units: str, largest: float) -> float:
    name = units.strip().lower()
    if name in _EV_NAMES:
        return 1e-3
    if name in _KEV_NAMES:
        return 1.0
    return 1e-3 if largest > _HIGHEST_KEV else 1.0
