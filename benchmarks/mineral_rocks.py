"""How well rocks are mapped whose spectra other code made: ``benchmarks/independent/rock_maps.py``.

Run from the root: ``python -m benchmarks.mineral_rocks [--rocks granite,sulphide] [--counts 1000,10000]
[--candidates given,auto] [--surface flat,rough] [--grain 12,2] [--keep FOLDER]``. Every second map has an
axis that is off by 1 % and 15 eV. Columns: shares of *pure* pixels of known minerals whose class names the
right one, or by a single name or at most three (*strict*); of *all* pixels, where unknown is right for a
stranger; *modes*: mean error in points; strangers called unknown (or by name, where all are candidates), and
those that look like a listed mineral (*alike*); known pure pixels called unknown (*lost*); expected
calibration error of the named pixels; wrong names of a confidence of at least 0.9 (*sure_wrong*), of all
pixels.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path

import numpy as np
from benchmarks.independent.rock_maps import (
    SURFACES,
    Draws,
    RockMap,
    make_rock,
    read_rock,
    rock_names,
    write_rock,
)
from numpy.typing import NDArray

import napari_xrf as nx
from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import UNKNOWN_LABEL, LabelMap, members_of
from napari_xrf.reference.minerals import load_library

_BINS = 15
_STRICT = 3
_SURE = 0.9
_GAIN, _OFFSET_EV = 0.01, 15.0


@dataclass(frozen=True)
class Scores:
    """What is measured of one map; NaN where nothing was there to measure."""

    pure: float
    strict: float
    all: float
    modes: float
    strangers: float
    alike: float
    lost: float
    calibration: float
    unknown: float
    sure_wrong: float
    seconds: float


def score(made: RockMap, labels: LabelMap, auto: bool, seconds: float = 0.0) -> Scores:
    """Compare labels with the truth of a rock map."""
    names = {entry.label: members_of(entry.name) for entry in labels.classes}
    main, found = made.fractions.argmax(axis=2), labels.labels
    # What is looked for only when named is a stranger to a map for which nobody named it.
    known_to_auto = {mineral.name for mineral in load_library()}
    strange = np.array(
        [name in made.strangers or (auto and name not in known_to_auto) for name in made.names]
    )
    told = np.array([bool(made.strangers.get(name, ()) == ()) for name in made.names])
    right = np.zeros(found.shape, bool)
    for number, name in enumerate(made.names):
        good = [label for label, members in names.items() if name in members]
        right[main == number] = np.isin(found[main == number], good)
    short = np.isin(found, [label for label, members in names.items() if len(members) <= _STRICT])
    unknown = found == UNKNOWN_LABEL
    excused = strange[main] & (unknown | (right & auto))
    known = made.pure & ~strange[main]
    named = ~unknown & (found > 0)
    confidence = np.ones(found.shape) if labels.confidence is None else np.asarray(labels.confidence)
    meant = right & (auto | ~strange[main])
    return Scores(
        pure=_mean(right[known]),
        strict=_mean((right & short)[known]),
        all=_mean(np.where(strange[main], excused, right)),
        modes=_mode_error(
            made, labels, auto, {name for name, each in zip(made.names, strange, strict=True) if each}
        ),
        strangers=_mean(excused[made.pure & (strange & told)[main]]),
        alike=_mean(excused[made.pure & (strange & ~told)[main]]),
        lost=_mean(unknown[known]),
        calibration=calibration_error(confidence[named], meant[named]),
        unknown=_mean(unknown),
        sure_wrong=_mean(named & ~meant & (confidence >= _SURE)),
        seconds=seconds,
    )


def sureness(made: RockMap, labels: LabelMap) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return the confidence of named pixels, and whether their names hold the main mineral."""
    names = {entry.label: members_of(entry.name) for entry in labels.classes}
    main, found = made.fractions.argmax(axis=2), labels.labels
    named = (found != UNKNOWN_LABEL) & (found > 0)
    assert labels.confidence is not None
    right = [made.names[one] in names[label] for one, label in zip(main[named], found[named], strict=True)]
    return np.asarray(labels.confidence)[named], np.array(right)


def calibration_error(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Return the mean distance of confidence and accuracy over bins of confidence, weighted by pixels."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    pixels = np.bincount(bins, minlength=_BINS)
    gap = np.bincount(bins, confidence - right, minlength=_BINS)
    return float(np.abs(gap).sum() / max(pixels.sum(), 1))


def _mode_error(made: RockMap, labels: LabelMap, auto: bool, strangers: set[str]) -> float:
    """Return the mean error in points; a group's area goes to its true members, in equal parts."""
    modes = made.fractions.mean(axis=(0, 1), dtype=float)
    true = {name: mode for name, mode in zip(made.names, modes, strict=True) if name not in strangers}
    true["unknown"] = 1 - sum(true.values())
    found = dict.fromkeys(true, 0.0)
    for name, share in labels.shares().items():
        members = [each for each in members_of(name) if each in true]
        if not members and auto and set(members_of(name)) & strangers:
            members = ["unknown"]
        for each in members:
            found[each] += share / len(members)
    return 100 * float(np.mean([abs(found[name] - true[name]) for name in true]))


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else float("nan")


def rock_map(rock: str, seed: int, draws: Draws, keep: Path | None) -> RockMap:
    """Return a rock map, from a folder where it has been made before."""
    if keep is None:
        return make_rock(rock, seed, draws)
    keep.mkdir(parents=True, exist_ok=True)
    wrong = "-off" if draws.gain or draws.offset_ev else ""
    where = "" if draws.preset == Draws.preset else f"{draws.preset}-"
    path = keep / (
        f"{where}{rock}-{draws.counts:g}-{draws.size}-{draws.grain:g}-{draws.surface}-{seed}{wrong}.h5"
    )
    if not path.exists():
        write_rock(path, make_rock(rock, seed, draws))
    return read_rock(path)


def command_line(description: str) -> argparse.ArgumentParser:
    """Return a parser of what maps to make."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rocks", default=",".join(rock_names()))
    parser.add_argument("--counts", default="1000,10000", help="mean of a pixel")
    parser.add_argument("--surface", default="flat", help=f"of {', '.join(SURFACES)}")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--grain", default="12", help="pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder of maps that are made once")
    return parser


def rocks_of(given: argparse.Namespace) -> Iterator[tuple[str, int, Draws]]:
    """Yield rock, counts and how its map is made; the axis of every second one is off."""
    textures = list(product(given.surface.split(","), map(float, given.grain.split(","))))
    for rock, (surface, grain) in product(given.rocks.split(","), textures):
        for place, dose in enumerate(given.counts.split(",")):
            # Half of the maps, the same at any choice of rocks.
            off = (rock_names().index(rock) + place) % 2
            sign = 1 if rock_names().index(rock) % 4 < 2 else -1
            yield (
                rock,
                int(dose),
                Draws(
                    float(dose),
                    given.size,
                    grain,
                    gain=sign * _GAIN * off,
                    offset_ev=-sign * _OFFSET_EV * off,
                    surface=surface,
                ),
            )


def main() -> None:
    """Print the table."""
    parser = command_line(__doc__.split("\n")[0])
    parser.add_argument("--candidates", default="given,auto")
    parser.add_argument("--json", type=Path, help="file that the figures are written to")
    given = parser.parse_args()
    rows = []
    columns = "".join(f"{field.name:>12s}" for field in fields(Scores))
    print(f"{'rock':14s}{'counts':>7s} axis  surface grain  {'minerals':9s}{columns}")
    for rock, counts, draws in rocks_of(given):
        made = rock_map(rock, given.seed, draws, given.keep)
        for candidates in given.candidates.split(","):
            start = time.perf_counter()
            try:
                found = nx.map_minerals(made.cube, None if candidates == "auto" else made.listed)
            except XrfError as error:
                print(f"{rock:14s}{counts:7d} refused: {error}", flush=True)
                continue
            scores = score(made, found.label_map, candidates == "auto", time.perf_counter() - start)
            rows.append({"rock": rock, "candidates": candidates, **asdict(draws), **asdict(scores)})
            axis = "off " if draws.gain else "good"
            numbers = "".join(f"{value:12.3f}" for value in asdict(scores).values())
            place = f"{draws.surface:7s} {draws.grain:5g}"
            print(f"{rock:14s}{counts:7d} {axis}  {place}  {candidates:9s}{numbers}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
