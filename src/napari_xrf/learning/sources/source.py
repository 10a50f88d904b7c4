"""What training draws its spectra from, and the form in which they come. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import TaskName


@dataclass(frozen=True, eq=False)
class LabelledSpectra:
    """Spectra and what is true of them."""

    # (N, E) float32 counts, or spectra of another scale where a recipe knows no counts
    counts: NDArray[np.float32]
    # Of "presence" and "visible" (N, K) float32 0 or 1; "share" (N, K) float32, an element's net counts over
    # all counts of its spectrum; "net_counts" (N, K) float32; "label" (N,) int64, where K is "unknown"
    targets: Mapping[str, NDArray[Any]]
    # (N, C) what a network is told of the instrument, for one that asks
    conditions: NDArray[np.float32] | None = None


class Source(Protocol):
    """Draws labelled spectra; the same state of the generator gives the same ones.

    Some hold back spectra for the ``validation`` and the ``test``, which are sources as well.
    """

    task: TaskName
    axis: EnergyAxis  # of the counts
    names: tuple[str, ...]  # K outputs
    classes: tuple[LabelClass, ...]  # for minerals: formula, colour and density of each
    counts_range: tuple[float, float]  # fewest and most counts of a spectrum

    def draw(self, size: int, generator: np.random.Generator) -> LabelledSpectra:
        """Return ``size`` spectra."""
        ...


@dataclass(frozen=True)
class SourceSpec:
    """How to make a source again: its kind and its options, as JSON takes them.

    The kind is one of :data:`SOURCES`, the options are arguments of its ``make``.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, entry: Any) -> SourceSpec:
        """Return the specification of ``{"kind": …, "options": {…}}``.

        Raises InvalidInput when it is stated otherwise.
        """
        try:
            return cls(str(entry["kind"]), dict(entry.get("options", {})))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InvalidInput('a source is stated as {"kind": …, "options": {…}}', "State it so") from None


def axis_of(placed: Sequence[float] | None, otherwise: EnergyAxis) -> EnergyAxis:
    """Return the axis of (offset, width, size) in keV, or another where none is given."""
    if placed is None:
        return otherwise
    offset, width, size = placed
    return EnergyAxis(float(offset), float(width), int(size))


# kind → module with make(progress=..., **options) -> Source
SOURCES = {
    "instruments": "napari_xrf.learning.sources.instruments",
    "lines": "napari_xrf.learning.sources.lines",
    "mixtures": "napari_xrf.learning.sources.mixtures",
    "mineral-instruments": "napari_xrf.learning.sources.mineral_instruments",
    "minerals": "napari_xrf.learning.sources.minerals",
    "regions": "napari_xrf.learning.sources.regions",
    "shares": "napari_xrf.learning.sources.shares",
}


def make_source(spec: SourceSpec, progress: Progress = ignore_progress) -> Source:
    """Return the source of a specification.

    Raises InvalidInput when there is no such kind, or an option is unknown or out of range.
    """
    check_name("source", spec.kind, SOURCES)
    try:
        source: Source = import_module(SOURCES[spec.kind]).make(progress=progress, **spec.options)
    except TypeError as error:
        raise InvalidInput(f"the source {spec.kind}: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"the source {spec.kind}: {error.cause}", error.remedy) from error
    return source


def held_out(source: Source) -> Source:
    """Return the source of spectra that judge a training: its ``validation`` where it has one.

    What makes every spectrum anew needs none; a user's own pixels must not be seen in training.
    """
    return getattr(source, "validation", source)
