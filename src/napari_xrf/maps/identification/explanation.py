"""One spectrum explained by the elements it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import one_thread_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.identification.judgement import ElementEvidence, FoundElement, judge, weigh
from napari_xrf.maps.identification.reflections import expected_reflections
from napari_xrf.maps.spectra.candidates import Candidate, candidates, columns_by_element
from napari_xrf.maps.spectra.joint_fit import Linear
from napari_xrf.maps.spectra.peaks import without_spikes
from napari_xrf.maps.spectra.setting import Setting, coarse
from napari_xrf.maps.spectra.spectrum_fit import (
    ELEMENT_FIRST,
    FIRST_STRAY,
    NEXT_STRAY,
    USUAL_LOG_ODDS,
    Content,
    Explained,
    SpectrumFit,
)
from napari_xrf.maps.spectra.spectrum_model import Stray, stray_places

Array = NDArray[np.float64]

_WORTH_TRYING = 2.0  # log-odds at which an element joins the model; the final judgement comes after
_LARGEST_MODEL = 60
_MOST_STRAYS = 12
_STRAY_CONTRAST = 3.0  # strays stand where lines hold less than this times the continuum
_BETTER = 0.4  # log-odds that a move must gain
_REFITS = 40  # of moves in a search
_REFITS_IN_VAIN = 10  # of the moves that look best, before a search ends
_DOUBTFUL, _MOST_VERIFIED = 20.0, 10  # log-odds up to which an element's rivals are fitted; how many
_MOST_LINE_GROUPS = 4  # of an element that stray peaks may stand for
_REPLACEMENTS = 2  # tried in the place of an element


@dataclass(frozen=True, eq=False)
class Explanation:
    """A spectrum explained by elements and surroundings."""

    setting: Setting  # what the spectrum was measured with, on channels of about 20 eV
    elements: tuple[Candidate, ...]  # the candidates in the model
    found: tuple[FoundElement, ...]  # those that are there beyond doubt
    strays: tuple[Stray, ...]  # peaks of no element
    # spectrum, best: all columns, and the fit with those elements and peaks
    spectrum: SpectrumFit
    best: Explained
    weighed: tuple[ElementEvidence, ...] = ()  # what speaks for each of the elements, where they were judged

    @property
    def model(self) -> Array:
        """Expected counts on the setting's channels, (E,), deviations left out."""
        return np.asarray(self.best.fit.amplitudes @ self.spectrum.whole[self.best.index])


@one_thread_of("blas")
def explain(
    spectrum: Array,
    setting: Setting,
    listed: tuple[str, ...] = (),
    certain: tuple[str, ...] = (),
    demand: float = 0.0,
    thorough: bool = True,
    usual: bool = False,
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
    thorough
        Whether elements are also swapped for others, and judged. Without it ``found`` is empty.
    usual
        Whether to look for elements that samples often hold only.
    """
    summed, setting = coarse(without_spikes(spectrum, setting.energy, setting.detector.fwhm), setting)
    pool = candidates(setting, listed, usual)
    # While axis and source are not known, free peaks stand in for lines at wrong places.
    next_stray = NEXT_STRAY if thorough else FIRST_STRAY
    strays = stray_places(setting)
    search = _grown(SpectrumFit(summed, setting, pool, strays, demand, next_stray), certain, progress)
    if thorough:
        reflected = expected_reflections(search.spectrum, search.best)
        if reflected:
            columns = SpectrumFit(summed, setting, pool, (*strays, *reflected), demand, next_stray)
            search = _grown(columns, certain, progress)
        search.improve()
        search.verify()
    return search.explanation(thorough)


@one_thread_of("blas")
def explain_again(
    spectrum: Array,
    setting: Setting,
    before: Explanation,
    without: tuple[str, ...] = (),
    prune: bool = False,
    strays: bool = True,
    progress: Progress = ignore_progress,
) -> Explanation:
    """Fit a spectrum with the elements and stray peaks of an earlier explanation in a changed setting.

    ``without``: elements that are left out. ``prune``: whether elements that no longer pay are let go.
    ``strays``: whether stray peaks are kept.
    """
    summed, setting = coarse(without_spikes(spectrum, setting.energy, setting.detector.fwhm), setting)
    kept = [one for one in before.elements if one.element not in without]
    profiles = columns_by_element([one.families for one in kept], setting)
    pool = tuple(replace(one, columns=own) for one, own in zip(kept, profiles, strict=True))
    columns = SpectrumFit(summed, setting, pool, before.strays if strays else (), next_stray=FIRST_STRAY)
    search = _Search(
        columns, tuple(one.element for one in pool), progress, frozenset(range(len(columns.strays)))
    )
    if prune:
        search.certain = frozenset()
        search.prune()
    return search.explanation(judged=False)


def _grown(spectrum: SpectrumFit, certain: tuple[str, ...], progress: Progress) -> _Search:
    search = _Search(spectrum, certain, progress)
    search.grow()
    search.prune()
    return search


class _Search:
    """The content as it grows, and its fit."""

    def __init__(
        self,
        spectrum: SpectrumFit,
        certain: tuple[str, ...],
        progress: Progress,
        strays: frozenset[int] = frozenset(),
    ) -> None:
        self.spectrum, self.progress = spectrum, progress
        pool = spectrum.pool
        self.certain = frozenset(k for k, one in enumerate(pool) if one.element in certain)
        self.best = spectrum.fit(Content(self.certain, strays))
        self.tried: dict[Content, Explained] = {}
        self._moves: tuple[Explained, list[tuple[float, Content]]] | None = None  # of which content
        self.odds = np.array([spectrum.element_odds(k) for k in range(len(pool))])
        self.first = np.array([own[0] for own in spectrum.own], dtype=np.intp)
        every = np.arange(len(spectrum.columns))
        self.no_strays = every[(every < spectrum.stray_start) | (every >= spectrum.around_start)]
        heights = spectrum.columns[self.first]
        self.top = heights.argmax(axis=1) if len(pool) else np.zeros(0, dtype=np.intp)
        self.stray_top = np.array(
            [np.argmin(np.abs(spectrum.energies - one.kev)) for one in spectrum.strays], dtype=np.intp
        )
        self.fwhm = np.asarray(spectrum.setting.detector.fwhm(np.maximum(spectrum.energies, 0.1)))

    def _tell(self) -> None:
        size = min(len(self.best.content.elements), _LARGEST_MODEL)
        self.progress(size, _LARGEST_MODEL, "explaining a spectrum")

    def grow(self) -> None:
        """Add what explains most of what is left, until nothing is worth it."""
        while len(self.best.content.elements) < _LARGEST_MODEL:
            self._tell()
            temper = self.best.usual_misfit
            gains = self._gains(self.best, temper)
            additions = self._additions(self.best, gains, temper)
            if not additions or additions[0][0] < _WORTH_TRYING:
                return
            gain, content, rival = additions[0]
            if rival is not None and rival[0] > gain:
                content = rival[1]
            self.best = self.spectrum.fit(content, self.best)

    def _linear(self, at: Explained) -> Linear:
        return Linear(at.problem, at.index)

    def _gains(self, at: Explained, temper: float) -> Array:
        """Return the gains of all columns, of stray peaks those only beside the elements that gain most."""
        linear, used = self._linear(at), at.fit.amplitudes > 0
        gains = linear.gains(used, self.no_strays)
        rivals = [self._near_strays(at, k) for k, _ in self._likeliest(at, gains, temper)]
        rows = self.spectrum.stray_start + np.unique(np.concatenate([*rivals, np.zeros(0, dtype=np.intp)]))
        return np.maximum(gains, linear.gains(used, rows))

    def _likeliest(self, at: Explained, gains: Array, temper: float) -> list[tuple[int, float]]:
        """Return the elements that may join and gain most, and their gain in log-odds."""
        scores = 0.5 * gains[self.first] / temper + self.odds
        scores[list(at.content.elements)] = -np.inf
        best = np.argsort(-scores)[:_REPLACEMENTS]
        return [(int(k), float(scores[k])) for k in best if scores[k] > -np.inf]

    def _additions(
        self, at: Explained, gains: Array, temper: float
    ) -> list[tuple[float, Content, tuple[float, Content] | None]]:
        """Return elements that may join, by falling gain in log-odds, each with the stray peak instead."""
        found = []
        for k, score in self._likeliest(at, gains, temper):
            stray = self._stray_near(at, k, gains, temper)
            rival = None if stray is None else (stray[0], at.content.with_stray(stray[1]))
            found.append((score, at.content.plus(k), rival))
        return found

    def _stray_near(
        self, at: Explained, element: int, gains: Array, temper: float
    ) -> tuple[float, int] | None:
        """Return the stray peak near an element's main line that gains most, and its gain in log-odds."""
        top, energies = int(self.top[element]), self.spectrum.energies
        near = self._near_strays(at, element)
        if near.size == 0:
            return None
        own = 0.5 * gains[self.spectrum.stray_start + near] / temper
        own += self.spectrum.stray_odds(near, at.content.strays)
        if self.spectrum.pool[element].log_odds >= USUAL_LOG_ODDS:
            # At a usual element's line it is that element, unless it is much worse.
            own -= ELEMENT_FIRST * (
                (np.abs(energies[self.stray_top[near]] - energies[top]) < 0.5 * self.fwhm[top])
                & ~self.spectrum.expected[near]
            )
        best = int(np.argmax(own))
        return float(own[best]), int(near[best])

    def _near_strays(self, at: Explained, element: int) -> NDArray[np.intp]:
        """Return the stray peaks that may stand near an element's main line."""
        top, energies = int(self.top[element]), self.spectrum.energies
        if not self.stray_top.size or self._too_many(at.content.strays):
            return np.zeros(0, dtype=np.intp)
        near = np.flatnonzero(np.abs(energies[self.stray_top] - energies[top]) < 1.5 * self.fwhm[top])
        return self._open_to_strays(at, near)

    def _too_many(self, strays: frozenset[int], number: int = _MOST_STRAYS) -> bool:
        return len(self.spectrum.unexpected(strays)) >= number

    def _open_to_strays(
        self, at: Explained, strays: NDArray[np.intp], without: int | None = None
    ) -> NDArray[np.intp]:
        """Return the stray peaks that stand clear of the lines found so far, whose shape they could mimic."""
        heights = at.fit.amplitudes * self.spectrum.columns[at.index, self.stray_top[strays, None]]
        lines = self.spectrum.lines[at.index]
        if without is not None:
            heights[:, np.isin(at.index, self.spectrum.own[without])] = 0
        of_lines, others = (heights.compress(some, axis=1).sum(axis=1) for some in (lines, ~lines))
        clear = of_lines < _STRAY_CONTRAST * np.maximum(others, 1.0)
        return strays[clear & ~np.isin(strays, list(at.content.strays))]

    def prune(self) -> None:
        """Remove the weakest elements until all that remain pay, but for the certain ones."""
        temper = self.best.misfit
        while self.best.content.elements - self.certain:
            self._tell()
            linear = self._linear(self.best)
            everything = self._whole(self.best, linear)
            losses = [
                ((self._deletion(self.best, linear, k)[0] - everything) / temper, k)
                for k in self.best.content.elements - self.certain
            ]
            # Of elements that hold no counts only rounding would tell which goes first.
            loss, weakest = min((round(0.5 * loss + self.odds[k], 6), -k) for loss, k in losses)
            if loss >= 0:
                return
            self.best = self.spectrum.fit(self.best.content.minus(-weakest), self.best)

    def _deletion(self, at: Explained, linear: Linear, element: int) -> tuple[float, NDArray[np.bool_]]:
        """Return chi-square without an element, but for a constant, and which columns hold counts then."""
        return linear.loss(~np.isin(at.index, self.spectrum.own[element]))

    def _whole(self, at: Explained, linear: Linear) -> float:
        return linear.loss(np.ones(at.index.size, dtype=bool))[0]

    def improve(self) -> None:
        """Swap, remove and add elements and stray peaks while that makes the content likelier."""
        self.spectrum.expect_traces(self.best)
        self.best = self.tried[self.best.content] = self.spectrum.fit(self.best.content, self.best)
        left = _REFITS
        while left > 0:
            self._tell()
            temper = self.best.misfit
            moves = sorted(self.moves(), key=lambda move: -move[0])
            fresh = [content for _, content in moves if content not in self.tried][:_REFITS_IN_VAIN]
            better = None
            for content in fresh:
                left -= 1
                again = self.tried[content] = self.spectrum.fit(content, self.best)
                if again.score(temper) > self.best.score(temper) + _BETTER:
                    better = again
                    break
            if better is None:
                return
            self.best = better

    def verify(self) -> None:
        """Fit the likeliest rivals of each doubtful element, whose first-order gains tell too little."""
        rivals: dict[int, tuple[float, Content]] = {}
        for gain, content in self.moves():
            for k in self.best.content.elements - content.elements:
                if content not in self.tried and gain > rivals.get(k, (-_DOUBTFUL, content))[0]:
                    rivals[k] = gain, content
        for _, content in sorted(rivals.values(), key=lambda rival: -rival[0])[:_MOST_VERIFIED]:
            if content not in self.tried:
                self._tell()
                self.tried[content] = self.spectrum.fit(content, self.best)

    def moves(self) -> list[tuple[float, Content]]:
        """Return contents near the best one and their gain in log-odds, to first order."""
        if self._moves is None or self._moves[0] is not self.best:
            self._moves = self.best, self._moves_anew()
        return self._moves[1]

    def _moves_anew(self) -> list[tuple[float, Content]]:
        at, temper = self.best, self.best.misfit
        linear, content = self._linear(at), self.best.content
        everything, found = self._whole(at, linear), []
        for k in content.elements - self.certain:
            chi_square, used = self._deletion(at, linear, k)
            change = -0.5 * (chi_square - everything) / temper - self.spectrum.element_odds(k)
            found.append((change, content.minus(k)))
            gains = linear.gains(used)
            gains[self.spectrum.own[k]] = 0
            for gain, other, _ in self._additions(at, gains, temper):
                found.append((change + gain, other.minus(k)))
            stray = self._stray_near(at, int(k), gains, temper)
            if stray is not None:
                found.append((change + stray[0], content.minus(k).with_stray(stray[1])))
            several = self._strays_for(at, k, gains, temper)
            if self._beyond_main_line(several, int(k)) and not self._too_many(
                content.strays | several, _MOST_STRAYS + 1
            ):
                # First-order gains of several peaks would have to know of each other: fits tell.
                found.append(
                    (
                        self._gain_of_strays(several, gains, change, temper),
                        replace(content.minus(k), strays=content.strays | several),
                    )
                )
            crowd = self._crowd(at, k)
            if len(crowd) > 1:
                found.extend(self._one_stray_for(at, linear, crowd, k, everything))
        gains = linear.gains(at.fit.amplitudes > 0)
        found += [(gain, other) for gain, other, _ in self._additions(at, gains, temper) if gain > -3]
        found += [(6.0, content.without_stray(stray)) for stray in content.strays]
        return found

    def _strays_for(self, at: Explained, element: int, gains: Array, temper: float) -> frozenset[int]:
        """Return a stray peak for each group of an element's lines that stands apart, where it pays."""
        spectrum = self.spectrum
        rest = np.array(spectrum.columns[self.first[element]])
        highest, energies = float(rest.max()), spectrum.energies
        found: set[int] = set()
        while len(found) < _MOST_LINE_GROUPS and rest.max() > 0.1 * highest:
            top = int(rest.argmax())
            near = np.flatnonzero(np.abs(energies[self.stray_top] - energies[top]) < 0.5 * self.fwhm[top])
            near = self._open_to_strays(at, near, element)
            if near.size:
                own = 0.5 * gains[spectrum.stray_start + near] / temper
                own += spectrum.stray_odds(near, at.content.strays | found)
                if own.max() > 0:
                    found.add(int(near[np.argmax(own)]))
            rest[np.abs(energies - energies[top]) < 1.2 * self.fwhm[top]] = 0
        return frozenset(found) - at.content.strays

    def _beyond_main_line(self, strays: frozenset[int], element: int) -> bool:
        """Whether one of some stray peaks stands elsewhere than the one that may replace the main line."""
        top = int(self.top[element])
        off = np.abs(self.spectrum.energies[self.stray_top[list(strays)]] - self.spectrum.energies[top])
        return bool((off > 0.5 * self.fwhm[top]).any())

    def _gain_of_strays(self, strays: frozenset[int], gains: Array, change: float, temper: float) -> float:
        rows = np.array(sorted(strays), dtype=np.intp)
        own = 0.5 * gains[self.spectrum.stray_start + rows] / temper
        return change + float((own + self.spectrum.stray_odds(rows, strays)).sum())

    def _crowd(self, at: Explained, element: int) -> list[int]:
        """Return an element and the weaker ones so near that one wide peak may stand for all."""
        energies, top = self.spectrum.energies, self.top
        first = {
            k: float(at.fit.amplitudes[np.flatnonzero(at.index == self.first[k])[0]])
            for k in at.content.elements
        }
        return [
            k
            for k in at.content.elements - self.certain
            if abs(energies[top[k]] - energies[top[element]]) < 4 * self.fwhm[top[element]]
            and first[k] <= first[element]
        ]

    def _one_stray_for(
        self, at: Explained, linear: Linear, crowd: list[int], element: int, everything: float
    ) -> list[tuple[float, Content]]:
        temper = at.misfit
        own = np.concatenate([self.spectrum.own[k] for k in crowd])
        chi_square, used = linear.loss(~np.isin(at.index, own))
        gains = linear.gains(used)
        stray = self._stray_near(at, element, gains, temper)
        if stray is None:
            return []
        change = -0.5 * (chi_square - everything) / temper - sum(self.spectrum.element_odds(k) for k in crowd)
        content = replace(at.content, elements=at.content.elements - set(crowd)).with_stray(stray[1])
        return [(change + stray[0], content)]

    def explanation(self, judged: bool) -> Explanation:
        """Return what has been found."""
        best, spectrum = self.best, self.spectrum
        chosen = tuple(spectrum.pool[k] for k in sorted(best.content.elements))
        strays = tuple(spectrum.strays[k] for k in sorted(best.content.strays))
        weighed = weigh(spectrum, best, self.moves(), self.tried) if judged else {}
        found = judge(spectrum, best, weighed)
        return Explanation(spectrum.setting, chosen, found, strays, spectrum, best, tuple(weighed.values()))
