"""How much of a sample may be water, carbonate or organic matter, which show no line.

Oxides normalised to 100 % are too high by it. It scatters: the background over the lines rises by what the
lines lose. Where it is known of an instrument, weights are less by what is likely; else errors hold it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.quantification.anode_scatter import anode_scatter, ratio_over_expected
from napari_xrf.maps.quantification.composition import Solution, completed, solve_composition
from napari_xrf.physics.forward import ExpectedSpectrum, expect_spectrum
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.physics.source import ElectronBeam, TubeSource
from napari_xrf.reference.materials import Material
from napari_xrf.reference.oxides import ATOMIC_WEIGHTS

_FREE_OF_LINES = 0.05  # share of lines in channels that tell scatter
_SCATTER_FROM_KEV = 2.0
# Of ln(measured over expected scatter) of the right composition, one standard deviation: for a tube whose
# instrument is named (±0.1 for the M4's metals, the lens fitted) and for others (0.6 to 1 for the XGT's).
_LEVEL_ERROR = {True: 0.12, False: 0.7}
# Of ln(measured over expected Compton over Rayleigh), (probability, mean, standard deviation): of what is
# thick and even (a glass, sulphur, acrylic, titanium, copper, nickel: -0.06 to 0.10), of powders on a holder
# that such hard photons still reach (three soils, one series of nine: 0.12 to 0.15), and of crystals, whose
# reflections make 0.1 to 0.7 of it.
_RATIO_ERRORS = ((0.75, 0.0, 0.06), (0.15, 0.12, 0.1), (0.1, 0.0, 0.3))
FAR_LEVEL = 1.4  # of ln(measured over expected scatter): twice what geometries differ by
_TRIED, _LEAST_RISE = 0.2, 0.2  # light matter to see what it changes, weight fraction
_LEAST_TOLD = 0.005  # weight fraction that is taken from the weights
_KNOWN_LEVEL = 0.2  # an error of the level up to which it tells light matter
_DOSE_ERROR = 0.2  # of ln(total by the dose): two loose powders by a third as their standard
# Before anything is measured: glasses, ceramics and dry rocks hold none, soils and sediments 0.05 to 0.3;
# in carbonates it is 0.3 to 0.5, but only what carbonates are of can be one.
_NONE = 0.33  # probability of none
_USUAL, _AS_CARBONATE = 0.1, 0.5  # the mean else: without carbonates, and the part of them that may be such
_OF_CARBONATES, _CO2 = ("Mg", "Ca", "Sr", "Ba"), 44.01
_PARTS = np.linspace(0.0025, 0.9975, 200)
_WITHIN = (0.6827, 0.9545)  # one and two standard errors


@dataclass(frozen=True)
class LightMatter:
    """Weight fraction of matter that no line shows."""

    part: float = 0.0  # of the mean of what is likely; 0 where the background of the instrument is not known
    error: float = 0.0  # the least of which one and two hold 68 and 95 %
    most: float = 0.0  # 95 % lie below
    level: float = 0.0  # ln(measured over expected scatter), of what shows


@dataclass(frozen=True)
class _Told:
    """What tells light matter: ln(measured over expected) with some of it, and what that becomes."""

    above: float
    beside: float  # weight fraction of light matter that is expected with
    rise: float  # of what is expected, over ln of the whole over what light matter leaves
    errors: tuple[tuple[float, float, float], ...]  # of above: (probability, mean, standard deviation)

    def likelihood(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how likely each weight fraction of light matter makes it, of any scale."""
        off = self.above + self.rise * (np.log1p(-parts) - math.log1p(-self.beside))
        each = [
            likely / error * np.exp(-0.5 * ((off - mean) / error) ** 2) for likely, mean, error in self.errors
        ]
        return np.asarray(np.maximum(np.sum(each, axis=0), 1e-300))


def light_matter(
    solution: Solution, part: CalibratedMap, scatter_ratio: float = math.nan, total: float = math.nan
) -> LightMatter:
    """Return what there may be beside the oxides of a sample under X-rays, as scatter and dose suggest.

    The solution may hold some already: what it expects of the scatter is by so much nearer.

    None in films, metals, classes of a formula and what is free of it; electrons show its oxygen.

    ``scatter_ratio``: measured over expected scatter, where the lens' fit tells it. ``total``: weight
    fraction that the dose gives, NaN where it is not known.
    """
    recipe, instrument = solution.recipe, solution.instrument
    if recipe.film or isinstance(instrument.source, ElectronBeam):
        return LightMatter()
    if scatter_ratio > 0:
        level, counting = math.log(scatter_ratio), 0.0
    else:
        level, counting = _level(solution, part)
    level -= instrument.sensitivities.scatter or 0.0
    if recipe.oxygen != "stoichiometry" or recipe.companions or recipe.volatile_free:
        return LightMatter(level=level)
    error = math.hypot(level_error(solution, part), counting)
    rises = _rises(solution, part)
    # A background that asks for another geometry does not tell the sample as well as it would in this one.
    spread = max(error, _LEVEL_ERROR[False]) if level > FAR_LEVEL else error
    known = error < _KNOWN_LEVEL
    told = [_Told(level, solution.rest, rises.level if known else 1.0, ((1.0, 0.0, spread),))]
    if rises.ratio:
        seen = tuple((likely, mean, math.hypot(each, rises.error)) for likely, mean, each in _RATIO_ERRORS)
        told.append(_Told(rises.off, solution.rest, rises.ratio, seen))
        known |= seen[0][2] < _KNOWN_LEVEL * rises.ratio
    if math.isfinite(total) and total > 0:
        told.append(_Told(-math.log(total), 0.0, 1.0, ((1.0, 0.0, _DOSE_ERROR),)))
    return _likely(told, _usual(solution), known, level)


def _likely(told: Sequence[_Told], usual: float, known: bool, level: float) -> LightMatter:
    """Return what is likely by what tells it; nothing is taken off where that is not ``known``.

    ``usual``: the mean before anything is measured, where there is any.
    """
    parts = np.concatenate([[0.0], _PARTS])
    prior = np.exp(-_PARTS / usual)  # an exponential distribution
    weights = np.concatenate([[_NONE], (1 - _NONE) * prior / prior.sum()])
    for each in told:
        weights = weights * each.likelihood(parts)
    weights /= weights.sum()
    likely = float(weights @ parts) if known else 0.0
    likely *= likely > _LEAST_TOLD
    away = np.abs(parts - likely)
    nearest = np.argsort(away)
    one, two = (float(away[nearest][_reaches(weights[nearest], held)]) for held in _WITHIN)
    return LightMatter(likely, max(one, 0.5 * two), float(parts[_reaches(weights, _WITHIN[1])]), level)


def _usual(solution: Solution) -> float:
    """Return the mean of what there is of light matter before anything is measured, where there is any."""
    moles = sum(solution.fractions.get(e, 0.0) / ATOMIC_WEIGHTS[e] for e in _OF_CARBONATES)
    return _USUAL + _AS_CARBONATE * _CO2 * moles / (1 + _CO2 * moles)


@dataclass(frozen=True)
class _Rises:
    """By how much light matter raises what tells it, over ln of the whole over what it leaves."""

    level: float  # the scatter over the lines
    ratio: float = 0.0  # Compton over Rayleigh; 0 where they do not show
    off: float = 0.0  # ln of measured over expected Compton over Rayleigh, of the solution
    error: float = 0.0  # one standard deviation of that, by counting


def _rises(solution: Solution, part: CalibratedMap) -> _Rises:
    """Return what light matter changes in the spectrum.

    Of heavy matter, which scatters elastically, by less than 1; by more where it absorbs soft lines.
    """
    told = replace(solution.recipe, light=1 - (1 - _TRIED) * (1 - solution.rest))
    tried = solve_composition(solution.counts, solution.instrument, told, start=solution.fractions)
    materials = [Material("sample", completed(one.fractions, one.rest)) for one in (solution, tried)]
    instrument, over = solution.instrument, -math.log1p(-_TRIED)
    first, second = (expect_spectrum(material, instrument) for material in materials)
    below, above = (scatter_level(one, part)[0] for one in (first, second))
    level = max((below - above) / over, _LEAST_RISE)
    lines = _scale(first, part) * (first.counts - first.scatter)
    seen = anode_scatter(part, instrument.source, lines)
    if seen is None:
        return _Rises(level)
    (off, error), (with_light, _) = (ratio_over_expected(each, instrument, seen) for each in materials)
    if not math.isfinite(error):
        return _Rises(level)
    return _Rises(level, max((off - with_light) / over, _LEAST_RISE), off, error)


def _level(solution: Solution, part: CalibratedMap) -> tuple[float, float]:
    material = Material("sample", completed(solution.fractions, solution.rest))
    return scatter_level(expect_spectrum(material, solution.instrument), part)


def _reaches(weights: NDArray[np.float64], held: float) -> int:
    return min(int(np.searchsorted(np.cumsum(weights), held)), weights.size - 1)


def level_error(solution: Solution, part: CalibratedMap) -> float:
    """Return one standard deviation of :func:`scatter_level` of the right composition, counting aside."""
    if solution.instrument.sensitivities.scatter is not None:
        return _LEVEL_ERROR[True]  # two soils and a lake sediment by one of them: -0.1 to 0.08
    said = part.cube.excitation
    tube = isinstance(solution.instrument.source, TubeSource)
    names = {load_instrument(name).name for name in instrument_names()}
    return _LEVEL_ERROR[tube and (bool(said.description) or said.instrument in names)]


def scatter_level(expected: ExpectedSpectrum, part: CalibratedMap) -> tuple[float, float]:
    """Return ln of measured over expected scatter, both over the lines' counts, and its counting error.

    Of channels where no lines lie.
    """
    measured = part.sum_spectrum
    lines = expected.counts - expected.scatter - expected.continuum
    energies = part.energy.energies
    inside = energies < part.setting.high
    free = inside & (energies > _SCATTER_FROM_KEV) & (lines < _FREE_OF_LINES * expected.counts)
    scale = _scale(expected, part)
    if not free.any() or scale <= 0:
        return 0.0, math.inf
    seen = max(float(measured[free].sum()), 1.0)
    return math.log(seen / max(float(scale * expected.counts[free].sum()), 1e-300)), seen**-0.5


def _scale(expected: ExpectedSpectrum, part: CalibratedMap) -> float:
    """Return measured over expected counts of channels of lines; 0 where there are none."""
    lines = expected.counts - expected.scatter - expected.continuum
    inside = (part.energy.energies < part.setting.high) & (part.energy.energies > part.setting.low)
    peaks = inside & (lines > (1 - _FREE_OF_LINES) * expected.counts)
    return float(part.sum_spectrum[peaks].sum() / max(expected.counts[peaks].sum(), 1e-300))
