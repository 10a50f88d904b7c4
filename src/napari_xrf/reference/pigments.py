"""Pigments: what they are made of, their colour, and the paint layers that they make."""

import re
from dataclasses import dataclass
from pathlib import Path

from napari_xrf.core.errors import FileError, InvalidInput, check_range
from napari_xrf.core.label_map import check_color
from napari_xrf.reference.materials import Material
from napari_xrf.reference.tables import density_of, number_of, read_table, shipped

COLUMNS = ("name", "formula", "color", "density", "thickness_um", "pigment_volume", "source")
_REQUIRED = COLUMNS[:4]
_TYPICAL_THICKNESS_UM = 30.0
_TYPICAL_PIGMENT_VOLUME = 0.4
_PART = re.compile(r"^(?:(\d+(?:\.\d+)?)\s+)?(\S+)$")


@dataclass(frozen=True)
class Pigment:
    """A pigment and the paint layer it usually makes."""

    name: str  # its name
    material: Material  # composition and density of the dry pigment
    color: str  # sRGB of its masstone, "#rrggbb"
    thickness_um: float = _TYPICAL_THICKNESS_UM  # of a typical layer
    # Share of the layer's volume that is pigment, the rest being linseed oil; 1 for metal leaf.
    pigment_volume: float = _TYPICAL_PIGMENT_VOLUME
    # formula, source: as in the table.
    formula: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        check_color(self.color, self.name)
        check_range(f"thickness of {self.name}", self.thickness_um, 1e-3, 1e5)
        check_range(f"pigment volume of {self.name}", self.pigment_volume, 1e-3, 1)


def load_pigments(path: str | Path | None = None) -> tuple[Pigment, ...]:
    """Return the pigments of a table, the shipped one by default.

    The columns ``name, formula, color, density`` are required; ``thickness_um, pigment_volume, source`` may
    be left out. A formula may be a mixture by weight: ``35 Fe2O3 + 65 SiO2``. The colours of the shipped
    table are typical masstones, chosen by eye. Raises FileError when the table cannot be read, holds no
    pigment, or a line of it makes no sense; the message names the line.
    """
    table = shipped("pigments.csv") if path is None else Path(path)
    pigments: dict[str, Pigment] = {}
    for line, row in read_table(table, _REQUIRED):
        try:
            pigment = _pigment(row)
        except InvalidInput as error:
            raise FileError(table, f"line {line}: {error.cause}", error.remedy) from error
        if pigment.name in pigments:
            raise FileError(table, f"line {line}: {pigment.name} stands twice", "Give each its own name")
        pigments[pigment.name] = pigment
    if not pigments:
        raise FileError(table, "holds no pigment", f"Give a header {','.join(_REQUIRED)} and a line for each")
    return tuple(pigments.values())


def _pigment(row: dict[str, str]) -> Pigment:
    if not row["name"]:
        raise InvalidInput("the name is empty")
    return Pigment(
        row["name"],
        _material(row["formula"], density_of(row["density"]), row["name"]),
        row["color"].lower(),
        _number(row, "thickness_um", _TYPICAL_THICKNESS_UM),
        _number(row, "pigment_volume", _TYPICAL_PIGMENT_VOLUME),
        row["formula"],
        row.get("source", ""),
    )


def _number(row: dict[str, str], column: str, default: float) -> float:
    text = row.get(column, "")
    return number_of(text, column) if text else default


def _material(formula: str, density: float, name: str) -> Material:
    if not formula:
        raise InvalidInput("the formula is empty")
    parts: dict[str, float] = {}
    for part in formula.split(" + "):
        found = _PART.match(part.strip())
        if not found:
            raise InvalidInput(f"cannot read {part!r} in {formula!r}", "Write 35 Fe2O3 + 65 SiO2")
        parts[found[2]] = parts.get(found[2], 0.0) + float(found[1] or 1.0)
    return Material.from_mixture(parts, density, name)
