"""Calls that look at their arguments first: what a user gives wrongly ends in a sentence with a remedy."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from napari_xrf.core.errors import InvalidInput, check_option, check_seed
from napari_xrf.core.extras import networks_told

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_NUMBER, _WHOLE = ("int", "float", "integer", "floating"), ("int", "integer")
_FILE = ("str", "PurePath")
_LABELS = ("LabelMap", "Classification", "Phases", *_FILE)
_LABELS_ARE = "a label map, its file, or what map_minerals or find_phases returns"
# By an argument's name: the classes that it may be of (by their names, so that none is loaded for it), and
# what that is to a user.
_KINDS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "source": (("SpectralCube", "CalibratedMap", "Spectrum", "Synthetic", *_FILE), "a map, or its file"),
    "classification": (("Classification",), "what map_minerals returns"),
    "labels": (_LABELS, _LABELS_ARE),
    "first": (_LABELS, _LABELS_ARE),
    "second": (_LABELS, _LABELS_ARE),
    "path": (_FILE, "the name of a file"),
    "folder": (_FILE, "the name of a folder"),
    "library": (_FILE, "the name of a .csv file"),
    "regions": ((*_LABELS, "dict", "Mapping"), f"masks by name, or {_LABELS_ARE}"),
    "model": ((*_FILE, "Model"), "the name of a model, its file, or a loaded model"),
    "instrument": (_FILE, "the name of an instrument, or of a .toml file"),
    "method": (("str",), "a name"),
    "recipe": (("str",), "a name"),
    "verb": (("str",), "a name"),
    "formula": (("str",), "a formula, as 'CaCO3'"),
    "memory_budget": (_NUMBER, "a number of bytes"),
}
# By an argument's annotation, where its name says no more.
_PLAIN: Mapping[str, tuple[tuple[str, ...], str]] = {
    "str": (("str",), "a text"),
    "int": (_WHOLE, "a whole number"),
    "float": (_NUMBER, "a number"),
    "bool": (("bool", "bool_"), "True or False"),
}
_LISTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "elements": (("str",), "symbols, as ['Fe', 'Pb L']"),
    "minerals": (("str", "Mineral"), "names of minerals, as ['quartz', 'albite']"),
    "ignored": (("str",), "symbols, as ['Cu']"),
    "outputs": (("str",), "names, as ['presence']"),
    "pores": (("str",), "names of classes"),
    "methods": (("str",), "names, as ['likelihood', 'mineral-mlp']"),
    "clean": (("str", "CleanUpStep"), "steps, as 'majority:3,min-size:5'"),
    "files": (_FILE, "names of files, as ['rock.bcf', 'ore.h5']"),
}

_NEVER_EMPTY = ("elements", "outputs", "methods")


def checked(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Check a function's arguments by their names before it is called; one name stands for a list of one.

    The call raises :class:`~napari_xrf.core.errors.InvalidInput` for an argument of the wrong kind, one that
    is not known, and one that is missing.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        try:
            bound = signature.bind(*arguments, **named)
        except TypeError as error:
            check_options(function, named)
            raise InvalidInput(f"{function.__name__}: {error}", f"Write {_usage(function)}") from None
        bound.apply_defaults()  # a text that stands for a list is one there, too
        for name, value in bound.arguments.items():
            bound.arguments[name] = _fitting(signature.parameters[name], value)
        with networks_told():
            return function(*bound.args, **bound.kwargs)

    return call


def check_options(function: Callable[..., Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of a function as it takes them: one name stands for a list of one.

    Raises InvalidInput where it has no argument of a given name, or one cannot have its value.
    """
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return dict(named)
    for name in named:
        check_option(function.__name__, name, parameters)
    return {name: _fitting(parameters[name], value) for name, value in named.items()}


def _fitting(parameter: inspect.Parameter, value: Any) -> Any:
    if value is None and parameter.default is None:
        return value
    name, annotation = parameter.name, str(parameter.annotation)
    known_as = "source" if annotation == "Map" else "clean" if "CleanUpStep" in annotation else name
    if known_as in _LISTS:
        kinds, what = _LISTS[known_as]
        one = _is_of(value, kinds)
        if not one and not hasattr(value, "__iter__"):
            raise InvalidInput(f"{name} cannot be {_shown(value)}", f"Give {what}")
        listed = (value,) if one else tuple(value)
        for each in listed:
            if not _is_of(each, kinds):
                raise InvalidInput(f"{name} cannot hold {_shown(each)}", f"Give {what}")
        if name in _NEVER_EMPTY and not any(listed):
            raise InvalidInput(f"{name} names nothing", f"Give {what}, or leave it out")
        return listed
    plain = annotation.removesuffix(" | None")
    if known_as in _KINDS or plain in _PLAIN:
        kinds, what = _KINDS.get(known_as) or _PLAIN[plain]
        more = ("ElementMaps",) if "ElementMaps" in annotation else ()
        if not _is_of(value, (*kinds, *more)) or (isinstance(value, bool) and "bool" not in kinds):
            raise InvalidInput(f"{name} cannot be {_shown(value)}", f"Give {what}")
    if name == "seed":
        check_seed(value)
    return value


def _is_of(value: Any, kinds: tuple[str, ...]) -> bool:
    return any(each.__name__ in kinds for each in type(value).__mro__)


def _shown(value: Any) -> str:
    text = repr(value)
    if isinstance(value, str | int | float) and len(text) < 60:
        return text
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def _usage(function: Callable[..., Any]) -> str:
    parameters = inspect.signature(function).parameters.values()
    needed = [each.name for each in parameters if each.default is each.empty and each.kind < each.VAR_KEYWORD]
    return f"{function.__name__}({', '.join(needed)}, …)"
