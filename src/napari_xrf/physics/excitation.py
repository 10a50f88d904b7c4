"""From what a file says of a map's excitation to an instrument, and back; what it leaves open is guessed."""

import math
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.physics.attenuation import ATMOSPHERES
from napari_xrf.physics.detector.detector import with_resolution
from napari_xrf.physics.instrument import Instrument, instrument_names, load_instrument
from napari_xrf.physics.source import ElectronBeam, GivenSource, MonochromaticSource, Source, TubeSource

_PRESET_OF_KIND = {"tube": "m4-tornado", "electron": "sem-eds", "monochromatic": "synchrotron"}
COARSE_FWHM_EV = 500.0  # at Mn Kα: no semiconductor resolves so badly, gas detectors do
_HIGHEST_KV = 60.0  # of tubes and electron beams

_TUBE = re.compile(r"\b([A-Z][a-z]?)[- ](?:anode|tube|target)\b")
_VOLTAGE = re.compile(r"(\d+(?:\.\d+)?) ?kV\b")
_BEAM = re.compile(r"(\d+(?:\.\d+)?) ?keV\b")
_ELECTRON_AXIS_KEV = 20.5  # microscopes are set to axes of 10 or 20 keV, tubes to 40 or 50
_SCATTER_PEAK = 100  # counts: the elastic peak of a map holds more
_MOST_COUNTS = 2**25  # read of a map for a guess
_NOTHING_ABOVE = 0.02  # of the elastic peak: what pile-up leaves above a beam's energy


def instrument_of(cube: SpectralCube) -> Instrument:
    """Return the instrument that measured a map, as far as its file says, on the map's energy axis.

    A preset that the file names is taken, for a tube and a resolution that no semiconductor has the GEM
    camera; else the kind of excitation picks it: a tube the M4 Tornado, electrons the SEM, one energy the
    synchrotron. Voltage or energy, anode, angles, atmosphere and resolution of the file replace the
    preset's; the rest is kept, and so it is for values that no instrument can have. What a file leaves
    open is guessed, see :func:`complete_excitation`. Voltages
    beyond the source's range are taken as the range's end. Where an excitation names the file of an
    instrument (:func:`described`), that stands in the preset's place.
    """
    found = complete_excitation(cube)
    preset = load_instrument(found.description or _preset_of(found))
    detector = preset.detector
    if found.fwhm_mn_ka_ev is not None and found.fwhm_mn_ka_ev > 0:
        detector = with_resolution(detector, found.fwhm_mn_ka_ev)
    return replace(
        preset,
        name=found.instrument or preset.name,
        source=_source_of(preset.source, found.energy_kev, found.anode),
        detector=detector,
        energy=cube.energy,
        incidence_deg=_angle(found.incidence_deg, preset.incidence_deg),
        takeoff_deg=_angle(found.takeoff_deg, preset.takeoff_deg),
        atmosphere=told if (told := found.atmosphere) and told in ATMOSPHERES else preset.atmosphere,
    )


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


def described(cube: SpectralCube, instrument: str | Path) -> SpectralCube:
    """Return a map that was measured with an instrument: a preset's name, or a TOML file.

    The energy axis and the current stay the map's own. Raises InvalidInput when there is no such instrument,
    or its source is a given spectrum that no map can name.
    """
    said = excitation_of(load_instrument(instrument))
    own = replace(said, current=cube.excitation.current, description=str(instrument))
    return replace(cube, excitation=own)


def complete_excitation(cube: SpectralCube) -> Excitation:
    """Return a map's excitation with kind and energy filled in where its file has none.

    In this order: a voltage or an energy in the instrument's name ("Mo tube 50 kV", "10 keV incident"); a
    spectrum that ends in a peak with nothing above it is of a monochromatic beam of that energy; an axis
    that ends at 20.5 keV or below belongs to an electron microscope; what is left was excited by a tube.
    Energies that cannot be told stay None.
    """
    found = _from_name(cube.excitation)
    if found.kind == "monochromatic" and found.energy_kev is None:
        return replace(found, energy_kev=last_peak(cube.energy, _sum_spectrum(cube)))
    if found.kind is not None:
        return found
    counts = _sum_spectrum(cube)
    if ends_in_a_peak(cube.energy, counts):
        return replace(found, kind="monochromatic", energy_kev=last_peak(cube.energy, counts))
    electrons = cube.energy.energies[-1] <= _ELECTRON_AXIS_KEV
    return replace(found, kind="electron" if electrons else "tube")


def last_peak(energy: EnergyAxis, counts: NDArray[np.float64]) -> float:
    """Return where counts, (E,), end, keV: the last maximum above a thousandth of the largest channel."""
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    if not smooth.any():
        return float(max(energy.energies[-1], 1.0))
    middle = smooth[1:-1]
    peaks = np.flatnonzero((middle >= smooth[:-2]) & (middle >= smooth[2:]) & (middle > 1e-3 * smooth.max()))
    last = int(peaks[-1]) + 1 if peaks.size else int(np.argmax(smooth))
    return float(max(energy.energies[last], 1.0))


def ends_in_a_peak(energy: EnergyAxis, counts: NDArray[np.float64]) -> bool:
    """Whether counts, (E,), end in a peak with nothing above, as those of a monochromatic beam do."""
    last = last_peak(energy, counts)
    above = energy.window(last + 0.5, np.inf)
    if last + 1.5 > energy.energies[-1]:
        return False
    peak, before = (energy.window(last - to, last - to + 0.4) for to in (0.2, 1.4))
    inside = float(counts[peak].sum())
    stands_out = inside > 2 * float(counts[before].sum()) and inside > _SCATTER_PEAK
    return stands_out and float(counts[above].sum()) < _NOTHING_ABOVE * inside


def _preset_of(found: Excitation) -> str:
    """Return the preset of what a file says: the one that it names, of its resolution, or of its kind.

    Not one of another kind than is stated.
    """
    for name in instrument_names():
        preset = load_instrument(name)
        is_named = found.instrument and found.instrument.casefold() == preset.name.casefold()
        if is_named and found.kind in (None, excitation_of(preset).kind):
            return name
    if found.kind == "tube" and (found.fwhm_mn_ka_ev or 0) > COARSE_FWHM_EV:
        return "gem"
    return _PRESET_OF_KIND[found.kind or "tube"]


def _from_name(excitation: Excitation) -> Excitation:
    name = excitation.instrument or ""
    if excitation.kind is not None:
        return excitation
    voltage, beam, tube = _VOLTAGE.search(name), _BEAM.search(name), _TUBE.search(name)
    if tube or (voltage and "tube" in name.lower()):
        energy = excitation.energy_kev or (float(voltage[1]) if voltage else None)
        anode = excitation.anode or (tube[1] if tube else None)
        return replace(excitation, kind="tube", energy_kev=energy, anode=anode)
    if beam:
        return replace(excitation, kind="monochromatic", energy_kev=excitation.energy_kev or float(beam[1]))
    return excitation


def _sum_spectrum(cube: SpectralCube) -> NDArray[np.float64]:
    # A part of the rows tells as much, and large maps are not decoded for a guess.
    rows, columns, channels = cube.shape
    step = min(max(math.ceil(rows * columns * channels / _MOST_COUNTS), 1), rows)
    mask = np.zeros((rows, columns), dtype=bool)
    mask[step // 2 :: step] = True
    counts = cube.region_spectrum(mask).astype(np.float64)
    counts[cube.energy.energies <= 0] = 0
    return counts


def _source_of(preset: Source, energy_kev: float | None, anode: str | None) -> Source:
    # Headers hold zeros and nonsense: a value that no source can have leaves the preset's.
    changed = preset
    with suppress(InvalidInput):
        if isinstance(preset, TubeSource) and anode is not None:
            changed = replace(preset, anode=anode)
    with suppress(InvalidInput):
        if energy_kev is None or isinstance(changed, GivenSource):
            return changed
        if isinstance(changed, TubeSource):
            return replace(changed, voltage_kv=min(energy_kev, _HIGHEST_KV))
        highest = _HIGHEST_KV if isinstance(changed, ElectronBeam) else energy_kev
        return replace(changed, energy_kev=min(energy_kev, highest))
    return changed


def _angle(measured: float | None, default: float) -> float:
    return measured if measured is not None and 0 < measured <= 90 else default
