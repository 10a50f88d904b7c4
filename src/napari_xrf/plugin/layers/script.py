"""What made a layer, as lines of Python and as a recipe: a step is kept with the layer that came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_xrf.core.errors import InvalidInput
from napari_xrf.plugin.layers.cubes import CHANGED_KEY, CUBE_KEY
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY
from napari_xrf.plugin.layers.labels import is_as_made
from napari_xrf.plugin.layers.layer_data import LayerData, with_keywords

_STEP_KEY, _RESULTS_KEY = "xrf_step", "xrf_results"
_HEAD = "import napari_xrf as nx"


@dataclass(frozen=True, eq=False)
class Step:
    """A call that made something."""

    result: str  # name of what it makes, "maps"; numbered in the script where there are several
    call: str  # the call, with {0}, {1} … for what the sources made
    sources: tuple[Step, ...] = ()  # steps before it
    # Verb of the command line → options, which do the same there; empty where none does
    recipe: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()  # lines that import what the call names beside nx


def step_of(layer: Any) -> Step | None:
    """Return the step that made a layer; painted labels have none, a map was read from its file."""
    kept = None if CHANGED_KEY in layer.metadata else layer.metadata.get(_STEP_KEY)
    if isinstance(kept, Step):
        return kept if is_as_made(layer) else None
    cube = layer.metadata.get(CUBE_KEY)
    path = getattr(getattr(cube, "provenance", None), "path", "")
    if not path or CHANGED_KEY in layer.metadata:
        return None
    step = Step("cube", f"nx.read({written(str(path))})")
    layer.metadata[_STEP_KEY] = step
    return step


def made_by(
    layers: Iterable[LayerData],
    result: str,
    call: str,
    *sources: Any,
    recipe: Mapping[str, Mapping[str, Any]] | None = None,
    needs: tuple[str, ...] = (),
) -> list[LayerData]:
    """Return layers that remember what made them, from the layers that were its sources.

    Where one of those does not know its own step, nothing is remembered.
    """
    step = step_from(result, call, *map(step_of, sources), recipe=recipe, needs=needs)
    return list(layers) if step is None else [remembering(layer, step) for layer in layers]


def step_from(
    result: str,
    call: str,
    *sources: Step | None,
    recipe: Mapping[str, Mapping[str, Any]] | None = None,
    needs: tuple[str, ...] = (),
) -> Step | None:
    """Return a step, or None where one of its sources is not known."""
    known = tuple(step for step in sources if step is not None)
    return Step(result, call, known, recipe or {}, needs) if len(known) == len(sources) else None


def remembering(layer: LayerData, step: Step | None) -> LayerData:
    """Return a layer that remembers its step."""
    return layer if step is None else with_keywords(layer, metadata={_STEP_KEY: step})


def remember(layer: Any, step: Step | None) -> None:
    """Let a layer of a viewer remember another step than before, or none."""
    layer.metadata[_STEP_KEY] = step


def keep_result(layer: Any, step: Step | None) -> None:
    """Let a layer remember what made a table of it, in place of what was made in the same way before."""
    if step is not None:
        layer.metadata.setdefault(_RESULTS_KEY, {})[step.result] = step


def _steps_of(layer: Any) -> list[Step | None]:
    """Return the step that made a layer, and those that made tables of it since."""
    own = step_of(layer)
    tables = {} if own is None else layer.metadata.get(_RESULTS_KEY, {})
    return [own, *(step for step in tables.values() if own in step.sources)]


def written(value: Any) -> str:
    """Return a value as it stands in a call: braces of names there are no places for sources."""
    return repr(value).replace("{", "{{").replace("}", "}}")


def map_written(layer: Any, place: int) -> str:
    """Return how a script writes an element map's pixels: ``{0}['Fe K']`` of a step that made several."""
    step, family = step_of(layer), layer.metadata.get(FAMILY_KEY)
    named = f"[{written(family)}]" if step is not None and step.result == "maps" else ""
    return f"{{{place}}}{named}"


def script_of(layers: Iterable[Any]) -> str:
    """Return the script that makes these layers, each step once and in order; empty where none is known."""
    return script_from(step for layer in layers for step in _steps_of(layer))


def script_from(steps: Iterable[Step | None]) -> str:
    """Return the script of steps and of those before them."""
    names: dict[int, str] = {}
    lines: list[str] = []
    needs: dict[str, None] = {}

    def write(step: Step) -> str:
        if id(step) in names:
            return names[id(step)]
        sources = [write(source) for source in step.sources]
        taken = sum(name.rstrip("0123456789_") == step.result for name in names.values())
        names[id(step)] = name = step.result if not taken else f"{step.result}_{taken + 1}"
        lines.append(f"{name} = {step.call.format(*sources)}")
        needs.update(dict.fromkeys(step.needs))
        return name

    for step in filter(None, steps):
        write(step)
    return "\n".join((_HEAD, *needs, "", *lines, "")) if lines else ""


def recipe_of(layers: Iterable[Any]) -> str:
    """Return what made these layers as a recipe (TOML) of ``napari-xrf batch``, a table for each verb.

    Raises InvalidInput when a verb was used in two ways.
    """
    tables: dict[str, dict[str, Any]] = {}
    for step in filter(None, (step for layer in layers for step in _steps_of(layer))):
        for verb, options in step.recipe.items():
            if tables.setdefault(verb, dict(options)) != options:
                raise InvalidInput(f"these layers were made by {verb} in two ways", "Select those of one")
    lines = [
        line
        for verb, options in tables.items()
        for line in (f"[{verb}]", *(f"{name} = {_toml(value)}" for name, value in options.items()), "")
    ]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    # Texts of JSON are texts of TOML, and so are its lists.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
