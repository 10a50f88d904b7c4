"""The TOML files that describe instruments: one table each for source, geometry, detector, axis and optic."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xraylib

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.physics.source import ElectronBeam, GivenSource, MonochromaticSource, Source, TubeSource
from napari_xrf.reference.materials import Material

Optic = tuple[tuple[float, ...], tuple[float, ...]]
_Table = Mapping[str, Any]
_NUMBERS = {
    "geometry": ("incidence_deg", "takeoff_deg", "azimuth_deg", "angular_spread_deg"),
    "tube": ("voltage_kv", "incidence_deg", "takeoff_deg", "window_be_um"),
    "detector": (
        "thickness_um", "noise_fwhm_ev", "pair_energy_ev", "fano",
        "tail_fraction", "tail_depth_um", "tail_width_kev",
        "long_tail_fraction", "long_tail_depth_um", "long_tail_width_kev",
        "shelf_fraction", "shelf_depth_um", "electron_part", "escape_part", "threshold_kev", "open_fraction",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class InstrumentFile:
    """What stands in an instrument's file.

    Attributes
    ----------
    path
        The file.
    name
        The instrument's name.
    source, detector, energy
        What excites, what detects, and the energy axis.
    geometry
        Angles, atmosphere and paths, by the names of :class:`~napari_xrf.physics.instrument.Instrument`.
    optic
        Energies in keV and relative transmission, or None.
    """

    path: Path
    name: str
    source: Source
    detector: Detector
    energy: EnergyAxis
    geometry: dict[str, Any]
    optic: Optic | None


def read_instrument_file(path: str | Path) -> InstrumentFile:
    """Return what stands in an instrument's TOML file.

    Raises
    ------
    FileError
        When the file cannot be read, is no TOML, lacks an entry, or has one that is unknown or out of
        range; the message names the entry.
    """
    file = Path(path)
    try:
        with file.open("rb") as handle:
            content = tomllib.load(handle)
    except OSError as error:
        raise FileError(file, f"cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(file, f"is no TOML file ({error})") from error
    try:
        return _parse(file, content)
    except InvalidInput as error:
        raise FileError(file, error.cause, error.remedy) from error


def _parse(path: Path, content: _Table) -> InstrumentFile:
    _only(content, "the file", ("name", "source", "geometry", "detector", "energy", "optic"))
    optic = content.get("optic")
    return InstrumentFile(
        path=path,
        name=str(content.get("name", path.stem)),
        source=_source(_table(content, "source")),
        detector=_detector(_table(content, "detector")),
        energy=_axis(_table(content, "energy")),
        geometry=_geometry(_table(content, "geometry")),
        optic=None if optic is None else _optic(_table(content, "optic")),
    )


def _source(table: _Table) -> Source:
    kind = table.get("kind")
    if kind == "tube":
        _only(table, "source", ("kind", "anode", "filters", *_NUMBERS["tube"]))
        numbers = _numbers(table, _NUMBERS["tube"])
        if "voltage_kv" not in numbers:
            raise InvalidInput("the source has no voltage_kv")
        return TubeSource(anode=_text(table, "anode"), filters=_layers(table, "filters"), **numbers)
    if kind == "electron":
        _only(table, "source", ("kind", "energy_kev"))
        return ElectronBeam(_number(table, "energy_kev"))
    if kind == "monochromatic":
        _only(table, "source", ("kind", "energy_kev"))
        return MonochromaticSource(_number(table, "energy_kev"))
    if kind == "given":
        names = ("energies_kev", "photons", "line_energies_kev", "line_photons")
        _only(table, "source", ("kind", *names))
        return GivenSource(*(_row(table, name) if name in table else () for name in names))
    raise InvalidInput(f"there is no source of kind {kind!r}", "Use tube, electron, monochromatic or given")


def _detector(table: _Table) -> Detector:
    _only(table, "detector", ("kind", "medium", "window", "grid", *_NUMBERS["detector"]))
    numbers = _numbers(table, _NUMBERS["detector"])
    if "thickness_um" not in numbers:
        raise InvalidInput("the detector has no thickness_um")
    return Detector(
        kind=_text(table, "kind"),  # type: ignore[arg-type]
        medium=_material(_table(table, "medium"), extra=()),
        window=_layers(table, "window"),
        grid=_layer(_table(table, "grid")) if "grid" in table else None,
        **numbers,
    )


def _axis(table: _Table) -> EnergyAxis:
    _only(table, "energy", ("offset_kev", "width_kev", "size"))
    return EnergyAxis(_number(table, "offset_kev"), _number(table, "width_kev"), int(_number(table, "size")))


def _geometry(table: _Table) -> dict[str, Any]:
    _only(table, "geometry", (*_NUMBERS["geometry"], "atmosphere", "path_cm"))
    found: dict[str, Any] = dict(_numbers(table, _NUMBERS["geometry"]))
    for name in ("incidence_deg", "takeoff_deg"):
        if name not in found:
            raise InvalidInput(f"the geometry has no {name}")
    if "atmosphere" in table:
        found["atmosphere"] = _text(table, "atmosphere")
    if "path_cm" in table:
        found["path_cm"] = _row(table, "path_cm")
    return found


def _optic(table: _Table) -> Optic:
    _only(table, "optic", ("energies_kev", "transmission"))
    return _row(table, "energies_kev"), _row(table, "transmission")


def _layers(table: _Table, name: str) -> tuple[Layer, ...]:
    entries = table.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInput(f"{name} must be a list of tables such as {{formula = 'Be', thickness_um = 8}}")
    return tuple(_layer(entry) for entry in entries)


def _layer(entry: _Table) -> Layer:
    return Layer(_material(entry, extra=("thickness_um",)), _number(entry, "thickness_um"))


def _material(entry: _Table, extra: tuple[str, ...]) -> Material:
    """Read a formula, or parts by weight; an element alone needs no density."""
    _only(entry, "a material", ("formula", "parts", "density", *extra))
    parts = entry.get("parts")
    if parts is not None:
        if not isinstance(parts, dict):
            raise InvalidInput("parts must be a table of formulas and weights")
        return Material.from_mixture(_numbers(parts, tuple(parts)), _number(entry, "density"))
    formula = _text(entry, "formula")
    density = _number(entry, "density") if "density" in entry else _element_density(formula)
    return Material.from_formula(formula, density)


def _element_density(formula: str) -> float:
    try:
        return float(xraylib.ElementDensity(atomic_number(formula)))
    except (InvalidInput, ValueError):
        raise InvalidInput(f"the material {formula!r} has no density", "Give it in g/cm³") from None


def _only(table: _Table, what: str, known: tuple[str, ...]) -> None:
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


def _numbers(table: _Table, names: tuple[str, ...]) -> dict[str, float]:
    return {name: _number(table, name) for name in names if name in table}


def _row(table: _Table, name: str) -> tuple[float, ...]:
    found = table.get(name)
    if not isinstance(found, list) or not all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in found
    ):
        raise InvalidInput(f"{name} must be a list of numbers")
    return tuple(float(value) for value in found)
