"""Which values of hyper-parameters a search tries, from the options and their limits. No torch here.

The published networks were found by searches over the units of the hidden layer, learning rate, optimizer,
dropout, activation and batch size (García-Avello Bofías et al., 2024); transformers add patch, width, depth
and heads, and convolutions their widths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from napari_xrf.core.parameters import ParameterField, parameter_fields

Place = Literal["network", "options"]

_WIDER = 4  # whole numbers are tried from a quarter of the default to four times as many
_RATE = 10.0  # learning rate and weight decay, likewise
_MOST_DROPOUT = 0.5
_WIDTH_STEP = 16  # every number of heads that is tried divides it
_HEADS = (1, 2, 4, 8, 16)
_BATCHES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the default
_WIDENINGS = (0.5, 0.75, 1.0, 1.5, 2.0)  # of all convolutions together
_OF_NETWORKS = (
    "hidden", "depth", "label_depth", "dropout", "activation", "patch", "width", "heads", "widths", "kernel",
    "first_kernel", "squeeze", "blocks", "latent",
)  # fmt: skip
_OF_TRAINING = ("learning_rate", "weight_decay", "optimizer", "batch_size")


@dataclass(frozen=True)
class Dimension:
    """One hyper-parameter of a search.

    Attributes
    ----------
    name
        ``"network.hidden"``: where it belongs, and which it is.
    choices
        Values to choose from; empty for a range.
    low, high
        Ends of a range of numbers.
    whole
        Whether they are whole.
    log
        Whether they are drawn evenly in the logarithm.
    step
        Of whole numbers that are not.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    step: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        if self.choices:
            return {"name": self.name, "choices": list(self.choices)}
        ends = {"low": self.low, "high": self.high, "whole": self.whole, "log": self.log}
        return {"name": self.name, **ends, "step": self.step}


def search_space(
    network: Any, training: Any, choices: Mapping[str, tuple[Any, ...]] | None = None
) -> tuple[Dimension, ...]:
    """Return the hyper-parameters that a search over a recipe tries.

    Parameters
    ----------
    network
        The recipe's options of the network, a dataclass.
    training
        Its training options, a dataclass.
    choices
        Values by name (``"network.hidden"``) in place of the ranges that follow from the defaults.

    Returns
    -------
    Whole numbers and rates around the recipe's values within the limits of their fields; texts among all of
    their choices; dropout from 0 to 0.5.
    """
    found: dict[str, Dimension] = {}
    places: tuple[tuple[Place, Any, tuple[str, ...]], ...] = (
        ("network", network, _OF_NETWORKS),
        ("options", training, _OF_TRAINING),
    )
    for place, options, wanted in places:
        fields = parameter_fields(type(options))
        headed = any(field.name == "heads" for field in fields)
        for field in fields:
            if field.name in wanted:
                made = _dimension(f"{place}.{field.name}", field, getattr(options, field.name), headed)
                if made is not None:
                    found[made.name] = made
    for name, values in (choices or {}).items():
        found[name] = Dimension(name, tuple(values))
    return tuple(found.values())


def value_of(dimension: Dimension, drawn: Any, default: Any) -> Any:
    """Return the option's value for what a search drew: convolutions are widened, all else stays."""
    if dimension.name == "network.widths" and isinstance(drawn, float):
        return tuple(max(1, round(width * drawn)) for width in default)
    return drawn


def _dimension(name: str, field: ParameterField, default: Any, headed: bool) -> Dimension | None:
    if field.choices:
        return Dimension(name, field.choices)
    if field.name == "widths":
        return Dimension(name, _WIDENINGS)
    low, high = (-math.inf, math.inf) if field.limits is None else (field.limits.low, field.limits.high)

    def allowed(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(value for value in values if low <= value <= high)

    if field.name == "dropout":
        return Dimension(name, low=max(low, 0.0), high=min(high, _MOST_DROPOUT))
    if field.name == "heads":
        return Dimension(name, allowed(_HEADS))
    if field.name == "batch_size":
        return Dimension(name, allowed(tuple(max(1, round(default * factor)) for factor in _BATCHES)))
    if field.name in ("kernel", "first_kernel"):
        odd = range(3, max(2 * default, 8), 2 if default < 10 else 4)  # a kernel has a middle
        return Dimension(name, allowed(tuple(sorted({*odd, default}))))
    if field.kind is int and field.form == "one":
        if field.name == "width" and headed:
            steps = max(1, round(default / _WIDTH_STEP))
            ends = (
                max(1, steps // _WIDER) * _WIDTH_STEP,
                min(steps * _WIDER, high // _WIDTH_STEP) * _WIDTH_STEP,
            )
            return Dimension(name, low=ends[0], high=ends[1], whole=True, step=_WIDTH_STEP)
        return Dimension(
            name, low=max(low, default // _WIDER, 1), high=min(high, default * _WIDER), whole=True, log=True
        )
    if field.kind is float and field.form == "one" and default > 0:
        return Dimension(name, low=max(low, default / _RATE), high=min(high, default * _RATE), log=True)
    return None
