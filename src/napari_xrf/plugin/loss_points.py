"""The losses of a training as the Train dock hears of them, and what it says of them. No Qt here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_MOST_FIGURES = 4


@dataclass(frozen=True)
class LossPoint:
    """The losses of one epoch.

    Attributes
    ----------
    epoch
        From 1.
    training, validation
        Mean losses; NaN where there is none.
    """

    epoch: int
    training: float
    validation: float


def figures_text(figures: Mapping[str, float]) -> str:
    """Return the first figures of an epoch as a line."""
    shown = list(figures.items())[:_MOST_FIGURES]
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in shown)


def time_text(seconds: float | None) -> str:
    """Return a duration as people say it; empty for None."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min left"
    return f"{seconds / 3600:.1f} h left"
