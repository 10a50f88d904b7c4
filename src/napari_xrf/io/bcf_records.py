"""Compiled loops over the packed pixel records of a .bcf.

A record is ``<IHHIHHHI``: column, channels, channels, a constant, packing, size, pulses, size of the data;
then the data. Packing 0 is one uint16 channel number per count, packing 1 the same in 12 bits, packing 2
and above runs of channels: (0, n) for n zeros, (w, n) and a gain of w bytes for n values of w/2 bytes each
(half a byte for w = 1) that add to the gain; the last four bytes are the size of a list of uint16
channel numbers that follows when the record tells of pulses, one count each.
The format was worked out by P. Jokubauskas (HyperSpy, 2016).

No loop reads outside the ``stop`` that it is given, whatever the record says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# Why a record cannot be read; what the kernels return instead of a number.
CUT, BAD_COLUMN, BAD_LINE, BAD_CHANNEL, BAD_RUN, BAD_COUNT, UNORDERED = -1, -2, -3, -4, -5, -6, -7
REASONS = {
    CUT: "it is cut short",
    BAD_COLUMN: "its column lies outside the map",
    BAD_LINE: "the line has more pixels than the map is wide",
    BAD_CHANNEL: "it has counts above the last channel",
    BAD_RUN: "its packed spectrum does not add up",
    BAD_COUNT: "a count is impossibly large",
}

RECORD_HEADER = 22
_GREATEST = 2**40

# Rows of the work array (int64) of `tally` and `spread`.
WORK, TOUCHED, TOTAL, LARGEST, FILLED, WORK_ROWS = 0, 1, 2, 3, 4, 5
# Places in the state (int64) of `walk`.
LINE, LEFT, POSITION, RECORDS, STATE_SIZE = 0, 1, 2, 3, 4


def compiled(signature: str) -> Callable[[Function], Function]:
    """Compile a function for one signature, to run without the GIL, kept on disk where possible."""

    def decorate(function: Function) -> Function:
        try:
            return njit(signature, nogil=True, cache=True)(function)  # type: ignore[no-any-return]
        except RuntimeError:  # no folder that the cache could be written to
            return njit(signature, nogil=True)(function)  # type: ignore[no-any-return]

    return decorate


@compiled("int64(uint8[::1], int64, int64)")
def little_endian(data: Any, at: int, size: int) -> int:
    """Return the unsigned number of ``size`` bytes at a position."""
    value: Any = np.int64(0)
    for k in range(size):
        value |= np.int64(data[at + k]) << np.int64(8 * k)
    return value


@compiled("int64(uint8[::1], int64, int64)")
def record_end(data: Any, at: int, stop: int) -> int:
    """Return where the record at ``at`` ends, or CUT when that lies beyond ``stop``."""
    if at + 22 > stop:
        return -1
    end = at + 22 + little_endian(data, at + 18, 4)
    pulses = little_endian(data, at + 16, 2)
    if little_endian(data, at + 12, 2) >= 2 and pulses > 0:
        if end > stop or end < at + 26:
            return -1
        end += little_endian(data, end - 4, 4)
    return end if end <= stop else -1


@compiled(
    "int64(uint8[::1], int64, int64, int64, uint32[::1], int64[::1], int64[::1], int64[::1], int64[::1])"
)
def walk(
    data: Any,
    base: int,
    lines: int,
    width: int,
    columns: Any,
    starts: Any,
    first: Any,
    places: Any,
    state: Any,
) -> int:
    """Note column and position of each record in ``data``, which starts at byte ``base`` of the payload.

    ``first[line]`` becomes the number of a line's first record, ``places[line]`` where the line starts.
    Returns 0 when all lines are done, 1 when ``data`` ends first (``state`` says where to go on), or why
    a record is bad.
    """
    line, left, at, count = state[LINE], state[LEFT], state[POSITION] - base, state[RECORDS]
    answer = 0
    while line < lines:
        if left < 0:
            if at + 4 > data.size:
                answer = 1
                break
            left = little_endian(data, at, 4)
            first[line] = count
            places[line] = base + at
            if left > width or count + left > columns.size:
                answer = BAD_LINE
                break
            at += 4
        while left > 0:
            end = record_end(data, at, data.size)
            if end < 0:
                answer = 1
                break
            column = little_endian(data, at, 4)
            if column >= width:
                answer = BAD_COLUMN
                break
            columns[count] = column
            starts[count] = base + at
            count += 1
            left -= 1
            at = end
        if answer != 0:
            break
        line += 1
        left = -1
    state[LINE], state[LEFT], state[POSITION], state[RECORDS] = line, left, base + at, count
    if line == lines:
        first[line] = count
        places[line] = base + at
    return answer


@compiled("int64(int64, int64, int64[:, ::1], int64)")
def _add(channel: int, count: int, work: Any, filled: int) -> int:
    if channel >= work.shape[1]:
        return BAD_CHANNEL
    if work[WORK, channel] == 0:
        work[TOUCHED, filled] = channel
        filled += 1
    work[WORK, channel] += count
    return filled


@compiled("int64(uint8[::1], int64, int64, int64, int64[:, ::1], int64)")
def _add_runs(data: Any, at: int, end: int, stop: int, work: Any, filled: int) -> int:
    channel = 0
    while at + 2 <= end:
        width: Any = np.int64(data[at])
        count: Any = np.int64(data[at + 1])
        at += 2
        if width == 0:
            channel += count
            continue
        body = (count * width + 1) // 2
        if (width != 1 and width != 2 and width != 4 and width != 8) or at + width + body > end:
            return BAD_RUN
        gain = little_endian(data, at, width)
        at += width
        if gain < 0 or gain > _GREATEST:
            return BAD_COUNT
        for i in range(count):
            value: Any = 0
            if width == 1:
                value = gain + ((np.int64(data[at + (i >> 1)]) >> np.int64(4 * (i & 1))) & 15)
            else:
                value = gain + little_endian(data, at + i * (width >> 1), width >> 1)
            if value > 0:
                filled = _add(channel + i, value, work, filled)
                if filled < 0:
                    return filled
        at += body
        channel += count
    return filled if at == end else BAD_RUN


@compiled("int64(uint8[::1], int64, int64, int64[:, ::1], int64)")
def unpack(data: Any, at: int, stop: int, work: Any, filled: int) -> int:
    """Add the counts of a record to ``work[WORK]`` and note channels that were empty in ``work[TOUCHED]``.

    ``filled`` is the number of channels noted so far; returns the new number, or why the record is bad.
    """
    end = record_end(data, at, stop)
    if end < 0:
        return CUT
    packing, pulses = little_endian(data, at + 12, 2), little_endian(data, at + 16, 2)
    size = little_endian(data, at + 18, 4)
    at += 22
    if packing >= 2:
        if size < 4:
            return BAD_RUN
        filled = _add_runs(data, at, at + size - 4, end, work, filled)
        at += size
        packing = 0
        size = end - at
    needed = 2 * pulses if packing == 0 else 6 * (pulses >> 2) + 2 * (pulses & 3)
    if filled < 0 or needed > size:
        return min(filled, BAD_RUN) if filled < 0 else BAD_RUN
    for i in range(pulses):
        channel: Any = 0
        if packing == 0:
            channel = little_endian(data, at + 2 * i, 2)
        else:
            # Four counts in three byte-swapped words of 16 bits.
            q = at + 6 * (i >> 2)
            k = i & 3
            if k == 0:
                channel = (np.int64(data[q]) >> 4) | (np.int64(data[q + 1]) << 4)
            elif k == 1:
                channel = ((np.int64(data[q]) << 8) | np.int64(data[q + 3])) & 0xFFF
            elif k == 2:
                channel = (np.int64(data[q + 2]) << 4) | (np.int64(data[q + 5]) >> 4)
            else:
                channel = ((np.int64(data[q + 5]) << 8) | np.int64(data[q + 4])) & 0xFFF
        filled = _add(channel, 1, work, filled)
        if filled < 0:
            return filled
    return filled


@compiled("int64(uint8[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1])")
def tally(data: Any, starts: Any, stops: Any, pixels: Any, work: Any) -> int:
    """Sum the records' spectra into ``work[TOTAL]`` with the largest count and number of pixels per channel.

    Records of one pixel must stand together. Returns 0 or why a record is bad.
    """
    filled = 0
    for r in range(starts.size):
        filled = unpack(data, starts[r], stops[r], work, filled)
        if filled < 0:
            return filled
        if r + 1 == starts.size or pixels[r + 1] != pixels[r]:
            for k in range(filled):
                channel = work[TOUCHED, k]
                count = work[WORK, channel]
                work[WORK, channel] = 0
                work[TOTAL, channel] += count
                work[FILLED, channel] += 1
                work[LARGEST, channel] = max(work[LARGEST, channel], count)
            filled = 0
    return 0
