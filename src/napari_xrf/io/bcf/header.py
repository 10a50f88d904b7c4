"""The header of a .bcf: an XML document with the map's scale, the instrument, images and sum spectra."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import AuxiliaryImage, Excitation
from napari_xrf.io.bcf.images import auxiliary_images, image_data, map_image, number

_DAMAGED = "Copy it again from the instrument or export it anew"
_MN_KA_KEV = 5.895
_FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
_ROUGH_VACUUM_MBAR = 100  # an M4's "air" at 20 mbar is its vacuum
_MOST_CHANNELS = 2**16


@dataclass(frozen=True, eq=False)
class DetectorHeader:
    """What the header says of one detector's spectra.

    Attributes
    ----------
    name
        Its type and serial number, ``"XFlash 430 (1234)"``.
    energy
        The energy axis.
    sum_spectrum
        (E,) the instrument's own sum over the map, or None.
    excitation
        What excited the sample.
    """

    name: str
    energy: EnergyAxis
    sum_spectrum: NDArray[np.uint64] | None
    excitation: Excitation


@dataclass(frozen=True, eq=False)
class BcfHeader:
    """What the header of a .bcf says.

    Attributes
    ----------
    name
        The map's name.
    map_shape
        (Y, X) of the map's own image, or None where there is none.
    pixel_size
        (DY, DX) in µm, or None.
    pixel_times
        (Y, X) seconds per pixel, or None.
    elements
        Symbols of the elements that the operator chose.
    images
        In register with the map.
    detectors
        By the number in ``SpectrumData<number>``.
    warnings
        What the user should know.
    """

    name: str
    map_shape: tuple[int, int] | None
    pixel_size: tuple[float, float] | None
    pixel_times: NDArray[np.float64] | None
    elements: tuple[str, ...]
    images: tuple[AuxiliaryImage, ...]
    detectors: dict[int, DetectorHeader]
    warnings: tuple[str, ...]


def parse_header(document: bytes, path: Path, numbers: list[int]) -> BcfHeader:
    """Read the header.

    Parameters
    ----------
    document
        ``EDSDatabase/HeaderData``, inflated.
    path
        The file, for messages.
    numbers
        Which ``SpectrumData<number>`` the file holds.

    Raises
    ------
    FileError
        When the XML is damaged or lacks what a map cannot do without.
    """
    root = _root(document, path)
    try:
        warnings: list[str] = []
        pixel_size = _pixel_size(root)
        if pixel_size is None:
            warnings.append("The file has no pixel size; lengths and areas are in pixels.")
        own = map_image(root)
        shape = None if own is None else (int(number(own, "Height")), int(number(own, "Width")))
        images = auxiliary_images(root, shape, pixel_size, warnings)
        return BcfHeader(
            name=root.get("Name", "").strip() or path.stem,
            map_shape=shape,
            pixel_size=pixel_size,
            pixel_times=_pixel_times(root, shape, warnings),
            elements=_elements(root),
            images=images,
            detectors={index: _detector(root, index) for index in numbers},
            warnings=tuple(warnings),
        )
    except (ValueError, InvalidInput) as error:
        raise FileError(path, f"is damaged: its header cannot be understood ({error})", _DAMAGED) from error


def _root(document: bytes, path: Path) -> ET.Element:
    # No instrument writes a document type; one could only hold an entity bomb.
    if not document.lstrip().startswith(b"<") or b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise FileError(path, "is damaged: its header is no plain XML", _DAMAGED)
    try:
        tree = ET.fromstring(document)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise FileError(path, f"is damaged: its header is broken XML ({error})", _DAMAGED) from error
    root = tree.find("./ClassInstance[@Type='TRTSpectrumDatabase']")
    if root is None:
        raise FileError(path, "is a Bruker file, but its header describes no map")
    return root


def _pixel_size(root: ET.Element) -> tuple[float, float] | None:
    microscope = root.find("./ClassInstance[@Type='TRTSEMData']")
    if microscope is None:
        return None
    sizes = (number(microscope, "DY", math.nan), number(microscope, "DX", math.nan))
    return sizes if all(math.isfinite(size) and size > 0 for size in sizes) else None


def _pixel_times(
    root: ET.Element, shape: tuple[int, int] | None, warnings: list[str]
) -> NDArray[np.float64] | None:
    node = root.find("./ClassInstance[@Type='TRTImageData'][@Name='PixelTimes']")
    plane = None if node is None else node.find("./Plane0")
    if node is None or plane is None:
        return None
    times = image_data(node, plane)
    if not times.any():
        return None
    if times.shape != shape:
        warnings.append(f"The pixel times {times.shape} do not fit the map {shape}; they are left out.")
        return None
    return times.astype(np.float64) * 1e-6


def _elements(root: ET.Element) -> tuple[str, ...]:
    import xraylib

    found = []
    for region in root.iter("ClassInstance"):
        if region.get("Type") not in ("TRTSpectrumRegion", "TRTPSEElement"):
            continue
        atomic_number = int(number(region, "Element", 0))
        symbol = xraylib.AtomicNumberToSymbol(atomic_number) if 0 < atomic_number < 108 else None
        if symbol is not None and symbol not in found:
            found.append(symbol)
    return tuple(found)


def _detector(root: ET.Element, index: int) -> DetectorHeader:
    spectrum = root.find(f"./SpectrumData{index}/ClassInstance")
    if spectrum is None:
        raise ValueError(f"no SpectrumData{index}")
    calibration = _part(spectrum, "TRTSpectrumHeader")
    if calibration is None:
        raise ValueError("no energy calibration")
    counts = _channels(spectrum)
    size = int(number(calibration, "ChannelCount", 0)) if counts is None else counts.size
    if not 0 < size <= _MOST_CHANNELS:
        raise ValueError(f"{size} channels")
    hardware = _part(spectrum, "TRTDetectorHeader")
    kind = _text(hardware, "Type")
    serial = _text(hardware, "Serial")
    name = " ".join(part for part in (kind, f"({serial})" if serial else "") if part)
    energy = EnergyAxis(number(calibration, "CalibAbs"), number(calibration, "CalibLin"), size)
    if energy.width > 1 or abs(energy.offset) > 100:
        raise ValueError(f"an energy axis of {energy.offset} + {energy.width}·channel keV")
    return DetectorHeader(
        name or f"detector {index + 1}", energy, counts, _excitation(root, spectrum, calibration, kind)
    )


def _channels(spectrum: ET.Element) -> NDArray[np.uint64] | None:
    text = spectrum.findtext("./Channels")
    if not text or not text.strip():
        return None
    return np.array([int(count) for count in text.split(",")], dtype=np.uint64)


def _excitation(root: ET.Element, spectrum: ET.Element, calibration: ET.Element, kind: str) -> Excitation:
    variance = number(calibration, "SigmaAbs", 0) + number(calibration, "SigmaLin", 0) * _MN_KA_KEV
    fwhm = 1000 * _FWHM_PER_SIGMA * math.sqrt(variance) if variance > 0 else None
    tube = _part(spectrum, "TRTXrfHeader")
    if tube is not None:
        import xraylib

        anode = int(number(tube, "Anode", 0))
        return Excitation(
            kind="tube",
            energy_kev=_positive(tube, "Voltage"),
            anode=xraylib.AtomicNumberToSymbol(anode) if 0 < anode < 108 else None,
            incidence_deg=_positive(tube, "ExcitationAngle"),
            takeoff_deg=_positive(tube, "DetectionAngle"),
            atmosphere=_atmosphere(tube),
            fwhm_mn_ka_ev=fwhm,
            instrument=" ".join(part for part in (_text(tube, "ChassisType"), kind) if part) or None,
        )
    electrons = _part(spectrum, "TRTESMAHeader")
    microscope = root.find("./ClassInstance[@Type='TRTSEMData']")
    if electrons is None and microscope is None:
        return Excitation(fwhm_mn_ka_ev=fwhm, instrument=kind or None)
    stage = root.find("./ClassInstance[@Type='TRTSEMStageData']")
    tilt = number(stage, "Tilt", math.nan)
    return Excitation(
        kind="electron",
        energy_kev=_positive(electrons, "PrimaryEnergy") or _positive(microscope, "HV"),
        incidence_deg=90 - tilt if 0 <= tilt < 90 else None,
        takeoff_deg=_positive(electrons, "ElevationAngle"),
        atmosphere="vacuum",
        fwhm_mn_ka_ev=fwhm,
        instrument=kind or None,
    )


def _atmosphere(tube: ET.Element) -> str | None:
    said = _text(tube, "Atmosphere").lower()
    pressure = number(tube, "ChamberPressure", math.nan)
    if said == "air" and 0 <= pressure < _ROUGH_VACUUM_MBAR:
        return "vacuum"
    return said if said in ("air", "helium", "vacuum") else None


def _part(spectrum: ET.Element, kind: str) -> ET.Element | None:
    return spectrum.find(f".//ClassInstance[@Type='{kind}']")


def _text(node: ET.Element | None, tag: str) -> str:
    return "" if node is None else (node.findtext(f"./{tag}") or "").strip()


def _positive(node: ET.Element | None, tag: str) -> float | None:
    # Instruments write −1 or 0 for what they do not know.
    value = number(node, tag, math.nan)
    return value if math.isfinite(value) and value > 0 else None
