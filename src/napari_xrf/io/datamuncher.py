"""Element maps of Datamuncher and microxrf2: ``.dms`` and ``.ims``, as the Datamuncher wiki describes them.

A line with the number of dimensions but one, a line with their lengths (columns, rows, images), the values
with columns running fastest, as text (``.ims``) or as they lie in memory (``.dms``), and a line for each
image with its name (``Ca-Ka``). Of which kind the numbers of a .dms are is said nowhere: its length tells.
Numbers of foreign byte order would pass for whole ones and are not looked for.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import FileError
from napari_xrf.io.map_images import images_of_families

SUFFIXES = (".dms", ".ims")
_LARGEST = 2**30  # bytes
_MOST_IMAGES, _LONGEST_HEADER = 10_000, 200
_KINDS = ("<f4", "<i4", "<f8", "<i2")  # the likeliest first
# Of counts, rates and net areas: whole numbers read as others are beyond.
_FAINTEST, _LARGEST_VALUE = 1e-30, 1e12


def is_datamuncher(path: str | Path) -> bool:
    """Tell whether a file begins as such files do."""
    with Path(path).open("rb") as handle:
        return _shape(handle.read(_LONGEST_HEADER)) is not None


def read_datamuncher(path: str | Path) -> ElementMaps:
    """Read the images that elements name; their errors and the pixel size are not known.

    Raises FileError when the file is damaged, or no element names an image.
    """
    target = Path(path)
    if target.stat().st_size > _LARGEST:
        raise FileError(target, "is too large for element maps")
    data = target.read_bytes()
    begun = _shape(data[:_LONGEST_HEADER])
    if begun is None:
        raise FileError(target, "does not begin with two lines of dimensions", "Is it renamed?")
    shape, start = begun
    read = _text_values if target.suffix.lower() == ".ims" else _raw_values
    found = read(data[start:], math.prod(shape), shape[0])
    if found is None:
        raise FileError(target, f"does not hold {shape} values and a name for each image", "Is it cut short?")
    values, names = found
    stack = values.reshape(shape)
    families = images_of_families(names)
    if not families:
        raise FileError(target, f"names its images by no element: {', '.join(names[:5])}")
    counts = np.stack([stack[chosen].sum(axis=0, dtype=np.float32) for chosen in families.values()])
    return ElementMaps(
        tuple(families), counts, np.full_like(counts, np.nan), "Datamuncher", source=target.stem
    )


def _shape(head: bytes) -> tuple[tuple[int, int, int], int] | None:
    """Return (images, rows, columns) and where the values begin, or None."""
    lines = head.split(b"\n", 2)
    try:
        number, sizes = int(lines[0]), [int(word) for word in lines[1].split()]
    except (ValueError, IndexError):
        return None
    if len(lines) < 3 or number != 2 or len(sizes) != 3 or min(sizes) < 1 or sizes[2] > _MOST_IMAGES:
        return None
    return (sizes[2], sizes[1], sizes[0]), len(lines[0]) + len(lines[1]) + 2


def _raw_values(data: bytes, count: int, images: int) -> tuple[NDArray[np.float64], list[str]] | None:
    for kind in _KINDS:
        size = count * np.dtype(kind).itemsize
        names = _names(data[size:]) if size < len(data) else []
        if len(names) == images:
            values = np.frombuffer(data, kind, count).astype(np.float64)
            filled = np.abs(values[values != 0])
            if np.all((filled > _FAINTEST) & (filled < _LARGEST_VALUE)):
                return values, names
    return None


def _text_values(data: bytes, count: int, images: int) -> tuple[NDArray[np.float64], list[str]] | None:
    words = data.split(None, count)
    names = _names(words[-1]) if len(words) == count + 1 else []
    try:
        return (np.array(words[:count], dtype=np.float64), names) if len(names) == images else None
    except ValueError:
        return None


def _names(tail: bytes) -> list[str]:
    """Return the names of images, one a line; none where they are no text."""
    names = [line.strip() for line in tail.decode("latin-1").splitlines() if line.strip()]
    return names if all(name.isprintable() for name in names) else []
