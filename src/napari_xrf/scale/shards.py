"""Shards: a map cut into bands of rows, each worked on by itself, and merged bit for bit into the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.scale.packing import read_packed, write_packed

if TYPE_CHECKING:
    from napari_xrf.learning.prediction.prediction import Prediction

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Shard:
    """The result of a verb on some rows."""

    # verb, plan: the verb, and which plan it followed
    verb: str
    plan: str
    # number, of: which of how many, from 1
    number: int
    of: int
    # first_row, rows: of the map, (Y, X)
    first_row: int
    rows: int
    results: Mapping[str, Any]  # name → what was made of these rows
    # spectrum, whole_spectrum: (E,) counts of these rows, and of all rows as the plan has them
    spectrum: NDArray[np.float64]
    whole_spectrum: NDArray[np.float64]
    # options, answer: those of the plan
    options: Mapping[str, Any] = field(default_factory=dict)
    answer: Any = None


def rows_of_shard(number: int, of: int, rows: int, multiple: int = 1) -> slice:
    """Return the rows of shard ``number`` (from 1) of ``of``, cut at a multiple of rows; may be none."""
    groups = -(-rows // multiple)
    low, high = ((groups * each // of) * multiple for each in (number - 1, number))
    return slice(min(low, rows), min(high, rows))


def write_shard(folder: Path, shard: Shard) -> Path:
    """Write a shard into a folder, and return its file."""
    digits = len(str(shard.of))
    path = folder / f"shard-{shard.number:0{digits}}-of-{shard.of}.npz"
    write_packed(path, shard)
    return path


def read_shards(folder: Path) -> tuple[Shard, ...]:
    """Return all shards of a folder, from the first rows to the last.

    Raises InvalidInput when there is none, one is missing, or their counts are not those of the plan. Raises
    FileError when one is damaged.
    """
    paths = sorted(folder.glob("shard-*-of-*.npz"))
    if not paths:
        raise InvalidInput(f"{folder} holds no shards", "Give the folder that --shard wrote to")
    shards: list[Shard] = [read_packed(path, Shard) for path in paths]
    for path, shard in zip(paths, shards, strict=True):
        if (shard.plan, shard.of) != (shards[0].plan, shards[0].of):
            raise FileError(
                path, f"follows another plan than {paths[0].name}", "Merge the shards of one plan"
            )
    missing = {*range(1, shards[0].of + 1)} - {shard.number for shard in shards}
    if missing:
        named = ", ".join(map(str, sorted(missing)[:10]))
        raise InvalidInput(f"{folder} lacks shard {named} of {shards[0].of}", "Run them first")
    total = np.sum([shard.spectrum for shard in shards], axis=0)
    if not np.allclose(total, shards[0].whole_spectrum, rtol=1e-9):
        raise InvalidInput(
            "the counts of the shards do not add up to those of the plan's map",
            "Is one of them from another file, or was the scan going on?",
        )
    return tuple(sorted(shards, key=lambda shard: shard.number))


def joined_maps(parts: Sequence[ElementMaps]) -> ElementMaps:
    """Return element maps of all rows."""
    counts = np.concatenate([part.counts for part in parts], axis=1)
    errors = np.concatenate([part.standard_errors for part in parts], axis=1)
    return replace(parts[0], counts=counts, standard_errors=errors)


def joined_predictions(parts: Sequence[Prediction]) -> Prediction:
    """Return a prediction of all rows."""
    from napari_xrf.learning.prediction.answers import told_of_dose

    names = ("counts", "probability", "intensity", "unknown", "code", "spectrum")
    given = {name: [getattr(part, name) for part in parts] for name in names}
    maps: dict[str, Any] = {
        name: None if each[0] is None else np.concatenate(each) for name, each in given.items()
    }
    return told_of_dose(replace(parts[0], **maps))


JOINED: Mapping[type, Callable[[Any], Any]] = {ElementMaps: joined_maps, np.ndarray: np.concatenate}


def joined(shards: Sequence[Shard], name: str) -> Any:
    """Return a result of all rows; None where the shards have none of this name."""
    parts = [shard.results.get(name) for shard in shards]
    filled = [part for part, shard in zip(parts, shards, strict=True) if shard.rows]
    if filled[0] is None:
        return None
    return JOINED.get(type(filled[0]), joined_predictions)(filled)
