"""Command-line options made from parameter dataclasses: names, defaults, limits and help stand there once."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_PAIR = re.compile(r"(?P<low>[^:x,]+)[:x,](?P<high>[^:x,]+)")


def add_parameter_options(
    parser: argparse.ArgumentParser, parameters: type, *, prefix: str = "", skip: tuple[str, ...] = ()
) -> None:
    """Add one option for each field of a dataclass of numbers, texts, flags, pairs and lists of names.

    Parameters
    ----------
    prefix
        Put before each option's name.
    skip
        Fields that get no option.
    """
    group = parser.add_argument_group(
        f"{_subject(parameters)} (pairs as A:B; a negative A after an equals sign)"
    )
    hints = get_type_hints(parameters)
    told = _told(parameters)
    for entry in fields(parameters):
        if entry.name in skip:
            continue
        flag = f"--{prefix}{entry.name}".replace("_", "-")
        default = _default(entry)
        text = told.get(entry.name, "").replace("%", "%%")
        kind = _kind(hints[entry.name])
        if kind is bool:
            group.add_argument(
                flag,
                action=argparse.BooleanOptionalAction,
                default=None,
                help=f"{text} (default {_shown(default)})",
            )
        else:
            group.add_argument(
                flag,
                type=_reader(kind),
                default=None,
                metavar=_metavar(kind),
                help=f"{text} (default {_shown(default)})",
            )


def parameters_from(
    arguments: argparse.Namespace,
    parameters: type[T],
    *,
    prefix: str = "",
    base: T | None = None,
    **given: Any,
) -> T:
    """Return the dataclass with what the user gave; the rest from ``base`` or its defaults.

    Raises
    ------
    InvalidInput
        When a value is out of the field's limits.
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


def _kind(hint: Any) -> Any:
    """Return the type without Annotated and None: int, float, str, bool, or a tuple type."""
    if get_origin(hint) is Annotated:
        return _kind(get_args(hint)[0])
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        (inner,) = (part for part in get_args(hint) if part is not type(None))
        return _kind(inner)
    return hint


def _reader(kind: Any) -> Callable[[str], Any]:
    if get_origin(kind) is not tuple:
        return kind  # type: ignore[no-any-return]
    first, *rest = get_args(kind)
    if rest == [Ellipsis]:
        return _read_names

    def read_pair(text: str) -> tuple[Any, Any]:
        match = _PAIR.fullmatch(text.strip())
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is no pair; write A:B")
        try:
            return first(match["low"]), first(match["high"])
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no pair of numbers") from None

    return read_pair


def _read_names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _metavar(kind: Any) -> str:
    if get_origin(kind) is not tuple:
        return {int: "N", float: "NUMBER"}.get(kind, "NAME")
    return "A,B" if get_args(kind)[1:] == (Ellipsis,) else "A:B"


def _default(entry: Field[Any]) -> Any:
    if entry.default is not MISSING:
        return entry.default
    return entry.default_factory() if entry.default_factory is not MISSING else None


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return (",".join if value and isinstance(value[0], str) else ":".join)(map(_shown, value))
    return "off" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _subject(parameters: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", parameters.__name__).lower()


def _told(parameters: type) -> dict[str, str]:
    """Return what the class's numpydoc says of each attribute, on one line."""
    told: dict[str, str] = {}
    names: list[str] = []
    for line in (parameters.__doc__ or "").partition("Attributes\n")[2].splitlines()[1:]:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if text and indent <= 4:
            names = [name.strip() for name in text.split(",")]
        elif text:
            for name in names:
                told[name] = f"{told.get(name, '')} {text}".strip()
    return told
