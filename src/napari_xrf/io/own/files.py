"""What the files of all nouns written here share: the choice by suffix, our mark, and pixel sizes in µm."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.extras import needed_package
from napari_xrf.core.memory import default_memory_budget
from napari_xrf.core.progress import Progress
from napari_xrf.io.atomic_write import replacing
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.new_file import new_file

if TYPE_CHECKING:
    import tifffile

MARK = "napari_xrf"
CUBE_KIND = "cube"
_LARGE = 2**26  # bytes
_MANY = 2**27  # values
_GREATEST_RATIO = 1032  # of deflate
_UM_PER_CM = 1e4
_USUAL_RATIO = 2**8  # of images with this many values
_SEGMENT_TAGS = (273, 279, 324, 325)  # places and sizes of strips and tiles
_MOST_SEGMENTS = 2**20
_MOST_PAGES = 2**12
_NO_AXIS = "."  # NeXus: this dimension has no axis dataset


def is_cube_file(file: Any) -> bool:
    """Tell whether :func:`napari_xrf.io.write_cube` wrote an open HDF5 file."""
    return hdf5_file.text_of(hdf5_file.attribute(file, MARK)) == CUBE_KIND


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
    except Exception as error:  # whatever the file makes it raise
        raise FileError(target, f"holds no usable {what} ({error})") from error


@contextmanager
def opened_tiff(path: str | Path) -> Iterator[tifffile.TiffFile]:
    """Give a TIFF file, open for reading; whatever fails inside becomes FileError."""
    import tifffile

    try:
        _check_directories(Path(path))
        with tifffile.TiffFile(Path(path)) as tiff:
            check_image(path, tiff.pages[0])
            yield tiff
    except FileError:
        raise
    except Exception as error:  # of tifffile's many kinds, and of those of the compressions
        hint = needed_package(error)
        what = "is compressed as only another package reads" if hint else "is a damaged or no TIFF file"
        raise FileError(path, f"{what} ({error})", hint) from error


def tiff_resolution(pixel_size: tuple[float, float] | None) -> dict[str, Any]:
    """Return the tags of a TIFF's pixels per cm, which every program reads, as options of tifffile."""
    if pixel_size is None:
        return {}
    dy, dx = pixel_size
    return {"resolution": (_UM_PER_CM / dx, _UM_PER_CM / dy), "resolutionunit": "CENTIMETER"}


def check_image(path: str | Path, image: Any, number: int = 1) -> None:
    """Refuse an image of a TIFF, or so many of its size, that claim far more than the file stores."""
    stored, count = Path(path).stat().st_size, number * prod(image.shape)
    claimed = count * image.dtype.itemsize
    chunks = prod(getattr(image, "chunked", ()))
    lies = claimed > max(_LARGE, stored) and claimed > (
        _USUAL_RATIO if count > _MANY else _GREATEST_RATIO
    ) * stored  # fmt: skip
    if lies or chunks > _MOST_SEGMENTS or claimed > 2 * default_memory_budget():
        raise FileError(path, f"claims an image of {image.shape} but stores hardly any of it")


def _check_directories(path: Path) -> None:
    """Refuse endless lists of strips or tiles before they are read."""
    with path.open("rb") as handle:
        head = handle.read(16)
        order, big = "<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+")
        (at,) = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])
        layout = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
        for _ in range(_MOST_PAGES):
            handle.seek(at)
            (tags,) = struct.unpack(order + ("Q" if big else "H"), handle.read(8 if big else 2))
            directory = handle.read(min(tags, 2**16) * layout.size)
            for code, _, count, _ in layout.iter_unpack(
                directory[: len(directory) // layout.size * layout.size]
            ):
                if code in _SEGMENT_TAGS and count > _MOST_SEGMENTS:
                    raise FileError(path, f"claims {count} strips or tiles of an image")
            following = handle.read(8 if big else 4)
            at = int.from_bytes(following, "little" if order == "<" else "big")
            if not at:
                return


def write_group(path: Path, kind: str, put: Callable[[Any, str, Any], None], noun: Any) -> None:
    """Write an HDF5 file of one NXdata group, named as its kind."""
    with new_file(path) as (file, _):
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
