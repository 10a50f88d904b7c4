"""Spectra of natural samples on random instruments: what networks for elements on any SDD learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.learning.conditions import CONDITIONS, conditions_of, recorded
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.sources.instrument_bank import (
    AXIS,
    WINDOW_ELEMENTS,
    InstrumentBank,
    make_banks,
)
from napari_xrf.learning.sources.source import LabelledSpectra
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortion_values import DistortionValues
from napari_xrf.synthesis.distortions import Distortions, draw_values
from napari_xrf.synthesis.random_samples import SAMPLE_ELEMENTS
from napari_xrf.synthesis.sampling import draw_poisson, draw_seed

_BATCH = 32  # spectra of one instrument at a time
_VALIDATION_SEED = 1_000_000  # added to the seed of the instruments that judge a training
_DISTORTIONS = Distortions(
    offset_ev=(-15.0, 15.0),
    gain=(-0.003, 0.003),
    width_factor=(1.0, 1.15),
    tail=(0.0, 0.03),
    shelf=(0.0, 0.01),
    continuum_level=(0.0, 0.2),
    continuum_end_kev=(8.0, 50.0),
    bragg_strength=(0.0003, 0.02),
    bragg_share=0.45,
    zero_peak=(0.0, 1.0),
)
_LARGEST_ZERO_PEAK = 0.5  # of the counts; most are far smaller
_MOST_PILED_UP = 0.05  # part of the pulses
_MOST_MIXED = 3
_MOST_TRACES = 4
_TRACE_SHARE = (1e-5, 0.3)  # of the counts
_REST_SPREAD = 0.35  # of the logarithm of the continuum's amount
_REST_WAVES, _WAVES_KEV = 0.12, (3.0, 30.0)  # and of its shape, along periods
_ARGON_SHARE = (1e-4, 0.03)
# Lines that are not the sample's: of the detector's dead layer, of holders, collimators and chambers. In what
# part of the spectra, and their share of the counts.
_STRAY = {"Si": 0.5, "Al": 0.25, "Fe": 0.15, "Cu": 0.15, "Ni": 0.1, "Cr": 0.1, "Ca": 0.1, "Zr": 0.05}
_STRAY_SHARE = (1e-5, 2e-3)
_CLEAN = 0.15  # part of the spectra without distortions of their counts
_ENDS_KEV = (10.24, 20.48, 30.72, 40.96)
_AXIS_STARTS = 0.1  # part of the spectra whose axis begins well above 0 keV
_SIGMAS, _RELATIVE = 3.0, 0.03  # a peak is there above so many errors of what it stands on
_UNTOLD = {"kind": 0.15, "energy_kev": 0.25, "anode": 0.25, "takeoff_deg": 0.4, "fwhm_mn_ka_ev": 0.2,
           "atmosphere": 0.4}  # fmt: skip


@dataclass(frozen=True, eq=False)
class InstrumentSource:
    """Draws spectra on many instruments, with what a file of each may state.

    Presence is the chance that the net counts of an element in one of its main lines' windows, ±0.6 FWHM,
    stand 3 standard errors and 3 % above all that is expected there.

    Attributes
    ----------
    number, samples, seed
        Instruments, samples on each, and the seed of both.
    counts_range
        Of the spectra, drawn evenly in the logarithm.
    """

    number: int
    samples: int
    seed: int
    banks: tuple[InstrumentBank, ...]
    counts_range: tuple[float, float] = (100.0, 1e8)
    task: TaskName = "elements"
    axis: EnergyAxis = AXIS
    names: tuple[str, ...] = SAMPLE_ELEMENTS
    classes: tuple[LabelClass, ...] = ()
    conditions: tuple[str, ...] = CONDITIONS

    @cached_property
    def validation(self) -> InstrumentSource:
        """Spectra on instruments that the training does not know."""
        number, seed = max(self.number // 10, 1), self.seed + _VALIDATION_SEED
        return replace(self, number=number, seed=seed, banks=make_banks(number, self.samples, seed))

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
        dose = _log_uniform(mixing, self.counts_range, size)
        expected *= (dose / expected.sum(axis=1))[:, None].astype(np.float32)
        net, own = net * dose[:, None], own * dose[:, None]
        expected = _distorted(expected, bank, distortion)
        known = excitation_of(bank.instrument)
        told = np.stack([_told(known, mixing) for _ in range(size)])
        within = recorded(told, AXIS)
        expected[~within] = 0
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
    traces = np.zeros((size, len(SAMPLE_ELEMENTS)), dtype=np.float32)
    for row in range(size):
        number = int(generator.integers(_MOST_TRACES + 1)) if generator.random() < 0.5 else 0
        chosen = generator.choice(len(SAMPLE_ELEMENTS), size=number, replace=False)
        traces[row, chosen] = _log_uniform(generator, _TRACE_SHARE, number)
    if bank.instrument.atmosphere == "air":
        argon = SAMPLE_ELEMENTS.index("Ar")
        drawn = _log_uniform(generator, _ARGON_SHARE, size)
        traces[:, argon] += np.where(generator.random(size) < 0.6, drawn, 0)
    traces[:, bank.traces.sum(axis=1) <= 0] = 0
    rest = _varied(weights @ bank.rest, generator)
    seen = weights @ bank.lines + rest + (traces + _stray(size, generator)) @ bank.traces
    expected: NDArray[np.float32] = np.asarray(seen, dtype=np.float32)
    scale = 1 / expected.sum(axis=1, keepdims=True).astype(np.float64)
    own = weights @ bank.own + traces[:, WINDOW_ELEMENTS] * bank.trace_own
    return expected, (weights @ bank.net + traces) * scale, own * scale


def _stray(size: int, generator: np.random.Generator) -> NDArray[np.float32]:
    shares = np.zeros((size, len(SAMPLE_ELEMENTS)), dtype=np.float32)
    for element, chance in _STRAY.items():
        there = generator.random(size) < chance
        shares[there, SAMPLE_ELEMENTS.index(element)] = _log_uniform(
            generator, _STRAY_SHARE, int(there.sum())
        )
    return shares


def _varied(rest: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Return continua (N, E) with another amount and shape, as no model of scatter is exact."""
    size = (len(rest), 1)
    periods = _log_uniform(generator, _WAVES_KEV, size)
    waves = np.sin(2 * np.pi * (AXIS.energies / periods + generator.random(size)))
    heights = generator.normal(0, _REST_SPREAD, size) + generator.normal(0, _REST_WAVES, size) * waves
    return np.asarray(rest * np.exp(heights), dtype=np.float32)


def _log_uniform(
    generator: np.random.Generator, limits: tuple[float, float], size: int | tuple[int, int]
) -> NDArray[np.float64]:
    return np.exp(generator.uniform(np.log(limits[0]), np.log(limits[1]), size=size))


def _distorted(
    expected: NDArray[np.float32], bank: InstrumentBank, generator: np.random.Generator
) -> NDArray[np.float32]:
    size = len(expected)
    drawn = dict(draw_values(_DISTORTIONS, size, generator).columns)
    piled = generator.uniform(0, _MOST_PILED_UP, size) ** 2 / _MOST_PILED_UP
    drawn |= {"pulse_pair": piled / expected.sum(axis=1), "dwell": np.ones(size)}
    drawn["zero_peak"] = _LARGEST_ZERO_PEAK * drawn["zero_peak"] ** 4
    clean = generator.random(size) < _CLEAN
    for name in ("tail", "shelf", "continuum_level", "zero_peak", "pulse_pair"):
        drawn[name] = np.where(clean, 0.0, drawn[name])
    return distort(expected, AXIS, DistortionValues(**drawn), bank.instrument.detector.fwhm)


def _told(known: Excitation, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return the conditions of a file of the instrument: some states little, and its axis ends somewhere."""
    nothing = generator.random() < 0.1
    left_out = {name: None for name, chance in _UNTOLD.items() if nothing or generator.random() < chance}
    stated: Excitation = replace(known, **left_out)
    if stated.kind is None:
        stated = replace(stated, energy_kev=None, anode=None)
    if stated.fwhm_mn_ka_ev is not None:
        stated = replace(stated, fwhm_mn_ka_ev=stated.fwhm_mn_ka_ev * float(generator.uniform(0.95, 1.1)))
    ends = [end for end in _ENDS_KEV if end >= 0.4 * (known.energy_kev or 0.0)]
    end = float(generator.choice(ends or _ENDS_KEV[-1:]))
    if generator.random() < 0.2:
        end *= float(generator.uniform(0.8, 1.0))
    start = float(generator.uniform(0, 1.5)) if generator.random() < _AXIS_STARTS else 0.0
    low, high = round(start / AXIS.width), min(round(end / AXIS.width), AXIS.size)
    own = EnergyAxis(AXIS.offset + (low - 1) * AXIS.width, AXIS.width, high - low + 1)
    return conditions_of(stated, own)


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

    Parameters
    ----------
    instruments, samples, seed
        How many, how many samples on each, and of which seed; those of another seed judge a training.
    counts
        Fewest and most of a spectrum.
    """
    banks = make_banks(instruments, samples, seed, progress)
    low, high = counts
    return InstrumentSource(instruments, samples, seed, banks, (float(low), float(high)))
