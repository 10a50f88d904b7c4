"""The verb that makes synthetic maps and spectra with their truth: synthesize."""

import argparse
from pathlib import Path
from typing import Any

from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.map_file import check_output, memory_budget
from napari_xrf.cli.names import names_of
from napari_xrf.cli.parameter_options import add_parameter_options, parameters_from
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.named_files import existing_file
from napari_xrf.learning.painting.weighting import synthesize
from napari_xrf.synthesis.color_clusters import ClusterParameters
from napari_xrf.synthesis.distortions import Distortions, typical_distortions
from napari_xrf.synthesis.layers import LayersParameters
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.mixtures import MixtureParameters, augmentation
from napari_xrf.synthesis.painting import PaintingParameters
from napari_xrf.synthesis.recipes import PEGMATITE, Synthetic, options_of
from napari_xrf.synthesis.substrates import GROUNDS, SUBSTRATES
from napari_xrf.synthesis.textures import Texture

SETS = ("none", "typical")


def add_recipes(synthesize: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the four recipes to the parser of ``synthesize``."""
    recipes = synthesize.add_subparsers(title="recipes", dest="recipe", required=True, metavar="RECIPE")
    shared = argparse.ArgumentParser(add_help=False, parents=[common])
    shared.add_argument(
        "-o", "--output", metavar="OUT.h5", type=Path, required=True, help="what is written, with its truth"
    )
    shared.add_argument("--seed", type=int, default=0, help="the same seed gives the same counts (default 0)")
    shared.add_argument("--memory", metavar="SIZE", help="memory for the counts (default: half of the free)")

    minerals = recipes.add_parser("minerals", parents=[shared], help="a map of mineral grains")
    minerals.add_argument("--minerals", default=PEGMATITE, help=f"quartz,albite,… (default {PEGMATITE})")
    minerals.add_argument("--library", metavar="FILE.csv", type=Path, help="your minerals")
    _add_instrument(minerals, "m4-tornado")
    add_parameter_options(minerals, MapParameters)
    add_parameter_options(minerals, Texture)
    _add_distortions(minerals, "none")
    minerals.set_defaults(run=write_synthetic)

    layers = recipes.add_parser("layers", parents=[shared], help="spectra labelled by emission line")
    layers.add_argument("--size", type=int, default=1000, help="spectra (default 1000)")
    add_parameter_options(layers, LayersParameters)
    layers.set_defaults(run=write_synthetic)

    mixtures = recipes.add_parser("mixtures", parents=[shared], help="spectra of low-resolution detectors")
    mixtures.add_argument("--size", type=int, default=1000, help="spectra (default 1000)")
    _add_instrument(mixtures, "gem")
    add_parameter_options(mixtures, MixtureParameters, skip=("distortions",))
    _add_distortions(mixtures, "typical")
    mixtures.set_defaults(run=write_synthetic)

    painting = recipes.add_parser("painting", parents=[shared], help="a painting's map from its photograph")
    painting.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        type=Path,
        help="photograph, RGB, a pixel for each spectrum; of several, each is written to OUT-IMAGE.h5",
    )
    _add_instrument(painting, "m4-tornado")
    painting.add_argument("--pigments", default="auto", help="lead white,azurite,… (default: all)")
    painting.add_argument("--pigment-file", metavar="FILE.csv", type=Path, help="a table of your pigments")
    painting.add_argument("--measured-pigments", metavar="PATH", type=Path, help="table or folder of spectra")
    layers_below = (("ground", ("none", *GROUNDS), "chalk"), ("substrate", SUBSTRATES, "wood"))
    for part, names, usual in layers_below:
        painting.add_argument(f"--{part}", default=usual, help=f"{', '.join(names)} (default {usual})")
    painting.add_argument(
        "--generator", metavar="WEIGHTS", type=Path, help="painting generator for --weighting learned"
    )
    add_parameter_options(painting, PaintingParameters, skip=("clusters",))
    add_parameter_options(painting, ClusterParameters, prefix="clusters-")
    _add_distortions(painting, "none")
    painting.set_defaults(run=write_synthetic)


def _add_instrument(parser: argparse.ArgumentParser, usual: str) -> None:
    parser.add_argument(
        "--instrument", default=usual, help=f"a preset's name or a .toml file (default {usual})"
    )


def write_synthetic(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write what a recipe makes, with its truth, and the maps beside it where they were asked for."""
    from napari_xrf.io.own.cube_files import write_cube

    output: Path = check_output(arguments.output, (".h5", ".hdf5"), "synthetic data")
    files, shapes, made = [], [], None
    for target, subject in _subjects(arguments, output):
        made = _made(arguments, console, subject)
        shapes.append(list(made.cube.shape))
        for name, cube in {"": made.cube, **made.companions}.items():
            files.append(target.with_name(f"{target.stem}-{name}{target.suffix}") if name else target)
            write_cube(files[-1], cube, truth=made.truth, progress=console.progress)
    assert made is not None
    data = {
        "files": [str(file) for file in files],
        "recipe": arguments.recipe,
        "shape": shapes[0] if len(shapes) == 1 else shapes,
        "seed": arguments.seed,
        "truth": sorted(made.truth),
    }
    told = "; ".join(" × ".join(map(str, shape)) for shape in shapes)
    return Answer(data, f"{', '.join(map(str, files))}: {told}, seed {arguments.seed}")


def _subjects(arguments: argparse.Namespace, output: Path) -> list[tuple[Path, Any]]:
    """Return what each file to write is made of: one file, or one for each of several pictures."""
    if arguments.recipe == "minerals":
        return [(output, _minerals(arguments))]
    if arguments.recipe != "painting":
        return [(output, arguments.size)]
    images: list[Path] = arguments.images
    if len(images) == 1:
        return [(output, images[0])]
    targets = [output.with_name(f"{output.stem}-{image.stem}{output.suffix}") for image in images]
    for target, image in zip(targets, images, strict=True):
        existing_file(image)
        if targets.count(target) > 1:
            raise InvalidInput(f"two pictures would be written to {target}", "Give them names that differ")
    return list(zip(targets, images, strict=True))


def _made(arguments: argparse.Namespace, console: Console, subject: Any) -> Synthetic:
    """Return what the recipe makes of a subject, with all that the user gave."""
    recipe = arguments.recipe
    given = {name: getattr(arguments, name, None) for name in options_of(recipe)}
    if recipe in ("minerals", "painting"):
        given["memory_budget"] = memory_budget(arguments)
    if recipe == "painting":
        given["pigments"] = names_of(arguments.pigments)
        given["clusters"] = parameters_from(arguments, ClusterParameters, prefix="clusters_")
    if recipe == "mixtures" and arguments.elements is not None and arguments.present is None:
        given["present"] = tuple(min(each, len(arguments.elements)) for each in MixtureParameters().present)
    if recipe != "layers":
        given["distortions"] = _distortions(arguments) or "none"
    options = {name: value for name, value in given.items() if value is not None}
    return synthesize(recipe, subject, seed=arguments.seed, progress=console.progress, **options)


def _minerals(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    names = None if arguments.minerals.strip().lower() == PEGMATITE else names_of(arguments.minerals)
    if names is None and arguments.library is not None:
        raise InvalidInput("the pegmatite takes no library", "Name the minerals with --minerals")
    return names


def _add_distortions(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--distortions", choices=SETS, default=default, help=f"(default {default})")
    add_parameter_options(parser, Distortions)


def _distortions(arguments: argparse.Namespace) -> Distortions | None:
    usual = augmentation() if arguments.recipe == "mixtures" else typical_distortions()
    base = usual if arguments.distortions == "typical" else Distortions()
    chosen = parameters_from(arguments, Distortions, base=base)
    return None if chosen == Distortions() else chosen
