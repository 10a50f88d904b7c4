"""Instruments: what excites, from where, through what, and what detects; presets in small TOML files."""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

import numpy as np
import xraylib
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.emission_lines import atomic_number, split_family
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput, check_name, nearest_of
from napari_xrf.core.named_files import content_of, is_file
from napari_xrf.physics.attenuation import ATMOSPHERES, Layer
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.physics.sensitivities import Sensitivities
from napari_xrf.physics.source import ElectronBeam, GivenSource, MonochromaticSource, Source, TubeSource
from napari_xrf.reference.materials import Material

_Table = Mapping[str, Any]
_T = TypeVar("_T")
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


@dataclass(frozen=True)
class OpticTransmission:
    """How much of the source's spectrum an optic brings to the sample, up to a factor."""

    energies_kev: tuple[float, ...]  # rising energies, keV
    # Relative transmission at each, above 0; interpolated on logarithms, held outside
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
    """An instrument as the forward model needs it."""

    name: str  # its name
    source: Source  # what excites the sample
    detector: Detector  # what detects
    energy: EnergyAxis  # the energy axis of its spectra
    # incidence_deg, takeoff_deg: angles of the incoming beam and of the detector against the sample's
    # surface, above 0 to 90.
    incidence_deg: float
    takeoff_deg: float
    # Angle between the planes of beam and detector around the surface's normal: 0 where the detector looks
    # against the beam from the far side, 90 where it stands beside it.
    azimuth_deg: float = 0.0
    # FWHM of the angles by which photons turn from the beam into the detector, above 0: the beam's
    # convergence and the detector's width. It broadens the Bragg reflections of polycrystals.
    angular_spread_deg: float = 5.0
    atmosphere: str = "vacuum"  # "vacuum", "air" or "helium"
    # Length of the path through the atmosphere: (source or optic to sample, sample to detector).
    path_cm: tuple[float, float] = (0.0, 0.0)
    # Air in another atmosphere, over that of air at 1 atm: what a leak or a low vacuum leaves.
    air_part: float = 0.0
    optic: OpticTransmission | None = None  # transmission of an optic between source and sample, or None
    # How line families depart from the model, where standards told.
    sensitivities: Sensitivities = field(default_factory=Sensitivities)

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
        check_name("atmosphere", self.atmosphere, ATMOSPHERES)
        if len(self.path_cm) != 2 or not all(math.isfinite(path) and path >= 0 for path in self.path_cm):
            raise InvalidInput(
                f"paths through the atmosphere must be two lengths from 0 cm, not {self.path_cm}"
            )
        if not (math.isfinite(self.air_part) and self.air_part >= 0):
            raise InvalidInput(f"the part of air must be from 0, not {self.air_part}")

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

    Raises InvalidInput when there is neither a preset nor a file of that name. Raises FileError when the file
    cannot be read or does not describe an instrument; the message names the entry.
    """
    key = str(name_or_path).strip().lower()
    key = _ALIASES.get(key, key)
    if key in instrument_names():
        return _preset(key)
    path = Path(name_or_path)
    if path.suffix.lower() != ".toml" and not is_file(path):
        raise InvalidInput(
            f"there is no instrument {str(name_or_path)!r}",
            nearest_of(key, instrument_names(), "the path of a .toml file"),
        )
    return _read(path)


@cache
def _preset(name: str) -> Instrument:
    with as_file(_PRESETS / f"{name}.toml") as path:
        return _read(path)


def _read(path: Path) -> Instrument:
    try:
        content = tomllib.loads(content_of(path).decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(path, f"is no TOML file ({error})") from error
    try:
        return _instrument(content, path.stem)
    except InvalidInput as error:
        raise FileError(path, error.cause, error.remedy) from error


def _instrument(content: _Table, name: str) -> Instrument:
    _only(content, "the file", ("name", "source", "geometry", "detector", "energy", "optic", "standards"))
    axis = _table(content, "energy")
    _only(axis, "energy", ("offset_kev", "width_kev", "size"))
    return _made(
        Instrument,
        _table(content, "geometry"),
        "the geometry",
        name=str(content.get("name", name)),
        source=_source(_table(content, "source")),
        detector=_made(Detector, _table(content, "detector"), "the detector"),
        energy=EnergyAxis(
            _number(axis, "offset_kev"), _number(axis, "width_kev"), int(_number(axis, "size"))
        ),
        optic=_made(OpticTransmission, _table(content, "optic"), "the optic") if "optic" in content else None,
        sensitivities=_sensitivities(content.get("standards", {})),
    )


def _sensitivities(table: _Table) -> Sensitivities:
    """Read ``[standards]``: throughput, scatter, factors = { "Fe K" = [1.02, 0.02] }, each with its error."""
    if not isinstance(table, dict):
        raise InvalidInput("standards must be a table")
    _only(table, "standards", ("throughput", "scatter", "factors"))
    factors = []
    for family in table.get("factors", {}):
        split_family(family)
        values = _row(table["factors"], family)
        if len(values) != 2 or not all(math.isfinite(value) and value > 0 for value in values):
            raise InvalidInput(f"the factor of {family!r} must be two numbers above 0", "Write [1.02, 0.02]")
        factors.append((family, values[0], values[1]))
    throughput, scatter = (_number(table, k) if k in table else None for k in ("throughput", "scatter"))
    return Sensitivities(tuple(factors), throughput, scatter)


def _source(table: _Table) -> Source:
    rest = {name: value for name, value in table.items() if name != "kind"}
    match table.get("kind"):
        case "tube":
            return _made(TubeSource, rest, "the source")
        case "electron":
            return _made(ElectronBeam, rest, "the source")
        case "monochromatic":
            return _made(MonochromaticSource, rest, "the source")
        case "given":
            return _made(GivenSource, {"energies_kev": [], "photons": [], **rest}, "the source")
        case kind:
            raise InvalidInput(
                f"there is no source of kind {kind!r}",
                nearest_of(str(kind), ("tube", "electron", "monochromatic", "given")),
            )


def _made(kind: type[_T], table: _Table, what: str, **given: Any) -> _T:
    """Make a dataclass of a table: each field that is not given by its type; what is amiss is named."""
    hints = get_type_hints(kind)
    own = [one for one in fields(kind) if one.name not in given]  # type: ignore[arg-type]
    _only(table, what, [one.name for one in own])
    for one in own:
        if one.name in table:
            given[one.name] = _READERS[hints[one.name]](table, one.name)
        elif one.default is MISSING:
            raise InvalidInput(f"{what} has no {one.name}")
    return kind(**given)


def _layers(table: _Table, name: str) -> tuple[Layer, ...]:
    entries = table[name]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInput(f"{name} must be a list of tables such as {{formula = 'Be', thickness_um = 8}}")
    return tuple(_layer(entry) for entry in entries)


def _layer(entry: _Table) -> Layer:
    return Layer(_material(entry, "thickness_um"), _number(entry, "thickness_um"))


def _material(entry: _Table, *beside: str) -> Material:
    """Read a formula, or parts by weight; an element alone needs no density."""
    _only(entry, "a material", ("formula", "parts", "density", *beside))
    if (parts := entry.get("parts")) is not None:
        if not isinstance(parts, dict):
            raise InvalidInput("parts must be a table of formulas and weights")
        return Material.from_mixture(
            {name: _number(parts, name) for name in parts}, _number(entry, "density")
        )
    formula = _text(entry, "formula")
    density = _number(entry, "density") if "density" in entry else _element_density(formula)
    return Material.from_formula(formula, density)


def _element_density(formula: str) -> float:
    try:
        return float(xraylib.ElementDensity(atomic_number(formula)))
    except (InvalidInput, ValueError):
        raise InvalidInput(f"the material {formula!r} has no density", "Give it in g/cm³") from None


def _only(table: _Table, what: str, known: Sequence[str]) -> None:
    for name in table:
        if name not in known:
            raise InvalidInput(f"{what} has an unknown entry {name!r}", f"Use {', '.join(known)}")


def _table(table: _Table, name: str) -> _Table:
    found = table.get(name)
    if not isinstance(found, dict):
        raise InvalidInput(f"there is no table [{name}]")
    return found


def _text(table: _Table, name: str) -> str:
    found = table.get(name)
    if not isinstance(found, str):
        raise InvalidInput(f"there is no text {name!r}")
    return found


def _number(table: _Table, name: str) -> float:
    found = table.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise InvalidInput(f"{name} must be a number, not {found!r}")
    return float(found)


def _row(table: _Table, name: str) -> tuple[float, ...]:
    found = table[name]
    if not isinstance(found, list):
        raise InvalidInput(f"{name} must be a list of numbers")
    return tuple(_number({name: value}, name) for value in found)


_READERS: dict[Any, Callable[[_Table, str], Any]] = {
    float: _number,
    str: _text,
    Literal["sdd", "gem"]: _text,
    tuple[float, ...]: _row,
    tuple[float, float]: _row,
    tuple[Layer, ...]: _layers,
    Layer | None: lambda table, name: _layer(_table(table, name)),
    Material: lambda table, name: _material(_table(table, name)),
}
