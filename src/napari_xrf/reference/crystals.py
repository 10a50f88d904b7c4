"""Crystals of elements at room temperature, and how oxides scatter; sources in the tables."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.reference.tables import read_table, shipped

_SILICATES = ("quartz", "sanidine", "diopside", "forsterite")


@dataclass(frozen=True)
class Lattice:
    """The crystal of an element at room temperature."""

    kind: str  # "bcc", "fcc", "diamond" or "hcp"
    # a, c: lattice constants, Å; both the same of a cubic one
    a: float
    c: float
    b: float  # B of the Debye-Waller factor exp(-Bs²), Å²

    @property
    def volume(self) -> float:
        """Volume of the unit cell, Å³."""
        return self.a**2 * self.c * (math.sqrt(0.75) if self.kind == "hcp" else 1.0)


@cache
def lattices() -> dict[str, Lattice]:
    """Return the crystals of elements that are known, by symbol."""
    return {
        row["element"]: Lattice(row["lattice"], float(row["a"]), float(row["c"] or row["a"]), float(row["b"]))
        for _, row in read_table(shipped("crystals.csv"))
    }


@dataclass(frozen=True, eq=False)
class OxideScatter:
    """Coherent scattering of powders of oxides over that of their atoms one by one."""

    transfers: NDArray[np.float64]  # (Q,) momentum transfers, 1/Å
    factors: dict[str, NDArray[np.float64]]  # crystal → (Q,)

    def of(self, silicate: bool) -> NDArray[np.float64]:
        """Return the factors of the silicates, or of the other crystals, (crystals, Q)."""
        return np.array([own for name, own in self.factors.items() if (name in _SILICATES) == silicate])


@cache
def oxide_scatter() -> OxideScatter:
    """Return the table of oxides."""
    rows = [row for _, row in read_table(shipped("oxide_scatter.csv"))]
    factors = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    return OxideScatter(factors.pop("q"), factors)
