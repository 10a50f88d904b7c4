"""Offset and gain under which a spectrum's peaks are the lines of likely elements, sought anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_xrf.core.constants import ELECTRON_REST_KEV, FWHM_PER_SIGMA, MN_KA_KEV
from napari_xrf.core.emission_lines import SHELLS, edge_energy, family_lines
from napari_xrf.maps.spectra.background import estimate_background, typical_fwhm
from napari_xrf.maps.spectra.candidates import known_elements
from napari_xrf.maps.spectra.non_negative import fit_bounded
from napari_xrf.maps.spectra.peaks import Peak
from napari_xrf.maps.spectra.resolution import WIDEST_EV, wideness
from napari_xrf.maps.spectra.scatter import ANODES
from napari_xrf.maps.spectra.setting import Setting

Array = NDArray[np.float64]

REFERENCE_KEV = (1.74, 6.4, 12.0)  # where axes are compared
_PEAKS = 20
# What files get wrong, one standard deviation: the offset and the gain. Few are further off, but those that
# are may be anywhere: a normal prior with a long tail.
OFFSET_KEV, GAIN, _LONG_TAIL = 0.03, 0.002, 6.0
_MATCH_KEV, _LOOSE = 0.012, 0.001  # spread of peaks about lines under a right calibration, also of energy
_BROAD_KEV = 0.5  # over which the density of lines is averaged: a match where lines are many tells little
_NO_LINE = 0.15  # part of the peaks that are no line of a likely element
_NEAR_OFFSETS, _NEAR_GAINS = np.arange(-0.1, 0.1001, 0.005), np.arange(-0.006, 0.00601, 0.0005)
_FAR_OFFSETS, _FAR_GAINS = np.arange(-1.05, 0.151, 0.015), np.exp(np.arange(-0.8, 0.8, 0.0025)) - 1
_TRIED = 36  # axes whose patterns of lines are fitted
_APART_KEV, _SAME_KEV = 0.02, 0.008
_ALIKE_KEV = 1e-6  # axes no further apart are one, but for rounding
USUAL_SHIFT_KEV = 0.12  # how far off files' axes are at most but for rare ones
# What is asked of axes further off: log-odds below the best near one's at most, part of the peaks explained.
_FAR_WORSE, _FAR_MORE, _FAR_EXPLAINED = 0.0, 0.1, 0.4
_MOST = 3  # likely axes
# Log-odds of lines against chance, by single peaks alone, from which an axis near the file's is not far off
# though families' ratios do not fit: 4.4 at most on 463 wrong axes of measured spectra.
_IN_PLACE = 6.0
_NEAR_WORSE = 30.0  # log-odds below the best near one beyond which no refinement makes an axis the best
_REACH = 9.0  # standard deviations, of a line's peak
_RATIO_ERROR = 0.25  # of the counts of a family's peaks: absorption, efficiency and overlaps
_UNEXPLAINED = 16.0  # most that the strongest peak costs where it is of no line, log-odds
_SUM_KEV, _SUM_PART, _SUM_WEIGHT = 0.06, 0.05, 0.2  # of peaks that may be two pulses at once
_TYPICAL_FWHM_EV, _FWHM_SPREAD = 140.0, 0.2
_WIDE_LOG_ODDS = -5.0  # of a detector with any width from there to the widest
# Lines above have a Compton peak apart: about where this angle puts it, known to a part of its loss.
_COMPTON_KEV, _SCATTER_DEG, _SPREAD_PART = 8.0, 132.0, 0.2


@dataclass(frozen=True)
class Axis:
    """A change of an energy axis: ``E (1 + gain) + offset``.

    ``score`` tells how likely it is (log-odds), ``explained`` which part of the peaks (by the root of their
    significance) lies on lines, ``elements`` on whose, those of usual anodes left out.
    """

    offset: float
    gain: float
    score: float = 0.0
    explained: float = 0.0
    elements: tuple[str, ...] = ()

    def moved(self, energy: float) -> float:
        """Return where the changed axis puts an energy."""
        return energy * (1 + self.gain) + self.offset

    def apart(self, other: Axis, by_kev: float = _APART_KEV) -> bool:
        """Whether two changes differ by more than some keV between 1.74 and 12 keV."""
        return max(abs(self.moved(at) - other.moved(at)) for at in REFERENCE_KEV) > by_kev


def log_prior(offset: Array, gain: Array) -> Array:
    """Return the logarithm of how probable errors of offset (keV) and gain are, but for a constant."""
    unusual = 0.5 * (np.asarray(offset) / OFFSET_KEV) ** 2 + 0.5 * (np.asarray(gain) / GAIN) ** 2
    beyond = np.maximum(unusual - _LONG_TAIL, 0)
    return np.asarray(-np.minimum(unusual, _LONG_TAIL) - np.log1p(beyond))


def likely_axes(
    spectrum: Array,
    setting: Setting,
    peaks: tuple[Peak, ...],
    listed: tuple[str, ...] = (),
    rarest: bool = False,
    near_only: bool = False,
) -> list[Axis]:
    """Return the likeliest changes of a spectrum's axis, apart from each other, the best first, and none.

    Every axis of a grid (near the stated one finely, from 0.45 to 2.2 of its gain coarsely) is scored by how
    many peaks lie on lines, against how many would by chance. For the best of them the
    peaks are fitted by families of lines in their ratios, lines that ought to show and do not counting
    against a family. Axes more than 120 eV off are told where they explain clearly more of the peaks than
    any nearer one, nearer ones where they are not far worse than the best of these. The stated axis is among
    them where none of the others is within 8 eV of it.
    Lines of the rarest elements count only where ``rarest``: among so many, chance matches are more.
    Where ``near_only``, none of them is more than 120 eV off.
    """
    search = _AxisSearch(spectrum, setting, peaks[:_PEAKS], _families(setting, listed, rarest))
    starts = search.best_of(_NEAR_OFFSETS, _NEAR_GAINS, _TRIED // 3)
    if not near_only:
        # Of few peaks, how rare far axes are tells more than where the peaks lie: the best without that too.
        starts += search.best_of(_FAR_OFFSETS, _FAR_GAINS, _TRIED, _TRIED // 3)
    straight: list[Axis] = []
    for axis in map(search.straightened, dict.fromkeys(starts)):  # many come to the same
        if all(axis.apart(other, _ALIKE_KEV) for other in straight):
            straight.append(axis)
    judged = sorted(map(search.scored, straight), key=lambda axis: -axis.score)
    stated = search.scored(Axis(0.0, 0.0))
    near = [axis for axis in judged if not axis.apart(stated, USUAL_SHIFT_KEV)]
    best = max((*near, stated), key=lambda axis: axis.score)
    far = [
        axis
        for axis in judged
        if axis not in near
        and not near_only
        and axis.score > best.score - _FAR_WORSE
        and axis.explained > max(best.explained + _FAR_MORE, _FAR_EXPLAINED)
    ]
    found: list[Axis] = []
    for axis in sorted((*near, *far), key=lambda axis: -axis.score):
        if len(found) < _MOST and axis.score > best.score - _NEAR_WORSE:
            found += [axis] * all(search.differ(axis, other) for other in found)
    if all(axis.apart(stated, _SAME_KEV) for axis in found):
        found.append(stated)
    return found


def is_near(spectrum: Array, setting: Setting, peaks: tuple[Peak, ...], listed: tuple[str, ...] = ()) -> bool:
    """Tell whether peaks lie on lines by an axis near the stated one as they hardly do by chance.

    Then none further off is right, though families' ratios do not fit: scripts may leave out Kβ.
    """
    search = _AxisSearch(spectrum, setting, peaks[:_PEAKS], _families(setting, listed, rarest=False))
    return search.in_place() > _IN_PLACE


def scored_axes(
    spectrum: Array, setting: Setting, peaks: tuple[Peak, ...], axes: list[Axis], listed: tuple[str, ...] = ()
) -> list[Axis]:
    """Return changes of a spectrum's axis, each with its score, as :func:`likely_axes` judges them."""
    search = _AxisSearch(spectrum, setting, peaks[:_PEAKS], _families(setting, listed, rarest=False))
    return [search.scored(axis) for axis in axes]


@dataclass(frozen=True, eq=False)
class _Family:
    """Peaks of a family: keV, share of its photons, and how uncertain their place is."""

    element: str
    log_odds: float
    energies: Array
    shares: Array
    spread_kev: float = 0.0


class _AxisSearch:
    def __init__(
        self, spectrum: Array, setting: Setting, peaks: tuple[Peak, ...], families: list[_Family]
    ) -> None:
        self.setting, self.peaks, self.spectrum = setting, peaks, spectrum
        self.at = np.array([peak.energy for peak in peaks])
        self.counts = np.array([peak.counts for peak in peaks])
        significance = np.array([peak.significance for peak in peaks])
        # The strongest count most: weak peaks may be Bragg reflections or sums of pulses.
        self.weight = np.sqrt(significance / significance[0]) * np.where(_are_sums(peaks), _SUM_WEIGHT, 1.0)
        self.errors = np.hypot(_RATIO_ERROR * self.counts, self.counts / significance)
        self.families = families
        self._below = np.concatenate([[0.0], np.cumsum(spectrum)])  # counts below each channel
        self._spread = np.array([family.spread_kev for family in self.families])
        self._main = np.array([family.energies[0] for family in self.families])
        self.fwhm, self.wide = _seen_fwhm(spectrum, setting, peaks), wideness(setting.detector)

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        """Energies, and there the logarithm of how much likelier a line is than elsewhere near."""
        step = 0.004
        energies = np.arange(0.1, 60.0, step)
        density = np.zeros(energies.size)
        for family in self.families:
            for rank, line in enumerate(family.energies):
                width = np.hypot(_MATCH_KEV * self.wide, _LOOSE * line)
                near = slice(*np.searchsorted(energies, (line - 5 * width, line + 5 * width)))
                odds = np.exp(0.5 * (family.log_odds - rank))
                density[near] += odds / width * np.exp(-0.5 * ((energies[near] - line) / width) ** 2)
        reach = np.arange(-4 * _BROAD_KEV, 4 * _BROAD_KEV + 0.5 * step, step) / _BROAD_KEV
        kernel = np.exp(-0.5 * reach**2)
        broad = np.convolve(density, kernel / kernel.sum(), mode="same")
        ratio = density / np.maximum(broad, 1e-3 * broad.max())
        return energies, np.log(_NO_LINE + (1 - _NO_LINE) * ratio)

    def differ(self, first: Axis, second: Axis) -> bool:
        """Return whether two axes put peaks elsewhere; what they do where there is none does not count."""
        moved = self.at * (first.gain - second.gain) + first.offset - second.offset
        return first.apart(second) and bool(np.abs(moved).max() > _SAME_KEV)

    def best_of(self, offsets: Array, gains: Array, most: int, unweighed: int = 0) -> list[Axis]:
        """Return the best axes of a grid by single peaks, at most one among its neighbours.

        ``most``: how many by how probable such an error of the axis is as well; ``unweighed``: and without.
        """
        gain, offset = np.meshgrid(gains, offsets, indexing="ij")
        score = self._by_single_peaks(offset, gain) + self._resolution_prior(gain)
        found: list[Axis] = []
        for some, values in ((most, score + log_prior(offset, gain)), (unweighed, score)):
            if some:
                around = np.pad(values, ((1, 1), (2, 2)), constant_values=-np.inf)
                beside = sliding_window_view(around, 3, axis=0).max(axis=2)
                highest = sliding_window_view(beside, 5, axis=1).max(axis=2)
                tops = np.flatnonzero(values == highest)
                best = tops[np.argsort(-values.flat[tops], kind="stable")[:some]]
                found += [Axis(float(offset.flat[k]), float(gain.flat[k])) for k in best]
        return found

    def in_place(self) -> float:
        """Return the log-odds of the best axis near the stated one by single peaks, against chance."""
        gain, offset = np.meshgrid(_NEAR_GAINS, _NEAR_OFFSETS, indexing="ij")
        return float((self._by_single_peaks(offset, gain) + log_prior(offset, gain)).max())

    def _by_single_peaks(self, offset: Array, gain: Array) -> Array:
        """Return log-odds that peaks lie on lines, against chance, for axes of a grid."""
        moved = self.at[:, None, None] * (1 + gain) + offset  # rising: places in a table are found sooner
        energies, table = self._table
        odds = np.interp(moved, energies, table, left=np.log(_NO_LINE), right=np.log(_NO_LINE))
        return np.asarray(np.ascontiguousarray(np.moveaxis(odds, 0, -1)) @ self.weight)

    def _resolution_prior(self, gain: Array) -> Array:
        if self.fwhm is None:
            return np.zeros(np.shape(gain))
        energy, width = self.fwhm
        wide, stated = width * (1 + gain), energy * (1 + gain)
        pairs = FWHM_PER_SIGMA**2 * 0.12 * 3.65e-3 * (MN_KA_KEV - stated)
        at_manganese = 1e3 * np.sqrt(np.maximum(wide**2 + pairs, 1e-3))
        usual = -0.5 * (np.log(at_manganese / _TYPICAL_FWHM_EV) / _FWHM_SPREAD) ** 2
        possible = (at_manganese > _TYPICAL_FWHM_EV) & (at_manganese < WIDEST_EV)
        return np.where(possible, np.maximum(usual, _WIDE_LOG_ODDS), usual)

    def straightened(self, axis: Axis) -> Axis:
        """Return an axis moved a little, towards the lines of families that explain its peaks."""
        for wide in (0.0035, 0.0015):
            near, rows = self._near(axis, wide)
            _, amplitudes, _ = self._fitted(near, rows, list(range(len(near))))
            explained = np.array(rows)[:, :-1].max(axis=1) * amplitudes > 1.0 if near else ()
            axis = self._moved(axis, [family for family, kept in zip(near, explained, strict=True) if kept])
        return axis

    def scored(self, axis: Axis) -> Axis:
        """Return an axis with the score of the likeliest families that explain its peaks."""
        near, rows = self._near(axis, 0.0)
        kept = self._paying(near, rows)
        found, used = self._with_score(axis, near, rows, kept), [near[k] for k in kept]
        # Lines of those let go may have drawn the axis.
        moved = self._moved(axis, used) if used else axis
        near, rows = self._near(moved, 0.0)
        again = self._with_score(moved, near, rows, [k for k, one in enumerate(near) if one in used])
        return max(found, again, key=lambda one: one.score)

    def _paying(self, near: list[_Family], rows: list[Array]) -> list[int]:
        """Return the families that remain when those that explain too little are let go."""
        kept = list(range(len(near)))
        score, amplitudes, _ = self._fitted(near, rows, kept)
        kept, amplitudes = [k for k in kept if amplitudes[k] > 0], amplitudes[amplitudes > 0]
        while kept:
            chosen = np.array([rows[k] for k in kept])
            at_peaks, missing = chosen[:, :-1], chosen[:, -1]
            normal = at_peaks @ at_peaks.T + np.diag(missing**2)
            normal.flat[:: len(kept) + 1] *= 1 + 1e-9
            inverse = np.linalg.inv(normal)
            # What the others take over from each, to first order: none of them falls to 0.
            without = np.maximum(amplitudes - inverse * (amplitudes / inverse.diagonal())[:, None], 0)
            left = np.minimum((self.counts / self.errors - without @ at_peaks) ** 2 / 2, 1) @ self.weight
            rest = -0.5 * (without**2 @ missing**2) - left * _UNEXPLAINED
            odds = [self._log_odds([near[k] for k in kept if k != one]) for one in kept]
            other = [kept[k] for k in range(len(kept)) if k != int(np.argmax(rest + odds))]
            fewer, amplitudes, _ = self._fitted(near, rows, other)
            if fewer < score:
                break
            score, kept = fewer, [k for k, amplitude in zip(other, amplitudes, strict=True) if amplitude > 0]
            amplitudes = amplitudes[amplitudes > 0]
        return kept

    @staticmethod
    def _log_odds(families: list[_Family]) -> float:
        """Return how likely it is that a sample shows some families: each element counts once."""
        by_element: dict[str, float] = {}
        for family in families:
            odds = family.log_odds - 2.0
            by_element[family.element] = max(odds, by_element.get(family.element, odds))
        return sum(by_element.values()) - 0.5 * (len(families) - len(by_element))

    def _with_score(self, axis: Axis, near: list[_Family], rows: list[Array], kept: list[int]) -> Axis:
        gain = np.array(axis.gain)
        prior = log_prior(np.array(axis.offset), gain) + self._resolution_prior(gain)
        elements = tuple(sorted({near[k].element for k in kept} - set(ANODES)))
        score, _, explained = self._fitted(near, rows, kept)
        return Axis(axis.offset, axis.gain, score + float(prior), explained, elements)

    def _near(self, axis: Axis, wide: float) -> tuple[list[_Family], list[Array]]:
        """Return families whose main line is at a peak, and what each puts into the peaks and beside them."""
        moved = self.at * (1 + axis.gain) + axis.offset
        width = np.hypot(_MATCH_KEV * self.wide, np.hypot(_LOOSE, wide) * moved)
        close = np.abs(moved[:, None] - self._main) < 2.4 * np.hypot(width[:, None], self._spread)
        near = [self.families[k] for k in np.flatnonzero(close.any(axis=0))]
        rows = []
        for family, missing in zip(near, self._missing(near, moved, axis), strict=True):
            own = np.hypot(width, family.spread_kev)[:, None]
            at_peaks = np.exp(-0.5 * ((moved[:, None] - family.energies) / own) ** 2)
            rows.append(np.append(at_peaks @ family.shares / self.errors, missing))
        return near, rows

    def _fitted(self, near: list[_Family], rows: list[Array], kept: list[int]) -> tuple[float, Array, float]:
        """Return the score of some families, their amplitudes, and the part of the peaks explained."""
        wanted = self.counts / self.errors
        squares, score, amplitudes = wanted**2, 0.0, np.zeros(0)
        if kept:
            chosen = np.array([rows[k] for k in kept])
            design = np.concatenate([chosen[:, :-1].T, np.diag(chosen[:, -1])])
            amplitudes = fit_bounded(design, np.concatenate([wanted, np.zeros(len(kept))]))
            squares = (wanted - chosen[:, :-1].T @ amplitudes) ** 2
            score = -0.5 * float(((amplitudes * chosen[:, -1]) ** 2).sum())
            score += self._log_odds([near[k] for k in kept])
        left = float(self.weight @ np.minimum(squares / 2, 1))
        return score - left * _UNEXPLAINED, amplitudes, 1 - left / float(self.weight.sum())

    def _moved(self, axis: Axis, used: list[_Family]) -> Axis:
        """Return the axis that puts the peaks best on the lines of some families."""
        if all(family.spread_kev for family in used):
            return axis
        moved = self.at * (1 + axis.gain) + axis.offset
        lines = np.concatenate([family.energies for family in used if not family.spread_kev])
        nearest = lines[np.abs(moved[:, None] - lines).argmin(axis=1)]
        near = np.abs(nearest - moved) < 0.03 * self.wide + 0.004 * moved
        if near.sum() < 3 or np.ptp(moved[near]) < 1.0:
            return axis
        # Drawn towards the axis it came from, so that chance neighbours do not turn it.
        rows = np.array([np.ones(near.sum()), moved[near]]).T * self.weight[near, None] / 0.006
        pull = np.diag([1 / 0.02, 1 / 0.003])
        wanted = np.concatenate([(nearest - moved)[near] * self.weight[near] / 0.006, [0.0, 0.0]])
        shift, gain = np.linalg.lstsq(np.concatenate([rows, pull]), wanted, rcond=None)[0]
        return Axis(axis.offset * (1 + gain) + float(shift), (1 + axis.gain) * (1 + float(gain)) - 1)

    def _missing(self, families: list[_Family], moved: Array, axis: Axis) -> Array:
        """Return what each family's photon puts where no peak is, in units of what would be seen there."""
        if not families:
            return np.zeros(0)
        energy, lines = self.setting.energy, np.concatenate([family.energies for family in families])
        shares = np.concatenate([family.shares for family in families])
        reach = 2.5 * np.asarray(self.setting.detector.fwhm(np.maximum(lines, 0.1)))
        alone = np.abs(lines[:, None] - moved).min(axis=1) > np.minimum(reach, 0.35 * self.wide)
        stated, half = (lines - axis.offset) / (1 + axis.gain), 0.08 * self.wide
        inside = alone & (stated > max(self.setting.low, 0.3)) & (stated < energy.energies[-1])
        first, stop = np.searchsorted(energy.energies, [stated - half, stated + half])
        seen = 6 * np.sqrt(self._below[stop] - self._below[first] + 4.0)
        starts = np.cumsum([0, *(family.energies.size for family in families[:-1])])
        return np.asarray(np.sqrt(np.add.reduceat(np.where(inside, shares / seen, 0.0) ** 2, starts)))


def _families(setting: Setting, listed: tuple[str, ...], rarest: bool) -> list[_Family]:
    """Return the families of likely elements, and the single lines that a tube's anode scatters."""
    highest = setting.highest_kev if setting.source is not None or setting.kind == "electron" else 60.0
    wide = round(wideness(setting.detector), 2)
    found = []
    for element, odds in known_elements(listed, rarest):
        for shell in SHELLS:
            edge = edge_energy(element, {"K": "K", "L": "L3", "M": "M5"}[shell])
            if not 0.2 < edge < 1.2 * highest:
                continue
            at, shares = _peaks_of(element, shell, edge, wide)
            if at.size:
                found.append(_Family(element, odds - 1.5 * "KLM".index(shell), at, shares))
    if setting.kind in (None, "tube"):
        for anode in (setting.anode,) if setting.anode else ANODES:
            for shell, line in (("K", "K"), ("L", "L3")):
                at, shares = _peaks_of(anode, shell, edge_energy(anode, line), wide)
                odds = -1.0 if setting.anode else -3.0
                if at.size:
                    found.append(_Family(anode, odds, at, shares))
                if at.size and at[0] > _COMPTON_KEV:
                    lost = at[:1] / ELECTRON_REST_KEV * (1 - np.cos(np.radians(_SCATTER_DEG)))
                    spread = _SPREAD_PART * float(at[0] * lost[0])
                    found.append(_Family(anode, odds, at[:1] / (1 + lost), np.ones(1), spread))
    return found


@lru_cache(maxsize=1024)
def _peaks_of(element: str, shell: str, edge: float, wide: float) -> tuple[Array, Array]:
    """Return the peaks, (N,) keV and shares, that a detector shows of a family, the highest first.

    ``wide``: how many times wider than usual its peaks are.
    """
    at, shares = family_lines(element, shell, 1.6 * edge + 0.5)
    if not at.size:
        return at, shares
    step = 0.003
    grid = np.arange(max(at.min() - 0.3, step), at.max() + 0.3, step)
    fwhm = wide * typical_fwhm(at)
    sigma = fwhm / FWHM_PER_SIGMA
    profile = np.zeros(grid.size)
    first, stop = np.searchsorted(grid, [at - _REACH * sigma, at + _REACH * sigma])
    for line, share, wide_kev, start, end in zip(at, shares, sigma, first, stop, strict=True):
        profile[start:end] += share / wide_kev * np.exp(-0.5 * ((grid[start:end] - line) / wide_kev) ** 2)
    inner = profile[1:-1]
    tops = (
        np.flatnonzero((inner > profile[:-2]) & (inner >= profile[2:]) & (inner > 0.01 * profile.max())) + 1
    )
    nearest = np.abs(grid[tops] - at[:, None]).argmin(axis=1)
    summed = np.asarray(np.bincount(nearest, shares, tops.size), dtype=np.float64)
    # A search for peaks sees centres, and lines beside the highest draw them.
    near = shares * (np.abs(grid[tops][nearest] - at) < 0.7 * fwhm)
    weight = np.bincount(nearest, near, tops.size)
    centres = np.where(
        weight > 0, np.bincount(nearest, near * at, tops.size) / np.maximum(weight, 1e-9), grid[tops]
    )
    kept = np.argsort(-profile[tops])[:4]
    return centres[kept], summed[kept]


def _are_sums(peaks: tuple[Peak, ...]) -> NDArray[np.bool_]:
    """Whether each peak may be the sum of two much stronger ones: on any axis without offset it is."""
    at, counts = np.array([peak.energy for peak in peaks]), np.array([peak.counts for peak in peaks])
    sums = np.abs(at[:, None] + at - at[:, None, None]) < _SUM_KEV
    stronger = counts[:, None, None] < _SUM_PART * np.minimum(counts[:, None], counts)
    return np.asarray((sums & stronger).any(axis=(1, 2)))


def _seen_fwhm(spectrum: Array, setting: Setting, peaks: tuple[Peak, ...]) -> tuple[float, float] | None:
    """Return energy and FWHM in keV of a strong narrow peak, on the stated axis."""
    net = spectrum - estimate_background(spectrum, setting.energy, fwhm=setting.detector.fwhm)
    at, found = setting.energy.energies, []
    for peak in peaks[:5]:
        top = int(np.argmin(np.abs(at - peak.energy)))
        half = 0.5 * float(net[max(top - 1, 0) : top + 2].mean())
        if half <= 5:
            continue
        left = top - int(np.argmax(net[top::-1] < half))
        right = top + int(np.argmax(net[top:] < half))
        if right > left + 2:
            found.append((peak.energy, (right - left - 1) * setting.energy.width))
    if not found:
        return None
    return min(found, key=lambda one: one[1] / np.sqrt(max(one[0], 0.3) + 1.5))
