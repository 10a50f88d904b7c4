"""Two sources in one: a user's regions beside synthetic spectra, for instance. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput, check_range
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.sources.source import LabelledSpectra, Source, SourceSpec, held_out, make_source


@dataclass(frozen=True, eq=False)
class SharedSource:
    """Draws a share of its spectra from one source and the rest from another; itself a source.

    Both are of the same task and on the same axis. The names are the first source's, then those that only the
    second one has; equal names are one output. Raises InvalidInput when tasks or axes differ.
    """

    first: Source
    second: Source
    share: float = 0.5

    def __post_init__(self) -> None:
        check_range("share of the first source", self.share, 0, 1)
        if self.first.task != self.second.task:
            raise InvalidInput(
                f"spectra for {self.first.task} and for {self.second.task} do not mix", "Take two of one task"
            )
        if self.first.axis != self.second.axis:
            raise InvalidInput("the two sources have different energy axes", "Give both the same axis")

    @property
    def task(self) -> TaskName:
        """That of both."""
        return self.first.task

    @property
    def axis(self) -> EnergyAxis:
        """That of both."""
        return self.first.axis

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The union, the first source's names first."""
        return tuple(dict.fromkeys((*self.first.names, *self.second.names)))

    @cached_property
    def classes(self) -> tuple[LabelClass, ...]:
        """One class per name, of the source that has one; the labels follow the names."""
        known: dict[str, LabelClass] = {}
        for source in (self.second, self.first):
            for each in source.classes:
                before = known.get(each.name, each)
                # A painted region has a name and a colour; what the library adds to it stays.
                known[each.name] = replace(
                    each, formula=each.formula or before.formula, density=each.density or before.density
                )
        if any(name not in known for name in self.names):
            return ()
        return tuple(replace(known[name], label=2 + number) for number, name in enumerate(self.names))

    @property
    def counts_range(self) -> tuple[float, float]:
        """From the fewest to the most counts of either."""
        low, high = zip(self.first.counts_range, self.second.counts_range, strict=True)
        return (min(low), max(high))

    @property
    def validation(self) -> SharedSource:
        """The held-out spectra of both, in the same shares."""
        return replace(self, first=held_out(self.first), second=held_out(self.second))

    def draw(self, size: int, generator: np.random.Generator) -> LabelledSpectra:
        """Return ``size`` spectra of both in random order, with the targets that both have."""
        order = generator.permutation(size)
        number = round(self.share * size)
        parts = [
            (source, source.draw(count, generator))
            for source, count in ((self.first, number), (self.second, size - number))
            if count
        ]
        targets = [self._aligned(source, batch.targets) for source, batch in parts]
        common = [key for key in targets[0] if all(key in each for each in targets)]
        counts = np.concatenate([batch.counts for _, batch in parts])
        return LabelledSpectra(
            counts[order], {key: np.concatenate([each[key] for each in targets])[order] for key in common}
        )

    def _aligned(self, source: Source, targets: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return targets in the order of the union: labels renumbered, columns moved, absent names 0."""
        place = np.array([self.names.index(name) for name in source.names], dtype=np.intp)
        aligned: dict[str, NDArray[Any]] = {}
        for key, values in targets.items():
            if key == "label":
                aligned[key] = np.append(place, len(self.names))[values].astype(np.int64)
            else:
                aligned[key] = np.zeros((len(values), len(self.names)), dtype=values.dtype)
                aligned[key][:, place] = values
        return aligned


def make(
    *,
    progress: Progress = ignore_progress,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    share: float = 0.5,
) -> SharedSource:
    """Return the source that mixes two others, ``{"kind": …, "options": {…}}``, with a share of the first.

    Regions as the first one get the second one's axis where they state none, and no synthetic outliers unless
    they ask for them: what is like none of the regions may be like a class of the second source.
    """
    of_second = make_source(SourceSpec.from_json(second), progress)
    given = SourceSpec.from_json(first)
    if given.kind == "regions":
        options = {"outliers": False, **given.options}
        if options.get("axis") is None:
            options["axis"] = [of_second.axis.offset, of_second.axis.width, of_second.axis.size]
        given = SourceSpec(given.kind, options)
    return SharedSource(make_source(given, progress), of_second, float(share))
