"""Which elements of an explained spectrum are reported, and how likely each is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.candidates import Candidate
from napari_xrf.maps.joint_fit import inverse_of
from napari_xrf.maps.scatter import ANODES
from napari_xrf.maps.spectrum_fit import Content, Explained, SpectrumFit

Array = NDArray[np.float64]

_PROBABLE = 0.95
# Reflections, surfaces and neighbours make small peaks that no counting error explains. In 41 measured files
# an element below this part of all counts was there as often as odds^1.2 / (odds^1.2 + 34) says; it is
# reported from log-odds where that is two in five.
_SMALL_PART = 0.02
_SMALL_LOG_ODDS = 14.0
_ODDS_POWER, _ODDS_SCALE = 1.2, 34.0
_SIGNIFICANT = 3.0  # standard errors
_NOTICEABLE = 0.08  # of all else at the top of an element's peak
# Beside a strong line: below these parts of the other lines there, and of the highest within 3 FWHM, a peak
# may be what the strong line's shape leaves over.
_UNDER_LINES, _UNDER_STRONG = 0.35, 0.05
_NEAR_FWHM = 3.0
# One standard deviation of what a peak's counts may owe to something else, as a part of all counts. Of tubes,
# Bragg reflections: up to 0.25 % in a pure metal; soft ones are absorbed, hard ones rare. Of electrons,
# what strays in a chamber excites. Of silicon, the detector's own.
_DIFFRACTED_PART, _CHAMBER_PART, _DETECTOR_PART = 1.6e-4, 1.5e-4, 2e-4
_LEFT_IN_MAPS = 0.1  # of an element's counts, in a fit without deviations
_DOUBTFUL = 40.0  # log-odds up to which lines in the wrong ratio count
_WRONG_RATIO = 8.0  # log-odds that they cost
_SEEN_SIBLINGS = 4.0  # standard errors at which other lines of an element count as seen
# Reflections: those not told apart, the range they lie in, and how near to a line one passes for it.
_STRAYS_UNSEEN, _STRAY_RANGE_KEV, _SAME_PLACE_KEV = 0.5, 10.0, 0.04
_TUBE_OR_SAMPLE = 0.5
_REPORTED = 0.4


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
        Counts of these families in the whole map (or in the pixels where it was found), and their error.
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


def judge(
    spectrum: SpectrumFit,
    best: Explained,
    moves: list[tuple[float, Content]],
    tried: dict[Content, Explained],
) -> tuple[FoundElement, ...]:
    """Return the elements of the best content that are reported.

    Parameters
    ----------
    spectrum, best
        What was fitted, and the likeliest content.
    moves
        Contents near it and their gain in log-odds, to first order.
    tried
        Contents that were fitted, which tells more.
    """
    temper = best.misfit
    found: list[tuple[int, FoundElement]] = []
    for position in sorted(best.content.elements):
        one = spectrum.pool[position]
        against = [
            gain for gain, content in moves if position not in content.elements and content not in tried
        ]
        against += [
            other.score(temper) - best.score(temper)
            for content, other in tried.items()
            if position not in content.elements
        ]
        odds = -max(against, default=-700.0)
        own = np.flatnonzero(np.isin(best.index, spectrum.own[position]))
        cap = _first_family(spectrum, best, own[0], temper) + spectrum.element_odds(position)
        odds = min(odds, cap)
        siblings = _siblings(spectrum, best, own, temper)
        if odds < _DOUBTFUL and siblings is not None and _disagree(*siblings):
            odds -= _WRONG_RATIO
        counts, error = _net(one, best, own, temper)
        part = counts / max(float(spectrum.counts.sum()), 1.0)
        probability = _probability(odds, part)
        if part < _SMALL_PART:
            if siblings is None or not siblings[0] > _SEEN_SIBLINGS * siblings[1]:
                probability = min(probability, _no_reflection(spectrum, best, position))
            if _may_be_anode(spectrum, one):
                probability = min(probability, _TUBE_OR_SAMPLE)
            probability *= probability >= _REPORTED
        if probability > 0 and _significant(best, own[0], temper) and _noticed(spectrum, best, own):
            found.append((position, FoundElement(one.element, one.mapped, counts, error, probability)))
    return _also_in_maps(spectrum, best, found)


def _probability(odds: float, part: float) -> float:
    """Return the probability of an element of a part of all counts; 0 where it is not reported."""
    if part >= _SMALL_PART:
        probability = 1 / (1 + math.exp(-max(min(odds, 700.0), -700.0)))
        return probability if probability >= _PROBABLE else 0.0
    if odds < _SMALL_LOG_ODDS:
        return 0.0
    return odds**_ODDS_POWER / (odds**_ODDS_POWER + _ODDS_SCALE)


def _also_in_maps(
    spectrum: SpectrumFit, best: Explained, found: list[tuple[int, FoundElement]]
) -> tuple[FoundElement, ...]:
    """Return the elements that a fit without deviations, as that of pixels, shows too: maps agree."""
    content = Content(frozenset(position for position, _ in found), best.content.strays)
    plain = spectrum.plain_amplitudes(content)
    fitted = dict(zip(best.index.tolist(), best.fit.amplitudes.tolist(), strict=True))
    return tuple(
        one
        for position, one in found
        if any(plain[k] > _LEFT_IN_MAPS * fitted[k] > 0 for k in spectrum.own[position].tolist())
    )


def _first_family(spectrum: SpectrumFit, best: Explained, first: int, temper: float) -> float:
    """Return the log-odds that the first family alone may give: others may stand in for something else."""
    top = float(spectrum.energies[int(spectrum.columns[best.index[first]].argmax())])
    error = math.hypot(
        float(best.fit.errors[first]) * math.sqrt(temper),
        _strange(spectrum, spectrum.names[best.index[first]], top),
    )
    return 0.75 * (float(best.fit.amplitudes[first]) / max(error, 1e-300)) ** 2


def _strange(spectrum: SpectrumFit, family: str, top: float) -> float:
    """Return one standard deviation of the counts that are not of the sample's element."""
    part = _CHAMBER_PART
    if spectrum.setting.kind != "electron":
        part = _DIFFRACTED_PART * (0.2 if top < 2.6 else 10 ** (-max(top - 8.0, 0.0) / 4.0))
    if family == "Si K":
        part = max(part, _DETECTOR_PART)
    return part * float(spectrum.counts.sum())


def _net(one: Candidate, best: Explained, own: NDArray[np.intp], temper: float) -> tuple[float, float]:
    """Return the counts of an element's families, and their standard error."""
    told = own[[one.families.index(family) for family in one.mapped]]
    counts = float(best.fit.amplitudes[told].sum())
    variance = float(best.fit.covariance[np.ix_(told, told)].sum())
    return counts, math.sqrt(max(variance, float((best.fit.errors[told] ** 2).min())) * temper)


def _significant(best: Explained, first: int, temper: float) -> bool:
    return bool(best.fit.amplitudes[first] >= _SIGNIFICANT * best.fit.errors[first] * math.sqrt(temper))


def _noticed(spectrum: SpectrumFit, best: Explained, own: NDArray[np.intp]) -> bool:
    """Whether one of an element's families stands out where its main peak is."""
    heights = best.fit.amplitudes[:, None] * spectrum.columns[best.index]
    mine = heights[own].sum(axis=0)
    lines = heights[spectrum.lines[best.index]].sum(axis=0) - mine
    everything = best.fit.model - mine
    for family in own:
        top = int(heights[family].argmax())
        reach = _NEAR_FWHM * float(spectrum.setting.detector.fwhm(spectrum.energies[top]))
        near = np.abs(spectrum.energies - spectrum.energies[top]) < reach
        hidden = mine[top] < _UNDER_LINES * lines[top] and mine[top] < _UNDER_STRONG * lines[near].max()
        if mine[top] >= _NOTICEABLE * everything[top] and not hidden:
            return True
    return False


def _siblings(
    spectrum: SpectrumFit, best: Explained, own: NDArray[np.intp], temper: float
) -> tuple[float, float] | None:
    """Return what part of their counts lines beside the main peak hold, and its error; None without lines."""
    column = spectrum.columns[best.index[own[0]]]
    top = int(column.argmax())
    reach = 1.4 * float(spectrum.setting.detector.fwhm(spectrum.energies[top]))
    others = np.where(np.abs(spectrum.energies - spectrum.energies[top]) < reach, 0.0, column)
    amplitude = float(best.fit.amplitudes[own[0]])
    if others.max() < 0.02 * column.max() or amplitude <= 0:
        return None
    active = spectrum.columns[best.index[best.fit.amplitudes > 0]]
    seen = best.problem.project(np.concatenate([active, others[None]]))
    normal = seen.normal(slice(None))
    inverse, cross = inverse_of(normal[:-1, :-1]), normal[-1, :-1]
    slope = seen.onto[-1] - cross @ inverse @ seen.onto[:-1]
    left = float(normal[-1, -1] - cross @ inverse @ cross)
    if left <= 0:
        return None
    return 1 + float(slope) / left / amplitude, math.sqrt(temper / left) / amplitude


def _disagree(ratio: float, error: float) -> bool:
    """Whether lines beside an element's main peak contradict it."""
    return ratio + 2 * error < 0.5 or ratio - 2 * error > 2.0


def _no_reflection(spectrum: SpectrumFit, best: Explained, position: int) -> float:
    """Return the probability that a single peak is an element's, and no reflection that lies there by chance.

    Reflections of a crystal come in numbers: those that no element explains tell how many there are.
    """
    if not spectrum.strays:
        return 1.0
    per_kev = (len(best.content.strays) + _STRAYS_UNSEEN) / _STRAY_RANGE_KEV
    element = math.exp(spectrum.pool[position].log_odds)
    return element / (element + per_kev * _SAME_PLACE_KEV)


def _may_be_anode(spectrum: SpectrumFit, one: Candidate) -> bool:
    """Whether an unknown tube's L lines, scattered, would look the same: its K lines would tell."""
    setting = spectrum.setting
    unknown = setting.kind in (None, "tube") and setting.anode is None
    return unknown and one.element in ANODES and one.families[0].endswith("L")
