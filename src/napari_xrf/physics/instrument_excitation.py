"""What excited a map whose file does not say, guessed from its instrument's name and its counts."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import Excitation, SpectralCube

_TUBE = re.compile(r"\b([A-Z][a-z]?)[- ](?:anode|tube|target)\b")
_VOLTAGE = re.compile(r"(\d+(?:\.\d+)?) ?kV\b")
_BEAM = re.compile(r"(\d+(?:\.\d+)?) ?keV\b")
_ELECTRON_AXIS_KEV = 20.5  # microscopes are set to axes of 10 or 20 keV, tubes to 40 or 50
_SCATTER_PEAK = 100  # counts: the elastic peak of a map holds more
_MOST_COUNTS = 2**25  # read of a map for a guess
_NOTHING_ABOVE = 0.02  # of the elastic peak: what pile-up leaves above a beam's energy


def complete_excitation(cube: SpectralCube) -> Excitation:
    """Return a map's excitation with kind and energy filled in where its file has none.

    In this order: a voltage or an energy in the instrument's name ("Mo tube 50 kV", "10 keV incident"); a
    spectrum that ends in a peak with nothing above it is of a monochromatic beam of that energy; an axis
    that ends at 20.5 keV or below belongs to an electron microscope; what is left was excited by a tube.
    Energies that cannot be told stay None.
    """
    found = _from_name(cube.excitation)
    if found.kind == "monochromatic" and found.energy_kev is None:
        return replace(found, energy_kev=highest_energy(cube))
    if found.kind is not None:
        return found
    counts = _sum_spectrum(cube)
    if _ends_in_a_peak(cube, counts):
        return replace(found, kind="monochromatic", energy_kev=_last_peak(cube, counts))
    electrons = cube.energy.energies[-1] <= _ELECTRON_AXIS_KEV
    return replace(found, kind="electron" if electrons else "tube")


def highest_energy(cube: SpectralCube) -> float:
    """Return an estimate of the energy of a monochromatic beam: where the counts of the map end, keV.

    The elastic peak stands at the beam's energy; the estimate is the highest energy with a local
    maximum above a thousandth of the sum spectrum's largest channel.
    """
    return _last_peak(cube, _sum_spectrum(cube))


def _from_name(excitation: Excitation) -> Excitation:
    name = excitation.instrument or ""
    if excitation.kind is not None:
        return excitation
    voltage, beam, tube = _VOLTAGE.search(name), _BEAM.search(name), _TUBE.search(name)
    if tube or (voltage and "tube" in name.lower()):
        energy = excitation.energy_kev or (float(voltage[1]) if voltage else None)
        anode = excitation.anode or (tube[1] if tube else None)
        return replace(excitation, kind="tube", energy_kev=energy, anode=anode)
    if beam:
        return replace(excitation, kind="monochromatic", energy_kev=excitation.energy_kev or float(beam[1]))
    return excitation


def _sum_spectrum(cube: SpectralCube) -> NDArray[np.float64]:
    # A part of the rows tells as much, and large maps are not decoded for a guess.
    rows, columns, channels = cube.shape
    step = min(max(math.ceil(rows * columns * channels / _MOST_COUNTS), 1), rows)
    mask = np.zeros((rows, columns), dtype=bool)
    mask[step // 2 :: step] = True
    counts = cube.region_spectrum(mask).astype(np.float64)
    counts[cube.energy.energies <= 0] = 0
    return counts


def _last_peak(cube: SpectralCube, counts: NDArray[np.float64]) -> float:
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    if not smooth.any():
        return float(max(cube.energy.energies[-1], 1.0))
    middle = smooth[1:-1]
    peaks = np.flatnonzero((middle >= smooth[:-2]) & (middle >= smooth[2:]) & (middle > 1e-3 * smooth.max()))
    last = int(peaks[-1]) + 1 if peaks.size else int(np.argmax(smooth))
    return float(max(cube.energy.energies[last], 1.0))


def _ends_in_a_peak(cube: SpectralCube, counts: NDArray[np.float64]) -> bool:
    last = _last_peak(cube, counts)
    above = cube.energy.window(last + 0.5, np.inf)
    if last + 1.5 > cube.energy.energies[-1]:
        return False
    peak, before = (cube.energy.window(last - to, last - to + 0.4) for to in (0.2, 1.4))
    inside = float(counts[peak].sum())
    stands_out = inside > 2 * float(counts[before].sum()) and inside > _SCATTER_PEAK
    return stands_out and float(counts[above].sum()) < _NOTHING_ABOVE * inside
