"""Maps and spectra in files that RosettaSciIO reads and nothing here does better."""

import contextlib
import copy
import struct
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.extras import how_to_install, needed_package
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.io import calibration
from napari_xrf.io.hdf5.heaps import check_texts
from napari_xrf.io.hdf5.location import NO_XRAYS
from napari_xrf.io.scans import um_per, x_first
from napari_xrf.io.whole_counts import as_counts

_ENERGY_UNITS = ("ev", "kev")
_SERIES_HEAD, _SHORT_OFFSETS, _MOST_DIMENSIONS = 65536, 528, 8  # of a series of TIA


def read_rosetta(path: str | Path, *, map: int | None = None) -> SpectralCube:
    """Read a data set with an energy axis; ``map`` tells which of several, from 0.

    Raises FileError when RosettaSciIO cannot read the file, or nothing in it has an energy axis. Raises
    InvalidInput when there is no such map.
    """
    target = Path(path)
    found = [one for one in _signals(target) if _energy(one) is not None and np.ndim(one["data"]) <= 5]
    if not found:
        other = next((kind for one in _signals(target) if NO_XRAYS.search(kind := _kind(one))), "")
        said = f"{other} spectra, none of X-rays" if other else "no data with an energy axis"
        raise FileError(target, f"holds {said}", "" if other else "Is it an image?")
    if map is not None and not 0 <= map < len(found):
        raise InvalidInput(f"there is no map {map} in {target.name}", f"It holds {len(found)}, from 0")
    # Without a choice the largest: spectra of regions stand beside their map.
    at = max(range(len(found)), key=lambda n: np.size(found[n]["data"])) if map is None else map
    signal, energy = found[at], _energy(found[at])
    assert energy is not None
    values = np.moveaxis(np.asarray(signal["data"]), energy, -1)
    size = values.shape[-1]
    scans = [axis for number, axis in enumerate(signal["axes"]) if number != energy]
    if len(scans) > 1 and x_first(str(scans[-2].get("name", "")), str(scans[-1].get("name", ""))):
        values, scans = values.swapaxes(-2, -3), [*scans[:-2], scans[-1], scans[-2]]
    columns = values.shape[-2] if values.ndim > 1 else 1
    counts, faults = as_counts(values.reshape(-1, columns, size))
    axis, notes = calibration.or_assumed(lambda: _calibration(signal["axes"][energy], size), size)
    if len(found) > 1:
        notes += (f"The file holds {len(found)} data sets; {at} is read: {calibration.CHOOSE_MAP}.",)
    if len(scans) > 2:
        notes += (f"Its {len(scans)} scan axes stand one below another in this map.",)
    steps = [abs(one.get("scale", 0.0)) * (um_per(str(one.get("units", "")))[0] or 0.0) for one in scans[-2:]]
    general = _lookup(signal, "General")
    elements = _lookup(signal, "Sample").get("elements", [])
    return SpectralCube(
        counts,
        axis,
        str(general.get("title") or target.stem),
        pixel_size=(steps[0], steps[1]) if len(steps) == 2 and all(steps) else None,
        excitation=_excitation(signal),
        elements=tuple(symbol for symbol in elements if isinstance(symbol, str)),
        provenance=Provenance(str(path), "RosettaSciIO", (), (*notes, *faults)),
    )


def is_rosetta(path: str | Path) -> bool:
    """Tell whether a file holds data with an energy axis."""
    return any(_energy(one) is not None for one in _signals(Path(path)))


def microscope(number: Callable[[str], float | None], name: str) -> Excitation:
    """Return what HyperSpy's metadata say of a microscope; ``number`` looks up ``Stage/tilt_alpha``."""
    tilt = number("Stage/tilt_alpha") or 0.0
    return Excitation(
        "electron",
        number("beam_energy"),
        incidence_deg=90.0 - abs(tilt),
        # The detector's elevation is its take-off angle only over a sample that is not tilted.
        takeoff_deg=number("Detector/EDS/elevation_angle") if tilt == 0 else None,
        fwhm_mn_ka_ev=number("Detector/EDS/energy_resolution_MnKa"),
        instrument=name or None,
    )


def _signals(path: Path) -> list[dict[str, Any]]:
    import rsciio

    suffix = path.suffix.lower().lstrip(".")
    plugin = next((one for one in rsciio.IO_PLUGINS if suffix in one["file_extensions"]), None)
    if plugin is None:
        raise FileError(path, "is of a kind that RosettaSciIO does not read")
    if suffix == "emd":  # an HDF5 file
        check_texts(path)
    for series in {"ser": [path], "emi": sorted(path.parent.glob(f"{path.stem}_*.ser"))}.get(suffix, []):
        _check_series(series)
    try:
        signals: list[dict[str, Any]] = import_module(plugin["api"]).file_reader(str(path))
    except ImportError as error:
        raise FileError(
            path, f"needs a package that is not installed ({error})", how_to_install("zspy")
        ) from error
    except Exception as error:  # whatever a damaged file makes a reader raise
        raise FileError(path, f"cannot be read by RosettaSciIO ({error!r})", needed_package(error)) from error
    return [_mapped(signal) for signal in signals]


def _check_series(path: Path) -> None:
    """Raise FileError when a series of TIA claims more pixels than it lists: zeros would fill the memory."""
    with path.open("rb") as handle:
        head = handle.read(_SERIES_HEAD)
    try:
        version, listed = struct.unpack_from("<H8xI", head, 4)
        at = 30 if version <= _SHORT_OFFSETS else 34
        pixels = 1
        for _ in range(min(struct.unpack_from("<I", head, at - 4)[0], _MOST_DIMENSIONS)):
            length, description = struct.unpack_from("<I20xI", head, at)
            (units,) = struct.unpack_from("<I", head, at + 28 + description)
            pixels, at = pixels * length, at + 32 + description + units
    except struct.error as error:
        raise FileError(path, f"is cut short or damaged ({error})") from error
    if pixels > listed or 8 * listed > path.stat().st_size:  # each has a place of its data and one of its tag
        raise FileError(
            path, f"is damaged: it claims {max(pixels, listed)} spectra and does not list as many"
        )


def _mapped(signal: dict[str, Any]) -> dict[str, Any]:
    """Return a signal whose metadata hold what its ``mapping`` takes from the file's own words."""
    told: dict[str, Any] = copy.deepcopy(signal.get("metadata", {}))
    for source, (target, change) in (signal.get("mapping") or {}).items():
        *folders, name = source.split(".")
        found = _lookup({"metadata": signal.get("original_metadata", {})}, "/".join(folders)).get(name)
        with contextlib.suppress(
            Exception
        ):  # functions of the library, for words that this file may not have
            value = found if change is None else change(found)
            node = told
            *parents, last = target.split(".")
            for part in parents:
                node = node.setdefault(part, {})
            if found is not None and value is not None:
                node.setdefault(last, value)
    return {**signal, "metadata": told}


def _energy(signal: Mapping[str, Any]) -> int | None:
    """Return the number of the only axis in units of energy, or of spectra that were never calibrated."""
    axes = [at for at, axis in enumerate(signal["axes"])
            if str(axis.get("units", "")).lower() in _ENERGY_UNITS]  # fmt: skip
    if NO_XRAYS.search(_kind(signal)):
        return None
    if not axes and _kind(signal).startswith("EDS"):
        axes = [at for at, axis in enumerate(signal["axes"]) if not axis.get("navigate", False)]
    return axes[0] if len(axes) == 1 and np.asarray(signal["data"]).dtype.kind in "uif" else None


def _kind(signal: Mapping[str, Any]) -> str:
    return str(_lookup(signal, "Signal").get("signal_type", ""))


def _calibration(axis: Mapping[str, Any], size: int) -> calibration.Calibration:
    units = str(axis.get("units") or "")
    if axis.get("axis") is not None:
        return calibration.axis_from_energies(axis["axis"], units, size)
    return calibration.axis_from_polynomial([axis["offset"], axis["scale"]], size, units)


def _excitation(signal: Mapping[str, Any]) -> Excitation:
    for kind in ("SEM", "TEM"):
        found = _lookup(signal, f"Acquisition_instrument/{kind}")
        if found:
            return microscope(partial(_number, found), str(found.get("microscope") or ""))
    return Excitation()


def _lookup(signal: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    node: Any = signal.get("metadata", {})
    for part in filter(None, path.split("/")):
        node = node.get(part, {}) if isinstance(node, Mapping) else {}
    return node if isinstance(node, Mapping) else {}


def _number(found: Mapping[str, Any], path: str) -> float | None:
    *folders, name = path.split("/")
    value = _lookup({"metadata": found}, "/".join(folders)).get(name) if folders else found.get(name)
    return (
        float(value)
        if isinstance(value, int | float | np.floating | np.integer) and np.isfinite(value)
        else None
    )
