"""What makes measured spectra differ from expected ones, in physical units, each switchable.

:class:`Distortions` holds the range of each distortion (None: off); :func:`draw_values` and
:func:`draw_map_values` draw what is applied, and
:func:`~napari_xrf.synthesis.distorted_spectra.distort` applies it to batches of expected spectra. Each
distortion draws from random numbers of its own, so switching one on or off changes no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Limits, Range, parameters
from napari_xrf.synthesis.sampling import draw_seed

FwhmOfEnergy = Callable[[NDArray[np.float64]], NDArray[np.float64]]
MOST_BRAGG_PEAKS = 3

# What each name switches on: the fields that must be set for it, the others only shape it.
_SWITCHES = {
    "offset": ("offset_ev",),
    "gain": ("gain",),
    "drift": ("offset_drift_ev", "gain_drift"),
    "resolution": ("noise_ev", "width_factor"),
    "bragg": ("bragg_strength",),
    "pile-up": ("pulse_pair_us",),
    "dead time": ("dead_time_us",),
    "continuum": ("continuum_level",),
    "artefacts": ("shelf", "tail", "zero_peak"),
}
DISTORTION_NAMES = tuple(_SWITCHES)


@parameters
class Distortions:
    """The ranges (lower, upper) from which distortions are drawn; None leaves one out.

    Attributes
    ----------
    offset_ev
        Shift of the recorded energy, eV; −2000 to 2000.
    gain
        Relative stretch of the recorded energy, −0.2 to 0.2: E is recorded at (1 + gain) E + offset.
    offset_drift_ev, gain_drift
        How far offset and gain wander across a map, lowest to highest; a batch gets random places.
    noise_ev
        FWHM of electronic noise beyond the detector's own, added in quadrature, the same at all energies.
    width_factor
        Width of peaks as a multiple of the detector's, at least 1.
    bragg_strength
        Counts of each Bragg peak as a share of the spectrum's.
    bragg_share
        Part of the grains (of the spectra, in a batch) that reflect into the detector, 0 to 1.
    bragg_energy_kev, bragg_width_ev
        Where the peaks lie, and their FWHM before the detector's own.
    pulse_pair_us
        Pulses closer than this pile up, µs.
    dead_time_us
        Dead time per pulse (non-paralysable), µs.
    dwell_ms
        Time a spectrum takes; with its counts it gives the rate that pile-up and dead time follow.
    continuum_level
        Counts of an added continuum, as a share of the spectrum's.
    continuum_onset_kev, continuum_end_kev
        Its shape (E₁ / E − 1) / (1 + (E₀ / E)⁴): absorbed below the onset E₀, Kramers' law up to the end E₁.
    shelf, tail
        Share of the counts that incomplete charge collection moves to a flat shelf from 0 keV up, and to
        an exponential tail below each peak.
    tail_width_ev
        Mean loss of energy in the tail.
    zero_peak
        Counts of the noise peak at 0 keV as a share of the spectrum's.

    Raises
    ------
    InvalidInput
        When a range is reversed or reaches beyond what makes sense.
    """

    offset_ev: Annotated[Range | None, Limits(-2000, 2000, "eV")] = None
    gain: Annotated[Range | None, Limits(-0.2, 0.2)] = None
    offset_drift_ev: Annotated[Range | None, Limits(0, 2000, "eV")] = None
    gain_drift: Annotated[Range | None, Limits(0, 0.2)] = None
    noise_ev: Annotated[Range | None, Limits(0, 3000, "eV")] = None
    width_factor: Annotated[Range | None, Limits(1, 10)] = None
    bragg_strength: Annotated[Range | None, Limits(0, 10)] = None
    bragg_share: Annotated[float, Limits(0, 1)] = 0.6
    bragg_energy_kev: Annotated[Range, Limits(0.1, 100, "keV")] = (2.0, 16.0)
    bragg_width_ev: Annotated[Range, Limits(0, 2000, "eV")] = (10.0, 150.0)
    pulse_pair_us: Annotated[Range | None, Limits(0, 50, "µs")] = None
    dead_time_us: Annotated[Range | None, Limits(0, 500, "µs")] = None
    dwell_ms: Annotated[Range, Limits(1e-3, 1e7, "ms")] = (10.0, 100.0)
    continuum_level: Annotated[Range | None, Limits(0, 20)] = None
    continuum_onset_kev: Annotated[Range, Limits(0, 50, "keV")] = (1.0, 6.0)
    continuum_end_kev: Annotated[Range, Limits(1, 200, "keV")] = (30.0, 50.0)
    shelf: Annotated[Range | None, Limits(0, 0.4)] = None
    tail: Annotated[Range | None, Limits(0, 0.4)] = None
    tail_width_ev: Annotated[Range, Limits(1, 5000, "eV")] = (100.0, 500.0)
    zero_peak: Annotated[Range | None, Limits(0, 10)] = None

    def only(self, *names: str) -> Distortions:
        """Return these distortions with all but the named ones (of DISTORTION_NAMES) off."""
        return self._without([name for name in DISTORTION_NAMES if name not in _known(names)])

    def without(self, *names: str) -> Distortions:
        """Return these distortions with the named ones (of DISTORTION_NAMES) off."""
        return self._without(list(_known(names)))

    @property
    def active(self) -> tuple[str, ...]:
        """The names of the distortions that are on."""
        return tuple(
            name
            for name, parts in _SWITCHES.items()
            if any(getattr(self, part) is not None for part in parts)
        )

    def _without(self, names: list[str]) -> Distortions:
        off: dict[str, Any] = {part: None for name in names for part in _SWITCHES[name]}
        return replace(self, **off)


def typical_distortions() -> Distortions:
    """Return all distortions at the sizes that micro-XRF maps show.

    Offsets as in measured .bcf files (20 to 40 eV); pulse-pair and dead times of silicon drift detectors
    with digital pulse processors; Bragg peaks from those of powders (0.02 to 0.25 % of the counts) up to
    single crystals.
    """
    return Distortions(
        offset_ev=(-30.0, 30.0),
        gain=(-0.002, 0.002),
        offset_drift_ev=(0.0, 10.0),
        gain_drift=(0.0, 0.001),
        noise_ev=(0.0, 60.0),
        width_factor=(1.0, 1.1),
        bragg_strength=(0.0005, 0.05),
        pulse_pair_us=(0.05, 0.5),
        dead_time_us=(0.3, 3.0),
        continuum_level=(0.0, 0.3),
        shelf=(0.0, 0.01),
        tail=(0.0, 0.03),
        zero_peak=(0.0, 0.02),
    )


@dataclass(frozen=True, eq=False)
class DistortionValues:
    """What is applied to each of N spectra; fields are (N,) or (N, 3), None where off. Energies in keV.

    Attributes
    ----------
    offset, gain
        E is recorded at ``(1 + gain) E + offset``.
    noise, width_factor
        FWHM of added noise, and multiple of the detector's own width.
    bragg_energy, bragg_strength, bragg_width
        (N, 3) energies, shares of the counts, FWHM.
    pulse_pair, dead_time, dwell
        Seconds.
    continuum_level, continuum_onset, continuum_end
        Share of the counts, and shape.
    shelf, tail, tail_width, zero_peak
        Shares of the counts, and the tail's mean loss.
    """

    offset: NDArray[np.float64] | None = None
    gain: NDArray[np.float64] | None = None
    noise: NDArray[np.float64] | None = None
    width_factor: NDArray[np.float64] | None = None
    bragg_energy: NDArray[np.float64] | None = None
    bragg_strength: NDArray[np.float64] | None = None
    bragg_width: NDArray[np.float64] | None = None
    pulse_pair: NDArray[np.float64] | None = None
    dead_time: NDArray[np.float64] | None = None
    dwell: NDArray[np.float64] | None = None
    continuum_level: NDArray[np.float64] | None = None
    continuum_onset: NDArray[np.float64] | None = None
    continuum_end: NDArray[np.float64] | None = None
    shelf: NDArray[np.float64] | None = None
    tail: NDArray[np.float64] | None = None
    tail_width: NDArray[np.float64] | None = None
    zero_peak: NDArray[np.float64] | None = None

    def take(self, indices: ArrayLike) -> DistortionValues:
        """Return the values of some of the spectra."""
        chosen = np.asarray(indices)
        return DistortionValues(
            **{
                item.name: None if value is None else value[chosen]
                for item in fields(self)
                for value in [getattr(self, item.name)]
            }
        )

    def without_bragg(self) -> DistortionValues:
        """Return the values a second detector sees: the same, but other grains reflect into it."""
        return replace(self, bragg_strength=None, bragg_energy=None, bragg_width=None)

    def largest_addition(self) -> float:
        """Return how many counts may be added to a spectrum, as a share of its own."""
        growth = 0.0
        for added in (self.continuum_level, self.zero_peak):
            growth += 0.0 if added is None else float(np.max(added, initial=0.0))
        if self.bragg_strength is not None:
            growth += float(self.bragg_strength.sum(axis=1).max(initial=0.0))
        return growth


def draw_values(distortions: Distortions, size: int, generator: np.random.Generator) -> DistortionValues:
    """Draw independent distortions for a batch of ``size`` spectra."""
    return _Draws(distortions, draw_seed(generator)).values(size, None)


def draw_map_values(
    distortions: Distortions, grains: NDArray[np.integer], generator: np.random.Generator
) -> DistortionValues:
    """Draw the distortions of a map.

    One value for the whole map of what belongs to the instrument, smooth fields for drift, and Bragg
    peaks that are the same in all pixels of a grain.

    Parameters
    ----------
    grains
        (Y, X) number of the grain in each pixel, from 0.

    Returns
    -------
    DistortionValues of Y·X spectra, row by row.
    """
    return _Draws(distortions, draw_seed(generator)).values(grains.size, grains)


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in _SWITCHES:
            raise InvalidInput(
                f"there is no distortion {name!r}", f"Choose from {', '.join(DISTORTION_NAMES)}"
            )
    return names


@dataclass(frozen=True)
class _Draws:
    """Draws each field from a generator of its own."""

    distortions: Distortions
    seed: int

    def values(self, size: int, grains: NDArray[np.integer] | None) -> DistortionValues:
        one_map = grains is not None
        ranges = self.distortions
        rated = ranges.pulse_pair_us is not None or ranges.dead_time_us is not None
        continuum = ranges.continuum_level is not None
        bragg = self._bragg(size, grains)

        def column(name: str, unit: float = 1.0, on: bool = True) -> NDArray[np.float64] | None:
            interval: Range | None = getattr(ranges, name)
            if interval is None or not on:
                return None
            low, high = interval
            drawn = self._generator(name).uniform(low, high, size=1 if one_map else size) * unit
            return np.full(size, drawn[0]) if one_map else drawn

        return DistortionValues(
            offset=_sum(column("offset_ev", 1e-3), self._drift("offset_drift_ev", size, grains, 1e-3)),
            gain=_sum(column("gain"), self._drift("gain_drift", size, grains)),
            noise=column("noise_ev", 1e-3),
            width_factor=column("width_factor"),
            bragg_energy=bragg[0],
            bragg_strength=bragg[1],
            bragg_width=bragg[2],
            pulse_pair=column("pulse_pair_us", 1e-6),
            dead_time=column("dead_time_us", 1e-6),
            dwell=column("dwell_ms", 1e-3, on=rated),
            continuum_level=column("continuum_level"),
            continuum_onset=column("continuum_onset_kev", on=continuum),
            continuum_end=column("continuum_end_kev", on=continuum),
            shelf=column("shelf"),
            tail=column("tail"),
            tail_width=column("tail_width_ev", 1e-3, on=ranges.tail is not None),
            zero_peak=column("zero_peak"),
        )

    def _generator(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def _drift(
        self, name: str, size: int, grains: NDArray[np.integer] | None, unit: float = 1.0
    ) -> NDArray[np.float64] | None:
        interval: Range | None = getattr(self.distortions, name)
        if interval is None:
            return None
        low, high = interval
        generator = self._generator(name)
        if grains is None:
            return generator.uniform(low, high, size=size) * generator.uniform(-0.5, 0.5, size=size) * unit
        return (_wander(grains.shape, generator) * generator.uniform(low, high) * unit).reshape(-1)

    def _bragg(
        self, size: int, grains: NDArray[np.integer] | None
    ) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None, NDArray[np.float64] | None]:
        ranges = self.distortions
        if ranges.bragg_strength is None:
            return None, None, None
        generator = self._generator("bragg")
        number = size if grains is None else int(grains.max(initial=0)) + 1
        shape = (number, MOST_BRAGG_PEAKS)
        energy = generator.uniform(*ranges.bragg_energy_kev, size=shape)
        strength = generator.uniform(*ranges.bragg_strength, size=shape)
        width = generator.uniform(*ranges.bragg_width_ev, size=shape) * 1e-3
        peaks = generator.integers(1, MOST_BRAGG_PEAKS, endpoint=True, size=number)
        peaks[generator.random(number) >= ranges.bragg_share] = 0
        strength[np.arange(MOST_BRAGG_PEAKS) >= peaks[:, np.newaxis]] = 0.0
        if grains is None:
            return energy, strength, width
        of_pixel = grains.reshape(-1)
        return energy[of_pixel], strength[of_pixel], width[of_pixel]


def _wander(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
    """Smooth field in scan order (slow along rows), from −0.5 to 0.5."""
    slow = ndimage.gaussian_filter1d(generator.standard_normal(shape[0] + 1).cumsum(), max(shape[0] / 10, 1))
    along = np.linspace(0, 1, shape[1], endpoint=False)
    field = slow[:-1, np.newaxis] * (1 - along) + slow[1:, np.newaxis] * along
    span = float(np.ptp(field))
    return (field - field.min()) / span - 0.5 if span > 0 else np.zeros(shape)


def _sum(first: NDArray[np.float64] | None, second: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
