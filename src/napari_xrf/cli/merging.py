"""The verb that puts the shards of a map together: merge."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xrf.cli.analysis import write_map_files, write_mineral_files
from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.prediction import write_prediction_files
from napari_xrf.cli.quantification import write_quantity_files
from napari_xrf.core.spectral_cube import SpectralCube

if TYPE_CHECKING:
    from napari_xrf.scale.shards import Shard


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``merge`` to the parser's verbs."""
    merge = verbs.add_parser("merge", parents=[common], help="put the shards of a map together")
    merge.add_argument(
        "folder", metavar="DIR", type=Path, help="where --shard wrote to; the whole goes there"
    )
    merge.set_defaults(run=merge_shards)


def merge_shards(arguments: argparse.Namespace, console: Console) -> Answer:
    """Put the shards of a folder together, and write there what the verb writes of the whole map."""
    from napari_xrf.scale.shards import joined, read_shards

    folder: Path = arguments.folder
    shards = read_shards(folder)
    maps = joined(shards, "maps")
    if shards[0].verb == "maps":
        return write_map_files(maps, folder, joined(shards, "times"))
    if shards[0].verb == "quantify":
        return write_quantity_files(replace(shards[0].answer, maps=maps), folder)
    if shards[0].verb == "minerals":
        return _write_minerals(shards, folder, console)
    threshold = shards[0].options["threshold"]
    return write_prediction_files(joined(shards, "prediction"), maps, folder, threshold, console)


def _write_minerals(shards: Sequence[Shard], folder: Path, console: Console) -> Answer:
    from napari_xrf.minerals.classification import joined_rows
    from napari_xrf.minerals.labels.cleanup import parse_clean_up

    told = dict(shards[0].answer)
    outline, shape = told.pop("outline"), told.pop("shape")
    found = joined_rows([shard.results["found"] for shard in shards if shard.rows])
    # Of the map itself the report says where it comes from, no more.
    cube = SpectralCube(
        np.broadcast_to(np.uint8(0), shape), name=outline.name, pixel_size=outline.pixel_size, **told
    )
    steps = parse_clean_up(shards[0].options["clean"])
    return write_mineral_files(outline.conclude(found), cube, steps, folder, console)
