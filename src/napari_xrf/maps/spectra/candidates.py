"""Which elements a spectrum may hold, and how likely each is before looking."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xraylib
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import HEAVIEST, edge_energy, main_line, split_family
from napari_xrf.maps.spectra.families import families_of, family_columns
from napari_xrf.maps.spectra.setting import Setting

# Noble gases do not stay in solids; no isotope of the others lives long enough to be found in a sample.
NEVER = frozenset(("He", "Ne", "Kr", "Xe", "Rn", "Tc", "Pm", "Po", "At", "Fr", "Ra", "Ac", "Pa", "Np", "Pu"))

# Natural logarithms of the odds that a sample of rock, ore, metal or glass shows an element, in
# rough classes.
_LISTED, _COMMON, _USUAL, _RARE, _VERY_RARE = 0.0, -1.0, -3.5, -7.0, -10.0
COMMON_ELEMENTS = frozenset(
    ("C", "O", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Ti", "Mn", "Fe")
)  # fmt: skip
_USUAL_ELEMENTS = frozenset((
    "N", "F", "Ar", "V", "Cr", "Co", "Ni", "Cu", "Zn", "As", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Ag",
    "Cd", "Sn", "Sb", "Ba", "La", "Ce", "Nd", "W", "Au", "Hg", "Pb", "Bi", "Th", "U",
))  # fmt: skip
# Rare earths of odd atomic number (rarer than both neighbours) and the scarcest metals.
_VERY_RARE_ELEMENTS = frozenset((
    "Be", "Ru", "Rh", "In", "Te", "Eu", "Tb", "Ho", "Tm", "Lu", "Re", "Os", "Ir", "Tl",
))  # fmt: skip

# M lines lie among the K lines of Si to Cl and the L lines of Y to Mo: alone they prove little.
_BY_M_ALONE = -4.0
_TUBE_MATERIAL = -20.0  # rhodium in a tube's spectrum is the tube's, whatever was inferred or listed

# Part of the highest energy below which an edge counts as well excited: K and L photons of heavier
# elements are so much likelier than L and M photons (fluorescence yield) that electrons show them
# down to an overvoltage of 1.25.
_EXCITED_PART = {"tube": 0.6, "electron": 0.8, "monochromatic": 0.985, None: 0.97}
# Softer L lines lie among the K lines of rocks, and much is absorbed of them: K lines of zirconium under
# 28 kV, few as they are, are clearer.
_DROWNED_KEV, _CLEAR_PART = 3.0, 0.8
_MAPPED_KEV = 0.6  # below it, L lines of light metals drown among C, N, O and each other
# Softer L lines (of K, Ca and Sc: a hundredth of the photons of their K lines) are left to carbon.
_BURIED_KEV = 0.4
_FAINT_LINE_KEV = {"electron": 0.2, "tube": 0.95, "monochromatic": 0.95, None: 0.95}


@dataclass(frozen=True, eq=False)
class Candidate:
    """An element that a spectrum may hold."""

    element: str  # symbol
    families: tuple[str, ...]  # all its families in range; the first is the one whose peaks must be there
    # (F, E) expected spectra of the families, each with a sum of 1 over the whole axis
    columns: NDArray[np.float64]
    log_odds: float  # natural logarithm of the prior odds

    @property
    def mapped(self) -> tuple[str, ...]:
        """The families worth a map: the first, and others above 0.6 keV."""
        others = ((family, main_line(*split_family(family))) for family in self.families[1:])
        clear = (family for family, line in others if line is not None and line.energy >= _MAPPED_KEV)
        return (self.families[0], *clear)


def candidates(setting: Setting, listed: tuple[str, ...] = (), usual: bool = False) -> tuple[Candidate, ...]:
    """Return the elements to look for, by rising atomic number; without rare ones where ``usual``.

    Left out are noble gases but argon (of air, and of the sputtering gas in films), elements without a
    long-lived isotope, and the anode, whose lines the scattered tube spectrum holds anyway.
    """
    chosen = []
    for number in range(4, HEAVIEST + 1):
        element = xraylib.AtomicNumberToSymbol(number)
        if element in NEVER or element == setting.anode:
            continue
        families = ordered_families(element, setting)
        if families and not (usual and log_odds(element, listed) < _USUAL):
            odds = log_odds(element, listed)
            if element not in listed:
                odds += _BY_M_ALONE * families[0].endswith("M")
                odds += (_COMMON - _USUAL) * (element == "Ar" and setting.in_air)
            odds += _TUBE_MATERIAL * (element == "Rh" and setting.kind in ("tube", None))
            chosen.append((element, families, odds))
    columns = columns_by_element([families for _, families, _ in chosen], setting)
    return tuple(
        Candidate(element, families, own, odds)
        for (element, families, odds), own in zip(chosen, columns, strict=True)
        if own[0].any()
    )


def columns_of(families: tuple[str, ...], setting: Setting) -> NDArray[np.float64]:
    """Return the expected spectra of K families in a setting, (K, E), see :func:`.family_columns`."""
    return family_columns(
        families, setting.detector, setting.energy, setting.highest_kev, setting.monochromatic, setting.source
    )


def columns_by_element(families: Sequence[tuple[str, ...]], setting: Setting) -> list[NDArray[np.float64]]:
    """Return the expected spectra of each element's families, (F, E) each."""
    every = columns_of(tuple(family for own in families for family in own), setting)
    return np.split(every, np.cumsum([len(own) for own in families])[:-1]) if families else []


def ordered_families(element: str, setting: Setting) -> tuple[str, ...]:
    """Return the families of an element in range, the best excited one first; empty if none is."""
    lowest = max(setting.low, _FAINT_LINE_KEV[setting.kind])
    in_range = families_of(element, setting.energy, setting.low, setting.high, setting.highest_kev)
    lines = {family: main_line(*split_family(family)) for family in in_range}
    edges = {
        family: edge_energy(element, line.subshell)
        for family, line in lines.items()
        if line is not None and line.energy >= lowest
    }
    well = _EXCITED_PART[setting.kind]
    softer = main_line(element, "L")
    if softer is not None and softer.energy < _DROWNED_KEV:
        well = max(well, _CLEAR_PART)
    # What is excited badly still shows where nothing else of the element does: iron K under 10 kV.
    for part in (well, _EXCITED_PART[None]):
        first = next((family for family, edge in edges.items() if edge < part * setting.highest_kev), None)
        if first is not None:
            return (first, *(other for other in in_range if other != first and not _is_buried(other)))
    return ()


def _is_buried(family: str) -> bool:
    line = main_line(*split_family(family))
    return line is not None and line.shell == "L" and line.energy < _BURIED_KEV


def known_elements(listed: tuple[str, ...] = (), rarest: bool = False) -> list[tuple[str, float]]:
    """Return the elements that samples may hold, with their log-odds; the very rare too where ``rarest``."""
    every = (xraylib.AtomicNumberToSymbol(number) for number in range(6, HEAVIEST + 1))
    odds = ((element, log_odds(element, listed)) for element in every if element not in NEVER)
    return [(element, odd) for element, odd in odds if rarest or odd > _VERY_RARE]


def log_odds(element: str, listed: tuple[str, ...] = ()) -> float:
    """Return the prior log-odds of an element: listed by the file, common, usual, rare or very rare."""
    if element in listed:
        return _LISTED
    if element in COMMON_ELEMENTS:
        return _COMMON
    if element in _USUAL_ELEMENTS:
        return _USUAL
    return _VERY_RARE if element in _VERY_RARE_ELEMENTS else _RARE
