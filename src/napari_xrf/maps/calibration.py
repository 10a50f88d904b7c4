"""Energy axis and resolution, refined on a spectrum: files are often 20 to 40 eV off."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA, MN_KA_KEV
from napari_xrf.core.emission_lines import emission_lines
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.maps.background import estimate_background
from napari_xrf.maps.blas_threads import one_blas_thread
from napari_xrf.maps.candidates import candidates, log_odds
from napari_xrf.maps.explanation import Explanation, explain, explain_again
from napari_xrf.maps.joint_fit import Problem
from napari_xrf.maps.peaks import Peak, find_peaks
from napari_xrf.maps.setting import Setting, setting_of
from napari_xrf.physics.detector.detector import Detector, with_resolution

Array = NDArray[np.float64]

REFERENCE_KEV = (1.74, 6.4, 12.0)  # where shifts are told
_FEWEST_PEAKS = 2
_FEWEST_COUNTS = 300.0
# What files get wrong, one standard deviation: the offset and the gain.
_OFFSET_KEV, _GAIN = 0.03, 0.002
_MATCH_KEV = 0.014  # spread of peaks about their lines under a right calibration
_LARGEST_SHIFT_KEV = 0.12
_FWHM_RANGE_EV = (90.0, 320.0)  # at Mn Kα: from the best drift detectors to bad ones
_REFINEMENTS = 3
_TELLING = 0.15  # peaks of this part of the strongest one's significance tell the resolution


@dataclass(frozen=True, eq=False)
class Calibration:
    """A refined energy axis and detector.

    Attributes
    ----------
    energy
        The refined axis; the file's own where ``refined`` is false.
    detector
        The detector with the refined resolution.
    shifts_ev
        (keV, eV) pairs: how far the refined axis puts a channel above the file's at some energies.
    peaks
        How many peaks decided it.
    quality
        Root-mean-square distance of these peaks from their lines in eV; nan where not refined.
    refined
        Whether there was enough to refine.
    message
        In words: what was done, or why nothing was.
    """

    energy: EnergyAxis
    detector: Detector
    shifts_ev: tuple[tuple[float, float], ...]
    peaks: int
    quality: float
    refined: bool
    message: str


def calibrate(
    spectrum: ArrayLike,
    energy: EnergyAxis,
    *,
    excitation: Excitation | None = None,
    elements: tuple[str, ...] = (),
    progress: Progress = ignore_progress,
) -> Calibration:
    """Refine energy axis and resolution on a summed spectrum.

    First the offset and gain under which most peaks lie on lines of likely elements (a search on a
    grid, with a prior of 30 eV and 0.2 %), then a least-squares refinement of offset, gain and
    resolution with all elements the spectrum shows (Gauss-Newton steps of the full model).

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

    Returns
    -------
    The refined axis and detector, or the file's own and a reason when there are too few counts or peaks.
    """
    counts = np.clip(np.asarray(spectrum, dtype=np.float64), 0, None)
    setting = setting_of(counts, energy, excitation or Excitation())
    peaks = find_peaks(counts, energy, fwhm=setting.detector.fwhm)
    if counts[energy.positive].sum() < _FEWEST_COUNTS or len(peaks) < _FEWEST_PEAKS:
        return _unchanged(setting, f"too few counts or peaks ({len(peaks)}) to refine the energy axis")
    lines, odds = _known_lines(setting, elements)
    offset, gain = _search_grid(peaks, lines, odds)
    coarse = _moved(setting, offset, gain)
    moved = [replace(peak, energy=peak.energy * (1 + gain) + offset) for peak in peaks]
    matched = [peak for peak in moved if np.abs(lines - peak.energy).min() < 2 * _MATCH_KEV]
    coarse = coarse.refined(coarse.energy, _fitting_detector(counts, coarse, matched))
    fine, explained = _refine(counts, coarse, elements, progress)
    return _judged(setting, fine, explained, counts)


def _unchanged(setting: Setting, message: str) -> Calibration:
    shifts = tuple((at, 0.0) for at in REFERENCE_KEV)
    return Calibration(setting.energy, setting.detector, shifts, 0, math.nan, False, message)


def _known_lines(setting: Setting, elements: tuple[str, ...]) -> tuple[Array, Array]:
    """Energies of peaks that a sample is likely to show, and how likely each is (log-odds)."""
    energies, odds = [], []
    for one in candidates(setting, elements):
        if log_odds(one.element, elements) < -5:
            continue
        for rank, at in enumerate(_line_groups(one.columns[0], setting)):
            energies.append(at)
            odds.append(one.log_odds - rank)
    for line, odd in _anode_lines(setting):
        energies.append(line)
        odds.append(odd)
    return np.array(energies), np.array(odds)


def _anode_lines(setting: Setting) -> list[tuple[float, float]]:
    """Energies and log-odds of the lines that the anode of a tube scatters into the detector."""
    if setting.anode is None or setting.kind != "tube":
        return []
    lines = emission_lines(setting.anode)
    return [(line.energy, -1.0) for line in lines if line.transition in ("KL3", "L3M5")]


def _line_groups(profile: Array, setting: Setting) -> list[float]:
    """Centres of a column's main peak and, where it stands apart, of the next one (Kβ, Lβ)."""
    rest = np.array(profile)
    groups: list[float] = []
    while len(groups) < 2 and rest.max() > 0.05 * profile.max():
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


def _search_grid(peaks: tuple[Peak, ...], lines: Array, odds: Array) -> tuple[float, float]:
    """Return the offset in keV and relative gain that put the strongest peaks on likely lines."""
    strongest = peaks[:14]
    at = np.array([peak.energy for peak in strongest])
    # The strongest count most: weak peaks may be Bragg reflections or sums of pulses.
    weight = 8 * np.sqrt(np.array([peak.significance for peak in strongest]) / strongest[0].significance)
    offsets = np.arange(-0.10, 0.1001, 0.004)
    gains = np.arange(-0.006, 0.00601, 0.0005)
    offset, gain = (grid.ravel() for grid in np.meshgrid(offsets, gains, indexing="ij"))
    moved = at[None, :] * (1 + gain[:, None]) + offset[:, None]
    distance = moved[:, :, None] - lines[None, None, :]
    width = np.hypot(_MATCH_KEV, [peak.energy_error for peak in strongest])
    match = np.exp(-0.5 * (distance / width[None, :, None]) ** 2 + 0.25 * odds[None, None, :]).max(axis=2)
    score = match @ weight - 0.5 * (offset / _OFFSET_KEV) ** 2 - 0.5 * (gain / _GAIN) ** 2
    best = int(np.argmax(score))
    return float(offset[best]), float(gain[best])


def _moved(setting: Setting, offset: float, gain: float) -> Setting:
    old = setting.energy
    axis = EnergyAxis(old.offset * (1 + gain) + offset, old.width * (1 + gain), old.size)
    return setting.refined(axis, setting.detector)


def _fitting_detector(counts: Array, setting: Setting, peaks: list[Peak]) -> Detector:
    """Return the detector of the resolution under which Gaussians fit the strongest peaks best.

    Parameters
    ----------
    counts, setting
        (E,) counts, and their setting with the coarse axis.
    peaks
        Peaks that lie on likely lines, on that axis.
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
    return with_resolution(setting.detector, _bounded_fwhm(1e3 * math.sqrt(max(now + change, 0.0081))))


def _bounded_fwhm(fwhm_ev: float) -> float:
    return min(max(fwhm_ev, _FWHM_RANGE_EV[0]), _FWHM_RANGE_EV[1])


def _refine(
    counts: Array, setting: Setting, elements: tuple[str, ...], progress: Progress
) -> tuple[Setting, Explanation]:
    """Gauss-Newton steps on offset, gain and resolution with everything the spectrum shows."""
    explained = explain(counts, setting, elements, progress=progress)
    for _ in range(_REFINEMENTS):
        for part in (1.0, 0.4):
            trial = _step(counts, setting, explained, part)
            again = explain_again(counts, trial, explained, progress)
            if again.fit.chi_square < explained.fit.chi_square:
                break
        else:
            break
        setting, explained = trial, again
    return setting, explained


@one_blas_thread()
def _step(counts: Array, setting: Setting, explained: Explanation, part: float) -> Setting:
    families = [
        position
        for position, name in enumerate(explained.names)
        if not name.startswith(("continuum", "stray", "pile-up"))
    ]
    peaks = explained.fit.amplitudes[families] @ explained.columns[families]
    fitted = setting.fitted
    at, width = setting.energy.energies[fitted], setting.energy.width
    slope = np.gradient(peaks) / width
    # Counts that lie like P(E + δ) need an axis that is δ higher; P(E + δ) = P + δ·slope.
    widening = 0.5 * np.gradient(slope) / width
    directions = np.array(
        [slope * _OFFSET_KEV, slope * at * _GAIN, widening * (0.1 / FWHM_PER_SIGMA) ** 2]
    )  # one standard deviation each
    # Beside what may be wrong with single families, so that a tail does not pass for a worse resolution.
    known = explained.problem.deviations
    before = explained.problem
    problem = Problem(counts[fitted], before.variance, np.concatenate([directions, known]), before.starts)
    moved = problem.fit(explained.columns).deviations[: len(directions)] * part
    offset = float(np.clip(moved[0] * _OFFSET_KEV, -0.03, 0.03))
    gain = float(np.clip(moved[1] * _GAIN, -0.003, 0.003))
    changed = _moved(setting, offset, gain)
    now = float(setting.detector.fwhm(MN_KA_KEV))
    variance = now**2 + float(np.clip(moved[2], -1.0, 1.0)) * 0.1**2
    fwhm = _bounded_fwhm(1e3 * math.sqrt(max(variance, 0.0081)))
    return changed.refined(changed.energy, with_resolution(setting.detector, fwhm))


def _judged(before: Setting, after: Setting, explained: Explanation, counts: Array) -> Calibration:
    lines = [line for one in explained.elements for line in _line_groups(one.columns[0], after)]
    lines += [line for line, _ in _anode_lines(after)]
    found = find_peaks(counts, after.energy, fwhm=after.detector.fwhm)
    distances = [min((abs(peak.energy - line) for line in lines), default=math.inf) for peak in found]
    used = [distance for distance in distances if distance < 0.03]
    if len(used) < _FEWEST_PEAKS:
        return _unchanged(before, "the peaks fit no likely elements: the file's energy axis is kept")
    shifts = []
    for at in REFERENCE_KEV:
        channel = (at - before.energy.offset) / before.energy.width
        shifts.append((at, 1e3 * float(after.energy.energy(channel) - at)))
    if max(abs(shift) for _, shift in shifts) > 1e3 * _LARGEST_SHIFT_KEV:
        return _unchanged(before, "the refined energy axis lies too far off: the file's is kept")
    quality = 1e3 * math.sqrt(sum(distance**2 for distance in used) / len(used))
    fwhm = 1e3 * float(after.detector.fwhm(MN_KA_KEV))
    message = f"{len(used)} peaks, {quality:.1f} eV from their lines; {fwhm:.0f} eV wide at Mn Kα"
    return Calibration(after.energy, after.detector, tuple(shifts), len(used), quality, True, message)
