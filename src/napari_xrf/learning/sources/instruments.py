"""Spectra of natural samples on random instruments: what networks for elements on any SDD learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.conditions import CONDITIONS, recorded
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.sources.instrument_bank import (
    AXIS,
    WINDOW_ELEMENTS,
    InstrumentBank,
    KeptBanks,
    make_banks,
)
from napari_xrf.learning.sources.recorded_spectra import (
    drawn_traces,
    record,
    stray_lines,
    varied_continua,
)
from napari_xrf.learning.sources.source import LabelledSpectra
from napari_xrf.synthesis.random_samples import SAMPLE_ELEMENTS
from napari_xrf.synthesis.sampling import draw_poisson, draw_seed, log_uniform

_BATCH = 32  # spectra of one instrument at a time
VALIDATION_SEED = 1_000_000  # added to the seed of the instruments that judge a training
_MOST_MIXED = 3
_SIGMAS, _RELATIVE = 3.0, 0.03  # a peak is there above so many errors of what it stands on


@dataclass(frozen=True, eq=False)
class InstrumentSource:
    """Draws spectra on many instruments, with what a file of each may state.

    Presence is the chance that the net counts of an element in one of its main lines' windows, ±0.6 FWHM,
    stand 3 standard errors and 3 % above all that is expected there.
    """

    # number, samples, seed: instruments, samples on each, and the seed of both
    number: int
    samples: int
    seed: int
    counts_range: tuple[float, float] = (100.0, 1e8)  # of the spectra, drawn evenly in the logarithm
    task: TaskName = "elements"
    axis: EnergyAxis = AXIS
    names: tuple[str, ...] = SAMPLE_ELEMENTS
    classes: tuple[LabelClass, ...] = ()
    conditions: tuple[str, ...] = CONDITIONS
    progress: Progress = field(default=ignore_progress, compare=False)  # of the first spectra that are drawn

    @cached_property
    def banks(self) -> KeptBanks[InstrumentBank]:
        """What each instrument is expected to record; who judges a network needs the validation's alone."""
        return make_banks(self.number, self.samples, self.seed, self.progress)

    @property
    def complete(self) -> bool:
        """Whether spectra are drawn without making any bank first."""
        return self.banks.complete

    @cached_property
    def validation(self) -> InstrumentSource:
        """Spectra on instruments that the training does not know."""
        return replace(self, number=max(self.number // 10, 1), seed=self.seed + VALIDATION_SEED)

    def draw(self, size: int, generator: np.random.Generator) -> LabelledSpectra:
        """Return ``size`` spectra with ``presence``, ``share`` and ``net_counts``."""
        parts = []
        for begin in range(0, size, _BATCH):
            bank = self.banks[int(generator.integers(len(self.banks)))]
            parts.append(self._draw_on(bank, min(_BATCH, size - begin), generator))
        counts, presence, net, told = (np.concatenate(column) for column in zip(*parts, strict=True))
        share = net / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
        return LabelledSpectra(counts, {"presence": presence, "share": share, "net_counts": net}, told)

    def _draw_on(
        self, bank: InstrumentBank, size: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], ...]:
        mixing, distortion, noise = generator.spawn(3)
        expected, net, own = _mixed(bank, size, mixing)
        dose = log_uniform(mixing, self.counts_range, size)
        expected *= (dose / expected.sum(axis=1))[:, None].astype(np.float32)
        net, own = net * dose[:, None], own * dose[:, None]
        expected, told = record(expected, bank.instrument, mixing, distortion)
        within = recorded(told, AXIS)
        presence = _presence(expected, own, within, bank)
        counts = draw_poisson(expected, draw_seed(noise), np.arange(size), np.uint32).astype(np.float32)
        return counts, presence, _within(net, within, bank).astype(np.float32), told


def _mixed(
    bank: InstrumentBank, size: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Return expected spectra (N, E), and shares of each: net counts (N, K) and the windows' own (N, W)."""
    rows = generator.integers(len(bank.lines), size=(size, _MOST_MIXED))
    parts = generator.exponential(size=rows.shape) + 1e-3
    parts *= np.arange(_MOST_MIXED) < generator.choice(3, size=(size, 1), p=(0.6, 0.28, 0.12)) + 1
    weights = np.zeros((size, len(bank.lines)), dtype=np.float32)
    np.add.at(weights, (np.arange(size)[:, None], rows), parts / parts.sum(axis=1, keepdims=True))
    traces = drawn_traces(size, bank.instrument, generator)
    traces[:, bank.traces.sum(axis=1) <= 0] = 0
    rest = varied_continua(weights @ bank.rest, generator)
    seen = weights @ bank.lines + rest + (traces + stray_lines(size, generator)) @ bank.traces
    expected: NDArray[np.float32] = np.asarray(seen, dtype=np.float32)
    scale = 1 / expected.sum(axis=1, keepdims=True).astype(np.float64)
    own = weights @ bank.own + traces[:, WINDOW_ELEMENTS] * bank.trace_own
    return expected, (weights @ bank.net + traces) * scale, own * scale


def _presence(
    expected: NDArray[np.float32], own: NDArray[np.float64], within: NDArray[np.bool_], bank: InstrumentBank
) -> NDArray[np.float32]:
    low, high = bank.windows
    sums = np.concatenate([np.zeros((len(expected), 1)), expected.cumsum(axis=1, dtype=np.float64)], axis=1)
    under = np.maximum(sums[:, high] - sums[:, low], 0)
    # Broadening and shifts take some of the window's own away, never more than is there.
    error = np.sqrt(np.maximum(under, 1.0) + (_RELATIVE * under) ** 2)
    height = np.where(within[:, low] & within[:, high - 1], np.minimum(own, under) / error, 0.0)
    best = np.full((len(expected), len(SAMPLE_ELEMENTS)), -np.inf)
    for window, element in enumerate(WINDOW_ELEMENTS):
        best[:, element] = np.maximum(best[:, element], height[:, window])
    return np.asarray(ndtr(best - _SIGMAS), dtype=np.float32)


def _within(net: NDArray[np.float64], within: NDArray[np.bool_], bank: InstrumentBank) -> NDArray[np.float64]:
    """Return net counts (N, K), less those on channels that are not recorded."""
    shares: NDArray[Any] = within.astype(np.float32) @ bank.traces.T
    return net * np.where(bank.traces.sum(axis=1) > 0, shares, 1.0)


def make(
    *,
    progress: Progress = ignore_progress,
    instruments: int = 144,
    samples: int = 72,
    seed: int = 1,
    counts: Sequence[float] = (100.0, 1e8),
) -> InstrumentSource:
    """Return the source on some random instruments.

    ``instruments``, ``samples``, ``seed``: how many, how many samples on each, and of which seed; those of
    another seed judge a training. ``counts``: fewest and most of a spectrum.
    """
    low, high = counts
    return InstrumentSource(instruments, samples, seed, (float(low), float(high)), progress=progress)
