"""Energy axis and resolution, refined on a spectrum: files are often 20 to 40 eV off."""

import math
from dataclasses import replace

import numpy as np
import xraylib
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA, MN_KA_KEV
from napari_xrf.core.cores import one_thread_of
from napari_xrf.core.emission_lines import atomic_number, family_lines, main_line, split_family
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.maps.calibration.anode import lacks_soft_lines, with_likely_anode
from napari_xrf.maps.calibration.axis_judgement import (
    FEWEST_PEAKS,
    MATCHED,
    ON_LINE_KEV,
    UNEXPLAINED_MOVED,
    Calibration,
    judged,
    line_groups,
    unchanged,
)
from napari_xrf.maps.calibration.axis_search import (
    GAIN,
    OFFSET_KEV,
    USUAL_SHIFT_KEV,
    Axis,
    is_near,
    likely_axes,
    scored_axes,
)
from napari_xrf.maps.identification.explanation import Explanation, explain, explain_again
from napari_xrf.maps.identification.unnamed_peaks import unnamed_peaks
from napari_xrf.maps.spectra.background import estimate_background
from napari_xrf.maps.spectra.joint_fit import Problem
from napari_xrf.maps.spectra.peaks import Peak, find_peaks, without_spikes
from napari_xrf.maps.spectra.resolution import WIDEST_EV, seen_detector, wideness
from napari_xrf.maps.spectra.scatter import USUAL_ANODE, scatter_columns
from napari_xrf.maps.spectra.setting import Setting, setting_of
from napari_xrf.maps.spectra.spectrum_model import softness
from napari_xrf.physics.detector.detector import Detector, with_resolution

Array = NDArray[np.float64]

_FEWEST_COUNTS = 300.0
_MUCH = 0.7  # part of the peaks on lines of an axis, beyond which no rarer element is sought
# Log-odds by which an axis further off must be better, and one without an anode's soft lines, or a beam's.
_FAR, _LACKING = 12.0, 1000.0
_NARROWEST_EV = 90.0  # at Mn Kα: the best drift detectors
_WIDTH_STEP = 0.1  # of the FWHM squared, keV²: one standard deviation, more of what is wider
_REFINEMENTS = 8
# Of the Fano factor: one standard deviation, and the least; log-odds by which other widths must be better.
_FANO_PART, _LEAST_FANO, _OTHER_WIDTHS = 0.15, 0.01, 25.0
_APART_KEV = 0.008  # between axes from which both are refined
_RIVAL_KEV, _SURE = 0.03, 5.0  # an axis that far off within these log-odds casts doubt
_OUTDONE = 0.4  # part of the peaks that another axis explains more
# How much worse, log-odds, an axis may be that takes lines for those of neighbours; how far the main line
# must lie below what the anode scatters; the lines of an anode's Kα, apart by a part of their energy.
_NEIGHBOURS_WORSE, _APART_LINES_KEV, _ALPHA, _ABOVE_EDGES_KEV = 25.0, 3.0, 0.03, 100.0
_CLEAR = 5.0  # log-odds of the peaks by which an axis must be better for others not to be tried
_SOFT_LINES_KEV = 1.0
_POOR = 2.5  # chi-square per group of channels, of a model that lacks something
_SCATTERED = 60.0  # the same, of a model without scatter where most is scatter
_WORTH_A_STEP = 0.2  # gain in log-odds below which no further step is taken
# What is not known of a tube's scatter, one standard deviation, and where it can lie.
_ANGLE_DEG, _ANGLE_RANGE_DEG = 15.0, (85.0, 173.0)
_SPREAD_DEG, _SPREAD_RANGE_DEG = 6.0, (2.0, 25.0)
_CUT_COUNTS, _CUT_CHANNELS = 100.0, 4  # neighbours all as high as the highest: no peak's top is so even
_WIDE_REMEDY = "Another axis does not help; name the elements to be mapped where they are known"
_CUT_REMEDY = "Another axis does not help; measure again with fewer counts, or a counter that holds more"
_TELLING = 0.15  # peaks of this part of the strongest one's significance tell the resolution


@one_thread_of("blas")
def calibrate(
    spectrum: ArrayLike,
    energy: EnergyAxis,
    excitation: Excitation,
    elements: tuple[str, ...] = (),
    stated: bool = False,
    progress: Progress = ignore_progress,
) -> tuple[Calibration, Explanation | None]:
    """Refine energy axis, resolution and source on a summed spectrum.

    First the offset and gain under which most peaks lie on lines of likely elements (a search on a
    grid, with a prior of 30 eV and 0.2 %, and on a wider one), then a least-squares refinement of offset,
    gain and resolution with all elements the spectrum shows (Gauss-Newton steps of the full model). For
    X-ray tubes the anode is inferred where the file names none, and the scatter angle is refined as well.

    Parameters
    ----------
    spectrum
        (E,) counts.
    energy
        The file's axis.
    excitation
        As far as known.
    elements
        Elements that the file lists.
    stated
        Whether the user gave the axis, not the file: it is moved by what calibrations drift, 120 eV at most.

    Returns
    -------
    The refined axis and detector, or the file's own and a reason when there are too few counts or peaks; and
    how its setting explains the spectrum, where that was judged.
    """
    counts = without_spikes(np.clip(np.asarray(spectrum, dtype=np.float64), 0, None), energy)
    found, explained = _calibrated(counts, energy, excitation, elements, stated, progress)
    if (cut := _cut_off(counts)) is not None:
        message = f"the peaks are cut off at {cut:.0f} counts; {found.message}"
        found = replace(found, message=message, doubtful=True, remedy=_CUT_REMEDY)
    return found, explained


def _calibrated(
    counts: Array,
    energy: EnergyAxis,
    excitation: Excitation,
    elements: tuple[str, ...],
    stated: bool,
    progress: Progress,
) -> tuple[Calibration, Explanation | None]:
    setting = setting_of(counts, energy, excitation)
    setting = setting.refined(energy, seen_detector(counts, energy, setting.detector, setting.kind))
    peaks = find_peaks(counts, energy, fwhm=setting.detector.fwhm)
    total = counts[energy.positive].sum()
    if total < _FEWEST_COUNTS:
        return unchanged(setting, f"too few counts ({total:.0f}) to refine the energy axis"), None
    if len(peaks) < FEWEST_PEAKS:
        return unchanged(setting, f"too few peaks ({len(peaks)}) to refine the energy axis"), None
    if (fwhm := 1e3 * float(setting.detector.fwhm(MN_KA_KEV))) > WIDEST_EV:
        axis = "energy axis that you stated" if stated else "file's energy axis"
        message = f"unsure: at {fwhm:.0f} eV (Mn Kα) neighbours' lines are one peak; the {axis} is kept"
        return unchanged(setting, message, doubtful=True, remedy=_WIDE_REMEDY), None
    in_place = is_near(counts, setting, peaks, elements)
    fine, explained, rivals, outdone = _likeliest(
        counts, setting, excitation, peaks, elements, stated or len(peaks) == 1, in_place, progress
    )
    fine, explained = _completed(counts, fine, explained, elements, progress)
    anchored = fine.anode == USUAL_ANODE and not lacks_soft_lines(fine, explained)
    if fine.kind in (None, "tube") and excitation.anode is None and not stated and not anchored:
        fine, explained, equal = _beside_neighbours(
            counts, setting, excitation, peaks, (fine, explained), elements, in_place, progress
        )
        rivals |= equal
    thorough = None
    if explained.best.misfit > UNEXPLAINED_MOVED:  # a thorough look, before the axis is blamed
        thorough = explain(counts, fine, elements, progress=progress)
        explained = min(explained, thorough, key=lambda one: one.best.misfit)
    rivals |= outdone and fine.anode is None  # scattered lines are explained later
    found = judged(setting, fine, explained, counts, rivals, stated)
    return found, thorough if found.refined else None


def _completed(
    counts: Array, fine: Setting, explained: Explanation, elements: tuple[str, ...], progress: Progress
) -> tuple[Setting, Explanation]:
    """Refine a coarse explanation with the anode, and with rare elements where something is missing."""
    fine, explained = _straightened(counts, fine, explained, progress)
    if fine.kind in (None, "tube"):
        fine, explained = with_likely_anode(counts, fine, explained, elements, progress)
        if fine.anode is not None:
            fine, explained = _refine(counts, fine, explained, progress)
            fine, explained = _straightened(counts, fine, explained, progress)
    if explained.best.misfit > _POOR:  # something is missing
        fine, explained = _with_all_elements(counts, fine, elements, progress)
        fine, explained = _straightened(counts, fine, explained, progress)
    return _of_other_widths(counts, fine, explained, elements, progress)


def _of_other_widths(
    counts: Array, fine: Setting, explained: Explanation, elements: tuple[str, ...], progress: Progress
) -> tuple[Setting, Explanation]:
    """Refine how the resolution depends on energy where stray peaks stand for usual elements' lines.

    Programs that make spectra, and detectors other than of silicon, have peaks of other widths.
    """
    there = {one.element for one in explained.elements}
    instead = {one for peak in unnamed_peaks(explained, there) for one in peak.elements[:1]}
    if not instead:
        return fine, explained
    known = tuple(there | instead)
    lines = explain(counts, fine, elements, known, thorough=False, progress=progress)
    lines = explain_again(counts, fine, lines, strays=False, progress=progress)
    other, _ = _refine(counts, fine, lines, progress, spreads=True)
    again = explain(counts, other, elements, known, thorough=False, progress=progress)
    temper = min(explained.best.misfit, again.best.misfit)
    if again.best.score(temper) < explained.best.score(temper) + _OTHER_WIDTHS:
        return fine, explained
    return other, again


def _cut_off(counts: Array) -> float | None:
    """Return the counts at which the peaks of a spectrum are cut off, None where they are whole."""
    highest = float(counts.max(initial=0.0))
    even = np.convolve(counts >= highest - 1, np.ones(_CUT_CHANNELS), mode="valid") >= _CUT_CHANNELS
    return highest if highest >= _CUT_COUNTS and even.any() and 2 * even.sum() < counts.size else None


def _likeliest(
    counts: Array,
    setting: Setting,
    excitation: Excitation,
    peaks: tuple[Peak, ...],
    elements: tuple[str, ...],
    near_only: bool,
    in_place: bool,
    progress: Progress,
) -> tuple[Setting, Explanation, bool, bool]:
    """Refine from the likeliest axes.

    ``near_only``: whether none further off is sought. ``in_place``: whether none further off is right.
    Returns the best result, whether another is nearly as good, and whether one explains many more peaks.
    """
    tried: list[tuple[Axis, Setting, Explanation]] = []
    for rarest in (False, True):  # the main element may be one of the rarest, where no other explains much
        for start in likely_axes(counts, setting, peaks, elements, rarest=rarest, near_only=near_only):
            if in_place and _is_far(start):
                continue
            # A far axis does not stand before one near the file's was looked at.
            looked = any(not _is_far(axis) for axis, _, _ in tried)
            found = looked and min(explained.best.misfit for _, _, explained in tried) < _POOR
            if found and start.score < max(axis.score for axis, _, _ in tried) - _CLEAR:
                continue
            if all(start.apart(axis, _RIVAL_KEV) for axis, _, _ in tried) or not rarest:
                tried.append((start, *_from_start(counts, setting, excitation, start, elements, progress)))
        told = max(axis.explained for axis, _, _ in tried) > _MUCH
        if told or min(explained.best.misfit for _, _, explained in tried) < _POOR:
            break
    shown = setting.energy.channel(np.array([peak.energy for peak in peaks]))
    temper, rivals = _ordered(tried, shown)
    if len(tried) > 1 and temper > (_POOR if rivals or _is_far(tried[0][0]) else _SCATTERED):
        # What most is scatter, or what only a far axis explains, is told by the lines of an anode.
        tried = [
            (axis, *with_likely_anode(counts, fine, explained, elements, progress))
            for axis, fine, explained in tried
        ]
        temper, rivals = _ordered(tried, shown)
    best, fine, explained = tried[0]
    most = max(axis.explained for axis, _, _ in tried)
    outdone = best.explained < min(MATCHED, most - _OUTDONE)
    return fine, explained, rivals, outdone


def _beside_neighbours(
    counts: Array,
    setting: Setting,
    excitation: Excitation,
    peaks: tuple[Peak, ...],
    found: tuple[Setting, Explanation],
    elements: tuple[str, ...],
    in_place: bool,
    progress: Progress,
) -> tuple[Setting, Explanation, bool]:
    """Return the better of what was found and what neighbours of its elements tell, and whether both may be.

    Lines of few elements and of an anode lie, on another axis, on those of their neighbours. So the main line
    is also taken for that of the element below or above, and what the anode scatters, or the last
    peak, for the line of the usual anode.
    """
    fine, explained = found
    main, last = _main_line(explained), _last_line(counts, fine)
    if main is None or last is None or last - main[0] < _APART_LINES_KEV:
        return fine, explained, False
    at, lines = main
    axes = [_change(setting.energy, fine.energy)]
    for line in lines:
        gain = (_scattered(USUAL_ANODE) - line) / (last - at)
        axes.append(_change(setting.energy, _moved(fine, line - at * gain, gain - 1).energy))
    now, *others = scored_axes(counts, setting, peaks, axes, elements)
    tried = [(now, fine, explained)]
    for start in others:
        if in_place and _is_far(start):
            continue
        if start.score > now.score - _NEIGHBOURS_WORSE and start.apart(now, _RIVAL_KEV):
            trial = _from_start(counts, setting, excitation, start, elements, progress)
            tried.append((start, *_completed(counts, *trial, elements, progress)))
    _, rivals = _ordered(tried, setting.energy.channel(np.array([peak.energy for peak in peaks])))
    return tried[0][1], tried[0][2], rivals


def _main_line(explained: Explanation) -> tuple[float, list[float]] | None:
    """Return the main line of the family that holds most counts, and those of its neighbours and it, keV."""
    spectrum, best = explained.spectrum, explained.best
    counted = dict(zip(best.index.tolist(), best.fit.amplitudes.tolist(), strict=True))
    families = [int(k) for one in best.content.elements for k in spectrum.own[one] if int(k) in counted]
    if not families:
        return None
    element, shell = split_family(spectrum.names[max(families, key=lambda k: counted[k])])
    number = atomic_number(element)
    beside = [xraylib.AtomicNumberToSymbol(number + step) for step in (0, -1, 1)]
    lines = [line.energy for one in beside if (line := main_line(one, shell)) is not None]
    return lines[0], lines


def _last_line(counts: Array, setting: Setting) -> float | None:
    """Return where the elastic line of an anode lies on an axis, without an anode the last peak, keV."""
    if setting.anode is not None:
        return _scattered(setting.anode)
    peaks = find_peaks(counts, setting.energy, fwhm=setting.detector.fwhm)
    return max((peak.energy for peak in peaks if peak.energy <= setting.high), default=None)


def _scattered(anode: str) -> float:
    """Return where Kα of an anode lies, the mean of both lines, keV."""
    lines, shares = family_lines(anode, "K", _ABOVE_EDGES_KEV)
    alpha = np.abs(lines / lines[int(shares.argmax())] - 1) < _ALPHA
    return float(np.average(lines[alpha], weights=shares[alpha]))


def _change(before: EnergyAxis, after: EnergyAxis) -> Axis:
    """Return the change that makes one axis another."""
    gain = after.width / before.width - 1
    return Axis(after.offset - before.offset * (1 + gain), gain)


def _ordered(tried: list[tuple[Axis, Setting, Explanation]], shown: NDArray[np.intp]) -> tuple[float, bool]:
    """Sort axes, the likeliest first; return what tempers their fits, and whether another is nearly as good.

    ``shown``: channels of the peaks. Axes that differ elsewhere only are no rivals: they name the same lines.
    """
    temper = min(explained.best.misfit for _, _, explained in tried)

    def likelihood(one: tuple[Axis, Setting, Explanation]) -> float:
        return _likelihood(one, temper) - _LACKING * _lacks_beam(one[1], shown)

    tried.sort(key=likelihood, reverse=True)
    at = tried[0][1].energy.energy(shown)
    least = likelihood(tried[0]) - _SURE
    return temper, any(
        np.abs(one[1].energy.energy(shown) - at).max() > _RIVAL_KEV
        for one in tried[1:]
        if likelihood(one) > least
    )


def _likelihood(tried: tuple[Axis, Setting, Explanation], temper: float) -> float:
    """Return the log-odds of an axis: of the spectrum's fit, and of its peaks, which no misfit tempers."""
    start, setting, explained = tried
    unlikely = _FAR * _is_far(start) + _LACKING * lacks_soft_lines(setting, explained)
    return explained.best.score(temper) + start.score - unlikely


def _lacks_beam(setting: Setting, shown: NDArray[np.intp]) -> bool:
    """Tell whether no peak stands where a beam of one energy scatters elastically."""
    if setting.kind != "monochromatic":
        return False
    apart = np.abs(setting.energy.energy(shown) - setting.highest_kev)
    return bool(apart.min(initial=np.inf) > 0.5 * setting.detector.fwhm(setting.highest_kev))


def _is_far(axis: Axis) -> bool:
    return axis.apart(Axis(0.0, 0.0), USUAL_SHIFT_KEV)


def _from_start(
    counts: Array,
    setting: Setting,
    excitation: Excitation,
    start: Axis,
    elements: tuple[str, ...],
    progress: Progress,
) -> tuple[Setting, Explanation]:
    """Refine from a changed axis."""
    coarse = _moved(setting, start.offset, start.gain)
    if _is_far(start):  # what was inferred from energies is inferred anew
        coarse = setting_of(counts, coarse.energy, excitation)
        coarse = coarse.refined(
            coarse.energy, seen_detector(counts, coarse.energy, coarse.detector, coarse.kind)
        )
    peaks = find_peaks(counts, coarse.energy, fwhm=coarse.detector.fwhm)
    coarse = coarse.refined(coarse.energy, _fitting_detector(counts, coarse, list(peaks)))
    usual = coarse.kind != "electron"
    hinted = (*elements, *start.elements)  # a rare element may be the main one
    explained = explain(counts, coarse, hinted, thorough=False, usual=usual, progress=progress)
    if coarse.kind in (None, "tube") and explained.best.misfit > _SCATTERED:
        # A rare element is missing that the search for axes did not name, or it is scatter.
        every = explain(counts, coarse, hinted, thorough=False, progress=progress)
        temper = min(explained.best.misfit, every.best.misfit)
        explained = max(explained, every, key=lambda one: one.best.score(temper))
    return _refine(counts, coarse, explained, progress)


def _with_all_elements(
    counts: Array, setting: Setting, elements: tuple[str, ...], progress: Progress
) -> tuple[Setting, Explanation]:
    """Explain by rare elements too, and refine."""
    return _refine(
        counts, setting, explain(counts, setting, elements, thorough=False, progress=progress), progress
    )


def _straightened(
    counts: Array, setting: Setting, explained: Explanation, progress: Progress
) -> tuple[Setting, Explanation]:
    """Refine once more from the straight line through peaks and lines, where that is likelier."""
    start = _by_lines(counts, setting, explained)
    if start is None:
        return setting, explained
    again = explain_again(counts, start, explained, progress=progress)
    other = _refine(counts, start, again, progress)
    temper = min(explained.best.misfit, other[1].best.misfit)
    return max((setting, explained), other, key=lambda one: one[1].best.score(temper))


def _by_lines(counts: Array, setting: Setting, explained: Explanation) -> Setting | None:
    """Return the setting with the axis that puts peaks on lines of what was found, if it differs."""
    columns, spectrum = [one.columns[0] for one in explained.elements], explained.spectrum
    columns += [spectrum.whole[k] for k, name in enumerate(spectrum.names) if name.endswith("elastic")]
    lines = np.array([at for column in columns for at in line_groups(column, explained.setting)])
    peaks = find_peaks(counts, setting.energy, fwhm=setting.detector.fwhm)
    if lines.size < 3 or len(peaks) < 3:
        return None
    at = np.array([peak.energy for peak in peaks])
    weight = np.sqrt([peak.significance for peak in peaks]) / softness(at)
    offset, gain = 0.0, 0.0
    for reach in np.array([3, 2, 1]) * ON_LINE_KEV * wideness(setting.detector):
        moved = at * (1 + gain) + offset
        nearest = lines[np.abs(moved[:, None] - lines).argmin(axis=1)]
        near = np.abs(nearest - moved) < reach
        # Detectors put soft lines elsewhere: these alone must not turn the axis at ten times their energy.
        hard = at[near & (at > _SOFT_LINES_KEV)]
        if near.sum() < 3 or hard.size < 2 or np.ptp(hard) < 1.0:
            return None
        gain, offset = np.polyfit(at[near], nearest[near] - at[near], 1, w=weight[near])
    if not Axis(float(offset), float(gain)).apart(Axis(0.0, 0.0), _APART_KEV):
        return None
    return _moved(setting, float(offset), float(gain))


def _moved(setting: Setting, offset: float, gain: float) -> Setting:
    old = setting.energy
    axis = EnergyAxis(old.offset * (1 + gain) + offset, old.width * (1 + gain), old.size)
    return setting.refined(axis, setting.detector)


def _fitting_detector(counts: Array, setting: Setting, peaks: list[Peak]) -> Detector:
    """Return the detector of the resolution under which Gaussians fit the strongest peaks best.

    ``counts``, ``setting``: (E,) counts, and their setting with the coarse axis. ``peaks``: peaks that lie on
    likely lines, on that axis.
    """
    at = setting.energy.energies
    net = counts - estimate_background(counts, setting.energy, fwhm=setting.detector.fwhm)
    now = float(setting.detector.fwhm(MN_KA_KEV)) ** 2
    found = []
    for peak in peaks:
        if peak.significance < _TELLING * peaks[0].significance:
            continue
        expected = float(setting.detector.fwhm(np.array(peak.energy)))
        near = setting.energy.window(peak.energy - 0.5 * expected, peak.energy + 0.5 * expected)
        height = net[near]
        if height.size < 4 or height.min() <= 0:
            continue
        # The logarithm of a Gaussian is a parabola; its bend is one over the variance.
        bend = np.polyfit(at[near] - peak.energy, np.log(height), 2, w=np.sqrt(height))[0]
        if bend < 0:
            found.append(8 * math.log(2) * -0.5 / bend - expected**2)
    if not found:
        return setting.detector
    # The smallest but one: peaks that overlap others, and doublets, look too wide, none looks too narrow.
    change = sorted(found)[min(1, len(found) - 1)] if len(found) > 2 else min(found)
    return _with_fwhm(setting.detector, now + change)


def _with_fwhm(detector: Detector, squared: float) -> Detector:
    """Return a detector with the FWHM at Mn Kα whose square is this, keV², in the range that there is."""
    now = 1e3 * float(detector.fwhm(MN_KA_KEV))
    fwhm = 1e3 * math.sqrt(max(squared, 1e-6 * _NARROWEST_EV**2))
    return with_resolution(detector, min(fwhm, max(WIDEST_EV, now)))


def _refine(
    counts: Array, setting: Setting, explained: Explanation, progress: Progress, spreads: bool = False
) -> tuple[Setting, Explanation]:
    """Gauss-Newton steps on axis, resolution and scatter with everything the spectrum shows.

    ``spreads``: whether the resolution may also depend otherwise on energy than by pairs in silicon.
    """
    for _ in range(_REFINEMENTS):
        towards = _best_step(setting, explained, spreads)
        for part in (1.0, 0.4):
            trial = _stepped(setting, towards * part, spreads)
            again = explain_again(counts, trial, explained, progress=progress)
            temper = explained.best.misfit
            gained = again.best.score(temper) - explained.best.score(temper)
            if gained > 0:
                break
        else:
            break
        setting, explained = trial, again
        if gained < _WORTH_A_STEP:
            break
    return setting, explained


def _best_step(setting: Setting, explained: Explanation, spreads: bool) -> Array:
    """Return how far to move offset, gain, width, and so on, one standard deviation each.

    ``spreads``: whether the charge pairs' spread comes next. Last, of what is scattered: angle and spread.
    """
    columns, best = explained.spectrum, explained.best
    names = [columns.names[k] for k in best.index]
    peaks = [k for k, name in enumerate(names) if not name.startswith(("continuum", "stray", "pile-up"))]
    shape = best.fit.amplitudes[peaks] @ columns.whole[best.index[peaks]]
    axis = explained.setting.energy
    slope = np.gradient(shape) / axis.width
    # Counts that lie like P(E + δ) need an axis that is δ higher; P(E + δ) = P + δ·slope.
    widening = 0.5 * np.gradient(slope) / axis.width
    _, wider = _width_step(setting)
    # One standard deviation each.
    directions = [
        slope * OFFSET_KEV,
        slope * axis.energies * GAIN,
        widening * (wider / FWHM_PER_SIGMA) ** 2,
    ]
    by_pairs = 1e-3 * setting.detector.fano * setting.detector.pair_energy_ev  # variance, keV² per keV
    directions += [widening * _FANO_PART * by_pairs * (axis.energies - MN_KA_KEV)] * spreads
    directions += _scatter_directions(explained, names)
    # Beside what may be wrong with single families, so that a tail does not pass for a worse resolution.
    moves = np.concatenate([columns.grouped(np.array(directions)), best.problem.deviations])
    problem = Problem(columns.counts, best.problem.variance, moves, columns.columns)
    return problem.fit(best.index).deviations[: len(directions)]


def _stepped(setting: Setting, moved: Array, spreads: bool) -> Setting:
    """Return the setting moved by what :func:`_best_step` tells, but not too far at once."""
    offset = float(np.clip(moved[0] * OFFSET_KEV, -0.03, 0.03))
    gain = float(np.clip(moved[1] * GAIN, -0.003, 0.003))
    changed = _moved(setting, offset, gain)
    now, wider = _width_step(setting)
    squared = now**2 + float(np.clip(moved[2], -1.0, 1.0)) * wider**2
    detector, scattered = setting.detector, moved[3 + spreads :]
    if spreads:
        factor = 1 + _FANO_PART * float(np.clip(moved[3], -2.0, 2.0))
        detector = replace(detector, fano=max(detector.fano * factor, _LEAST_FANO))
    changed = changed.refined(changed.energy, _with_fwhm(detector, squared))
    if scattered.size:
        angle = setting.scatter_deg + float(np.clip(scattered[0] * _ANGLE_DEG, -12, 12))
        spread = setting.spread_deg + float(np.clip(scattered[1] * _SPREAD_DEG, -4, 4))
        changed = replace(
            changed,
            scatter_deg=float(np.clip(angle, *_ANGLE_RANGE_DEG)),
            spread_deg=float(np.clip(spread, *_SPREAD_RANGE_DEG)),
        )
    return changed


def _width_step(setting: Setting) -> tuple[float, float]:
    """Return the resolution at Mn Kα, and what its square may change by, as one standard deviation; keV."""
    now = float(setting.detector.fwhm(MN_KA_KEV))
    return now, max(_WIDTH_STEP, 0.5 * now)


def _scatter_directions(explained: Explanation, names: list[str]) -> list[Array]:
    """Return by what the Compton peaks change with the scatter angle and its spread, one sd each, (E,)."""
    seen = [k for k, name in enumerate(names) if name.endswith("Compton")]
    if not seen:
        return []
    best, setting = explained.best, explained.setting
    found = []
    for other in (
        replace(setting, scatter_deg=setting.scatter_deg - 4),
        replace(setting, spread_deg=setting.spread_deg + 3),
    ):
        columns = scatter_columns(
            other.kind, other.highest_kev, other.anode, other.scatter_deg, other.detector, other.energy,
            other.spread_deg,
        )  # fmt: skip
        now = [explained.spectrum.whole[best.index[k]] for k in seen]
        difference = sum(
            best.fit.amplitudes[k] * (columns.get(names[k], before) - before)
            for k, before in zip(seen, now, strict=True)
        )
        found.append(np.asarray(difference))
    return [found[0] * (-_ANGLE_DEG / 4), found[1] * (_SPREAD_DEG / 3)]
