"""The counts of a .bcf, unpacked only where they are asked for."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import do_in_threads
from napari_xrf.core.counts import Counts, indices_of
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import SLAB, scratch_array
from napari_xrf.io.bcf import records
from napari_xrf.io.bcf.bytes import damaged
from napari_xrf.io.bcf.index import Batch, ChannelIndex, PixelIndex, batches, read_batch

_SMALL = 2**12  # below this many pixels a few channels are quicker unpacked than looked up
_WHOLE_SPECTRA = 32 * 2**20  # bytes of whole spectra that are unpacked at a time to take channels from
_WIDE = 8  # channels are looked up when less than one in this many is asked for


@dataclass(frozen=True, eq=False)
class CountsSurvey:
    """What one pass over all packed spectra finds out."""

    total: NDArray[np.uint64]  # (E,) sum of all pixels' spectra
    largest: NDArray[np.uint64]  # (E,) largest count of any pixel
    lines: list[tuple[int, int]]  # (line, until) of the stretches of lines that the pass went by
    filled: NDArray[np.int32]  # (len(lines), E) how many pixels of each stretch have counts in each channel


class BcfCounts:
    """Counts (Y, X, E) of a Bruker map, held as the file's packed records.

    Satisfies :class:`napari_xrf.core.counts.Counts`, ``SumsRegions``, ``SumsChannels`` and ``Loads``. Single
    pixels, regions and blocks of rows are unpacked from the records; energy slices come from an index by
    channel that the first one builds, in a scratch file above a share of the memory budget in bytes. Safe to
    read from several threads. Raises FileError when a packed spectrum is damaged.
    """

    def __init__(
        self,
        path: Path,
        detectors: tuple[PixelIndex, ...],
        channels: int,
        memory_budget: int,
        progress: Progress = ignore_progress,
    ) -> None:
        self.path = path
        self.shape: tuple[int, int, int] = (*detectors[0].shape, channels)
        self.ndim = 3
        self._detectors = detectors
        self._budget = memory_budget
        self._building = threading.Lock()
        self._channels: ChannelIndex | None = None
        self.survey = self._surveyed(progress)
        self.dtype = np.dtype(np.min_scalar_type(int(self.survey.largest.max(initial=0))))

    @property
    def warnings(self) -> list[str]:
        """What is odd about the records, one sentence each."""
        return [sentence for detector in self._detectors for sentence in detector.warnings()]

    @property
    def nbytes(self) -> int:
        """Bytes of the counts as a dense array."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("packed counts become an array only as a copy")
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return counts as numpy would, axis by axis."""
        (rows, y), (columns, x), (channels, e) = indices_of(key, self.shape)
        pixels = len(rows) * len(columns)
        if pixels == 1:
            counts = self._one(rows[0], columns[0])[None, None, list(channels)]
        elif len(channels) * _WIDE <= self.shape[2] and pixels >= min(_SMALL, self.shape[0] * self.shape[1]):
            counts = self._by_channel(rows, columns, channels)
        else:
            counts = self._by_pixel(rows, columns, channels)
        return counts[:, :, e][:, x][y]

    def sum_region(self, mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
        """Return the summed spectrum, (E,), of the pixels where ``mask`` (Y, X) is true."""
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != self.shape[:2]:
            raise InvalidInput(f"a mask of {mask.shape} does not fit a map of {self.shape[:2]}")
        if mask.all():
            return self.survey.total.copy()
        lines = np.flatnonzero(mask.any(axis=1))
        if lines.size == 0:
            return np.zeros(self.shape[2], dtype=np.uint64)
        chosen = range(int(lines[0]), int(lines[-1]) + 1)
        targets = np.where(mask[chosen.start : chosen.stop], self._numbers(chosen), -1)
        total = np.zeros(self.shape[2], dtype=np.int64)
        lock = threading.Lock()

        def add(stretch: tuple[int, int]) -> None:
            line, until = stretch
            part = targets[line - chosen.start : until - chosen.start]
            work = self._tallied(read_batch(self._detectors, line, until, part))
            with lock:
                np.add(total, work[records.TOTAL], out=total)

        do_in_threads(add, batches(self._detectors, chosen, targets))
        return total.astype(np.uint64)

    def load(self, memory_budget: int, progress: Progress = ignore_progress) -> Counts:
        """Return all counts (Y, X, E) as an array, or in a scratch file above the budget in bytes."""
        out: Any = scratch_array(self.shape, self.dtype, memory_budget, SLAB)
        if isinstance(out, np.ndarray):
            self._fill(out, range(self.shape[0]), range(self.shape[1]), progress)
            return out
        step = max(1, _WHOLE_SPECTRA // (self.shape[1] * self.shape[2] * self.dtype.itemsize))

        def copy(start: int) -> None:
            out[start : start + step] = self[start : start + step]

        do_in_threads(copy, range(0, self.shape[0], step), progress, "unpacking spectra")
        return out

    def max_spectrum(self) -> NDArray[np.uint64]:
        """Return the largest count of any pixel in each channel, (E,)."""
        return self.survey.largest.copy()

    def sum_channels(self, window: slice) -> NDArray[np.uint64]:
        """Return the counts per pixel, (Y, X), in a window of channels (step 1)."""
        start, stop, _ = window.indices(self.shape[2])
        return self._by_channels().sum(start, max(start, stop), self.shape[:2], self.dtype)

    def _by_channels(self) -> ChannelIndex:
        with self._building:
            if self._channels is None:
                self._channels = ChannelIndex.build(
                    self.path, self._detectors, self.survey.lines, self.survey.filled,
                    self.dtype.itemsize, self._budget // 4,
                )  # fmt: skip
            return self._channels

    def _surveyed(self, progress: Progress) -> CountsSurvey:
        height, _, channels = self.shape
        lines = list(batches(self._detectors, range(height), None))
        total = np.zeros(channels, dtype=np.uint64)
        largest = np.zeros(channels, dtype=np.uint64)
        filled = np.zeros((len(lines), channels), dtype=np.int32)
        lock = threading.Lock()

        def survey(number: int) -> None:
            line, until = lines[number]
            numbers = self._numbers(range(line, until))
            work = self._tallied(read_batch(self._detectors, line, until, numbers))
            filled[number] = work[records.FILLED]
            with lock:
                np.add(total, work[records.TOTAL].astype(np.uint64), out=total)
                np.maximum(largest, work[records.LARGEST].astype(np.uint64), out=largest)

        do_in_threads(survey, range(len(lines)), progress, "summing spectra")
        return CountsSurvey(total, largest, lines, filled)

    def _numbers(self, lines: range) -> NDArray[np.int64]:
        width = self.shape[1]
        return np.arange(lines.start * width, lines.stop * width).reshape(-1, width)

    def _tallied(self, batch: Batch) -> NDArray[np.int64]:
        work = np.zeros((records.WORK_ROWS, self.shape[2]), dtype=np.int64)
        self.check(records.tally(batch.data, batch.starts, batch.stops, batch.targets, work))
        return work

    def check(self, answer: int) -> None:
        """Raise the FileError that a kernel's answer stands for, if any."""
        if answer < 0:
            raise damaged(self.path, f"a pixel's spectrum cannot be unpacked, {records.REASONS[answer]}")

    def _one(self, row: int, column: int) -> NDArray[Any]:
        target = np.full((1, self.shape[1]), -1, dtype=np.int64)
        target[0, column] = 0
        batch = read_batch(self._detectors, row, row + 1, target)
        return self._tallied(batch)[records.TOTAL].astype(self.dtype)

    def _by_channel(self, rows: range, columns: range, channels: range) -> NDArray[Any]:
        index = self._by_channels()
        height, width, _ = self.shape
        out = np.zeros((len(rows), len(columns), len(channels)), dtype=self.dtype)
        whole = rows == range(height) and columns == range(width)
        for number, channel in enumerate(channels):
            plane = index.plane(channel, (height, width), self.dtype)
            out[:, :, number] = plane if whole else plane[np.ix_(rows, columns)]
        return out

    def _by_pixel(self, rows: range, columns: range, channels: range) -> NDArray[Any]:
        out = np.zeros((len(rows), len(columns), len(channels)), dtype=self.dtype)
        if out.size == 0:
            return out
        if channels == range(self.shape[2]):
            self._fill(out, rows, columns, ignore_progress)
            return out
        step = max(1, _WHOLE_SPECTRA // (len(columns) * self.shape[2] * self.dtype.itemsize))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            whole = np.zeros((len(some), len(columns), self.shape[2]), dtype=self.dtype)
            self._fill(whole, some, columns, ignore_progress)
            out[start : start + step] = whole[:, :, list(channels)]
        return out

    def _fill(self, out: NDArray[Any], rows: range, columns: range, progress: Progress) -> None:
        """Unpack rows × columns into ``out`` (rows, columns, E), which is zero and C-contiguous."""
        across = np.full(self.shape[1], -1, dtype=np.int64)
        across[list(columns)] = np.arange(len(columns))
        down = np.full(self.shape[0], -1, dtype=np.int64)
        down[list(rows)] = np.arange(len(rows))
        chosen = range(min(rows), max(rows) + 1)
        item_size = self.dtype.itemsize
        flat = out.reshape(-1, self.shape[2]).view(np.uint8)
        wanted = (down[chosen.start : chosen.stop, None] >= 0) & (across >= 0)

        def unpack(stretch: tuple[int, int]) -> None:
            line, until = stretch
            targets = np.where(
                wanted[line - chosen.start : until - chosen.start],
                down[line:until, None] * len(columns) + across,
                -1,
            )
            batch = read_batch(self._detectors, line, until, targets)
            work = np.zeros((records.WORK_ROWS, self.shape[2]), dtype=np.int64)
            self.check(
                records.spread(batch.data, batch.starts, batch.stops, batch.targets, work, flat, item_size)
            )

        targets = np.where(wanted, 0, -1)
        do_in_threads(unpack, batches(self._detectors, chosen, targets), progress, "unpacking spectra")
