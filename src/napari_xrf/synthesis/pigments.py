"""Pigments: what they are made of, their colour, and the spectrum of a paint layer of them."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.parameters import check_range
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.substrates import support_layers

COLUMNS = ("name", "formula", "color", "density", "thickness_um", "pigment_volume", "source")
_REQUIRED = COLUMNS[:4]
_TYPICAL_THICKNESS_UM = 30.0
_TYPICAL_PIGMENT_VOLUME = 0.4
_LINSEED_OIL = Material.from_formula("C57H98O6", 0.93, "linseed oil")  # trilinolein
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_PART = re.compile(r"^(?:(\d+(?:\.\d+)?)\s+)?(\S+)$")


@dataclass(frozen=True)
class Pigment:
    """A pigment and the paint layer it usually makes.

    Attributes
    ----------
    name
        Its name.
    material
        Composition and density of the dry pigment.
    color
        sRGB of its masstone, ``"#rrggbb"``.
    thickness_um
        Of a typical layer.
    pigment_volume
        Share of the layer's volume that is pigment, the rest being linseed oil; 1 for metal leaf.
    formula, source
        As in the table.
    """

    name: str
    material: Material
    color: str
    thickness_um: float = _TYPICAL_THICKNESS_UM
    pigment_volume: float = _TYPICAL_PIGMENT_VOLUME
    formula: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not _COLOR.fullmatch(self.color):
            raise InvalidInput(f"colour {self.color!r} of {self.name!r} is not of the form #rrggbb")
        check_range(f"thickness of {self.name}", self.thickness_um, 1e-3, 1e5)
        check_range(f"pigment volume of {self.name}", self.pigment_volume, 1e-3, 1)


@dataclass(frozen=True, eq=False)
class PigmentSpectra:
    """Colours and spectra of P pigments: all that a painting is synthesized from.

    Attributes
    ----------
    names
        P names, each once.
    colors
        (P, 3) sRGB from 0 to 255.
    spectra
        (P, E) not negative, none empty; only their shapes count.
    energy
        Their axis.
    families
        Counts of each line family in each spectrum, P mappings; empty where unknown, as for measured ones.

    Raises
    ------
    InvalidInput
        When shapes do not fit, or a spectrum is empty, negative or not finite.
    """

    names: tuple[str, ...]
    colors: NDArray[np.float64]
    spectra: NDArray[np.float64]
    energy: EnergyAxis
    families: tuple[Mapping[str, float], ...] = ()

    def __post_init__(self) -> None:
        number = len(self.names)
        if not number:
            raise InvalidInput("there is no pigment", "Give at least one")
        if len(self.families) not in (0, number):
            raise InvalidInput(f"line families of {len(self.families)} pigments do not fit {number}")
        if self.colors.shape != (number, 3) or self.spectra.shape != (number, self.energy.size):
            raise InvalidInput(
                f"colours {self.colors.shape} and spectra {self.spectra.shape} do not fit {number} pigments "
                f"and {self.energy.size} channels"
            )
        if not (np.isfinite(self.colors).all() and (self.colors >= 0).all() and (self.colors <= 255).all()):
            raise InvalidInput("colours of pigments must lie from 0 to 255")
        for name, spectrum in zip(self.names, self.spectra, strict=True):
            if not (np.isfinite(spectrum).all() and (spectrum >= 0).all() and spectrum.sum() > 0):
                raise InvalidInput(f"the spectrum of {name} must hold counts, none negative")


def load_pigments(path: str | Path | None = None) -> tuple[Pigment, ...]:
    """Return the pigments of a table, the shipped one by default.

    The columns ``name, formula, color, density`` are required; ``thickness_um, pigment_volume, source``
    may be left out. A formula may be a mixture by weight: ``35 Fe2O3 + 65 SiO2``. The colours of the
    shipped table are typical masstones, chosen by eye.

    Raises
    ------
    FileError
        When the table cannot be read, holds no pigment, or a line of it makes no sense; the message names
        the line.
    """
    table = Path(str(files("napari_xrf.reference") / "pigments.csv")) if path is None else Path(path)
    pigments: dict[str, Pigment] = {}
    for line, row in _rows(table):
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


def select_pigments(pigments: Sequence[Pigment], names: Sequence[str]) -> tuple[Pigment, ...]:
    """Return the named pigments, in the order of the names; capital letters do not matter.

    Raises
    ------
    InvalidInput
        When there is none of a name; the message suggests close ones.
    """
    known = {pigment.name.lower(): pigment for pigment in pigments}
    for name in names:
        if name.strip().lower() not in known:
            near = difflib.get_close_matches(name.strip().lower(), known, n=3)
            remedy = f"Did you mean {', '.join(near)}?" if near else ""
            raise InvalidInput(f"there is no pigment {name!r}", remedy)
    return tuple(known[name.strip().lower()] for name in names)


def paint_layer(pigment: Pigment) -> Layer:
    """Return the layer that a pigment makes in linseed oil."""
    share = pigment.pigment_volume
    density = share * pigment.material.density + (1 - share) * _LINSEED_OIL.density
    by_weight = share * pigment.material.density / density
    fractions = {element: by_weight * part for element, part in pigment.material.mass_fractions.items()}
    if share < 1:
        for element, part in _LINSEED_OIL.mass_fractions.items():
            fractions[element] = fractions.get(element, 0.0) + (1 - by_weight) * part
    return Layer(Material(f"{pigment.name} paint", fractions, density), pigment.thickness_um)


def expect_pigments(
    pigments: Sequence[Pigment],
    instrument: Instrument,
    *,
    ground: str = "chalk",
    substrate: str = "wood",
    progress: Progress = ignore_progress,
) -> PigmentSpectra:
    """Return the expected spectra of paint layers on a ground.

    Parameters
    ----------
    ground, substrate
        Names in :data:`~napari_xrf.synthesis.substrates.GROUNDS` (or ``"none"``) and
        :data:`~napari_xrf.synthesis.substrates.SUBSTRATES`.

    Raises
    ------
    InvalidInput
        When there is no pigment, ground or substrate of a name, or nothing can be excited.
    """
    if not pigments:
        raise InvalidInput("there is no pigment", "Give at least one")
    below = support_layers(ground, substrate)
    expected = []
    for done, pigment in enumerate(pigments):
        progress(done, len(pigments), "expected spectra")
        expected.append(expect_spectrum((paint_layer(pigment), *below), instrument))
    return PigmentSpectra(
        tuple(pigment.name for pigment in pigments),
        np.array([rgb(pigment.color) for pigment in pigments], dtype=np.float64),
        np.stack([each.counts for each in expected]),
        instrument.energy,
        tuple(each.families for each in expected),
    )


def rgb(color: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of ``"#rrggbb"``."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            missing = [column for column in _REQUIRED if column not in (reader.fieldnames or ())]
            if missing:
                raise FileError(
                    table, f"lacks the column {missing[0]}", f"Begin with a header {','.join(COLUMNS)}"
                )
            for row in reader:
                yield reader.line_num, {key: (value or "").strip() for key, value in row.items() if key}
    except OSError as error:
        raise FileError(table, f"cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(table, "is no table of text", "Save it as CSV in UTF-8") from error


def _pigment(row: dict[str, str]) -> Pigment:
    if not row["name"]:
        raise InvalidInput("the name is empty")
    return Pigment(
        row["name"],
        _material(row["formula"], _number(row, "density"), row["name"]),
        row["color"].lower(),
        _number(row, "thickness_um", _TYPICAL_THICKNESS_UM),
        _number(row, "pigment_volume", _TYPICAL_PIGMENT_VOLUME),
        row["formula"],
        row.get("source", ""),
    )


def _number(row: dict[str, str], column: str, default: float = math.nan) -> float:
    text = row.get(column, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise InvalidInput(f"{column} {text!r} is no number") from None


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
