"""Spectra of elements in layers, with the presence of 556 emission lines: what line networks learn from."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.sources.source import LabelledSpectra
from napari_xrf.synthesis.layers import LayersParameters, synthesize_layers
from napari_xrf.synthesis.line_basis import BASIS_AXIS, line_basis
from napari_xrf.synthesis.sampling import log_uniform


@dataclass(frozen=True)
class LineSource:
    """Draws from the layers recipe; its spectra have 1 at their highest channel, whatever their counts.

    A part of them, ``low_dose_share``, is counted once more with fewer counts, from ``fewest_counts`` up to
    the recipe's number evenly in the logarithm, so that a network also learns spectra of single pixels.
    """

    parameters: LayersParameters = field(default_factory=LayersParameters)
    low_dose_share: float = 0.0
    fewest_counts: float = 300.0
    task: TaskName = "lines"
    axis: EnergyAxis = BASIS_AXIS
    names: tuple[str, ...] = field(default_factory=lambda: tuple(line.label for line in line_basis()))
    classes: tuple[LabelClass, ...] = ()

    @property
    def counts_range(self) -> tuple[float, float]:
        """Fewest and most counts."""
        most = float(self.parameters.counts)
        return (self.fewest_counts if self.low_dose_share else most, most)

    def draw(self, size: int, generator: np.random.Generator) -> LabelledSpectra:
        """Return ``size`` spectra with ``presence`` and ``visible``."""
        made = synthesize_layers(size, generator=generator, parameters=self.parameters)
        spectra = made.spectra
        few = np.flatnonzero(generator.random(size) < self.low_dose_share)
        if few.size:
            dose = log_uniform(generator, self.counts_range, (few.size, 1))
            expected = spectra[few] / np.maximum(spectra[few].sum(axis=1, keepdims=True), 1e-9) * dose
            spectra[few] = generator.poisson(expected)
        return LabelledSpectra(
            spectra, {"presence": made.present.astype(np.float32), "visible": made.visible.astype(np.float32)}
        )


def make(
    *,
    progress: Progress = ignore_progress,
    low_dose_share: float = 0.0,
    fewest_counts: float = 300.0,
    **parameters: Any,
) -> LineSource:
    """Return the source of some :class:`~napari_xrf.synthesis.layers.LayersParameters`."""
    return LineSource(LayersParameters(**parameters), low_dose_share, fewest_counts)
