"""The verb that makes synthetic maps and spectra with their truth: synthesize."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.map_file import check_output, memory_budget
from napari_xrf.cli.names import names_of
from napari_xrf.cli.parameter_options import add_parameter_options, parameters_from
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.named_files import existing_file
from napari_xrf.learning.painting.weighting import paint
from napari_xrf.synthesis.color_clusters import ClusterParameters
from napari_xrf.synthesis.distortions import Distortions, typical_distortions
from napari_xrf.synthesis.layers import LayersParameters
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.mixtures import MixtureParameters, augmentation
from napari_xrf.synthesis.painting import PaintingParameters
from napari_xrf.synthesis.recipes import PEGMATITE, Synthetic, make_layers, make_minerals, make_mixtures
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
    minerals.set_defaults(run=write_synthetic, make=_minerals)

    layers = recipes.add_parser("layers", parents=[shared], help="spectra labelled by emission line")
    layers.add_argument("--size", type=int, default=1000, help="spectra (default 1000)")
    add_parameter_options(layers, LayersParameters)
    layers.set_defaults(run=write_synthetic, make=_layers)

    mixtures = recipes.add_parser("mixtures", parents=[shared], help="spectra of low-resolution detectors")
    mixtures.add_argument("--size", type=int, default=1000, help="spectra (default 1000)")
    _add_instrument(mixtures, "gem")
    add_parameter_options(mixtures, MixtureParameters, skip=("distortions",))
    _add_distortions(mixtures, "typical")
    mixtures.set_defaults(run=write_synthetic, make=_mixtures)

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
    for target, make in _makers(arguments, output):
        made = make(arguments, console)
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


def _makers(
    arguments: argparse.Namespace, output: Path
) -> list[tuple[Path, Callable[[argparse.Namespace, Console], Synthetic]]]:
    """Return what is made for each file to write: one, or one for each of several pictures."""
    images: list[Path] = getattr(arguments, "images", [])
    if len(images) < 2:
        make = partial(_painting, image=images[0]) if images else arguments.make
        return [(output, make)]
    targets = [output.with_name(f"{output.stem}-{image.stem}{output.suffix}") for image in images]
    for target, image in zip(targets, images, strict=True):
        existing_file(image)
        if targets.count(target) > 1:
            raise InvalidInput(f"two pictures would be written to {target}", "Give them names that differ")
    return [(target, partial(_painting, image=image)) for target, image in zip(targets, images, strict=True)]


def _minerals(arguments: argparse.Namespace, console: Console) -> Synthetic:
    names = None if arguments.minerals.strip().lower() == PEGMATITE else names_of(arguments.minerals)
    if names is None and arguments.library is not None:
        raise InvalidInput("the pegmatite takes no library", "Name the minerals with --minerals")
    return make_minerals(
        names,
        seed=arguments.seed,
        instrument=arguments.instrument,
        library=arguments.library,
        parameters=parameters_from(arguments, MapParameters),
        texture=_texture(arguments),
        distortions=_distortions(arguments, typical_distortions()),
        memory_budget=memory_budget(arguments),
        progress=console.progress,
    )


def _layers(arguments: argparse.Namespace, console: Console) -> Synthetic:
    parameters = parameters_from(arguments, LayersParameters)
    return make_layers(arguments.size, seed=arguments.seed, parameters=parameters, progress=console.progress)


def _mixtures(arguments: argparse.Namespace, console: Console) -> Synthetic:
    distortions = _distortions(arguments, augmentation())
    if arguments.elements is not None and arguments.present is None:
        fewest, most = MixtureParameters().present
        arguments.present = (min(fewest, len(arguments.elements)), min(most, len(arguments.elements)))
    return make_mixtures(
        arguments.size,
        seed=arguments.seed,
        instrument=arguments.instrument,
        parameters=parameters_from(arguments, MixtureParameters, distortions=distortions),
        progress=console.progress,
    )


def _painting(arguments: argparse.Namespace, console: Console, image: Path) -> Synthetic:
    clusters = parameters_from(arguments, ClusterParameters, prefix="clusters_")
    return paint(
        image,
        seed=arguments.seed,
        instrument=arguments.instrument,
        pigments=names_of(arguments.pigments),
        pigment_file=arguments.pigment_file,
        measured_pigments=arguments.measured_pigments,
        ground=arguments.ground,
        substrate=arguments.substrate,
        parameters=parameters_from(arguments, PaintingParameters, clusters=clusters),
        generator=arguments.generator,
        distortions=_distortions(arguments, typical_distortions()),
        memory_budget=memory_budget(arguments),
        progress=console.progress,
    )


def _add_distortions(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--distortions", choices=SETS, default=default, help=f"(default {default})")
    add_parameter_options(parser, Distortions)


def _distortions(arguments: argparse.Namespace, typical: Distortions) -> Distortions | None:
    base = typical if arguments.distortions == "typical" else Distortions()
    chosen = parameters_from(arguments, Distortions, base=base)
    return None if chosen == Distortions() else chosen


def _texture(arguments: argparse.Namespace) -> Texture | None:
    chosen = parameters_from(arguments, Texture)
    # The pegmatite has a texture of its own, unless the user asks for another.
    return None if chosen == Texture() else chosen
