"""Whether a spectrum speaks against what is taken to have excited it.

A wrong source makes weights that are wrong by factors and fit well: the composition takes it up.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import edge_energy, main_line, split_family
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.quantification.composition import Solution, completed
from napari_xrf.maps.quantification.light_matter import scatter_level
from napari_xrf.maps.quantification.net_counts import SEEN, NetCounts
from napari_xrf.maps.spectra.continuum import pile_up_columns
from napari_xrf.maps.spectra.scatter import ANODES
from napari_xrf.maps.spectra.setting import is_soft, last_energy
from napari_xrf.physics.excitation import ends_in_a_peak, instrument_of, last_peak
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.scatter import energy_after_compton
from napari_xrf.physics.source import ElectronBeam, MonochromaticSource, TubeSource
from napari_xrf.reference.materials import Material

_MICROSCOPE_KEV = 30.0  # electron microscopes reach no further
# Over the source's energy; a part of the counts that is told where no two pulses taken as one make it.
_BEYOND, _BEYOND_PART = 1.05, 0.01
# Of ln(measured over expected) between lines, under electrons: eight of nine measured spectra lie in 0.12,
# one at -0.5; that of a tube's glass, taken for one of electrons, is at -0.9, a simulated one at -0.6.
_OFF_CONTINUUM = 0.4
# The continuum of electrons ends at their energy: counts that are expected above the last ones, and the part
# of them that is seen at most.
_SHORT, _EXPECTED_ABOVE, _SEEN_ABOVE = 0.9, 200.0, 0.3
# The elastic peak of an anode: standard errors that it must be expected to stand out by, and the part of it
# that is seen at most where the anode is another (of measured right ones 1.4 to 1.7 is seen, of wrong ones
# none). The beam's energy over the edge that makes it strong.
_SURE, _NOT_THERE, _WELL_EXCITED = 10.0, 0.2, 1.3
_OF_LINES = 0.5  # part of the last peak up to which lines of the sample leave it to the scattered beam
# Between the angle that a Compton peak tells and that of the geometry: in measured spectra 6 at most.
# The peaks of both must lie that much of the resolution apart.
_TURNED_DEG, _APART, _TAKEOFFS_DEG = 15.0, 0.5, np.arange(5.0, 91.0)


@dataclass(frozen=True)
class OtherSource:
    """A source that a spectrum speaks for, in place of the one that is taken."""

    instrument: Instrument  # as the other one has it
    told: str  # why, in words
    name: str  # what it has in place of the other, in words


def other_source(solution: Solution, part: CalibratedMap) -> OtherSource | None:
    """Return the source that a spectrum speaks for where it is not the one that a composition was found with.

    Soft counts speak for electrons, another continuum without such counts against them, counts beyond a
    source's energy for a higher one, the end of the continuum of electrons tells theirs, a tube's anode
    scatters its line, as does a beam of one energy, and the Compton peak tells the angle between beam and
    detector.
    """
    source, last = solution.instrument.source, last_energy(part.sum_spectrum, part.energy)
    electrons = isinstance(source, ElectronBeam)
    if isinstance(source, TubeSource) and last <= _MICROSCOPE_KEV and is_soft(part.sum_spectrum, part.energy):
        told = "it holds as many soft counts as only electrons excite"
        return _of(part, "electron", last, None, told)
    counts, energies = part.sum_spectrum, part.energy.energies
    beyond = _beyond(counts, part.energy, _BEYOND * source.highest_kev)
    if (electrons or isinstance(source, TubeSource)) and beyond > _BEYOND_PART * counts.sum():
        told = f"{100 * beyond / counts.sum():.2g} % of its counts lie above {source.highest_kev:.3g} keV"
        said = part.cube.excitation
        return _of(part, "electron" if electrons else "tube", last, said.anode, told)
    material = Material("sample", completed(solution.fractions, solution.rest))
    expected = expect_spectrum(material, replace(solution.instrument, energy=part.energy))
    made = sum(expected.families.get(own[0], 0.0) for own in solution.families.values())
    scale = sum(solution.counts[own[0]].counts for own in solution.families.values()) / max(made, 1e-300)
    if not electrons:
        lines = scale * (expected.counts - expected.scatter)
        other = None
        if solution.recipe.film:  # nobody knows what carries it, and scatters
            return None
        if isinstance(source, TubeSource):
            other = _other_anode(source, part, scale * expected.scatter, solution)
        elif isinstance(source, MonochromaticSource):
            other = _other_energy(source, part, scale * expected.scatter, lines)
        return other or _other_takeoff(solution, part)
    level, counting = scatter_level(expected, part)
    off = abs(level) - SEEN * counting > _OFF_CONTINUUM
    if off and not is_soft(part.sum_spectrum, part.energy):
        times = f"{math.exp(level):.2g} times what electrons make"
        return _of(part, "tube", last, None, f"its background is {times}, and soft counts are missing")
    if last < _SHORT * source.highest_kev:
        above = (energies > last) & (energies < source.highest_kev)
        should = scale * float(expected.counts[above].sum())
        if should > _EXPECTED_ABOVE and counts[above].sum() < _SEEN_ABOVE * should:
            return _of(part, "electron", last, None, f"its continuum ends at {last:.3g} keV")
    return None


def _beyond(counts: NDArray[np.float64], energy: EnergyAxis, from_kev: float) -> float:
    """Return the counts above an energy that no two pulses taken as one make."""
    above = energy.energies > from_kev
    piled = pile_up_columns(counts, energy, from_kev).get("pile-up", np.zeros(energy.size))[above]
    part = float(counts[above] @ piled) / max(float(piled @ piled), 1e-300)
    return float(np.clip(counts[above] - part * piled, 0, None).sum())


def _other_anode(
    source: TubeSource, part: CalibratedMap, scatter: NDArray[np.float64], solution: Solution
) -> OtherSource | None:
    """Return a tube of the anode whose line a sample scatters most clearly, where that of its own is missing.

    ``scatter``: (E,) what is expected of the source as it is taken.
    """
    own = _elastic_kev(source.anode, source.voltage_kv)
    if own is None or source.anode in solution.fractions:
        return None
    should, _ = _standing_out(scatter, own, part)
    seen, error = _standing_out(part.sum_spectrum, own, part)
    if should < _SURE * error or seen > _NOT_THERE * should:
        return None
    clear = {}
    for anode in ANODES:
        line = _elastic_kev(anode, source.voltage_kv)
        if line is not None and anode not in {source.anode, *solution.fractions}:
            net, of_net = _standing_out(part.sum_spectrum, line, part)
            clear[anode] = net / of_net
    likely = max(clear, key=clear.__getitem__, default=source.anode)
    told = f"its line at {own:.4g} keV is not scattered"
    return _of(part, "tube", source.voltage_kv, likely, told)


def _other_energy(
    source: MonochromaticSource,
    part: CalibratedMap,
    scatter: NDArray[np.float64],
    lines: NDArray[np.float64],
) -> OtherSource | None:
    """Return a beam of the energy of the last peak, where that is no line, and none stands where it should.

    A tube where no peak ends the spectrum and the beam's own is missing. ``scatter``, ``lines``: (E,) what is
    expected of the beam as it is taken.
    """
    counts, last = part.sum_spectrum, last_peak(part.energy, part.sum_spectrum)
    should, _ = _standing_out(scatter, source.energy_kev, part)
    seen, error = _standing_out(counts, source.energy_kev, part)
    if not ends_in_a_peak(part.energy, counts):
        if should < _SURE * error or seen > _NOT_THERE * should:
            return None
        told = f"no peak of photons of {source.energy_kev:.3g} keV is scattered"
        return _of(part, "tube", last_energy(counts, part.energy), part.cube.excitation.anode, told)
    width = float(part.detector.fwhm(last))
    at = np.abs(part.energy.energies - last) < 0.6 * width
    if abs(last - source.energy_kev) < width or lines[at].sum() > _OF_LINES * counts[at].sum():
        return None
    if last < source.energy_kev and (should < _SURE * error or seen > SEEN * error):
        return None
    return _of(part, "monochromatic", last, None, f"its last peak, scattered, stands at {last:.4g} keV")


def _other_takeoff(solution: Solution, part: CalibratedMap) -> OtherSource | None:
    """Return the instrument with the take-off angle that the Compton peak speaks for.

    Beam and detector enclose one angle: where the incidence is another, the take-off stands in its place.
    None where standards tell what the instrument sees.
    """
    own, seen = solution.instrument, part.setting.scatter_deg
    if own.sensitivities.factors or abs(seen - own.scatter_deg) < _TURNED_DEG:
        return None
    source = own.source
    line = (
        _elastic_kev(source.anode, source.voltage_kv)
        if isinstance(source, TubeSource)
        else source.highest_kev
    )
    if line is None:
        return None
    places = [float(energy_after_compton(np.array([line]), angle)[0]) for angle in (seen, own.scatter_deg)]
    if abs(places[0] - places[1]) < _APART * float(part.detector.fwhm(line)):
        return None
    others = [replace(own, takeoff_deg=float(angle)) for angle in _TAKEOFFS_DEG]
    other = min(others, key=lambda one: abs(one.scatter_deg - seen))
    told = f"its Compton peak is of photons turned by {seen:.0f}°, not {own.scatter_deg:.0f}°"
    return OtherSource(other, told, f"a take-off angle of {other.takeoff_deg:.0f}°")


def _elastic_kev(anode: str, voltage_kv: float) -> float | None:
    """Return the energy of the anode's main line that a voltage excites well and air lets through."""
    for shell, inner in (("K", "K"), ("L", "L3")):
        line = main_line(anode, shell)
        if line is not None and _WELL_EXCITED * edge_energy(anode, inner) < voltage_kv:
            return line.energy
    return None


def _standing_out(counts: NDArray[np.float64], line_kev: float, part: CalibratedMap) -> tuple[float, float]:
    """Return the counts of a peak over what lies beside it, and their standard error."""
    width = float(part.detector.fwhm(line_kev))
    away = np.abs(part.energy.energies - line_kev)
    inside, beside = away < 0.6 * width, (away > 1.5 * width) & (away < 2.5 * width)
    if not beside.any():
        return 0.0, math.inf
    share = inside.sum() / beside.sum()
    under = share * float(counts[beside].sum())
    return float(counts[inside].sum()) - under, math.sqrt(max(under * (1 + share), 1.0))


def not_excited(counts: Mapping[str, NetCounts], solution: Solution) -> Sequence[str]:
    """Return the elements that a spectrum shows and the source excites no line of."""
    seen = {split_family(f)[0] for f, net in counts.items() if net.counts > SEEN * net.error}
    return sorted(seen - set(solution.families) - set(solution.recipe.companions) - {"O", "Ar"})


def _of(
    part: CalibratedMap,
    kind: Literal["tube", "electron", "monochromatic"],
    energy_kev: float,
    anode: str | None,
    told: str,
) -> OtherSource:
    other = replace(part.cube.excitation, kind=kind, energy_kev=energy_kev, anode=anode, description=None)
    made = instrument_of(replace(part.cube, excitation=other))
    made = replace(made, energy=part.energy, detector=part.detector)
    return OtherSource(made, told, told_source(made))


def told_source(instrument: Instrument) -> str:
    """Return what excites a sample, in words."""
    source = instrument.source
    if isinstance(source, ElectronBeam):
        return f"an electron beam of {source.energy_kev:.3g} keV"
    if isinstance(source, TubeSource):
        return f"a tube of {source.anode} at {source.voltage_kv:.3g} kV, otherwise the {instrument.name}"
    return f"photons of up to {source.highest_kev:.3g} keV"
