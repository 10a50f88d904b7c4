"""Parameters of recipes, networks and trainings: each field says its type, limits, unit and help once.

``@parameters`` makes a frozen dataclass that checks what it is given. From :func:`parameter_fields` come the
command line's options and the window's forms; ``dataclasses.asdict`` gives the form for JSON, and calling the
class with that reads it again.
"""

import functools
import re
from collections.abc import Mapping, Set
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic_core import CoreSchema, core_schema

from napari_xrf.core.errors import InvalidInput, check_name, check_range

T = TypeVar("T")
Range = tuple[float, float]
# By what pydantic's names of errors begin with.
_WANTED = {
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "string": "a text",
    "tuple": "several values",
}


class InvalidParameters(InvalidInput):
    """Some fields are wrong; the message is that of the first.

    Attributes
    ----------
    errors
        Field → what is wrong with it; ``""`` is the name of what concerns several together.
    """

    def __init__(self, error: ValidationError, names: Set[str]) -> None:
        found = error.errors(include_url=False)
        causes = [_sentence(each, error.title) for each in found]
        self.errors: dict[str, str] = {}
        for each, cause in zip(found, causes, strict=True):
            # What concerns several fields names one where it begins "this field must …".
            begun = cause.cause.partition(" must ")[0].replace(" ", "_")
            name = str(each["loc"][0]) if each["loc"] else begun
            self.errors[name if name in names else ""] = str(cause)
        super().__init__(causes[0].cause, causes[0].remedy)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def parameters(described: type[T]) -> type[T]:
    """Make a class of annotated fields a frozen dataclass whose values are checked.

    What its docstring says of each attribute is the help of command line and window. Making one, and
    ``dataclasses.replace``, raise :class:`~napari_xrf.core.errors.InvalidInput` for the first wrong field.
    """
    config = ConfigDict(extra="forbid")
    made: Any = checked_dataclass(described, frozen=True, config=config)
    construct, names = made.__init__, [entry.name for entry in fields(made)]

    @functools.wraps(construct)
    def checked_init(self: Any, *args: Any, **values: Any) -> None:
        try:
            # By name, so that an error can say which.
            named = dict(zip(names, args, strict=False))
            construct(self, *args[len(names) :], **named, **values)
        except ValidationError as error:
            raise InvalidParameters(error, {each.name for each in fields(self)}) from None

    made.__init__ = checked_init
    return made  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Limits:
    """Where a number, or both ends of a range, must lie; goes into ``Annotated`` beside the type."""

    # low, high: both included
    low: float
    high: float
    unit: str = ""  # "keV"; empty for a plain number
    ordered: bool = True  # whether a pair of numbers is a range, whose first must not exceed the second

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        label = str(info.field_name).replace("_", " ")
        ends = value if isinstance(value, tuple) else () if value is None else (value,)
        for end in ends:
            check_range(label, end, self.low, self.high)
        if self.ordered and len(ends) == 2 and ends[0] > ends[1]:
            raise InvalidInput(f"{label} runs from {ends[0]:g} down to {ends[1]:g}", "Swap the ends")
        return value


@dataclass(frozen=True)
class Choices:
    """The texts that a field may hold; goes into ``Annotated`` beside the type."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def _check(self, value: str, info: core_schema.ValidationInfo) -> str:
        check_name(str(info.field_name).replace("_", " "), value, self.names)
        return value


@dataclass(frozen=True)
class ParameterField:
    """One field of a class of parameters."""

    name: str
    kind: type  # type of its parts: bool, int, float or str
    form: Literal["one", "pair", "list"]  # "one" value, a "pair" of them, or a "list" of names
    optional: bool  # whether None, off, is allowed
    default: Any  # its value when nothing is said
    limits: Limits | None = None  # where numbers must lie, or None
    choices: tuple[str, ...] = ()  # the texts that are allowed; empty for any
    text: str = ""  # what the class's docstring says of it, on one line


def parameter_fields(described: type, *, skip: tuple[str, ...] = ()) -> tuple[ParameterField, ...]:
    """Return the fields of a class of numbers, texts, flags, pairs and lists of names, in their order."""
    hints = get_type_hints(described, include_extras=True)
    told = _attribute_texts(described)
    return tuple(
        _field(entry, hints[entry.name], told.get(entry.name, ""))
        for entry in fields(described)
        if entry.name not in skip
    )


def _sentence(first: Mapping[str, Any], title: str) -> InvalidInput:
    """Return what is wrong as a sentence that begins with the field's name."""
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidInput):
        return cause
    label = str(first["loc"][0]).replace("_", " ") if first["loc"] else title
    if first["type"] == "unexpected_keyword_argument":
        return InvalidInput(f"{title} has no parameter {first['loc'][0]}")
    wanted = _WANTED.get(first["type"].partition("_")[0])
    if wanted:
        return InvalidInput(f"{label} must be {wanted}, not {first['input']!r}")
    if first["type"] in ("missing", "too_long"):
        return InvalidInput(f"{label} holds too few or too many values: {first['input']}")
    return InvalidInput(f"{label}: {first['msg'].replace('Input', 'it', 1)}, not {first['input']!r}")


def _attribute_texts(described: type) -> dict[str, str]:
    """Return what the numpydoc of a class and its bases says of each attribute, on one line."""
    told: dict[str, str] = {}
    names: list[str] = []
    sections = [(part.__doc__ or "").partition("Attributes\n")[2] for part in reversed(described.__mro__)]
    sections = [re.split(r"\n\s*\n\s*\S+\n\s*-{3,}\n", section)[0] for section in sections]
    for line in (line for section in sections for line in section.splitlines()[1:]):
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
        default=entry.default_factory() if entry.default_factory is not MISSING else entry.default,
        limits=next((extra for extra in extras if isinstance(extra, Limits)), None),
        choices=next((extra.names for extra in extras if isinstance(extra, Choices)), ()),
        text=text,
    )
