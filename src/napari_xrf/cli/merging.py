"""The verb that puts the shards of a map together: merge."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_xrf.cli.analysis import write_map_files
from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.prediction import write_prediction_files
from napari_xrf.cli.quantification import write_quantity_files

if TYPE_CHECKING:
    from napari_xrf.scale.shards import Shard

Writer: TypeAlias = Callable[[Sequence["Shard"], Path, Console], Answer]


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``merge`` to the parser's verbs."""
    merge = verbs.add_parser("merge", parents=[common], help="put the shards of a map together")
    merge.add_argument(
        "folder", metavar="DIR", type=Path, help="where --shard wrote to; the whole goes there"
    )
    merge.set_defaults(run=merge_shards)


def merge_shards(arguments: argparse.Namespace, console: Console) -> Answer:
    """Put the shards of a folder together, and write there what the verb writes of the whole map."""
    from napari_xrf.scale.shards import read_shards

    shards = read_shards(arguments.folder)
    return _WRITERS[shards[0].verb](shards, arguments.folder, console)


def _merge_maps(shards: Sequence[Shard], folder: Path, console: Console) -> Answer:
    from napari_xrf.scale.shards import joined

    return write_map_files(joined(shards, "maps"), folder, joined(shards, "times"))


def _merge_quantities(shards: Sequence[Shard], folder: Path, console: Console) -> Answer:
    from napari_xrf.scale.shards import joined

    return write_quantity_files(replace(shards[0].answer, maps=joined(shards, "maps")), folder)


def _merge_predictions(shards: Sequence[Shard], folder: Path, console: Console) -> Answer:
    from napari_xrf.scale.shards import joined

    prediction, maps = (joined(shards, name) for name in ("prediction", "maps"))
    return write_prediction_files(prediction, maps, folder, shards[0].options["threshold"], console)


_WRITERS: Mapping[str, Writer] = {
    "maps": _merge_maps,
    "quantify": _merge_quantities,
    "predict": _merge_predictions,
}
