"""Samples whose elements occur together: minerals, paints, alloys, glasses, rocks, and chance mixtures."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from napari_xrf.physics.attenuation import Layer
from napari_xrf.reference.materials import Material
from napari_xrf.reference.minerals import load_library
from napari_xrf.reference.pigments import load_pigments
from napari_xrf.synthesis.sampling import log_uniform
from napari_xrf.synthesis.substrates import GROUNDS, SUBSTRATES

Random = np.random.Generator
Parts = dict[str, float]

# Elements that samples are made of; their lines are what networks name.
SAMPLE_ELEMENTS = (
    "C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn",
    "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Ru", "Rh",
    "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tb",
    "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi",
    "Th", "U",
)  # fmt: skip
METALS = (
    "Mg", "Al", "Si", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "Zr", "Nb", "Mo", "Ru",
    "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "Hf", "Ta", "W", "Re", "Ir", "Pt", "Au", "Hg", "Pb", "Bi",
)  # fmt: skip
_BASES = ("Fe", "Fe", "Cu", "Cu", "Al", "Ni", "Ti", "Zn", "Sn", "Pb", "Ag", "Au", "Mg")
_COMPOUNDS = ("SiO2", "CaCO3", "Al2O3", "C6H10O5", "CaSO4", "NaCl", "MgO", "Fe2O3", "C5H8O2", "H2O")
_THIN_SHARE = 0.3
_TRACE_SHARE = 0.5


def draw_sample(generator: Random, thick: bool = False, pure_minerals: bool = True) -> tuple[Layer, ...]:
    """Return a sample as layers; always one thick layer, or none of the library's minerals, where asked."""
    shares = np.array(_SHARES) * (np.arange(len(_SHARES)) >= (not pure_minerals))
    make = _MAKERS[int(generator.choice(len(_MAKERS), p=shares / shares.sum()))]
    parts = make(generator)
    if generator.random() < _TRACE_SHARE:
        parts = _added(parts, _some(generator, dict.fromkeys(SAMPLE_ELEMENTS, (1e-5, 0.02)), 6))
    material = _material(parts, float(generator.uniform(1.5, 6)))
    if thick or generator.random() >= _THIN_SHARE:
        return (Layer(material, math.inf),)
    film = Layer(material, float(log_uniform(generator, (0.05, 100))))
    below = (*SUBSTRATES.values(), *GROUNDS.values(), Material("plastic", _fractions({"C": 0.92, "H": 0.08})))
    under: Material = below[int(generator.integers(len(below)))]
    if generator.random() < 0.3:
        under = _material(_MAKERS[int(generator.choice(len(_MAKERS), p=_SHARES))](generator), 2.5)
    if generator.random() < 0.2:  # two paints, one over the other
        over = _material(_paint(generator), 2.0)
        return Layer(over, float(log_uniform(generator, (1, 50)))), film, Layer(under, math.inf)
    return film, Layer(under, math.inf)


def trace_carrier(generator: Random, elements: Sequence[str]) -> Material:
    """Return a light material with an equal trace of each of some elements, for the shapes of their lines."""
    matrix = ("C6H10O5", "SiO2", "CaCO3", "Al2O3")[int(generator.integers(4))]
    parts = dict(Material.from_formula(matrix).mass_fractions)
    return _material(_added(parts, dict.fromkeys(elements, 3e-4)), 2.0)


def _mineral(generator: Random) -> Parts:
    library = _library()
    one = library[int(generator.integers(len(library)))]
    shares = [generator.uniform(entry.low, entry.high) for entry in one.substitutions]
    return dict(one.composition(shares).mass_fractions)


def _mixed_minerals(generator: Random) -> Parts:
    parts: Parts = {}
    for _ in range(int(generator.integers(2, 5))):
        amount = generator.exponential()
        parts = _added(parts, {name: amount * value for name, value in _mineral(generator).items()})
    return parts


def _paint(generator: Random) -> Parts:
    pigments, parts = _pigments(), dict(Material.from_formula("C57H98O6").mass_fractions)
    for place in generator.choice(len(pigments), size=int(generator.integers(1, 4)), replace=False):
        amount = float(log_uniform(generator, (0.1, 4)))
        own = pigments[int(place)].material.mass_fractions
        parts = _added(parts, {name: amount * value for name, value in own.items()})
    return parts


def _alloy(generator: Random) -> Parts:
    parts = {str(generator.choice(_BASES)): 1.0}
    return _added(parts, _some(generator, dict.fromkeys(METALS, (5e-4, 0.5)), 5))


def _pure(generator: Random) -> Parts:
    return {str(generator.choice(METALS)): 1.0}


def _compound(generator: Random) -> Parts:
    """Return an oxide, sulphide, halide or carbide of one element, or something plain."""
    if generator.random() < 0.4:
        return dict(Material.from_formula(str(generator.choice(_COMPOUNDS))).mass_fractions)
    other, amount = (("O", 0.3), ("S", 0.4), ("Cl", 0.5), ("F", 0.4), ("C", 0.1), ("N", 0.1))[
        int(generator.choice(6, p=(0.5, 0.2, 0.1, 0.08, 0.06, 0.06)))
    ]
    element = str(generator.choice([name for name in SAMPLE_ELEMENTS if name not in (other, "Ar", "N")]))
    return {element: 1 - amount, other: amount}


def _glass(generator: Random) -> Parts:
    parts = {"SiO2": 60.0}
    usual = {
        "Na2O": (1.0, 18.0), "K2O": (0.3, 15.0), "CaO": (0.3, 18.0), "MgO": (0.2, 15.0), "Al2O3": (0.2, 18.0),
        "PbO": (0.3, 60.0), "BaO": (0.3, 20.0), "Fe2O3": (0.02, 18.0), "ZnO": (0.1, 10.0),
        "TiO2": (0.02, 5.0), "MnO": (0.02, 3.0), "B2O3": (1.0, 15.0), "P2O5": (0.1, 4.0),
    }  # fmt: skip
    rarer = {
        "CuO": (0.02, 4.0), "CoO": (0.01, 1.0), "Sb2O3": (0.03, 4.0), "SnO2": (0.03, 6.0), "SrO": (0.01, 3.0),
        "As2O3": (0.02, 2.0), "ZrO2": (0.02, 5.0), "CeO2": (0.03, 3.0), "Cl": (0.05, 1.5), "SO3": (0.05, 2.0),
        "CdS": (0.05, 1.0), "La2O3": (0.1, 10.0), "Nd2O3": (0.05, 2.0), "UO3": (0.05, 1.0),
    }  # fmt: skip
    return _oxides({**parts, **_some(generator, usual, 9), **_some(generator, rarer, 4)})


def _rock(generator: Random) -> Parts:
    ranges = {
        "SiO2": (10.0, 75.0), "Al2O3": (1.0, 20.0), "Fe2O3": (0.3, 20.0), "MgO": (0.2, 30.0),
        "CaO": (0.2, 30.0), "Na2O": (0.2, 6.0), "K2O": (0.1, 8.0), "TiO2": (0.03, 3.0), "MnO": (0.02, 0.8),
        "P2O5": (0.02, 2.0), "SO3": (0.02, 10.0), "C6H10O5": (0.1, 40.0), "CaCO3": (0.1, 50.0),
    }  # fmt: skip
    traces = dict.fromkeys(
        ("V2O5", "Cr2O3", "NiO", "CuO", "ZnO", "As2O3", "Rb2O", "SrO", "Y2O3", "ZrO2", "Nb2O5", "BaO",
         "La2O3", "CeO2", "PbO", "Cl", "Ga2O3", "Br", "MoO3", "SnO2", "WO3", "ThO2", "UO2", "Co3O4"),
        (0.002, 0.15),
    )  # fmt: skip
    parts = {name: float(log_uniform(generator, entry)) for name, entry in ranges.items()}
    return _oxides({**parts, **_some(generator, traces, 10)})


def _chance(generator: Random) -> Parts:
    parts = dict(Material.from_formula(str(generator.choice(_COMPOUNDS))).mass_fractions)
    return _added(parts, _some(generator, dict.fromkeys(SAMPLE_ELEMENTS, (1e-4, 1.0)), 12))


def _organic(generator: Random) -> Parts:
    parts = {"C": 1.0, "O": float(generator.uniform(0, 0.8)), "H": 0.1, "N": float(generator.uniform(0, 0.1))}
    usual = dict.fromkeys(("Na", "Mg", "P", "S", "Cl", "K", "Ca", "Fe", "Cu", "Zn", "Br"), (1e-4, 0.03))
    return _added(parts, _some(generator, usual, 8)) if generator.random() < 0.7 else parts


_MAKERS: tuple[Callable[[Random], Parts], ...] = (
    _mineral, _mixed_minerals, _paint, _alloy, _pure, _compound, _glass, _rock, _chance, _organic,
)  # fmt: skip
_SHARES = (0.16, 0.1, 0.12, 0.12, 0.07, 0.08, 0.1, 0.12, 0.08, 0.05)


def _some(generator: Random, ranges: Mapping[str, tuple[float, float]], most: int) -> Parts:
    """Return up to so many of some parts, each between two amounts, even in the logarithm."""
    number = min(int(generator.integers(0, most + 1)), len(ranges))
    names = generator.choice(list(ranges), size=number, replace=False)
    return {str(name): float(log_uniform(generator, ranges[str(name)])) for name in names}


def _oxides(parts: Mapping[str, float]) -> Parts:
    return dict(Material.from_mixture(parts).mass_fractions)


def _added(parts: Mapping[str, float], more: Mapping[str, float]) -> Parts:
    return {name: parts.get(name, 0.0) + more.get(name, 0.0) for name in (*parts, *more)}


def _fractions(parts: Mapping[str, float]) -> Parts:
    total = sum(parts.values())
    return {name: value / total for name, value in parts.items() if value > 0}


def _material(parts: Mapping[str, float], density: float) -> Material:
    return Material("sample", _fractions(parts), density)


_library = cache(load_library)
_pigments = cache(load_pigments)
