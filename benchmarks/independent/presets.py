"""Numbers of an instrument, read from the preset's file as data, and what plainly follows from them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import (
    atomic_number,
    formula_fractions,
    mixed_fractions,
    transmission,
)
from benchmarks.independent.tube import TubePhotons, tube_photons
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation

_BERYLLIUM = 1.848
_SILICON = 2.33
_AIR = ({"N": 0.755, "O": 0.232, "Ar": 0.013}, 1.204e-3)
_DENSITIES = {"Be": _BERYLLIUM, "Si": _SILICON, "Al": 2.699}
FWHM_PER_SIGMA = 2.3548
LOWEST_KEV = 1.0  # of the light that excites; fisx knows none below
_FAINT_LINE = 0.02
_SHELLS = (0, 3)  # K and L3
_NO_EDGE = 10  # lighter elements have none above 1 keV


def read_preset(name: str) -> dict[str, Any]:
    """Return the numbers of a shipped instrument, such as ``"gem"``."""
    text = (
        files("napari_xrf").joinpath("reference", "instruments", f"{name}.toml").read_text(encoding="utf-8")
    )
    return tomllib.loads(text)


def energy_axis(preset: Mapping[str, Any]) -> EnergyAxis:
    energy = preset["energy"]
    return EnergyAxis(energy["offset_kev"], energy["width_kev"], energy["size"])


def excitation_of(preset: Mapping[str, Any]) -> Excitation:
    source, geometry = preset["source"], preset["geometry"]
    return Excitation(
        kind=source["kind"],
        energy_kev=float(source["voltage_kv"]),
        anode=source.get("anode"),
        incidence_deg=float(geometry["incidence_deg"]),
        takeoff_deg=float(geometry["takeoff_deg"]),
        atmosphere=geometry["atmosphere"],
        fwhm_mn_ka_ev=1000 * float(FWHM_PER_SIGMA * sigma(preset, np.array([5.895]))[0]),
        instrument=preset["name"],
    )


def sigma(preset: Mapping[str, Any], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the detector's standard deviation at energies, keV."""
    detector = preset["detector"]
    pairs = detector["fano"] * detector["pair_energy_ev"] / 1000 * np.maximum(energies, 0.0)
    return np.sqrt(pairs + (detector["noise_fwhm_ev"] / 1000 / FWHM_PER_SIGMA) ** 2)


def coarse_photons(
    preset: Mapping[str, Any], bins: int, elements: Iterable[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return few energies and photons for fisx, whose time they cost: bins and the bright lines.

    Bins are of one ratio, and parted at the edges of the elements, so that each excites what it should.
    """
    voltage = float(preset["source"]["voltage_kv"])
    if preset["source"]["kind"] == "monochromatic":
        return _one_energy(preset)
    shells = [
        xraylib.EdgeEnergy(atomic_number(element), shell)
        for element in elements
        for shell in _SHELLS
        if atomic_number(element) > _NO_EDGE
    ]
    edges = np.sort([*np.geomspace(LOWEST_KEV, voltage, bins + 1), *shells])
    edges = edges[(edges >= LOWEST_KEV) & (edges <= voltage)]
    edges = edges[np.append(True, np.diff(edges) > 1e-6)]
    energies, photons = source_photons(preset, edges)
    kept = photons > _FAINT_LINE * photons[len(edges) - 1 :].max()
    kept[: len(edges) - 1] = True
    return energies[kept], photons[kept]


def fine_photons(preset: Mapping[str, Any], step: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return energies and photons for scatter: bins of ``step`` keV, and all lines."""
    voltage = float(preset["source"]["voltage_kv"])
    if preset["source"]["kind"] == "monochromatic":
        return _one_energy(preset)
    return source_photons(preset, np.append(np.arange(LOWEST_KEV, voltage, step), voltage))


def _one_energy(preset: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    energy = np.array([float(preset["source"]["voltage_kv"])])
    return energy, air_transmission(preset, energy, 0)


def source_photons(
    preset: Mapping[str, Any], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return energies and photons that reach the sample: continuum in bins, then the anode's lines."""
    source = preset["source"]
    voltage = float(source["voltage_kv"])
    centres = (edges[:-1] + edges[1:]) / 2
    tube: TubePhotons = tube_photons(source["anode"], voltage, float(source["takeoff_deg"]), centres)
    near = tube.line_energies > edges[0]
    energies = np.concatenate([centres, tube.line_energies[near]])
    photons = np.concatenate([tube.continuum * np.diff(edges), tube.line_photons[near]])
    photons *= transmission({"Be": 1.0}, _BERYLLIUM, source["window_be_um"] * 1e-4, energies)
    photons *= air_transmission(preset, energies, 0)
    if optic := preset.get("optic"):
        photons *= np.interp(energies, optic["energies_kev"], optic["transmission"])
    return energies, photons


def air_transmission(
    preset: Mapping[str, Any], energies: NDArray[np.float64], which: int
) -> NDArray[np.float64]:
    """Return what passes the path to the sample (0) or to the detector (1)."""
    geometry = preset["geometry"]
    if geometry["atmosphere"] != "air":
        return np.ones(energies.shape)
    return transmission(*_AIR, geometry["path_cm"][which], energies)


def efficiency(preset: Mapping[str, Any], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of photons that pass the windows and are stopped in the detector."""
    detector = preset["detector"]
    passed = np.ones(energies.shape)
    for foil in detector.get("window", ()):
        passed *= _transmission_of(foil, energies)
    stopped = 1 - _transmission_of({**detector["medium"], "thickness_um": detector["thickness_um"]}, energies)
    return passed * stopped


def _transmission_of(layer: Mapping[str, Any], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    formula = layer.get("formula")
    fractions = formula_fractions(formula) if formula else mixed_fractions(layer["parts"])
    density = layer.get("density") or _DENSITIES[str(formula)]
    return transmission(fractions, density, layer["thickness_um"] * 1e-4, energies)


def turning_angle(preset: dict[str, Any]) -> float:
    """Return the angle in degrees between the ways of incident and detected photons."""
    geometry = preset["geometry"]
    into, out, around = np.deg2rad(
        [geometry["incidence_deg"], geometry["takeoff_deg"], geometry.get("azimuth_deg", 180)]
    )
    cosine = np.cos(into) * np.cos(out) * np.cos(around) - np.sin(into) * np.sin(out)
    return float(np.rad2deg(np.arccos(cosine)))


def deposit(
    axis: EnergyAxis, energies: NDArray[np.float64], photons: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share photons among the two nearest channels, so that their mean energy stays."""
    place = (energies - axis.offset) / axis.width
    left = np.floor(place).astype(int)
    total = np.zeros(axis.size + 1)
    inside = (left >= 0) & (left < axis.size)
    part = (place - left)[inside]
    np.add.at(total, left[inside], photons[inside] * (1 - part))
    np.add.at(total, left[inside] + 1, photons[inside] * part)
    return total[:-1]
