"""Spectra of random samples on random instruments, with which elements each holds and an eye can see.

Glasses, alloys, soils, rocks, pigments, minerals; X-ray tubes of five anodes (fluorescence by fisx, scatter
by xraylib) and electrons; detectors, geometries, doses, errors of the energy axis, pile-up, Bragg peaks and
bad channels drawn for each. One seed, one spectrum, always the same.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.independent.cross_sections import mixed_fractions
from benchmarks.independent.electrons import electron_photons
from benchmarks.independent.fisx_lines import THICK_CM, fluorescence
from benchmarks.independent.m4_response import respond
from benchmarks.independent.minerals_set import doppler
from benchmarks.independent.presets import (
    air_transmission,
    coarse_photons,
    deposit,
    efficiency,
    energy_axis,
    fine_photons,
    read_preset,
    sigma,
    turning_angle,
)
from benchmarks.independent.scattering import scatter, widen_compton
from numpy.typing import NDArray
from scipy import ndimage

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.reference.minerals import load_library
from napari_xrf.reference.pigments import load_pigments

Random = np.random.Generator
Array = NDArray[np.float64]

# A peak that an eye sees: of all counts within ± half a FWHM this part, and this many standard errors.
_SEEN_PART, _SEEN_ERRORS = 0.2, 8.0
_BEAM_BINS, _SCATTER_STEP, _DENSITY = 20, 0.05, 3.0
_ANODES = {"Rh": (25, 50), "Mo": (30, 50), "W": (30, 50), "Ag": (25, 50), "Cr": (15, 40)}


@dataclass(frozen=True)
class Case:
    """A spectrum with its truth.

    Attributes
    ----------
    seed, sample
        What it was drawn from, and the kind of sample.
    counts
        (E,) recorded.
    energy
        The axis that the file would state.
    excitation
        What the file would state.
    there, visible
        Elements of the sample, and those of them that an eye sees.
    told
        The draws, in words.
    right
        The right axis, of spectra made here.
    """

    seed: int
    sample: str
    counts: NDArray[np.int64]
    energy: EnergyAxis
    excitation: Excitation
    there: tuple[str, ...]
    visible: tuple[str, ...]
    told: str
    right: EnergyAxis | None = None

    @property
    def cube(self) -> SpectralCube:
        """The spectrum as a map of one pixel."""
        return SpectralCube(
            self.counts[None, None], self.energy, f"{self.sample} {self.seed}", excitation=self.excitation
        )


def stored_case(seed: int, folder: Path | None, dose: float | None = None, formula: str = "") -> Case:
    """Return a case, from a folder where it was made before."""
    if folder is None:
        return make_case(seed, dose, formula)
    path = folder / f"{formula}{seed:05d}{f'_{dose:.0e}' if dose else ''}.npz"
    if not path.exists():
        made = make_case(seed, dose, formula)
        truth = {**asdict(made), "counts": None}
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, counts=made.counts, truth=np.array(json.dumps(truth)))
    with np.load(path, allow_pickle=False) as stored:
        truth = json.loads(str(stored["truth"]))
        return Case(
            seed,
            truth["sample"],
            stored["counts"],
            EnergyAxis(**truth["energy"]),
            Excitation(**truth["excitation"]),
            tuple(truth["there"]),
            tuple(truth["visible"]),
            truth["told"],
            EnergyAxis(**truth["right"]),
        )


def make_case(
    seed: int,
    dose: float | None = None,
    formula: str = "",
    fractions: dict[str, float] | None = None,
    electrons: bool | None = None,
) -> Case:
    """Draw a sample, or take one by name and fractions, on a random instrument, or a formula on an M4.

    Three of ten random instruments have electrons, unless that is stated.
    """
    generator = np.random.default_rng([seed, 9])
    kind = formula or str(generator.choice(list(_SAMPLES)))
    pure = bool(formula) and fractions is None
    if fractions is None:
        fractions = mixed_fractions({formula: 100.0}) if formula else _SAMPLES[kind](generator)
    drawn = generator.random() < 0.3
    electrons = (drawn if electrons is None else electrons) and not pure
    preset = _electron_preset(generator) if electrons else _tube_preset(generator)
    preset = read_preset("m4-tornado") if pure else preset
    elements, light = stopped_light(preset, fractions)
    whole = np.maximum(respond(preset, light), 0)  # less the rounding of a filter
    counts = float(np.exp(generator.uniform(*np.log((1e4, 2e7)))))
    whole *= (dose or counts) / whole.sum()
    recorded, axis, told = _recorded(whole.sum(axis=0), preset, generator, bragg=not electrons and not pure)
    anode = preset["source"].get("anode")
    by_element = dict(zip(elements, whole[:-1], strict=True))
    return Case(
        seed,
        kind,
        recorded,
        axis,
        _excitation(preset, generator.random() < 0.7 or anode == "Cr" or pure),
        tuple(sorted(fractions)),
        tuple(
            name for name in elements if name != anode and _seen(by_element[name], whole.sum(axis=0), preset)
        ),
        f"{anode or 'e'} {preset['source']['voltage_kv']:.0f} kV, {dose or counts:.1e} counts, {told}",
        energy_axis(preset),
    )


def _seen(own: Array, everything: Array, preset: dict[str, Any]) -> bool:
    """Whether one of an element's peaks is a good part of what is there, and far above noise."""
    axis = energy_axis(preset)
    widths = 1.18 * sigma(preset, np.maximum(axis.energies, 0.1)) / axis.width
    rest = np.array(own)
    for _ in range(4):
        top = int(rest.argmax())
        near = slice(max(int(top - widths[top]), 0), int(top + widths[top]) + 1)
        mine, all_of_it = float(own[near].sum()), float(everything[near].sum())
        if mine > _SEEN_PART * all_of_it and mine > _SEEN_ERRORS * np.sqrt(all_of_it):
            return True
        rest[max(int(top - 3 * widths[top]), 0) : int(top + 3 * widths[top]) + 1] = 0
    return False


def stopped_light(
    preset: dict[str, Any],
    fractions: dict[str, float],
    film_ug_per_cm2: float | None = None,
    line_kev: float | None = None,
    minerals: Mapping[str, float] | None = None,
) -> tuple[list[str], Array]:
    """Return the elements with lines, and the photons (elements + 1, E) stopped in the detector.

    The preset's source is a tube, electrons, or photons of one energy; ``voltage_kv`` holds that of each. The
    sample is thick, or a film under photons, whose scatter is left out. With the energy of the tube's main
    line Compton peaks have the profiles of the sample's atoms, else the width of a Gaussian. ``minerals``: as
    :func:`scatter` takes them.
    """
    axis = energy_axis(preset)
    at = np.maximum(axis.energies, 0.1)
    if preset["source"]["kind"] == "electron":
        source = preset["source"]
        energies, photons, names, continuum = electron_photons(
            fractions, source["voltage_kv"], preset["geometry"]["takeoff_deg"], at
        )
        rest = np.where(axis.energies > 0.1, continuum * axis.width, 0.0)
    else:
        geometry = preset["geometry"]
        angles = float(geometry["incidence_deg"]), float(geometry["takeoff_deg"])
        beam = coarse_photons(preset, _BEAM_BINS, fractions)
        thickness = THICK_CM if film_ug_per_cm2 is None else 1e-6 * film_ug_per_cm2 / _DENSITY
        energies, photons, names = fluorescence(fractions, _DENSITY, thickness, beam, angles)
        fine, beam = fine_photons(preset, _SCATTER_STEP)
        kept = slice(None, len(fine)), slice(len(fine), None)
        scattered = scatter(fractions, fine, beam, angles, turning_angle(preset), minerals)
        channels = round(_SCATTER_STEP / axis.width)
        rayleigh, compton = (
            ndimage.uniform_filter1d(deposit(axis, scattered[0][part], scattered[1][part]), channels)
            for part in kept
        )
        widened = (
            widen_compton(compton, axis.energies, fractions, turning_angle(preset), line_kev)
            if line_kev
            else doppler(compton, axis.energies)
        )
        rest = (rayleigh + widened) * (film_ug_per_cm2 is None)
    elements = sorted(set(names))
    of = np.array(names)
    light = np.array([deposit(axis, energies[of == name], photons[of == name]) for name in elements] + [rest])
    return elements, light * efficiency(preset, at) * air_transmission(preset, at, 1)


def _recorded(
    expected: Array, preset: dict[str, Any], generator: Random, bragg: bool
) -> tuple[NDArray[np.int64], EnergyAxis, str]:
    """Return counts on the axis that a file would state, which is wrong by some gain and offset."""
    axis, told = energy_axis(preset), []
    energies, total = axis.energies, expected.sum()
    for _ in range(int(generator.integers(0, 4)) if bragg and generator.random() < 0.4 else 0):
        strength, centre = np.exp(generator.uniform(*np.log((2e-4, 1e-2)))), generator.uniform(2.5, 15.0)
        width = float(sigma(preset, np.array([centre]))[0]) * generator.uniform(1.2, 3.0)
        peak = np.exp(-0.5 * ((energies - centre) / width) ** 2)
        expected = expected + strength * total * peak / peak.sum()
        told.append(f"Bragg {strength:.1e} at {centre:.2f}")
    share = float(np.exp(generator.uniform(*np.log((0.002, 0.3))))) if generator.random() < 0.5 else 0.0
    if share:
        size = 2 * axis.size
        both = np.fft.irfft(np.fft.rfft(expected, size) ** 2, size) / total
        skipped = round(-axis.offset / axis.width)
        summed = np.maximum(both[skipped : skipped + axis.size], 0)
        expected = (1 - share) * expected + 0.5 * share * summed
        told.append(f"pile-up {share:.3f}")
    counts = generator.poisson(expected)
    if generator.random() < 0.1:
        bad = int(generator.integers(axis.size // 8, axis.size // 2))
        counts[bad] += int(0.01 * total + 100)
        told.append(f"bad channel at {energies[bad]:.2f}")
    spread = 0.015 if generator.random() < 0.15 else 0.002
    gain, offset = generator.normal(0, spread), generator.normal(0, 0.02)
    told.append(f"gain {100 * gain:+.2f} % offset {1000 * offset:+.0f} eV")
    stated = EnergyAxis(axis.offset * (1 + gain) + offset, axis.width * (1 + gain), axis.size)
    return counts, stated, ", ".join(told)


def _excitation(preset: dict[str, Any], stated: bool) -> Excitation:
    source, geometry = preset["source"], preset["geometry"]
    if not stated:
        return Excitation()
    return Excitation(
        kind=source["kind"],
        energy_kev=float(source["voltage_kv"]),
        anode=source.get("anode"),
        atmosphere=geometry["atmosphere"],
    )


def _tube_preset(generator: Random) -> dict[str, Any]:
    preset = copy.deepcopy(read_preset("m4-tornado"))
    anode = str(generator.choice(list(_ANODES), p=(0.5, 0.15, 0.1, 0.1, 0.15)))
    preset["source"] |= {
        "anode": anode,
        "voltage_kv": float(generator.choice((15, 20, 25, 28, 30, 35, 40, 45, 50))),
        "window_be_um": float(generator.choice((100, 125, 250))),
    }
    preset["source"]["voltage_kv"] = float(np.clip(preset["source"]["voltage_kv"], *_ANODES[anode]))
    if generator.random() < 0.6:
        del preset["optic"]
    preset["geometry"] |= {
        "incidence_deg": float(generator.uniform(45, 90)),
        "takeoff_deg": float(generator.uniform(30, 70)),
        "azimuth_deg": float(generator.choice((90, 180))),
        "atmosphere": str(generator.choice(("vacuum", "air", "helium"), p=(0.5, 0.35, 0.15))),
    }
    return _with_detector(preset, generator, 60, 130)


def _electron_preset(generator: Random) -> dict[str, Any]:
    preset = copy.deepcopy(read_preset("sem-eds"))
    preset["source"]["voltage_kv"] = float(generator.choice((10, 15, 20, 25, 30)))
    preset["geometry"]["takeoff_deg"] = float(generator.choice((30, 35, 40)))
    return _with_detector(preset, generator, 35, 80)


def _with_detector(preset: dict[str, Any], generator: Random, least: float, most: float) -> dict[str, Any]:
    detector = preset["detector"]
    detector["noise_fwhm_ev"] = float(generator.uniform(least, most))
    for name in ("tail_fraction", "shelf_fraction", "long_tail_depth_um"):
        detector[name] *= float(np.exp(generator.normal(0, 0.5)))
    width = float(generator.choice((0.01, 0.02)))
    last = preset["source"]["voltage_kv"] + 2
    preset["energy"] = {"offset_kev": float(generator.uniform(-0.9, 0.0)), "width_kev": width, "size": 0}
    preset["energy"]["size"] = int((last - preset["energy"]["offset_kev"]) / width)
    return preset


def _log(generator: Random, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def _some(generator: Random, parts: dict[str, tuple[float, float]], most: int) -> dict[str, float]:
    """Return up to so many of some parts, each between two percentages, even in the logarithm."""
    names = list(parts)
    chosen = generator.choice(
        len(names), size=min(int(generator.integers(1, most + 1)), len(names)), replace=False
    )
    return {names[k]: _log(generator, *parts[names[k]]) for k in sorted(chosen)}


_TRACES = dict.fromkeys(
    (
        "V2O5", "Cr2O3", "NiO", "CuO", "ZnO", "As2O3", "Rb2O", "SrO", "Y2O3", "ZrO2", "Nb2O5", "BaO", "La2O3",
        "CeO2", "PbO", "SO3", "Cl", "P2O5", "SnO2", "Sb2O3", "WO3", "BiO", "ThO2", "UO2", "Co3O4", "Ga2O3",
        "Br", "MoO3", "CdO",
    ),
    (0.002, 0.1),
)  # fmt: skip
_BASES = ("Fe", "Cu", "Al", "Ni", "Ti", "Zn", "Sn", "Pb", "Ag", "Au", "Mg", "W", "Mo", "Pt", "Co")
_METALS = (
    "Al", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Zr", "Nb", "Mo", "Ag", "Cd", "Sn", "Sb", "Ta",
    "W", "Au", "Pb", "Bi", "Si", "Mg", "In", "Pt", "Pd", "Hf", "Re",
)  # fmt: skip


def _glass(generator: Random) -> dict[str, float]:
    common = {
        "Na2O": (2, 16), "K2O": (0.5, 15), "CaO": (0.5, 16), "MgO": (0.3, 6), "Al2O3": (0.3, 12),
        "PbO": (0.5, 40), "BaO": (0.5, 15), "Fe2O3": (0.05, 10), "ZnO": (0.2, 8), "TiO2": (0.05, 3),
        "B2O3": (1, 12), "MnO": (0.05, 3),
    }  # fmt: skip
    rarer = {
        "CuO": (0.02, 3), "CoO": (0.02, 1), "Sb2O3": (0.05, 3), "SnO2": (0.05, 5), "SrO": (0.02, 2),
        "As2O3": (0.05, 1), "ZrO2": (0.02, 3), "CeO2": (0.05, 2), "Cl": (0.1, 1), "SO3": (0.1, 1),
        "CdS": (0.1, 1), "Er2O3": (0.1, 2),
    }  # fmt: skip
    parts = {"SiO2": generator.uniform(45, 75)} | _some(generator, common, 8) | _some(generator, rarer, 4)
    return mixed_fractions(parts)


def _alloy(generator: Random) -> dict[str, float]:
    base = str(generator.choice(_BASES))
    parts = {base: 100.0}
    others = [name for name in _METALS if name != base]
    for name in generator.choice(others, size=int(generator.integers(0, 6)), replace=False):
        parts[str(name)] = _log(generator, 0.05, 40)
    return mixed_fractions(parts)


def _rock(generator: Random) -> dict[str, float]:
    parts = {
        "SiO2": generator.uniform(35, 75), "Al2O3": generator.uniform(2, 20),
        "Fe2O3": _log(generator, 0.5, 15), "MgO": _log(generator, 0.2, 20), "CaO": _log(generator, 0.2, 15),
        "Na2O": _log(generator, 0.2, 6),
        "K2O": _log(generator, 0.1, 8), "TiO2": _log(generator, 0.05, 3), "MnO": _log(generator, 0.02, 0.5),
    }  # fmt: skip
    return mixed_fractions(parts | _some(generator, _TRACES, 8))


def _soil(generator: Random) -> dict[str, float]:
    parts = {
        "SiO2": generator.uniform(20, 60), "Al2O3": generator.uniform(4, 15), "Fe2O3": _log(generator, 1, 10),
        "CaCO3": _log(generator, 0.5, 50), "C6H10O5": generator.uniform(1, 30),
        "K2O": _log(generator, 0.5, 4), "TiO2": _log(generator, 0.1, 1.5),
        "MnO": _log(generator, 0.02, 0.4), "MgO": _log(generator, 0.2, 3),
        "SO3": _log(generator, 0.05, 2), "P2O5": _log(generator, 0.05, 1),
    }  # fmt: skip
    return mixed_fractions(parts | _some(generator, _TRACES, 10))


def _pigment(generator: Random) -> dict[str, float]:
    pigments = load_pigments()
    parts = {"CaCO3": _log(generator, 1, 60), "C6H10O5": generator.uniform(5, 30)}
    for k in generator.choice(len(pigments), size=int(generator.integers(1, 4)), replace=False):
        fractions = pigments[int(k)].material.mass_fractions
        amount = _log(generator, 2, 60)
        for element, fraction in fractions.items():
            parts[element] = parts.get(element, 0.0) + amount * fraction
    return mixed_fractions(parts)


def _mineral(generator: Random) -> dict[str, float]:
    library = load_library()
    one = library[int(generator.integers(len(library)))]
    shares = [generator.uniform(entry.low, entry.high) for entry in one.substitutions]
    return dict(one.composition(shares).mass_fractions)


_SAMPLES = {
    "glass": _glass,
    "alloy": _alloy,
    "rock": _rock,
    "soil": _soil,
    "pigment": _pigment,
    "mineral": _mineral,
}
