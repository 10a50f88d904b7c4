"""Nouns as the objects of other programs: xarray's labelled arrays and HyperSpy's signals.

Both packages are optional; asking for what is not installed says what to install.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.extras import optional_package

_SIGNALS = {"electron": "EDS_SEM"}  # HyperSpy's only quantified kind that such a map can be


def labelled_array(
    values: Any,
    dimensions: Sequence[str],
    *,
    pixel_size: tuple[float, float] | None,
    coordinates: Mapping[str, Any],
    name: str,
    attributes: Mapping[str, Any],
) -> Any:
    """Return an ``xarray.DataArray`` whose y and x lie at the pixels' centres in µm, where the size is known.

    Raises InvalidInput when xarray is not installed.
    """
    xarray = optional_package("xarray", "interchange")
    placed = dict(coordinates)
    for axis, letter in enumerate("yx"):
        if pixel_size is not None and letter in dimensions:
            size = values.shape[list(dimensions).index(letter)]
            placed[letter] = (letter, np.arange(size) * pixel_size[axis], {"units": "µm"})
    told = {key: value for key, value in attributes.items() if value not in (None, "")}
    return xarray.DataArray(values, dims=tuple(dimensions), coords=placed, name=name or None, attrs=told)


def signal_of(
    counts: NDArray[np.generic],
    energy: EnergyAxis,
    *,
    pixel_size: tuple[float, float] | None,
    name: str,
    kind: str | None,
    energy_kev: float | None,
) -> Any:
    """Return counts (Y, X, E) as a HyperSpy signal with calibrated axes.

    Raises InvalidInput when HyperSpy is not installed.
    """
    signals = optional_package("hyperspy.api", "interchange").signals
    rows, columns, _ = counts.shape
    steps = pixel_size or (1.0, 1.0)
    units = "µm" if pixel_size else None
    axes = [
        {"name": "y", "size": rows, "scale": steps[0], "offset": 0.0, "units": units},
        {"name": "x", "size": columns, "scale": steps[1], "offset": 0.0, "units": units},
        {
            "name": "Energy",
            "size": energy.size,
            "scale": energy.width,
            "offset": energy.offset,
            "units": "keV",
        },
    ]
    signal = signals.Signal1D(np.asarray(counts), axes=axes)
    signal.metadata.General.title = name
    if kind in _SIGNALS and find_spec("exspy"):
        signal.set_signal_type(_SIGNALS[kind])
        if energy_kev is not None:
            signal.metadata.set_item("Acquisition_instrument.SEM.beam_energy", energy_kev)
    return signal


def parts_of_signal(signal: Any) -> dict[str, Any]:
    """Return counts (Y, X, E), energy axis, pixel size, name and beam of a HyperSpy signal of spectra.

    Raises InvalidInput when it has no axis of energy in keV or eV, more than two axes of space, or values
    that are no counts.
    """
    axes = getattr(signal, "axes_manager", None)
    if axes is None:
        raise InvalidInput(
            f"a {type(signal).__name__} is no HyperSpy signal", "Give what hyperspy.api.load returns"
        )
    if axes.signal_dimension != 1 or axes.navigation_dimension > 2:
        raise InvalidInput(
            f"{axes.navigation_dimension} navigation and {axes.signal_dimension} signal axes make no map",
            "Give spectra over no, one or two axes of space",
        )
    along = axes.signal_axes[0]
    unit = {"kev": 1.0, "ev": 1e-3}.get(str(along.units).strip().lower())
    if unit is None or not along.is_uniform:
        raise InvalidInput(
            f"the signal axis {along.name} in {along.units} is no energy axis", "Set its units to keV or eV"
        )
    counts = np.asarray(signal.data)
    counts = counts.reshape((1,) * (3 - counts.ndim) + counts.shape)
    if counts.dtype.kind == "f" and np.array_equal(counts, np.rint(counts)):
        counts = counts.astype(np.int64)
    if counts.dtype.kind not in "ui" or (counts.size and counts.min() < 0):
        raise InvalidInput("the signal's values are no counts", "Give whole numbers of at least 0")
    if counts.dtype.kind == "i":
        counts = counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
    return {
        "counts": counts,
        "energy": EnergyAxis(along.offset * unit, along.scale * unit, along.size),
        "pixel_size": _pixel_size(axes.navigation_axes),
        "name": signal.metadata.get_item("General.title", "") or "HyperSpy signal",
        "beam_kev": signal.metadata.get_item("Acquisition_instrument.SEM.beam_energy", None)
        or signal.metadata.get_item("Acquisition_instrument.TEM.beam_energy", None),
    }


def _pixel_size(axes: Sequence[Any]) -> tuple[float, float] | None:
    """Return (dy, dx) in µm of HyperSpy's axes of space, x first there; None without a length."""
    lengths = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "mm": 1e3}
    steps = [abs(axis.scale) * lengths.get(str(axis.units).strip(), 0.0) for axis in axes]
    if not steps or not all(steps):
        return None
    return (steps[-1], steps[0])
