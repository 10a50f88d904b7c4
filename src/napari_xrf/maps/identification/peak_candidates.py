"""What a single peak may be: lines whose energy fits, ranked by whether their siblings are there too."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import xraylib
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import HEAVIEST, SHELLS, EmissionLine, emission_lines, family_lines
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.spectra.background import estimate_background, typical_fwhm
from napari_xrf.maps.spectra.candidates import log_odds
from napari_xrf.maps.spectra.peaks import Peak, find_peaks

_LEAST_SHARE = 0.02  # of a family: weaker lines explain no peak
_SILICON_KEV = 1.740  # what an escape peak lacks, in a silicon detector
_MOST = 8  # candidates that are told
_ARTEFACT_SHARE = 0.03  # of the peaks they come from, at most
_SILICON_EDGE_KEV = 1.839  # softer photons let no silicon photon escape
_STRONG_PEAKS, _MARKED_PEAKS = 6, 3
_TESTABLE = 4.0  # σ that a sibling must be expected with to speak for or against
_MISSING, _ABSORBED_MISSING = 0.35, 0.08  # of what is expected; of softer lines the sample may keep most
_PRIOR_WEIGHT = 0.4
SCATTERED = "scattered beam"
_SCATTERED_SCORE = -5.0  # below lines that fit with all their siblings, above those that lack one
_SAME_KEV = 0.012  # lines so near have the strongest one's name


@dataclass(frozen=True)
class Sibling:
    """Another line group of the same family."""

    # name, energy: of its strongest line; keV
    name: str
    energy: float
    # expected, measured, error: net counts over those of the peak; what the spectrum has, and one standard
    # deviation
    expected: float
    measured: float
    error: float

    @property
    def testable(self) -> bool:
        """Whether counts suffice to see it or to miss it."""
        return self.expected > _TESTABLE * self.error

    def missing(self, line_kev: float) -> bool:
        """Whether it should be seen and is not; softer siblings may be absorbed."""
        least = _ABSORBED_MISSING if self.energy < 0.8 * line_kev else _MISSING
        return self.testable and self.measured < least * self.expected


@dataclass(frozen=True)
class PeakCandidate:
    """One explanation of a peak."""

    name: str  # "Fe Kα1", or "escape of Ca Kα1"
    family: str  # "Fe K"; empty for what a detector makes of other peaks, and for the scattered beam
    energy: float  # where it should lie, keV
    siblings: tuple[Sibling, ...]  # other line groups of the family, the strongest first
    score: float  # the higher the likelier; a logarithm of odds, roughly

    @property
    def is_unlikely(self) -> bool:
        """Whether a line of the family that should be seen is not."""
        return any(each.missing(self.energy) for each in self.siblings)

    @property
    def evidence(self) -> str:
        """What its siblings say, in words."""
        if not self.family:
            return "no element's line" if self.name == SCATTERED else "made by the detector"
        told = []
        for each in self.siblings:
            if each.testable:
                weak = "weak" if each.measured < _MISSING * each.expected else "seen"
                state = "missing" if each.missing(self.energy) else weak
                told.append(f"{each.name} {state} ({each.measured:z.0%}, expected {each.expected:.0%})")
        return "; ".join(told[:3]) or "no sibling strong enough to tell"


def rank_lines(
    energy: float,
    spectrum: NDArray[np.generic],
    axis: EnergyAxis,
    *,
    highest_kev: float = 40.0,
    listed: tuple[str, ...] = (),
    scattered: tuple[tuple[float, float], ...] = (),
) -> tuple[PeakCandidate, ...]:
    """Return what a peak may be, the likeliest first.

    ``energy``: where the user points, keV; the peak nearest to it, within its width, is meant. ``spectrum``:
    (E,) counts. ``highest_kev``: energy of the exciting radiation. ``listed``: elements that the file lists.
    ``scattered``: from and to, keV, where the scattered beam has peaks.
    """
    counts = np.clip(np.asarray(spectrum, dtype=np.float64), 0, None)
    seen = _Spectrum(counts, counts - estimate_background(counts, axis), axis)
    peaks = find_peaks(counts, axis, significance=5.0)
    width = float(typical_fwhm(energy))
    near = min(peaks, key=lambda peak: abs(peak.energy - energy), default=None)
    centre = near.energy if near is not None and abs(near.energy - energy) < width else energy
    found = _artefacts(centre, seen, peaks)
    if any(low <= centre <= high for low, high in scattered):
        found.append(PeakCandidate(SCATTERED, "", centre, (), _SCATTERED_SCORE))
    for number in range(5, HEAVIEST + 1):
        element = xraylib.AtomicNumberToSymbol(number)
        for shell in SHELLS:
            candidate = _line_candidate(centre, element, shell, seen, highest_kev)
            if candidate is not None:
                prior = _PRIOR_WEIGHT * log_odds(element, listed)
                found.append(PeakCandidate(*candidate, candidate_score(candidate, centre) + prior))
    return tuple(sorted(found, key=lambda each: -each.score)[:_MOST])


@dataclass(frozen=True, eq=False)
class _Spectrum:
    counts: NDArray[np.float64]
    net: NDArray[np.float64]
    axis: EnergyAxis

    def at(self, energy: float) -> tuple[float, float]:
        """Return the net counts of a peak at an energy, and one standard deviation."""
        half = 0.6 * float(typical_fwhm(energy))
        window = self.axis.window(energy - half, energy + half)
        return float(self.net[window].sum()), math.sqrt(max(float(self.counts[window].sum()), 1.0))


def candidate_score(candidate: tuple[str, str, float, tuple[Sibling, ...]], centre: float) -> float:
    """Return how well a family explains a peak: its place, and each sibling that must be seen."""
    _, _, energy, siblings = candidate
    spread = 0.12 * float(typical_fwhm(centre)) + 0.003
    score = -0.5 * min(((energy - centre) / spread) ** 2, 30.0)
    for each in siblings:
        if each.missing(energy):
            score -= min(each.expected / each.error / _TESTABLE, 6.0) + 1.0
        elif each.testable:
            score += 1.0 if each.measured < 3 * each.expected else 0.2
    return score


def _line_candidate(
    centre: float, element: str, shell: str, seen: _Spectrum, highest_kev: float
) -> tuple[str, str, float, tuple[Sibling, ...]] | None:
    energies, shares = family_lines(element, shell, highest_kev)
    width = float(typical_fwhm(centre))
    own = np.abs(energies - centre) < 0.6 * width
    share = float(shares[own].sum())
    if share < _LEAST_SHARE:
        return None
    place = float(np.average(energies[own], weights=shares[own]))
    own = np.abs(energies - place) < 0.75 * width
    share = float(shares[own].sum())
    height, _ = seen.at(place)
    siblings = []
    left = ~own & (shares > 0.05 * share)
    while left.any() and height > 0:
        top = int(np.argmax(np.where(left, shares, 0)))
        group = np.abs(energies - energies[top]) < 0.75 * float(typical_fwhm(energies[top]))
        there = float(np.average(energies[group], weights=shares[group]))
        counts, error = seen.at(there)
        if seen.axis.energies[0] < there < seen.axis.energies[-1]:
            name = _line_name(element, shell, float(energies[top]))
            expected = float(shares[group & ~own].sum()) / share
            siblings.append(Sibling(name, there, expected, counts / height, error / height))
        left &= ~group
    strongest = float(energies[own][np.argmax(shares[own])])
    return (
        f"{element} {_line_name(element, shell, strongest)}",
        f"{element} {shell}",
        place,
        tuple(siblings),
    )


def _line_name(element: str, shell: str, energy: float) -> str:
    lines: list[EmissionLine] = [line for line in emission_lines(element) if line.shell == shell]
    near = [line for line in lines if abs(line.energy - energy) < _SAME_KEV] or lines
    return max(near, key=lambda line: line.rate).siegbahn


def detector_artefacts(spectrum: NDArray[np.generic], axis: EnergyAxis) -> tuple[tuple[str, float], ...]:
    """Return what the detector makes of the strongest peaks of a spectrum (E,): names and keV.

    ``"escape 6.40"`` or ``"6.40 + 5.89"``, which is pile-up.
    """
    counts = np.clip(np.asarray(spectrum, dtype=np.float64), 0, None)
    strong = sorted(find_peaks(counts, axis, significance=5.0), key=lambda peak: -peak.counts)[:_MARKED_PEAKS]
    short = {" of the peak at": "", "pile-up of ": "", " keV": ""}
    marked = []
    for name, place, _ in _made_of(strong):
        for words, instead in short.items():
            name = name.replace(words, instead)
        if axis.energies[0] < place < axis.energies[-1]:
            marked.append((name, place))
    return tuple(marked)


def _made_of(strong: Sequence[Peak]) -> Iterator[tuple[str, float, float]]:
    """Yield escape peaks and pile-up: name, keV, counts of the weakest peak that they come from."""
    for peak in strong:
        if peak.energy > _SILICON_EDGE_KEV:
            yield f"escape of the peak at {peak.energy:.2f} keV", peak.energy - _SILICON_KEV, peak.counts
    for first, second in combinations_with_replacement(strong, 2):
        name = f"pile-up of {first.energy:.2f} + {second.energy:.2f} keV"
        yield name, first.energy + second.energy, min(first.counts, second.counts)


def _artefacts(centre: float, seen: _Spectrum, peaks: tuple[Peak, ...]) -> list[PeakCandidate]:
    """Return escape peaks and pile-up that may stand here."""
    height, _ = seen.at(centre)
    near = 0.3 * float(typical_fwhm(centre))
    strong = sorted(peaks, key=lambda peak: -peak.counts)[:_STRONG_PEAKS]
    return [
        PeakCandidate(name, "", place, (), 1.0)
        for name, place, counts in _made_of(strong)
        if abs(place - centre) < near and 0 < height < _ARTEFACT_SHARE * counts
    ]
