"""Element maps as .ome.tif, .h5 and .csv, and the results of other programs' fits.

.ome.tif
    Image 1: net counts, float32, one channel a line family with its name; image 2: their standard errors.
    ``PhysicalSizeX`` and ``PhysicalSizeY`` in µm, and resolution tags for programs that know no OME.
.h5
    An NXdata group ``/element_maps``: ``counts`` (K, Y, X), ``counts_errors``, ``families``, and ``y``
    and ``x`` in µm.
.csv
    One line a pixel: ``y,x,y_um,x_um``, then each family and its standard error, ``Fe K,Fe K_se``, and
    ``dy_um,dx_um`` where there is one row or column. The method and the source are not kept.
"""

import csv
import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.csv_cells import cells_of, neutral, original, rows_of
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io import datamuncher, map_images
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.own import fit_results
from napari_xrf.io.own.files import (
    MARK,
    as_pair,
    check_image,
    marked_group,
    new_group,
    opened_tiff,
    pixel_size_of,
    put_image_axes,
    read_by_suffix,
    tiff_resolution,
    write_by_suffix,
    write_group,
)
from napari_xrf.io.own.zarr_files import SUFFIX as ZARR
from napari_xrf.io.own.zarr_files import write_maps_zarr
from napari_xrf.io.spectra.single import decoded

_KIND = "element_maps"
_CSV_START = ["y", "x", "y_um", "x_um"]
_CSV_SIZE = ["dy_um", "dx_um"]


def write_element_maps(path: str | Path, maps: ElementMaps, *, progress: Progress = ignore_progress) -> None:
    """Write element maps to .ome.tif (or .tif), .h5 or .csv; InvalidInput for other suffixes."""
    writers = {".tif": _write_tiff, ".tiff": _write_tiff, ".h5": _write_hdf5, ".csv": _write_csv}
    if Path(path).suffix.lower() == ZARR:
        write_maps_zarr(Path(path), maps)
    else:
        write_by_suffix(path, maps, writers, "element maps", progress)


def read_element_maps(path: str | Path) -> ElementMaps:
    """Read element maps that :func:`write_element_maps`, other programs' fits or their images hold.

    Of foreign files the line families are kept, other results (scatter, χ²) are left out; missing
    standard errors are NaN. Raises FileError when the file holds none or is damaged.
    """
    readers = {".tif": _read_tiff, ".tiff": _read_tiff, ".h5": _read_hdf5, ".hdf5": _read_hdf5,
               ".nxs": _read_hdf5, ".h5oina": _read_hdf5,
               **dict.fromkeys(map_images.TEXT_SUFFIXES, _read_text),
               map_images.EDF: map_images.read_named_images,
               **dict.fromkeys(datamuncher.SUFFIXES, datamuncher.read_datamuncher)}  # fmt: skip
    return read_by_suffix(path, readers, "element maps")


def is_element_map_file(path: str | Path) -> bool:
    """Tell whether a file holds element maps that :func:`read_element_maps` reads."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return bool(_tiff_mark(target)) or map_images.is_named_image(target)
    if suffix in map_images.TEXT_SUFFIXES:
        return _is_table(target) or map_images.is_fit_table(target) or map_images.is_named_image(target)
    if suffix == map_images.EDF:
        return map_images.is_named_image(target)
    if suffix in datamuncher.SUFFIXES:
        return datamuncher.is_datamuncher(target)
    with hdf5_file.opened(target) as file:
        return marked_group(file, _KIND) is not None or fit_results.find(file) is not None


def put_element_maps(parent: Any, name: str, maps: ElementMaps) -> None:
    """Write element maps as the NXdata group ``name`` of an open HDF5 group."""
    group = new_group(parent, name, _KIND, "counts", method=maps.method, source=maps.source)
    chunks = (1, *maps.counts.shape[1:]) if maps.counts.size else None
    for dataset, values in (("counts", maps.counts), ("counts_errors", maps.standard_errors)):
        group.create_dataset(
            dataset, data=values, chunks=chunks, compression="gzip" if chunks else None, shuffle=bool(chunks)
        )
    group["counts"].attrs["interpretation"] = "image"
    group["counts"].attrs["units"] = maps.unit
    group.create_dataset("families", data=list(maps.families), dtype=h5py.string_dtype())
    group.attrs["axes"] = [".", *put_image_axes(group, maps.counts.shape[1:], maps.pixel_size)]


def get_element_maps(group: Any) -> ElementMaps:
    """Read element maps from their NXdata group."""
    return ElementMaps(
        hdf5_file.texts_of(group["families"]),
        hdf5_file.array_of(group["counts"]),
        hdf5_file.array_of(group["counts_errors"]),
        hdf5_file.text_of(hdf5_file.attribute(group, "method", "")),
        pixel_size_of(group),
        hdf5_file.text_of(hdf5_file.attribute(group, "source", "")),
        hdf5_file.text_of(hdf5_file.attribute(group["counts"], "units", "counts")),
    )


def _write_tiff(path: Path, maps: ElementMaps) -> None:
    import tifffile

    if not maps.families:
        raise InvalidInput("there are no element maps to write", "Choose at least one element")
    mark = {MARK: _KIND, "method": maps.method, "source": maps.source, "pixel_size_um": maps.pixel_size}
    mark["unit"] = maps.unit
    size: dict[str, Any] = {}
    if maps.pixel_size is not None:
        size = {f"PhysicalSize{axis}": step for axis, step in zip("YX", maps.pixel_size, strict=True)}
        size |= {f"PhysicalSize{axis}Unit": "µm" for axis in "YX"}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for name, stack in (("net counts", maps.counts), ("standard errors", maps.standard_errors)):
            metadata = {"axes": "CYX", "Name": name, "Channel": {"Name": list(maps.families)}, **size}
            if name == "net counts":
                metadata["Description"] = json.dumps(mark)
                # Of the content, not of the clock: the same maps are the same bytes.
                metadata["UUID"] = str(
                    uuid.UUID(bytes=hashlib.md5(np.ascontiguousarray(maps.counts).data).digest())
                )
            tiff.write(
                np.ascontiguousarray(stack, dtype=np.float32),
                metadata=metadata,
                photometric="minisblack",
                compression="zlib",
                **tiff_resolution(maps.pixel_size),
            )


def _read_tiff(path: Path) -> ElementMaps:
    import tifffile

    mark = _tiff_mark(path)
    if not mark:
        return map_images.read_named_images(path)
    with opened_tiff(path) as tiff:
        ome = tifffile.xml2dict(tiff.ome_metadata or "")
        images = ome["OME"]["Image"]
        channels = images[0]["Pixels"]["Channel"]
        names = [entry["Name"] for entry in (channels if isinstance(channels, list) else [channels])]
        for series in tiff.series[:2]:
            check_image(path, series)
        counts, errors = (_stack(tiff.series[index].asarray()) for index in (0, 1))
    size = as_pair(mark["pixel_size_um"])
    return ElementMaps(
        tuple(str(name) for name in names),
        counts,
        errors,
        mark["method"],
        size,
        mark["source"],
        str(mark.get("unit", "counts")),
    )


def _stack(values: NDArray[np.generic]) -> NDArray[np.float32]:
    # A single channel comes back without its axis.
    return np.asarray(values if values.ndim == 3 else values[None], dtype=np.float32)


def _tiff_mark(path: Path) -> dict[str, Any]:
    """Return what the description of our first image says, empty for other programs' files."""
    import tifffile

    with opened_tiff(path) as tiff:
        if not tiff.is_ome or not tiff.ome_metadata or _KIND not in tiff.ome_metadata:
            return {}
        images = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        mark = json.loads(images[0]["Description"])
    return mark if isinstance(mark, dict) and mark.get(MARK) == _KIND else {}


def _write_hdf5(path: Path, maps: ElementMaps) -> None:
    write_group(path, _KIND, put_element_maps, maps)


def _read_hdf5(path: Path) -> ElementMaps:
    with hdf5_file.opened(path) as file:
        group = marked_group(file, _KIND)
        return fit_results.read(path, file) if group is None else get_element_maps(group)


def _write_csv(path: Path, maps: ElementMaps) -> None:
    header = [*_CSV_START]
    for family in maps.families:
        header += [family, f"{family}_se"]
    dy, dx = maps.pixel_size or (None, None)
    # The positions of a single row or column tell no step.
    size = [repr(dy), repr(dx)] if maps.pixel_size and min(maps.counts.shape[1:]) == 1 else []
    header += _CSV_SIZE[: len(size)]
    with path.open("w", encoding="utf-8", newline="") as handle:
        table = csv.writer(handle, lineterminator="\n")
        table.writerow(map(neutral, header))
        _, rows, width = maps.counts.shape
        for y in range(rows):
            y_um = "" if dy is None else repr(y * dy)
            # (X, 2K): counts and errors side by side; shortest texts that read back to the same float32.
            row = np.stack([maps.counts[:, y], maps.standard_errors[:, y]], axis=1).reshape(-1, width)
            texts = row.T.astype(str).tolist()
            table.writerows(
                [y, x, y_um, "" if dx is None else repr(x * dx), *values, *size]
                for x, values in enumerate(texts)
            )


def _is_table(path: Path) -> bool:
    with path.open("rb") as handle:
        return cells_of(decoded(handle.read(200)).partition("\n")[0])[:4] == _CSV_START


def _read_text(path: Path) -> ElementMaps:
    if _is_table(path):
        return _read_csv(path)
    return (
        map_images.read_fit_table(path)
        if map_images.is_fit_table(path)
        else map_images.read_named_images(path)
    )


def _read_csv(path: Path) -> ElementMaps:
    rows = rows_of(decoded(path.read_bytes()))
    rows[:1] = [[original(cell) for cell in row] for row in rows[:1]]
    if len(rows) < 2:
        raise FileError(path, "holds no pixels")
    size = None
    if rows[0][-2:] == _CSV_SIZE:
        size = as_pair(rows[1][-2:])
        rows = [row[:-2] for row in rows]
    families = tuple(rows[0][4::2])
    if rows[0][5::2] != [f"{family}_se" for family in families]:
        raise FileError(path, "has a family without its standard errors")
    places = np.array([[int(cell) for cell in row[:2]] for row in rows[1:]])
    wide = np.array([row[4:] for row in rows[1:]], dtype=np.float64)
    if np.abs(wide).max(initial=0, where=~np.isnan(wide)) > np.finfo(np.float32).max:
        raise FileError(path, "holds values that are too large for counts")
    stack = map_images.placed(path, places, wide.astype(np.float32))
    return ElementMaps(families, stack[0::2], stack[1::2], "table", size or _csv_pixel_size(rows), path.stem)


def _csv_pixel_size(rows: list[list[str]]) -> tuple[float, float] | None:
    # The first step along each axis; a map of one row or column is taken to have square pixels.
    steps = [
        next((float(row[um]) for row in rows[1:] if row[at] == "1" and row[um]), None)
        for at, um in ((0, 2), (1, 3))
    ]
    dy, dx = steps[0] or steps[1], steps[1] or steps[0]
    return None if dy is None or dx is None else (dy, dx)
