"""What an instrument records of expected spectra: stray lines, distortions, what a file states."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.learning.conditions import conditions_of, recorded
from napari_xrf.learning.sources.instrument_bank import AXIS
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.instrument import Instrument
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortion_values import DistortionValues
from napari_xrf.synthesis.distortions import Distortions, draw_values
from napari_xrf.synthesis.random_samples import SAMPLE_ELEMENTS
from napari_xrf.synthesis.sampling import log_uniform

Random = np.random.Generator

_DISTORTIONS = Distortions(
    offset_ev=(-15.0, 15.0),
    gain=(-0.003, 0.003),
    width_factor=(1.0, 1.15),
    tail=(0.0, 0.03),
    shelf=(0.0, 0.01),
    continuum_level=(0.0, 0.2),
    continuum_end_kev=(8.0, 50.0),
    bragg_strength=(0.0003, 0.02),
    bragg_share=0.45,
    zero_peak=(0.0, 1.0),
)
_LARGEST_ZERO_PEAK = 0.5  # of the counts; most are far smaller
_MOST_PILED_UP = 0.05  # part of the pulses
_MOST_TRACES = 4
_REST_SPREAD = 0.35  # of the logarithm of the continuum's amount
_REST_WAVES, _WAVES_KEV = 0.12, (3.0, 30.0)  # and of its shape, along periods
_ARGON_SHARE, _ARGON_CHANCE = (1e-4, 0.03), 0.6
# Lines that are not the sample's: of the detector's dead layer, of holders, collimators and chambers. In what
# part of the spectra, and their share of the counts.
_STRAY = {"Si": 0.5, "Al": 0.25, "Fe": 0.15, "Cu": 0.15, "Ni": 0.1, "Cr": 0.1, "Ca": 0.1, "Zr": 0.05}
_STRAY_SHARE = (1e-5, 2e-3)
_CLEAN = 0.15  # part of the spectra without distortions of their counts
_ENDS_KEV = (10.24, 20.48, 30.72, 40.96)
_AXIS_STARTS = 0.1  # part of the spectra whose axis begins well above 0 keV
_UNTOLD = {"kind": 0.15, "energy_kev": 0.25, "anode": 0.25, "takeoff_deg": 0.4, "fwhm_mn_ka_ev": 0.2,
           "atmosphere": 0.4}  # fmt: skip


def drawn_traces(
    size: int, instrument: Instrument, generator: Random, limits: tuple[float, float] = (1e-5, 0.3)
) -> NDArray[np.float32]:
    """Return shares of the counts (N, elements) of a few elements in half of the spectra, and of air."""
    traces = np.zeros((size, len(SAMPLE_ELEMENTS)), dtype=np.float32)
    for row in range(size):
        number = int(generator.integers(_MOST_TRACES + 1)) if generator.random() < 0.5 else 0
        chosen = generator.choice(len(SAMPLE_ELEMENTS), size=number, replace=False)
        traces[row, chosen] = log_uniform(generator, limits, number)
    if instrument.atmosphere == "air":
        argon = SAMPLE_ELEMENTS.index("Ar")
        drawn = log_uniform(generator, _ARGON_SHARE, size)
        traces[:, argon] += np.where(generator.random(size) < _ARGON_CHANCE, drawn, 0)
    return traces


def stray_lines(size: int, generator: Random) -> NDArray[np.float32]:
    """Return shares of the counts (N, elements) of lines that are not the sample's."""
    shares = np.zeros((size, len(SAMPLE_ELEMENTS)), dtype=np.float32)
    for element, chance in _STRAY.items():
        there = generator.random(size) < chance
        shares[there, SAMPLE_ELEMENTS.index(element)] = log_uniform(generator, _STRAY_SHARE, int(there.sum()))
    return shares


def varied_continua(
    rest: NDArray[np.float32], generator: Random, spread: float | NDArray[np.float64] = _REST_SPREAD
) -> NDArray[np.float32]:
    """Return continua (N, E) with another amount and shape, as no model of scatter is exact.

    The logarithm of the amount has a standard deviation, ``spread``, of all or of each, (N, 1).
    """
    size = (len(rest), 1)
    periods = log_uniform(generator, _WAVES_KEV, size)
    waves = np.sin(2 * np.pi * (AXIS.energies / periods + generator.random(size)))
    heights = generator.normal(0, spread, size) + generator.normal(0, _REST_WAVES, size) * waves
    return np.asarray(rest * np.exp(heights), dtype=np.float32)


def record(
    expected: NDArray[np.float32], instrument: Instrument, telling: Random, distortion: Random
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return expected counts (N, E) as recorded, 0 beyond the file's axis, and what it states, (N, C)."""
    expected = _distorted(expected, instrument, distortion)
    known = excitation_of(instrument)
    told = np.stack([_told(known, telling) for _ in range(len(expected))])
    expected[~recorded(told, AXIS)] = 0
    return expected, told


def _distorted(
    expected: NDArray[np.float32], instrument: Instrument, generator: Random
) -> NDArray[np.float32]:
    size = len(expected)
    drawn = dict(draw_values(_DISTORTIONS, size, generator).columns)
    piled = generator.uniform(0, _MOST_PILED_UP, size) ** 2 / _MOST_PILED_UP
    drawn |= {"pulse_pair": piled / expected.sum(axis=1), "dwell": np.ones(size)}
    drawn["zero_peak"] = _LARGEST_ZERO_PEAK * drawn["zero_peak"] ** 4
    clean = generator.random(size) < _CLEAN
    for name in ("tail", "shelf", "continuum_level", "zero_peak", "pulse_pair"):
        drawn[name] = np.where(clean, 0.0, drawn[name])
    return distort(expected, AXIS, DistortionValues(**drawn), instrument.detector.fwhm)


def _told(known: Excitation, generator: Random) -> NDArray[np.float32]:
    """Return the conditions of a file of the instrument: some states little, and its axis ends somewhere."""
    nothing = generator.random() < 0.1
    left_out = {name: None for name, chance in _UNTOLD.items() if nothing or generator.random() < chance}
    stated: Excitation = replace(known, **left_out)
    if stated.kind is None:
        stated = replace(stated, energy_kev=None, anode=None)
    if stated.fwhm_mn_ka_ev is not None:
        stated = replace(stated, fwhm_mn_ka_ev=stated.fwhm_mn_ka_ev * float(generator.uniform(0.95, 1.1)))
    ends = [end for end in _ENDS_KEV if end >= 0.4 * (known.energy_kev or 0.0)]
    end = float(generator.choice(ends or _ENDS_KEV[-1:]))
    if generator.random() < 0.2:
        end *= float(generator.uniform(0.8, 1.0))
    start = float(generator.uniform(0, 1.5)) if generator.random() < _AXIS_STARTS else 0.0
    low, high = round(start / AXIS.width), min(round(end / AXIS.width), AXIS.size)
    own = EnergyAxis(AXIS.offset + (low - 1) * AXIS.width, AXIS.width, high - low + 1)
    return conditions_of(stated, own)
