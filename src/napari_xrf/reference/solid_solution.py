"""Solid solutions: how the composition of a mineral varies around its formula."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import xraylib

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.formulas import mass_fractions
from napari_xrf.reference.materials import Material

MOST_COMPOSITIONS = 81  # per mineral: enough for three axes of four steps, few enough to stay quick

_PIECE = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)")
_TEXT = re.compile(r"^([A-Za-z0-9.]+):([A-Za-z0-9.]*)=([0-9.]+)\.\.([0-9.]+)$")


@dataclass(frozen=True)
class Substitution:
    """One exchange of atoms, ``"Zn:Fe=0..0.25"``: Fe takes the place of up to a quarter of the Zn."""

    # removed, added: symbols and atoms per exchange; a coupled exchange has several ("NaSi:CaAl=0..1"), one
    # that leaves vacancies adds none ("Fe:=0..0.125")
    removed: Mapping[str, float]
    added: Mapping[str, float]
    # low, high: range of the exchanged share of the first removed element, 0 to 1
    low: float
    high: float

    @classmethod
    def from_text(cls, text: str) -> Substitution:
        """Read ``"Zn:Fe=0..0.25"``.

        Raises InvalidInput when the text has another form, names an unknown element or a range outside 0 to
        1.
        """
        match = _TEXT.match(text.replace(" ", ""))
        if match is None:
            raise InvalidInput(
                f"cannot read the substitution {text.strip()!r}", "Write it like Zn:Fe=0..0.25"
            )
        low, high = float(match[3]), float(match[4])
        if not 0 <= low <= high <= 1:
            raise InvalidInput(f"the range of {text.strip()!r} must rise within 0 to 1")
        return cls(_atoms(match[1]), _atoms(match[2]), low, high)

    def __str__(self) -> str:
        return f"{_piece(self.removed)}:{_piece(self.added)}={self.low:g}..{self.high:g}"

    def steps(self) -> tuple[float, ...]:
        """Return shares that span the range, more of them the wider it is, and closer at its low end.

        There a spectrum changes most: the first per cent of iron in a light mineral shows more than the next.
        """
        width = self.high - self.low
        count = 1 if width == 0 else 2 if width < 0.02 else 4 if width < 0.3 else 5 if width < 0.7 else 7
        return tuple(self.low + width * (step / max(count - 1, 1)) ** 2 for step in range(count))


def parse_substitutions(text: str) -> tuple[Substitution, ...]:
    """Read substitutions separated by ``;``; an empty text holds none."""
    return tuple(Substitution.from_text(part) for part in text.split(";") if part.strip())


def substitute(
    formula: str,
    substitutions: Sequence[Substitution],
    shares: Sequence[float],
    density: float = 1.0,
    name: str = "",
) -> Material:
    """Return the material of a formula after exchanging the given share in each substitution.

    Raises InvalidInput when an element to remove is not in the formula or does not suffice.
    """
    amounts = atom_amounts(formula)
    original = dict(amounts)
    for substitution, share in zip(substitutions, shares, strict=True):
        first = next(iter(substitution.removed))
        if first not in original:
            raise InvalidInput(f"{formula!r} holds no {first} to substitute ({substitution})")
        exchanges = share * original[first] / substitution.removed[first]
        for element, atoms in substitution.removed.items():
            amounts[element] = amounts.get(element, 0.0) - exchanges * atoms
            if amounts[element] < -1e-9 * original[first]:
                raise InvalidInput(f"{formula!r} holds too little {element} for {substitution}")
        for element, atoms in substitution.added.items():
            amounts[element] = amounts.get(element, 0.0) + exchanges * atoms
    slack = 1e-9 * max(original.values())
    weights = {
        element: amount * xraylib.AtomicWeight(atomic_number(element))
        for element, amount in amounts.items()
        if amount > slack
    }
    total = math.fsum(weights.values())
    return Material(
        name or formula, {element: weight / total for element, weight in weights.items()}, density
    )


def atom_amounts(formula: str) -> dict[str, float]:
    """Return the relative number of atoms of each element; the scale is arbitrary."""
    return {
        element: fraction / xraylib.AtomicWeight(atomic_number(element))
        for element, fraction in mass_fractions(formula).items()
    }


def span(substitutions: Sequence[Substitution]) -> tuple[tuple[float, ...], ...]:
    """Return the shares of the compositions that span all ranges, the middle of them first.

    All steps of all ranges are combined; where that exceeds :data:`MOST_COMPOSITIONS`, each range but
    the widest gives its two ends only, and at last the ranges are walked one at a time.
    """
    middle = tuple((entry.low + entry.high) / 2 for entry in substitutions)
    steps = [entry.steps() for entry in substitutions]
    for widest_first in range(2):
        if math.prod(len(each) for each in steps) <= MOST_COMPOSITIONS:
            combined = itertools.product(*steps)
            return tuple(dict.fromkeys([middle, *combined]))
        if widest_first == 0:
            widest = max(range(len(steps)), key=lambda index: len(steps[index]))
            steps = [
                each if index == widest else tuple(dict.fromkeys((each[0], each[-1])))
                for index, each in enumerate(steps)
            ]
    one_at_a_time = [
        (*middle[:index], share, *middle[index + 1 :])
        for index, entry in enumerate(substitutions)
        for share in entry.steps()
    ]
    return tuple(dict.fromkeys([middle, *one_at_a_time]))


def _atoms(piece: str) -> dict[str, float]:
    atoms: dict[str, float] = {}
    matched = 0
    for match in _PIECE.finditer(piece):
        atomic_number(match[1])
        atoms[match[1]] = atoms.get(match[1], 0.0) + float(match[2] or 1)
        matched += len(match[0])
    if matched != len(piece):
        raise InvalidInput(f"cannot read {piece!r} in a substitution", "Write symbols such as Fe or NaSi")
    return atoms


def _piece(atoms: Mapping[str, float]) -> str:
    return "".join(element + (f"{count:g}" if count != 1 else "") for element, count in atoms.items())
