"""What a spectrum was measured with, as far as the analysis of a map needs it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.physics.excitation import instrument_of
from napari_xrf.physics.instrument import Instrument

_LOWEST_ELECTRON_KEV = 0.2  # carbon K at 0.277 keV is the first line a thin window passes
_LOWEST_PHOTON_KEV = 0.85  # below it, spectra of X-ray tubes hold noise and little else
# Counts from 0.2 to 0.85 keV over all counts: SEM spectra hold 2 % and more, those of tubes 0.4 % and less,
# but for silicon escape of S, Mo or Pb: of such counts as much as a detector lets go.
_SOFT_KEV, _SOFT_PART = (0.2, 0.85), 0.01
_ESCAPING_KEV, _ESCAPED_PART = (1.94, 2.6), 0.02
_HIGHEST_MICROSCOPE_KEV = 30.0
_COARSE_KEV = 0.020  # channels of elements are no narrower: a quarter of the best resolution
_END_KEV, _END_COUNTS = 0.3, 40.0  # a spectrum ends where this range holds fewer counts
_SPREAD_DEG = 12.0  # half width of the scatter angles that lens and detector take in


@dataclass(frozen=True)
class Setting:
    """Excitation, detector and energy range of a map."""

    kind: str | None  # "tube", "electron", "monochromatic", or None where unknown
    highest_kev: float  # energy of the beam or tube; where the file says none, the highest energy with counts
    anode: str | None  # symbol of the tube's anode, or None
    scatter_deg: float  # angle between the incoming beam and the detector's direction
    in_air: bool  # whether air may lie in the path (argon shows): helium leaks, too
    detector: Detector  # resolution, efficiency, tail and escape
    energy: EnergyAxis  # energy axis, as refined
    # low, high: range in keV that is fitted
    low: float
    high: float
    # The instrument whose source excites the lines, where the file names a source of photons
    source: Instrument | None = None
    spread_deg: float = _SPREAD_DEG  # half width of the scatter angles that are taken in

    @property
    def monochromatic(self) -> bool:
        """Whether all exciting photons have one energy."""
        return self.kind == "monochromatic"

    @property
    def fitted(self) -> slice:
        """The channels that are fitted."""
        return self.energy.window(self.low, self.high)

    def refined(self, energy: EnergyAxis, detector: Detector) -> Setting:
        """Return this setting with a calibrated axis and detector."""
        return replace(self, energy=energy, detector=detector)


def setting_of(spectrum: NDArray[np.generic], energy: EnergyAxis, excitation: Excitation) -> Setting:
    """Return the setting of a spectrum, gaps filled with the instrument's defaults.

    ``spectrum``: (E,) summed counts. ``energy``, ``excitation``: as the file has them. Where no kind of
    excitation is stated, many soft counts speak for electrons.
    """
    last = last_energy(spectrum, energy)
    stated = excitation.energy_kev
    # A stated voltage far below the counts cannot be right (files hold 0 or the unit of another field).
    highest = stated if stated and stated > 0.7 * min(last, 12.0) else last
    inferred = _likely_excitation(spectrum, energy, excitation, float(highest))
    kind = inferred.kind
    instrument = instrument_of(SpectralCube(np.asarray(spectrum)[None, None, :], energy, excitation=inferred))
    low = _LOWEST_ELECTRON_KEV if kind == "electron" else _LOWEST_PHOTON_KEV
    top = highest * (1.06 if kind == "monochromatic" else 1.0)
    high = min(float(energy.energies[-1]), max(min(top, last + 0.5), low + 20 * energy.width))
    return Setting(
        kind,
        float(highest),
        excitation.anode if kind in ("tube", None) else None,
        float(instrument.scatter_deg),
        excitation.atmosphere != "vacuum" and kind != "electron",
        instrument.detector,
        energy,
        low,
        high,
        instrument if excitation.kind in ("tube", "monochromatic") and stated == highest else None,
    )


def _likely_excitation(
    spectrum: NDArray[np.generic], energy: EnergyAxis, excitation: Excitation, highest_kev: float
) -> Excitation:
    """Return what a file states of the excitation, with electrons where it names no kind and they are likely.

    As many soft counts as only electrons excite speak for them.
    """
    if excitation.kind is not None or excitation.anode is not None or highest_kev > _HIGHEST_MICROSCOPE_KEV:
        return excitation
    if not is_soft(spectrum, energy):
        return excitation
    return replace(excitation, kind="electron", energy_kev=highest_kev)


def is_soft(spectrum: NDArray[np.generic], energy: EnergyAxis) -> bool:
    """Whether a spectrum, (E,), holds as many soft counts as only electrons excite."""
    counts = np.clip(np.asarray(spectrum, dtype=np.float64), 0, None)
    soft = counts[energy.window(*_SOFT_KEV)].sum()
    soft -= _ESCAPED_PART * counts[energy.window(*_ESCAPING_KEV)].sum()
    return bool(soft > _SOFT_PART * counts[energy.positive].sum())


def coarse(spectrum: NDArray[np.float64], setting: Setting) -> tuple[NDArray[np.float64], Setting]:
    """Return a spectrum, (E,), and its setting with channels summed to about 20 eV; odd ends are dropped."""
    number = _summed(setting.energy)
    size = spectrum.size // number
    summed = spectrum[: size * number].reshape(size, number).sum(axis=1)
    return summed, summed_setting(setting)


def summed_setting(setting: Setting) -> Setting:
    """Return a setting on channels of about 20 eV."""
    axis, number = setting.energy, _summed(setting.energy)
    offset = axis.offset + 0.5 * (number - 1) * axis.width
    return replace(setting, energy=EnergyAxis(offset, number * axis.width, axis.size // number))


def _summed(energy: EnergyAxis) -> int:
    return max(1, round(_COARSE_KEV / energy.width))


def channel_groups(setting: Setting) -> NDArray[np.intp]:
    """Return the first of each group of fitted channels, (G,), at most a quarter of the resolution wide.

    Channels of a group may be summed before they are compared with a model: a Gaussian sampled at a
    quarter of its FWHM, 0.6 standard deviations, loses about 3 % of what its position and width tell.
    """
    at = setting.energy.energies[setting.fitted]
    widths = np.maximum(setting.detector.fwhm(np.maximum(at, 0.1)) / (4 * setting.energy.width), 1.0)
    starts, position = [], 0
    while position < at.size:
        starts.append(position)
        position += int(widths[position])
    return np.array(starts, dtype=np.intp)


def last_energy(spectrum: NDArray[np.generic], energy: EnergyAxis) -> float:
    """Return the highest energy in keV with counts.

    The last 0.3 keV with 40 counts, and no less than where all but 2 in 10 000 of them lie below.
    """
    used = energy.positive
    counts = np.clip(np.asarray(spectrum, dtype=np.float64)[used], 0, None)
    energies = energy.energies[used]
    if counts.size == 0 or counts.sum() == 0:
        return float(energy.energies[-1])
    beyond = counts[::-1].cumsum()[::-1]
    last = float(energies[np.flatnonzero(beyond > 2e-4 * beyond[0])[-1]])
    near = beyond - np.interp(energies + _END_KEV, energies, beyond, right=0.0)
    filled = np.flatnonzero(near >= _END_COUNTS)
    return max(last, float(energies[filled[-1]])) if filled.size else last
