"""How much of a sample may be water, carbonate or organic matter, which show no line.

Oxides normalised to 100 % are too high by it. It scatters: the background over the lines rises by what the
lines lose.
"""

import math
from dataclasses import dataclass

import numpy as np

from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.quantification.composition import Solution, completed
from napari_xrf.physics.forward import ExpectedSpectrum, expect_spectrum
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.physics.source import ElectronBeam, TubeSource
from napari_xrf.reference.materials import Material

_FREE_OF_LINES = 0.05  # share of lines in channels that tell scatter
_SCATTER_FROM_KEV = 2.0
# Of ln(measured over expected scatter) of the right composition, one standard deviation: for a tube whose
# instrument is named (±0.1 for the M4's metals, the lens fitted) and for others (0.6 to 1 for the XGT's).
_LEVEL_ERROR = {True: 0.12, False: 0.7}
_DOSE_ERROR = 0.2  # of ln(total by the dose): two loose powders by a third as their standard
# Before anything is measured: glasses, ceramics and dry rocks hold none; in carbonates it is 0.44, in
# gypsum 0.21, in soils and sediments 0.05 to 0.3.
_NONE, _USUAL = 0.5, 0.2  # probability of none; else the mean of an exponential distribution
_PARTS = np.linspace(0.0025, 0.8975, 180)
_WITHIN = (0.6827, 0.9545)  # one and two standard errors


@dataclass(frozen=True)
class LightMatter:
    """Weight fraction of matter that no line shows."""

    error: float = 0.0  # the least of which one and two hold 68 and 95 %
    most: float = 0.0  # 95 % lie below
    level: float = 0.0  # ln(measured over expected scatter), of what shows


def light_matter(
    solution: Solution, part: CalibratedMap, scatter_ratio: float = math.nan, total: float = math.nan
) -> LightMatter:
    """Return what there may be beside the oxides of a sample under X-rays, as scatter and dose suggest.

    None in films, metals, classes of a formula and what is free of it; electrons show its oxygen.

    ``scatter_ratio``: measured over expected scatter, where the lens' fit tells it. ``total``: weight
    fraction that the dose gives, NaN where it is not known.
    """
    recipe, instrument = solution.recipe, solution.instrument
    if recipe.film or isinstance(instrument.source, ElectronBeam):
        return LightMatter()
    level, counting = math.log(scatter_ratio) if scatter_ratio > 0 else math.nan, 0.0
    if not math.isfinite(level):
        material = Material("sample", completed(solution.fractions, solution.rest))
        level, counting = scatter_level(expect_spectrum(material, instrument), part)
    if recipe.oxygen != "stoichiometry" or recipe.companions or recipe.volatile_free:
        return LightMatter(level=level)
    told = [(level, math.hypot(level_error(solution, part), counting))]
    if math.isfinite(total) and total > 0:
        told.append((-math.log(total), _DOSE_ERROR))
    parts = np.concatenate([[0.0], _PARTS])
    prior = np.exp(-_PARTS / _USUAL)
    weights = np.concatenate([[_NONE], (1 - _NONE) * prior / prior.sum()])
    for above, error in told:
        off = (above + np.log1p(-parts)) / error
        weights = weights * np.exp(-0.5 * (off**2 - (off**2).min()))
    below = np.cumsum(weights / weights.sum())
    one, two = (float(parts[min(int(np.searchsorted(below, held)), parts.size - 1)]) for held in _WITHIN)
    return LightMatter(max(one, 0.5 * two), two, level)


def level_error(solution: Solution, part: CalibratedMap) -> float:
    """Return one standard deviation of :func:`scatter_level` of the right composition, counting aside."""
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
    peaks = inside & (energies > part.setting.low) & (lines > (1 - _FREE_OF_LINES) * expected.counts)
    if not free.any() or not peaks.any():
        return 0.0, math.inf
    scale = measured[peaks].sum() / max(expected.counts[peaks].sum(), 1e-300)
    seen = max(float(measured[free].sum()), 1.0)
    return math.log(seen / max(float(scale * expected.counts[free].sum()), 1e-300)), seen**-0.5
