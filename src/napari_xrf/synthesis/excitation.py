"""What excited a synthetic map, in the words that cubes use."""

from __future__ import annotations

from typing import Literal

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.source import ElectronBeam, MonochromaticSource, TubeSource


def excitation_of(instrument: Instrument) -> Excitation:
    """Return an instrument's source, geometry and resolution as a cube records them."""
    source = instrument.source
    kind: Literal["tube", "electron", "monochromatic"] | None = None
    if isinstance(source, TubeSource):
        kind = "tube"
    elif isinstance(source, ElectronBeam):
        kind = "electron"
    elif isinstance(source, MonochromaticSource):
        kind = "monochromatic"
    return Excitation(
        kind=kind,
        energy_kev=source.highest_kev,
        anode=source.anode if isinstance(source, TubeSource) else None,
        incidence_deg=instrument.incidence_deg,
        takeoff_deg=instrument.takeoff_deg,
        atmosphere=instrument.atmosphere,
        fwhm_mn_ka_ev=1000 * float(instrument.detector.fwhm(MN_KA_KEV)),
        instrument=instrument.name,
    )
