"""Whether elements that a network names have lines that the sum spectrum cannot do without. No torch here.

A network does not tell reflections, a tube's own scattered lines and sums of pulses from elements as well as
a model of the whole spectrum does: on a plate of copper it takes a reflection for vanadium. So an element is
doubted that a fit does without; and where the map is one spectrum, one is added that the fit sees clearly.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.emission_lines import SHELLS, main_line
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import changed
from napari_xrf.maps.calibrated_map import CalibratedMap, find_elements
from napari_xrf.maps.identification.judgement import FoundElement, is_beyond_doubt
from napari_xrf.physics.excitation import COARSE_FWHM_EV

# Times the odds of an element that the fit does without. Of other code's elements that are there and that the
# network names, it does without 1 in 25; of those that are not there, nearly always.
_DOUBTED = 0.05
_SIGNIFICANT = 8.0  # standard errors of an element that the fit finds, from which it is added


def checked_presence(
    probability: NDArray[np.float32],
    names: Sequence[str],
    named: NDArray[np.bool_],
    known: CalibratedMap,
    progress: Progress = ignore_progress,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return probabilities (Y, X, K) of elements as far as the sum spectrum bears them out, and notes.

    They may be changed in place. Nothing changes of an element without a main line in the fitted energies,
    nor on an axis that is in doubt, nor on a gas detector, whose peaks the fit does not tell apart: what it
    finds there, and the network does not, is told.

    ``names``, ``named``: the K elements, and which of them the network names in the sum spectrum: notes tell
    of what changes. ``known``: the map.
    """
    coarse = 1000 * float(known.detector.fwhm(MN_KA_KEV)) > COARSE_FWHM_EV
    if known.doubt and not coarse:
        return probability, ()
    found = {one.element: one for one in find_elements(known, progress=progress)}
    if coarse:
        unnamed = [name for name, own in zip(names, named, strict=True) if name in found and not own]
        return probability, tuple(_unnamed(unnamed))
    borne_out = found.keys() | {seen.element for seen in known.evidence if is_beyond_doubt(seen)}
    doubted = np.array([name not in borne_out and _is_fitted(name, known) for name in names])
    factors = np.where(doubted, np.float32(_DOUBTED), np.float32(1))
    clear = {}
    if known.cube.is_one_spectrum:  # of a map it is not known in which pixels
        clear = {name: one.probability for name, one in found.items() if _is_clear(one)}
    least = np.array([clear.get(name, 0.0) for name in names], dtype=np.float32)

    def check(block: NDArray[np.float32], _: slice) -> NDArray[np.float32]:
        block *= factors / (1 - block + block * factors)
        return np.maximum(block, least, out=block)

    probability = changed(probability, check)
    return probability, tuple(_notes(np.array(names), doubted & named, (least > 0) & ~named))


def _is_fitted(element: str, known: CalibratedMap) -> bool:
    """Whether one of an element's main lines lies in the fitted energies."""
    setting = known.setting
    lines = (main_line(element, shell) for shell in SHELLS)
    return any(line is not None and setting.low < line.energy < setting.high for line in lines)


def _is_clear(one: FoundElement) -> bool:
    return one.evidence is not None and one.evidence.significance >= _SIGNIFICANT


def _unnamed(elements: Sequence[str]) -> Iterator[str]:
    if elements:
        yield f"found by a fit of the sum spectrum, and not named in it by the network: {', '.join(elements)}"


def _notes(names: NDArray[np.str_], doubted: NDArray[np.bool_], added: NDArray[np.bool_]) -> Iterator[str]:
    if doubted.any():
        yield f"doubted, as the sum spectrum is explained without them: {', '.join(names[doubted])}"
    if added.any():
        yield f"added by their lines in a fit, which the network does not name: {', '.join(names[added])}"
