"""Small valid Bruker .bcf files with known counts, and large realistic ones, for tests and benchmarks.

The files hold what RosettaSciIO needs too, so that it can serve as the peer.
"""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numba import njit

from napari_xrf.core.energy_axis import EnergyAxis

Packing = Literal["16bit", "12bit", "zero-run", "zero-run+pulses"]
PACKINGS: tuple[Packing, ...] = ("16bit", "12bit", "zero-run", "zero-run+pulses")

_BASE = 0x118
_FIRST_LINE = 0x1A0
_CODES = {"16bit": 0, "12bit": 1, "zero-run": 2, "zero-run+pulses": 3}


@dataclass(frozen=True)
class Overview:
    """An image larger than the map, with the map's first pixel at (top, left)."""

    data: np.ndarray
    pixel_size: tuple[float, float]
    top: int
    left: int
    height: int
    width: int


def write_bcf(
    path: Path,
    counts: np.ndarray,
    *,
    energy: EnergyAxis | None = None,
    pixel_size: tuple[float, float] | None = (20.0, 20.0),
    packing: Packing = "zero-run",
    compressed: bool = False,
    measured: np.ndarray | None = None,
    tube: bool = True,
    voltage: float = 50.0,
    atmosphere: str = "Vacuum",
    elements: tuple[int, ...] = (),
    sum_spectrum: np.ndarray | None = None,
    image: np.ndarray | None = None,
    overview: Overview | None = None,
    pixel_times_us: np.ndarray | None = None,
    chunk: int = 4096,
) -> None:
    """Write counts (Y, X, E), or (detectors, Y, X, E); pixels outside ``measured`` are left out."""
    stack = counts[None] if counts.ndim == 3 else counts
    axis = energy or EnergyAxis(-0.955, 0.01, stack.shape[3])
    mask = np.ones(stack.shape[1:3], dtype=bool) if measured is None else measured
    payloads = [pack_map(one, packing, mask) for one in stack]
    spectra = [(one * mask[:, :, None]).sum(axis=(0, 1), dtype=np.uint64) for one in stack]
    if sum_spectrum is not None:
        spectra[0] = sum_spectrum
    header = header_xml(
        stack.shape[1:3], axis, spectra, pixel_size=pixel_size, tube=tube, voltage=voltage,
        atmosphere=atmosphere, elements=elements, image=image, overview=overview,
        pixel_times_us=pixel_times_us,
    )  # fmt: skip
    write_container(path, header, payloads, compressed=compressed, chunk=chunk)


def write_large_bcf(
    path: Path,
    shape: tuple[int, int, int] = (600, 800, 4096),
    *,
    counts_per_pixel: float = 268,
    packing: Packing = "12bit",
    seed: int = 0,
    compressed: bool = False,
    chunk: int = 4096,
) -> np.ndarray:
    """Write a large map of three phases with Poisson counts, never held dense; return its sum spectrum.

    Each pixel takes a random stretch of counts that were drawn from its phase's spectrum.
    """
    height, width, channels = shape
    generator = np.random.default_rng(seed)
    energy = EnergyAxis(-0.955, 0.01, channels)
    pools = np.stack([_draw(generator, energy, phase) for phase in range(3)])
    rows, columns = np.indices((height, width))
    phases = ((np.sin(rows / 37) + np.cos(columns / 53) + 2) * 0.749).astype(np.int64).clip(0, 2).ravel()
    numbers = generator.poisson(counts_per_pixel, height * width).clip(0, 60000)
    begins = generator.integers(0, pools.shape[1] - numbers.max() - 1, height * width)
    out = np.zeros(_FIRST_LINE + height * 4 + int((numbers * 2).sum()) * 2 + height * width * 64, np.uint8)
    total = np.zeros(channels, dtype=np.int64)
    size = _pack_pools(pools, phases, begins, numbers, width, _CODES[packing], total, out)
    payload = out[:size]
    payload[:8] = np.frombuffer(struct.pack("<II", height, width), np.uint8)
    header = header_xml((height, width), energy, [total], pixel_size=(20.0, 20.0))
    write_container(path, header, [payload], compressed=compressed, chunk=chunk)
    return total


def pack_map(counts: np.ndarray, packing: Packing, measured: np.ndarray) -> np.ndarray:
    """Return ``SpectrumData<i>`` of counts (Y, X, E)."""
    parts = [struct.pack("<II", *counts.shape[:2]).ljust(_FIRST_LINE, b"\0")]
    spectrum = np.zeros(counts.shape[2], dtype=np.int64)
    for line, mask in zip(counts, measured, strict=True):
        columns = np.flatnonzero(mask)
        parts.append(struct.pack("<I", len(columns)))
        for column in columns:
            spectrum[:] = line[column]
            out = np.zeros(64 + 12 * spectrum.size + 2 * min(int(spectrum.sum()), 65535), dtype=np.uint8)
            if packing in ("16bit", "12bit") and spectrum.sum() > 65535:
                raise ValueError("a list of counts holds 65535 at most")
            parts.append(out[: _pack_pixel(spectrum, int(column), _CODES[packing], out, 0)].tobytes())
    return np.frombuffer(b"".join(parts), dtype=np.uint8)


def header_xml(
    map_shape: tuple[int, int],
    energy: EnergyAxis,
    spectra: list[np.ndarray],
    *,
    pixel_size: tuple[float, float] | None = None,
    tube: bool = True,
    voltage: float = 50.0,
    atmosphere: str = "Vacuum",
    elements: tuple[int, ...] = (),
    image: np.ndarray | None = None,
    overview: Overview | None = None,
    pixel_times_us: np.ndarray | None = None,
) -> bytes:
    """Return the header document."""
    scale = "" if pixel_size is None else f"<DX>{pixel_size[1]}</DX><DY>{pixel_size[0]}</DY>"
    own = np.ones(map_shape, np.uint16) if image is None else image
    times = "" if pixel_times_us is None else _image(pixel_times_us.astype("<u4"), "PixelTimes")
    regions = "".join(
        f'<ClassInstance Type="TRTSpectrumRegion" Name="{z}"><Element>{z}</Element></ClassInstance>'
        for z in elements
    )
    text = f"""<?xml version="1.0" encoding="WINDOWS-1252" standalone="yes"?>
<TRTSpectrumDatabase><ClassInstance Type="TRTSpectrumDatabase" Name="synthetic map">
<Header><Date>1.2.2023</Date><Time>10:11:12</Time>
<FileVersion>{1 if overview is None else 2}</FileVersion></Header>
<ClassInstance Type="TRTSEMData"><HV>{-1 if tube else voltage}</HV>{scale}</ClassInstance>
<ClassInstance Type="TRTSEMStageData"><X>1</X><Y>2</Y></ClassInstance>
<ClassInstance Type="TRTDSPConfiguration"><PixelAverage>1</PixelAverage><LineAverage>1</LineAverage>
<PixelTime>1</PixelTime></ClassInstance>
{_image(own, "")}{times}
<ClassInstance Type="TRTContainerClass" Name="synthetic map"><ChildClassInstances>
<ClassInstance Type="TRTElementInformationList"><ClassInstance Type="TRTSpectrumRegionList">
<ChildClassInstances>{regions}</ChildClassInstances></ClassInstance></ClassInstance>
{_overview(overview)}</ChildClassInstances></ClassInstance>
<LineCounter>{",".join(["1"] * map_shape[0])}</LineCounter><ChCount>4096</ChCount>
<DetectorCount>{len(spectra)}</DetectorCount>
{"".join(_spectrum(i, one, energy, tube, voltage, atmosphere) for i, one in enumerate(spectra))}
</ClassInstance></TRTSpectrumDatabase>"""
    return text.encode("cp1252")


def write_container(
    path: Path, header: bytes, payloads: list[np.ndarray], *, compressed: bool = False, chunk: int = 4096
) -> None:
    """Write the files of a .bcf into its container."""
    files = [("HeaderData", np.frombuffer(header, np.uint8))]
    files += [(f"SpectrumData{number}", payload) for number, payload in enumerate(payloads)]
    usable = chunk - 32
    tree = [_tree_item("EDSDatabase", 0, 0, -1, True)]
    parts: list[bytes | np.ndarray] = []
    per_chunk = usable // 512
    tree_chunks = -(-(len(files) + 1) // per_chunk)
    next_chunk = 4 + tree_chunks
    for name, content in files:
        data = _compress(content) if compressed else content
        pieces = -(-data.size // usable)
        tables = -(-4 * pieces // usable)
        tree.append(_tree_item(name, next_chunk, data.size, 0, False))
        numbers = np.arange(next_chunk + tables, next_chunk + tables + pieces, dtype="<u4").tobytes()
        for table in range(tables):
            parts.append(struct.pack("<I28x", next_chunk + table + 1))
            parts.append(numbers[table * usable : (table + 1) * usable].ljust(usable, b"\0"))
        blocks = np.zeros((pieces, chunk), dtype=np.uint8)
        whole = data.size // usable
        blocks[:whole, 32:] = data[: whole * usable].reshape(whole, usable)
        blocks[-1, 32 : 32 + data.size - (pieces - 1) * usable] = data[(pieces - 1) * usable :]
        parts.append(blocks)
        next_chunk += tables + pieces
    start = bytearray(_BASE + 4 * chunk)
    start[:8] = b"AAMVHFSS"
    struct.pack_into("<fI", start, 0x124, 2.6, chunk)
    struct.pack_into("<III", start, 0x140, 4, len(tree), next_chunk)
    with path.open("wb") as file:
        file.write(start)
        for number in range(tree_chunks):
            items = b"".join(tree[number * per_chunk : (number + 1) * per_chunk])
            file.write((struct.pack("<I28x", 5 + number) + items).ljust(chunk, b"\0"))
        for part in parts:
            file.write(part)


def _tree_item(name: str, pointer: int, size: int, parent: int, folder: bool) -> bytes:
    return struct.pack(
        "<iQQQQIi176s?3s256s32s", pointer, size, 0, 0, 0, 0, parent, b"", folder, b"", name.encode(), b""
    )


def _compress(content: np.ndarray, block: int = 524288) -> np.ndarray:
    blocks = [content[at : at + block].tobytes() for at in range(0, content.size, block)]
    parts = [struct.pack("<4sIII", b"AACS", block, 0, len(blocks)).ljust(0x80, b"\0")]
    for one in blocks:
        packed = zlib.compress(one, 1)
        parts += [struct.pack("<IIII", len(packed), len(one), 0, len(packed) + 16), packed]
    return np.frombuffer(b"".join(parts), np.uint8)


def _image(data: np.ndarray, name: str, extra: str = "") -> str:
    size = data.dtype.itemsize * (data.shape[2] if data.ndim == 3 else 1)
    said = f' Name="{name}"' if name else ""
    encoded = base64.b64encode(np.ascontiguousarray(data).tobytes()).decode()
    return (
        f'<ClassInstance Type="TRTImageData"{said}><ItemSize>{size}</ItemSize><Width>{data.shape[1]}</Width>'
        f"<Height>{data.shape[0]}</Height><PlaneCount>1</PlaneCount>{extra}<Plane0>"
        f"<Description>{name or 'Video'}</Description><Data>{encoded}</Data></Plane0></ClassInstance>"
    )


def _overview(overview: Overview | None) -> str:
    if overview is None:
        return ""
    extra = (
        f"<XCalibration>{overview.pixel_size[1]}</XCalibration>"
        f"<YCalibration>{overview.pixel_size[0]}</YCalibration><ChildClassInstances>"
        '<ClassInstance Type="TRTRectangleOverlayElement" Name="Map"><TRTSolidOverlayElement>'
        "<TRTBasicLineOverlayElement><TRTOverlayElement><Rect>"
        f"<Left>{overview.left}</Left><Top>{overview.top}</Top>"
        f"<Right>{overview.left + overview.width - 1}</Right>"
        f"<Bottom>{overview.top + overview.height - 1}</Bottom></Rect></TRTOverlayElement>"
        "</TRTBasicLineOverlayElement></TRTSolidOverlayElement></ClassInstance></ChildClassInstances>"
    )
    return (
        '<ClassInstance Type="TRTContainerClass" Name="OverviewImages"><ChildClassInstances>'
        f"{_image(overview.data, 'mosaic', extra)}</ChildClassInstances></ClassInstance>"
    )


def _spectrum(
    number: int, spectrum: np.ndarray, energy: EnergyAxis, tube: bool, voltage: float, atmosphere: str
) -> str:
    layers = base64.b64encode(zlib.compress(b"<DetLayers><Layer0/></DetLayers>")).decode()
    if tube:
        source = (
            f'<ClassInstance Type="TRTXrfHeader"><Voltage>{voltage}</Voltage><Anode>45</Anode>'
            "<ExcitationAngle>5E1</ExcitationAngle><DetectionAngle>5E1</DetectionAngle>"
            f"<ChassisType>XS-52</ChassisType><Atmosphere>{atmosphere}</Atmosphere></ClassInstance>"
        )
    else:
        source = (
            f'<ClassInstance Type="TRTESMAHeader"><PrimaryEnergy>{voltage}</PrimaryEnergy>'
            "<ElevationAngle>35</ElevationAngle></ClassInstance>"
        )
    return (
        f'<SpectrumData{number}><ClassInstance Type="TRTSpectrum"><TRTHeaderedClass>'
        '<ClassInstance Type="TRTSpectrumHardwareHeader"><ZeroPeakPosition>96</ZeroPeakPosition>'
        "<Amplification>4E4</Amplification></ClassInstance>"
        '<ClassInstance Type="TRTDetectorHeader"><Type>XFlash 430</Type>'
        f"<Serial>{100 + number}</Serial><DetLayers>{layers}</DetLayers></ClassInstance>{source}"
        '</TRTHeaderedClass><ClassInstance Type="TRTSpectrumHeader"><Date>1.2.2023</Date>'
        f"<Time>10:11:12</Time><ChannelCount>{energy.size}</ChannelCount>"
        f"<CalibAbs>{energy.offset!r}</CalibAbs><CalibLin>{energy.width!r}</CalibLin>"
        "<SigmaAbs>3E-4</SigmaAbs><SigmaLin>4.6E-4</SigmaLin></ClassInstance>"
        f"<Channels>{','.join(map(str, spectrum.tolist()))}</Channels></ClassInstance></SpectrumData{number}>"
    )


def _draw(generator: np.random.Generator, energy: EnergyAxis, phase: int) -> np.ndarray:
    """Return channels of 4 million counts: zero peak, lines of one phase, tube continuum."""
    size = 2**22
    lines = [
        [(1.74, 5), (3.69, 4), (6.40, 3), (7.06, 0.4)],
        [(2.31, 4), (8.64, 6), (9.57, 1), (6.40, 1)],
        [(3.31, 5), (1.49, 1), (13.39, 2), (14.96, 0.4)],
    ][phase]
    centres = np.array([0.0, *(line for line, _ in lines)])
    shares = np.array([3.0, *(share for _, share in lines)])
    which = generator.choice(centres.size, size, p=shares / shares.sum())
    sigma = np.sqrt(3e-4 + 4.6e-4 * centres)
    drawn = generator.normal(centres[which], sigma[which])
    continuum = generator.random(size) < 0.25
    drawn[continuum] = generator.gamma(3.0, 4.0, int(continuum.sum()))
    return energy.channel(drawn).clip(0, energy.size - 1)


@njit(cache=True)
def _put(out: Any, at: int, value: int, size: int) -> int:
    for k in range(size):
        out[at + k] = (value >> (8 * k)) & 255
    return at + size


@njit(cache=True)
def _pack_pools(
    pools: Any, phases: Any, begins: Any, numbers: Any, width: int, code: int, total: Any, out: Any
) -> int:
    at = 0x1A0
    spectrum = np.zeros(total.size, dtype=np.int64)
    for pixel in range(phases.size):
        if pixel % width == 0:
            at = _put(out, at, width, 4)
        spectrum[:] = 0
        for k in range(numbers[pixel]):
            channel = pools[phases[pixel], begins[pixel] + k]
            spectrum[channel] += 1
            total[channel] += 1
        at = _pack_pixel(spectrum, pixel % width, code, out, at)
    return at


@njit(cache=True)
def _pack_pixel(spectrum: Any, column: int, code: int, out: Any, at: int) -> int:
    """Write one record and return where it ends."""
    channels = spectrum.size
    at = _put(out, at, column, 4)
    at = _put(out, at, channels, 2)
    at = _put(out, at, 0 if code < 2 else channels, 2)
    at = _put(out, at, 786432, 4)
    at = _put(out, at, min(code, 2), 2)
    head = at
    at += 8
    begin = at
    pulses = 0
    if code < 2:
        for channel in range(channels):
            for _ in range(spectrum[channel]):
                _put_pulse(out, begin, pulses, channel, code)
                pulses += 1
        at = begin + (2 * pulses if code == 0 else 6 * ((pulses + 3) // 4))
    else:
        added = 0
        if code == 3:
            for channel in range(0, channels, 3):
                if spectrum[channel] > 0 and added < 60000:
                    added += 1
        at = _put_runs(spectrum, out, at, code == 3, added)
        size = at + 4 - begin
        at = _put(out, at, 2 * added, 4)
        if code == 3:
            for channel in range(0, channels, 3):
                if spectrum[channel] > 0 and pulses < added:
                    at = _put(out, at, channel, 2)
                    pulses += 1
        _put(out, head, size & 65535, 2)
        _put(out, head + 2, pulses, 2)
        _put(out, head + 4, size, 4)
        return at
    _put(out, head, (at - begin) & 65535, 2)
    _put(out, head + 2, pulses, 2)
    _put(out, head + 4, at - begin, 4)
    return at


@njit(cache=True)
def _put_pulse(out: Any, begin: int, pulse: int, channel: int, code: int) -> None:
    if code == 0:
        _put(out, begin + 2 * pulse, channel, 2)
        return
    q = begin + 6 * (pulse // 4)
    k = pulse % 4
    # Twelve bits of big-endian order, stored as byte-swapped words.
    if k == 0:
        out[q + 1] = channel >> 4
        out[q] = (out[q] & 15) | ((channel & 15) << 4)
    elif k == 1:
        out[q] = (out[q] & 240) | (channel >> 8)
        out[q + 3] = channel & 255
    elif k == 2:
        out[q + 2] = channel >> 4
        out[q + 5] = (out[q + 5] & 15) | ((channel & 15) << 4)
    else:
        out[q + 5] = (out[q + 5] & 240) | (channel >> 8)
        out[q + 4] = channel & 255


@njit(cache=True)
def _value(spectrum: Any, channel: int, less: bool) -> int:
    # Of the channels whose counts come as added pulses too, one count is left out here.
    value = spectrum[channel]
    return value - 1 if less and channel % 3 == 0 and value > 0 else value


@njit(cache=True)
def _put_runs(spectrum: Any, out: Any, at: int, less: bool, added: int) -> int:
    channels = spectrum.size
    channel = 0
    while channel < channels:
        end = channel
        while end < channels and end - channel < 255 and _value(spectrum, end, less) == 0:
            end += 1
        if end > channel:
            out[at] = 0
            out[at + 1] = end - channel
            at += 2
            channel = end
            continue
        low = high = _value(spectrum, channel, less)
        while end < channels and end - channel < 255 and _value(spectrum, end, less) > 0:
            low = min(low, _value(spectrum, end, less))
            high = max(high, _value(spectrum, end, less))
            end += 1
        width = 8
        if high - low < 16 and low < 256:
            width = 1
        elif high - low < 256 and low < 65536:
            width = 2
        elif high - low < 65536:
            width = 4
        out[at] = width
        out[at + 1] = end - channel
        at = _put(out, at + 2, low, width)
        if width == 1:
            for k in range(0, end - channel, 2):
                value = _value(spectrum, channel + k, less) - low
                if channel + k + 1 < end:
                    value |= (_value(spectrum, channel + k + 1, less) - low) << 4
                at = _put(out, at, value, 1)
        else:
            for k in range(channel, end):
                at = _put(out, at, _value(spectrum, k, less) - low, width // 2)
        channel = end
    return at
