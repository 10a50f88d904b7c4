"""How far a chosen list of minerals holds what a map does, and what it cannot tell from others."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.mixing.ends import End
from napari_xrf.minerals.naming.compared import EndName
from napari_xrf.reference.minerals import Mineral

_TOLD = 4
# Parts of a map that are none of a list: accessories that any list may lack, and what refutes it. Lists of
# rocks of other code lack up to 0.1 of them, sets of other kinds of rocks 0.4 and more.
_LACKED_BY_ANY, _REFUTES = 0.15, 0.3
_CHOSEN = 2.0  # odds of what somebody looks for against another common mineral, where the list is refuted


def beside_a_list(
    names: Sequence[EndName], ends: Sequence[End], minerals: Sequence[Mineral], rarity: NDArray[np.float64]
) -> tuple[tuple[EndName, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the names that a chosen list gives to ends, as far as it is believed, with doubts and notes.

    Where much of a map is none of a list, it is a list of something else: muscovite is illite by that of
    salts, whose clays it holds alone. Then each common mineral that nobody looked for and that explains an
    end as well is half as probable as the listed one. ``minerals``: the listed, and others behind them.
    ``rarity``: of each, in minus twice the logarithm of how common it is.
    """
    lacked = sum(end.size for end, name in zip(ends, names, strict=True) if not (name.minerals or name.parts))
    part = lacked / max(sum(end.size for end in ends), 1)
    believed = min(max((_REFUTES - part) / (_REFUTES - _LACKED_BY_ANY), 0.0), 1.0)
    doubts = (
        f"{part:.0%} of the map is none of the minerals looked for, so that it hardly is of what they are "
        "for: names that another common mineral could have as well count less. Take another set, or none",
    )

    def doubted(name: EndName) -> EndName:
        others = sum(math.exp(-0.5 * float(rarity[other])) for other in name.unlisted)
        refuted = _CHOSEN / (_CHOSEN + others)
        return replace(name, probability=name.probability * (believed + (1 - believed) * refuted))

    return tuple(map(doubted, names)), doubts if believed < 1 else (), _not_told(names, minerals)


def _not_told(names: Sequence[EndName], minerals: Sequence[Mineral]) -> tuple[str, ...]:
    """Return which minerals of a list are not told from others of the library, which nobody asked for."""
    others: dict[tuple[int, ...], set[int]] = {}
    for name in names:  # of the largest ends first
        if name.unlisted and name.minerals:
            others.setdefault(name.minerals, set()).update(name.unlisted)
    told = [
        f"{' / '.join(minerals[member].name for member in members)}"
        f" ({', '.join(sorted(minerals[other].name for other in unlisted)[:_TOLD])})"
        for members, unlisted in list(others.items())[:_TOLD]
    ]
    return (f"not told from what is not looked for: {'; '.join(told)}",) if told else ()
