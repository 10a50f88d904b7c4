"""Limits of the parameters that recipes take."""

from __future__ import annotations

import math

from napari_xrf.core.errors import InvalidInput

Range = tuple[float, float]


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InvalidInput that names the parameter when a value lies outside ``[low, high]``."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput(f"{name} must lie from {low:g} to {high:g}, not {value:g}")


def check_interval(name: str, interval: Range | None, low: float, high: float) -> None:
    """Raise InvalidInput when an interval (lower, upper) is reversed or reaches outside ``[low, high]``."""
    if interval is None:
        return
    if len(interval) != 2:
        raise InvalidInput(f"{name} needs a lower and an upper end, not {interval}")
    for end in interval:
        check_range(name, end, low, high)
    if interval[0] > interval[1]:
        raise InvalidInput(f"{name} runs from {interval[0]:g} down to {interval[1]:g}", "Swap the ends")
