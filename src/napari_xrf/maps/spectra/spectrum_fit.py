"""One spectrum fitted with any set of elements, and how well each set explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.spectra.candidates import COMMON_ELEMENTS, Candidate
from napari_xrf.maps.spectra.joint_fit import Index, JointFit, Problem
from napari_xrf.maps.spectra.setting import Setting, channel_groups
from napari_xrf.maps.spectra.spectrum_model import (
    CHANNEL_ERROR,
    LINE_ERROR,
    Stray,
    continuum_bumps,
    deviations_of,
    softness,
    stray_columns,
    sum_deviations,
    surroundings,
)

Array = NDArray[np.float64]

_CONTINUUM_SPACING_KEV = 0.9
_CONTINUUM_PART = 0.06  # of a free continuum, over a few resolutions
_LEAST_PART = 0.02  # of a continuum's first shape
_STRONG = 30.0  # a column stronger than this many standard errors shows where it is wrong
_STRONG_SUM = 3.0  # the same of pile-up
_MEDIAN_SQUARE = 0.455  # of a normal variable
_FELT = 2.0  # squared standard errors that a deviation must move the spectrum by
FIRST_STRAY, NEXT_STRAY = -12.0, -6.0  # log-odds of peaks of free place and width: they come in numbers
EXPECTED_STRAY = -2.0  # of one where a metal is known to reflect
# What such a peak costs besides where an element that samples often hold has its main line. In metals (up
# to two strong elements of rocks) reflections lie anywhere; rocks hold a little of much, and reflect little.
USUAL_LOG_ODDS, ELEMENT_FIRST, _WIDE = -4.0, 15.0, 2.5
_STRONG_PART, _FEW_STRONG, _MORE_STRONG = 3e-3, 2, 3  # of all counts
FREE_PARAMETERS = 3.0  # what an amplitude above 0 gains by chance, in units of log-odds


@dataclass(frozen=True)
class Content:
    """What a spectrum is explained by: positions of elements in a pool, and of stray peaks in a list."""

    elements: frozenset[int] = frozenset()
    strays: frozenset[int] = frozenset()

    def plus(self, element: int) -> Content:
        """Return this and one more element."""
        return replace(self, elements=self.elements | {element})

    def minus(self, element: int) -> Content:
        """Return this without an element."""
        return replace(self, elements=self.elements - {element})

    def with_stray(self, stray: int) -> Content:
        """Return this and one more stray peak."""
        return replace(self, strays=self.strays | {stray})

    def without_stray(self, stray: int) -> Content:
        """Return this without a stray peak."""
        return replace(self, strays=self.strays - {stray})


@dataclass(frozen=True, eq=False)
class Explained:
    """The fit of a spectrum with some content."""

    content: Content  # elements and stray peaks
    index: Index  # (K,) the columns fitted, among all of the spectrum
    # problem, fit: what was fitted, and the result
    problem: Problem
    fit: JointFit
    log_odds: float  # prior of the content
    # Chi-square and volume of a model with the counts' own variance, which depend on the groups of channels
    # only: less it, fits on different axes compare
    saturated: float = 0.0

    @property
    def misfit(self) -> float:
        """Chi-square per group of channels, at least 1: what probabilities are tempered with."""
        return max(1.0, self.fit.chi_square / max(self.fit.model.size, 1))

    @property
    def usual_misfit(self) -> float:
        """The same of the better fitted half of all groups, at least 1: one bad peak does not raise it."""
        squares = (self.problem.counts - self.fit.model) ** 2 / self.problem.variance
        return max(1.0, float(np.median(squares)) / _MEDIAN_SQUARE) if squares.size else 1.0

    def score(self, temper: float) -> float:
        """Return the logarithm of the content's probability, but for a constant."""
        unlikely = self.fit.chi_square + self.problem.volume - self.saturated
        return -0.5 * unlikely / temper + self.log_odds


class SpectrumFit:
    """A spectrum and all columns that may explain it, in groups of channels.

    Parameters
    ----------
    spectrum
        (E,) counts on the channels of the setting.
    setting
        What it was measured with.
    pool
        Elements to choose from.
    strays
        Stray peaks to choose from.
    demand
        Log-odds taken from every element.
    next_stray
        Log-odds of stray peaks after the first.
    continuum
        (E,) its shape; otherwise the spectrum between its peaks tells.
    held
        The relative error of that shape over a few resolutions, to hold the continuum to it. Where counts are
        many, free pieces grow under strong peaks to mend their flanks, and take from minor lines beside them.

    Attributes
    ----------
    whole
        (K, E) all columns: families by element, stray peaks, surroundings.
    columns
        (K, G) the same in groups of fitted channels.
    names
        Of the columns.
    """

    def __init__(
        self,
        spectrum: Array,
        setting: Setting,
        pool: tuple[Candidate, ...],
        strays: tuple[Stray, ...] = (),
        demand: float = 0.0,
        next_stray: float = NEXT_STRAY,
        continuum: Array | None = None,
        held: float | None = None,
    ) -> None:
        spacing = _CONTINUUM_SPACING_KEV if held is None else math.inf
        around = surroundings(spectrum, setting, spacing, continuum)
        self._continuum_part = _CONTINUUM_PART if held is None else held
        self.setting, self.pool, self.strays, self.demand = setting, pool, strays, demand
        self.next_stray = next_stray
        self.expected = np.array([one.expected for one in strays], dtype=bool)
        families = [family for one in pool for family in one.families]
        self.names = (*families, *(one.name for one in strays), *around.names)
        profiles = [one.columns for one in pool]
        self.whole = np.concatenate([*profiles, stray_columns(strays, setting), around.columns])
        self.starts = channel_groups(setting)
        self.sizes = np.diff(np.append(self.starts, setting.energy.energies[setting.fitted].size))
        self.columns, self.counts = self.grouped(self.whole), self.grouped(spectrum)
        self.energies = self.grouped(setting.energy.energies) / self.sizes
        ends = np.cumsum([0, *(len(one.families) for one in pool)])
        self.own = [np.arange(first, last) for first, last in pairwise(ends)]
        self.stray_start, self.around_start = int(ends[-1]), int(ends[-1]) + len(strays)
        self.lines = np.arange(len(self.names)) < self.stray_start
        self.smooth = np.array([name.startswith("continuum") for name in self.names])
        self._strong = np.array([_strong_at(name) for name in self.names])
        self._smooth_variance = self.grouped(_smoothed(spectrum))
        self.stray_cost, self.richness = self._stray_cost(), 0.0
        self._pairs, self._bumps = around.pairs, continuum_bumps(self.energies, setting)
        self._softness = softness(self.energies)
        self._deviations: dict[int, tuple[Array, Array]] = {}

    def expect_traces(self, seen: Explained) -> None:
        """Take stray peaks at lines of usual elements for these, where many elements of rocks are strong."""
        self.richness = self.rocks_part(seen)

    def rocks_part(self, seen: Explained) -> float:
        """Return how many elements of rocks are strong in a fit: 0 for two, 1 for five and more."""
        common = [one for one in seen.content.elements if self.pool[one].element in COMMON_ELEMENTS]
        own = np.isin(seen.index, [int(self.own[one][0]) for one in common])
        errors = _STRONG * seen.fit.errors[own] * np.sqrt(seen.misfit)
        strong = (seen.fit.amplitudes[own] > np.maximum(errors, _STRONG_PART * self.counts.sum())).sum()
        return min(max(int(strong) - _FEW_STRONG, 0) / _MORE_STRONG, 1.0)

    def of_source(self, *ways: str) -> Array:
        """Return how high lines that the source scatters stand in each group, of their own tops, (G,).

        ``ways``: "elastic", "Compton".
        """
        highest = np.zeros_like(self.energies)
        for name, column in zip(self.names, self.columns, strict=True):
            if name.endswith(ways) and column.any():
                highest = np.maximum(highest, column / column.max())
        return highest

    def _stray_cost(self) -> Array:
        """Return what stray peaks cost that lie where a usual element has its main line, (S,)."""
        usual = [one.columns[0] for one in self.pool if one.log_odds >= USUAL_LOG_ODDS]
        if not usual or not self.strays:
            return np.zeros(len(self.strays))
        tops = self.setting.energy.energies[np.array(usual).argmax(axis=1)]
        at = np.array([one.kev for one in self.strays])
        reach = 0.5 * np.asarray(self.setting.detector.fwhm(at)) * [one.widths for one in self.strays]
        near = np.abs(at[:, None] - tops).min(axis=1) < reach
        narrow = np.array([one.widths < _WIDE and not one.expected for one in self.strays])
        return ELEMENT_FIRST * near * narrow

    def grouped(self, values: Array) -> Array:
        """Return (..., E) values summed in groups of fitted channels, (..., G)."""
        return np.asarray(np.add.reduceat(values[..., self.setting.fitted], self.starts, axis=-1))

    def index(self, content: Content) -> Index:
        """Return the columns of a content, surroundings included."""
        families = [self.own[one] for one in sorted(content.elements)]
        strays = np.array(sorted(content.strays), dtype=np.intp) + self.stray_start
        return np.concatenate([*families, strays, np.arange(self.around_start, len(self.names))])

    def log_odds(self, content: Content) -> float:
        """Return the prior of a content."""
        own = sum(self.element_odds(one) for one in content.elements)
        own -= self.richness * sum(float(self.stray_cost[one]) for one in content.strays)
        free = len(self.unexpected(content.strays))
        own += EXPECTED_STRAY * (len(content.strays) - free)
        return own + (FIRST_STRAY + (free - 1) * self.next_stray if free else 0.0)

    def unexpected(self, strays: frozenset[int]) -> frozenset[int]:
        """Return the stray peaks that no metal's lattice explains."""
        return frozenset(one for one in strays if not self.expected[one])

    def stray_odds(self, more: Index, present: frozenset[int]) -> Array:
        """Return the log-odds of each of some more stray peaks beside those present."""
        free = self.next_stray if self.unexpected(present) else FIRST_STRAY
        return np.where(self.expected[more], EXPECTED_STRAY, free)

    def element_odds(self, element: int) -> float:
        """Return what an element's gain must exceed, negated."""
        return self.pool[element].log_odds - FREE_PARAMETERS - self.demand

    def fit(self, content: Content, before: Explained | None = None, rounds: int = 2) -> Explained:
        """Fit a content, with variances and deviations first of an earlier fit and then its own."""
        index = self.index(content)
        problem = self._plain_problem() if before is None else before.problem
        fit = problem.fit(index)
        for _ in range(rounds):
            problem = self._problem(index, fit)
            fit = problem.fit(index)
        saturated = float(np.log(self._smooth_variance).sum()) + self.counts.size
        return Explained(content, index, problem, fit, self.log_odds(content), saturated)

    def continuum(self, found: Explained) -> Array:
        """Return the continuum of a fit, (G,), with what was found to be wrong of its shape."""
        smooth = (found.fit.amplitudes * self.smooth[found.index]) @ self.columns[found.index]
        wrong = found.problem.owners < 0
        bent = smooth + found.fit.deviations[wrong] @ found.problem.deviations[wrong]
        return np.asarray(np.maximum(bent, _LEAST_PART * smooth))

    def plain_amplitudes(self, content: Content) -> dict[int, float]:
        """Return the amplitude of each family column in a fit without deviations, as pixels are fitted."""
        index = self.index(content)
        amplitudes = self._plain_problem().fit(index).amplitudes
        return {int(k): float(value) for k, value in zip(index, amplitudes, strict=True)}

    def _plain_problem(self) -> Problem:
        return Problem(self.counts, self._smooth_variance, np.zeros((0, self.counts.size)), self.columns)

    def _problem(self, index: Index, fit: JointFit) -> Problem:
        model = np.maximum(fit.model, 0)
        of_lines = (fit.amplitudes * self.lines[index]) @ self.columns[index]
        variance = model + (CHANNEL_ERROR * self._softness * model) ** 2
        variance += (LINE_ERROR * self._softness * of_lines) ** 2
        variance = np.maximum(variance, 0.3 * self._smooth_variance)
        weight, wrong, owners = 1 / variance, [], []
        for position in np.flatnonzero(fit.amplitudes > self._strong[index] * fit.errors):
            own, squares = self._wrong(int(index[position]))
            amplitude = fit.amplitudes[position]
            # What is far below the noise changes nothing and costs time.
            felt = amplitude**2 * (squares @ weight) > _FELT
            wrong.append(amplitude * own[felt])
            owners.append(np.full(len(wrong[-1]), position))
        under = (fit.amplitudes * self.smooth[index]) @ self.columns[index]
        bent = self._continuum_part * under * self._bumps
        wrong.append(bent[bent**2 @ weight > _FELT])
        owners.append(np.full(len(wrong[-1]), -1))
        return Problem(self.counts, variance, np.concatenate(wrong), self.columns, np.concatenate(owners))

    def _wrong(self, column: int) -> tuple[Array, Array]:
        """Return how a column may be wrong, (D, G), and the squares of that."""
        if column not in self._deviations:
            name, whole = self.names[column], self.whole[column]
            if name.startswith("pile-up"):
                found = sum_deviations(whole, self._pairs[name], self.setting)
            else:
                found = deviations_of(name, whole, self.setting)
            own = self.grouped(found)
            self._deviations[column] = own, own**2
        return self._deviations[column]


def _strong_at(name: str) -> float:
    """Return how many standard errors of a column show where it is wrong."""
    if name.startswith("continuum") or (name.startswith("stray") and not name.endswith("reflected")):
        return math.inf
    return _STRONG_SUM if name.startswith("pile-up") else _STRONG


def _smoothed(counts: Array) -> Array:
    """Return the running mean over a few channels, at least a third of a count: a variance without noise."""
    if counts.size <= 7:
        return np.maximum(counts, 0.34)
    padded = np.concatenate([counts[3:0:-1], counts, counts[-2:-5:-1]])
    return np.maximum(np.convolve(padded, np.ones(7) / 7, mode="valid"), 0.34)
