"""Materials: what substances are made of by weight, and how dense they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.formulas import mass_fractions


@dataclass(frozen=True)
class Material:
    """A substance: what it is made of and how dense it is.

    Raises InvalidInput for an unknown element, a fraction or density that is not above zero, or fractions
    that do not sum to 1.
    """

    name: str  # its name, or its formula
    # Element's symbol → fraction by weight; above 0, summing to 1. Read-only.
    mass_fractions: Mapping[str, float]
    density: float = 1.0  # g/cm³, above 0

    def __post_init__(self) -> None:
        if not self.mass_fractions:
            raise InvalidInput(f"{self.name!r} holds no element")
        for element, fraction in self.mass_fractions.items():
            atomic_number(element)
            if not (math.isfinite(fraction) and fraction > 0):
                raise InvalidInput(f"the fraction of {element} in {self.name!r} must be above 0")
        if abs(sum(self.mass_fractions.values()) - 1) > 1e-6:
            raise InvalidInput(f"the fractions in {self.name!r} do not sum to 1")
        if not (math.isfinite(self.density) and self.density > 0):
            raise InvalidInput(f"the density of {self.name!r} must be above 0 g/cm³, not {self.density}")
        object.__setattr__(self, "mass_fractions", MappingProxyType(dict(self.mass_fractions)))

    def __hash__(self) -> int:
        # A mapping has no hash of its own; materials are keys of caches.
        return hash((self.name, self.density, frozenset(self.mass_fractions.items())))

    def __reduce__(self) -> tuple[type[Material], tuple[str, dict[str, float], float]]:
        return Material, (self.name, dict(self.mass_fractions), self.density)  # a proxy cannot be pickled

    @classmethod
    def from_formula(cls, formula: str, density: float = 1.0, name: str = "") -> Material:
        """Make a material of a formula such as ``"CaCO3"``, ``"(Zn0.9Fe0.1)S"`` or ``"CaSO4·2H2O"``."""
        return cls(name or formula, mass_fractions(formula), density)

    @classmethod
    def from_mixture(cls, parts: Mapping[str, float], density: float = 1.0, name: str = "") -> Material:
        """Make a material of formulas and their parts by weight (any sum), ``{"Cu": 90, "Sn": 10}``."""
        total = sum(parts.values())
        if any(not (math.isfinite(part) and part >= 0) for part in parts.values()) or total <= 0:
            raise InvalidInput("parts by weight must be numbers from 0, not all 0")
        mixed: dict[str, float] = {}
        for formula, part in parts.items():
            if part == 0:
                continue
            for element, fraction in mass_fractions(formula).items():
                mixed[element] = mixed.get(element, 0.0) + fraction * part / total
        return cls(name or " + ".join(parts), mixed, density)
