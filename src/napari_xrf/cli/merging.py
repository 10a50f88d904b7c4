"""The verb that puts the shards of a map together: merge."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_xrf.cli.analysis import write_map_files
from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.prediction import write_prediction_files
from napari_xrf.cli.quantification import write_quantity_files


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
    threshold = shards[0].options["threshold"]
    return write_prediction_files(joined(shards, "prediction"), maps, folder, threshold, console)
