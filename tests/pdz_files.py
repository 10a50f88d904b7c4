"""Files as Bruker's handheld instruments save them, built after public descriptions of the format."""

import struct

HEAD = struct.pack("<HI10sI", 25, 14, "pdz25".encode("utf-16-le"), 1)


def text(words):
    return struct.pack("<I", len(words)) + words.encode("utf-16-le")


def record(kind, content):
    return struct.pack("<HI", kind, len(content)) + content


def instrument(serial="900F1234", anode=45, incidence=52, takeoff=63):
    angles = struct.pack("<4Bh", anode, 23, incidence, takeoff, 127)
    rest = text("SDD") + text("NSI:2056") + b"\x08\x08" + text("Fixed") + struct.pack("<I", 0)
    return record(1, text(serial) + text("SG7-1") + angles + rest)


def phase(counts, name="Geo_15", voltage=15.0, width=20.0, start=0.0, live=9.5):
    total = sum(counts)
    told = struct.pack("<5I5f", 0, total, total, total, 4, 10.0, 10.0, 0.3, 0.2, live)
    told += struct.pack("<2f7h2fif", voltage, 12.5, 22, 25, 13, 200, 0, 0, 3, -27.0, 90.0, 0, width)
    told += struct.pack("<hf8HfH2h", 1, start, 2024, 1, 1, 22, 14, 26, 26, 0, 1013.0, len(counts), 21, 0)
    return record(3, told + text(name) + struct.pack(f"<h{len(counts)}I", 1, *counts))


def chain(*phases):
    summary = record(
        2, struct.pack("<5I6f", 1, 9, 9, 9, 0, *[1.0] * 6) + text("Geo") + text("") + text("Bob")
    )
    return HEAD + instrument() + summary + b"".join(phases) + record(10, b"\xff\xd8" + bytes(50))


def block(counts, width=20.085, voltage=40.0, live=58.5, trailer=148):
    head = bytearray(358)
    struct.pack_into("<HIH", head, 0, 0x0101, 23, len(counts))
    struct.pack_into("<d", head, 50, width)
    struct.pack_into("<2f", head, 162, voltage, 11.0)
    struct.pack_into("<4f", head, 342, 60.0, 1.5, 0.0, live)
    return bytes(head) + struct.pack(f"<{len(counts)}I", *counts) + bytes(trailer)
