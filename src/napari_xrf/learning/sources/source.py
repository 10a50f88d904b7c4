"""What training draws its spectra from, and the form in which they come. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import TaskName


@dataclass(frozen=True, eq=False)
class LabelledSpectra:
    """Spectra and what is true of them.

    Attributes
    ----------
    counts
        (N, E) float32 counts, or spectra of another scale where a recipe knows no counts.
    targets
        Of ``"presence"`` and ``"visible"`` (N, K) float32 0 or 1; ``"share"`` (N, K) float32, an element's
        net counts over all counts of its spectrum; ``"net_counts"`` (N, K) float32; ``"label"`` (N,) int64,
        where K is "unknown".
    """

    counts: NDArray[np.float32]
    targets: Mapping[str, NDArray[Any]]


class Source(Protocol):
    """Draws labelled spectra; the same state of the generator gives the same ones.

    Attributes
    ----------
    task
        What a network learns from it.
    axis
        Of the counts.
    names
        K outputs.
    classes
        For minerals: formula, colour and density of each.
    counts_range
        Fewest and most counts of a spectrum.
    """

    task: TaskName
    axis: EnergyAxis
    names: tuple[str, ...]
    classes: tuple[LabelClass, ...]
    counts_range: tuple[float, float]

    def draw(self, size: int, generator: np.random.Generator) -> LabelledSpectra:
        """Return ``size`` spectra."""
        ...


@dataclass(frozen=True)
class SourceSpec:
    """How to make a source again: its kind and its options, as JSON takes them.

    Attributes
    ----------
    kind
        One of :data:`SOURCES`.
    options
        Arguments of the kind's ``make``.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


def as_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a parameter dataclass takes them: JSON has lists where it has tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


# kind → module with make(progress=..., **options) -> Source
SOURCES = {
    "lines": "napari_xrf.learning.sources.lines",
    "mixtures": "napari_xrf.learning.sources.mixtures",
    "minerals": "napari_xrf.learning.sources.minerals",
    "regions": "napari_xrf.learning.sources.regions",
    "shares": "napari_xrf.learning.sources.shares",
}


def make_source(spec: SourceSpec, progress: Progress = ignore_progress) -> Source:
    """Return the source of a specification.

    Raises
    ------
    InvalidInput
        When there is no such kind, or an option is unknown or out of range.
    """
    if spec.kind not in SOURCES:
        raise InvalidInput(f"there is no source {spec.kind!r}", f"Use {', '.join(SOURCES)}")
    try:
        source: Source = import_module(SOURCES[spec.kind]).make(progress=progress, **spec.options)
    except TypeError as error:
        raise InvalidInput(f"the source {spec.kind}: {error}") from error
    return source


def held_out(source: Source) -> Source:
    """Return the source of spectra that judge a training: its ``validation`` where it has one.

    What makes every spectrum anew needs none; a user's own pixels must not be seen in training.
    """
    kept: Source = getattr(source, "validation", source)
    return kept
