"""A synthetic lithium pegmatite: the sample map of demo and plugin."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.mineral_map import SyntheticMap, synthesize_mineral_map
from napari_xrf.synthesis.textures import Occurrence, Texture


@dataclass(frozen=True)
class _Mineral:
    name: str
    formula: str
    density: float
    color: str
    phase: Occurrence


# Formulas with the substitutions usual in LCT pegmatites (rare-element class: London, Can. Mineral. 56
# (2018) 349); densities from the Handbook of Mineralogy (Anthony et al.). Zoning partners are positions in
# this table.
_MINERALS = (
    _Mineral("quartz", "SiO2", 2.65, "#e6e2d3", Occurrence(0.24)),
    _Mineral("albite", "NaAlSi3O8", 2.62, "#cfd8e6", Occurrence(0.24, size=0.8, elongation=2.0)),
    _Mineral("K-feldspar", "K0.88Na0.08Rb0.04AlSi3O8", 2.57, "#f4b6a6", Occurrence(0.14, size=1.8)),
    _Mineral("spodumene", "LiAl0.98Fe0.02Si2O6", 3.15, "#a8d8a0", Occurrence(0.12, size=1.8, elongation=5.0)),
    _Mineral(
        "muscovite", "K0.95Rb0.05Al2.9Fe0.1Si3O10(OH)2", 2.82, "#d9cba0",
        Occurrence(0.06, size=0.8, elongation=3.5),
    ),
    _Mineral(
        "lepidolite", "K0.85Rb0.13Cs0.02Li1.5Al2.3Mn0.1Si3.1O10F2", 2.84, "#b79fd0",
        Occurrence(0.07, size=0.8, elongation=3.0),
    ),
    _Mineral(
        "schorl", "NaFe2.7Mn0.3Al6Si6O18(BO3)3(OH)4", 3.18, "#2f3b52",
        Occurrence(0.05, size=1.2, elongation=5.0, zoned_to=7),
    ),
    _Mineral(
        "elbaite", "NaLi1.4Al7.4Mn0.2Si6O18(BO3)3(OH)4", 3.06, "#e58ab8",
        Occurrence(0.02, size=0.8, elongation=4.0),
    ),
    _Mineral("fluorapatite", "Ca4.8Mn0.2(PO4)3F", 3.2, "#5fc0b8", Occurrence(0.02, "inclusion", 0.45)),
    _Mineral("spessartine", "Mn2.1Fe0.9Al2Si3O12", 4.18, "#c0392b", Occurrence(0.02, "inclusion", 0.6, 1.1)),
    _Mineral(
        "columbite", "Fe0.4Mn0.6Nb1.5Ta0.5O6", 5.9, "#6b4a2b",
        Occurrence(0.012, "inclusion", 0.35, 3.0, zoned_to=11),
    ),
    _Mineral("tantalite", "Mn0.8Fe0.2Nb0.6Ta1.4O6", 7.2, "#3e2a18", Occurrence(0.0, "inclusion")),
    _Mineral("cassiterite", "Sn0.98Fe0.01Ta0.01O2", 6.9, "#79797f", Occurrence(0.008, "inclusion", 0.35)),
    _Mineral("zircon", "Zr0.94Hf0.06SiO4", 4.65, "#d9822b", Occurrence(0.004, "inclusion", 0.22, 1.6)),
    _Mineral("calcite", "Ca0.97Mn0.03CO3", 2.71, "#f2d04b", Occurrence(0.02, "vein", 0.7)),
)  # fmt: skip


def synthesize_pegmatite(
    *,
    shape: tuple[int, int] = (100, 120),
    counts_per_pixel: float = 6000.0,
    generator: np.random.Generator,
    instrument: Instrument | None = None,
    texture: Texture | None = None,
    name: str = "synthetic pegmatite",
    **parameters: Any,
) -> SyntheticMap:
    """Make a map of a lithium pegmatite: feldspars, quartz, spodumene, micas, tourmalines, and accessories.

    Grains of Voronoi shape, zoned tourmaline and columbite–tantalite, inclusions smaller than a few pixels
    and a calcite vein.

    ``instrument``: Default: the M4 Tornado preset. ``**parameters``: any other of
    :func:`~napari_xrf.synthesis.mineral_map.synthesize_mineral_map`.
    """
    return synthesize_mineral_map(
        pegmatite_minerals(),
        instrument or load_instrument("m4-tornado"),
        shape=shape,
        counts_per_pixel=counts_per_pixel,
        generator=generator,
        texture=texture or Texture(grain_size=16.0),
        phases=[mineral.phase for mineral in _MINERALS],
        formulas=[mineral.formula for mineral in _MINERALS],
        colors=[mineral.color for mineral in _MINERALS],
        name=name,
        **parameters,
    )


def pegmatite_minerals() -> tuple[Material, ...]:
    """Return the minerals of the pegmatite, in the order of its truth's classes."""
    return tuple(
        Material.from_formula(mineral.formula, mineral.density, mineral.name) for mineral in _MINERALS
    )
