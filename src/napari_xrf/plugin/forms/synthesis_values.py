"""Between parameter dataclasses and the texts of a form: no Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from napari_xrf.core.errors import InvalidInput, XrfError
from napari_xrf.core.parameters import Limits, ParameterField

T = TypeVar("T")

# How the last word of a field's name is written as a unit.
_UNITS = {"ev": "eV", "kev": "keV", "us": "µs", "ms": "ms", "um": "µm"}


@dataclass(frozen=True)
class Judgement(Generic[T]):
    """What became of the values of a form.

    Attributes
    ----------
    value
        The dataclass, or None where a value is wrong.
    errors
        Name of the field → what is wrong with it; ``""`` is the name of what concerns the form as a whole.
    """

    value: T | None
    errors: Mapping[str, str]


def judge(base: T, values: Mapping[str, Any], errors: Mapping[str, str] | None = None) -> Judgement[T]:
    """Put values into a dataclass, and find the fields that it does not take.

    Parameters
    ----------
    base
        A valid instance, with the values of all fields that are not in ``values``.
    values
        Field → value.
    errors
        Fields whose text could not be read.
    """
    wrong = dict(errors or {})
    for name, value in values.items():
        try:
            replace(base, **{name: value})  # type: ignore[type-var]
        except XrfError as error:
            # What concerns another field too is judged with that field's own value, below.
            if (_named(values, error) or name) == name:
                wrong[name] = str(error)
    if set(wrong) - set(values):
        return Judgement(None, wrong)
    try:
        return Judgement(replace(base, **values), {})  # type: ignore[type-var]
    except XrfError as error:
        # Values may be wrong alone and right together, or the other way round: together decides.
        if wrong and not _named(values, error):
            return Judgement(None, wrong)
        return Judgement(None, wrong | dict.fromkeys(_culprits(base, values, error), str(error)))


def label_of(field: ParameterField) -> str:
    """Return a field's name as a form shows it, without the unit that stands behind the value."""
    words = field.name.split("_")
    if len(words) > 1 and words[-1] in _UNITS:
        words = words[:-1]
    return " ".join(words).capitalize()


def unit_of(field: ParameterField) -> str:
    """Return the unit that stands behind a field's value, maybe empty."""
    if field.limits is not None and field.limits.unit:
        return field.limits.unit
    last = field.name.rpartition("_")[2]
    return _UNITS.get(last, "") if "_" in field.name else ""


def hint_of(field: ParameterField) -> str:
    """Return the tooltip of a field: what it is, and where it must lie."""
    parts = [field.text]
    if field.limits is not None:
        parts.append(f"{_range_text(field.limits)}.")
    if field.form == "list":
        parts.append("Names with commas between them.")
    return " ".join(part for part in parts if part)


def texts_of(field: ParameterField, value: Any) -> tuple[str, ...]:
    """Return the texts of a value: two for a pair, else one. Numbers read back are the same."""
    if field.form == "pair":
        return tuple(_text(part) for part in value)
    if field.form == "list":
        return (", ".join(value),)
    return (_text(value),)


def value_from(field: ParameterField, texts: tuple[str, ...]) -> Any:
    """Return the value that texts stand for.

    Raises
    ------
    InvalidInput
        When a number cannot be read.
    """
    if field.form == "list":
        return tuple(part.strip() for part in texts[0].split(",") if part.strip())
    if field.kind is str:
        return texts[0].strip()
    parts = tuple(_number(text, field.kind) for text in texts)
    return parts if field.form == "pair" else parts[0]


def _number(text: str, kind: type) -> Any:
    plain = text.strip().replace("−", "-")
    try:
        if kind is int:
            return int(plain)
        return float(plain)
    except ValueError:
        what = "whole number" if kind is int else "number"
        raise InvalidInput(f"{text.strip()!r} is no {what}" if plain else f"a {what} is missing") from None


def _text(value: Any) -> str:
    if isinstance(value, float):
        short = f"{value:.9g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _range_text(limits: Limits) -> str:
    return f"From {limits.low:g} to {limits.high:g} {limits.unit}".rstrip()


def _named(values: Mapping[str, Any], error: XrfError) -> str:
    """Return the field that a message starts with, or an empty text."""
    named = [name for name in values if str(error).startswith(name.replace("_", " "))]
    return max(named, key=len, default="")


def _culprits(base: Any, values: Mapping[str, Any], error: XrfError) -> tuple[str, ...]:
    """Return the field that the message starts with, or else those whose old value would help."""
    if named := _named(values, error):
        return (named,)
    helping = []
    for name in values:
        try:
            replace(base, **{**values, name: getattr(base, name)})
        except XrfError:
            continue
        if values[name] != getattr(base, name):
            helping.append(name)
    return tuple(helping) or ("",)
