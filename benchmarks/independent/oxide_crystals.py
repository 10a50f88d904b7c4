"""How much oxides scatter coherently, over what their atoms would one by one: powders, from their crystals.

    python -m benchmarks.independent.oxide_crystals > src/napari_xrf/reference/oxide_scatter.csv

Of each momentum transfer q, 1/Å: Bragg reflections of a powder, smeared by 7 % as the knots of a lens are,
and what thermal motion (B of 0.7 Å²) puts between them. No spectrum goes in. Cells and places of atoms:
quartz Kihara, Eur. J. Mineral. 2 (1990) 63; calcite Graf, Am. Mineral. 46 (1961) 1283; corundum and hematite
Newnham & de Haan, Z. Kristallogr. 117 (1962) 235, and Blake et al., Am. Mineral. 51 (1966) 123; forsterite
Fujino et al., Acta Cryst. B37 (1981) 513; diopside Cameron et al., Am. Mineral. 58 (1973) 594; sanidine
Phillips & Ribbe, Am. Mineral. 58 (1973) 263.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
import xraylib
from numpy.typing import NDArray

Array = NDArray[np.float64]

SILICATES = ("quartz", "sanidine", "diopside", "forsterite")
TRANSFERS = np.round(
    np.concatenate([np.arange(1.6, 5.0, 0.2), np.arange(5.0, 7.0, 0.5), np.arange(7, 13)]), 2
)
_SMEARED, _B = 0.07, 0.7
# Signs and order of x, y, z, and the shift of each operation of a space group.
_GROUPS: dict[str, str] = {
    "P3221": "x,y,z;-y,x-y,z+2/3;y-x,-x,z+1/3;y,x,-z;x-y,-y,1/3-z;-x,y-x,2/3-z",
    "R-3c": "x,y,z;-y,x-y,z;y-x,-x,z;y,x,1/2-z;x-y,-y,1/2-z;-x,y-x,1/2-z",
    "Pbnm": "x,y,z;-x,-y,z+1/2;1/2-x,y+1/2,1/2-z;x+1/2,1/2-y,-z",
    "C2/c": "x,y,z;-x,y,1/2-z",
    "C2/m": "x,y,z;-x,y,-z",
    "Fm-3m": "x,y,z",
}
_INVERTED = ("R-3c", "Pbnm", "C2/c", "C2/m")
_HALF = (0.5, 0.5, 0.0)
_CENTRED: dict[str, tuple[tuple[float, float, float], ...]] = {
    "R-3c": ((2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3)),
    "C2/c": (_HALF,),
    "C2/m": (_HALF,),
    "Fm-3m": (_HALF, (0.5, 0.0, 0.5), (0.0, 0.5, 0.5)),
}
# Space group; a, b, c in Å and β in degrees, γ of trigonal ones being 120; elements and places.
_CRYSTALS = {
    "quartz": ("P3221", (4.9134, 4.9134, 5.4052, 90), "Si .4697 0 .66667  O .4133 .2672 .7855"),
    "sanidine": (
        "C2/m", (8.604, 13.035, 7.175, 115.99),
        "K .284 0 .137  Si .0097 .1850 .2233  Si .7089 .1178 .3444  O 0 .1459 0  O .6343 0 .2858"
        "  O .8273 .1469 .2253  O .0347 .3100 .2579  O .1793 .1269 .4024",
    ),
    "diopside": (
        "C2/c", (9.746, 8.899, 5.251, 105.63),
        "Ca 0 .3015 .25  Mg 0 .9082 .25  Si .2862 .0933 .2293  O .1156 .0873 .1422"
        "  O .3611 .2500 .3180  O .3505 .0176 .9953",
    ),
    "forsterite": (
        "Pbnm", (4.756, 10.207, 5.980, 90),
        "Mg 0 0 0  Mg .9915 .2774 .25  Si .4262 .0940 .25  O .7657 .0913 .25  O .2215 .4474 .25"
        "  O .2777 .1628 .0331",
    ),
    "calcite": ("R-3c", (4.990, 4.990, 17.061, 90), "Ca 0 0 0  C 0 0 .25  O .2568 0 .25"),
    "corundum": ("R-3c", (4.7589, 4.7589, 12.991, 90), "Al 0 0 .3522  O .3063 0 .25"),
    "hematite": ("R-3c", (5.038, 5.038, 13.772, 90), "Fe 0 0 .3553  O .3056 0 .25"),
    "periclase": ("Fm-3m", (4.212, 4.212, 4.212, 90), "Mg 0 0 0  O .5 .5 .5"),
}  # fmt: skip
CRYSTALS = tuple(_CRYSTALS)


def main() -> None:
    """Print the table."""
    print("# Coherent scattering of powders of oxides over that of their atoms one by one, at momentum")
    print("# transfers q in 1/Å, by python -m benchmarks.independent.oxide_crystals (sources there).")
    print(",".join(("q", *CRYSTALS)))
    columns = [structure_factor(name) for name in CRYSTALS]
    for k, transfer in enumerate(TRANSFERS):
        print(",".join([f"{transfer:g}", *(f"{column[k]:.3f}" for column in columns)]))


@cache
def structure_factor(name: str) -> Array:
    """Return a crystal's factor at ``TRANSFERS``."""
    cell, atoms = _cell(name), _atoms(name)
    reciprocal, top = 2 * np.pi * np.linalg.inv(cell).T, 1.4 * TRANSFERS.max()
    most = [int(top / (2 * np.pi) * np.linalg.norm(axis)) + 1 for axis in cell]
    indices = np.array(list(itertools.product(*(range(-number, number + 1) for number in most))))
    at = np.linalg.norm(indices @ reciprocal, axis=1)
    indices, at = indices[(at > 0.1) & (at < top)], at[(at > 0.1) & (at < top)]
    half = at / (4 * np.pi)
    amplitude = np.zeros(at.size, complex)
    for element in {element for element, _ in atoms}:
        places = np.array([place for own, place in atoms if own == element])
        phases = np.exp(2j * np.pi * indices @ places.T).sum(axis=1)
        amplitude += phases * _form(element, half) * np.exp(-_B * half**2)
    strengths = 2 * np.pi**2 / abs(np.linalg.det(cell)) * np.abs(amplitude) ** 2 / at**2
    spread = _SMEARED * at
    near = np.exp(-0.5 * (np.log(at / TRANSFERS[:, None]) / _SMEARED) ** 2) / (np.sqrt(2 * np.pi) * spread)
    halves = TRANSFERS / (4 * np.pi)
    alone = sum(_form(element, halves) ** 2 for element, _ in atoms)
    return np.asarray(near @ strengths / alone - np.expm1(-2 * _B * halves**2))


def _form(element: str, halves: Array) -> Array:
    number = xraylib.SymbolToAtomicNumber(element)
    return np.array([xraylib.FF_Rayl(number, half) for half in halves])


def _cell(name: str) -> Array:
    group, (a, b, c, beta) = _CRYSTALS[name][:2]
    turned, tilted = np.radians([120 if group in ("P3221", "R-3c") else 90, beta])
    return np.array(
        [
            [a, 0.0, 0.0],
            [b * np.cos(turned), b * np.sin(turned), 0.0],
            [c * np.cos(tilted), 0.0, c * np.sin(tilted)],
        ]
    )


def _atoms(name: str) -> list[tuple[str, Array]]:
    group, _, text = _CRYSTALS[name]
    words, found = text.split(), []
    for k in range(0, len(words), 4):
        places: list[Array] = []
        for place in _images(group, [float(word) for word in words[k + 1 : k + 4]]):
            apart = [np.abs((place - other + 0.5) % 1 - 0.5).max() for other in places]
            if min(apart, default=1.0) > 1e-3:
                places.append(place)
        found += [(words[k], place) for place in places]
    return found


def _images(group: str, place: Sequence[float]) -> list[Array]:
    signs = (1, -1) if group in _INVERTED else (1,)
    moved = [_moved(operation, place) for operation in _GROUPS[group].split(";")]
    shifts = ((0.0, 0.0, 0.0), *_CENTRED.get(group, ()))
    return [(sign * one + shift) % 1 for one in moved for sign in signs for shift in shifts]


def _moved(operation: str, place: Sequence[float]) -> Array:
    """Return a place after an operation such as ``x-y,-y,1/3-z``."""
    found = []
    for term in operation.split(","):
        total = 0.0
        for part in term.replace("-", "+-").split("+"):
            sign, bare = (-1.0, part[1:]) if part.startswith("-") else (1.0, part)
            if bare in ("x", "y", "z"):
                total += sign * place["xyz".index(bare)]
            elif bare:
                above, below = bare.split("/")
                total += sign * float(above) / float(below)
        found.append(total)
    return np.array(found)


if __name__ == "__main__":
    main()
