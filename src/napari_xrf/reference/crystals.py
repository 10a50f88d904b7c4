"""Crystals of elements at room temperature; sources in ``crystals.csv``."""

import math
from dataclasses import dataclass
from functools import cache

from napari_xrf.reference.tables import read_table, shipped


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
