"""Series of spectra as FEI's TIA saves them, built after RosettaSciIO's reader."""

import struct


def ser_file(counts, delta_ev=10.0):
    """Return the bytes of a series of FEI's TIA, ``counts`` (Y, X, E): head, offsets, spectra with places."""
    rows, columns, size = counts.shape
    points, head = rows * columns, 30
    dimensions = b"".join(
        struct.pack("<IddII", length, 0.0, step, 0, 1) + b"p" + struct.pack("<I", 6) + b"meters"
        for length, step in ((columns, 2e-9), (rows, 3e-9))
    )
    first = head + len(dimensions) + 8 * points
    length = 26 + 4 * size
    places = [first + at * (length + 24) for at in range(points)]
    data = b"".join(
        struct.pack("<ddIHI", 0.0, delta_ev, 0, 6, size)
        + spectrum.astype("<i4").tobytes()
        + struct.pack("<HHIdd", 16706, 0, 0, at % columns * 2e-9, at // columns * 3e-9)
        for at, spectrum in enumerate(counts.reshape(points, size))
    )
    begin = struct.pack(
        "<HHHIIIIII", 0x4949, 407, 528, 16672, 16706, points, points, head + len(dimensions), 2
    )
    offsets = struct.pack(f"<{points}I", *places) + struct.pack(
        f"<{points}I", *(at + length for at in places)
    )
    return begin + dimensions + offsets + data
