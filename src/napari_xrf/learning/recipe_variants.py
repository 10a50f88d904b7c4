"""Training recipes with what a user changes: instrument, minerals, regions. No torch here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from napari_xrf.core.errors import InvalidInput, check_name, check_option, check_range
from napari_xrf.io.formats import existing_file
from napari_xrf.learning.preprocessing import Preprocessing
from napari_xrf.learning.sources.source import SourceSpec
from napari_xrf.learning.training_recipes import TrainingOptions, TrainingRecipe, training_recipe

# What a word of a preprocessing changes; "raw" against "baseline" is the comparison that papers make.
PREPROCESSING_WORDS: Mapping[str, Mapping[str, Any]] = {
    "raw": {"baseline": False},
    "baseline": {"baseline": True},
    "counts": {"scale": "none"},
    "sum": {"scale": "sum"},
    "max": {"scale": "max"},
    "linear": {"transform": "none"},
    "sqrt": {"transform": "sqrt"},
    "log": {"transform": "log"},
}
DISTORTIONS = ("typical", "none")
_GREATER_PART = 0.75


def varied_recipe(
    model: str,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    preprocessing: Sequence[str] = (),
    instrument: str | Sequence[str] = (),
    minerals: Sequence[str] | None = None,
    library: str | Path | None = None,
    distortions: str | None = None,
    regions: str | Path | None = None,
    map: str | Path | None = None,
    mix: float | None = None,
    **options: Any,
) -> TrainingRecipe:
    """Return a shipped recipe with all that a user changed.

    Raises FileError when a file that is named is not there or cannot be read. Raises InvalidInput when a name
    is unknown, or a value does not go with the recipe.

    Parameters
    ----------
    model
        Name of the recipe.
    seed
        Of the split of regions.
    settings
        Options of the network.
    preprocessing, instrument, minerals, library, distortions
        See the functions of these names below.
    regions, map, mix
        Files of labels and of their map, and the share of spectra that come from them, 1 by default.
    options
        Of the training: ``epochs``, ``steps_per_epoch``, …; None stands for the recipe's own.
    """
    recipe = training_recipe(model)
    known = [entry.name for entry in fields(TrainingOptions)]
    for name in options:
        check_option("a training", name, known)
    changed = {name: value for name, value in options.items() if value is not None}
    recipe = replace(
        recipe, options=replace(recipe.options, **changed), network={**recipe.network, **(settings or {})}
    )
    if preprocessing:
        recipe = with_preprocessing(recipe, preprocessing)
    if instrument:
        recipe = with_instrument(recipe, [instrument] if isinstance(instrument, str) else instrument)
    if minerals is not None or library is not None:
        recipe = with_minerals(recipe, minerals, library)
    if distortions is not None:
        recipe = with_distortions(recipe, distortions)
    if (regions is None) != (map is None):
        raise InvalidInput(
            "regions are labels of a map", "Give both --regions LABELS_FILE and --map CUBE_FILE"
        )
    if regions is None or map is None:
        if mix is not None:
            raise InvalidInput(
                "--mix is the share of labelled regions", "Give --regions and --map, or leave it out"
            )
        return recipe
    cube, labels = existing_file(map), existing_file(regions)
    return with_regions(recipe, cube, labels, mix=1.0 if mix is None else mix, seed=seed)


def read_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Return options of a network written as ``hidden=900``, by name.

    A value is a number, true or false, a list ``16,32`` or a word. Raises InvalidInput when a text is no
    assignment.
    """
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidInput(f"{text!r} sets nothing", "Write OPTION=VALUE, such as hidden=900")
        found[name.strip()] = _read_value(value)
    return found


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return options of a network as :func:`read_settings` reads them, with spaces between."""

    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))

    return " ".join(f"{name}={text(value)}" for name, value in settings.items())


def with_preprocessing(recipe: TrainingRecipe, words: Sequence[str]) -> TrainingRecipe:
    """Return a recipe with its preprocessing changed by words of :data:`PREPROCESSING_WORDS`.

    Raises InvalidInput for another word, or two that exclude each other.
    """
    changes: dict[str, Any] = {}
    for word in words:
        check_name("preprocessing", word, PREPROCESSING_WORDS)
        for name, value in PREPROCESSING_WORDS[word].items():
            if changes.get(name, value) != value:
                raise InvalidInput(f"the preprocessing {','.join(words)} says two things of the {name}")
            changes[name] = value
    return replace(recipe, preprocessing=Preprocessing(**{**asdict(recipe.preprocessing), **changes}))


def with_instrument(recipe: TrainingRecipe, instruments: Sequence[str]) -> TrainingRecipe:
    """Return a recipe whose spectra are made for other instruments, presets' names or .toml files.

    Raises FileError when an instrument's file cannot be read. Raises InvalidInput when there is no such
    instrument, or the recipe's spectra know none or only one.
    """
    from napari_xrf.physics.instrument import load_instrument

    for name in instruments:
        load_instrument(name)
    if recipe.source.kind == "mixtures":
        return _with_source(recipe, instruments=list(instruments))
    if recipe.source.kind == "minerals" and len(instruments) == 1:
        return _with_source(recipe, instrument=instruments[0])
    if recipe.source.kind == "minerals":
        raise InvalidInput(f"{recipe.name} learns from one instrument at a time", "Name one")
    raise InvalidInput(f"the spectra of {recipe.name} are made without an instrument", "Leave it out")


def with_minerals(
    recipe: TrainingRecipe, minerals: Sequence[str] | None, library: str | Path | None = None
) -> TrainingRecipe:
    """Return a recipe that learns other minerals.

    None keeps the recipe's; ``library`` is a CSV file of minerals added to the shipped ones. Raises FileError
    when the library cannot be read. Raises InvalidInput when a name is unknown, fewer than two are given, or
    the recipe learns no minerals.
    """
    from napari_xrf.reference.minerals import known_minerals, select_minerals

    if recipe.task != "minerals" or recipe.source.kind not in ("minerals", "mineral-instruments"):
        raise InvalidInput(
            f"{recipe.name} does not learn from minerals", "Leave them out, or train mineral-cnn"
        )
    known = known_minerals(library)
    changes: dict[str, Any] = {}
    if library is not None:
        changes["library"] = str(library)
    if minerals is not None:
        chosen = select_minerals(known, minerals)
        if len(chosen) < 2:
            raise InvalidInput("one mineral is nothing to choose from", "Name at least two")
        changes["minerals"] = [mineral.name for mineral in chosen]
    return _with_source(recipe, **changes)


def with_distortions(recipe: TrainingRecipe, distortions: str) -> TrainingRecipe:
    """Return a recipe with ``"typical"`` distortions, which are those of the recipe, or with ``"none"``.

    Raises InvalidInput for another word, or when the recipe's spectra take no distortions.
    """
    if distortions not in DISTORTIONS:
        raise InvalidInput(f"there are no distortions {distortions!r}", f"Use {', '.join(DISTORTIONS)}")
    if recipe.source.kind not in ("mixtures", "minerals"):
        raise InvalidInput(f"the spectra of {recipe.name} take no distortions", "Leave the option out")
    return recipe if distortions == "typical" else _with_source(recipe, distortions=None)


def with_regions(
    recipe: TrainingRecipe, cube: str | Path, labels: str | Path, *, mix: float = 1.0, seed: int = 0
) -> TrainingRecipe:
    """Return a recipe that learns the labelled regions of a map, alone or among its own spectra.

    The network's axis stays the recipe's, so that both kinds of spectra fit it; alone on a map that ends far
    below it, the regions bring their own.

    ``cube``, ``labels``: files of the map and of its labels. ``mix``: share of the spectra that come from the
    regions, above 0 to 1; the rest are the recipe's own. ``seed``: of the split into training, validation and
    test pixels. Raises FileError when the map cannot be read. Raises InvalidInput when the recipe learns no
    minerals, or the share cannot be.
    """
    check_range("the share of the regions", mix, 0.01, 1)
    axis = recipe.source.options.get("axis")
    files = {"cube": str(Path(cube).resolve()), "labels": str(Path(labels).resolve())}
    changed = with_pixels(recipe, {**files, "axis": axis, "seed": seed}, mix)
    if mix == 1 and not _covers(cube, axis):
        return with_pixels(recipe, {**files, "axis": None, "seed": seed}, mix)  # the map's own
    return changed


def with_pixels(recipe: TrainingRecipe, options: Mapping[str, Any], share: float) -> TrainingRecipe:
    """Return a recipe that draws a share of its spectra from the source "regions" with some options.

    Raises InvalidInput when the recipe learns no minerals.
    """
    if recipe.task != "minerals" or recipe.source.kind != "minerals":
        raise InvalidInput(f"{recipe.name} learns no classes of pixels", "Train mineral-cnn or a kin of it")
    options = {**options, "axis": options.get("axis", recipe.source.options.get("axis"))}
    if share >= 1:
        return replace(recipe, source=SourceSpec("regions", options))
    parts = {
        "first": {"kind": "regions", "options": options},
        "second": {"kind": recipe.source.kind, "options": dict(recipe.source.options)},
    }
    return replace(recipe, source=SourceSpec("shares", {**parts, "share": share}))


def _covers(cube: str | Path, axis: Sequence[float] | None) -> bool:
    """Tell whether a map reaches the greater part of the energies of an axis (offset, width, size)."""
    from napari_xrf import io

    if axis is None:
        return True
    offset, width, size = axis
    # Of nothing but its description: without a budget the counts stay in the file.
    return float(io.read(cube, memory_budget=0).energy.edges[-1]) > _GREATER_PART * (offset + width * size)


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        parts = [part.strip() for part in text.split(",")]
        return [_read_value(part) for part in parts] if len(parts) > 1 else text.strip()


def _with_source(recipe: TrainingRecipe, **changes: Any) -> TrainingRecipe:
    return replace(recipe, source=replace(recipe.source, options={**recipe.source.options, **changes}))
