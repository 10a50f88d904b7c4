"""The header of a .bcf: an XML document with the map's scale, the instrument, images and sum spectra."""

import binascii
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import AuxiliaryImage, Excitation
from napari_xrf.io import bruker_xml
from napari_xrf.io.bcf.bytes import damaged
from napari_xrf.io.bruker_xml import Node, number, part, positive, text
from napari_xrf.io.spectra.single import element_symbols

_MOST_CHANNELS = 2**16
_NO_IMAGES = ("PixelTimes", "Counter")
_MOST_PIXELS = 2**30
_IMAGES = "./ClassInstance[@Type='TRTImageData']"


@dataclass(frozen=True, eq=False)
class DetectorHeader:
    """One detector: type and serial number, energy axis, the instrument's own sum spectrum, (E,), if any."""

    name: str
    energy: EnergyAxis
    sum_spectrum: NDArray[np.uint64] | None
    excitation: Excitation
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class BcfHeader:
    """What the header of a .bcf says."""

    name: str  # as those of the cube; ``elements`` are those that the operator chose
    map_shape: tuple[int, int] | None  # (Y, X) of the map's own image, or None where there is none
    pixel_size: tuple[float, float] | None  # (DY, DX) in µm, or None
    pixel_times: NDArray[np.float64] | None  # (Y, X) seconds per pixel, or None
    elements: tuple[str, ...]
    images: tuple[AuxiliaryImage, ...]
    detectors: dict[int, DetectorHeader]  # by the number in ``SpectrumData<number>``
    warnings: tuple[str, ...]


def parse_header(document: bytes, path: Path, numbers: list[int]) -> BcfHeader:
    """Read ``EDSDatabase/HeaderData``, inflated, of a file that holds the ``SpectrumData`` of these numbers.

    Raises FileError when the XML is damaged or lacks what a map cannot do without.
    """
    root = _root(document, path)
    try:
        warnings: list[str] = []
        pixel_size = _pixel_size(root)
        if pixel_size is None:
            warnings.append("The file has no pixel size; lengths and areas are in pixels.")
        own = next((node for node in root.findall(_IMAGES) if not node.get("Name")), None)
        shape = None if own is None else (int(number(own, "Height")), int(number(own, "Width")))
        images = _auxiliary_images(root, shape, pixel_size, warnings)
        detectors = {index: _detector(root, index) for index in numbers}
        return BcfHeader(
            name=root.get("Name", "").strip() or path.stem,
            map_shape=shape,
            pixel_size=pixel_size,
            pixel_times=_pixel_times(root, shape, warnings),
            elements=_elements(root),
            images=images,
            detectors=detectors,
            warnings=(*warnings, *(note for one in detectors.values() for note in one.warnings)),
        )
    except (ValueError, OverflowError, InvalidInput) as error:
        raise damaged(path, f"its header cannot be understood ({error})") from error


def _root(document: bytes, path: Path) -> Node:
    root = bruker_xml.parse_xml(document, path).find("./ClassInstance[@Type='TRTSpectrumDatabase']")
    if root is None:
        raise FileError(path, "is a Bruker file, but its header describes no map")
    return root


def _pixel_size(root: Node) -> tuple[float, float] | None:
    microscope = root.find("./ClassInstance[@Type='TRTSEMData']")
    dy, dx = positive(microscope, "DY"), positive(microscope, "DX")
    return None if dy is None or dx is None else (dy, dx)


def _pixel_times(
    root: Node, shape: tuple[int, int] | None, warnings: list[str]
) -> NDArray[np.float64] | None:
    node = root.find("./ClassInstance[@Type='TRTImageData'][@Name='PixelTimes']")
    plane = None if node is None else node.find("./Plane0")
    if node is None or plane is None:
        return None
    times = _image_data(node, plane)
    if not times.any():
        return None
    if times.shape != shape:
        warnings.append(f"The pixel times {times.shape} do not fit the map {shape}; they are left out.")
        return None
    return times.astype(np.float64) * 1e-6


def _elements(root: Node) -> tuple[str, ...]:
    kinds = ("TRTSpectrumRegion", "TRTPSEElement")
    regions = [node for node in root.iter("ClassInstance") if node.get("Type") in kinds]
    numbers = [int(number(region, "Element", 0)) for region in regions]
    return tuple(symbol for one in dict.fromkeys(numbers) for symbol in element_symbols([one]))


def _detector(root: Node, index: int) -> DetectorHeader:
    spectrum = root.find(f"./SpectrumData{index}/ClassInstance")
    if spectrum is None:
        raise ValueError(f"no SpectrumData{index}")
    header, hardware = part(spectrum, "TRTSpectrumHeader"), part(spectrum, "TRTDetectorHeader")
    channels = text(spectrum, "Channels")
    counts = np.array([int(count) for count in channels.split(",")], dtype=np.uint64) if channels else None
    size = int(number(header, "ChannelCount", 0)) if counts is None else counts.size
    if not 0 < size <= _MOST_CHANNELS:
        raise ValueError(f"{size} channels")
    kind, serial = text(hardware, "Type"), text(hardware, "Serial")
    name = " ".join(word for word in (kind, f"({serial})" if serial else "") if word)
    energy, notes = bruker_xml.energy_axis(header, size)
    excitation = bruker_xml.excitation_of(spectrum, root)
    return DetectorHeader(name or f"detector {index + 1}", energy, counts, excitation, notes)


def _image_data(node: Node, plane: Node) -> NDArray[np.generic]:
    """Return one plane of an image, (Y, X), or (Y, X, 3) for one of three bytes a pixel.

    Raises ValueError when its size does not fit its data.
    """
    height, width, size = (int(number(node, tag)) for tag in ("Height", "Width", "ItemSize"))
    if min(height, width) < 1 or height * width > _MOST_PIXELS:
        raise ValueError(f"an image of {height}×{width} pixels")
    try:
        raw = binascii.a2b_base64(plane.findtext("./Data") or "")
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the data of an image are broken: {error}") from error
    if size not in (1, 2, 3, 4) or len(raw) < height * width * size:
        raise ValueError(f"{len(raw)} bytes for an image of {height}×{width}×{size}")
    raw = raw[: height * width * size]
    if size == 3:
        # Windows bitmaps: blue first.
        return np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(height, width, 3)[:, :, ::-1])
    return np.frombuffer(raw, dtype=f"<u{size}").reshape(height, width)


def _auxiliary_images(
    root: Node, map_shape: tuple[int, int] | None, pixel_size: tuple[float, float] | None, warnings: list[str]
) -> tuple[AuxiliaryImage, ...]:
    """Return every image of the header that is not empty, placed on the map.

    Images beside the map's data cover the map; overview images hold a rectangle that shows where the
    map lies. One without a place is put with its first pixel on the map's, and a warning says so.
    """
    found: list[AuxiliaryImage] = []
    overviews = root.findall(".//ClassInstance[@Name='OverviewImages']//ClassInstance[@Type='TRTImageData']")
    for node in root.iter("ClassInstance"):
        if node.get("Type") != "TRTImageData" or node.get("Name") in _NO_IMAGES:
            continue
        for index in range(int(number(node, "PlaneCount", 0))):
            plane = node.find(f"./Plane{index}")
            if plane is None:
                raise ValueError(f"plane {index} of an image is missing")
            data = _image_data(node, plane)
            if data.any():
                name = _unique(_name(node, plane, index), found)
                shape = (data.shape[0], data.shape[1])
                whole = (0.0, 0.0, shape[1] - 1.0, shape[0] - 1.0)
                place = _rectangle(node) if node in overviews else whole
                size, origin = _register(node, shape, place, map_shape, pixel_size)
                if place is None:
                    warnings.append(f"The file does not say where the image {name} lies on the map.")
                found.append(AuxiliaryImage(name, _as_colour(data, node in overviews), size, origin))
    return tuple(found)


def _register(
    node: Node,
    shape: tuple[int, int],
    place: tuple[float, float, float, float] | None,
    map_shape: tuple[int, int] | None,
    pixel_size: tuple[float, float] | None,
) -> tuple[tuple[float, float] | None, tuple[float, float]]:
    """Return pixel size and origin in µm of an image in which the map is the rectangle ``place``.

    ``place`` is left, top, right, bottom in pixels of the image, the last ones included.
    """
    if place is not None and shape == map_shape and node.get("Name") is None:
        return pixel_size, (0.0, 0.0)
    own = (number(node, "YCalibration", 0), number(node, "XCalibration", 0))
    known = own if min(own) > 0 else None
    if place is None or map_shape is None or pixel_size is None:
        return known or (pixel_size if shape == map_shape else None), (0.0, 0.0)
    left, top, right, bottom = place
    extent = (map_shape[0] * pixel_size[0], map_shape[1] * pixel_size[1])
    size = known or (extent[0] / (bottom - top + 1), extent[1] / (right - left + 1))
    # From the edge of the map, where the rectangle begins, to the centres of the two first pixels.
    origin = tuple(
        (0.5 - start) * pitch - 0.5 * map_pitch
        for start, pitch, map_pitch in zip((top, left), size, pixel_size, strict=True)
    )
    return size, (origin[0], origin[1])


def _rectangle(node: Node) -> tuple[float, float, float, float] | None:
    rectangle = node.find(".//ClassInstance[@Name='Map']//TRTOverlayElement/Rect")
    if rectangle is None:
        return None
    left, top, right, bottom = (number(rectangle, tag) for tag in ("Left", "Top", "Right", "Bottom"))
    return (left, top, right, bottom) if right >= left and bottom >= top else None


def _as_colour(data: NDArray[np.generic], overview: bool) -> NDArray[np.generic]:
    # Video pictures of four bytes a pixel are blue, green, red and an empty byte.
    if not overview or data.dtype != np.uint32 or data.max() >= 2**24 or data.max() < 2**16:
        return data
    planes = np.ascontiguousarray(data).view(np.uint8).reshape(*data.shape, 4)
    return np.ascontiguousarray(planes[:, :, 2::-1])


def _name(node: Node, plane: Node, index: int) -> str:
    said = plane.findtext("./Description") or plane.findtext("./Name") or node.get("Name") or ""
    return said.strip() or f"image {index + 1}"


def _unique(name: str, found: list[AuxiliaryImage]) -> str:
    taken = {image.name for image in found}
    count = 2
    unique = name
    while unique in taken:
        unique = f"{name} ({count})"
        count += 1
    return unique
