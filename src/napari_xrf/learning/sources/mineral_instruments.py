"""Spectra of minerals, metals and strangers on random instruments: what networks that know all learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.conditions import CONDITIONS
from napari_xrf.learning.description import TaskName
from napari_xrf.learning.prediction.answer_sets import STRANGER_SHARE
from napari_xrf.learning.sources.instrument_bank import AXIS, KeptBanks, lines_alone
from napari_xrf.learning.sources.instruments import VALIDATION_SEED
from napari_xrf.learning.sources.mineral_bank import unlike
from napari_xrf.learning.sources.recorded_spectra import (
    drawn_traces,
    record,
    stray_lines,
    varied_continua,
)
from napari_xrf.learning.sources.source import LabelledSpectra
from napari_xrf.minerals.likelihood.templates import bins_at_resolution
from napari_xrf.minerals.search import energy_range
from napari_xrf.physics.forward import expect_samples
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.materials import Material
from napari_xrf.reference.minerals import (
    METAL,
    Mineral,
    known_minerals,
    metals,
    mineral_class,
    select_minerals,
)
from napari_xrf.synthesis.random_samples import SAMPLE_ELEMENTS, draw_sample, trace_carrier
from napari_xrf.synthesis.sampling import draw_poisson, draw_seed, log_uniform

Random = np.random.Generator

_FORMAT = 3  # of what is kept; another one is made anew
_BATCH = 32  # spectra of one instrument at a time
_UNIT = float(AXIS.size)  # kept spectra have a mean channel of 1, which 16 bits hold best
_ORDER = 1  # secondary fluorescence changes the shares of lines by less than they are drawn from
# Elements that stand in for others in natural minerals, a few at a time, and their part of the weight.
_NATURAL = (
    "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn",
    "Ga", "As", "Se", "Rb", "Sr", "Y", "Zr", "Nb", "Ag", "In", "Sn", "Sb", "Cs", "Ba", "La", "Ce", "Nd", "Yb",
    "Hf", "Ta", "W", "Hg", "Pb", "Bi", "Th", "U",
)  # fmt: skip
_NATURAL_PART, _MOST_NATURAL, _WITHOUT = (1e-5, 0.02), 8, 0.25
_STRANGERS_TOLD_AT = 1000.0  # counts at which what nobody could tell from a mineral is no stranger
_METAL_WEIGHT = 0.3  # how often a metal is drawn, of how often a mineral
_ALTERED = 0.5  # of the strangers are minerals with more or less of an element than any has
_ALTERATIONS, _ALTERED_PART = 3, (0.03, 1.5)  # elements, and their weight beside that of the mineral
_CONTINUUM_SPREADS = (0.2, 0.8)  # of the logarithm of the continuum's amount, beside rough and small samples
_MIXED_SHARE, _MOST_MINORITY = 0.25, 0.45
_SPECKS = (1e-5, 0.03)  # share of the counts of elements that are no part of the mineral
_COATING, _COATED, _COATING_SHARE = {"C": 0.85, "Au": 0.1, "Pt": 0.05}, 0.5, (3e-3, 0.1)
# What no model of fluorescence and of a rough surface gets right, in the logarithm: at all energies, and a
# slope with that of the energy.
_SLOPE, _RIPPLE = 0.08, 0.04


@dataclass(frozen=True, eq=False)
class MineralsOnInstrument:
    """Expected spectra of minerals and strangers on one instrument."""

    instrument: Instrument
    # lines, rest: (T, E) float16 lines of each composition and all else, of mean channel 1 together
    lines: NDArray[np.float16]
    rest: NDArray[np.float16]
    owner: NDArray[np.int16]  # (T,) mineral of each, rising; K for a stranger
    traces: NDArray[np.float16]  # (elements, E) lines of each element alone, of sum 1 or 0


@dataclass(frozen=True, eq=False)
class MineralInstrumentSource:
    """Draws spectra of K minerals and of strangers on many instruments, with conditions.

    Metals are drawn more rarely than minerals, which all are as often as one another.
    """

    minerals: tuple[Mineral, ...]
    # number, compositions, strangers, seed: instruments, compositions of each mineral and strangers on each,
    # and the seed of all
    number: int
    compositions: int
    strangers: int
    seed: int
    counts_range: tuple[float, float] = (100.0, 1e7)  # of the spectra, drawn evenly in the logarithm
    task: TaskName = "minerals"
    axis: EnergyAxis = AXIS
    conditions: tuple[str, ...] = CONDITIONS
    progress: Progress = field(default=ignore_progress, compare=False)  # of the first spectra that are drawn

    @property
    def names(self) -> tuple[str, ...]:
        """The minerals."""
        return tuple(mineral.name for mineral in self.minerals)

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """A class of each."""
        return tuple(mineral_class([mineral], label) for label, mineral in enumerate(self.minerals, 2))

    @cached_property
    def banks(self) -> KeptBanks[MineralsOnInstrument]:
        """What each instrument is expected to record; who judges a network needs the validation's alone."""

        def make(instrument: Instrument, generator: Random) -> dict[str, NDArray[Any]]:
            return _make_bank(self.minerals, instrument, self.compositions, self.strangers, generator)

        names = f"{_sum_of(self.minerals):08x}"
        folder = f"minerals-{_FORMAT}-{names}-{self.compositions}-{self.strangers}-{self.seed}"
        return KeptBanks(MineralsOnInstrument, make, folder, self.number, self.seed, self.progress)

    @property
    def complete(self) -> bool:
        """Whether spectra are drawn without making any bank first."""
        return self.banks.complete

    @cached_property
    def validation(self) -> MineralInstrumentSource:
        """Spectra on instruments that the training does not know."""
        return replace(self, number=max(self.number // 12, 1), seed=self.seed + VALIDATION_SEED)

    def draw(self, size: int, generator: Random) -> LabelledSpectra:
        """Return ``size`` spectra with their ``label``."""
        parts = []
        for begin in range(0, size, _BATCH):
            bank = self.banks[int(generator.integers(len(self.banks)))]
            parts.append(self._draw_on(bank, min(_BATCH, size - begin), generator))
        counts, label, told = (np.concatenate(column) for column in zip(*parts, strict=True))
        return LabelledSpectra(counts, {"label": label.astype(np.int64)}, told)

    def _draw_on(
        self, bank: MineralsOnInstrument, size: int, generator: Random
    ) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32]]:
        mixing, distortion, noise = generator.spawn(3)
        label = self._labels(bank, size, mixing)
        expected = _expected(bank, label, mixing)
        dose = log_uniform(mixing, self.counts_range, size) / expected.sum(axis=1)
        expected, told = record(
            expected * dose[:, None].astype(np.float32), bank.instrument, mixing, distortion
        )
        counts = draw_poisson(expected, draw_seed(noise), np.arange(size), np.uint32).astype(np.float32)
        return counts, label, told

    def _labels(self, bank: MineralsOnInstrument, size: int, generator: Random) -> NDArray[np.intp]:
        """Return owners (N,) of spectra of minerals that the instrument sees, or of strangers."""
        there, strange = np.unique(bank.owner), len(self.minerals)
        seen = there[there < strange]
        weight = np.array([_METAL_WEIGHT if self.minerals[each].group == METAL else 1.0 for each in seen])
        label = generator.choice(seen, size=size, p=weight / weight.sum())
        if there[-1] == strange:
            label = np.where(generator.random(size) < STRANGER_SHARE, strange, label)
        return label.astype(np.intp)


def _expected(bank: MineralsOnInstrument, label: NDArray[np.intp], generator: Random) -> NDArray[np.float32]:
    """Return expected spectra (N, E) of minerals, some with another one or a coating beside them."""
    size = len(label)
    rows = np.stack([_rows(bank, label, generator) for _ in range(2)] + [_others(bank, size, generator)])
    between = generator.random(size)
    minor = np.where(generator.random(size) < _MIXED_SHARE, generator.uniform(0, _MOST_MINORITY, size), 0)
    parts = np.stack([between * (1 - minor), (1 - between) * (1 - minor), minor]).astype(np.float32)
    lines, rest = (
        np.einsum("pn,pne->ne", parts / _UNIT, spectra[rows].astype(np.float32))
        for spectra in (bank.lines, bank.rest)
    )
    specks = drawn_traces(size, bank.instrument, generator, _SPECKS) + stray_lines(size, generator)
    if isinstance(bank.instrument.source, ElectronBeam):
        specks += _coatings(size, generator)
    lines = lines * _misjudged(size, generator) + specks @ bank.traces.astype(np.float32)
    spread = log_uniform(generator, _CONTINUUM_SPREADS, (size, 1))
    return lines + varied_continua(rest, generator, spread)


def _rows(bank: MineralsOnInstrument, label: NDArray[np.intp], generator: Random) -> NDArray[np.intp]:
    first, last = (np.searchsorted(bank.owner, label, side) for side in ("left", "right"))
    return np.asarray(first + (generator.random(len(label)) * (last - first)).astype(np.intp))


def _others(bank: MineralsOnInstrument, size: int, generator: Random) -> NDArray[np.intp]:
    return generator.integers(len(bank.owner), size=size)


def _coatings(size: int, generator: Random) -> NDArray[np.float32]:
    """Return shares (N, elements) of what microscopists coat samples with."""
    shares = np.zeros((size, len(SAMPLE_ELEMENTS)), dtype=np.float32)
    coat = generator.choice(list(_COATING), p=list(_COATING.values()), size=size)
    column = [SAMPLE_ELEMENTS.index(name) for name in coat]
    drawn = log_uniform(generator, _COATING_SHARE, size)
    shares[np.arange(size), column] = np.where(generator.random(size) < _COATED, drawn, 0)
    return shares


def _misjudged(size: int, generator: Random) -> NDArray[np.float32]:
    """Return factors (N, E) of the lines."""
    height = np.log(np.maximum(AXIS.energies, 0.3) / 5)
    period = log_uniform(generator, (1.0, 6.0), (size, 1))
    waves = np.sin(2 * np.pi * (AXIS.energies / period + generator.random((size, 1))))
    slope = generator.normal(0, _SLOPE, (size, 1)) * height
    return np.exp(slope + generator.normal(0, _RIPPLE, (size, 1)) * waves).astype(np.float32)


def _sum_of(minerals: tuple[Mineral, ...]) -> int:
    """Return a number that changes with any mineral's composition."""
    return crc32(repr([(each.name, each.formula, each.substitutions) for each in minerals]).encode())


def _make_bank(
    minerals: tuple[Mineral, ...],
    instrument: Instrument,
    compositions: int,
    strangers: int,
    generator: Random,
) -> dict[str, NDArray[Any]]:
    samples: list[Any] = [_natural(mineral, generator) for mineral in minerals for _ in range(compositions)]
    thick = isinstance(instrument.source, ElectronBeam)
    samples += [
        _altered(minerals, generator)
        if generator.random() < _ALTERED
        else draw_sample(generator, thick, pure_minerals=False)
        for _ in range(strangers)
    ]
    expected = expect_samples([*samples, trace_carrier(generator, SAMPLE_ELEMENTS)], instrument, order=_ORDER)
    traces = lines_alone(*expected.emitted[-1], instrument)
    traces /= np.maximum(traces.sum(axis=1, keepdims=True), 1e-300)
    each = [compositions] * len(minerals) + [strangers]
    owner = np.repeat(np.arange(len(each)), each)
    lines, rest = expected.lines[:-1], expected.rest[:-1]
    total = (lines + rest).sum(axis=1, keepdims=True)
    lines, rest = lines / np.maximum(total, 1e-300), rest / np.maximum(total, 1e-300)
    kept = (total[:, 0] > 0) & (lines.sum(axis=1) > 0)
    bins = bins_at_resolution(AXIS, instrument.detector, *energy_range(instrument))
    known, strange = kept & (owner < len(minerals)), np.flatnonzero(kept & (owner >= len(minerals)))
    told = unlike((lines + rest)[strange], (lines + rest)[known], bins, _STRANGERS_TOLD_AT)
    rows = np.append(np.flatnonzero(known), strange[told])
    half = {"lines": _UNIT * lines[rows], "rest": _UNIT * rest[rows], "traces": traces}
    return {"owner": owner[rows].astype(np.int16)} | {
        name: values.astype(np.float16) for name, values in half.items()
    }


def _natural(mineral: Mineral, generator: Random) -> Material:
    """Return a composition of a mineral within its range, with elements that stand in for others."""
    shares = [generator.uniform(entry.low, entry.high) for entry in mineral.substitutions]
    material = mineral.composition(shares)
    if generator.random() < _WITHOUT:
        return material
    return _with_others(material, _NATURAL, _MOST_NATURAL, _NATURAL_PART, generator)


def _altered(minerals: tuple[Mineral, ...], generator: Random) -> Material:
    """Return what looks much like a mineral, and holds more of some elements, or less, than any of it."""
    mineral = minerals[int(generator.integers(len(minerals)))]
    material = _natural(mineral, generator)
    parts = dict(material.mass_fractions)
    if generator.random() < 0.5:
        lost = str(generator.choice([name for name in parts if name != "H"]))
        parts[lost] *= float(generator.uniform(0, 0.5)) if len(parts) > 1 else 1.0
    material = replace(material, mass_fractions={n: part / sum(parts.values()) for n, part in parts.items()})
    return _with_others(material, SAMPLE_ELEMENTS, _ALTERATIONS, _ALTERED_PART, generator)


def _with_others(
    material: Material, elements: Sequence[str], most: int, amounts: tuple[float, float], generator: Random
) -> Material:
    """Return a material with up to so many other elements, of amounts beside its own weight."""
    chosen = generator.choice(elements, size=int(generator.integers(1, most + 1)), replace=False)
    parts = dict(material.mass_fractions)
    for name, amount in zip(map(str, chosen), log_uniform(generator, amounts, len(chosen)), strict=True):
        parts[name] = parts.get(name, 0.0) + float(amount)
    total = sum(parts.values())
    return replace(material, mass_fractions={name: part / total for name, part in parts.items()})


def make(
    *,
    progress: Progress = ignore_progress,
    minerals: Sequence[str] | None = None,
    library: str | None = None,
    instruments: int = 240,
    compositions: int = 1,
    strangers: int = 80,
    seed: int = 1,
    counts: Sequence[float] = (100.0, 1e7),
) -> MineralInstrumentSource:
    """Return the source of minerals on some random instruments.

    ``minerals``: names in the library; None: all of it, and metals. ``library``: a CSV file of minerals added
    to the shipped ones. ``instruments``, ``compositions``, ``strangers``, ``seed``: how many, how many
    compositions of each mineral and how many strangers on each, and of which seed; those of another seed
    judge a training. ``counts``: fewest and most of a spectrum.
    """
    known = (*known_minerals(library), *metals())
    chosen = known if minerals is None else select_minerals(known, minerals)
    if len(chosen) < 2:
        raise InvalidInput("a classifier needs two classes at least", "Name more minerals")
    low, high = counts
    return MineralInstrumentSource(
        chosen, instruments, compositions, strangers, seed, (float(low), float(high)), progress=progress
    )
