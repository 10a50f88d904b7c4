"""The mineral library: names, formulas, ranges of composition, densities and colours."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from napari_xrf.core.colors import spread_color
from napari_xrf.core.errors import FileError, InvalidInput, check_name
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelClass, check_color, group_name, members_of
from napari_xrf.reference.formulas import mass_fractions
from napari_xrf.reference.materials import Material
from napari_xrf.reference.pigments import load_pigments
from napari_xrf.reference.solid_solution import Substitution, parse_substitutions, span, substitute
from napari_xrf.reference.tables import density_of, read_table, select, shipped

REQUIRED_COLUMNS = ("name", "formula", "density")
METAL = "metal"  # group of what networks know beside the library
_PIGMENT = "pigment"

_TAKEN = (UNKNOWN_NAME, "not measured", "auto")


@dataclass(frozen=True)
class Mineral:
    """A mineral, or another phase that a map may hold (glass, resin, a metal).

    Raises InvalidInput for a name that is empty, taken (``"unknown"``) or holds what parts names (``, ; +
    /``), a formula or substitution that cannot be, a density that is not above 0, or a colour of another
    form.

    Attributes
    ----------
    name
        Its name.
    formula
        The formula that ``substitutions`` start from.
    density
        g/cm³, above 0.
    group
        What it belongs to: ``"feldspar"``, ``"lithium"``.
    color
        ``"#rrggbb"``, lower case.
    substitutions
        Usual exchanges of atoms and their ranges.
    source
        Where formula, range and density come from.
    """

    name: str
    formula: str
    density: float
    group: str = ""
    color: str = "#808080"
    substitutions: tuple[Substitution, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not (math.isfinite(self.density) and self.density > 0):
            raise InvalidInput(f"the density of {self.name!r} must be above 0 g/cm³, not {self.density}")
        check_color(self.color, self.name)
        for ends in ("low", "high"):
            self.composition([getattr(entry, ends) for entry in self.substitutions])

    def composition(self, shares: Sequence[float]) -> Material:
        """Return the material with the given share of each substitution exchanged."""
        return substitute(self.formula, self.substitutions, shares, self.density, self.name)

    def compositions(self, most: int | None = None) -> tuple[Material, ...]:
        """Return materials that span the range of compositions, its middle first; at most so many of them."""
        every = tuple(self.composition(shares) for shares in span(self.substitutions))
        if most is None or most >= len(every):
            return every
        return tuple(every[row] for row in np.linspace(0, len(every) - 1, most).astype(int))

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of the elements that every composition of it holds."""
        held = [set(material.mass_fractions) for material in self.compositions()]
        return frozenset(set.intersection(*held))


def mineral_class(minerals: Sequence[Mineral], label: int = 1) -> LabelClass:
    """Return one class for minerals that cannot be told apart: all names, one colour, the mean density."""
    density = math.fsum(mineral.density for mineral in minerals) / len(minerals)
    name, formula = (group_name(getattr(each, part) for each in minerals) for part in ("name", "formula"))
    return LabelClass(label, name, formula, minerals[0].color, density)


def load_library(path: str | Path | None = None) -> tuple[Mineral, ...]:
    """Read minerals from a CSV file, or the ones that come with napari-xrf.

    Raises FileError when the file cannot be read, lacks a column, holds no mineral or a name twice, or a
    value is wrong; the message names the line and the column.

    ``path``: a CSV file, as spreadsheets write it too, with the columns name, formula, density (g/cm³, or
    with its unit) and, if wanted, group, color (``#rrggbb``), substitutions (``Zn:Fe=0..0.25;Zn:Cd=0..0.01``)
    and source. Lines that start with ``#`` are skipped. None: the shipped library.
    """
    source = shipped("minerals.csv") if path is None else Path(path)
    minerals: list[Mineral] = []
    seen: set[str] = set()
    for line, values in read_table(source, REQUIRED_COLUMNS):
        mineral = _mineral(source, line, values, len(minerals))
        if mineral.name.casefold() in seen:
            raise FileError(
                source, f"line {line}, column name: {mineral.name!r} stands twice", "Give each its own name"
            )
        seen.add(mineral.name.casefold())
        minerals.append(mineral)
    if not minerals:
        raise FileError(source, "it holds no mineral", "Write one in each line below the columns' names")
    return tuple(minerals)


def select_minerals(library: Iterable[Mineral], names: Iterable[str]) -> tuple[Mineral, ...]:
    """Return the minerals of the given names, in the order of the names; case and accents do not matter.

    A synonym, ``"orthoclase"``, stands for the library's mineral, K-feldspar; one of several minerals,
    ``"chlorite"``, for all of them. Pigments of one compound and other phases that the library lacks, ``"lead
    white"`` or ``"alite"``, can be named too. Raises InvalidInput when a name is not in the library; the
    message suggests close ones.
    """
    pigments = [each for each in minerals_by_name() if each.group == _PIGMENT]
    phases = [each for each in minerals_by_name() if each.group != _PIGMENT]
    return select((*phases, *library), names, "mineral", pigments)


def minerals_of_set(name: str) -> tuple[str, ...]:
    """Return the names of the minerals that a kind of sample may hold, ``"granite"``.

    Raises InvalidInput when there is no such set; the message lists them.
    """
    sets = _sets()
    key = name.strip().casefold()
    check_name("set of minerals", key, sets)
    return tuple(sets[key])


def sets_of_minerals() -> tuple[tuple[str, ...], ...]:
    """Return the names of the minerals of each set."""
    return tuple(tuple(names) for names in _sets().values())


def minerals_of_sets() -> frozenset[str]:
    """Return the names of all minerals of the sets: what samples of any kind hold."""
    return frozenset(name for names in _sets().values() for name in names)


def known_minerals(own: str | Path | None = None) -> tuple[Mineral, ...]:
    """Return the shipped library, with the minerals of a file of the user's own added.

    Errors as :func:`load_library`.
    """
    return load_library() if own is None else merge_libraries(load_library(), load_library(own))


@cache
def minerals_by_name() -> tuple[Mineral, ...]:
    """Return what is looked for when named: phases of one kind of sample, metals, some pigments."""
    return load_library(shipped("minerals_by_name.csv")) + tuple(
        Mineral(each.name, each.formula, each.material.density, _PIGMENT, each.color, (), each.source)
        for each in load_pigments()
        if " + " not in each.formula
    )


def metals() -> tuple[Mineral, ...]:
    """Return the elements that plates and films are made of and the library lacks, titanium for instance."""
    return tuple(each for each in minerals_by_name() if each.group == METAL)


@cache
def phases_by_name() -> tuple[Mineral, ...]:
    """Return the phases beside metals and pigments that a set holds: of one kind of sample, cement say."""
    kinds = minerals_of_sets()
    return tuple(
        each for each in minerals_by_name() if each.group not in (METAL, _PIGMENT) and each.name in kinds
    )


def wanted_minerals(
    names: Iterable[str] | None, named_set: str | None = None, own: str | Path | None = None
) -> tuple[Mineral, ...] | None:
    """Return the minerals of names, or those of a set joined by a file of the user's own; None for neither.

    Raises FileError as :func:`load_library`. Raises InvalidInput when both are given, or there is no such
    name or set.
    """
    if named_set is None:
        return None if names is None else select_minerals(known_minerals(own), names)
    if names is not None:
        raise InvalidInput("minerals and a set both say what to look for", "Leave one of them out")
    chosen = select_minerals(known_minerals(own), minerals_of_set(named_set))
    return chosen if own is None else merge_libraries(chosen, load_library(own))


def merge_libraries(library: Iterable[Mineral], added: Iterable[Mineral]) -> tuple[Mineral, ...]:
    """Return the library with minerals added; one of the same name takes the place of the old one."""
    merged = {mineral.name.casefold(): mineral for mineral in library}
    merged.update({mineral.name.casefold(): mineral for mineral in added})
    return tuple(merged.values())


@cache
def _sets() -> dict[str, list[str]]:
    return {row["name"]: row["minerals"].split(";") for _, row in read_table(shipped("mineral_sets.csv"))}


def _check_name(name: str) -> None:
    if not name.strip():
        raise InvalidInput("a mineral needs a name")
    if name.strip().casefold() in _TAKEN:
        raise InvalidInput(f"no mineral can be called {name!r}: the word has another meaning", "Rename it")
    if set(",;+") & set(name) or len(members_of(name)) > 1:
        raise InvalidInput(
            f"the name {name!r} holds what parts the names of several minerals (, ; + or /)",
            "Write it with a hyphen or brackets",
        )


def _mineral(source: Path, line: int, values: dict[str, str], index: int) -> Mineral:
    """Check one line value by value, so that an error can name the column."""
    color = values.get("color", "").lower() or spread_color(index)
    column = "name"
    try:
        _check_name(values["name"])
        column = "formula"
        mass_fractions(values["formula"])
        column = "density"
        density = density_of(values["density"])
        column = "color"
        check_color(color, values["name"])
        column = "substitutions"
        substitutions = parse_substitutions(values.get("substitutions", ""))
        group, told = values.get("group", ""), values.get("source", "")
        return Mineral(values["name"], values["formula"], density, group, color, substitutions, told)
    except InvalidInput as error:
        raise FileError(source, f"line {line}, column {column}: {error.cause}", error.remedy) from error
