"""The fields of parameter dataclasses as forms and command lines show them: what stands in the code, once."""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, dataclass, fields
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from napari_xrf.core.ranges import Choices, Limits


@dataclass(frozen=True)
class ParameterField:
    """One field of a parameter dataclass.

    Attributes
    ----------
    name
        As in the code.
    kind
        Type of its parts: ``bool``, ``int``, ``float`` or ``str``.
    form
        ``"one"`` value, a ``"pair"`` of them, or a ``"list"`` of names.
    optional
        Whether None, off, is allowed.
    default
        Its value when nothing is said.
    limits
        Where numbers must lie, or None.
    choices
        The texts that are allowed; empty for any.
    text
        What the class's docstring says of it, on one line.
    """

    name: str
    kind: type
    form: Literal["one", "pair", "list"]
    optional: bool
    default: Any
    limits: Limits | None = None
    choices: tuple[str, ...] = ()
    text: str = ""


def parameter_fields(parameters: type, *, skip: tuple[str, ...] = ()) -> tuple[ParameterField, ...]:
    """Return the fields of a dataclass of numbers, texts, flags, pairs and lists of names, in their order."""
    hints = get_type_hints(parameters, include_extras=True)
    told = attribute_texts(parameters)
    return tuple(
        _field(entry, hints[entry.name], told.get(entry.name, ""))
        for entry in fields(parameters)
        if entry.name not in skip
    )


def attribute_texts(parameters: type) -> dict[str, str]:
    """Return what a class's numpydoc says of each attribute, on one line."""
    told: dict[str, str] = {}
    names: list[str] = []
    section = (parameters.__doc__ or "").partition("Attributes\n")[2]
    section = re.split(r"\n\s*\n\s*\S+\n\s*-{3,}\n", section)[0]
    for line in section.splitlines()[1:]:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if text and indent <= 4:
            names = [name.strip() for name in text.split(",")]
        elif text:
            for name in names:
                told[name] = f"{told.get(name, '')} {text}".strip()
    return {name: _plain(text) for name, text in told.items()}


def _plain(text: str) -> str:
    """Return a sentence without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)
    return text.replace("``", "")


def _field(entry: Field[Any], hint: Any, text: str) -> ParameterField:
    extras = getattr(hint, "__metadata__", ())
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    optional = get_origin(bare) is Union or type(bare).__name__ == "UnionType"
    if optional:
        (bare,) = (part for part in get_args(bare) if part is not type(None))
    form: Literal["one", "pair", "list"] = "one"
    if get_origin(bare) is tuple:
        bare, *rest = get_args(bare)
        form = "list" if rest == [Ellipsis] else "pair"
    return ParameterField(
        name=entry.name,
        kind=bare,
        form=form,
        optional=optional,
        default=_default(entry),
        limits=next((extra for extra in extras if isinstance(extra, Limits)), None),
        choices=next((extra.names for extra in extras if isinstance(extra, Choices)), ()),
        text=text,
    )


def _default(entry: Field[Any]) -> Any:
    if entry.default is not MISSING:
        return entry.default
    return entry.default_factory() if entry.default_factory is not MISSING else None
