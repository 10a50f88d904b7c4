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


@dataclass(frozen=True)
class Setting:
    """Excitation, detector and energy range of a map.

    Attributes
    ----------
    kind
        ``"tube"``, ``"electron"``, ``"monochromatic"``, or None where unknown.
    highest_kev
        Energy of the beam or tube; where the file says none, the highest energy with counts.
    anode
        Symbol of the tube's anode, or None.
    scatter_deg
        Angle between the incoming beam and the detector's direction.
    in_air
        Whether air lies in the path (argon shows).
    detector
        Resolution, efficiency, tail and escape.
    energy
        Energy axis, as refined.
    low, high
        Range in keV that is fitted.
    source
        The instrument whose source excites the lines, where the file names a source of photons.
    """

    kind: str | None
    highest_kev: float
    anode: str | None
    scatter_deg: float
    in_air: bool
    detector: Detector
    energy: EnergyAxis
    low: float
    high: float
    source: Instrument | None = None

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

    Parameters
    ----------
    spectrum
        (E,) summed counts.
    energy, excitation
        As the file has them.
    """
    cube = SpectralCube(np.asarray(spectrum)[None, None, :], energy, excitation=excitation)
    instrument = instrument_of(cube)
    last = last_energy(spectrum, energy)
    stated = excitation.energy_kev
    # A stated voltage far below the counts cannot be right (files hold 0 or the unit of another field).
    highest = stated if stated and stated > 0.7 * min(last, 12.0) else last
    low = _LOWEST_ELECTRON_KEV if excitation.kind == "electron" else _LOWEST_PHOTON_KEV
    top = highest * (1.06 if excitation.kind == "monochromatic" else 1.0)
    high = min(float(energy.energies[-1]), max(min(top, last + 0.5), low + 20 * energy.width))
    return Setting(
        excitation.kind,
        float(highest),
        excitation.anode if excitation.kind in ("tube", None) else None,
        float(instrument.scatter_deg),
        excitation.atmosphere not in ("vacuum", "helium") and excitation.kind != "electron",
        instrument.detector,
        energy,
        low,
        high,
        instrument if excitation.kind in ("tube", "monochromatic") and stated == highest else None,
    )


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
    """Return the highest energy in keV with counts: above it lie no more than 2 in 10 000 of them."""
    used = energy.positive
    counts = np.clip(np.asarray(spectrum, dtype=np.float64)[used], 0, None)
    energies = energy.energies[used]
    if counts.size == 0 or counts.sum() == 0:
        return float(energy.energies[-1])
    beyond = counts[::-1].cumsum()[::-1] / counts.sum()
    return float(energies[np.flatnonzero(beyond > 2e-4)[-1]])
