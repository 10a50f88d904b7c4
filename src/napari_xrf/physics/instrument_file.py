"""An instrument as the TOML file that :func:`~napari_xrf.physics.instrument.load_instrument` reads."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_xrf.core.errors import InvalidInput
from napari_xrf.io.atomic_write import write_text
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.source import ElectronBeam, GivenSource, MonochromaticSource, TubeSource
from napari_xrf.reference.materials import Material

_KINDS = {
    TubeSource: "tube",
    ElectronBeam: "electron",
    MonochromaticSource: "monochromatic",
    GivenSource: "given",
}
_NOT_GEOMETRY = ("name", "source", "detector", "energy", "optic", "sensitivities")


def write_instrument(path: Path, instrument: Instrument) -> None:
    """Write an instrument with all that is known of it, the factors of its standards included.

    Raises InvalidInput when the file does not end in .toml. Raises FileError when it cannot be written.
    """
    if path.suffix.lower() != ".toml":
        raise InvalidInput(f"{path.name!r} is no name for an instrument file", "End it with .toml")
    axis, known = instrument.energy, instrument.sensitivities
    tables: dict[str, Mapping[str, Any]] = {
        "source": {"kind": _KINDS[type(instrument.source)], **_fields(instrument.source)},
        "geometry": {k: v for k, v in _fields(instrument).items() if k not in _NOT_GEOMETRY},
        "detector": _fields(instrument.detector),
        "energy": {"offset_kev": axis.offset, "width_kev": axis.width, "size": axis.size},
    }
    if instrument.optic is not None:
        tables["optic"] = _fields(instrument.optic)
    if known.factors or known.throughput:
        told = {"throughput": known.throughput, "scatter": known.scatter}
        tables["standards"] = {name: value for name, value in told.items() if value is not None}
        tables["standards.factors"] = {family: (factor, error) for family, factor, error in known.factors}
    text = [f"name = {json.dumps(instrument.name)}"]
    for name, table in tables.items():
        text += ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items())]
    write_text(path, "\n".join(text) + "\n")


def _fields(thing: Any) -> dict[str, Any]:
    return {one.name: value for one in fields(thing) if (value := getattr(thing, one.name)) is not None}


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, Layer):
        return f"{{ {_parts(value.material)}, thickness_um = {value.thickness_um!r} }}"
    if isinstance(value, Material):
        return f"{{ {_parts(value)} }}"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    return repr(int(value)) if isinstance(value, int) else repr(float(value))


def _parts(material: Material) -> str:
    shares = ", ".join(f"{element} = {100 * part!r}" for element, part in material.mass_fractions.items())
    return f"parts = {{ {shares} }}, density = {material.density!r}"
