"""Spectra of several elements on a substrate: what networks for elements and their counts learn from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.sources.source import LabelledSpectra, axis_of
from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.physics.source import TubeSource
from napari_xrf.synthesis.distortions import Distortions
from napari_xrf.synthesis.mixtures import MixtureParameters, make_templates, synthesize_mixtures


@dataclass(frozen=True)
class MixtureSource:
    """Draws from the mixtures recipe on one or several instruments, in equal parts."""

    instruments: tuple[Instrument, ...]
    parameters: tuple[MixtureParameters, ...]  # what the recipe draws from, one for each instrument
    axis: EnergyAxis
    task: TaskName = "elements"
    classes: tuple[LabelClass, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The elements."""
        return self.parameters[0].elements

    @property
    def counts_range(self) -> tuple[float, float]:
        """Fewest and most counts."""
        low, high = self.parameters[0].counts
        return (float(low), float(high))

    def draw(self, size: int, generator: np.random.Generator) -> LabelledSpectra:
        """Return ``size`` spectra with ``presence``, ``share`` and ``net_counts``."""
        bounds = np.linspace(0, size, len(self.instruments) + 1).astype(int)
        counts = np.zeros((size, self.axis.size), dtype=np.float32)
        net = np.zeros((size, len(self.names)), dtype=np.float32)
        for number, (instrument, chosen) in enumerate(zip(self.instruments, self.parameters, strict=True)):
            part = slice(bounds[number], bounds[number + 1])
            if size_here := part.stop - part.start:
                made = synthesize_mixtures(size_here, instrument, generator=generator, parameters=chosen)
                counts[part] = rebin_counts(made.counts, made.energy, self.axis, seed=number)
                net[part] = made.net_counts
        order = generator.permutation(size)
        counts, net = counts[order], net[order]
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
        presence = (net > 0).astype(np.float32)
        return LabelledSpectra(counts, {"presence": presence, "share": net / total, "net_counts": net})


def make(
    *,
    progress: Progress = ignore_progress,
    instruments: Sequence[str] = ("gem",),
    tubes: Sequence[tuple[str, float]] = (),
    axis: Sequence[float] | None = None,
    distortions: dict[str, Any] | str | None = "recipe",
    **parameters: Any,
) -> MixtureSource:
    """Return the source for some instruments.

    ``instruments``: presets' names or files. ``tubes``: (anode, kV) of further instruments like the first,
    but for their tube. ``axis``: (offset, width, size) of the network's axis in keV; None takes the first
    instrument's. ``distortions``: ``"recipe"``: the recipe's own; None: none; else fields of
    :class:`~napari_xrf.synthesis.distortions.Distortions`. ``parameters``: fields of
    :class:`~napari_xrf.synthesis.mixtures.MixtureParameters`.
    """
    loaded = tuple(load_instrument(name) for name in instruments)
    loaded += tuple(_with_tube(loaded[0], anode, voltage) for anode, voltage in tubes)
    if not isinstance(distortions, str):
        parameters["distortions"] = None if distortions is None else Distortions(**distortions)
    elif distortions != "recipe":
        raise InvalidInput(f"there are no distortions {distortions!r}", "Use recipe, or name their fields")
    chosen = []
    for instrument in loaded:
        escape = {} if instrument.detector.kind == "gem" else {"escape": (0.0, 0.0)}
        each = MixtureParameters(**{**escape, **parameters})
        make_templates(each.elements, each.substrates, instrument, progress)
        chosen.append(each)
    return MixtureSource(loaded, tuple(chosen), axis_of(axis, loaded[0].energy))


def _with_tube(instrument: Instrument, anode: str, voltage_kv: float) -> Instrument:
    if not isinstance(instrument.source, TubeSource):
        raise InvalidInput(f"{instrument.name} has no tube to replace", "Leave tubes out")
    source = replace(instrument.source, anode=anode, voltage_kv=float(voltage_kv))
    return replace(instrument, source=source)
