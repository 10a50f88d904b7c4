"""Chemical formulas as people write them: brackets, hydrates, charges, and which dot is meant."""

import re
from functools import lru_cache

import xraylib

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import InvalidInput

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻−", "01234567890123456789+--")
_DOT = "·"
_DOTS = str.maketrans("•∙⋅‧・*", _DOT * 6)
_VALENCE = re.compile(r"(?<=[a-zA-Z])\((II|III|IV|VI|VII|\d[+-])\)|\^(\{\d*[+-]+\d*\}|\d*[+-]+)")
_ONE_ROMAN = re.compile(r"(?<=[a-zA-Z])\([IV]\)")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(r"([A-Z][a-z]?)(\d*[+-])?|([(\[{])|([)\]}])")
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")
_LAST = re.compile(r"([A-Z][a-z]?|[)\]}])(\d*(?:\.\d+)?)$")
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_OXIDE = re.compile(r"[A-Z][a-z]?\d*(?:O\d*|\(OH\)\d*)")
_MOST_WATER = 30
# What a salt or an oxide ends with, so that a hydrate or a further oxide may follow; ")" any bracket.
_SALT_ENDS = {"O", "F", "Cl", "Br", "I", ")", "]", "}"}
_NON_METALS = {"H", "C", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"}
_ANIONS = {"C": 4, "N": 3, "P": 3, "O": 2, "S": 2, "Se": 2, "Te": 2, "F": 1, "Cl": 1, "Br": 1, "I": 1}


def mass_fractions(formula: str) -> dict[str, float]:
    """Return the weight fraction of each element of a chemical formula.

    Understood are round, square and curly brackets, decimal indices, subscript digits, spaces, leading
    coefficients, charges (``Fe2+``, ``Fe^2+``, ``Fe(II)``; they weigh nothing) and hydrates or added units
    behind a dot: ``·``, ``•``, ``∙``, ``⋅``, ``‧``, ``*`` or a full stop.

    A full stop adds a unit where no decimal number can be meant: behind a letter or bracket (``CaO.Al2O3``),
    before a letter or a space (``CaSO4.H2O``), and between the digits of an index of oxygen, a halogen or a
    bracket when an integer and then water, a simple oxide or a hydroxide follow (``CaSO4.2H2O``,
    ``Al2O3.2SiO2``). It is a decimal point in ``Mg0.9Fe0.1`` and wherever else a number is not followed by
    such a unit (``UO2.1``, ``Si3.67O10(OH)2``). What can be read both ways is refused. Raises InvalidInput
    when the formula cannot be read; the message says where and what to write.
    """
    weights: dict[str, float] = {}
    for count, atoms in _parts(formula):
        for element, number in atoms:
            weight = count * number * float(xraylib.AtomicWeight(atomic_number(element)))
            weights[element] = weights.get(element, 0.0) + weight
    total = sum(weights.values())
    if total <= 0:
        raise _unreadable(formula, "all its indices are 0")
    return {element: weight / total for element, weight in weights.items() if weight > 0}


@lru_cache(maxsize=4096)
def _parts(formula: str) -> tuple[tuple[float, tuple[tuple[str, float], ...]], ...]:
    """Coefficient of each part between dots, and its elements with their atoms by rising atomic number."""
    text = _tidy(formula)
    found = []
    for part in text.split(_DOT):
        leading = _NUMBER.match(part)
        rest = part[leading.end() :] if leading else part
        if not rest:
            raise _unreadable(formula, "a part of it holds no element" if text else "it is empty")
        atoms = _atoms(formula, rest)
        ordered = tuple(sorted(atoms.items(), key=lambda entry: atomic_number(entry[0])))
        found.append((float(leading[0]) if leading else 1.0, ordered))
    return tuple(found)


def _tidy(formula: str) -> str:
    """Return the formula without spaces, with ``·`` before each further unit; full stops left are decimal."""
    text = re.sub(r"\s*\.\s+", _DOT, formula.strip().translate(_SUBSCRIPTS).translate(_DOTS))
    if re.search(r"\d\s+[\d.]", text):
        raise _unreadable(formula, "two numbers stand side by side", "Put · before a hydrate: CaSO4·2H2O")
    if re.search(r"\s\+|\+\s", text):
        raise _unreadable(formula, "+ makes a mixture", "Give parts by weight, or join units by ·")
    text = re.sub(r"\s", "", text)
    if "," in text:
        raise _unreadable(formula, "the comma leaves the shares open", f"Write them: {_equal_shares(text)}")
    text = _VALENCE.sub("", text)
    if roman := _ONE_ROMAN.search(text):
        raise _unreadable(formula, f"{roman[0]!r} may be an element or a charge", "Leave the bracket out")
    if zero := re.search(r"[A-Za-z)\]]0\d", text):
        raise _unreadable(formula, f"{zero[0][1:]!r} begins with a zero", "Write the letter O for oxygen")
    place = text.find(".")
    while place >= 0:
        if _adds(formula, text[:place], text[place + 1 :]):
            text = text[:place] + _DOT + text[place + 1 :]
        place = text.find(".", place + 1)
    return text


def _adds(formula: str, left: str, right: str) -> bool:
    """Whether the full stop between two pieces adds a unit; the rule stands at :func:`mass_fractions`."""
    before = _LAST.search(left)
    coefficient, unit = re.match(r"(\d*)([^.·]*)", right).groups()  # type: ignore[union-attr]
    if before is None:  # the decimal point of a coefficient
        return False
    symbol, index = before.groups()
    elements = _SYMBOL.findall(unit)
    if "." in index or (index and not coefficient) or (not index and len(elements) > 1):
        return True
    both = _unreadable(
        formula, "its full stop may be a decimal point or add a unit", "Write · to add one, 0.5 for a half"
    )
    if not index:
        raise both
    salt = symbol in _SALT_ENDS
    if re.match(r"\d+\.\d", right):  # CaSO4.0.5H2O
        if not salt:
            raise both
        return len(elements) == 0
    if index == "0" or coefficient.startswith("0"):
        return False
    if unit in ("H2O", "(H2O)"):
        if salt and int(coefficient) <= _MOST_WATER:
            return True
        raise both
    if not salt or len(set(elements)) < 2 or unit.startswith(("O", "(", "[", "{")):
        return False
    if _OXIDE.fullmatch(unit) and elements[0] != "H":
        return True
    raise both


def _atoms(formula: str, text: str) -> dict[str, float]:
    """Atoms of each element of one part, its leading coefficient left out."""
    levels: list[tuple[str, dict[str, float]]] = [("", {})]
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise _misplaced(formula, text[place:])
        symbol, charge, opening, closing = token.groups()
        place = token.end()
        if opening:
            levels.append((opening, {}))
            continue
        if symbol:
            group = {symbol: _indexed(formula, symbol, charge, end=text[place : place + 1])}
        else:
            opened, group = levels.pop() if len(levels) > 1 else ("", {})
            if _CLOSING.get(opened) != closing:
                raise _unreadable(formula, f"{closing!r} closes no bracket", "Open it, or leave it out")
            if not group:
                raise _unreadable(formula, f"there is nothing in '{opened}{closing}'")
        if number := _NUMBER.match(text, place):
            place = number.end()
        outer = levels[-1][1]
        for element, atoms in group.items():
            outer[element] = outer.get(element, 0.0) + atoms * (float(number[0]) if number else 1.0)
    if len(levels) > 1:
        opened = levels[-1][0]
        raise _unreadable(formula, f"{opened!r} is not closed", f"Add the missing {_CLOSING[opened]!r}")
    return levels[0][1]


def _indexed(formula: str, symbol: str, charge: str | None, end: str) -> float:
    """Atoms that stand before a charge: 1 of ``Fe2+``, 4 of the oxygen in ``SO42-``."""
    try:
        atomic_number(symbol)
    except InvalidInput as error:
        raise _unreadable(formula, error.cause, "Symbols are written like Fe or O") from None
    if charge is None:
        return 1.0
    digits, sign = charge[:-1], charge[-1]
    if sign == "+" and len(digits) == 1 and symbol not in _NON_METALS:
        return 1.0
    if sign == "-" and len(digits) == 1 and int(digits) == _ANIONS.get(symbol):
        return 1.0
    if sign == "-" and len(digits) == 2 and symbol in _ANIONS:
        return float(digits[0])
    if not digits and end in ("", ")", "]", "}"):
        return 1.0
    raise _unreadable(
        formula, f"{symbol + charge!r} may be a count or a charge", "Leave charges out, they weigh nothing"
    )


def _misplaced(formula: str, rest: str) -> InvalidInput:
    if rest[0] in "xn" and (len(rest) == 1 or not rest[1].islower()):
        return _unreadable(formula, f"the number {rest[0]!r} is open", "Write a number in its place")
    if rest[0].islower():
        return _unreadable(
            formula, f"no element begins with a small letter ({rest[0]!r})", "Write Fe, not fe or FE"
        )
    if rest[0] in "0123456789.":
        return _unreadable(formula, f"{rest[0]!r} counts nothing", "Numbers follow a symbol or a bracket")
    if rest[0] in "+-":
        return _unreadable(
            formula, "a group's charge looks like a count", "Leave charges out, they weigh nothing"
        )
    return _unreadable(formula, f"{rest[0]!r} has no meaning there", "Write it like CaSO4·2H2O")


def _equal_shares(text: str) -> str:
    """Return the formula with equal shares in place of commas, ``(Mg0.5Fe0.5)2SiO4``."""

    def shared(group: re.Match[str]) -> str:
        members = group[1].split(",")
        return "(" + "".join(f"{member}{1 / len(members):.3g}" for member in members) + ")"

    written = re.sub(r"[(\[{]([A-Za-z]+(?:,[A-Za-z]+)+)[)\]}]", shared, text)
    return "(Mg0.5Fe0.5)2SiO4" if "," in written else written


def _unreadable(formula: str, why: str, remedy: str = "") -> InvalidInput:
    return InvalidInput(
        f"cannot read the formula {formula!r}: {why}", remedy or "Write it like CaCO3 or CaSO4·2H2O"
    )
