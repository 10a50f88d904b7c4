"""Compton beside Rayleigh scattering of a tube's K line, by which light atoms in a matrix show.

Both are of one line, so that lens, tube and dose hardly matter; the angle, which does, is that of the
Compton peak. Crystals reflect, and are off by up to 40 % (metals).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import family_lines
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.spectra.scatter import scatter_columns
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.scatter import energy_after_compton
from napari_xrf.physics.source import TubeSource
from napari_xrf.physics.source_shares import scatter_of_lines
from napari_xrf.reference.materials import Material

Floats = NDArray[np.float64]

_FAINT = 0.4  # of the anode's lines: weaker ones than that part of the strongest (Kβ) lie beyond the window
_DOPPLER, _BEYOND = 0.11, 0.06  # of the line's energy: below a photon that turns back, above the line
_ANGLES_DEG = np.arange(90.0, 176.0, 5.0)
_TOP = 90.0  # degrees above a surface
# Of the line's energy, and of the source's highest: where the scattered continuum is smooth. A lens that was
# fitted has kinks at the anode's lines, which hold what the tube's model lacks in them.
_SMOOTH, _TO_HIGHEST = (0.7, 1.33), 0.9


@dataclass(frozen=True, eq=False)
class AnodeScatter:
    """The part of a spectrum that shows its anode's K line, scattered."""

    net: Floats  # (E,) counts less the sample's own lines
    variances: Floats  # (E,) of them
    inside: NDArray[np.bool_]  # (E,) the channels of both peaks
    line_kev: float  # the strongest line's energy
    angle_deg: float  # by which the photons of the Compton peak turned, whole degrees


def anode_scatter(part: CalibratedMap, source: object, lines: Floats) -> AnodeScatter | None:
    """Return where a spectrum shows Compton and Rayleigh peaks of the anode's K line; None where not both.

    ``part``: the spectrum. ``source``: what excited it; what is no tube has none. ``lines``: (E,) counts of
    the sample's own lines, which are taken off.
    """
    if not isinstance(source, TubeSource):
        return None
    energies, shares = family_lines(source.anode, "K", source.voltage_kv)
    strong = energies[shares > _FAINT * shares.max()] if energies.size else energies
    if not strong.size or strong.max() * (1 + _BEYOND) > min(source.voltage_kv, part.energy.energies[-1]):
        return None
    low = (1 - _DOPPLER) * float(energy_after_compton(strong, 180.0).min())
    inside = (part.energy.energies > low) & (part.energy.energies < (1 + _BEYOND) * float(strong.max()))
    net, variances = part.sum_spectrum - lines, np.maximum(part.sum_spectrum, 1.0)
    tilt = np.linspace(-1.0, 1.0, part.energy.size)

    def fitted(angle: float) -> tuple[Floats, Floats, float]:
        columns = scatter_columns("tube", source.voltage_kv, source.anode, angle, part.detector, part.energy)
        peaks = [columns[f"{source.anode} K {kind}"] for kind in ("Compton", "elastic")]
        system = [*peaks, _curvature(peaks[0]), np.ones(tilt.size) / tilt.size, tilt / tilt.size]
        return _fitted(net, variances, system, inside)

    near = min(_ANGLES_DEG, key=lambda angle: fitted(float(angle))[2])
    angle = float(min(np.arange(near - 4.0, near + 5.0), key=lambda angle: fitted(float(angle))[2]))
    amounts, errors, _ = fitted(angle)
    if (amounts[:2] < 3 * errors[:2]).any():
        return None
    return AnodeScatter(net, variances, inside, float(strong.max()), angle)


def ratio_over_expected(
    material: Material, instrument: Instrument, seen: AnodeScatter
) -> tuple[float, float]:
    """Return ln of measured over expected Compton over Rayleigh counts, and its counting error.

    Both peaks have the shapes that the material makes of them, at the angle that is seen; the Compton peak
    may be wider and lie beside. The continuum under them is that of the model, smooth and as high and as
    steep as it is. The error is infinite where one of the peaks is not there.
    """
    out = seen.angle_deg - instrument.incidence_deg
    beam = instrument.incidence_deg if 0 < out <= _TOP else seen.angle_deg / 2
    turned = replace(instrument, incidence_deg=beam, takeoff_deg=seen.angle_deg - beam, azimuth_deg=0.0)
    compton, rayleigh, continuum = scatter_of_lines(material, turned)
    scale = seen.net[seen.inside].sum() / max(float((compton + rayleigh)[seen.inside].sum()), 1e-300)
    energies = instrument.energy.energies
    low, high = (part * seen.line_kev for part in _SMOOTH)
    high = min(high, _TO_HIGHEST * instrument.source.highest_kev)
    at = (np.clip(energies, low, high) - low) / (high - low)
    smooth = (energies > low) & (energies < high)
    logs = np.polyfit(at[smooth], np.log(np.maximum(continuum[smooth], 1e-300)), 2)
    under = scale * np.exp(np.polyval(logs, at))
    peak = scale * compton
    system = [peak, scale * rayleigh, np.gradient(peak), _curvature(peak), under, under * at]
    amounts, errors, _ = _fitted(seen.net, seen.variances, system, seen.inside)
    if (amounts[:2] <= errors[:2]).any():
        return 0.0, math.inf
    return math.log(amounts[0] / amounts[1]), float(np.hypot(*(errors / amounts)[:2]))


def _curvature(peak: Floats) -> Floats:
    """Return what widens a peak."""
    return np.asarray(np.gradient(np.gradient(peak)))


def _fitted(
    counts: Floats, variances: Floats, system: list[Floats], inside: NDArray[np.bool_]
) -> tuple[Floats, Floats, float]:
    """Return the amounts of columns in counts, their standard errors, and the sum of squares that is left."""
    weights = 1 / np.sqrt(variances[inside])
    weighted = np.array(system)[:, inside].T * weights[:, None]
    amounts = np.linalg.lstsq(weighted, counts[inside] * weights, rcond=None)[0]
    misfit = weighted @ amounts - counts[inside] * weights
    errors = np.sqrt(np.diag(np.linalg.pinv(weighted.T @ weighted)))
    return np.asarray(amounts, np.float64), np.asarray(errors, np.float64), float(misfit @ misfit)
