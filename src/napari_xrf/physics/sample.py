"""Samples: one material or a stack of layers, thick or thin."""

import math
from collections.abc import Mapping, Sequence

from napari_xrf.core.emission_lines import atomic_number, edge_energy, emission_lines
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import LOWEST_KEV, Layer
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.reference.materials import Material

_SEEN = 1e-4  # detected part of the photons of a line that counts as visible
# Weight fractions of oxygen, and of all that is heavier, from which a material scatters as oxides do: metals
# and sulphides hold less of one, water and organic matter of the other.
_OXYGEN, _HEAVIER = 0.05, 0.1


def sample_layers(
    material: Material | Sequence[Layer], thickness_um: float | None = None, structure: str | None = None
) -> tuple[Layer, ...]:
    """Return a sample as layers, the one that the beam meets first in front.

    Raises InvalidInput for a thickness that is not above 0, an unknown structure, one of the two given for
    layers, no layer at all, or a layer under an infinitely thick one.

    ``material``: one material, or layers; only the last may be infinitely thick. ``thickness_um``: thickness
    of a sample of one material; infinitely thick without it. ``structure``: of a sample of one material, see
    :class:`Layer`; without it that of :func:`usual_structure`.
    """
    if isinstance(material, Material):
        thickness = math.inf if thickness_um is None else thickness_um
        return (Layer(material, thickness, structure or usual_structure(material.mass_fractions)),)
    if thickness_um is not None:
        raise InvalidInput("layers have their own thickness", "Leave out the thickness of the sample")
    if structure is not None:
        raise InvalidInput("layers have their own structure", "Leave out the structure of the sample")
    layers = tuple(material)
    if not layers:
        raise InvalidInput("a sample needs at least one layer")
    if any(math.isinf(layer.thickness_um) for layer in layers[:-1]):
        raise InvalidInput("only the last layer of a sample can be infinitely thick")
    return layers


def usual_structure(fractions: Mapping[str, float]) -> str:
    """Return how the atoms of a sample are taken to scatter together where nobody says it.

    Oxides as their crystals do on the average; of metals, sulphides and organic matter nothing is known, and
    each atom scatters for itself. ``fractions``: element → weight fraction.
    """
    oxygen = fractions.get("O", 0.0)
    heavier = sum(value for e, value in fractions.items() if atomic_number(e) > atomic_number("O"))
    return "oxide" if oxygen > _OXYGEN and heavier > _HEAVIER else "amorphous"


def sample_elements(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the symbols of all elements in the layers, each once, in alphabetic order."""
    return tuple(sorted({element for layer in layers for element in layer.material.mass_fractions}))


def require_excitable(layers: Sequence[Layer], highest_kev: float, detector: Detector) -> None:
    """Raise InvalidInput when the source lies below every edge whose lines the detector sees.

    It sees a line when it detects more than 1 photon in 10 000 of it. A sample without any such line, carbon
    behind a beryllium window for example, only scatters, and passes.
    """
    lines = [line for element in sample_elements(layers) for line in emission_lines(element)]
    lines = [line for line in lines if line.energy >= LOWEST_KEV]
    if not lines:
        return
    seen = detector.efficiency([line.energy for line in lines]) > _SEEN
    edges = [
        edge_energy(line.element, line.subshell) for line, visible in zip(lines, seen, strict=True) if visible
    ]
    if edges and min(edges) >= highest_kev:
        name = " on ".join(layer.material.name for layer in layers)
        raise InvalidInput(
            f"{highest_kev:g} keV lies below every absorption edge of {name} whose lines the detector sees",
            f"Raise it above {min(edges):.3g} keV",
        )
