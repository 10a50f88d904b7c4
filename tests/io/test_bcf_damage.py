"""Damaged, truncated and foreign .bcf files: one clear error each, and the process lives."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bruker_files import write_bcf
from measured import measured_file

# Reads each file named on the command line and tells how it went; a crash ends it without an answer.
READ_ALL = """
import json, sys, time
from napari_xrf.core.errors import FileError
from napari_xrf.io.bcf.reader import read_bcf
for name in sys.argv[1:]:
    began = time.process_time()
    try:
        cube = read_bcf(name)
        answer = {"total": int(cube.sum_spectrum().sum()), "warnings": cube.provenance.warnings}
    except FileError as error:
        answer = {"error": str(error)}
    print(json.dumps({**answer, "seconds": time.process_time() - began}), flush=True)
"""


def read_in_subprocess(paths: list[Path]) -> list[dict]:
    """Read files in another process, which must live to its end."""
    command = [sys.executable, "-X", "faulthandler", "-c", READ_ALL, *map(str, paths)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def whole(tmp_path) -> Path:
    path = tmp_path / "whole.bcf"
    write_bcf(path, np.random.default_rng(0).poisson(2, (12, 16, 256)), chunk=1024)
    return path


def cut(path: Path, folder: Path) -> list[Path]:
    data = path.read_bytes()
    pieces = []
    for percent in (0, 1, 10, 30, 60, 90, 99):
        pieces.append(folder / f"{path.stem}-{percent}.bcf")
        pieces[-1].write_bytes(data[: len(data) * percent // 100])
    return pieces


@pytest.mark.parametrize("compressed", [False, True])
def test_cut_short(tmp_path, compressed):
    path = tmp_path / "map.bcf"
    write_bcf(path, np.random.default_rng(0).poisson(2, (12, 16, 256)), compressed=compressed)
    for answer in read_in_subprocess(cut(path, tmp_path)):
        assert "error" in answer
        assert answer["seconds"] < 5


def test_measured_cut_short(tmp_path):
    names = ("P45_12bit_packed_8bit", "bcf_v2_50x50px", "bcf-edx-ebsd", "over16bit")
    paths = [piece for name in names for piece in cut(measured_file(f"bcf/{name}.bcf"), tmp_path)]
    for answer in read_in_subprocess(paths):
        assert "error" in answer
        assert answer["seconds"] < 5


def test_foreign_files(tmp_path):
    text = tmp_path / "letter.bcf"
    text.write_text("Dear sir or madam,\n" * 400)
    zeros = tmp_path / "zeros.bcf"
    zeros.write_bytes(bytes(10_000))
    folder = tmp_path / "folder.bcf"
    folder.mkdir()
    signature = tmp_path / "signature.bcf"
    signature.write_bytes(b"AAMVHFSS")
    paths = [text, zeros, folder, signature, tmp_path / "missing.bcf"]
    answers = read_in_subprocess(paths)
    assert all(path.name in answer["error"] for path, answer in zip(paths, answers, strict=True))
    assert "no Bruker" in answers[0]["error"]
    assert "cannot" in answers[4]["error"]


def test_measured_foreign_file():
    (answer,) = read_in_subprocess([measured_file("bcf/Nope.bcf")])
    assert "no Bruker" in answer["error"]


def places(data: bytes) -> dict[str, tuple[int, int]]:
    """Where each structure of the file written by the fixture lies, and a value that breaks it."""
    chunk = 1024
    # A chunk holds one entry of the tree here: the folder, the header, the spectra.
    folder, header, entry = (0x118 + number * chunk + 32 for number in (4, 5, 6))
    header_table = 0x118 + 7 * chunk + 32
    document = data.index(b"<?xml")
    (spectra,) = struct.unpack_from("<i", data, entry)
    table = 0x118 + spectra * chunk + 32
    (number,) = struct.unpack_from("<I", data, table)
    payload = 0x118 + number * chunk + 32
    record = payload + 0x1A0 + 4
    return {
        "signature": (3, 0),
        "version": (0x127, 0x7F),
        "chunk size": (0x129, 0x77),
        "chunk size of zero": (0x129, 0),
        "place of the tree": (0x141, 0xFF),
        "items of the tree": (0x147, 0xFF),
        "number of chunks": (0x14A, 0x10),
        "link of the tree": (folder - 31, 0xFF),
        "tree that bites its tail": (folder - 32, 4),
        "table of the header": (header + 1, 0xFF),
        "size of the header": (header + 7, 0x10),
        "parent of the header": (header + 40, 9),
        "parent is itself": (header + 40, 1),
        "name of the header": (header + 224, 0x58),
        "size of the spectra": (entry + 6, 0x7F),
        "chunk of the header": (header_table + 1, 0xEE),
        "chunk of the spectra": (table + 3, 0xEE),
        "chunk that stands twice": (table, data[table + 4]),
        "document": (document + 50, 0x26),
        "document's closing": (data.index(b"</Width>") + 1, 0x41),
        "width of the image": (data.index(b"<Width>") + 7, 0x39),
        "calibration": (data.index(b"<CalibLin>") + 10, 0x58),
        "height": (payload, 0xFF),
        "width": (payload + 4, 0xFF),
        "pixels of a line": (payload + 0x1A0 + 1, 0x7F),
        "column": (record + 1, 0x7F),
        "size of a record": (record + 20, 0x7F),
        "added counts": (record + 16, 0x11),
        "width of a run": (record + 22, 3),
        "length of a run": (record + 23, 0xFE),
    }


def test_a_flipped_byte_in_each_structure(whole, tmp_path):
    data = whole.read_bytes()
    structures = places(data)
    paths = []
    for name, (at, value) in structures.items():
        damaged = bytearray(data)
        assert damaged[at] != value, name
        damaged[at] = value
        paths.append(tmp_path / f"{name}.bcf")
        paths[-1].write_bytes(damaged)
    for name, answer in zip(structures, read_in_subprocess(paths), strict=True):
        assert "error" in answer, (name, answer)
        assert answer["seconds"] < 5, name


@pytest.mark.parametrize("compressed", [False, True])
def test_any_flipped_byte(tmp_path, compressed):
    """A flip gives an error, or the right counts, or other counts with a warning where a sum can tell."""
    path = tmp_path / "map.bcf"
    counts = np.random.default_rng(0).poisson(1, (6, 7, 100))
    write_bcf(path, counts, compressed=compressed, chunk=1024, packing="zero-run+pulses")
    data = path.read_bytes()
    generator = np.random.default_rng(11)
    used = np.flatnonzero(np.frombuffer(data, np.uint8))  # the rest is padding, for the most part
    paths = []
    for number, at in enumerate(generator.choice(used, 300, replace=False)):
        damaged = bytearray(data)
        damaged[at] ^= int(generator.integers(1, 256))
        paths.append(tmp_path / f"{number}.bcf")
        paths[-1].write_bytes(damaged)
    answers = read_in_subprocess(paths)
    assert len(answers) == 300
    for answer in answers:
        assert answer["seconds"] < 5
        if "error" not in answer and answer["total"] != counts.sum():
            assert answer["warnings"], answer
    assert sum("error" in answer for answer in answers) > 60


def test_entity_bomb(tmp_path):
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "' + b"b" * 999 + b'"><!ENTITY c "' + b"&b;" * 999
    bomb += b'">]><TRTSpectrumDatabase>' + b"&c;" * 999 + b"</TRTSpectrumDatabase>"
    from bruker_files import pack_map, write_container

    path = tmp_path / "bomb.bcf"
    spectra = pack_map(np.ones((2, 2, 9), np.int64), "zero-run", np.ones((2, 2), bool))
    write_container(path, bomb, [spectra])
    (answer,) = read_in_subprocess([path])
    assert "no plain XML" in answer["error"]


def test_zlib_bomb(tmp_path):
    path = tmp_path / "bomb.bcf"
    write_bcf(path, np.zeros((4, 4, 64), dtype=np.int64), compressed=True)
    data = bytearray(path.read_bytes())
    block = data.rindex(b"AACS") + 0x80
    struct.pack_into("<I", data, block + 4, 2**31)
    path.write_bytes(data)
    (answer,) = read_in_subprocess([path])
    assert "block" in answer["error"]
