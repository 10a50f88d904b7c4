"""Bruker's XML: single spectra, .spx, and what it says of spectra in the header of .bcf maps alike."""

import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from napari_xrf.core.constants import FWHM_PER_SIGMA, MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration
from napari_xrf.io.spectra.single import element_symbols, one_pixel_cube

Node = ElementTree.Element

LAYOUT = "Bruker spectrum"
_LARGEST = 64 * 2**20
_ROUGH_VACUUM_MBAR = 100  # an M4's "air" at 20 mbar is its vacuum
_DAMAGED = "Copy it again from the instrument or export it anew"
_ENCODING = re.compile(r'^\s*<\?xml[^>]*?encoding="([^"]+)"')


def read_spx(path: str | Path) -> SpectralCube:
    """Read a Bruker spectrum as a map of one pixel.

    Raises FileError when the file is no such spectrum, is damaged, or declares XML entities, which no
    instrument writes.
    """
    target = Path(path)
    if target.stat().st_size > _LARGEST:
        raise FileError(target, "is too large for a single spectrum")
    root = parse_xml(target.read_bytes(), target)
    spectrum = next((node for node in root.iter("ClassInstance") if node.get("Type") == "TRTSpectrum"), None)
    header = part(spectrum, "TRTSpectrumHeader")
    channels = text(spectrum, "Channels")
    if spectrum is None or header is None or not channels:
        raise FileError(target, "holds no Bruker spectrum")
    try:
        counts = np.array(channels.split(","), dtype=np.float64)
        axis, notes = energy_axis(header, counts.size)
        announced = int(number(header, "ChannelCount", counts.size))
        milliseconds = positive(part(spectrum, "TRTSpectrumHardwareHeader"), "LifeTime")
        excitation = excitation_of(spectrum, root)
    except (ValueError, OverflowError) as error:
        raise FileError(target, f"holds a damaged spectrum ({error})") from error
    own = set(spectrum.iter("ClassInstance"))  # what stands in a spectrum are its results
    spectra = (node for node in root.iter("ClassInstance") if node.get("Type") == "TRTSpectrum")
    others = [node for node in spectra if node not in own and text(node, "Channels")]
    if others:
        notes += (f"The file holds {len(others) + 1} spectra; the first is read.",)
    if announced != counts.size:
        notes += (f"The file announces {announced} channels but holds {counts.size}.",)
    lists = [node for node in spectrum.iter("ClassInstance") if node.get("Type") == "TRTPSEElementList"]
    texts = [(element.text or "").strip() for node in lists for element in node.iter("Element")]
    name = text(part(spectrum, "TRTDetectorHeader"), "Type")
    return one_pixel_cube(
        target,
        Spectrum(
            counts,
            axis,
            spectrum.get("Name") or target.stem,
            live_time=None if milliseconds is None else milliseconds / 1000,
            excitation=excitation,
        ),
        layout=LAYOUT,
        detectors=(name,) if name else (),
        elements=element_symbols(int(said) for said in texts if said.isdecimal()),
        warnings=notes,
    )


def parse_xml(content: bytes, path: Path) -> Node:
    """Parse XML that declares no entities, as no instrument does.

    Raises FileError when it is not well formed, or has a document type declaration.
    """
    match = _ENCODING.match(content[:200].decode("latin-1"))
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise FileError(path, "is damaged: it declares XML entities, so it is no plain XML", _DAMAGED)
    try:
        try:
            content.decode(match[1] if match else "utf-8")
            return ElementTree.fromstring(content)
        except (LookupError, ValueError):
            # An encoding that the parser does not know, or bytes that are none of it.
            decoded = content.decode("cp1252", "replace")
            return ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", decoded, count=1))
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise FileError(path, f"is damaged: its XML is broken ({error})", _DAMAGED) from error


def part(spectrum: Node | None, kind: str) -> Node | None:
    """Return the first part of that type in a spectrum."""
    return None if spectrum is None else spectrum.find(f".//ClassInstance[@Type='{kind}']")


def text(node: Node | None, tag: str) -> str:
    """Return the text of a child element, empty where there is none."""
    return "" if node is None else (node.findtext(f"./{tag}") or "").strip()


def number(node: Node | None, tag: str, default: float | None = None) -> float:
    """Return the number in a child element, or the default where there is none.

    Raises ValueError when it is no finite number, or missing without a default.
    """
    said = text(node, tag)
    if not said:
        if default is None:
            raise ValueError(f"no {tag}")
        return default
    # Some versions write the decimal comma of the computer's language.
    value = float(said.replace(",", "."))
    if not math.isfinite(value):
        raise ValueError(f"{tag} is {said}")
    return value


def positive(node: Node | None, tag: str) -> float | None:
    """Return the number in a child element where it is above 0: −1 and 0 stand for what is not known."""
    value = number(node, tag, math.nan)
    return value if math.isfinite(value) and value > 0 else None


def energy_axis(header: Node | None, size: int) -> tuple[EnergyAxis, tuple[str, ...]]:
    """Return the energy axis that a TRTSpectrumHeader describes, or the assumed one with a warning."""

    def find() -> calibration.Calibration | None:
        terms = [number(header, tag, math.nan) for tag in ("CalibAbs", "CalibLin")]
        return None if math.isnan(terms[1]) else calibration.axis_from_polynomial(terms, size)

    return calibration.or_assumed(find, size)


def excitation_of(spectrum: Node, root: Node) -> Excitation:
    """Return what excited a spectrum: a tube, or the microscope that ``root`` tells of."""
    header, kind = part(spectrum, "TRTSpectrumHeader"), text(part(spectrum, "TRTDetectorHeader"), "Type")
    # σ²(E) = abs + lin·E, keV².
    variance = number(header, "SigmaAbs", 0) + number(header, "SigmaLin", 0) * MN_KA_KEV
    fwhm = 1000 * FWHM_PER_SIGMA * math.sqrt(variance) if variance > 0 else None
    tube = part(spectrum, "TRTXrfHeader")
    if tube is not None:
        return Excitation(
            kind="tube",
            energy_kev=positive(tube, "Voltage"),
            anode=next(iter(element_symbols([int(number(tube, "Anode", 0))])), None),
            incidence_deg=positive(tube, "ExcitationAngle"),
            takeoff_deg=positive(tube, "DetectionAngle"),
            atmosphere=_atmosphere(tube),
            fwhm_mn_ka_ev=fwhm,
            instrument=" ".join(word for word in (text(tube, "ChassisType"), kind) if word) or None,
        )
    electrons = part(spectrum, "TRTESMAHeader")
    microscope = root.find("./ClassInstance[@Type='TRTSEMData']")
    if electrons is None and microscope is None:
        return Excitation(fwhm_mn_ka_ev=fwhm, instrument=kind or None)
    tilt = number(root.find("./ClassInstance[@Type='TRTSEMStageData']"), "Tilt", math.nan)
    return Excitation(
        kind="electron",
        energy_kev=positive(electrons, "PrimaryEnergy") or positive(microscope, "HV"),
        incidence_deg=90 - tilt if 0 <= tilt < 90 else None,
        takeoff_deg=positive(electrons, "ElevationAngle"),
        atmosphere="vacuum",
        fwhm_mn_ka_ev=fwhm,
        instrument=kind or None,
    )


def _atmosphere(tube: Node) -> str | None:
    said = text(tube, "Atmosphere").lower()
    pressure = number(tube, "ChamberPressure", math.nan)
    if said in ("air", "") and (pressure > 0 or said == "air") and 0 <= pressure < _ROUGH_VACUUM_MBAR:
        return "vacuum"
    return said if said in ("air", "helium", "vacuum") else None
