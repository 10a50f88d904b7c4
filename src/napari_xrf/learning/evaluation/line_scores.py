"""Presence of emission lines: the figures of "Privileged bases", on all lines and on those that can be seen.

García-Avello Bofías, Bombini, Ruberto & Taccetti, EasyChair preprint, December 2024, Table 1: Pearson
correlation of predictions and labels, sensitivity, specificity, "guess ratio" (accuracy) and precision, over
all pairs of a spectrum and a line.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.presence_scores import decision_rates, ratio
from napari_xrf.synthesis.line_basis import line_basis, line_cross_sections

LOWEST_SEEN_KEV = 1.0


def score_lines(
    probability: ArrayLike, named: ArrayLike, present: ArrayLike, judged: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Return the five published figures and F1 over all pairs of a spectrum and a line, arrays (N, K).

    ``probability``, ``named``, ``present``: what the network says, what it decides, and the truth.
    ``judged``: which pairs count; all without it. Raises InvalidInput when shapes differ.
    """
    values, yes, truth = np.asarray(probability), np.asarray(named) > 0.5, np.asarray(present) > 0.5
    if values.shape != truth.shape:
        raise InvalidInput(f"probabilities {values.shape} and labels {truth.shape} differ in shape")
    rates = decision_rates(yes, truth, judged)
    chosen = (values, truth) if judged is None else (values[judged], truth[judged])
    return {
        "pearson": _correlation(*chosen),
        "sensitivity": rates["sensitivity"],
        "specificity": rates["specificity"],
        "guess ratio": rates["accuracy"],
        "precision": rates["precision"],
        "f1": rates["f1"],
    }


def score_line_sets(
    names: Sequence[str],
    probability: ArrayLike,
    named: ArrayLike,
    present: ArrayLike,
    visible: ArrayLike | None = None,
) -> dict[str, dict[str, float]]:
    """Return the figures of several sets of lines.

    ``"all lines"``; ``"visible lines"``: without the pairs whose line is present but cannot be seen, where
    it is known; ``"from 1 keV"``: without the lines below, which a window of beryllium absorbs;
    ``"excitable"``: without those that no photon up to 30 keV excites. The last two need the basis's names.
    """
    truth = np.asarray(present) > 0.5
    sets: dict[str, NDArray[np.bool_] | None] = {"all lines": None}
    if visible is not None:
        sets["visible lines"] = (np.asarray(visible) > 0.5) | ~truth
    for name, lines in line_subsets(names).items():
        sets[name] = np.broadcast_to(lines, truth.shape)
    return {name: score_lines(probability, named, truth, judged) for name, judged in sets.items()}


def line_subsets(names: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return subsets of the basis by name, (K,) each; empty when a name is none of the basis."""
    positions = {line.label: index for index, line in enumerate(line_basis())}
    if not all(name in positions for name in names):
        return {}
    order = [positions[name] for name in names]
    energies = np.array([line.energy for line in line_basis()])[order]
    excitable = (line_cross_sections().max(axis=1) > 0)[order]
    return {f"from {LOWEST_SEEN_KEV:g} keV": energies >= LOWEST_SEEN_KEV, "excitable": excitable}


def attainable_scores(
    names: Sequence[str], present: ArrayLike, visible: ArrayLike
) -> dict[str, dict[str, float]]:
    """Return the figures of a detector that finds exactly the elements with a visible line.

    Labels mark elements that no spectrum shows. It names all lines of an element of which at least one can
    be seen, and no others. For the others its probability is the part of the spectra without a visible line
    of the element in which it is present all the same, the best that can be said without seeing it. An
    estimate, no bound: several lines that cannot be seen one by one may show an element together; a line
    that stands out of its surroundings may still be taken for another element's of the same energy.

    ``names``: of the K lines, ``"Fe ka1"``. ``present``, ``visible``: (N, K) whether a line's element is in
    the sample, and whether the line can be seen. Raises InvalidInput when shapes differ.
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
        guess = float(hidden.sum() / max((~found).sum(), 1))
        named[:, lines] = found[:, np.newaxis]
        probability[:, lines] = np.where(found, 1.0, guess)[:, np.newaxis]
    return score_line_sets(names, probability, named, there, seen)


def _correlation(values: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    x, y = values.astype(np.float64).ravel(), truth.astype(np.float64).ravel()
    if not x.size:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return ratio(float(x @ y), scale if scale > 1e-12 else 0.0)
