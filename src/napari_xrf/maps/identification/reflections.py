"""Where a metal that explains a spectrum reflects the tube's continuum into the detector."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import HC_KEV_ANGSTROM
from napari_xrf.maps.spectra.joint_fit import Linear
from napari_xrf.maps.spectra.spectrum_fit import Content, Explained, SpectrumFit
from napari_xrf.maps.spectra.spectrum_model import STRAY_RANGE_KEV, Stray
from napari_xrf.physics.crystal import reflections
from napari_xrf.reference.crystals import lattices

Array = NDArray[np.float64]

# Of the counts of all elements, and of all counts, which a metal holds at least
_METAL_PART, _SHEET_PART = 0.6, 0.05
_STRONG_PART = 0.02  # of all counts: stronger elements are there whatever is reflected
# A reflection of less than this part of the strongest one's power is not looked for (grains at random; a
# texture makes any several times stronger or weaker).
_LEAST_POWER = 0.01
_ANGLES_DEG = np.arange(90.0, 178.0, 0.5)
_ANGLE_ERROR_DEG = 12.0  # of the mean angle that Compton scattering tells
_HIGHEST_KEV = 10.0  # beyond it reflections run together
_SAME_PLACE, _APART = 0.3, 0.25  # of the resolution
# Of a reflection: log-odds of a peak there that count at most, and those that noise has.
_MOST_GAIN, _OF_NOISE = 30.0, 5.0
_ON_LINE = 0.03  # of the height of one of the anode's lines
_CONVINCING = 50.0  # log-odds above those of a usual angle
_WIDTHS, _STEPS = (1.1, 1.6), (-0.2, 0.0, 0.2)  # of the resolution: the convergent beam broadens reflections


def expected_reflections(spectrum: SpectrumFit, best: Explained) -> tuple[Stray, ...]:
    """Return the peaks that a metal's lattice explains, at an angle that the peaks of no strong element tell.

    A polycrystal reflects photons of E = hc / (2 d sin(θ/2)), d being distances of lattice planes and θ the
    angle between tube and detector (energy-dispersive diffraction). None where no metal of a known lattice
    dominates, or where its reflections are not seen.
    """
    metal = _metal(spectrum, best)
    if metal is None or spectrum.setting.kind not in ("tube", None):
        return ()
    gains = _gains_without_traces(spectrum, best)
    fwhm = spectrum.setting.detector.fwhm
    ladders = [_ladder(metal, angle, spectrum) for angle in _ANGLES_DEG]
    off = (_ANGLES_DEG - spectrum.setting.scatter_deg) / _ANGLE_ERROR_DEG
    scores = np.array([_score(ladder, gains, np.asarray(fwhm(ladder))) for ladder in ladders])
    chosen = int(np.argmax(scores - 0.5 * off**2))
    if scores[chosen] - np.median(scores) < _CONVINCING:
        return ()
    ladder = ladders[chosen][~_of_tube(ladders[chosen], spectrum)]
    return tuple(
        Stray(float(kev + step * width), widths, expected=True)
        for kev, width in zip(ladder, np.asarray(fwhm(ladder)), strict=True)
        for widths in _WIDTHS
        for step in _STEPS
    )


def _of_tube(ladder: Array, spectrum: SpectrumFit) -> NDArray[np.bool_]:
    """Whether the anode's own lines stand at energies in keV, whose peaks a reflection there only raises."""
    return np.asarray(np.interp(ladder, spectrum.energies, spectrum.of_source("elastic")) > _ON_LINE)


def _metal(spectrum: SpectrumFit, best: Explained) -> str | None:
    """Return the metal of a known lattice that holds most counts of all elements, if no rock holds it."""
    if not spectrum.strays or spectrum.rocks_part(best) == 1:
        return None
    held = {spectrum.pool[one].element: _counts(spectrum, best, one) for one in best.content.elements}
    most = max(held, key=lambda element: held[element], default=None)
    least = max(_METAL_PART * sum(held.values()), _SHEET_PART * float(spectrum.counts.sum()))
    return most if most in lattices() and held[most] > least else None


def _counts(spectrum: SpectrumFit, best: Explained, element: int) -> float:
    return float(best.fit.amplitudes[np.isin(best.index, spectrum.own[element])].sum())


def _gains_without_traces(spectrum: SpectrumFit, best: Explained) -> tuple[Array, Array]:
    """Return places of narrow stray peaks, keV, and what each gains beside the strong elements, log-odds."""
    least = _STRONG_PART * float(spectrum.counts.sum())
    strong = frozenset(one for one in best.content.elements if _counts(spectrum, best, one) > least)
    plain = spectrum.fit(Content(strong), best)
    gains = 0.5 * Linear(plain.problem, plain.index).gains(plain.fit.amplitudes > 0) / best.misfit
    narrow = min(one.widths for one in spectrum.strays)
    rows = [k for k, one in enumerate(spectrum.strays) if one.widths == narrow]
    at = np.array([spectrum.strays[k].kev for k in rows])
    return at, gains[spectrum.stray_start + np.array(rows)]


def _ladder(metal: str, angle_deg: float, spectrum: SpectrumFit) -> Array:
    """Return the energies in keV, rising, at which a metal reflects towards an angle, those apart."""
    transfers, strengths = reflections(metal)
    # Towards one angle, a powder's power goes with the strength over the transfer.
    power = strengths / transfers * np.exp(-2 * lattices()[metal].b * transfers**2)
    energies = HC_KEV_ANGSTROM * transfers / np.sin(np.radians(angle_deg / 2))
    seen = (energies > STRAY_RANGE_KEV[0]) & (energies < min(_HIGHEST_KEV, spectrum.setting.high))
    seen &= power > _LEAST_POWER * power.max()
    found: list[float] = []
    for kev, width in zip(energies[seen], spectrum.setting.detector.fwhm(energies[seen]), strict=True):
        if not found or kev - found[-1] > _APART * width:
            found.append(float(kev))
    return np.array(found)


def _score(ladder: Array, gains: tuple[Array, Array], fwhm: Array) -> float:
    at, own = gains
    near = np.abs(at - ladder[:, None]) < _SAME_PLACE * fwhm[:, None]
    best = np.where(near, own, 0.0).max(axis=1, initial=0.0)
    return float(np.clip(best - _OF_NOISE, -1.0, _MOST_GAIN).sum())
