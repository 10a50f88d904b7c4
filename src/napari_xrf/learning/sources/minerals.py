"""Spectra of minerals over their ranges, and of what is none of them: what mineral networks learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.sources.mineral_bank import MineralBank, make_bank
from napari_xrf.learning.sources.source import LabelledSpectra, axis_of
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortions import Distortions, draw_values, typical_distortions
from napari_xrf.synthesis.sampling import draw_poisson, draw_seed, log_uniform

_EMPTY_SHARE = 0.05  # of the strangers: spectra of almost no counts or of scatter alone


@dataclass(frozen=True)
class MineralSource:
    """Draws spectra of K classes of minerals, each as often as the others, and of strangers."""

    # Expected spectra of the classes' compositions and of strangers, on the instrument's axis
    bank: MineralBank
    # axis, counts_range: of the network, and of its spectra; drawn evenly in the logarithm, before
    # distortions
    axis: EnergyAxis
    counts_range: tuple[float, float] = (300.0, 100_000.0)
    # mixed_share, largest_minority: part of the spectra that see a second mineral, and the most that it takes
    mixed_share: float = 0.1
    largest_minority: float = 0.15
    stranger_share: float = 0.2  # part of the spectra that belong to none of the classes
    distortions: Distortions | None = None  # ranges from which each spectrum's distortions are drawn, or None
    task: TaskName = "minerals"

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(each.name for each in self.bank.classes)

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The classes with formula, colour and density."""
        return self.bank.classes

    def draw(self, size: int, generator: np.random.Generator) -> LabelledSpectra:
        """Return ``size`` spectra with their ``label``."""
        mixing, distortion, noise = generator.spawn(3)
        labels, expected = self._expect(size, mixing)
        dose = log_uniform(mixing, self.counts_range, (size, 1)).astype(np.float32)
        empty = (labels == len(self.names)) & (mixing.random(size) < _EMPTY_SHARE)
        dose[empty] *= 10.0 ** -mixing.uniform(1, 3, size=(int(empty.sum()), 1)).astype(np.float32)
        expected *= dose
        if self.distortions is not None:
            values = draw_values(self.distortions, size, distortion)
            expected = distort(expected, self.bank.energy, values, self.bank.fwhm)
        counts = draw_poisson(expected, draw_seed(noise), np.arange(size), np.uint32)
        return LabelledSpectra(rebin_counts(counts, self.bank.energy, self.axis), {"label": labels})

    def _expect(
        self, size: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return labels (N,) and expected spectra (N, E) of sum 1."""
        bank, number = self.bank, len(self.names)
        labels = generator.integers(number, size=size)
        first = bank.draw_rows(labels, generator)
        # A composition between two of the mineral's own, as solid solutions have them.
        second = bank.draw_rows(labels, generator)
        between = generator.random((size, 1)).astype(np.float32)
        expected = between * bank.spectra[first] + (1 - between) * bank.spectra[second]
        mixed = np.flatnonzero(generator.random(size) < self.mixed_share)
        others = bank.draw_rows(generator.integers(number, size=mixed.size), generator)
        part = generator.uniform(0, self.largest_minority, size=(mixed.size, 1)).astype(np.float32)
        expected[mixed] = (1 - part) * expected[mixed] + part * bank.spectra[others]
        strange = np.flatnonzero(generator.random(size) < self.stranger_share)
        if strange.size:
            expected[strange] = bank.draw_strangers(strange.size, generator)
            labels[strange] = number
        return labels.astype(np.int64), expected


def make(
    *,
    progress: Progress = ignore_progress,
    axis: Sequence[float] | None = None,
    counts_range: Sequence[float] = (300.0, 100_000.0),
    distortions: dict[str, Any] | str | None = "typical",
    mixed_share: float = 0.1,
    largest_minority: float = 0.15,
    stranger_share: float = 0.2,
    **bank: Any,
) -> MineralSource:
    """Return the source of some minerals on an instrument.

    ``axis``: (offset, width, size) of the network's axis in keV; None takes the instrument's.
    ``distortions``: ``"typical"``, None, or fields of :class:`~napari_xrf.synthesis.distortions.Distortions`.
    ``counts_range``, ``mixed_share``, ``largest_minority``, ``stranger_share``: as in :class:`MineralSource`.
    ``bank``: minerals and instrument, as :func:`~.mineral_bank.make_bank` takes them.
    """
    known = {"typical": typical_distortions(), "none": None, None: None}
    if isinstance(distortions, dict):
        ranges: Distortions | None = Distortions(**distortions)
    elif distortions in known:
        ranges = known[distortions]
    else:
        raise InvalidInput(f"there are no distortions {distortions!r}", "Use typical or none")
    made = make_bank(progress=progress, **bank)
    low, high = counts_range
    return MineralSource(
        made,
        axis_of(axis, made.energy),
        (float(low), float(high)),
        mixed_share,
        largest_minority,
        stranger_share,
        ranges,
    )
