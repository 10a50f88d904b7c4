"""Which way of naming minerals won on synthetic twins of a map, and by what figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from napari_xrf.io.atomic_write import plain
from napari_xrf.io.own.tables import write_rows

LIKELIHOOD, BEST = "likelihood", "best"  # names of methods beside those of models: the best on twins of a map


@dataclass(frozen=True)
class MethodFigures:
    """How a method did on twins of a map; shares from 0 to 1, NaN where there was nothing to measure."""

    method: str  # as it was named
    pure: float  # of the pixels of one mineral, rightly named
    strict: float  # of the pixels of one mineral, rightly named by at most three names
    all: float  # of all pixels, by at most three names; unknown is right for a stranger
    modes: float  # mean error of a mode, points of percent
    calibration: float  # expected error of the named pixels' confidence
    sure_wrong: float  # of all pixels, wrongly named at a confidence of 0.9 or more
    strangers: float  # of the pixels of minerals that nobody listed, called unknown
    seconds: float  # of the processor, for the whole map that was measured
    score: float  # ``all`` less ``sure_wrong``: what decides
    # lead, lead_error: of its score over the first method's, and its standard error
    lead: float
    lead_error: float


COLUMNS = tuple(each.name for each in fields(MethodFigures))


@dataclass(frozen=True)
class MethodChoice:
    """Why a map was named by one method and not by another."""

    chosen: str  # the method that was taken
    reason: str  # in a sentence
    rows: tuple[MethodFigures, ...]  # of each method that could be asked
    notes: tuple[str, ...] = ()  # methods that were left out, and names that were translated

    def as_json(self) -> dict[str, Any]:
        """Return everything in numbers, texts and lists; what is not defined is None."""
        return plain(asdict(self))

    def shown_rows(self) -> list[tuple[str, ...]]:
        """Return a row of text for each method, in the order of :data:`COLUMNS`."""
        return [tuple(_shown(getattr(row, name)) for name in COLUMNS) for row in self.rows]


def write_method_choice(path: Path, choice: MethodChoice) -> None:
    """Write the figures of each method as CSV."""
    rows: Sequence[Sequence[object]] = [[getattr(row, name) for name in COLUMNS] for row in choice.rows]
    write_rows(path, COLUMNS, rows)


def _shown(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return "–" if value != value else f"{value:.3f}"
