"""Spectra of Bruker's handheld instruments (.pdz), one for each setting of the tube.

Version 25 is a chain of records, type and length before each: 25 the head, 1 the instrument, 3 a spectrum.
Older files are one block. The structure follows public readers (PDZReader, read_pdz, pdz-tool, NIST's EPQ);
all numbers are little-endian.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration
from napari_xrf.io.spectra.single import FEWEST, element_symbols, one_pixel_cube

_CHAIN, _BLOCK = struct.pack("<HI10s", 25, 14, "pdz25".encode("utf-16-le")), b"\x01\x01"
_INSTRUMENT, _SPECTRUM = 1, 3
# Phase, four numbers of counts, three times; dead, reset, live time in s; kV, µA; three filters (element, µm)
# and their wheel; two temperatures; vacuum; eV per channel, how that was found, eV of the first; date,
# pressure; channels, temperature, environment.
_HEAD = struct.Struct("<5I 5f 2f 7h 2f i f h f 16s f H2h")
_CHANNELS_AT, _WIDTH_AT, _VOLTAGE_AT, _LIVE_AT, _COUNTS_AT = 6, 50, 162, 354, 358  # in a block
_LARGEST = 64 * 2**20
_MOST_CHANNELS, _MOST_COUNTS = 2**16, 2**30
_LONGEST_TEXT = 1000


@dataclass(frozen=True)
class _Phase:
    """A spectrum, and with which setting it was measured."""

    name: str
    counts: NDArray[np.uint32]  # (E,)
    start_ev: float
    width_ev: float
    voltage: float
    current: float
    live_time: float


def read_pdz(path: str | Path, *, map: int | None = None) -> SpectralCube:
    """Read a spectrum as a map of one pixel; ``map`` tells which of several, from 0.

    Raises FileError when the file holds none or is cut short, InvalidInput when there is no such spectrum.
    """
    target = Path(path)
    if target.stat().st_size > _LARGEST:
        raise FileError(target, "is too large for a single spectrum")
    content = target.read_bytes()
    try:
        phases, tube = _of_chain(content) if content.startswith(_CHAIN) else _of_block(content)
    except (struct.error, ValueError) as error:
        raise FileError(target, f"is cut short or damaged ({error})") from error
    if not phases:
        raise FileError(target, "holds no spectrum", "Was only a result or a picture saved?")
    at = map or 0
    if not 0 <= at < len(phases):
        raise InvalidInput(f"there is no map {at} in {target.name}", f"It holds {len(phases)}, from 0")
    phase = phases[at]
    notes: tuple[str, ...] = ()
    if len(phases) > 1 and map is None:
        told = ", ".join(f"{one.name or number} {one.voltage:g} kV" for number, one in enumerate(phases))
        notes = (f"The file holds {len(phases)} spectra ({told}); 0 is read: {calibration.CHOOSE_MAP}.",)
    terms, size = [phase.start_ev, phase.width_ev], phase.counts.size
    axis, faults = calibration.or_assumed(lambda: calibration.axis_from_polynomial(terms, size, "eV"), size)
    tube = Excitation(
        "tube",
        phase.voltage if 0 < phase.voltage < np.inf else None,
        tube.anode,
        tube.incidence_deg,
        tube.takeoff_deg,
        instrument=tube.instrument,
        current=phase.current if 0 < phase.current < np.inf else None,
    )
    live = phase.live_time if 0 < phase.live_time < np.inf else None
    spectrum = Spectrum(phase.counts, axis, phase.name or target.stem, live_time=live, excitation=tube)
    return one_pixel_cube(target, spectrum, layout="Bruker .pdz spectrum", warnings=(*notes, *faults))


def _of_chain(content: bytes) -> tuple[list[_Phase], Excitation]:
    phases, tube = [], Excitation("tube")
    for kind, record in _records(content):
        if kind == _INSTRUMENT:
            tube = _instrument(record)
        elif kind == _SPECTRUM:
            phases.append(_phase(record))
    return phases, tube


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each record."""
    at = 0
    while at < len(content):
        kind, length = struct.unpack_from("<HI", content, at)
        at += 6 + length
        if at > len(content):
            raise ValueError(f"a record of {length} bytes ends beyond the file")
        yield kind, content[at - length : at]


def _instrument(record: bytes) -> Excitation:
    number, at = _text(record, 0)
    _, at = _text(record, at)
    anode, _, incidence, takeoff = struct.unpack_from("4B", record, at)
    return Excitation(
        "tube",
        anode=next(iter(element_symbols([anode])), None),
        incidence_deg=float(incidence) if 0 < incidence <= 90 else None,
        takeoff_deg=float(takeoff) if 0 < takeoff <= 90 else None,
        instrument=f"Bruker {number}".strip(),
    )


def _phase(record: bytes) -> _Phase:
    told = _HEAD.unpack_from(record)
    live, voltage, current, width, start, size = (told[at] for at in (9, 10, 11, 22, 24, 27))
    name, at = _text(record, _HEAD.size)
    return _Phase(name, _counts(record, at + 2, size), start, width, voltage, current, live)


def _of_block(content: bytes) -> tuple[list[_Phase], Excitation]:
    if not content.startswith(_BLOCK):
        raise ValueError("it begins like no .pdz that is known")
    (size,) = struct.unpack_from("<H", content, _CHANNELS_AT)
    (width,) = struct.unpack_from("<d", content, _WIDTH_AT)
    voltage, current = struct.unpack_from("<2f", content, _VOLTAGE_AT)
    (live,) = struct.unpack_from("<f", content, _LIVE_AT)
    counts = _counts(content, _COUNTS_AT, size)
    return [_Phase("", counts, 0.0, width, voltage, current, live)], Excitation("tube", instrument="Bruker")


def _counts(content: bytes, at: int, size: int) -> NDArray[np.uint32]:
    if not FEWEST <= size <= _MOST_CHANNELS:
        raise ValueError(f"it announces {size} channels")
    counts = np.frombuffer(content, "<u4", size, at).astype(np.uint32)
    if counts.max() > _MOST_COUNTS:
        raise ValueError("no counts stand where known files have them")
    return counts


def _text(content: bytes, at: int) -> tuple[str, int]:
    """Return a text whose number of letters stands before it, and where it ends."""
    (letters,) = struct.unpack_from("<I", content, at)
    end = at + 4 + 2 * letters
    if letters > _LONGEST_TEXT or end > len(content):
        raise ValueError(f"a text of {letters} letters ends beyond its record")
    text = content[at + 4 : end].decode("utf-16-le", "replace").strip("\0 ")
    return "".join(letter for letter in text if letter.isprintable()), end
