"""Which minerals of a library can be in a map, by the elements that it shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from napari_xrf.core.emission_lines import atomic_number, edge_energy, main_line
from napari_xrf.reference.minerals import Mineral

LEAST_PART = 0.02  # an element of less weight in a mineral may escape notice
LANTHANIDES = range(57, 72)  # they occur together, and their L lines overlap: one found stands for all
LIGHTEST = 11  # lines of lighter elements are absorbed by windows, coatings and air


def visible_elements(mineral: Mineral, low: float, high: float, excitation_kev: float) -> frozenset[str]:
    """Return the elements of a mineral that a map must show if the mineral is a good part of it.

    These are the elements from sodium on that make up at least 2 % by weight of each composition and have
    a main K, L or M line between ``low`` and ``high`` keV that the excitation reaches.
    """
    fractions = [material.mass_fractions for material in mineral.compositions()]
    return frozenset(
        element
        for element in mineral.elements
        if min(held[element] for held in fractions) >= LEAST_PART
        and atomic_number(element) >= LIGHTEST
        and _shows(element, low, high, excitation_kev)
    )


def plausible_minerals(
    library: Iterable[Mineral],
    found: Collection[str],
    low: float,
    high: float,
    excitation_kev: float,
) -> tuple[Mineral, ...]:
    """Return the minerals whose visible elements are all among the elements found.

    Of the lanthanides in a mineral it is enough to have found one.
    """
    return tuple(
        mineral
        for mineral in library
        if _explained(visible_elements(mineral, low, high, excitation_kev), frozenset(found))
    )


def _explained(visible: frozenset[str], found: frozenset[str]) -> bool:
    lanthanides = {element for element in visible if atomic_number(element) in LANTHANIDES}
    return visible - lanthanides <= found and (not lanthanides or bool(lanthanides & found))


def _shows(element: str, low: float, high: float, excitation_kev: float) -> bool:
    lines = (main_line(element, shell) for shell in ("K", "L", "M"))
    return any(
        line is not None
        and low <= line.energy <= high
        and edge_energy(element, line.subshell) < excitation_kev
        for line in lines
    )
