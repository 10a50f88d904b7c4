"""Energy-dispersive detectors: resolution, efficiency, and the spectrum they make of photons.

Silicon drift detectors and gas electron multipliers differ only in their numbers: pairs of charges made in
the sensitive volume, their spread, and electronic noise.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_xrf.core.constants import FWHM_PER_SIGMA, MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.physics.attenuation import (
    Floats,
    Layer,
    mass_attenuation,
    mass_photo_absorption,
    transmission,
)
from napari_xrf.physics.detector.losses import (
    electron_shelf,
    escape_fractions,
    highest_recoil,
    k_binding,
    mass_compton,
    recoil_fraction,
)
from napari_xrf.physics.detector.response import Decay, DetectorResponse, Peaks, peak_response, together
from napari_xrf.reference.materials import Material

_CACHED_RESPONSES = 8
_LARGEST_PART = 0.3  # of a peak, in each of its tails and in its shelf


@dataclass(frozen=True)
class Detector:
    """What a detector is made of and how it blurs.

    Raises InvalidInput for a value that is out of range.
    """

    kind: Literal["sdd", "gem"]  # "sdd" (silicon drift detector) or "gem" (gas electron multiplier)
    medium: Material  # the sensitive volume's material
    thickness_um: float  # its thickness along the beam, µm
    window: tuple[Layer, ...] = ()  # everything that photons cross before it, dead layer included
    noise_fwhm_ev: float = 0.0  # electronic noise, eV FWHM
    pair_energy_ev: float = 3.65  # mean energy for one pair of charges, eV
    # Variance of the number of pairs over their mean; for a gas the spread of the avalanche included.
    fano: float = 0.115
    # tail_fraction, tail_depth_um, tail_width_kev: short low-energy tail. Its part of a peak is a constant,
    # plus what is absorbed in a layer of this depth below the entrance, where charge is lost; it decays over
    # this width.
    tail_fraction: float = 0.0
    tail_depth_um: float = 0.0
    tail_width_kev: float = 0.1
    # long_tail_fraction, long_tail_depth_um, long_tail_width_kev: long low-energy tail, likewise.
    long_tail_fraction: float = 0.0
    long_tail_depth_um: float = 0.0
    long_tail_width_kev: float = 0.8
    # shelf_fraction, shelf_depth_um: flat shelf from 0 keV to the line, likewise.
    shelf_fraction: float = 0.0
    shelf_depth_um: float = 0.0
    # Part of the photons absorbed within a photoelectron's range of the entrance whose electron leaves: a
    # second shelf, from the K shell's binding energy to the line, see losses.
    electron_part: float = 0.0
    # Part of the escape peaks that stands in the spectra; below 1 where the instrument's software takes them
    # out.
    escape_part: float = 1.0
    threshold_kev: float = 0.0  # pulses below it are not counted
    # open_fraction, grid: open area of a window's supporting grid, and the grid's bars (None: opaque).
    open_fraction: float = 1.0
    grid: Layer | None = None

    def __post_init__(self) -> None:
        check_name("detector of kind", self.kind, ("sdd", "gem"))
        for name in ("thickness_um", "pair_energy_ev", "fano", "tail_width_kev", "long_tail_width_kev"):
            _require(name, getattr(self, name), low=0.0, open_low=True)
        depths = ("tail_depth_um", "long_tail_depth_um", "shelf_depth_um")
        for name in ("noise_fwhm_ev", "threshold_kev", *depths):
            _require(name, getattr(self, name), low=0.0)
        for name in ("electron_part", "escape_part", "open_fraction"):
            _require(name, getattr(self, name), low=0.0, high=1.0)
        for name in ("tail_fraction", "long_tail_fraction", "shelf_fraction"):
            _require(name, getattr(self, name), low=0.0, high=_LARGEST_PART)

    def fwhm(self, energies_kev: ArrayLike) -> Floats:
        """Return the resolution at energies in keV: full width at half maximum, keV."""
        pairs = self.fano * self.pair_energy_ev * 1e3 * np.maximum(np.asarray(energies_kev, dtype=float), 0.0)
        return np.asarray(np.sqrt(self.noise_fwhm_ev**2 + FWHM_PER_SIGMA**2 * pairs)) * 1e-3

    def sigma(self, energies_kev: ArrayLike) -> Floats:
        """Return the resolution at energies in keV as a standard deviation, keV."""
        return np.asarray(self.fwhm(energies_kev) / FWHM_PER_SIGMA)

    def efficiency(self, energies_kev: ArrayLike) -> Floats:
        """Return the part of incident photons that leave charge in the sensitive volume, 0 to 1.

        Photons at normal incidence cross window, grid and dead layer. Photoelectric absorption and
        Compton scattering leave charge; Rayleigh scattering hardly turns a photon and is left out.
        """
        energies = np.asarray(energies_kev, dtype=np.float64)
        flat = energies.ravel()
        ionising = mass_photo_absorption(self.medium, flat) + mass_compton(self.medium, flat)
        absorbed = -np.expm1(-ionising * self.medium.density * self.thickness_um * 1e-4)
        through_grid = transmission((self.grid,), flat) if self.grid else np.zeros(flat.size)
        opened = self.open_fraction + (1 - self.open_fraction) * through_grid
        return np.asarray(transmission(self.window, flat) * opened * absorbed).reshape(energies.shape)

    def tail(self, energies_kev: ArrayLike) -> Floats:
        """Return the part of a peak that lies in its short tail."""
        return self._near_entrance(energies_kev, self.tail_fraction, self.tail_depth_um)

    def long_tail(self, energies_kev: ArrayLike) -> Floats:
        """Return the part of a peak that lies in its long tail."""
        return self._near_entrance(energies_kev, self.long_tail_fraction, self.long_tail_depth_um)

    def shelf(self, energies_kev: ArrayLike) -> Floats:
        """Return the part of a peak that lies in its shelf."""
        return self._near_entrance(energies_kev, self.shelf_fraction, self.shelf_depth_um)

    def escape(self, energies_kev: ArrayLike) -> dict[float, Floats]:
        """Return energy lost → part of the detected photons that lose it, see :mod:`.losses`."""
        found = escape_fractions(self.medium, self.thickness_um, energies_kev)
        return {lost: self.escape_part * fraction for lost, fraction in found.items()}

    def _near_entrance(self, energies_kev: ArrayLike, constant: float, depth_um: float) -> Floats:
        flat = np.asarray(energies_kev, dtype=np.float64).ravel()
        lost = np.full(flat.shape, constant)
        if depth_um > 0:
            crossed = mass_attenuation(self.medium, flat) * self.medium.density * depth_um * 1e-4
            lost = lost - np.expm1(-crossed)
        return np.minimum(lost, _LARGEST_PART).reshape(np.shape(energies_kev))


def respond(detector: Detector, axis: EnergyAxis, energies_kev: ArrayLike, intensities: ArrayLike) -> Floats:
    """Return the expected spectrum of photons that reach a detector.

    Efficiency, escape, Gaussian resolution integrated over each channel, low-energy tail and shelf. The
    sum of all channels is the number of photons detected, but for what falls outside the axis.

    Raises InvalidInput when an energy is not above 0 keV or the shapes do not fit.

    ``energies_kev``: (N,) photon energies, above 0 keV. ``intensities``: (..., N) incident photons at each
    energy.

    Returns
    -------
    (..., E) expected counts.
    """
    return response_matrix(detector, axis, energies_kev).fold(intensities)


def response_matrix(detector: Detector, axis: EnergyAxis, energies_kev: ArrayLike) -> DetectorResponse:
    """Return the response of a detector to N photon energies; the last ones asked for are kept.

    Raises InvalidInput when an energy is not above 0 keV.
    """
    energies = np.ascontiguousarray(np.atleast_1d(np.asarray(energies_kev, dtype=np.float64)))
    if energies.ndim != 1 or not np.all((energies > 0) & np.isfinite(energies)):
        raise InvalidInput("photon energies must be a row of numbers above 0 keV")
    return _cached_response(detector, axis, energies.tobytes())


def with_resolution(detector: Detector, fwhm_mn_ka_ev: float) -> Detector:
    """Return the detector with the noise that gives it this FWHM at Mn Kα.

    Where the resolution is better than the spread of the pairs alone allows, the spread is lowered too.
    Raises InvalidInput when the resolution is not above 0 eV.
    """
    _require("resolution at Mn Kα", fwhm_mn_ka_ev, low=0.0, open_low=True)
    pairs = FWHM_PER_SIGMA**2 * detector.fano * detector.pair_energy_ev * 1e3 * MN_KA_KEV
    rest = fwhm_mn_ka_ev**2 - pairs
    if rest >= 0:
        return replace(detector, noise_fwhm_ev=math.sqrt(rest))
    return replace(detector, noise_fwhm_ev=0.0, fano=detector.fano * fwhm_mn_ka_ev**2 / pairs)


@lru_cache(maxsize=_CACHED_RESPONSES)
def _cached_response(detector: Detector, axis: EnergyAxis, energies: bytes) -> DetectorResponse:
    return _make_response(detector, axis, np.frombuffer(energies))


def _make_response(detector: Detector, axis: EnergyAxis, energies: Floats) -> DetectorResponse:
    detected, escapes = detector.efficiency(energies), detector.escape(energies)
    recoil = recoil_fraction(detector.medium, detector.thickness_um, energies)
    everyone = np.arange(energies.size)
    at, photon = [energies], [everyone]
    weight = [detected * (1.0 - np.sum(list(escapes.values()), axis=0) - recoil)]
    for lost, fraction in escapes.items():
        some = np.flatnonzero(fraction > 0)
        # A photon just above the edge loses almost all: what is left is held above 0 keV.
        at.append(np.maximum(energies[some] - lost, 1e-3))
        photon.append(some)
        weight.append((detected * fraction)[some])
    electrons = electron_shelf(
        detector.medium,
        detector.electron_part,
        energies,
        weight[0],
        float(detector.sigma(k_binding(detector.medium))),
        axis,
    )
    weight[0] = electrons.weights
    peaks = _peaks(detector, energies, np.concatenate(at), electrons.shelves)
    photons, weights = np.concatenate(photon), np.concatenate(weight)
    near, decays = peak_response(axis, peaks, photons, weights)
    decays = together((*decays, *electrons.removal, _recoil(axis, energies, detected * recoil)))
    counted = np.ones(axis.size, dtype=bool)
    if detector.threshold_kev > 0:
        counted = axis.energies >= detector.threshold_kev
    return DetectorResponse(axis, energies.size, near, photons, weights, decays, counted)


def _peaks(detector: Detector, energies: Floats, at: Floats, shelf: Floats) -> Peaks:
    """Return the full-energy peaks at ``energies``, a shelf added, and, behind them, plain escape peaks."""

    def only_full(parts: Floats) -> Floats:
        return np.concatenate([parts, np.zeros(at.size - energies.size)])

    return Peaks(
        energies=at,
        sigmas=detector.sigma(at),
        tails=np.stack([only_full(detector.tail(energies)), only_full(detector.long_tail(energies))]),
        tail_widths=(detector.tail_width_kev, detector.long_tail_width_kev),
        shelves=only_full(detector.shelf(energies) + shelf),
    )


def _recoil(axis: EnergyAxis, energies: Floats, counts: Floats) -> Decay:
    """Return the counts of Compton electrons, flat from 0 keV to their highest energy."""
    top = np.maximum(axis.channel(highest_recoil(energies)), axis.channel(0.0)) + 1
    channels = np.maximum(axis.energy(top - 0.5) / axis.width, 0.5)
    return Decay(1.0, np.arange(energies.size), top, counts / channels)


def _require(name: str, value: float, low: float, high: float = math.inf, open_low: bool = False) -> None:
    if not (math.isfinite(value) and low <= value <= high) or (open_low and value <= low):
        bound = (
            f"between {low} and {high}" if math.isfinite(high) else f"{'above' if open_low else 'from'} {low}"
        )
        raise InvalidInput(f"{name.replace('_', ' ')} of a detector must be {bound}, not {value}")
