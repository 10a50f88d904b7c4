"""Limits of the parameters of recipes: stated once, in the field's type, for checks and for widgets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from napari_xrf.core.errors import InvalidInput

Range = tuple[float, float]


@dataclass(frozen=True)
class Limits:
    """Where a number, or both ends of a range, must lie; goes into ``Annotated`` beside the type.

    Attributes
    ----------
    low, high
        Both included.
    unit
        ``"keV"``; empty for a plain number.
    ordered
        Whether a pair of numbers is a range, whose first must not exceed the second.
    """

    low: float
    high: float
    unit: str = ""
    ordered: bool = True


@dataclass(frozen=True)
class Choices:
    """The texts that a field may hold; goes into ``Annotated`` beside the type, for widgets.

    Attributes
    ----------
    names
        All of them.
    """

    names: tuple[str, ...]


@cache
def limits_of(parameters: type) -> dict[str, Limits]:
    """Return the limits of each field of a parameter dataclass that has some."""
    hints = get_type_hints(parameters, include_extras=True)
    return {
        name: extra
        for name, hint in hints.items()
        for extra in getattr(hint, "__metadata__", ())
        if isinstance(extra, Limits)
    }


def check_fields(parameters: object) -> None:
    """Raise InvalidInput that names the first field of a parameter dataclass beyond its limits."""
    kind: Any = type(parameters)
    for name, limits in limits_of(kind).items():
        value = getattr(parameters, name)
        label = name.replace("_", " ")
        if isinstance(value, tuple | list) and limits.ordered:
            check_interval(label, value, limits.low, limits.high)
        elif isinstance(value, tuple | list):
            for part in value:
                check_range(label, part, limits.low, limits.high)
        elif value is not None:
            check_range(label, value, limits.low, limits.high)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InvalidInput that names the parameter when a value lies outside ``[low, high]``."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput(f"{name} must lie from {low:g} to {high:g}, not {value:g}")


def check_interval(name: str, interval: Any, low: float, high: float) -> None:
    """Raise InvalidInput when an interval (lower, upper) is reversed or reaches outside ``[low, high]``."""
    if len(interval) != 2:
        raise InvalidInput(f"{name} needs a lower and an upper end, not {interval}")
    for end in interval:
        check_range(name, end, low, high)
    if interval[0] > interval[1]:
        raise InvalidInput(f"{name} runs from {interval[0]:g} down to {interval[1]:g}", "Swap the ends")
