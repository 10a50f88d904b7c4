"""How well a score ranks one kind above another, whatever the threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from napari_xrf.core.errors import InvalidInput


def rank_area(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the receiver operating characteristic (AUROC).

    It is the chance that a positive scores higher than a negative, ties counting half (Mann & Whitney, Ann.
    Math. Stat. 18 (1947) 50); NaN when one kind is missing.

    Parameters
    ----------
    score, positive
        (N,) numbers, and whether each is a positive.

    Raises
    ------
    InvalidInput
        When shapes differ, or a score is NaN.
    """
    values, yes = np.asarray(score, dtype=np.float64), np.asarray(positive) > 0.5
    if values.ndim != 1 or values.shape != yes.shape or np.isnan(values).any():
        raise InvalidInput(f"scores {values.shape} and labels {yes.shape} cannot be ranked")
    positives, negatives = int(yes.sum()), int((~yes).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = stats.rankdata(values)
    return float((ranks[yes].sum() - positives * (positives + 1) / 2) / (positives * negatives))
