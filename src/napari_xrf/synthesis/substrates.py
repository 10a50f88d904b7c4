"""What lies under paint: panels, canvas, paper, plaster, and the grounds that prepare them."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from napari_xrf.core.errors import check_name
from napari_xrf.physics.attenuation import Layer
from napari_xrf.reference.materials import Material

# Cellulose with the ash of the plant: K and Ca of 0.1 to 0.5 % by weight, some Mn and Fe in wood.
# Densities: Wood Handbook (Forest Products Laboratory 2010); Handbook of Mineralogy for calcite and gypsum,
# less the pores of a set plaster.
SUBSTRATES: Mapping[str, Material] = MappingProxyType(
    {
        "wood": Material.from_mixture(
            {"C6H10O5": 99.43, "CaO": 0.3, "K2O": 0.2, "MnO": 0.02, "Fe2O3": 0.02, "SO3": 0.03},
            0.6, "wood",
        ),
        "canvas": Material.from_mixture(
            {"C6H10O5": 97.0, "CaCO3": 2.5, "K2O": 0.3, "SO3": 0.1, "Fe2O3": 0.05, "NaCl": 0.05},
            0.6, "canvas",
        ),
        "paper": Material.from_mixture(
            {"C6H10O5": 85.0, "CaCO3": 10.0, "Al2Si2O5(OH)4": 4.8, "K2SO4": 0.1, "Fe2O3": 0.1},
            0.8, "paper",
        ),
        "plaster": Material.from_mixture(
            {"CaCO3": 55.0, "SiO2": 40.0, "Al2Si2O5(OH)4": 3.0, "Fe2O3": 1.0, "KAlSi3O8": 1.0},
            1.8, "plaster",
        ),
    }
)  # fmt: skip
GROUNDS: Mapping[str, Material] = MappingProxyType(
    {
        "chalk": Material.from_mixture({"CaCO3": 90.0, "C4H6NO2": 10.0}, 1.7, "chalk ground"),
        "gypsum": Material.from_mixture({"CaSO4·2H2O": 90.0, "C4H6NO2": 10.0}, 1.6, "gypsum ground"),
        "lead white": Material.from_mixture(
            {"2PbCO3·Pb(OH)2": 88.0, "C57H98O6": 12.0}, 3.7, "lead white ground"
        ),
    }
)
_GROUND_UM = 200.0


def support_layers(ground: str, substrate: str) -> tuple[Layer, ...]:
    """Return the layers under the paint: a ground of 0.2 mm (or ``"none"``) on a thick substrate.

    Raises InvalidInput when there is no ground or substrate of that name.
    """
    below = Layer(substrate_material(substrate), math.inf)
    if ground == "none":
        return (below,)
    check_name("ground", ground, ("none", *GROUNDS))
    return Layer(GROUNDS[ground], _GROUND_UM), below


def substrate_material(name: str) -> Material:
    """Return a substrate by name.

    Raises InvalidInput when there is none of that name.
    """
    check_name("substrate", name, SUBSTRATES)
    return SUBSTRATES[name]
