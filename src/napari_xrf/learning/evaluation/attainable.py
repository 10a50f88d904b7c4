"""What a line classifier can attain at all: labels mark elements that no spectrum shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.lines import LineScores, score_line_sets


def attainable_scores(names: Sequence[str], present: ArrayLike, visible: ArrayLike) -> dict[str, LineScores]:
    """Return the figures of a detector that finds exactly the elements with a visible line.

    It names all lines of an element of which at least one can be seen, and no others. For the others its
    probability is the part of the spectra without a visible line of the element in which it is present all
    the same, the best that can be said without seeing it. An estimate, no bound: several lines that
    cannot be seen one by one may show an element together; a line that stands out of its surroundings may
    still be taken for another element's of the same energy.

    Parameters
    ----------
    names
        Of the K lines, ``"Fe ka1"``.
    present, visible
        (N, K) whether a line's element is in the sample, and whether the line can be seen.

    Returns
    -------
    As :func:`~napari_xrf.learning.evaluation.lines.score_line_sets`.

    Raises
    ------
    InvalidInput
        When shapes differ.
    """
    there, seen = np.asarray(present) > 0.5, np.asarray(visible) > 0.5
    if there.shape != seen.shape or there.ndim != 2 or there.shape[1] != len(names):
        raise InvalidInput(f"labels {there.shape}, {seen.shape} and {len(names)} names do not fit")
    elements = [name.split()[0] for name in names]
    named = np.zeros_like(there)
    probability = np.zeros(there.shape)
    for element in dict.fromkeys(elements):
        lines = np.flatnonzero([each == element for each in elements])
        found = np.asarray(seen[:, lines].any(axis=1), dtype=bool)
        hidden = there[:, lines[0]] & ~found
        guess = _part(hidden, ~found)
        named[:, lines] = found[:, np.newaxis]
        probability[:, lines] = np.where(found, 1.0, guess)[:, np.newaxis]
    return score_line_sets(names, probability, named, there, seen)


def _part(chosen: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(chosen.sum() / among.sum()) if among.any() else 0.0
