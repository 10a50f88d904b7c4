"""Which elements of an explained spectrum are reported, and how likely each is."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.spectra.candidates import COMMON_ELEMENTS, Candidate
from napari_xrf.maps.spectra.joint_fit import inverse_of
from napari_xrf.maps.spectra.scatter import ANODES
from napari_xrf.maps.spectra.spectrum_fit import Content, Explained, SpectrumFit

_LEAST_LOG_ODDS = 3.0  # from which an element is reported
# How often elements that may be reported were there: a logistic function of terms_of, fitted to measured
# files, what was made of them and spectra of other code by benchmarks/element_probabilities.py. Reflections,
# surfaces and neighbours make small peaks that no counting error explains, most of all in pure metals.
_SCALE = (3.64, 0.53, 2.88, 0.44, 0.66, 3.37, 1.55, -2.43)
_ODDS_RANGE, _PART_RANGE, _CONTRAST_RANGE = (1.0, 700.0), (1e-4, 0.1), (0.3, 3.0)
_SURE_LOG_ODDS, _MUCH_COMPANY = 40.0, 4
_UNREFLECTED = 0.75  # of much company: where electrons excite, no crystal reflects a source's continuum
_SMALL_PART = 0.02  # of all counts: such a peak may be a reflection, or of an anode that nobody stated
_SIGNIFICANT = 3.0  # standard errors
_NOTICEABLE = 0.08  # of all else at the top of an element's peak
# Beside a strong line: below these parts of the other lines there, and of the highest within 3 FWHM, a peak
# may be what the strong line's shape leaves over. The last is that of lines of an L or M shell, whose place
# and ratios absorption changes and tables know less well.
_UNDER_LINES, _UNDER_STRONG, _UNDER_SHELL = 0.35, 0.05, 0.35
_NEAR_FWHM = 3.0
# N and F within so many FWHM of soft M or L lines of an element that holds this many times their counts may
# be these lines: where they stand and how high they are is known least. C and O are nearly everywhere.
_SOFT_KEV, _SOFT_FWHM, _SOFT_PART = 0.7, 1.3, 0.25
# One standard deviation of what a peak's counts may owe to something else, as a part of all counts. Of tubes,
# Bragg reflections: up to 0.25 % in a pure metal; soft ones are absorbed, hard ones rare. Of electrons,
# what strays in a chamber excites. Of silicon, the detector's own.
_DIFFRACTED_PART, _CHAMBER_PART, _DETECTOR_PART = 1.6e-4, 1.5e-4, 2e-4
# Of soft L lines of an element that shows no K line, sums of C and O and what detectors lose of harder lines:
# there the continuum between two peaks is known least.
_SOFT_L_PART, _SOFT_L_KEV = 1e-3, 1.1
_POWDER = 0.5  # of reflections: what rocks, soils and glasses lack of them
_LEFT_IN_MAPS = 0.1  # of an element's counts, in a fit without deviations
_DOUBTFUL = 40.0  # log-odds up to which lines in the wrong ratio count
_WRONG_RATIO = 8.0  # log-odds that they cost
_SEEN_SIBLINGS, _SURE_SIBLINGS = 4.0, 8.0  # standard errors at which other lines count as seen; beyond doubt
# Times a line's height, from which what lies over it hides it: ratios of lines are known to 8 to 12 %.
_OVER_SIBLING = 5.0
# Reflections: those not told apart, the range they lie in, and how near to a line one passes for it.
_STRAYS_UNSEEN, _STRAY_RANGE_KEV, _SAME_PLACE_KEV = 0.5, 10.0, 0.04
_REFLECTED_FWHM = 0.3  # how near to a line a metal's reflection lies that may be taken for it
# Lines of a usual anode where none is known: up to such a part of all counts they are as likely the tube's as
# the sample's; small ones are hardly ever the sample's.
_SCATTERED_PART, _TUBE_OR_SAMPLE, _OF_TUBE = 0.1, 0.5, 0.4
_REPORTED = 0.5


@dataclass(frozen=True)
class ElementEvidence:
    """What speaks for and against an element."""

    element: str  # symbol
    odds: float  # log-odds against the best content without it, and no more than its first family may give
    presence: float  # the same against contents that hold no other element in its place
    prior: float  # log-odds before looking
    part: float  # its part of all counts
    # Standard errors by which lines beside its main peak are seen; None where there are none
    siblings: float | None
    disagree: bool  # whether they contradict it
    reflections: float  # logarithm of the number of reflections that would lie at its main line by chance
    contrast: float  # its height over all else at the top of its best seen peak
    hidden: bool  # whether it is small beside lines that its peak lies under
    significance: float  # standard errors of its first family
    anode: bool  # whether it may be the tube's
    # How many other elements that rocks are made of are beyond doubt: rocks hold traces of more and reflect
    # little, sheets of metal seldom hold any
    company: int = 0

    @property
    def tested_odds(self) -> float:
        """The odds, less what lines in the wrong ratio cost where they are not overwhelming."""
        return self.odds - self._wrong

    @property
    def tested_presence(self) -> float:
        """The odds that something is there, less the same: which element it is, is another question."""
        return self.presence - self._wrong

    @property
    def _wrong(self) -> float:
        return _WRONG_RATIO * (self.disagree and self.odds < _DOUBTFUL)

    @property
    def lines_missing(self) -> bool:
        """Whether lines beside the main peak ought to be seen and are not: of sums of pulses, for one."""
        unseen = self.siblings is not None and self.siblings < _SIGNIFICANT
        return unseen and self.disagree and self.odds < _DOUBTFUL

    @property
    def seen_beside(self) -> bool:
        """Whether lines beside the main peak are seen: As below Pb is told by its Kβ."""
        return self.siblings is not None and self.siblings >= _SEEN_SIBLINGS


@dataclass(frozen=True, repr=False)
class FoundElement:
    """An element found in a map."""

    element: str  # symbol
    families: tuple[str, ...]  # its line families that are seen in the fitted range, the best excited first
    # net_counts, standard_error: counts of these families in the whole map (or in the pixels where it was
    # found), and their error.
    net_counts: float
    standard_error: float
    probability: float  # that the element is there, from the comparison of models with and without it
    pixels: int = 0  # in how many pixels it was found, when these are few; 0 when the sum spectrum shows it
    # What the probability rests on, where the element was judged by a spectrum.
    evidence: ElementEvidence | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        where = f" in {self.pixels} pixels" if self.pixels else ""
        counts = f"{self.net_counts:,.0f} ± {self.standard_error:,.0f}".replace(",", " ")
        return (
            f"<{self.element}: {counts} counts of {', '.join(self.families)}{where}, {self.probability:.3f}>"
        )


def weigh(
    spectrum: SpectrumFit,
    best: Explained,
    moves: list[tuple[float, Content]],
    tried: dict[Content, Explained],
) -> dict[int, ElementEvidence]:
    """Return what speaks for each element of the best content, by its position in the pool.

    ``spectrum``, ``best``: what was fitted, and the likeliest content. ``moves``: contents near it and their
    gain in log-odds, to first order. ``tried``: contents that were fitted, which tells more.
    """
    weighed, uncapped = {}, {}
    for position in sorted(best.content.elements):
        own = np.flatnonzero(np.isin(best.index, spectrum.own[position]))
        uncapped[position] = _odds(best, position, moves, tried)
        weighed[position] = _evidence(spectrum, best, position, own, uncapped[position])
    sure = {position for position, seen in weighed.items() if _is_of_rocks(seen)}
    for position, seen in weighed.items():
        in_company = replace(seen, company=len(sure - {position}))
        cap = _cap(spectrum, best, position, in_company)
        odds, presence = (min(one, cap) for one in uncapped[position])
        weighed[position] = replace(in_company, odds=odds, presence=presence)
    return weighed


def judge(
    spectrum: SpectrumFit, best: Explained, weighed: dict[int, ElementEvidence]
) -> tuple[FoundElement, ...]:
    """Return the elements of the best content that are reported, by :func:`weigh`'s evidence."""
    likely = {position: probability_of(seen) for position, seen in weighed.items()}
    named = [position for position, probability in likely.items() if probability > 0]
    left = _left_in_maps(spectrum, best)
    found = []
    for position in named:
        one = spectrum.pool[position]
        own = np.flatnonzero(np.isin(best.index, spectrum.own[position]))
        families = _shown_families(spectrum, best, one, own, left)
        if families:
            net, seen = _net(one, families, best, own, best.misfit), weighed[position]
            found.append(FoundElement(one.element, families, *net, likely[position], evidence=seen))
    return tuple(found)


def is_beyond_doubt(seen: ElementEvidence) -> bool:
    """Whether a spectrum cannot be explained without an element, though its lines may be a reflection."""
    return not seen.hidden and seen.tested_odds >= _SURE_LOG_ODDS and seen.significance >= _SIGNIFICANT


def _is_of_rocks(seen: ElementEvidence) -> bool:
    return is_beyond_doubt(seen) and seen.element in COMMON_ELEMENTS


def probability_of(seen: ElementEvidence, scale: tuple[float, ...] = _SCALE) -> float:
    """Return the probability that an element is there; 0 where it is not reported.

    ``scale``: of the logistic function: of :func:`terms_of`.
    """
    if not may_be_reported(seen):
        return 0.0
    likely = math.fsum(factor * term for factor, term in zip(scale, terms_of(seen), strict=True))
    probability = min(1 / (1 + math.exp(-likely)), 1 / (1 + math.exp(-seen.tested_odds)))
    if seen.part < _SMALL_PART and not seen.seen_beside:
        probability = min(probability, 1 / (1 + math.exp(seen.reflections - seen.prior)))
    if seen.anode and seen.part < _SCATTERED_PART:
        probability = min(probability, _OF_TUBE if seen.part < _SMALL_PART else _TUBE_OR_SAMPLE)
    return probability if probability >= _REPORTED else 0.0


def may_be_reported(seen: ElementEvidence) -> bool:
    """Whether an element's peaks are clear of noise and of its neighbours, however likely it is."""
    return (
        not seen.hidden
        and seen.tested_odds >= _LEAST_LOG_ODDS
        and not (seen.part < _SMALL_PART and seen.lines_missing)
        and seen.significance >= _SIGNIFICANT
        and (seen.contrast >= _NOTICEABLE or seen.seen_beside)
    )


def terms_of(seen: ElementEvidence) -> tuple[float, ...]:
    """Return what the logarithm of an element's odds is a sum of, to factors."""
    odds, part, contrast = (
        min(max(value, least), most)
        for value, (least, most) in (
            (seen.tested_presence, _ODDS_RANGE),
            (seen.part, _PART_RANGE),
            (seen.contrast, _CONTRAST_RANGE),
        )
    )
    company = min(seen.company, _MUCH_COMPANY) / _MUCH_COMPANY
    beside = min(max(seen.siblings or 0.0, 0.0) / _SURE_SIBLINGS, 1.0)
    if seen.reflections < 0:  # by chance at most: a reflection brings no second line
        company = max(company, beside, _UNREFLECTED * (seen.reflections == -math.inf))
    small = math.log10(part)
    # A part of all counts tells less in a rock.
    in_rock = company * (small + 2)
    return 1.0, math.log(odds), small, seen.prior, math.log(contrast), company, beside, in_rock


def _odds(
    best: Explained, position: int, moves: list[tuple[float, Content]], tried: dict[Content, Explained]
) -> tuple[float, float]:
    """Return the log-odds of an element against the likeliest content without it.

    Second against those that hold no other element in its place.
    """
    against = [(gain, content) for gain, content in moves if content not in tried]
    against += [
        (other.score(best.misfit) - best.score(best.misfit), content) for content, other in tried.items()
    ]
    without = [(gain, content.elements) for gain, content in against if position not in content.elements]
    nothing = (gain for gain, elements in without if elements <= best.content.elements)
    return -max((gain for gain, _ in without), default=-700.0), -max(nothing, default=-700.0)


def _evidence(
    spectrum: SpectrumFit,
    best: Explained,
    position: int,
    own: NDArray[np.intp],
    odds: tuple[float, float],
) -> ElementEvidence:
    one, temper = spectrum.pool[position], best.misfit
    siblings = _siblings(spectrum, best, own, temper)
    counts, _ = _net(one, one.mapped, best, own, temper)
    free = len(spectrum.unexpected(best.content.strays))
    reflections = (free + _STRAYS_UNSEEN) / _STRAY_RANGE_KEV * _SAME_PLACE_KEV
    reflections += _is_reflected(spectrum, best, own)
    contrast, hidden = _prominence(spectrum, best, own)
    error = float(best.fit.errors[own[0]]) * math.sqrt(temper)
    seen = ElementEvidence(
        one.element,
        *odds,
        one.log_odds,
        counts / max(float(spectrum.counts.sum()), 1.0),
        None if siblings is None else siblings[0] / siblings[1],
        siblings is not None and _disagree(*siblings),
        math.log(reflections) if spectrum.strays else -math.inf,
        contrast,
        hidden or _is_soft_line(spectrum, best, position),
        float(best.fit.amplitudes[own[0]]) / max(error, 1e-300),
        _may_be_anode(spectrum, one),
    )
    cap = _cap(spectrum, best, position, seen)
    return replace(seen, odds=min(seen.odds, cap), presence=min(seen.presence, cap))


def _is_reflected(spectrum: SpectrumFit, best: Explained, own: NDArray[np.intp]) -> bool:
    """Whether a metal in the sample reflects where an element has its main line."""
    top = float(spectrum.energies[int(spectrum.columns[best.index[own[0]]].argmax())])
    near = _REFLECTED_FWHM * float(spectrum.setting.detector.fwhm(top))
    return any(one.expected and abs(one.kev - top) < near for one in spectrum.strays)


def _left_in_maps(spectrum: SpectrumFit, best: Explained) -> frozenset[str]:
    """Return the families that a fit without deviations, as that of pixels, shows too."""
    plain = spectrum.plain_amplitudes(best.content)
    fitted = dict(zip(best.index.tolist(), best.fit.amplitudes.tolist(), strict=True))
    return frozenset(
        str(spectrum.names[k]) for k, amplitude in plain.items() if amplitude > _LEFT_IN_MAPS * fitted[k] > 0
    )


def _cap(spectrum: SpectrumFit, best: Explained, position: int, seen: ElementEvidence) -> float:
    """Return the log-odds that the first family may give: others may stand in for something else.

    Where lines beside the main peak are seen, there would have to be another reflection.
    """
    first = int(np.flatnonzero(best.index == spectrum.own[position][0])[0])
    family, column = str(spectrum.names[best.index[first]]), spectrum.columns[best.index[first]]
    amplitude = float(best.fit.amplitudes[first])
    top = float(spectrum.energies[int(column.argmax())])
    error = math.hypot(
        amplitude / max(seen.significance, 1e-300), _strange(spectrum, family, top, seen.company)
    )
    beside = seen.siblings or 0.0
    another = min(0.5 * beside**2, -seen.reflections) if beside >= _SIGNIFICANT and not seen.disagree else 0.0
    odds = 0.75 * (amplitude / max(error, 1e-300)) ** 2 + spectrum.element_odds(position)
    return odds + another * bool(spectrum.strays)


def _strange(spectrum: SpectrumFit, family: str, top: float, company: int) -> float:
    """Return one standard deviation of the counts that are not of the sample's element."""
    part = _CHAMBER_PART
    if spectrum.setting.kind != "electron":
        part = _DIFFRACTED_PART * (0.2 if top < 2.6 else 10 ** (-max(top - 8.0, 0.0) / 4.0))
        part *= 1 - _POWDER * min(company, _MUCH_COMPANY) / _MUCH_COMPANY
    if family.endswith("L") and top < _SOFT_L_KEV:
        part = max(part, _SOFT_L_PART)
    if family == "Si K":
        part = max(part, _DETECTOR_PART)
    return part * float(spectrum.counts.sum())


def _shown_families(
    spectrum: SpectrumFit, best: Explained, one: Candidate, own: NDArray[np.intp], left: frozenset[str]
) -> tuple[str, ...]:
    """Return the first family of an element and others that stand out, of those that maps show too.

    Maps of others would hold the noise above 0.
    """
    amplitudes, columns = best.fit.amplitudes[own], spectrum.columns[best.index[own]]
    tops = columns.argmax(axis=1)
    heights = amplitudes * columns[np.arange(own.size), tops]
    stands_out = heights > _NOTICEABLE * (best.fit.model[tops] - heights)
    stands_out &= amplitudes > _SIGNIFICANT * best.fit.errors[own] * math.sqrt(best.misfit)
    seen = dict(zip(one.families, stands_out.tolist(), strict=True))
    shown = (family for family in one.mapped if seen[family] or family == one.families[0])
    return tuple(family for family in shown if family in left)


def _net(
    one: Candidate, families: tuple[str, ...], best: Explained, own: NDArray[np.intp], temper: float
) -> tuple[float, float]:
    """Return the counts of some families of an element, and their standard error."""
    told = own[[one.families.index(family) for family in families]]
    counts = float(best.fit.amplitudes[told].sum())
    variance = float(best.fit.covariance[np.ix_(told, told)].sum())
    return counts, math.sqrt(max(variance, float((best.fit.errors[told] ** 2).min())) * temper)


def _prominence(spectrum: SpectrumFit, best: Explained, own: NDArray[np.intp]) -> tuple[float, bool]:
    """Return how an element's best seen peak stands against all else there, and whether it is hidden."""
    heights = best.fit.amplitudes[:, None] * spectrum.columns[best.index]
    mine = heights[own].sum(axis=0)
    lines = np.where(spectrum.lines[best.index][:, None], heights, 0.0)
    lines[own] = 0.0
    found = []
    for family in own:
        top = int(heights[family].argmax())
        reach = _NEAR_FWHM * float(spectrum.setting.detector.fwhm(spectrum.energies[top]))
        near = np.abs(spectrum.energies - spectrum.energies[top]) < reach
        above = str(spectrum.names[best.index[int(lines[:, top].argmax())]])
        least = _UNDER_STRONG if above.endswith("K") else _UNDER_SHELL
        others = float(lines[:, top].sum()), float(lines[:, near].sum(axis=0).max())
        hidden = mine[top] < _UNDER_LINES * others[0] and mine[top] < least * others[1]
        found.append((not hidden, float(mine[top] / max(best.fit.model[top] - mine[top], 1e-9))))
    clear, contrast = max(found)
    return contrast, not clear


def _is_soft_line(spectrum: SpectrumFit, best: Explained, position: int) -> bool:
    """Whether an element's only soft peak may be an M or L line of a much stronger element."""
    tops = spectrum.energies[spectrum.columns[best.index].argmax(axis=1)]
    place = {int(k): at for at, k in enumerate(best.index)}
    first = [place[int(spectrum.own[other][0])] for other in sorted(best.content.elements)]
    mine = place[int(spectrum.own[position][0])]
    if tops[mine] > _SOFT_KEV or spectrum.pool[position].element in COMMON_ELEMENTS:
        return False
    reach = _SOFT_FWHM * float(spectrum.setting.detector.fwhm(tops[mine]))
    return any(
        best.fit.amplitudes[mine] < _SOFT_PART * best.fit.amplitudes[start]
        and any(abs(tops[place[int(k)]] - tops[mine]) < reach for k in spectrum.own[other][1:])
        for start, other in zip(first, sorted(best.content.elements), strict=True)
    )


def _siblings(
    spectrum: SpectrumFit, best: Explained, own: NDArray[np.intp], temper: float
) -> tuple[float, float] | None:
    """Return what part of their counts lines beside the main peak hold, and its error; None without lines.

    Those under a much stronger line tell nothing: Mn Kβ below a hundred times as much iron.
    """
    column = spectrum.columns[best.index[own[0]]]
    top = int(column.argmax())
    reach = 1.4 * float(spectrum.setting.detector.fwhm(spectrum.energies[top]))
    amplitude = float(best.fit.amplitudes[own[0]])
    strangers = spectrum.lines[best.index]
    strangers[own] = False
    over = best.fit.amplitudes[strangers] @ spectrum.columns[best.index[strangers]]
    clear = np.abs(spectrum.energies - spectrum.energies[top]) >= reach
    others = np.where(clear & (over < _OVER_SIBLING * amplitude * column), column, 0.0)
    if others.max() < 0.02 * column.max() or amplitude <= 0:
        return None
    active = best.problem.project(best.index[best.fit.amplitudes > 0])
    beside = best.problem.project_other(others[None])
    (cross,), inverse = beside.against(active), inverse_of(active.against(active))
    slope = beside.onto[0] - cross @ inverse @ active.onto
    left = float(beside.own()[0] - cross @ inverse @ cross)
    if left <= 0:
        return None
    return 1 + float(slope) / left / amplitude, math.sqrt(temper / left) / amplitude


def _disagree(ratio: float, error: float) -> bool:
    """Whether lines beside an element's main peak contradict it."""
    return ratio + 2 * error < 0.5 or ratio - 2 * error > 2.0


def _may_be_anode(spectrum: SpectrumFit, one: Candidate) -> bool:
    """Whether the lines of an unknown tube, scattered, would look the same."""
    setting = spectrum.setting
    return setting.kind in (None, "tube") and setting.anode is None and one.element in ANODES
