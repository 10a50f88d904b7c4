"""Where each pixel's packed spectrum lies in a .bcf, reading any choice of them, and counts by channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import do_in_threads
from napari_xrf.core.errors import FileError
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.bcf import records
from napari_xrf.io.bcf.bytes import Bytes, ScratchBytes, damaged

WINDOW = 8 * 2**20  # bytes read at a time; a record is never near as large

_FIRST_LINE = 0x1A0
_PIXEL_BYTES = 4
_GAP = 2**12  # reading over a gap of this many bytes is quicker than a second read


@dataclass(frozen=True, eq=False)
class PixelIndex:
    """The pixel records of one detector, line by line as the file has them."""

    payload: Bytes  # the bytes of ``SpectrumData<i>``, inflated
    shape: tuple[int, int]  # (Y, X) of the map
    columns: NDArray[np.uint32]  # (N,) column and position of each record
    starts: NDArray[np.int64]
    first: NDArray[np.int64]  # (Y + 1,) number of each line's first record
    places: NDArray[np.int64]  # (Y + 1,) position where each line starts, and the end of the last one

    def stops(self, line: int, until: int) -> NDArray[np.int64]:
        """Return where each record of the lines ``line`` to ``until - 1`` must end."""
        low, high = self.first[line], self.first[until]
        stops = np.empty(high - low, dtype=np.int64)
        stops[:-1] = self.starts[low + 1 : high]
        last = self.first[line + 1 : until + 1] - 1 - low
        filled = last >= np.concatenate(([0], last[:-1] + 1))
        stops[last[filled]] = self.places[line + 1 : until + 1][filled]
        return stops

    def warnings(self) -> list[str]:
        """Return what is odd about the records, one sentence each."""
        found = []
        left = self.payload.size - int(self.places[-1])
        if left:
            found.append(f"{left} bytes follow the last line of spectra; they are not read.")
        lines = np.repeat(np.arange(self.shape[0]), np.diff(self.first))
        measured = np.zeros(self.shape, dtype=bool)
        measured[lines, self.columns] = True
        twice = self.columns.size - int(measured.sum())
        if twice:
            found.append(
                f"{twice} spectra stand in the file for pixels that have one already; they are added."
            )
        return found


@dataclass(frozen=True, eq=False)
class Batch:
    """Packed spectra in memory; those of one pixel stand together."""

    data: NDArray[np.uint8]  # the bytes
    starts: NDArray[np.int64]  # (N,) where each record starts and must end in ``data``
    stops: NDArray[np.int64]
    targets: NDArray[np.int64]  # (N,) whatever number the caller gave each record's pixel


def payload_shape(payload: Bytes, path: Path) -> tuple[int, int]:
    """Return the (Y, X) that the packed spectra are headed by.

    Raises FileError when they are too short to hold as many lines.
    """
    if payload.size < _FIRST_LINE:
        raise damaged(path, "its spectra are cut short")
    lines, width = (int(number) for number in payload.read(0, 8).view("<u4"))
    if not 0 < lines <= (payload.size - _FIRST_LINE) // 4 or not 0 < width < 2**31:
        raise damaged(path, f"a map of {lines}×{width} pixels does not fit its spectra")
    return lines, width


def index_pixels(payload: Bytes, path: Path, progress: Progress = ignore_progress) -> PixelIndex:
    """Find every pixel record in one pass over the packed spectra, checking that they follow each other.

    Raises FileError when a record leads outside the map or the file.
    """
    lines, width = payload_shape(payload, path)
    most = min(lines * width, (payload.size - _FIRST_LINE - 4 * lines) // records.RECORD_HEADER)
    columns = np.empty(max(most, 0), dtype=np.uint32)
    starts = np.empty(max(most, 0), dtype=np.int64)
    first = np.zeros(lines + 1, dtype=np.int64)
    places = np.zeros(lines + 1, dtype=np.int64)
    state = np.zeros(records.STATE_SIZE, dtype=np.int64)
    state[records.LEFT], state[records.POSITION] = -1, _FIRST_LINE
    answer = 1
    while answer == 1:
        base = int(state[records.POSITION])
        data = payload.read(base, min(base + WINDOW, payload.size))
        answer = int(records.walk(data, base, lines, width, columns, starts, first, places, state))
        if answer == 1 and state[records.POSITION] == base:
            answer = records.CUT
        progress(int(state[records.POSITION]), payload.size, "finding the pixels")
    if answer != 0:
        raise damaged(path, f"in line {state[records.LINE]}, {records.REASONS[answer]}")
    count = int(state[records.RECORDS])
    return PixelIndex(payload, (lines, width), columns[:count], starts[:count], first, places)


def batches(
    detectors: tuple[PixelIndex, ...], lines: range, targets: NDArray[np.int64] | None, size: int = WINDOW
) -> Iterator[tuple[int, int]]:
    """Yield (line, until) so that the records of each stretch of lines take about ``size`` bytes at most.

    ``targets`` (len(lines), X) tells which pixels are wanted (0 and above); lines without any are left out.
    """
    weight = np.zeros(len(lines), dtype=np.int64)
    for detector in detectors:
        weight += np.diff(detector.places[lines.start : lines.stop + 1])
    wanted: Any = np.ones(len(lines), dtype=bool) if targets is None else (targets >= 0).any(axis=1)
    start, held = None, 0
    for row in range(len(lines)):
        if start is not None and (not wanted[row] or held + int(weight[row]) > size):
            yield lines.start + start, lines.start + row
            start = None
        if start is None and wanted[row]:
            start, held = row, 0
        held += int(weight[row])
    if start is not None:
        yield lines.start + start, lines.stop


def read_batch(detectors: tuple[PixelIndex, ...], line: int, until: int, targets: NDArray[np.int64]) -> Batch:
    """Read the packed spectra of some pixels of the lines ``line`` to ``until - 1``.

    A pixel's records of all detectors stand together in the answer. ``targets`` (until - line, X) holds a
    number for each wanted pixel, −1 for the others.
    """
    parts = [_read_detector(detector, line, until, targets) for detector in detectors]
    offset = 0
    shifted = []
    for part in parts:
        shifted.append((part.starts + offset, part.stops + offset))
        offset += part.data.size
    data = parts[0].data if len(parts) == 1 else np.concatenate([part.data for part in parts])
    starts = np.concatenate([start for start, _ in shifted])
    stops = np.concatenate([stop for _, stop in shifted])
    numbers = np.concatenate([part.targets for part in parts])
    if (np.diff(numbers) < 0).any():
        order = np.argsort(numbers, kind="stable")
        starts, stops, numbers = starts[order], stops[order], numbers[order]
    return Batch(data, starts, stops, numbers)


@dataclass(frozen=True, eq=False)
class ChannelIndex:
    """For each stretch of lines and each channel, the pixels with counts and how many."""

    # for each stretch: its pixels' numbers (uint32), then their counts; both ordered by channel
    entries: ScratchBytes
    starts: NDArray[np.int64]  # (stretches, E + 1) where a channel's entries begin, in entries of the stretch
    places: NDArray[np.int64]  # (stretches + 1,) where each stretch begins in ``entries``, in bytes
    firsts: NDArray[np.int64]  # (stretches,) number of the first pixel of each stretch

    @classmethod
    def build(
        cls,
        path: Path,
        detectors: tuple[PixelIndex, ...],
        lines: list[tuple[int, int]],
        filled: NDArray[np.int32],
        item_size: int,
        memory_limit: int,
    ) -> ChannelIndex:
        """Unpack every record once and order the counts of all detectors by channel.

        ``lines`` and ``filled`` are the stretches and the number of pixels per channel that a survey found,
        ``item_size`` the bytes of a count; above ``memory_limit`` bytes the result lies in a scratch file.
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

        do_in_threads(order, range(len(lines)))
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


def _read_detector(detector: PixelIndex, line: int, until: int, targets: NDArray[np.int64]) -> Batch:
    low, high = int(detector.first[line]), int(detector.first[until])
    rows = np.repeat(np.arange(until - line), np.diff(detector.first[line : until + 1]))
    numbers = targets[rows, detector.columns[low:high]]
    keep = numbers >= 0
    starts = detector.starts[low:high][keep]
    stops = detector.stops(line, until)[keep]
    if starts.size == 0:
        return Batch(np.empty(0, np.uint8), starts, stops, numbers[keep])
    breaks = np.flatnonzero(starts[1:] - stops[:-1] > _GAP) + 1
    begins, ends = np.concatenate(([0], breaks)), np.append(breaks, starts.size)
    origins = starts[begins]
    sizes = stops[ends - 1] - origins
    data = detector.payload.read_spans(origins.tolist(), (origins + sizes).tolist())
    shift = np.repeat(np.cumsum(sizes) - sizes - origins, ends - begins)
    return Batch(data, starts + shift, stops + shift, numbers[keep])
