"""Compiled loops that write unpacked spectra out: dense, or ordered by channel.

They live apart from the loops that open a map, so that the first map opens before these are compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_xrf.io.bcf_records import BAD_COUNT, TOUCHED, WORK, compiled, unpack


@compiled("int64(uint8[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1], uint8[:, ::1], int64)")
def spread(data: Any, starts: Any, stops: Any, pixels: Any, work: Any, out: Any, item_size: int) -> int:
    """Write the spectrum of each pixel to row ``pixels[r]`` of ``out``, little-endian numbers as bytes.

    Records of one pixel must stand together; ``out`` must be zero. Returns 0 or why a record is bad.
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
                if item_size == 1:
                    out[pixels[r], channel] = np.uint8(count)
                else:
                    for byte in range(item_size):
                        out[pixels[r], channel * item_size + byte] = np.uint8(
                            (count >> np.int64(8 * byte)) & 255
                        )
            filled = 0
    return 0


@compiled(
    "int64(uint8[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1], int64[::1], "
    "uint32[::1], uint8[:, ::1])"
)
def sort_by_channel(
    data: Any, starts: Any, stops: Any, pixels: Any, work: Any, cursor: Any, where: Any, counts: Any
) -> int:
    """Write pixel and count of every filled channel to the channel's part of ``where`` and ``counts``.

    ``cursor[channel]`` is where its next entry goes; ``counts`` holds little-endian bytes.
    Returns 0 or why a record is bad.
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
                place = cursor[channel]
                if place >= where.size:
                    return BAD_COUNT
                cursor[channel] = place + 1
                where[place] = pixels[r]
                for byte in range(counts.shape[1]):
                    counts[place, byte] = np.uint8((count >> np.int64(8 * byte)) & 255)
            filled = 0
    return 0
