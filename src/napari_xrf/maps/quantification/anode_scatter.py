"""Compton beside Rayleigh scattering of a tube's K line, by which light atoms in a matrix show.

Both are of one line, so that lens, tube and dose hardly matter; the angle, which does, is that of the
Compton peak. Of two soils, a sediment and a plastic, on two instruments, the ratio is 2 to 7 % above the
model's, of other code's spectra 4 to 8 % below it. Crystals reflect, and are off by up to 40 % (metals).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import family_lines
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.spectra.scatter import scatter_columns
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.scatter import energy_after_compton
from napari_xrf.physics.source import TubeSource
from napari_xrf.reference.materials import Material

Floats = NDArray[np.float64]

_FAINT = 0.4  # of the anode's lines: weaker ones than that part of the strongest (Kβ) lie beyond the window
_DOPPLER, _BEYOND = 0.11, 0.06  # of the line's energy: below a photon that turns back, above the line
_ANGLES_DEG = np.arange(90.0, 176.0, 5.0)
_TOP = 90.0  # degrees above a surface


@dataclass(frozen=True, eq=False)
class AnodeScatter:
    """What a spectrum shows of its anode's K line, scattered."""

    ratio: float  # ln of Compton over Rayleigh counts
    error: float  # one standard deviation of it, by counting
    angle_deg: float  # by which the photons of the Compton peak turned, whole degrees
    anode: str
    part: CalibratedMap  # the spectrum


def anode_scatter(part: CalibratedMap, source: object, lines: Floats) -> AnodeScatter | None:
    """Return the Compton and Rayleigh peaks of the anode's K line; None where they are not both seen.

    ``part``: the spectrum. ``source``: what excited it; what is no tube has none. ``lines``: (E,) counts of
    the sample's own lines, which are taken off.
    """
    if not isinstance(source, TubeSource):
        return None
    inside = _window(source.anode, source.voltage_kv, part)
    if not inside.any():
        return None
    net = part.sum_spectrum - lines
    variances = np.maximum(part.sum_spectrum, 1.0)

    def misfit(angle: float) -> float:
        return _peaks(net, variances, source.anode, angle, part, inside)[2]

    tried = [misfit(angle) for angle in _ANGLES_DEG]
    near = float(_ANGLES_DEG[int(np.argmin(tried))])
    angle = min(np.arange(near - 4.0, near + 5.0), key=misfit)
    logs, error, _ = _peaks(net, variances, source.anode, float(angle), part, inside)
    return AnodeScatter(logs, error, float(angle), source.anode, part) if math.isfinite(error) else None


def expected_ratio(material: Material, instrument: Instrument, seen: AnodeScatter) -> float:
    """Return ln of Compton over Rayleigh counts of a material by the model, at the angle that is seen."""
    out = seen.angle_deg - instrument.incidence_deg
    beam = instrument.incidence_deg if 0 < out <= _TOP else seen.angle_deg / 2
    turned = replace(instrument, incidence_deg=beam, takeoff_deg=seen.angle_deg - beam, azimuth_deg=0.0)
    made = expect_spectrum(material, turned).scatter
    inside = _window(seen.anode, instrument.source.highest_kev, seen.part)
    made = made * seen.part.sum_spectrum[inside].sum() / max(float(made[inside].sum()), 1e-300)
    variances = np.maximum(made, 1.0)
    return _peaks(made, variances, seen.anode, seen.angle_deg, seen.part, inside)[0]


def _window(anode: str, highest_kev: float, part: CalibratedMap) -> NDArray[np.bool_]:
    """Return the channels of the anode's Kα and its Compton peak, (E,); none where it is not excited."""
    energies, shares = family_lines(anode, "K", highest_kev)
    strong = energies[shares > _FAINT * shares.max()] if energies.size else energies
    if not strong.size or strong.max() * (1 + _BEYOND) > min(highest_kev, part.energy.energies[-1]):
        return np.zeros(part.energy.size, dtype=bool)
    low = (1 - _DOPPLER) * float(energy_after_compton(strong, 180.0).min())
    return (part.energy.energies > low) & (part.energy.energies < (1 + _BEYOND) * float(strong.max()))


def _peaks(
    counts: Floats,
    variances: Floats,
    anode: str,
    angle_deg: float,
    part: CalibratedMap,
    inside: NDArray[np.bool_],
) -> tuple[float, float, float]:
    """Return ln of Compton over Rayleigh counts, its error, and the sum of squares that is left.

    Over a straight continuum, the Compton peak as wide as it is. The error is infinite where one of them is
    not seen.
    """
    top = float(part.energy.energies[-1])
    columns = scatter_columns("tube", top, anode, angle_deg, part.detector, part.energy)
    compton, elastic = (columns[f"{anode} K {kind}"] for kind in ("Compton", "elastic"))
    wider = np.gradient(np.gradient(compton))
    straight = np.array([np.ones(compton.size), np.linspace(-1.0, 1.0, compton.size)]) / compton.size
    system = np.array([compton, elastic, wider, *straight])[:, inside].T
    weights = 1 / np.sqrt(variances[inside])
    weighted = system * weights[:, None]
    amounts = np.linalg.lstsq(weighted, counts[inside] * weights, rcond=None)[0]
    misfit = (system @ amounts - counts[inside]) * weights
    errors = np.sqrt(np.diag(np.linalg.pinv(weighted.T @ weighted)))[:2]
    if (amounts[:2] < 3 * errors).any():
        return 0.0, math.inf, float(misfit @ misfit)
    relative = errors / amounts[:2]
    return math.log(amounts[0] / amounts[1]), float(np.hypot(*relative)), float(misfit @ misfit)
