"""A yes or no for each name: decisions and ranking against the truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput


def decision_rates(
    named: NDArray[np.bool_], truth: NDArray[np.bool_], judged: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Compare decisions with the truth, arrays of one shape, where they are judged (everywhere without it).

    Raises InvalidInput when shapes differ.

    Returns
    -------
    ``"sensitivity"`` (recall), ``"specificity"``, ``"precision"``, ``"accuracy"`` ("guess ratio" in
    "Privileged bases"), ``"f1"`` and ``"total"``, the number of decisions; rates of nothing are NaN.
    """
    if named.shape != truth.shape or (judged is not None and judged.shape != truth.shape):
        raise InvalidInput(f"decisions {named.shape} and truth {truth.shape} differ in shape")
    counted = np.ones(truth.shape, dtype=bool) if judged is None else judged
    total, hits = int(counted.sum()), int((named & truth & counted).sum())
    calls, there = int((named & counted).sum()), int((truth & counted).sum())
    wrong = calls + there - 2 * hits
    absent = total - there
    return {
        "sensitivity": ratio(hits, there),
        "specificity": ratio(absent - (calls - hits), absent),
        "precision": ratio(hits, calls),
        "accuracy": ratio(total - wrong, total),
        "f1": ratio(2 * hits, 2 * hits + wrong),
        "total": total,
    }


def rank_area(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the receiver operating characteristic (AUROC) of N scores.

    It is the chance that a positive scores higher than a negative, ties counting half (Mann & Whitney, Ann.
    Math. Stat. 18 (1947) 50); NaN when one kind is missing. Raises InvalidInput when shapes differ, or a
    score is NaN.
    """
    from scipy import stats  # 60 MB, which predictions do without

    values, yes = np.asarray(score, dtype=np.float64), np.asarray(positive) > 0.5
    if values.ndim != 1 or values.shape != yes.shape or np.isnan(values).any():
        raise InvalidInput(f"scores {values.shape} and labels {yes.shape} cannot be ranked")
    positives, negatives = int(yes.sum()), int((~yes).sum())
    least = positives * (positives + 1) / 2
    return ratio(float(stats.rankdata(values)[yes].sum()) - least, positives * negatives)


@dataclass(frozen=True, eq=False)
class PresenceScores:
    """Figures of K names."""

    overall: Mapping[str, float]  # rates of the decisions on all names together
    # f1, area: (K,) F1 and AUROC of each name; NaN where it is never, or for the area always, there
    f1: NDArray[np.float64]
    area: NDArray[np.float64]
    occurrences: NDArray[np.intp]  # (K,) spectra in which it is present

    def as_row(self) -> dict[str, float]:
        """Return the figures over all names."""
        return {
            "f1": self.overall["f1"],
            "macro f1": mean_of_known(self.f1),
            "auroc": mean_of_known(self.area),
            **{name: self.overall[name] for name in ("sensitivity", "specificity", "precision")},
        }


def score_presence(probability: ArrayLike, named: ArrayLike, present: ArrayLike) -> PresenceScores:
    """Compare probabilities and decisions with the truth, (N, K) each.

    Raises InvalidInput when shapes differ.
    """
    values, yes, truth = np.asarray(probability), np.asarray(named) > 0.5, np.asarray(present) > 0.5
    if values.ndim != 2 or values.shape != truth.shape:
        raise InvalidInput(f"probabilities {values.shape} and labels {truth.shape} differ in shape")
    columns = range(values.shape[1])
    f1 = [decision_rates(yes[:, k], truth[:, k])["f1"] if truth[:, k].any() else np.nan for k in columns]
    area = [rank_area(values[:, k], truth[:, k]) for k in columns]
    return PresenceScores(decision_rates(yes, truth), np.array(f1), np.array(area), truth.sum(axis=0))


def ratio(part: float, whole: float) -> float:
    """Return a part of a whole; NaN where there is nothing."""
    return part / whole if whole else float("nan")


def mean_of_known(values: NDArray[np.float64]) -> float:
    """Return the mean of what is not NaN; NaN where nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
