"""Single spectra of Bruker's programs, .spx (XML)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_xrf.core.errors import FileError
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import bruker_xml
from napari_xrf.io.spectra.single import element_symbols, one_pixel_cube

LAYOUT = "Bruker spectrum"
_LARGEST = 64 * 2**20


def read_spx(path: str | Path) -> SpectralCube:
    """Read a Bruker spectrum as a map of one pixel.

    Raises
    ------
    FileError
        When the file is no such spectrum, is damaged, or declares XML entities, which no instrument writes.
    """
    target = Path(path)
    if target.stat().st_size > _LARGEST:
        raise FileError(target, "is too large for a single spectrum")
    root = bruker_xml.parse_xml(target.read_bytes(), target)
    spectrum = next((node for node in root.iter("ClassInstance") if node.get("Type") == "TRTSpectrum"), None)
    header = bruker_xml.part(spectrum, "TRTSpectrumHeader")
    channels = bruker_xml.text(spectrum, "Channels")
    if spectrum is None or header is None or not channels:
        raise FileError(target, "holds no Bruker spectrum")
    try:
        counts = np.array(channels.split(","), dtype=np.float64)
        axis, notes = bruker_xml.energy_axis(header, counts.size)
        announced = int(bruker_xml.number(header, "ChannelCount", counts.size))
        milliseconds = bruker_xml.positive(bruker_xml.part(spectrum, "TRTSpectrumHardwareHeader"), "LifeTime")
        excitation = bruker_xml.excitation(spectrum, root)
    except (ValueError, OverflowError) as error:
        raise FileError(target, f"holds a damaged spectrum ({error})") from error
    if announced != counts.size:
        notes += (f"The file announces {announced} channels but holds {counts.size}.",)
    lists = [node for node in spectrum.iter("ClassInstance") if node.get("Type") == "TRTPSEElementList"]
    texts = [(element.text or "").strip() for node in lists for element in node.iter("Element")]
    name = bruker_xml.text(bruker_xml.part(spectrum, "TRTDetectorHeader"), "Type")
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
