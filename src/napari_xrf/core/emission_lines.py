"""Characteristic X-ray emission lines and the families that detectors see.

All energies, radiative rates, edges and cross-sections come from xraylib (Schoonjans et al., Spectrochim.
Acta B 66 (2011) 776). Only single transitions are listed, never the averages (``KA_LINE`` …), so no
line stands twice.
"""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import xraylib
import xraylib_np  # type: ignore[import-not-found]
from numpy.typing import NDArray

from napari_xrf.core.cores import one_thread_of
from napari_xrf.core.errors import InvalidInput

SHELLS = ("K", "L", "M")
_MAIN_LINE = re.compile(r"([A-Z][a-z]?)[_-]?([KLM])(?:[_-]?(?:alpha|[aα])1?)?")  # FeK, Fe-Ka, Fe_Kα1
HEAVIEST = 94  # Pu: the last element with complete tables in xraylib

_TRANSITION = re.compile(r"^(K|L[1-3]|M[1-5])([L-P]\d+)_LINE$")
# The outermost K transitions of heavy elements exist in xraylib only as these two sums.
_LAST_BY_K = 56  # barium: K lines of heavier elements lie above what most tubes excite
_K_OUTER = {"KO_LINE": "KO", "KP_LINE": "KP"}
_SUBSHELLS = {"K": ("K",), "L": ("L1", "L2", "L3"), "M": ("M1", "M2", "M3", "M4", "M5")}
_SIEGBAHN = {
    "KL3": "Kα1", "KL2": "Kα2", "KM3": "Kβ1", "KM2": "Kβ3", "KN3": "Kβ2", "KN2": "Kβ2",
    "L3M5": "Lα1", "L3M4": "Lα2", "L2M4": "Lβ1", "L3N5": "Lβ2", "L1M3": "Lβ3", "L1M2": "Lβ4",
    "L2N4": "Lγ1", "L3M1": "Ll", "L2M1": "Lη", "M5N7": "Mα1", "M5N6": "Mα2", "M4N6": "Mβ",
    "M3N5": "Mγ",
}  # fmt: skip


@dataclass(frozen=True)
class EmissionLine:
    """One transition of one element."""

    element: str  # symbol
    transition: str  # IUPAC name, "KL3"
    subshell: str  # where the vacancy was, "K", "L3"
    energy: float  # keV
    rate: float  # its share of the radiative transitions to the vacancy; the shares of a subshell sum to 1

    @property
    def shell(self) -> str:
        """``"K"``, ``"L"`` or ``"M"``."""
        return self.subshell[0]

    @property
    def siegbahn(self) -> str:
        """The Siegbahn name, ``"Kα1"``, or the IUPAC name where none is in use."""
        return _SIEGBAHN.get(self.transition, self.transition)


def atomic_number(element: str) -> int:
    """Return Z of an element's symbol.

    Raises InvalidInput when there is no such element, or it is heavier than plutonium.
    """
    try:
        number = xraylib.SymbolToAtomicNumber(element)
    except (ValueError, TypeError):
        raise InvalidInput(f"there is no element {element!r}", "Write symbols such as Fe or Pb") from None
    if number > HEAVIEST:
        raise InvalidInput(f"there are no line tables for {element}")
    return int(number)


def parse_elements(text: str) -> tuple[str, ...]:
    """Return the elements and line families of a text such as ``"Fe, ca; pb l"``, each once.

    Commas, semicolons and, between elements, spaces separate them; capital letters do not matter. A family
    may be named by its main line too, ``"Fe Kα"``, ``"FeKa"``. Raises InvalidInput when a word is neither.
    """
    names = []
    for part in re.split(r"[,;]", text):
        words = part.split()
        if len(words) == 2 and words[1].upper() in SHELLS:
            words = [f"{words[0].capitalize()}-{words[1].upper()}"]
        elif len(words) == 2 and not _is_element(words[1]):
            words = ["-".join(words)]
        for word in words:
            line = None if _is_element(word) else _MAIN_LINE.fullmatch(word)
            if line is None and not _is_element(word):
                hint = "Write symbols such as Fe, or line families such as Pb L"
                raise InvalidInput(f"there is no element {word.replace('-', ' ')!r}", hint)
            names.append(family_name(line[1], line[2]) if line else word.capitalize())
            atomic_number(names[-1].split()[0])
    return tuple(dict.fromkeys(names))


def _is_element(word: str) -> bool:
    try:
        return xraylib.SymbolToAtomicNumber(word.capitalize()) > 0
    except ValueError:
        return False


def family_name(element: str, shell: str) -> str:
    """Return the name of a line family, ``"Fe K"``."""
    return f"{element} {shell}"


def split_family(family: str) -> tuple[str, str]:
    """Return element and shell of a family's name.

    Raises InvalidInput when the name is not an element's symbol and K, L or M.
    """
    element, _, shell = family.strip().partition(" ")
    if shell not in SHELLS:
        raise InvalidInput(f"{family!r} is no line family", "Write for example 'Fe K' or 'Pb L'")
    atomic_number(element)
    return element, shell


def usual_family(element: str) -> str:
    """Return the line family of an element that shows in most instruments: K up to barium, L above.

    Raises InvalidInput when there is no such element.
    """
    return f"{element} {'K' if atomic_number(element) <= _LAST_BY_K else 'L'}"


@cache
def emission_lines(element: str) -> tuple[EmissionLine, ...]:
    """Return every single K, L and M line of an element, by falling energy."""
    energies, rates = (table[atomic_number(element)] for table in _tables())
    lines = []
    for index in np.flatnonzero((energies > 0) & (rates > 0)):
        subshell, transition, _ = _transitions()[index]
        lines.append(EmissionLine(element, transition, subshell, float(energies[index]), float(rates[index])))
    return tuple(sorted(lines, key=lambda line: -line.energy))


@cache
def edge_energy(element: str, subshell: str) -> float:
    """Return the absorption edge of a subshell (``"K"``, ``"L3"``) in keV, 0 where the atom has none."""
    return _value(xraylib.EdgeEnergy, atomic_number(element), getattr(xraylib, f"{subshell}_SHELL"))


@cache
def family_lines(
    element: str, shell: str, excitation_kev: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lines of a family and the shares in which photons of one energy excite them.

    ``element``, ``shell``: ``"Fe"``, ``"K"``. ``excitation_kev``: energy of the exciting photons; it decides
    how the L and M subshells share the vacancies, cascades from inner shells included.

    Returns
    -------
    energies : (N,) keV, falling
    shares : (N,) emitted photons, summing to 1
        Both empty when no subshell of the family can be excited. Read-only.
    """
    number = atomic_number(element)
    energies, weights = [], []
    for line in emission_lines(element):
        if line.shell != shell or edge_energy(element, line.subshell) >= excitation_kev:
            continue
        macro = _macro(line.transition)
        emitted = _value(xraylib.CS_FluorLine_Kissel_Cascade, number, macro, excitation_kev)
        if emitted > 0:
            energies.append(line.energy)
            weights.append(emitted)
    total = sum(weights)
    shares = np.array(weights) / total if total > 0 else np.zeros(0)
    at = np.array(energies if total > 0 else [], dtype=np.float64)
    at.flags.writeable = shares.flags.writeable = False
    return at, shares


@cache
def main_line(element: str, shell: str) -> EmissionLine | None:
    """Return the line a family is known by (Kα1, Lα1, Mα1), or None when the atom has none."""
    preferred = {"K": "KL3", "L": "L3M5", "M": "M5N7"}[shell]
    family = [line for line in emission_lines(element) if line.shell == shell]
    for line in family:
        if line.transition == preferred:
            return line
    deepest = _SUBSHELLS[shell][-1]
    candidates = [line for line in family if line.subshell == deepest] or family
    return max(candidates, key=lambda line: line.rate, default=None)


@cache
def _transitions() -> tuple[tuple[str, str, int], ...]:
    """(subshell, IUPAC name, xraylib's number) of every single transition."""
    found = []
    for name in dir(xraylib):
        if match := _TRANSITION.match(name):
            found.append((match[1], match[1] + match[2], getattr(xraylib, name)))
        elif name in _K_OUTER:
            found.append(("K", _K_OUTER[name], getattr(xraylib, name)))
    return tuple(found)


@cache
@one_thread_of("openmp")  # as xraylib_np is
def _tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy, keV, and radiative rate of every transition, (Z, L) each, 0 where there is none."""
    numbers = np.arange(HEAVIEST + 1)
    macros = np.array([macro for _, _, macro in _transitions()])
    return xraylib_np.LineEnergy(numbers, macros), xraylib_np.RadRate(numbers, macros)


@cache
def _macro(transition: str) -> int:
    return int(getattr(xraylib, f"{transition}_LINE"))


def _value(function, *arguments) -> float:  # type: ignore[no-untyped-def]
    # xraylib raises where its tables hold nothing: no such shell, or no such transition.
    try:
        return float(function(*arguments))
    except ValueError:
        return 0.0
