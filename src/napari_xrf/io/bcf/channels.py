"""The counts of a .bcf ordered by channel: which pixels have how many counts in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError
from napari_xrf.core.progress import Progress
from napari_xrf.io.bcf import records
from napari_xrf.io.bcf.bytes import ScratchBytes
from napari_xrf.io.bcf.index import PixelIndex, read_batch
from napari_xrf.io.bcf.threads import in_threads

_PIXEL_BYTES = 4


@dataclass(frozen=True, eq=False)
class ChannelIndex:
    """For each stretch of lines and each channel, the pixels with counts and how many.

    Attributes
    ----------
    entries
        For each stretch: its pixels' numbers (uint32), then their counts; both ordered by channel.
    starts
        (stretches, E + 1) where a channel's entries begin, in entries of the stretch.
    places
        (stretches + 1,) where each stretch begins in ``entries``, in bytes.
    firsts
        (stretches,) number of the first pixel of each stretch.
    """

    entries: ScratchBytes
    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    firsts: NDArray[np.int64]

    @classmethod
    def build(
        cls,
        path: Path,
        detectors: tuple[PixelIndex, ...],
        lines: list[tuple[int, int]],
        filled: NDArray[np.int32],
        item_size: int,
        memory_limit: int,
        progress: Progress,
    ) -> ChannelIndex:
        """Unpack every record once and order the counts by channel.

        Parameters
        ----------
        path
            The file, for messages.
        detectors
            Whose counts are summed.
        lines, filled
            The stretches and the number of pixels per channel that a survey found.
        item_size
            Bytes of a count.
        memory_limit
            Bytes up to which the result is held in memory rather than in a scratch file.
        progress
            Told after each stretch.
        """
        width = detectors[0].shape[1]
        starts = np.zeros((len(lines), filled.shape[1] + 1), dtype=np.int64)
        np.cumsum(filled, axis=1, out=starts[:, 1:])
        places = np.zeros(len(lines) + 1, dtype=np.int64)
        np.cumsum(starts[:, -1] * (_PIXEL_BYTES + item_size), out=places[1:])
        entries = ScratchBytes(int(places[-1]), memory_limit)

        def order(number: int) -> None:
            line, until = lines[number]
            size = int(starts[number, -1])
            where = np.empty(size, dtype=np.uint32)
            counts = np.empty((size, item_size), dtype=np.uint8)
            targets = np.arange((until - line) * width).reshape(-1, width)
            batch = read_batch(detectors, line, until, targets)
            work = np.zeros((records.WORK_ROWS, filled.shape[1]), dtype=np.int64)
            cursor = starts[number, :-1].copy()
            answer = records.sort_by_channel(
                batch.data, batch.starts, batch.stops, batch.targets, work, cursor, where, counts
            )
            if answer < 0:
                raise FileError(path, f"cannot be unpacked: in a pixel, {records.REASONS[answer]}")
            entries.write(int(places[number]), where.view(np.uint8))
            entries.write(int(places[number]) + _PIXEL_BYTES * size, counts.reshape(-1))

        in_threads(order, range(len(lines)), progress, "ordering counts by channel")
        firsts = np.array([line * width for line, _ in lines], dtype=np.int64)
        return cls(entries, starts, places, firsts)

    def plane(self, channel: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the counts of all pixels in a channel, (Y, X)."""
        out = np.zeros(shape, dtype=dtype)
        for first, where, counts in self._entries(channel, channel + 1, dtype):
            out.reshape(-1)[where.astype(np.int64) + first] = counts
        return out

    def sum(self, start: int, stop: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[np.uint64]:
        """Return the counts of all pixels in the channels ``start`` to ``stop - 1``, (Y, X)."""
        out = np.zeros(shape, dtype=np.uint64)
        for first, where, counts in self._entries(start, stop, dtype):
            # Sums of doubles are exact up to 2⁵³ counts.
            sums = np.bincount(where, weights=counts).astype(np.uint64)
            out.reshape(-1)[first : first + sums.size] = sums
        return out

    def _entries(
        self, start: int, stop: int, dtype: np.dtype[Any]
    ) -> Iterator[tuple[int, NDArray[np.uint32], NDArray[Any]]]:
        """Yield each stretch's first pixel, and pixels (from it) and counts of the channels' entries."""
        for number, first in enumerate(self.firsts.tolist()):
            begin, end = int(self.starts[number, start]), int(self.starts[number, stop])
            if begin == end:
                continue
            place = int(self.places[number])
            counted = place + _PIXEL_BYTES * int(self.starts[number, -1])
            size = dtype.itemsize
            data = self.entries.read_spans(
                [place + _PIXEL_BYTES * begin, counted + size * begin],
                [place + _PIXEL_BYTES * end, counted + size * end],
            )
            split = _PIXEL_BYTES * (end - begin)
            yield first, data[:split].view(np.uint32), data[split:].view(dtype)
