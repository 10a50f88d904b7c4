"""One spectrum explained by the elements it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.blas_threads import one_blas_thread
from napari_xrf.maps.candidates import Candidate, candidates, column_of
from napari_xrf.maps.joint_fit import JointFit, Problem
from napari_xrf.maps.setting import Setting, channel_groups
from napari_xrf.maps.spectrum_model import (
    CHANNEL_ERROR,
    LINE_ERROR,
    continuum_deviations,
    deviations_of,
    stray_peaks,
    surroundings,
)

Array = NDArray[np.float64]

_CONTINUUM_SPACING_KEV = 0.9
_WORTH_TRYING = 2.0  # log-odds at which an element joins the model; the final judgement comes after
_STRAY_LOG_ODDS = -12.0  # of a peak of free place and width
_FREE_PARAMETERS = 3.0  # what an amplitude above 0 gains by chance, in units of log-odds
# Bragg reflections of the primary spectrum hold up to 0.25 % of all counts of a pure metal, anywhere: one
# standard deviation of what a candidate's counts may owe to them.
_DIFFRACTED_PART = 1e-4
_PROBABLE = 0.95
_SIGNIFICANT = 3.0  # standard errors
_LARGEST_MODEL = 60
_MOST_STRAYS = 12
_FELT = 2.0  # squared standard errors that a deviation must move the spectrum by
_STRAY_CONTRAST = 3.0  # strays stand where lines hold less than this times the continuum


@dataclass(frozen=True)
class FoundElement:
    """An element found in a map.

    Attributes
    ----------
    element
        Symbol.
    families
        Its line families in the fitted range, the best excited first.
    net_counts, standard_error
        Counts of the first family in the whole map (or in the pixels where it was found), and their error.
    probability
        That the element is there, from the comparison of models with and without it.
    pixels
        In how many pixels it was found, when these are few; 0 when the sum spectrum shows it.
    """

    element: str
    families: tuple[str, ...]
    net_counts: float
    standard_error: float
    probability: float
    pixels: int = 0


@dataclass(frozen=True, eq=False)
class Explanation:
    """A spectrum explained by elements and surroundings.

    Attributes
    ----------
    elements
        The candidates in the model.
    found
        Those that are there beyond doubt, by falling probability and counts.
    names, columns
        All K columns of the model, over the fitted channels.
    fit
        Its amplitudes and residuals.
    problem
        What was fitted.
    strays_kev
        Where peaks of no element stand.
    """

    elements: tuple[Candidate, ...]
    found: tuple[FoundElement, ...]
    names: tuple[str, ...]
    columns: Array
    fit: JointFit
    problem: Problem
    strays_kev: tuple[float, ...] = ()


@one_blas_thread()
def explain(
    spectrum: Array,
    setting: Setting,
    listed: tuple[str, ...] = (),
    certain: tuple[str, ...] = (),
    demand: float = 0.0,
    progress: Progress = ignore_progress,
) -> Explanation:
    """Explain a summed spectrum by the elements it needs.

    Parameters
    ----------
    spectrum
        (E,) counts.
    setting
        What it was measured with, calibrated.
    listed
        Elements that the file names.
    certain
        Elements known to be there: in the model from the start.
    demand
        Log-odds taken from every element, for spectra of pixels picked because they looked odd.
    """
    search = _Search(spectrum, setting, candidates(setting, listed), certain, demand, progress)
    search.grow()
    search.prune()
    return search.explanation()


@one_blas_thread()
def explain_again(
    spectrum: Array, setting: Setting, before: Explanation, progress: Progress = ignore_progress
) -> Explanation:
    """Fit a spectrum with the elements and stray peaks of an earlier explanation in a changed setting."""
    kept = tuple(one.element for one in before.elements)
    pool = tuple(
        Candidate(
            one.element,
            one.families,
            np.array([column_of(family, setting) for family in one.families]),
            one.log_odds,
        )
        for one in before.elements
    )
    search = _Search(spectrum, setting, pool, kept, 0.0, progress)
    search.strays = [int(np.argmin(np.abs(search.stray_at - at))) for at in before.strays_kev]
    search.refit()
    search.refit()
    return search.explanation()


class _Search:
    """The model as it grows, and the fit of its present columns."""

    def __init__(
        self,
        spectrum: Array,
        setting: Setting,
        pool: tuple[Candidate, ...],
        certain: tuple[str, ...],
        demand: float,
        progress: Progress,
    ) -> None:
        around = surroundings(spectrum, setting, _CONTINUUM_SPACING_KEV)
        self.setting = setting
        self.fitted = setting.fitted
        self.counts = np.asarray(spectrum[self.fitted], dtype=np.float64)
        self.groups = channel_groups(setting)
        self.pool = pool
        self.certain = certain
        self.demand = demand
        self.progress = progress
        self.around_names, self.around = around.names, around.columns[:, self.fitted]
        self.smooth = np.array([name.startswith("continuum") for name in around.names])
        self.chosen = [one for one in pool if one.element in certain]
        self.strays: list[int] = []
        self.stray_at, stray_columns = stray_peaks(setting)
        self.stray_columns = stray_columns[:, self.fitted]
        self.diffracted = 0.0 if setting.kind == "electron" else _DIFFRACTED_PART * float(self.counts.sum())
        self.least_variance = 0.3 * _smooth_variance(self.counts)
        self._fit(_smooth_variance(self.counts), np.zeros((0, self.counts.size)))
        self.refit()

    @property
    def families(self) -> list[str]:
        return [family for one in self.chosen for family in one.families]

    def refit(self) -> None:
        """Fit the present columns, with variances and deviations made from the fit before."""
        lines = len(self.families)
        self.progress(min(len(self.chosen), _LARGEST_MODEL), _LARGEST_MODEL, "explaining a spectrum")
        if len(self.fit.amplitudes) != len(self.columns()):
            self._fit(self.problem.variance, self.problem.deviations)
        amplitudes, errors = self.fit.amplitudes, self.fit.errors
        # The columns' own energies matter here: on the whole axis, as they were made.
        whole = np.zeros((len(amplitudes), self.setting.energy.size))
        whole[:, self.fitted] = self._columns
        under = (amplitudes[-len(self.smooth) :] * self.smooth) @ whole[-len(self.smooth) :]
        deviations = np.concatenate(
            [
                deviations_of(whole[:lines], amplitudes[:lines], errors[:lines], self.setting),
                continuum_deviations(under, self.setting),
            ]
        )[:, self.fitted]
        variance = np.maximum(self.fit.model, 0) + (CHANNEL_ERROR * self.fit.model) ** 2
        variance += (LINE_ERROR * (amplitudes[:lines] @ self._columns[:lines])) ** 2
        variance = np.maximum(variance, self.least_variance)
        # What is far below the noise changes nothing and costs time.
        felt = (deviations**2 / variance).sum(axis=1) > _FELT
        self._fit(variance, deviations[felt])

    def columns(self) -> Array:
        """Return the columns of the elements' families, then stray peaks, then surroundings."""
        families = [one.columns[:, self.fitted] for one in self.chosen]
        return np.concatenate([*families, self.stray_columns[self.strays], self.around])

    def _fit(self, variance: Array, deviations: Array) -> None:
        self._columns = self.columns()
        self.problem = Problem(self.counts, variance, deviations, self.groups)
        self.fit = self.problem.fit(self._columns)

    def grow(self) -> None:
        """Add the element that explains most of what is left, until none is worth it."""
        while len(self.chosen) < _LARGEST_MODEL:
            present = {one.element for one in self.chosen}
            left = [one for one in self.pool if one.element not in present]
            if not left:
                return
            profiles = np.array([one.columns[0, self.fitted] for one in left])
            gains = self.problem.gains(self._columns, self.fit.amplitudes, profiles)
            odds = np.array([one.log_odds for one in left]) - _FREE_PARAMETERS - self.demand
            promising = np.flatnonzero(0.5 * gains + odds >= _WORTH_TRYING)
            scales = np.array([self._dispersion(profiles[one]) for one in promising])
            scores = 0.5 * gains[promising] / scales + odds[promising]
            if scores.max(initial=-np.inf) < _WORTH_TRYING:
                return
            best = int(promising[int(np.argmax(scores))])
            if not self._stray_instead(left[best], float(gains[best])):
                self.chosen.append(left[best])
            self.refit()

    def _stray_instead(self, candidate: Candidate, gain: float) -> bool:
        """Add a stray peak where it explains the peak of a candidate much better, and say so."""
        if self.setting.kind == "electron" or len(self.strays) >= _MOST_STRAYS or not self.stray_at.size:
            return False
        profile = candidate.columns[0, self.fitted]
        at = self.setting.energy.energies[self.fitted][int(profile.argmax())]
        reach = 1.5 * float(self.setting.detector.fwhm(np.array(at)))
        near = np.flatnonzero(np.abs(self.stray_at - at) < reach)
        near = np.array([one for one in near if self._open_to_strays(int(one))], dtype=np.intp)
        if near.size == 0:
            return False
        gains = self.problem.gains(self._columns, self.fit.amplitudes, self.stray_columns[near])
        best = int(np.argmax(gains))
        advantage = 0.5 * (float(gains[best]) - gain) / self._dispersion(profile)
        if advantage + _STRAY_LOG_ODDS - candidate.log_odds < 0:
            return False
        self.strays.append(int(near[best]))
        return True

    def _open_to_strays(self, stray: int) -> bool:
        """Whether a stray peak would stand clear of the lines found so far, whose shape it could mimic."""
        if stray in self.strays:
            return False
        at = int(self.stray_columns[stray].argmax())
        heights = self.fit.amplitudes * self._columns[:, at]
        lines = len(self.families)
        return float(heights[:lines].sum()) < _STRAY_CONTRAST * max(float(heights[lines:].sum()), 1.0)

    def _dispersion(self, profile: Array) -> float:
        """Return by how much the residuals around a peak exceed their variance, at least 1.

        The wings, not the peak itself: what is to be judged must not speak against itself.
        """
        peak = np.flatnonzero(profile > 0.5 * profile.max(initial=0))
        if peak.size == 0:
            return 1.0
        first, last, width = int(peak[0]), int(peak[-1]), max(int(peak[-1] - peak[0]) + 1, 3)
        below = self.fit.residual[max(first - 3 * width, 0) : max(first - width // 2, 0)]
        above = self.fit.residual[last + width // 2 : last + 3 * width]
        squares = np.minimum(np.concatenate([below, above]) ** 2, 100.0)
        return max(1.0, float(squares.mean())) if squares.size else 1.0

    def judged(self) -> list[tuple[float, float, float]]:
        """Return log-odds, counts and standard error of each chosen element.

        The log-odds come from a fit of everything else without it.
        """
        verdicts = []
        reduced = self.problem.reduce(self._columns)
        start = 0
        for one in self.chosen:
            kept = np.ones(len(self._columns), dtype=bool)
            kept[start : start + len(one.families)] = False
            scale = self._dispersion(one.columns[0, self.fitted])
            evidence = 0.5 * (self.problem.chi_square(reduced, kept) - self.fit.chi_square) / scale
            counts = float(self.fit.amplitudes[start])
            error = math.hypot(float(self.fit.errors[start]), self.diffracted)
            # The first family must speak for itself: the others may stand in for something else.
            evidence = min(evidence, 0.75 * (counts / max(error, 1e-300)) ** 2 / scale)
            odds = evidence + one.log_odds - _FREE_PARAMETERS - self.demand
            verdicts.append((odds, counts, error * math.sqrt(scale)))
            start += len(one.families)
        return verdicts

    def prune(self) -> None:
        """Remove the weakest element until all that remain are probable, but for the certain ones."""
        while self.chosen:
            verdicts = self.judged()
            doubtful = [
                (verdict[0], position)
                for position, (one, verdict) in enumerate(zip(self.chosen, verdicts, strict=True))
                if one.element not in self.certain and not _probable(*verdict)
            ]
            if not doubtful:
                return
            del self.chosen[min(doubtful)[1]]
            self.refit()

    def explanation(self) -> Explanation:
        """Return what has been found."""
        found = tuple(
            FoundElement(one.element, one.mapped, counts, error, _probability(odds))
            for one, (odds, counts, error) in zip(self.chosen, self.judged(), strict=True)
            if _probable(odds, counts, error)
        )
        at = tuple(float(self.stray_at[stray]) for stray in self.strays)
        names = (*self.families, *(f"stray {kev:.2f} keV" for kev in at), *self.around_names)
        return Explanation(tuple(self.chosen), found, names, self._columns, self.fit, self.problem, at)


def _probable(odds: float, counts: float, error: float) -> bool:
    return _probability(odds) >= _PROBABLE and counts >= _SIGNIFICANT * error


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-max(min(odds, 700.0), -700.0)))


def _smooth_variance(counts: Array) -> Array:
    """Return the running mean over a few channels, at least a third of a count: a variance without noise."""
    window = np.ones(7) / 7
    padded = np.concatenate([counts[3:0:-1], counts, counts[-2:-5:-1]]) if counts.size > 7 else counts
    smooth = np.convolve(padded, window, mode="valid") if counts.size > 7 else counts
    return np.maximum(smooth, 0.34)
