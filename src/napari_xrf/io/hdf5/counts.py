"""Counts that stay in their HDF5 file and are read tile by tile, detectors summed on the way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.core.counts import Counts, indices_of
from napari_xrf.core.errors import FileError
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import SLAB, scratch_array
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.chunks import box_of
from napari_xrf.io.hdf5.scaling import blank_of, scaling_of
from napari_xrf.io.whole_counts import CountFaults, measured, narrowest, whole_counts

TILE_BYTES = 16 * 2**20  # decompressed in a fraction of a second, so that cancelling feels immediate
_SAMPLED = 2**22  # values of a row
_ROUNDED = 1e-3  # of a count: what is scaled misses whole numbers by less
_GAP = 8  # points that are read though no pixel wants them, rather than read twice
_WIDER = {1: np.uint16, 2: np.uint32, 4: np.uint64, 8: np.uint64}

Span = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Hdf5Counts:
    """Counts (Y, X, E) in the datasets of an HDF5 file, read by slicing.

    The file is opened for each access and never locked, so that it can be moved or replaced meanwhile.
    """

    path: Path  # the file
    sources: tuple[str, ...]  # paths of the datasets whose values are summed
    # A letter for each of their dimensions: ``y``, ``x``, ``e`` (energy), ``d`` (detector, summed unless
    # ``element`` says which), ``s`` (scans that stand one below another), ``n`` (points, row by row)
    axes: str
    stored_shape: tuple[int, ...]  # of each dataset
    stored_dtype: np.dtype[Any]  # of their values, once they are scaled
    map_shape: tuple[int, int]  # (Y, X); needed where axes hold ``n``, and where rows at the end are left out
    element: int | None = None  # the one index on axis ``d`` to read, or None for the sum
    chunks: tuple[int, ...] | None = None
    per_row: int = 0  # how many of the datasets make one row of the map; 0 where each holds all rows
    # the number of each pixel's point, (Y, X), where the file says it; None where points run row by row
    picked: NDArray[np.int64] | None = None
    falling: bool = False  # whether the channels are stored from the highest energy down
    # which rows are stored against the direction of the others, (Y,), or None
    backwards: NDArray[np.bool_] | None = None
    # whether values are made whole along the whole energy axis, and need 64 bits
    fractional: bool = False
    wide: bool = False
    scale: float = 1.0  # what each value is multiplied by, and what is added to it then
    shift: float = 0.0
    blank: float | None = None  # the number that marks what was not measured
    faults: CountFaults = field(default_factory=CountFaults)  # what was wrong with the values read so far
    stamp: tuple[int, int] = (0, 0)  # of the file when it was opened, (0, 0) for one that may grow

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Y, X, E)."""
        return (*self.map_shape, self._length("e"))

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def is_sum(self) -> bool:
        """Whether several stored values make one count."""
        datasets = self.per_row or len(self.sources)
        return datasets > 1 or ("d" in self.axes and self.element is None and self._length("d") > 1)

    @property
    def points(self) -> int | None:
        """How many pixels are stored, where they are stored one after the other."""
        return self._length("n") if "n" in self.axes and not self.per_row else None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Unsigned and wide enough for every value that could be stored."""
        if self.stored_dtype.kind == "f":
            return np.dtype(np.uint64 if self.wide else np.uint32)
        itemsize = self.stored_dtype.itemsize
        return np.dtype(_WIDER[itemsize] if self.is_sum else f"u{itemsize}")

    def scaled(self, factor: float) -> "Hdf5Counts":
        """Return the counts multiplied by a factor, too."""
        return replace(self, scale=self.scale * factor, shift=self.shift * factor)

    def __getitem__(self, key: Any, /) -> Any:
        """Return counts by integers, slices or anything numpy indexes with; a numpy array."""
        found = indices_of(key, self.shape)
        spans = [(min(wanted), max(wanted) + 1) if wanted else (0, 0) for wanted, _ in found]
        block = self._read(*spans)
        # One axis after the other from the last, so that integers do not shift the others.
        for axis in (2, 1, 0):
            wanted, inner = found[axis]
            if wanted.step != 1:
                block = block[(slice(None),) * axis + (np.asarray(wanted, dtype=np.intp) - spans[axis][0],)]
            block = block[(slice(None),) * axis + (inner,)]
        return block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:, :, :], dtype=dtype)

    def tiles(self) -> Iterator[tuple[Span, Span, Span]]:
        """Yield the spans (y, x, e) of tiles that cut no chunk, so that one pass reads each chunk once."""
        steps = self._tile_shape()
        for y in _spans(self.shape[0], steps[0]):
            for x in _spans(self.shape[1], steps[1]):
                for e in _spans(self.shape[2], steps[2]):
                    yield y, x, e

    def load(self, memory_budget: int, progress: Progress = ignore_progress) -> Counts:
        """Return all counts (Y, X, E): an array as narrow as the largest allows, or in a scratch file."""
        step = self._tile_shape()[2]
        whole = step % SLAB == 0 or step == self.shape[2]  # no tile may end within a slab
        target: Any = scratch_array(self.shape, self.dtype, memory_budget, min(step, SLAB) if whole else step)
        largest, done, total = 0, 0, prod(self.shape)
        exact = self.stored_dtype.kind == "u" and not self.is_sum

        def put(one: tuple[tuple[Span, ...], NDArray[Any]]) -> tuple[int, int]:
            tile, block = one
            most = int(block.max(initial=0))
            # Memory that is never written to is not taken: a file may promise much and hold nothing.
            if most or not isinstance(target, np.ndarray):
                target[tuple(slice(*span) for span in tile)] = block
            return block.size, most

        with hdf5_file.opened(self.path) as file:
            # What was read is put away while the next tile is read.
            blocks = ((tile, self._read(*tile, file)) for tile in self.tiles())
            for size, most in in_threads(put, blocks):
                largest, done = max(largest, most), done + size
                progress(done, total, "reading spectra")
        kept = self.dtype if exact else min(narrowest(largest), self.dtype, key=lambda kind: kind.itemsize)
        return target.astype(kept, copy=False) if isinstance(target, np.ndarray) else target

    def sum_region(self, mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
        """Return the summed spectrum, (E,), of the pixels where ``mask`` (Y, X) is true."""
        total = np.zeros(self.shape[2], dtype=np.uint64)
        rows, columns = _extent(mask.any(axis=1)), _extent(mask.any(axis=0))
        with hdf5_file.opened(self.path) as file:
            for tile_y, tile_x, e in self.tiles():
                y, x = _overlap(tile_y, rows), _overlap(tile_x, columns)
                part = mask[slice(*y), slice(*x)]
                if part.any():
                    block = self._read(y, x, e, file)
                    total[slice(*e)] += block[part].sum(axis=0, dtype=np.uint64)
        return total

    def _read(self, y: Span, x: Span, e: Span, file: Any = None) -> NDArray[Any]:
        shape = (y[1] - y[0], x[1] - x[0], e[1] - e[0])
        if 0 in shape:
            return np.zeros(shape, dtype=self.dtype)
        if file is None:
            with hdf5_file.opened(self.path) as opened:
                return self._read(y, x, e, opened)
        self._check_unchanged()
        summed = self._values(file, y, x, (0, self.shape[2]) if self.fractional else e)
        if summed.dtype == self.dtype:
            return summed
        counts = np.empty(summed.shape, dtype=self.dtype)
        for row in range(summed.shape[0]):
            first = (y[0] + row) * self.map_shape[1] + x[0]
            values = summed[row]
            if not self.fractional and values.dtype.kind == "f":
                values = np.rint(values)
            counts[row] = whole_counts(values, first, self.dtype, self.faults)
        return counts[:, :, e[0] : e[1]] if self.fractional else counts

    def sample(self) -> NDArray[Any]:
        """Return the values of a part of three rows, (3, X, E) as stored: cheap whatever the map's size."""
        rows, columns, channels = self.shape
        width = max(1, min(columns, _SAMPLED // channels))
        picked = np.unique(np.linspace(0, rows - 1, 3).astype(int))
        with hdf5_file.opened(self.path) as file:
            parts = [self._values(file, (row, row + 1), (0, width), (0, channels)) for row in picked.tolist()]
        return np.concatenate(parts)

    def sample_bytes(self) -> int:
        """Return how many bytes :meth:`sample` unpacks at most: whole chunks, of all detectors in them."""
        rows, columns, channels = self.shape
        y, x, _ = self._smallest_tile()
        covered = min(3 * y, rows) * max(min(columns, _SAMPLED // channels), x) * channels
        inside = (self.chunks or self.stored_shape)[self.axes.index("d")] if "d" in self.axes else 1
        return covered * inside * self.stored_dtype.itemsize

    def sampled_sum(self) -> NDArray[np.uint64]:
        """Return the sum spectrum, (E,), of :meth:`sample`, whose faults are noted."""
        whole = whole_counts(self.sample(), 0, np.uint64, self.faults)
        return np.asarray(whole.sum(axis=(0, 1), dtype=np.uint64))

    def _values(self, file: Any, y: Span, x: Span, e: Span) -> NDArray[Any]:
        """Read (Y, X, E) in the type of the sum, rows turned."""
        turned = self.backwards is not None and self.backwards[slice(*y)].any()
        across = (0, self.map_shape[1]) if turned else x
        if self.per_row:
            rows = [self._row(file, row, across, e) for row in range(*y)]
            summed = np.stack(rows)
        else:
            summed = self._summed(self._slab(self._dataset(file, one), y, across, e) for one in self.sources)
        if turned and self.backwards is not None:
            against = self.backwards[slice(*y)]
            summed[against] = summed[against][:, ::-1]
            summed = summed[:, slice(*x)]
        return summed

    def _summed(self, parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
        summed: NDArray[Any] | None = None
        for values in parts:
            summed = values if summed is None else np.add(summed, values, dtype=self._sum_type())
        assert summed is not None
        return summed

    def _row(self, file: Any, row: int, x: Span, e: Span) -> NDArray[Any]:
        """Read (X, E) of a row that stands in datasets of its own; points that it lacks are empty."""

        def values(source: str) -> NDArray[Any]:
            wide = np.zeros((x[1] - x[0], e[1] - e[0]), dtype=self._sum_type())
            dataset = self._dataset(file, source)
            last = min(x[1], dataset.shape[self.axes.index("n")])
            if last > x[0]:
                wide[: last - x[0]] = self._box(dataset, {"n": slice(x[0], last), "e": slice(*e)})
            return wide

        return self._summed(map(values, self.sources[row * self.per_row : (row + 1) * self.per_row]))

    def _dataset(self, file: Any, source: str) -> Any:
        dataset = hdf5_file.dataset_at(file, source)
        if dataset is None:
            raise FileError(self.path, f"holds no {source} any more", "Open it again")
        return dataset

    def _slab(self, dataset: Any, y: Span, x: Span, e: Span) -> NDArray[Any]:
        """Read (Y, X, E) of one dataset in the type of the sum."""
        if "n" in self.axes:
            return self._points(dataset, y, x, e)
        if "s" not in self.axes:
            return self._box(dataset, {"y": slice(*y), "x": slice(*x), "e": slice(*e)})
        height = self._length("y")
        parts = []
        for scan in range(y[0] // height, (y[1] - 1) // height + 1):
            rows = slice(max(y[0] - scan * height, 0), min(y[1] - scan * height, height))
            parts.append(self._box(dataset, {"s": scan, "y": rows, "x": slice(*x), "e": slice(*e)}))
        return np.concatenate(parts)

    def _points(self, dataset: Any, y: Span, x: Span, e: Span) -> NDArray[Any]:
        columns, measured = self.map_shape[1], self._length("n")
        if self.picked is not None:
            wanted = self.picked[slice(*y), slice(*x)]
            return self._gathered(dataset, wanted.ravel(), e).reshape(*wanted.shape, -1)
        first, last = y[0] * columns, min(y[1] * columns, measured)
        wide = np.zeros(((y[1] - y[0]) * columns, e[1] - e[0]), dtype=self._sum_type())
        if last > first:
            points = self._box(dataset, {"n": slice(first, last), "e": slice(*e)})
            wide[: last - first] = points
        return wide.reshape(y[1] - y[0], columns, -1)[:, x[0] : x[1]]

    def _gathered(self, dataset: Any, points: NDArray[np.int64], e: Span) -> NDArray[Any]:
        wanted, places = np.unique(points, return_inverse=True)
        runs = np.split(wanted, np.flatnonzero(np.diff(wanted) > _GAP) + 1)
        spans = [(run, slice(int(run[0]), int(run[-1]) + 1)) for run in runs]
        parts = [self._box(dataset, {"n": span, "e": slice(*e)})[run - span.start] for run, span in spans]
        return np.concatenate(parts)[places]

    def _box(self, dataset: Any, chosen: dict[str, slice | int]) -> NDArray[Any]:
        """Read one box, scaled, its axes put in the order y, x, e (or n, e), detectors summed."""
        picks = {"d": slice(None) if self.element is None else self.element, **chosen}
        if self.falling and isinstance(span := picks["e"], slice):
            picks["e"] = slice(self._length("e") - span.stop, self._length("e") - span.start)
        values = box_of(dataset, [picks[letter] for letter in self.axes])
        if self.blank is not None:
            values = np.where(values == self.blank, values.dtype.type(0), values)
        values = measured(values, self.faults, summed=self.is_sum)
        if (self.scale, self.shift) != (1, 0):
            scaled = values * self.scale + self.shift
            whole = np.rint(scaled)
            values = np.where(np.abs(scaled - whole) < _ROUNDED, whole, scaled)
        left = [letter for letter in self.axes if isinstance(picks[letter], slice)]
        if "d" in left:
            at = left.index("d")
            values = values.sum(axis=at, dtype=self._sum_type())
            left.remove("d")
        order = [left.index(letter) for letter in "nyxe" if letter in left]
        values = np.transpose(values, order)
        values = values[..., ::-1] if self.falling else values
        # A single spectrum or row has no axes y and x in the file.
        for at, letter in enumerate("" if "n" in left else "yx"):
            if letter not in left:
                values = np.expand_dims(values, at)
        return values

    def _sum_type(self) -> np.dtype[Any]:
        if not self.is_sum:
            return self.stored_dtype.newbyteorder("=")
        kind = self.stored_dtype.kind
        return np.dtype(np.float64 if kind == "f" else np.uint64 if kind == "u" else np.int64)

    def _tile_shape(self) -> tuple[int, int, int]:
        size = max(self.stored_dtype.itemsize, self.dtype.itemsize)
        size *= (self.per_row or len(self.sources)) * (self._length("d") if self.element is None else 1)
        limits = self.shape
        step = list(self._smallest_tile())
        if self.fractional:
            step[2] = limits[2]
        if self.backwards is not None:
            step[1] = limits[1]
        for axis in (2, 1, 0):
            factor = max(1, TILE_BYTES // max(prod(step) * size, 1))
            step[axis] = min(limits[axis], step[axis] * factor)
        return max(step[0], 1), max(step[1], 1), max(step[2], 1)

    def _smallest_tile(self) -> tuple[int, int, int]:
        """Return the part of (Y, X, E) that one chunk, or one run of a contiguous dataset, covers."""
        runs = self.chunks or (*(1 for _ in self.stored_shape[:-1]), self.stored_shape[-1])
        covered = dict(zip(self.axes, runs, strict=True))
        if "n" in self.axes:
            columns = max(self.map_shape[1], 1)
            return 1 if self.per_row else max(1, covered["n"] // columns), columns, covered["e"]
        if self.chunks is None and self.axes[-1] != "e":
            return self.map_shape[0], self.map_shape[1], 1  # an image per channel
        return covered.get("y", 1), covered.get("x", 1), covered["e"]

    def _length(self, letter: str) -> int:
        return self.stored_shape[self.axes.index(letter)] if letter in self.axes else 1

    def _check_unchanged(self) -> None:
        if self.stamp != (0, 0) and self.stamp != stamp_of(self.path):
            raise FileError(self.path, "has changed since it was opened", "Open it again")


def stamp_of(path: Path) -> tuple[int, int]:
    """Return time of change and size of a file, by which a later access sees that it was replaced."""
    try:
        status = path.stat()
    except OSError as error:
        raise FileError(path, f"cannot be read any more ({error.strerror})") from error
    return status.st_mtime_ns, status.st_size


def _extent(wanted: Any) -> Span:
    found = np.flatnonzero(wanted)
    return (int(found[0]), int(found[-1]) + 1) if found.size else (0, 0)


def _overlap(one: Span, other: Span) -> Span:
    low = max(one[0], other[0])
    return low, max(low, min(one[1], other[1]))


def _spans(size: int, step: int) -> Iterator[Span]:
    for start in range(0, size, step):
        yield start, min(start + step, size)


def counts_of(
    path: Path,
    file: h5py.File,
    sources: tuple[str, ...],
    axes: str,
    map_shape: tuple[int, int] | None = None,
    element: int | None = None,
    memory_budget: int | None = None,
    per_row: int = 0,
    picked: NDArray[np.int64] | None = None,
) -> Hdf5Counts:
    """Return the counts of datasets of one shape, checked, without reading them.

    With ``per_row``, each so many of them make one row of the map, and rows may have fewer points. Raises
    FileError when the datasets differ in shape, cannot hold counts or lack a point of a pixel.
    """
    datasets = [hdf5_file.dataset_at(file, source) or file[source] for source in sources]
    points = axes.index("n") if per_row else None
    first = datasets[0] if points is None else max(datasets, key=lambda one: one.shape[points])
    for dataset in datasets:
        hdf5_file.check_dataset(path, dataset, memory_budget)
        if any(size != first.shape[at] for at, size in enumerate(dataset.shape) if at != points):
            raise FileError(path, f"{dataset.name} is {dataset.shape}, {first.name} is {first.shape}")
    if len(axes) != first.ndim:
        raise FileError(path, f"{first.name} has {first.ndim} dimensions, not the {len(axes)} of its layout")
    lengths = dict(zip(axes, first.shape, strict=True))
    if map_shape is None:
        map_shape = (lengths.get("s", 1) * lengths.get("y", 1), lengths.get("x", lengths.get("n", 1)))
    dtype = np.result_type(*(dataset.dtype for dataset in datasets)).newbyteorder("=")
    stamp = (0, 0) if file.swmr_mode else stamp_of(path)
    if picked is not None and not 0 <= picked.min(initial=0) <= picked.max(initial=0) < lengths["n"]:
        raise FileError(path, f"is damaged: pixels are of points that {first.name} does not hold")
    scaling = scaling_of(first)
    dtype = np.dtype(np.float64) if scaling.is_needed else dtype
    return Hdf5Counts(
        path,
        sources,
        axes,
        first.shape,
        dtype,
        map_shape,
        element,
        first.chunks,
        per_row,
        picked,
        scale=scaling.factor,
        shift=scaling.shift,
        blank=blank_of(first),
        stamp=stamp,
    )
