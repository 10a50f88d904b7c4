"""Spectral maps in this package's own HDF5 file, with the truth when they are synthetic.

``/map`` is an NXentry; ``/map/data`` is an NXdata group with ``counts`` (Y, X, E), ``energy`` in keV and,
where the pixel size is known, ``y`` and ``x`` in µm: h5web, silx and PyMca show it as it stands, with PyMca's
``calibration``. Beside it: source, detector and sample as NXfluo names them, ``live_time`` (Y, X) in s,
``images``, and what is known of the excitation as JSON in an attribute.
``/truth`` holds what a synthetic map was made from: label maps and element maps as in their own files,
arrays as datasets, and everything else as JSON.

HDF5 runs its filters in one thread under one lock. Here the chunks of a block are shuffled and compressed
side by side and handed over as they are to be stored, so that any program with the standard filters reads
them.
"""

import itertools
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import AuxiliaryImage, Excitation, Provenance, SpectralCube
from napari_xrf.io.atomic_write import replacing
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.new_file import new_file
from napari_xrf.io.own.element_map_files import get_element_maps, put_element_maps
from napari_xrf.io.own.files import CUBE_KIND, MARK, is_cube_file, pixel_size_of, put_image_axes
from napari_xrf.io.own.label_files import get_labels, put_labels
from napari_xrf.io.own.zarr_files import SUFFIX as ZARR
from napari_xrf.io.own.zarr_files import write_cube_zarr

LAYOUT = "napari-xrf"
HSPY = ".hspy"
_SIGNALS = {"electron": "EDS_SEM"}  # as eXSpy names them
_BAND = 16  # rows and columns of a chunk: a pixel, a region and an energy slice each touch a fair share
_CHANNELS = 512
FILTERS: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
_WINDOW_BITS, _MEMORY = 15, 9  # zlib's largest
_SUFFIXES = (".h5", ".hdf5")
_SOURCES = {"tube": "Fixed Tube X-ray", "monochromatic": "Synchrotron X-ray Source"}  # as NXsource names them


def write_cube(
    path: str | Path,
    cube: SpectralCube,
    *,
    truth: Mapping[str, Any] | None = None,
    progress: Progress = ignore_progress,
) -> None:
    """Write a map to HDF5, band by band of rows, so that a lazily read map never has to fit in memory.

    Parameters
    ----------
    path
        ``.h5`` or ``.hdf5``; also ``.hspy`` of HyperSpy and ``.zarr`` (OME-Zarr), without what they lack.
    cube
        The map. Everything but the provenance's path is kept.
    truth
        Name → :class:`LabelMap`, :class:`ElementMaps`, array or JSON-able value; names without ``/``.
    progress
        Told after each band.

    Raises
    ------
    InvalidInput
        When the suffix is another, or a truth can be stored neither as an array nor as JSON.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if truth and suffix in (HSPY, ZARR):
        raise InvalidInput(f"{suffix} files hold no truth", "Choose .h5, or write the cube alone")
    if suffix == ZARR:
        write_cube_zarr(target, cube, progress)
        return
    if suffix not in (*_SUFFIXES, HSPY):
        raise InvalidInput(f"maps are not written to {target.suffix!r} files", "Choose .h5, .hspy or .zarr")
    with replacing(target) as temporary, new_file(temporary) as (file, check):
        if suffix == HSPY:
            _put_spectra(_put_hspy(file, cube), "data", cube, progress, check)
            return
        file.attrs.update({"NX_class": "NXroot", "default": "map", MARK: CUBE_KIND})
        entry = file.create_group("map")
        entry.attrs.update({"NX_class": "NXentry", "default": "data", "title": cube.name})
        # The file of an instrument stays where it was: what it says of the excitation is kept.
        entry.attrs["excitation"] = json.dumps(asdict(replace(cube.excitation, description=None)))
        entry.attrs["provenance"] = json.dumps(asdict(cube.provenance))
        entry.create_dataset("elements", data=list(cube.elements), dtype=h5py.string_dtype())
        for number, image in enumerate(cube.images):
            _put_image(entry.require_group("images"), f"image_{number:03d}", image)
        if cube.live_time is not None:
            entry.create_dataset("live_time", data=cube.live_time).attrs["units"] = "s"
        for name, value in (truth or {}).items():
            _put_truth(file.require_group("truth"), name, value)
        _put_counts(entry, cube, progress, check)
        _put_instrument(entry, cube)


def read_truth(path: str | Path) -> dict[str, Any]:
    """Return the truth that :func:`write_cube` stored, as the nouns, arrays and values it was given.

    Raises FileError when the file holds none.
    """
    with hdf5_file.opened(path) as file:
        group = hdf5_file.group_at(file, "truth")
        if group is None or not is_cube_file(file):
            raise FileError(path, "holds no truth", "Only synthetic maps have one")
        return {name: _get_truth(group[name]) for name in group}


def write_block(dataset: Any, start: tuple[int, ...], block: NDArray[Any]) -> None:
    """Write a block of values that begins at ``start``, whole chunks but for those at the dataset's end.

    ``dataset`` is an open h5py dataset created with :data:`FILTERS`, ``start`` multiples of its chunks'
    shape; they are compressed on all cores.
    """
    values, chunks = np.asarray(block, dtype=dataset.dtype), dataset.chunks
    places = list(_places(values.shape, chunks))
    parts = (
        values[tuple(slice(low, low + size) for low, size in zip(at, chunks, strict=True))] for at in places
    )
    # HDF5 itself is left to this thread.
    for at, data in zip(places, in_threads(lambda part: compress(part, chunks), parts), strict=True):
        dataset.id.write_direct_chunk(tuple(map(sum, zip(start, at, strict=True))), data)


def compress(values: NDArray[Any], shape: tuple[int, ...]) -> bytes:
    """Return what HDF5 stores for a chunk: values, padded with zeros to its shape, shuffled, deflated.

    Counts are mostly small, so that their upper bytes are runs of zeros: run lengths alone are found faster
    than all repetitions, and take less space in the end.
    """
    padded = values
    if values.shape != shape:
        padded = np.zeros(shape, dtype=values.dtype)
        padded[tuple(slice(size) for size in values.shape)] = values
    strategy = zlib.Z_RLE if values.dtype.kind in "biu" else zlib.Z_DEFAULT_STRATEGY
    stream = zlib.compressobj(FILTERS["compression_opts"], zlib.DEFLATED, _WINDOW_BITS, _MEMORY, strategy)
    raw = np.ascontiguousarray(padded).reshape(-1).view(np.uint8)
    shuffled = np.ascontiguousarray(raw.reshape(-1, values.dtype.itemsize).T)
    return stream.compress(shuffled.data) + stream.flush()


def describe(file: Any, path: str | Path) -> dict[str, Any]:
    """Return all of a cube but its counts, from an open file, as arguments of :class:`SpectralCube`."""
    entry = file["map"]
    counts = entry["data/counts"]
    live_time = hdf5_file.dataset_at(entry, "live_time")
    images = hdf5_file.group_at(entry, "images")
    kept = json.loads(hdf5_file.attribute(entry, "provenance"))
    offset, width = (hdf5_file.attribute(entry["data/energy"], name) for name in ("offset_keV", "width_keV"))
    return {
        "energy": EnergyAxis(float(offset), float(width), counts.shape[-1]),
        "name": hdf5_file.text_attribute(entry, "title"),
        "pixel_size": pixel_size_of(entry["data"]),
        "live_time": None if live_time is None else hdf5_file.array_of(live_time),
        "excitation": Excitation(**json.loads(hdf5_file.attribute(entry, "excitation"))),
        "elements": hdf5_file.texts_of(entry["elements"]),
        "images": tuple(_get_image(images[name]) for name in sorted(images)) if images else (),
        "provenance": Provenance(str(path), LAYOUT, tuple(kept["detectors"]), tuple(kept["warnings"])),
    }


def _put_counts(entry: Any, cube: SpectralCube, progress: Progress, check: Callable[[], None]) -> None:
    group = entry.create_group("data")
    group.attrs.update({"NX_class": "NXdata", "signal": "counts"})
    energy = group.create_dataset("energy", data=cube.energy.energies)
    energy.attrs.update({"units": "keV", "long_name": "energy (keV)"})
    energy.attrs.update({"offset_keV": cube.energy.offset, "width_keV": cube.energy.width})
    group.attrs["axes"] = [*put_image_axes(group, cube.map_shape, cube.pixel_size), "energy"]
    counts = _put_spectra(group, "counts", cube, progress, check)
    counts.attrs.update({"interpretation": "spectrum", "long_name": "counts"})


def _put_spectra(
    group: Any, name: str, cube: SpectralCube, progress: Progress, check: Callable[[], None]
) -> Any:
    """Write the counts of a map band by band; return their dataset."""
    rows, columns, channels = cube.shape
    compressed: dict[str, Any] = {}
    if rows * columns:
        chunks = (min(_BAND, rows), min(_BAND, columns), min(_CHANNELS, channels))
        compressed = {"chunks": chunks, **FILTERS}
    counts = group.create_dataset(name, shape=cube.shape, dtype=cube.counts.dtype, **compressed)
    for start in range(0, rows, _BAND):
        band = slice(start, min(start + _BAND, rows))
        for part in _columns(columns, (band.stop - start) * channels * counts.dtype.itemsize):
            write_block(counts, (start, part.start, 0), np.asarray(cube.counts[band, part]))
            check()
            done = start * columns + part.stop * (band.stop - start)
            progress(done, rows * columns, "writing spectra")
    return counts


def _put_hspy(file: Any, cube: SpectralCube) -> Any:
    """Describe a map as HyperSpy does, version 3.3; return the group whose ``data`` is to hold the counts.

    Axes are calibrated, and the beam stands there where it is one of electrons. HyperSpy is not needed.
    """
    file.attrs.update({"file_format": "HyperSpy", "file_format_version": "3.3"})
    group = file.create_group("Experiments").create_group(
        cube.name.replace("/", "-").strip(".") or "__unnamed__"
    )
    group.attrs.update({"package": "hyperspy", "package_version": "2.0"})
    dy, dx = cube.pixel_size or (1.0, 1.0)
    unit = {"units": "µm"} if cube.pixel_size else {}
    axes = [
        {"name": "y", "scale": dy, "offset": 0.0, "navigate": True, **unit},
        {"name": "x", "scale": dx, "offset": 0.0, "navigate": True, **unit},
        {"name": "Energy", "scale": cube.energy.width, "offset": cube.energy.offset, "units": "keV",
         "navigate": False},
    ]  # fmt: skip
    for number, (axis, size) in enumerate(zip(axes, cube.shape, strict=True)):
        group.create_group(f"axis-{number}").attrs.update({**axis, "size": size})
    for name in ("original_metadata", "learning_results"):
        group.create_group(name)
    group.create_group("attributes").attrs.update({"_lazy": False, "ragged": False})
    metadata, beam = group.create_group("metadata"), cube.excitation
    metadata.create_group("General").attrs["title"] = cube.name
    metadata.create_group("Signal").attrs["signal_type"] = _SIGNALS.get(beam.kind or "", "")
    if beam.kind == "electron" and beam.energy_kev:
        metadata.create_group("Acquisition_instrument/SEM").attrs["beam_energy"] = beam.energy_kev
    return group


def _put_instrument(entry: Any, cube: SpectralCube) -> None:
    """Write what is known of source, detector and sample as NXfluo names them, and PyMca's calibration."""
    beam = cube.excitation
    entry.create_dataset("title", data=cube.name)
    entry["data"].create_dataset("calibration", data=[cube.energy.offset, cube.energy.width, 0.0])
    sample, instrument = entry.create_group("sample"), entry.create_group("instrument")
    sample.attrs["NX_class"], instrument.attrs["NX_class"] = "NXsample", "NXinstrument"
    sample.create_dataset("name", data=cube.name)
    detector, source = instrument.create_group("fluorescence"), instrument.create_group("source")
    detector.attrs["NX_class"], source.attrs["NX_class"] = "NXdetector", "NXsource"
    for name, target in (("data", "counts"), ("energy", "energy"), ("calibration", "calibration")):
        detector[name] = entry["data"][target]
    if cube.live_time is not None:
        detector["live_time"] = entry["data/live_time"] = entry["live_time"]
    if beam.instrument:
        instrument.create_dataset("name", data=beam.instrument)
    if beam.kind is not None:
        source.create_dataset("probe", data="electron" if beam.kind == "electron" else "x-ray")
    if beam.kind in _SOURCES:
        source.create_dataset("type", data=_SOURCES[beam.kind])
    if beam.energy_kev is not None:
        if beam.kind == "monochromatic":
            place, name, unit = instrument.create_group("monochromator"), "energy", "keV"
            place.attrs["NX_class"] = "NXmonochromator"
        else:
            place, name, unit = source, "voltage", "kV"
        place.create_dataset(name, data=beam.energy_kev).attrs["units"] = unit


def _columns(columns: int, column_bytes: int) -> Iterator[slice]:
    """Cut a band into parts of whole chunks, each written in a fraction of a second."""
    step = max(_BAND, (16 * 2**20 // max(column_bytes, 1)) // _BAND * _BAND)
    for start in range(0, columns, step):
        yield slice(start, min(start + step, columns))


def _put_image(parent: Any, name: str, image: AuxiliaryImage) -> None:
    group = parent.create_group(name)
    group.attrs.update({"NX_class": "NXdata", "signal": "data", "title": image.name})
    group.attrs["origin_um"] = np.asarray(image.origin, dtype=np.float64)
    if image.pixel_size is not None:
        group.attrs["pixel_size_um"] = np.asarray(image.pixel_size, dtype=np.float64)
    group.create_dataset("data", data=image.data, compression="gzip").attrs["interpretation"] = (
        "rgb-image" if image.data.ndim == 3 else "image"
    )


def _get_image(group: Any) -> AuxiliaryImage:
    y, x = (float(value) for value in hdf5_file.attribute(group, "origin_um"))
    return AuxiliaryImage(
        hdf5_file.text_attribute(group, "title"),
        hdf5_file.array_of(group["data"]),
        pixel_size_of(group),
        (y, x),
    )


def _put_truth(group: Any, name: str, value: Any) -> None:
    if not name or "/" in name or name == ".":
        raise InvalidInput(f"a truth cannot be named {name!r}", "Use a name without /")
    if isinstance(value, LabelMap):
        put_labels(group, name, value)
    elif isinstance(value, ElementMaps):
        put_element_maps(group, name, value)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        group.create_dataset(name, data=value, compression="gzip" if value.ndim and value.size else None)
    else:
        try:
            text = json.dumps(value)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"the truth {name!r} cannot be stored ({error})") from error
        # Long texts do not fit an attribute.
        group.create_dataset(name, data=text).attrs["json"] = True


def _get_truth(node: Any) -> Any:
    kind = hdf5_file.text_of(hdf5_file.attribute(node, MARK))
    if kind == "labels":
        return get_labels(node)
    if kind == "element_maps":
        return get_element_maps(node)
    if hdf5_file.attribute(node, "json", False):
        return json.loads(hdf5_file.text_of(node))
    return hdf5_file.array_of(node, "biufc")[()]


def _places(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(0, size, chunk) for size, chunk in zip(shape, chunks, strict=True)))
