"""What an HDF5 file holds for each pixel beside the spectra: the beam's intensity, count rates, times."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.counts import Hdf5Counts
from napari_xrf.io.hdf5.datasets import datasets_of

_MOST_TOGETHER = 64  # maps in one dataset; more are spectra
_BEAM = re.compile(
    r"(^|[^a-z])(i_?0|io|iodet|.*monitor|mon\d?|ion.?chamber.*|.*ic\d?|.*current|.*flux)$", re.I
)


def monitors_of(file: Any, counts: Hdf5Counts) -> tuple[str, ...]:
    """Return the names of what stands for each pixel, those that sound like the beam's intensity first.

    A name is the path of a dataset, ``"/entry/i0"``, or of one map of several, ``"/xrfmap/scalers/val[i0]"``.
    """
    found: list[tuple[bool, str]] = []
    for path, dataset in datasets_of(file):
        if path in counts.sources or dataset.dtype.kind not in "uif":
            continue
        among = _maps_in(dataset.shape, counts)
        if among is None:
            continue
        if not among:
            found.append((_BEAM.search(path.rsplit("/", 1)[-1]) is None, path))
        found += [(_BEAM.search(name) is None, f"{path}[{name}]") for name in _names_of(file, path, among)]
    return tuple(name for _, name in sorted(found, key=lambda each: each[0]))


def monitor(file: Any, name: str, counts: Hdf5Counts) -> NDArray[np.float64]:
    """Return a map (Y, X) of :func:`monitors_of`, its rows in the order of the counts'.

    Raises InvalidInput when there is none of this name that has a number for each pixel.
    """
    if name not in (known := monitors_of(file, counts)):
        raise InvalidInput(
            f"the file of this map has nothing for each pixel at {name!r}",
            f"It has {', '.join(known[:8])}" if known else "",
        )
    path, _, part = name.removesuffix("]").partition("[")
    dataset = dict(datasets_of(file))[path]
    values = np.asarray(hdf5_file.array_of(dataset), dtype=np.float64)
    rows, columns = counts.map_shape
    if part:
        among = _maps_in(dataset.shape, counts) or 0
        at = _names_of(file, path, among).index(part)
        first = values.shape[0] == among and _maps_in(dataset.shape[1:], counts) == 0
        values = values[at] if first else values[..., at]
    if values.ndim == 1 and counts.picked is not None:
        values = values[counts.picked]
    elif values.ndim == 1:
        values = np.pad(values, (0, rows * columns - values.size)).reshape(rows, columns)
    elif _across(counts):
        values = values.T
    values = values[:rows].copy()
    if counts.backwards is not None:
        values[counts.backwards] = values[counts.backwards, ::-1]
    return values


def _maps_in(shape: tuple[int, ...], counts: Hdf5Counts) -> int | None:
    """Return how many maps a dataset of this shape holds, 0 where it is one; None where it holds none."""
    rows, columns = counts.map_shape
    if shape == (counts.points or rows * columns,):
        return 0
    together = ((shape, 0), (shape[1:], shape[0]), (shape[:-1], shape[-1])) if shape else ()
    for pixels, among in together:
        if len(pixels) == 2 and among <= _MOST_TOGETHER:
            y, x = pixels[::-1] if _across(counts) else pixels
            if x == columns and y >= rows:
                return among
    return None


def _across(counts: Hdf5Counts) -> bool:
    """Whether the file keeps x before y."""
    return "y" in counts.axes and "x" in counts.axes and counts.axes.index("x") < counts.axes.index("y")


def _names_of(file: Any, path: str, count: int) -> tuple[str, ...]:
    """Return the names of maps that stand together, from a list of as many texts beside them, or numbers."""
    folder = path.rpartition("/")[0] or "/"
    for name in hdf5_file.children(hdf5_file.group_at(file, folder)) if count else ():
        texts = hdf5_file.dataset_at(file, f"{folder}/{name}")
        if texts is not None and texts.shape == (count,) and texts.dtype.kind in "SO":
            return tuple(text.strip() for text in hdf5_file.texts_of(texts))
    return tuple(map(str, range(count)))
