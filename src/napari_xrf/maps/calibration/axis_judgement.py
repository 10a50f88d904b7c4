"""What a refined energy axis is worth: how many peaks lie on lines, and why it may be wrong."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA, MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.calibration.anode import lacks_soft_lines
from napari_xrf.maps.calibration.axis_search import OFFSET_KEV, REFERENCE_KEV, USUAL_SHIFT_KEV
from napari_xrf.maps.identification.explanation import Explanation
from napari_xrf.maps.spectra.peaks import Peak, find_peaks
from napari_xrf.maps.spectra.resolution import wideness
from napari_xrf.maps.spectra.setting import Setting
from napari_xrf.maps.spectra.spectrum_model import softness
from napari_xrf.physics.detector.detector import Detector

Array = NDArray[np.float64]

FEWEST_PEAKS = 1
MATCHED = 0.5  # part of the peaks, by the root of their significance, that an axis must explain
# Of a line, at most, where a peak is said to lie on it, and times that of what Compton scattering spreads.
ON_LINE_KEV, _COMPTON_LOOSE = 0.03, 3.0
# A change so large must rest on many peaks, near to their lines, and most of those there are.
_TOO_FEW_PEAKS = 4  # for a change that is rare in files
_UNUSUAL_GAIN, _FEW_PEAKS, _LOOSE_EV, _MOST = 0.015, 6, 12.0, 0.75
# Four peaks allow no more, and must explain a spectrum of electrons; three are near lines on many axes.
_FEWER_PEAKS, _SMALL_SHIFT_KEV, _LOOSEST_EV, _FEW_UNEXPLAINED = 4, 0.04, 15.0, 2.0
_FEWEST_SURE, _CLOSE_EV = 3, 6.0
# Signs of a wrong axis: chi-square per group, which is 2.6 at most in measured spectra of usual detectors on
# their own axis, and peaks narrower than what electron-hole pairs in silicon scatter (117 eV at Mn Kα).
_UNEXPLAINED, UNEXPLAINED_MOVED, _MOVED_KEV = 4.0, 3.0, 0.06
# Squares of the FWHM that the best drift detectors' noise and the pairs (Fano factor 0.115) leave at least,
# keV² and keV² per keV, less what a measured one may be off.
_LEAST_NOISE, _LEAST_BY_PAIRS, _WIDTH_ERROR = 0.025**2, 0.115 * 3.65e-3 * FWHM_PER_SIGMA**2, 0.125
_PILED_PART = 0.02  # of the strongest peak, that two of its pulses at once make of a peak
_MOST_STRAY = 0.15  # of the strongest peak: reflections that mend a line's shape
_FEWEST_TELLING, _TELLING_PART, _TELLING_ERRORS = 3, 0.02, 5.0  # elements, of all counts, standard errors
_ONE_PLACE_KEV = 0.25  # over which lines must be spread to tell an axis: Kβ of potassium stands that far off
_LINE_KEV, _EXTRAPOLATED_KEV = 0.008, 0.025  # of a line's place; of an axis where peaks are


@dataclass(frozen=True, eq=False)
class Calibration:
    """A refined energy axis and detector."""

    energy: EnergyAxis  # the refined axis; the file's own where refined is false
    detector: Detector  # the detector with the refined resolution
    peaks: int  # how many peaks decided it
    quality: float  # root-mean-square distance of these peaks from their lines in eV; nan where not refined
    refined: bool  # whether there was enough to refine
    message: str  # in words: what was done, or why nothing was
    # With what the spectrum was measured, as refined: source and scatter angle too
    setting: Setting | None = None
    # Whether there are peaks, and they fit no lines: the axis may be wrong, and what rests on it
    doubtful: bool = False
    remedy: str = ""  # what helps where another axis would not


def unchanged(setting: Setting, message: str, *, doubtful: bool = False, remedy: str = "") -> Calibration:
    """Return a calibration that keeps the setting's axis, and says why."""
    return Calibration(
        setting.energy, setting.detector, 0, math.nan, False, message, setting, doubtful, remedy
    )


def line_groups(profile: Array, setting: Setting, most: int = 2, part: float = 0.05) -> list[float]:
    """Centres of a column's main peak and, where they stand apart, of the next ones (Kβ, Lβ)."""
    rest = np.array(profile)
    groups: list[float] = []
    while len(groups) < most and rest.max() > part * profile.max():
        at = _centroid(rest, setting)
        groups.append(at)
        reach = 1.2 * float(setting.detector.fwhm(np.array(at)))
        rest[setting.energy.window(at - reach, at + reach)] = 0
    return groups


def _centroid(profile: Array, setting: Setting) -> float:
    """Centre of a column's main peak, as a peak search sees it."""
    top = int(profile.argmax())
    at = setting.energy.energies
    reach = 0.7 * float(setting.detector.fwhm(at[top]))
    near = setting.energy.window(at[top] - reach, at[top] + reach)
    return float(np.average(at[near], weights=profile[near])) if profile[near].sum() > 0 else float(at[top])


def judged(
    before: Setting, after: Setting, explained: Explanation, counts: Array, rivals: bool, stated: bool
) -> Calibration:
    """Return the refined axis, or the file's own and why that is kept, with what speaks against it.

    ``before``, ``after``: the setting as the file has it, and refined. ``rivals``: whether other axes fit
    nearly as well. ``stated``: whether the user gave the axis.
    """
    axis = "energy axis that you stated" if stated else "file's energy axis"
    kept = after.refined(before.energy, before.detector)
    peaks = find_peaks(counts, after.energy, fwhm=after.detector.fwhm)
    on_lines = _PeaksOnLines.of(peaks, after, explained)
    used, matched = len(on_lines.distances), on_lines.matched
    if used < FEWEST_PEAKS:
        message = f"the peaks fit no likely elements: the {axis} is kept"
        return unchanged(kept, message, doubtful=bool(on_lines.found))
    if matched < MATCHED:
        return unchanged(
            kept,
            f"unsure: only {100 * matched:.0f} % of the peaks lie on lines; the {axis} is kept, "
            "give the right one if it is wrong",
            doubtful=True,
        )
    at = np.array(REFERENCE_KEV)
    channels = (at - before.energy.offset) / before.energy.width
    largest = float(abs(after.energy.energy(channels) - at).max())
    fwhm = 1e3 * float(after.detector.fwhm(MN_KA_KEV))
    message = f"{used} peaks, {on_lines.quality:.1f} eV from their lines; {fwhm:.0f} eV wide at Mn Kα"
    if largest > USUAL_SHIFT_KEV:
        message += f"; the {axis} was {1e3 * largest:.0f} eV off"
    gain = abs(after.energy.width / before.energy.width - 1)
    if stated and largest > USUAL_SHIFT_KEV:
        return unchanged(
            kept,
            f"unsure: the peaks would fit {after.energy} better than the {axis}, which is kept",
            doubtful=True,
        )
    if gain > _UNUSUAL_GAIN and used < _TOO_FEW_PEAKS:
        return unchanged(
            kept,
            f"unsure: {used} peaks would fit {after.energy} better, too few for so large a change; the "
            f"{axis} is kept, give the right one if it is wrong",
            doubtful=True,
        )
    doubts = _doubts(explained, on_lines, largest, gain)
    if (beyond := _beyond(peaks, on_lines)) is not None:
        doubts.insert(0, f"a peak at {beyond:.2f} keV lies above the stated {after.highest_kev:.4g} keV")
    if rivals:
        doubts.insert(0, "other energy axes fit nearly as well")
    if doubts and stated:  # what is doubtful itself moves nothing that somebody gave
        return unchanged(kept, f"unsure: {doubts[0]}; the {axis} is kept", doubtful=True)
    if doubts:
        message += f"; unsure: {doubts[0]}, give the right axis if this is wrong"
    return Calibration(
        after.energy, after.detector, used, on_lines.quality, True, message, after, bool(doubts)
    )


@dataclass(frozen=True, eq=False)
class _PeaksOnLines:
    """Which peaks of a spectrum lie on lines of what explains it."""

    found: tuple[Peak, ...]  # N, up to the highest energy: beyond stand sums of pulses
    # (N,) the line of an element or of scatter that each lies on, keV; NaN where none, or a reflection or sum
    firm: Array
    distances: tuple[float, ...]  # of those on lines, stray ones included, keV; soft ones count less
    matched: float  # part of the peaks that lie on lines, by the root of their significance
    wideness: float  # of the detector, over a usual one
    reach: float  # keV, within which a peak lies on a line

    @property
    def quality(self) -> float:
        """Root-mean-square distance of the peaks from their lines, eV."""
        return 1e3 * math.sqrt(sum(distance**2 for distance in self.distances) / len(self.distances))

    @classmethod
    def of(cls, peaks: tuple[Peak, ...], setting: Setting, explained: Explanation) -> "_PeaksOnLines":
        columns, best = explained.spectrum, explained.best
        # Reflections and sums of pulses explain a peak, and tell nothing of the axis.
        shown = [
            (
                line,
                math.nan if name.startswith(("stray", "pile-up")) else line,
                _COMPTON_LOOSE if name.endswith("Compton") else 1.0,
            )
            for k, name in ((k, columns.names[each]) for k, each in enumerate(best.index))
            if not name.startswith("continuum") and best.fit.amplitudes[k] > 0
            for line in line_groups(columns.whole[best.index[k]], explained.setting, 8, 0.01)
        ]
        found = tuple(peak for peak in peaks if peak.energy <= setting.high)
        wide = wideness(setting.detector)
        reach = ON_LINE_KEV * wide
        firm, used, on = [], [], []
        for peak in found:
            line, told, loose = min(
                shown, key=lambda one: abs(peak.energy - one[0]) / one[2], default=(math.inf, 0.0, 1.0)
            )
            distance = abs(peak.energy - line) / loose
            on.append(distance < reach)
            firm.append(told if on[-1] else math.nan)
            if on[-1]:  # where soft peaks stand is known less well
                used.append(distance / float(softness(np.array(peak.energy))))
        weight = np.sqrt([peak.significance for peak in found])
        matched = float(weight @ np.array(on)) / max(float(weight.sum()), 1e-300) if found else 0.0
        return cls(found, np.array(firm), tuple(used), matched, wide, reach)


def _doubts(explained: Explanation, on_lines: _PeaksOnLines, shift: float, gain: float) -> list[str]:
    """Return why a refined axis may be wrong, in words.

    ``shift``, ``gain``: how far the axis is from the file's, keV and a factor less one.
    """
    found, firm, matched = on_lines.found, on_lines.firm, on_lines.matched
    used, quality = len(on_lines.distances), on_lines.quality / on_lines.wideness
    on = np.isfinite(firm)
    weight = np.sqrt([peak.significance for peak in found])
    few = gain > _UNUSUAL_GAIN and (used < _FEW_PEAKS or matched < _MOST)
    misfit = explained.best.misfit
    few |= used <= _FEWER_PEAKS and (shift > _SMALL_SHIFT_KEV or quality > _LOOSEST_EV)
    few |= used == 1 and shift > OFFSET_KEV
    few |= used <= _FEWEST_SURE and (quality > _CLOSE_EV or _stray_part(explained, found[0]) > _MOST_STRAY)
    # Of tubes few peaks may be of scatter, which is known less.
    unexplained = explained.setting.kind == "electron" and misfit > _FEW_UNEXPLAINED
    few |= used <= _FEWER_PEAKS and unexplained
    few |= shift > _MOVED_KEV and weight[on].sum() < MATCHED * weight.sum()
    few |= shift > _MOVED_KEV and _extrapolated(found, firm) > _EXTRAPOLATED_KEV
    # Lines of one element alone lie, on a changed axis, on those of its neighbours.
    alike = shift > USUAL_SHIFT_KEV and _telling_elements(explained) < _FEWEST_TELLING
    # A tube scatters its anode's lines too, on another axis as stray peaks.
    photons = explained.setting.kind in (None, "tube") and explained.setting.anode is None
    alone = photons and _spread_of_lines(explained) < _ONE_PLACE_KEV
    poor = misfit > (UNEXPLAINED_MOVED if shift > _MOVED_KEV else _UNEXPLAINED)
    poor &= explained.setting.kind != "monochromatic"  # of beams no scatter is modelled but the first
    reasons = {
        "few peaks speak for this axis": few,
        "few elements speak for so large a change": alike,
        "the tube's soft lines are missing": lacks_soft_lines(explained.setting, explained),
        "the lines of one element, all in one place, speak for this axis": alone,
        "peaks lie far from their lines for so large a change": shift > USUAL_SHIFT_KEV
        and quality > _LOOSE_EV,
        f"the spectrum is explained badly (chi-square {misfit:.0f} per group, {_likely_cause(found)})": poor,
        "no silicon detector has so narrow peaks": _is_too_narrow(explained.setting.detector, found, on),
    }
    return [reason for reason, holds in reasons.items() if holds]


def _likely_cause(found: tuple[Peak, ...]) -> str:
    """Return what may make a spectrum hard to explain: pile-up where a peak is twice the strongest."""
    strongest = max(found, key=lambda peak: peak.counts)
    for peak in found:
        twice = abs(peak.energy - 2 * strongest.energy) < ON_LINE_KEV
        if twice and peak.counts > _PILED_PART * strongest.counts:
            return f"much pile-up: the peak at {peak.energy:.2f} keV is twice the strongest"
    return "is the source stated?"


def _is_too_narrow(detector: Detector, found: tuple[Peak, ...], on: NDArray[np.bool_]) -> bool:
    """Whether a detector's lines are narrower than silicon can make them where its strongest one is."""
    if not on.any():
        return False
    at = np.array(found[int(np.argmax(on))].energy)
    return bool(detector.fwhm(at) ** 2 < (1 - _WIDTH_ERROR) * (_LEAST_NOISE + _LEAST_BY_PAIRS * at))


def _stray_part(explained: Explanation, peak: Peak) -> float:
    """Return which part of a peak reflections explain: then its shape is not that of its lines."""
    columns, best = explained.spectrum, explained.best
    half = 0.5 * float(explained.setting.detector.fwhm(np.array(peak.energy)))
    near = explained.setting.energy.window(peak.energy - half, peak.energy + half)
    held = best.fit.amplitudes * columns.whole[best.index][:, near].sum(axis=1)
    names = np.array([columns.names[k] for k in best.index], dtype=str)
    above = held[~np.char.startswith(names, "continuum")].sum()
    return float(held[np.char.startswith(names, "stray")].sum() / max(above, 1e-300))


def _beyond(peaks: tuple[Peak, ...], on_lines: _PeaksOnLines) -> float | None:
    """Return where the strongest of the peaks beyond those found lies that is not the sum of two of these."""
    at = np.array([peak.energy for peak in on_lines.found])
    sums = at[:, None] + at
    beyond = [peak.energy for peak in peaks if peak not in on_lines.found]
    return next(
        (each for each in beyond if np.abs(sums - each).min(initial=np.inf) > 2 * on_lines.reach), None
    )


def _told(explained: Explanation) -> list[int]:
    """Return the columns that hold a good part of the counts."""
    best = explained.best
    part = best.fit.amplitudes / explained.spectrum.counts.sum()
    sure = best.fit.amplitudes > _TELLING_ERRORS * best.fit.errors * math.sqrt(best.misfit)
    return [int(k) for k in best.index[(part > _TELLING_PART) & sure]]


def _spread_of_lines(explained: Explanation) -> float:
    """Return how far apart lie the lines of elements that hold a good part of the counts, keV."""
    spectrum = explained.spectrum
    families = {int(k) for one in explained.best.content.elements for k in spectrum.own[one]}
    lines = [
        line
        for k in families.intersection(_told(explained))
        for line in line_groups(spectrum.whole[k], explained.setting)
    ]
    return max(lines, default=math.nan) - min(lines, default=math.nan)


def _telling_elements(explained: Explanation) -> int:
    """Return how many elements hold a good part of the counts by their first family; scatter is one."""
    best, spectrum = explained.best, explained.spectrum
    told = set(_told(explained))
    scattered = any(spectrum.names[k].endswith(("elastic", "Compton")) for k in told)
    return sum(int(spectrum.own[one][0]) in told for one in best.content.elements) + scattered


def _extrapolated(found: tuple[Peak, ...], firm: Array) -> float:
    """Return the standard error in keV, where it is largest among peaks, of an axis through firm lines."""
    on = np.isfinite(firm)
    if on.sum() < 2:
        return math.inf
    errors = np.hypot(_LINE_KEV, [peak.energy_error for peak in found])[on]
    rows = np.array([np.ones(on.sum()), firm[on]]) / errors
    covariance = np.linalg.inv(rows @ rows.T + np.diag([1 / 0.5**2, 1 / 0.05**2]))
    at = np.array([np.ones(len(found)), [peak.energy for peak in found]])
    return float(np.sqrt(np.einsum("kp,kl,lp->p", at, covariance, at).max()))
