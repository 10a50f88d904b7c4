"""The images in the header of a .bcf: electrons, video and mosaic, in register with the map."""

from __future__ import annotations

import binascii
import math
import xml.etree.ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import AuxiliaryImage

_NO_IMAGES = ("PixelTimes", "Counter")
_MOST_PIXELS = 2**30


def number(node: ET.Element | None, tag: str, default: float | None = None) -> float:
    """Return the number in a child element, or the default where there is none.

    Raises
    ------
    ValueError
        When it is no finite number, or missing without a default.
    """
    text = "" if node is None else (node.findtext(f"./{tag}") or "").strip()
    if not text:
        if default is None:
            raise ValueError(f"no {tag}")
        return default
    # Some versions write the decimal comma of the computer's language.
    value = float(text.replace(",", "."))
    if not math.isfinite(value):
        raise ValueError(f"{tag} is {text}")
    return value


def map_image(root: ET.Element) -> ET.Element | None:
    """Return the image that was taken with the map: the one without a name."""
    for node in root.findall("./ClassInstance[@Type='TRTImageData']"):
        if not node.get("Name"):
            return node
    return None


def image_data(node: ET.Element, plane: ET.Element) -> NDArray[np.generic]:
    """Return one plane of an image, (Y, X), or (Y, X, 3) for one of three bytes a pixel.

    Raises
    ------
    ValueError
        When its size does not fit its data.
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


def auxiliary_images(
    root: ET.Element,
    map_shape: tuple[int, int] | None,
    pixel_size: tuple[float, float] | None,
    warnings: list[str],
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
            data = image_data(node, plane)
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
    node: ET.Element,
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


def _rectangle(node: ET.Element) -> tuple[float, float, float, float] | None:
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


def _name(node: ET.Element, plane: ET.Element, index: int) -> str:
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
