"""Command-line options made from parameter dataclasses: names, defaults, limits and help stand there once."""

import argparse
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from napari_xrf.cli.names import split_names
from napari_xrf.core.parameters import ParameterField, parameter_fields

T = TypeVar("T")

_PAIR = re.compile(r"(?P<low>[^:x,]+)[:x,](?P<high>[^:x,]+)")


def add_parameter_options(
    parser: argparse.ArgumentParser,
    parameters: type,
    *,
    prefix: str = "",
    skip: tuple[str, ...] = (),
    note: str = "pairs as A:B; a negative A after an equals sign",
    own_defaults: bool = True,
) -> None:
    """Add one option for each field of a dataclass of numbers, texts, flags, pairs and lists of names.

    ``prefix``: put before each option's name. ``skip``: fields that get no option. ``note``: what stands
    beside the options' heading. ``own_defaults``: whether the help names the fields' defaults; not where
    others take their place.
    """
    group = parser.add_argument_group(f"{_subject(parameters)} ({note})")
    for entry in parameter_fields(parameters, skip=skip):
        flag = f"--{prefix}{entry.name}".replace("_", "-")
        default = f" (default {_shown(entry.default)})" if own_defaults and entry.default != "" else ""
        told = f"{entry.text}{default}".replace("%", "%%")
        if entry.kind is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=told)
        else:
            group.add_argument(flag, type=_reader(entry), default=None, metavar=_metavar(entry), help=told)


def parameters_from(
    arguments: argparse.Namespace,
    parameters: type[T],
    *,
    prefix: str = "",
    base: T | None = None,
    **given: Any,
) -> T:
    """Return the dataclass with what the user gave; the rest from ``base`` or its defaults.

    Raises InvalidInput when a value is out of the field's limits.
    """
    values = dict(given)
    for entry in fields(parameters):  # type: ignore[arg-type]
        if entry.name in given:
            continue
        value = getattr(arguments, f"{prefix}{entry.name}".replace("-", "_"), None)
        if value is not None:
            values[entry.name] = value
        elif base is not None:
            values[entry.name] = getattr(base, entry.name)
    return parameters(**values)


def _reader(entry: ParameterField) -> Callable[[str], Any]:
    kind: Callable[[str], Any] = entry.kind
    if entry.form == "one":
        return kind
    if entry.form == "list":
        return split_names

    def read_pair(text: str) -> tuple[Any, Any]:
        match = _PAIR.fullmatch(text.strip())
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is no pair; write A:B")
        try:
            return kind(match["low"]), kind(match["high"])
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no pair of numbers") from None

    return read_pair


def _metavar(entry: ParameterField) -> str:
    single = {int: "N", float: "NUMBER"}.get(entry.kind, "NAME")
    return {"one": single, "pair": "A:B", "list": "A,B"}[entry.form]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return (",".join if value and isinstance(value[0], str) else ":".join)(map(_shown, value))
    return "off" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _subject(parameters: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", parameters.__name__).lower()
