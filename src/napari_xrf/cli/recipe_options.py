"""The options of train and tune that change a recipe. No torch here."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xrf.cli.names import names_of, split_names

if TYPE_CHECKING:
    from napari_xrf.learning.training_recipes import TrainingRecipe


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a training to a parser."""
    from napari_xrf.cli.parameter_options import add_parameter_options
    from napari_xrf.learning.recipe_variants import DISTORTIONS, PREPROCESSING_WORDS
    from napari_xrf.learning.training_recipes import TrainingOptions

    network = parser.add_argument_group("network and its inputs (defaults: the recipe's)")
    network.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="of the network, such as hidden=900",
    )
    network.add_argument(
        "--preprocessing",
        metavar="WORDS",
        default="",
        help=f"of {', '.join(PREPROCESSING_WORDS)}, such as baseline,max,sqrt",
    )
    source = parser.add_argument_group("spectra to learn from (defaults: the recipe's)")
    source.add_argument("--instrument", metavar="NAME,…", default="", help="presets' names or .toml files")
    source.add_argument("--minerals", metavar="quartz,…", default="auto", help="minerals to tell apart")
    source.add_argument("--library", metavar="FILE.csv", type=Path, help="your minerals")
    source.add_argument("--distortions", choices=DISTORTIONS, help="of the spectra")
    source.add_argument("--regions", metavar="LABELS_FILE", type=Path, help="labels of a map to learn from")
    source.add_argument("--map", metavar="CUBE_FILE", type=Path, help="the map that the labels belong to")
    source.add_argument(
        "--mix", type=float, metavar="SHARE", help="of the spectra from the regions (default 1: all)"
    )
    parser.add_argument(
        "--steps",
        dest="steps_per_epoch",
        metavar="N",
        type=int,
        help="batches of an epoch (default: the recipe's)",
    )
    add_parameter_options(
        parser, TrainingOptions, skip=("steps_per_epoch",), note="defaults: the recipe's", own_defaults=False
    )


def recipe_from(arguments: argparse.Namespace) -> TrainingRecipe:
    """Return the recipe that the arguments name, with all that the user changed.

    Raises FileError when a file that is named is not there or cannot be read. Raises InvalidInput when a name
    is unknown, or a value does not go with the recipe.
    """
    from napari_xrf.learning.recipe_variants import varied_recipe
    from napari_xrf.learning.training_recipes import TrainingOptions

    return varied_recipe(
        arguments.model,
        seed=arguments.seed,
        settings=settings_of(arguments),
        preprocessing=split_names(arguments.preprocessing),
        instrument=split_names(arguments.instrument),
        minerals=names_of(arguments.minerals),
        library=arguments.library,
        distortions=arguments.distortions,
        regions=arguments.regions,
        map=arguments.map,
        mix=arguments.mix,
        **{entry.name: getattr(arguments, entry.name) for entry in fields(TrainingOptions)},
    )


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what --set gives, name → value."""
    from napari_xrf.learning.recipe_variants import read_settings

    return read_settings(arguments.set)
