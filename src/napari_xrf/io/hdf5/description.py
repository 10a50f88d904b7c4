"""What layouts tell beside their counts: HyperSpy's metadata, NeXus attributes, MAPS' override file."""

import contextlib
import posixpath
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.io import calibration
from napari_xrf.io.calibration import Calibration
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.location import hyperspy_axes
from napari_xrf.io.hdf5.metadata import PixelSize
from napari_xrf.io.rosetta import microscope
from napari_xrf.io.scans import um_per, x_first

OVERRIDE_NAME = "maps_fit_parameters_override.txt"
_OVERRIDE_LIMIT = 2**20


def nothing(file: Any, at: str) -> Mapping[str, Any]:
    """Tell nothing more: most layouts have no more to tell."""
    del file, at
    return {}


def override_calibration(file: Any, at: str, size: int) -> Calibration | None:
    """Read the calibration from the override file of MAPS' fits that stands beside a raw file."""
    del at
    values = _override(file)
    try:
        terms = [float(values[key]) for key in ("CAL_OFFSET_[E_OFFSET]", "CAL_SLOPE_[E_LINEAR]")]
        axis, notes = calibration.axis_from_polynomial(
            [*terms, float(values.get("CAL_QUAD_[E_QUADRATIC]", "0") or 0)], size
        )
    except (KeyError, ValueError, InvalidInput):
        return None
    return axis, (*notes, f"The energy calibration is that of {OVERRIDE_NAME} beside the file.")


def override_details(file: Any, at: str) -> Mapping[str, Any]:
    """Read the beam energy and the elements of the fit from MAPS' override file."""
    del at
    values = _override(file)
    told: dict[str, Any] = {}
    with contextlib.suppress(KeyError, ValueError):
        told["excitation"] = Excitation("monochromatic", float(values["COHERENT_SCT_ENERGY"]))
    named = (part.strip().split("_")[0] for part in values.get("ELEMENTS_TO_FIT", "").split(","))
    elements = tuple(dict.fromkeys(symbol for symbol in named if _is_element(symbol)))
    return {**told, "elements": elements} if elements else told


def hyperspy_calibration(file: Any, at: str, size: int) -> Calibration | None:
    """Read the energy axis of a HyperSpy file, uniform or listed: the one that is not for navigation."""
    for axis in hyperspy_axes(file, at):
        if not axis["navigate"]:
            if axis["listed"] is not None:
                return calibration.axis_from_energies(
                    hdf5_file.array_of(axis["listed"]), axis["units"], size, may_fall=True
                )
            return calibration.axis_from_polynomial([axis["offset"], axis["scale"]], size, axis["units"])
    return None


def hyperspy_pixel_size(file: Any, at: str) -> PixelSize:
    """Read the pixel size of a HyperSpy map from the scales of its navigation axes."""
    navigation = [axis for axis in hyperspy_axes(file, at) if axis["navigate"]][-2:]
    if len(navigation) == 2 and x_first(navigation[0]["name"], navigation[1]["name"]):
        navigation.reverse()
    dy, dx = ([abs(axis["scale"]) * (um_per(axis["units"])[0] or 0.0) for axis in navigation] + [0.0] * 2)[:2]
    return ((dy, dx) if dy and dx else None), (), None


def hyperspy_details(file: Any, at: str) -> Mapping[str, Any]:
    """Read title, voltage, geometry and elements from HyperSpy's metadata."""
    folder = posixpath.dirname(at)
    title = hdf5_file.text_attribute(hdf5_file.group_at(file, f"{folder}/metadata/General"), "title")
    listed = hdf5_file.dataset_at(file, f"{folder}/metadata/Sample/_list_elements")
    elements = tuple(name for name in hdf5_file.texts_of(listed) if _is_element(name)) if listed else ()
    told: dict[str, Any] = {"name": title or posixpath.basename(folder), "elements": elements}
    for kind in ("SEM", "TEM"):
        instrument = hdf5_file.group_at(file, f"{folder}/metadata/Acquisition_instrument/{kind}")
        if instrument is not None:
            name = hdf5_file.text_attribute(instrument, "microscope")
            told["excitation"] = microscope(partial(_number, instrument), name)
            seconds = _number(instrument, "Detector/EDS/live_time")
            if seconds is not None and file[at].ndim == 1:
                told["live_time"] = seconds
    return told


def edax_calibration(file: Any, at: str, size: int) -> Calibration | None:
    """Read the calibration of EDAX's sum spectrum beside a map, where it has as many channels."""
    table = hdf5_file.dataset_at(file, posixpath.dirname(at) + "/SPC")
    names = table.dtype.names or () if table is not None else ()
    if table is None or "eVOffset" not in names or table.size != 1:
        return None
    record = hdf5_file.table_of(table).ravel()[0]
    if "NumberOfPoints" in names and int(record["NumberOfPoints"]) != size:
        return None
    widths = [float(record[name]) for name in ("evPch", "evPerChannel") if name in names]
    return (
        calibration.axis_from_polynomial([float(record["eVOffset"]), *widths[:1]], size, "eV")
        if widths
        else None
    )


def nexus_details(file: Any, at: str) -> Mapping[str, Any]:
    """Read the sample's and the instrument's name from the attributes or datasets of a NeXus entry."""
    entry = hdf5_file.group_at(file, "/" + at.strip("/").split("/")[0])
    instrument = hdf5_file.text_attribute(entry, "instrument")
    return {"excitation": Excitation(instrument=instrument)} if instrument else {}


def oxford_details(file: Any, at: str) -> Mapping[str, Any]:
    """Read the voltage from the header of an Oxford .h5oina file, kV."""
    header = hdf5_file.group_at(file, posixpath.dirname(posixpath.dirname(at)) + "/Header")
    voltage = None if header is None else hdf5_file.number_of(hdf5_file.dataset_at(header, "Beam Voltage"))
    return {"excitation": Excitation("electron", voltage or None, atmosphere="vacuum")}


def _is_element(symbol: str) -> bool:
    from napari_xrf.core.emission_lines import atomic_number  # whether a file is a map is told without it

    try:
        return atomic_number(symbol) > 0
    except InvalidInput:
        return False


def _number(group: Any, path: str) -> float | None:
    folder, _, name = path.rpartition("/")
    node = hdf5_file.group_at(group, folder) if folder and group is not None else group
    return None if node is None else hdf5_file.number_of(hdf5_file.attribute(node, name))


def _override(file: Any) -> dict[str, str]:
    """Return ``KEY: value`` lines of the override file beside an HDF5 file; empty where there is none."""
    beside = Path(file.filename).parent / OVERRIDE_NAME
    try:
        if not beside.is_file() or beside.stat().st_size > _OVERRIDE_LIMIT:
            return {}
        lines = beside.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}
