"""The four recipes of synthetic data as users call them: names, numbers and a seed in, map and truth out.

The command line and the napari widget both call these, so the same seed gives the same counts in both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, InvalidInput, check_name, check_option, check_seed
from napari_xrf.core.memory import default_memory_budget
from napari_xrf.core.named_files import existing_file
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import known_minerals, select_minerals
from napari_xrf.reference.pigments import load_pigments
from napari_xrf.reference.tables import select
from napari_xrf.synthesis.distortions import Distortions, typical_distortions
from napari_xrf.synthesis.layers import LayersParameters, synthesize_layers
from napari_xrf.synthesis.mineral_map import MapParameters, synthesize_mineral_map
from napari_xrf.synthesis.mixtures import MixtureParameters, augmentation, synthesize_mixtures
from napari_xrf.synthesis.painting import PaintingParameters, Weighting, synthesize_painting
from napari_xrf.synthesis.pegmatite import synthesize_pegmatite
from napari_xrf.synthesis.pigment_files import read_measured_pigments
from napari_xrf.synthesis.pigments import expect_pigments
from napari_xrf.synthesis.textures import Texture

PEGMATITE = "pegmatite"
_LAYERS_BYTES = 300 * 6 + 556 * 2 + 41 * 4  # a spectrum as it is and in whole numbers, and its labels


@dataclass(frozen=True, eq=False, repr=False)
class Synthetic:
    """What a recipe made."""

    cube: SpectralCube  # the map, or spectra as a map of one column
    truth: Mapping[str, Any]  # name → what is known about it, for write_cube
    # "ideal", "twin" and "expected" maps, where they were asked for.
    companions: Mapping[str, SpectralCube] = field(default_factory=dict)

    def __repr__(self) -> str:
        known = ", ".join([*self.truth, *self.companions])
        return f"<Synthetic {self.cube!r}; known of it: {known}>"


def make_minerals(
    minerals: Sequence[str] | None,
    *,
    seed: int,
    instrument: str = "m4-tornado",
    library: str | Path | None = None,
    parameters: MapParameters | None = None,
    texture: Texture | None = None,
    distortions: Distortions | None = None,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> Synthetic:
    """Make a mineral map.

    Raises InvalidInput when a name is unknown or a parameter out of range.

    Parameters
    ----------
    minerals
        Names in the library, each in equal parts of the map; None makes the pegmatite with its veins,
        zoned grains and inclusions.
    seed
        0 to 2³² − 1; the same one gives the same map.
    instrument
        A preset's name or a ``.toml`` file.
    library
        A CSV file of minerals added to the shipped ones.
    """
    options: dict[str, Any] = {
        "instrument": load_instrument(instrument),
        "generator": seeded(seed),
        "texture": texture,
        "distortions": distortions,
        "memory_budget": memory_budget,
        "progress": progress,
        **asdict(parameters or MapParameters()),
    }
    if minerals is None:
        made = synthesize_pegmatite(**options)
    else:
        chosen = select_minerals(known_minerals(library), minerals)
        made = synthesize_mineral_map(
            [mineral.compositions()[0] for mineral in chosen],
            formulas=[mineral.formula for mineral in chosen],
            colors=[mineral.color for mineral in chosen],
            **options,
        )
    return _synthetic(made, made.cube, seed)


def make_layers(
    size: int, *, seed: int, parameters: LayersParameters | None = None, progress: Progress = ignore_progress
) -> Synthetic:
    """Make spectra of random elements in layers, with the 556 lines of the privileged basis as labels.

    Raises InvalidInput when the size or a parameter is out of range.
    """
    _check_memory(size, _LAYERS_BYTES)
    made = synthesize_layers(size, generator=seeded(seed), parameters=parameters, progress=progress)
    return _synthetic(made, made.as_cube(), seed)


def make_mixtures(
    size: int,
    *,
    seed: int,
    instrument: str = "gem",
    parameters: MixtureParameters | None = None,
    progress: Progress = ignore_progress,
) -> Synthetic:
    """Make spectra of a few elements on a substrate, for detectors of low resolution.

    Raises InvalidInput when the size, an element or a parameter is out of range.
    """
    used = load_instrument(instrument)
    _check_memory(size, 4 * used.energy.size)
    made = synthesize_mixtures(size, used, generator=seeded(seed), parameters=parameters, progress=progress)
    return _synthetic(made, made.as_cube(), seed)


def make_painting(
    image: str | Path | NDArray[Any],
    *,
    seed: int,
    instrument: str = "m4-tornado",
    pigments: Sequence[str] | None = None,
    pigment_file: str | Path | None = None,
    measured_pigments: str | Path | None = None,
    ground: str = "chalk",
    substrate: str = "wood",
    parameters: PaintingParameters | None = None,
    generator: Weighting | None = None,
    distortions: Distortions | None = None,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> Synthetic:
    """Make the map of a painting from its photograph (ganX).

    Raises FileError when a file cannot be read. Raises InvalidInput when a name is unknown, the image has no
    colours or a parameter is out of range.

    Parameters
    ----------
    image
        A picture file or an RGB array (Y, X, 3).
    instrument
        For the expected spectra of pigments; measured ones bring their own.
    pigments
        Names to take part; None takes all of the table.
    pigment_file
        A table of pigments in place of the shipped one.
    measured_pigments
        A table or folder of measured spectra in place of expected ones.
    ground, substrate
        What lies below the paint.
    generator
        A painting generator, where the parameters ask for learned weighting.
    distortions
        Of the recording; with the widths of the instrument's detector, whose pigments may be measured.
    """
    picture = image if isinstance(image, np.ndarray) else read_picture(image)
    excitation = None
    if measured_pigments is not None:
        if pigments is not None or pigment_file is not None:
            raise InvalidInput("measured pigments take the place of the table", "Give one of them")
        spectra = read_measured_pigments(measured_pigments)
    else:
        used = load_instrument(instrument)
        table = load_pigments(pigment_file)
        chosen = table if pigments is None else select(table, pigments, "pigment")
        spectra = expect_pigments(chosen, used, ground=ground, substrate=substrate, progress=progress)
        excitation = excitation_of(used)
    made = synthesize_painting(
        picture,
        spectra,
        generator=seeded(seed),
        parameters=parameters,
        weighting=generator,
        distortions=distortions,
        fwhm=None if distortions is None else load_instrument(instrument).detector.fwhm,
        excitation=excitation,
        memory_budget=memory_budget,
        progress=progress,
    )
    return _synthetic(made, made.cube, seed)


def synthesize(
    recipe: str,
    subject: Any = None,
    *,
    seed: int = 0,
    distortions: str | Distortions | Mapping[str, Any] | None = None,
    progress: Progress = ignore_progress,
    **options: Any,
) -> Synthetic:
    """Make synthetic data by a recipe's name; parameters and errors as :func:`napari_xrf.synthesize`.

    Parameters
    ----------
    distortions
        ``"typical"``, ``"none"``, or sizes by name; not for layers. None: typical ones for mixtures alone.
    options
        Arguments of the recipe's function, and fields of its parameters.
    """
    check_name("recipe", recipe, _RECIPES)
    make, classes, own = _RECIPES[recipe]
    if distortions is not None:
        if recipe == "layers":
            raise InvalidInput(f"the recipe {recipe} takes no distortions", "Leave them out")
        if isinstance(distortions, str):
            typical = augmentation() if recipe == "mixtures" else typical_distortions()
            choices = {"typical": typical, "none": None}
            check_name("choice of distortions", distortions, choices)
            options["distortions"] = choices[distortions]
        else:
            given = distortions if isinstance(distortions, Distortions) else Distortions(**distortions)
            options["distortions"] = given
    arguments = {name: options.pop(name) for name in own if name in options}
    for argument, parameters in classes.items():
        known = [entry.name for entry in fields(parameters)]
        values = {name: options.pop(name) for name in known if name in options}
        arguments[argument] = parameters(**values) if values else None
    for name in options:
        check_option(f"the recipe {recipe}", name, options_of(recipe))
    return make(_subject_of(recipe, subject), seed=seed, progress=progress, **arguments)


def options_of(recipe: str) -> list[str]:
    """Return what :func:`synthesize` takes for a recipe: its function's arguments, its parameters' fields."""
    _, classes, own = _RECIPES[recipe]
    return sorted({*own, *(entry.name for each in classes.values() for entry in fields(each))})


def seeded(seed: int) -> np.random.Generator:
    """Return the generator of a seed.

    Raises InvalidInput when the seed is not from 0 to 2³² − 1.
    """
    check_seed(seed)
    return np.random.default_rng(seed)


def read_picture(path: str | Path) -> NDArray[Any]:
    """Return a picture file as an array (Y, X) or (Y, X, C).

    Raises FileError when it cannot be read as a picture.
    """
    from PIL import Image

    existing = existing_file(path)
    try:
        with Image.open(existing) as picture:
            return np.asarray(picture.convert("RGB") if picture.mode in ("P", "CMYK") else picture)
    except Exception as error:  # of many kinds, by format
        raise FileError(
            path, f"cannot be read as a picture ({error})", "Give a .png, .jpg or .tif"
        ) from error


def _subject_of(recipe: str, subject: Any) -> Any:
    """Return what a recipe is of, if it can be that."""
    if recipe in ("layers", "mixtures"):
        size = 1000 if subject is None else subject
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise InvalidInput(f"{recipe} cannot be made of {subject!r}", "Give how many spectra")
        return size
    if recipe == "painting":
        if not isinstance(subject, str | Path | np.ndarray):
            raise InvalidInput("a painting needs its picture", "Give a picture's file, or an array (Y, X, 3)")
        return subject
    if subject is not None and not hasattr(subject, "__iter__"):
        raise InvalidInput(f"minerals cannot be made of {subject!r}", "Give names, as ['quartz', 'albite']")
    return (subject,) if isinstance(subject, str) else subject


def _check_memory(size: int, spectrum_bytes: int) -> None:
    free = 2 * default_memory_budget()
    if size * spectrum_bytes > free:
        raise InvalidInput(
            f"{size} spectra take {size * spectrum_bytes / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free",
            "Make fewer at a time",
        )


def _synthetic(made: Any, cube: SpectralCube, seed: int) -> Synthetic:
    truth = made.truth_entries()
    truth["parameters"] |= {"user_seed": seed}
    return Synthetic(cube, truth, getattr(made, "companions", {}))


# What makes each recipe, the parameters it takes by the argument's name, and its other options.
_RECIPES: dict[str, tuple[Callable[..., Synthetic], dict[str, Any], tuple[str, ...]]] = {
    "minerals": (
        make_minerals,
        {"parameters": MapParameters, "texture": Texture},
        ("instrument", "library", "distortions", "memory_budget"),
    ),
    "layers": (make_layers, {"parameters": LayersParameters}, ()),
    "mixtures": (make_mixtures, {"parameters": MixtureParameters}, ("instrument",)),
    "painting": (
        make_painting,
        {"parameters": PaintingParameters},
        (
            "instrument",
            "pigments",
            "pigment_file",
            "measured_pigments",
            "ground",
            "substrate",
            "generator",
            "distortions",
            "memory_budget",
        ),
    ),
}
