"""Synthetic mineral maps of known truth, made of the library's own minerals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap, calibrate_map
from napari_xrf.maps.calibration.axis_judgement import Calibration
from napari_xrf.physics.forward import expect_spectra
from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.reference.minerals import Mineral

INSTRUMENTS = {"m4-tornado": ("tube", 50.0, "Rh"), "sem-eds": ("electron", 20.0, None)}


def mineral_cube(
    minerals: Sequence[Mineral],
    counts: float,
    *,
    instrument: str = "m4-tornado",
    shape: tuple[int, int] = (30, 30),
    compositions: int = 4,
    shift_kev: float = 0.015,
    gain: float = 1.0008,
    seed: int = 1,
) -> tuple[SpectralCube, np.ndarray]:
    """Return a cube of Poisson counts and (Y, X) indices of the true minerals.

    Compositions are drawn anywhere in the minerals' ranges, and the axis that made the spectra differs from
    the one that the cube states by ``shift_kev`` and ``gain``. Counts are those above 0.4 keV.
    """
    generator = np.random.default_rng(seed)
    used = load_instrument(instrument)
    truth = generator.integers(len(minerals), size=shape)
    spectra = _spectra(minerals, used, compositions, shift_kev, gain, generator)
    spectra *= counts / spectra[..., used.energy.window(0.4, 100.0)].sum(axis=-1, keepdims=True)
    chosen = spectra[truth, generator.integers(compositions, size=shape)]
    kind, kev, anode = INSTRUMENTS[instrument]
    cube = SpectralCube(
        generator.poisson(chosen).astype(np.uint16),
        used.energy,
        pixel_size=(20.0, 20.0),
        excitation=Excitation(kind, kev, anode, atmosphere="vacuum"),
    )
    return cube, truth


def known_calibration(
    instrument: str = "m4-tornado", shift_kev: float = 0.015, gain: float = 1.0008
) -> Calibration:
    """Return the calibration that :func:`mineral_cube` made its spectra with: spares the search for it."""
    used = load_instrument(instrument)
    axis = EnergyAxis(used.energy.offset + shift_kev, used.energy.width * gain, used.energy.size)
    return Calibration(axis, used.detector, 0, 0.0, True, "known")


def known_map(cube: SpectralCube, instrument: str = "m4-tornado") -> CalibratedMap:
    """Return a cube of :func:`mineral_cube`, calibrated without a search."""
    return calibrate_map(cube, calibration=known_calibration(instrument))


def _spectra(
    minerals: Sequence[Mineral],
    instrument: Instrument,
    compositions: int,
    shift_kev: float,
    gain: float,
    generator: np.random.Generator,
) -> np.ndarray:
    axis = instrument.energy
    true_axis = EnergyAxis(axis.offset + shift_kev, axis.width * gain, axis.size)
    materials = [
        mineral.composition([generator.uniform(entry.low, entry.high) for entry in mineral.substitutions])
        for mineral in minerals
        for _ in range(compositions)
    ]
    spectra = expect_spectra(materials, replace(instrument, energy=true_axis))
    return spectra.reshape(len(minerals), compositions, axis.size)
