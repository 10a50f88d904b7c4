"""Several maps as one picture, and maps computed from maps."""

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput

COLORS = {
    "red": "#ff0000", "green": "#00ff00", "blue": "#0000ff", "cyan": "#00ffff", "magenta": "#ff00ff",
    "yellow": "#ffff00", "orange": "#ff8000", "white": "#ffffff",
}  # fmt: skip

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda first, second: np.where(second > 0, first / np.where(second > 0, second, 1), np.nan),
    ast.USub: operator.neg,
}
_FUNCTIONS = {
    "sqrt": lambda value: np.sqrt(np.maximum(value, 0)),
    "log": lambda value: np.log1p(np.maximum(value, 0)),
}


def compose(
    maps: Sequence[ArrayLike],
    colors: Sequence[str],
    limits: Sequence[tuple[float, float]],
    gamma: float = 1.0,
) -> NDArray[np.float32]:
    """Add maps up, each in its colour.

    ``maps``: (Y, X) each. ``colors``: ``"#rrggbb"`` of each. ``limits``: the values that are drawn black and
    in the full colour, of each. ``gamma``: below 1 lifts what is weak.

    Returns
    -------
    (Y, X, 3) from 0 to 1.

    Raises
    ------
    InvalidInput
        When there is no map, or their shapes differ.
    """
    values = [np.asarray(each, dtype=np.float32) for each in maps]
    if not values:
        raise InvalidInput("no map is chosen", "Choose one for a colour at least")
    if len({each.shape for each in values}) > 1:
        raise InvalidInput("the maps have different shapes", "Choose maps of one measurement")
    picture = np.zeros((*values[0].shape, 3), dtype=np.float32)
    for each, color, (low, high) in zip(values, colors, limits, strict=True):
        share = np.clip((np.nan_to_num(each) - low) / max(high - low, 1e-12), 0, 1) ** gamma
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        picture += share[..., None] * np.array(parts, dtype=np.float32)
    return np.clip(picture, 0, 1)


def compute_map(expression: str, maps: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """Return the map of an expression such as ``"Fe / (Fe + Ca)"``; NaN where it divides by nothing.

    ``expression``: names, numbers, ``+ - * /``, brackets, ``sqrt`` and ``log`` (of 1 + value). ``maps``: name
    → (Y, X). ``"Fe K"`` answers to ``Fe_K``, ``"BSE (rock)"`` to ``BSE_rock``, and both to their first word
    where no other measured map begins so.

    Raises
    ------
    InvalidInput
        When the expression cannot be read, or names what there is not.
    """
    tree = _parsed(expression)
    known = {name: np.asarray(values, dtype=np.float64) for name, values in maps.items()}
    result = _value(tree.body, known)
    if np.ndim(result) != 2:
        raise InvalidInput(f"{expression!r} names no map", f"There are {', '.join(map(_identifier, known))}")
    return np.asarray(result, dtype=np.float64)


def names_in(expression: str, names: Iterable[str]) -> list[str]:
    """Return which of these names of maps an expression uses; raises as :func:`compute_map` does."""
    known = dict.fromkeys(names)
    given = (node.id for node in ast.walk(_parsed(expression)) if isinstance(node, ast.Name))
    used = list(dict.fromkeys(_name(each, known) for each in given if each not in _FUNCTIONS))
    if not used:
        raise InvalidInput(f"{expression!r} names no map", f"There are {', '.join(map(_identifier, known))}")
    return used


def _parsed(expression: str) -> ast.Expression:
    try:
        return ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise InvalidInput(f"{expression!r} is no expression", "Write for example Fe / (Fe + Ca)") from error


def _value(node: ast.expr, known: Mapping[str, NDArray[np.float64]]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name):
        return known[_name(node.id, known)]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand, known))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        first, second = _value(node.left, known), _value(node.right, known)
        shapes = {np.shape(part) for part in (first, second) if np.ndim(part)}
        if len(shapes) > 1:
            raise InvalidInput("the maps have different shapes", "Choose maps of one measurement")
        return _OPERATORS[type(node.op)](np.asarray(first), np.asarray(second))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        if len(node.args) == 1 and not node.keywords:
            return _FUNCTIONS[node.func.id](_value(node.args[0], known))
        raise InvalidInput(f"{node.func.id} takes one map")
    raise InvalidInput(f"{ast.unparse(node)!r} cannot be computed", "Use + - * / ( ) sqrt log and maps")


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True


def _name(given: str, known: Mapping[str, Any]) -> str:
    exact = [name for name in known if given in (name, _identifier(name))]
    # A map that was computed, "Fe / (Fe + Ca)", is not meant by "Fe".
    found = exact or [name for name in known if name.split()[0] == given and not _is_expression(name)]
    if len(found) != 1:
        told = f"{given} is {' or '.join(found)}" if found else f"there is no map {given}"
        raise InvalidInput(told, f"There are {', '.join(map(_identifier, known))}")
    return found[0]


def _identifier(name: str) -> str:
    """Return a map's name as an expression can hold it: ``BSE_rock`` of ``"BSE (rock)"``."""
    plain = re.sub(r"\W+", "_", name).strip("_")
    return plain if plain.isidentifier() else f"_{plain}"
