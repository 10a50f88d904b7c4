"""Scans stored point by point: the map's shape from the scan command, rows that were measured backwards."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A command that tells of more pixels, or of so many for each point of a map that is not small, is wrong.
_MOST_PIXELS, _MOST_MISSING, _FEWEST_PIXELS = 10**8, 1000, 10**5
_MOST_AXES = 12  # of a stage and its counters that are tried
_ONE_WAY = 0.5  # of the steps in a row: encoders jitter
_MESHES = ("mesh", "amesh", "dmesh", "l2scan", "zzmesh", "smesh")
_UM_PER = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "micrometer": 1.0,
           "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "centimeter": 1e4, "m": 1e6, "meter": 1e6,
           "nm": 1e-3, "nanometer": 1e-3}  # fmt: skip
_SECONDS_PER = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0,
                "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6,
                "usec": 1e-6, "microsecond": 1e-6, "ns": 1e-9, "nanosecond": 1e-9}  # fmt: skip
_X_NAME, _Y_NAME = (re.compile(rf"^(sam)?{axis}(_|$|\d|pos)|[_ ]{axis}$|{word}") for axis, word in
                    (("x", "^hor|horizontal|column"), ("y", "^ver|vertical|^row")))  # fmt: skip
_ALTERNATING = re.compile(r"backnforth|zigzag|snake|^zzmesh", re.IGNORECASE)


@dataclass(frozen=True)
class Grid:
    """How the points of a scan form a map."""

    shape: tuple[int, int]  # (Y, X)
    motors: tuple[tuple[str, float], ...] = ()  # of rows and of columns, (name, step); empty where unknown
    notes: tuple[str, ...] = ()  # what the user should know
    alternating: bool = False  # whether the command says that every second row runs backwards


def grid_of(
    command: str, points: int, places: Callable[[str], NDArray[np.float64] | None] | None = None
) -> Grid:
    """Return the grid that a scan command of SPEC or BLISS describes; one row where it describes none.

    ``mesh`` counts intervals, older programs points: the reading holds that the motors' ``places`` at each
    point show, by name, else the one whose product is the number of points.
    """
    name, *words = re.split(r"[\s,()=]+", command.strip())
    notes: tuple[str, ...] = ()
    try:
        words = [words[0], *words[3:]] if name.lower() == "smesh" else words  # its limits stand before it
        if name.lower() in _MESHES:
            fast, slow = words[0], words[4]
            columns, rows = int(words[3]) + 1, int(words[7]) + 1
            seen = _columns_seen(places and places(slow), places and places(fast))
            fewer = rows * columns != points == (rows - 1) * (columns - 1)
            if seen == columns - 1 or (seen != columns and fewer):
                if seen is None:
                    notes = (
                        f"The scan command {command!r} is taken to count points, as the file holds {points}; "
                        f"if the scan was stopped, the map has {columns} columns.",
                    )
                columns, rows = columns - 1, rows - 1
            steps = _interval(words[5:7], rows - 1), _interval(words[1:3], columns - 1)
        elif name.lower() == "fscan2d":
            slow, fast, rows, columns = words[0], words[4], int(words[3]), int(words[7])
            steps = _number(words[2]), _number(words[6])
        else:
            raise ValueError(name)
        if rows * columns > min(_MOST_PIXELS, max(_FEWEST_PIXELS, _MOST_MISSING * points)):
            raise ValueError(name)
    except (ValueError, IndexError):
        note = f"The scan command {command!r} tells no map shape; the {points} points stand in one row."
        return Grid((1, points), (), (note,))
    if points < rows * columns:
        notes += (
            f"The scan was stopped: {points} of {rows * columns} points are measured, the others are empty.",
        )
    elif points > rows * columns > 0:
        rows = math.ceil(points / columns)
        notes += (
            f"The scan holds {points} points, more than its command {command!r} says; rows were added.",
        )
    motors = ((slow, steps[0]), (fast, steps[1]))
    if x_first(slow, fast):
        notes += (f"The scan ran along {fast}: it lies along the rows of the map, {slow} down them.",)
    return Grid((rows, columns), motors, notes, bool(_ALTERNATING.search(command)))


def is_mesh(command: str) -> bool:
    """Tell whether a scan command names one that makes a map."""
    return re.split(r"[\s(]", command.strip().lower())[0] in (*_MESHES, "fscan2d")


def grid_among(positions: Mapping[str, NDArray[np.float64]]) -> tuple[Grid, NDArray[np.bool_] | None] | None:
    """Return the grid that two of several axes form, its motors named, and which rows ran backwards.

    Each holds a position at every point, in µm. The pair is taken whose slow axis makes fewest steps; None
    where no two form a grid.
    """
    moving = {name: values for name, values in positions.items() if values.size > 1 and np.ptp(values) > 0}
    # The fast axis has the longest way to go.
    names = sorted(
        moving, key=lambda name: -float(np.abs(np.diff(moving[name])).sum() / np.ptp(moving[name]))
    )
    for slow in reversed(names[-_MOST_AXES:]):
        tried = {fast: grid_from_positions(moving[slow], moving[fast]) for fast in names[-4 * _MOST_AXES :]}
        fitting = {fast: grid for fast, grid in tried.items() if grid and grid.shape[0] > 1 and fast != slow}
        if fitting:  # a counter may rise in every row by chance: the motor comes back to the same places
            fast = min(fitting, key=lambda one: _departure(moving[one], fitting[one].shape))
            motors = ((slow, fitting[fast].motors[0][1]), (fast, fitting[fast].motors[1][1]))
            return replace(fitting[fast], motors=motors), reversed_rows(moving[fast], fitting[fast].shape)
    return None


def grid_from_positions(slow: ArrayLike, fast: ArrayLike) -> Grid | None:
    """Return the grid of points whose ``slow`` position stays in a row while ``fast`` moves; else None.

    Every row visits the places of the first, in its order or backwards, to within a step.
    """
    across, down = (np.asarray(values, dtype=np.float64).ravel() for values in (fast, slow))
    if across.size != down.size or across.size < 2 or not np.all(np.isfinite(across + down)):
        return None
    jumps = np.abs(np.diff(down))
    ends = np.flatnonzero(jumps > 0.5 * jumps.max(initial=0)) + 1
    columns = int(ends[0]) if ends.size else across.size
    if ends.size and np.any(ends != columns * np.arange(1, ends.size + 1)):
        return None
    rows = math.ceil(across.size / columns)
    if columns < 2 or np.ptp(across[:columns]) == 0 or across.size <= (rows - 1) * columns:
        return None
    moves = np.diff(across[:columns])
    step = float(np.median(np.abs(moves)))
    height = float(np.median(jumps[ends - 1])) if ends.size else 0.0
    # A motor goes one way along a row; what a counter says goes up and down.
    if abs(np.sign(moves).sum()) < _ONE_WAY * moves.size or not _is_regular(across, columns, step):
        return None
    return Grid((rows, columns), (("", _rounded(height)), ("", _rounded(step))))


def _columns_seen(slow: NDArray[np.float64] | None, fast: NDArray[np.float64] | None) -> int | None:
    """Return after how many points the slow motor moves on, None where the motors do not show it."""
    grid = None if slow is None or fast is None else grid_from_positions(slow, fast)
    return grid.shape[1] if grid is not None and grid.shape[0] > 1 else None


def reversed_rows(fast: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return which rows run against the first one's direction, (Y,); None where none does.

    ``fast`` holds the position of the fast motor at each point, row by row; points not measured may lack.
    """
    positions = np.full(shape[0] * shape[1], np.nan)
    values = np.asarray(fast, dtype=np.float64).ravel()[: positions.size]
    positions[: values.size] = values
    steps = np.diff(positions.reshape(shape), axis=1)
    directions = np.sign(np.nansum(np.sign(steps), axis=1))
    known = directions[directions != 0]
    backwards: NDArray[np.bool_] = directions == -known[0] if known.size else np.zeros(shape[0], bool)
    return backwards if backwards.any() else None


def x_first(one: str, other: str) -> bool:
    """Tell whether two scan axes are named x and y, in this order: the map is stored column by column."""
    one, other = one.lower(), other.lower()
    # stageX and stageY, t1x and t1y: names that differ in that letter alone.
    differing = [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]]
    alone = len(one) == len(other) and differing == [("x", "y")]
    return alone or bool(_X_NAME.search(one) and _Y_NAME.search(other))


def um_per(units: str, default: str = "") -> tuple[float | None, str]:
    """Return µm per unit of length, None when unknown, and a warning when the default was taken."""
    name = units.strip()
    word = re.sub(r"metre|meters", "meter", name.lower()).removesuffix("s")
    factor = _UM_PER.get(name, _UM_PER.get(name.lower(), _UM_PER.get(word)))
    if factor is not None:
        return factor, ""
    if default:
        return _UM_PER[default], f"The positions carry no unit; they are taken as {default}."
    return None, "The positions carry no unit of length, so the pixel size is not known."


def seconds_per(units: str, default: float = 1.0) -> float:
    """Return seconds per unit of time; ``default`` where a text names none."""
    word = units.strip().lower()
    return _SECONDS_PER.get(word, _SECONDS_PER.get(word.removesuffix("s"), default))


def _departure(fast: NDArray[np.float64], shape: tuple[int, int]) -> float:
    """Return how far a row's places lie from the other rows', in steps."""
    rows = np.resize(np.append(fast, np.full(shape[0] * shape[1] - fast.size, np.nan)), shape)
    backwards = reversed_rows(fast, shape)
    if backwards is not None:
        rows[backwards] = rows[backwards, ::-1]
    step = float(np.nanmedian(np.abs(np.diff(rows, axis=1))))
    return float(np.nanmedian(np.abs(rows - np.nanmedian(rows, axis=0)))) / step


def _is_regular(fast: NDArray[np.float64], columns: int, step: float) -> bool:
    first = fast[:columns]
    for start in range(columns, fast.size, columns):
        row = fast[start : start + columns]
        away = [np.abs(row - one[: row.size]) for one in (first, first[::-1])]
        if min(float(np.median(each)) for each in away) > step:
            return False
    return True


def _interval(ends: list[str], steps: int) -> float:
    return abs(_number(ends[1]) - _number(ends[0])) / max(steps, 1)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _rounded(step: float) -> float:
    return float(f"{step:.9g}")
