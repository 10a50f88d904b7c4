"""Which elements a map holds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.candidates import Candidate, candidates
from napari_xrf.maps.joint_fit import JointFit, Problem
from napari_xrf.maps.setting import Setting, setting_of
from napari_xrf.maps.spectrum_model import CHANNEL_ERROR, deviations_of, stray_peaks, surroundings

Array = NDArray[np.float64]

_CONTINUUM_SPACING_KEV = 1.3
_WORTH_TRYING = 2.0  # log-odds at which an element joins the model; the final judgement comes after
_STRAY_LOG_ODDS = -12.0  # of a peak of free place and width
_FREE_PARAMETERS = 3.0  # what an amplitude above 0 gains by chance, in units of log-odds
_PROBABLE = 0.95
_SIGNIFICANT = 3.0  # standard errors
_LARGEST_MODEL = 60
_MOST_STRAYS = 6


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
    """

    elements: tuple[Candidate, ...]
    found: tuple[FoundElement, ...]
    names: tuple[str, ...]
    columns: Array
    fit: JointFit
    problem: Problem


def find_elements(cube: SpectralCube, *, progress: Progress = ignore_progress) -> tuple[FoundElement, ...]:
    """Find the elements of a map from its sum spectrum and from the pixels that stand out.

    The sum spectrum is calibrated, then explained by the elements that lower chi-square most, one after the
    other, with all their line families; stray peaks, scatter, escape and pile-up compete with them. An
    element is found when the model without it is improbable, given how common it is (the file's own
    list counts for it, but proves nothing). Then the same is done for the pixels in which a line
    stands out that the sum spectrum does not show.

    Returns
    -------
    The elements by rising atomic number; empty for a map without counts.
    """
    # Calibration itself identifies elements, hence the import here.
    from napari_xrf.maps.calibration import calibrate

    spectrum = cube.sum_spectrum(progress).astype(np.float64)
    if not spectrum[cube.energy.positive].any():
        return ()
    progress(0, 2, "calibrating")
    calibration = calibrate(spectrum, cube.energy, excitation=cube.excitation, elements=cube.elements)
    setting = setting_of(spectrum, cube.energy, cube.excitation)
    return find_in_setting(
        cube, spectrum, setting.refined(calibration.energy, calibration.detector), progress
    )


def find_in_setting(
    cube: SpectralCube, spectrum: Array, setting: Setting, progress: Progress = ignore_progress
) -> tuple[FoundElement, ...]:
    """Find the elements of a map whose sum spectrum (E,) is calibrated already."""
    from napari_xrf.maps.hot_spots import find_in_hot_spots

    progress(1, 2, "finding elements")
    explanation = explain(spectrum, setting, cube.elements)
    rare = find_in_hot_spots(cube, setting, explanation, progress)
    return by_atomic_number((*explanation.found, *rare))


def by_atomic_number(found: tuple[FoundElement, ...]) -> tuple[FoundElement, ...]:
    """Return found elements by rising atomic number."""
    from napari_xrf.core.emission_lines import atomic_number

    return tuple(sorted(found, key=lambda one: atomic_number(one.element)))


def explain(
    spectrum: Array,
    setting: Setting,
    listed: tuple[str, ...] = (),
    certain: tuple[str, ...] = (),
    demand: float = 0.0,
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
    fitted = setting.fitted
    pool = candidates(setting, listed)
    around = surroundings(spectrum, setting, _CONTINUUM_SPACING_KEV)
    state = _Search(np.asarray(spectrum[fitted], dtype=np.float64), setting, pool, around.names,
                    around.columns[:, fitted], certain)  # fmt: skip
    state.grow(demand)
    state.prune(demand)
    return state.explanation(demand)


class _Search:
    """The model as it grows, and the fit of its present columns."""

    def __init__(
        self,
        counts: Array,
        setting: Setting,
        pool: tuple[Candidate, ...],
        names: tuple[str, ...],
        columns: Array,
        certain: tuple[str, ...],
    ) -> None:
        self.counts = counts
        self.setting = setting
        self.fitted = setting.fitted
        self.pool = pool
        self.around = columns
        self.around_names = names
        self.chosen = [candidate for candidate in pool if candidate.element in certain]
        self.strays: list[int] = []
        stray_at, stray_columns = stray_peaks(setting)
        self.stray_at, self.stray_columns = stray_at, stray_columns[:, self.fitted]
        self.problem, self.fit = self._fitted(_smooth_variance(counts), None)
        self.refit()

    def columns(self, chosen: list[Candidate] | None = None) -> Array:
        """Return the columns of elements, then stray peaks, then surroundings."""
        families = [one.columns[:, self.fitted] for one in (self.chosen if chosen is None else chosen)]
        return np.concatenate([*families, self.stray_columns[self.strays], self.around])

    def families(self) -> list[str]:
        return [family for one in self.chosen for family in one.families]

    def refit(self) -> None:
        """Fit the present columns, with variances and deviations of the last fit."""
        columns = self.columns()
        full = np.zeros((len(columns), self.setting.energy.size))
        full[:, self.fitted] = columns
        peaks = len(self.families()) + len(self.strays)
        amplitudes, errors = self.fit.amplitudes, self.fit.errors
        if len(amplitudes) != len(columns):
            self.problem, self.fit = self._fitted(self.problem.variance, self.problem.deviations)
            amplitudes, errors = self.fit.amplitudes, self.fit.errors
        deviations = deviations_of(full[:peaks], amplitudes[:peaks], errors[:peaks], self.setting)
        variance = np.maximum(self.fit.model, 0) + (CHANNEL_ERROR * self.fit.model) ** 2
        variance = np.maximum(variance, 0.3 * _smooth_variance(self.counts))
        self.problem, self.fit = self._fitted(variance, deviations[:, self.fitted])

    def _fitted(self, variance: Array, deviations: Array | None) -> tuple[Problem, JointFit]:
        none = np.zeros((0, self.counts.size))
        problem = Problem(self.counts, variance, none if deviations is None else deviations)
        return problem, problem.fit(self.columns())

    def grow(self, demand: float) -> None:
        """Add the element that explains most of what is left, until none is worth it."""
        while len(self.chosen) < _LARGEST_MODEL:
            present = {one.element for one in self.chosen}
            left = [one for one in self.pool if one.element not in present]
            if not left:
                return
            columns, amplitudes = self.columns(), self.fit.amplitudes
            gains, sizes = self.problem.gains(
                columns, amplitudes, np.array([one.columns[0, self.fitted] for one in left])
            )
            scores = 0.5 * gains / self._dispersions(left) + np.array([one.log_odds for one in left])
            scores -= _FREE_PARAMETERS + demand
            best = int(np.argmax(scores))
            if scores[best] < _WORTH_TRYING:
                return
            if not self._stray_instead(left[best], float(gains[best]), columns, amplitudes):
                self.chosen.append(left[best])
            self.refit()
            self.refit()

    def _stray_instead(self, candidate: Candidate, gain: float, columns: Array, amplitudes: Array) -> bool:
        """Add a stray peak where it explains the peak of a candidate much better, and say so."""
        if self.setting.kind == "electron" or len(self.strays) >= _MOST_STRAYS or not self.stray_at.size:
            return False
        profile = candidate.columns[0, self.fitted]
        at = self.setting.energy.energies[self.fitted][int(profile.argmax())]
        reach = 1.5 * float(self.setting.detector.fwhm(np.array(at)))
        near = np.flatnonzero(np.abs(self.stray_at - at) < reach)
        near = np.array([one for one in near if one not in self.strays], dtype=np.intp)
        if near.size == 0:
            return False
        gains, _ = self.problem.gains(columns, amplitudes, self.stray_columns[near])
        best = int(np.argmax(gains))
        scale = self._dispersion(profile)
        advantage = 0.5 * (float(gains[best]) - gain) / scale + _STRAY_LOG_ODDS - candidate.log_odds
        if advantage < 0:
            return False
        self.strays.append(int(near[best]))
        return True

    def _dispersions(self, some: list[Candidate]) -> Array:
        return np.array([self._dispersion(one.columns[0, self.fitted]) for one in some])

    def _dispersion(self, profile: Array) -> float:
        """Return by how much the residuals around a peak exceed their variance, at least 1.

        The wings, not the peak itself: what is to be judged must not speak against itself.
        """
        height = float(profile.max(initial=0))
        if height <= 0:
            return 1.0
        peak = np.flatnonzero(profile > 0.5 * height)
        width = max(int(peak[-1] - peak[0]) + 1, 3)
        wings = np.r_[max(peak[0] - 3 * width, 0) : max(peak[0] - width // 2, 0),
                      min(peak[-1] + width // 2, profile.size) : min(peak[-1] + 3 * width, profile.size)]  # fmt: skip
        residual = self.fit.residual[wings]
        return max(1.0, float(np.mean(np.minimum(residual**2, 100.0)))) if wings.size else 1.0

    def judged(self, demand: float) -> list[tuple[float, float, float]]:
        """Return log-odds, counts and standard error of each chosen element, everything refitted without it."""
        verdicts = []
        amplitudes, errors = self.fit.amplitudes, self.fit.errors
        start = 0
        for position, one in enumerate(self.chosen):
            others = self.chosen[:position] + self.chosen[position + 1 :]
            without = self.problem.fit(self.columns(others))
            # Only what speaks for the first family counts: the others may stand in for something else.
            scale = self._dispersion(one.columns[0, self.fitted])
            evidence = 0.5 * (without.chi_square - self.fit.chi_square) / scale
            evidence = min(
                evidence, 0.5 * (amplitudes[start] / max(errors[start], 1e-300)) ** 2 / scale * 1.5
            )
            odds = evidence + one.log_odds - _FREE_PARAMETERS - demand
            verdicts.append((odds, float(amplitudes[start]), float(errors[start]) * math.sqrt(scale)))
            start += len(one.families)
        return verdicts

    def prune(self, demand: float) -> None:
        """Remove the weakest element until all that remain are probable."""
        while self.chosen:
            verdicts = self.judged(demand)
            weakest = min(range(len(verdicts)), key=lambda one: verdicts[one][0])
            if _probable(*verdicts[weakest]):
                weak = [n for n, verdict in enumerate(verdicts) if not _probable(*verdict)]
                if not weak:
                    return
                weakest = weak[0]
            del self.chosen[weakest]
            self.refit()

    def explanation(self, demand: float) -> Explanation:
        found = tuple(
            FoundElement(one.element, one.families, counts, error, 1 / (1 + math.exp(-min(odds, 700.0))))
            for one, (odds, counts, error) in zip(self.chosen, self.judged(demand), strict=True)
        )
        names = (
            *self.families(),
            *(f"stray {self.stray_at[s]:.2f} keV" for s in self.strays),
            *self.around_names,
        )
        return Explanation(tuple(self.chosen), found, names, self.columns(), self.fit, self.problem)


def _probable(odds: float, counts: float, error: float) -> bool:
    return 1 / (1 + math.exp(-max(min(odds, 700.0), -700.0))) >= _PROBABLE and counts >= _SIGNIFICANT * error


def _smooth_variance(counts: Array) -> Array:
    """Running mean over a few channels, at least a third of a count: variances without the noise itself."""
    window = np.ones(7) / 7
    padded = np.concatenate([counts[3:0:-1], counts, counts[-2:-5:-1]]) if counts.size > 7 else counts
    smooth = np.convolve(padded, window, mode="valid") if counts.size > 7 else counts
    return np.maximum(smooth, 0.34)
