"""What the files of all nouns written here share: the choice by suffix, our mark, and pixel sizes in µm."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress
from napari_xrf.io.atomic_write import replacing
from napari_xrf.io.hdf5 import file as hdf5_file

MARK = "napari_xrf"
_LARGE = 2**26
_GREATEST_RATIO = 1032  # of deflate
_UM_PER_CM = 1e4
_NO_AXIS = "."  # NeXus: this dimension has no axis dataset
_UNUSABLE = (InvalidInput, LookupError, ValueError, TypeError, AttributeError, OSError, ArithmeticError,
             RecursionError, MemoryError)  # fmt: skip
# What tifffile lets through when offsets, counts or compressed data are damaged; SyntaxError is of OME-XML.
_DAMAGED_TIFF = (*_UNUSABLE, tifffile.TiffFileError, struct.error, zlib.error, RuntimeError,
                 AssertionError, SyntaxError)  # fmt: skip


def write_by_suffix(
    path: str | Path,
    noun: Any,
    writers: Mapping[str, Callable[[Path, Any], object]],
    what: str,
    progress: Progress,
) -> None:
    """Write a noun, whole or not at all, by the writer of the path's suffix.

    Raises InvalidInput when there is none for it, FileError when the file cannot be written.
    """
    target = Path(path)
    writer = writers.get(target.suffix.lower())
    if writer is None:
        known = ", ".join(
            dict.fromkeys({".tiff": ".tif", ".emsa": ".msa"}.get(name, name) for name in writers)
        )
        raise InvalidInput(f"{what} are not written to {target.suffix!r} files", f"Choose {known}")
    progress(0, 1, f"writing {what}")
    with replacing(target) as temporary:
        writer(temporary, noun)
    progress(1, 1, f"writing {what}")


def read_by_suffix(path: str | Path, readers: Mapping[str, Callable[[Path], Any]], what: str) -> Any:
    """Return what the reader of the path's suffix makes of a file.

    Raises FileError when there is no reader for it, or whatever the file holds makes it fail.
    """
    target = Path(path)
    reader = readers.get(target.suffix.lower())
    if reader is None:
        raise FileError(target, f"holds no {what}", f"Known endings are {', '.join(readers)}")
    try:
        return reader(target)
    except FileError:
        raise
    except _UNUSABLE as error:
        raise FileError(target, f"holds no usable {what} ({error})") from error


@contextmanager
def opened_tiff(path: str | Path) -> Iterator[tifffile.TiffFile]:
    """Give a TIFF file, open for reading; whatever fails inside becomes FileError."""
    try:
        with tifffile.TiffFile(Path(path)) as tiff:
            page = tiff.pages[0]
            stored, claimed = Path(path).stat().st_size, prod(page.shape) * page.dtype.itemsize
            if claimed > max(_LARGE, stored) and claimed > _GREATEST_RATIO * stored:
                raise FileError(path, f"claims an image of {page.shape} but stores hardly any of it")
            yield tiff
    except FileError:
        raise
    except _DAMAGED_TIFF as error:
        raise FileError(path, f"is a damaged or no TIFF file ({error})") from error


def tiff_resolution(pixel_size: tuple[float, float] | None) -> dict[str, Any]:
    """Return the tags of a TIFF's pixels per cm, which every program reads, as options of tifffile."""
    if pixel_size is None:
        return {}
    dy, dx = pixel_size
    return {"resolution": (_UM_PER_CM / dx, _UM_PER_CM / dy), "resolutionunit": "CENTIMETER"}


def write_group(path: Path, kind: str, put: Callable[[Any, str, Any], None], noun: Any) -> None:
    """Write an HDF5 file of one NXdata group, named as its kind."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"NX_class": "NXroot", "default": kind})
        put(file, kind, noun)


def marked_group(file: Any, kind: str) -> Any:
    """Return the group that we wrote at the root of an open HDF5 file, or None."""
    group = hdf5_file.group_at(file, kind)
    mine = group is not None and hdf5_file.text_of(hdf5_file.attribute(group, MARK)) == kind
    return group if mine else None


def new_group(parent: Any, name: str, kind: str, signal: str, **attributes: Any) -> Any:
    """Return a new, marked NXdata group of an open HDF5 group."""
    group = parent.create_group(name)
    group.attrs.update({"NX_class": "NXdata", "signal": signal, MARK: kind, **attributes})
    return group


def put_image_axes(
    group: Any, map_shape: tuple[int, ...], pixel_size: tuple[float, float] | None
) -> list[str]:
    """Write the axes ``y`` and ``x`` of pixel centres in µm; return what the ``axes`` attribute says of them.

    The exact pixel size is kept in the attribute ``pixel_size_um`` (dy, dx) of the group.
    """
    if pixel_size is None:
        return [_NO_AXIS, _NO_AXIS]
    group.attrs["pixel_size_um"] = np.asarray(pixel_size, dtype=np.float64)
    for name, count, size in zip(("y", "x"), map_shape, pixel_size, strict=True):
        axis = group.create_dataset(name, data=np.arange(count) * size)
        axis.attrs.update({"units": "um", "long_name": f"{name} (µm)"})
    return ["y", "x"]


def pixel_size_of(group: Any) -> tuple[float, float] | None:
    """Return the pixel size (dy, dx) in µm that :func:`put_image_axes` wrote."""
    return as_pair(hdf5_file.attribute(group, "pixel_size_um"))


def as_pair(size: Any) -> tuple[float, float] | None:
    """Return a stored pixel size (dy, dx), or None where none was stored."""
    return None if size is None else (float(size[0]), float(size[1]))
