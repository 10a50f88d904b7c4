"""Instruments as laboratories have them, drawn at random: tubes, electron microscopes, beamlines."""

from dataclasses import replace
from typing import Any

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.physics.instrument import Instrument, OpticTransmission, load_instrument
from napari_xrf.physics.source import ElectronBeam, MonochromaticSource, TubeSource
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.sampling import log_uniform

Random = np.random.Generator

_KINDS = {"tube": 0.6, "electron": 0.25, "monochromatic": 0.15}
_ANODES = {"Rh": 0.4, "Mo": 0.15, "W": 0.12, "Ag": 0.11, "Cr": 0.11, "Cu": 0.11}
_VOLTAGES_KV = (15.0, 20.0, 25.0, 28.0, 30.0, 35.0, 40.0, 45.0, 50.0, 50.0, 60.0)
_BEAMS_KV = (5.0, 8.0, 10.0, 12.0, 15.0, 15.0, 20.0, 20.0, 25.0, 30.0)
_PHOTONS_KEV = (7.0, 25.0)
_ATMOSPHERES = {"vacuum": 0.5, "air": 0.38, "helium": 0.12}
# Sheets that laboratories put before a tube: thickness, µm, from and to.
_FILTERS = (
    (Material("Al", {"Al": 1.0}, 2.699), 12.0, 600.0),
    (Material("Ti", {"Ti": 1.0}, 4.54), 10.0, 60.0),
    (Material("Zr", {"Zr": 1.0}, 6.51), 25.0, 150.0),
    (Material("Cu", {"Cu": 1.0}, 8.96), 25.0, 150.0),
)
_BERYLLIUM = Material("Be", {"Be": 1.0}, 1.848)
_LOSSES = (
    "tail_fraction", "long_tail_fraction", "long_tail_depth_um", "shelf_fraction", "shelf_depth_um",
    "electron_part",
)  # fmt: skip


def draw_instrument(generator: Random, axis: EnergyAxis) -> Instrument:
    """Return an instrument with a silicon drift detector on an axis."""
    kind = _one_of(generator, _KINDS)
    made = {"tube": _with_tube, "electron": _with_electrons, "monochromatic": _at_beamline}[kind](generator)
    return replace(made, energy=axis, detector=_detector(made.detector, generator, kind))


def _with_tube(generator: Random) -> Instrument:
    preset = load_instrument("m4-tornado")
    filters: tuple[Layer, ...] = ()
    if generator.random() < 0.2:
        material, low, high = _FILTERS[int(generator.integers(len(_FILTERS)))]
        filters = (Layer(material, float(log_uniform(generator, (low, high)))),)
    source = TubeSource(
        _one_of(generator, _ANODES),
        float(generator.choice(_VOLTAGES_KV)),
        takeoff_deg=float(generator.uniform(8, 45)),
        window_be_um=float(log_uniform(generator, (50, 500))),
        filters=filters,
    )
    optic = None if filters or generator.random() < 0.5 else _optic(preset.optic, generator)
    return replace(preset, name="tube", source=source, optic=optic, **_geometry(generator))


def _with_electrons(generator: Random) -> Instrument:
    preset = load_instrument("sem-eds")
    source = ElectronBeam(float(generator.choice(_BEAMS_KV)))
    return replace(preset, name="electrons", source=source, takeoff_deg=float(generator.uniform(22, 50)))


def _at_beamline(generator: Random) -> Instrument:
    preset = load_instrument("synchrotron")
    source = MonochromaticSource(float(generator.uniform(*_PHOTONS_KEV)))
    return replace(preset, name="beamline", source=source, **_geometry(generator))


def _geometry(generator: Random) -> dict[str, Any]:
    return {
        "incidence_deg": float(generator.uniform(40, 90)),
        "takeoff_deg": float(generator.uniform(25, 75)),
        "azimuth_deg": float(generator.choice((0, 90, 180))),
        "atmosphere": _one_of(generator, _ATMOSPHERES),
        "path_cm": (float(generator.uniform(0.5, 4)), float(generator.uniform(0.8, 5))),
    }


def _optic(optic: OpticTransmission | None, generator: Random) -> OpticTransmission | None:
    """Return a lens that lets other energies pass than the preset's, by a power of the energy."""
    if optic is None:
        return None
    energies = np.array(optic.energies_kev)
    steeper = (energies / 10) ** generator.normal(0, 0.4)
    return replace(optic, transmission=tuple(np.array(optic.transmission) * steeper))


def _detector(detector: Detector, generator: Random, kind: str) -> Detector:
    least, most = (25, 85) if kind == "electron" else (40, 120)
    losses = {name: min(getattr(detector, name) * _around(generator, 0.5), 0.25) for name in _LOSSES}
    window = detector.window
    if kind != "electron" or generator.random() < 0.15:  # older microscopes have beryllium too
        window = (Layer(_BERYLLIUM, float(log_uniform(generator, (7, 30)))), *detector.window[1:2])
    return replace(
        detector,
        window=window,
        noise_fwhm_ev=float(generator.uniform(least, most)),
        fano=float(generator.uniform(0.112, 0.135)),
        thickness_um=float(generator.choice((300, 450, 500, 1000))),
        escape_part=float(generator.random() < 0.75),  # the others' software takes escape peaks out
        threshold_kev=float(generator.uniform(0.1, 1.0)) if generator.random() < 0.4 else 0.0,
        **losses,
    )


def _one_of(generator: Random, shares: dict[str, float]) -> str:
    return str(generator.choice(list(shares), p=list(shares.values())))


def _around(generator: Random, spread: float) -> float:
    return float(np.exp(generator.normal(0, spread)))
