"""Which values of hyper-parameters a search tries, from the options and their limits. No torch here.

The published networks were found by searches over the units of the hidden layer, learning rate, optimizer,
dropout, activation and batch size (García-Avello Bofías et al., 2024); transformers add patch, width, depth
and heads, and convolutions their widths.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from napari_xrf.core.parameters import ParameterField, parameter_fields
from napari_xrf.learning.registry import network_options
from napari_xrf.learning.training_recipes import TrainingRecipe

_WIDER = 4  # whole numbers are tried from a quarter of the default to four times as many
_RATE = 10.0  # learning rate and weight decay, likewise
_MOST_DROPOUT = 0.5
_WIDTH_STEP = 16  # every number of heads that is tried divides it
_HEADS = (1, 2, 4, 8, 16)
_BATCHES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the default
_WIDENINGS = (0.5, 0.75, 1.0, 1.5, 2.0)  # of all convolutions together
_WIDTHS = "network.widths"
_OF_NETWORKS = (
    "hidden", "depth", "label_depth", "dropout", "activation", "patch", "width", "heads", "widths", "kernel",
    "first_kernel", "squeeze", "blocks", "latent",
)  # fmt: skip
_OF_TRAINING = ("learning_rate", "weight_decay", "optimizer", "batch_size")


@dataclass(frozen=True)
class Dimension:
    """One hyper-parameter of a search: values to choose from, or a range of numbers."""

    name: str  # "network.hidden": where it belongs, and which it is
    choices: tuple[Any, ...] = ()  # empty for a range
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False  # whether numbers are drawn evenly in the logarithm
    step: int = 1  # of whole numbers that are not

    @property
    def place(self) -> tuple[str, str]:
        """Where it belongs, ``"network"`` or ``"options"``, and its name there."""
        place, _, name = self.name.partition(".")
        return place, name

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        if self.choices:
            return {"name": self.name, "choices": list(self.choices)}
        ends = {"low": self.low, "high": self.high, "whole": self.whole, "log": self.log}
        return {"name": self.name, **ends, "step": self.step}

    def draw(self, trial: Any) -> Any:
        """Return what an Optuna trial suggests."""
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices))
        if self.whole:
            step = 1 if self.log else self.step
            return trial.suggest_int(self.name, int(self.low), int(self.high), step=step, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Tell whether a search could draw a value."""
        return value in self.choices if self.choices else self.low <= value <= self.high


def search_space(
    network: Any, training: Any, choices: Mapping[str, tuple[Any, ...]] | None = None
) -> tuple[Dimension, ...]:
    """Return the hyper-parameters that a search over a recipe tries.

    ``network``, ``training``: the recipe's options of both. ``choices``: values by name
    (``"network.hidden"``) in place of the ranges that follow from the defaults.

    Returns
    -------
    Whole numbers and rates around the recipe's values within the limits of their fields; texts among all of
    their choices; dropout from 0 to 0.5.
    """
    found: dict[str, Dimension] = {}
    for place, options, wanted in (("network", network, _OF_NETWORKS), ("options", training, _OF_TRAINING)):
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


def own_values(recipe: TrainingRecipe, space: tuple[Dimension, ...]) -> dict[str, Any]:
    """Return what a search must draw to get the recipe's own values; what it cannot draw is left to it."""
    own = {each.name: 1.0 if each.name == _WIDTHS else _value_in(recipe, each) for each in space}
    return {each.name: own[each.name] for each in space if each.holds(own[each.name])}


def drawn_values(
    recipe: TrainingRecipe, space: tuple[Dimension, ...], drawn: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the hyper-parameters ``{"network": {…}, "options": {…}}`` for what a search drew.

    Convolutions are widened by a factor; with larger batches there are fewer of them.
    """
    values: dict[str, dict[str, Any]] = {"network": {}, "options": {}}
    for each in space:
        place, name = each.place
        value = drawn[each.name]
        if each.name == _WIDTHS and isinstance(value, float):
            value = [max(1, round(width * value)) for width in _value_in(recipe, each)]
        values[place][name] = list(value) if isinstance(value, tuple) else value
    if "batch_size" in values["options"]:
        seen = recipe.options.steps_per_epoch * recipe.options.batch_size
        values["options"]["steps_per_epoch"] = max(1, round(seen / values["options"]["batch_size"]))
    return values


def with_values(recipe: TrainingRecipe, values: Mapping[str, Mapping[str, Any]]) -> TrainingRecipe:
    """Return a recipe with other hyper-parameters.

    Raises InvalidInput when one is unknown or out of range.
    """
    network = {**recipe.network, **values.get("network", {})}
    network_options(recipe.architecture, dict(network))
    return replace(recipe, network=network, options=replace(recipe.options, **values.get("options", {})))


def _value_in(recipe: TrainingRecipe, dimension: Dimension) -> Any:
    place, name = dimension.place
    options = network_options(recipe.architecture, dict(recipe.network))
    return getattr(recipe.options if place == "options" else options, name)


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
            first, last = max(1, steps // _WIDER), min(steps * _WIDER, high // _WIDTH_STEP)
            ends = {"low": first * _WIDTH_STEP, "high": last * _WIDTH_STEP}
            return Dimension(name, **ends, whole=True, step=_WIDTH_STEP)
        return Dimension(
            name, low=max(low, default // _WIDER, 1), high=min(high, default * _WIDER), whole=True, log=True
        )
    if field.kind is float and field.form == "one" and default > 0:
        return Dimension(name, low=max(low, default / _RATE), high=min(high, default * _RATE), log=True)
    return None
