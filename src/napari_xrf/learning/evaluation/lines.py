"""Presence of emission lines: the figures of "Privileged bases", on all lines and on those that can be seen.

García-Avello Bofías, Bombini, Ruberto & Taccetti, EasyChair preprint, December 2024, Table 1: Pearson
correlation of predictions and labels, sensitivity, specificity, "guess ratio" (accuracy) and precision, over
all pairs of a spectrum and a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.decisions import Decisions, count_decisions
from napari_xrf.synthesis.line_basis import line_basis, line_cross_sections

LOWEST_SEEN_KEV = 1.0


@dataclass(frozen=True)
class LineScores:
    """Figures of one set of lines.

    Attributes
    ----------
    pearson
        Correlation of probabilities and labels.
    decisions
        Of the lines named.
    """

    pearson: float
    decisions: Decisions

    def as_row(self) -> dict[str, float]:
        """Return the five published figures and F1."""
        return {
            "pearson": self.pearson,
            "sensitivity": self.decisions.sensitivity,
            "specificity": self.decisions.specificity,
            "guess ratio": self.decisions.accuracy,
            "precision": self.decisions.precision,
            "f1": self.decisions.f1,
        }


def score_lines(
    probability: ArrayLike, named: ArrayLike, present: ArrayLike, judged: NDArray[np.bool_] | None = None
) -> LineScores:
    """Return the figures over all pairs of a spectrum and a line, arrays of shape (N, K).

    Parameters
    ----------
    probability, named, present
        What the network says, what it decides, and the truth.
    judged
        Which pairs count; all without it.

    Raises
    ------
    InvalidInput
        When shapes differ.
    """
    values, yes, truth = np.asarray(probability), np.asarray(named) > 0.5, np.asarray(present) > 0.5
    if values.shape != truth.shape:
        raise InvalidInput(f"probabilities {values.shape} and labels {truth.shape} differ in shape")
    decisions = count_decisions(yes, truth, judged)
    chosen = (values, truth) if judged is None else (values[judged], truth[judged])
    return LineScores(_correlation(*chosen), decisions)


def score_line_sets(
    names: Sequence[str],
    probability: ArrayLike,
    named: ArrayLike,
    present: ArrayLike,
    visible: ArrayLike | None = None,
) -> dict[str, LineScores]:
    """Return the figures of several sets of lines.

    ``"all lines"``; ``"visible lines"``: without the pairs whose line is present but cannot be seen, where
    it is known; ``"from 1 keV"``: without the lines below, which a window of beryllium absorbs;
    ``"excitable"``: without those that no photon up to 30 keV excites.

    Parameters
    ----------
    names
        Of the K lines; the sets of the basis need its names.
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


def _correlation(values: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    x, y = values.astype(np.float64).ravel(), truth.astype(np.float64).ravel()
    if not x.size:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 1e-12 else float("nan")
