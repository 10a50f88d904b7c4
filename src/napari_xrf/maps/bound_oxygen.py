"""How the oxygen of a sample is found: from its line, from valences, or none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.composition import Recipe, solve_composition
from napari_xrf.maps.fitted_excitation import fit_excitation, without_air
from napari_xrf.maps.net_counts import NetCounts
from napari_xrf.physics.forward import ExpectedSpectrum, expect_spectrum
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.materials import Material
from napari_xrf.reference.oxides import ATOMIC_WEIGHTS, valence_of

_OXIDE_SHARE, _METAL_SHARE = 0.45, 0.15  # measured oxygen over that of oxides
_FREE_OF_LINES = 0.05  # share of lines in channels that tell scatter
_SCATTER_FROM_KEV = 2.0
# Of ln(measured over expected scatter): within ±0.3 for the M4's plates, up to 1 where the optic is guessed.
_EXPLAINED, _TOLD_APART = 0.5, 0.8
_SCATTER_ERROR = {True: 0.35, False: 0.7}  # of it, for an instrument that the file names and for others
_ROCK_FORMERS = ("Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Rb", "Sr", "Cs", "Ba")
_METALS_ALONE = 1.5  # log-odds of a metal where none of these makes a part of the atoms
_HALOGENS = ("F", "Cl", "Br", "I")
_NEVER_METALS = ("Na", "K", "Rb", "Cs", "Ca", "Sr", "Ba")
_NEVER_METAL_PART, _HALIDE_PART = 0.03, 0.7  # of the atoms; of the charge


@dataclass(frozen=True)
class OxygenChoice:
    """How oxygen is found.

    Attributes
    ----------
    oxygen
        ``"stoichiometry"``, ``"measured"`` or ``"none"``.
    notes
        What is to be said of it.
    rival
        The other way where nothing tells the two apart: what they differ by is an error of every weight.
    doubt
        Probability of the other way.
    """

    oxygen: str
    notes: tuple[str, ...] = ()
    rival: str = ""
    doubt: float = 0.0


def choose_oxygen(counts: Mapping[str, NetCounts], part: CalibratedMap, recipe: Recipe) -> OxygenChoice:
    """Return how oxygen is found, as the recipe says or as line and background suggest.

    Raises
    ------
    InvalidInput
        When it is to be measured and is not among the elements.
    """
    line = counts.get("O K")
    if recipe.oxygen == "measured" and line is None:
        raise InvalidInput("oxygen is not among the elements", "Name O, or choose another way for oxygen")
    if recipe.companions:
        return OxygenChoice("stoichiometry")
    if recipe.oxygen != "auto":
        return OxygenChoice(recipe.oxygen)
    instrument = recipe.instrument_of(part)
    own = without_air(counts, instrument)

    def solved(oxygen: str) -> dict[str, float]:
        return solve_composition(own, instrument, replace(recipe, oxygen=oxygen)).fractions

    oxides = solved("stoichiometry")
    if not isinstance(instrument.source, ElectronBeam):
        return _by_chemistry(oxides) or _by_scatter(counts, part, recipe)
    if line is None:
        told = "oxygen was not found, so none is counted; say so if the sample is an oxide"
        return OxygenChoice("none", (told,))
    share = solved("measured")["O"] / max(oxides.get("O", 0.0), 1e-9)
    if share > _OXIDE_SHARE:
        return OxygenChoice("stoichiometry")
    return OxygenChoice("none" if share < _METAL_SHARE else "measured")


def _by_chemistry(oxides: Mapping[str, float]) -> OxygenChoice | None:
    """Return what the elements themselves say: alkalis and earths are no metals, but halides, or oxides."""
    moles = {e: value / ATOMIC_WEIGHTS[e] for e, value in oxides.items() if e != "O"}
    charge = sum(amount * valence_of(e) for e, amount in moles.items())
    halides = sum(moles.get(e, 0.0) for e in _HALOGENS)
    if halides > _HALIDE_PART * charge:
        return OxygenChoice("none")
    never = [e for e in _NEVER_METALS if moles.get(e, 0.0) > 0]
    if sum(moles[e] for e in never) < _NEVER_METAL_PART * sum(moles.values()):
        return None
    return OxygenChoice(
        "stoichiometry", (f"oxygen is not seen; with {', '.join(never)}, oxides are assumed",)
    )


def _by_scatter(counts: Mapping[str, NetCounts], part: CalibratedMap, recipe: Recipe) -> OxygenChoice:
    """Choose between oxides and none by the scattered background: light matter scatters more."""
    apart, rocks = [], 0.0
    for oxygen in ("stoichiometry", "none"):
        tried = fit_excitation(counts, part, replace(recipe, oxygen=oxygen)).solution
        material = Material("hypothesis", {e: value for e, value in tried.fractions.items() if value > 0})
        apart.append(math.log(_scatter_ratio(expect_spectrum(material, tried.instrument), part)))
        atoms = {e: value / ATOMIC_WEIGHTS[e] for e, value in tried.fractions.items()}
        rocks = sum(atoms.get(e, 0.0) for e in _ROCK_FORMERS) / sum(atoms.values())
    names = {load_instrument(name).name for name in instrument_names()}
    said = part.cube.excitation
    error = _SCATTER_ERROR[bool(said.description) or said.instrument in names]
    odds = 0.5 * (apart[1] ** 2 - apart[0] ** 2) / error**2
    odds -= _METALS_ALONE * (rocks < _NEVER_METAL_PART)
    chosen, kind = ("stoichiometry", "oxides") if odds > 0 else ("none", "no oxygen")
    if abs(apart[0] - apart[1]) > _TOLD_APART and min(map(abs, apart)) < _EXPLAINED:
        return OxygenChoice(chosen, (f"oxygen is not seen; the scattered background suggests {kind}",))
    told = (
        f"whether there is oxygen cannot be known from this spectrum: {kind} is taken, and the errors hold"
        " what the other would give. Say --oxygen none or --oxides"
    )
    rival = "none" if odds > 0 else "stoichiometry"
    return OxygenChoice(chosen, (told,), rival, 1 / (1 + math.exp(min(abs(odds), 50.0))))


def _scatter_ratio(expected: ExpectedSpectrum, part: CalibratedMap) -> float:
    """Return measured over expected scatter where no lines lie, both over the lines' counts."""
    measured = part.sum_spectrum
    lines = expected.counts - expected.scatter - expected.continuum
    energies = part.energy.energies
    inside = energies < part.setting.high
    free = inside & (energies > _SCATTER_FROM_KEV) & (lines < _FREE_OF_LINES * expected.counts)
    peaks = inside & (energies > part.setting.low) & (lines > (1 - _FREE_OF_LINES) * expected.counts)
    if not free.any() or not peaks.any():
        return 1.0
    scale = measured[peaks].sum() / max(expected.counts[peaks].sum(), 1e-300)
    return float(max(measured[free].sum(), 1.0) / max(scale * expected.counts[free].sum(), 1e-300))
