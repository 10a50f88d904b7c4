"""Instruments: what excites, from where, through what, and what detects; presets in small TOML files."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.physics.detector.detector import Detector, with_resolution
from napari_xrf.physics.instrument_excitation import complete_excitation
from napari_xrf.physics.instrument_file import InstrumentFile, read_instrument_file
from napari_xrf.physics.source import ElectronBeam, GivenSource, Source, TubeSource

_HIGHEST_KV = 60.0  # of tubes and electron beams
ATMOSPHERES = ("vacuum", "air", "helium")
_PRESETS = files("napari_xrf.reference") / "instruments"
_ALIASES = {
    "m4": "m4-tornado",
    "tornado": "m4-tornado",
    "micro-xrf": "m4-tornado",
    "mars": "pixl",
    "beamline": "synchrotron",
    "sem": "sem-eds",
    "eds": "sem-eds",
}
_PRESET_OF_KIND = {"tube": "m4-tornado", "electron": "sem-eds", "monochromatic": "synchrotron"}


@dataclass(frozen=True)
class OpticTransmission:
    """How much of the source's spectrum an optic brings to the sample, up to a factor.

    Attributes
    ----------
    energies_kev
        Rising energies, keV.
    transmission
        Relative transmission at each, above 0; interpolated on logarithms, held outside.
    """

    energies_kev: tuple[float, ...]
    transmission: tuple[float, ...]

    def __post_init__(self) -> None:
        energies, values = np.array(self.energies_kev), np.array(self.transmission)
        if energies.ndim != 1 or energies.size < 2 or energies.shape != values.shape:
            raise InvalidInput("an optic needs at least two energies and a transmission for each")
        if not (energies[0] > 0 and np.all(np.diff(energies) > 0) and np.all(np.isfinite(energies))):
            raise InvalidInput("the energies of an optic must be above 0 keV and rise")
        if not np.all((values > 0) & np.isfinite(values)):
            raise InvalidInput("the transmission of an optic must be above 0")

    def at(self, energies_kev: ArrayLike) -> NDArray[np.float64]:
        """Return the relative transmission at energies in keV."""
        position = np.log(np.maximum(np.asarray(energies_kev, dtype=np.float64), 1e-3))
        return np.asarray(np.exp(np.interp(position, np.log(self.energies_kev), np.log(self.transmission))))


@dataclass(frozen=True)
class Instrument:
    """An instrument as the forward model needs it.

    Attributes
    ----------
    name
        Its name.
    source
        What excites the sample.
    detector
        What detects.
    energy
        The energy axis of its spectra.
    incidence_deg, takeoff_deg
        Angles of the incoming beam and of the detector against the sample's surface, above 0 to 90.
    azimuth_deg
        Angle between the planes of beam and detector around the surface's normal: 0 where the detector
        looks against the beam from the far side, 90 where it stands beside it.
    angular_spread_deg
        FWHM of the angles by which photons turn from the beam into the detector, above 0: the beam's
        convergence and the detector's width. It broadens the Bragg reflections of polycrystals.
    atmosphere
        ``"vacuum"``, ``"air"`` or ``"helium"``.
    path_cm
        Length of the path through the atmosphere: (source or optic to sample, sample to detector).
    optic
        Transmission of an optic between source and sample, or None.
    """

    name: str
    source: Source
    detector: Detector
    energy: EnergyAxis
    incidence_deg: float
    takeoff_deg: float
    azimuth_deg: float = 0.0
    angular_spread_deg: float = 5.0
    atmosphere: str = "vacuum"
    path_cm: tuple[float, float] = (0.0, 0.0)
    optic: OpticTransmission | None = None

    def __post_init__(self) -> None:
        for what, angle in (("incidence", self.incidence_deg), ("take-off", self.takeoff_deg)):
            if not 0 < angle <= 90:
                raise InvalidInput(f"the {what} angle must be above 0 and at most 90°, not {angle}")
        if not math.isfinite(self.azimuth_deg):
            raise InvalidInput(f"the azimuth must be an angle, not {self.azimuth_deg}")
        if not 0 < self.angular_spread_deg <= 90:
            raise InvalidInput(
                f"the angular spread must be above 0 and at most 90°, not {self.angular_spread_deg}"
            )
        if self.atmosphere not in ATMOSPHERES:
            raise InvalidInput(f"there is no atmosphere {self.atmosphere!r}", f"Use {', '.join(ATMOSPHERES)}")
        if len(self.path_cm) != 2 or not all(math.isfinite(path) and path >= 0 for path in self.path_cm):
            raise InvalidInput(
                f"paths through the atmosphere must be two lengths from 0 cm, not {self.path_cm}"
            )

    @property
    def scatter_deg(self) -> float:
        """Angle by which a photon turns from the beam into the detector, 0 to 180°."""
        beam, out = math.radians(self.incidence_deg), math.radians(self.takeoff_deg)
        sideways = math.cos(beam) * math.cos(out) * math.cos(math.radians(self.azimuth_deg))
        return math.degrees(math.acos(max(-1.0, min(1.0, sideways - math.sin(beam) * math.sin(out)))))


def instrument_names() -> tuple[str, ...]:
    """Return the names of the presets."""
    return tuple(sorted(entry.name[:-5] for entry in _PRESETS.iterdir() if entry.name.endswith(".toml")))


def load_instrument(name_or_path: str | Path) -> Instrument:
    """Return a preset by name or alias (``"m4"``), or an instrument of a TOML file.

    Raises
    ------
    InvalidInput
        When there is neither a preset nor a file of that name.
    FileError
        When the file cannot be read or does not describe an instrument; the message names the entry.
    """
    key = str(name_or_path).strip().lower()
    key = _ALIASES.get(key, key)
    if key in instrument_names():
        return _preset(key)
    path = Path(name_or_path)
    if path.suffix.lower() != ".toml" and not path.is_file():
        raise InvalidInput(
            f"there is no instrument {str(name_or_path)!r}",
            f"Use {', '.join(instrument_names())}, or the path of a .toml file",
        )
    return _of_file(read_instrument_file(path))


def instrument_of(cube: SpectralCube) -> Instrument:
    """Return the instrument that measured a map, as far as its file says, on the map's energy axis.

    The kind of excitation picks the preset: a tube the M4 Tornado, electrons the SEM, one energy the
    synchrotron. Voltage or energy, anode, angles, atmosphere and resolution of the file replace the
    preset's; the rest is kept, and so it is for values that no instrument can have. What a file leaves
    open is guessed, see :func:`~napari_xrf.physics.instrument_excitation.complete_excitation`. Voltages
    beyond the source's range are taken as the range's end.
    """
    found = complete_excitation(cube)
    kind = found.kind or "tube"
    preset = load_instrument(_PRESET_OF_KIND[kind])
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
        atmosphere=found.atmosphere if found.atmosphere in ATMOSPHERES else preset.atmosphere,
    )


@cache
def _preset(name: str) -> Instrument:
    with as_file(_PRESETS / f"{name}.toml") as path:
        return _of_file(read_instrument_file(path))


def _of_file(read: InstrumentFile) -> Instrument:
    try:
        return Instrument(
            name=read.name,
            source=read.source,
            detector=read.detector,
            energy=read.energy,
            optic=OpticTransmission(*read.optic) if read.optic else None,
            **read.geometry,
        )
    except InvalidInput as error:
        raise FileError(read.path, error.cause, error.remedy) from error


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
