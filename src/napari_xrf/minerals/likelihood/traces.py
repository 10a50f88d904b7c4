"""What each line family of each element adds to a spectrum: traces that no formula names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import edge_energy, family_name, main_line
from napari_xrf.maps.spectra.non_negative import fit_bounded
from napari_xrf.minerals.likelihood.templates import EnergyBins, Templates, without_tiny
from napari_xrf.physics.forward import expect_samples
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.materials import Material

# From oxygen, which electrons show, to uranium, without gases and what decays before a rock is old.
ELEMENTS = (
    "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co",
    "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Ru", "Rh", "Pd",
    "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tb",
    "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb",
    "Bi", "Th", "U",
)  # fmt: skip
_PERCENT = 0.01
_BESIDE_KEV, _SHINES = 0.12, 1e-3  # from a line; of the strongest channel
_LEAST = 1e-4  # counts of a per cent, of those of the whole matrix: nothing that anyone would see
_GAP = 1.45  # ratio of energies between the shells of an element; within one, lines lie closer


@dataclass(frozen=True, eq=False)
class Families:
    """Line families in energy bins."""

    names: tuple[str, ...]  # F names, "Fe K"
    elements: tuple[str, ...]  # their elements
    shapes: NDArray[np.float64]  # (F, B) counts of each in the bins, of sum 1
    per_percent: NDArray[np.float64]  # (F,) counts per unit of dose of 1 weight per cent in silica


@dataclass(frozen=True, eq=False)
class Expected:
    """Expected spectra and the line families that they are made of."""

    templates: Templates  # T spectra
    families: Families  # F line families
    parts: NDArray[np.float64]  # (T, F) how much of each spectrum is of each family of its mineral's elements

    @classmethod
    def of(cls, templates: Templates, families: Families) -> Expected:
        """Part the lines of templates by family."""
        parts = np.zeros((templates.size, len(families.names)))
        for owner in np.unique(templates.owner):
            materials = templates.minerals[owner].compositions()
            named = frozenset[str]().union(*(material.mass_fractions for material in materials))
            own = [place for place, element in enumerate(families.elements) if element in named]
            for row in np.flatnonzero(templates.owner == owner) if own else ():
                parts[row, own] = fit_bounded(families.shapes[own].T, templates.lines[row])
        return cls(templates, families, parts)

    def scaled(self, curve: NDArray[np.float64], factors: NDArray[np.float64]) -> Expected:
        """Return what is expected of bins that hold (B,) times as much, and families (F,) times as much."""
        known, families = self.templates, self.families
        lines = (known.lines + (self.parts * (factors - 1)) @ families.shapes).clip(0) * curve
        continuum = known.continuum  # has its own errors
        sums = (lines + continuum).sum(axis=1)
        shapes = families.shapes * curve
        seen = shapes.sum(axis=1)
        return Expected(
            replace(
                known,
                lines=lines / sums[:, None],
                continuum=continuum / sums[:, None],
                totals=known.totals * sums,
            ),
            replace(
                families, shapes=shapes / seen[:, None], per_percent=families.per_percent * factors * seen
            ),
            self.parts * factors * seen / sums[:, None],
        )

    def of_rows(self, rows: NDArray[np.intp]) -> Expected:
        """Return some of the spectra."""
        return Expected(self.templates.of_rows(rows), self.families, self.parts[rows])

    def joined(self, more: Expected) -> Expected:
        """Return these spectra and, behind them, more in the same bins with its list of minerals."""
        first, second = self.templates, more.templates
        both = replace(
            second,
            lines=np.concatenate([first.lines, second.lines]),
            continuum=np.concatenate([first.continuum, second.continuum]),
            owner=np.concatenate([first.owner, second.owner]),
            totals=np.concatenate([first.totals, second.totals]),
        )
        return Expected(both, self.families, np.concatenate([self.parts, more.parts]))


def line_families(instrument: Instrument, bins: EnergyBins) -> Families:
    """Return the families that an instrument sees of 1 % of each element in silica."""
    energies = instrument.energy.energies
    names, elements, rows = [], [], []
    for element, added, matrix in zip(ELEMENTS, *_added_lines(instrument), strict=True):
        for shell, low, high in _shells(element, instrument.source.highest_kev):
            inside = (energies >= low) & (energies < high)
            # An element changes what its matrix shines, too: that is no line of it.
            line = main_line(element, shell)
            assert line is not None
            beside = _BESIDE_KEV + 0.2 * line.energy * (shell != "K")
            inside &= (np.abs(energies - line.energy) < beside) | ~matrix
            rows.append(bins.sum(np.where(inside, added, 0.0)))
            names.append(family_name(element, shell))
            elements.append(element)
    counts = without_tiny(np.array(rows))
    total = counts.sum(axis=1)
    seen = total > _LEAST * total.max()
    return Families(
        tuple(np.array(names)[seen].tolist()),
        tuple(np.array(elements)[seen].tolist()),
        counts[seen] / total[seen, None],
        total[seen],
    )


@lru_cache(maxsize=2)
def _added_lines(instrument: Instrument) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(Z, E) what 1 % of each element adds to silica, silicon to alumina; and where these shine."""
    silica = Material.from_formula("SiO2", 2.65)
    alumina = Material.from_formula("Al2O3", 4.0)
    bases = [alumina if element == "Si" else silica for element in ELEMENTS]
    mixed = [_with(base, element) for base, element in zip(bases, ELEMENTS, strict=True)]
    lines = expect_samples([silica, alumina, *mixed], instrument, order=1).lines
    own = np.where(np.array(ELEMENTS)[:, None] == "Si", lines[1], lines[0])
    shining = own > _SHINES * own.max(axis=1, keepdims=True)
    return np.asarray((lines[2:] - (1 - _PERCENT) * own).clip(0)), shining


def _with(base: Material, element: str) -> Material:
    fractions = {name: (1 - _PERCENT) * part for name, part in base.mass_fractions.items()}
    fractions[element] = fractions.get(element, 0.0) + _PERCENT
    return Material(f"{base.name} with {element}", fractions, base.density)


def _shells(element: str, highest_kev: float) -> list[tuple[str, float, float]]:
    """Return the shells that the excitation reaches, and the energies between which their lines lie."""
    lines = [(shell, main_line(element, shell)) for shell in ("K", "L", "M")]
    reached = [
        (shell, line.energy)
        for shell, line in lines
        if line is not None and edge_energy(element, line.subshell) < highest_kev
    ]
    bounds = []
    for place, (shell, energy) in enumerate(reached):
        top = np.inf if place == 0 else np.sqrt(energy * reached[place - 1][1])
        low = energy / _GAP if place == len(reached) - 1 else np.sqrt(energy * reached[place + 1][1])
        bounds.append((shell, float(low), float(top)))
    return bounds
