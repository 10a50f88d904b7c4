"""Compiled loops over the packed pixel records of a .bcf.

A record is ``<IHHIHHHI``: column, channels, channels, a constant, packing, size, pulses, size of the data;
then the data. Packing 0 is one uint16 channel number per count, packing 1 the same in 12 bits, packing 2
and above runs of channels: (0, n) for n zeros, (w, n) and a gain of w bytes for n values of w/2 bytes each
(half a byte for w = 1) that add to the gain; the last four bytes are the size of a list of uint16
channel numbers that follows when the record tells of pulses, one count each.
The format was worked out by P. Jokubauskas (HyperSpy, 2016).

No loop reads outside the ``stop`` that it is given, whatever the record says.
"""

from typing import Any

import numpy as np

from napari_xrf.core.compiled_code import compiled

# Why a record cannot be read; what the kernels return instead of a number.
CUT, BAD_COLUMN, BAD_LINE, BAD_CHANNEL, BAD_RUN, BAD_COUNT = -1, -2, -3, -4, -5, -6
REASONS = {
    CUT: "it is cut short",
    BAD_COLUMN: "its column lies outside the map",
    BAD_LINE: "the line has more pixels than the map is wide",
    BAD_CHANNEL: "it has counts above the last channel",
    BAD_RUN: "its packed spectrum does not add up",
    BAD_COUNT: "a count is impossibly large",
}

RECORD_HEADER = 22

# Rows of the work array (int64) of the kernels below.
WORK, TOUCHED, TOTAL, LARGEST, FILLED, WORK_ROWS = 0, 1, 2, 3, 4, 5
# Places in the state (int64) of `walk`.
LINE, LEFT, POSITION, RECORDS, STATE_SIZE = 0, 1, 2, 3, 4


@compiled()
def u16(data: Any, at: int) -> int:
    """Return the uint16 at a position."""
    return np.int64(data[at]) | (np.int64(data[at + 1]) << 8)  # type: ignore[return-value]


@compiled()
def u32(data: Any, at: int) -> int:
    """Return the uint32 at a position."""
    return u16(data, at) | (u16(data, at + 2) << 16)


@compiled()
def record_end(data: Any, at: int, stop: int) -> int:
    """Return where the record at ``at`` ends, or CUT when that lies beyond ``stop``."""
    if at + 22 > stop:
        return -1
    end = at + 22 + u32(data, at + 18)
    if data[at + 12] >= 2 and (data[at + 16] > 0 or data[at + 17] > 0):
        if end > stop or end < at + 26:
            return -1
        end += u32(data, end - 4)
    return end if end <= stop else -1


@compiled()
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
            left = u32(data, at)
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
            column = u32(data, at)
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


@compiled()
def _gain(data: Any, at: int, width: int) -> int:
    # Eight bytes of gain never hold more than five in use.
    if width == 8 and u32(data, at + 4) > 255:
        return BAD_COUNT
    high = u32(data, at + 4) if width == 8 else 0
    low = u32(data, at) if width >= 4 else u16(data, at)
    return low | (high << 32)


@compiled()
def _add_runs(data: Any, at: int, end: int, work: Any, filled: int) -> int:
    channel = 0
    while at + 2 <= end:
        width: Any = np.int64(data[at])
        count: Any = np.int64(data[at + 1])
        at += 2
        if width == 0:
            channel += count
            continue
        body = (count * width + 1) >> 1
        if (width != 1 and width != 2 and width != 4 and width != 8) or at + width + body > end:
            return BAD_RUN
        gain: Any = np.int64(data[at])
        if width > 1:
            gain = _gain(data, at, width)
            if gain < 0:
                return gain  # type: ignore[no-any-return]
        at += width
        for i in range(count):
            value: Any = gain
            if width == 1:
                value += (np.int64(data[at + (i >> 1)]) >> np.int64(4 * (i & 1))) & 15
            elif width == 2:
                value += np.int64(data[at + i])
            elif width == 4:
                value += u16(data, at + 2 * i)
            else:
                value += u32(data, at + 4 * i)
            if value == 0:
                continue
            if channel >= work.shape[1] - i:
                return BAD_CHANNEL
            if work[WORK, channel + i] == 0:
                work[TOUCHED, filled] = channel + i
                filled += 1
            work[WORK, channel + i] += value
        at += body
        channel += count
    return filled if at == end else BAD_RUN


@compiled()
def unpack(data: Any, at: int, stop: int, work: Any, filled: int) -> int:
    """Add the counts of a record to ``work[WORK]`` and note channels that were empty in ``work[TOUCHED]``.

    ``filled`` is the number of channels noted so far; returns the new number, or why the record is bad.
    """
    end = record_end(data, at, stop)
    if end < 0:
        return CUT
    packing, pulses, size = u16(data, at + 12), u16(data, at + 16), u32(data, at + 18)
    at += 22
    if packing >= 2:
        if size < 4:
            return BAD_RUN
        filled = _add_runs(data, at, at + size - 4, work, filled)
        if filled < 0:
            return filled
        at += size
        packing = 0
        size = end - at
    if size < (2 * pulses if packing == 0 else 6 * (pulses >> 2) + 2 * (pulses & 3)):
        return BAD_RUN
    for i in range(pulses):
        channel: Any = 0
        if packing == 0:
            channel = u16(data, at + 2 * i)
        else:
            # Four counts in three byte-swapped words of 16 bits.
            q = at + 6 * (i >> 2)
            rest = i & 3
            if rest == 0:
                channel = (np.int64(data[q]) >> 4) | (np.int64(data[q + 1]) << 4)
            elif rest == 1:
                channel = ((np.int64(data[q]) << 8) | np.int64(data[q + 3])) & 0xFFF
            elif rest == 2:
                channel = (np.int64(data[q + 2]) << 4) | (np.int64(data[q + 5]) >> 4)
            else:
                channel = ((np.int64(data[q + 5]) << 8) | np.int64(data[q + 4])) & 0xFFF
        if channel >= work.shape[1]:
            return BAD_CHANNEL
        if work[WORK, channel] == 0:
            work[TOUCHED, filled] = channel
            filled += 1
        work[WORK, channel] += 1
    return filled


@compiled()
def _settle(work: Any, filled: int) -> int:
    """Add the pixel in ``work[WORK]`` to the sums and clear it."""
    for k in range(filled):
        channel = work[TOUCHED, k]
        count, work[WORK, channel] = work[WORK, channel], 0
        work[TOTAL, channel] += count
        work[FILLED, channel] += 1
        if count > work[LARGEST, channel]:
            work[LARGEST, channel] = count
    return 0


@compiled()
def _store(work: Any, filled: int, row: int, item_size: int, out: Any) -> int:
    """Write the pixel in ``work[WORK]`` to a row of ``out`` and clear it."""
    for k in range(filled):
        channel = work[TOUCHED, k]
        count, work[WORK, channel] = work[WORK, channel], 0
        if item_size == 1:
            out[row, channel] = np.uint8(count)
        else:
            for byte in range(item_size):
                out[row, channel * item_size + byte] = np.uint8((count >> np.int64(8 * byte)) & 255)
    return 0


@compiled()
def _sort(work: Any, filled: int, pixel: int, cursor: Any, where: Any, counts: Any) -> int:
    """Append the pixel in ``work[WORK]`` to the part of each of its channels and clear it."""
    for k in range(filled):
        channel = work[TOUCHED, k]
        count, work[WORK, channel] = work[WORK, channel], 0
        place = cursor[channel]
        if place >= where.size:
            return BAD_COUNT
        cursor[channel] = place + 1
        where[place] = pixel
        for byte in range(counts.shape[1]):
            counts[place, byte] = np.uint8((count >> np.int64(8 * byte)) & 255)
    return 0


@compiled()
def tally(data: Any, starts: Any, stops: Any, pixels: Any, work: Any) -> int:
    """Sum the records' spectra into ``work[TOTAL]`` with the largest count and number of pixels per channel.

    Records of one pixel must stand together, here and below. Returns 0 or why a record is bad.
    """
    filled: Any = np.int64(0)  # not a literal, which would be compiled for apart
    for r in range(starts.size):
        filled = unpack(data, starts[r], stops[r], work, filled)
        if filled >= 0 and (r + 1 == starts.size or pixels[r + 1] != pixels[r]):
            filled = _settle(work, filled)
        if filled < 0:
            return filled
    return 0


@compiled()
def spread(data: Any, starts: Any, stops: Any, pixels: Any, work: Any, out: Any, item_size: int) -> int:
    """Write the spectrum of each pixel to row ``pixels[r]`` of ``out``, which is zero, as bytes."""
    filled: Any = np.int64(0)  # not a literal, which would be compiled for apart
    for r in range(starts.size):
        filled = unpack(data, starts[r], stops[r], work, filled)
        if filled >= 0 and (r + 1 == starts.size or pixels[r + 1] != pixels[r]):
            filled = _store(work, filled, pixels[r], item_size, out)
        if filled < 0:
            return filled
    return 0


@compiled()
def sort_by_channel(
    data: Any, starts: Any, stops: Any, pixels: Any, work: Any, cursor: Any, where: Any, counts: Any
) -> int:
    """Write pixel and count of every filled channel to the channel's part of ``where`` and ``counts``.

    ``cursor[channel]`` is where its next entry goes; ``counts`` holds little-endian bytes.
    """
    filled: Any = np.int64(0)  # not a literal, which would be compiled for apart
    for r in range(starts.size):
        filled = unpack(data, starts[r], stops[r], work, filled)
        if filled >= 0 and (r + 1 == starts.size or pixels[r + 1] != pixels[r]):
            filled = _sort(work, filled, pixels[r], cursor, where, counts)
        if filled < 0:
            return filled
    return 0
