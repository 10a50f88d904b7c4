"""What photons cannot tell apart where a map shows one element: its metal, oxides, carbonates. No torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.scratch import changed
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.minerals.search import visible_elements
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.minerals import load_library, metals

_ALONE = 0.9  # of the counts of all lines
_FOUND = 0.5  # probability from which an element counts


def shared_out(
    probability: NDArray[np.float32], names: Sequence[str], known: CalibratedMap
) -> NDArray[np.float32]:
    """Return probabilities (..., K) of names, half of them shared out among those of a map's one element.

    A plate of iron and its oxides differ under photons in nothing but the amount of scatter, which depends on
    shape, surface and surroundings as well. Nothing changes where lines of several elements are seen, nor
    under electrons, which show oxygen.
    """
    element = _only_element(known)
    if not element:
        return probability
    library = {mineral.name: mineral for mineral in (*load_library(), *metals())}
    alike = np.array(
        [
            name in library and visible_elements(library[name], 0.0, np.inf, np.inf) == {element}
            for name in names
        ]
    )
    if alike.sum() < 2:
        return probability

    def share(block: NDArray[np.float32], _: slice) -> NDArray[np.float32]:
        shared = block.copy()
        together = block[..., alike].sum(axis=-1, keepdims=True)
        shared[..., alike] = 0.5 * block[..., alike] + 0.5 * together / np.float32(alike.sum())
        return shared

    return changed(probability, share)


def _only_element(known: CalibratedMap) -> str:
    """Return the element that nearly all lines of a map are of, excited by photons; or ""."""
    if isinstance(known.instrument.source, ElectronBeam):
        return ""
    net = {
        each.element: max(each.net_counts, 0.0)
        for each in known.elements
        if each.probability >= _FOUND and each.element not in ("Ar", known.cube.excitation.anode)
    }
    first = max(net, key=lambda element: net[element], default="")
    return first if first and net[first] >= _ALONE * sum(net.values()) else ""
