"""How well phases are found without a library in rocks whose spectra other code made.

Run from the root: ``python -m benchmarks.phases_of_rocks [--rocks granite,gabbro] [--counts 1000,10000]
[--surface rough] [--grain 2] [--keep FOLDER]``. Columns: adjusted Rand index (Hubert & Arabie, J. Classif. 2
(1985) 193) against the truth on *pure* pixels and on *all*; phases found and phases there; how many of those
there are the greater part of a phase of their own; the share of phases whose nearest mineral is right,
of those in the library; pure pixels called unknown; seconds. Every second map has an axis that is off, as in
``mineral_rocks``.
"""

from __future__ import annotations

import time

import numpy as np
from benchmarks.independent.rock_maps import RockMap
from benchmarks.mineral_rocks import command_line, rock_map, rocks_of
from numpy.typing import NDArray

import napari_xrf as nx
from napari_xrf.core.label_map import UNKNOWN_LABEL, members_of
from napari_xrf.minerals.phases.discovery import Phases
from napari_xrf.reference.minerals import load_library


def rand_index(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Return the adjusted Rand index of two labellings: 1 where they agree, 0 by chance."""
    table = np.zeros((int(first.max(initial=0)) + 1, int(second.max(initial=0)) + 1))
    np.add.at(table, (first.ravel(), second.ravel()), 1)

    def pairs(counts: NDArray[np.float64]) -> float:
        return float((counts * (counts - 1) / 2).sum())

    rows, columns, together = pairs(table.sum(axis=1)), pairs(table.sum(axis=0)), pairs(table)
    chance = rows * columns / max(pairs(table.sum(keepdims=True)), 1.0)
    most = (rows + columns) / 2
    return 1.0 if most == chance else (together - chance) / (most - chance)


def score(made: RockMap, found: Phases) -> tuple[float, ...]:
    """Return the columns of the table, without the seconds."""
    main, labels, pure = made.fractions.argmax(axis=2), found.label_map.labels, made.pure
    library = {mineral.name for mineral in load_library()}
    there = np.unique(main[pure]).tolist()
    own, named, nameable = set(), 0, 0
    for phase in found.phases:
        held = np.bincount(main[pure & (labels == phase.label)], minlength=len(made.names))
        if not held.any():
            continue
        own.add(int(held.argmax()))
        name = made.names[int(held.argmax())]
        if name in library and phase.nearest:
            nameable += 1
            named += name in members_of(phase.nearest[0].name)
    return (
        rand_index(labels[pure], main[pure]),
        rand_index(labels, main),
        len(found.phases),
        len(there),
        len(own & set(there)),
        named / max(nameable, 1),
        float((labels == UNKNOWN_LABEL)[pure].mean()),
    )


def main() -> None:
    """Print the table."""
    given = command_line(__doc__.split("\n")[0]).parse_args()
    heads = ("pure", "all", "phases", "there", "own", "nearest", "unknown", "seconds")
    print(f"{'rock':12s}{'counts':>7s} axis" + "".join(f"{head:>9s}" for head in heads))
    for rock, counts, draws in rocks_of(given):
        made = rock_map(rock, given.seed, draws, given.keep)
        start = time.perf_counter()
        values = (*score(made, nx.find_phases(made.cube)), time.perf_counter() - start)
        numbers = "".join(f"{value:9d}" if isinstance(value, int) else f"{value:9.3f}" for value in values)
        print(f"{rock:12s}{counts:7d} {'off ' if draws.gain else 'good'}{numbers}", flush=True)


if __name__ == "__main__":
    main()
