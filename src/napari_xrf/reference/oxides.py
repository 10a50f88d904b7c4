"""The oxides in which analyses of rocks, glasses and soils are told, and atomic weights."""

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

import xraylib

from napari_xrf.core.emission_lines import HEAVIEST, parse_elements
from napari_xrf.core.errors import InvalidInput

ATOMIC_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {xraylib.AtomicNumberToSymbol(z): xraylib.AtomicWeight(z) for z in range(1, HEAVIEST + 1)}
)

HALOGENS = ("F", "Cl", "Br", "I")
_LOWEST, _HIGHEST = -2, 8  # valences, of sulphides and of OsO4
# Usual valences against oxygen; iron as FeO, sulphur as in sulphates. Halogens take oxygen's place.
_VALENCES = {
    **dict.fromkeys(("H", "Li", "Na", "K", "Rb", "Cs", "Ag", "Tl"), 1),
    **dict.fromkeys(("Be", "Mg", "Ca", "Sr", "Ba", "Fe", "Mn", "Co", "Ni", "Cu", "Zn", "Cd", "Hg", "Pb"), 2),
    **dict.fromkeys(("B", "Al", "Sc", "Y", "Cr", "Ga", "In", "As", "Sb", "Bi", "Au", "Rh", "La"), 3),
    **dict.fromkeys(("Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu"), 3),
    **dict.fromkeys(
        ("C", "Si", "Ti", "Zr", "Hf", "Ge", "Sn", "Se", "Te", "Th", "U", "Ru", "Os", "Ir", "Pt"), 4
    ),
    **dict.fromkeys(("N", "P", "V", "Nb", "Ta"), 5),
    **dict.fromkeys(("S", "Mo", "W"), 6),
    "Pd": 2,
    "Re": 7,
    **dict.fromkeys(HALOGENS, -1),
}
# The other valence that is common: ferric iron, sulphides (which bind no oxygen), and so on.
_OTHER_VALENCES = {
    "Fe": 3, "Mn": 4, "S": 0, "Cu": 1, "Cr": 6, "V": 4, "Co": 3, "Ce": 4, "As": 5, "Sb": 5, "Sn": 2, "Pb": 4,
    "U": 6,
}  # fmt: skip
# One standard deviation, of what the other valence would change: either may be, or it is rare (chromates,
# red lead, stannous tin).
_EITHER, _RARE = 0.5, {"Cr": 0.3, "Pb": 0.3, "Sn": 0.3}
# Metals that sulphides are of, up to two of sulphur on one (pyrite), and those that sulphates are of.
_IN_SULPHIDES = (
    "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Mo", "Ag", "Cd", "In", "Sn", "Sb", "Hg", "Tl",
    "Pb", "Bi",
)  # fmt: skip
_MOST_VALENT_IN_SULPHATES = 3


def valence_of(element: str, valences: Mapping[str, float] | None = None) -> float:
    """Return an element's valence against oxygen, below 0 where it takes its place; 0 for noble gases."""
    return float((valences or {}).get(element, _VALENCES.get(element, 0)))


def valence_by_formula(masses: Mapping[str, float]) -> dict[str, float]:
    """Return the valence of the one element of an oxide's formula that may have two: 3 of iron in hematite.

    ``masses``: element → mass. Empty where there is no such element, several, or what the charge of the rest
    leaves it lies outside of its two valences.
    """
    moles = {element: mass / ATOMIC_WEIGHTS[element] for element, mass in masses.items()}
    open_to_two = [element for element in moles if element in _OTHER_VALENCES and element != "S"]
    if len(open_to_two) != 1 or "O" not in moles:
        return {}
    (element,) = open_to_two
    rest = sum(amount * valence_of(e) for e, amount in moles.items() if e not in ("O", element))
    valence = round((2 * moles["O"] - rest) / moles[element], 3)
    low, high = sorted((valence_of(element), float(_OTHER_VALENCES[element])))
    return {element: valence} if low <= valence <= high else {}


def parse_valences(text: str) -> dict[str, float]:
    """Return element → valence of a text such as ``"Fe=3,S=6"``.

    Raises
    ------
    InvalidInput
        When a part of it is no valence.
    """
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        element, _, value = part.partition("=")
        try:
            found[parse_elements(element)[0]] = float(value)
            if not _LOWEST <= float(value) <= _HIGHEST:
                raise ValueError(value)
        except (ValueError, IndexError):
            raise InvalidInput(f"{part!r} is no valence", "Write Fe=3,S=-2") from None
    return found


def oxygen_per_mass(element: str, valences: Mapping[str, float] | None = None) -> float:
    """Return the mass of oxygen that a unit of mass of an element binds; below 0, whose place it takes."""
    return valence_of(element, valences) / 2 * ATOMIC_WEIGHTS["O"] / ATOMIC_WEIGHTS[element]


def oxygen_in_doubt(
    fractions: Mapping[str, float], valences: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the standard error of the oxygen that each element of a composition binds, by its valence.

    In mass per mass of all, where the valence is not stated and another is common. Sulphur is in doubt as far
    as there are metals whose sulphide it may be, or too few whose sulphate.
    """
    found = {}
    for element, other in _OTHER_VALENCES.items():
        part = fractions.get(element, 0.0)
        if element == "S":
            part = min(part, _no_sulphate(fractions))
        if part > 0 and element not in (valences or {}):
            changed = abs(oxygen_per_mass(element, {element: other}) - oxygen_per_mass(element))
            found[element] = _RARE.get(element, _EITHER) * part * changed
    return found


def _no_sulphate(fractions: Mapping[str, float]) -> float:
    """Return the most sulphur, in mass, that may be of sulphides, or lacks metals to be a sulphate."""
    moles = {e: part / ATOMIC_WEIGHTS[e] for e, part in fractions.items() if e != "S"}
    sulphides = 2 * sum(amount for e, amount in moles.items() if e in _IN_SULPHIDES)
    charge = sum(
        amount * valence_of(e)
        for e, amount in moles.items()
        if 0 < valence_of(e) <= _MOST_VALENT_IN_SULPHATES
    )
    sulphur = fractions.get("S", 0.0) / ATOMIC_WEIGHTS["S"]
    return ATOMIC_WEIGHTS["S"] * max(sulphides, sulphur - charge / 2)


def oxide_of(element: str, valences: Mapping[str, float] | None = None) -> tuple[str, float]:
    """Return an element's oxide, ``"Al2O3"``, and its mass per mass of the element; empty and 1 if none."""
    valence = valence_of(element, valences)
    if valence <= 0:
        return "", 1.0
    ratio = Fraction(valence).limit_denominator(12) / 2
    atoms, oxygens = ratio.denominator, ratio.numerator
    name = f"{element}{atoms if atoms > 1 else ''}O{oxygens if oxygens > 1 else ''}"
    return name, 1.0 + oxygen_per_mass(element, valences)
