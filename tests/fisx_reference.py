"""The same samples in fisx, an independent fundamental-parameter code (Solé et al.), for comparison."""

from collections.abc import Sequence
from functools import cache

import fisx
import numpy as np

from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.fluorescence import Beam
from napari_xrf.physics.sample import sample_elements
from napari_xrf.reference.materials import Material

FAMILIES = ("K", "L", "M")
THICK_UM = 1e6

# Name → (formula or parts by weight, g/cm³): minerals and alloys.
COMPOSITIONS: dict[str, tuple[str | dict[str, float], float]] = {
    "quartz": ("SiO2", 2.65),
    "albite": ("NaAlSi3O8", 2.62),
    "orthoclase": ("KAlSi3O8", 2.56),
    "anorthite": ("CaAl2Si2O8", 2.73),
    "calcite": ("CaCO3", 2.71),
    "dolomite": ("CaMg(CO3)2", 2.87),
    "gypsum": ("CaSO4·2H2O", 2.32),
    "apatite": ("Ca5(PO4)3F", 3.2),
    "fluorite": ("CaF2", 3.18),
    "halite": ("NaCl", 2.17),
    "forsterite": ("Mg1.8Fe0.2SiO4", 3.3),
    "diopside": ("CaMg0.8Fe0.2Si2O6", 3.3),
    "almandine": ("Fe3Al2Si3O12", 4.3),
    "biotite": ("KMg2FeAlSi3O12H2", 3.1),
    "muscovite": ("KAl3Si3O12H2", 2.83),
    "titanite": ("CaTiSiO5", 3.5),
    "rutile": ("TiO2", 4.23),
    "ilmenite": ("FeTiO3", 4.7),
    "chromite": ("FeCr2O4", 4.6),
    "magnetite": ("Fe3O4", 5.2),
    "pyrolusite": ("MnO2", 5.0),
    "pyrite": ("FeS2", 5.0),
    "chalcopyrite": ("CuFeS2", 4.2),
    "sphalerite": ("Zn0.9Fe0.1S", 4.05),
    "pentlandite": ("Fe4.5Ni4.5S8", 4.8),
    "arsenopyrite": ("FeAsS", 6.1),
    "galena": ("PbS", 7.6),
    "baryte": ("BaSO4", 4.5),
    "celestine": ("SrSO4", 3.97),
    "zircon": ("Zr0.99Hf0.01SiO4", 4.65),
    "cassiterite": ("SnO2", 7.0),
    "scheelite": ("CaWO4", 6.0),
    "monazite": ("Ce0.5La0.25Nd0.2Th0.05PO4", 5.1),
    "uraninite": ("UO2", 10.9),
    "brass": ({"Cu": 63, "Zn": 37}, 8.4),
    "bronze": ({"Cu": 88, "Sn": 10, "Pb": 2}, 8.8),
    "gold alloy": ({"Au": 75, "Ag": 12.5, "Cu": 12.5}, 15.4),
    "solder": ({"Sn": 63, "Pb": 37}, 8.4),
    "nickel alloy": ({"Ni": 61, "Cr": 22, "Mo": 9, "Fe": 5, "Nb": 3}, 8.4),
    # NIST SRM 1155, AISI 316 stainless steel.
    "steel": (
        {"Fe": 64.4, "Cr": 18.37, "Ni": 12.35, "Mo": 2.386, "Mn": 1.619, "Si": 0.502, "Cu": 0.173,
         "Co": 0.109, "V": 0.051, "C": 0.046, "P": 0.02, "S": 0.02},
        7.96,
    ),
}  # fmt: skip


def material(name: str) -> Material:
    """Return one of the compositions."""
    composition, density = COMPOSITIONS[name]
    if isinstance(composition, str):
        return Material.from_formula(composition, density, name)
    return Material.from_mixture(composition, density, name)


def fisx_families(
    layers: Sequence[Layer], beam: Beam, incidence_deg: float, takeoff_deg: float, efficiency, order: int = 3
) -> dict[str, float]:
    """Return fisx's detected photons of each line family, in the unit of our forward model.

    Parameters
    ----------
    layers, beam, incidence_deg, takeoff_deg
        As for ``fluoresce``; fisx gets 1 m for an infinite thickness.
    efficiency
        Function of energies in keV.
    order
        1 for primary fluorescence only, 3 with all that fisx adds.
    """
    library = _library()
    library.removeMaterials()
    sample = []
    for index, layer in enumerate(layers):
        material = fisx.Material(f"layer {index}", layer.material.density, 1.0)
        material.setComposition(dict(layer.material.mass_fractions))
        library.addMaterial(material)
        sample.append(
            [f"layer {index}", layer.material.density, min(layer.thickness_um, THICK_UM) * 1e-4, 1.0]
        )
    setup = fisx.XRF()
    setup.setBeam(list(beam.energies), list(beam.photons))
    setup.setBeamFilters([])
    setup.setSample(sample)
    setup.setGeometry(incidence_deg, takeoff_deg)
    wanted = [
        f"{element} {family}"
        for element in sample_elements(layers)
        for family in FAMILIES
        if any(
            name.startswith(f"{element} {family}")
            for name, _ in library.getPeakFamilies(element, beam.energies.max())
        )
    ]
    found = setup.getMultilayerFluorescence(
        wanted, library, secondary=0 if order == 1 else 2, useMassFractions=1, useGeometricEfficiency=0
    )
    scale = beam.photons.sum() / (4 * np.pi)
    families = {}
    for name, by_layer in found.items():
        lines = [line for layer in by_layer.values() for line in layer.values()]
        energies = np.array([line["energy"] for line in lines])
        rates = np.array([line["rate"] for line in lines])
        families[name] = float(rates @ efficiency(energies)) * scale if lines else 0.0
    return families


@cache
def _library():
    library = fisx.Elements()
    library.initializeAsPyMca()
    return library
