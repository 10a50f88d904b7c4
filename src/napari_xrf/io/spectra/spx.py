"""Single spectra of Bruker's programs, .spx (XML)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.spectra.single import element_symbols, one_pixel_cube

LAYOUT = "Bruker spectrum"
_LARGEST = 64 * 2**20
_ENCODING = re.compile(rb'encoding="([^"]+)"')
_VACUUM_MBAR = 100.0  # below it, instruments of this kind call the chamber evacuated
_MN_KA_KEV = 5.895
_SQUARED_FWHM = 8 * np.log(2)  # of a Gaussian, in variances
_ATMOSPHERES = {"air": "air", "helium": "helium", "vacuum": "vacuum"}

Node = ElementTree.Element


def read_spx(path: str | Path, *, progress: Progress = ignore_progress) -> SpectralCube:
    """Read a Bruker spectrum as a map of one pixel.

    Raises
    ------
    FileError
        When the file is no such spectrum, is damaged, or declares XML entities, which no instrument writes.
    """
    target = Path(path)
    progress(0, 1, "reading a spectrum")
    root = parse_xml(target)
    spectrum = next((node for node in root.iter("ClassInstance") if node.get("Type") == "TRTSpectrum"), None)
    header = None if spectrum is None else _instance(spectrum, "TRTSpectrumHeader")
    channels = None if spectrum is None else spectrum.findtext("Channels")
    if spectrum is None or header is None or not channels:
        raise FileError(target, "holds no Bruker spectrum")
    try:
        counts = np.array(channels.split(","), dtype=np.float64)
        axis = EnergyAxis(_needed(header, "CalibAbs"), _needed(header, "CalibLin"), counts.size)
    except (ValueError, InvalidInput) as error:
        raise FileError(target, f"holds a damaged spectrum ({error})") from error
    warnings = []
    announced = _number(header, "ChannelCount")
    if announced is not None and int(announced) != counts.size:
        warnings.append(f"The file announces {int(announced)} channels but holds {counts.size}.")
    hardware = _instance(spectrum, "TRTSpectrumHardwareHeader")
    milliseconds = None if hardware is None else _number(hardware, "LifeTime")
    detector = _instance(spectrum, "TRTDetectorHeader")
    result = Spectrum(
        counts,
        axis,
        spectrum.get("Name") or target.stem,
        live_time=None if milliseconds is None else milliseconds / 1000,
        excitation=_excitation(spectrum, header, detector),
    )
    name = "" if detector is None else (detector.findtext("Type") or "").strip()
    progress(1, 1, "reading a spectrum")
    return one_pixel_cube(
        target,
        result,
        layout=LAYOUT,
        detectors=(name,) if name else (),
        elements=_elements(spectrum),
        warnings=tuple(warnings),
    )


def parse_xml(path: Path) -> Node:
    """Parse an XML file that declares no entities.

    Raises
    ------
    FileError
        When it is no well-formed XML, too large, or has a document type declaration.
    """
    if path.stat().st_size > _LARGEST:
        raise FileError(path, "is too large for a single spectrum")
    text = path.read_bytes()
    # The parser knows few encodings; Bruker's is Windows' own, with µ and ° in names.
    match = _ENCODING.search(text[:200])
    encoding = match[1].decode("ascii", "replace") if match else "utf-8"
    try:
        decoded = text.decode(encoding, "replace")
    except LookupError:
        decoded = text.decode("latin-1")
    if "<!DOCTYPE" in decoded or "<!ENTITY" in decoded:
        raise FileError(path, "declares XML entities, which no instrument writes; it is not read")
    try:
        return ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", decoded, count=1))
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise FileError(path, f"is damaged or no XML ({error})") from error


def _instance(spectrum: Node, kind: str) -> Node | None:
    return next((node for node in spectrum.iter("ClassInstance") if node.get("Type") == kind), None)


def _excitation(spectrum: Node, header: Node, detector: Node | None) -> Excitation:
    instrument = None if detector is None else detector.findtext("Type")
    resolution = _resolution(header)
    tube = _instance(spectrum, "TRTXrfHeader")
    if tube is not None:
        anode = _number(tube, "Anode")
        return Excitation(
            "tube",
            _number(tube, "Voltage"),
            next(iter(element_symbols([int(anode or 0)])), None),
            _number(tube, "ExcitationAngle"),
            _number(tube, "DetectionAngle"),
            _atmosphere(tube),
            resolution,
            instrument,
        )
    microscope = _instance(spectrum, "TRTESMAHeader")
    if microscope is not None:
        return Excitation(
            "electron",
            _number(microscope, "PrimaryEnergy"),
            takeoff_deg=_number(microscope, "ElevationAngle"),
            atmosphere="vacuum",
            fwhm_mn_ka_ev=resolution,
            instrument=instrument,
        )
    return Excitation(fwhm_mn_ka_ev=resolution, instrument=instrument)


def _atmosphere(tube: Node) -> str | None:
    pressure = _number(tube, "ChamberPressure")
    if pressure is not None and 0 < pressure < _VACUUM_MBAR:
        return "vacuum"
    return _ATMOSPHERES.get((tube.findtext("Atmosphere") or "").strip().lower())


def _resolution(header: Node) -> float | None:
    """Return the width at Mn Kα in eV from the file's variance, σ²(E) = abs + lin·E in keV²."""
    noise, slope = _number(header, "SigmaAbs"), _number(header, "SigmaLin")
    if noise is None or slope is None:
        return None
    variance = noise + slope * _MN_KA_KEV
    return float(1000 * np.sqrt(_SQUARED_FWHM * variance)) if variance > 0 else None


def _elements(spectrum: Node) -> tuple[str, ...]:
    lists = [node for node in spectrum.iter("ClassInstance") if node.get("Type") == "TRTPSEElementList"]
    texts = [(element.text or "").strip() for node in lists for element in node.iter("Element")]
    return element_symbols(int(text) for text in texts if text.isdigit())


def _needed(node: Node, name: str) -> float:
    value = _number(node, name)
    if value is None:
        raise ValueError(f"{name} is missing")
    return value


def _number(node: Node, name: str) -> float | None:
    try:
        return float((node.findtext(name) or "").replace(",", "."))
    except ValueError:
        return None
